"""Files as Git keeps them and as people read them: line ends, and contents that Git LFS keeps elsewhere.

Git's own programs for this are filters, which a clone's settings name and which so are not run (see ``repository``).
What the attributes ``text``, ``eol`` and ``filter=lfs`` mean is applied here instead.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from flint_ml.errors import InputError
from flint_ml.git.repository import Git

_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v\d+\n(?:[^\n]*\n)*?oid sha256:([0-9a-f]{64})\n")
_MOST_POINTER = 1024
_BLOCK = 1 << 20


def lfs_oid(data: bytes) -> str | None:
    """The sha256 of the content that a pointer of Git LFS stands for; None for what is no pointer."""
    match = _POINTER.match(data) if len(data) <= _MOST_POINTER else None
    return match[1].decode() if match else None


def is_lfs_pointer(file: Path) -> bool:
    """Whether a file is a pointer of Git LFS in the place of the content."""
    try:
        if not file.is_file() or file.stat().st_size > _MOST_POINTER:
            return False
        return lfs_oid(file.read_bytes()) is not None
    except OSError:
        return False


def lfs_file(git: Git, oid: str, path: str = "") -> Path | None:
    """The file that holds the content ``oid``: in the clone's LFS store, or ``path`` of the working tree."""
    candidates = []
    if folder := git.common_folder:
        # `lfs.storage` is a setting of the clone, relative to its own folder.
        store = folder / (git.setting("lfs.storage") or "lfs")
        candidates.append(store / "objects" / oid[:2] / oid[2:4] / oid)
    if path and git.root:
        candidates.append(git.root / path)
    return next((file for file in candidates if file.is_file() and _sha256(file) == oid), None)


def whole(git: Git, data: bytes, path: str, revision: str) -> bytes:
    """The content of ``path`` at ``revision``, whose blob is ``data``: that of Git LFS where it is a pointer.

    Raises
    ------
    InputError
        With code ``lfs-pointer`` where the content is not in this clone.
    """
    oid = lfs_oid(data)
    if oid is None:
        return data
    file = lfs_file(git, oid, path)
    if file is None:
        raise pointer_error(path, revision)
    return file.read_bytes()


def pointer_error(path: str, revision: str = "") -> InputError:
    """What to say of a pointer whose content is not here."""
    if revision:
        return InputError(
            f"`{path}` of revision {revision[:10]} is kept in Git LFS, and its content is not in this clone",
            where=path,
            hint=f"fetch it before this step: `git lfs fetch origin {revision[:10]}`",
            code="lfs-pointer",
        )
    return InputError(
        f"`{path}` is a Git LFS pointer, not the file itself",
        where=path,
        hint="set `lfs: true` on actions/checkout, or run `git lfs pull`",
        code="lfs-pointer",
    )


def blob_md5(git: Git, data: bytes, path: str) -> str:
    """md5 of the content that the blob ``data`` of ``path`` stands for.

    Content of Git LFS that is not here has no md5 that is known: then it is ``sha256:`` and its sha256, which is as
    good for telling the same from another.
    """
    oid = lfs_oid(data)
    if oid is None:
        return hashlib.md5(data, usedforsecurity=False).hexdigest()
    file = lfs_file(git, oid, path)
    return _md5(_blocks(file)) if file else f"sha256:{oid}"


def file_md5_as_kept(git: Git, file: Path) -> str:
    """md5 of a file of the working tree that Git tracks, with the line ends that Git keeps it with."""
    if is_lfs_pointer(file):
        return blob_md5(git, file.read_bytes(), "")
    if _converted(git, file):
        return _md5(_with_newlines(file))
    return _md5(_blocks(file))


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            yield block


def _with_newlines(file: Path) -> Iterator[bytes]:
    """The file's bytes with ``\\n`` for ``\\r\\n``."""
    rest = b""
    for block in _blocks(file):
        text = rest + block
        rest = b"\r" if text.endswith(b"\r") else b""
        yield text[: len(text) - len(rest)].replace(b"\r\n", b"\n")
    yield rest


def _md5(blocks: Iterator[bytes]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _converted(git: Git, file: Path) -> bool:
    """Whether Git keeps this file with other line ends than it has here (gitattributes(5), ``text`` and ``eol``).

    A file with NUL characters is never converted, whatever its attributes say: the change may have written them.
    """
    ends, last = False, b""
    for block in _blocks(file):
        if b"\0" in block:
            return False
        ends = ends or b"\r\n" in last + block
        last = block[-1:]
    if not ends:
        return False
    attributes = git.attributes(file, "text", "eol", "crlf", "filter")
    if attributes.get("filter") == "lfs" or "unset" in (attributes.get("text"), attributes.get("crlf")):
        return False
    text = attributes.get("text")
    if text == "set" or attributes.get("crlf") in ("set", "input"):
        return True
    by_attribute = text == "auto" or attributes.get("eol") in ("lf", "crlf")
    if by_attribute and text != "auto":
        return True
    if not by_attribute and (git.setting("core.autocrlf") or "false").lower() not in ("true", "input"):
        return False
    # Git leaves alone what it keeps with such line ends already.
    kept = git.show("", file.resolve().relative_to(git.root.resolve()).as_posix()) if git.root else None
    return kept is None or b"\r\n" not in kept
