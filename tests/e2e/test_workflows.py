"""The example workflows, unchanged, under act: what a team sees on its pull requests and on main."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import requests

from e2e.act import ActResult, run_workflow
from e2e.team import REPOSITORY, ROOT, S3, TOKEN, World

GATE = ".github/workflows/model-gate.yml"
JOBS = ".github/workflows/model-gate-jobs.yml"
SECRETS = {"GITHUB_TOKEN": TOKEN, **S3}


class Act:
    """Runs workflows of the team's repository; runs are numbered as GitHub's are."""

    def __init__(self, world: World, release_tree: Path, folder: Path) -> None:
        self.world, self.release_tree, self.folder = world, release_tree, folder
        self.runs = 100

    def run(self, folder: Path, workflow: str, name: str, event: dict[str, Any]) -> ActResult:
        self.runs += 1
        env = {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": self.world.github.url,
            "GITHUB_RUN_ID": str(self.runs),
            "GITHUB_RUN_NUMBER": str(self.runs),
        }
        result = run_workflow(
            folder,
            workflow,
            name,
            event,
            env,
            self.folder / "artifacts",
            release_tree=self.release_tree,
            secrets=SECRETS,
            cache_dir=self.folder / "cache",
            variables={"MLFLOW_TRACKING_URI": self.world.registry},
        )
        (self.folder / f"run-{self.runs}.log").write_text(result.log, encoding="utf-8")
        return result

    def records(self) -> dict[str, dict[str, Any]]:
        """The records of the last run, as its artifact holds them."""
        found = {}
        for path in (self.folder / "artifacts" / str(self.runs)).glob("*/*.json"):
            found[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        return found


@pytest.fixture(scope="module")
def act(world: World, release_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Act:
    return Act(world, release_tree, tmp_path_factory.mktemp("workflows"))


def comment(world: World, number: int) -> str:
    """The one comment of ours on the pull request."""
    found = world.ours(number)
    assert len(found) == 1, f"{len(found)} comments on #{number}"
    return str(found[0]["body"])


def test_a_better_then_a_worse_commit_create_and_update_one_comment(act: Act) -> None:
    world, number = act.world, 21
    folder, event = world.pull_request("act-better", "better", number)
    result = act.run(folder, GATE, "pull_request", event)
    assert result.jobs["gate"].conclusion == "success", result.log
    first = comment(world, number)
    assert "Approve" in first
    created = world.ours(number)[0]["id"]
    assert {name: r["status"] for name, r in act.records().items() if name != "post-report"} == {
        "gate-plan": "passed",
        "pull-data": "passed",
        "check-drift": "passed",
        "train": "passed",
        "compare-metrics": "passed",
    }

    folder, event = world.pull_request("act-worse", "worse", number)
    result = act.run(folder, GATE, "pull_request", event)
    assert result.jobs["gate"].conclusion == "failure", result.log
    assert "Request changes" in comment(world, number)
    assert world.ours(number)[0]["id"] == created
    assert act.records()["compare-metrics"]["details"]["verdict"] == "worse"
    assert TOKEN not in result.log


def test_a_training_that_crashes_requests_changes_and_stays_red(act: Act) -> None:
    folder, event = act.world.pull_request("act-crash", "crashes", 22)
    result = act.run(folder, GATE, "pull_request", event)
    assert result.jobs["gate"].conclusion == "failure", result.log
    body = comment(act.world, 22)
    assert "Request changes" in body
    assert "Approve" not in body
    assert "no band nm" in body
    assert act.records()["train"]["details"]["exit_code"] != 0


def test_a_drifted_batch_is_not_trained_on_and_two_jobs_share_results(act: Act) -> None:
    folder, event = act.world.pull_request("act-drifted", "drifted", 23)
    shutil.copy2(ROOT / "examples/workflows/model-gate-jobs.yml", folder / JOBS)
    result = act.run(folder, JOBS, "pull_request", event)
    assert {name: job.conclusion for name, job in result.jobs.items()} == {"check": "failure", "report": "success"}
    body = comment(act.world, 23)
    assert "Request changes" in body
    assert "of 209 columns drifted" in body
    assert "Training: did not run" in body
    assert "train" not in act.records()


def test_on_main_the_merged_model_is_registered(act: Act) -> None:
    import demo

    world = act.world
    demo.merge(world.team)
    folder, event = world.push("act-main")
    result = act.run(folder, GATE, "push", event)
    assert result.jobs["gate"].conclusion == "success", result.log
    answer = requests.get(
        f"{world.registry}/api/2.0/mlflow/registered-models/alias",
        params={"name": "soil-carbon-ssp460", "alias": "staging"},
        timeout=30,
    )
    tags = {tag["key"]: tag["value"] for tag in answer.json()["model_version"]["tags"]}
    assert event["after"] in tags.values(), tags
