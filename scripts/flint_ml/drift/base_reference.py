"""A change must not move its own goalposts: the reference is that of the base revision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from flint_ml.drift.rasters.names import companions
from flint_ml.drift.rasters.source import is_raster
from flint_ml.drift.tables.formats import is_table
from flint_ml.dvc_project import hash_at, members, read_at, tracked
from flint_ml.errors import InputError
from flint_ml.git import Git


@dataclass(frozen=True)
class BaseReference:
    """The files of the reference to compare with; ``message`` says so where the change altered it."""

    paths: tuple[Path, ...]
    revision: str | None = None
    message: str | None = None
    hint: str | None = None


def base_file(git: Git, base: str | None, path: Path, folder: Path) -> BaseReference:
    """The reference ``path``, or its version at the commit ``base`` where the change altered it.

    The base's version is written below ``folder``. A file that neither Git nor DVC tracks is taken as it is.

    Raises
    ------
    InputError
        If DVC tracks the base's version and the cache does not hold it.
    """
    name = _name_in(git, path)
    if base is None or name is None:
        return BaseReference((path,))
    at_base = hash_at(git, base, name)
    if at_base is None:
        return _not_at_base(git, [path], name)
    if at_base == hash_at(git, None, name):
        return BaseReference((path,), base)
    content = read_at(git, base, name)
    if content is None:
        return BaseReference((path,))
    copy = folder / path.name
    copy.write_bytes(content)
    return _altered([copy], name, base)


def base_files(git: Git, base: str | None, given: Sequence[Path], pattern: Path, folder: Path) -> BaseReference:
    """The files of a reference of several parts, or those that ``pattern`` means at the commit ``base``.

    ``pattern`` is an absolute path with ``*``, ``?`` and ``[]``; ``given`` is what it means in the working tree.

    Raises
    ------
    InputError
        If DVC tracks a part at the base and the cache does not hold it.
    """
    name = _name_in(git, pattern)
    if base is None or name is None:
        return BaseReference(tuple(given))
    at_base = [file for file in _listing_at(git, base) if fnmatchcase(file, name) and is_table(Path(file))]
    if not at_base:
        return _not_at_base(git, given, name)
    if _names_in(git, given) == at_base and _unchanged(git, base, at_base):
        return BaseReference(tuple(given), base)
    copies = []
    for number, file in enumerate(at_base):
        # The folders too: their names may be columns (region=north).
        copy = folder / f"{number:05d}" / file
        copy.parent.mkdir(parents=True)
        copy.write_bytes(read_at(git, base, file) or b"")
        copies.append(copy)
    return _altered(copies, name, base)


def base_rasters(git: Git, base: str | None, given: Sequence[Path], path: Path, folder: Path) -> BaseReference:
    """The rasters ``given``, or those that ``path`` means at the commit ``base`` where the change altered any of them.

    A change of the files beside a raster, which say what its values mean, counts as one of the raster.

    Raises
    ------
    InputError
        If DVC tracks the base's version and the cache does not hold it.
    """
    name = _name_in(git, path)
    if base is None or name is None:
        return BaseReference(tuple(given))
    listing = _listing_at(git, base)
    at_base = _rasters_in(listing, name)
    if not at_base:
        return _not_at_base(git, given, name)
    beside = _names_in(git, [file for raster in given for file in companions(raster) if file.is_file()])
    files = sorted({*at_base, *_names_in(git, given), *beside, *_companions_in(listing, at_base)})
    if _unchanged(git, base, files):
        return BaseReference(tuple(given), base)
    return _altered(_copies(git, base, at_base, listing, folder), name, base)


def file_at(git: Git, revision: str, path: Path, folder: Path) -> BaseReference:
    """The reference ``path`` as it was at ``revision``, from Git or the DVC cache, written below ``folder``.

    Raises
    ------
    InputError
        If the revision or the file at it is not in this clone.
    """
    commit, name = _path_at(git, revision, path)
    content = read_at(git, commit, name)
    if content is None:
        raise _not_at(revision, name)
    copy = folder / path.name
    copy.write_bytes(content)
    return BaseReference((copy,), commit)


def rasters_at(git: Git, revision: str, path: Path, folder: Path) -> BaseReference:
    """The rasters that ``path`` (a file, folder or pattern) means at ``revision``, written below ``folder``.

    Raises
    ------
    InputError
        If the revision or the rasters at it are not in this clone.
    """
    commit, name = _path_at(git, revision, path)
    listing = _listing_at(git, commit)
    rasters = _rasters_in(listing, name)
    if not rasters:
        raise _not_at(revision, name)
    return BaseReference(tuple(_copies(git, commit, rasters, listing, folder)), commit)


def _name_in(git: Git, path: Path) -> str | None:
    """The path relative to the root of the repository; None outside of it."""
    root = git.root
    if root is None or not path.is_relative_to(root.resolve()):
        return None
    return path.relative_to(root.resolve()).as_posix()


def _names_in(git: Git, paths: Iterable[Path]) -> list[str]:
    return sorted(name for name in (_name_in(git, path) for path in paths) if name is not None)


def _unchanged(git: Git, base: str, names: Iterable[str]) -> bool:
    return all(hash_at(git, base, name) == hash_at(git, None, name) for name in names)


def _not_at_base(git: Git, given: Sequence[Path], name: str) -> BaseReference:
    """A reference that the base does not have."""
    if not any(git.tracked(path) for path in given):
        return BaseReference(tuple(given))
    message = f"the reference `{name}` is new with this change; the base has none"
    return BaseReference(tuple(given), None, message, "look at where it comes from before you trust the result")


def _altered(copies: Sequence[Path], name: str, base: str) -> BaseReference:
    """The base's version of a reference that the change alters."""
    message = f"this change alters the reference `{name}`; the new data were compared with the base's version"
    return BaseReference(tuple(copies), base, message, "the new reference holds after the merge")


