"""From what a repository holds to the files it lacks: answers first, then texts. Pure but for reading templates."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from flint_ml.errors import InputError
from flint_ml.scaffold.environments import Environment, install_lines, python_version
from flint_ml.scaffold.scan import RepositoryScan
from flint_ml.scaffold.storage import storage_of
from flint_ml.scaffold.tablefiles import Roles, TableFile, assign
from flint_ml.scaffold.training import language_of_command
from flint_ml.text.yaml import parse_yaml

TEMPLATES = Path(__file__).parent / "templates"
# One place for the third-party actions of what init writes; a test holds it against the examples.
PINS = {
    "checkout": "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
    "setup_python": "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0",
    "setup_r": "r-lib/actions/setup-r@e6be4b3706e0f39bc7a4cf4496a5f2c4cb840040 # v2.10.1",
    "setup_r_dependencies": "r-lib/actions/setup-r-dependencies@e6be4b3706e0f39bc7a4cf4496a5f2c4cb840040 # v2.10.1",
    "setup_pandoc": "r-lib/actions/setup-pandoc@e6be4b3706e0f39bc7a4cf4496a5f2c4cb840040 # v2.10.1",
    "setup_renv": "r-lib/actions/setup-renv@e6be4b3706e0f39bc7a4cf4496a5f2c4cb840040 # v2.10.1",
    "cache": "actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fccae # v5.0.5",
    "upload": "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0",
}
ORIGIN = 'Written by `flint-ml init`; what is particular to your project is marked "yours".'


@dataclass(frozen=True)
class Answers:
    """Everything that the templates ask. Paths are relative to the project."""

    kind: str
    title: str
    lead: str
    steward: str
    language: str
    python: str
    branch: str
    folder: str
    command: str
    expect: tuple[str, ...]
    install: tuple[str, ...]
    packages: str | None
    metrics: str
    dvc: bool = False
    kept: bool = False
    lfs: bool = False
    remote: bool = False
    lock: str = "dvc.lock"
    secrets: tuple[str, ...] = ()
    mlflow: bool = False
    gcbm: str = "."
    reference: str | None = None
    rev: str | None = None
    current: str | None = None
    exclude: tuple[str, ...] = ()
    predictions: str | None = None
    benchmark: str | None = None
    benchmark_guessed: bool = False
    model: str | None = None
    model_name: str = "model"
    stages: bool = False
    origin: str = ORIGIN
    all_metrics: tuple[str, ...] = ()
    packages_folder: str = ""
    pandoc: bool = False
    classes: bool = False
    storage: str = ""
    remote_name: str = "storage"
    workflow: str = ""
    why: str = ""
    primary: str = ""
    undirected: tuple[str, ...] = ()


def scalar(value: Any) -> str:
    """A value as YAML in one line: plain where that is safe, else in double quotes; lists in brackets."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(scalar(item) for item in value) + "]"
    text = str(value)
    plain = re.fullmatch(r"[A-Za-zÀ-ÿ./_][^:#{}\[\],&*!|>'\"%@`\\\n]*", text) and text == text.strip()
    words = text.lower() in {"true", "false", "yes", "no", "on", "off", "null", "none", "~"}
    return text if plain and not words else json.dumps(text, ensure_ascii=False)


def _run(line: str) -> str:
    """A shell line as the value of ``run:``: as a person would write it where YAML reads it so, else quoted."""
    try:
        plain = parse_yaml(f"run: {line}", "") == {"run": line}
    except InputError:
        plain = False
    return line if plain else scalar(line)


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Other marks than usual: a workflow is full of `${{ … }}`.
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML and Markdown, not HTML
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The text of ``template`` with ``values`` in it."""
    return str(_environment().get_template(template).render(**values))


def _values(answers: Answers) -> dict[str, Any]:
    """Answers as the templates take them; workflow and settings need YAML's quotes."""
    found = {name: getattr(answers, name) for name in answers.__dataclass_fields__}
    inside = f"{answers.folder}/" if answers.folder else ""
    return {**found, "inside": inside, "pins": PINS, "local": answers.expect != ("pull-data", "run-gcbm")}


