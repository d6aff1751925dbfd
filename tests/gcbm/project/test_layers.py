"""Raster layers: attribute tables, no data, checks, windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flint_ml.errors import InputError
from flint_ml.gcbm import indicators, load_project, run
from flint_ml.gcbm.engine.stands import combine
from flint_ml.gcbm.project.config import Project
from flint_ml.gcbm.project.grid import BlockId, Grid
from flint_ml.gcbm.project.layers import Layer, make_layer
from gcbm_example import write_layer

CELL = 0.01  # ten cells to a block's side
GRID = Grid.of(CELL, "test")
BLOCK = BlockId(12674, 0)


def layer(tmp_path: Path, array: np.ndarray, about: dict[str, Any] | None = None, **options: Any) -> Layer:
    write_layer(tmp_path, "L", array, cell=options.pop("cell", CELL), **options)
    file = tmp_path / "L.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **(about or {})}))
    project = Project(tmp_path, tmp_path, {}, {}, {}, ())
    return make_layer(project, {}, {"name": "L", "layer_path": "L.tiff"}, "provider")


def test_values_no_data_and_attributes(tmp_path: Path) -> None:
    array = np.full((10, 10), 255, dtype=np.uint8)
    array[0, :4] = [1, 2, 3, 9]
    made = layer(tmp_path, array, attributes={"1": "TA", "2": "BP", "3": "TA"})
    codes, distinct = made.ranks(made.read(BLOCK, GRID)[0])
    values = [made.value(distinct[code]) for code in codes]
    assert values == ["TA", "BP", "TA", None, None, None, None, None, None, None]  # 9 is not in the table
    assert codes[0] == codes[2]


def test_no_data_comes_from_the_json_cast_to_the_type(tmp_path: Path) -> None:
    array = np.full((10, 10), 3.4e38, dtype=np.float32)
    array[0, 0] = -1.25
    made = layer(tmp_path, array)
    codes, distinct = made.ranks(made.read(BLOCK, GRID).reshape(-1))
    assert made.value(distinct[codes[0]]) == -1.25
    assert made.value(distinct[codes[1]]) is None
    assert made.is_null(array)[0].tolist() == [False] + [True] * 9


def test_negative_whole_numbers(tmp_path: Path) -> None:
    array = np.full((10, 10), 32767, dtype=np.int16)
    array[0, :3] = [-5, 0, 120]
    made = layer(tmp_path, array)
    codes, distinct = made.ranks(made.read(BLOCK, GRID)[0])
    assert [made.value(distinct[c]) for c in codes[:4]] == [-5, 0, 120, None]


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"layer_data": "Int16"}, "garbage"),
        ({"layer_data": "Float64"}, "not known"),
        ({"layer_type": "StackLayer"}, "not known"),
        ({"blockLatSize": 0.2}, "only knows 0.1"),
        ({"cellLatSize": 0.005}, "cells are 0.01"),
        ({"attributes": {"1": [{"year": 2011}, {"year": 2012}]}}, "list of attributes"),
        ({"attributes": {"one": "x"}}, "whole numbers"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(tmp_path: Path, about: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        layer(tmp_path, np.ones((10, 10), dtype=np.uint8), about).open()


def test_another_coordinate_system_is_refused(tmp_path: Path) -> None:
    import rasterio

    made = layer(tmp_path, np.ones((10, 10), dtype=np.uint8))
    with rasterio.open(made.tiff, "r+") as raster:
        raster.crs = "EPSG:3005"
    with pytest.raises(InputError, match="EPSG:3005"):
        made.open()


def test_a_raster_off_the_grid_is_refused(tmp_path: Path) -> None:
    import rasterio
    from rasterio.transform import from_origin

    made = layer(tmp_path, np.ones((10, 10), dtype=np.uint8))
    with rasterio.open(made.tiff, "r+") as raster:
        raster.transform = from_origin(-105.997, 55.0, CELL, CELL)
    with pytest.raises(InputError, match="grid of its cells"):
        made.open()


def test_a_damaged_raster_is_named(tmp_path: Path) -> None:
    made = layer(tmp_path, np.ones((10, 10), dtype=np.uint8))
    made.tiff.write_bytes(b"not a tiff")
    with pytest.raises(InputError, match="layer L: the raster cannot be read"):
        made.open()


def test_a_missing_raster_names_the_one_that_is_there(tmp_path: Path) -> None:
    made = layer(tmp_path, np.ones((10, 10), dtype=np.uint8))
    made.tiff.rename(tmp_path / "L_masked.tiff")
    with pytest.raises(InputError, match="does not exist") as caught:
        made.open()
    assert "L_masked.tiff" in str(caught.value.hint)


def test_parts_outside_the_raster_are_no_data(tmp_path: Path) -> None:
    made = layer(tmp_path, np.arange(1, 61, dtype=np.uint8).reshape(6, 10))
    assert made.cropped() == ["bottom"]
    read = made.read(BLOCK, GRID)
    assert read[5].tolist() == list(range(51, 61))
    assert (read[6:] == 255).all()
    assert (made.read(BlockId(12674, 55), GRID) == 255).all()


def test_a_coarser_layer_is_sampled_by_the_top_left_corner(tmp_path: Path) -> None:
    array = np.arange(16, dtype=np.uint8).reshape(4, 4)
    made = layer(tmp_path, array, cell=0.025)
    read = made.read(BLOCK, GRID)
    assert read[0].tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    assert read[:, 0].tolist() == [0, 0, 0, 4, 4, 8, 8, 8, 12, 12]


def test_a_coarser_temperature_gives_the_same_as_the_fine_one(example_folder: Path, tmp_path: Path) -> None:
    """The example's temperature changes every 50 rows of 0.001 degrees: 0.01-degree cells say the same."""
    import shutil

    folder = tmp_path / "p"
    shutil.copytree(example_folder, folder)
    warm = np.repeat(0.5 - 0.25 * np.floor(4.0 * np.arange(20) / 20.0)[:, None], 20, axis=1)
    write_layer(folder / "layers" / "tiled", "mean_annual_temperature", warm.astype(np.float32), cell=0.01)
    assert indicators(run(load_project(folder))) == indicators(run(load_project(example_folder)))


def test_combinations_keep_their_order_beyond_64_bits() -> None:
    rng = np.random.default_rng(3)
    columns = [(rng.integers(0, 1000, 500), 1000) for _ in range(9)]  # 1000 ** 9 does not fit
    first, inverse = combine(columns, 500)
    rows = np.column_stack([codes for codes, _ in columns])
    distinct, expected = np.unique(rows, axis=0, return_inverse=True)
    assert np.array_equal(rows[first], distinct)
    assert np.array_equal(inverse, expected.reshape(-1))
