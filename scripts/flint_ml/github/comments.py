"""What people and earlier reports said on a pull request: accepted exceptions, checks of the last report."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from flint_ml.github.client import ForbiddenError, GitHub, NotFoundError
from flint_ml.github.sticky import author_check, read_marker

# `/flint-ml accept-drift "new region"` on a line of its own.
_COMMAND = re.compile(
    r'^/flint-ml accept-(?P<what>[a-z0-9][a-z0-9-]{0,39})[ \t]*"?(?P<why>[^"\r\n]{0,300})"?[ \t]*\r?$', re.MULTILINE
)
_LABEL = re.compile(r"^flint-ml: ?accept-(?P<what>[a-z0-9][a-z0-9-]{0,39})$")
_MAY_WRITE = ("admin", "maintain", "write")
MAX_PEOPLE = 10


@dataclass(frozen=True)
class Accepted:
    """An exception that somebody with write access accepted: what, who, when (a date), why."""

    what: str
    who: str
    when: str
    why: str


@dataclass(frozen=True)
class Conversation:
    """What is known from the pull request.

    Attributes
    ----------
    accepted
        Exceptions, oldest first; of several for the same thing the last one.
    checks
        Labels of the checks in our last report.
    """

    accepted: tuple[Accepted, ...] = ()
    checks: tuple[str, ...] = field(default=())


def read(github: GitHub, pull: int, key: str) -> Conversation:
    """Read comments and labels of pull request ``pull``; ``key`` names our comment.

    Raises
    ------
    InputError, OutsideError
        If GitHub says no or is not to be had.
    """
    is_author = author_check(github)
    checks: tuple[str, ...] = ()
    found: list[Accepted] = []
    for comment in github.pages(f"{{repo}}/issues/{pull}/comments"):
        body, user = comment.get("body") or "", comment.get("user") or {}
        marker = read_marker(body)
        if marker is not None:
            checks = marker.checks if marker.key == key and is_author(comment) else checks
        elif user.get("type") == "User":
            when = str(comment.get("created_at") or "")[:10]
            found += [Accepted(m["what"], str(user["login"]), when, m["why"].strip()) for m in _COMMAND.finditer(body)]
    found += _labels(github, pull)
    allowed = _allowed(github, [one.who for one in found])
    last = {one.what: one for one in found if one.who in allowed}
    return Conversation(tuple(last.values()), checks)


def _labels(github: GitHub, pull: int) -> list[Accepted]:
    """Labels such as `flint-ml: accept-drift` that are there now, with who put them there."""
    labels = (github.get(f"{{repo}}/pulls/{pull}").get("labels")) or []
    present = {str(label.get("name")) for label in labels if _LABEL.match(str(label.get("name")))}
    if not present:
        return []
    events: dict[str, dict[str, Any]] = {}
    for event in github.pages(f"{{repo}}/issues/{pull}/events"):
        name = str((event.get("label") or {}).get("name"))
        if event.get("event") == "labeled" and name in present:
            events[name] = event
    return [
        Accepted(match["what"], str((event.get("actor") or {}).get("login")), str(event["created_at"])[:10], "by label")
        for name, event in events.items()
        if (match := _LABEL.match(name))
    ]


def _allowed(github: GitHub, people: list[str]) -> set[str]:
    """Those who may write to the repository."""
    allowed: set[str] = set()
    for login in list(dict.fromkeys(people))[-MAX_PEOPLE:]:
        try:
            level = github.get(f"{{repo}}/collaborators/{quote(login, safe='')}/permission")["permission"]
        except (ForbiddenError, NotFoundError):
            continue
        if level in _MAY_WRITE:
            allowed.add(login)
    return allowed
