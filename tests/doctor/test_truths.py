"""What will fail is said, and what only is not in this clone is no fault: areas of the doctor, asked directly."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from flint_ml.doctor import datastore, surroundings, workflows
from flint_ml.doctor.checks import Check, Project
from flint_ml.git import Git
from flint_ml.text.yaml import parse_yaml

GATE = "moja-global/flint-ml-actions@v1"
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"


def make(folder: Path, files: dict[str, str], command: str = "python train.py") -> Project:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "add", "-A"], check=True)
    return Project(
        folder=folder,
        git=Git(folder),
        root=folder,
        subfolder="",
        settings={"gate": {"command": command}},
        inputs={"gate": frozenset({"command", "title", "working-directory"})},
        section_fault=lambda *_: None,
    )


def found(checks: Callable[[Project], Iterable[Check]], project: Project, mark: str) -> list[str]:
    return [check.what for check in checks(project) if check.mark == mark]


MACHINE = {
    "a package that pip refuses": ({"train.py": "", "requirements.txt": "sklearn==0.0\n"}, "names sklearn"),
    "a part of Python as a package": ({"train.py": "", "requirements.txt": "json==1\n"}, "names json"),
    "a path of one machine": ({"train.py": "open('/home/ana/s.csv')\n", "requirements.txt": ""}, "/home/ana/s.csv"),
    "a path of one Windows": ({"train.py": "open('C:/data/soil.csv')\n", "requirements.txt": ""}, "C:/data/soil.csv"),
    "an import that a lock lacks": ({"train.py": "import torch\n", "uv.lock": 'name = "numpy"\n'}, "imports torch"),
    "no list of packages": ({"train.py": "import torch\n"}, "no list of packages"),
    "a script that is not there": ({"requirements.txt": ""}, "there is no train.py"),
}


@pytest.mark.parametrize("name", MACHINE)
def test_what_a_runner_will_not_have_is_a_failure(tmp_path: Path, name: str) -> None:
    files, words = MACHINE[name]
    assert any(words in what for what in found(surroundings.machine, make(tmp_path, files), "failure"))


def test_an_r_script_that_sets_its_folder(tmp_path: Path) -> None:
    files = {"fit.R": 'setwd("C:/Users/rui/soil")\nlibrary(ranger)\n', "DESCRIPTION": "Package: x\nImports: ranger\n"}
    (failure,) = found(surroundings.machine, make(tmp_path, files, "Rscript fit.R"), "failure")
    assert "C:/Users/rui/soil" in failure


def test_dvc_repro_without_a_pipeline(tmp_path: Path) -> None:
    failures = found(surroundings.machine, make(tmp_path, {".dvc/config": ""}, "dvc repro"), "failure")
    assert any("no dvc.yaml here has a stage" in what for what in failures)


@pytest.mark.parametrize(
    "files",
    [
        {"train.py": "import sklearn, yaml\n", "requirements.txt": "scikit_learn==1.7\nPyYAML==6\n"},
        {"train.py": "import numpy\n", "src/requirements.txt": "numpy==2\n", "requirements-doc.txt": "sphinx==8\n"},
        {"train.py": "import torch\n", "a.txt": "", "uv.lock": 'name = "torch"\n', "requirements.txt": "numpy==2\n"},
    ],
)
def test_a_sound_list_is_no_fault(tmp_path: Path, files: dict[str, str]) -> None:
    assert found(surroundings.machine, make(tmp_path, files), "failure") == []
    assert not [what for what in found(surroundings.machine, make(tmp_path, files), "warning") if "import" in what]


def flow(events: str = "pull_request:", checkout: str = "with: {fetch-depth: 0}", given: str = "{title: x}") -> str:
    return f"""
on:
  {events}
permissions: {{}}
jobs:
  gate:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    permissions: {{contents: read, pull-requests: write}}
    steps:
      - uses: {CHECKOUT}
        {checkout}
      - run: pip install -r requirements.txt
      - uses: {GATE}
        with: {given}
"""


def test_the_gate_on_pull_request_target_judges_another_tree(tmp_path: Path) -> None:
    text = flow("pull_request_target:")
    assert parse_yaml(text, "x")
    project = make(tmp_path, {".github/workflows/g.yml": text, "requirements.txt": ""})
    failures = found(workflows.examine, project, "failure")
    assert any("pull_request_target checks out the base" in what for what in failures)


def test_files_in_lfs_need_to_be_asked_for(tmp_path: Path) -> None:
    files = {".gitattributes": "*.csv filter=lfs diff=lfs\n", "requirements.txt": ""}
    project = make(tmp_path, {**files, ".github/workflows/g.yml": flow()})
    assert any("Git LFS" in what for what in found(workflows.examine, project, "failure"))
    project = make(tmp_path, {".github/workflows/g.yml": flow(checkout="with: {fetch-depth: 0, lfs: true}")})
    assert found(workflows.examine, project, "failure") == []


def test_projects_that_no_workflow_gates(tmp_path: Path) -> None:
    plan = "stages: {t: {cmd: c}}\n"
    files = {"a/dvc.yaml": plan, "b/dvc.yaml": plan, "a/.dvc/config": "", "b/.dvc/config": "", "requirements.txt": ""}
    project = make(tmp_path, {**files, ".github/workflows/g.yml": flow(given="{working-directory: a}")})
    assert "no workflow gates b" in found(workflows.examine, project, "warning")


@pytest.mark.parametrize(
    ("state", "absent"),
    [
        ({"soil.csv.dvc": [{"changed outs": {"soil.csv": "deleted"}}]}, True),
        ({"train": [{"changed deps": {"soil.csv": "deleted"}}, {"changed outs": {"m.pkl": "not in cache"}}]}, True),
        ({"train": [{"changed deps": {"train.py": "modified"}}]}, False),
        ({"train": [{"changed deps": {"a": "deleted"}}, "changed command"]}, False),
        ({}, False),
    ],
)
def test_what_is_merely_not_in_this_clone(state: dict[str, object], absent: bool) -> None:
    assert datastore._only_absent(state) is absent


def test_a_fresh_clone_is_told_to_pull(tmp_path: Path) -> None:
    kept = f"{{md5: {'a' * 32}, hash: md5, path: soil.csv}}"
    files = {
        ".dvc/config": "",
        "soil.csv.dvc": f"outs:\n- {kept}\n",
        "dvc.yaml": "stages: {t: {cmd: c, deps: [soil.csv]}}\n",
        "dvc.lock": f"schema: '2.0'\nstages: {{t: {{cmd: c, deps: [{kept}]}}}}\n",
    }
    project = make(tmp_path, files)
    (check,) = [check for check in datastore.examine(project) if "not in this clone" in check.what]
    assert check.fix == "dvc pull"
