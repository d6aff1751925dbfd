"""Rasters against rasters: layers of one name are compared as columns of a table are, by blocks of ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from flint_ml.drift.check import Result
from flint_ml.drift.hypotheses import ColumnResult, decide, severity
from flint_ml.drift.rasters.grid import same_grid, same_system
from flint_ml.drift.rasters.layer import LayerResult, compare_layer
from flint_ml.drift.rasters.notes import layer_notes, stack_notes
from flint_ml.drift.rasters.source import Band, MaskReader, cells_of, gdal
from flint_ml.drift.rules import Rules
from flint_ml.drift.statistics.distributions import normal_quantile
from flint_ml.drift.statistics.power import Detectable
from flint_ml.drift.tables.schema import listed
from flint_ml.errors import InputError


@dataclass
class RasterResult(Result):
    """The outcome of a check of rasters; ``columns`` are layers, ``rows`` the cells of the largest one."""

    noun: ClassVar[str] = "layer"
    layers: dict[str, LayerResult] = field(default_factory=dict)


def check_rasters(
    reference: Mapping[str, Band],
    current: Mapping[str, Band],
    rules: Rules,
    *,
    labels: tuple[str, str] = ("reference", "new data"),
    mask: Band | None = None,
) -> RasterResult:
    """Compare the layers that both stacks have (see :func:`flint_ml.drift.rasters.source.layers_of`).

    Memory is bounded by the windows: about a million cells of each raster are read at a time.

    Raises
    ------
    InputError
        If no layer is common, one cannot be read or has no value on one side, or the rules do not suit rasters.
    """
    if rules.groups or rules.coordinates:
        raise InputError(
            "names columns of a table; the cells of a raster have their places already",
            where="groups" if rules.groups else "coordinates",
            hint="leave it out; `block-size` sets the side of the blocks of ground",
            code="invalid-input",
        )
    current = _paired_names(reference, current)
    common = _common(reference, current, rules, labels)
    with gdal():
        layers = [_layer(name, (reference[name], current[name]), rules, mask) for name in common]
    columns = [ColumnResult(layer.pair, layer.hypotheses) for layer in layers]
    family = [h for column in columns for h in column.hypotheses]
    if not family:
        raise InputError(
            "no layer can be compared: all are empty or left out",
            where=labels[1],
            hint="check the rasters, and `test: none` under `columns` in flint-ml.yml",
            code="nothing-to-compare",
        )
    decide(family, rules)
    columns.sort(key=lambda c: severity(c.leading) if c.leading else (True, True, 0.0, 2.0))
    cells = [max(layer.pair.total[side] for layer in layers) for side in (0, 1)]
    result = RasterResult(rules, (cells[0], cells[1]), columns, [], tests=len(family))
    result.layers = {column.column.name: layer for column in columns for layer in layers if layer.pair is column.column}
    result.clustered = {layer.name: layer.clustering for layer in layers if layer.clustering}
    result.found = _detectable(layers, len(family), rules)
    result.notes = stack_notes(reference, current, rules, labels)
    for layer in layers:
        open_question = not any(h.drifted for h in layer.hypotheses)
        result.notes += layer_notes(layer, rules, critical=_critical(layer, len(family), rules) if open_question else 0)
    return result


def _paired_names(reference: Mapping[str, Band], current: Mapping[str, Band]) -> Mapping[str, Band]:
    """One file against one file: their layers are paired whatever the names of the files are."""
    files = [{band.path for band in side.values()} for side in (reference, current)]
    if len(files[0]) != 1 or len(files[1]) != 1:
        return current
    if len(reference) == 1 and len(current) == 1:
        return {next(iter(reference)): next(iter(current.values()))}
    stem, other = next(iter(files[0])).stem, next(iter(files[1])).stem
    return {stem + name.removeprefix(other): band for name, band in current.items()}


def _common(
    reference: Mapping[str, Band], current: Mapping[str, Band], rules: Rules, labels: tuple[str, str]
) -> list[str]:
    common = [name for name in reference if name in current and rules.wanted(name)]
    if not common:
        raise InputError(
            f"no common layers: {labels[0]} has {listed(list(reference), 4)}, {labels[1]} has "
            f"{listed(list(current), 4)}",
            where=labels[1],
            hint="layers of several files are paired by file name; check `columns` and `exclude` too",
            code="no-common-layers",
        )
    return common


def _layer(name: str, bands: tuple[Band, Band], rules: Rules, mask: Band | None) -> LayerResult:
    with cells_of(bands[0]) as one, cells_of(bands[1]) as two:
        if mask is None:
            return compare_layer(name, (one, two), rules, None)
        for band in bands:
            _check_mask(mask, band)
        with cells_of(mask) as cells:
            return compare_layer(name, (one, two), rules, MaskReader(cells))


def _check_mask(mask: Band, band: Band) -> None:
    fault = ""
    if not same_system(mask.grid, band.grid):
        fault = f"has the coordinate system {mask.grid.system}, and {band.label} {band.grid.system}"
    elif (band.grid.rotated or mask.grid.rotated) and not same_grid(mask.grid, band.grid):
        fault = f"and {band.label} are rotated, and not of one grid"
    if fault:
        hint = "warp the mask to the grid of the layers"
        raise InputError(fault, where=mask.label, hint=hint, code="raster-mask")


def _critical(layer: LayerResult, tests: int, rules: Rules) -> float:
    return layer.test.critical(rules.alpha / max(1, tests)) if layer.test else 0.0


def _detectable(layers: Sequence[LayerResult], tests: int, rules: Rules) -> Detectable:
    """The effect that the layer hardest to judge would have needed, from its distribution under permutation."""
    hardest = max((_critical(layer, tests, rules) for layer in layers if layer.test), default=1.0)
    distance = min(1.0, max(hardest, rules.min_effect))
    return Detectable(distance, 2 * normal_quantile((1 + distance) / 2) if distance < 0.999 else None)
