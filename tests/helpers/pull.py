"""A real project under Git and DVC, and pull-data run on it as on a runner."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flint_ml.commands import load
from flint_ml.record import Record, read
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands

ACTION = load("pull-data")
PIPELINE = """
stages:
  train:
    cmd: python train.py
    deps: [data/soil.csv, train.py]
    params: [depth]
    outs: [model.txt, predictions.csv]
    metrics: [{metrics.json: {cache: false}}]
"""


def sh(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def dvc(folder: Path, *arguments: str) -> None:
    """The dvc command, without the second that each new process would cost."""
    from dvc.cli import main

    with contextlib.chdir(folder):
        assert main([*arguments, "-q"]) == 0


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def commit(folder: Path, message: str) -> str:
    sh(folder, "git", "add", "-A")
    sh(folder, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", message)
    return sh(folder, "git", "rev-parse", "HEAD")


@dataclass(frozen=True)
class Origin:
    """A repository with a branch `main`, a branch `change`, and a DVC remote that holds both."""

    repo: Path
    remote: Path
    base: str
    head: str


def make_origin(top: Path, subfolder: str = "") -> Origin:
    repo, remote = top / "origin", top / "remote"
    repo.mkdir()
    sh(repo, "git", "init", "-q", "-b", "main")
    project = repo / subfolder
    project.mkdir(exist_ok=True, parents=True)
    dvc(project, "init", *(["--subdir"] if subfolder else []))
    dvc(project, "remote", "add", "-d", "store", str(remote))
    for plot in range(4):
        write(project / f"data/plots/p{plot}.csv", f"depth,soc\n10,{plot}\n")
    write(project / "data/soil.csv", "soc\n1.5\n")
    write(project / "params.yaml", "depth: 10\n")
    write(project / "dvc.yaml", PIPELINE)
    write(
        project / "train.py",
        "import pathlib as p, shutil as s\ns.copy('data/soil.csv', 'predictions.csv')\n"
        "p.Path('model.txt').write_text(p.Path('params.yaml').read_text())\np.Path('metrics.json').write_text('{}')\n",
    )
    dvc(project, "add", "data/plots", "data/soil.csv")
    dvc(project, "repro")
    base = commit(repo, "base")
    dvc(project, "push")
    sh(repo, "git", "checkout", "-qb", "change")
    write(project / "data/soil.csv", "soc\n1.5\n2.5\n")
    write(project / "data/plots/p4.csv", "depth,soc\n10,9\n")
    write(project / "params.yaml", "depth: 20\n")
    dvc(project, "add", "data/plots", "data/soil.csv")
    dvc(project, "repro")
    head = commit(repo, "change")
    dvc(project, "push")
    return Origin(repo, remote, base, head)


def fresh(origin: Origin, top: Path, *options: str, subfolder: str = "") -> Path:
    folder = top / "clone"
    sh(top, "git", "clone", "-q", *options, "-b", "change", origin.repo.as_uri(), str(folder))
    shutil.copytree(origin.remote, top / "remote")
    remote(folder / subfolder, str(top / "remote"))
    return folder


def remote(project: Path, url: str, **settings: str) -> None:
    lines = "".join(f"    {key} = {value}\n" for key, value in settings.items())
    write(project / ".dvc/config.local", f"['remote \"store\"']\n    url = {url}\n{lines}")


@dataclass
class Result:
    code: int
    record: Record
    outputs: dict[str, str]
    log: str
    annotations: list[str]


def act(
    folder: Path, given: dict[str, str] | None = None, *, event: dict[str, Any] | None = None, event_name: str = ""
) -> Result:
    """Run the action as on a runner."""
    output = folder.parent / "github-output"
    output.write_text("")
    out, err = io.StringIO(), io.StringIO()
    env = {**os.environ, "GITHUB_OUTPUT": str(output), "RUNNER_OS": "Linux", "INPUT_RESULTS-DIR": "results"}
    env |= {f"INPUT_{name.upper()}": value for name, value in (given or {}).items()}
    context = Context(on_github=True, workspace=folder, event_name=event_name, event=event or {}, run_id="1")
    commands = Commands(on_github=True, stdout=out, stderr=err, env=env)
    code = run_action(ACTION, env=env, context=context, commands=commands)
    lines = output.read_text().splitlines()
    outputs: dict[str, str] = {}
    while lines:
        name, _, end = lines.pop(0).partition("<<")
        stop = lines.index(end)
        outputs[name] = "\n".join(lines[:stop])
        lines = lines[stop + 1 :]
    base = folder / (given or {}).get("working-directory", ".")
    log = out.getvalue()
    errors = [line for line in log.splitlines() if line.startswith("::error")]
    return Result(code, read(base / "results" / "pull-data.json"), outputs, log + err.getvalue(), errors)


def refused(result: Result, code: int, name: str, *words: str) -> None:
    """One annotation, the exit code, an error record; the message says what the user must know."""
    assert result.code == code, result.log
    assert result.record.status == "error"
    assert [finding.code for finding in result.record.findings] == [name]
    assert len(result.annotations) == 1
    assert result.record.findings[0].hint
    for word in words:
        assert word in result.record.findings[0].message
    assert "Traceback" not in result.log
