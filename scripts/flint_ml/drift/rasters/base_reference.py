"""Rasters of the reference as the base revision has them, with the files beside them that name their classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from flint_ml.drift.base_reference import Trusted, listing_at, place_at
from flint_ml.drift.rasters.names import companions
from flint_ml.drift.rasters.source import is_raster
from flint_ml.dvc_project import hash_at, read_at
from flint_ml.errors import InputError
from flint_ml.git import Git


def rasters_at(git: Git, revision: str, place: Path, folder: Path) -> Trusted:
    """The rasters that ``place`` (a file, folder or pattern) means at ``revision``, written below ``folder``.

    Raises
    ------
    InputError
        If the revision or the rasters at it are not here.
    """
    commit, name = place_at(git, revision, place)
    listing = listing_at(git, commit)
    found = _meant(listing, name)
    if not found:
        raise InputError(
            f"does not exist at revision `{revision}`", where=name, hint="check path and revision", code="missing-file"
        )
    return Trusted(tuple(_written(git, commit, found, listing, folder)), commit)


def trusted_rasters(git: Git, base: str | None, here: Sequence[Path], place: Path, folder: Path) -> Trusted:
    """The rasters ``here``, or those that ``place`` means at the commit ``base`` where the change altered any of them.

    A change of the files beside a raster, which say what its values mean, counts as one of the raster.

    Raises
    ------
    InputError
        If DVC tracks the base's version and the cache does not hold it.
    """
    root = git.root
    if base is None or root is None or not place.is_relative_to(root.resolve()):
        return Trusted(tuple(here))
    top = root.resolve()
    wanted = place.relative_to(top).as_posix()
    listing = listing_at(git, base)
    there = _meant(listing, wanted)
    names = sorted(path.relative_to(top).as_posix() for path in here)
    if not there:
        if not any(git.tracked(path) for path in here):
            return Trusted(tuple(here))
        message = f"the reference `{wanted}` is new with this change; the base has none"
        return Trusted(tuple(here), None, message, "look at where it comes from before you trust the result")
    beside = [file.relative_to(top).as_posix() for path in here for file in companions(path) if file.is_file()]
    everything = sorted({*there, *names, *beside, *_beside(there, listing)})
    if all(hash_at(git, base, name) == hash_at(git, None, name) for name in everything):
        return Trusted(tuple(here), base)
    message = f"this change alters the reference `{wanted}`; the new data were compared with the base's version"
    paths = _written(git, base, there, listing, folder)
    return Trusted(tuple(paths), base, message, "the new reference holds after the merge")


def _meant(listing: Iterable[str], wanted: str) -> list[str]:
    """Rasters of a listing that a file, a folder or a pattern means."""
    return [
        name
        for name in listing
        if is_raster(Path(name)) and (name == wanted or name.startswith(f"{wanted}/") or fnmatchcase(name, wanted))
    ]


def _beside(names: Iterable[str], listing: Sequence[str]) -> list[str]:
    known = set(listing)
    return [file.as_posix() for name in names for file in companions(Path(name)) if file.as_posix() in known]


def _written(git: Git, commit: str, names: Sequence[str], listing: Sequence[str], folder: Path) -> list[Path]:
    for name in {*names, *_beside(names, listing)}:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_at(git, commit, name) or b"")
    return [folder / name for name in names]
