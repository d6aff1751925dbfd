"""Example workflows that need a repository but no real science, unchanged, under act.

``hello-ci``, ``data-update``, ``model-changed`` and ``cloud-runner`` run on a very small project (``smallteam``),
``model-gate-r`` on ``examples/pine-height-r`` with the R of the job image.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.act import ActResult, run_workflow
from e2e.smallteam import ROOT, SmallTeam, make, table
from githubapi.server import FakeGitHub, Server
from helpers import mlflow_server

EXAMPLES = ROOT / "examples"
REPOSITORY, TOKEN = "octo-org/soil", "ghs_exampleWorkflowsTestToken"
BRANCH = "refs/heads/flint-ml/data-update"


class Act:
    """Runs example workflows in checkouts of the small team's repository."""

    def __init__(self, team: SmallTeam, github: FakeGitHub, release_tree: Path) -> None:
        self.team, self.github, self.release_tree = team, github, release_tree
        self.runs = 300

    def run(
        self, workflow: str, name: str, event: dict[str, Any] | None = None, folder: Path | None = None, **more: Any
    ) -> ActResult:
        self.runs += 1
        folder = folder or self.team.checkout(f"run-{self.runs}")
        target = folder / ".github/workflows" / workflow
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(EXAMPLES / "workflows" / workflow, target)
        env = {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": self.github.url,
            "GITHUB_RUN_ID": str(self.runs),
            "GITHUB_RUN_NUMBER": str(self.runs),
        }
        event = {"repository": {"full_name": REPOSITORY, "default_branch": "main"}, **(event or {})}
        mounts = {path: str(path) for path in (self.team.source, self.team.top / "storage")}
        result = run_workflow(
            folder,
            f".github/workflows/{workflow}",
            name,
            event,
            env,
            self.team.top / "artifacts",
            release_tree=self.release_tree,
            secrets={"GITHUB_TOKEN": TOKEN},
            cache_dir=self.team.top / "cache",
            mounts=mounts,
            **more,
        )
        (self.team.top / f"run-{self.runs}.log").write_text(result.log, encoding="utf-8")
        assert TOKEN not in result.log
        return result

    def records(self) -> dict[str, dict[str, Any]]:
        """The records of the last run, as its artifact holds them."""
        found = (self.team.top / "artifacts" / str(self.runs)).glob("**/flint-ml-results*/*.json")
        direct = (self.team.top / "artifacts" / str(self.runs)).glob("*/*.json")
        return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (*found, *direct)}


@pytest.fixture(scope="module")
def act(release_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Act]:
    team = make(tmp_path_factory.mktemp("small") / "team", "mlflow-skinny", "pytest")
    github = FakeGitHub(REPOSITORY, {TOKEN: {"login": "github-actions[bot]", "type": "Bot", "write": True}})
    with Server(github):
        yield Act(team, github, release_tree)
    assert not github.problems, f"requests that GitHub would not understand: {github.problems}"


def conclusions(result: ActResult) -> dict[str, str]:
    return {job: found.conclusion for job, found in result.jobs.items()}


def test_hello_ci_is_green_with_good_tests_and_red_with_a_broken_one(act: Act) -> None:
    result = act.run("hello-ci.yml", "push", {"ref": "refs/heads/main"})
    assert conclusions(result) == {"test": "success"}, result.log
    assert "1 passed" in result.jobs["test"].step("pytest").log
    folder = act.team.checkout("broken-test")
    (folder / "tests/test_units.py").write_text("def test_no():\n    assert 15 == 150\n", encoding="utf-8")
    result = act.run("hello-ci.yml", "push", {"ref": "refs/heads/main"}, folder)
    assert conclusions(result) == {"test": "failure"}
    assert "1 failed" in result.jobs["test"].step("pytest").log


def proposed(github: FakeGitHub) -> dict[str, bytes]:
    """The files of the proposed commit."""
    commit = github.objects[github.refs[BRANCH]]
    entries = github.objects[commit["tree"]]["tree"]
    return {entry["path"]: base64.b64decode(github.objects[entry["sha"]]["data"]) for entry in entries}


