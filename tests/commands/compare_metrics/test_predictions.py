"""compare-metrics with predictions of both sides, with history, and with a base whose metrics are old."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from helpers.metrics import BASE, Repo, codes, evaluated, predictions, scores


@pytest.fixture
def scored(tmp_path: Path) -> Repo:
    table = predictions(1.5, n=120)
    made = Repo(tmp_path / "r", metrics_dot_json=scores(table), predictions_dot_csv=table)
    made.git("checkout", "-q", "-b", "change")
    return made


def test_a_clear_change_is_better_by_its_interval(scored: Repo) -> None:
    evaluated(scored, predictions(1.0, n=120, seed=2))
    code, record = scored.run(predictions="predictions.csv", rules={"rmse": {"unit": "g/kg"}})
    assert (code, record["details"]["verdict"]) == (0, "better")
    table = record["tables"][0]
    assert table["title"] == "Benchmark, n = 120, same on both sides"
    assert [column["name"] for column in table["columns"]] == [
        "metric",
        "base",
        "this change",
        "change",
        "95 % CI",
        "result",
    ]
    rmse = record["details"]["rows"][0]
    assert rmse["interval"]["high"] < 0
    assert rmse["interval"]["p_value"] < 0.01
    assert rmse["interval"]["units"] == 120
    assert record["details"]["benchmark"] == {
        "path": None,
        "name": None,
        "md5": None,
        "base_md5": None,
        "same": True,
        "n": 120,
    }
    figure = record["figures"][0]
    assert [series["name"] for series in figure["fallback"]["series"]] == ["base", "this change"]
    assert 118 <= sum(figure["fallback"]["series"][0]["y"]) <= 120, "the outermost two are beyond the axis"


def test_the_same_samples_are_the_same_benchmark_where_no_revision_tells(scored: Repo) -> None:
    table = predictions(1.0, n=120, seed=2)
    scored.write(new_dot_json=scores(table), new_dot_csv=table, bench_dot_csv="x")
    _, record = scored.run(
        metrics="new.json",
        base="metrics.json",
        predictions="new.csv",
        base_predictions="predictions.csv",
        benchmark="bench.csv",
    )
    assert record["details"]["benchmark"]["same"] is True
    assert record["tables"][0]["title"] == "Benchmark bench, n = 120, same on both sides"


def test_the_same_files_give_the_same_intervals(scored: Repo) -> None:
    evaluated(scored, predictions(1.3, n=120, seed=2))
    rows = [scored.run(predictions="predictions.csv")[1]["details"]["rows"] for _ in range(2)]
    assert rows[0] == rows[1]
    assert rows[0][0]["interval"] is not None


def test_a_change_within_chance_is_inconclusive_and_says_what_would_settle_it(scored: Repo) -> None:
    evaluated(scored, predictions(1.45, n=120, seed=5))
    code, record = scored.run(predictions="predictions.csv")
    assert (code, record["status"], record["details"]["verdict"]) == (0, "warned", "inconclusive")
    assert "95 % CI" in record["headline"]
    note = next(f["message"] for f in record["findings"] if f["code"] == "inconclusive")
    assert "samples would settle it (120 now)" in note
    assert scored.run(predictions="predictions.csv", resamples=0)[1]["details"]["verdict"] != "inconclusive"


def test_identical_predictions_are_the_same(scored: Repo) -> None:
    code, record = scored.run(predictions="predictions.csv", base_revision="HEAD")
    assert (code, record["details"]["verdict"]) == (0, "same")


def test_a_worse_group_holds_the_gate_back_though_the_mean_is_better(tmp_path: Path) -> None:
    table = predictions(4.0, n=300)
    repo = Repo(tmp_path / "r", metrics_dot_json=scores(table), predictions_dot_csv=table)
    repo.git("checkout", "-q", "-b", "change")
    rows = [line.split(",") for line in predictions(0.8, n=300, seed=3, worse="b").splitlines()[1:]]
    base = [line.split(",") for line in table.splitlines()[1:]]
    mixed = [
        row if row[3] != "b" else [*old[:2], f"{float(old[1]) + 1.35 * (float(old[2]) - float(old[1])):.4f}", "b"]
        for row, old in zip(rows, base, strict=True)
    ]
    evaluated(repo, "id,truth,prediction,group\n" + "\n".join(map(",".join, mixed)) + "\n")
    code, record = repo.run(predictions="predictions.csv")
    assert (code, record["status"], record["details"]["verdict"]) == (0, "warned", "better")
    assert record["details"]["weakest_group"]["group"] == "b"
    assert "; but worse in group b (n = 100): RMSE" in record["headline"]
    assert "group-worse" in codes(record)
    assert record["tables"][1]["title"] == "By group"
    assert {row[0] for row in record["tables"][1]["rows"]} == {"a", "b", "c"}


def test_metrics_that_the_predictions_contradict_get_no_interval(scored: Repo) -> None:
    table = predictions(1.0, n=120, seed=2)
    scored.write(predictions_dot_csv=table, metrics_dot_json=scores(table) | {"rmse": 0.5})
    _, record = scored.run(predictions="predictions.csv")
    assert "metric-mismatch" in codes(record)
    assert [row["interval"] is None for row in record["details"]["rows"]] == [True, False]


def test_benchmark_samples_in_the_training_data_fail(scored: Repo) -> None:
    evaluated(scored, predictions(1.0, n=120, seed=2))
    scored.write(train_dot_csv="id,x\n500,1\n007,2\n011,3\n", clean_dot_csv="ID,x\n500,1\n")
    code, record = scored.run(predictions="predictions.csv", training=["clean.csv"])
    assert (code, record["details"]["verdict"]) == (0, "better")
    code, record = scored.run(predictions="predictions.csv", training=["clean.csv", "train.csv"])
    assert (code, record["status"], record["details"]["verdict"]) == (1, "failed", "inconclusive")
    assert record["headline"] == "failed: 2 of 120 benchmark samples are in the training data (train.csv)"
    assert "007" not in json.dumps(record["findings"])


@pytest.mark.parametrize(
    ("files", "given", "words"),
    [
        ({"train_dot_csv": "x\n1\n"}, {"predictions": "predictions.csv"}, ["train.csv: has no column of sample ids"]),
        ({"train_dot_csv": ""}, {"predictions": "predictions.csv"}, ["train.csv: cannot be read as a table"]),
        ({}, {"predictions": "predictions.csv"}, ["training: 'train.csv' does not exist"]),
        ({"train_dot_csv": "id\n1\n"}, {}, ["training: needs `predictions`"]),
    ],
)
def test_bad_training_tables(scored: Repo, files: dict[str, str], given: dict[str, Any], words: list[str]) -> None:
    scored.write(**files)
    code, record = scored.run(training=["train.csv"], **given)
    assert (code, record["status"]) == (2, "error")
    assert all(word in scored.errors()[0] for word in words), scored.errors()


def test_metrics_of_the_base_that_are_older_than_its_files_are_said(tmp_path: Path) -> None:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    metrics, code = json.dumps(BASE), "print(1)"
    lock = f"""schema: '2.0'
