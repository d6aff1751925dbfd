"""GCBM project, MLflow, and the machine itself."""

from __future__ import annotations

import platform
import posixpath
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from flint_ml.doctor.checks import Check, Project
from flint_ml.dvc_project import joined, read_pipelines
from flint_ml.errors import FlintError
from flint_ml.scaffold import Environment, Script, files_below, package_lists, read_script, workflow_files

GCBM = "GCBM"
MLFLOW = "MLflow"
MACHINE = "this machine"
_LISTED = 8
# A server that does not answer in this time would not serve a job either.
_SECONDS = 5.0


def simulation(project: Project) -> Iterator[Check]:
    """A GCBM project, by the validator that run-gcbm itself uses."""
    from flint_ml.gcbm import CFG, load_project, validate

    section = project.section("run-gcbm")
    place = project.folder / str(section.get("project") or ".")
    if not section and not any(project.folder.glob(f"*/{CFG}")) and not (project.folder / CFG).is_file():
        return
    problems = validate(load_project(place))
    bad = [problem for problem in problems if problem.severity == "error"]
    other = [problem for problem in problems if problem.severity != "error"]
    for problem in bad[:_LISTED]:
        yield Check(GCBM, "failure", f"{problem.where}: {problem.message}", problem.hint or "correct the project")
    for problem in other[:_LISTED]:
        yield Check(GCBM, "warning", f"{problem.where}: {problem.message}", problem.hint or "see docs/gcbm.md")
    more = max(0, len(bad) - _LISTED) + max(0, len(other) - _LISTED)
    if more:
        yield Check(GCBM, "failure" if len(bad) > _LISTED else "warning", f"{more} more", "flint-ml run-gcbm --check")
    if not bad:
        yield Check(GCBM, "ok", "the project is complete and can be run")


def registry(project: Project) -> Iterator[Check]:
    """The registry's address, and with ``online`` whether somebody answers there."""
    from flint_ml.registry import resolve

    section = project.section("register-model")
    if not section:
        return
    if not section.get("model-name"):
        yield Check(MLFLOW, "failure", "register-model: `model-name` is missing", "model-name: a-name-for-the-model")
    try:
        address = resolve(str(section.get("tracking-uri") or ""), project.env, project.folder)
    except FlintError as error:
        yield Check(MLFLOW, "failure", f"{error.where}: {error.message}", error.hint or "")
        return
    if address.kind == "sqlite":
        named = "MLFLOW_TRACKING_URI" in _workflow_texts(project) or "tracking-uri" in _workflow_texts(project)
        if not named:
            fix = "give `tracking-uri` (vars.MLFLOW_TRACKING_URI) the address of an `mlflow server`"
            text = "a registry in a file is lost with the runner: register-model refuses it in CI"
            yield Check(MLFLOW, "failure", text, fix)
        else:
            yield Check(MLFLOW, "ok", "the workflow names the registry (not asked from here)")
        return
    if not project.online:
        yield Check(MLFLOW, "ok", f"the registry is {address.uri} (not asked; --online does)")
        return
    yield _answers(address.uri, address.username, address.password, address.token)


def _workflow_texts(project: Project) -> str:
    return "\n".join(file.read_text("utf-8", "replace") for file in workflow_files(project.root))


