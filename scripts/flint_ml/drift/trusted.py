"""A change must not move its own goalposts: the reference is that of the base revision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flint_ml.data.dvcfiles import hash_at, read_at
from flint_ml.data.git import Git


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
