"""Files on a branch of their own: content-hashed, without history in common with the code, never overwritten."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from urllib.parse import quote

from flint_ml.errors import OutsideError
from flint_ml.github.client import GitHub, NotFoundError, RefusedError

BRANCH = "flint-ml-figures"
_TRIES = 5


def hashed_name(data: bytes, suffix: str = ".png") -> str:
    """Path of a file on the branch: caches of images go by address, so another content is another address."""
    return f"figures/{hashlib.sha256(data).hexdigest()[:32]}{suffix}"


def address(server_url: str, repository: str, path: str, branch: str = BRANCH) -> str:
    """Where a browser finds ``path``; it works in private repositories for people who may see them."""
    return f"{server_url}/{repository}/raw/{quote(branch)}/{quote(path)}"


def put(github: GitHub, files: Mapping[str, bytes], branch: str = BRANCH) -> None:
    """Add ``files`` to ``branch``, which is made as an orphan where it does not exist.

    Another run may write at the same time: a rejected update is built again on what is there then.

    Raises
    ------
    ForbiddenError
        If the token may not write contents.
    OutsideError
        If the branch moves on at each of several tries.
    """
    if not files:
        return
    blobs = {
        path: github.post("{repo}/git/blobs", {"content": base64.b64encode(data).decode(), "encoding": "base64"})["sha"]
        for path, data in files.items()
    }
    entries = [{"path": path, "mode": "100644", "type": "blob", "sha": sha} for path, sha in blobs.items()]
    for _ in range(_TRIES):
        head = _head(github, branch)
        parent = github.get(f"{{repo}}/git/commits/{head}")["tree"]["sha"] if head else None
        tree = github.post("{repo}/git/trees", {"tree": entries} | ({"base_tree": parent} if parent else {}))["sha"]
        if tree == parent:
            return
        body = {"message": "Figures of flint-ml reports", "tree": tree, "parents": [head] if head else []}
        commit = github.post("{repo}/git/commits", body)["sha"]
        try:
            if head:
                github.patch(f"{{repo}}/git/refs/heads/{branch}", {"sha": commit, "force": False})
            else:
                github.post("{repo}/git/refs", {"ref": f"refs/heads/{branch}", "sha": commit})
        except RefusedError:
            continue
        return
    raise OutsideError(f"moved on at each of {_TRIES} tries", where=f"branch {branch}", code="branch-busy")


def _head(github: GitHub, branch: str) -> str | None:
    try:
        return str(github.get(f"{{repo}}/git/ref/heads/{branch}")["object"]["sha"])
    except NotFoundError:
        return None
