"""examples/gcbm: the committed project, its pipeline, workflow and settings, run as a user would."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flint_ml.gcbm import load_project, validate
from flint_ml.gcbm.project.diff import changes
from helpers.gcbm import enlarge

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "gcbm"
MADE = shutil.ignore_patterns("cache", "tmp", "config.local", "*.csv", "gcbm_output.db", "flint-ml-results")


def run(folder: Path, command: str, expect: int = 0) -> str:
    """Run one command as the user's shell would find it, and return what it printed."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "DVC_SITE_CACHE_DIR": str(folder.parent / "site-cache"),
    }
    done = subprocess.run(
        shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def commit(folder: Path, message: str) -> None:
    run(folder, "git add -A")
    run(folder, f"git -c user.name=t -c user.email=t@example.org commit -qm '{message}'")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example in a repository of its own, reproduced once."""
    folder = tmp_path_factory.mktemp("gcbm") / "project"
    shutil.copytree(EXAMPLE, folder, ignore=MADE)
    run(folder, "git init --quiet --initial-branch main")
    commit(folder, "landscape")
    run(folder, "dvc repro")
    return folder


def test_the_committed_project_is_the_one_that_the_package_generates(tmp_path: Path) -> None:
    from gcbm_example import write_example

    assert not changes(write_example(tmp_path / "made"), EXAMPLE)
    assert validate(load_project(EXAMPLE)) == []


def test_repro_gives_the_committed_numbers_and_a_second_time_does_nothing(project: Path) -> None:
    committed = json.loads((EXAMPLE / "output/metrics.json").read_text())
    made = json.loads((project / "output/metrics.json").read_text())
    assert made == pytest.approx(committed, rel=1e-9, abs=1e-6)
    assert "Data and pipelines are up to date" in run(project, "dvc repro")
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    assert [dep["path"] for dep in lock["stages"]["simulate"]["deps"]] == ["config", "input_database", "layers"]
    outs = {out["path"] for out in lock["stages"]["simulate"]["outs"]}
    made_files = {f"output/{path.name}" for path in (project / "output").iterdir()}
    assert outs == made_files


def test_again_from_nothing_gives_the_same_bytes(project: Path, tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in (project / "output").iterdir() if path.suffix != ".db"}
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("output", "cache"))
    run(copy, "flint-ml run-gcbm --base none --figures none --parquet false")
    second = {path.name: path.read_bytes() for path in (copy / "output").iterdir() if path.suffix != ".db"}
    assert second == first


def test_a_larger_fire_is_reported_and_passes_when_it_is_declared(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "change"
    shutil.copytree(project, folder)
    run(folder, "git switch -qc larger-fire")
    enlarge(folder, "wildfire", 12)
    commit(folder, "larger fire")
    run(folder, "flint-ml run-gcbm")
    record: dict[str, Any] = json.loads((folder / "flint-ml-results/run-gcbm.json").read_text())
    assert record["status"] == "warned"
    assert record["details"]["first_year"] == 2013
    assert record["details"]["input_changes"]["layers"][0]["layer"] == "wildfire"
    run(folder, "flint-ml post-report --publisher none --expect run-gcbm --title Carbon")
    report = (folder / "flint-ml-results/report.md").read_text()
    screen = report.partition("<details>")[0]
    assert "🟡 Review" in screen
    assert "not declared" in screen
    assert "`layers/tiled/wildfire.tiff`" in screen
    assert "✅ Carbon balance: closes" in screen
    assert "the difference starts in 2013; 2010–2012 identical" in screen
    settings = yaml.safe_load((folder / "flint-ml.yml").read_text())
    settings["run-gcbm"]["expected"] = {"*": ["-60 %", "+60 %"]}
    (folder / "flint-ml.yml").write_text(yaml.safe_dump(settings))
    commit(folder, "declared")
    run(folder, "flint-ml run-gcbm")
    record = json.loads((folder / "flint-ml-results/run-gcbm.json").read_text())
    assert record["status"] == "passed", record["headline"]
    assert record["details"]["as_declared"] is True


@pytest.mark.parametrize("path", ["gcbm/.github/workflows/gcbm-gate.yml", "workflows/gcbm-matrix.yml"])
def test_workflows_use_inputs_that_exist_and_ask_for_no_permission_but_theirs(path: str) -> None:
    from flint_ml.commands import load
    from flint_ml.runner.inputs import dashed

    workflow = yaml.safe_load((ROOT / "examples" / path).read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert set(job["permissions"].items()) <= {("contents", "read"), ("pull-requests", "write")}
        for step in job["steps"]:
            name, _, version = step["uses"].partition("@")
            if name.startswith("moja-global/flint-ml-actions/"):
                assert version == "v1"
                known = {dashed(key) for key in load(name.rpartition("/")[2]).inputs.model_fields}
                assert set(step.get("with", {})) <= known
            else:
                assert len(version.partition(" ")[0]) == 40
