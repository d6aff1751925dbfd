"""Who decides in this run: the base revision, whose settings hold, and what of that is in doubt.

A change decides nothing about its own judgement (docs/security.md). On a pull request every section of flint-ml.yml
is the base's; on the default branch it is HEAD's; at a terminal the working tree's.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flint_ml.errors import InputError
from flint_ml.git import ON_DEFAULT, Base, Fetcher, Git, Tree, find_base, judged_tree, on_default_branch
from flint_ml.record import TREE, Finding, Piece, left_out, looked
from flint_ml.runner.context import Context
from flint_ml.runner.inputs import ChangeInputs
from flint_ml.runner.job import Action, base_fetcher
from flint_ml.runner.settings import Settings, differences, parse_settings, read_settings
from flint_ml.runner.workspace import Workspace

GATE_CHANGED = "gate-changed"
GATE_NEW = "gate-new"
GATE_UNVERIFIED = "gate-unverified"
# Where workflows and the actions of a repository stand: for GitHub, Gitea and Forgejo.
WORKFLOWS = (".github/workflows", ".github/actions", ".gitea/workflows", ".forgejo/workflows")
_ACTION_FILES = ("action.yml", "action.yaml")
_LINK = "120000"
# What even the first change with settings may not decide for itself, before anybody has agreed to it: where a result
# goes and what it looks like, and which servers get the job's credentials or tasks.
_AFTER_MERGE = {
    "post-report": ("template", "key", "publisher", "run-id", "artifact", "pull-request", "fail-on"),
    "pull-data": ("remote",),
    "gate": ("fail-on",),
    "check-drift": ("scheduler",),
    "compare-metrics": ("tracking-uri",),
    "register-model": ("tracking-uri",),
    "promote": ("tracking-uri",),
    "deploy-model": ("manifests",),
}
_HINT = "the base's rules were applied; the new ones hold after the merge"


@dataclass(frozen=True)
class Authority:
    """What decides in this run.

    Attributes
    ----------
    section
        The settings of the action that hold.
    findings
        What the change did to the rules, and what could not be known.
    base
        The base of this run by its event (or as the workflow named it); None where there is none.
    refused
        Why the base is not known, where there should be one.
    own
        The change's own settings of the action, where others hold.
    tree
        Whether the tree here is the change's, as a piece of evidence; None where no change is judged.
    judges
        Whether the event is about a change that is not merged yet.
    by_base
        Whether the base's settings hold, and so the files that they name are the base's.
    """

    section: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    base: Base | None = None
    refused: InputError | None = None
    own: Mapping[str, Any] | None = None
    tree: Piece | None = None
    judges: bool = False
    by_base: bool = False


def authority(
    action: Action,
    values: Mapping[str, Any],
    config: str,
    workspace: Workspace,
    context: Context,
    *,
    env: Mapping[str, str] | None = None,
    known: Sequence[str] | None = None,
) -> Authority:
    """Who decides about ``action`` in this run.

    ``values`` are what the workflow or the command line gave, by dashed name; ``known`` the names that a section may
    have.

    Raises
    ------
    InputError
        If the settings file is broken or a link on a runner, or the tree here is not the change's.
    """
    default = action.inputs.model_fields["config"].default
    named = bool(values.get("config")) and config != default
    git = Git(workspace.base)
    root = git.root
    name = _name(workspace, config, root, confined=context.on_github)
    if root is None or name is None or not context.on_github:
        path = workspace.path(config, "config")
        head = read_settings(path, config, known, named=named)
        if root is None or name is None:
            without = root is None and context.on_github and context.git_event.proposes
            return _without_repository(action, head) if without else Authority(head.section(action.section_name))
        return _of_terminal(action, values, _Files(git, name, config, head, known))
    fetcher = base_fetcher(values.get("token"), context, git, env or {}) if action.fetches_base else None
    event = context.git_event
    judging = issubclass(action.inputs, ChangeInputs)
    number = str(values.get("pull-request") or "").lstrip("#")
    elsewhere = bool(values.get("run-id")) or event.name == "workflow_run"
    tree = Tree()
    if judging and not elsewhere:
        tree = judged_tree(git, event, int(number) if number.isdigit() else None, fetcher)
    on_default = not event.proposes and bool(event.name) and _is_default(git, context, fetcher)
    committed = _committed(git, name, config, known) if on_default else None
    _refuse_link(git, name)
    head = committed or read_settings(workspace.path(config, "config"), config, known, named=named)
    files = _Files(git, name, config, head, known)
    base, refused = None, None
    try:
        base = _base(git, values, context, fetcher)
    except InputError as error:
        refused = error
    own = files.head.section(action.section_name)
    if on_default:
        return Authority(own, (), base, refused)
    section, findings = _judged(action, files, base, refused, judging=judging)
    if judging:
        findings += _workflows(git, base)
    findings += _of_tree(git, tree)
    piece = _piece(git, tree) if judging else None
    return Authority(section, tuple(findings), base, refused, own, piece, event.proposes, by_base=True)


def _without_repository(action: Action, head: Settings) -> Authority:
    """Where a change is judged and there is no Git repository, nobody can tell whose settings these are."""
    section = action.section_name
    own = head.section(section)
    if not own:
        return Authority()
    message = f"the rules `{section}` could not be compared with the base: the workspace is no Git repository"
    hint = "check the change out with actions/checkout; a command must leave `.git` alone"
    judging = issubclass(action.inputs, ChangeInputs)
    tree = left_out(TREE, "the working tree", "the workspace is no Git repository", hint) if judging else None
    return Authority(
        _restricted(section, own), (_finding(GATE_UNVERIFIED, message, hint),), None, None, own, tree, True, True
    )


def own_settings(authority: Authority, error: InputError, config: str, section: str) -> Authority | None:
    """The change's own settings in the place of the base's, which are broken; None where they are no others.

    A change that repairs broken settings must be able to pass, but not by itself.
    """
    if authority.own is None or dict(authority.own) == dict(authority.section):
        return None
    finding = Finding(
        severity="warning",
        code=GATE_UNVERIFIED,
        message=f"the rules in {config} at the base cannot be used ({error.message[:500]}); this change's own were",
        hint="look at them as a part of this change",
    )
    return replace(authority, section=_restricted(section, authority.own), findings=(*authority.findings, finding))


@dataclass(frozen=True)
class _Files:
    """The settings file: its repository, its path there, how the user calls it, its content, known sections."""

    git: Git
    name: str
    config: str
    head: Settings
    known: Sequence[str] | None


def _name(workspace: Workspace, config: str, root: Path | None, *, confined: bool) -> str | None:
    """The settings file's path relative to the repository, as it is written: no link is followed.

    Raises
    ------
    InputError
        On a runner, where it or a folder on its way is a symbolic link: the rules would be those of its target.
    """
    workspace.path(config, "config")  # inside the workspace, links followed
    if root is None:
        return None
    path = Path(posixpath.normpath((workspace.written / config).as_posix()))
    top = next((each for each in (root, root.resolve()) if path.is_relative_to(each)), None)
    if top is None:
        return None
    parts = path.relative_to(top).parts
    for length in range(1, len(parts) + 1):
        if confined and top.joinpath(*parts[:length]).is_symlink():
            raise _linked("/".join(parts[:length]))
    return "/".join(parts)


def _linked(name: str) -> InputError:
    return InputError(
        f"`{name}` is a symbolic link",
        where="config",
        hint="put the settings there themselves: a link's target could be exchanged",
        code="linked-settings",
    )


def _refuse_link(git: Git, name: str) -> str | None:
    """Git's mode of the settings file at HEAD, None where it has none; a link is refused."""
    mode = git.mode("HEAD", name) if git.commit("HEAD") else None
    if mode == _LINK:
        raise _linked(name)
    return mode


