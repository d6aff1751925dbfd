"""One layer of two rasters: what it holds, its counts by block of ground, and its tests."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from flint_ml.drift.hypotheses import Hypothesis
from flint_ml.drift.rasters.bins import (
    ClassBins,
    NumberBins,
    coarse_values,
    distance,
    quantile_values,
    sample_bins,
    whole_bins,
)
from flint_ml.drift.rasters.blocks import (
    BlockCounts,
    BlockTest,
    Counts,
    Statistic,
    block_clustering,
    difference_statistic,
    ks_statistic,
    permute_blocks,
    psi_statistic,
    v_statistic,
    wasserstein_statistic,
)
from flint_ml.drift.rasters.change import Change
from flint_ml.drift.rasters.grid import same_grid
from flint_ml.drift.rasters.scan import Ground, Sample, Tally, ground, pooled, sample, scan, scan_both, side_of
from flint_ml.drift.rasters.source import Band, Cells, MaskReader
from flint_ml.drift.rules import Rules
from flint_ml.drift.statistics.cluster_permutation import Clustering
from flint_ml.drift.statistics.two_sample_tests import Test
from flint_ml.drift.tables.columns import FEW_VALUES, Pair
from flint_ml.errors import InputError

METHOD = "permutation of blocks"
# Blocks along the longer side that a given block size may make.
_MOST_BLOCKS = 128
# Codes of classes leave gaps (10, 20, 30 …); up to so many of them.
_GAPPY = 50
# Names or a palette beside a map of more values than this are not meant for it.
_MOST_NAMED = 2_048


@dataclass
class LayerResult:
    """One layer: its bands in the reference and in the new data, and what the comparison by blocks says.

    ``bound``: by how much D may be larger than stated. ``block``: cells along a finest block (rows, columns) in both.
    ``odd_nodata``: share of the new cells that hold the reference's nodata value and count as values.
    """

    bands: tuple[Band, Band]
    pair: Pair
    hypotheses: list[Hypothesis] = field(default_factory=list)
    classes: bool = False
    test: BlockTest | None = None
    clustering: Clustering | None = None
    change: Change | None = None
    bound: float = 0.0
    block: tuple[tuple[int, int], tuple[int, int]] = ((1, 1), (1, 1))
    extremes: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))
    unnamed: tuple[int, int] = (0, 0)
    beyond: int = 0
    infinite: tuple[int, int] = (0, 0)
    odd_nodata: float = 0.0

    @property
    def name(self) -> str:
        return self.pair.name


def compare_layer(name: str, cells: tuple[Cells, Cells], rules: Rules, mask: MaskReader | None) -> LayerResult:
    """Look at a sample, count all cells, test. Raises InputError where one side has no value and the other has."""
    bands = (cells[0].band, cells[1].band)
    samples = (sample(cells[0], mask), sample(cells[1], mask))
    bins = _bins(name, bands, samples, rules)
    blocks, grounds = _grounds(bands, samples, rules)
    tallies = (Tally(grounds[0], bins, None), Tally(grounds[1], bins, rules.of(name).range))
    change = Change(bands[0].grid) if same_grid(bands[0].grid, bands[1].grid) else None
    if change is not None:
        scan_both(cells, tallies, mask, change)
    else:
        scan(cells[0], tallies[0], mask, 0)
        scan(cells[1], tallies[1], mask, 1)
    missing, present = (tallies[0].missing, tallies[1].missing), (tallies[0].present, tallies[1].present)
    pair = Pair(name, "empty", missing, (missing[0] + present[0], missing[1] + present[1]))
    layer = LayerResult(bands, pair, classes=isinstance(bins, ClassBins), change=change, block=blocks)
    layer.beyond, layer.infinite = tallies[1].beyond, (tallies[0].infinite, tallies[1].infinite)
    layer.odd_nodata = _odd_nodata(bands, samples[1])
    if any(present):
        _refuse_empty(bands, present, mask)
        _fill(layer, tallies, bins)
        _test(layer, tallies, bins, rules)
    return layer


def _refuse_empty(bands: tuple[Band, Band], present: tuple[int, int], mask: MaskReader | None) -> None:
    for band, count in zip(bands, present, strict=True):
        if not count:
            raise InputError(
                f"layer `{band.name}` has no values{' inside the mask' if mask else ''}, only nodata",
                where=band.label,
                hint="fill the layer, or leave it out with `exclude`",
                code="all-missing",
            )


def _odd_nodata(bands: tuple[Band, Band], new: Sample) -> float:
    nodata = bands[0].nodata
    if nodata is None or math.isnan(nodata) or nodata == bands[1].nodata or not len(new.values):
        return 0.0
    with np.errstate(over="ignore"):
        return float(
            np.mean(
                new.values.astype(np.float64)
                == np.float64(new.values.dtype.type(nodata) if new.values.dtype.kind == "f" else nodata)
            )
        )


def _bins(name: str, bands: tuple[Band, Band], samples: tuple[Sample, Sample], rules: Rules) -> NumberBins | ClassBins:
    if _is_classes(name, bands, samples, rules):
        return ClassBins((bands[0].names, bands[1].names), where=bands[1].label)
    pool = pooled(samples)
    if all(band.small_integer for band in bands) and bands[0].stored == bands[1].stored:
        return whole_bins(bands[0].stored, pool if len(pool) else np.zeros(1, dtype=bands[0].stored))
    return sample_bins(pool if len(pool) else np.zeros(1))


def _is_classes(name: str, bands: tuple[Band, Band], samples: tuple[Sample, Sample], rules: Rules) -> bool:
    """Classes where the rules, names, or a palette say so; else whole numbers that are few, or full of gaps."""
    rule = rules.of(name)
    if rule.kind != "auto" or rule.test not in {"auto", "none"}:
        return rule.kind == "category" or (rule.kind == "auto" and rule.test == "chi2")
    values = np.unique(pooled(samples))
    whole_numbers = bool(np.all(np.isfinite(values)) and np.all(values == np.rint(values)))
    if any(band.names.classes or band.palette for band in bands) and len(values) <= _MOST_NAMED:
        return whole_numbers
    if not len(values) or len(values) > _GAPPY or not whole_numbers:
        return False
    few = len(values) <= FEW_VALUES
    whole = all(band.stored.kind in "iub" and not band.scaled for band in bands)
    gappy = whole and bands[0].stored.itemsize == 1 and float(values[-1]) - float(values[0]) >= 2 * len(values)
    # A sample that repeats few values is no proof where it is small itself.
    return (few and len(values) * 5 <= sum(len(part.values) for part in samples)) or gappy


Side = tuple[int, int]


def _grounds(
    bands: tuple[Band, Band], samples: tuple[Sample, Sample], rules: Rules
) -> tuple[tuple[Side, Side], tuple[Ground, Ground]]:
    """Blocks of one size on the ground for both rasters, at most 32 along the longer side or as `block-size` says."""
    grids = (bands[0].grid, bands[1].grid)
    boxes = [part.box for part in samples]
    if same_grid(*grids):
        box = tuple(f(a, b) for f, a, b in zip((min, max, min, max), *boxes, strict=True))
        boxes = [box, box]
    if rules.block_size:
        sides = [_given_side(band, box, rules.block_size) for band, box in zip(bands, boxes, strict=True)]
    else:
        lengths = [_cell_length(band) for band in bands]
        if None in lengths:
            lengths = [1.0, 1.0]
        ground_side = max(side_of(box) * (length or 1.0) for box, length in zip(boxes, lengths, strict=True))
        longest = [max(band.grid.width, band.grid.height) for band in bands]
        cells = [
            max(1, round(min(ground_side / (length or 1.0), most)))
            for length, most in zip(lengths, longest, strict=True)
        ]
        sides = [(side, side) for side in cells]
    made = [ground(band.grid, box, side) for band, box, side in zip(bands, boxes, sides, strict=True)]
    return (sides[0], sides[1]), (made[0], made[1])


def _cell_length(band: Band) -> float | None:
    areas = band.grid.row_areas()
    area = 0.0 if areas is None else float(np.median(areas))
    return math.sqrt(area) if math.isfinite(area) and area > 0 else None


def _given_side(band: Band, box: tuple[int, int, int, int], size: float) -> Side:
    wide, high = band.grid.cell
    side = max(1, round(size / high)), max(1, round(size / wide))
    if max((box[1] - box[0]) / side[0], (box[3] - box[2]) / side[1]) > _MOST_BLOCKS:
        least = max((box[1] - box[0]) * high, (box[3] - box[2]) * wide) / _MOST_BLOCKS
        raise InputError(
            f"{size:g} makes more than {_MOST_BLOCKS} blocks along a side of {band.label}",
            where="block-size",
            hint=f"use at least {least:.3g} (in the unit of the coordinate system)",
            code="invalid-input",
        )
    return side


def _fill(layer: LayerResult, tallies: tuple[Tally, Tally], bins: NumberBins | ClassBins) -> None:
    """What table, figures and notes show of the values."""
    pair = layer.pair
    if isinstance(bins, ClassBins):
        pair.kind, pair.labels = "category", list(bins.labels)
        pair.reference, pair.current = (tally.blocks.sum(axis=(0, 1)) for tally in tallies)
        layer.unnamed = (len(bins.unnamed[0]), len(bins.unnamed[1]))
        return
    pair.kind = "numeric"
    layer.extremes = ((tallies[0].low, tallies[0].high), (tallies[1].low, tallies[1].high))
    pair.reference, pair.current = (quantile_values(bins, t.fine, t.low, t.high) for t in tallies)


def _test(layer: LayerResult, tallies: tuple[Tally, Tally], bins: NumberBins | ClassBins, rules: Rules) -> None:
    """The hypothesis about the values, and that about missing ones where both rasters are of one grid."""
    side = 1 if rules.block_size else None
    name = layer.name
    one, two = _aligned(tallies[0].blocks, tallies[1].blocks)
    paired = layer.change is not None
    kind = _test_name(layer, rules)
    values = None
    if isinstance(bins, NumberBins):
        low, high = (f(pair) for f, pair in zip((min, max), zip(*layer.extremes, strict=True), strict=True))
        values = coarse_values(bins, tallies[0].fine + tallies[1].fine, low, high)
    counts = BlockCounts(one, two, not layer.classes, paired, values)
    if kind is not None:
        statistic, counts = _statistic(kind, counts)
        layer.test = permute_blocks(counts, statistic, side=side)
        layer.clustering = block_clustering(counts, layer.test.blocks)
        test = _described(kind, layer, tallies, bins, counts)
        layer.hypotheses.append(Hypothesis(name, "values", test, rules.effect_of(name)))
    # Where the very same cells lack a value, as outside a study area, there is nothing to test.
    differ = layer.change is not None and layer.change.lost + layer.change.gained > 0
    if "missing" in rules.tests and differ and rules.of(name).test != "none":
        lost = BlockCounts(*_aligned(*(tally.missing_blocks for tally in tallies)), ordered=False, paired=True)
        found = permute_blocks(lost, difference_statistic, side=side)
        test = Test("two proportions", METHOD, found.statistic, found.p_value, found.statistic, "difference")
        layer.hypotheses.append(Hypothesis(name, "missing", test, rules.effect_of(name)))


def _aligned(one: Counts, two: Counts) -> tuple[Counts, Counts]:
    """Both arrays in the shape of the larger one, blocks and bins without cells added."""
    shape = np.maximum(one.shape, two.shape)
    padded = [np.pad(side, [(0, int(n)) for n in shape - side.shape]) for side in (one, two)]
    return padded[0], padded[1]


def _test_name(layer: LayerResult, rules: Rules) -> str | None:
    wish = rules.of(layer.name).test
    if wish == "none":
        return None
    if not layer.classes:
        return wish if wish != "auto" else rules.numeric_test
    if wish not in {"auto", "chi2"}:
        raise InputError(
            f"the test `{wish}` needs numbers, and `{layer.name}` holds classes",
            where=f"columns.{layer.name}",
            hint="use `chi2`, leave the test out, or say `kind: numeric`",
            code="invalid-test",
        )
    return "chi2" if wish == "chi2" or "chi2" in rules.tests else None


def _statistic(kind: str, counts: BlockCounts) -> tuple[Statistic, BlockCounts]:
    if kind == "chi2":
        return v_statistic, counts
    if kind == "psi":
        return psi_statistic, _tenths(counts)
    if kind == "wasserstein":
        assert counts.values is not None
        return wasserstein_statistic(counts.values), counts
    return ks_statistic, counts


def _tenths(counts: BlockCounts) -> BlockCounts:
    """The bins put together to about tenths of the reference."""
    upto = np.cumsum(counts.reference.sum(axis=(0, 1)))
    tenth = np.minimum((10 * (upto - 1)) // max(1, int(upto[-1])), 9).clip(min=0)
    starts = np.flatnonzero(np.append(True, tenth[1:] != tenth[:-1]))
    one, two = (np.add.reduceat(side, starts, axis=2) for side in (counts.reference, counts.current))
    return BlockCounts(one, two, ordered=True, paired=counts.paired)


def _described(
    kind: str, layer: LayerResult, tallies: tuple[Tally, Tally], bins: NumberBins | ClassBins, counts: BlockCounts
) -> Test:
    assert layer.test is not None
    p, seen = layer.test.p_value, layer.test.statistic
    if kind == "chi2":
        return Test("chi-squared", METHOD, seen, p, seen, "V")
    if kind == "psi":
        return Test("PSI", METHOD, seen, p, seen, "PSI")
    assert isinstance(bins, NumberBins)
    if kind == "wasserstein":
        assert counts.values is not None
        share = counts.reference.sum(axis=(0, 1)) / counts.reference.sum()
        mean = float(share @ counts.values)
        spread = math.sqrt(float(share @ (counts.values - mean) ** 2)) or 1.0
        return Test("Wasserstein", METHOD, seen, p, seen / spread, "W / sd", "of values in 128 bins")
    found, layer.bound = distance(bins, tallies[0].fine, tallies[1].fine)
    note = "" if layer.bound < 1e-12 else f"D exact to {layer.bound:.2g}"
    return Test("KS", METHOD, found, p, found, "D", note)
