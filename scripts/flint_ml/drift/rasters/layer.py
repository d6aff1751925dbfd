"""One layer of two rasters: what it holds, its counts by block of ground, and its tests."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from flint_ml.drift.hypotheses import Hypothesis
from flint_ml.drift.rasters.bins import ClassBins, NumberBins, coarse_values, quantile_values, sample_bins, whole_bins
from flint_ml.drift.rasters.blocks import BlockTest, block_clustering, difference_statistic, permute_blocks
from flint_ml.drift.rasters.change import Change
from flint_ml.drift.rasters.grid import same_grid
from flint_ml.drift.rasters.scan import CellCounts, Ground, Sample, ground, pooled, sample, scan, scan_both, side_of
from flint_ml.drift.rasters.source import Band, Cells, MaskReader
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.statistics.cluster_permutation import Clustering
from flint_ml.drift.statistics.distributions import Ints
from flint_ml.drift.tables.columns import FEW_VALUES, Pair
from flint_ml.drift.two_sample import FOR_CLASSES, two_sample_test
from flint_ml.drift.two_sample.base import BY_BLOCKS, BlockCounts, FineCounts, TestResult
from flint_ml.errors import InputError

Bins = NumberBins | ClassBins

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


def compare_layer(name: str, cells: tuple[Cells, Cells], rules: DriftRules, mask: MaskReader | None) -> LayerResult:
    """Look at a sample, count all cells, test. Raises InputError where one side has no value and the other has."""
    bands = (cells[0].band, cells[1].band)
    samples = (sample(cells[0], mask), sample(cells[1], mask))
    bins = _bins(name, bands, samples, rules)
    blocks, grounds = _grounds(bands, samples, rules)
    cell_counts = (CellCounts(grounds[0], bins, None), CellCounts(grounds[1], bins, rules.of(name).range))
    change = Change(bands[0].grid) if same_grid(bands[0].grid, bands[1].grid) else None
    if change is not None:
        scan_both(cells, cell_counts, mask, change)
    else:
        scan(cells[0], cell_counts[0], mask, 0)
        scan(cells[1], cell_counts[1], mask, 1)
    missing, present = (
        (cell_counts[0].missing, cell_counts[1].missing),
        (cell_counts[0].present, cell_counts[1].present),
    )
    pair = Pair(name, "empty", missing, (missing[0] + present[0], missing[1] + present[1]))
    layer = LayerResult(bands, pair, classes=isinstance(bins, ClassBins), change=change, block=blocks)
    layer.beyond, layer.infinite = cell_counts[1].beyond, (cell_counts[0].infinite, cell_counts[1].infinite)
    layer.odd_nodata = _odd_nodata(bands, samples[1])
    if any(present):
        _refuse_empty(bands, present, mask)
        _fill(layer, cell_counts, bins)
        _test(layer, cell_counts, bins, rules)
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


def _bins(
    name: str, bands: tuple[Band, Band], samples: tuple[Sample, Sample], rules: DriftRules
) -> NumberBins | ClassBins:
    if _is_classes(name, bands, samples, rules):
        return ClassBins((bands[0].names, bands[1].names), where=bands[1].label)
    pool = pooled(samples)
    if all(band.small_integer for band in bands) and bands[0].stored == bands[1].stored:
        return whole_bins(bands[0].stored, pool if len(pool) else np.zeros(1, dtype=bands[0].stored))
    return sample_bins(pool if len(pool) else np.zeros(1))


def _is_classes(name: str, bands: tuple[Band, Band], samples: tuple[Sample, Sample], rules: DriftRules) -> bool:
    """Classes where the rules, names, or a palette say so; else whole numbers that are few, or full of gaps."""
    rule = rules.of(name)
    if rule.kind != "auto" or rule.test not in {"auto", "none"}:
        return rule.kind == "category" or (rule.kind == "auto" and rule.test in FOR_CLASSES)
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
    bands: tuple[Band, Band], samples: tuple[Sample, Sample], rules: DriftRules
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


def _fill(layer: LayerResult, cell_counts: tuple[CellCounts, CellCounts], bins: Bins) -> None:
    """What table, figures and notes show of the values."""
    pair = layer.pair
    if isinstance(bins, ClassBins):
        pair.kind, pair.labels = "category", list(bins.labels)
        pair.reference, pair.current = (counted.blocks.sum(axis=(0, 1)) for counted in cell_counts)
        layer.unnamed = (len(bins.unnamed[0]), len(bins.unnamed[1]))
        return
    pair.kind = "numeric"
    layer.extremes = ((cell_counts[0].low, cell_counts[0].high), (cell_counts[1].low, cell_counts[1].high))
    pair.reference, pair.current = (quantile_values(bins, t.fine, t.low, t.high) for t in cell_counts)


def _test(layer: LayerResult, cell_counts: tuple[CellCounts, CellCounts], bins: Bins, rules: DriftRules) -> None:
    """The hypothesis about the values, and that about missing ones where both rasters are of one grid."""
    side = 1 if rules.block_size else None
    name = layer.name
    one, two = _aligned(cell_counts[0].blocks, cell_counts[1].blocks)
    paired = layer.change is not None
    kind = _test_name(layer, rules)
    values = None
    if isinstance(bins, NumberBins):
        low, high = (f(pair) for f, pair in zip((min, max), zip(*layer.extremes, strict=True), strict=True))
        values = coarse_values(bins, cell_counts[0].fine + cell_counts[1].fine, low, high)
    counts = BlockCounts(one, two, not layer.classes, paired, values)
    if kind is not None:
        test = two_sample_test(kind)
        statistic, counts = test.block_statistic(counts)
        layer.test = permute_blocks(counts, statistic, side=side)
        layer.clustering = block_clustering(counts, layer.test.blocks)
        fine = None
        if isinstance(bins, NumberBins):
            fine = FineCounts(cell_counts[0].fine, cell_counts[1].fine, bins.atoms)
        result = test.on_blocks(layer.test.statistic, layer.test.p_value, counts, fine)
        layer.bound = result.bound
        layer.hypotheses.append(Hypothesis(name, "values", result, rules.effect_of(name)))
    # Where the very same cells lack a value, as outside a study area, there is nothing to test.
    differ = layer.change is not None and layer.change.lost + layer.change.gained > 0
    if "missing" in rules.tests and differ and rules.of(name).test != "none":
        lost = BlockCounts(*_aligned(*(counted.missing_blocks for counted in cell_counts)), ordered=False, paired=True)
        found = permute_blocks(lost, difference_statistic, side=side)
        result = TestResult("two proportions", BY_BLOCKS, found.statistic, found.p_value, found.statistic, "difference")
        layer.hypotheses.append(Hypothesis(name, "missing", result, rules.effect_of(name)))


def _aligned(one: Ints, two: Ints) -> tuple[Ints, Ints]:
    """Both arrays in the shape of the larger one, blocks and bins without cells added."""
    shape = np.maximum(one.shape, two.shape)
    padded = [np.pad(side, [(0, int(n)) for n in shape - side.shape]) for side in (one, two)]
    return padded[0], padded[1]


def _test_name(layer: LayerResult, rules: DriftRules) -> str | None:
    wish = rules.of(layer.name).test
    if wish == "none":
        return None
    if not layer.classes:
        return wish if wish != "auto" else rules.numeric_test
    if wish != "auto" and wish not in FOR_CLASSES:
        raise InputError(
            f"the test `{wish}` needs numbers, and `{layer.name}` holds classes",
            where=f"columns.{layer.name}",
            hint=f"use `{'`, `'.join(FOR_CLASSES)}`, leave the test out, or say `kind: numeric`",
            code="invalid-test",
        )
    return wish if wish != "auto" else rules.class_test
