"""Blue/green: the version goes to the colour that serves nobody, is tried there, and only then gets the traffic.

The state is in Git and nowhere else: each colour's version in its manifest, and the live colour in the selector of the
Service. A job that is killed leaves a state that the next one goes on from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from flint_ml.deployment.manifest import Edit, Target, current, plan
from flint_ml.deployment.rolling import tip_of, wait
from flint_ml.deployment.smoke import Result
from flint_ml.errors import InputError, OutsideError
from flint_ml.git import PushLostError, Remote
from flint_ml.record import Finding

Smoke = Callable[[str, int], list[Result]]


@dataclass(frozen=True)
class Colour:
    """One of the two: where its version stands, and the address at which it answers."""

    target: Target
    url: str


@dataclass(frozen=True)
class Switch:
    """What is asked for.

    Attributes
    ----------
    selector
        Where the Service names the live colour.
    smoke
        Runs the checks at an address for a version.
    message
        The commit message: what is done, for which version, which change, and why (empty: because it is asked for).
    ready
        Called with the version before anything is changed; raises where it cannot be checked.
    highest
        The highest version that the registry knows; None where that is not to be checked.
    live_url
        Address of the Service, checked after the switch; empty for none.
    """

    branch: str
    selector: Target
    colours: Mapping[str, Colour]
    ask_version: Callable[[], int]
    smoke: Smoke
    message: Callable[[str, int, Edit, str], str]
    ready: Callable[[int], None] = field(default=lambda _number: None)
    live_url: str = ""
    rollback: bool = False
    highest: Callable[[], int | None] = field(default=lambda: None)
    say: Callable[[str], None] = field(default=lambda _text: None)


@dataclass(frozen=True)
class Switched:
    """What became of it.

    Attributes
    ----------
    result
        ``changed``: the version is live; ``same``, ``newer``: nothing was done; ``failed``: its checks failed and
        what was live before is live; ``unwell``: it was live already, and its checks fail.
    old
        What stands at the live colour, or stood there before the switch.
    results
        The last round of checks.
    """

    result: Literal["changed", "same", "newer", "failed", "unwell"]
    number: int
    live: str
    idle: str
    old: str
    commits: tuple[str, ...] = ()
    results: tuple[Result, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class _State:
    """What Git says now."""

    live: str
    idle: str
    values: Mapping[str, str]


def _state(remote: Remote, tip: str, switch: Switch) -> _State:
    live = current(remote, tip, switch.selector)
    if live not in switch.colours:
        raise InputError(
            f"the selector names `{live}`, which is none of: {', '.join(switch.colours)}",
            where=switch.selector.file,
            code="unknown-colour",
            hint="name the colours in `colours` as the selector does",
        )
    idle = next(name for name in switch.colours if name != live)
    values = {name: current(remote, tip, colour.target) for name, colour in switch.colours.items()}
    return _State(live, idle, values)


def _commit(
    remote: Remote, switch: Switch, change: Callable[[str], Edit | None], message: Callable[[Edit], str]
) -> tuple[str | None, Edit | None]:
    """Push what ``change`` makes of the newest commit; it is asked again when somebody else was first."""
    made: str | None = None
    edit: Edit | None = None
    tries = 0
    while True:
        tip = tip_of(remote, switch.branch)
        if tip == made:
            return made, edit
        edit = change(tip)
        if edit is None or edit.old == edit.new:
            return None, edit
        made = remote.commit(tip, edit.files, message(edit))
        tries += 1
        try:
            remote.push(made, switch.branch)
        except PushLostError as lost:
            wait(remote, tries, str(lost), switch.say)
            continue
        return made, edit


def _saying(switch: Switch, verb: str, number: int, reason: str = "") -> Callable[[Edit], str]:
    """What the commit says of a change."""
    return lambda edit: switch.message(verb, number, edit, reason)


def _take_back(remote: Remote, switch: Switch, before: _State, number: int, reason: str) -> list[str]:
    """Point the traffic back and give the idle colour its old version, unless somebody else changed them since."""
    new = switch.colours[before.idle].target.text(number)

    def unchanged(tip: str) -> bool:
        return _state(remote, tip, switch).values[before.idle] == new

    def traffic(tip: str) -> Edit | None:
        is_ours = _state(remote, tip, switch).live == before.idle and unchanged(tip)
        return plan(remote, tip, switch.selector, before.live) if is_ours else None

    def version(tip: str) -> Edit | None:
        is_ours = _state(remote, tip, switch).live == before.live and unchanged(tip)
        return plan(remote, tip, switch.colours[before.idle].target, before.values[before.idle]) if is_ours else None

    message = _saying(switch, "Take back", number, reason)
    commits = [_commit(remote, switch, step, message)[0] for step in (traffic, version)]
    return [commit for commit in commits if commit]


def _check_unmoved(expected: _State, state: _State) -> None:
    if state != expected:
        raise OutsideError(
            "somebody else changed the colours while this version was tried; theirs stays",
            where="manifests",
            hint="run the job again if this version is still wanted",
            code="moved-on",
        )


def _as_it_is(switch: Switch, state: _State, number: int) -> Switched:
    """The version is live already: an earlier job may have ended before it had checked that."""
    switch.ready(number)
    results = switch.smoke(switch.live_url, number) if switch.live_url else []
    result: Literal["same", "unwell"] = "unwell" if any(result.said for result in results) else "same"
    return Switched(result, number, state.live, state.idle, state.values[state.live], results=tuple(results))


def switch_colours(remote: Remote, switch: Switch, more_time: Callable[[], None]) -> Switched:
    """Deploy the idle colour, try it, switch, try again, and take everything back where a check fails.

    Parameters
    ----------
    more_time
        Called before each part that speaks to Git: waiting for a cluster does not count.

    Raises
    ------
    OutsideError
        If somebody else changed the colours meanwhile; nothing of theirs is undone.
    """
    tip = tip_of(remote, switch.branch)
    before, number = _state(remote, tip, switch), switch.ask_version()
    old, idle = before.values[before.live], switch.colours[before.idle]
    live, new = switch.colours[before.live].target, idle.target.text(number)
    if old == live.text(number):
        return _as_it_is(switch, before, number)
    deployed = live.number(old)
    if deployed is not None and deployed > number and not switch.rollback:
        return Switched("newer", number, before.live, before.idle, old)

    switch.ready(number)

    def deploy_idle(tip: str) -> Edit:
        _check_unmoved(before, _state(remote, tip, switch))
        return plan(remote, tip, idle.target, new, switch.highest())

    def point(tip: str) -> Edit:
        _check_unmoved(replace(before, values={**before.values, before.idle: new}), _state(remote, tip, switch))
        return plan(remote, tip, switch.selector, before.idle)

    commits: list[str] = []
    findings: list[Finding] = []
    for verb, change, address in (("Try", deploy_idle, idle.url), ("Serve", point, switch.live_url)):
        commit, edit = _commit(remote, switch, change, _saying(switch, verb, number))
        commits += [commit] if commit else []
        findings += edit.findings if edit else []
        results = switch.smoke(address, number) if address else []
        more_time()
        if failed := [f"{result.name}: {result.said}" for result in results if result.said]:
            commits += _take_back(remote, switch, before, number, "; ".join(failed))
            return Switched("failed", number, before.live, before.idle, old, tuple(commits), tuple(results))
    return Switched("changed", number, before.idle, before.live, old, tuple(commits), tuple(results), tuple(findings))
