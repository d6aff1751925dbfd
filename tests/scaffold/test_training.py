"""What init chooses, by evidence, for the forms that projects of R and Python have."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from flint_ml.metrics import Evidence, IntervalSettings, Rule, judge_metrics, parse
from flint_ml.scaffold import answer, describe, missing_lines, scan_repository, steps_at_home, steps_on_github
from flint_ml.scaffold.plan import Answers, procedure, settings, workflow
from flint_ml.scaffold.steps import Machine, metric_lines

FIT = "from sklearn.linear_model import Ridge\nRidge().fit(x, y)\n"
R_FIT = "library(ranger)\nfit <- ranger(y ~ x, data = d)\n"
PLAN = "stages: {t: {cmd: c}}\n"
SERVER = "from flask import Flask\napp = Flask(__name__)\nmodel.fit(x, y)\n"


def make(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def chosen(folder: Path, files: dict[str, str], **given: str) -> Answers:
    return answer(scan_repository(make(folder, files)), given, "3.13")


COMMANDS = {
    "a script that fits": ({"fit.py": FIT}, "python fit.py"),
    "the pipeline before a script": (
        {"dvc.yaml": "stages: {t: {cmd: c}}\n", ".dvc/config": "", "t.py": FIT},
        "dvc repro",
    ),
    "pipelines in folders": ({"a/dvc.yaml": PLAN, ".dvc/config": ""}, "dvc repro -P"),
    "a dvc.yaml of DVCLive alone": (
        {"dvc.yaml": "metrics: [m.json]\n", ".dvc/config": "", "train.py": FIT},
        "python train.py",
    ),
    "targets": (
        {"_targets.R": "library(targets)\nlist()\n", "R/functions.R": R_FIT},
        "Rscript -e 'targets::tar_make()'",
    ),
    "a runner of scripts": ({"run_all.R": "source('01_a.R')\n", "01_a.R": R_FIT}, "Rscript run_all.R"),
    "numbered scripts": (
        {"01_read.R": "x <- 1\n", "02_fit.R": R_FIT, "10_score.R": "x\n"},
        "Rscript 01_read.R && Rscript 02_fit.R && Rscript 10_score.R",
    ),
    "R Markdown": ({"analysis.Rmd": "```{r}\nx <- 1\n```\n"}, "Rscript -e 'rmarkdown::render(\"analysis.Rmd\")'"),
    "Quarto": ({"report.qmd": "```{r}\nx <- 1\n```\n"}, "quarto render report.qmd"),
    "a Makefile": ({"Makefile": "train: data\n\tpython t.py\n\ndata:\n\ttouch data\n"}, "make -B train"),
    "a workflow": (
        {
            ".github/workflows/ci.yml": "jobs:\n  a:\n    steps:\n      - run: python src/train.py --epochs 3\n",
            "src/train.py": "",
        },
        "python src/train.py --epochs 3",
    ),
    "a README": (
        {"README.md": "Run\n\n    python src/train.py\n", "src/train.py": "", "x.py": FIT},
        "python src/train.py",
    ),
    "a notebook": (
        {"a.ipynb": '{"cells": ["m.fit(x)"]}'},
        "jupyter nbconvert --to notebook --execute --inplace a.ipynb",
    ),
    "no web service": ({"app.py": SERVER, "model.py": FIT}, "python model.py"),
    "nothing that trains": ({"app.py": SERVER, "pkg/__init__.py": FIT, "page.py": "import streamlit\n"}, ""),
    "no line of a README for a script that is gone": ({"README.md": "    python train_model.py\n"}, ""),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_is_chosen_by_evidence(tmp_path: Path, name: str) -> None:
    files, command = COMMANDS[name]
    assert chosen(tmp_path, files).command == command
    found = scan_repository(tmp_path)
    said = "\n".join(describe(found))
    assert (f"training   {command} (" if command else "say --command") in said


INSTALLS = {
    "requirements in a folder": (
        {"src/requirements.txt": "numpy\n"},
        ["python -m pip install -r src/requirements.txt"],
    ),
    "requirements/*.txt": (
        {"requirements/base.txt": "x\n", "requirements/dev.txt": "y\n"},
        ["python -m pip install -r requirements/base.txt"],
    ),
    "the plain list before one for a system": (
        {"requirements-macos.txt": "x\n", "requirements.txt": "x\n"},
        ["python -m pip install -r requirements.txt"],
    ),
    "uv": ({"uv.lock": "", "pyproject.toml": "[project]\nname = 'x'\n"}, ["uv sync --frozen"]),
    "poetry": ({"poetry.lock": "", "pyproject.toml": "[tool.poetry]\n"}, ["poetry install --no-root"]),
    "pipenv": ({"Pipfile": "", "Pipfile.lock": "{}"}, ["pipenv sync"]),
    "pixi": ({"pixi.toml": ""}, ["pixi install"]),
    "conda": ({"environment.yml": "dependencies: [numpy]\n"}, ["env create", "environment.yml"]),
    "a flat layout without build system": ({"pyproject.toml": "[project]\nname='x'\n"}, ["uv pip install --system"]),
    "a package": ({"pyproject.toml": "[project]\n[build-system]\n"}, ["python -m pip install ."]),
}


@pytest.mark.parametrize("name", INSTALLS)
def test_packages_are_the_projects_own_wherever_their_list_is(tmp_path: Path, name: str) -> None:
    files, words = INSTALLS[name]
    answers = chosen(tmp_path, {"train.py": FIT, **files})
    assert all(word in " ".join(answers.install) for word in words), answers.install
    assert len(answers.install) == 1


def test_the_list_of_the_root_serves_a_project_in_a_folder(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    make(tmp_path, {"requirements.txt": "numpy==2\n", "a/b/train.py": FIT})
    answers = answer(scan_repository(tmp_path / "a/b"), {}, "3.13")
    assert (answers.install, answers.packages_folder) == (("python -m pip install -r requirements.txt",), "")


def test_dvc_is_among_what_is_installed(tmp_path: Path) -> None:
    files = {"dvc.yaml": "stages: {t: {cmd: c}}\n", ".dvc/config": "", "requirements.txt": "numpy==2\ndvclive\n"}
    assert chosen(tmp_path, files).install[-1] == "pipx install dvc"
    assert len(chosen(tmp_path, {"requirements.txt": "dvc[s3]==3.67\n"}).install) == 1


@pytest.mark.parametrize(
    ("text", "version"), [(">=3.9,<3.12", "3.11"), (">=3.10", "3.13"), ("==3.9.*", "3.9"), ("^3.10", "3.13")]
)
def test_the_version_of_python_is_one_that_the_project_takes(tmp_path: Path, text: str, version: str) -> None:
    files = {"train.py": FIT, "pyproject.toml": f'[project]\nrequires-python = "{text}"\n[build-system]\n'}
    assert chosen(tmp_path, files).python == version
    assert chosen(tmp_path, {".python-version": "3.10.4\n"}).python == "3.10"


def test_environment_and_workflow_follow_the_command(tmp_path: Path) -> None:
    files = {"train.py": FIT, "fit.R": R_FIT, "renv.lock": "{}", "requirements.txt": "numpy==2\n"}
    python = chosen(tmp_path, files, command="python train.py")
    assert (python.kind, python.install) == ("model-gate", ("python -m pip install -r requirements.txt",))
    r_gate = chosen(tmp_path, files, command="Rscript fit.R")
    assert (r_gate.kind, r_gate.packages, r_gate.install) == ("model-gate-r", "renv.lock", ())
    text = workflow(r_gate)
    assert "r-version: renv" in text
    assert "setup-renv@" in text


def test_documents_of_r_get_pandoc_and_packages_that_stop_the_step(tmp_path: Path) -> None:
    text = workflow(
        chosen(tmp_path, {"a.Rmd": "```{r}\nlibrary(ranger)\n```\n", "DESCRIPTION": "Package: x\nImports: ranger\n"})
    )
    assert "setup-pandoc@" in text
    assert "setup-r-dependencies@" in text
    assert "stopifnot" in " ".join(chosen(tmp_path / "b", {"fit.R": R_FIT}).install)


def dvc_project(folder: Path, plan: str, **files: str) -> Answers:
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    return chosen(folder, {".dvc/config": "", "dvc.yaml": plan, **files})


def test_all_metrics_of_the_pipeline_and_no_output_of_training_as_reference(tmp_path: Path) -> None:
    plan = """
