"""register-model end to end: inputs to registry, record, outputs and exit code."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flint_ml import record as records
from flint_ml.commands.register_model import ACTION
from flint_ml.record import Badge, Metric, Provenance, Record
from flint_ml.registry import store as registry_store
from flint_ml.registry.address import resolve
from flint_ml.registry.store import connect
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands
from helpers.records import COMPLETE

pytest_plugins = ("helpers.mlflow_server",)

GATE = ("pull-data", "check-drift", "train", "compare-metrics")


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ana", "-c", "user.email=ana@example.org", "-c", "init.defaultBranch=main"]
    result = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return result.stdout.strip()


@dataclass
class Project:
    """A repository with a model, DVC-tracked data, and a way to run the action in it."""

    folder: Path
    head: str
    log: str = ""
    code: int = -1
    outputs: dict[str, str] | None = None

    def gate(self, **status: str) -> None:
        """Write the gate's records as an earlier step of this job would have."""
        for number, name in enumerate(GATE):
            made = Record(
                action=name,
                name=name,
                status=status.get(name.replace("-", "_"), "passed"),  # type: ignore[arg-type]
                headline=f"{name} says so",
                coverage=COMPLETE.get(name, []),
                badge=Badge(label=name, message="ok"),
                metrics={"rmse": Metric(value=1.3)} if name == "compare-metrics" else {},
                provenance=Provenance(
                    head_sha=self.head, run_id="77", tool="test", started=f"2026-11-21T20:00:0{number}Z"
                ),
            )
            records.write(made, self.folder / "flint-ml-results")

    def run(self, *, hosted: bool = False, env: dict[str, str] | None = None, **given: Any) -> dict[str, Any]:
        """Run the action as on a runner; returns its record."""
        output = self.folder.parent / "output.txt"
        output.write_text("")
        full = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output), **(env or {})}
        context = Context(
            on_github=True,
            workspace=self.folder,
            head_sha=self.head,
            sha=self.head,
            ref="refs/heads/main",
            repository="lab/soil",
            run_id="77",
            event_name="push",
            hosted=hosted,
        )
        stream = io.StringIO()
        values = {"model": "model.pkl", "model-name": "soc", **{k.replace("_", "-"): v for k, v in given.items()}}
        commands = Commands(on_github=True, stdout=stream, stderr=stream, env=full)
        self.code = run_action(ACTION, values, env=full, context=context, commands=commands)
        self.log = stream.getvalue()
        self.outputs = _outputs(output.read_text())
        text = (self.folder / "flint-ml-results" / "register-model.json").read_text()
        return dict(json.loads(text))


