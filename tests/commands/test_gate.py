"""`flint-ml gate`: the steps in order, one report, the worst exit code; and the plan that the root action asks for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flint_ml import commands as actions
from flint_ml.commands import gate

SETTINGS = """
gate:
  command: python train.py
  expect: [train, compare-metrics]
compare-metrics:
  metrics: metrics.json
  benchmark: none
  rules: {rmse: {direction: lower, tolerance: 0.01, unit: g/kg, label: RMSE}}
"""
TRAIN = "import json, pathlib\npathlib.Path('metrics.json').write_text(json.dumps({'rmse': RMSE}))\n"


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, rmse: str, message: str) -> None:
    (folder / "train.py").write_text(TRAIN.replace("RMSE", rmse))
    git(folder, "add", "train.py", "flint-ml.yml", "metrics.json")
    git(folder, "commit", "-qm", message)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "flint-ml.yml").write_text(SETTINGS)
    (tmp_path / "metrics.json").write_text('{"rmse": 1.5}')
    commit(tmp_path, "1.5", "main")
    git(tmp_path, "switch", "-qc", "change")
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "INPUT_"))}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "flint_ml", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    found = {p.stem: json.loads(p.read_text()) for p in (folder / "flint-ml-results").glob("*.json")}
    return done.returncode, done.stdout + done.stderr, found


def test_a_better_model_is_approved(project: Path) -> None:
    commit(project, "1.3", "better")
    code, log, found = run(project, "gate")
    assert code == 0, log
    assert sorted(found) == ["compare-metrics", "gate-plan", "post-report", "train"]
    assert found["post-report"]["details"]["decision"] == "approve"
    assert "1.50 → 1.30" in found["post-report"]["headline"]
    assert (project / "flint-ml-results/report.html").is_file()


def test_a_worse_model_closes_the_gate_after_the_report(project: Path) -> None:
    commit(project, "1.9", "worse")
    code, _, found = run(project, "gate")
    assert code == 1
    assert found["compare-metrics"]["status"] == "failed"
    assert found["post-report"]["details"]["decision"] == "request-changes"


def test_a_crashed_training_requests_changes_and_nothing_later_runs(project: Path) -> None:
    (project / "train.py").write_text("raise SystemExit('no spectra at 2200 nm')\n")
    git(project, "commit", "-qam", "broken")
    code, _, found = run(project, "gate")
    assert code == 1
    assert "compare-metrics" not in found
    assert found["post-report"]["details"]["decision"] == "request-changes"
    assert "no spectra at 2200 nm" in (project / "flint-ml-results/report.md").read_text()


def test_records_of_an_earlier_gate_do_not_stand_for_this_one(project: Path) -> None:
    commit(project, "1.3", "better")
    run(project, "gate")
    code, _, found = run(project, "gate", "--expect", "train")
    assert (code, sorted(found)) == (0, ["gate-plan", "post-report", "train"])


def test_options_beat_the_file_and_reach_the_step(project: Path) -> None:
    commit(project, "1.505", "the same")
    _, log, found = run(
        project, "gate", "--command", "python train.py && echo extra", "--rules", "rmse: {tolerance: 0.001}"
    )
    assert "extra" in log
    assert found["compare-metrics"]["status"] == "failed"
    assert run(project, "gate", "--rules", "rmse: {tolerance: 0.5}", "--on-failure", "warn")[0] == 0


def test_a_steps_input_does_not_belong_under_gate(project: Path) -> None:
    (project / "flint-ml.yml").write_text("gate: {metrics: metrics.json}\n")
    shutil.rmtree(project / ".git")  # without a base, what is here holds
    code, log, found = run(project, "gate")
    assert code == 2, log
    assert "belongs under the step's own section" in log
    assert found["gate"]["status"] == "error"


def test_registering_without_a_model_is_an_input_error(project: Path) -> None:
    code, log, _ = run(project, "gate-plan", "--register", "always")
    assert (code, "needs a model" in log) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        ((), "post-report"),
        (("--model", "m.json"), "post-report"),
        (("--model", "m.json", "--register", "always"), "register-model"),
    ],
)
def test_the_plan(project: Path, arguments: tuple[str, ...], last: str) -> None:
    code, log, found = run(project, "gate-plan", *arguments)
    assert code == 0, log
    assert found["gate-plan"]["details"]["steps"][-1] == last


def test_a_simulation_takes_the_trainings_place(project: Path) -> None:
    _, log, _ = run(project, "gate-plan", "--expect", "run-gcbm,pull-data")
    assert "pull-data, run-gcbm, post-report" in log
    values = gate.step_values(actions.load("gate").inputs(metrics=["m.json"], base="b.json"), "run-gcbm")
    assert set(values) == {"results-dir", "config", "working-directory"}


HEAVY = ("numpy", "pandas", "requests", "jinja2", "flint_ml.metrics", "flint_ml.report", "flint_ml.registry")


@pytest.mark.parametrize(
    ("arguments", "code"), [(["gate-plan"], 0), (["record", "--name", "train", "--command", "echo no; exit 3"], 1)]
)
def test_what_runs_on_the_runner_needs_only_what_setup_installs(project: Path, arguments: list[str], code: int) -> None:
    """Also with a failure's table; requirements/record.txt holds pydantic, ruamel.yaml and tabulate."""
    script = (
        f"import sys; from flint_ml.cli import main; code = main({arguments!r});"
        f"bad = [m for m in sys.modules if m.startswith({HEAVY})]; sys.exit(f'imported {{bad}}' if bad else code + 10)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == code + 10, done.stderr


def test_the_gate_has_every_input_of_its_steps_once() -> None:
    fields = set(actions.load("gate").inputs.model_fields)
    for step in gate.STEPS:
        assert set(actions.load(step).inputs.model_fields) <= fields
