"""The engine flint under run-gcbm and run-gcbm-flint, with a stand-in that behaves as moja.cli does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from flint_ml import gcbm
from flint_ml.commands.run_gcbm_flint import ACTION as FLINT
from helpers.gcbm import Place, enlarge, small_project

STANDIN = Path(__file__).resolve().parents[1] / "gcbm" / "moja_cli" / "standin.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, gcbm.Result]:
    folder = small_project(tmp_path_factory.mktemp("flint") / "project")
    return folder, gcbm.run(gcbm.load_project(folder))


@pytest.fixture
def place(tmp_path: Path, made: tuple[Path, gcbm.Result], monkeypatch: pytest.MonkeyPatch) -> Place:
    """A workspace where moja.cli is on the PATH."""
    folder = tmp_path / "work"
    folder.mkdir()
    home = tmp_path / "opt"
    home.mkdir()
    (home / "moja.cli").write_text(f"#!{sys.executable}\n{STANDIN.read_text(encoding='utf-8')}", encoding="utf-8")
    (home / "moja.cli").chmod(0o755)
    for name in ("moja.modules.cbm", "moja.modules.gdal", "gdal"):
        (home / f"lib{name}.so").write_bytes(name.encode())
    database = gcbm.write_database(made[1], tmp_path / "good.db")
    monkeypatch.setenv("PATH", f"{home}:/usr/bin:/bin")
    monkeypatch.setenv("FLINT_STANDIN", "good")
    monkeypatch.setenv("FLINT_STANDIN_DB", str(database))
    monkeypatch.setenv("FLINT_STANDIN_PIXELS", str(made[1].pixels))
    return Place(folder, made[0])


def test_a_good_run_gives_what_the_embedded_engine_gives(place: Place) -> None:
    place.run(output_dir="embedded")
    code, record = place.run(engine="flint", output_dir="flint", figures="auto")
    assert (code, record["status"]) == (0, "passed"), record["headline"]
    assert record["details"]["kind"] == "flint"
    assert record["details"]["engine"].startswith("moja.cli sha256:")
    assert place.output("engine") == "flint"
    assert {check["name"] for check in record["details"]["checks"]} == {
        "carbon-balance",
        "area-constant",
        "stocks-not-negative",
        "missing-attributes",
    }
    metrics = [json.loads((place.folder / name / "metrics.json").read_text()) for name in ("embedded", "flint")]
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-9, abs=1e-9)
    names = [{path.name for path in (place.folder / name).iterdir()} for name in ("embedded", "flint")]
    assert names[0] == names[1]
    assert len(record["figures"]) == 5


def test_the_action_of_the_larger_image_is_the_same_with_the_engine_fixed(place: Place) -> None:
    (place.folder / "flint-ml.yml").write_text("run-gcbm: {output-dir: results}\n")
    code, record = place.run(FLINT)
    assert (code, record["action"], record["details"]["kind"]) == (0, "run-gcbm-flint", "flint")
    assert place.output("output-db") == "results/gcbm_output.db"
    assert place.run(FLINT, engine="embedded")[0] == 2


def test_auto_takes_flint_where_the_embedded_engine_does_not_do(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    library = {"library": "moja.modules.cbm", "order": 99}
    place.edit("config/modules_cbm.json", lambda a: a["Modules"].update(CBMPeatlandModule=library))
    code, record = place.run()
    assert (code, record["details"]["kind"]) == (0, "flint"), record["headline"]
    # The example's rasters end inside a tile, which moja.cli may crash on: told, and no more.
    assert {problem["code"] for problem in record["details"]["problems"]} == {"gcbm-layer-part-of-tile"}
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    code, record = place.run(output_dir="other")
    assert code == 2
    assert "there is no moja.cli here" in record["headline"]
    assert "run-gcbm-flint@v1" in record["findings"][0]["hint"]


@pytest.mark.parametrize(
    ("behaviour", "code", "words"),
    [
        ("unknown_type", 2, "no disturbance matrix"),
        ("no_data", 2, ""),
        ("crash", 3, ""),
        ("half_way", 3, ""),
        ("lost_area", 2, "ha"),
    ],
)
def test_a_run_that_does_not_count_publishes_nothing(
    place: Place, behaviour: str, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.run(engine="flint")
    earlier = place.contents()
    monkeypatch.setenv("FLINT_STANDIN", behaviour)
    found, record = place.run(engine="flint")
    assert (found, record["status"]) == (code, "error"), record["headline"]
    assert words in record["findings"][0]["message"]
    assert place.contents() == earlier
    assert len(place.errors()) == 1


def test_the_base_of_flint_is_the_base_s_own_results(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.git("init", "-q", "-b", "main")
    (place.folder / ".gitignore").write_text("flint-ml-results/\n*.db\n")
    code, record = place.run(engine="flint", base="auto")
    assert (code, record["details"]["verdict"]) == (0, "no-baseline")
    place.commit("results of main")
    enlarge(place.project, "wildfire", 12)
    place.commit("a larger fire")
    larger = gcbm.write_database(gcbm.run(gcbm.load_project(place.project)), place.folder.parent / "larger.db")
    monkeypatch.setenv("FLINT_STANDIN_DB", str(larger))
    code, record = place.run(engine="flint", base="auto")
    assert (code, record["details"]["verdict"], record["details"]["first_year"]) == (0, "changed", 2013)
    assert record["details"]["base"]["engine"] == record["details"]["engine"]
    code, record = place.run(engine="embedded", base="gcbm-output/metrics.json")
    assert code == 2
    assert "made by the engine `flint`" in record["headline"]


def test_maps_are_the_project_s_own_business_with_flint(place: Place) -> None:
    code, record = place.run(engine="flint", spatial=["npp_tC_ha"])
    assert code == 2
    assert "embedded engine makes maps" in record["headline"]
