"""Our reading of a repository is DVC's: stages, outputs, metrics, plots and data, held to DVC's own collection."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flint_ml.dvc_project import declared, never_run, read_pipelines, tracked, unreadable
from flint_ml.git import Git

SHAPES: dict[str, dict[str, str]] = {
    "matrix, templates, vars, frozen, persist, top-level metrics and artifacts": {
        "dvc.yaml": """
vars: [vars.yaml]
stages:
  prep:
    cmd: cp data/a.csv prep.csv
    deps: [data/a.csv]
    outs: [prep.csv: {persist: true, desc: kept}]
    frozen: true
  train:
    matrix: {model: '${models}', region: '${regions}'}
    cmd: python t.py ${item.model} ${item.region} ${outdir}
    deps: [prep.csv]
    params: [thr]
    outs: ['${outdir}/${item.model}-${item.region}.pkl']
    metrics: ['${outdir}/${item.model}-${item.region}.json': {cache: false}]
  summary:
    cmd: python s.py ${outdir}
    deps: ['${outdir}']
    metrics: [summary.yaml]
    plots: [curve.csv: {x: step, y: loss, cache: false}]
metrics: [extra/metrics.toml]
artifacts: {best: {path: out/rf-north.pkl, type: model}}
""",
        "vars.yaml": "models: [rf, pls]\nregions: [north, south]\noutdir: out\n",
        "params.yaml": "thr: 0.5\n",
        "extra/metrics.toml": "r2 = 0.5\n",
    },
    "a stage with a folder of its own": {
        "dvc.yaml": "stages: {train: {wdir: soil, cmd: c, deps: [t.py], params: [train], "
        "metrics: [{metrics.json: {cache: false}}], outs: [model.bin]}}\n",
        "soil/params.yaml": "train: {n: 6}\n",
        "soil/metrics.json": '{"rmse": 1.5}',
        "soil/t.py": "",
    },
    "several dvc.yaml, none in the root": {
        "a/dvc.yaml": "stages: {fit: {cmd: c, outs: [o.bin], metrics: [m.json]}}\n",
        "b/dvc.yaml": "stages: {fit: {cmd: c, deps: [../a/o.bin], outs: [o.bin]}}\nmetrics: [../shared.json]\n",
        "shared.json": '{"n": 1}',
    },
    "foreach, push: false, cache: false, a list of commands": {
        "dvc.yaml": """
stages:
  fit:
    foreach: {x: {n: 1}, y: {n: 2}}
    do:
      cmd: [echo, 'echo ${item.n}']
      outs: ['${key}.bin', {'${key}.tmp': {push: false}}, {'${key}.txt': {cache: false}}]
""",
    },
    "plots by name and by file, top-level params": {
        "dvc.yaml": """
params: [conf/model.yaml]
plots:
- loss.csv: {x: step}
- roc: {y: {train.csv: tpr, test.csv: tpr}, x: fpr}
- pictures
stages: {fit: {cmd: c, params: [{conf/model.yaml: [a.b]}, {other.json: null}], outs: [o]}}
""",
        "conf/model.yaml": "a: {b: 1}\n",
        "other.json": '{"c": 2}',
    },
}


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def make(folder: Path, files: dict[str, str], subfolder: str = "") -> Path:
    for name, text in {".dvc/config": "", **files}.items():
        path = folder / subfolder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")
    return folder / subfolder


def as_dvc_says(project: Path, top: Path) -> dict[str, Any]:
    """Outputs, metrics and stages as DVC's own collection of the whole repository gives them."""
    from dvc.repo import Repo

    with contextlib.chdir(project), Repo(str(project)) as repo:
        index = repo.index
        return {
            "stages": sorted(stage.name for stage in index.stages if stage.name),
            "outs": sorted(Path(out.fs_path).relative_to(top).as_posix() for out in index.outs),
            "kept": sorted(
                Path(out.fs_path).relative_to(top).as_posix() for out in index.outs if out.use_cache and out.hash_info
            ),
            "metrics": sorted("/".join(key) for key in index.metric_keys["repo"]),
            "plots": sorted("/".join(key) for key in index.plot_keys["repo"]),
        }


def as_we_say(project: Path, top: Path, revision: str | None) -> dict[str, Any]:
    ours = Git(project)
    pipelines = read_pipelines(ours, revision)
    inside = project.relative_to(top).as_posix()

    def own(paths: list[str]) -> list[str]:
        return [path.removeprefix("" if inside == "." else f"{inside}/") for path in paths]

    entries = tracked(ours, revision)
    outs = {output.path for stage in pipelines.stages for output in stage.outputs}
    return {
        "stages": sorted(stage.name for stage in pipelines.stages),
        "outs": sorted(outs | {path for path, entry in entries.items() if entry.source}),
        "kept": sorted(path for path, entry in entries.items() if not entry.partial),
        "metrics": own(declared(ours, revision, ("metrics",))),
        "plots": own(declared(ours, revision, ("plots",))),
    }


@pytest.mark.parametrize("subfolder", ["", "examples/soil"])
@pytest.mark.parametrize("name", SHAPES)
def test_what_we_read_is_what_dvc_reads(tmp_path: Path, name: str, subfolder: str) -> None:
    top = tmp_path.resolve()
    project = make(top, SHAPES[name], subfolder)
    expected = as_dvc_says(project, top)
    assert expected["outs"]
    assert as_we_say(project, top, None) == expected
    shutil.rmtree(project / ".dvc/tmp", ignore_errors=True)
    for file in project.rglob("dvc.yaml"):
        file.write_text("stages: {}\n")
    assert as_we_say(project, top, "HEAD") == expected


