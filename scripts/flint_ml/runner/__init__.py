"""The GitHub runner's protocol: inputs, outputs, summary, annotations, groups, masks, exit codes.

The same code serves a plain terminal: there it prints what GitHub would show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint_ml.doors import door

if TYPE_CHECKING:
    from flint_ml.runner.context import Context, read_context
    from flint_ml.runner.environment import conceal
    from flint_ml.runner.inputs import (
        ActionInputs,
        ChangeInputs,
        GateInputs,
        build,
        check_section,
        dashed,
        default_text,
        from_arguments,
        parser,
        shape,
        suggestion,
    )
    from flint_ml.runner.job import Action, Job, Outcome
    from flint_ml.runner.run import run_action
    from flint_ml.runner.settings import Settings, parse_settings, read_settings
    from flint_ml.runner.workflow_commands import Commands
    from flint_ml.runner.workspace import Workspace

_HOME = {
    "Action": "job",
    "ActionInputs": "inputs",
    "ChangeInputs": "inputs",
    "Commands": "workflow_commands",
    "Context": "context",
    "GateInputs": "inputs",
    "Job": "job",
    "Outcome": "job",
    "Settings": "settings",
    "Workspace": "workspace",
    "build": "inputs",
    "check_section": "inputs",
    "conceal": "environment",
    "dashed": "inputs",
    "default_text": "inputs",
    "from_arguments": "inputs",
    "parse_settings": "settings",
    "parser": "inputs",
    "read_context": "context",
    "read_settings": "settings",
    "run_action": "run",
    "shape": "inputs",
    "suggestion": "inputs",
}

__all__ = [
    "Action",
    "ActionInputs",
    "ChangeInputs",
    "Commands",
    "Context",
    "GateInputs",
    "Job",
    "Outcome",
    "Settings",
    "Workspace",
    "build",
    "check_section",
    "conceal",
    "dashed",
    "default_text",
    "from_arguments",
    "parse_settings",
    "parser",
    "read_context",
    "read_settings",
    "run_action",
    "shape",
    "suggestion",
]

__getattr__ = door(__name__, _HOME)
