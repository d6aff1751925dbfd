"""Rasters: values against a plain computation, classes by name, grids, masks, change cell by cell."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine, from_origin

from flint_ml.drift.rasters.check import check_rasters
from flint_ml.drift.rasters.grid import Grid
from flint_ml.drift.rasters.names import read_names
from flint_ml.drift.rasters.source import bands_of, cells_of, gdal, layers_of
from flint_ml.drift.rules import ColumnRules, DriftRules
from flint_ml.drift.two_sample.chi2 import balanced_v
from flint_ml.drift.two_sample.ks import ks_distance
from flint_ml.errors import InputError
from helpers.rasters import UTM, compare, field, write

RNG = np.random.default_rng(11)
SMOOTH = field(RNG, 200, 4).astype("float32")


def codes(result: object) -> set[str]:
    return {note.code for note in result.notes}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "one", "two"),
    [
        ("float32", SMOOTH, SMOOTH.T + np.float32(0.4)),
        ("float64", SMOOTH.astype(float), np.where(SMOOTH > 0, SMOOTH, 0).astype(float)),
        ("int16", (SMOOTH * 1000).astype("int16"), (SMOOTH * 900 + 50).astype("int16")),
        ("uint8", (SMOOTH * 30 + 120).astype("uint8"), (SMOOTH.T * 35 + 110).astype("uint8")),
        ("int32", (SMOOTH * 1e6).astype("int32"), (SMOOTH.T * 1.2e6).astype("int32")),
        ("mixed", (SMOOTH * 30 + 120).astype("uint8"), (SMOOTH.T * 35 + 110).astype("float32")),
        ("extremes", SMOOTH, np.where(SMOOTH > 2, np.inf, SMOOTH * np.float32(1e37)).astype("float32")),
    ],
)
def test_d_is_that_of_all_cells(tmp_path: Path, kind: str, one: np.ndarray, two: np.ndarray) -> None:
    result = compare(write(tmp_path / "a.tif", one), write(tmp_path / "b.tif", two))
    layer = result.layers["a"]
    exact = ks_distance(*(np.sort(side.astype(float).ravel()) for side in (one, two)))
    found = layer.hypotheses[0].test.statistic
    assert found <= exact + 1e-12
    assert exact - found <= layer.bound + 1e-12
    assert layer.bound < 0.002
    if kind in {"int16", "uint8"}:
        assert layer.bound == 0


def test_cells_without_a_value_do_not_count(tmp_path: Path) -> None:
    hole = np.zeros(SMOOTH.shape, dtype=bool)
    hole[:60] = True
    one = np.where(hole, -9999, SMOOTH).astype("float32")
    two = np.where(hole, np.nan, SMOOTH).astype("float32")
    result = compare(write(tmp_path / "a.tif", one, nodata=-9999), write(tmp_path / "b.tif", two))
    layer = result.layers["a"]
    assert layer.pair.missing == (60 * 200, 60 * 200)
    assert layer.hypotheses[0].test.statistic == 0
    assert len(layer.hypotheses) == 1
    assert not result.failed


def test_lost_values_are_a_hypothesis_of_their_own(tmp_path: Path) -> None:
    two = np.where(RNG.random(SMOOTH.shape) < 0.3, np.nan, SMOOTH).astype("float32")
    result = compare(write(tmp_path / "a.tif", SMOOTH), write(tmp_path / "b.tif", two))
    lost = result.layers["a"].hypotheses[1]
    assert (lost.aspect, lost.drifted) == ("missing", True)
    assert lost.test.effect == pytest.approx(np.isnan(two).mean())
    assert result.layers["a"].change.lost == np.isnan(two).sum()


def test_a_mask_leaves_cells_out_also_on_a_coarser_grid(tmp_path: Path) -> None:
    two = SMOOTH.copy()
    two[:100] += 3
    one, new = write(tmp_path / "a.tif", SMOOTH), write(tmp_path / "b.tif", two)
    fine = np.zeros(SMOOTH.shape, dtype="uint8")
    fine[100:] = 1
    coarse = fine[::10, ::10].copy()
    finely = write(tmp_path / "m.tif", fine)
    coarsely = write(tmp_path / "c.tif", coarse, transform=from_origin(500_000, 5_400_000, 300, 300))
    assert compare(one, new).layers["a"].change.share == 0.5
    for mask in (finely, coarsely):
        result = compare(one, new, mask=mask)
        assert result.layers["a"].pair.total == (100 * 200, 100 * 200)
        assert result.layers["a"].change.changed == 0
    with pytest.raises(InputError, match="coordinate system"):
        compare(one, new, mask=write(tmp_path / "w.tif", fine, crs="EPSG:4326"))


def test_change_cell_by_cell(tmp_path: Path) -> None:
    two = SMOOTH.copy()
    two[20:30, 40:60] += 2
    two[0, 0] = np.nan
    result = compare(write(tmp_path / "a.tif", SMOOTH), write(tmp_path / "b.tif", two))
    change = result.layers["a"].change
    assert (change.compared, change.changed, change.lost, change.gained) == (39_999, 200, 1, 0)
    assert change.area == pytest.approx(200 * 0.09)
    assert change.mean == pytest.approx(400 / 39_999, rel=1e-6)
    assert change.moved.sum() == 200
    assert change.moved[20:30, 40:60].min() == change.moved[20:30, 40:60].max() == 1
    assert change.sums.sum() == pytest.approx(400, rel=1e-6)


@pytest.mark.parametrize("step", [1, 7, 64])
def test_the_map_adds_up_however_windows_lie(tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from flint_ml.drift.rasters import change as raster_change
    from flint_ml.drift.rasters import source as raster_source

    monkeypatch.setattr(raster_source, "WINDOW_CELLS", 3_000)
    monkeypatch.setattr(raster_change, "_MAP_CELLS", -(-200 // step))
    two = SMOOTH + (RNG.random(SMOOTH.shape) < 0.2).astype("float32")
    tiled = {"tiled": True, "blockxsize": 32, "blockysize": 16}
    result = compare(write(tmp_path / "a.tif", SMOOTH, **tiled), write(tmp_path / "b.tif", two))
    change = result.layers["a"].change
    moved = two != SMOOTH
    padded = np.zeros([n * change.step for n in change.moved.shape])
    padded[:200, :200] = moved
    rows, columns = change.moved.shape
    wanted = padded.reshape(rows, change.step, columns, change.step).sum(axis=(1, 3))
    assert np.array_equal(change.moved, wanted)
    assert change.seen.sum() == 40_000


def test_classes_go_by_name_not_by_code(tmp_path: Path) -> None:
    cells = RNG.choice([1, 2, 3], SMOOTH.shape, p=[0.5, 0.3, 0.2]).astype("uint8")
    names = {"1": "Spruce", "2": "Aspen", "3": "Pine"}
    swapped = np.array([0, 2, 1, 3], dtype="uint8")[cells]
    one, two = write(tmp_path / "a/species.tif", cells), write(tmp_path / "b/species.tif", swapped)
    (tmp_path / "a/species.json").write_text(json.dumps({"layer_type": "GridLayer", "attributes": names}))
    (tmp_path / "b/species.csv").write_text("code,name,note\n2,Spruce,x\n1,Aspen,x\n3,Pine,x\n")
    result = compare(one, two)
    layer = result.layers["species"]
    assert sorted(layer.pair.labels) == ["Aspen", "Pine", "Spruce"]
    assert layer.hypotheses[0].test.effect == 0
    assert layer.change.changed == 0
    assert "renumbered" in codes(result)


def test_transitions_name_classes_with_their_area(tmp_path: Path) -> None:
    cells = np.ones(SMOOTH.shape, dtype="uint8")
    cells[100:] = 2
    new = cells.copy()
    new[:40] = 2
    new[150:152] = 0
    one, two = (write(tmp_path / n / "cover.tif", v, nodata=0) for n, v in (("a", cells), ("b", new)))
    for folder in ("a", "b"):
        (tmp_path / folder / "cover.json").write_text('{"attributes": {"1": "Forest", "2": "Burn"}}')
    layer = compare(one, two).layers["cover"]
    moves = [(m.old, m.new, m.cells, round(m.area, 6)) for m in layer.change.transitions(layer.pair.labels)]
    assert moves == [("Forest", "Burn", 8_000, 720.0), ("Burn", "no value", 400, 36.0)]
    shares = [np.array([20_000, 20_000]), np.array([12_000, 27_600])]
    assert layer.hypotheses[0].test.effect == pytest.approx(balanced_v(*shares))


def test_names_come_from_gdals_attribute_table(tmp_path: Path) -> None:
    path = write(tmp_path / "cover.tif", np.ones((9, 9), dtype="uint8"))
    (tmp_path / "cover.tif.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><GDALRasterAttributeTable tableType='thematic'>"
        "<FieldDefn index='0'><Name>VALUE</Name><Type>0</Type><Usage>5</Usage></FieldDefn>"
        "<FieldDefn index='1'><Name>Class</Name><Type>2</Type><Usage>2</Usage></FieldDefn>"
        "<Row index='0'><F>1</F><F>Forest &amp; wood</F></Row><Row index='1'><F>2</F><F>Water</F></Row>"
        "</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"
    )
    assert dict(read_names(path, "cover.tif").classes) == {1: "Forest & wood", 2: "Water"}


def test_a_palette_of_category_names_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "cover.tif", np.ones((9, 9), dtype="uint8"))
    (tmp_path / "cover.tif.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category/><Category>Peat</Category></CategoryNames>"
        "</PAMRasterBand></PAMDataset>"
    )
    assert dict(read_names(path, "cover.tif").classes) == {1: "Peat"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cover.json", '{"attributes": {"a": "b"}}'),
        ("cover.json", "{"),
        ("cover.json", '{"attributes": [1]}'),
        ("cover.tif.aux.xml", "<PAMDataset>"),
        ("cover.tif.aux.xml", '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'),
        ("cover.json", "[" * 100_000),
    ],
)
def test_a_broken_attribute_table_is_named(tmp_path: Path, name: str, text: str) -> None:
    path = write(tmp_path / "cover.tif", np.ones((9, 9), dtype="uint8"))
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        read_names(path, "cover.tif")
    assert caught.value.where == f"cover.tif: {name}"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (RNG.integers(0, 12, SMOOTH.shape).astype("uint8"), "category"),
        (RNG.integers(0, 13, SMOOTH.shape).astype("uint8"), "numeric"),
        ((RNG.integers(1, 21, SMOOTH.shape) * 10).astype("uint8"), "category"),
        (RNG.integers(0, 3, SMOOTH.shape).astype("float32"), "category"),
        (RNG.integers(0, 3, SMOOTH.shape).astype("float32") / 2, "numeric"),
        (RNG.integers(0, 200, SMOOTH.shape).astype("int16"), "numeric"),
    ],
)
def test_what_a_layer_holds(tmp_path: Path, values: np.ndarray, kind: str) -> None:
    one, two = write(tmp_path / "a.tif", values), write(tmp_path / "b.tif", values)
    assert compare(one, two).layers["a"].pair.kind == kind
    other = "numeric" if kind == "category" else "category"
    if values.dtype.kind == "f" and other == "category":
        other = "numeric"
    told = DriftRules(columns={"a": ColumnRules(kind=other)})
    assert compare(one, two, told).layers["a"].pair.kind == other


def test_other_grids_are_named_and_compared_by_distribution(tmp_path: Path) -> None:
    one = write(tmp_path / "a.tif", SMOOTH)
    cases = {
        "raster-crs": {"crs": "EPSG:32634"},
        "raster-cell-size": {"transform": from_origin(500_000, 5_400_000, 25, 25)},
        "raster-shifted": {"transform": from_origin(500_010, 5_400_000, 30, 30)},
        "raster-rotated": {"transform": Affine(30, 5, 500_000, 5, -30, 5_400_000)},
        "raster-south-up": {"transform": Affine(30, 0, 500_000, 0, 30, 5_400_000 - 30 * len(SMOOTH))},
    }
    for code, profile in cases.items():
        result = compare(one, write(tmp_path / "b.tif", SMOOTH, **profile))
        note = next(note for note in result.notes if note.code == code)
        assert note.severity == "warning"
        assert note.hint
        assert result.layers["a"].change is None
        assert result.layers["a"].hypotheses[0].test.statistic == 0
    result = compare(one, write(tmp_path / "b.tif", SMOOTH[:150]))
    assert "raster-extent" in codes(result)
    result = compare(write(tmp_path / "a.tif", SMOOTH, crs=None), write(tmp_path / "b.tif", SMOOTH, crs=None))
    assert "no-crs" in codes(result)
    assert result.layers["a"].change.areas is None


def test_types_nodata_and_ranges_are_named(tmp_path: Path) -> None:
    one = write(tmp_path / "a.tif", np.where(SMOOTH > 1, -9999, SMOOTH).astype("float32"), nodata=-9999)
    two = write(tmp_path / "b.tif", np.where(SMOOTH > 1, -9999, SMOOTH).astype("float64"))
    result = compare(one, two, DriftRules(columns={"a": ColumnRules(range=(-10, 10))}))
    found = {note.code: note for note in result.notes}
    assert found["raster-dtype"].severity == "info"
    assert "9999" in found["raster-nodata"].message
    assert found["raster-nodata-lost"].message.startswith(f"`a`: {np.mean(SMOOTH > 1):.1%} of the new cells")
    assert found["range"].severity == "error"
    assert f"{np.count_nonzero(SMOOTH > 1):,} cells" in found["range"].message
    assert result.failed


@pytest.mark.parametrize("test", ["wasserstein", "psi"])
def test_other_tests_by_choice(tmp_path: Path, test: str) -> None:
    one, two = write(tmp_path / "a.tif", SMOOTH), write(tmp_path / "b.tif", SMOOTH + np.float32(0.5))
    found = compare(one, two, DriftRules(tests=(test,))).layers["a"].hypotheses[0]
    assert found.drifted
    if test == "wasserstein":
        assert found.test.statistic == pytest.approx(0.5, rel=0.03)
        assert found.test.effect == pytest.approx(0.5 / SMOOTH.std(), rel=0.05)
    assert compare(one, one, DriftRules(tests=(test,))).layers["a"].hypotheses[0].test.p_value == 1


def test_bands_are_layers(tmp_path: Path) -> None:
    one = np.stack([SMOOTH, SMOOTH + 1, SMOOTH + 2])
    a = write(tmp_path / "s2.tif", one)
    b = write(tmp_path / "other.tif", one[:2])
    for path in (a, b):
        with rasterio.open(path, "r+") as dataset:
            dataset.set_band_description(1, "red")
    result = compare(a, b)
    assert set(result.layers) == {"s2:red", "s2:2"}
    assert [note.code for note in result.broken] == ["missing-layer"]
    assert "`s2:3`" in result.broken[0].message


def test_scale_and_offset_hold(tmp_path: Path) -> None:
    a = write(tmp_path / "a.tif", SMOOTH.astype("float64"))
    b = write(tmp_path / "b.tif", np.round((SMOOTH.astype(float) + 5) * 1000).astype("int16"))
    with rasterio.open(b, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.001,), (-5.0,)
    result = compare(a, b)
    assert result.layers["a"].hypotheses[0].test.effect < 0.01
    assert abs(result.layers["a"].change.mean) < 1e-4


def test_an_alpha_band_is_a_mask(tmp_path: Path) -> None:
    alpha = np.full(SMOOTH.shape, 255, dtype="uint8")
    alpha[:50] = 0
    values = (SMOOTH * 30 + 120).astype("uint8")
    a = write(tmp_path / "a.tif", np.stack([values, values, values, alpha]), photometric="RGB", alpha="yes")
    assert list(layers_of([a], "a.tif")) == ["a:1", "a:2", "a:3"]
    assert compare(a, a).layers["a:1"].pair.missing == (10_000, 10_000)


def test_layers_of_two_folders_are_paired_by_name(tmp_path: Path) -> None:
    for folder, layers in (("one", ("age", "slope", "gone")), ("two", ("slope", "age", "new"))):
        for name in layers:
            write(tmp_path / folder / f"{name}.tif", SMOOTH)
    sides = [layers_of(sorted((tmp_path / f).glob("*.tif")), f) for f in ("one", "two")]
    result = check_rasters(sides[0], sides[1], DriftRules(), labels=("one", "two"))
    assert set(result.layers) == {"age", "slope"}
    assert {"missing-layer", "extra-layer"} <= codes(result)
    assert not check_rasters(sides[0], sides[1], DriftRules(exclude=("gone",)), labels=("one", "two")).failed
    with pytest.raises(InputError, match="no common layers"):
        check_rasters(sides[0], sides[1], DriftRules(columns=("gone",)))


def test_groups_are_for_tables(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", SMOOTH)
    with pytest.raises(InputError, match="have their places already"):
        compare(path, path, DriftRules(groups=("site",)))


def test_block_size_is_in_units_of_the_map(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a.tif", SMOOTH), write(tmp_path / "b.tif", SMOOTH.T.copy())
    layer = compare(one, two, DriftRules(block_size=600.0)).layers["a"]
    assert layer.block == ((20, 20), (20, 20))
    assert layer.test.blocks.counts == (100, 100)
    with pytest.raises(InputError, match="makes more than 128 blocks"):
        compare(one, two, DriftRules(block_size=30.0))


def test_areas() -> None:
    from rasterio.crs import CRS

    whole = Grid(CRS.from_epsg(4326), (1.0, 0.0, -180.0, 0.0, -1.0, 90.0), 360, 180)
    # Surface of the WGS 84 ellipsoid.
    assert float(whole.row_areas().sum()) * 360 == pytest.approx(510_065_621.724 * 100, rel=1e-9)
    web = Grid(CRS.from_epsg(3857), (30.0, 0.0, 0.0, 0.0, -30.0, 8_399_737.889), 10, 10)
    latitude = math.degrees(2 * math.atan(math.exp(8_399_737.889 / 6_378_137)) - math.pi / 2)
    assert float(web.row_areas()[0]) == pytest.approx(0.09 * math.cos(math.radians(latitude)) ** 2, rel=1e-4)
    feet = Grid(CRS.from_epsg(2263), (100.0, 0.0, 0.0, 0.0, -100.0, 0.0), 4, 4)
    assert float(feet.row_areas()[0]) == pytest.approx((100 * 0.3048006096) ** 2 / 1e4, rel=1e-6)
    assert Grid(None, (1.0, 0.0, 5.0, 0.0, -1.0, 0.0), 4, 4).row_areas() is None


def test_windows_cover_a_raster_once(tmp_path: Path) -> None:
    values = np.arange(300 * 170, dtype="int32").reshape(300, 170)
    for profile in ({}, {"tiled": True, "blockxsize": 64, "blockysize": 16}, {"blockysize": 7}):
        path = write(tmp_path / "a.tif", values, **profile)
        (band,) = bands_of(path, "a.tif", "a")
        with gdal(), cells_of(band) as cells:
            seen = np.full(values.shape, -1)
            for row, column, height, width in band.windows():
                assert (seen[row : row + height, column : column + width] == -1).all()
                seen[row : row + height, column : column + width] = cells.read((row, column, height, width))[0]
        assert np.array_equal(seen, values)
    assert UTM["crs"] == band.grid.system
