"""examples/soil-carbon: its data, pipeline and the three changes of the demo, run as a user would."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from scipy.stats import ks_2samp

from flint_ml.registry import version as identity
from flint_ml.registry.address import resolve
from flint_ml.registry.model_files import read_model
from flint_ml.registry.register import Submission, register_model
from flint_ml.registry.store import connect

pytest_plugins = ("helpers.mlflow_server",)

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "soil-carbon"
GENERATED = shutil.ignore_patterns("*.csv", "cache", "tmp", "config.local", "model", "plots", "prepared", "__pycache__")
ALPHA, MIN_EFFECT = 0.05, 0.1
# Two stages in one interpreter: starting it and importing scikit-learn takes longer than the work.
TRAIN_AND_EVALUATE = "import sys; sys.path.append('src'); import train, evaluate; train.main(); evaluate.main()"


def run(folder: Path, command: str, expect: int = 0, tracking: str = "") -> str:
    """Run one command as the user's shell would find it, and return what it printed."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "DVC_SITE_CACHE_DIR": str(folder.parent / "site-cache"),
        "MLFLOW_TRACKING_URI": tracking,
    }
    done = subprocess.run(
        shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def make_project(folder: Path) -> Path:
    """Copy what Git has of the example to a repository of its own, with data and a local remote."""
    shutil.copytree(EXAMPLE, folder, ignore=GENERATED)
    run(folder, "git init --quiet --initial-branch main")
    run(folder, "python fetch_data.py")
    run(folder, f"dvc remote add --quiet --local --default storage {folder.parent / 'remote'}")
    return folder


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def score(project: Path) -> dict[str, float]:
    scores: dict[str, float] = json.loads((project / "metrics.json").read_text())
    return scores


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example on main, reproduced once; tests that change it work on a copy."""
    folder = make_project(tmp_path_factory.mktemp("soil-carbon") / "project")
    run(folder, "dvc repro")
    return folder


@pytest.fixture
def copy(project: Path, tmp_path: Path) -> Path:
    target = tmp_path / "project"
    shutil.copytree(project, target)
    return target


def test_training_again_gives_the_same_bytes(copy: Path) -> None:
    before = read_model(copy / "model", "model").sha256
    assert "not logged, MLFLOW_TRACKING_URI is not set" in run(copy, "python src/train.py")
    assert read_model(copy / "model", "model").sha256 == before
    assert "up to date" in run(copy, "dvc status train")


def test_a_training_is_an_mlflow_run_that_is_found_by_its_model(copy: Path, mlflow_server: str) -> None:
    """Parameters, both stages' metrics and the model; register-model makes that very run the version."""
    printed = run(copy, f'python -c "{TRAIN_AND_EVALUATE}"', tracking=mlflow_server)
    assert "MLflow: run " in printed
    content = read_model(copy / "model", "model")
    store = connect(resolve(mlflow_server, {}, copy), {})
    (trained,) = store.runs(store.experiment("soil-carbon-ssp460"), (identity.MODEL_SHA256, content.sha256))
    assert trained.params == {
        "prepare.start_nm": "400",
        "prepare.stop_nm": "2450",
        "prepare.step_nm": "10",
        "train.n_components": "28",
    }
    assert trained.metrics.items() >= score(copy).items()
    assert trained.metrics["training_rmse"] < trained.metrics["rmse"]
    assert trained.finished
    submission = Submission(
        "soil-carbon-ssp460", "soil-carbon-ssp460", "key", "-/1/here/1", content, metrics={"rmse": 7.1971}
    )
    done = register_model(store, submission)
    assert (done.version.run_id, done.created, done.trained) == (trained.id, True, True)
    prediction = pyfunc(mlflow_server, done.version.uri).predict(spectra_of(copy))
    expected = pd.read_csv(copy / "predictions.csv")["prediction"]
    assert prediction["SOC"].to_list() == pytest.approx(expected.to_list(), abs=1e-3)


def pyfunc(server: str, uri: str) -> Any:
    import mlflow

    mlflow.set_tracking_uri(server)
    return mlflow.pyfunc.load_model(uri, suppress_warnings=True)


def spectra_of(project: Path) -> pd.DataFrame:
    """The benchmark's prepared spectra, as a client of the served model would send them."""
    code = (
        "import sys; sys.path.append('src'); import pandas as pd; from spectra import *; "
        "t = prepare_table(pd.read_csv('data/ssp460-test.csv'), make_grid(**read_params()['prepare'])); "
        "t.filter(like='nm_').to_csv('spectra.csv', index=False)"
    )
    run(project, f'python -c "{code}"')
    return pd.read_csv(project / "spectra.csv")


def test_a_server_that_is_down_does_not_stop_the_training(copy: Path, closed_port: int) -> None:
    printed = run(copy, "python src/train.py", tracking=f"http://ci:ladybird@127.0.0.1:{closed_port}")
    assert "MLflow: not logged (MlflowException" in printed
    assert "ladybird" not in printed
    assert (copy / "model/MLmodel").is_file()


def ids(path: Path) -> set[str]:
    return set(pd.read_csv(path, usecols=["sample_id"])["sample_id"])


def drifted_columns(project: Path) -> list[str]:
    """Plain KS with Bonferroni (stricter than Holm) and the default minimum effect."""
    reference, current = (pd.read_csv(project / f"data/prepared/{name}.csv") for name in ("reference", "new_batch"))
    assert list(reference.columns) == list(current.columns)
    columns = [column for column in reference.columns if column != "sample_id"]
    tests = {column: ks_2samp(reference[column], current[column]) for column in columns}
    return [c for c, t in tests.items() if t.pvalue * len(columns) < ALPHA and t.statistic >= MIN_EFFECT]


def test_fetched_data_have_the_committed_hashes(project: Path) -> None:
    for name in ("data/raw/new_batch.csv", "data/ssp460-test.csv"):
        assert md5(project / name) == read_yaml(EXAMPLE / f"{name}.dvc")["outs"][0]["md5"]
    entry = {"md5": md5(project / "data/raw/reference/ssp460.csv"), "relpath": "ssp460.csv"}
    folder_hash = hashlib.md5(json.dumps([entry]).encode()).hexdigest()
    assert read_yaml(EXAMPLE / "data/raw/reference.dvc")["outs"][0]["md5"] == f"{folder_hash}.dir"


def test_committed_lock_and_metrics_are_those_of_main(project: Path) -> None:
    committed = read_yaml(EXAMPLE / "dvc.lock")["stages"]
    outputs = {out["path"]: out["md5"] for stage in committed.values() for out in stage["outs"]}
    for name in ("data/prepared/reference.csv", "data/prepared/new_batch.csv", "predictions.csv", "metrics.json"):
        assert md5(project / name) == outputs[name], name
    assert "model" in outputs
    assert score(project) == json.loads((EXAMPLE / "metrics.json").read_text())


def test_lock_names_the_committed_sources() -> None:
    """Whoever edits a script and forgets `dvc repro` would make every clone train again."""
    for stage in read_yaml(EXAMPLE / "dvc.lock")["stages"].values():
        for dependency in stage["deps"]:
            if dependency["path"].startswith("src/"):
                assert md5(EXAMPLE / dependency["path"]) == dependency["md5"], dependency["path"]


def test_clone_pulls_and_is_clean(copy: Path, tmp_path: Path) -> None:
    run(copy, "dvc add data/raw/reference data/raw/new_batch.csv data/ssp460-test.csv")
    run(copy, "dvc push")
    clone = tmp_path / "clone"
    shutil.copytree(copy, clone, ignore=GENERATED)
    shutil.copy(copy / ".dvc/config.local", clone / ".dvc/config.local")
    run(clone, "dvc pull")
    assert "up to date" in run(clone, "dvc status")


def test_benchmark_is_never_trained_on(project: Path) -> None:
    benchmark = ids(project / "data/ssp460-test.csv")
    training = [ids(project / f"data/prepared/{name}.csv") for name in ("reference", "new_batch")]
    assert [len(benchmark), *map(len, training)] == [115, 270, 75]
    assert len(benchmark.union(*training)) == 460


def test_evaluate_refuses_benchmark_samples_in_training(copy: Path) -> None:
    batch = copy / "data/prepared/new_batch.csv"
    table = pd.read_csv(batch)
    table.loc[:2, "sample_id"] = sorted(ids(copy / "data/ssp460-test.csv"))[:3]
    table.to_csv(batch, index=False)
    assert "3 benchmark samples are among the training samples" in run(copy, "python src/evaluate.py", expect=1)


def test_stages_depend_on_what_they_import() -> None:
    stages = read_yaml(EXAMPLE / "dvc.yaml")["stages"]
    assert list(stages) == ["prepare", "train", "evaluate"]
    for name, stage in stages.items():
        script = f"src/{name}.py"
        assert stage["cmd"] == f"python {script}"
        needed, seen = [script], set()
        while needed:
            path = needed.pop()
            seen.add(path)
            for node in ast.walk(ast.parse((EXAMPLE / path).read_text(encoding="utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
                local = [f"src/{n}.py" for n in names if (EXAMPLE / f"src/{n}.py").is_file()]
                needed += [path for path in local if path not in seen]
        assert seen == {path for path in stage["deps"] if path.startswith("src/")}, name
        produced = json.dumps([stage.get(kind, []) for kind in ("outs", "metrics", "plots")])
        if name != "evaluate":
            assert "ssp460-test" not in json.dumps(stage["deps"]) + produced


def test_better_and_worse_changes(copy: Path) -> None:
    """RMSE of better < main < worse, each by far more than the tolerance in flint-ml.yml; README has the numbers."""
    rule = read_yaml(EXAMPLE / "flint-ml.yml")["compare-metrics"]["rules"]["rmse"]
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    rmse = {"main": score(copy)["rmse"]}
    for name in ("better", "worse"):
        for command in read_yaml(EXAMPLE / f"changes/{name}.yml")["run"]:
            run(copy, command)
        run(copy, f'python -c "{TRAIN_AND_EVALUATE}"')
        rmse[name] = score(copy)["rmse"]
        run(copy, f"git apply --reverse changes/{name}.patch")
    assert rmse["better"] + 3 * rule["tolerance"] < rmse["main"] < rmse["worse"] - 3 * rule["tolerance"]
    assert all(f"| {value:.2f} |" in readme for value in rmse.values())


def test_better_is_what_cross_validation_chooses(copy: Path) -> None:
    (copy / "data/ssp460-test.csv").unlink()  # it must not be needed
    listing = run(copy, "python src/cross_validate.py")
    chosen = next(line for line in listing.splitlines() if "smallest" in line)
    assert f"+  n_components: {chosen.split()[0]}\n" in (EXAMPLE / "changes/better.patch").read_text()


def test_held_out_batch_passes_and_foreign_batch_drifts(copy: Path) -> None:
    assert drifted_columns(copy) == []
    recipe = read_yaml(EXAMPLE / "changes/drifted.yml")["run"]
    run(copy, recipe[0])
    run(copy, recipe[1])
    assert score(copy) == json.loads((EXAMPLE / "metrics.json").read_text())
    run(copy, recipe[2])
    assert ids(copy / "data/prepared/new_batch.csv") == {f"cv98-{number:03d}" for number in range(1, 99)}
    drifted = drifted_columns(copy)
    assert len(drifted) > 150
    assert "pH" in drifted


def test_gate_settings_name_files_that_dvc_tracks() -> None:
    settings = read_yaml(EXAMPLE / "flint-ml.yml")
    stages = read_yaml(EXAMPLE / "dvc.lock")["stages"]
    tracked = {out["path"] for stage in stages.values() for out in stage["outs"]}
    tracked |= {str(path.relative_to(EXAMPLE).with_suffix("")) for path in EXAMPLE.glob("data/**/*.dvc")}
    drift, metrics = settings["check-drift"], settings["compare-metrics"]
    named = {
        *settings["pull-data"]["targets"],
        drift["reference"],
        drift["current"],
        settings["register-model"]["model"],
    }
    named |= {metrics["metrics"], metrics["predictions"], metrics["benchmark"]}
    assert named <= tracked
    assert {drift["reference"], drift["current"], metrics["benchmark"]} <= set(settings["pull-data"]["targets"])
    assert set(metrics["rules"]) == set(json.loads((EXAMPLE / "metrics.json").read_text())) - {"n"}


def pins(path: Path) -> set[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line.rstrip(" \\") for line in lines if "==" in line and not line.startswith((" ", "#"))}


def test_requirements_are_those_the_tests_ran_with() -> None:
    assert pins(EXAMPLE / "requirements.txt") <= pins(ROOT / "requirements/dev.txt")


def test_nothing_of_the_data_is_in_the_repository() -> None:
    """The data are CC BY-SA and belong to DVC; Git has their hashes only."""
    listed = subprocess.run(["git", "ls-files", str(EXAMPLE)], cwd=ROOT, capture_output=True, text=True, check=True)
    names = listed.stdout.splitlines()
    assert "examples/soil-carbon/dvc.lock" in names
    # The sample reports are pictures of aggregates.
    rest = [name for name in names if not name.startswith("examples/soil-carbon/reports/")]
    assert not [name for name in rest if name.endswith((".csv", ".png", ".joblib", ".pkl"))]
