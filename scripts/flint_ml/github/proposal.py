"""Changed files of a checkout as a branch and a pull request, through GitHub's API alone.

No Git push: the token never comes near Git, a hook or the user's code, and GitHub signs the commit. The branch has
one commit on the commit that is checked out; it is made anew at each run, so that the pull request shows the newest
state and merges cleanly.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flint_ml.errors import InputError
from flint_ml.github.client import GitHub, NotFoundError, RefusedError
from flint_ml.github.keyed import explained, keyed, mark, one_line, same_text

_WRITE = "give the job `permissions: contents: write`; GITHUB_TOKEN may not change workflow files"
_OPEN = (
    "give the job `permissions: pull-requests: write`, and allow `GitHub Actions to create and approve pull requests` "
    "in the repository's settings (Actions, General)"
)


@dataclass(frozen=True)
class File:
    """A file as the proposal has it: its content and Git mode; ``data`` None: it is deleted."""

    data: bytes | None
    mode: str = "100644"


@dataclass(frozen=True)
class Proposal:
    """A pull request of ours: ``opened``, ``updated`` (new commit or text) or ``unchanged``."""

    how: Literal["opened", "updated", "unchanged"]
    number: int
    url: str
    commit: str


@dataclass(frozen=True)
class Start:
    """What the change is made on: commit and tree of the checkout, and the branch that it is meant for."""

    commit: str
    tree: str
    branch: str


def propose(
    github: GitHub, branch: str, start: Start, files: Mapping[str, File], *, title: str, text: str, message: str
) -> Proposal:
    """Put ``files`` on ``branch`` as one commit and open the pull request, or bring it up to date.

    Raises
    ------
    InputError
        If the token may not, the branch holds somebody else's work, or the commit is not on GitHub.
    OutsideError
        If GitHub is not to be had within the client's deadline.
    """
    with explained("write a branch", _WRITE):
        commit, moved = _commit(github, branch, start, files, f"{one_line(message)}\n\n{_trailer(branch)}")
    body = keyed(branch, text)
    with explained("open a pull request", _OPEN):
        found = _find(github, branch, start.branch)
        if found is None:
            return _open(github, branch, start.branch, commit, {"title": one_line(title), "body": body})
        number, url = int(found["number"]), str(found["html_url"])
        if same_text(found.get("body"), body) and found.get("title") == one_line(title):
            return Proposal("updated" if moved else "unchanged", number, url, commit)
        github.patch(f"{{repo}}/pulls/{number}", {"title": one_line(title), "body": body})
        return Proposal("updated", number, url, commit)


def _trailer(branch: str) -> str:
    """The last line of our commits, by which we know that nobody else's work is on the branch."""
    return f"Flint-ML-Key: {mark(branch).split()[2]}"


def _commit(github: GitHub, branch: str, start: Start, files: Mapping[str, File], message: str) -> tuple[str, bool]:
    """The commit that the branch has afterwards, and whether it is another than before."""
    there = _tip(github, branch)
    entries = [
        {"path": path, "mode": file.mode, "type": "blob", "sha": _blob(github, file)} for path, file in files.items()
    ]
    try:
        tree = github.post("{repo}/git/trees", {"base_tree": start.tree, "tree": entries})["sha"]
    except (NotFoundError, RefusedError) as error:
        raise InputError(
            f"GitHub does not know the commit that is checked out ({start.commit[:10]}): {error.message}",
            where="branch",
            hint="check out a commit that was pushed",
            code="commit-not-pushed",
        ) from None
    if there is not None:
        old = github.get(f"{{repo}}/git/commits/{there}")
        if _trailer(branch) not in str(old.get("message")):
            raise InputError(
                f"the branch `{branch}` has a commit that is not ours ({there[:10]})",
                where="branch",
                hint="merge or close its pull request and delete the branch, or give another name",
                code="branch-not-ours",
            )
        parents = [parent.get("sha") for parent in old.get("parents") or []]
        if old["tree"]["sha"] == tree and parents == [start.commit]:
            return there, False
    commit = str(
        github.post("{repo}/git/commits", {"message": message, "tree": tree, "parents": [start.commit]})["sha"]
    )
    if there is None:
        github.post(
            "{repo}/git/refs",
            {"ref": f"refs/heads/{branch}", "sha": commit},
            before_retry=lambda: {} if _tip(github, branch) == commit else None,
        )
    else:
        github.patch(f"{{repo}}/git/refs/heads/{branch}", {"sha": commit, "force": True})
    return commit, True


def _blob(github: GitHub, file: File) -> str | None:
    if file.data is None:
        return None
    content = {"content": base64.b64encode(file.data).decode(), "encoding": "base64"}
    return str(github.post("{repo}/git/blobs", content)["sha"])


def _tip(github: GitHub, branch: str) -> str | None:
    try:
        return str(github.get(f"{{repo}}/git/ref/heads/{branch}")["object"]["sha"])
    except NotFoundError:
        return None


def _find(github: GitHub, branch: str, base: str) -> dict[str, Any] | None:
    owner = github.repository.partition("/")[0]
    found = github.get("{repo}/pulls", state="open", head=f"{owner}:{branch}", base=base)
    return dict(found[0]) if found else None


def _open(github: GitHub, branch: str, base: str, commit: str, text: Mapping[str, str]) -> Proposal:
    try:
        made = github.post(
            "{repo}/pulls", {**text, "head": branch, "base": base}, before_retry=lambda: _find(github, branch, base)
        )
    except RefusedError:
        # Of two jobs that open it at once, the second one is told that it exists.
        made = _find(github, branch, base)
        if made is None:
            raise
    return Proposal("opened", int(made["number"]), str(made["html_url"]), commit)
