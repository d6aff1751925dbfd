"""What compare-metrics says that it looked at: this run's metrics, all of them, the same samples, a current base."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from flint_ml.dvc_project import folder_md5
from flint_ml.record import Badge, Provenance, Record, Written
from helpers.metrics import BASE, Repo, codes, evaluated, predictions

BETTER = BASE | {"rmse": 1.4}
PLAN = """stages:
  train:
    cmd: python train.py
    deps: [train.py, train.csv]
    outs: [model.bin]
  evaluate:
    cmd: python evaluate.py
    deps: [evaluate.py, model.bin, test.csv]
    params: [split.seed]
    metrics: [{metrics.json: {cache: false}}]
"""


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def lock(*, model: str = "m", train: str = "t", test: str = "e", seed: int = 1, metrics: str = "") -> str:
    return f"""schema: '2.0'
stages:
  train:
    cmd: python train.py
    deps: [{{path: train.py, hash: md5, md5: {md5("1")}}}, {{path: train.csv, hash: md5, md5: {md5(train)}}}]
    outs: [{{path: model.bin, hash: md5, md5: {md5(model)}}}]
  evaluate:
    cmd: python evaluate.py
    deps:
    - {{path: evaluate.py, hash: md5, md5: {md5("1")}}}
    - {{path: model.bin, hash: md5, md5: {md5(model)}}}
    - {{path: test.csv, hash: md5, md5: {md5(test)}}}
    params: {{params.yaml: {{split.seed: {seed}}}}}
    outs: [{{path: metrics.json, hash: md5, md5: {md5(metrics or json.dumps(BASE))}}}]
"""


def project(folder: Path) -> Repo:
    repo = Repo(
        folder,
        dvc_dot_yaml=PLAN,
        dvc_dot_lock=lock(),
        train_dot_py="1",
        evaluate_dot_py="1",
        train_dot_csv="t",
        test_dot_csv="e",
        params_dot_yaml="split: {seed: 1}",
        metrics_dot_json=BASE,
    )
    repo.git("checkout", "-q", "-b", "change")
    return repo


def pieces(record: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for piece in record["coverage"]:
        found.setdefault(piece["kind"], []).append((piece["state"], piece["name"] or piece["noun"] or piece["why"]))
    return found


def test_without_dvc_and_without_a_word_on_it_nothing_is_shown(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r", metrics_dot_json=BASE)
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json=BETTER)
    said = pieces(repo.run()[1])
    assert said["metrics"] == [("looked", "metrics")]
    assert said["samples"] == [("left-out", "the same samples")]
    assert said["metrics-of-this-run"] == [("looked", "metrics files"), ("left-out", "metrics.json")]
    assert [state for state, _ in said["base-metrics"]] == ["not-applicable"]


def test_what_the_settings_declare_is_not_asked_for(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r", metrics_dot_json=BASE)
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json=BETTER)
    said = pieces(repo.run(benchmark="none", metrics_from="commit")[1])
    assert [state for state, _ in said["samples"] + said["metrics-of-this-run"]] == ["not-applicable"] * 2


@pytest.mark.parametrize("path", ["metrics.json", "other.json"])
def test_metrics_that_the_command_wrote(tmp_path: Path, path: str) -> None:
    repo = Repo(tmp_path / "r", metrics_dot_json=BASE)
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json=BETTER)
    head = repo.git("rev-parse", "HEAD").strip()
    train = Record(
        action="record",
        name="train",
        status="passed",
        headline="done",
        badge=Badge(label="Training", message="1 s"),
        wrote=[Written(path=path, how="rewritten")],
        provenance=Provenance(head_sha=head, tool="test", started="2026-11-21T20:00:00Z"),
    )
    (repo.folder / "flint-ml-results").mkdir()
    (repo.folder / "flint-ml-results" / "train.json").write_text(train.to_json())
    said = pieces(repo.run()[1])["metrics-of-this-run"]
    assert [state for state, _ in said] == (["looked"] if path == "metrics.json" else ["looked", "left-out"])


@pytest.mark.parametrize(
    ("changed", "files", "state", "why"),
    [
        ({"model": "n"}, {"train_dot_py": "2"}, "looked", "dvc.yaml:train"),
        ({}, {}, "looked", "dvc.yaml:evaluate"),
        ({"model": "n", "train": "T"}, {"train_dot_csv": "T"}, "left-out", "train.csv"),
        ({"test": "E"}, {"test_dot_csv": "E"}, "left-out", "test.csv"),
        ({"seed": 2}, {"params_dot_yaml": "split: {seed: 2}"}, "left-out", "split.seed"),
    ],
)
def test_the_same_data_lead_to_the_metrics(
    tmp_path: Path, changed: dict[str, Any], files: dict[str, str], state: str, why: str
) -> None:
    repo = project(tmp_path / "r")
    repo.write(metrics_dot_json=BETTER, dvc_dot_lock=lock(**changed, metrics=json.dumps(BETTER)), **files)
    record = repo.run()[1]
    piece = next(p for p in record["coverage"] if p["kind"] == "samples")
    assert (piece["state"], why in piece["why"]) == (state, True), piece
    # Numbers of other data are no better and no worse; that the pipeline tells is no open question.
    assert record["verdict"] == ("better" if state == "looked" else "inconclusive")
    assert (why in record["headline"]) == (state == "left-out")
    assert codes(record) & {"samples-changed", "benchmark-unknown", "gate-changed"} == (
        set() if state == "looked" else {"samples-changed"}
    )


def test_changed_training_data_with_a_named_benchmark_are_compared(tmp_path: Path) -> None:
    repo = project(tmp_path / "r")
    repo.write(metrics_dot_json=BETTER, train_dot_csv="T", dvc_dot_lock=lock(model="n", train="T"))
    record = repo.run(benchmark="test.csv")[1]
    assert (record["verdict"], pieces(record)["samples"]) == ("better", [("looked", "benchmark")])
    assert repo.run(benchmark="none")[1]["verdict"] == "better"


def test_metrics_that_dvc_restored_are_of_this_run_and_those_of_an_older_code_are_not(tmp_path: Path) -> None:
    repo = project(tmp_path / "r")
    (repo.folder / "model.bin").write_text("m")
    repo.write(metrics_dot_json=BETTER, dvc_dot_lock=lock(metrics=json.dumps(BETTER)))
    assert pieces(repo.run()[1])["metrics-of-this-run"] == [("looked", "metrics files")]
    repo.write(train_dot_py="2")
    assert ("left-out", "metrics.json") in pieces(repo.run()[1])["metrics-of-this-run"]


@pytest.mark.parametrize("listed", [True, False])
def test_metrics_in_a_folder_that_dvc_restored_are_of_this_run(tmp_path: Path, listed: bool) -> None:
    """DVCLive's folder is the stage's output, the metrics a file in it."""
    numbers = json.dumps(BETTER)
    files = {"metrics.json": md5(numbers), "plots/roc.json": md5("[]")}
    folder = folder_md5(files)
    plan = "stages: {e: {cmd: x, deps: [e.py], outs: [eval]}}\nmetrics: [eval/metrics.json]\n"
    recorded = f"""schema: '2.0'
