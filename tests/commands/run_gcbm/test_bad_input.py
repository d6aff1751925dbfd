"""Bad input to run-gcbm: a message that names file and key, exit code 2 or 3, and nothing half written."""

from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flint_ml.gcbm.results import output_db
from gcbm_example import write_layer
from helpers.gcbm import Place, small_project


@pytest.fixture(scope="module")
def landscape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_project(tmp_path_factory.mktemp("landscape") / "project")


@pytest.fixture
def place(tmp_path: Path, landscape: Path) -> Place:
    folder = tmp_path / "work"
    folder.mkdir()
    return Place(folder, landscape)


def tiled(place: Place, name: str) -> Path:
    return place.project / "layers" / "tiled" / name


def georeference(place: Place, layer: str, **change: Any) -> None:
    """Rewrite a raster's coordinate system or transform."""
    import rasterio

    with rasterio.open(tiled(place, f"{layer}.tiff"), "r+") as raster:
        for name, value in change.items():
            setattr(raster, name, value)


def other_cells(place: Place) -> None:
    from rasterio.transform import from_origin

    georeference(place, "wildfire", transform=from_origin(-106.0, 55.0, 0.002, 0.002))


def nodata_everywhere(place: Place) -> None:
    about = json.loads(tiled(place, "Species.json").read_text())
    nothing = np.full((200, 200), 255, dtype=np.uint8)
    write_layer(tiled(place, ""), "Species", nothing, attributes=about["attributes"])


def without_attribute(place: Place) -> None:
    place.edit("layers/tiled/wildfire.json", lambda about: about.update(attributes={"7": about["attributes"]["1"]}))


def broken(path: str) -> Callable[[Place], None]:
    """A JSON file that lacks the comma at the end of its second line."""

    def change(place: Place) -> None:
        file = place.project / path
        file.write_text('{\n  "layer_type": "GridLayer"\n  "layer_data": "Byte"\n}\n')

    return change


def drop(place: Place) -> None:
    with sqlite3.connect(place.project / "input_database/gcbm_input.db") as connection:
        connection.execute("DROP TABLE turnover_parameter")


def flood(place: Place) -> None:
    place.edit("layers/tiled/wildfire.json", lambda a: a["attributes"]["1"].update(disturbance_type="Flood"))


def late(place: Place) -> None:
    place.edit("layers/tiled/wildfire.json", lambda a: a["attributes"]["1"].update(year=2050))


def swapped_years(place: Place) -> None:
    place.edit("config/localdomain.json", lambda a: a["LocalDomain"].update(end_date="2009/01/01"))


# fault: how it is made, and what the message must name: the file first, then the key and the value
FAULTS: dict[str, tuple[Callable[[Place], object], list[str]]] = {
    "missing layer": (
        lambda p: tiled(p, "initial_age.tiff").unlink(),
        ["layers/tiled/initial_age.json", "layer initial_age", "initial_age.tiff does not exist"],
    ),
    "missing description": (
        lambda p: tiled(p, "initial_age.json").unlink(),
        ["config/provider_config.json", "layer initial_age", "initial_age.json does not exist"],
    ),
    "other coordinate system": (
        lambda p: georeference(p, "wildfire", crs="EPSG:3005"),
        ["layers/tiled/wildfire.json", "layer wildfire", "EPSG:3005"],
    ),
    "other cell size": (
        other_cells,
        ["layers/tiled/wildfire.json", "layer wildfire", "0.002 x 0.002 degrees", "says 0.001"],
    ),
    "no data everywhere": (
        nodata_everywhere,
        ["layers/tiled/Species.json", "no pixel to simulate", "no value anywhere in layer Species"],
    ),
    "broken configuration": (
        broken("config/variables.json"),
        ["landscape/config/variables.json:3", "not JSON", "column 3"],
    ),
    "broken layer description": (
        broken("layers/tiled/wildfire.json"),
        ["landscape/layers/tiled/wildfire.json:3", "not JSON", "column 3"],
    ),
    "missing table": (drop, ["config/variables.json", "turnover_rates", "turnover_parameter"]),
    "unknown disturbance type": (flood, ["layers/tiled/wildfire.json", "disturbance type", "'Flood'"]),
    "end before start": (swapped_years, ["config/localdomain.json", "end_date 2009/01/01 is not after start_date"]),
}


def said(place: Place, record: dict[str, Any]) -> str:
    """Everything that the user sees of an error."""
    findings = json.dumps(record["findings"], ensure_ascii=False)
    assert record["findings"][0]["hint"]
    output = place.log.getvalue() + place.err.getvalue()
    assert "Traceback" not in output + findings
    assert "defect" not in findings
    assert str(place.folder) not in findings  # paths are the repository's, not the machine's
    return findings


