"""Tiles, blocks, cells and their area."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flint_ml.errors import InputError
from flint_ml.gcbm.project.grid import BlockId, Grid, format_blocks, parse_blocks, pixel_area, tile_bounds


def test_area_by_hand() -> None:
    side = 0.00025 * 2 * 3.14159265359 * 6378137.0 / 360
    got = Grid.of(0.00025, "test").row_areas(BlockId(12674, 51))
    assert got[80] == pytest.approx(side**2 * math.cos((55 - 0.5 - 80 * 0.00025) * math.pi / 180) / 1e4, rel=1e-11)


def test_trap_the_latitude_is_the_top_edge() -> None:
    """With the cell's centre the area differs by about 3e-6, far above rounding."""
    cell = 0.00025
    top = pixel_area(np.array([54.48]), cell)
    centre = pixel_area(np.array([54.48 - cell / 2]), cell)
    assert 1e-6 < abs(float(centre[0] / top[0]) - 1) < 1e-5
    first = Grid.of(cell, "test").row_areas(BlockId(12674, 0))[0]
    assert first == pytest.approx(float(pixel_area(np.array([55.0]), cell)[0]), rel=1e-14)


def test_tiles_count_from_the_north_west() -> None:
    assert tile_bounds(12674) == (-106.0, 55.0)
    assert tile_bounds(0) == (-180.0, 90.0)


def test_a_blocks_corner_in_the_global_grid() -> None:
    grid = Grid.of(0.001, "test")
    assert grid.corner(BlockId(12674, 11)) == (35 * 1000 + 100, 74 * 1000 + 100)


def test_a_coarser_grid_is_sampled_at_the_top_left_corner() -> None:
    fine, coarse = Grid.of(0.01, "test"), Grid.of(0.025, "test")
    assert fine.sample(0, coarse).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]


@pytest.mark.parametrize("cell", [0.0, 0.03, 0.2, -1.0])
def test_cells_must_divide_a_block(cell: float) -> None:
    with pytest.raises(InputError, match="cell size"):
        Grid.of(cell, "test")


blocks = st.sets(st.builds(BlockId, st.integers(0, 64799), st.integers(0, 99)), max_size=40)


@given(blocks)
def test_block_texts_read_back(chosen: set[BlockId]) -> None:
    assert set(parse_blocks([format_blocks(chosen)])) == chosen


def test_block_texts() -> None:
    assert format_blocks(parse_blocks(["12674"])) == "12674"
    assert [str(b) for b in parse_blocks(["12674:3-5", "12673:99"])] == ["12673:99", "12674:3", "12674:4", "12674:5"]
    for text in ("12674:100", "x", "12674:1-y", "64800"):
        with pytest.raises(InputError, match="not a block"):
            parse_blocks([text])
