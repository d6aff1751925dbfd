"""GitOps: the version of a model in a repository of manifests, which a cluster follows (Argo CD, Flux).

Nothing here speaks to a cluster; the state is in Git.

=====================  ======================================================================================
``Target``             which value of which manifest, and how the version is written there
``push``, ``propose``  set the version by a commit on the branch, or by a pull request
``switch_colours``     blue/green: deploy the idle colour, try it, switch, take back what fails
``run_smoke_tests``    do the services answer, and with the version that is meant?
``parse_samples``      stored samples with the predictions that were registered
=====================  ======================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint_ml.doors import door

if TYPE_CHECKING:
    from flint_ml.deployment.blue_green import Colour, Switch, Switched, switch_colours
    from flint_ml.deployment.manifest import Edit, Target, check_target
    from flint_ml.deployment.message import Origin, commit_message
    from flint_ml.deployment.pull_requests import Pulls, api_of
    from flint_ml.deployment.rolling import Deployment, Order, propose, push
    from flint_ml.deployment.samples import SAMPLES_FILE, Samples, parse_samples
    from flint_ml.deployment.smoke import Check, Result, run_smoke_tests
    from flint_ml.deployment.yaml_edit import parse_path

_HOME = {
    "Check": "smoke",
    "Colour": "blue_green",
    "Deployment": "rolling",
    "Edit": "manifest",
    "Order": "rolling",
    "Origin": "message",
    "Pulls": "pull_requests",
    "Result": "smoke",
    "SAMPLES_FILE": "samples",
    "Samples": "samples",
    "Switch": "blue_green",
    "Switched": "blue_green",
    "Target": "manifest",
    "api_of": "pull_requests",
    "check_target": "manifest",
    "commit_message": "message",
    "parse_path": "yaml_edit",
    "parse_samples": "samples",
    "propose": "rolling",
    "push": "rolling",
    "run_smoke_tests": "smoke",
    "switch_colours": "blue_green",
}

__all__ = [
    "SAMPLES_FILE",
    "Check",
    "Colour",
    "Deployment",
    "Edit",
    "Order",
    "Origin",
    "Pulls",
    "Result",
    "Samples",
    "Switch",
    "Switched",
    "Target",
    "api_of",
    "check_target",
    "commit_message",
    "parse_path",
    "parse_samples",
    "propose",
    "push",
    "run_smoke_tests",
    "switch_colours",
]

__getattr__ = door(__name__, _HOME)
