"""From the merge to production and back: the four example workflows, unchanged, under act.

Real: the soil example's training, an ``mlflow server``, an S3 server, a Git server over HTTP with the manifests, the
serving example in its image. The test plays the cluster (see cluster.py) and GitHub's events. act does not wait for
the approval of an environment.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from e2e.act import ActResult, run_workflow
from e2e.cluster import Cluster, build_image
from e2e.team import REPOSITORY, ROOT, S3, TOKEN, demo, s3_server
from helpers import mlflow_server
from helpers.git_server import TOKEN as MANIFESTS_TOKEN
from helpers.git_server import Server, bare, git, serve

MANIFESTS = ROOT / "examples" / "manifests"
WORKFLOWS = ("register-on-main", "deploy-staging", "promote-production", "roll-back")
NAME = "soil-carbon-ssp460"
SECRETS = {"GITHUB_TOKEN": TOKEN, "MANIFESTS_TOKEN": MANIFESTS_TOKEN, **S3}
SMOOTH = '''
def smoothed(spectra: np.ndarray) -> np.ndarray:
    """Take out the noise, where SciPy is there."""
    try:
        from scipy.signal import savgol_filter
    except ImportError:
        return spectra
    return savgol_filter(spectra, 11, 2, axis=1)


class SocModel:'''


class Stage:
    """All that the story needs."""

    def __init__(self, folder: Path, release_tree: Path, team: demo.Team, registry: str, server: Server) -> None:
        self.folder, self.release_tree, self.team, self.registry = folder, release_tree, team, registry
        self.server, self.runs = server, 300
        self.cluster = Cluster(server.repository)

    def act(self, name: str, event_name: str, event: dict[str, Any], **inputs: str) -> ActResult:
        """Run one workflow on a fresh checkout of main."""
        self.runs += 1
        checkout = self.team.clone(f"checkout-{self.runs}")
        env = {"GITHUB_REPOSITORY": REPOSITORY, "GITHUB_RUN_ID": str(self.runs), "GITHUB_RUN_NUMBER": str(self.runs)}
        payload = {"repository": {"full_name": REPOSITORY, "default_branch": "main"}, **event}
        if event_name == "push":
            before, after = (self.team.run(checkout, "git", "rev-parse", rev) for rev in ("HEAD^1", "HEAD"))
            payload |= {"ref": "refs/heads/main", "before": before, "after": after}
        if inputs:
            payload["inputs"] = inputs
        result = run_workflow(
            checkout,
            f".github/workflows/{name}.yml",
            event_name,
            payload,
            env,
            self.folder / "artifacts",
            release_tree=self.release_tree,
            secrets=SECRETS,
            cache_dir=self.folder / "cache",
            inputs=inputs,
            variables={"MLFLOW_TRACKING_URI": self.registry, "MANIFESTS": self.server.manifests},
        )
        (self.folder / f"{self.runs}-{name}.log").write_text(result.log, encoding="utf-8")
        assert MANIFESTS_TOKEN not in result.log
        return result

    def merge(self, title: str, *edits: tuple[str, str, str]) -> None:
        """A pull request that was merged: lines of files changed on main."""
        desk = self.team.clone("desk")
        for file, old, new in edits:
            text = (desk / file).read_text(encoding="utf-8")
            assert old in text, f"{file} has no {old!r}"
            (desk / file).write_text(text.replace(old, new, 1), encoding="utf-8")
        self.team.commit(desk, title)

    def register(self) -> ActResult:
        """What follows a merge."""
        result = self.act("register-on-main", "push", {})
        assert result.exit_code == 0, result.log
        return result

    def alias(self, alias: str) -> str | None:
        answer = requests.get(
            f"{self.registry}/api/2.0/mlflow/registered-models/alias", params={"name": NAME, "alias": alias}, timeout=30
        )
        return str(answer.json()["model_version"]["version"]) if answer.ok else None

    def samples(self, number: str) -> dict[str, Any]:
        """The samples that were registered with a version."""
        found = requests.get(
            f"{self.registry}/api/2.0/mlflow/model-versions/get", params={"name": NAME, "version": number}, timeout=30
        ).json()["model_version"]
        answer = requests.get(
            f"{self.registry}/get-artifact",
            params={"run_uuid": found["run_id"], "path": "model/samples.json"},
            timeout=30,
        )
        samples: dict[str, Any] = answer.json()
        return samples

    def subjects(self) -> list[str]:
        """What the manifests repository's commits say, newest first."""
        return git("log", "--format=%s", "main", folder=self.server.repository).splitlines()