stages:
  train:
    cmd: python train.py
    deps: [{{path: train.py, hash: md5, md5: {md5(code)}}}, {{path: data.csv, hash: md5, md5: {"a" * 32}}}]
    params: {{params.yaml: {{train.k: 8, all: {{x: 1}}}}}}
    outs: [{{path: metrics.json, hash: md5, md5: {md5(metrics)}}}]
"""
    plan = """stages:
  train:
    cmd: python train.py
    deps: [train.py, data.csv]
    params: [train.k, all]
    metrics: [{metrics.json: {cache: false}}]
"""
    data = f"outs: [{{path: data.csv, hash: md5, md5: {'a' * 32}}}]"
    repo = Repo(
        tmp_path / "r",
        metrics_dot_json=metrics,
        dvc_dot_lock=lock,
        dvc_dot_yaml=plan,
        train_dot_py=code,
        params_dot_yaml="train: {k: 8}\nall: {x: 1}",
        data_dot_csv_dot_dvc=data,
    )
    better = BASE | {"rmse": 1.4}
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json=better)
    code_, record = repo.run(base_revision="main")
    assert (code_, record["status"], "base-stale" in codes(record)) == (0, "passed", False)
    for file, text, said in (
        ("train_dot_py", "print(2)", "train.py"),
        ("params_dot_yaml", "train: {k: 9}\nall: {x: 1}", "params.yaml: train.k"),
        ("data_dot_csv_dot_dvc", data.replace("a" * 32, "b" * 32), "data.csv"),
        ("metrics_dot_json", json.dumps(BASE | {"r2": 0.61}), "metrics.json"),
    ):
        repo.git("checkout", "-q", "-f", "-B", "again", "main")
        repo.write(**{file: text})
        repo.commit("without repro")
        repo.write(metrics_dot_json=better | {"r2": 0.63})
        code_, record = repo.run(base_revision="again")
        assert (code_, record["status"], record["details"]["verdict"]) == (0, "warned", "better")
        assert next(f["message"] for f in record["findings"] if f["code"] == "base-stale").split(": ", 1)[1] == (
            f"{said} changed after `dvc repro`"
        )


def test_history_of_the_main_branch(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r", metrics_dot_json={"rmse": 2.0})
    for text in ('{"rmse": 1.8}', '{"rmse": ', '{"rmse": 1.5, "r2": 0.6}'):
        repo.write(metrics_dot_json=text)
        repo.commit("next")
    repo.commit("unrelated")
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json={"rmse": 1.3, "r2": 0.7})
    _, record = repo.run()
    assert record["details"]["history"]["metrics"] == {"rmse": [2.0, 1.8, None, 1.5, 1.3]}
    table = record["tables"][-1]
    assert table["title"] == "History of 4 commits"
    assert table["rows"] == [["RMSE (lower is better)", "█▆ ▃▁", "2.00", "1.30"]]
    assert record["figures"][1]["fallback"]["kind"] == "line"
    assert len(repo.run(history=2)[1]["tables"]) == 1


def test_few_samples_get_no_interval(tmp_path: Path) -> None:
    table = predictions(1.5, n=12)
    repo = Repo(tmp_path / "r", metrics_dot_json=scores(table), predictions_dot_csv=table)
    repo.git("checkout", "-q", "-b", "change")
    evaluated(repo, predictions(1.0, n=12, seed=2))
    _, record = repo.run(predictions="predictions.csv")
    assert "too-few-samples" in codes(record)
    assert record["details"]["rows"][0]["interval"] is None


def test_other_samples_are_inconclusive(scored: Repo) -> None:
    evaluated(scored, predictions(1.5, n=110))
    _, record = scored.run(predictions="predictions.csv")
    assert record["details"]["verdict"] == "inconclusive"
    assert "10 samples are in the base's predictions only" in record["headline"]


def test_predictions_the_base_lacks_are_said(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r", metrics_dot_json=BASE)
    repo.git("checkout", "-q", "-b", "change")
    repo.write(predictions_dot_csv=predictions(1.5))
    code, record = repo.run(predictions="predictions.csv")
    assert code == 0
    assert "base-predictions" in codes(record)


OWN = """
import numpy as np

