"""A change must not move its own goalposts: a gate's settings come from the base revision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flint_ml.errors import InputError
from flint_ml.git import Git, find_base
from flint_ml.record import Finding
from flint_ml.runner.context import Context
from flint_ml.runner.inputs import GateInputs
from flint_ml.runner.job import Action, base_fetcher
from flint_ml.runner.settings import Settings, differences, parse_settings, read_settings
from flint_ml.runner.workspace import Workspace

GATE_CHANGED = "gate-changed"
# They run on what is in the default branch already: its own rules hold, not those of the commit before.
_ON_DEFAULT_BRANCH = ("schedule", "repository_dispatch")


def trusted_section(
    action: Action,
    values: Mapping[str, Any],
    config: str,
    workspace: Workspace,
    context: Context,
    *,
    env: Mapping[str, str] | None = None,
    known: Sequence[str] | None = None,
) -> tuple[Mapping[str, Any], list[Finding]]:
    """The settings of ``action`` that hold for this run, and what the change did to them.

    Actions that are no gates read the working tree. A gate reads the base revision where there is one, and the
    working tree only where the base has no settings file yet. ``known`` are the names that a section may have.
    """
    path = workspace.path(config, "config")
    default = action.inputs.model_fields["config"].default
    here = read_settings(path, config, known, named=bool(values.get("config")) and config != default)
    if not issubclass(action.inputs, GateInputs):
        return here.section(action.section_name), []
    git = Git(workspace.base)
    root = git.root
    if root is None or not path.is_relative_to(root.resolve()):
        return here.section(action.section_name), []
    name = path.relative_to(root.resolve()).as_posix()
    explicit = values.get("base-revision") or here.section(action.section_name).get("base-revision")
    if context.event_name in _ON_DEFAULT_BRANCH:
        explicit = "HEAD"
    try:
        way = base_fetcher(values.get("token"), context, git, env or {}) if action.fetches_base else None
        base = find_base(git, context.event_name, context.event, str(explicit) if explicit else None, way)
    except InputError as error:
        if not here.sections:
            return {}, []
        return here.section(action.section_name), [
            Finding(
                severity="warning",
                code="gate-unverified",
                message=f"the rules in {config} could not be compared with the base: {error.message}",
                hint=error.hint,
            )
        ]
    if base is None:
        return here.section(action.section_name), []
    text = git.show(base.commit, name)
    there = parse_settings(text.decode("utf-8-sig", "replace"), f"{config} at the base", known) if text else None
    return _compare(action, config, here, there)


def _compare(
    action: Action, config: str, here: Settings, there: Settings | None
) -> tuple[Mapping[str, Any], list[Finding]]:
    section = action.section_name
    mine = here.section(section)
    if there is None:
        if not set(mine) - set(action.own_settings):
            return mine, []
        message = f"the rules `{section}` in {config} are new with this change; the base has no {config}"
        return mine, [Finding(severity="warning", code=GATE_CHANGED, message=message)]
    theirs = there.section(section)
    own = {key: value for key, value in mine.items() if key in action.own_settings}
    theirs = {**{key: value for key, value in theirs.items() if key not in action.own_settings}, **own}
    changes = differences(theirs, mine, section)
    if not changes:
        return mine, []
    listed = "; ".join(str(change) for change in changes[:5]) + (" …" if len(changes) > 5 else "")
    return theirs, [
        Finding(
            severity="warning",
            code=GATE_CHANGED,
            message=f"this change alters the gate's rules in {config}: {listed}",
            hint="the base's rules were applied; the new ones hold after the merge",
        )
    ]
