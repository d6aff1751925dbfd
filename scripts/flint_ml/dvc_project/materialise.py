"""A folder as it was at a revision, written elsewhere: from Git, and from DVC's cache what DVC tracks."""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from flint_ml.dvc_project.cache import NOT_IN_CACHE, cache_dir, members, object_path, read_at
from flint_ml.dvc_project.entries import Entry, tracked
from flint_ml.dvc_project.paths import within
from flint_ml.errors import InputError
from flint_ml.git import Git, whole


def materialise(git: Git, commit: str, folder: str, target: Path, without: Sequence[str] = ()) -> Path | None:
    """Write the files of ``folder`` at ``commit`` to ``target``, from Git and DVC's cache; None where it has none.

    Parameters
    ----------
    folder
        Relative to the Git root; empty for the root. A single file (a zip) is written alone.
    without
        Folders (relative to the Git root) that hold results, not inputs.

    Raises
    ------
    InputError
        With code ``not-in-cache`` where DVC tracks an input and its content is not here.
    """
    root = git.root
    entries = tracked(git, commit)
    if root is None:
        return None
    if git.show(commit, folder) is not None or (folder in entries and not entries[folder].is_dir):
        data = read_at(git, commit, folder) or b""
        target.mkdir(parents=True, exist_ok=True)
        file = target / posixpath.basename(folder)
        file.write_bytes(data)
        return file
    skip = (".dvc", ".git", ".github", *without)

    def wanted(path: str) -> bool:
        return within(path, folder) and not any(place and within(path, place) for place in skip)

    names = [name for name in git.files(commit, folder) if wanted(name)]
    for name, data in git.show_many(commit, names).items():
        _place(target, folder, name).write_bytes(whole(git, data, name, commit))
    missing: list[str] = []
    for entry in entries.values():
        if wanted(entry.path) or (entry.is_dir and within(folder, entry.path)):
            missing += _from_cache(root, entry, folder, target, wanted)
    if missing:
        raise InputError(
            f"{len(missing)} inputs of the base {commit[:10]} are tracked by DVC and not in the cache, such as "
            f"`{missing[0]}`",
            where="base",
            hint="run pull-data with `base-revision: auto` before this step, or set `base`",
            code=NOT_IN_CACHE,
        )
    return target if target.is_dir() and any(target.iterdir()) else None


def _place(target: Path, folder: str, name: str) -> Path:
    path = target / posixpath.relpath(name, folder or ".")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _from_cache(root: Path, entry: Entry, folder: str, target: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Copy one tracked output from the cache; returns what is missing there."""
    files = {entry.path: entry.md5}
    if entry.is_dir:
        found = members(root, entry)
        if found is None:
            return [entry.path]
        files = {posixpath.join(entry.path, name): md5 for name, md5 in found.items()}
    cache = cache_dir(root / entry.root)
    missing: list[str] = []
    for name, md5 in files.items():
        if not wanted(name):
            continue
        source = object_path(cache, md5, legacy=entry.legacy)
        if not source.is_file():
            missing.append(name)
            continue
        place = _place(target, folder, name)
        place.unlink(missing_ok=True)
        shutil.copyfile(source, place)
    return missing
