"""The whole gate in one step: data, drift, the user's command, metrics, report, and on main the registry.

The root ``action.yml`` runs the same steps, each in its own container, with the command on the runner; it asks
``flint-ml gate-plan`` which steps there are, so that ``flint-ml.yml`` means the same in both.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from pydantic import Field, create_model

from flint_ml import record as records
from flint_ml.commands import load, names
from flint_ml.commands.gate_plan import OUTPUTS, GateOwnInputs, plan
from flint_ml.errors import ExitCode
from flint_ml.runner import Action, ActionInputs, ChangeInputs, GateInputs, Job, Outcome, dashed, run_action

STEPS = ("pull-data", "check-drift", "compare-metrics", "post-report", "register-model")
COMMON = set(GateInputs.model_fields)
_OWN = set(GateOwnInputs.model_fields) - COMMON
# Inputs that several steps have: the step whose description tells most.
_DESCRIBED_BY = {"token": "post-report", "model_name": "register-model", "tracking_uri": "register-model"}


def _union() -> type[ActionInputs]:
    """The gate's inputs: its own, and every step's, each defined where the step defines it."""
    fields: dict[str, Any] = {}
    for step in STEPS:
        for key, field in load(step).inputs.model_fields.items():
            if key in COMMON or key in _OWN or key in fields:
                continue
            # None means: not given here, so the step's own section and default hold.
            owner = _DESCRIBED_BY.get(key, step)
            text = f"{load(owner).inputs.model_fields[key].description or ''} (`{owner}`)"
            fields[key] = (field.annotation | None, Field(None, description=text))  # type: ignore[operator]
    return create_model("GateRunInputs", __base__=GateOwnInputs, **fields)


def step_values(inputs: ActionInputs, step: str) -> dict[str, Any]:
    """What the gate's inputs give to ``step``, by dashed name: nothing that was not given."""
    values: dict[str, Any] = {
        name: getattr(inputs, name.replace("-", "_")) for name in ("results-dir", "config", "working-directory")
    }
    model = load(step).inputs
    if issubclass(model, GateInputs) and "on_failure" in inputs.model_fields_set:
        values["on-failure"] = inputs.on_failure  # type: ignore[attr-defined]
    if step not in STEPS:
        # A simulation's inputs (`base`, `expected`) mean other things than a comparison's of the same name.
        return values
    for key in model.model_fields:
        if key not in COMMON and key not in _OWN and getattr(inputs, key, None) is not None:
            values[dashed(key)] = getattr(inputs, key)
    return values


def _empty(job: Job) -> None:
    """A gate starts from nothing: no record of an earlier run may stand for a step of this one."""
    for record in records.read_all(job.results_dir)[0]:
        (job.results_dir / f"{record.name}.json").unlink(missing_ok=True)
        shutil.rmtree(job.results_dir / record.name, ignore_errors=True)


def _key(name: str) -> str:
    return "register_" if name == "register" else name.replace("-", "_")


_PLANNED = ("command", "expect", "register", "fail-on", "model", "reference", "base-revision", "pull-request")


def _run_step(step: str, inputs: Any, job: Job, outputs: Mapping[str, Any]) -> int:
    if step == "train":
        values = {
            name: getattr(inputs, name.replace("-", "_")) for name in ("results-dir", "config", "working-directory")
        }
        values |= {"name": "train", "command": inputs.command}
        action = load("record")
    else:
        action, values = load(step), step_values(inputs, step)
    if step == "post-report":
        values |= {"expect": outputs["expect"], "fail-on": inputs.fail_on}
    if step == "register-model":
        values.setdefault("require", outputs["require"])
    if step == "gate-plan":
        given = {dashed(key) for key in inputs.model_fields_set} & set(_PLANNED)
        values |= {name: value for name in given if (value := getattr(inputs, _key(name))) is not None}
    if outputs["base-commit"] and issubclass(action.inputs, ChangeInputs):
        values.setdefault("base-commit", outputs["base-commit"])
    # The step must not read the gate's own INPUT_* again: its values were handed over.
    env = {key: value for key, value in job.env.items() if not key.startswith("INPUT_")}
    with job.group(f"flint-ml {step}"):
        return run_action(action, values, env=env, context=job.context, commands=job.commands, known=names())


def run(inputs: Any, job: Job) -> Outcome:
    """Run the steps in order; after the first that closes the gate only the report is made."""
    _empty(job)
    # Before anything of the change runs: base, steps and what is expected are handed on by value.
    outputs = plan(inputs, job)
    _run_step("gate-plan", inputs, job, outputs)
    codes: dict[str, int] = {}
    for step in outputs["steps"]:
        stopped = any(codes.values())
        if stopped and step != "post-report":
            continue
        codes[step] = _run_step(step, inputs, job, outputs)
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
        **OUTPUTS,
    },
    published=False,
    leaves_record=False,
    settings=GateOwnInputs,
    own_settings=("command",),
)
