"""What may be done beside the comment: the check run, the badge on the branch. Neither can fail the report."""

from __future__ import annotations

from collections.abc import Callable

from flint_ml.decision import Value
from flint_ml.errors import InputError, OutsideError
from flint_ml.github import Conversation, ForbiddenError, GitHub, branch
from flint_ml.github import comments as conversation
from flint_ml.record import slug
from flint_ml.report import badge
from flint_ml.report.model import Report

_CONCLUSIONS: dict[Value, str] = {"approve": "success", "review": "neutral", "request-changes": "failure"}
_MAX_SUMMARY = 65_000


def read_conversation(client: Callable[[], GitHub] | None, pull: int | None, key: str) -> tuple[Conversation, str]:
    """What people accepted and what the last report held, with a note where that could not be read."""
    if client is None or pull is None:
        return Conversation(), ""
    try:
        return conversation.read(client(), pull, key), ""
    except (InputError, OutsideError) as error:
        return Conversation(), f"earlier comments could not be read: {error}"


def check_run(client: Callable[[], GitHub] | None, report: Report, name: str, body: str) -> str:
    """Show the decision as a check run on the commit; returns a sentence for the log."""
    if client is None or not report.head_sha:
        return "no check run: there is no token or no commit"
    title = f"{report.word}: {report.reason}"[:250]
    content = {
        "name": name[:100] or "flint-ml",
        "head_sha": report.head_sha,
        "status": "completed",
        "conclusion": _CONCLUSIONS[report.decision.value],
        "output": {"title": title, "summary": body[:_MAX_SUMMARY]},
    }
    try:
        client().post("{repo}/check-runs", content)
    except ForbiddenError:
        return "no check run: give the job `permissions: checks: write`"
    except (InputError, OutsideError) as error:
        return f"no check run: {error}"
    return f"check run {content['conclusion']} on {report.head_sha[:7]}"


def publish_badge(client: Callable[[], GitHub] | None, key: str, value: Value, server_url: str) -> str:
    """Put the badge on the figures' branch; returns a sentence for the log."""
    if client is None:
        return "the badge is in the results only: there is no token"
    path = f"badges/{slug(key)}.svg"
    try:
        github = client()
        branch.put(github, {path: badge.svg(key, value).encode()})
    except ForbiddenError:
        return "the badge is in the results only; with `permissions: contents: write` it would be on a branch"
    except (InputError, OutsideError) as error:
        return f"the badge is in the results only: {error}"
    return f"badge: {branch.address(server_url, github.repository, path)}"