stages: {{e: {{cmd: x, deps: [{{path: e.py, hash: md5, md5: {md5("1")}}}],
  outs: [{{path: eval, hash: md5, md5: {folder}, nfiles: 2}}]}}}}
"""
    repo = Repo(tmp_path / "r", readme="x")
    repo.git("checkout", "-q", "-b", "change")
    repo.write(dvc_dot_yaml=plan, dvc_dot_lock=recorded, e_dot_py="1", _dot_gitignore="/eval")
    (repo.folder / "eval/plots").mkdir(parents=True)
    (repo.folder / "eval/metrics.json").write_text(numbers)
    (repo.folder / "eval/plots/roc.json").write_text("[]")
    if listed:
        listing = json.dumps([{"md5": value, "relpath": name} for name, value in files.items()])
        for value, text in {folder: listing, files["metrics.json"]: numbers}.items():
            stored = repo.folder / ".dvc/cache/files/md5" / value[:2] / value[2:]
            stored.parent.mkdir(parents=True)
            stored.write_text(text)
        # A file of another tool in the folder makes no other metrics.
        (repo.folder / "eval/report.html").write_text("<html>")
    run = {"metrics": ["eval/metrics.json"]}
    assert pieces(repo.run(**run)[1])["metrics-of-this-run"] == [("looked", "metrics files")]
    (repo.folder / "eval/metrics.json").write_text(json.dumps(BASE))
    assert ("left-out", "eval/metrics.json") in pieces(repo.run(**run)[1])["metrics-of-this-run"]
    (repo.folder / "eval/metrics.json").write_text(numbers)
    (repo.folder / "e.py").write_text("2")
    assert ("left-out", "eval/metrics.json") in pieces(repo.run(**run)[1])["metrics-of-this-run"]


def test_what_was_not_compared_is_named(tmp_path: Path) -> None:
    plan = "stages:\n  e:\n    cmd: x\n    metrics:\n    - a.json: {cache: false}\n    - b.json: {cache: false}\n"
    files = {"a_dot_json": {"rmse": 1.5, "r2": 0.5, "area": 3}, "b_dot_json": {"mae": 2}}
    repo = Repo(tmp_path / "r", dvc_dot_yaml=plan, **files)
    repo.git("checkout", "-q", "-b", "change")
    repo.write(a_dot_json='{"rmse": 1.4, "r2": NaN, "release": "1.10"}')
    said = pieces(repo.run(metrics=["a.json"])[1])["metrics"]
    assert [name for state, name in said if state == "left-out"] == ["r2", "area", "release", "b.json"]
    rules = {name: {"missing": "ignore"} for name in ("r2", "area", "release")}
    said = pieces(repo.run(metrics=["a.json"], rules=rules)[1])["metrics"]
    assert [name for state, name in said if state == "left-out"] == ["b.json"]


def test_predictions_show_the_samples(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r", readme="x")
    evaluated(repo, predictions(2.0))
    repo.commit("base")
    repo.git("checkout", "-q", "-b", "change")
    evaluated(repo, predictions(1.0, seed=2))
    repo.commit("change")
    piece = next(p for p in repo.run(predictions="predictions.csv")[1]["coverage"] if p["kind"] == "samples")
    assert (piece["state"], piece["n"], piece["noun"]) == ("looked", 60, "samples")
