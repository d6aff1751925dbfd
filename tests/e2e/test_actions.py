"""Every action in its container, in the order of a workflow, through a harness that behaves as GitHub's runner."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from e2e.harness import IMAGE, ContainerResult, metadata, run_action
from e2e.team import REPOSITORY, S3, TOKEN, World, in_environment, owned_by_us

NUMBER = 11
STEPS = ("pull-data", "check-drift", "compare-metrics", "post-report", "post-report again", "register-model")


class Workflow:
    """The actions run one after the other on one checkout, each result kept."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.folder, self.event = world.pull_request("harness", "better", NUMBER)
        self.seconds: dict[str, float] = {}
        self.results: dict[str, ContainerResult] = {}
        self.env = {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": world.github.url,
            "GITHUB_RUN_ID": "4711",
        }

    def run(self, step: str, inputs: dict[str, str] | None = None, **more: Any) -> ContainerResult:
        action = step.split(maxsplit=1)[0]
        started = time.monotonic()
        env = {**self.env, **more.pop("env", {})}
        result = run_action(IMAGE, action, inputs or {}, self.folder, self.event, env, **more)
        self.seconds[step] = time.monotonic() - started
        self.results[step] = result
        return result

    def train(self) -> int:
        """The user's command, on the runner, in the user's environment."""
        owned_by_us(self.folder)
        event = self.folder.parent / "event.json"
        event.write_text(json.dumps(self.event), encoding="utf-8")
        github = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.folder),
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_RUN_ATTEMPT": "1",
            **self.env,
        }
        command = [sys.executable, "-m", "flint_ml", "record", "--name", "train", "--", "dvc", "repro"]
        return in_environment(self.world, self.folder, *command, **github).returncode


@pytest.fixture(scope="module")
def workflow(world: World) -> Workflow:
    made = Workflow(world)
    assert made.run("pull-data", env=S3).exit_code == 0, made.results["pull-data"].log
    assert made.run("check-drift").exit_code == 0, made.results["check-drift"].log
    assert made.train() == 0
    assert made.run("compare-metrics").exit_code == 0, made.results["compare-metrics"].log
    made.run("post-report", token=TOKEN)
    made.run("post-report again", token=TOKEN)
    register = {"tracking-uri": world.registry}
    made.run("register-model", register)
    print("\nseconds of each action in its container, on the example:")
    for step, seconds in made.seconds.items():
        print(f"  {step:20} {seconds:6.1f}")
    return made


@pytest.mark.parametrize("step", STEPS)
def test_each_action_does_its_job_and_leaves_what_the_runner_takes(workflow: Workflow, step: str) -> None:
    result = workflow.results[step]
    assert result.exit_code == 0, result.log
    assert result.record is not None
    assert result.record["status"] in {"passed", "warned"}
    assert result.outputs["status"] == result.record["status"]
    assert result.outputs["headline"] == result.record["headline"]
    assert set(metadata(step.split(maxsplit=1)[0])["outputs"]) == set(result.outputs)
    assert result.summary
    assert list(result.problems) == []
    assert list(result.left_by_root) == []
    assert TOKEN not in result.log + json.dumps(result.record) + result.summary
    assert S3["AWS_SECRET_ACCESS_KEY"] not in result.log + json.dumps(result.record)


def test_the_data_of_this_commit_came(workflow: Workflow) -> None:
    outputs = workflow.results["pull-data"].outputs
    assert int(outputs["files"]) >= 4
    assert (workflow.folder / "data/prepared/reference.csv").is_file()
    assert outputs["cache-key"].startswith("dvc-")


def test_the_held_out_batch_does_not_drift_and_the_model_is_better(workflow: Workflow) -> None:
    assert workflow.results["check-drift"].outputs["drifted"] == "false"
    assert workflow.results["compare-metrics"].outputs["verdict"] == "better"
    assert workflow.results["post-report"].outputs["decision"] == "approve"


def test_one_comment_among_45_others_created_then_left_alone(workflow: Workflow) -> None:
    first, again = workflow.results["post-report"].outputs, workflow.results["post-report again"].outputs
    assert (first["posted"], first["comment-id"]) == ("true", again["comment-id"])
    comments = workflow.world.ours(NUMBER)
    assert len(comments) == 1
    assert "Approve" in comments[0]["body"]
    writes = [
        r for r in workflow.world.github.requests if r["method"] in {"POST", "PATCH"} and f"/{NUMBER}/" in r["path"]
    ]
    assert len(writes) == 1, "the same report again is not written again"


def test_the_registered_version_is_the_one_that_the_server_holds(workflow: Workflow) -> None:
    import requests

    outputs = workflow.results["register-model"].outputs
    answer = requests.get(
        f"{workflow.world.registry}/api/2.0/mlflow/registered-models/alias",
        params={"name": "soil-carbon-ssp460", "alias": "staging"},
        timeout=30,
    )
    version = answer.json()["model_version"]
    assert (version["version"], outputs["created"]) == (outputs["version"], "true")
    tags = {tag["key"]: tag["value"] for tag in version["tags"]}
    assert tags["stage"] == "Staging"


@pytest.mark.parametrize(
    "step", sorted(path.parent.name for path in Path(__file__).parents[2].glob("actions/*/action.yml"))
)
def test_a_wrong_input_is_one_annotation_and_exit_code_2(workflow: Workflow, step: str) -> None:
    if step == "setup":
        assert metadata(step)["runs"]["using"] == "composite"
        return
    result = run_action(
        IMAGE,
        step,
        {"config": "no-such-file.yml", "results-dir": "elsewhere"},
        workflow.folder,
        workflow.event,
        workflow.env,
    )
    assert result.exit_code == 2, result.log
    errors = [a for a in result.annotations if a.level == "error"]
    assert len(errors) == 1
    assert "no-such-file.yml" in errors[0].message
    assert "Traceback" not in result.log
    assert result.record is not None
    assert result.record["status"] == "error"
    assert list(result.left_by_root) == []


def test_a_path_out_of_the_workspace_is_refused(workflow: Workflow) -> None:
    result = run_action(
        IMAGE,
        "check-drift",
        {"reference": "/etc/passwd", "current": "../../x.csv"},
        workflow.folder,
        workflow.event,
        workflow.env,
    )
    assert result.exit_code == 2
    assert "leads out of the workspace" in result.log
