"""Rasters against rasters: layers of one name are compared as columns of a table are, by blocks of ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from flint_ml.drift.check import Result
from flint_ml.drift.coverage import coverage_of
from flint_ml.drift.hypotheses import ColumnResult, decide, severity
from flint_ml.drift.rasters.grid import grid_notes, same_grid, same_system
from flint_ml.drift.rasters.layer import LayerResult, compare_layer
from flint_ml.drift.rasters.source import Band, MaskReader, cells_of, gdal
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.statistics.distributions import normal_quantile
from flint_ml.drift.statistics.multiple_testing import TOO_LARGE, Detectable
from flint_ml.drift.tables.schema import Note, listed, new_categories
from flint_ml.errors import InputError

# So large a share of cells with the reference's nodata value is worth a word.
_ODD = 0.001


@dataclass
class RasterResult(Result):
    """The outcome of a check of rasters; ``columns`` are layers, ``rows`` the cells of the largest one."""

    noun: ClassVar[str] = "layer"
    layers: dict[str, LayerResult] = field(default_factory=dict)


def check_rasters(
    reference: Mapping[str, Band],
    current: Mapping[str, Band],
    rules: DriftRules,
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
    result.detectable = _detectable(layers, len(family), rules)
    result.notes = _stack_notes(reference, current, rules, labels)
    result.coverage = coverage_of(list(reference), [layer.pair for layer in layers], rules, result.noun)
    for layer in layers:
        open_question = not any(h.drifted for h in layer.hypotheses)
        result.notes += _layer_notes(
            layer, rules, critical=_critical(layer, len(family), rules) if open_question else 0
        )
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
    reference: Mapping[str, Band], current: Mapping[str, Band], rules: DriftRules, labels: tuple[str, str]
) -> list[str]:
    common = [name for name in reference if name in current and rules.compares(name)]
    if not common:
        raise InputError(
            f"no common layers: {labels[0]} has {listed(list(reference), 4)}, {labels[1]} has "
            f"{listed(list(current), 4)}",
            where=labels[1],
            hint="layers of several files are paired by file name; check `columns` and `exclude` too",
            code="no-common-layers",
        )
    return common


def _layer(name: str, bands: tuple[Band, Band], rules: DriftRules, mask: Band | None) -> LayerResult:
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


def _critical(layer: LayerResult, tests: int, rules: DriftRules) -> float:
    return layer.test.critical(rules.alpha / max(1, tests)) if layer.test else 0.0


def _detectable(layers: Sequence[LayerResult], tests: int, rules: DriftRules) -> Detectable:
    """The effect that the layer hardest to judge would have needed, from its distribution under permutation."""
    hardest = max((_critical(layer, tests, rules) for layer in layers if layer.test), default=1.0)
    distance = min(1.0, max(hardest, rules.min_effect))
    return Detectable(distance, 2 * normal_quantile((1 + distance) / 2) if distance < 0.999 else None)


def _stack_notes(
    reference: Mapping[str, Band], current: Mapping[str, Band], rules: DriftRules, labels: tuple[str, str]
) -> list[Note]:
    """Layers that only one side has. A layer that is gone fails the check, as a column does."""
    gone = [name for name in reference if name not in current and rules.compares(name)]
    new = [name for name in current if name not in reference and rules.compares(name)]
    notes = []
    if gone:
        text = f"{labels[1]} lacks {len(gone)} of the reference's layers: {listed(gone)}"
        notes.append(Note("error", "missing-layer", text, "Add the layer, or leave it out with `exclude`."))
    if new:
        text = f"{labels[1]} has {len(new)} more than the reference: {listed(new)}"
        notes.append(Note("info", "extra-layer", text))
    return notes


def _layer_notes(layer: LayerResult, rules: DriftRules, *, critical: float) -> list[Note]:
    """Findings about one layer; ``critical`` is the smallest effect that would have been significant."""
    name, (one, two) = layer.name, layer.bands
    notes = grid_notes(name, one.grid, two.grid) + _type_notes(name, one, two) + _value_notes(layer, rules)
    if layer.pair.kind == "empty":
        return [*notes, Note("warning", "no-values", f"`{name}` has no value in either raster; not compared")]
    if layer.pair.kind == "category":
        notes += new_categories(layer.pair)
        notes += _name_notes(layer)
        notes += _change_notes(layer, rules)
    if layer.test is not None and critical > TOO_LARGE:
        blocks, what = layer.test.blocks, "the change is" if layer.change is not None else "values are"
        cells = blocks.reach * max(layer.block[1])
        text = f"`{name}`: {what} alike over about {cells:,} cells" if blocks.reach else f"`{name}`: few blocks"
        text += f" ({min(blocks.counts)} blocks were compared), so that drift cannot be told from chance"
        hint = "Compare a larger area, or look at the change cell by cell."
        notes.append(Note("warning", "smooth-map", text, hint))
    return notes


def _change_notes(layer: LayerResult, rules: DriftRules) -> list[Note]:
    """Classes that changed on the same ground: a fact, whether or not blocks can tell it from chance."""
    change = layer.change
    if change is None or change.share < rules.effect_of(layer.name) or any(h.drifted for h in layer.hypotheses):
        return []
    area = f" ({change.area:,.0f} ha)" if change.areas is not None else ""
    text = f"`{layer.name}`: {change.share:.0%} of the cells have another class than in the reference{area}, in "
    text += "too few places to tell drift from a single event"
    return [Note("warning", "classes-changed", text, "Look at the map and at `From class to class`: was it meant?")]


def _type_notes(name: str, one: Band, two: Band) -> list[Note]:
    notes = []
    if one.stored != two.stored:
        narrower = two.stored.kind != one.stored.kind or two.stored.itemsize < one.stored.itemsize
        text = f"`{name}`: the cells are {one.stored.name} in the reference, {two.stored.name} in the new data"
        hint = "Values may have been rounded or cut off on conversion." if narrower else None
        notes.append(Note("warning" if narrower else "info", "raster-dtype", text, hint))
    if one.unit != two.unit and one.unit and two.unit:
        text = f"`{name}`: the unit is {one.unit} in the reference, {two.unit} in the new data"
        notes.append(Note("warning", "raster-unit", text, "Convert the new data."))
    if (one.nodata is None) != (two.nodata is None) or (one.nodata != two.nodata and not _both_nan(one, two)):
        text = f"`{name}`: nodata is {_nodata(one)} in the reference, {_nodata(two)} in the new data"
        notes.append(Note("info", "raster-nodata", text))
    return notes


def _both_nan(one: Band, two: Band) -> bool:
    return bool(one.nodata is not None and two.nodata is not None and np.isnan(one.nodata) and np.isnan(two.nodata))


def _nodata(band: Band) -> str:
    return "not named" if band.nodata is None else f"{band.nodata:g}"


def _value_notes(layer: LayerResult, rules: DriftRules) -> list[Note]:
    name, pair = layer.name, layer.pair
    notes = []
    if layer.odd_nodata >= _ODD:
        nodata = layer.bands[0].nodata
        text = f"`{name}`: {layer.odd_nodata:.1%} of the new cells hold {nodata:g}, the reference's nodata value, and "
        text += "count as values"
        hint = f"Name it in the file: `gdal_edit.py -a_nodata {nodata:g}`."
        notes.append(Note("warning", "raster-nodata-lost", text, hint))
    rule = rules.of(name)
    if rule.range is not None and layer.beyond:
        text = f"`{name}`: {layer.beyond:,} cells outside the allowed range {rule.range[0]:g} … {rule.range[1]:g}"
        notes.append(Note("error", "range", text, "Correct them, or change `range`."))
    if rule.allowed is not None and pair.labels:
        allowed = set(rule.allowed)
        strange = sum(int(n) for label, n in zip(pair.labels, pair.current, strict=True) if label not in allowed)
        if strange:
            text = f"`{name}`: {strange:,} cells are none of the allowed classes"
            notes.append(Note("error", "allowed", text, "Correct them, or change `allowed`."))
    for side, count in zip(("reference", "new data"), layer.infinite, strict=True):
        if count:
            text = f"`{name}`: {count:,} cells of the {side} are infinite"
            notes.append(Note("warning", "infinite", text, "A division by zero? They are ranked as the extremes."))
    return notes + (_range_notes(layer) if pair.kind == "numeric" and rule.range is None else [])


def _range_notes(layer: LayerResult) -> list[Note]:
    (low, high), (new_low, new_high) = layer.extremes
    name, values = layer.name, layer.pair.current
    if new_low == new_high and low < high:
        text = f"`{name}` has the same value, {new_low:g}, in all new cells"
        return [Note("warning", "constant", text, "A default that was filled in?")]
    beyond = float(np.mean((values < low) | (values > high)))
    if beyond < 0.01:
        return []
    text = f"`{name}`: about {beyond:.0%} of the new cells lie beyond the range of the reference, {low:g} … {high:g}"
    return [Note("warning", "out-of-range", text, "Predictions for them are extrapolation.")]


def _name_notes(layer: LayerResult) -> list[Note]:
    name, (one, two) = layer.name, layer.bands
    notes = []
    for side, count, band in zip(("reference", "new data"), layer.unnamed, layer.bands, strict=True):
        if count:
            text = f"`{name}`: {count} codes of the {side} have no name in {band.names.source}"
            notes.append(Note("warning", "unnamed-class", text, "Add them to the attribute table."))
    if bool(one.names.classes) != bool(two.names.classes):
        side = "new data" if one.names.classes else "reference"
        text = f"`{name}`: the {side} has no attribute table, the other has, so classes cannot be matched by name"
        notes.append(Note("warning", "no-attributes", text, "Bring the table (.tif.aux.xml, .json or .csv)."))
    here = two.names.classes
    renamed = [code for code, label in one.names.classes.items() if code in here and here[code] != label]
    if renamed:
        old, new = one.names.classes[renamed[0]], here[renamed[0]]
        text = f"`{name}`: {len(renamed)} codes changed their meaning, such as {renamed[0]} from {old} to {new}; "
        text += "classes were compared by name"
        notes.append(Note("info", "renumbered", text))
    return notes
