"""The files that a project lacks, and what was found, in words. Pure but for reading what is there."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flint_ml.scaffold.files import Proposal, propose
from flint_ml.scaffold.plan import Answers, procedure, settings, workflow
from flint_ml.scaffold.scan import Facts

RESULTS = "flint-ml-results/"


def _shown(remote: str | None) -> str:
    """The remote's address without user name and password."""
    return re.sub(r"//[^/@]*@", "//", remote) if remote else "none"


def describe(facts: Facts) -> list[str]:
    """What was found, one line each, in plain words."""

    def some(paths: tuple[str, ...], none: str) -> str:
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        return ", ".join(paths[:3]) + more if paths else none

    git = (
        "no repository yet"
        if facts.root is None
        else "no commit yet"
        if not facts.commits
        else f"branch {facts.branch}"
    )
    dvc = "not used"
    if facts.dvc:
        stages = f"{len(facts.stages)} stages ({', '.join(facts.stages[:4])})" if facts.stages else "no pipeline"
        dvc = f"{stages}, {len(facts.kept)} files or folders kept, remote: {_shown(facts.remote)}"
    found = [
        f"Git        {git}{f', github.com/{facts.github}' if facts.github else ''}",
        f"DVC        {dvc}",
        f"tables     {some(tuple(table.path for table in facts.tables), 'none')}",
    ]
    if facts.gcbm is not None:
        found.append(f"GCBM       a project in {facts.gcbm}")
    else:
        train = f"{facts.train.path} ({facts.train.language})" if facts.train else "no script that trains"
        found.append(f"training   {train}")
        found.append(f"packages   {facts.environment or 'no list of packages'}")
        found.append(f"metrics    {some(facts.metrics, 'no script writes any')}")
    if facts.mlflow:
        found.append("MLflow     used")
    if facts.workflows:
        found.append(f"workflows  {some(facts.workflows, '')}")
    return found


def ignored(facts: Facts, answers: Answers) -> list[str]:
    """Lines that ``.gitignore`` lacks."""
    wanted = [RESULTS]
    wanted += ["__pycache__/", ".venv/"] if answers.language == "Python" and answers.kind != "gcbm-gate" else []
    if answers.model and not facts.stages:
        wanted.append(f"/{answers.model}")
    return [line for line in wanted if line.strip("/") not in {known.strip("/") for known in facts.ignored}]


def proposals(facts: Facts, answers: Answers, versions: Mapping[str, str | None]) -> list[Proposal]:
    """The files that the gate needs here, in the order to read them.

    ``versions`` are the packages for a ``requirements.txt``, where the project has no list of packages.
    """
    place = f"{facts.project}/" if facts.project else ""
    top = facts.root or facts.folder
    texts = {f"{place}flint-ml.yml": settings(answers)}
    # A second workflow of another name would run the gate twice.
    if not facts.gated:
        texts[f".github/workflows/{answers.kind}.yml"] = workflow(answers)
    if versions:
        pins = [f"{name}=={version}" if version else name for name, version in sorted(versions.items())]
        texts[f"{place}requirements.txt"] = "\n".join(pins) + "\n"
    if not (facts.folder / ".gitignore").exists():
        texts[f"{place}.gitignore"] = "# What a run makes anew\n" + "\n".join(ignored(facts, answers)) + "\n"
    texts[f"{place}SOP.md"] = procedure(answers)
    return [propose(top, name, text) for name, text in texts.items()]


def missing_lines(facts: Facts, answers: Answers) -> list[str]:
    """Lines to add by hand to a ``.gitignore`` that is there."""
    return ignored(facts, answers) if (facts.folder / ".gitignore").exists() else []
