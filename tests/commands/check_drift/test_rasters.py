"""check-drift of rasters from files to record, outputs and exit code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from helpers.drift import Folder, git
from helpers.rasters import field, write

RNG = np.random.default_rng(21)
FIRST, SECOND = (field(RNG, 160, 3).astype("float32") for _ in range(2))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    place = tmp_path / "work"
    place.mkdir()
    result = Folder(place)
    write(place / "ref.tif", FIRST)
    write(place / "new.tif", SECOND)
    return result


def run(folder: Folder, reference: str = "ref.tif", current: str = "new.tif", **given: object) -> tuple[int, dict]:
    return folder.run(reference=reference, current=current, **given)


def test_no_drift(folder: Folder) -> None:
    code, record = run(folder)
    assert (code, record["status"]) == (0, "passed")
    assert record["headline"].startswith("no drift: 0 of 1 layer drifted")
    assert record["badge"]["message"] == "Passed (0 of 1)"
    assert folder.output("drifted") == "false"
    assert record["tables"][0]["title"] == "Layers, worst first"
    layer = record["details"]["layers"][0]
    assert layer["same_grid"] is True
    assert layer["change"]["changed"] == 160 * 160
    assert record["details"]["columns"][0]["clustering"]["effective_n"][0] < 160 * 160 / 2


def test_drift_with_its_map(folder: Folder) -> None:
    write(folder.folder / "new.tif", SECOND + np.float32(1))
    code, record = run(folder, figures="auto")
    assert (code, record["status"]) == (1, "failed")
    assert record["headline"] == "1 of 1 layer drifted (ref)"
    assert json.loads(folder.output("drifted-columns")) == ["ref"]
    assert record["metrics"]["changed_area_ref"]["unit"] == "ha"
    assert record["metrics"]["mean_change_ref"]["value"] == pytest.approx(float((SECOND + 1 - FIRST).mean()), rel=1e-5)
    titles = [figure["title"] for figure in record["figures"]]
    assert "Where ref changed" in titles
    place = folder.folder / "flint-ml-results" / record["figures"][titles.index("Where ref changed")]["path"]
    assert place.read_bytes()[:4] == b"\x89PNG"
    assert (folder.folder / "flint-ml-results" / record["details"]["page"]).is_file()
    assert [i["path"] for i in record["provenance"]["inputs"]] == ["ref.tif", "new.tif"]


def test_the_layers_of_gcbm_need_no_settings(folder: Folder) -> None:
    source = Path(__file__).parents[3] / "examples/gcbm/layers/tiled"
    for name in ("ref", "new"):
        shutil.copytree(source, folder.folder / name)
    code, record = run(folder, "ref", "new")
    assert (code, record["status"]) == (0, "passed")
    assert {c["column"] for c in record["details"]["columns"]} == {
        "Site",
        "Species",
        "harvest",
        "initial_age",
        "mean_annual_temperature",
        "wildfire",
    }
    attributes = folder.folder / "new/Species.json"
    attributes.write_text(attributes.read_text().replace("Aspen", "Birch"))
    code, record = run(folder, "ref/*.tiff", "new/*.tiff")
    assert (code, json.loads(folder.output("drifted-columns"))) == (1, ["Species"])
    assert {f["code"] for f in record["findings"]} >= {"renumbered", "new-category"}
    moves = next(t for t in record["tables"] if t["title"] == "From class to class")["rows"]
    assert [row[1:3] for row in moves] == [["Aspen", "Birch"]]


def test_settings_of_a_layer(folder: Folder) -> None:
    write(folder.folder / "new.tif", SECOND + np.float32(1))
    assert run(folder, columns={"ref": {"min-effect": 0.9}})[0] == 0
    code, record = run(folder, columns={"ref": {"min-effect": 0.9, "range": [-1, 1]}})
    assert code == 1
    assert record["headline"].startswith("ref: ")
    assert run(folder, columns={"ref": {"test": "psi"}})[1]["details"]["columns"][0]["test"] == "PSI"


def test_a_mask(folder: Folder) -> None:
    new = FIRST.copy()
    new[:, :80] += 5
    write(folder.folder / "new.tif", new)
    mask = np.zeros(FIRST.shape, dtype="uint8")
    mask[:, 80:] = 1
    write(folder.folder / "mask.tif", mask)
    code, record = run(folder, mask="mask.tif")
    assert code == 0
    assert record["details"]["layers"][0]["change"]["compared"] == 160 * 80
    assert "mask.tif" in [i["path"] for i in record["provenance"]["inputs"]]


def repository(folder: Folder) -> str:
    git(folder.folder, "init", "-q", "-b", "main")
    git(folder.folder, "add", ".")
    git(folder.folder, "commit", "-qm", "base")
    return git(folder.folder, "rev-parse", "HEAD").strip()


def test_a_change_cannot_move_the_reference_or_the_mask(folder: Folder) -> None:
    cells = RNG.choice([1, 2], FIRST.shape).astype("uint8")
    mask = np.ones(FIRST.shape, dtype="uint8")
    write(folder.folder / "a/cover.tif", cells)
    (folder.folder / "a/cover.json").write_text('{"attributes": {"1": "Forest", "2": "Bog"}}')
    write(folder.folder / "mask.tif", mask)
    write(folder.folder / "b/cover.tif", cells)
    (folder.folder / "b/cover.json").write_text('{"attributes": {"1": "Fen", "2": "Heath"}}')
    base = repository(folder)
    event = {"pull_request": {"base": {"sha": base, "ref": "main"}, "head": {"sha": base}}}
    code, record = run(folder, "a", "b", mask="mask.tif", event=event)
    assert code == 1
    assert not [f for f in record["findings"] if f["code"] == "reference-changed"]
    # Only the names of the classes change: the raster's bytes stay.
    shutil.copy(folder.folder / "b/cover.json", folder.folder / "a/cover.json")
    write(folder.folder / "mask.tif", mask * 0)
    git(folder.folder, "commit", "-qam", "change")
    code, record = run(folder, "a", "b", mask="mask.tif", event=event)
    (changed,) = [f for f in record["findings"] if f["code"] == "reference-changed"]
    assert code == 1
    assert "reference `a`" in changed["message"]
    assert "mask `mask.tif`" in changed["message"]


def test_a_reference_of_another_revision(folder: Folder) -> None:
    base = repository(folder)
    write(folder.folder / "ref.tif", FIRST + np.float32(2))
    git(folder.folder, "commit", "-qam", "new map")
    code, record = run(folder, "ref.tif", "ref.tif", reference_rev=base)
    assert code == 1
    assert record["details"]["layers"][0]["change"]["mean"] == pytest.approx(2, rel=1e-5)
    assert record["details"]["reference"]["revision"] == base
    code, record = run(folder, "ref.tif", "ref.tif", reference_rev="nowhere")
    assert code == 2


def broken(folder: Folder) -> dict[str, str]:
    """Rasters that cannot be compared, with what the check says of them."""
    place = folder.folder
    whole = (place / "ref.tif").read_bytes()
    (place / "cut.tif").write_bytes(whole[: len(whole) // 3])
    (place / "head.tif").write_bytes(whole[:12])
    (place / "empty.tif").write_bytes(b"")
    (place / "text.tif").write_text("x,y\n1,2\n")
    (place / "png.tif").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 64)
    (place / "lfs.tif").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    (place / "layer.vrt").write_text("<VRTDataset/>")
    write(place / "void.tif", np.full(FIRST.shape, -1, dtype="float32"), nodata=-1)
    write(place / "nan.tif", np.full(FIRST.shape, np.nan, dtype="float32"))
    write(place / "complex.tif", FIRST.astype("complex64"))
    return {
        "cut.tif": "cannot be read",
        "head.tif": "cannot be read",
        "empty.tif": "is empty",
        "text.tif": "is no GeoTIFF",
        "png.tif": "is no GeoTIFF",
        "lfs.tif": "Git LFS pointer",
        "layer.vrt": "is no GeoTIFF",
        "void.tif": "has no values",
        "nan.tif": "has no values",
        "complex.tif": "complex numbers",
        "absent.tif": "does not exist",
        "table.csv": "is a raster, and",
        "folder": "is a raster, and",
    }


def test_bad_input_is_named_and_earlier_results_stay(folder: Folder) -> None:
    cases = broken(folder)
    folder.write("table.csv", "x,y\n1,2\n")
    (folder.folder / "folder").mkdir()
    run(folder, figures="auto")
    page = folder.folder / "flint-ml-results/check-drift/columns.html"
    before = page.read_bytes()
    for name, said in cases.items():
        code, record = run(folder, current=name)
        assert (name, code, record["status"]) == (name, 2, "error")
        assert said in record["headline"] + json.dumps(record["findings"]), name
        errors = [line for line in folder.log.getvalue().splitlines() if line.startswith("::error")]
        assert len(errors) == 1, name
        assert "Traceback" not in folder.log.getvalue() + folder.err.getvalue()
        assert page.read_bytes() == before


def test_damage_within_the_cells_is_found_when_they_are_read(folder: Folder) -> None:
    path = write(folder.folder / "new.tif", SECOND, tiled=True, blockxsize=32, blockysize=32, compress="deflate")
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 8000] = b"\xff" * 8000
    path.write_bytes(bytes(whole))
    code, record = run(folder)
    assert code == 2
    assert "damaged" in json.dumps(record)


@pytest.mark.parametrize(
    ("values", "profile"),
    [
        (SECOND, {"transform": (30.0, 4.0, 500_000.0, 4.0, -30.0, 5_400_000.0)}),
        (SECOND, {"crs": None, "transform": None}),
        (SECOND, {"crs": "EPSG:4326", "transform": (0.1, 0.0, 170.0, 0.0, -0.1, 95.0)}),
        (SECOND * np.float32(1e38), {}),
        (SECOND.astype("float64") * 1e307, {}),
        (np.full((160, 160), np.inf, dtype="float32"), {}),
        (SECOND[:1, :1], {}),
        (SECOND[:, :1], {}),
        (SECOND[:2], {"nodata": 3.4e38}),
        ((SECOND > 0).astype("uint8"), {"nbits": 1}),
        ((SECOND * 10).astype("int8"), {}),
        ((SECOND * 1e9).astype("int64"), {"nodata": 7}),
        ((np.abs(SECOND) * 1e9).astype("uint64"), {}),
        (SECOND, {"nodata": float("nan")}),
        ((SECOND * 30 + 100).astype("uint8"), {"nodata": 0, "compress": "lzw", "interleave": "band"}),
        (SECOND, {"BIGTIFF": "YES", "compress": "deflate", "predictor": 3}),
    ],
)
def test_odd_rasters_get_a_verdict(folder: Folder, values: np.ndarray, profile: dict) -> None:
    from rasterio.transform import Affine

    if profile.get("transform"):
        profile = {**profile, "transform": Affine(*profile["transform"])}
    write(folder.folder / "new.tif", values, **profile)
    for pair in (("ref.tif", "new.tif"), ("new.tif", "ref.tif"), ("new.tif", "new.tif")):
        code, record = run(folder, *pair, figures="auto" if pair[0] == "ref.tif" else "none")
        assert code in {0, 1}
        assert record["status"] in {"passed", "warned", "failed"}
    assert code == 0


def test_a_profile_is_of_tables(folder: Folder) -> None:
    folder.write("reference.profile.json", "{}")
    code, record = run(folder, reference="reference.profile.json")
    assert code == 2
    assert "a profile of a raster is not made" in json.dumps(record)


def test_a_raster_gets_no_profile(folder: Folder) -> None:
    from flint_ml.commands.drift_profile import ACTION
    from flint_ml.runner.context import Context
    from flint_ml.runner.run import run_action
    from flint_ml.runner.workflow_commands import Commands

    context = Context(on_github=True, workspace=folder.folder, head_sha="0" * 40, event_name="", event={})
    commands = Commands(on_github=True, stdout=folder.log, stderr=folder.err, env={})
    assert run_action(ACTION, {"reference": "ref.tif"}, env={}, context=context, commands=commands) == 2
    assert "a profile is made of tables only" in folder.log.getvalue()


def test_one_stand_of_another_class_asks_for_a_look(folder: Folder) -> None:
    """A single event is no drift of a field, but a seventh of the map is nothing to pass over."""
    classes = np.where(np.arange(160)[:, None] < 80, 1, 2).astype("uint8") * np.ones((1, 160), "uint8")
    write(folder.folder / "ref.tif", classes)
    classes[:46, :80] = 2
    write(folder.folder / "new.tif", classes)
    code, record = run(folder)
    assert (code, record["status"]) == (0, "warned")
    (finding,) = [f for f in record["findings"] if f["code"] == "classes-changed"]
    assert finding["message"].startswith("`ref`: 14% of the cells have another class than in the reference")