def workflow(answers: Answers) -> str:
    """The workflow of this project."""
    values = _values(answers)
    values |= {"title": scalar(answers.title), "folder": scalar(answers.folder) if answers.folder else ""}
    values["branch"] = scalar(answers.branch)
    values["install"] = [_run(line) for line in answers.install]
    values["cache"] = scalar(f"{values['inside']}.dvc/cache")
    if answers.kind == "gcbm-gate":
        return fill("gcbm-gate.yml.j2", {**values, "expect": ", ".join(answers.expect)})
    return fill(f"{answers.kind}.yml.j2", {**values, "command": scalar(answers.command)})


def settings(answers: Answers) -> str:
    """``flint-ml.yml`` of this project."""
    values = _values(answers)
    for name in (
        "command",
        "expect",
        "reference",
        "rev",
        "current",
        "exclude",
        "metrics",
        "predictions",
        "benchmark",
        "model",
        "model_name",
        "primary",
    ):
        if values[name]:
            values[name] = scalar(values[name])
    if len(answers.all_metrics) > 1:
        values["metrics"] = scalar(answers.all_metrics)
    values["undirected"] = [scalar(name) for name in answers.undirected]
    kind = answers.kind == "gcbm-gate"
    return fill("flint-ml.yml.j2", {**values, "gcbm": scalar(answers.gcbm) if kind else ""})


def procedure(answers: Answers) -> str:
    """The standard operating procedure."""
    people = {name: getattr(answers, name).replace("|", "\\|") for name in ("lead", "steward")}
    return fill("SOP.md.j2", {**_values(answers), **people, "gcbm": answers.kind == "gcbm-gate"})


def metric_lines(answers: Answers) -> str:
    """The lines that a script lacks which writes no metrics."""
    suffix = "R" if answers.language == "R" else "py"
    return fill(f"metrics{'-classes' if answers.classes else ''}.{suffix}.txt", {"metrics": answers.metrics})


def _install(repository: RepositoryScan, language: str, command: str) -> tuple[str, ...]:
    """Lines that put the project's packages, and DVC where its pipeline runs, on a blank runner."""
    environment = repository.environment(language)
    lines: list[str] = []
    if environment is not None:
        lines += install_lines(environment, repository.project)
    elif language == "Python" and repository.packages:
        path = f"{repository.project}/requirements.txt" if repository.project else "requirements.txt"
        lines.append(f"python -m pip install -r {shlex.quote(path)}")
    elif language == "R":
        packages = sorted({name for script in repository.scripts if script.language == "R" for name in script.packages})
        if packages:
            listed = ", ".join(json.dumps(name) for name in packages)
            # install.packages only warns: a package that is missing must stop the step.
            check = f"stopifnot(all(c({listed}) %in% rownames(installed.packages())))"
            lines.append(f"Rscript -e 'install.packages(c({listed})); {check}'")
    if "quarto " in command:
        lines.append("pipx install quarto-cli")
    if command.startswith("dvc ") and not (environment is not None and environment.has_dvc):
        lines.append("pipx install dvc")
    return tuple(lines)


def _folder_of(project: str, environment: Environment | None) -> str:
    """Folder of a list of packages, relative to the root of the repository."""
    return posixpath.dirname(posixpath.normpath(posixpath.join(project, environment.path))) if environment else ""


def _lock(project: str) -> str:
    """``dvc.lock`` as hashFiles takes it: a pattern of GitHub's, within quotes, within an expression."""
    if not project:
        return "dvc.lock"
    return f"{project}/dvc.lock" if re.fullmatch(r"[\w./-]+", project) else "**/dvc.lock"


