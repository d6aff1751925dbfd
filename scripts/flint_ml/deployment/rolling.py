"""Bring a version into the manifests: by a push, or by a pull request that a person merges.

Both begin with the newest commit and only then ask the registry, so that what is written is never older than what
an earlier job wrote. A push that comes second starts again from there: fetch, ask the registry, change, check. Nothing
is ever forced on the branch that the cluster follows, and a version only goes back where that is asked for.
"""

from __future__ import annotations

import difflib
import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from flint_ml.deployment.manifest import Edit, Target, current, plan, read_manifest
from flint_ml.deployment.pull_requests import Pull, Pulls
from flint_ml.errors import InputError, OutsideError
from flint_ml.git import PushLostError, Remote
from flint_ml.record import Finding, slug

_MAX_TRIES = 30


@dataclass(frozen=True)
class Deployment:
    """What became of a deployment.

    Attributes
    ----------
    result
        ``changed``: a commit was made; ``same``: the version was there; ``newer``: a newer one was, and stays.
    number
        The version that was asked for.
    old
        The value that stood in the manifest.
    pull
        The pull request that proposes the change.
    tries
        How often a push was made.
    """

    result: Literal["changed", "same", "newer"]
    number: int
    old: str
    new: str
    path: str = ""
    commit: str | None = None
    pull: Pull | None = None
    tries: int = 0
    findings: tuple[Finding, ...] = field(default=())


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes
    ----------
    ask_version
        Asks the registry for the number of the version; asked again at each try.
    message
        The commit message for a version and a change.
    highest
        The highest version that the registry knows; None where what stands there is not to be checked.
    rollback
        Whether an older version than the one in the manifest is meant.
    """

    branch: str
    target: Target
    ask_version: Callable[[], int]
    message: Callable[[int, Edit], str]
    rollback: bool = False
    highest: Callable[[], int | None] = field(default=lambda: None)
    say: Callable[[str], None] = field(default=lambda _text: None)


def tip_of(remote: Remote, branch: str) -> str:
    """The newest commit of ``branch``.

    Raises
    ------
    InputError
        If there is no such branch.
    """
    tip = remote.fetch(branch)
    if tip is None:
        known = remote.branches()
        close = difflib.get_close_matches(branch, known, n=1)
        raise InputError(
            f"the manifests repository has no branch `{branch}`",
            where="branch",
            hint=f"did you mean `{close[0]}`?" if close else f"it has: {', '.join(known[:8]) or 'none'}",
            code="no-branch",
        )
    return tip


def _older(order: Order, old: str, number: int, first: str) -> bool:
    """Whether ``number`` would take the manifest back without anybody wanting that.

    A rollback means the version that stood there when the job looked first; what came after that stays.
    """
    deployed = order.target.number(old)
    return deployed is not None and deployed > number and not (order.rollback and old == first)


def wait(remote: Remote, tries: int, reason: str, say: Callable[[str], None]) -> None:
    """Wait before another try, or give up.

    Raises
    ------
    OutsideError
        When the time is over.
    """
    pause = random.uniform(0.1, 0.5) * min(tries, 6)  # noqa: S311 - no secret
    if tries >= _MAX_TRIES or remote.left < pause + 1:
        raise OutsideError(
            f"the branch moved on at each of {tries} tries ({reason})",
            where="manifests",
            hint="run the job again, or give a longer `timeout`",
            code="busy-branch",
        )
    say(f"the push was not taken; again from the newest commit ({reason})")
    time.sleep(pause)


def push(remote: Remote, order: Order) -> Deployment:
    """Set the version on the branch itself.

    Raises
    ------
    FlintError
        With what is wrong and what to do; the manifests are then as they were.
    """
    made: str | None = None
    first, tries = "", 0
    while True:
        tip = tip_of(remote, order.branch)
        number = order.ask_version()
        edit = plan(remote, tip, order.target, order.target.text(number), order.highest())
        first = first or edit.old
        if tip == made:
            return Deployment("changed", number, first, edit.new, edit.path, tip, tries=tries)
        if edit.old == edit.new:
            return Deployment("same", number, edit.old, edit.new, edit.path, tries=tries)
        if _older(order, edit.old, number, first):
            return Deployment("newer", number, edit.old, edit.new, edit.path, tries=tries)
        made = remote.commit(tip, edit.files, order.message(number, edit))
        tries += 1
        try:
            remote.push(made, order.branch)
        except PushLostError as lost:
            wait(remote, tries, str(lost), order.say)
            continue
        return Deployment("changed", number, edit.old, edit.new, edit.path, made, tries=tries, findings=edit.findings)


def head_branch(branch: str, target: Target, model: str) -> str:
    """The branch of the pull request: one for each value, so that a newer version takes the place of an older."""
    digest = hashlib.sha256(f"{branch}\0{target.file}\0{target.path}".encode()).hexdigest()[:8]
    return f"flint-ml/deploy-{slug(model)}-{digest}"


def propose(remote: Remote, order: Order, pulls: Pulls, model: str) -> Deployment:
    """Open a pull request that sets the version, or bring the open one up to date.

    Raises
    ------
    FlintError
        With what is wrong and what to do. A branch that is left without its pull request is used by the next run.
    """
    head = head_branch(order.branch, order.target, model)
    first, tries = "", 0
    while True:
        tip = tip_of(remote, order.branch)
        theirs = remote.fetch(head)
        number = order.ask_version()
        edit = plan(remote, tip, order.target, order.target.text(number), order.highest())
        first = first or edit.old
        if edit.old == edit.new:
            return Deployment("same", number, edit.old, edit.new, edit.path, tries=tries)
        pull = pulls.find(head, order.branch) if theirs else None
        proposed = _proposed(remote, theirs, order.target) if theirs and pull else None
        newest = max((edit.old, proposed or edit.old), key=lambda text: order.target.number(text) or 0)
        if _older(order, newest, number, first):
            return Deployment("newer", number, newest, edit.new, edit.path, pull=pull, tries=tries)
        message = order.message(number, edit)
        if theirs and pull and read_manifest(remote, theirs, edit.file) == edit.after:
            return Deployment("same", number, edit.old, edit.new, edit.path, pull=pull, tries=tries)
        made = remote.commit(tip, edit.files, message)
        tries += 1
        try:
            remote.push(made, head, theirs, replace=True)
        except PushLostError as lost:
            wait(remote, tries, str(lost), order.say)
            continue
        opened = pulls.put(pull, head, order.branch, message)
        return Deployment("changed", number, edit.old, edit.new, edit.path, made, opened, tries, edit.findings)


def _proposed(remote: Remote, commit: str, target: Target) -> str | None:
    """The value in the open pull request, None where its manifest has none there."""
    try:
        return current(remote, commit, target)
    except InputError:
        return None
