"""What to type after ``flint-ml init``, in the right order: only what this repository still lacks. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from flint_ml.scaffold.plan import Answers, metric_lines
from flint_ml.scaffold.scan import RepositoryScan
from flint_ml.scaffold.storage import is_folder, scheme, storage_of

# Remotes that people read from a web server: nobody pushes there.
_READ_ONLY = {"http", "https"}
PAGES = "https://github.com/moja-global/flint-ml-actions/blob/main/docs"


@dataclass(frozen=True)
class Step:
    """One thing to do: what and why in a sentence, lines to add to a file, commands to type."""

    title: str
    lines: str = ""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """What init asked of the machine.

    Whether ``dvc`` is a command here, Git knows who commits, and Python (by the name that it has here) has the
    packages that the scripts import.
    """

    dvc: bool = True
    identity: bool = True
    python: str = "python"
    packages: bool = True


def data_files(repository: RepositoryScan, answers: Answers) -> list[str]:
    """Tables that DVC should keep: neither kept by it yet, nor Git's, nor written by a script."""
    written = {answers.metrics, answers.predictions, *(name for s in repository.scripts for name in s.predictions)}
    return [
        t.path
        for t in repository.tables
        if t.path not in {*repository.kept, *repository.in_git, *written} and not t.is_predictions
    ]


def steps_at_home(
    repository: RepositoryScan, answers: Answers, machine: Machine, ignore: Sequence[str] = ()
) -> list[Step]:
    """Steps from here to a first ``flint-ml gate`` at the user's own desk."""
    steps: list[Step] = []
    if answers.kind != "gcbm-gate" and not repository.metrics and answers.metrics == "metrics.json":
        where = repository.train.path if repository.train else "your training script"
        steps.append(
            Step(
                f"Write the metrics: at the end of {where} add these lines, with your own names for the numbers "
                "(computed on samples that were not trained on)",
                lines=metric_lines(answers),
            )
        )
    if repository.root is None:
        steps.append(Step("Put the folder under version control", commands=("git init -b main",)))
    if not machine.identity:
        steps.append(
            Step(
                "Tell Git who you are (once on this machine)",
                commands=(
                    'git config --global user.name "Your Name"',
                    'git config --global user.email "you@example.org"',
                ),
            )
        )
    steps += _data_steps(repository, answers, machine)
    if ignore:
        commands = tuple(f"echo {shlex.quote(line)} >> .gitignore" for line in ignore)
        if repository.ignore_open:
            # Its last line has no end: what is added would become a part of it.
            commands = ("echo >> .gitignore", *commands)
        steps.append(Step("Keep what a run makes out of Git", commands=commands))
    if not machine.packages:
        commands = (
            f"{machine.python} -m venv .venv",
            ". .venv/bin/activate",
            "python -m pip install -r requirements.txt",
            "python -m pip freeze > requirements.txt",
        )
        title = "Install what the scripts import, in an environment of its own, and write down the versions"
        steps.append(Step(title, commands=commands))
    run = "flint-ml run-gcbm" if answers.kind == "gcbm-gate" and not repository.stages else answers.command
    steps.append(Step("See that it runs, and make the first numbers to compare with", commands=(run,)))
    steps.append(Step("Commit", commands=("git add -A", 'git commit -m "Data, model and gate"')))
    steps.append(Step("The gate, as it will run on every pull request", commands=("flint-ml gate",)))
    return steps


def _data_steps(repository: RepositoryScan, answers: Answers, machine: Machine) -> list[Step]:
    if not answers.dvc:
        return []
    steps: list[Step] = []
    if not machine.dvc:
        steps.append(Step("Install DVC, which keeps data beside Git", commands=("pipx install dvc",)))
    if repository.absent:
        steps.append(Step("Bring the data, which are not in this clone", commands=("dvc pull",)))
    commands: list[str] = [] if repository.dvc else ["dvc init" if not repository.project else "dvc init --subdir"]
    if data := data_files(repository, answers):
        commands.append("dvc add " + " ".join(map(shlex.quote, data)))
    if commands:
        steps.append(
            Step("Put the data under DVC: Git then holds a small file that names them", commands=tuple(commands))
        )
    return steps


def steps_on_github(repository: RepositoryScan, answers: Answers) -> list[Step]:
    """Steps from the desk to the first pull request."""
    steps: list[Step] = []
    if answers.dvc and (repository.remote is None or is_folder(repository.remote)):
        steps.append(
            Step(
                f"Choose a place for the data that GitHub reaches ({PAGES}/where-to-keep-data.md), for example",
                commands=(
                    "dvc remote add --default storage s3://YOUR-BUCKET/dvc",
                    "dvc push",
                    'git commit -m "Where the data are" .dvc/config',
                ),
            )
        )
    elif answers.dvc and not repository.absent and scheme(repository.remote or "") not in _READ_ONLY:
        steps.append(Step("Bring the data there", commands=("dvc push",)))
    kind = storage_of(repository.remote)
    if kind and (kind.secrets or kind.key_name):
        names = kind.secrets or (f"{kind.key_name} < KEY-FILE",)
        steps.append(
            Step(
                f"Give the repository the key to the data ({kind.name}; Settings → Secrets and variables → Actions)",
                commands=tuple(f"gh secret set {name}" for name in names),
            )
        )
    if answers.mlflow and answers.kind != "gcbm-gate":
        steps.append(Step("Say where MLflow is", commands=("gh variable set MLFLOW_TRACKING_URI",)))
    if repository.github is None:
        steps.append(
            Step("Make a repository on GitHub and push", commands=("gh repo create --source . --push --private",))
        )
    else:
        steps.append(Step("Push", commands=(f"git push -u origin {answers.branch}",)))
    steps.append(Step("See what would still fail there", commands=("flint-ml doctor --online",)))
    return steps


def steps_text(steps: Sequence[Step], first: int = 1) -> str:
    """Steps as a numbered list for a terminal."""
    parts: list[str] = []
    for number, step in enumerate(steps, first):
        parts.append(f"{number}. {step.title}:")
        if step.lines:
            parts += ["", *(f"      {line}" for line in step.lines.rstrip().splitlines())]
        if step.commands:
            parts += ["", *(f"      {command}" for command in step.commands)]
        parts.append("")
    return "\n".join(parts)