def test_an_entry_of_a_stage_that_is_gone_is_not_data(tmp_path: Path) -> None:
    lock = {"schema": "2.0", "stages": {}}
    for stage, md5 in (("train", "a" * 32), ("fit", "b" * 32)):
        lock["stages"][stage] = {"cmd": "c", "outs": [{"path": "m.bin", "hash": "md5", "md5": md5}]}  # type: ignore[index]
    files = {"dvc.yaml": "stages: {train: {cmd: c, outs: [m.bin]}}\n", "dvc.lock": json.dumps(lock)}
    project = make(tmp_path, files)
    for revision in (None, "HEAD"):
        assert tracked(Git(project), revision)["m.bin"].md5 == "a" * 32


def test_what_the_lock_recorded_of_inputs(tmp_path: Path) -> None:
    lock = {
        "schema": "2.0",
        "stages": {
            "fit": {
                "cmd": "old",
                "deps": [{"path": "t.py", "hash": "md5", "md5": "c" * 32}],
                "params": {"params.yaml": {"a": 1}},
                "outs": [{"path": "o", "hash": "md5", "md5": "d" * 32, "size": 3}],
            }
        },
    }
    plan = "stages: {fit: {cmd: new, deps: [t.py, data], params: [a, b], outs: [o, late]}}\n"
    project = make(tmp_path, {"dvc.yaml": plan, "dvc.lock": json.dumps(lock), "params.yaml": "a: 2\nb: 3\n"})
    (stage,) = read_pipelines(Git(project), "HEAD").stages
    assert (stage.address, stage.command_changed) == ("dvc.yaml:fit", True)
    dependencies = {dep.path: (dep.md5, dep.params, dep.values) for dep in stage.dependencies}
    assert dependencies == {
        "t.py": ("c" * 32, None, None),
        "data": (None, None, None),
        "params.yaml": (None, ("a", "b"), {"a": 1}),
    }
    assert never_run(Git(project), "HEAD", "") == {"dvc.lock": ["fit"]}


def test_one_broken_pipeline_leaves_the_others(tmp_path: Path) -> None:
    project = make(
        tmp_path, {"a/dvc.yaml": "stages: [\n", "b/dvc.yaml": "stages: {fit: {cmd: c, metrics: [m.json]}}\n"}
    )
    ours = Git(project)
    assert declared(ours, "HEAD") == declared(ours, None) == ["b/m.json"]
    assert unreadable(ours, "HEAD")["a/dvc.yaml"].where == f"a/dvc.yaml at {(ours.commit('HEAD') or '')[:10]}:2"


def test_what_dvcignore_names_is_no_pipeline(tmp_path: Path) -> None:
    files = {"dvc.yaml": "stages: {fit: {cmd: c, outs: [o]}}\n", "old/dvc.yaml": "stages: [\n", ".dvcignore": "old\n"}
    project = make(tmp_path, files)
    assert [stage.name for stage in read_pipelines(Git(project), "HEAD").stages] == ["fit"]
    assert unreadable(Git(project), "HEAD") == {}


NAMES = st.text("abcxyz", min_size=1, max_size=3)
FLAGS = st.fixed_dictionaries({}, optional={"cache": st.booleans(), "push": st.booleans(), "persist": st.booleans()})


@st.composite
def pipelines(draw: st.DrawFn) -> dict[str, str]:
    """A ``dvc.yaml`` of a few stages: folders, templates, ``foreach``, ``matrix``, and options of outputs."""
    stages: dict[str, Any] = {}
    for number in range(draw(st.integers(1, 3))):
        form = draw(st.sampled_from(["plain", "foreach", "matrix"]))
        item = {"plain": "${word}", "foreach": "${item}", "matrix": "${item.k}"}[form]
        outs = draw(st.lists(NAMES, min_size=1, max_size=2, unique=True))
        listed = [
            {f"{item}{number}_{out}.bin": flags} if (flags := draw(FLAGS)) else f"{item}{number}_{out}.bin"
            for out in outs
        ]
        stage: dict[str, Any] = {"cmd": "c", draw(st.sampled_from(["outs", "metrics"])): listed}
        if draw(st.booleans()):
            stage["wdir"] = "inner"
        if form == "foreach":
            stage = {"foreach": draw(st.lists(NAMES, min_size=1, max_size=2, unique=True)), "do": stage}
        elif form == "matrix":
            stage["matrix"] = {"k": draw(st.lists(NAMES, min_size=1, max_size=2, unique=True))}
        stages[f"s{number}"] = stage
    top = draw(st.lists(NAMES.map(lambda name: f"{name}.json"), max_size=2, unique=True))
    return {"dvc.yaml": yaml.safe_dump({"vars": [{"word": "w"}], "stages": stages, "metrics": top}), "inner/x": ""}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=pipelines())
def test_made_projects_are_read_as_dvc_reads_them(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]
) -> None:
    top = tmp_path_factory.mktemp("made").resolve()
    project = make(top, files)
    expected = as_dvc_says(project, top)
    assert as_we_say(project, top, None) == as_we_say(project, top, "HEAD") == expected