def _language(repository: RepositoryScan, command: str) -> str:
    """The language that the command runs; else that of the likeliest script, else of the first list of packages."""
    scripts = {script.path: script.language for script in repository.scripts}
    spoken = language_of_command(command, repository.candidates, scripts) if command else None
    if spoken is not None:
        return spoken
    if repository.candidates:
        return repository.candidates[0].language
    return repository.environments[0].language if repository.environments else "Python"


def answer(repository: RepositoryScan, given: Mapping[str, str], python: str) -> Answers:
    """The answers for ``repository``; what the user gave (dashed names; empty: not given) wins.

    Parameters
    ----------
    repository
        What the repository holds.
    given
        ``title``, ``lead``, ``data-steward``, ``command``, ``metrics``, ``predictions``, ``benchmark``,
        ``reference``, ``current``, ``model``, ``model-name``, ``workflow``, ``dvc``;
        ``program``: the name of Python on this machine.
    python
        Version of Python for the workflow, such as ``3.13``, where the project names none.
    """
    say = {name: text for name, text in given.items() if text}
    gcbm = repository.gcbm is not None and say.get("workflow", "gcbm-gate") == "gcbm-gate"
    chosen = next(iter(repository.candidates), None)
    command = say.get("command") or (chosen.command if chosen else "")
    language = _language(repository, command)
    if "program" in say and "command" not in say:
        command = re.sub(r"^python\b", say["program"], command)
    environment = repository.environment(language)
    metrics = (say["metrics"],) if say.get("metrics") else repository.metrics
    # Names of another file than the one that was given say nothing of it.
    named = not say.get("metrics") or repository.metrics[:1] == metrics
    title = say.get("title") or repository.heading
    kind = storage_of(repository.remote)
    # Data that nobody keeps yet are proposed to DVC; small ones that Git has may stay there.
    loose = not gcbm and any(table.path not in repository.in_git for table in repository.tables)
    dvc = repository.dvc or {"true": True, "false": False}.get(say.get("dvc", "auto"), loose)
    common = Answers(
        kind="gcbm-gate" if gcbm else "model-gate-r" if language == "R" else "model-gate",
        title=re.sub(r"[${}]", "", title),
        lead=say.get("lead") or "(name the lead)",
        steward=say.get("data-steward") or "(name the data steward)",
        language=language,
        python=python_version(repository.folder, repository.environments, python) or python,
        branch=repository.branch,
        folder=repository.project,
        command=command,
        expect=(),
        install=_install(repository, language, command),
        packages=environment.kind if environment else None,
        packages_folder=_folder_of(repository.project, environment),
        metrics=next(iter(metrics), "metrics.json"),
        all_metrics=metrics if repository.stages or say.get("metrics") else metrics[:1],
        pandoc="rmarkdown::render" in command or "quarto " in command,
        classes=any(script.classes for script in repository.scripts),
        storage=kind.name if kind else "",
        remote_name=repository.remote_name,
        workflow=_workflow_name(repository, gcbm=gcbm, language=language),
        why="as you said" if "command" in say else chosen.why if chosen else "",
        dvc=dvc,
        kept=bool(repository.kept),
        lfs=_in_lfs(repository),
        remote=kind is not None and kind.direct,
        secrets=kind.secrets if kind else (),
        lock=_lock(repository.project),
        gcbm=repository.gcbm or ".",
        mlflow=repository.mlflow,
        stages=bool(repository.stages),
        primary=repository.primary if named else "",
        undirected=repository.undirected[:10] if named else (),
    )
    if gcbm:
        return replace(common, expect=("pull-data", "run-gcbm") if repository.kept else ("run-gcbm",))
    return _with_data(common, repository, say)


def _workflow_name(repository: RepositoryScan, *, gcbm: bool, language: str) -> str:
    """Name of the workflow's file: one more project of the repository gets one of its own."""
    kind = "gcbm-gate" if gcbm else "model-gate-r" if language == "R" else "model-gate"
    if f"{kind}.yml" in repository.workflows and repository.project:
        return f"{kind}-{re.sub(r'[^A-Za-z0-9]+', '-', repository.project).strip('-').lower()}"
    return kind


