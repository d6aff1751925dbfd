"""Pixels to unique stands, block by block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flint_ml.gcbm.engine import stands
from flint_ml.gcbm.engine.stands import Inventory, _Builder, _Piece, combine
from flint_ml.gcbm.project.grid import BlockId


def piece(start: int, blocks: list[np.ndarray]) -> _Piece:
    """Blocks read together, whose cells have these (layer a, layer b) values; numbered from ``start``."""
    number = np.repeat(np.arange(len(blocks)), [len(cells) for cells in blocks])
    columns = [(number, len(blocks))]
    distincts = []
    for column in np.concatenate(blocks).T:
        distinct, codes = np.unique(column, return_inverse=True)
        columns.append((codes, distinct.size))
        distincts.append(distinct)
    first, inverse = combine(columns, number.size)
    values = [d[c[first]] for (c, _), d in zip(columns[1:], distincts, strict=True)]
    count = np.bincount(inverse)
    pixels = [(np.arange(len(cells)), inverse[number == i]) for i, cells in enumerate(blocks)]
    names = [BlockId(1, start + i) for i in range(len(blocks))]
    return _Piece(names, number[first], values, count * 0.5, count, pixels)


def built(blocks: list[np.ndarray], merge_rows: int, together: int = 1) -> Inventory:
    stands.MERGE_ROWS = merge_rows
    builder = _Builder(["a", "b"])
    for start in range(0, len(blocks), together):
        builder.add(piece(start, blocks[start : start + together]), 10**9)
    return builder.inventory()


cells = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=30).map(
    lambda rows: np.array(rows, dtype=np.float64)
)


@settings(deadline=None)
@given(st.lists(cells, min_size=1, max_size=5), st.sampled_from([0, 7, 10**6]), st.integers(1, 3))
def test_stands_and_areas_are_the_pixels(blocks: list[np.ndarray], merge_rows: int, together: int) -> None:
    keep = stands.MERGE_ROWS
    try:
        got = built(blocks, merge_rows, together)
    finally:
        stands.MERGE_ROWS = keep
    rows = np.unique(np.concatenate(blocks), axis=0)
    assert np.array_equal(np.column_stack([got.values["a"], got.values["b"]]), rows)
    assert got.stand_pixels().sum() == sum(map(len, blocks))
    assert got.stand_area() == pytest.approx(got.stand_pixels() * 0.5)
    for number, pixels in enumerate(blocks):
        mine = got.pair_block == number
        assert (np.diff(got.pair_stand[mine]) > 0).all()  # in the order of the stands
        place, stand = got.pixels[BlockId(1, number)]
        assert np.array_equal(rows[stand], pixels[place])


def test_a_stand_has_the_same_number_in_every_job() -> None:
    one = built([np.array([[1.0, np.nan], [2.0, 3.0], [2.0, 4.0]])], 0)
    other = built([np.array([[2.0, 4.0]]), np.array([[1.0, np.nan], [9.0, 9.0]])], 0)
    assert np.isin(one.stand_ids(), other.stand_ids()).sum() == 2
    assert np.unique(one.stand_ids()).size == 3


def test_many_stands_have_different_numbers() -> None:
    rng = np.random.default_rng(1)
    inventory = built([rng.integers(0, 2000, (200_000, 2)).astype(np.float64)], 10**6)
    assert np.unique(inventory.stand_ids()).size == inventory.stands


def test_keeping_some_stands() -> None:
    whole = built([np.array([[1.0, 1.0], [2.0, 2.0]]), np.array([[2.0, 2.0], [3.0, 3.0]])], 0)
    kept = whole.keep(np.array([False, True, True]))
    assert kept.values["a"].tolist() == [2.0, 3.0]
    assert kept.pair_block.tolist() == [0, 1, 1]
    assert kept.pair_stand.tolist() == [0, 0, 1]
    assert kept.pixels[BlockId(1, 1)][1].tolist() == [0, 1]
