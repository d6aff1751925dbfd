"""Paths of a DVC project: relative to the Git root, with forward slashes."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from pathlib import Path

from flint_ml.git import Git


def within(path: str, folder: str) -> bool:
    """Whether ``path`` is ``folder`` or lies below it; the empty folder holds everything."""
    return not folder or path == folder or path.startswith(folder + "/")


def joined(folder: str, path: str) -> str:
    """``path``, which is relative to ``folder``, relative to the Git root."""
    return posixpath.normpath(posixpath.join(folder, path))


def project_folder(git: Git) -> str:
    """The project's folder relative to the Git root, empty for the root itself."""
    root = git.root
    folder = git.folder.resolve()
    if root is None or folder == root.resolve() or not folder.is_relative_to(root.resolve()):
        return ""
    return folder.relative_to(root.resolve()).as_posix()


def dvc_root(folder: Path) -> Path | None:
    """The DVC project that ``folder`` belongs to: the nearest folder at or above it with ``.dvc/``."""
    folder = folder.resolve()
    return next((path for path in (folder, *folder.parents) if (path / ".dvc").is_dir()), None)


def listing(git: Git, revision: str | None) -> list[str]:
    """All files at ``revision``; in the working tree those that Git tracks or would."""
    if revision is not None:
        return git.files(revision)
    if git.root is not None:
        return git.present()
    paths: list[str] = []
    for folder, folders, names in os.walk(git.folder):
        folders[:] = [name for name in folders if name not in {".git", "cache", "tmp"}]
        paths += [(Path(folder) / name).relative_to(git.folder).as_posix() for name in names]
    return paths


def contents(git: Git, revision: str | None, paths: list[str]) -> dict[str, bytes]:
    """Contents of those of ``paths`` that are files at ``revision``."""
    if revision is not None:
        return git.show_many(revision, paths)
    root = git.root or git.folder
    return {path: (root / path).read_bytes() for path in paths if (root / path).is_file()}


def dvc_roots(git: Git, paths: Iterable[str]) -> list[str]:
    """Folders of the DVC projects, deepest first; the working tree helps where Git ignores ``.dvc``."""
    roots = {
        posixpath.dirname(posixpath.dirname(p)) for p in paths if posixpath.basename(posixpath.dirname(p)) == ".dvc"
    }
    top = git.root
    own = dvc_root(git.folder)
    if top is not None and own is not None and own.is_relative_to(top.resolve()):
        name = own.relative_to(top.resolve()).as_posix()
        roots.add("" if name == "." else name)
    return sorted(roots | {""}, key=len, reverse=True)
