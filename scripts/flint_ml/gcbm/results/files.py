"""Outputs of a run on disk: written in a folder beside, then moved, so that no half of them is ever seen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flint_ml.errors import OutsideError

LAST = "run.json"  # moved last: where it lies, all files are of one run


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder to write into; when the block ends well, its files replace those of the same names in ``target``.

    Raises
    ------
    OutsideError
        The disk is full, or the folder cannot be written.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        files = sorted(path for path in part.rglob("*") if path.is_file())
        if part / LAST in files:
            (target / LAST).unlink(missing_ok=True)  # a mixture of new and earlier files must not look whole
        for file in sorted(files, key=lambda path: path == part / LAST):
            place = target / file.relative_to(part)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
    except OutsideError as error:  # name the file's place, not the folder that is about to go
        error.where = error.where and error.where.replace(str(part), str(target))
        raise
    except OSError as error:
        raise OutsideError(
            f"the results cannot be written: {error.strerror or error}",
            where=str(error.filename or target).replace(str(part), str(target)),
            hint="free disk space, or choose a writable output-dir",
            code="gcbm-output",
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