@pytest.mark.parametrize("name", FAULTS)
def test_the_message_names_file_and_key(place: Place, name: str) -> None:
    spoil, wanted = FAULTS[name]
    spoil(place)
    for given in ({}, {"check": True}):
        code, record = place.run(**given)
        assert (code, record["status"]) == (2, "error")
        text = said(place, record)
        assert [part for part in wanted if part not in text] == []
    assert not (place.folder / "gcbm-output").exists()
    assert not list(place.folder.glob(".*.part"))


def test_a_value_without_attribute_fails_a_check_and_leaves_the_results(place: Place) -> None:
    without_attribute(place)
    code, record = place.run(check=True)
    assert (code, record["status"]) == (0, "warned")
    assert "values without an entry" in said(place, record)
    code, record = place.run()
    assert (code, record["status"]) == (1, "failed")
    assert "wildfire" in record["headline"]
    assert (place.folder / "gcbm-output" / "gcbm_output.db").is_file()
    code, record = place.run(checks={"missing-attributes": "warn"})
    assert (code, record["status"]) == (0, "warned")


def test_a_year_outside_the_run_names_layer_and_year(place: Place) -> None:
    late(place)
    code, record = place.run(check=True)
    assert (code, record["status"]) == (0, "warned")
    assert "wildfire 2050" in said(place, record)
    code, record = place.run(checks={"events-outside-run": "fail"})
    assert (code, record["status"]) == (1, "failed")
    assert "wildfire 2050" in json.dumps(record["findings"])


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def full_at_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite may not grow beyond 16 pages: its own message of a full disk."""
    connect = sqlite3.connect

    def small(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        if str(arguments[0]).endswith("gcbm_output.db.part"):
            connection.execute("PRAGMA max_page_count = 16")
        return connection

    monkeypatch.setattr(output_db.sqlite3, "connect", small)


def full_at(suffix: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Half of a text file is written, then the disk is full."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        write = Path.write_text

        def half(self: Path, data: str, *arguments: Any, **options: Any) -> int:
            if self.name.endswith(suffix):
                write(self, data[: len(data) // 2], *arguments, **options)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
            return write(self, data, *arguments, **options)

        monkeypatch.setattr(Path, "write_text", half)

    return patch


def full_at_the_part(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(file: Any, **_: Any) -> None:
        file.write(b"PK")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez_compressed", half)


@pytest.mark.parametrize(
    ("full", "given", "named"),
    [
        (full_at_the_database, {}, "gcbm-output/gcbm_output.db: "),
        (full_at("indicators_by_Site.csv"), {}, "gcbm-output/indicators_by_Site.csv: "),
        (full_at("metrics.json"), {}, "gcbm-output/metrics.json: "),
        (full_at_the_part, {"part": "1/2"}, "gcbm-output/part-1-of-2.npz: "),
    ],
)
def test_a_full_disk_leaves_the_earlier_results(
    place: Place, monkeypatch: pytest.MonkeyPatch, full: Any, given: dict[str, Any], named: str
) -> None:
    assert place.run(**given)[0] == 0
    earlier = everything(place.folder / "gcbm-output")
    with monkeypatch.context() as patch:
        full(patch)
        code, record = place.run(**given)
    assert (code, record["status"]) == (3, "error")
    assert record["headline"].startswith(named)
    assert "full" in record["headline"] or "No space left on device" in record["headline"]
    assert "free disk space" in said(place, record)
    assert everything(place.folder / "gcbm-output") == earlier
    assert not [*place.folder.glob(".*.part"), *(place.folder / "gcbm-output").glob(".*.part")]
    assert place.run(**given)[0] == 0
    assert everything(place.folder / "gcbm-output") == earlier


KILLED = """
import os, signal, sys
from pathlib import Path
from helpers.gcbm import Place
from flint_ml.gcbm.results import tables

def die_at(owner, name, call):
    original, calls = getattr(owner, name), []
    def patched(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)
    setattr(owner, name, patched)

if sys.argv[2] == "writing":
    die_at(tables, "csv_text", 3)  # the database and two tables are written
else:
    die_at(Path, "replace", 6)  # some of the files are in their place
Place(Path(sys.argv[1])).run()
"""


@pytest.mark.parametrize("when", ["writing", "moving"])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_killed_run_leaves_nothing_that_looks_whole(place: Place, when: str, earlier: bool) -> None:
    results = place.folder / "gcbm-output"
    if earlier:
        place.run()
    before = everything(results)
    place.edit("layers/tiled/wildfire.json", lambda about: about["attributes"]["1"].update(year=2012))
    tests, scripts = Path(__file__).parents[2], Path(output_db.__file__).parents[3]
    paths = os.pathsep.join(map(str, (tests, tests.parent / "tools", scripts)))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(place.folder), when],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    if when == "writing":
        assert everything(results) == before
    else:
        assert everything(results) != before
        assert not (results / "run.json").exists()
    assert (place.folder / ".gcbm-output.part").is_dir()
    code, _ = place.run()
    assert code == 0
    assert not (place.folder / ".gcbm-output.part").exists()
    place.run(output_dir="whole")
    assert everything(results) == everything(place.folder / "whole")
