"""A change must not move its own goalposts: the reference is that of the base revision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flint_ml.data.dvcfiles import hash_at, read_at
from flint_ml.data.git import Git
from flint_ml.errors import InputError


@dataclass(frozen=True)
class Trusted:
    """The reference to compare with; ``message`` says so where the change altered it."""

    path: Path
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
        return Trusted(here)
    name = here.relative_to(root.resolve()).as_posix()
    there = hash_at(git, base, name)
    if there is None:
        if not git.tracked(here):
            return Trusted(here)
        message = f"the reference `{name}` is new with this change; the base has none"
        return Trusted(here, None, message, "look at where it comes from before you trust the result")
    if there == hash_at(git, None, name):
        return Trusted(here, base)
    content = read_at(git, base, name)
    if content is None:
        return Trusted(here)
    path = folder / here.name
    path.write_bytes(content)
    message = f"this change alters the reference `{name}`; the new data were compared with the base's version"
    return Trusted(path, base, message, "the new reference holds after the merge")


def file_at(git: Git, revision: str, place: Path, folder: Path) -> Trusted:
    """The reference ``place`` as it was at ``revision``, from Git or the DVC cache, written below ``folder``.

    Raises
    ------
    InputError
        If the revision or the file at it is not here.
    """
    root = git.root
    commit = git.commit(revision) or git.commit(f"origin/{revision}")
    if root is None or commit is None:
        raise InputError(
            f"the revision `{revision}` is not in this clone", where="reference-rev",
            hint="set `fetch-depth: 0` on actions/checkout, or fetch that revision before", code="base-not-fetched",
        )  # fmt: skip
    name = place.relative_to(root.resolve()).as_posix() if place.is_relative_to(root.resolve()) else place.name
    content = read_at(git, commit, name)
    if content is None:
        raise InputError(
            f"does not exist at revision `{revision}`", where=name, hint="check path and revision", code="missing-file"
        )
    path = folder / place.name
    path.write_bytes(content)
    return Trusted(path, commit)