def _in_lfs(repository: RepositoryScan) -> bool:
    """Whether files of the repository are in Git LFS: a checkout brings them only where it is asked to."""
    attributes = (repository.root or repository.folder) / ".gitattributes"
    return attributes.is_file() and "filter=lfs" in attributes.read_text("utf-8", "replace")


def _with_data(common: Answers, repository: RepositoryScan, say: Mapping[str, str]) -> Answers:
    """Answers about tables, predictions and model."""
    train = repository.train
    roles = assign(_inputs(repository), train.data if train else ())
    drift = _drift(roles, repository, say)
    written = [name for script in repository.scripts for name in script.predictions]
    predictions = next((table for table in repository.tables if table.is_predictions), None)
    steps = (*(["pull-data"] if common.dvc else []), *(["check-drift"] if drift else []), "train", "compare-metrics")
    name = re.sub(r"[^a-z0-9]+", "-", common.title.partition(":")[0].lower()).strip("-")
    return replace(
        common,
        expect=steps,
        predictions=say.get("predictions") or next(iter(written), predictions.path if predictions else None),
        **_benchmark(roles, repository, say),
        model=say.get("model") or _model(repository),
        model_name=say.get("model-name") or name or "model",
        **drift,
    )


def _benchmark(roles: Roles, repository: RepositoryScan, say: Mapping[str, str]) -> dict[str, Any]:
    """The table that metrics come from: without it nothing tells that both sides were scored on the same samples.

    Where no table is named as a test set, and no DVC stage tells what metrics are made from, it is the table that the
    scripts read, if that is all they read: while it is unchanged, so are the samples. Of several files one alone would
    say "the same samples" of a change to the others.
    """
    named = say.get("benchmark") or (roles.benchmark.path if roles.benchmark else None)
    if named or repository.stages or roles.only is None:
        return {"benchmark": named}
    scripts = repository.scripts
    names = ((*script.metrics, *script.text_metrics, *script.predictions) for script in scripts)
    made = {*repository.metrics, *(name for each in names for name in each)}
    read = {name for script in scripts for name in (*script.data, *script.other_data)} - made
    table = roles.only.path
    alone = len(read) == 1 and read <= {table, table.rpartition("/")[2]}
    return {"benchmark": table, "benchmark_guessed": True} if alone else {}


def _inputs(repository: RepositoryScan) -> list[TableFile]:
    """Tables that may be watched for drift: not metrics, plots, predictions, nor what training makes."""
    made = {name for script in repository.scripts for name in (*script.metrics, *script.predictions)}
    never = {*repository.never_inputs, *repository.metrics, *made}
    folders = tuple(f"{path}/" for path in repository.never_inputs)
    return [table for table in repository.tables if table.path not in never and not table.path.startswith(folders)]


def _drift(roles: Roles, repository: RepositoryScan, say: Mapping[str, str]) -> dict[str, Any]:
    """Fields of the drift check; empty where no table is an input, which is an answer."""
    reference, current = say.get("reference"), say.get("current")
    table = roles.reference or roles.only
    if roles.reference is not None and roles.current is not None:
        reference, current = reference or roles.reference.path, current or roles.current.path
    elif roles.only is not None:
        reference, current = reference or roles.only.path, current or roles.only.path
    if reference is None or current is None:
        return {}
    identifier = table.column("id") if table else None
    return {
        "reference": reference,
        "current": current,
        "rev": repository.branch if reference == current else None,
        "exclude": (identifier,) if identifier else (),
    }


def _model(repository: RepositoryScan) -> str | None:
    """The model that training writes: the one that DVC keeps, else the first that a script names."""
    models = [name for script in repository.scripts for name in script.models]
    models += [path for path in repository.outputs if re.search(r"(^|/)model", path)]
    return next((name for name in repository.outputs if name in models), next(iter(models), None))
