"""The registry's pure parts: addresses, content, identity, facts, the gate's word."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flint_ml.decision import EXPECTED, Run
from flint_ml.errors import InputError
from flint_ml.record import Badge, Finding, Metric, Provenance, Record
from flint_ml.registry import version as facts
from flint_ml.registry import version as identity
from flint_ml.registry.address import check_model_name, resolve, without_credentials
from flint_ml.registry.approval import gate_approval
from flint_ml.registry.model_files import read_model
from flint_ml.registry.store import connect
from helpers.records import COMPLETE

RUN = Run("c0ffee", "7", 1)


def record(name: str, status: str = "passed", **values: object) -> Record:
    values.setdefault("coverage", COMPLETE.get(name, []))
    return Record(
        action=name,
        name=name,
        status=status,  # type: ignore[arg-type]
        headline=f"{name} {status}",
        badge=Badge(label=name, message=status),
        provenance=Provenance(head_sha="c0ffee", run_id="7", tool="test", started="2026-11-21T20:00:00Z"),
        **values,  # type: ignore[arg-type]
    )


# Addresses


def test_address_comes_from_input_then_variable_then_a_sqlite_file(tmp_path: Path) -> None:
    env = {"MLFLOW_TRACKING_URI": "http://registry:5000/"}
    assert resolve("https://ml.example.org", env, tmp_path).uri == "https://ml.example.org"
    assert resolve("", env, tmp_path).uri == "http://registry:5000"
    default = resolve("", {}, tmp_path)
    assert default.uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert default.database == tmp_path / "mlflow.db"
    assert default.artifacts == tmp_path / "mlartifacts"
    assert default.shown(tmp_path) == "sqlite:///mlflow.db"


def test_credentials_of_an_address_are_kept_apart() -> None:
    address = resolve("https://ana:p%40ss@ml.example.org:8443/mlflow/?token=x", {}, Path())
    assert address.uri == "https://ml.example.org:8443/mlflow"
    assert (address.username, address.password) == ("ana", "p@ss")
    assert address.secrets == ["p@ss"]
    assert "p@ss" not in repr(address)
    assert without_credentials("https://ana:secret@h/x?k=v") == "https://h/x"


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("file:///srv/mlruns", "plain folders"),
        ("./mlruns", "plain folders"),
        ("postgresql+psycopg2://u:geheim@db/ml", "through an `mlflow server`"),
        ("sqlite://", "and a file"),
        ("databricks", "Databricks' registry is not supported"),
        ("databricks://profile", "Databricks' registry is not supported"),
        ("databricks-uc", "Unity Catalog is not supported"),
        ("uc:http://localhost:8080", "Unity Catalog is not supported"),
        ("arn:aws:sagemaker:us-east-1:1:mlflow-tracking-server/x", "SageMaker's managed MLflow is not supported"),
        ("azureml://eastus.api.azureml.ms/x", "Azure Machine Learning's registry is not supported"),
        ("http+unix://x", "a database"),
        ("http://", "names no host"),
        ("http://host:notaport", "ort"),
    ],
)
def test_addresses_that_hold_no_registry(uri: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        resolve(uri, {}, Path())
    assert "geheim" not in str(caught.value)


def test_credentials_that_mlflow_keeps_for_its_client(tmp_path: Path) -> None:
    (tmp_path / ".mlflow").mkdir()
    file = tmp_path / ".mlflow" / "credentials"
    file.write_text("[mlflow]\nmlflow_tracking_username = ana\nmlflow_tracking_password = p%ss\n")
    env = {"HOME": str(tmp_path)}
    address = resolve("https://ml.example.org", env, tmp_path)
    assert (address.username, address.password) == ("ana", "p%ss")
    assert resolve("https://ml.example.org", env | {"MLFLOW_TRACKING_USERNAME": "ben"}, tmp_path).username == "ben"
    for text in ("[other]\n", "not an ini file", "\xff"):
        file.write_text(text, encoding="latin-1")
        assert resolve("https://ml.example.org", env, tmp_path).username is None


@pytest.mark.parametrize("name", ["soc", "soc#1", "100%", "Böden é", "main.default.soc", "-x", "42", "a?b=c", "soil's"])
def test_names_of_models(name: str) -> None:
    assert check_model_name(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a/b", "MLflow 3 does not take"),
        ("a:b", "MLflow 3 does not take"),
        ("", "needs a name"),
        (" soc", "blank at an end"),
        ("so\nc", "cannot be seen"),
        ("so\u202ec", "cannot be seen"),
        ("..", "path of a folder"),
        ("'\"", "both kinds of quotes"),
        ("n" * 300, "300 characters"),
    ],
)
def test_names_that_cannot_be_a_models(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_model_name(name)


def test_a_folder_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder") as caught:
        connect(resolve("sqlite:///registry/mlflow.db", {}, tmp_path), {})
    assert caught.value.code == "no-folder"
    assert list(tmp_path.iterdir()) == []


# Content


def test_folder_hash_depends_on_names_and_bytes_only(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "b.bin").write_bytes(b"b")
        (tmp_path / name / "a.txt").write_bytes(b"a")
    one, two = (read_model(tmp_path / name, name) for name in ("one", "two"))
    assert [file.name for file in one.files] == ["a.txt", "sub/b.bin"]
    assert one.sha256 == two.sha256
    assert (one.kind, one.size) == ("folder", 2)
    (tmp_path / "two" / "sub" / "b.bin").rename(tmp_path / "two" / "sub" / "c.bin")
    assert read_model(tmp_path / "two", "two").sha256 != one.sha256


def test_kinds_of_model(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "MLmodel").write_text("flavors: {}\n")
    (tmp_path / "net.ONNX").write_bytes(b"x")
    assert read_model(tmp_path / "m", "m").kind == "mlflow"
    assert read_model(tmp_path / "net.ONNX", "net").kind == "onnx"


def test_empty_models_and_links_out_of_the_workspace_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pkl").touch()
    (tmp_path / "void").mkdir()
    for name in ("empty.pkl", "void"):
        with pytest.raises(InputError, match="is empty"):
            read_model(tmp_path / name, name)
    (tmp_path / "work" / "model").mkdir(parents=True)
    (tmp_path / "secret").write_text("key")
    (tmp_path / "work" / "model" / "x").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="leads out of the workspace"):
        read_model(tmp_path / "work" / "model", "model", tmp_path / "work")
    assert read_model(tmp_path / "work" / "model", "model").size == 3


def test_a_folder_that_links_to_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "again").symlink_to(tmp_path / "m")
    with pytest.raises(InputError, match="links to itself"):
        read_model(tmp_path / "m", "m")


def test_the_whole_repository_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "repo" / "model.pkl").write_text("m")
    with pytest.raises(InputError, match="whole repository"):
        read_model(tmp_path / "repo", ".")
    with pytest.raises(InputError, match="whole repository"):
        read_model(tmp_path, ".", tmp_path)


# Identity


@given(st.lists(st.text(max_size=8), min_size=4, max_size=4), st.integers(0, 3), st.text(min_size=1, max_size=3))
def test_key_changes_with_each_of_its_parts(parts: list[str], index: int, extra: str) -> None:
    parts = [part.replace("\0", "") for part in parts]
    other = list(parts)
    other[index] += extra.replace("\0", "x")
    assert identity.idempotency_key(*parts) == identity.idempotency_key(*parts)
    assert identity.idempotency_key(*parts) != identity.idempotency_key(*other)


def test_who_is_dead() -> None:
    mine = identity.owner("42", 2)
    host = mine.split("/")[2]
    now = time.time()
    fresh = int(now * 1000)
    ended = os.fork()
    if ended == 0:
        os._exit(0)
    os.waitpid(ended, 0)
    assert identity.is_dead("42/1/other-machine/1", mine, fresh), "an earlier attempt of the same workflow run"
    assert identity.is_dead(f"9/1/{host}/{ended}", mine, fresh), "a process of this machine that ended"
    assert not identity.is_dead(mine, mine, fresh)
    assert not identity.is_dead("42/2/other-machine/1", mine, fresh), "a job beside this one"
    assert not identity.is_dead("43/1/other-machine/1", mine, fresh)
    assert identity.is_dead("43/1/other-machine/1", mine, fresh - 7 * 3600 * 1000, now)
    assert not identity.is_dead("", mine, fresh)


# Facts


@pytest.mark.parametrize(
    ("message", "number"),
    [
        ("Merge pull request #12 from lab/better\n\nMore components", 12),
        ("Use 12 components (#7)", 7),
        ("Mention #3 in passing", None),
        ("", None),
    ],
)
def test_pull_request_of_a_merge(message: str, number: int | None) -> None:
    assert facts.pull_request_of(message) == number


def test_flatten_parameters() -> None:
    params = {"train": {"n": 8, "cols": ["a", "b"]}, "seed": None, "name": "plsr", "odd,key": 1.5}
    expected = {"train.n": "8", "train.cols": '["a", "b"]', "seed": "null", "name": "plsr", "odd_key": "1.5"}
    assert facts.flatten(params) == expected
    assert facts.flatten([1, 2]) == {}


@settings(deadline=None)  # the first example imports MLflow
@given(st.text(max_size=300))
def test_names_are_what_mlflow_allows(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(facts.mlflow_name(name))


def test_metrics_prefer_the_comparison_and_drop_what_is_not_finite() -> None:
    drift = record("check-drift", metrics={"rmse": Metric(value=9), "columns": Metric(value=21)})
    compare = record("compare-metrics", metrics={"rmse": Metric(value=1.3), "r2": Metric(value=float("nan"))})
    assert facts.metrics_of([drift, compare]) == {"rmse": 1.3, "check-drift/rmse": 9, "columns": 21}


def test_tags_leave_out_what_is_unknown_and_stay_below_mlflows_limit(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"m")
    content = read_model(tmp_path / "m.pkl", "m.pkl")
    data = {f"data/file{number}.csv": f"{number:032x}" for number in range(500)}
    tags = facts.version_tags(facts.Source(commit="c0ffee", data=data), content, {"rmse": 1.3})
    assert tags["flint_ml.commit"] == "c0ffee"
    assert tags["flint_ml.metrics"] == '{"rmse": 1.3}'
    assert "flint_ml.branch" not in tags
    assert "500 in all" in tags["flint_ml.data"]
    assert max(map(len, tags.values())) <= 5000


# The gate's word


def test_all_passed_is_approved() -> None:
    gate = gate_approval([record(name) for name in EXPECTED], [], EXPECTED, RUN)
    assert (gate.value, gate.reasons) == ("approved", ())


def test_a_warning_is_marked_for_review() -> None:
    found = [record(name, "warned" if name == "check-drift" else "passed") for name in EXPECTED]
    gate = gate_approval(found, [], EXPECTED, RUN)
    assert (gate.value, gate.reasons) == ("review", ("check-drift warned",))


def test_on_a_pull_request_nobody_has_decided_yet() -> None:
    found = [record(name, "warned" if name == "check-drift" else "passed") for name in EXPECTED]
    assert gate_approval(found, [], EXPECTED, RUN, merged=False).value == "refused"
    assert gate_approval([record(name) for name in EXPECTED], [], EXPECTED, RUN, merged=False).value == "approved"


def test_changed_rules_are_marked_for_review() -> None:
    finding = Finding(severity="warning", code="gate-changed", message="the tolerance changed")
    found = [record(name, findings=[finding] if name == "compare-metrics" else []) for name in EXPECTED]
    assert gate_approval(found, [], EXPECTED, RUN).value == "review"


@pytest.mark.parametrize("status", ["failed", "error"])
def test_a_failure_is_refused_also_where_others_are_missing(status: str) -> None:
    gate = gate_approval([record("pull-data"), record("train", status)], [], EXPECTED, RUN)
    assert gate.value == "refused"
    assert gate.reasons[0] == f"train {status}"


def test_missing_skipped_and_foreign_records_are_named() -> None:
    foreign = record("train")
    foreign.provenance.run_id = "6"
    found = [record("pull-data"), record("check-drift", "skipped"), foreign]
    with pytest.raises(InputError, match="no record of check-drift, train, compare-metrics") as caught:
        gate_approval(found, [], EXPECTED, RUN)
    assert caught.value.code == "missing-record"


def test_an_unreadable_record_is_no_approval() -> None:
    with pytest.raises(InputError, match=r"train\.json"):
        gate_approval([record(name) for name in EXPECTED], ["train.json: is not a record"], EXPECTED, RUN)


def test_require_none_asks_for_nothing_and_own_records_do_not_count() -> None:
    assert gate_approval([record("check-drift", "failed")], [], ["none"], RUN).value == "not required"
    found = [*(record(name) for name in EXPECTED), record("register-model", "error")]
    assert gate_approval(found, [], EXPECTED, RUN).value == "approved"
