"""compare-metrics from a repository to record, outputs and exit code."""

from __future__ import annotations

import hashlib
import io
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from flint_ml.actions.compare_metrics import ACTION
from flint_ml.runner.commands import Commands
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action

BASE = {"rmse": 1.5, "r2": 0.62, "n": 115}


class Repo:
    """A Git repository with one commit on main; ``run`` is compare-metrics on what lies in the working tree."""

    def __init__(self, folder: Path, **files: Any) -> None:
        self.folder = folder
        self.log = io.StringIO()
        self.outputs = folder.parent / f"{folder.name}-outputs"
        folder.mkdir()
        self.git("init", "-q", "-b", "main")
        (folder / ".gitignore").write_text("flint-ml-results/\n.dvc/cache/\n")
        self.write(**files)
        self.commit("base")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            ["git", *who, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout

    def write(self, **files: Any) -> None:
        for name, content in files.items():
            path = self.folder / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def run(self, **given: Any) -> tuple[int, dict[str, Any]]:
        """Exit code and record, on a runner whose event is a push."""
        self.log = io.StringIO()
        self.outputs.write_text("")
        env = {"GITHUB_OUTPUT": str(self.outputs)}
        context = Context(on_github=True, workspace=self.folder, head_sha=self.git("rev-parse", "HEAD").strip())
        commands = Commands(on_github=True, stdout=self.log, stderr=io.StringIO(), env=env)
        values = {key.replace("_", "-"): value for key, value in given.items()}
        code = run_action(ACTION, values, env={}, context=context, commands=commands)
        return code, json.loads((self.folder / "flint-ml-results/compare-metrics.json").read_text())

    def errors(self) -> list[str]:
        return [line for line in self.log.getvalue().splitlines() if line.startswith("::error")]

    def output(self, name: str) -> str:
        lines = self.outputs.read_text().splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith(f"{name}<<"))
        end = lines.index(lines[start].split("<<")[1], start + 1)
        return "\n".join(lines[start + 1 : end])


def predictions(error: float, *, n: int = 60, seed: int = 1, worse: str = "") -> str:
    truth, noise = random.Random(1), random.Random(seed)
    lines = ["id,truth,prediction,group"]
    for number in range(n):
        value, group = truth.gauss(20, 6), "abc"[number % 3]
        spread = error * (4 if group == worse else 1)
        lines.append(f"{number:03d},{value:.4f},{value + noise.gauss(0, spread):.4f},{group}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "repo", metrics_dot_json=BASE)
    made.git("checkout", "-q", "-b", "change")
    return made


def codes(record: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in record["findings"]}


def test_better(repo: Repo) -> None:
    repo.write(metrics_dot_json={"rmse": 1.3, "r2": 0.71, "n": 115})
    code, record = repo.run(rules={"rmse": {"unit": "g/kg"}})
    assert (code, record["status"], record["badge"]) == (0, "passed", {"label": "Metrics", "message": "better"})
    assert record["headline"] == "better: RMSE 1.50 → 1.30 g/kg (−0.20, −13 %)"
    assert record["metrics"]["rmse"] == {"value": 1.3, "unit": "g/kg", "base": 1.5, "direction": "lower", "note": None}
    assert record["tables"][0]["rows"] == [
        ["RMSE (g/kg, lower is better)", 1.5, 1.3, "−0.20 (−13 %)", "better"],
        ["R² (higher is better)", 0.62, 0.71, "+0.09", "better"],
        ["n", 115, 115, "0", "same"],
    ]
    assert repo.output("verdict") == "better"
    assert repo.output("table").startswith("| metric")
    assert record["provenance"]["base_sha"] == repo.git("rev-parse", "main").strip()
    assert [item["path"] for item in record["provenance"]["inputs"]] == ["metrics.json"]
    assert record["details"]["changes"]["code"] == []
    figure = record["figures"][0]
    assert (repo.folder / "flint-ml-results" / figure["path"]).read_bytes().startswith(b"\x89PNG")
    assert figure["fallback"]["x"] == ["RMSE", "R²", "n"]


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
    assert "gate-changed" in codes(record)


def scores(table: str) -> dict[str, float]:
    """RMSE and bias of a predictions table, as an evaluation step writes them."""
    rows = [line.split(",") for line in table.splitlines()[1:]]
    errors = [float(row[2]) - float(row[1]) for row in rows]
    rmse = (sum(error**2 for error in errors) / len(errors)) ** 0.5
    return {"rmse": round(rmse, 4), "bias": round(sum(errors) / len(errors), 4)}


def evaluated(repo: Repo, table: str) -> None:
    repo.write(predictions_dot_csv=table, metrics_dot_json=scores(table))


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
        "metric", "base", "this change", "change", "95 % CI", "result",
    ]  # fmt: skip
    rmse = record["details"]["rows"][0]
    assert rmse["interval"]["high"] < 0
    assert rmse["interval"]["p_value"] < 0.01
    assert rmse["interval"]["units"] == 120
    assert record["details"]["benchmark"] == {
        "path": None, "name": None, "md5": None, "base_md5": None, "same": True, "n": 120,
    }  # fmt: skip
    figure = record["figures"][0]
    assert [series["name"] for series in figure["fallback"]["series"]] == ["base", "this change"]
    assert sum(figure["fallback"]["series"][0]["y"]) == 120


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


def test_predictions_the_base_lacks_are_said(repo: Repo) -> None:
    repo.write(predictions_dot_csv=predictions(1.5))
    code, record = repo.run(predictions="predictions.csv")
    assert code == 0
    assert "base-predictions" in codes(record)


@pytest.mark.parametrize(
    ("files", "given", "words"),
    [
        ({}, {"metrics": ["nothing.json"]}, ["'nothing.json' does not exist", "run pull-data"]),
        ({}, {"metrics": ["eval/*.json"]}, ["no file fits 'eval/*.json'"]),
        ({"metrics_dot_json": '{\n"rmse": 1.5,\n}'}, {}, ["metrics.json:3", "is not valid JSON", "line=3"]),
        ({"metrics_dot_json": ""}, {}, ["metrics.json: is empty"]),
        ({}, {"base_revision": "nowhere"}, ["`nowhere` is not in this clone", "fetch-depth: 0"]),
        ({}, {"base": "gone.json"}, ["'gone.json' does not exist"]),
        ({}, {"metrics": ["../*.json"]}, ["must stay below"]),
        ({}, {"rules": {"rmse": {"dirction": "lower"}}}, ["unknown key", "direction"]),
        ({}, {"rules": {"rmse": {"tolerance": "much"}}}, ["neither a number"]),
        ({}, {"expected": {"area": ["+1 %"]}}, ["must be a list of two changes"]),
        ({}, {"predictions": "p.csv"}, ["'p.csv' does not exist"]),
        ({"p_dot_csv": "truth,prediction\n1,2\n"}, {"predictions": "p.csv"}, ["no column for the id"]),
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
