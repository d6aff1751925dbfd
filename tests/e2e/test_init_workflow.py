"""What init writes for a folder with a table and a script, under act: from nothing to a green gate."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from e2e.act import ActResult, run_workflow
from e2e.smallteam import SmallTeam, table
from githubapi.server import FakeGitHub, Server

REPOSITORY, TOKEN = "octo-org/new", "ghs_exampleInitTestToken"
TRAIN = """\
import csv, statistics
rows = [(float(row["band"]), float(row["soc"])) for row in csv.DictReader(open("samples.csv"))]
train, test = rows[::2], rows[1::2]
line = statistics.linear_regression(*zip(*train))
rmse = (sum((line.slope * x + line.intercept - y) ** 2 for x, y in test) / len(test)) ** 0.5
r2 = statistics.correlation(*zip(*test)) ** 2
"""


def flint_ml(team: SmallTeam, *arguments: str, expect: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "flint_ml", *arguments],
        cwd=team.repository,
        env=team.env,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def newcomer(top: Path) -> SmallTeam:
    """A folder with a table and a script, and what init says typed into it."""
    team = SmallTeam(top)
    team.repository.mkdir(parents=True)
    (team.repository / "samples.csv").write_text(table(1, 200))
    (team.repository / "train.py").write_text(TRAIN)
    (team.repository / ".python-version").write_text("3.13\n")  # the job image's
    said = flint_ml(team, "init", "--yes", "--dvc", "false", "--title", "New soil")
    steps = said.split("at your desk:")[1].split("The first report")[0]
    lines = [line[6:] for line in steps.splitlines() if line.startswith("      ")]
    assert lines[0] == "import json"
    with (team.repository / "train.py").open("a") as stream:
        stream.write("\n".join(lines[:3]) + "\n")
    for command in lines[3:-1]:  # the last is `flint-ml gate`, which act runs as a workflow
        team.run(team.repository, "bash", "-c", command)
    return team


def push(team: SmallTeam, github: FakeGitHub, release_tree: Path, number: int) -> tuple[ActResult, dict[str, Any]]:
    env = {
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_API_URL": github.url,
        "GITHUB_RUN_ID": str(number),
        "GITHUB_RUN_NUMBER": str(number),
    }
    event = {"ref": "refs/heads/main", "repository": {"full_name": REPOSITORY, "default_branch": "main"}}
    artifacts = team.top / "artifacts"
    result = run_workflow(
        team.checkout(f"run-{number}"),
        ".github/workflows/model-gate.yml",
        "push",
        event,
        env,
        artifacts,
        release_tree=release_tree,
        secrets={"GITHUB_TOKEN": TOKEN},
        cache_dir=team.top / "cache",
    )
    found = (artifacts / str(number)).glob("**/*.json")
    return result, {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in found}


def test_from_a_table_and_a_script_to_a_green_gate(release_tree: Path, tmp_path: Path) -> None:
    team = newcomer(tmp_path / "team")
    checks = json.loads(flint_ml(team, "doctor", "--json"))["checks"]
    assert [check["what"] for check in checks if check["mark"] == "failure"] == []
    with Server(
        FakeGitHub(REPOSITORY, {TOKEN: {"login": "github-actions[bot]", "type": "Bot", "write": True}})
    ) as server:
        github = server.github
        result, records = push(team, github, release_tree, 501)
        assert {job: found.conclusion for job, found in result.jobs.items()} == {"gate": "success"}, result.log
        assert {name: records[name]["status"] for name in ("check-drift", "train", "compare-metrics")} == {
            "check-drift": "passed",
            "train": "passed",
            "compare-metrics": "warned",
        }
        with (team.repository / "train.py").open("a") as stream:
            stream.write("# tidy\n")
        team.commit(team.repository, "Tidy up")
        result, records = push(team, github, release_tree, 502)
        assert records["compare-metrics"]["details"]["verdict"] == "same", result.log
        assert records["post-report"]["details"]["decision"] == "approve", records["post-report"]
