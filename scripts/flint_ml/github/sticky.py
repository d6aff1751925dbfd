"""One comment per key on a pull request: found by marker and author, updated in place, never doubled.

GitHub cannot compare and swap, so races are settled afterwards: after writing, the comments are listed again and
one is kept, that of the newest run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from flint_ml.github.client import GitHub, NotFoundError

_MARKER = re.compile(r"\A<!-- flint-ml-report (\{.*?\}) -->", re.DOTALL)
# Runs of one workflow that may be between two reports of one pull request: a larger number was not made by GitHub.
_MAX_AHEAD = 10_000
_TRIES = 3


@dataclass(frozen=True)
class Marker:
    """What the hidden first line of a comment says: whose report it is and how new.

    Attributes
    ----------
    key
        Names the report; one comment each.
    run_number, run_attempt
        Which run made it; runs of a workflow are numbered in order.
    head
        The commit that it is about.
    checks
        Labels of its checks, so that the next report can say which have gone.
    """

    key: str
    run_number: int = 0
    run_attempt: int = 1
    head: str = ""
    checks: tuple[str, ...] = ()

    @property
    def age(self) -> tuple[int, int]:
        """Sorts reports by run."""
        return (self.run_number, self.run_attempt)

    def __str__(self) -> str:
        text = json.dumps(asdict(self), ensure_ascii=True, separators=(",", ":"))
        # Nothing in it may end the HTML comment.
        text = text.replace("-", "\\u002d").replace("<", "\\u003c").replace(">", "\\u003e")
        return f"<!-- flint-ml-report {text} -->"


def read_marker(body: str) -> Marker | None:
    """The marker at the start of a comment, or None."""
    match = _MARKER.match(body)
    if match is None:
        return None
    try:
        data = json.loads(match[1])
        checks = tuple(str(label) for label in data.get("checks") or ())
        return Marker(str(data["key"]), int(data["run_number"]), int(data["run_attempt"]), str(data["head"]), checks)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


@dataclass(frozen=True)
class Posted:
    """What became of the comment: ``created``, ``updated``, ``unchanged``; ``newer`` (a newer run was first) and
    ``stale`` (the pull request has a newer commit): nothing was written."""

    how: str
    comment_id: int | None = None
    url: str | None = None


@dataclass(frozen=True)
class _Mine:
    """A comment of ours."""

    number: int
    url: str
    body: str
    marker: Marker


def author_check(github: GitHub) -> Callable[[dict[str, Any]], bool]:
    """Whether a comment is ours: written under a name of this token. What another bot writes is not."""
    logins = github.logins

    def check(comment: dict[str, Any]) -> bool:
        return str((comment.get("user") or {}).get("login")) in logins

    return check


def _mine(github: GitHub, pull: int, key: str, is_author: Callable[[dict[str, Any]], bool]) -> list[_Mine]:
    """Our comments for ``key``, on all pages, oldest first."""
    found: list[_Mine] = []
    for comment in github.pages(f"{{repo}}/issues/{pull}/comments"):
        marker = read_marker(comment.get("body") or "")
        if marker is not None and marker.key == key and is_author(comment):
            found.append(_Mine(comment["id"], comment["html_url"], comment["body"], marker))
    return sorted(found, key=lambda one: one.number)


def _same(one: str, other: str) -> bool:
    return one.replace("\r\n", "\n").rstrip() == other.replace("\r\n", "\n").rstrip()


def post(github: GitHub, pull: int, marker: Marker, text: str, is_current: Callable[[], bool] = lambda: True) -> Posted:
    """Create or update the comment ``marker.key`` of pull request ``pull``.

    Parameters
    ----------
    github
        The client.
    pull
        Number of the pull request.
    marker
        Whose report this is and of which run; a newer run's comment is left alone.
    text
        Markdown; the marker is put before it.
    is_current
        Asked right before anything is written: whether the report is still about the pull request's head. An older
        run that passed its last look at the comment must not write over what a newer one has written since.

    Raises
    ------
    WrongTokenError, ForbiddenError, NotFoundError, RefusedError
        If GitHub says no.
    OutsideError
        If GitHub is not to be had within the client's deadline.
    """
    body = f"{marker}\n{text}"
    is_author = author_check(github)
    how, created = "unchanged", None
    for _ in range(_TRIES):
        found = _mine(github, pull, marker.key, is_author)
        if created is not None and not any(one.number == created for one in found):
            # The list may lag behind; what was made must not be made again.
            found += _known(github, created)
        if not found and not is_current():
            return Posted("stale")
        if not found:
            created = _create(github, pull, body, marker, is_author)
            how = "created"
            continue
        keep = _settle(github, found)
        if _newer(keep.marker, marker):
            return Posted("newer", keep.number, keep.url)
        if _same(keep.body, body):
            return Posted(how, keep.number, keep.url)
        try:
            if not _update(github, keep, body, marker, is_current):
                return Posted("stale", keep.number, keep.url)
        except NotFoundError:
            # Deleted by hand or by another run meanwhile: look again.
            continue
        how = how if how == "created" else "updated"
    return _left(github, pull, marker, body, how)


def _left(github: GitHub, pull: int, marker: Marker, body: str, how: str) -> Posted:
    """What is there after the last try."""
    found = _mine(github, pull, marker.key, author_check(github))
    if not found:
        where = f"pull request {pull}"
        raise NotFoundError("the comment vanishes as soon as it is made", where=where, code="not-found")
    keep = _settle(github, found)
    if not _same(keep.body, body) and not _newer(keep.marker, marker):
        where, hint = f"comment {keep.number}", "run the job again; if it stays so, delete the comment"
        raise NotFoundError("the comment is there and cannot be changed", where=where, hint=hint, code="not-found")
    return Posted(how if _same(keep.body, body) else "newer", keep.number, keep.url)


def _newer(there: Marker, mine: Marker) -> bool:
    """Whether ``there`` is of a newer run. A person at a terminal has no run number and means it."""
    plausible = there.run_number <= mine.run_number + _MAX_AHEAD
    return bool(mine.run_number) and plausible and there.age > mine.age


def _known(github: GitHub, number: int) -> list[_Mine]:
    """The comment ``number``, if it is still there."""
    try:
        comment = github.get(f"{{repo}}/issues/comments/{number}")
    except NotFoundError:
        return []
    marker = read_marker(comment.get("body") or "")
    return [_Mine(comment["id"], comment["html_url"], comment["body"], marker)] if marker else []


def _create(github: GitHub, pull: int, body: str, marker: Marker, is_author: Callable[[dict[str, Any]], bool]) -> int:
    def known() -> dict[str, Any] | None:
        # The answer was lost, not necessarily the comment.
        there = [one for one in _mine(github, pull, marker.key, is_author) if _same(one.body, body)]
        return {"id": there[0].number} if there else None

    return int(github.post(f"{{repo}}/issues/{pull}/comments", {"body": body}, before_retry=known)["id"])


def _update(github: GitHub, keep: _Mine, body: str, marker: Marker, is_current: Callable[[], bool]) -> bool:
    """Replace the comment's text, unless a newer run did so since it was listed. False: we are the old ones."""
    path = f"{{repo}}/issues/comments/{keep.number}"
    now = read_marker(github.get(path).get("body") or "")
    if now is not None and now.key == marker.key and _newer(now, marker):
        return True
    if not is_current():
        return False
    github.patch(path, {"body": body})
    return True


def _settle(github: GitHub, found: list[_Mine]) -> _Mine:
    """Keep one of several: the newest run's, the oldest comment of that; delete the others."""
    keep = min(found, key=lambda one: (*(-part for part in one.marker.age), one.number))
    for other in found:
        if other is not keep:
            github.delete(f"{{repo}}/issues/comments/{other.number}")
    return keep
