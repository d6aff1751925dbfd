"""Rasters in check-drift: which files they are, from which revision, and the comparison itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flint_ml.commands.check_drift.tables import LARGE
from flint_ml.drift import base_rasters, check_rasters, gdal, is_raster, is_table, layers_of, rasters_at
from flint_ml.errors import InputError
from flint_ml.runner import Job

if TYPE_CHECKING:
    from flint_ml.drift import BaseReference, DriftRules, Result


def raster_files(job: Job, text: str, name: str) -> list[Path]:
    """The rasters that a path, a folder or a pattern means, in order of name; none where it means tables."""
    if "://" in text:
        return []
    plain = not any(sign in text for sign in "*?[")
    if plain or job.path(text, name).exists():
        path = job.path(text, name)
        if not path.is_dir():
            return [path] if is_raster(path) else []
        matching = [p for p in path.rglob("*") if p.is_file()]
    else:
        pattern = job.path(text, name)
        matching = [p for p in Path(pattern.anchor).glob(pattern.relative_to(pattern.anchor).as_posix()) if p.is_file()]
    rasters = sorted(job.existing(str(p), name) for p in matching if is_raster(p))
    # A table is meant where there is one that does not name the classes of a raster.
    beside = {raster.with_suffix(".csv") for raster in rasters}
    return [] if any(is_table(p) and p not in beside for p in matching) else rasters


def compare_rasters(
    job: Job, rules: DriftRules, texts: tuple[str, str, str], revision: str, base: Callable[[], str | None]
) -> tuple[Result, BaseReference] | None:
    """Compare where ``texts`` (reference, new data, mask) are rasters; None where they are tables.

    ``revision`` is that of the reference, empty for the tree at hand; ``base`` finds the base of a change.

    Raises
    ------
    InputError
        If only one side is a raster, or a raster cannot be read.
    """
    reference, current, mask = texts
    files = raster_files(job, current, "current")
    path = job.path(reference, "reference") if "://" not in reference else Path(reference)
    named = raster_files(job, reference, "reference")
    if not files and not named:
        if mask:
            raise InputError("is for rasters, and these are tables", where="mask", hint="leave it out")
        return None
    if not files or not (named or revision):
        raster, other = (reference, current) if named else (current, reference)
        raise InputError(
            f"{raster} is a raster, and {other} is none",
            where="reference" if files else "current",
            hint="name GeoTIFF files, or a folder or pattern of them, on both sides; a profile of a raster is not made",
            code="raster-and-table",
        )
    with tempfile.TemporaryDirectory(prefix="flint-ml-") as folder:
        work = Path(folder)
        if revision:
            reference_files = rasters_at(job.git, job.revision(revision), path, work / "reference")
        else:
            reference_files = base_rasters(job.git, base(), named, path, work / "reference")
        mask_files = _mask(job, mask, base, work / "mask") if mask else None
        result = _compare(rules, reference_files, files, mask_files, texts)
        _note(job, reference_files, work / "reference", files)
        if mask_files is None or not mask_files.message:
            return result, reference_files
        text = f"{reference_files.message}; {mask_files.message}" if reference_files.message else mask_files.message
        return result, replace(reference_files, message=text, hint=reference_files.hint or mask_files.hint)


def _mask(job: Job, text: str, base: Callable[[], str | None], folder: Path) -> BaseReference:
    """The mask, as the base has it where the change alters it: a smaller mask could hide drift."""
    path = job.existing(text, "mask")
    mask_files = base_rasters(job.git, base(), [path], path, folder)
    job.use(mask_files.paths[0], job.relative(path), large=LARGE)
    return replace(
        mask_files, message=mask_files.message.replace("reference `", "mask `", 1) if mask_files.message else None
    )


def _compare(
    rules: DriftRules,
    reference_files: BaseReference,
    files: Sequence[Path],
    mask: BaseReference | None,
    texts: tuple[str, str, str],
) -> Result:
    with gdal():
        reference = layers_of(reference_files.paths, texts[0], _root(reference_files.paths))
        current = layers_of(files, texts[1], _root(files))
        mask_files = next(iter(layers_of(mask.paths, texts[2]).values())) if mask else None
    return check_rasters(reference, current, rules, labels=(texts[0], texts[1]), mask=mask_files)


def _note(job: Job, reference_files: BaseReference, folder: Path, files: Sequence[Path]) -> None:
    """Note what was read, for the record."""
    for path in reference_files.paths:
        name = ""
        if path.is_relative_to(folder):
            name = f"{path.relative_to(folder).as_posix()} at {(reference_files.revision or '')[:10]}"
        job.use(path, name, large=LARGE)
    for path in files:
        job.use(path, large=LARGE)


def _root(paths: Sequence[Path]) -> Path | None:
    """The folder that the reference's rasters have in common."""
    import os

    return Path(os.path.commonpath([path.parent for path in paths])) if len(paths) > 1 else None