def _not_at(revision: str, name: str) -> InputError:
    message = f"does not exist at revision `{revision}`"
    return InputError(message, where=name, hint="check path and revision", code="missing-file")


def _path_at(git: Git, revision: str, path: Path) -> tuple[str, str]:
    """The commit of ``revision``, and ``path`` relative to the root. Raises InputError if it is not in this clone."""
    root = git.root
    commit = git.commit(revision) or git.commit(f"origin/{revision}")
    if root is None or commit is None:
        raise InputError(
            f"the revision `{revision}` is not in this clone",
            where="reference-rev",
            hint="set `fetch-depth: 0` on actions/checkout, or fetch that revision before",
            code="base-not-fetched",
        )
    return commit, _name_in(git, path) or path.name


def _listing_at(git: Git, revision: str) -> list[str]:
    """All files that Git or DVC keeps at ``revision``, sorted, relative to the root."""
    names = set(git.files(revision))
    root = git.root
    for path, entry in tracked(git, revision).items():
        inside = members(root, entry) if entry.is_dir and root is not None else None
        names |= {f"{path}/{name}" for name in inside} if inside is not None else {path}
    return sorted(names)


def _rasters_in(listing: Iterable[str], name: str) -> list[str]:
    """Rasters of a listing that a file, a folder or a pattern means."""
    return [
        file
        for file in listing
        if is_raster(Path(file)) and (file == name or file.startswith(f"{name}/") or fnmatchcase(file, name))
    ]


def _companions_in(listing: Sequence[str], rasters: Iterable[str]) -> list[str]:
    known = set(listing)
    return [file.as_posix() for name in rasters for file in companions(Path(name)) if file.as_posix() in known]


def _copies(git: Git, commit: str, rasters: Sequence[str], listing: Sequence[str], folder: Path) -> list[Path]:
    for name in {*rasters, *_companions_in(listing, rasters)}:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_at(git, commit, name) or b"")
    return [folder / name for name in rasters]
