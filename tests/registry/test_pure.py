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
from flint_ml.registry import identity
from flint_ml.registry import version_tags as facts
from flint_ml.registry.address import resolve, without_credentials
from flint_ml.registry.approval import approval
from flint_ml.registry.content import read_content

RUN = Run("c0ffee", "7", 1)


def record(name: str, status: str = "passed", **values: object) -> Record:
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
        ("databricks://profile", "not supported"),
        ("http://", "names no host"),
        ("http://host:notaport", "ort"),
    ],
)
def test_addresses_that_hold_no_registry(uri: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        resolve(uri, {}, Path())
    assert "geheim" not in str(caught.value)


# Content


def test_folder_hash_depends_on_names_and_bytes_only(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "b.bin").write_bytes(b"b")
        (tmp_path / name / "a.txt").write_bytes(b"a")
    one, two = (read_content(tmp_path / name, name) for name in ("one", "two"))
    assert [file.name for file in one.files] == ["a.txt", "sub/b.bin"]
    assert one.sha256 == two.sha256
    assert (one.kind, one.size) == ("folder", 2)
    (tmp_path / "two" / "sub" / "b.bin").rename(tmp_path / "two" / "sub" / "c.bin")
    assert read_content(tmp_path / "two", "two").sha256 != one.sha256


def test_kinds_of_model(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "MLmodel").write_text("flavors: {}\n")
    (tmp_path / "net.ONNX").write_bytes(b"x")
    assert read_content(tmp_path / "m", "m").kind == "mlflow"
    assert read_content(tmp_path / "net.ONNX", "net").kind == "onnx"


def test_empty_models_and_links_out_of_the_workspace_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pkl").touch()
    (tmp_path / "void").mkdir()
    for name in ("empty.pkl", "void"):
        with pytest.raises(InputError, match="is empty"):
            read_content(tmp_path / name, name)
    (tmp_path / "work" / "model").mkdir(parents=True)
    (tmp_path / "secret").write_text("key")
    (tmp_path / "work" / "model" / "x").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="leads out of the workspace"):
        read_content(tmp_path / "work" / "model", "model", tmp_path / "work")
    assert read_content(tmp_path / "work" / "model", "model").size == 3


def test_a_folder_that_links_to_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "again").symlink_to(tmp_path / "m")
    with pytest.raises(InputError, match="links to itself"):
        read_content(tmp_path / "m", "m")


def test_the_whole_repository_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "repo" / "model.pkl").write_text("m")
    with pytest.raises(InputError, match="whole repository"):
        read_content(tmp_path / "repo", ".")
    with pytest.raises(InputError, match="whole repository"):
        read_content(tmp_path, ".", tmp_path)


# Identity


@given(st.lists(st.text(max_size=8), min_size=4, max_size=4), st.integers(0, 3), st.text(min_size=1, max_size=3))
def test_key_changes_with_each_of_its_parts(parts: list[str], index: int, extra: str) -> None:
    parts = [part.replace("\0", "") for part in parts]
    other = list(parts)
    other[index] += extra.replace("\0", "x")
    assert identity.key(*parts) == identity.key(*parts)
    assert identity.key(*parts) != identity.key(*other)


def test_who_is_dead() -> None:
    mine = identity.owner("42", 2)
    host = mine.split("/")[2]
    now = time.time()
    fresh = int(now * 1000)
    ended = os.fork()
    if ended == 0:
        os._exit(0)
    os.waitpid(ended, 0)
    assert identity.dead("42/1/other-machine/1", mine, fresh), "an earlier attempt of the same workflow run"
    assert identity.dead(f"9/1/{host}/{ended}", mine, fresh), "a process of this machine that ended"
    assert not identity.dead(mine, mine, fresh)
    assert not identity.dead("42/2/other-machine/1", mine, fresh), "a job beside this one"
    assert not identity.dead("43/1/other-machine/1", mine, fresh)
    assert identity.dead("43/1/other-machine/1", mine, fresh - 7 * 3600 * 1000, now)
    assert not identity.dead("", mine, fresh)


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
    content = read_content(tmp_path / "m.pkl", "m.pkl")
    data = {f"data/file{number}.csv": f"{number:032x}" for number in range(500)}
    tags = facts.version_tags(facts.Source(commit="c0ffee", data=data), content, {"rmse": 1.3})
    assert tags["flint_ml.commit"] == "c0ffee"
    assert tags["flint_ml.metrics"] == '{"rmse": 1.3}'
    assert "flint_ml.branch" not in tags
    assert "500 in all" in tags["flint_ml.data"]
    assert max(map(len, tags.values())) <= 5000


# The gate's word


def test_all_passed_is_approved() -> None:
    gate = approval([record(name) for name in EXPECTED], [], EXPECTED, RUN)
    assert (gate.value, gate.reasons) == ("approved", ())


def test_a_warning_is_marked_for_review() -> None:
    found = [record(name, "warned" if name == "check-drift" else "passed") for name in EXPECTED]
    gate = approval(found, [], EXPECTED, RUN)
    assert (gate.value, gate.reasons) == ("review", ("check-drift warned",))


def test_on_a_pull_request_nobody_has_decided_yet() -> None:
    found = [record(name, "warned" if name == "check-drift" else "passed") for name in EXPECTED]
    assert approval(found, [], EXPECTED, RUN, merged=False).value == "refused"
    assert approval([record(name) for name in EXPECTED], [], EXPECTED, RUN, merged=False).value == "approved"


def test_changed_rules_are_marked_for_review() -> None:
    finding = Finding(severity="warning", code="gate-changed", message="the tolerance changed")
    found = [record(name, findings=[finding] if name == "compare-metrics" else []) for name in EXPECTED]
    assert approval(found, [], EXPECTED, RUN).value == "review"


@pytest.mark.parametrize("status", ["failed", "error"])
def test_a_failure_is_refused_also_where_others_are_missing(status: str) -> None:
    gate = approval([record("pull-data"), record("train", status)], [], EXPECTED, RUN)
    assert gate.value == "refused"
    assert gate.reasons[0] == f"train {status}"


def test_missing_skipped_and_foreign_records_are_named() -> None:
    foreign = record("train")
    foreign.provenance.run_id = "6"
    found = [record("pull-data"), record("check-drift", "skipped"), foreign]
    with pytest.raises(InputError, match="no record of check-drift, train, compare-metrics") as caught:
        approval(found, [], EXPECTED, RUN)
    assert caught.value.code == "missing-record"


def test_an_unreadable_record_is_no_approval() -> None:
    with pytest.raises(InputError, match=r"train\.json"):
        approval([record(name) for name in EXPECTED], ["train.json: is not a record"], EXPECTED, RUN)


def test_require_none_asks_for_nothing_and_own_records_do_not_count() -> None:
    assert approval([record("check-drift", "failed")], [], ["none"], RUN).value == "not required"
    found = [*(record(name) for name in EXPECTED), record("register-model", "error")]
    assert approval(found, [], EXPECTED, RUN).value == "approved"