stages:
  prepare: {cmd: c, deps: [raw.csv], outs: [features.csv]}
  train:
    cmd: c
    deps: [features.csv]
    outs: [model.pkl, fitted.csv]
    metrics: [{a.json: {cache: false}}, {b.json: {cache: false}}]
    plots: [{history.csv: {cache: false}}, {errors.tsv: {cache: false}}]
"""
    names = ("features.csv", "fitted.csv", "history.csv", "errors.tsv")
    answers = dvc_project(tmp_path, plan, **dict.fromkeys(names, "id,x\n1,2\n"))
    assert answers.all_metrics == ("a.json", "b.json")
    assert "metrics: [a.json, b.json]" in settings(answers)
    assert (answers.reference, answers.current, answers.rev) == ("features.csv", "features.csv", "main")


@pytest.mark.parametrize(
    "name", ["dvclive/acc.tsv", "metrics/x.csv", "output/flux.csv", "predictions.csv", "results/a.csv"]
)
def test_no_reference_is_an_answer(tmp_path: Path, name: str) -> None:
    answers = chosen(tmp_path, {"train.py": FIT, name: "a,b\n1,2\n"})
    assert (answers.reference, "check-drift" in answers.expect) == (None, False)
    page = procedure(answers)
    assert "## 4." not in page
    assert "drift of a column" not in page


READS = "import pandas\nd = pandas.read_csv({!r})\n" + FIT
WRITES_TEXT = "with open('metrics.txt', 'w') as file:\n    file.write('1')\n"
PLOTS = "import pandas\nt = pandas.read_csv('validation.csv')\n"


@pytest.mark.parametrize(
    ("files", "benchmark", "guessed"),
    [
        pytest.param({"train.py": READS.format("soil.csv")}, "soil.csv", True, id="the one table that is read"),
        pytest.param({"train.py": READS.format("soil.csv") + WRITES_TEXT}, "soil.csv", True, id="and a text written"),
        pytest.param({"train.py": READS.format("soil.csv"), "test.csv": "a\n1\n"}, "test.csv", False, id="a test set"),
        pytest.param({"train.py": READS.format("soil.csv") + PLOTS}, None, False, id="two tables in one script"),
        pytest.param({"train.py": READS.format("soil.csv"), "score.py": PLOTS}, None, False, id="in two scripts"),
        pytest.param(
            {"train.py": READS.format("soil.csv") + "x = pandas.read_excel('validation.xlsx')\n"},
            None,
            False,
            id="a workbook beside it",
        ),
        pytest.param({"train.py": READS.format("data/*.csv")}, None, False, id="a pattern"),
        pytest.param({"train.py": FIT}, None, False, id="nothing by name"),
    ],
)
def test_the_benchmark_is_guessed_only_where_one_file_is_all_that_is_read(
    tmp_path: Path, files: dict[str, str], benchmark: str | None, guessed: bool
) -> None:
    """Of two files, one named as the benchmark would let a change of the other pass as "the same samples"."""
    answers = chosen(tmp_path, {"soil.csv": "a,b\n1,2\n", **files})
    assert (answers.benchmark, answers.benchmark_guessed) == (benchmark, guessed)
    lines = [line.strip() for line in settings(answers).splitlines()]
    assert f"benchmark: {benchmark}" in lines if benchmark else "# benchmark: data/test.csv" in lines
    assert any("Your script takes them from this table" in line for line in lines) == guessed


def test_a_pipeline_or_predictions_of_both_sides_need_no_benchmark(tmp_path: Path) -> None:
    plan = "stages: {train: {cmd: c, deps: [plots.csv], metrics: [m.json]}}\n"
    piped = dvc_project(tmp_path / "piped", plan, **{"soil.csv": "a\n1\n", "train.py": READS.format("soil.csv")})
    predicted = {"soil.csv": "a\n1\n", "train.py": FIT + "open('predictions.csv', 'w')\nopen('validation.csv')\n"}
    for answers in (piped, chosen(tmp_path / "predicted", predicted)):
        assert answers.benchmark is None
        assert "benchmark" not in settings(answers).partition("compare-metrics:")[2]


def test_a_fresh_clone_is_told_to_pull_and_never_to_push(tmp_path: Path) -> None:
    md5 = "a" * 32
    config = "[core]\n    remote = s\n['remote \"s\"']\n    url = https://data.example.org/x\n"
    files = {
        ".dvc/config": config,
        "dvc.yaml": "stages: {t: {cmd: c, deps: [soil.csv], outs: [m.pkl]}}\n",
        "soil.csv.dvc": f"outs:\n- {{md5: {md5}, hash: md5, path: soil.csv}}\n",
    }
    found = scan_repository(make(tmp_path, files))
    answers = answer(found, {}, "3.13")
    home = [command for step in steps_at_home(found, answers, Machine()) for command in step.commands]
    assert "dvc pull" in home
    assert not any(command.startswith(("dvc add", "dvc push")) for command in home)
    assert not any("dvc push" in step.commands for step in steps_on_github(found, answers))


def test_a_gitignore_without_a_last_line_end_gets_one_first(tmp_path: Path) -> None:
    found = scan_repository(make(tmp_path, {"train.py": FIT, ".gitignore": "data"}))
    answers = answer(found, {}, "3.13")
    (step,) = [
        s for s in steps_at_home(found, answers, Machine(), missing_lines(found, answers)) if "out of Git" in s.title
    ]
    for command in step.commands:
        subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    assert (tmp_path / ".gitignore").read_text().splitlines()[:2] == ["data", "flint-ml-results/"]


def test_projects_of_a_monorepo_are_listed_and_each_gets_a_workflow(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    plan = "stages: {t: {cmd: c, metrics: [{m.json: {cache: false}}]}}\n"
    files = {f"{name}/{file}": text for name in ("a", "b") for file, text in (("dvc.yaml", plan), (".dvc/config", ""))}
    make(tmp_path, files)
    top = scan_repository(tmp_path)
    assert (top.projects, top.candidates) == (("a", "b"), ())
    first = answer(scan_repository(tmp_path / "a"), {}, "3.13")
    make(tmp_path, {f".github/workflows/{first.workflow}.yml": workflow(first)})
    assert scan_repository(tmp_path / "a").gated == ("model-gate.yml",)
    second = scan_repository(tmp_path / "b")
    assert (second.gated, answer(second, {}, "3.13").workflow) == ((), "model-gate-b")


def test_what_else_was_seen_is_said(tmp_path: Path) -> None:
    flow = "jobs:\n  a:\n    steps:\n      - uses: iterative/setup-cml@v1\n      - run: cml comment create r.md\n"
    script = f"{FIT}open('metrics.txt', 'w').write('x')\nimport hydra\n"
    files = {"train.py": script, ".github/workflows/cml.yaml": flow, "conf/config.yaml": "a: 1\n", ".gitignore": "x\n"}
    found = scan_repository(make(tmp_path, files))
    said = "\n".join(describe(found))
    assert "metrics.txt is text for people" in said
    assert "docs/moving-from-cml.md" in said
    assert {"outputs/", "multirun/"} <= set(missing_lines(found, answer(found, {}, "3.13")))


def test_classification_gets_its_own_metrics(tmp_path: Path) -> None:
    classes = "from sklearn.ensemble import RandomForestClassifier\nRandomForestClassifier().fit(x, y)\n"
    assert "accuracy" in metric_lines(chosen(tmp_path, {"train.py": classes}))
    assert "rmse" in metric_lines(chosen(tmp_path / "b", {"train.py": FIT}))


@pytest.mark.parametrize(("url", "secret"), [("gs://b/x", "GCS_KEY"), ("ssh://h/x", "DVC_SSH_KEY")])
def test_keys_that_are_files_get_their_step(tmp_path: Path, url: str, secret: str) -> None:
    config = f"[core]\n    remote = s\n['remote \"s\"']\n    url = {url}\n"
    found = scan_repository(make(tmp_path, {".dvc/config": config, "train.py": FIT}))
    answers = answer(found, {}, "3.13")
    assert f"secrets.{secret}" in workflow(answers)
    assert any(secret in command for step in steps_on_github(found, answers) for command in step.commands)


METRICS = {
    "the test set's": ({"train_rmse": 0.8, "test_rmse": 1.0, "test_r2": 0.7}, "test_rmse", {}),
    "unknown ones decide nothing": (
        {"rmse": 1.0, "ndvi [-]": 0.4, "rmse_std": 0.1, "fit_time": 3.0},
        "rmse",
        {"ndvi [-]": {"weight": 0}},
    ),
    "none is known": ({"npp": 3.0}, None, None),
}


@pytest.mark.parametrize("case", list(METRICS))
def test_the_headline_and_what_has_no_direction_come_from_the_names_in_the_file(tmp_path: Path, case: str) -> None:
    values, primary, rules = METRICS[case]
    text = settings(chosen(tmp_path, {"fit.py": FIT, "metrics.json": json.dumps(values)}))
    section = yaml.safe_load(text)["compare-metrics"]
    assert (section.get("primary"), section.get("rules", {} if rules == {} else None)) == (primary, rules)
    assert ("What is better?" in text) == (primary is None)
    parsed = {"m.json": parse(json.dumps(values).encode(), "m.json")}
    own = {name: Rule(**rule) for name, rule in (rules or {}).items()}
    rows = judge_metrics(parsed, parsed, own, {}, Evidence(IntervalSettings(resamples=0))).rows
    assert [row.name for row in rows if row.rule.source == "unknown" and row.rule.weight > 0] == (
        [] if primary else ["npp"]
    )


def test_metrics_of_another_file_say_nothing_of_the_one_that_was_given(tmp_path: Path) -> None:
    files = {"fit.py": FIT, "metrics.json": '{"rmse": 1}'}
    assert chosen(tmp_path, files).primary == "rmse"
    assert chosen(tmp_path, files, metrics="other.json").primary == ""


@pytest.mark.parametrize("attributes", ["*.csv filter=lfs diff=lfs merge=lfs -text\n", "*.csv text eol=lf\n"])
@pytest.mark.parametrize("script", ["train.py", "train.R"])
def test_a_checkout_brings_what_is_in_git_lfs(tmp_path: Path, attributes: str, script: str) -> None:
    text = FIT if script.endswith(".py") else "m <- lm(y ~ x, read.csv('soil.csv'))\n"
    answers = chosen(tmp_path, {script: text, "soil.csv": "a,b\n1,2\n", ".gitattributes": attributes})
    checkout = next(
        step["with"]
        for job in yaml.safe_load(workflow(answers))["jobs"].values()
        for step in job["steps"]
        if "checkout" in step.get("uses", "")
    )
    assert checkout.get("lfs") == (True if "lfs" in attributes else None)
    assert checkout["fetch-depth"] == 0
