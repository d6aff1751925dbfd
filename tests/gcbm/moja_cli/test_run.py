"""The flint engine against a stand-in that behaves as moja.cli does, row by row, and against a real one."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flint_ml import gcbm
from flint_ml.errors import FlintError, InputError, OutsideError
from flint_ml.gcbm.moja_cli import FlintRun, find_moja_cli, run_flint, version_of
from flint_ml.gcbm.moja_cli.database import landscape
from flint_ml.gcbm.moja_cli.follow import Finished
from flint_ml.gcbm.moja_cli.logbook import Logbook, Units
from flint_ml.gcbm.moja_cli.verdict import Run as Verdict
from flint_ml.gcbm.moja_cli.verdict import judge
from flint_ml.gcbm.project.config import Project
from gcbm_example import write_example

HERE = Path(__file__).parent
REAL = os.environ.get("FLINT_ML_MOJA_CLI", "")


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, int]:
    """The example project, the database of a good run, and its pixels."""
    folder = write_example(tmp_path_factory.mktemp("flint") / "project", years=(2010, 2014))
    result = gcbm.run(gcbm.load_project(folder))
    database = gcbm.write_database(result, folder.parent / "good.db")
    return folder, database, result.pixels


@pytest.fixture
def project(example: tuple[Path, Path, int]) -> Project:
    return gcbm.load_project(example[0])


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """An installation of the stand-in: executable and plug-in libraries."""
    home = tmp_path / "opt"
    home.mkdir()
    script = (HERE / "standin.py").read_text(encoding="utf-8")
    binary = home / "moja.cli"
    binary.write_text(f"#!{sys.executable}\n{script}", encoding="utf-8")
    binary.chmod(0o755)
    for name in ("moja.modules.cbm", "moja.modules.gdal", "gdal"):
        (home / f"lib{name}.so").write_bytes(name.encode())
    return binary


Run = Callable[..., FlintRun]


@pytest.fixture
def run(
    project: Project, engine: Path, tmp_path: Path, example: tuple[Path, Path, int], monkeypatch: pytest.MonkeyPatch
) -> Run:
    monkeypatch.setenv("FLINT_STANDIN_DB", str(example[1]))
    monkeypatch.setenv("FLINT_STANDIN_PIXELS", str(example[2]))

    def go(behaviour: str, **options: object) -> FlintRun:
        monkeypatch.setenv("FLINT_STANDIN", behaviour)
        settings = {"moja_cli": str(engine), "work": tmp_path / "work", "progress": None, **options}
        return run_flint(settings.pop("project", project), **settings)  # type: ignore[arg-type]

    return go


def test_a_good_run_gives_the_database_and_what_made_it(
    run: Run, engine: Path, example: tuple[Path, Path, int], tmp_path: Path
) -> None:
    seen: list[tuple[str, int, int]] = []
    done = run("good", progress=lambda *step: seen.append(step))
    assert gcbm.indicators(done.db) == gcbm.indicators(example[1])
    assert seen == [("simulated blocks", n, 4) for n in (1, 2, 3, 4)]
    assert set(done.version) == {"moja.cli", "libmoja.modules.cbm.so", "libmoja.modules.gdal.so", "other libraries"}
    assert done.pixels == example[2]
    assert [message.code for message in done.messages] == ["gcbm-layer-part-of-tile"]
    assert done.version["moja.cli"][:12] in done.engine
    assert sorted(p.name for p in (tmp_path / "work").iterdir()) == ["moja-cli.log", "output"]


def test_the_version_changes_with_a_library(engine: Path) -> None:
    before = version_of(engine)
    (engine.parent / "libgdal.so").write_bytes(b"another")
    after = version_of(engine)
    assert {name for name in before if before[name] != after[name]} == {"other libraries"}


# Behaviour, code, words of the message, exit code of the action.
ROWS = [
    ("missing_raster", "gcbm-flint-raster", "initial_age.tiff", 2),
    ("missing_table", "gcbm-flint-table", "no such table: turnover_parameter", 2),
    ("no_curve", "gcbm-flint-growth-curve", "without growth curve", 2),
    ("unknown_boundary", "gcbm-flint-boundary", "spatial_unit_id", 2),
    ("unknown_type", "gcbm-flint-disturbance-type", "Wildfyre in spatial unit 42", 2),
    ("no_data", "gcbm-flint-no-data", "no pixel with data", 2),
    ("broken_json", "gcbm-flint-json", "not valid JSON", 2),
    ("missing_config", "gcbm-flint-json", "variables.json", 2),
    ("missing_library", "gcbm-flint-library", "Library not found", 2),
    ("missing_module", "gcbm-flint-library", "CBMMossModule", 2),
    ("missing_layer_json", "gcbm-flint-layer-json", "initial_age.json", 2),
    ("bad_database", "gcbm-flint-database", "file is not a database", 2),
    ("output_gone", "gcbm-flint-output-folder", "results are lost", 3),
    ("output_readonly", "gcbm-flint-output-database", "readonly database", 3),
    ("crash", "gcbm-flint-segfault", "2 classifiers", 3),
    ("out_of_memory", "gcbm-flint-memory", "137", 3),
    ("allocation_fails", "gcbm-flint-memory", "memory", 3),
    ("half_way", "gcbm-flint-killed", "signal 15 (after 1 of 4 blocks", 3),
    ("part_of_pixels", "gcbm-flint-pixel-errors", "3 of 40000 pixels", 2),
    ("insert_fails", "gcbm-flint-fatal", "disk is full", 2),
    ("half_written", "gcbm-flint-output-database", "damaged", 3),
    ("lost_year", "gcbm-flint-years", "2011", 2),
    ("lost_area", "gcbm-flint-area", "the layers", 2),
    ("double_area", "gcbm-flint-area", "area changes", 2),
    ("lost_block", "gcbm-flint-blocks", "only 3 of 4 blocks", 2),
    ("no_insert", "gcbm-flint-no-insert", "half-written", 3),
    ("writes_elsewhere", "gcbm-flint-no-database", "gcbm_output.db", 2),
    ("other_exit", "gcbm-flint-exit", "something new", 3),
    ("other_fatal", "gcbm-flint-fatal", "Last pass disturbance", 2),
    ("usage", "gcbm-flint-not-started", "usage", 2),
]


@pytest.mark.parametrize(("behaviour", "code", "words", "exit_code"), ROWS, ids=[row[0] for row in ROWS])
def test_each_failure_has_its_message(
    run: Run, tmp_path: Path, behaviour: str, code: str, words: str, exit_code: int
) -> None:
    earlier = tmp_path / "work" / "output"
    earlier.mkdir(parents=True)
    (earlier / "gcbm_output.db").write_text("of an earlier run")
    with pytest.raises(FlintError) as caught:
        run(behaviour)
    error = caught.value
    assert error.code == code, error
    assert words in error.message
    assert error.hint
    assert error.exit_code == exit_code
    assert (earlier / "gcbm_output.db").read_text() == "of an earlier run"
    assert sorted(p.name for p in (tmp_path / "work").iterdir()) == ["moja-cli.log", "output"]


def test_every_row_of_the_table_has_a_code_of_its_own() -> None:
    """Rows of the same failure share one; no two failures do."""
    shared = {
        "gcbm-flint-json",
        "gcbm-flint-library",
        "gcbm-flint-memory",
        "gcbm-flint-area",
        "gcbm-flint-fatal",
        "gcbm-flint-output-database",
    }
    codes = [code for _, code, _, _ in ROWS if code not in shared]
    assert len(codes) == len(set(codes))


def test_an_error_line_alone_does_not_make_a_run_fail(run: Run) -> None:
    assert run("harmless_error").db.is_file()


@pytest.mark.parametrize(("behaviour", "limit"), [("hangs", "quiet"), ("chatters", "timeout")])
def test_a_run_that_does_not_end_is_stopped(run: Run, behaviour: str, limit: str) -> None:
    with pytest.raises(OutsideError, match="was stopped") as caught:
        run(behaviour, **{limit: 0.5})
    assert caught.value.code == "gcbm-flint-timeout"


def test_a_cancelled_run_ends_its_process(run: Run, tmp_path: Path) -> None:
    def cancel(*_: object) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run("good", progress=cancel)
    assert [p.name for p in (tmp_path / "work").iterdir()] == ["moja-cli.log"]
    assert threading.active_count() <= before + 1


def test_a_part_without_data_is_no_failure(run: Run) -> None:
    done = run("no_data", blocks=["12674:99"])
    assert done.empty
    assert not done.db.exists()


def edited(example: Path, target: Path, name: str, change: Callable[[dict[str, object]], None]) -> Project:
    """A copy of the example with one configuration file changed."""
    shutil.copytree(example, target)
    file = target / "config" / name
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")
    return gcbm.load_project(target)


def test_windows_paths_and_a_log_file_do_no_harm(run: Run, example: tuple[Path, Path, int], tmp_path: Path) -> None:
    def windows(content: dict[str, object]) -> None:
        text = json.dumps(content).replace("../layers/tiled/", r"..\\layers\\tiled\\")
        content.clear()
        content.update(json.loads(text))

    project = edited(example[0], tmp_path / "windows", "provider_config.json", windows)
    output = tmp_path / "windows" / "config" / "modules_output.json"
    output.write_text(output.read_text().replace("../output/gcbm_output.db", r"..\\output\\gcbm_output.db"))
    (tmp_path / "windows" / "config" / "logging.conf").write_text("[Sinks.file]\nFileName=../output/logs/x.log\n")
    before = sorted(tmp_path.joinpath("windows").rglob("*"))
    assert run("good", project=gcbm.load_project(project.root)).db.is_file()
    assert sorted(tmp_path.joinpath("windows").rglob("*")) == before


def test_threads_and_blocks_are_written_into_the_copy(project: Project, tmp_path: Path) -> None:
    from flint_ml.gcbm.moja_cli.prepare import prepare

    whole = prepare(project, tmp_path / "a", threads=3)
    part = prepare(project, tmp_path / "b", blocks=["12674:11"])
    found = []
    for prepared in (whole, part):
        file = next(prepared.folder.glob("*localdomain.json"))
        found.append(json.loads(file.read_text())["LocalDomain"]["landscape"])
    assert found[0]["num_threads"] == 3
    assert found[0]["tiles"]
    assert found[1]["num_threads"] == 0
    assert found[1]["iteration_type"] == "BlockIndex"
    assert found[1]["blocks"] == [{"tile_index": 12674, "block_index": 11}]
    assert "tiles" not in found[1]


def test_output_folders_are_made_inside_the_run(example: tuple[Path, Path, int], tmp_path: Path) -> None:
    from flint_ml.gcbm.moja_cli.prepare import prepare

    def maps(content: dict[str, object]) -> None:
        content["Modules"]["WriteVariableGeotiff"] = {  # type: ignore[index]
            "enabled": True,
            "order": 11,
            "library": "moja.modules.gdal",
            "settings": {"items": [], "output_path": r"..\output\spatial"},
        }

    project = edited(example[0], tmp_path / "maps", "modules_output.json", maps)
    prepared = prepare(project, tmp_path / "run")
    assert (prepared.output / "spatial").is_dir()
    text = next(prepared.folder.glob("*modules_output.json")).read_text()
    assert json.loads(text)["Modules"]["WriteVariableGeotiff"]["settings"]["output_path"] == str(
        prepared.output / "spatial"
    )


def test_preflight_finds_a_missing_plugin(run: Run, engine: Path) -> None:
    (engine.parent / "libmoja.modules.gdal.so").unlink()
    with pytest.raises(InputError, match=r"libmoja\.modules\.gdal\.so is not beside") as caught:
        run("good")
    assert caught.value.code == "gcbm-flint-library"


def test_preflight_lists_what_the_project_lacks(run: Run, example: tuple[Path, Path, int], tmp_path: Path) -> None:
    target = tmp_path / "broken"
    shutil.copytree(example[0], target)
    (target / "layers" / "tiled" / "initial_age.tiff").unlink()
    (target / "layers" / "tiled" / "harvest.json").unlink()
    with pytest.raises(InputError, match="would fail") as caught:
        run("good", project=gcbm.load_project(target))
    assert "initial_age.tiff" in caught.value.message
    assert "harvest.json" in caught.value.message


def unsupported_project(example: Path, target: Path) -> Project:
    """One that only the C++ can run: the moss modules."""

    def moss(content: dict[str, object]) -> None:
        content["Modules"]["MossGrowthModule"] = {  # type: ignore[index]
            "enabled": True,
            "order": 20,
            "library": "moja.modules.cbm",
        }

    return edited(example, target, "modules_cbm.json", moss)


def test_a_project_only_for_the_cpp_is_run_and_checked(
    run: Run, example: tuple[Path, Path, int], tmp_path: Path
) -> None:
    project = unsupported_project(example[0], tmp_path / "moss")
    assert gcbm.unsupported(project)
    assert run("good", project=project).db.is_file()
    with pytest.raises(InputError, match="the layers"):
        run("lost_area", project=project)
    connection = sqlite3.connect(project.database)
    connection.execute("DROP TABLE turnover_parameter")
    connection.commit()
    connection.close()
    (tmp_path / "moss" / "layers" / "tiled" / "wildfire.tiff").unlink()
    with pytest.raises(InputError, match="no such table") as caught:
        run("good", project=project)
    assert "wildfire.tiff" in caught.value.message


def test_the_executable_is_found_by_path_folder_or_search_path(
    engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_moja_cli(str(engine)) == engine
    assert find_moja_cli(str(engine.parent)) == engine
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_moja_cli(None) is None
    monkeypatch.setenv("PATH", str(engine.parent))
    assert find_moja_cli(None) == engine
    engine.chmod(0o644)
    with pytest.raises(InputError, match="may not be executed"):
        find_moja_cli(str(engine))
    with pytest.raises(InputError, match="there is no"):
        find_moja_cli(str(tmp_path / "nothing"))


def test_without_an_executable_the_one_line_to_change_is_named(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="not on the PATH") as caught:
        run_flint(project, moja_cli=None, work=tmp_path / "work", progress=None)
    assert "run-gcbm-flint@v1" in (caught.value.hint or "")


def test_an_executable_for_another_system_cannot_be_started(run: Run, engine: Path) -> None:
    engine.write_bytes(b"\x7fELF-not-really")
    with pytest.raises(OutsideError, match="cannot be started") as caught:
        run("good")
    assert caught.value.code == "gcbm-flint-start"


def test_the_log_is_read_by_blocks_not_by_record_numbers() -> None:
    book = Logbook()
    lines = [
        "<t> (info) -   0:Total Blocks queued for simulation: 2",
        "<t> (info) -   1: Stats level [Block]: Record [    2 of     2]: Index [12674, 1]: Time(ms) [Total: 1, "
        "Processed: 1]: Units [Total:    100, Processed:      7, NotProcessed:   93, Errors:        0, LU/second: 9]",
        "<t> (fatal) - first line",
        "[tag_variablename*] = growth_curve_id",
        "<t> (info) - Time(sec) Errors: 0",
    ]
    assert [book.read(line + "\n") for line in lines] == [False, True, False, False, False]
    assert (book.blocks, book.queued, book.pixels.processed, book.pixels.errors) == (1, 2, 7, 0)
    assert list(book.fatal) == ["first line\n[tag_variablename*] = growth_curve_id"]


def test_a_real_result_with_pixels_in_error_does_not_count(tmp_path: Path) -> None:
    """moja.cli's own database of the made case in which six pixels have no growth curve."""
    archive = HERE.parents[3] / "shared" / "data" / "gcbm-cases" / "case-1-events.zip"
    if not archive.is_file():
        pytest.skip("../shared/data/gcbm-cases is not here: moja.cli's own results were not judged")
    shutil.unpack_archive(archive, tmp_path)
    (database,) = tmp_path.rglob("gcbm_output.db")
    project = gcbm.load_project(tmp_path / "case-1-events")
    book = Logbook(queued=1, blocks=1, summary=Units(60, 54, 6), inserted=True)
    found = judge(
        Verdict(Finished(0, 1.0, None, 1.0), book, database, project.years, landscape(project), classifiers=2)
    )
    assert [problem.code for problem in found] == [
        "gcbm-flint-growth-curve",
        "gcbm-flint-pixel-errors",
        "gcbm-flint-area",
        "gcbm-flint-area",
    ]


def test_the_dockerfile_has_a_flint_target_and_builds_the_common_image_by_default() -> None:
    lines = (HERE.parents[2] / "Dockerfile").read_text(encoding="utf-8").splitlines()
    stages = [line.split()[1:] for line in lines if line.startswith("FROM ")]
    assert ["common", "AS", "flint"] in stages
    assert stages[-1] == ["common"]
    assert "ARG GCBM_IMAGE=debian:trixie-slim" in lines


@pytest.fixture
def real() -> str:
    if not REAL:
        pytest.skip("set FLINT_ML_MOJA_CLI to moja.cli to hold the embedded engine against it")
    return REAL


def test_the_real_engine_agrees_with_the_embedded_one(
    real: str, project: Project, example: tuple[Path, Path, int], tmp_path: Path
) -> None:
    done = run_flint(project, moja_cli=real, work=tmp_path / "work", progress=None)
    mine, theirs = gcbm.indicators(example[1]), gcbm.indicators(done.db)
    assert mine.columns == theirs.columns
    for own, other in zip(mine.rows, theirs.rows, strict=True):
        assert own == pytest.approx(other, rel=1e-5, abs=1e-3)