def test_new_data_become_a_pull_request_and_a_drifted_batch_an_issue(act: Act) -> None:
    github = act.github
    result = act.run("data-update.yml", "schedule")
    assert result.jobs["update"].conclusion == "success", result.log
    assert result.jobs["update"].step("update").outputs["changed"] == "false"
    assert result.summaries[-1].strip() == "No new data."
    assert (github.refs, github.issues, github.pulls) == ({}, {}, {})

    batch = table(4, 200)
    act.team.publish(batch)
    result = act.run("data-update.yml", "repository_dispatch", {"action": "data-changed"})
    assert conclusions(result) == {"update": "success", "propose": "success"}, result.log
    (pull,) = github.pulls.values()
    assert (pull["head"]["ref"], pull["base"]["ref"], pull["title"]) == (
        "flint-ml/data-update",
        "main",
        "Take over new data",
    )
    assert "New data" in pull["body"]
    assert "RMSE" in pull["body"]
    files = proposed(github)
    assert set(files) == {"data/new_batch.csv.dvc", "dvc.lock", "metrics.json"}
    # What is proposed is whole: in a blank clone DVC brings the new batch and the model that was trained on it.
    clone = act.team.checkout("proposed")
    for name, data in files.items():
        (clone / name).write_bytes(data)
    act.team.run(clone, "dvc", "pull", "--quiet")
    assert (clone / "data/new_batch.csv").read_text() == batch
    assert "up to date" in act.team.run(clone, "dvc", "status")
    assert act.records()["compare-metrics"]["details"]["base"]["commit"] == act.team.run(
        clone, "git", "rev-parse", "HEAD"
    )

    # A batch that looks like the reference, but that the training cannot read.
    act.team.publish(re.sub(r"(?m)(s4-7,.*),.*$", r"\1,n/a", batch))
    before = dict(github.refs)
    result = act.run("data-update.yml", "workflow_dispatch")
    assert conclusions(result) == {"update": "failure", "propose": "success"}, result.log
    (issue,) = github.issues.values()
    assert (issue["title"], issue["state"]) == ("New data could not be taken over", "open")
    assert "could not convert string to float" in issue["body"]

    act.team.publish(table(5, 200, shift=0.4))
    result = act.run("data-update.yml", "schedule")
    assert conclusions(result) == {"update": "failure", "propose": "success"}, result.log
    assert list(github.issues.values()) == [issue]
    assert (issue["title"], issue["state"]) == ("New data drifted", "open")
    assert "band" in issue["body"]
    assert "train" not in act.records()
    assert github.refs == before
    assert list(github.pulls.values()) == [pull]


def register(address: str, model: str) -> int:
    """A version of the model ``soil-carbon-ssp460``, in production."""
    import tempfile

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address)
    name = "soil-carbon-ssp460"
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    run = client.create_run("0")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.json").write_text(model, encoding="utf-8")
        client.log_artifacts(run.info.run_id, folder, "model")
    version = client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
    client.set_registered_model_alias(name, "production", version.version)
    return int(version.version)


def test_a_champion_that_is_worse_opens_an_issue_and_a_good_one_closes_it(act: Act, tmp_path: Path) -> None:
    registry, process = mlflow_server.start(tmp_path / "mlflow")
    try:
        variables = {"MLFLOW_TRACKING_URI": registry}
        result = act.run("model-changed.yml", "schedule", variables=variables)
        assert conclusions(result)["evaluate"] == "failure"
        assert "has the alias production" in result.jobs["evaluate"].step("champion").annotations[0][1], result.log

        register(registry, "[2.0, 3.0]")
        result = act.run("model-changed.yml", "schedule", variables=variables)
        assert conclusions(result) == {"evaluate": "failure", "tell": "success"}, result.log
        assert act.records()["compare-metrics"]["details"]["verdict"] == "worse"
        (issue,) = [i for i in act.github.issues.values() if "champion" in i["title"]]
        assert issue["title"] == "soil-carbon-ssp460: champion 1 is worse than main's model"
        assert "Request changes" in issue["body"]

        clone = act.team.checkout("main-model")
        act.team.run(clone, "dvc", "pull", "--quiet", "model")
        register(registry, (clone / "model/model.json").read_text())
        result = act.run("model-changed.yml", "repository_dispatch", {"action": "model-changed"}, variables=variables)
        assert conclusions(result) == {"evaluate": "success", "tell": "success"}, result.log
        assert act.records()["compare-metrics"]["details"]["verdict"] == "same"
        assert issue["state"] == "closed"

        result = act.run("model-changed.yml", "schedule", variables=variables)
        assert conclusions(result)["evaluate"] == "success"
        assert result.jobs["evaluate"].step("seen").outputs["cache-hit"] == "true"
        ran = {step.id[-1] for step in result.jobs["evaluate"].steps if step.conclusion == "success"}
        assert "champion" in ran
        assert "compare" not in ran
    finally:
        mlflow_server.stop(process.pid)


