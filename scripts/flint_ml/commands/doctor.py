"""doctor: what will fail in CI, and how to fix it, before it does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from flint_ml.commands import load, names
from flint_ml.errors import ExitCode, FlintError
from flint_ml.record import Column, Table
from flint_ml.runner import Action, ActionInputs, Job, Outcome, Settings, build, check_section, dashed, read_settings
from flint_ml.text import markdown


class Inputs(ActionInputs):
    """Inputs of doctor."""

    online: bool = Field(False, description="Also ask the DVC remote and the MLflow server; else no network is used.")
    json_: bool = Field(False, description="Print the list as JSON, for a program.")


def run(inputs: Inputs, job: Job) -> Outcome:
    """Examine, list, count."""
    from flint_ml.doctor import Check, count, examine_project, listing

    broken: list[Check] = []
    try:
        settings = read_settings(job.path(inputs.config, "config"), inputs.config, names(), named=False)
    except FlintError as error:
        place = f"{error.where}: " if error.where else ""
        broken = [Check("flint-ml.yml", "failure", f"{place}{error.message}", error.hint or "correct the file")]
        settings = Settings(inputs.config)
    checks = [*broken, *examine_project(_project(inputs, job, settings))]
    headline = count(checks)
    failed = any(check.mark == "failure" for check in checks)
    if inputs.json_:
        listed = [check.as_dict() for check in checks]
        job.commands.say(json.dumps({"checks": listed, "headline": headline}, indent=2, ensure_ascii=False))
    else:
        job.say(listing(checks))
        job.say(f"\n{headline[0].upper()}{headline[1:]}.")
    job.commands.summary(_summary(checks, headline))
    return Outcome(
        "failed" if failed else "passed",
        headline,
        headline[:200],
        quiet=True,
        outputs={"failures": sum(check.mark == "failure" for check in checks)},
        exit_code=ExitCode.GATE_CLOSED if failed else ExitCode.OK,
    )


def _summary(checks: list[Any], headline: str) -> str:
    wanted = [check for check in checks if check.mark != "ok"]
    columns = [Column(name=name) for name in ("area", "what", "how to fix it")]
    table = Table(title="Doctor", columns=columns, rows=[[c.area, c.what, c.fix] for c in wanted])
    return f"### Doctor: {markdown.escape(headline)}\n\n{markdown.grid(table) if wanted else ''}"


def _project(inputs: Inputs, job: Job, settings: Settings) -> Any:
    from flint_ml.doctor import Project

    folder = job.workspace.base
    root = (job.git.root or folder).resolve()
    subfolder = folder.relative_to(root).as_posix() if folder.is_relative_to(root) else ""
    actions = {name: load(name) for name in names()}
    published = {name: action for name, action in actions.items() if action.published or name == "gate"}
    known = {name: frozenset(map(dashed, action.inputs.model_fields)) for name, action in published.items()}
    known["setup"] = frozenset({"for"})

    def fault(name: str, section: Mapping[str, Any]) -> FlintError | None:
        owner = next((action for action in actions.values() if action.section_name == name), None)
        if owner is None:
            return None
        try:
            check_section(owner.settings or owner.inputs, section, name, inputs.config)
            build(owner.settings or owner.inputs, {}, section, name, inputs.config)
        except FlintError as error:
            # What the file leaves out the workflow may give.
            return None if error.code == "missing-input" else error
        return None

    return Project(
        folder=folder,
        git=job.git,
        root=root,
        subfolder="" if subfolder == "." else subfolder,
        settings=settings.sections,
        inputs=known,
        section_fault=fault,
        config=inputs.config,
        results=inputs.results_dir,
        online=inputs.online,
        env=dict(job.env),
    )


ACTION = Action(
    name="doctor",
    summary="say what will fail in CI, and how to fix it",
    description="Examine repository, data, settings and workflows; list what will fail in CI and how to fix it.",
    badge="Doctor",
    inputs=Inputs,
    run=run,
    outputs={"failures": "How many things will fail."},
    published=False,
    leaves_record=False,
    standalone=True,
)
