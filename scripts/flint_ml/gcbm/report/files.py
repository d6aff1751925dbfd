"""Outputs of a run on disk: written in a folder beside, then moved, so that no half of them is ever seen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flint_ml.errors import OutsideError


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
        for file in sorted(path for path in part.rglob("*") if path.is_file()):
            place = target / file.relative_to(part)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
    except OSError as error:
        raise OutsideError(
            f"the results cannot be written: {error}", where=str(target),
            hint="free disk space, or choose a writable output-dir", code="gcbm-output",
        ) from None  # fmt: skip
    finally:
        shutil.rmtree(part, ignore_errors=True)
