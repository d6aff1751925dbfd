"""GCBM project, MLflow, and the machine itself."""

from __future__ import annotations

import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from flint_ml.doctor.checks import Check, Patient
from flint_ml.errors import FlintError
from flint_ml.scaffold.files import workflow_files
from flint_ml.scaffold.scripts import read_script

GCBM = "GCBM"
MLFLOW = "MLflow"
MACHINE = "this machine"
_LISTED = 8
# A server that does not answer in this time would not serve a job either.
_SECONDS = 5.0


def simulation(patient: Patient) -> Iterator[Check]:
    """A GCBM project, by the validator that run-gcbm itself uses."""
    from flint_ml.gcbm.project.config import CFG, load_project
    from flint_ml.gcbm.project.validation import validate

    section = patient.section("run-gcbm")
    place = patient.folder / str(section.get("project") or ".")
    if not section and not any(patient.folder.glob(f"*/{CFG}")) and not (patient.folder / CFG).is_file():
        return
    problems = validate(load_project(place))
    bad = [problem for problem in problems if problem.severity == "error"]
    other = [problem for problem in problems if problem.severity != "error"]
    for problem in bad[:_LISTED]:
        yield Check(GCBM, "failure", f"{problem.where}: {problem.message}", problem.hint or "mend the project")
    for problem in other[:_LISTED]:
        yield Check(GCBM, "warning", f"{problem.where}: {problem.message}", problem.hint or "see docs/gcbm.md")
    more = max(0, len(bad) - _LISTED) + max(0, len(other) - _LISTED)
    if more:
        yield Check(GCBM, "failure" if len(bad) > _LISTED else "warning", f"{more} more", "flint-ml run-gcbm --check")
    if not bad:
        yield Check(GCBM, "ok", "the project is complete and can be run")


def registry(patient: Patient) -> Iterator[Check]:
    """The registry's address, and with ``online`` whether somebody answers there."""
    from flint_ml.registry.address import resolve

    section = patient.section("register-model")
    if not section:
        return
    if not section.get("model-name"):
        yield Check(MLFLOW, "failure", "register-model: `model-name` is missing", "model-name: a-name-for-the-model")
    try:
        address = resolve(str(section.get("tracking-uri") or ""), patient.env, patient.folder)
    except FlintError as error:
        yield Check(MLFLOW, "failure", f"{error.where}: {error.message}", error.hint or "")
        return
    if address.kind == "sqlite":
        named = "MLFLOW_TRACKING_URI" in _workflow_texts(patient) or "tracking-uri" in _workflow_texts(patient)
        if not named:
            mend = "give `tracking-uri` (vars.MLFLOW_TRACKING_URI) the address of an `mlflow server`"
            text = "a registry in a file is lost with the runner: register-model refuses it in CI"
            yield Check(MLFLOW, "failure", text, mend)
        else:
            yield Check(MLFLOW, "ok", "the workflow names the registry (not asked from here)")
        return
    if not patient.online:
        yield Check(MLFLOW, "ok", f"the registry is {address.uri} (not asked; --online does)")
        return
    yield _answers(address.uri, address.username, address.password, address.token)


def _workflow_texts(patient: Patient) -> str:
    return "\n".join(file.read_text("utf-8", "replace") for file in workflow_files(patient.root))


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
        mend = "check the address, and that the runner's network reaches it"
        return Check(MLFLOW, "failure", f"{uri} does not answer ({type(error).__name__})", mend)
    if answer.status_code in {401, 403}:
        mend = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, from secrets"
        return Check(MLFLOW, "failure", f"{uri} refuses (HTTP {answer.status_code})", mend)
    if answer.status_code != 200:
        return Check(MLFLOW, "failure", f"{uri} answers HTTP {answer.status_code}", "is it an `mlflow server`?")
    return Check(MLFLOW, "ok", f"the registry {uri} answers")


def machine(patient: Patient) -> Iterator[Check]:
    """Python, programs, and the user's list of packages."""
    version = platform.python_version()
    yield Check(MACHINE, "ok", f"Python {version} on {platform.system()}")
    train = patient.section("gate").get("expect")
    if isinstance(train, list) and "train" not in train:
        return
    if not patient.settings and not (patient.folder / "dvc.yaml").is_file():
        return
    program = patient.command.split()[0] if patient.command.split() else ""
    if program and shutil.which(program) is None:
        mend = "pipx install dvc" if program == "dvc" else f"install {program}, or mend `command` under gate"
        yield Check(MACHINE, "warning", f"`{patient.command}`: {program} is not on the PATH here", mend)
    script = _script(patient)
    if script and not (patient.folder / script).is_file():
        mend = "mend `command` under gate in flint-ml.yml"
        yield Check(MACHINE, "failure", f"`{patient.command}`: there is no {script}", mend)
    elif script and patient.git.root is not None and not patient.git.tracked(patient.folder / script):
        yield Check(MACHINE, "failure", f"{script} is not in Git: no runner will have it", f"git add {script}")
    yield from _packages(patient, program)


def _script(patient: Patient) -> str | None:
    """The script that the command runs."""
    return next((word for word in patient.command.split()[1:] if word.lower().endswith((".py", ".r"))), None)


def _unpinned(text: str) -> list[str]:
    """Packages of a requirements file whose version is open."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if re.match(r"[A-Za-z0-9]", line) and not re.search(r"===?|@|\\$", line)]


def _packages(patient: Patient, program: str) -> Iterator[Check]:
    names = ("requirements.txt", "pyproject.toml", "environment.yml", "environment.yaml")
    listed = patient.folder / names[0]
    if listed.is_file() and (loose := _unpinned(listed.read_text(encoding="utf-8", errors="replace"))):
        mend = "python -m pip freeze > requirements.txt, in the environment that you train in"
        text = f"requirements.txt names no version of {', '.join(loose[:4])}: next month's training is another one"
        yield Check(MACHINE, "warning", text, mend)
    if not program.startswith("python") or any((patient.folder / name).is_file() for name in names):
        return
    script = read_script(patient.folder, name) if (name := _script(patient)) else None
    if script is not None and not script.packages:
        return
    mend = f"{Path(sys.executable).name} -m pip freeze > requirements.txt, in the environment that you train in"
    yield Check(MACHINE, "failure", "no list of packages: a blank runner has none of yours", mend)