def largest_error(truth, prediction):
    return np.max(np.abs(prediction - truth))

def rmse_of_logs(truth, prediction):
    return np.sqrt(np.mean((np.log(prediction) - np.log(truth)) ** 2))

def broken(truth, prediction):
    raise ZeroDivisionError("nothing to divide by")
"""


def test_own_functions_at_a_terminal(scored: Repo) -> None:
    evaluated(scored, predictions(0.7, n=120, seed=2))
    scored.write(own_metrics_one_dot_py=OWN)
    code, record = scored.run(
        terminal={},
        predictions="predictions.csv",
        functions=["own_metrics_one:largest_error"],
        rules={"largest_error": {"direction": "lower", "unit": "g/kg"}},
    )
    row = next(row for row in record["details"]["rows"] if row["name"] == "largest_error")
    assert (code, row["result"], row["unit"]) == (0, "better", "g/kg")
    assert row["interval"]["low"] < row["delta"] < row["interval"]["high"] < 0
    assert row["interval"]["p_value"] < 0.05


@pytest.mark.parametrize(
    ("given", "terminal", "words"),
    [
        (["own_metrics_two:rmse_of_logs"], None, "not run where a token may be"),
        (["own_metrics_two:rmse_of_logs"], {"GITHUB_TOKEN": "ghs_x"}, "not run where a token may be"),
        (["own_metrics_two"], {}, "must be `module:function`"),
        (["own_metrics_two:nothing"], {}, "cannot be imported"),
        (["no_such_module_here:f"], {}, "cannot be imported"),
        (["own_metrics_two:broken"], {}, "nothing to divide by"),
    ],
)
def test_bad_functions(scored: Repo, given: list[str], terminal: dict[str, str] | None, words: str) -> None:
    scored.write(own_metrics_two_dot_py=OWN)
    code, record = scored.run(terminal=terminal, predictions="predictions.csv", functions=given, base_revision="HEAD")
    assert (code, record["status"]) == (2, "error")
    assert words in record["findings"][0]["message"]


def seeds(repo: Repo, *values: float) -> None:
    for number, value in enumerate(values):
        path = repo.folder / f"runs/{number}/metrics.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"rmse": value}))


def test_a_change_within_the_spread_of_seeds_is_inconclusive(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r", metrics_dot_json={"rmse": 1.5})
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json={"rmse": 1.4})
    assert repo.run()[1]["details"]["verdict"] == "better"
    seeds(repo, 1.45, 1.52, 1.38, 1.49)
    _, record = repo.run(repeats="runs/0/metrics.json")
    (note,) = [f["message"] for f in record["findings"] if f["code"] == "run-spread"]
    assert note == "no spread from run to run: 1 further run is too few, at least 2 are needed"
    code, record = repo.run(repeats=["runs/*/metrics.json"])
    assert (code, record["details"]["verdict"]) == (0, "inconclusive")
    note = next(f["message"] for f in record["findings"] if f["code"] == "run-spread")
    assert note.startswith("from run to run (5 seeds): RMSE ± 0.06")
    repo.write(metrics_dot_json={"rmse": 0.9})
    for number in range(4):
        (repo.folder / f"runs/{number}/metrics.json").write_text(json.dumps({"rmse": 0.9 + 0.01 * number}))
    assert repo.run(repeats=["runs/*/metrics.json"])[1]["details"]["verdict"] == "better"


def test_the_spread_of_seeds_widens_the_interval(scored: Repo) -> None:
    evaluated(scored, predictions(1.0, n=120, seed=2))
    plain = scored.run(predictions="predictions.csv")[1]["details"]["rows"][0]
    seeds(scored, plain["head"] + 0.02, plain["head"] - 0.02)
    wide = scored.run(predictions="predictions.csv", repeats="runs/*/metrics.json")[1]["details"]["rows"][0]
    half = 4.303 * 0.02 * 2**0.5
    expected = plain["delta"] - ((plain["delta"] - plain["interval"]["low"]) ** 2 + half**2) ** 0.5
    assert wide["interval"]["low"] == pytest.approx(expected, rel=1e-3)
    assert wide["interval"]["high"] > plain["interval"]["high"]