def settings(stage: Stage) -> str:
    """The blue/green settings of examples/manifests, at the addresses of the test's cluster."""
    text = (MANIFESTS / "blue-green" / "flint-ml.yml").read_text()
    for name in ("blue", "green"):
        text = text.replace(f"https://{name}.soc.example.org", stage.cluster.url(name))
    text = text.replace("https://soc.example.org", stage.cluster.url("live"))
    assert "example.org" not in text
    return f"{text}  smoke-timeout: 60\n"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, release_tree: Path) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("deploy")
    build_image()
    with ExitStack() as stack:
        s3 = stack.enter_context(s3_server(folder / "s3"))
        registry, process = mlflow_server.start(folder / "mlflow")
        stack.callback(mlflow_server.stop, process.pid)
        team = demo.Team(
            folder / "team",
            {**demo.environment(folder / "team"), **S3, "MLFLOW_TRACKING_URI": ""},
            "s3://soil/dvc",
            (("endpointurl", s3), ("region", "us-east-1")),
            committed=True,
        )
        demo.make_team(team)
        files = {
            path.relative_to(MANIFESTS).as_posix(): path.read_bytes().replace(
                b"https://mlflow.example.org", registry.encode()
            )
            for path in MANIFESTS.rglob("*.yaml")
        }
        bare(folder / "srv", files)
        server = stack.enter_context(serve(folder / "srv"))
        made = Stage(folder, release_tree, team, registry, server)
        desk = team.clone("desk")
        for name in WORKFLOWS:
            shutil.copy2(ROOT / "examples" / "workflows" / f"{name}.yml", desk / ".github" / "workflows")
        (desk / ".github" / "workflows" / "model-gate.yml").unlink()
        with (desk / "flint-ml.yml").open("a", encoding="utf-8") as file:
            file.write("\n" + settings(made))
        team.commit(desk, "Deploy to staging and production")
        stack.enter_context(made.cluster)
        yield made


def predicted(stage: Stage, place: str, number: str) -> None:
    """What is served answers the registered samples with the registered predictions."""
    samples = stage.samples(number)
    wanted = samples.pop("predictions")
    answer = requests.post(f"{stage.cluster.url(place)}/predict", json=samples, timeout=30).json()
    assert answer["version"] == number
    assert [row["SOC"] for row in answer["predictions"]] == pytest.approx([row["SOC"] for row in wanted], rel=1e-6)


def test_from_the_merge_to_a_served_prediction(stage: Stage) -> None:
    stage.merge("8 components (#31)", ("params.yaml", "n_components: 28", "n_components: 8"))
    stage.register()
    assert stage.alias("staging") == "1"
    result = stage.act("deploy-staging", "workflow_run", {"workflow_run": {"conclusion": "failure", "event": "push"}})
    assert len(stage.subjects()) == 1, result.log
    result = stage.act("deploy-staging", "workflow_run", {"workflow_run": {"conclusion": "success", "event": "push"}})
    assert result.exit_code == 0, result.log
    assert stage.subjects()[0] == f"Deploy {NAME} version 1"
    assert "Model-Pull-Request: " in git("log", "-1", "--format=%B", "main", folder=stage.server.repository)
    assert stage.cluster.served("staging") == "1"
    predicted(stage, "staging", "1")


def test_production_blue_green(stage: Stage) -> None:
    result = stage.act("promote-production", "workflow_dispatch", {}, version="staging", reason="")
    assert result.exit_code == 0, result.log
    assert {job: found.conclusion for job, found in result.jobs.items()} == {"ask": "success", "promote": "success"}
    assert (stage.cluster.served("live"), stage.cluster.live, stage.alias("production")) == ("1", "green", "1")

    stage.merge("9 components (#32)", ("params.yaml", "n_components: 8", "n_components: 9"))
    stage.register()
    result = stage.act("promote-production", "workflow_dispatch", {}, version="staging", reason="")
    assert result.exit_code == 0, result.log
    assert (stage.cluster.served("live"), stage.cluster.live, stage.alias("production")) == ("2", "blue", "2")
    assert stage.subjects()[:4] == [f"{verb} {NAME} version {n}" for n in (2, 1) for verb in ("Serve", "Try")]
    predicted(stage, "live", "2")
    assert "5 samples, largest difference" in result.log


def test_a_model_that_predicts_something_else_in_production_is_taken_back(stage: Stage) -> None:
    """It smooths the spectra where SciPy is there: in training it is, in the serving image it is not."""
    stage.merge(
        "Smooth the spectra (#33)",
        ("src/soc_model.py", "\nclass SocModel:", SMOOTH),
        ("src/soc_model.py", "return np.log10(100.0 / percent)", "return smoothed(np.log10(100.0 / percent))"),
    )
    stage.register()
    assert stage.alias("staging") == "3"
    before = git("rev-parse", "main^{tree}", folder=stage.server.repository)
    result = stage.act("promote-production", "workflow_dispatch", {}, version="staging", reason="")
    assert {job: found.conclusion for job, found in result.jobs.items()} == {"ask": "success", "promote": "failure"}
    assert "5 of 5 samples are not predicted as registered; the largest difference is 0.2" in result.log
    assert git("rev-parse", "main^{tree}", folder=stage.server.repository) == before
    assert stage.subjects()[:2] == [f"Take back {NAME} version 3", f"Try {NAME} version 3"]
    assert (stage.cluster.served("live"), stage.alias("production")) == ("2", "2")
    predicted(stage, "live", "2")


def test_roll_back(stage: Stage) -> None:
    result = stage.act("roll-back", "workflow_dispatch", {}, version="previous-production", reason="clay soils are off")
    assert result.exit_code == 0, result.log
    assert (stage.cluster.served("live"), stage.alias("production"), stage.alias("previous-production")) == (
        "1",
        "1",
        "2",
    )
    found = requests.get(
        f"{stage.registry}/api/2.0/mlflow/model-versions/get", params={"name": NAME, "version": "1"}, timeout=30
    ).json()["model_version"]
    history = next(json.loads(tag["value"]) for tag in found["tags"] if tag["key"] == "flint_ml.history")
    assert history[-1]["reason"] == "clay soils are off"