def test_an_r_team_gets_the_same_report(act: Act, tmp_path: Path) -> None:
    team, folder = act.team, tmp_path / "pine"
    shutil.copytree(EXAMPLES / "pine-height-r", folder)
    team.run(folder, "git", "init", "--quiet", "--initial-branch", "main")
    base = team.commit(folder, "A straight line")
    team.run(folder, "git", "switch", "--quiet", "--create", "curve")
    script = (folder / "train.R").read_text(encoding="utf-8")
    changed = script.replace("lm(height_m ~ age,", "nls(height_m ~ SSasymp(age, Asym, R0, lrc),")
    assert changed != script
    (folder / "train.R").write_text(changed, encoding="utf-8")
    head = team.commit(folder, "A curve with a limit")
    team.run(folder, "git", "switch", "--quiet", "--detach", base)
    team.run(folder, "git", "merge", "--quiet", "--no-ff", "--message", "merge", head)
    repo = {"full_name": REPOSITORY, "default_branch": "main"}
    act.github.add_pull(77, head, "curve")
    pull = {"number": 77, "head": {"ref": "curve", "sha": head, "repo": repo}, "base": {"ref": "main", "sha": base}}
    result = act.run("model-gate-r.yml", "pull_request", {"pull_request": pull, "number": 77}, folder)
    assert conclusions(result) == {"gate": "success"}, result.log
    (comment,) = act.github.of(77)
    assert "Approve" in comment["body"]
    assert "Height of loblolly pine" in comment["body"]
    records = act.records()
    assert records["compare-metrics"]["details"]["verdict"] == "better"
    assert records["train"]["details"]["exit_code"] == 0
    assert any("rmse 0.470 m" in line for line in records["train"]["details"]["last_lines"])


def test_a_rented_machine_trains_and_the_report_comes_from_githubs_own(act: Act) -> None:
    """No cloud here: the call of CML is kept, and the job of the rented machine runs in the job image."""
    folder = act.team.checkout("more-samples")
    act.team.run(folder, "git", "switch", "--quiet", "--create", "longer-name")
    readme = folder / "README.md"
    readme.write_text("Soil\n", encoding="utf-8")
    head = act.team.commit(folder, "Say what it is")
    act.github.add_pull(78, head, "longer-name")
    result = act.run(
        "cloud-runner.yml",
        "workflow_dispatch",
        {"ref": "refs/heads/longer-name", "inputs": {"pull-request": "78"}},
        folder,
        inputs={"pull-request": "78"},
        labels=("self-hosted",),
    )
    assert conclusions(result) == {"launch": "success", "train": "success", "report": "success"}, result.log
    calls = [json.loads(line) for line in (act.team.top / "artifacts/cml-calls.jsonl").read_text().splitlines()]
    (call,) = [call for call in calls if call["run"] == str(act.runs)]
    assert call["argv"] == [
        "runner",
        "launch",
        "--cloud=aws",
        "--cloud-region=eu-west",
        "--cloud-type=m",
        "--cloud-hdd-size=100",
        f"--labels=flint-ml-{act.runs}",
        "--single",
        "--idle-timeout=10min",
    ]
    assert "GITHUB_TOKEN" not in call["set"]
    (comment,) = act.github.of(78)
    assert "Approve" in comment["body"]
    assert act.records()["compare-metrics"]["details"]["verdict"] == "same"
