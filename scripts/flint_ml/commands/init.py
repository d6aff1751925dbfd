"""init: look at a repository and write workflow, settings and procedure of its gate; never over a file of yours."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from typing import Any, Literal

from pydantic import Field

from flint_ml.errors import InputError
from flint_ml.runner import Action, ActionInputs, Job, Outcome, dashed


class Inputs(ActionInputs):
    """Inputs of init: each is an answer that init would find or ask itself."""

    title: str = Field("", description="Name of the project, for report and procedure. Default: the README's heading.")
    lead: str = Field("", description="Who decides on changes, for the procedure.")
    data_steward: str = Field("", description="Who accepts new data into the reference, for the procedure.")
    workflow: Literal["auto", "model-gate", "gcbm-gate"] = Field(
        "auto", description="Which gate: of a model, or of a GCBM simulation. Default: what the repository holds."
    )
    command: str = Field("", description="What trains and evaluates. Default: `dvc repro` or the training script.")
    metrics: str = Field("", description="Metrics file that it writes. Default: what pipeline or script name.")
    predictions: str = Field("", description="Table with truth and prediction of each sample, if it writes one.")
    benchmark: str = Field("", description="Table that models are scored on, if there is a fixed one.")
    reference: str = Field("", description="The trusted table. Default: told by its name.")
    current: str = Field("", description="The new table to compare with it. Default: told by its name.")
    model: str = Field("", description="Model file that the training writes.")
    model_name: str = Field("", description="Name of the model in the MLflow registry.")
    dvc: Literal["auto", "true", "false"] = Field(
        "auto", description="Whether DVC keeps the data: `auto` proposes it for data that Git does not track."
    )
    yes: bool = Field(False, description="Write without asking.")
    dry_run: bool = Field(False, description="Only show what would be written.")


_ANSWERS = (
    "title",
    "lead",
    "data_steward",
    "command",
    "metrics",
    "predictions",
    "benchmark",
    "reference",
    "current",
    "model",
    "model_name",
    "dvc",
)


def run(inputs: Inputs, job: Job) -> Outcome:
    """Look, propose, ask, write, say what to do next."""
    from flint_ml.scaffold import answer, describe, missing_lines, proposals, scan_repository, write_files

    repository = scan_repository(job.workspace.base)
    if inputs.workflow == "gcbm-gate" and repository.gcbm is None:
        raise InputError(
            "there is no GCBM project here (no gcbm_config.cfg)",
            where="workflow",
            hint="give the folder that holds it as `working-directory`",
            code="gcbm-project",
        )
    python = _python()
    given = {dashed(name): str(getattr(inputs, name)) for name in _ANSWERS}
    given |= {"workflow": inputs.workflow} if inputs.workflow != "auto" else {}
    given["program"] = python if python != "python" else ""
    job.say("What I found:")
    for line in describe(repository):
        job.say(f"  {line}")
    if not (inputs.yes or inputs.dry_run) and sys.stdin.isatty():
        given = _asked(given, repository.heading, job)
    answers = answer(repository, given, ".".join(platform.python_version_tuple()[:2]))
    others = repository.projects
    if not answers.command and answers.kind != "gcbm-gate":
        raise InputError(
            "no script, pipeline or document here trains a model",
            where="command",
            hint="say what trains and evaluates: flint-ml init --command 'python my_script.py'"
            + (f"; or go to a project of this repository: --working-directory {others[0]}" if others else ""),
            code="no-training",
        )
    alone = repository.environment("Python") is None and answers.language == "Python" and answers.kind != "gcbm-gate"
    versions = _versions(python, repository.packages) if alone else {}
    machine = _machine(job, python, all(versions.values()))
    proposed = proposals(repository, answers, versions)
    ignore = missing_lines(repository, answers)
    written = write_files(proposed, job.say, "init", yes=inputs.yes, dry_run=inputs.dry_run, overwrite=False)
    _say_next(repository, answers, machine, ignore, job)
    kept = [proposal.name for proposal in proposed if proposal.state == "differs"]
    return Outcome(
        "passed",
        f"{len(written)} files written",
        "written",
        quiet=True,
        details={"written": written, "kept": kept},
        outputs={"written": written, "kept": kept},
    )


def _python() -> str:
    """The name of Python on this machine: some have no `python`."""
    return "python3" if shutil.which("python") is None and shutil.which("python3") else "python"


def _machine(job: Job, python: str, packages: bool) -> Any:
    from flint_ml.scaffold import Machine

    environment = bool(job.env.get("GIT_AUTHOR_NAME") and job.env.get("GIT_AUTHOR_EMAIL"))
    known = bool(job.git.setting("user.name") and job.git.setting("user.email"))
    return Machine(shutil.which("dvc") is not None, environment or known, python, packages)


def _asked(given: dict[str, str], heading: str, job: Job) -> dict[str, str]:
    """The names that no file tells, asked at the terminal; what was given is not asked."""
    job.say("\nThree questions; Enter takes what stands in brackets.")
    me = job.git.setting("user.name") or ""
    for name, question, usual in (
        ("title", "Name of the project", heading),
        ("lead", "Who decides on changes (lead)", me),
        ("data-steward", "Who accepts new data (data steward)", me),
    ):
        if not given.get(name):
            try:
                given[name] = input(f"  {question} [{usual}]: ").strip() or usual
            except EOFError:
                break
    return given


def _versions(python: str, packages: tuple[str, ...]) -> dict[str, str | None]:
    """Versions of ``packages`` in the user's own Python; None where one is not installed there."""
    # Nothing of the user's is run: a `csv.py` that lies here must not be taken for Python's own.
    code = (
        "import sys\n"
        "sys.path[:] = [place for place in sys.path if place]\n"
        "from importlib.metadata import version, PackageNotFoundError\n"
        "for name in sys.argv[1:]:\n"
        "    try: print(version(name))\n"
        "    except PackageNotFoundError: print()\n"
    )
    try:
        done = subprocess.run([python, "-c", code, *packages], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return dict.fromkeys(packages)
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return {name: (lines[i].strip() or None) if i < len(lines) else None for i, name in enumerate(packages)}


def _say_next(repository: Any, answers: Any, machine: Any, ignore: list[str], job: Job) -> None:
    from flint_ml.scaffold import steps_at_home, steps_on_github, steps_text

    if repository.gated:
        job.say(f"\nThe workflow {repository.gated[0]} uses flint-ml-actions already, so none was added.")
    home = steps_at_home(repository, answers, machine, ignore)
    github = steps_on_github(repository, answers)
    job.say("\nWhat to do now, at your desk:")
    job.say()
    job.say(steps_text(home))
    job.say()
    job.say("The first report says *review*: there is nothing to compare with yet. Each later change has a base.")
    job.say("\nThen, on GitHub:")
    job.say()
    job.say(steps_text(github, len(home) + 1))


ACTION = Action(
    name="init",
    summary="write the gate's workflow, settings and procedure for this repository",
    description="Look at a repository and write workflow, flint-ml.yml and procedure: shown first, never overwritten.",
    badge="Init",
    inputs=Inputs,
    run=run,
    outputs={"written": "Files that were written, as JSON.", "kept": "Files of yours that were left alone, as JSON."},
    published=False,
    leaves_record=False,
    standalone=True,
)
