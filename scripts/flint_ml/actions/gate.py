"""The whole gate in one step: data, drift, the user's command, metrics, report, and on main the registry.

The root ``action.yml`` runs the same steps, each in its own container, with the command on the runner; it asks
``flint-ml gate --plan true`` which steps there are, so that ``flint-ml.yml`` means the same in both.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from pydantic import Field, create_model

from flint_ml import record as records
from flint_ml.actions import load, names
from flint_ml.errors import ExitCode, InputError
from flint_ml.runner.inputs import ActionInputs, GateInputs, dashed
from flint_ml.runner.job import Action, Job, Outcome
from flint_ml.runner.run import run_action
from flint_ml.runner.settings import read_settings

STEPS = ("pull-data", "check-drift", "compare-metrics", "post-report", "register-model")
EXPECT = ["pull-data", "check-drift", "train", "compare-metrics"]
COMMON = set(GateInputs.model_fields)
_OWN = {"command", "expect", "plan", "register_", "fail_on"}


class _Own(GateInputs):
    command: str = Field("dvc repro", description="The command that trains and evaluates, run in your environment.")
    expect: list[str] = Field(
        default=EXPECT,
        description="Records that must be there and have passed; a step that is not named here is not run.",
    )
    fail_on: str = Field(
        "request-changes",
        description="Decision that fails the job: `request-changes`, `review` (that or worse) or `never`.",
        pattern="^(request-changes|review|never)$",
    )
    register_: str = Field(
        "auto",
        description="Whether to register the model: `auto` on a push to the default branch, `always`, or `never`.",
        pattern="^(auto|always|never)$",
    )
    plan: bool = Field(False, description="Only say which steps would run, as outputs.")


def _union() -> type[ActionInputs]:
    """The gate's inputs: its own, and every step's, each defined where the step defines it."""
    fields: dict[str, Any] = {}
    for step in STEPS:
        for key, field in load(step).inputs.model_fields.items():
            if key in COMMON or key in _OWN or key in fields:
                continue
            # None means: not given here, so the step's own section and default hold.
            text = f"{field.description or ''} (`{step}`)"
            fields[key] = (field.annotation | None, Field(None, description=text))  # type: ignore[operator]
    return create_model("GateRunInputs", __base__=_Own, **fields)


def step_values(inputs: ActionInputs, step: str) -> dict[str, Any]:
    """What the gate's inputs give to ``step``, by dashed name: nothing that was not given."""
    values: dict[str, Any] = {
        name: getattr(inputs, name.replace("-", "_")) for name in ("results-dir", "config", "working-directory")
    }
    model = load(step).inputs
    if issubclass(model, GateInputs):
        values["on-failure"] = inputs.on_failure  # type: ignore[attr-defined]
    for key in model.model_fields:
        if key not in COMMON and key not in _OWN and getattr(inputs, key, None) is not None:
            values[dashed(key)] = getattr(inputs, key)
    return values


def _wants_model(inputs: Any, job: Job) -> bool:
    """Whether this run registers: there is a model to register, and the run is main's (or told to)."""
    if inputs.register_ == "never":
        return False
    config = job.path(inputs.config, "config")
    section = read_settings(config, inputs.config, names(), named=False).section("register-model")
    has_model = bool(inputs.model or section.get("model"))
    if inputs.register_ == "always":
        if not has_model:
            raise InputError("`register: always` needs a model", where="model", hint="give the input `model`")
        return True
    context = job.context
    on_main = context.event_name == "push" and context.ref == f"refs/heads/{context.default_branch}"
    return has_model and on_main


def _plan(inputs: Any, job: Job) -> list[str]:
    steps = [step for step in ("pull-data", "check-drift", "train", "compare-metrics") if step in inputs.expect]
    return [*steps, "post-report", *(["register-model"] if _wants_model(inputs, job) else [])]


def _empty(job: Job) -> None:
    """A gate starts from nothing: no record of an earlier run may stand for a step of this one."""
    for record in records.read_all(job.results_dir)[0]:
        (job.results_dir / f"{record.name}.json").unlink(missing_ok=True)
        shutil.rmtree(job.results_dir / record.name, ignore_errors=True)


def _run_step(step: str, inputs: Any, job: Job) -> int:
    if step == "train":
        values = {
            name: getattr(inputs, name.replace("-", "_")) for name in ("results-dir", "config", "working-directory")
        }
        values |= {"name": "train", "command": inputs.command}
        action = load("record")
    else:
        action, values = load(step), step_values(inputs, step)
    if step == "post-report":
        values |= {"expect": inputs.expect, "fail-on": inputs.fail_on}
    if step == "register-model":
        values.setdefault("require", inputs.expect)
    # The step must not read the gate's own INPUT_* again: its values were handed over.
    env = {key: value for key, value in job.env.items() if not key.startswith("INPUT_")}
    with job.group(f"flint-ml {step}"):
        return run_action(action, values, env=env, context=job.context, commands=job.commands)


def run(inputs: Any, job: Job) -> Outcome:
    """Run the steps in order; after the first that closes the gate only the report is made."""
    plan = _plan(inputs, job)
    results = job.relative(job.results_dir)
    outputs: dict[str, Any] = {"steps": plan, "command": inputs.command, "expect": inputs.expect, "results": results}
    if inputs.plan:
        return Outcome("passed", f"the gate has {len(plan)} steps: {', '.join(plan)}", "Planned", outputs=outputs)
    _empty(job)
    codes: dict[str, int] = {}
    for step in plan:
        stopped = any(codes.values())
        if stopped and step != "post-report":
            continue
        codes[step] = _run_step(step, inputs, job)
    worst = max(codes.values())
    found = {record.action: record for record in records.read_all(job.results_dir)[0]}
    report = found.get("post-report")
    details: Mapping[str, Any] = report.details if report else {}
    decision = str(details.get("decision") or "request-changes")
    outputs |= {"decision": decision, "report": details.get("report")}
    headline = report.headline if report else "no report could be made"
    status = "passed" if worst == ExitCode.OK and decision == "approve" else "failed" if worst else "warned"
    return Outcome(status, headline, decision, outputs=outputs, exit_code=worst)  # type: ignore[arg-type]


ACTION = Action(
    name="gate",
    summary="the whole gate in one step: data, drift, your command, metrics, report",
    description="The whole gate: pull the data, check it for drift, run your command, compare the metrics, report.",
    badge="Gate",
    inputs=_union(),
    run=run,
    outputs={
        "decision": "`approve`, `review` or `request-changes`.",
        "report": "Path of the report in Markdown, relative to the workspace.",
        "steps": "The steps of this run, as JSON.",
        "command": "The command that trains and evaluates.",
        "expect": "The records that are expected, as JSON.",
        "results": "Folder of the results, relative to the workspace.",
    },
    published=False,
    leaves_record=False,
    own_settings=("command", "model", "model-name"),
)
