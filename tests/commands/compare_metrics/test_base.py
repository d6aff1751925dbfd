"""`base: auto`: the base revision, the version in Staging, main's last run; which one it was is said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flint_ml.hashing import file_md5
from flint_ml.record import Badge, Benchmark, Input, Metric, Provenance, Record
from flint_ml.registry import store as registry_store
from flint_ml.registry import version as identity
from flint_ml.registry.address import resolve
from flint_ml.registry.model_files import read_model
from flint_ml.registry.register import Submission, register_model
from flint_ml.registry.stages import move_forward
from flint_ml.registry.store import connect
from githubapi.server import FakeGitHub, Fault, Server
from helpers.metrics import BASE, Repo, codes, predictions, scores

pytest_plugins = ("helpers.mlflow_server",)
TOKEN = "ghs_aVerySecretToken1234567890"
NEW = {"rmse": 1.3, "r2": 0.71, "n": 115}


def scored(values: dict[str, float], head: str, **more: Any) -> Record:
    """The compare-metrics record that a run on main leaves."""
    return Record(
        action="compare-metrics",
        name="compare-metrics",
        status="passed",
        headline="same",
        badge=Badge(label="Metrics", message="same"),
        metrics={k: Metric(value=v) for k, v in values.items()},
        benchmark=more.pop("benchmark", None),
        provenance=Provenance(head_sha=head, tool="test", started="2026-11-21T20:00:00Z", **more),
    )


@pytest.fixture
def bare(tmp_path: Path) -> Repo:
    """A change whose base revision has no metrics."""
    made = Repo(tmp_path / "repo", readme="x")
    made.git("checkout", "-q", "-b", "change")
    made.write(metrics_dot_json=NEW)
    made.commit("change")
    return made


# -- the version in Staging ------------------------------------------------------------------------------------


def staged(uri: str, folder: Path, name: str, commit: str, record: Record | None = None, **papers: str) -> None:
    """Register a model as register-model does, and move it to Staging."""
    (folder / "model.bin").write_text(f"weights of {commit}")
    content = read_model(folder / "model.bin", "model.bin")
    files = {path.replace("__", "/"): text for path, text in papers.items()}
    if record is not None:
        files["records/compare-metrics.json"] = record.to_json()
    written = {}
    for number, (path, text) in enumerate(files.items()):
        written[path] = folder / str(number) / Path(path).name
        written[path].parent.mkdir(exist_ok=True)
        written[path].write_text(text)
    store = connect(resolve(uri, {}, folder), {})
    made = register_model(
        store,
        Submission(
            name=name,
            experiment=name,
            key=identity.idempotency_key(name, commit, None, content.sha256),
            owner=identity.owner("5", 1),
            model=content,
            tags={"flint_ml.commit": commit},
            metrics={"rmse": 1.5, "r2": 0.62, "something_else": 3.0},
            attachments=written,
        ),
    )
    move_forward(store, made.version, "Staging", lambda _: False)


def in_registry(uri: str, name: str, **more: Any) -> dict[str, Any]:
    return {"model_name": name, "runner": {"MLFLOW_TRACKING_URI": uri}, **more}


def test_the_version_in_staging_where_the_base_revision_has_no_metrics(
    mlflow_server: str, bare: Repo, tmp_path: Path
) -> None:
    main = bare.git("rev-parse", "main").strip()
    table, other = predictions(1.0), predictions(2.0)
    bare.write(predictions_dot_csv=table, metrics_dot_json=scores(table))
    record = scored(scores(other), main, benchmark=Benchmark(path="test.csv", md5="0" * 32))
    staged(mlflow_server, tmp_path, "staged", main, record, **{"predictions__predictions.csv": other})
    code, found = bare.run(**in_registry(mlflow_server, "staged"), predictions="predictions.csv")
    assert (code, found["details"]["verdict"]) == (0, "better")
    assert found["details"]["base"] == {
        "commit": main,
        "kind": "version",
        "label": "staged v1",
        "named": "models:/staged/1",
        "how": "version 1 of staged (Staging), because where this branch left `main` has no metrics.json",
    }
    assert "base-elsewhere" in codes(found)
    row = found["details"]["rows"][0]
    assert row["interval"] is not None, "the stored predictions give an interval"
    assert row["base"] == scores(other)["rmse"]


def test_a_version_that_others_registered_has_its_logged_metrics(
    mlflow_server: str, bare: Repo, tmp_path: Path
) -> None:
    staged(mlflow_server, tmp_path, "foreign", "f" * 40)
    code, found = bare.run(**in_registry(mlflow_server, "foreign"))
    assert (code, found["headline"]) == (0, "better: RMSE 1.50 → 1.30 (−0.20, −13 %)")
    assert "something_else" not in found["metrics"], "what else was logged is no vanished metric"
    assert found["metrics"]["n"]["base"] is None


def test_a_named_version_and_the_section_of_register_model(mlflow_server: str, tmp_path: Path) -> None:
    settings = "register-model:\n  model-name: named\n"
    repo = Repo(tmp_path / "r", metrics_dot_json=BASE | {"rmse": 9.0}, **{"flint-ml_dot_yml": settings})
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json=NEW)
    main = repo.git("rev-parse", "main").strip()
    staged(mlflow_server, tmp_path, "named", main, scored(BASE, main))
    for base in ("models:/named/1", "models:/named@staging", "staging"):
        code, found = repo.run(base=base, tracking_uri=mlflow_server)
        assert (code, found["metrics"]["rmse"]["base"]) == (0, 1.5), base
    code, found = repo.run(tracking_uri=mlflow_server)
    assert found["metrics"]["rmse"]["base"] == 9.0, "the base revision's own metrics come first"
    assert found["details"]["base"]["kind"] == "revision"


def test_stale_metrics_of_the_base_give_way_to_the_version_in_staging(mlflow_server: str, tmp_path: Path) -> None:
    written = hashlib.md5(json.dumps(BASE | {"rmse": 9.0}).encode(), usedforsecurity=False).hexdigest()
    entry = {
        "cmd": "x",
        "deps": [{"path": "train.py", "hash": "md5", "md5": "0" * 32}],
        "outs": [{"path": "metrics.json", "hash": "md5", "md5": written}],
    }
    lock = {"schema": "2.0", "stages": {"e": entry}}
    stage = {"cmd": "x", "deps": ["train.py"], "metrics": [{"metrics.json": {"cache": False}}]}
    files = {"dvc_dot_lock": lock, "dvc_dot_yaml": {"stages": {"e": stage}}, "train_dot_py": "x = 1\n"}
    repo = Repo(tmp_path / "r", metrics_dot_json=BASE | {"rmse": 9.0}, **files)
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json=NEW)
    main = repo.git("rev-parse", "main").strip()
    code, found = repo.run()
    assert (code, found["status"], found["metrics"]["rmse"]["base"]) == (0, "warned", 9.0)
    assert "base-stale" in codes(found)
    staged(mlflow_server, tmp_path, "fresh", main, scored(BASE, main))
    code, found = repo.run(**in_registry(mlflow_server, "fresh"))
    assert (code, found["status"], found["metrics"]["rmse"]["base"]) == (0, "passed", 1.5)
    assert "base-stale" not in codes(found)
    assert "train.py changed after" in found["details"]["base"]["how"]


def test_predictions_at_the_versions_commit_count_if_they_are_those_of_the_record(
    mlflow_server: str, tmp_path: Path
) -> None:
    old, new = predictions(2.0), predictions(1.0)
    repo = Repo(tmp_path / "r", predictions_dot_csv=old)
    main = repo.git("rev-parse", "main").strip()
    kept = Input(path="predictions.csv", md5=file_md5(repo.folder / "predictions.csv"))
    repo.git("checkout", "-q", "-b", "change")
    repo.write(predictions_dot_csv=new, metrics_dot_json=scores(new))
    staged(mlflow_server, tmp_path, "same-bytes", main, scored(scores(old), main, inputs=[kept]))
    _, found = repo.run(**in_registry(mlflow_server, "same-bytes"), predictions="predictions.csv")
    assert found["details"]["rows"][0]["interval"] is not None
    other = kept.model_copy(update={"md5": "0" * 32})
    staged(mlflow_server, tmp_path, "other-bytes", main, scored(scores(old), main, inputs=[other]))
    _, found = repo.run(**in_registry(mlflow_server, "other-bytes"), predictions="predictions.csv")
    assert found["details"]["rows"][0]["interval"] is None
    assert "base-predictions" in codes(found)


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"base": "models:/nobody/7"}, 2, "no model nobody with version 7"),
        ({"base": "staging", "model_name": "nobody"}, 2, "no model nobody with a version with the alias staging"),
        ({"base": "staging"}, 2, "is needed to find the version in Staging"),
        ({"base": "models:nobody"}, 2, "is not the address of a version"),
        ({"base": "artifact"}, 2, "reading another run needs a token"),
        ({"base": "old/metrics.json"}, 2, "does not exist"),
    ],
)
def test_a_named_base_that_is_not_there_is_an_error(
    mlflow_server: str, bare: Repo, given: dict[str, str], code: int, words: str
) -> None:
    found, record = bare.run(**given, tracking_uri=mlflow_server)
    assert (found, record["status"]) == (code, "error")
    assert len(bare.errors()) == 1
    assert words in bare.errors()[0]


def test_a_registry_that_is_down_is_an_error_if_named_and_else_said(
    bare: Repo, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_store, "PROBE_SECONDS", 0.1)
    uri = f"http://127.0.0.1:{closed_port}"
    code, record = bare.run(base="staging", model_name="m", tracking_uri=uri)
    assert (code, record["status"]) == (3, "error")
    code, record = bare.run(model_name="m", tracking_uri=uri)
    assert (code, record["details"]["verdict"]) == (0, "no-baseline")
    assert "cannot be reached" in record["details"]["base"]["how"]
    assert "no-baseline" in codes(record)


def test_a_registry_file_on_a_runner_is_within_the_changes_reach(bare: Repo, registry_file: Path) -> None:
    (bare.folder / "mlflow.db").write_bytes(registry_file.read_bytes())
    code, record = bare.run(model_name="m", tracking_uri="sqlite:///mlflow.db")
    assert (code, record["details"]["verdict"]) == (0, "no-baseline")
    assert "within the change's own reach" in record["details"]["base"]["how"]


# -- main's last run -------------------------------------------------------------------------------------------


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    fake = FakeGitHub()
    with Server(fake):
        yield fake
    assert fake.problems == []


def facts(github: FakeGitHub, **more: Any) -> dict[str, Any]:
    event = {"repository": {"full_name": "o/r", "default_branch": "main"}}
    return {"repository": "o/r", "api_url": github.url, "event": event, "run_id": "900", **more}


def finished(github: FakeGitHub, number: int, head: str, **more: Any) -> dict[str, Any]:
    """A run on main that ended well."""
    run = github.add_run(number, head, branch="main")
    run |= {"status": "completed", "conclusion": "success", "event": "push", "path": ".github/workflows/gate.yml"}
    run |= {"run_number": number, **more}
    return run


def results(values: dict[str, float], head: str, **more: Any) -> dict[str, bytes]:
    return {"compare-metrics.json": scored(values, head, **more).to_json().encode()}


def test_the_last_successful_run_on_main(bare: Repo, github: FakeGitHub) -> None:
    head = bare.git("rev-parse", "main").strip()
    finished(github, 10, head)
    github.add_artifact(1, 10, "flint-ml-results-gate", results(BASE, head))
    finished(github, 11, "e" * 40)  # a newer one, which left nothing
    finished(github, 12, head, conclusion="failure")
    github.add_artifact(2, 12, "flint-ml-results", results(BASE | {"rmse": 0.1}, head))
    finished(github, 13, head, path=".github/workflows/other.yml")
    github.add_artifact(3, 13, "flint-ml-results", results(BASE | {"rmse": 0.2}, head))
    finished(github, 14, head, event="pull_request")
    github.add_artifact(4, 14, "flint-ml-results", results(BASE | {"rmse": 0.3}, head))
    fork = github.add_run(15, head, branch="main", owner="mallory")
    fork |= {"status": "completed", "conclusion": "success", "event": "push", "path": ".github/workflows/gate.yml"}
    github.add_artifact(5, 15, "flint-ml-results", results(BASE | {"rmse": 0.4}, head))
    env = {"GITHUB_WORKFLOW_REF": "o/r/.github/workflows/gate.yml@refs/pull/7/merge"}
    code, record = bare.run(facts=facts(github), token=TOKEN, runner=env)
    assert (code, record["headline"]) == (0, "better: RMSE 1.50 → 1.30 (−0.20, −13 %)")
    assert record["details"]["base"]["kind"] == "artifact"
    assert record["details"]["base"]["label"] == "main, run 10"
    assert "actions/runs/10" in record["details"]["base"]["how"]
    shown = [line for line in bare.log.getvalue().splitlines() if not line.startswith("::add-mask::")]
    assert TOKEN not in "\n".join(shown) + json.dumps(record)
    assert bare.run(facts=facts(github))[1]["details"]["verdict"] == "no-baseline", "without a token nothing is asked"


@pytest.mark.parametrize("spoilt", ["no zip", "other commit", "failed", "wrong name", "bomb"])
def test_results_that_are_not_to_be_trusted_are_not_used(bare: Repo, github: FakeGitHub, spoilt: str) -> None:
    head = bare.git("rev-parse", "main").strip()
    finished(github, 10, head)
    good = scored(BASE, head)
    files: dict[str, bytes] | bytes = {
        "no zip": b"PK nothing",
        "other commit": {"compare-metrics.json": scored(BASE, "f" * 40).to_json().encode()},
        "failed": {"compare-metrics.json": good.model_copy(update={"status": "failed"}).to_json().encode()},
        "wrong name": {"../compare-metrics.json": good.to_json().encode()},
        "bomb": {"compare-metrics.json": b" " * (5 * 1024 * 1024)},
    }[spoilt]
    github.add_artifact(1, 10, "flint-ml-results", files)
    code, record = bare.run(facts=facts(github), token=TOKEN)
    assert (code, record["details"]["verdict"]) == (0, "no-baseline")
    assert "hold no record compare-metrics" in record["details"]["base"]["how"]
    code, record = bare.run(facts=facts(github), token=TOKEN, base="artifact")
    assert (code, record["status"]) == (2, "error")


def test_a_token_that_may_not_read_runs_is_said(bare: Repo, github: FakeGitHub) -> None:
    github.faults.append(Fault("GET", "/actions/", times=9, status=403))
    code, record = bare.run(facts=facts(github), token=TOKEN)
    assert (code, record["details"]["verdict"]) == (0, "no-baseline")
    assert "GitHub answered 403" in record["details"]["base"]["how"]
    code, record = bare.run(facts=facts(github), token=TOKEN, base="artifact")
    assert (code, "actions: read" in bare.errors()[0]) == (3, True)


def test_a_named_artifact(bare: Repo, github: FakeGitHub) -> None:
    head = bare.git("rev-parse", "main").strip()
    finished(github, 10, head)
    github.add_artifact(1, 10, "flint-ml-results", results(BASE, head))
    github.add_artifact(2, 10, "gate-linux", results(BASE | {"rmse": 2.0}, head))
    _, record = bare.run(facts=facts(github), token=TOKEN, base="artifact", base_artifact="gate-linux")
    assert record["metrics"]["rmse"]["base"] == 2.0
