"""Which steps the gate has in this run: read from ``flint-ml.yml`` and the inputs, with nothing heavy imported.

The root ``action.yml`` asks this on the runner, where only pydantic and a YAML reader are installed, so that
``flint-ml.yml`` means the same there as for ``flint-ml gate``. It is asked before anything of the change runs, and
what it notes (base, steps, what is expected) is handed on by value to the later steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic import Field, SecretStr

from flint_ml.commands import names
from flint_ml.errors import InputError
from flint_ml.git import Base
from flint_ml.record import BaseSide, Input
from flint_ml.runner import Action, GateInputs, Job, Outcome, parse_settings, read_settings

EXPECT = ["pull-data", "check-drift", "train", "compare-metrics"]
ORDER = ["pull-data", "check-drift", "run-gcbm", "train", "compare-metrics"]
OUTPUTS = {
    "steps": "The steps of this run, as JSON.",
    "command": "The command that trains and evaluates.",
    "expect": "The records that are expected, as JSON.",
    "require": "The records that a model needs to be registered, as JSON.",
    "results": "Folder of the results, relative to the workspace.",
    "base-commit": "Commit of the base, noted before the command runs.",
}
# Keys of flint-ml.yml that name files which decide a result.
_REFERENCES = {
    "check-drift": ("reference", "mask"),
    "compare-metrics": ("benchmark", "training"),
    "run-gcbm": ("base",),
}
_DVC = ("dvc.yaml", "dvc.lock")


class GateOwnInputs(GateInputs):
    """What the gate decides itself: these may stand under ``gate:`` in ``flint-ml.yml``."""

    command: str = Field("dvc repro", description="The command that trains and evaluates, run in your environment.")
    expect: list[str] = Field(
        default=EXPECT,
        description="Records that must be there and have passed; a step that is not named here is not run. Not given: "
        "those of the default for which the project has something (data under DVC, a reference).",
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
    reference: str = Field("", description="The reference that check-drift is given, where the workflow names it.")
    base_revision: str = Field("auto", description="What to compare with, as for compare-metrics.")
    pull_request: str = Field("", description="Number of the pull request that is judged.", pattern=r"^#?[0-9]{0,10}$")
    token: SecretStr | None = Field(
        None, description="Token that reads this repository, for what a shallow clone lacks of the base."
    )


def _sections(inputs: Any, job: Job, base: Base | None) -> Mapping[str, Mapping[str, Any]]:
    """The settings that hold for the plan: the base's on a pull request, else those here."""
    name = _in_repository(inputs, job)
    text = job.git.show(base.commit, name) if base and name and job.by_base else None
    if text is not None:
        try:
            return parse_settings(text.decode("utf-8-sig", "replace"), inputs.config, names()).sections
        except InputError:
            return {}  # its own action says so
    return read_settings(job.path(inputs.config, "config"), inputs.config, names(), named=False).sections


def _in_repository(inputs: Any, job: Job) -> str | None:
    """The settings file's path from the root of the repository."""
    root, path = job.git.root, job.path(inputs.config, "config")
    return path.relative_to(root.resolve()).as_posix() if root and path.is_relative_to(root.resolve()) else None


