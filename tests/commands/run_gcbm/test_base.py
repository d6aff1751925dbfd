"""run-gcbm against its base, and with parameters and observations."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import tempfile
import zipfile
from pathlib import Path

import pytest

from helpers.gcbm import Place, enlarge, small_project


@pytest.fixture(scope="session")
def landscape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_project(tmp_path_factory.mktemp("landscape") / "project")


@pytest.fixture
def place(tmp_path: Path, landscape: Path) -> Place:
    folder = tmp_path / "work"
    folder.mkdir()
    return Place(folder, landscape)


@pytest.fixture
def repository(place: Place) -> Place:
    """The project committed on main; the run is that of a push whose parent is the base."""
    place.git("init", "-q", "-b", "main")
    (place.folder / ".gitignore").write_text("gcbm-output/\nflint-ml-results/\n")
    place.commit("main")
    return place


def test_an_unchanged_project_is_the_same_as_its_base(repository: Place) -> None:
    (repository.folder / "notes.md").write_text("words")
    repository.commit("notes")
    code, record = repository.run(base="auto", figures="auto")
    assert (code, record["status"]) == (0, "passed")
    assert record["details"]["verdict"] == "same"
    assert record["headline"].startswith("same as the base: total ecosystem")
    assert record["badge"] == {"label": "Results", "message": "same as the base"}
    assert record["provenance"]["base_sha"] == repository.git("rev-parse", "HEAD^1")
    assert record["details"]["first_year"] is None
    assert record["details"]["changes"]["code"] == ["notes.md"]
    assert record["metrics"]["nbp_tC"]["base"] == record["metrics"]["nbp_tC"]["value"]


def test_one_layer_changed_says_where_when_and_how_much(repository: Place) -> None:
    repository.run()
    before = json.loads((repository.folder / "gcbm-output/metrics.json").read_text())
    enlarge(repository.project, "wildfire", 12)
    repository.commit("a larger fire")
    code, record = repository.run(base="auto", figures="auto")
    after = json.loads((repository.folder / "gcbm-output/metrics.json").read_text())
    assert (code, record["status"]) == (0, "warned")
    details = record["details"]
    assert (details["verdict"], details["as_declared"], details["first_year"]) == ("changed", False, 2013)
    name = "2013/disturbed_area_ha"
    assert record["metrics"][name]["base"] == before[name] < record["metrics"][name]["value"] == after[name]
    # Other pixels are summed in another order from the database, so the last digit is free.
    assert after["2012/total_ecosystem_tC"] == pytest.approx(before["2012/total_ecosystem_tC"], rel=1e-14)
    table = record["tables"][0]
    assert [column["name"] for column in table["columns"]] == [
        "Indicator (tC unless stated)",
        "year",
        "base",
        "this change",
        "change",
        "tolerance",
        "result",
    ]
    row = next(row for row in table["rows"] if row[0] == "Disturbed area (ha)")
    assert row[1:4] == ["2013", before[name], after[name]]
    assert row[6] == "not declared"
    assert row[4].startswith("+")
    layer = details["input_changes"]["layers"][0]
    assert (layer["layer"], layer["transitions"][0]["from"]) == ("wildfire", "none")
    assert layer["area_ha"] == pytest.approx(after[name] - before[name])
    assert details["changed_pixels"] == layer["pixels"] > 100
    assert details["changed_area_ha"] == pytest.approx(layer["area_ha"])
    assert details["changes"]["data"] == [
        {"path": "layers/tiled/wildfire.tiff", "kind": "layer", "change": details["changes"]["data"][0]["change"]}
    ]
    assert f"{layer['pixels']:,} pixels" in details["changes"]["data"][0]["change"]
    assert record["figures"][0]["path"] == "run-gcbm/overview.png"
    assert "differ" in record["figures"][0]["alt"]
    assert any(f["code"] == "gcbm-first-year" and "2010–2012 identical" in f["message"] for f in record["findings"])


def test_a_layer_that_loses_forest_shows_in_the_area(repository: Place) -> None:
    def area() -> dict[str, str]:
        badges = repository.run(base="auto", figures="none")[1]["details"]["badges"]
        return next(badge for badge in badges if badge["label"] == "Area")

    (repository.folder / "notes.md").write_text("words")
    repository.commit("notes")
    assert area()["message"].endswith("ha, unchanged")
    import rasterio

    with rasterio.open(repository.project / "layers/tiled/Species.tiff", "r+") as layer:
        values = layer.read(1)
        values[: len(values) // 2] = layer.nodata
        layer.write(values, 1)
    repository.commit("half the species are gone")
    badge = area()
    assert re.fullmatch(r"[\d,.]+ → [\d,.]+ ha", badge["message"])
    assert badge["status"] == "warned"


def test_a_declared_change_passes_and_an_earlier_declaration_does_not_count(repository: Place) -> None:
    declared = {"*/total_ecosystem_tC": ["-10 %", "+1 %"], "*": ["-100 %", "+500 %"]}
    enlarge(repository.project, "wildfire", 12)
    settings = {"run-gcbm": {"expected": declared}}
    (repository.folder / "flint-ml.yml").write_text(json.dumps(settings))
    repository.commit("a larger fire, declared")
    code, record = repository.run(base="auto")
    assert (code, record["status"]) == (0, "passed"), record["headline"]
    assert record["details"]["as_declared"] is True
    assert record["headline"].count("as declared") == 2
    enlarge(repository.project, "wildfire", 12)
    repository.commit("larger still")
    code, record = repository.run(base="auto")
    assert (code, record["status"]) == (0, "warned")
    assert "expected-stale" in {finding["code"] for finding in record["findings"]}


def test_a_declaration_that_does_not_happen_is_said(repository: Place) -> None:
    settings = {"run-gcbm": {"expected": {"2013/disturbed_area_ha": ["+20 %", "+50 %"]}}}
    (repository.folder / "flint-ml.yml").write_text(json.dumps(settings))
    repository.commit("declared and not done")
    code, record = repository.run(base="auto")
    assert (code, record["status"]) == (0, "warned")
    assert "2013/disturbed_area_ha" in record["headline"]


def test_several_changes_are_told_apart_by_their_effects(repository: Place) -> None:
    enlarge(repository.project, "wildfire", 12)
    with sqlite3.connect(repository.project / "input_database/gcbm_input.db") as connection:
        connection.execute("UPDATE turnover_parameter SET foliage = foliage * 1.2")
    repository.commit("fire and turnover")
    code, record = repository.run(base="auto")
    assert code == 0
    tables = {table["title"]: table for table in record["tables"]}
    effects = next(table for title, table in tables.items() if title.startswith("Effect of each change on Total eco"))
    names = [row[0] for row in effects["rows"]]
    assert len(names) == 4
    assert names[-2:] == ["all together", "acting on each other"]
    together = record["metrics"]["total_ecosystem_tC"]
    parts = [row[1] for row in effects["rows"]]
    assert parts[2] == pytest.approx(together["value"] - together["base"])
    assert sum(parts[:2]) + parts[3] == pytest.approx(parts[2])
    assert all(part for part in parts[:2])
    parameters = record["details"]["input_changes"]["parameters"]
    assert {(p["table"], p["column"]) for p in parameters} == {("turnover_parameter", "foliage")}


def test_the_first_commit_and_a_new_project_have_no_baseline(repository: Place) -> None:
    code, record = repository.run(base="auto")
    assert (code, record["status"]) == (0, "passed")
    assert record["details"]["verdict"] == "no-baseline"
    shutil.copytree(repository.project, repository.folder / "second")
    repository.commit("another project")
    code, record = repository.run(base="auto", project="second")
    assert code == 0
    assert "no GCBM project in `second`" in record["details"]["base"]["how"]


def test_a_broken_base_does_not_stop_the_change_that_mends_it(repository: Place) -> None:
    good = (repository.project / "config/variables.json").read_text(encoding="utf-8")
    (repository.project / "config/variables.json").write_text("{")
    repository.commit("broken")
    (repository.project / "config/variables.json").write_text(good, encoding="utf-8")
    repository.commit("mended")
    code, record = repository.run(base="auto")
    assert code == 0
    assert record["details"]["verdict"] == "no-baseline"
    assert any("cannot be run" in finding["message"] for finding in record["findings"])


def test_the_base_as_metrics_database_folder_or_project(place: Place) -> None:
    place.run(output_dir="base")
    shutil.copytree(place.project, place.folder / "older")
    enlarge(place.project, "wildfire", 12)
    verdicts = {}
    for base in ("base", "base/metrics.json", "base/gcbm_output.db", "older"):
        code, record = place.run(base=base)
        assert code == 0
        verdicts[base] = (
            record["details"]["verdict"],
            record["details"]["first_year"],
            record["tables"][0]["rows"][0][:2],
        )
        assert record["details"]["base"]["how"] == f"`{base}`"
    assert verdicts["base"][:2] == ("changed", 2013)
    assert all(verdict == verdicts["base"] for verdict in verdicts.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not valid JSON"), ('{"rmse": 1.2}', "no results of a GCBM run"), (None, "does not exist")],
)
def test_a_base_that_is_none(place: Place, content: str | None, message: str) -> None:
    if content is not None:
        (place.folder / "base.json").write_text(content)
    code, record = place.run(base="base.json")
    assert code == 2
    assert message in record["headline"]
    assert not (place.folder / "gcbm-output").exists()


def test_results_of_another_engine_are_not_compared_unless_told(place: Place) -> None:
    place.run(output_dir="base")
    about = json.loads((place.folder / "base/run.json").read_text())
    (place.folder / "base/run.json").write_text(json.dumps({**about, "kind": "flint", "engine": "moja.cli sha256:1"}))
    code, record = place.run(base="base")
    assert code == 2
    assert "moja.cli sha256:1" in record["headline"]
    code, record = place.run(base="base", allow_other_engine=True)
    assert (code, record["details"]["verdict"]) == (0, "same")


def test_a_warning_that_the_base_has_too_asks_for_no_review(repository: Place) -> None:
    repository.edit("layers/tiled/wildfire.json", lambda about: about["attributes"]["1"].update(year=2050))
    repository.commit("a fire outside the run")
    assert repository.run(base="auto")[1]["status"] == "warned"
    (repository.folder / "notes.md").write_text("words")
    repository.commit("notes")
    code, record = repository.run(base="auto")
    assert (code, record["status"]) == (0, "passed")
    assert next(c for c in record["details"]["checks"] if c["name"] == "events-outside-run")["known"] is True


def test_inputs_under_dvc_come_from_its_cache(repository: Place) -> None:
    """The base's layers are taken from DVC's cache; one that is not there is said, with what to do."""
    tracked = repository.project / "layers/tiled/wildfire.tiff"
    (repository.folder / ".dvc").mkdir()

    def track() -> Path:
        data = tracked.read_bytes()
        digest = hashlib.md5(data).hexdigest()
        cached = repository.folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_bytes(data)
        out = {"md5": digest, "size": len(data), "hash": "md5", "path": tracked.name}
        tracked.with_name(f"{tracked.name}.dvc").write_text(json.dumps({"outs": [out]}))
        return cached

    (repository.folder / ".gitignore").write_text("gcbm-output/\nflint-ml-results/\nwildfire.tiff\n/.dvc/cache\n")
    repository.git("rm", "-q", "--cached", str(tracked))
    before = track()
    repository.commit("the layer under DVC")
    enlarge(repository.project, "wildfire", 12)
    track()
    repository.commit("a larger fire")
    code, record = repository.run(base="auto")
    assert (code, record["details"]["first_year"]) == (0, 2013)
    before.unlink()
    code, record = repository.run(base="auto")
    assert code == 2
    assert "wildfire.tiff" in record["headline"]
    assert "pull-data" in record["findings"][0]["hint"]


def test_parameters_of_params_yaml_and_the_fit_to_observations(repository: Place) -> None:
    lines = [
        "Species,year,indicator,value,standard_deviation",
        "Spruce,2015,total_ecosystem_tC_ha,250,5",
        "Aspen,2015,total_ecosystem_tC_ha,240,5",
    ]
    (repository.folder / "plots.csv").write_text("\n".join(lines) + "\n")
    (repository.folder / "params.yaml").write_text("gcbm: {turnover_parameter: {genus=Spruce: {stem: 0.006}}}\n")
    repository.commit("observations and parameters")
    given = {"observations": "plots.csv", "params": "params.yaml:gcbm", "base": "auto", "figures": "auto"}
    _, first = repository.run(**given)
    (repository.folder / "params.yaml").write_text("gcbm: {turnover_parameter: {genus=Spruce: {stem: 0.03}}}\n")
    repository.commit("another turnover")
    code, record = repository.run(**given)
    name = "calibration/total_ecosystem_tC_ha/rmse"
    assert record["metrics"][name]["base"] == first["metrics"][name]["value"] != record["metrics"][name]["value"]
    assert record["metrics"][name]["direction"] == "lower"
    better = record["metrics"][name]["value"] < record["metrics"][name]["base"]
    assert record["details"]["verdict"] == ("better" if better else "worse")
    assert code == (0 if better else 1)
    assert (
        json.loads((repository.folder / "gcbm-output/metrics.json").read_text())[name]
        == record["metrics"][name]["value"]
    )
    assert "run-gcbm/observations.png" in {figure["path"] for figure in record["figures"]}
    parameters = [row["path"] for row in record["details"]["changes"]["params"]]
    assert len(parameters) == 1
    assert re.fullmatch(r"turnover_parameter \(.*Spruce.*\) stem", parameters[0])
    code, record = repository.run(params="params.yaml:nothing")
    assert (code, "there is no `nothing`" in record["headline"]) == (2, True)


def test_a_zip_without_a_project_is_named_and_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = place.folder.parent / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with zipfile.ZipFile(place.folder / "other.zip", "w") as bundle:
        bundle.writestr("readme.txt", "nothing")
    code, record = place.run(project="other.zip")
    assert code == 2
    assert record["headline"].startswith("other.zip: no gcbm_config.cfg")
    place.run(check=True)
    assert list(temporary.iterdir()) == []
