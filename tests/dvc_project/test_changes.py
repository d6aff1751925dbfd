"""What a change does, told by kind: data, parameters, code, the gate itself."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from flint_ml.dvc_project.changes import describe_changes, leaves
from flint_ml.dvc_project.pipeline import declared, never_run
from flint_ml.errors import InputError
from flint_ml.git.repository import Git


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def data(path: Path, text: str) -> None:
    write(path, f"outs:\n- md5: {md5(text)}\n  size: {len(text)}\n  hash: md5\n  path: {path.stem}\n")


PLAN = """
stages:
  fit:
    cmd: c
    params: [depth, {settings/model.json: [rank]}]
    outs: [model.bin]
    metrics: [{metrics.json: {cache: false}}]
    plots: [{error.csv: {cache: false}}]
  later: {cmd: c, outs: [later.bin]}
plots:
- curve.csv: {x: a}
- plots/known.csv
"""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    write(tmp_path / ".dvc/config", "")
    data(tmp_path / "data/soil.csv.dvc", "one")
    data(tmp_path / "data/gone.csv.dvc", "one")
    write(tmp_path / "dvc.yaml", PLAN)
    lock = {
        "schema": "2.0",
        "stages": {"fit": {"cmd": "c", "outs": [{"path": "model.bin", "hash": "md5", "md5": md5("m"), "size": 1}]}},
    }
    write(tmp_path / "dvc.lock", json.dumps(lock))
    write(tmp_path / "params.yaml", "depth: 10\nbands: {first: 400, list: [1, 2]}\n")
    write(tmp_path / "settings/model.json", '{"rank": 3}')
    write(tmp_path / "metrics.json", "{}")
    write(tmp_path / "reference.csv", "a\n1\n")
    write(tmp_path / "train.py", "")
    write(tmp_path / "flint-ml.yml", "")
    write(tmp_path / ".github/workflows/gate.yml", "")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "base")
    return tmp_path


def test_nothing_changed(repo: Path) -> None:
    assert describe_changes(Git(repo), "HEAD").as_dict() == {"data": [], "params": [], "code": [], "gate": []}


def test_data_that_came_went_and_changed(repo: Path) -> None:
    data(repo / "data/soil.csv.dvc", "three")
    data(repo / "data/new.csv.dvc", "new")
    (repo / "data/gone.csv.dvc").unlink()
    lock = json.loads((repo / "dvc.lock").read_text())
    lock["stages"]["fit"]["outs"][0]["md5"] = md5("n")
    write(repo / "dvc.lock", json.dumps(lock))
    write(repo / "metrics.json", '{"rmse": 1}')
    write(repo / "reference.csv", "a\n1\n2\n")
    git(repo, "add", "-A")
    found = describe_changes(Git(repo), "HEAD")
    rows = {row["path"]: (row["change"], row["kind"], row["base_size"], row["size"]) for row in found.data}
    assert rows == {
        "data/gone.csv": ("deleted", "source", 3, None),
        "data/new.csv": ("added", "source", None, 3),
        "data/soil.csv": ("modified", "source", 3, 5),
        "model.bin": ("modified", "output", 1, 1),
        "reference.csv": ("modified", "git", 4, 6),
    }
    assert (found.code, found.params, found.gate) == ([], [], [])


def test_parameters_leaf_by_leaf(repo: Path) -> None:
    write(repo / "params.yaml", "depth: 20\nbands: {first: 400, list: [1, 3]}\nday: '2020-01-02'\n")
    write(repo / "settings/model.json", '{"rank": 3, "deep": {"er": null}}')
    found = describe_changes(Git(repo), "HEAD")
    assert found.params == [
        {"path": "depth", "base": 10, "head": 20},
        {"path": "bands.list", "base": [1, 2], "head": [1, 3]},
        {"path": "day", "base": None, "head": "2020-01-02"},
        {"path": "settings/model.json:deep.er", "base": None, "head": None},
    ]
    assert (found.data, found.code) == ([], [])


def test_a_parameter_file_that_cannot_be_read_is_named(repo: Path) -> None:
    write(repo / "settings/model.json", "{")
    with pytest.raises(InputError) as error:
        describe_changes(Git(repo), "HEAD")
    assert (error.value.code, error.value.where) == ("invalid-params", "settings/model.json")


def test_code_and_gate(repo: Path) -> None:
    for name in ("train.py", "flint-ml.yml", ".github/workflows/gate.yml", "dvc.yaml"):
        (repo / name).write_text((repo / name).read_text() + "# changed\n")
    data(repo / "data/soil.csv.dvc", "two")
    found = describe_changes(Git(repo), "HEAD", watched=["data/soil.csv", "reference.csv"])
    assert found.gate == [".github/workflows/gate.yml", "flint-ml.yml", "data/soil.csv"]
    assert found.code == [".github/workflows/gate.yml", "dvc.yaml", "flint-ml.yml", "train.py"]


def test_a_project_in_a_subfolder_sees_its_own_data_and_all_code(repo: Path) -> None:
    top = repo.parent / "mono"
    (top / "examples").mkdir(parents=True)
    git(top, "init", "-q")
    git(top, "clone", "-q", str(repo), "examples/soil")
    project = top / "examples/soil"
    shutil.rmtree(project / ".git")
    data(top / "other.csv.dvc", "x")
    git(top, "add", "-A")
    git(top, "commit", "-qm", "x")
    data(top / "other.csv.dvc", "y")
    data(project / "data/soil.csv.dvc", "two")
    write(project / "params.yaml", "depth: 11\nbands: {first: 400, list: [1, 2]}\n")
    write(project / "flint-ml.yml", "gate: {}\n")
    found = describe_changes(Git(project), "HEAD")
    assert [row["path"] for row in found.data] == ["examples/soil/data/soil.csv"]
    assert [row["path"] for row in found.params] == ["depth"]
    assert found.gate == ["examples/soil/flint-ml.yml"]


def test_what_the_pipeline_names(repo: Path) -> None:
    assert declared(Git(repo), "HEAD") == ["curve.csv", "error.csv", "metrics.json", "plots/known.csv"]
    assert declared(Git(repo), None, ("outs",)) == ["later.bin", "model.bin"]
    assert never_run(Git(repo), None, "") == {"dvc.lock": ["later"]}
    (repo / "dvc.lock").unlink()
    assert never_run(Git(repo), None, "") == {"dvc.lock": ["fit", "later"]}
    assert never_run(Git(repo), "HEAD", "") == {"dvc.lock": ["later"]}


def test_leaves_keep_order_and_names() -> None:
    assert leaves({"b": {"x": 1, "y": [1, {"z": 2}]}, "a": None}) == {"b.x": 1, "b.y": [1, {"z": 2}], "a": None}
    assert leaves([1, 2]) == {}
