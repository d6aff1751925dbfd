"""The files that a project lacks, and what was found, in words. Pure but for reading what is there."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flint_ml.scaffold.files import Proposal, propose
from flint_ml.scaffold.plan import Answers, procedure, settings, workflow
from flint_ml.scaffold.scan import RepositoryScan

RESULTS = "flint-ml-results/"


def _shown(remote: str | None) -> str:
    """The remote's address without user name and password."""
    return re.sub(r"//[^/@]*@", "//", remote) if remote else "none"


def describe(repository: RepositoryScan) -> list[str]:
    """What was found, one line each, in plain words."""

    def some(paths: tuple[str, ...], none: str) -> str:
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        return ", ".join(paths[:3]) + more if paths else none

    git = (
        "no repository yet"
        if repository.root is None
        else "no commit yet"
        if not repository.commits
        else f"branch {repository.branch}"
    )
    dvc = "not used"
    if repository.dvc:
        stages = (
            f"{len(repository.stages)} stages ({', '.join(repository.stages[:4])})"
            if repository.stages
            else "no pipeline"
        )
        dvc = f"{stages}, {len(repository.kept)} files or folders kept, remote: {_shown(repository.remote)}"
    found = [
        f"Git        {git}{f', github.com/{repository.github}' if repository.github else ''}",
        f"DVC        {dvc}",
        f"tables     {some(tuple(table.path for table in repository.tables), 'none')}",
    ]
    if repository.gcbm is not None:
        found.append(f"GCBM       a project in {repository.gcbm}")
    else:
        best = next(iter(repository.candidates), None)
        train = f"{best.command} ({best.why})" if best else "no script or pipeline that trains: say --command"
        found.append(f"training   {train}")
        lists = tuple(item.path for item in repository.environments)
        found.append(f"packages   {some(lists, 'no list of packages')}")
        found.append(f"metrics    {some(repository.metrics, 'no script writes any')}")
    if repository.mlflow:
        found.append("MLflow     used")
    others = [candidate.command for candidate in repository.candidates[1:4] if repository.gcbm is None]
    if others:
        found.append(f"also       {'; '.join(others)} (--command takes another)")
    found += [f"note       {note}" for note in repository.notes]
    if repository.projects:
        found.append(f"projects   also in {some(repository.projects, '')}: flint-ml init --working-directory FOLDER")
    if repository.cml:
        replaced = "the gate does its pull, diff and comment (docs/moving-from-cml.md)"
        found.append(f"CML        {some(repository.cml, '')}: {replaced}")
    if repository.workflows:
        found.append(f"workflows  {some(repository.workflows, '')}")
    return found


def ignored(repository: RepositoryScan, answers: Answers) -> list[str]:
    """Lines that ``.gitignore`` lacks."""
    lines = [RESULTS]
    lines += ["__pycache__/", ".venv/"] if answers.language == "Python" and answers.kind != "gcbm-gate" else []
    if answers.model and not repository.stages:
        lines.append(f"/{answers.model}")
    if repository.mlflow:
        lines += [line for line in ("mlruns/", "mlflow.db") if line.strip("/") not in repository.in_git]
    if repository.hydra:
        lines += ["outputs/", "multirun/"]
    return [line for line in lines if line.strip("/") not in {known.strip("/") for known in repository.ignored}]


def proposals(repository: RepositoryScan, answers: Answers, versions: Mapping[str, str | None]) -> list[Proposal]:
    """The files that the gate needs here, in the order to read them.

    ``versions`` are the packages for a ``requirements.txt``, where the project has no list of packages.
    """
    place = f"{repository.project}/" if repository.project else ""
    top = repository.root or repository.folder
    texts = {f"{place}flint-ml.yml": settings(answers)}
    # A second workflow of another name would run the gate twice.
    if not repository.gated:
        texts[f".github/workflows/{answers.workflow or answers.kind}.yml"] = workflow(answers)
    if versions:
        pins = [f"{name}=={version}" if version else name for name, version in sorted(versions.items())]
        texts[f"{place}requirements.txt"] = "\n".join(pins) + "\n"
    if not (repository.folder / ".gitignore").exists():
        texts[f"{place}.gitignore"] = "# What a run makes anew\n" + "\n".join(ignored(repository, answers)) + "\n"
    texts[f"{place}SOP.md"] = procedure(answers)
    return [propose(top, name, text) for name, text in texts.items()]


def missing_lines(repository: RepositoryScan, answers: Answers) -> list[str]:
    """Lines to add by hand to a ``.gitignore`` that is there."""
    return ignored(repository, answers) if (repository.folder / ".gitignore").exists() else []
