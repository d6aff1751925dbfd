"""What a person should know about the layers besides drift: grids, types, nodata, names, ranges, smoothness."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from flint_ml.drift.rasters.grid import grid_notes
from flint_ml.drift.rasters.layer import LayerResult
from flint_ml.drift.rasters.source import Band
from flint_ml.drift.rules import Rules
from flint_ml.drift.statistics.power import TOO_LARGE
from flint_ml.drift.tables.schema import Note, listed, new_categories

_ODD = 0.001


def stack_notes(
    reference: Mapping[str, Band], current: Mapping[str, Band], rules: Rules, labels: tuple[str, str]
) -> list[Note]:
    """Layers that only one side has. A layer that is gone fails the check, as a column does."""
    gone = [name for name in reference if name not in current and rules.wanted(name)]
    new = [name for name in current if name not in reference and rules.wanted(name)]
    notes = []
    if gone:
        text = f"{labels[1]} lacks {len(gone)} of the reference's layers: {listed(gone)}"
        notes.append(Note("error", "missing-layer", text, "Add the layer, or leave it out with `exclude`."))
    if new:
        text = f"{labels[1]} has {len(new)} more than the reference: {listed(new)}"
        notes.append(Note("info", "extra-layer", text))
    return notes


def layer_notes(layer: LayerResult, rules: Rules, *, critical: float) -> list[Note]:
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


def _change_notes(layer: LayerResult, rules: Rules) -> list[Note]:
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


def _value_notes(layer: LayerResult, rules: Rules) -> list[Note]:
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
