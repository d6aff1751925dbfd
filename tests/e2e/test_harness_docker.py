"""The harness with real containers: what a container sees and what comes back. The step is a plain script."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from e2e import harness
from e2e.act import JOB_IMAGE

SEES = r"""
import json, os, sys
names = "GITHUB_WORKSPACE GITHUB_EVENT_PATH GITHUB_OUTPUT HOME RUNNER_TEMP INPUT_MIN-EFFECT INPUT_DATA".split()
event = json.load(open(os.environ["GITHUB_EVENT_PATH"]))
print("SEES " + json.dumps([{name: os.environ[name] for name in names}, event["number"], os.getcwd(), os.getuid()]))
print("::add-mask::hidden-value")
print("hidden-value", os.environ["INPUT_TOKEN"])
for i in range(12):
    print(f"::warning file=a.csv::w{i}")
with open(os.environ["GITHUB_OUTPUT"], "a") as out:
    out.write("table<<E\n| a |\n| b |\nE\nstatus=failed\n")
with open(os.environ["GITHUB_STEP_SUMMARY"], "a") as out:
    out.write(("x" * 99 + "\n") * int(os.environ["INPUT_LINES"]))
os.makedirs("flint-ml-results")
with open("flint-ml-results/probe.json", "w") as out:
    json.dump({"status": "failed"}, out)
sys.exit(1)
"""


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """An action whose container runs the script above."""
    described: dict[str, Any] = {
        "inputs": {
            "min-effect": {"default": 0.1},
            "data": {},
            "lines": {"default": 1},
            "token": {"default": "${{ github.token }}"},
        },
        "runs": {"using": "docker", "image": "../../Dockerfile", "args": ["python3", "-c", SEES]},
    }
    monkeypatch.setattr(harness, "metadata", lambda action: described)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "soil"
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder


def run(workspace: Path, **inputs: str) -> harness.ContainerResult:
    event = {"number": 7, "pull_request": {"number": 7}}
    return harness.run_action(JOB_IMAGE, "probe", inputs, workspace, event, token="t0ken-value")


@pytest.mark.usefixtures("probe")
def test_what_the_container_sees(workspace: Path) -> None:
    result = run(workspace, data=f"{workspace}/data.csv")
    line = next(line for line in result.stdout.splitlines() if line.startswith("SEES "))
    assert '"INPUT_MIN-EFFECT": "0.1"' in line
    assert '"INPUT_DATA": "/github/workspace/data.csv"' in line
    assert '"GITHUB_WORKSPACE": "/github/workspace"' in line
    assert '"GITHUB_EVENT_PATH": "/github/workflow/event.json"' in line
    assert '"GITHUB_OUTPUT": "/github/file_commands/set_output_' in line
    assert '"HOME": "/github/home"' in line
    assert '"RUNNER_TEMP": "/github/runner_temp"' in line
    assert line.endswith('}, 7, "/github/workspace", 0]')


@pytest.mark.usefixtures("probe")
def test_what_comes_back(workspace: Path) -> None:
    result = run(workspace)
    assert result.exit_code == 1
    assert result.stderr == ""
    assert result.outputs == {"table": "| a |\n| b |", "status": "failed"}
    assert result.record == {"status": "failed"}
    assert result.summary == "x" * 99 + "\n"
    assert [a.message for a in result.annotations] == [f"w{i}" for i in range(10)]
    assert "*** ***\n" in result.log
    assert "t0ken-value" not in result.log
    # This script hands nothing over, unlike the image's entrypoint.
    assert result.left_by_root == ["flint-ml-results", "flint-ml-results/probe.json"]


@pytest.mark.usefixtures("probe")
def test_a_summary_over_one_mebibyte_is_dropped_whole(workspace: Path) -> None:
    result = run(workspace, lines="10486")
    assert result.summary == ""
    assert "supports content up to 1024k" in result.problems[0]