def _outputs(text: str) -> dict[str, str]:
    lines, found = text.splitlines(), {}
    for number, line in enumerate(lines):
        if "<<flint_" in line:
            found[line.partition("<<")[0]] = lines[number + 1]
    return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / ".gitignore").write_text("flint-ml-results/\nmlflow.db\nmlartifacts/\n/model.pkl\n/soil.csv\n")
    # A pickle that leaves a mark if anybody loads it.
    (folder / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch " + bytes(tmp_path / "unpickled") + b"'\ntR.")
    (folder / "soil.csv.dvc").write_text(
        "outs:\n- md5: 0123456789abcdef0123456789abcdef\n  hash: md5\n  path: soil.csv\n"
    )
    (folder / "params.yaml").write_text("train:\n  n_components: 12\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "Use 12 components (#12)")
    return Project(folder, git(folder, "rev-parse", "HEAD"))


@pytest.fixture
def with_file(project: Project, registry_file: Path) -> Project:
    """The project with an empty registry in its sqlite file."""
    shutil.copy(registry_file, project.folder)
    return project


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def test_a_version_that_can_be_traced(project: Project, mlflow_server: str, tmp_path: Path) -> None:
    project.gate()
    record = project.run(tracking_uri=mlflow_server, model_name="traced")
    assert project.code == 0, project.log
    assert project.outputs is not None
    expected = {"version": "1", "model-uri": "models:/traced/1", "created": "true", "status": "passed"}
    assert project.outputs | expected == project.outputs
    assert record["headline"].startswith(f"traced version 1 registered from {project.head[:7]}, in Staging")
    assert "plain file" in record["headline"]
    assert record["badge"] == {"label": "Registry", "message": "version 1 in Staging"}
    asked = client(mlflow_server)
    version = asked.get_model_version_by_alias("traced", "staging")
    tags = version.tags
    assert tags["stage"] == "Staging"
    assert tags["flint_ml.commit"] == project.head
    assert tags["flint_ml.branch"] == "main"
    assert tags["flint_ml.pull_request"] == "12"
    assert tags["flint_ml.run"] == "https://github.com/lab/soil/actions/runs/77"
    assert tags["flint_ml.gate"] == "approved"
    assert json.loads(tags["flint_ml.data"]) == {"soil.csv": "0123456789abcdef0123456789abcdef"}
    assert json.loads(tags["flint_ml.metrics"]) == {"rmse": 1.3}
    run = asked.get_run(version.run_id)
    assert run.data.metrics == {"rmse": 1.3}
    assert run.data.params == {"train.n_components": "12"}
    assert run.info.status == "FINISHED"
    folder = Path(asked.download_artifacts(version.run_id, "", str(tmp_path)))
    assert (folder / "model" / "model.pkl").read_bytes() == (project.folder / "model.pkl").read_bytes()
    assert json.loads((folder / "flint-ml" / "provenance.json").read_text())["commit"] == project.head
    assert (folder / "flint-ml" / "records" / "compare-metrics.json").is_file()
    assert not (tmp_path / "unpickled").exists()


def test_the_same_again_is_the_same_version_and_a_new_model_the_next(with_file: Project) -> None:
    project = with_file
    project.gate()
    assert project.run()["details"]["created"] is True
    again = project.run()
    assert (project.code, again["details"]["version"], again["details"]["created"]) == (0, 1, False)
    assert "was already registered" in again["headline"]
    (project.folder / "model.pkl").write_text("other")
    newer = project.run()
    assert (newer["details"]["version"], newer["details"]["previous_version"]) == (2, 1)
    assert "(before: version 1)" in newer["headline"]
    assert newer["details"]["registry"] == "sqlite:///mlflow.db"
    assert (project.folder / "mlartifacts").is_dir()


def test_samples_are_kept_with_the_version(with_file: Project) -> None:
    stored = '{"instances": [[1], [2]], "predictions": [3, 4]}'
    (with_file.folder / "checked.json").write_text(stored)
    with_file.gate()
    record = with_file.run(samples="checked.json")
    store = connect(resolve("", {}, with_file.folder), {})
    run = store.run(record["details"]["run_id"])
    assert run is not None
    assert store.read(run, "flint-ml/samples.json") == stored.encode()


def test_stage_none_registers_only(with_file: Project) -> None:
    project = with_file
    project.gate()
    record = project.run(stage="None")
    assert record["details"]["stage"] is None
    assert record["badge"]["message"] == "version 1"


def test_a_warned_gate_registers_marked_for_review(with_file: Project) -> None:
    project = with_file
    project.gate(check_drift="warned")
    record = project.run()
    assert project.code == 0
    assert record["details"]["gate"] == "review"
    assert [finding["code"] for finding in record["findings"]] == ["registered-for-review"]


def test_a_failed_gate_registers_nothing(project: Project) -> None:
    project.gate(compare_metrics="failed")
    record = project.run()
    assert project.code == 1
    assert record["status"] == "failed"
    assert "compare-metrics says so" in record["headline"]
    assert not (project.folder / "mlflow.db").exists()


def test_uncommitted_changes_are_told(with_file: Project) -> None:
    project = with_file
    project.gate()
    (project.folder / "params.yaml").write_text("train:\n  n_components: 13\n")
    assert "uncommitted-changes" in {finding["code"] for finding in project.run()["findings"]}


def test_a_model_that_is_not_the_reviewed_one_is_told(with_file: Project) -> None:
    project = with_file
    out = f"    - path: model.pkl\n      hash: md5\n      md5: {'f' * 32}\n"
    lock = f"schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs:\n{out}"
    (project.folder / "dvc.lock").write_text(lock)
    (project.folder / "dvc.yaml").write_text("stages: {train: {cmd: x, outs: [model.pkl]}}\n")
    git(project.folder, "add", "dvc.lock", "dvc.yaml")
    git(project.folder, "commit", "-q", "-m", "Lock")
    project.head = git(project.folder, "rev-parse", "HEAD")
    project.gate()
    record = project.run()
    assert record["details"]["model_as_committed"] is False
    assert "model-differs" in {finding["code"] for finding in record["findings"]}


def test_an_older_commit_does_not_take_the_stage_back(with_file: Project, tmp_path: Path) -> None:
    project = with_file
    older = tmp_path / "older"
    git(tmp_path, "clone", "-q", str(project.folder), str(older))
    (older / "model.pkl").write_text("older model, registered later")
    git(project.folder, "commit", "-q", "--allow-empty", "-m", "Next")
    shared = {"tracking_uri": "sqlite:///mlflow.db"}
    newer = Project(project.folder, git(project.folder, "rev-parse", "HEAD"))
    newer.gate()
    assert newer.run(**shared)["details"]["version"] == 1
    git(project.folder, "checkout", "-q", project.head)
    (project.folder / "model.pkl").write_text("older model, registered later")
    late = Project(project.folder, project.head)
    late.gate()
    record = late.run(**shared)
    assert record["details"]["version"] == 2
    assert record["details"]["stage"] is None
    assert "Staging stays at the newer version 1" in record["headline"]


def _no_record(project: Project) -> dict[str, Any]:
    return {}


def _missing_model(project: Project) -> dict[str, Any]:
    project.gate()
    return {"model": "models/none.pkl"}


def _empty_model(project: Project) -> dict[str, Any]:
    project.gate()
    (project.folder / "model.pkl").write_text("")
    return {}


def _outside(project: Project) -> dict[str, Any]:
    project.gate()
    return {"model": "../../etc/passwd"}


def _name(project: Project) -> dict[str, Any]:
    project.gate()
    return {"model_name": "soil/carbon"}


def _ephemeral(project: Project) -> dict[str, Any]:
    project.gate()
    return {"hosted": True}


def _file_store(project: Project) -> dict[str, Any]:
    project.gate()
    return {"tracking_uri": "file:///tmp/mlruns"}


def _broken_samples(project: Project) -> dict[str, Any]:
    project.gate()
    (project.folder / "checked.json").write_text('{"instances": [1], "predictions": [3, 4]}')
    return {"samples": "checked.json"}


def _broken_params(project: Project) -> dict[str, Any]:
    project.gate()
    (project.folder / "params.yaml").write_text("train: [1,\n")
    return {}


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (_no_record, "missing-record"),
        (_missing_model, "missing-file"),
        (_empty_model, "model-empty"),
        (_outside, "outside-workspace"),
        (_name, "invalid-input"),
        (_ephemeral, "ephemeral-registry"),
        (_file_store, "tracking-uri"),
        (_broken_params, "invalid-yaml"),
        (_broken_samples, "invalid-samples"),
    ],
)
def test_bad_input(project: Project, prepare: Callable[[Project], dict[str, Any]], code: str) -> None:
    record = project.run(**prepare(project))
    assert project.code == 2, project.log
    assert (record["status"], record["findings"][0]["code"]) == ("error", code)
    assert project.log.count("::error") == 1
    assert "What to do" in project.log or "input" in project.log
    assert not (project.folder / "mlflow.db").exists(), "nothing is made for an input that is wrong"


def test_the_ways_to_host_a_registry_are_named(project: Project) -> None:
    project.gate()
    record = project.run(hosted=True)
    assert "mlflow server" in record["findings"][0]["hint"]
    assert project.run(hosted=True, allow_ephemeral=True)["details"]["created"] is True


def test_a_registry_that_is_down(project: Project, monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    monkeypatch.setattr(registry_store, "PROBE_SECONDS", 0.5)
    project.gate()
    address = f"http://ana:geheim99@127.0.0.1:{closed_port}"
    record = project.run(tracking_uri=address)
    assert project.code == 3
    assert (record["status"], record["findings"][0]["code"]) == ("error", "registry-unreachable")
    assert project.log.count("::error") == 1
    shown = project.log.replace("::add-mask::geheim99", "")
    assert "geheim99" not in shown + json.dumps(record)


def test_a_crash_of_training_is_no_reason_to_register(project: Project) -> None:
    project.gate(train="error")
    assert project.run()["status"] == "failed"
    assert project.code == 1


@pytest.mark.parametrize("password", ["pass", "model", "version", "flint", "register", "registry", "passed", "name"])
def test_a_password_that_is_a_word_of_the_record(project: Project, password: str) -> None:
    """It is replaced in texts, and the record is whole: schema, names, codes and keys are not text."""
    project.gate()
    credentials = {"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": password}
    # Nothing listens there: the error's record is written with the password masked.
    record = project.run(env=credentials, tracking_uri="http://127.0.0.1:9/ml")
    assert (project.code, record["action"], record["status"]) == (3, "register-model", "error")
    assert record["schema"].startswith("flint-ml/record/")
    assert password not in record["findings"][0]["message"]
    assert record["findings"][0]["code"] == "registry-unreachable"
