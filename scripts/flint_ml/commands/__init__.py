"""The actions: one small script each, telling the story from inputs to result.

Only names and one-line summaries are here, so that ``flint-ml --help`` imports nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flint_ml.runner import Action

SUMMARIES = {
    "pull-data": "bring the exact DVC-tracked data of this commit onto this machine",
    "check-drift": "compare new data with a trusted reference and fail or warn",
    "drift-profile": "store a profile of a reference that check-drift can compare with",
    "run-gcbm": "run a GCBM project, check the carbon, and compare with the base",
    "run-gcbm-flint": "run a GCBM project with moja global's C++ engine, and check it",
    "compare-metrics": "this change against the base: better, same or worse",
    "post-report": "one comment on the pull request that lets a lead decide",
    "register-model": "a new version in the MLflow registry, traceable to code and data",
    "deploy-model": "set the version that a cluster serves, in its manifests repository",
    "promote": "move a version to Production, or back to the one before",
    "registry": "the versions of a model: gate, metric, stage, commit",
    "gate": "the whole gate in one step: data, drift, your command, metrics, report",
    "gate-plan": "say which steps the gate would run here (the root action asks this)",
    "open-issue": "one issue for one trouble, kept up to date, closed when it is over",
    "open-pull-request": "what this job changed, as one pull request that later runs bring up to date",
    "init": "write the gate's workflow, settings and procedure for this repository",
    "doctor": "say what will fail in CI, and how to fix it",
    "share": "describe data, model or simulation so that others find, cite and take it",
    "record": "run a command, show its output and leave a record of it",
}


def names() -> list[str]:
    """Names of all actions and commands that have inputs."""
    return list(SUMMARIES)


def load(name: str) -> Action:
    """The action called ``name`` (``check-drift``)."""
    module = import_module(f"flint_ml.commands.{name.replace('-', '_')}")
    action: Action = module.ACTION
    return action