def _committed(git: Git, name: str, config: str, known: Sequence[str] | None) -> Settings | None:
    """The settings of HEAD, which no command of this run can have rewritten; None where HEAD has none."""
    text = git.show("HEAD", name) if _refuse_link(git, name) else None
    return parse_settings(text.decode("utf-8-sig", "replace"), config, known) if text is not None else None


def _base(git: Git, values: Mapping[str, Any], context: Context, fetcher: Fetcher | None) -> Base | None:
    """The base by the event, as gate-plan noted it, or as the workflow named it."""
    event = context.git_event
    given = str(values.get("base-revision") or "")
    noted = str(values.get("base-commit") or "")
    if not noted:
        return find_base(git, event, given if given not in ("none", "auto") else None, fetcher)
    exact = find_base(git, event, noted, fetcher)
    try:
        auto = find_base(git, event, None, fetcher)
    except InputError:
        auto = None
    # The same commit in better words.
    return auto if auto and exact and auto.commit == exact.commit else exact


def _is_default(git: Git, context: Context, fetcher: Fetcher | None) -> bool:
    event = context.git_event
    on_default = on_default_branch(git, event, fetcher)
    return bool(on_default) if on_default is not None else event.name in ON_DEFAULT


def _at_base(files: _Files, base: Base) -> Settings | None:
    """The settings at the base, None where there are none.

    Raises
    ------
    InputError
        If they cannot be read.
    """
    mode = files.git.mode(base.commit, files.name)
    if mode == _LINK:
        raise _linked(files.name)
    text = files.git.show(base.commit, files.name) if mode else None
    if text is None:
        return None
    return parse_settings(text.decode("utf-8-sig", "replace"), f"{files.config} at the base", files.known)


