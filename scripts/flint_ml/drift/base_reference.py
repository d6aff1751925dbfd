"""A change must not move its own goalposts: the reference is that of the base revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from flint_ml.drift.tables.reading import is_table
from flint_ml.dvc_project import hash_at, members, read_at, tracked
from flint_ml.errors import InputError
from flint_ml.git import Git


@dataclass(frozen=True)
class Trusted:
    """The files of the reference to compare with; ``message`` says so where the change altered it."""

    paths: tuple[Path, ...]
    revision: str | None = None
    message: str | None = None
    hint: str | None = None


def trusted_file(git: Git, base: str | None, here: Path, folder: Path) -> Trusted:
    """The reference ``here``, or its version at the commit ``base`` where the change altered it.

    The base's version is written below ``folder``. A file that neither Git nor DVC tracks is taken as it is.

    Raises
    ------
    InputError
        If DVC tracks the base's version and the cache does not hold it.
    """
    root = git.root
    if base is None or root is None or not here.is_relative_to(root.resolve()):
        return Trusted((here,))
    name = here.relative_to(root.resolve()).as_posix()
    there = hash_at(git, base, name)
    if there is None:
        if not git.tracked(here):
            return Trusted((here,))
        message = f"the reference `{name}` is new with this change; the base has none"
        return Trusted((here,), None, message, "look at where it comes from before you trust the result")
    if there == hash_at(git, None, name):
        return Trusted((here,), base)
    content = read_at(git, base, name)
    if content is None:
        return Trusted((here,))
    path = folder / here.name
    path.write_bytes(content)
    message = f"this change alters the reference `{name}`; the new data were compared with the base's version"
    return Trusted((path,), base, message, "the new reference holds after the merge")


def file_at(git: Git, revision: str, place: Path, folder: Path) -> Trusted:
    """The reference ``place`` as it was at ``revision``, from Git or the DVC cache, written below ``folder``.

    Raises
    ------
    InputError
        If the revision or the file at it is not here.
    """
    commit, name = place_at(git, revision, place)
    content = read_at(git, commit, name)
    if content is None:
        raise InputError(
            f"does not exist at revision `{revision}`", where=name, hint="check path and revision", code="missing-file"
        )
    path = folder / place.name
    path.write_bytes(content)
    return Trusted((path,), commit)


def place_at(git: Git, revision: str, place: Path) -> tuple[str, str]:
    """The commit of ``revision`` and ``place`` relative to the root. Raises InputError if it is not in this clone."""
    root = git.root
    commit = git.commit(revision) or git.commit(f"origin/{revision}")
    if root is None or commit is None:
        raise InputError(
            f"the revision `{revision}` is not in this clone",
            where="reference-rev",
            hint="set `fetch-depth: 0` on actions/checkout, or fetch that revision before",
            code="base-not-fetched",
        )
    top = root.resolve()
    return commit, place.relative_to(top).as_posix() if place.is_relative_to(top) else place.name


def trusted_files(git: Git, base: str | None, here: Sequence[Path], pattern: Path, folder: Path) -> Trusted:
    """The files of a reference of several parts, or those that ``pattern`` means at the commit ``base``.

    ``pattern`` is an absolute path with ``*``, ``?`` and ``[]``; ``here`` is what it means in the working tree.

    Raises
    ------
    InputError
        If DVC tracks a part at the base and the cache does not hold it.
    """
    root = git.root
    if base is None or root is None or not pattern.is_relative_to(root.resolve()):
        return Trusted(tuple(here))
    top = root.resolve()
    wanted = pattern.relative_to(top).as_posix()
    there = [name for name in listing_at(git, base) if fnmatchcase(name, wanted) and is_table(Path(name))]
    names = sorted(path.relative_to(top).as_posix() for path in here)
    if not there:
        if not any(git.tracked(path) for path in here):
            return Trusted(tuple(here))
        message = f"the reference `{wanted}` is new with this change; the base has none"
        return Trusted(tuple(here), None, message, "look at where it comes from before you trust the result")
    if names == there and all(hash_at(git, base, name) == hash_at(git, None, name) for name in names):
        return Trusted(tuple(here), base)
    paths = []
    for number, name in enumerate(there):
        path = folder / f"{number:05d}" / Path(name).name
        path.parent.mkdir()
        path.write_bytes(read_at(git, base, name) or b"")
        paths.append(path)
    message = f"this change alters the reference `{wanted}`; the new data were compared with the base's version"
    return Trusted(tuple(paths), base, message, "the new reference holds after the merge")


def listing_at(git: Git, revision: str) -> list[str]:
    """All files that Git or DVC keeps at ``revision``, sorted, relative to the root."""
    names = set(git.files(revision))
    root = git.root
    for path, entry in tracked(git, revision).items():
        inside = members(root, entry) if entry.is_dir and root is not None else None
        names |= {f"{path}/{name}" for name in inside} if inside is not None else {path}
    return sorted(names)
