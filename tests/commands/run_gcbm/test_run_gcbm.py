"""run-gcbm from a project's files to results, record, outputs and exit code."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import zipfile
from pathlib import Path

import pytest

from flint_ml.gcbm import indicators, load_project, run
from flint_ml.gcbm.results.indicators import COLUMNS
from helpers.database_content import content, differences
from helpers.gcbm import Place, small_project


@pytest.fixture(scope="session")
def landscape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_project(tmp_path_factory.mktemp("landscape") / "project")


@pytest.fixture
def place(tmp_path: Path, landscape: Path) -> Place:
    folder = tmp_path / "work"
    folder.mkdir()
    return Place(folder, landscape)


def test_results_record_and_outputs(place: Place, landscape: Path) -> None:
    code, record = place.run(figures="auto", spatial=["total_biomass_tC_ha:2016", "age_years"])
    assert (code, record["status"]) == (0, "passed")
    table = indicators(run(load_project(landscape)))
    last = dict(zip(table.columns, table.rows[-1], strict=True))
    assert last["year"] == 2016
    metrics = json.loads((place.folder / "gcbm-output/metrics.json").read_text())
    assert metrics["2016/total_ecosystem_tC"] == last["total_ecosystem_tC"] == metrics["total_ecosystem_tC"]
    assert {name.partition("/")[2] for name in metrics if name.startswith("2013/")} == set(COLUMNS)
    assert record["metrics"]["2013/disturbed_area_ha"]["value"] == metrics["2013/disturbed_area_ha"] > 100
    assert record["metrics"]["nbp_tC"] == {
        "value": last["nbp_tC"],
        "unit": "tC",
        "base": None,
        "direction": None,
        "note": None,
    }
    assert float(place.output("total-ecosystem")) == last["total_ecosystem_tC"]
    assert float(place.output("npp")) == last["npp_tC"]
    assert place.output("engine") == "embedded"
    assert place.output("output-db") == "gcbm-output/gcbm_output.db"
    assert "14 checks passed" in record["headline"]
    assert record["headline"].startswith("16,211 pixels, 11,547.89 ha, 2010–2016: total ecosystem")
    assert [badge["label"] for badge in record["details"]["badges"]] == ["Input check", "Carbon balance", "Area"]
    assert {badge["status"] for badge in record["details"]["badges"]} == {"passed"}
    results = place.folder / "flint-ml-results"
    assert len(record["figures"]) == 7
    assert all((results / figure["path"]).read_bytes()[:4] == b"\x89PNG" for figure in record["figures"])
    maps = {path.name for path in (place.folder / "gcbm-output/maps").iterdir()}
    assert maps == {"total_biomass_tC_ha_2016.tiff", "age_years_2016.tiff"}
    assert "landscape/input_database/gcbm_input.db" in {item["path"] for item in record["provenance"]["inputs"]}


def test_tables_by_group_add_up(place: Place) -> None:
    place.run()
    folder = place.folder / "gcbm-output"
    with (folder / "indicators.csv").open() as file:
        whole = {row["year"]: float(row["total_ecosystem_tC"]) for row in csv.DictReader(file)}
    for name in ("Species", "Site", "land_class", "age_class"):
        with (folder / f"indicators_by_{name}.csv").open() as file:
            rows = list(csv.DictReader(file))
        for year, expected in whole.items():
            found = sum(float(row["total_ecosystem_tC"]) for row in rows if row["year"] == year)
            assert found == pytest.approx(expected, rel=1e-12)
    with (folder / "disturbances.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["year"], row["disturbance_type"]) for row in rows] == [("2013", "Wildfire"), ("2016", "Clear-cut")]
    assert float(rows[1]["harvest_tC"]) > 0 == float(rows[0]["harvest_tC"])


def test_same_inputs_same_bytes(place: Place) -> None:
    place.run(parquet=True)
    first = place.contents()
    place.run(parquet=True, output_dir="again")
    assert place.contents("again") == first
    assert {"metrics.json", "run.json", "indicators.parquet", "indicators_by_Species.csv"} <= set(first)


def test_parquet_holds_what_csv_holds(place: Place) -> None:
    from pyarrow import parquet

    place.run(parquet=True)
    folder = place.folder / "gcbm-output"
    table = parquet.read_table(folder / "indicators_by_age_class.parquet").to_pylist()
    with (folder / "indicators_by_age_class.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(table) == len(rows) > 20
    for got, wanted in zip(table, rows, strict=True):
        assert got["age_class"] == wanted["age_class"]
        assert got["npp_tC"] == float(wanted["npp_tC"])


def test_a_zip_gives_the_same(place: Place) -> None:
    place.run()
    first = place.contents()
    with zipfile.ZipFile(place.folder / "landscape.zip", "w") as bundle:
        for path in place.project.rglob("*"):
            bundle.write(path, path.relative_to(place.folder))
    code, record = place.run(project="landscape.zip", output_dir="zipped")
    assert code == 0
    assert place.contents("zipped") == first
    assert [item["path"] for item in record["provenance"]["inputs"]] == ["landscape.zip"]


def test_chosen_indicators(place: Place) -> None:
    code, record = place.run(indicators=["*_biomass_tC", "nbp_tC"])
    assert code == 0
    names = {name.partition("/")[2] for name in record["metrics"] if "/" in name}
    assert names == {"total_biomass_tC", "aboveground_biomass_tC", "belowground_biomass_tC", "nbp_tC"}
    code, record = place.run(indicators=["biomas"])
    assert code == 2
    assert "no indicator 'biomas'" in record["headline"]


@pytest.mark.parametrize(
    ("wish", "code", "status"), [("warn", 0, "warned"), ("fail", 1, "failed"), ("ignore", 0, "passed")]
)
def test_a_check_does_what_the_settings_say(place: Place, wish: str, code: int, status: str) -> None:
    place.edit("layers/tiled/wildfire.json", lambda about: about["attributes"]["1"].update(year=2050))
    found, record = place.run(checks={"events-outside-run": wish})
    assert (found, record["status"]) == (code, status)
    check = next(c for c in record["details"]["checks"] if c["name"] == "events-outside-run")
    assert check["value"] > 100
    assert "wildfire 2050" in check["message"]


def test_more_stands_than_memory_in_several_passes(place: Place) -> None:
    place.run()
    first = place.contents()
    code, _ = place.run(max_memory="250MB")
    assert code == 0
    assert place.contents() == first
    for given in ("a lot", "200MB"):  # no amount; less than Python itself takes
        code, record = place.run(max_memory=given)
        assert code == 2
        assert "max-memory" in record["headline"]


def test_parts_join_to_exactly_the_single_run(place: Place) -> None:
    place.run(output_dir="single")
    code, record = place.run(plan=4)
    assert code == 0
    matrix = json.loads(place.output("matrix"))["include"]
    assert [entry["part"] for entry in matrix] == ["1/4", "2/4", "3/4", "4/4"]
    assert record["badge"] == {"label": "Plan", "message": "4 jobs"}
    for entry in matrix:
        code, record = place.run(part=entry["part"], name=entry["name"], output_dir="parts")
        assert code == 0
        assert record["name"] == entry["name"]
        assert record["details"]["pixels"] == entry["pixels"]
    code, record = place.run(merge=["parts"], output_dir="joined", figures="auto")
    assert code == 0
    assert place.contents("joined") == place.contents("single")
    databases = [content(place.folder / name / "gcbm_output.db") for name in ("single", "joined")]
    assert differences(*databases, relative=0.0, floor=0.0) == []


def test_a_missing_part_is_a_failure_not_a_smaller_area(place: Place) -> None:
    for part in ("1/4", "2/4", "4/4"):
        place.run(part=part, output_dir="parts")
    code, record = place.run(merge=["parts"])
    assert code == 2
    assert "a job is missing" in record["headline"]
    assert not (place.folder / "gcbm-output").exists()
    assert len(place.errors()) == 1


@pytest.mark.parametrize("part", ["5/4", "0/2", "two"])
def test_a_part_that_is_none(place: Place, part: str) -> None:
    code, record = place.run(part=part)
    assert code == 2
    assert "is no part" in record["headline"]


def test_check_lists_everything_in_one_go(place: Place) -> None:
    (place.project / "layers/tiled/initial_age.tiff").unlink()
    place.edit("layers/tiled/wildfire.json", lambda about: about["attributes"]["1"].update(disturbance_type="Flood"))
    code, record = place.run(check=True)
    assert (code, record["status"]) == (2, "error")
    found = {problem["code"]: problem["message"] for problem in record["details"]["problems"]}
    assert "initial_age.tiff does not exist" in found["gcbm-layer-missing"]
    assert "Flood" in json.dumps(found)
    assert len(place.errors()) == 1
    assert "1. error: " in place.log.getvalue()
    assert not (place.folder / "gcbm-output").exists()


def test_check_of_a_sound_project(place: Place) -> None:
    code, record = place.run(check=True)
    assert (code, record["headline"]) == (0, "the project can be run: 0 problems")
    assert record["badge"] == {"label": "Input check", "message": "0 problems"}


def test_fix_writes_a_copy_that_runs(place: Place) -> None:
    place.run()
    first = place.contents()
    tiled = place.project / "layers/tiled"
    (tiled / "initial_age.tiff").rename(tiled / "initial_age_moja.tiff")
    place.edit(
        "config/provider_config.json",
        lambda c: (
            [
                layer.update(layer_path=layer["layer_path"].replace("/", "\\"))
                for layer in c["Providers"]["RasterTiled"]["layers"]
            ]
            if "RasterTiled" in c["Providers"]
            else None
        ),
    )
    assert place.run()[0] == 2
    code, record = place.run(fix="mended")
    assert code == 0, record["headline"]
    assert record["details"]["mended"]
    code, _ = place.run(project="mended", output_dir="from-mended")
    assert code == 0
    mended = {name: data for name, data in place.contents("from-mended").items() if name != "run.json"}
    assert mended == {name: data for name, data in first.items() if name != "run.json"}


def _remove(place: Place, path: str) -> None:
    (place.project / path).unlink()


BAD = {
    "missing layer": (
        lambda p: _remove(p, "layers/tiled/Species.tiff"),
        "Species.tiff does not exist",
    ),
    "classifier values without growth curve": (
        lambda p: p.edit("layers/tiled/Species.json", lambda a: a["attributes"].clear()),
        "no growth curve",
    ),
    "broken JSON": (
        lambda p: (p.project / "config/variables.json").write_text('{"Variables": {,}}'),
        "this is not JSON",
    ),
    "missing table": (
        lambda p: _drop(p, "decay_parameter"),
        "decay_parameter",
    ),
    "unknown disturbance type": (
        lambda p: p.edit("layers/tiled/wildfire.json", lambda a: a["attributes"]["1"].update(disturbance_type="Flood")),
        "'Flood' is not in the input database",
    ),
    "no year": (
        lambda p: p.edit("config/localdomain.json", lambda a: a["LocalDomain"].update(end_date="2010/01/01")),
        "is not after start_date",
    ),
    "no database": (lambda p: _remove(p, "input_database/gcbm_input.db"), "does not exist"),
    "another module": (
        lambda p: p.edit(
            "config/modules_cbm.json", lambda a: a["Modules"].update(CBMPeatlandModule={"library": "moja.modules.cbm"})
        ),
        "does not implement",
    ),
}


def _drop(place: Place, table: str) -> None:
    with sqlite3.connect(place.project / "input_database/gcbm_input.db") as connection:
        connection.execute(f"DROP TABLE {table}")


@pytest.mark.parametrize("name", BAD)
def test_bad_input_says_what_and_leaves_the_earlier_results(place: Place, name: str) -> None:
    place.run()
    earlier = place.contents()
    spoil, message = BAD[name]
    spoil(place)
    code, record = place.run()
    assert (code, record["status"]) == (2, "error")
    assert message in json.dumps(record["findings"], ensure_ascii=False)
    assert record["findings"][0]["hint"]
    assert len(place.errors()) == 1
    assert place.contents() == earlier
    assert not list(place.folder.glob(".*part*"))


def test_the_flint_engine_is_named_where_the_embedded_one_does_not_do(place: Place) -> None:
    BAD["another module"][0](place)
    _, record = place.run()
    assert "CBMPeatlandModule" in record["findings"][0]["message"]
    assert "run-gcbm-flint@v1" in record["findings"][0]["hint"]


def test_a_disk_that_cannot_be_written(place: Place) -> None:
    (place.folder / "blocked").write_text("a file")
    code, record = place.run(output_dir="blocked/output")
    assert (code, record["status"]) == (3, "error")
    assert "cannot be written" in record["headline"]
    assert (place.folder / "blocked").read_text() == "a file"


def test_no_project_and_two_projects(place: Place) -> None:
    shutil.rmtree(place.project / "config")
    code, record = place.run()
    assert code == 2
    assert "no gcbm_config.cfg" in record["headline"]
    code, record = place.run(project="nowhere")
    assert code == 2
    assert "does not exist" in record["headline"]


@pytest.mark.parametrize("item", ["soup", "npp_tC_ha:then", "npp_tC_ha:1999"])
def test_a_map_that_cannot_be_made(place: Place, item: str) -> None:
    code, _ = place.run(spatial=[item])
    assert code == 2
    assert len(place.errors()) == 1
