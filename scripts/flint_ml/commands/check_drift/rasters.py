"""Rasters in check-drift: which files they are, from which revision, and the comparison itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flint_ml.drift.rasters.source import is_raster
from flint_ml.errors import InputError
from flint_ml.record import Figure, Metric, Table
from flint_ml.runner import Job

if TYPE_CHECKING:
    from flint_ml.drift.base_reference import Trusted
    from flint_ml.drift.rasters.check import RasterResult
    from flint_ml.drift.rules import Rules

_LARGE = 32 << 20


def raster_files(job: Job, text: str, name: str) -> list[Path]:
    """The rasters that a path, a folder or a pattern means, in order of name; none where it means tables."""
    if "://" in text:
        return []
    plain = not any(sign in text for sign in "*?[")
    if plain or job.path(text, name).exists():
        path = job.path(text, name)
        if not path.is_dir():
            return [path] if is_raster(path) else []
        found = [p for p in path.rglob("*") if p.is_file()]
    else:
        pattern = job.path(text, name)
        found = [p for p in Path(pattern.anchor).glob(pattern.relative_to(pattern.anchor).as_posix()) if p.is_file()]
    rasters = sorted(job.path(str(p), name) for p in found if is_raster(p))
    # A table is meant where there is one that does not name the classes of a raster.
    beside = {raster.with_suffix(".csv") for raster in rasters}
    return [] if any(_is_table(p) and p not in beside for p in found) else rasters


def _is_table(path: Path) -> bool:
    from flint_ml.drift.tables.reading import is_table

    return is_table(path)


def compare_rasters(
    job: Job, rules: Rules, places: tuple[str, str, str], revision: str, base: Callable[[], str | None]
) -> tuple[RasterResult, Trusted] | None:
    """Compare where ``places`` (reference, new data, mask) are rasters; None where they are tables.

    ``revision`` is that of the reference, empty for the tree at hand; ``base`` finds the base of a change.

    Raises
    ------
    InputError
        If only one side is a raster, or a raster cannot be read.
    """
    reference, current, mask = places
    files = raster_files(job, current, "current")
    place = job.path(reference, "reference") if "://" not in reference else Path(reference)
    here = raster_files(job, reference, "reference")
    if not files and not here:
        if mask:
            raise InputError("is for rasters, and these are tables", where="mask", hint="leave it out")
        return None
    if not files or not (here or revision):
        raster, other = (reference, current) if here else (current, reference)
        raise InputError(
            f"{raster} is a raster, and {other} is none",
            where="reference" if files else "current",
            hint="name GeoTIFF files, or a folder or pattern of them, on both sides; a profile of a raster is not made",
            code="raster-and-table",
        )
    with tempfile.TemporaryDirectory(prefix="flint-ml-") as folder:
        work = Path(folder)
        if revision:
            from flint_ml.drift.rasters.base_reference import rasters_at

            trusted = rasters_at(job.git, revision, place, work / "reference")
        else:
            from flint_ml.drift.rasters.base_reference import trusted_rasters

            trusted = trusted_rasters(job.git, base(), here, place, work / "reference")
        held = _mask(job, mask, base, work / "mask") if mask else None
        result = _compare(rules, trusted, files, held, places)
        _note(job, trusted, work / "reference", files)
        if held is None or not held.message:
            return result, trusted
        text = f"{trusted.message}; {held.message}" if trusted.message else held.message
        return result, replace(trusted, message=text, hint=trusted.hint or held.hint)


def _mask(job: Job, text: str, base: Callable[[], str | None], folder: Path) -> Trusted:
    """The mask, as the base has it where the change alters it: a smaller mask could hide drift."""
    from flint_ml.drift.rasters.base_reference import trusted_rasters

    path = job.existing(text, "mask")
    held = trusted_rasters(job.git, base(), [path], path, folder)
    job.use(held.paths[0], job.relative(path), large=_LARGE)
    return replace(held, message=held.message.replace("reference `", "mask `", 1) if held.message else None)


def _compare(
    rules: Rules, trusted: Trusted, files: Sequence[Path], mask: Trusted | None, places: tuple[str, str, str]
) -> RasterResult:
    from flint_ml.drift.rasters.check import check_rasters
    from flint_ml.drift.rasters.source import gdal, layers_of

    with gdal():
        reference = layers_of(trusted.paths, places[0], _root(trusted.paths))
        current = layers_of(files, places[1], _root(files))
        held = next(iter(layers_of(mask.paths, places[2]).values())) if mask else None
    return check_rasters(reference, current, rules, labels=(places[0], places[1]), mask=held)


def _note(job: Job, trusted: Trusted, folder: Path, files: Sequence[Path]) -> None:
    """Note what was read, for the record."""
    for path in trusted.paths:
        name = ""
        if path.is_relative_to(folder):
            name = f"{path.relative_to(folder).as_posix()} at {(trusted.revision or '')[:10]}"
        job.use(path, name, large=_LARGE)
    for path in files:
        job.use(path, large=_LARGE)


def _root(paths: Sequence[Path]) -> Path | None:
    """The folder that the reference's rasters have in common."""
    import os

    return Path(os.path.commonpath([path.parent for path in paths])) if len(paths) > 1 else None


def draw_maps(result: RasterResult, job: Job) -> list[Figure]:
    """Maps of change of the layers that changed most."""
    from flint_ml.drift.rasters import figures as raster_figures

    drawn = []
    for position, layer in enumerate(raster_figures.mapped(result)):
        file = f"map-{position + 1}.png"
        alt, fallback = raster_figures.change_map(layer, job.figures_dir / file)
        title = f"Where {layer.name} changed"
        drawn.append(Figure(title=title[:300], alt=alt[:1000], path=job.figure_path(file), fallback=fallback))
    return drawn


def reported(result: RasterResult) -> tuple[list[dict[str, Any]], list[Table], dict[str, Metric]]:
    """What the record says of layers besides: details, tables and metrics."""
    from flint_ml.drift.rasters import report as raster_report

    return raster_report.details(result), raster_report.tables(result), raster_report.metrics(result)
