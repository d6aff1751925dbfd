"""``validate``: everything missing or inconsistent in one list; ``mend``: a copy without it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flint_ml.errors import InputError
from flint_ml.gcbm import Project, indicators, load_project, repair, run, validate, write_database
from gcbm_example import write_layer
from helpers.shared_data import SHARED, needs_shared


@pytest.fixture
def folder(example_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(example_folder, tmp_path / "p")
    return tmp_path / "p"


def attributes(folder: Path, layer: str, records: object) -> None:
    file = folder / "layers" / "tiled" / f"{layer}.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "attributes": records}))


def variable(folder: Path, name: str, value: object, *, remove: bool = False) -> None:
    file = folder / "config" / "variables.json"
    content = json.loads(file.read_text())
    content["Variables"].pop(name, None) if remove else content["Variables"].update({name: value})
    file.write_text(json.dumps(content))


def sql(folder: Path, text: str) -> None:
    with sqlite3.connect(folder / "input_database" / "gcbm_input.db") as connection:
        connection.executescript(text)


def codes(folder: Path) -> list[tuple[str, str]]:
    return [(p.severity, p.code) for p in validate(load_project(folder))]


def test_a_sound_project_has_no_problems(example: Project) -> None:
    assert validate(example) == []


def event(**record: object) -> Callable[[Path], None]:
    base = {"year": 2013, "disturbance_type": "Wildfire"}
    return lambda folder: attributes(folder, "wildfire", {"1": {**base, **record}})


def forget(table: str, which: str) -> Callable[[Path], None]:
    return lambda folder: sql(folder, f"DELETE FROM {table} WHERE {which}")


@pytest.mark.parametrize(
    ("change", "severity", "code"),
    [
        (event(disturbance_type="Wild fire"), "error", "gcbm-disturbance-type"),
        (event(disturbance_type=None, disturbance_type_id=99), "error", "gcbm-disturbance-type"),
        (event(transition=77), "error", "gcbm-transition"),
        (event(year="soon"), "error", "gcbm-event"),
        (event(year=2050), "warning", "gcbm-event-year"),
        (event(conditions=[["age", "<", 3]]), "unsupported", "gcbm-unsupported"),
        (lambda f: attributes(f, "wildfire", {"1": "Wildfire"}), "error", "gcbm-event"),
        (lambda f: attributes(f, "wildfire", None), "error", "gcbm-event"),
        (lambda f: variable(f, "turnover_rates", None, remove=True), "error", "gcbm-variable"),
        (lambda f: variable(f, "admin_boundary", "Nowhere"), "error", "gcbm-spinup"),
        (lambda f: variable(f, "default_disturbance_order", ["Clear-cut"]), "error", "gcbm-disturbance-order"),
        (lambda f: (f / "layers/tiled/Site.tiff").unlink(), "error", "gcbm-layer-missing"),
        (lambda f: (f / "layers/tiled/Site.json").unlink(), "error", "gcbm-layer-json"),
        (lambda f: (f / "input_database/gcbm_input.db").unlink(), "error", "gcbm-database"),
        (lambda f: sql(f, "DROP TABLE pool"), "error", "gcbm-query"),
        (forget("growth_curve_classifier_value", "growth_curve_id = 2"), "warning", "gcbm-growth-curve"),
        (forget("disturbance_matrix_association", "disturbance_type_id = 2"), "error", "gcbm-matrix-missing"),
        (forget("disturbance_matrix_association", "disturbance_type_id = 1"), "error", "gcbm-matrix-missing"),
    ],
)
def test_each_fault_is_found(folder: Path, change: Callable[[Path], None], severity: str, code: str) -> None:
    change(folder)
    assert (severity, code) in codes(folder)


def test_all_faults_come_in_one_list_with_places_and_hints(folder: Path) -> None:
    (folder / "layers/tiled/Site.tiff").rename(folder / "layers/tiled/Site_new.tiff")
    attributes(folder, "wildfire", {"1": {"year": 2013, "disturbance_type": "Fire"}})
    variable(folder, "admin_boundary", None, remove=True)
    found = validate(load_project(folder))
    assert {p.code for p in found} >= {"gcbm-layer-missing", "gcbm-disturbance-type", "gcbm-variable"}
    assert all(p.where and p.hint for p in found)
    assert any("Site_new.tiff" in p.hint for p in found)


def test_a_classifier_that_an_event_leads_to_needs_a_curve(folder: Path) -> None:
    """Clear-cut plants spruce by an explicit transition; without the spruce curve those pixels are lost later."""
    event(transition=2)(folder)
    sql(folder, "DELETE FROM growth_curve_classifier_value WHERE growth_curve_id = 2")
    texts = [str(p) for p in validate(load_project(folder))]
    assert any("after Wildfire in 2013 no growth curve for Site=poor, Species=Spruce" in text for text in texts)


def test_null_ages_and_temperatures_are_counted(folder: Path) -> None:
    tiled = folder / "layers" / "tiled"
    write_layer(tiled, "initial_age", np.full((200, 200), 32767, dtype=np.int16))
    write_layer(tiled, "mean_annual_temperature", np.full((200, 200), 3.4e38, dtype=np.float32))
    found = {p.code: p for p in validate(load_project(folder))}
    assert found["gcbm-initial-age"].severity == "error"
    assert "16211 pixels" in found["gcbm-initial-age"].message
    assert found["gcbm-null-temperature"].severity == "warning"


def test_an_empty_tile_is_named(folder: Path) -> None:
    file = folder / "config" / "localdomain.json"
    content = json.loads(file.read_text())
    content["LocalDomain"]["landscape"]["tiles"] = [{"index": 12674}, {"index": 500}]
    file.write_text(json.dumps(content))
    assert ("warning", "gcbm-tile-empty") in codes(folder)
    content["LocalDomain"]["landscape"]["tiles"] = [{"index": 500}]
    file.write_text(json.dumps(content))
    assert ("error", "gcbm-tile-empty") in codes(folder)


def crop(folder: Path) -> None:
    """Crop all rasters inside a block, write a Windows path, and give one raster another name."""
    import rasterio
    from rasterio.windows import Window, transform

    for path in (folder / "layers" / "tiled").glob("*.tiff"):
        with rasterio.open(path) as raster:
            window = Window(3, 0, 190, 170)
            profile = {**raster.profile, "height": 170, "width": 190, "transform": transform(window, raster.transform)}
            data = raster.read(1, window=window)
        with rasterio.open(path, "w", **profile) as raster:
            raster.write(data, 1)
    (folder / "layers/tiled/Site.tiff").rename(folder / "layers/tiled/Site_masked.tiff")
    output = folder / "config" / "modules_output.json"
    output.write_text(output.read_text().replace("../output/gcbm_output.db", "..\\\\output\\\\gcbm_output.db"))


def test_cropped_rasters_run_here_and_are_explained(folder: Path) -> None:
    crop(folder)
    (folder / "layers/tiled/Site_masked.tiff").rename(folder / "layers/tiled/Site.tiff")
    project = load_project(folder)
    found = {p.code: p for p in validate(project)}
    assert {p.severity for p in found.values()} == {"warning"}
    assert "moja.cli cannot run this project" in found["gcbm-layer-cropped"].message
    assert "databasename" in found["gcbm-windows-path"].message
    assert run(project).pixels > 0


def test_a_mended_copy_is_sound_and_gives_the_same(folder: Path, tmp_path: Path) -> None:
    crop(folder)
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    done = repair(load_project(folder), tmp_path / "mended")
    assert {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()} == before
    assert any("Site_masked.tiff renamed to Site.tiff" in line for line in done)
    assert sum("padded" in line for line in done) == 6
    mended = load_project(tmp_path / "mended")
    assert validate(mended) == []
    assert mended.output_database.parent.is_dir()
    (folder / "layers/tiled/Site_masked.tiff").rename(folder / "layers/tiled/Site.tiff")
    one = write_database(run(load_project(folder)), tmp_path / "a.db").read_bytes()
    assert write_database(run(mended), tmp_path / "b.db").read_bytes() == one
    assert not list(tmp_path.glob(".*.part"))


def test_a_sound_project_needs_no_repair_but_whole_tiles(example: Project, tmp_path: Path) -> None:
    *padded, last = repair(example, tmp_path / "m")
    assert last == "output: folder made, because moja.cli loses its results without it"
    assert all("padded with no data to whole tiles" in line for line in padded)
    assert indicators(run(load_project(tmp_path / "m"))) == indicators(run(example))


def test_mending_into_a_full_folder_is_refused(example: Project, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "x").touch()
    with pytest.raises(InputError, match="not empty"):
        repair(example, tmp_path / "m")


@needs_shared
def test_the_demo_that_moja_cli_runs_without_result_is_explained_in_full(tmp_path: Path) -> None:
    project = load_project(SHARED / "gcbm-demo" / "GCBM_Demo_Run.zip")
    found = {p.code: p for p in validate(project)}
    assert set(found) == {"gcbm-layer-missing", "gcbm-windows-path", "gcbm-layer-cropped"}
    assert "mean_annual_temperature_moja_masked.tiff" in found["gcbm-layer-missing"].hint
    assert "2 paths with Windows separators" in found["gcbm-windows-path"].message
    assert "10 rasters" in found["gcbm-layer-cropped"].message
    with pytest.raises(InputError, match=r"mean_annual_temperature_moja\.tiff does not exist"):
        run(project)
    repair(project, tmp_path / "mended")
    mended = load_project(tmp_path / "mended")
    assert validate(mended) == []
    whole = run(load_project(SHARED / "gcbm-demo" / "linux-demo.zip"))
    assert indicators(run(mended)) == indicators(whole)
