"""compare-metrics from a repository to record, outputs and exit code."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from helpers.metrics import BASE, Repo, codes


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "repo", metrics_dot_json=BASE)
    made.git("checkout", "-q", "-b", "change")
    return made


def test_better(repo: Repo) -> None:
    repo.write(metrics_dot_json={"rmse": 1.3, "r2": 0.71, "n": 115})
    code, record = repo.run(rules={"rmse": {"unit": "g/kg"}})
    assert (code, record["status"], record["badge"]) == (0, "passed", {"label": "Metrics", "message": "better"})
    assert record["headline"] == "better: RMSE 1.50 → 1.30 g/kg (−0.20, −13 %)"
    assert record["metrics"]["rmse"] == {"value": 1.3, "unit": "g/kg", "base": 1.5, "direction": "lower", "note": None}
    assert record["tables"][0]["rows"] == [
        ["RMSE (g/kg, lower is better)", 1.5, 1.3, "−0.20 (−13 %)", "better"],
        ["R² (higher is better)", 0.62, 0.71, "+0.09", "better"],
    ]  # the number of samples is the same on both sides: no row of its own
    assert repo.output("verdict") == "better"
    assert repo.output("table").startswith("| metric")
    assert record["provenance"]["base_sha"] == repo.git("rev-parse", "main").strip()
    assert [item["path"] for item in record["provenance"]["inputs"]] == ["metrics.json"]
    assert record["details"]["changes"]["code"] == []
    figure = record["figures"][0]
    assert (repo.folder / "flint-ml-results" / figure["path"]).read_bytes().startswith(b"\x89PNG")
    assert figure["fallback"]["x"] == ["RMSE", "R²"], "what has no direction is no loss"


def test_worse_closes_the_gate_and_on_failure_opens_it(repo: Repo) -> None:
    repo.write(metrics_dot_json={"rmse": 1.7, "r2": 0.71, "n": 115})
    code, record = repo.run()
    assert (code, record["status"]) == (1, "failed")
    assert record["headline"] == "worse: RMSE 1.50 → 1.70 (+0.20, +13 %)"
    code, record = repo.run(on_failure="warn")
    assert (code, record["status"], record["details"]["verdict"]) == (0, "warned", "worse")


def test_rules_of_the_base_hold(tmp_path: Path) -> None:
    settings = "compare-metrics:\n  rules:\n    rmse: {tolerance: %s}\n"
    repo = Repo(tmp_path / "r", metrics_dot_json=BASE, **{"flint-ml_dot_yml": settings % "0.01"})
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json=BASE | {"rmse": 1.7}, **{"flint-ml_dot_yml": settings % "100"})
    repo.commit("change")
    code, record = repo.run()
    assert (code, record["details"]["verdict"]) == (1, "worse")
    assert "gate-changed" in codes(record)
    assert record["details"]["changes"]["gate"] == ["flint-ml.yml"]


def test_first_commit_has_no_baseline(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r", metrics_dot_json=BASE)
    code, record = repo.run()
    assert (code, record["status"], record["details"]["verdict"]) == (0, "warned", "no-baseline")
    assert record["headline"].startswith("no-baseline: RMSE 1.50")


def test_base_without_metrics_has_no_baseline(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r", readme="x")
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json=BASE)
    repo.commit("change")
    code, record = repo.run()
    assert (code, record["details"]["verdict"]) == (0, "no-baseline")
    assert "has no metrics.json" in record["details"]["base"]["how"]


def test_named_base_file_needs_no_git(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r", metrics_dot_json=BASE | {"rmse": 1.4}, old_dot_json=BASE)
    code, record = repo.run(metrics=["metrics.json"], base="old.json")
    assert (code, record["details"]["verdict"], record["details"]["base"]["how"]) == (0, "better", "`old.json`")


def test_a_vanished_metric_is_never_silent(repo: Repo) -> None:
    repo.write(metrics_dot_json={"rmse": 1.3, "n": 115, "mae": 1.0})
    code, record = repo.run()
    assert (code, record["headline"]) == (1, "worse: R² 0.62 → missing")
    assert {"metric-gone", "metric-new"} <= codes(record)
    assert repo.run(rules={"r2": {"missing": "warn"}})[0] == 0


def test_unknown_names_misspelt_rules_and_text_are_said(repo: Repo) -> None:
    repo.write(metrics_dot_json=BASE | {"clay_index": 3, "model": "plsr", "rmse": 1.4})
    _, record = repo.run(rules={"rsme": {"unit": "g/kg"}})
    assert {"direction-unknown", "rule-unused", "not-compared"} <= codes(record)


def test_nan_is_worse(repo: Repo) -> None:
    repo.write(metrics_dot_json='{"rmse": NaN, "r2": 0.62, "n": 115}')
    code, record = repo.run()
    assert (code, record["metrics"]["rmse"]["value"]) == (1, None)
    assert "not-a-number" in codes(record)


def test_globs_several_files_and_dvc_yaml(tmp_path: Path) -> None:
    plan = "stages:\n  e:\n    cmd: x\n    metrics:\n    - eval/a.json:\n        cache: false\n    - eval/b.yaml\n"
    repo = Repo(tmp_path / "r", dvc_dot_yaml=plan, eval__a_dot_json={"rmse": 1.5}, eval__b_dot_yaml="rmse: 2\nr2: 0.5")
    repo.git("checkout", "-q", "-b", "change")
    repo.write(eval__a_dot_json={"rmse": 1.4})
    for given in ({}, {"metrics": ["eval/*.*"]}, {"metrics": ["**/a.json", "eval/b.yaml"]}):
        code, record = repo.run(**given)
        assert code == 0
        assert list(record["metrics"]) == ["eval/a.json:rmse", "eval/b.yaml:rmse", "r2"]


def test_a_file_that_this_change_deletes_is_missed(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r", eval__a_dot_json={"rmse": 1.5}, eval__b_dot_json={"r2": 0.5})
    repo.git("checkout", "-q", "-b", "change")
    (repo.folder / "eval/b.json").unlink()
    code, record = repo.run(metrics=["eval/*.json"])
    assert (code, record["headline"]) == (1, "worse: R² 0.50 → missing")


def test_declared_changes_come_from_this_change(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r", metrics_dot_json={"area": 100, "npp": 5}, **{"flint-ml_dot_yml": "compare-metrics: {}"})
    repo.git("checkout", "-q", "-b", "change")
    declared = "compare-metrics:\n  expected:\n    area: [+20 %, +50 %]\n"
    repo.write(metrics_dot_json={"area": 139, "npp": 5}, **{"flint-ml_dot_yml": declared})
    repo.commit("change")
    code, record = repo.run()
    assert (code, record["status"], record["headline"]) == (0, "passed", "as declared: area 100 → 139 (+39, +39 %)")
    assert "gate-changed" not in codes(record)
    repo.commit("merged")
    repo.write(metrics_dot_json={"area": 180, "npp": 5})
    _, record = repo.run(base_revision="HEAD")
    assert record["details"]["verdict"] == "changed"
    assert "expected-stale" in codes(record)


def test_metrics_of_the_base_come_from_dvcs_cache(tmp_path: Path) -> None:
    content = json.dumps(BASE).encode()
    md5 = hashlib.md5(content).hexdigest()
    repo = Repo(tmp_path / "r", metrics_dot_json_dot_dvc=f"outs:\n- md5: {md5}\n  hash: md5\n  path: metrics.json\n")
    (repo.folder / ".gitignore").write_text("flint-ml-results/\n.dvc/\nmetrics.json\n")
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json=BASE | {"rmse": 1.4})
    code, record = repo.run()
    assert code == 2
    assert "run pull-data with `base-revision" in repo.errors()[0]
    cached = repo.folder / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)
    code, record = repo.run()
    assert (code, record["details"]["verdict"]) == (0, "better")


def test_another_benchmark_is_inconclusive(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r", metrics_dot_json=BASE, test_dot_csv="a\n1\n")
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json=BASE | {"rmse": 1.0})
    _, record = repo.run(benchmark="test.csv")
    assert record["details"]["benchmark"]["same"] is True
    assert record["details"]["verdict"] == "better"
    repo.write(test_dot_csv="a\n2\n")
    code, record = repo.run(benchmark="test.csv")
    assert (code, record["status"], record["details"]["verdict"]) == (0, "warned", "inconclusive")
    assert "the benchmark test.csv is not the base's" in record["headline"]
    assert "benchmark-changed" in codes(record)


@pytest.mark.parametrize(
    ("files", "given", "words"),
    [
        ({}, {"metrics": ["nothing.json"]}, ["'nothing.json' does not exist", "run pull-data"]),
        ({}, {"metrics": ["eval/*.json"]}, ["no file fits 'eval/*.json'"]),
        ({"metrics_dot_json": '{\n"rmse": 1.5\n"r2": 1}'}, {}, ["metrics.json:3", "is not valid JSON", "line=3"]),
        ({"metrics_dot_json": ""}, {}, ["metrics.json: is empty"]),
        ({}, {"base_revision": "nowhere"}, ["`nowhere` is not in this clone", "fetch-depth: 0"]),
        ({}, {"base": "gone.json"}, ["'gone.json' does not exist"]),
        ({}, {"metrics": ["../*.json"]}, ["must stay below"]),
        ({}, {"rules": {"rmse": {"dirction": "lower"}}}, ["unknown key", "direction"]),
        ({}, {"rules": {"rmse": {"tolerance": "much"}}}, ["neither a number"]),
        ({}, {"expected": {"area": ["+1 %"]}}, ["must be a list of two changes"]),
        ({}, {"predictions": "p.csv"}, ["'p.csv' does not exist"]),
        ({"p_dot_csv": "id,truth,prediction\na,1,2\na,1,2\n"}, {"predictions": "p.csv"}, ["same id again"]),
        ({"p_dot_csv": "id,truth,prediction\na,1,\n"}, {"predictions": "p.csv"}, ["has no prediction", "row 1"]),
        ({"p_dot_csv": "id,truth,prediction\n,1,2\n"}, {"predictions": "p.csv"}, ["has no id"]),
        ({"p_dot_csv": "id,truth,prediction\n"}, {"predictions": "p.csv"}, ["holds no predictions"]),
        ({"p_dot_csv": ""}, {"predictions": "p.csv"}, ["cannot be read as a table"]),
        ({"p_dot_parquet": "PAR?"}, {"predictions": "p.parquet"}, ["cannot be read as a table"]),
        ({}, {"predictions": "metrics.json", "prediction_columns": {"ids": "x"}}, ["unknown role `ids`"]),
        ({}, {"benchmark": "gone.csv"}, ["'gone.csv' does not exist"]),
    ],
)
def test_bad_input(repo: Repo, files: dict[str, str], given: dict[str, Any], words: list[str]) -> None:
    earlier = repo.folder / "flint-ml-results" / "compare-metrics" / "figure.png"
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(b"earlier")
    repo.write(**files)
    code, record = repo.run(**given)
    assert (code, record["status"]) == (2, "error")
    assert len(repo.errors()) == 1
    assert all(word in repo.errors()[0] for word in words), repo.errors()
    assert earlier.read_bytes() == b"earlier"


def test_a_shallow_clone_names_the_checkout_option(repo: Repo, tmp_path: Path) -> None:
    repo.write(metrics_dot_json=BASE | {"rmse": 1.4})
    repo.commit("change")
    shallow = Repo.__new__(Repo)
    shallow.folder, shallow.outputs = tmp_path / "shallow", tmp_path / "o"
    subprocess.run(
        ["git", "clone", "-q", "--depth", "1", "-b", "change", f"file://{repo.folder}", shallow.folder], check=True
    )
    code, record = shallow.run(base_revision="main")
    assert (code, record["status"]) == (2, "error")
    assert "fetch-depth: 0" in shallow.errors()[0]
