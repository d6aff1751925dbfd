"""Hashes of files, and files that are written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def file_md5(path: Path) -> str:
    """The md5 of a file's bytes, in hexadecimal digits, as DVC computes it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, text: str | bytes) -> None:
    """Write ``text`` (as UTF-8) under a temporary name beside ``path``, then rename: never half a file.

    Raises
    ------
    OSError
        If the folder cannot be written, or the disk is full. What ``path`` held before is then still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode() if isinstance(text, str) else text
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def staged_folder(target: Path, last: str = "") -> Iterator[Path]:
    """A folder beside ``target`` to write into; when the block ends well, its files replace those of ``target``.

    Parameters
    ----------
    target
        The folder that gets the files; what it holds besides stays.
    last
        Name of a file that is moved last, and removed from ``target`` first: where it lies, all files are of one run.

    Raises
    ------
    OSError
        If the disk is full, or a folder cannot be written.
    """
    part = target.with_name(f".{target.name}.part")
    marker = part / last
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        files = sorted(path for path in part.rglob("*") if path.is_file())
        if last and marker in files:
            (target / last).unlink(missing_ok=True)
        for file in sorted(files, key=lambda path: path == marker):
            moved = target / file.relative_to(part)
            moved.parent.mkdir(parents=True, exist_ok=True)
            file.replace(moved)
    finally:
        shutil.rmtree(part, ignore_errors=True)
