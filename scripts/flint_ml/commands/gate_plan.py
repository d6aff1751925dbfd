"""Which steps the gate has in this run: read from ``flint-ml.yml`` and the inputs, with nothing heavy imported.

The root ``action.yml`` asks this on the runner, where only pydantic and a YAML reader are installed, so that
``flint-ml.yml`` means the same there as for ``flint-ml gate``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from flint_ml.commands import names
from flint_ml.errors import InputError
from flint_ml.runner import Action, GateInputs, Job, Outcome, read_settings

EXPECT = ["pull-data", "check-drift", "train", "compare-metrics"]
ORDER = ["pull-data", "check-drift", "run-gcbm", "train", "compare-metrics"]
OUTPUTS = {
    "steps": "The steps of this run, as JSON.",
    "command": "The command that trains and evaluates.",
    "expect": "The records that are expected, as JSON.",
    "require": "The records that a model needs to be registered, as JSON.",
    "results": "Folder of the results, relative to the workspace.",
}


class GateOwnInputs(GateInputs):
    """What the gate decides itself: these may stand under ``gate:`` in ``flint-ml.yml``."""

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


class PlanInputs(GateOwnInputs):
    """Inputs of ``flint-ml gate-plan``."""

    model: str = Field("", description="The model that would be registered; default: the one under `register-model:`.")


def _register_section(inputs: Any, job: Job) -> Mapping[str, Any]:
    config = job.path(inputs.config, "config")
    return read_settings(config, inputs.config, names(), named=False).section("register-model")


def wants_model(inputs: Any, job: Job) -> bool:
    """Whether this run registers: there is a model to register, and the run is main's (or told to)."""
    if inputs.register_ == "never":
        return False
    has_model = bool(inputs.model or _register_section(inputs, job).get("model"))
    if inputs.register_ == "always":
        if not has_model:
            raise InputError("`register: always` needs a model", where="model", hint="give the input `model`")
        return True
    context = job.context
    on_main = context.event_name == "push" and context.ref == f"refs/heads/{context.default_branch}"
    return has_model and on_main


def plan(inputs: Any, job: Job) -> dict[str, Any]:
    """The gate's steps and what they need, as outputs."""
    steps = [step for step in ORDER if step in inputs.expect]
    steps += ["post-report", *(["register-model"] if wants_model(inputs, job) else [])]
    return {
        "steps": steps,
        "command": inputs.command,
        "expect": inputs.expect,
        "require": _register_section(inputs, job).get("require") or inputs.expect,
        "results": job.relative(job.results_dir),
    }


def run(inputs: PlanInputs, job: Job) -> Outcome:
    """Say which steps the gate has."""
    outputs = plan(inputs, job)
    return Outcome("passed", f"the gate's steps: {', '.join(outputs['steps'])}", "Planned", outputs=outputs)


ACTION = Action(
    name="gate-plan",
    summary="say which steps the gate would run here (the root action asks this)",
    description="Say which steps the gate would run here, as outputs.",
    badge="Gate",
    inputs=PlanInputs,
    run=run,
    outputs=OUTPUTS,
    published=False,
    leaves_record=False,
    section="gate",
    settings=GateOwnInputs,
    own_settings=("command",),
)
