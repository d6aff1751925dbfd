"""Blocks of ground: fields of one law do not alarm more often than alpha, and a shift is found."""

from __future__ import annotations

import numpy as np
import pytest

from flint_ml.drift.rasters.blocks import block_clustering, merged, permute_blocks
from flint_ml.drift.two_sample.base import BlockCounts
from flint_ml.drift.two_sample.chi2 import v_statistic
from flint_ml.drift.two_sample.ks import ks_statistic
from helpers.rasters import field

SIZE, BLOCKS = 96, 32


def counted(one: np.ndarray, two: np.ndarray, *, paired: bool) -> BlockCounts:
    edges = np.quantile(np.concatenate([one.ravel(), two.ravel()]), np.linspace(0, 1, 65)[1:-1])
    block = np.arange(SIZE) * BLOCKS // SIZE
    place = block[:, None] * BLOCKS + block[None, :]
    bins = len(edges) + 1
    sides = [
        np.bincount((place * bins + np.searchsorted(edges, side)).ravel(), minlength=BLOCKS**2 * bins)
        for side in (one, two)
    ]
    values = np.concatenate([[edges[0]], (edges[1:] + edges[:-1]) / 2, [edges[-1]]])
    one_, two_ = (side.reshape(BLOCKS, BLOCKS, bins) for side in sides)
    return BlockCounts(one_, two_, ordered=True, paired=paired, values=values)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("reach", [3, 10, 24])
def test_smooth_fields_of_one_law_do_not_alarm(paired: bool, reach: int) -> None:
    trials, alarms, naive = 40, 0, 0
    for trial in range(trials):
        rng = np.random.default_rng([trial, reach, paired])
        one, two = field(rng, SIZE, reach), field(rng, SIZE, reach)
        test = permute_blocks(counted(one, two, paired=paired), ks_statistic)
        alarms += test.p_value < 0.05
        naive += test.statistic > 1.36 * np.sqrt(2 / SIZE**2)
    # With a true rate of 5 %, more than 6 of 40 come with probability 0.003.
    assert alarms <= 6
    assert naive > 25


def test_a_shift_is_found() -> None:
    found = 0
    for trial in range(20):
        rng = np.random.default_rng([trial, 5])
        one, two = field(rng, SIZE, 2), field(rng, SIZE, 2) + 0.5
        found += permute_blocks(counted(one, two, paired=False), ks_statistic).p_value < 0.05
    assert found >= 18


def test_a_shift_of_the_same_ground_is_found_however_the_map_trends() -> None:
    rng = np.random.default_rng(3)
    trend = np.add.outer(np.linspace(0, 4, SIZE), np.linspace(0, 2, SIZE))
    one, two = (trend + 0.3 * field(rng, SIZE, 3) for _ in range(2))
    same = permute_blocks(counted(one, two, paired=True), ks_statistic)
    moved = permute_blocks(counted(one, two + 0.3, paired=True), ks_statistic)
    mixed = permute_blocks(counted(one, two + 0.3, paired=False), ks_statistic)
    assert same.p_value > 0.05
    assert moved.p_value < 0.01
    assert mixed.p_value > 0.05


def test_identical_maps_are_no_evidence() -> None:
    one = field(np.random.default_rng(1), SIZE, 5)
    test = permute_blocks(counted(one, one, paired=True), ks_statistic)
    assert (test.statistic, test.p_value) == (0, 1)


def test_a_map_as_smooth_as_it_is_wide_says_that_it_cannot_know() -> None:
    ramp = np.linspace(0, 1, SIZE)
    east, north = np.add.outer(0 * ramp, ramp), np.add.outer(ramp, 0.5 * ramp)
    test = permute_blocks(counted(east, north, paired=False), ks_statistic)
    assert test.critical(0.05) > 0.5


def test_effective_cells_fall_with_the_reach() -> None:
    worth = []
    for reach in (1, 5, 15):
        rng = np.random.default_rng(reach)
        counts = counted(field(rng, SIZE, reach), field(rng, SIZE, reach), paired=True)
        seen = block_clustering(counts, permute_blocks(counts, ks_statistic).blocks)
        assert seen is not None
        worth.append(min(seen.effective))
    assert SIZE**2 > worth[0] > worth[1] > worth[2]


def test_merging_keeps_all_cells() -> None:
    counts = np.random.default_rng(1).integers(0, 9, (7, 5, 3))
    for side in (1, 2, 4, 8):
        assert merged(counts, side).sum(axis=(0, 1)).tolist() == counts.sum(axis=(0, 1)).tolist()


def test_classes_of_one_share_do_not_drift_and_others_do() -> None:
    rng = np.random.default_rng(7)
    one, two, three = (
        rng.multinomial(9, share, (BLOCKS, BLOCKS)) for share in ([0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.4, 0.3, 0.3])
    )
    same = permute_blocks(BlockCounts(one, two, ordered=False, paired=False), v_statistic)
    moved = permute_blocks(BlockCounts(one, three, ordered=False, paired=False), v_statistic)
    assert same.p_value > 0.05
    assert moved.p_value < 0.01
