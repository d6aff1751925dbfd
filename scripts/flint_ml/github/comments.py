"""What people and earlier reports said on a pull request: accepted exceptions, checks of the last report."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import quote

from flint_ml.github.client import ForbiddenError, GitHub, NotFoundError
from flint_ml.github.sticky import author_check, read_marker

# `/flint-ml accept-drift e4f5a6b "new region"` on a line of its own.
_COMMAND = re.compile(
    r'^/flint-ml accept-(?P<what>[a-z0-9][a-z0-9-]{0,39})(?:[ \t]+(?P<commit>[0-9a-f]{7,40}))?(?![^ \t\n"])[ \t]*'
    r'"?(?P<why>[^"\r\n]{0,300})"?[ \t]*$',
    re.MULTILINE,
)
_LABEL = re.compile(r"^flint-ml: ?accept-(?P<what>[a-z0-9][a-z0-9-]{0,39})$")
_MAY_WRITE = ("admin", "maintain", "write")
MAX_PEOPLE = 10
_MAX_BODY = 65_536


@dataclass(frozen=True)
class Accepted:
    """An exception that somebody with write access accepted: what, who, when (a date), why, for which commit."""

    what: str
    who: str
    when: str
    why: str
    commit: str = ""


@dataclass(frozen=True)
class Conversation:
    """What is known from the pull request.

    Attributes
    ----------
    accepted
        Exceptions, oldest first; of several for the same thing the last one.
    checks
        Labels of the checks in our last report.
    notes
        Acceptances that do not count, as sentences.
    """

    accepted: tuple[Accepted, ...] = ()
    checks: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = ()


def read(github: GitHub, pull: int, key: str, head: str | None = None) -> Conversation:
    """Read comments and labels of pull request ``pull``; ``key`` names our comment, ``head`` is the judged commit.

    Raises
    ------
    InputError, OutsideError
        If GitHub says no or is not to be had.
    """
    is_author = author_check(github)
    checks: tuple[str, ...] = ()
    said: list[Accepted] = []
    for comment in github.pages(f"{{repo}}/issues/{pull}/comments"):
        body, user = str(comment.get("body") or ""), comment.get("user") or {}
        marker = read_marker(body)
        if marker is not None:
            checks = marker.checks if marker.key == key and is_author(comment) else checks
        elif user.get("type", "User") == "User" and "/flint-ml" in body:
            when = str(comment.get("created_at") or "")[:10]
            said += [
                Accepted(m["what"], str(user.get("login")), when, m["why"].strip(), m["commit"] or "")
                for m in _COMMAND.finditer(_own_words(body))
            ]
    allowed = _allowed(github, [accepted.who for accepted in said])
    said = [accepted for accepted in said if accepted.who in allowed]
    last = {a.what: a for a in said if head and a.commit and head.startswith(a.commit)}
    notes = [_not_counted(a, head) for a in said if a.what not in last]
    return Conversation(tuple(last.values()), checks, tuple(dict.fromkeys([*notes, *_labels(github, pull, head)])))


def _own_words(body: str) -> str:
    """The lines that a comment says itself: paragraphs outside code, quotes, lists and HTML."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").parse(body[:_MAX_BODY])
    paragraphs = []
    for before, token in pairwise(tokens):
        # A paragraph with tags in it may hide what stands between them.
        plain = before.type == "paragraph_open" and before.level == 0
        if plain and all(child.type != "html_inline" for child in token.children or ()):
            words = {"text": None, "softbreak": "\n", "hardbreak": "\n"}
            texts = (words.get(child.type, "\x00") or child.content for child in token.children or ())
            paragraphs.append("".join(texts))
    return "\n\n".join(paragraphs)


def _not_counted(accepted: Accepted, head: str | None) -> str:
    command = f'`/flint-ml accept-{accepted.what} {(head or "COMMIT")[:7]} "why"`'
    if accepted.commit:
        return (
            f"{accepted.what} was accepted for commit {accepted.commit[:7]} and not for this one: {command} renews it"
        )
    return f"{accepted.who} accepts {accepted.what} without naming a commit, which does not count: write {command}"


def _labels(github: GitHub, pull: int, head: str | None) -> list[str]:
    """Labels such as `flint-ml: accept-drift`: they outlive the commit that they were meant for, so none counts."""
    labels = (github.get(f"{{repo}}/pulls/{pull}").get("labels")) or []
    matches = [match for label in labels if (match := _LABEL.match(str(label.get("name"))))]
    command = f'/flint-ml accept-WHAT {(head or "COMMIT")[:7]} "why"'
    return [f"the label `{match[0]}` names no commit, so it does not count: write `{command}`" for match in matches[:3]]


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
