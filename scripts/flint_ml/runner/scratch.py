"""A folder for the time of one run, and the end of those that killed runs left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "flint-ml-run-"
# Folders of other parts, which hold no lock: nobody works that long in one.
_OTHERS = ("flint-ml-*", "gcbm-params-*", "gcbm-score-*", "gcbm-step-*")
OLD_SECONDS = 24 * 3600.0


@dataclass
class Scratch:
    """One run's folder; ``descriptor`` holds its lock, which the system lets go when the process ends in any way."""

    folder: Path
    descriptor: int | None

    @property
    def figures(self) -> Path:
        """Where the run draws its figures."""
        return self.folder / "figures"


def enter() -> Scratch:
    """Make the folder of this run, and remove what killed runs left."""
    sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    scratch = Scratch(folder, _locked(folder))
    scratch.figures.mkdir()
    return scratch


def leave(scratch: Scratch | None) -> None:
    """Remove the folder of this run."""
    if scratch is None:
        return
    shutil.rmtree(scratch.folder, ignore_errors=True)
    if scratch.descriptor is not None:
        os.close(scratch.descriptor)


def sweep(top: Path) -> None:
    """Remove folders of runs that are over: ours by owner and name, unlocked, or a day old."""
    with contextlib.suppress(OSError):
        for pattern in _OTHERS:
            for folder in top.glob(pattern):
                _sweep(folder)


def _sweep(folder: Path) -> None:
    with contextlib.suppress(OSError):
        entry = folder.lstat()
        if folder.is_symlink() or not folder.is_dir() or (hasattr(os, "getuid") and entry.st_uid != os.getuid()):
            return
        if folder.name.startswith(_PREFIX) and os.name == "posix":
            # A moment between making a folder and locking it.
            if time.time() - entry.st_mtime < 10:
                return
            descriptor = _locked(folder)
            if descriptor is None:
                return
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)
        elif time.time() - entry.st_mtime > OLD_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock; None where somebody else does, or there are no locks."""
    if os.name != "posix":
        return None
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