def _judged(
    action: Action, files: _Files, base: Base | None, refused: InputError | None, *, judging: bool
) -> tuple[Mapping[str, Any], list[Finding]]:
    """The base's settings, or the change's own with what that means."""
    section, config = action.section_name, files.config
    own = files.head.section(section)
    if base is None:
        if refused is None:
            return own, []
        if not judging and not own:
            return {}, []
        message = f"the rules in {config} could not be compared with the base: {refused.message}"
        return _restricted(section, own), [_finding(GATE_UNVERIFIED, message, refused.hint)]
    try:
        at_base = _at_base(files, base)
    except InputError as error:
        message = f"the rules in {config} at the base cannot be read: {error.message}"
        return _restricted(section, own), [_finding(GATE_UNVERIFIED, message, "look at the new ones")]
    theirs = at_base.section(section) if at_base else {}
    if not at_base or section not in at_base.sections:
        if not set(own) - _free(action):
            return own, []
        what = f"the base has no {config}" if at_base is None else f"the base's {config} has no such section"
        kept = _restricted(section, own)
        dropped = sorted(set(own) - set(kept))
        left = f"; {', '.join(f'`{key}`' for key in dropped)} hold only after the merge" if dropped else ""
        return kept, [_finding(GATE_NEW, f"the rules `{section}` in {config} are new with this change ({what}){left}")]
    mine = {key: value for key, value in own.items() if key in action.own_settings}
    held = {**{key: value for key, value in theirs.items() if key not in action.own_settings}, **mine}
    free = _free(action)
    changes = differences(
        {key: value for key, value in theirs.items() if key not in free},
        {key: value for key, value in own.items() if key not in free},
        section,
    )
    if not changes:
        return held, []
    listed = "; ".join(str(change) for change in changes[:5]) + (" …" if len(changes) > 5 else "")
    whole = all(change.path.removeprefix(f"{section}.").split(".")[0] in action.own_settings for change in changes)
    hint = "it was run, and its result is this change's" if whole else _HINT
    return held, [_finding(GATE_CHANGED, f"this change alters the gate's rules in {config}: {listed}", hint)]


def _free(action: Action) -> set[str]:
    """Settings that a change declares of itself; nothing is to be said about them. A command is no declaration."""
    return set(action.own_settings) - {"command"}


