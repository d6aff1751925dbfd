"""The commands under "Reproduce this" are run as they stand, in a fresh clone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flint_ml import record as records
from flint_ml.decision import decide
from flint_ml.report import Facts, build


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def run(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path) -> Path:
    """A project under DVC with a remote, a base on main, and pull request 12 with better metrics."""
    folder, origin = tmp_path / "project", tmp_path / "origin.git"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    run(folder, ["dvc", "init", "-q"])
    run(folder, ["dvc", "remote", "add", "-q", "-d", "store", str(tmp_path / "store")])
    (folder / "data.csv").write_text("id,soc\n1,2\n")
    run(folder, ["dvc", "add", "-q", "data.csv"])
    script = "import json; open('data.csv'); json.dump({'rmse': 1.5}, open('metrics.json', 'w'))\n"
    (folder / "train.py").write_text(script)
    (folder / "metrics.json").write_text(json.dumps({"rmse": 1.5}))
    (folder / "flint-ml.yml").write_text("compare-metrics:\n  metrics: [metrics.json]\n")
    with (folder / ".gitignore").open("a") as stream:
        stream.write("flint-ml-results/\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "base")
    git(folder, "switch", "-q", "-c", "change")
    (folder / "train.py").write_text(script.replace("1.5", "1.3"))
    (folder / "metrics.json").write_text(json.dumps({"rmse": 1.3}))
    git(folder, "commit", "-q", "-a", "-m", "better")
    assert run(folder, ["dvc", "push", "-q"]).returncode == 0
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(origin))
    git(folder, "push", "-q", str(origin), "main:main", "change:refs/pull/12/head")
    return folder


def test_the_commands_repeat_the_run(project, tmp_path):
    for command in (
        ["flint-ml", "pull-data"],
        ["flint-ml", "record", "--name", "train", "--", "python", "train.py"],
        ["flint-ml", "compare-metrics"],
    ):
        result = run(project, command)
        assert result.returncode == 0, result.stdout + result.stderr
    made, _ = records.read_all(project / "flint-ml-results")
    decision = decide(made)
    assert "cd 'a b'" in build(decision, Facts(pull_request=12, folder="a b")).reproduce
    commands = build(decision, Facts(pull_request=12)).reproduce
    assert len(commands) == 4
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(tmp_path / "origin.git"), str(clone))
    result = run(clone, ["bash", "-e", "-c", "\n".join(commands)])
    assert result.returncode == 0, result.stdout + result.stderr
    assert git(clone, "rev-parse", "HEAD") == git(project, "rev-parse", "HEAD")
    assert (clone / "data.csv").is_file()
    again = records.read(clone / "flint-ml-results/compare-metrics.json")
    assert again.metrics["rmse"].value == 1.3
    assert again.metrics["rmse"].base == 1.5
    assert again.headline == records.read(project / "flint-ml-results/compare-metrics.json").headline