def _answers(uri: str, username: str | None, password: str | None, token: str | None) -> Check:
    import requests

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    login = (username, password or "") if username and not token else None
    try:
        answer = requests.get(
            f"{uri}/api/2.0/mlflow/registered-models/search",
            params={"max_results": "1"},
            headers=headers,
            auth=login,
            timeout=_SECONDS,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        fix = "check the address, and that the runner's network reaches it"
        return Check(MLFLOW, "failure", f"{uri} does not answer ({type(error).__name__})", fix)
    if answer.status_code in {401, 403}:
        fix = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, from secrets"
        return Check(MLFLOW, "failure", f"{uri} refuses (HTTP {answer.status_code})", fix)
    if answer.status_code != 200:
        return Check(MLFLOW, "failure", f"{uri} answers HTTP {answer.status_code}", "is it an `mlflow server`?")
    return Check(MLFLOW, "ok", f"the registry {uri} answers")


def machine(project: Project) -> Iterator[Check]:
    """Python, programs, and the user's list of packages."""
    version = platform.python_version()
    yield Check(MACHINE, "ok", f"Python {version} on {platform.system()}")
    train = project.section("gate").get("expect")
    if isinstance(train, list) and "train" not in train:
        return
    if not project.settings and not (project.folder / "dvc.yaml").is_file():
        return
    program = project.command.split()[0] if project.command.split() else ""
    if program and shutil.which(program) is None:
        fix = "pipx install dvc" if program == "dvc" else f"install {program}, or correct `command` under gate"
        yield Check(MACHINE, "warning", f"`{project.command}`: {program} is not on the PATH here", fix)
    scripts = _scripts(project)
    for script in scripts:
        if not (project.folder / script).is_file():
            fix = "correct `command` under gate in flint-ml.yml"
            yield Check(MACHINE, "failure", f"`{project.command}`: there is no {script}", fix)
        elif project.git.root is not None and not project.git.tracked(project.folder / script):
            yield Check(MACHINE, "failure", f"{script} is not in Git: no runner will have it", f"git add {script}")
    # A project that only simulates names no command, and needs no pipeline.
    simulates = bool(project.section("run-gcbm")) and not project.section("gate").get("command")
    if program == "dvc" and not simulates and not read_pipelines(project.git, None).below(project.subfolder).stages:
        fix = "name what trains as `command` under gate in flint-ml.yml, or write a dvc.yaml"
        yield Check(MACHINE, "failure", f"`{project.command}`: no dvc.yaml here has a stage", fix)
    scanned = [found for script in scripts if (found := read_script(project.folder, script))]
    scanned += [found for path in _piped(project) if (found := read_script(project.folder, path))]
    yield from _own_paths(scanned)
    yield from _packages(project, program, scanned)


def _scripts(project: Project) -> list[str]:
    """The scripts that the command runs."""
    words = [word.strip("'\"") for word in project.command.split()]
    return list(dict.fromkeys(word for word in words if word.lower().endswith((".py", ".r")) and "(" not in word))


def _piped(project: Project) -> list[str]:
    """The scripts that the stages of the pipeline run."""
    if not project.command.startswith("dvc "):
        return []
    stages = read_pipelines(project.git, None).below(project.subfolder).stages
    paths = [
        posixpath.relpath(joined(stage.folder, word), project.subfolder or ".")
        for stage in stages
        for word in stage.command.split()
        if word.lower().endswith((".py", ".r"))
    ]
    return [path for path in dict.fromkeys(paths) if (project.folder / path).is_file()]


def _own_paths(scripts: Sequence[Script]) -> Iterator[Check]:
    """Paths that only somebody's own machine has."""
    for script in scripts:
        if script.absolute:
            text = f"{script.path} names {script.absolute[0]}, which only one machine has"
            fix = "write it relative to the project's folder (and no setwd)"
            yield Check(MACHINE, "failure", text, fix)


def _unpinned(text: str) -> list[str]:
    """Packages of a requirements file whose version is open."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if re.match(r"[A-Za-z0-9]", line) and not re.search(r"===?|@|\\$", line)]


# Names that pip refuses, or that are parts of Python: a list that was written by hand holds them.
_REFUSED = {"sklearn": "scikit-learn", "cv2": "opencv-python", "PIL": "pillow", "skimage": "scikit-image"}


def _packages(project: Project, program: str, scripts: Sequence[Script]) -> Iterator[Check]:
    language = "R" if program == "Rscript" else "Python"
    lists = [
        item for item in package_lists(project.folder, list(files_below(project.folder))) if item.language == language
    ]
    for item in lists:
        if item.kind != "requirements.txt":
            continue
        if loose := _unpinned(item.text):
            fix = f"python -m pip freeze > {item.path}, in the environment that you train in"
            text = f"{item.path} names no version of {', '.join(loose[:4])}: next month's training is another one"
            yield Check(MACHINE, "warning", text, fix)
        names = [re.split(r"[\s=<>~!;\[]", line)[0] for line in item.text.splitlines()]
        for name in names:
            if name in _REFUSED or name in sys.stdlib_module_names:
                right = _REFUSED.get(name)
                fix = f"write {right}" if right else "take the line out: it is a part of Python"
                yield Check(MACHINE, "failure", f"{item.path} names {name}, which pip cannot install", fix)
    imported = {name: script.path for script in scripts if script.language == language for name in script.packages}
    if not lists:
        if imported or (not scripts and program.startswith("python")):
            fix = f"{Path(sys.executable).name} -m pip freeze > requirements.txt, in the environment that you train in"
            if language == "R":
                fix = "Rscript -e 'renv::init()', and commit renv.lock"
            yield Check(MACHINE, "failure", "no list of packages: a blank runner has none of yours", fix)
        return
    best = min(lists, key=lambda item: len(_unlisted(imported, item)))
    for name in _unlisted(imported, best):
        whole = best.kind in {"uv.lock", "poetry.lock", "renv.lock", "Pipfile.lock"} or best.hashed
        text = f"{imported[name]} imports {name}, which {best.path} does not list"
        fix = f"add {name} to it" + ("" if whole else ", unless another package of the list brings it")
        yield Check(MACHINE, "failure" if whole else "warning", text, fix)


def _unlisted(imported: Mapping[str, str], environment: Environment) -> list[str]:
    """Imported packages that a list does not name, whatever their case and dashes."""
    text = re.sub(r"[-_.]+", "-", environment.text).lower()
    plain = {name: re.sub(r"[-_.]+", "-", name).lower() for name in imported}
    return [name for name in imported if not re.search(rf"(?<![a-z0-9-]){re.escape(plain[name])}", text)]