def _restricted(section: str, own: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in own.items() if key not in _AFTER_MERGE.get(section, ())}


def _finding(code: str, message: str, hint: str | None = None) -> Finding:
    return Finding(severity="warning", code=code, message=message[:5_000], hint=hint)


def _workflows(git: Git, base: Base | None) -> list[Finding]:
    """Workflows and actions of the repository that the change alters: they say which steps run, and with what.

    An action may stand in any folder (``uses: ./ci/gate``), and may be a link to another one.
    """
    if base is None:
        return []
    altered = git.changed(base.commit, "HEAD")
    if not altered:
        return []
    folders = {
        name.rpartition("/")[0]
        for revision in (base.commit, "HEAD")
        for name in git.files(revision)
        if name.rpartition("/")[2] in _ACTION_FILES
    }
    decisive = (*WORKFLOWS, *_ACTION_FILES, *sorted(folders - {""}))
    # A link in the place of a folder, or of one above it, exchanges all that is in it.
    above = {"/".join(path.split("/")[:length]) for path in decisive for length in range(1, path.count("/") + 1)}
    changed = [
        name
        for name in altered
        if name in above or any(name == each or name.startswith(f"{each}/") for each in decisive)
    ]
    if not changed:
        return []
    listed = ", ".join(f"`{name}`" for name in changed[:5]) + (" …" if len(changed) > 5 else "")
    return [_finding(GATE_CHANGED, f"this change alters the workflow: {listed}", "see which steps it runs")]


def _of_tree(git: Git, tree: Tree) -> list[Finding]:
    if tree.doubt:
        return [_finding(GATE_UNVERIFIED, tree.doubt, "set `fetch-depth: 0` on actions/checkout")]
    return [_finding(GATE_UNVERIFIED, _extra(git, tree))] if tree.extra else []


def _extra(git: Git, tree: Tree) -> str:
    subjects = [
        f"{each[:7]} {git.message(each).splitlines()[0][:80]!r}" for each in tree.extra[:3] if git.message(each)
    ]
    more = " …" if len(tree.extra) > 3 else ""
    return f"judged with {len(tree.extra)} commits on top of the pull request's head: {', '.join(subjects)}{more}"


def _piece(git: Git, tree: Tree) -> Piece | None:
    """The tree as a piece of evidence."""
    head = git.commit("HEAD")
    if head is None:
        return None
    if tree.doubt:
        return left_out(TREE, f"tree of {head[:7]}", tree.doubt, "set `fetch-depth: 0` on actions/checkout")
    if tree.extra:
        return left_out(TREE, f"tree of {head[:7]}", _extra(git, tree), "push these commits to the branch")
    return looked(TREE, 1, noun=f"commit {head[:7]}")


def _of_terminal(action: Action, values: Mapping[str, Any], files: _Files) -> Authority:
    """The working tree's settings, with a line that says what a pull request would use."""
    section = action.section_name
    own = files.head.section(section)
    if not issubclass(action.inputs, ChangeInputs):
        return Authority(own)
    given = str(values.get("base-commit") or values.get("base-revision") or "")
    try:
        base = find_base(files.git, None, given if given not in ("none", "auto") else None)
    except InputError as error:
        return Authority(own, refused=error)
    try:
        at_base = _at_base(files, base) if base else None
    except InputError:
        at_base = None
    findings: tuple[Finding, ...] = ()
    if at_base is not None:
        free = set(action.own_settings)
        theirs, mine = (
            {k: v for k, v in each.section(section).items() if k not in free} for each in (at_base, files.head)
        )
        changes = differences(theirs, mine, section)
        if changes:
            listed = "; ".join(map(str, changes[:3])) + (" …" if len(changes) > 3 else "")
            message = f"the rules of the working tree were used; a pull request uses the base's: {listed}"
            findings = (Finding(severity="info", code="working-tree-rules", message=message[:5_000]),)
    return Authority(own, findings, base)
