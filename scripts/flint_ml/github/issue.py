"""One issue per key: opened once, kept up to date while the trouble lasts, closed when it is over.

GitHub cannot compare and swap, so races are settled afterwards: the issues are listed again and the oldest is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flint_ml.github.client import GitHub
from flint_ml.github.keyed import explained, keyed, mark, one_line, same_text
from flint_ml.github.sticky import author_check

_HINT = "give the job `permissions: issues: write`, and see that the repository's settings have issues switched on"


@dataclass(frozen=True)
class Issue:
    """An issue of ours and what became of it; ``none``: there was none to close."""

    how: Literal["opened", "updated", "unchanged", "closed", "none"]
    number: int | None = None
    url: str | None = None


def _ours(github: GitHub, key: str) -> list[dict[str, Any]]:
    """Open issues of ours for ``key``, oldest first."""
    is_author, first = author_check(github), mark(key)
    found = [
        issue
        for issue in github.pages("{repo}/issues", state="open")
        if "pull_request" not in issue and (issue.get("body") or "").startswith(first) and is_author(issue)
    ]
    return sorted(found, key=lambda issue: int(issue["number"]))


def put(github: GitHub, key: str, title: str, text: str, labels: Sequence[str] = ()) -> Issue:
    """Open the issue of ``key``, or bring title and text of the open one up to date.

    Labels are given when it is opened; what people change of them later stays.

    Raises
    ------
    InputError
        If the token may not, or the repository has no issues.
    OutsideError
        If GitHub is not to be had within the client's deadline.
    """
    title, body = one_line(title), keyed(key, text)
    with explained("open an issue", _HINT):
        found = _ours(github, key)
        if not found:
            wanted = {"title": title, "body": body, **({"labels": list(labels)} if labels else {})}
            # The answer may be lost, not the issue.
            made = github.post("{repo}/issues", wanted, before_retry=lambda: next(iter(_ours(github, key)), None))
            number = _settle(github, key, int(made["number"]))
            url = str(made["html_url"]).rpartition("/")[0] + f"/{number}"
            return Issue("opened", number, url)
        keep = found[0]
        number, url = int(keep["number"]), str(keep["html_url"])
        if same_text(keep.get("body"), body) and keep.get("title") == title:
            return Issue("unchanged", number, url)
        github.patch(f"{{repo}}/issues/{number}", {"title": title, "body": body})
        return Issue("updated", number, url)


def _settle(github: GitHub, key: str, made: int) -> int:
    """Of issues that two jobs opened at once the oldest stays; returns its number."""
    numbers = sorted({made, *(int(issue["number"]) for issue in _ours(github, key))})
    for number in numbers[1:]:
        github.patch(f"{{repo}}/issues/{number}", {"state": "closed", "state_reason": "not_planned"})
    return numbers[0]


def close(github: GitHub, key: str, text: str) -> Issue:
    """Close the open issue of ``key``, if there is one, with ``text`` as a last comment.

    Raises
    ------
    InputError, OutsideError
        As :func:`put`.
    """
    with explained("close an issue", _HINT):
        found = _ours(github, key)
        for issue in found:
            number = int(issue["number"])
            # Closed first: a comment that fails then leaves no issue open that is closed a second time.
            github.patch(f"{{repo}}/issues/{number}", {"state": "closed", "state_reason": "completed"})
            if text:
                github.post(f"{{repo}}/issues/{number}/comments", {"body": text})
        return Issue("closed", int(found[0]["number"]), str(found[0]["html_url"])) if found else Issue("none")