def wants_model(inputs: Any, job: Job, sections: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether this run registers: there is a model to register, and the run is main's (or told to)."""
    if inputs.register_ == "never":
        return False
    has_model = bool(inputs.model or sections.get("register-model", {}).get("model"))
    if inputs.register_ == "always":
        if not has_model:
            raise InputError("`register: always` needs a model", where="model", hint="give the input `model`")
        return True
    context = job.context
    on_main = context.event_name == "push" and context.ref == f"refs/heads/{context.default_branch}"
    return has_model and on_main


def _nothing_for(inputs: Any, job: Job, base: Base | None, sections: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Steps of the default for which the project has nothing, each with how that is known.

    What the base has counts, and what is here: a change cannot take a step away by taking its files away.
    """
    revisions = [base.commit] if base else []
    tracked = [name for revision in [*revisions, "HEAD"] for name in job.git.files(revision)] if job.git.root else []
    files = {*tracked, *job.git.present()}
    nothing = {}
    has_dvc = any(name.endswith(".dvc") or name.rpartition("/")[2] in _DVC or ".dvc/" in name for name in files)
    if not has_dvc:
        nothing["pull-data"] = "no file of DVC, at the base or here"
    here = read_settings(job.path(inputs.config, "config"), inputs.config, None, named=False).sections
    named = [each.get("check-drift", {}).get("reference") for each in (sections, here)]
    if not (any(named) or inputs.reference):
        nothing["check-drift"] = f"no `reference` under `check-drift:` in {inputs.config}"
    return nothing


def plan(inputs: Any, job: Job) -> dict[str, Any]:
    """The gate's steps and what they need, as outputs; under ``left`` what is not among them, and why."""
    base = _base(inputs, job)
    sections = _sections(inputs, job, base)
    given = "expect" in inputs.model_fields_set
    left = {} if given else _nothing_for(inputs, job, base, sections)
    expect = [name for name in inputs.expect if name not in left]
    steps = [step for step in ORDER if step in expect]
    steps += ["post-report", *(["register-model"] if wants_model(inputs, job, sections) else [])]
    return {
        "steps": steps,
        "command": inputs.command,
        "expect": expect,
        "require": sections.get("register-model", {}).get("require") or expect,
        "results": job.relative(job.results_dir),
        "base-commit": base.commit if base and inputs.base_revision != "none" and job.context.on_github else "",
        "left": left,
    }


# Settings that name a revision, by section.
_REVISIONS = {
    "pull-data": ("base-revision", "revision"),
    "check-drift": ("reference-rev",),
    "compare-metrics": ("base-revision",),
    "run-gcbm": ("base-revision",),
}


def _revisions(inputs: PlanInputs, job: Job, sections: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The commits of revisions that workflow and settings name: a command could move a branch or tag of this clone."""
    named = {str(sections.get(section, {}).get(key) or "") for section, keys in _REVISIONS.items() for key in keys}
    named.add(inputs.base_revision)
    commits = {}
    for name in sorted(named - {"", "auto", "none"}):
        try:
            found = job.base(name) if job.context.on_github else None
        except InputError:
            found = None  # its own step says so
        if found:
            commits[name] = found.commit
    return commits


def _base(inputs: Any, job: Job) -> Base | None:
    try:
        return job.base()
    except InputError:
        return None  # a finding of the record says so


def _settings_hash(inputs: Any, job: Job, base: Base) -> list[Input]:
    """The settings at the base, and the files that they name, with their hashes there."""
    name = _in_repository(inputs, job)
    text = job.git.show(base.commit, name) if name else None
    if name is None or text is None:
        return []
    paths = [name]
    folder = name.rpartition("/")[0]
    for section, keys in _REFERENCES.items():
        for key in keys:
            value = _sections(inputs, job, base).get(section, {}).get(key)
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, str) and each:
                    path = f"{folder}/{each}".lstrip("/")
                    paths += [path, f"{path}.dvc"]
    at_base = job.git.show_many(base.commit, list(dict.fromkeys(paths)))
    return [
        Input(path=f"{path} at {base.commit[:7]}", sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
        for path, data in at_base.items()
    ]


def run(inputs: PlanInputs, job: Job) -> Outcome:
    """Say which steps the gate has."""
    outputs = plan(inputs, job)
    base = _base(inputs, job)
    left = [f"{name} ({why})" for name, why in outputs.pop("left").items()]
    job.used += _settings_hash(inputs, job, base) if base else []
    text = f"the gate's steps: {', '.join(outputs['steps'])}"
    return Outcome(
        "passed",
        f"{text}; nothing for {', '.join(left)}" if left else text,
        "Planned",
        spoken="the gate's plan",
        base=BaseSide(commit=base.commit, how=base.how) if base else None,
        details={
            "steps": outputs["steps"],
            "expect": outputs["expect"],
            "command": outputs["command"],
            "nothing_for": left,
            "base": {"commit": base.commit, "how": base.how} if base else None,
            "revisions": _revisions(inputs, job, _sections(inputs, job, base)),
        },
        outputs=outputs,
        base_sha=base.commit if base else None,
    )


ACTION = Action(
    name="gate-plan",
    summary="say which steps the gate would run here (the root action asks this)",
    description="Say which steps the gate would run here, as outputs.",
    badge="Gate",
    inputs=PlanInputs,
    run=run,
    outputs=OUTPUTS,
    published=False,
    section="gate",
    settings=GateOwnInputs,
    own_settings=("command",),
    fetches_base=True,
)
