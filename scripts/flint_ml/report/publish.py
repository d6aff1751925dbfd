"""Bring the report to where people look: the comment, its figures, the check run, the badge on the branch.

What prevents one of them is told, not raised: the report exists anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flint_ml.decision import Value
from flint_ml.errors import FlintError, InputError, OutsideError
from flint_ml.github import Conversation, ForbiddenError, GitHub, Marker, Posted, branch, expected_shape, sticky
from flint_ml.github import comments as conversation
from flint_ml.record import Figure, slug
from flint_ml.report import cml, figures
from flint_ml.report.figures import Draw, Load
from flint_ml.report.html import svg
from flint_ml.report.model import Report

MAX_FIGURES = 20
# Makes the client; None where nothing may be written or read: no token, or a pull request from a fork.
Client = Callable[[], GitHub] | None
_NOT_WRITTEN = {
    "newer": "A newer run has already reported, so this report was not posted.",
    "stale": "The pull request has a newer commit, so this report was not posted.",
}
_CONCLUSIONS: dict[Value, str] = {"approve": "success", "review": "neutral", "request-changes": "failure"}
_MAX_SUMMARY = 65_000
_ELSEWHERE = "in the results of the run"


@dataclass(frozen=True)
class Comment:
    """What is posted, and where.

    Attributes
    ----------
    pull
        Number of the pull request, if there is one.
    marker
        Key, run and commit of the report.
    watched
        Whether a newer head of the pull request makes the report stale.
    from_fork
        A read-only token is then what is expected.
    note
        Why there is no pull request, where that is known.
    """

    publisher: str
    pull: int | None
    marker: Marker
    body: str
    file: Path
    watched: bool = False
    from_fork: bool = False
    server_url: str = "https://github.com"
    note: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Delivery:
    """What became of the comment: the comment, or a note why there is none, or what went wrong."""

    comment: Posted | None = None
    note: str = ""
    error: FlintError | None = None
    read_only: bool = False


def send(comment: Comment, client: Client) -> Delivery:
    """Post ``comment``, or say why it was not posted."""
    if comment.publisher == "none":
        return Delivery()
    try:
        if comment.publisher == "cml":
            cml.find_cml(comment.env.get("PATH"))
        if client is None or comment.pull is None:
            missing = "no token" if client is None else "no pull request"
            if client is not None and comment.note:
                return Delivery(note=f"{comment.note} Nothing was posted.")
            return Delivery(note=f"There is {missing}, so nothing was posted; the report is in {comment.file.name}.")
        with expected_shape(f"pull request {comment.pull}"):
            return _posted(comment, client(), comment.pull)
    except ForbiddenError as error:
        reason = "as is usual for a pull request from a fork" if comment.from_fork else str(error)
        return Delivery(note=f"The token may not write comments, so nothing was posted ({reason}).", read_only=True)
    except (InputError, OutsideError) as error:
        return Delivery(error=error)


def _posted(comment: Comment, github: GitHub, pull: int) -> Delivery:
    def is_current() -> bool:
        head = github.get(f"{{repo}}/pulls/{pull}")["head"]["sha"] if comment.watched else comment.marker.head
        return bool(head == comment.marker.head)

    if comment.publisher == "cml":
        key, file, env = comment.marker.key, comment.file, comment.env
        done = cml.post(github, pull, key, file, server_url=comment.server_url, env=env)
    else:
        done = sticky.post(github, pull, comment.marker, comment.body, is_current)
    note = _NOT_WRITTEN.get(done.how, "")
    return Delivery(note=note) if note else Delivery(comment=done)


def read_conversation(client: Client, pull: int | None, key: str, head: str | None) -> tuple[Conversation, str]:
    """What people accepted and what the last report held, with a note where that could not be read."""
    if client is None or pull is None:
        return Conversation(), ""
    try:
        with expected_shape(f"pull request {pull}"):
            return conversation.read(client(), pull, key, head), ""
    except (InputError, OutsideError) as error:
        return Conversation(), f"earlier comments could not be read: {error}"


def check_run(client: Client, report: Report, name: str, body: str) -> str:
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
        with expected_shape("check-runs"):
            client().post("{repo}/check-runs", content)
    except ForbiddenError:
        return "no check run: give the job `permissions: checks: write`"
    except (InputError, OutsideError) as error:
        return f"no check run: {error}"
    return f"check run {content['conclusion']} on {report.head_sha[:7]}"


def publish_badge(client: Client, key: str, value: Value, server_url: str) -> str:
    """Put the badge on the figures' branch; returns a sentence for the log."""
    if client is None:
        return "the badge is in the results only: there is no token"
    path = f"badges/{slug(key)}.svg"
    try:
        github = client()
        with expected_shape(branch.BRANCH):
            branch.put(github, {path: svg(key, value).encode()})
    except ForbiddenError:
        return "the badge is in the results only; with `permissions: contents: write` it would be on a branch"
    except (InputError, OutsideError) as error:
        return f"the badge is in the results only: {error}"
    return f"badge: {branch.address(server_url, github.repository, path)}"


def own_images(paths: Sequence[Path], name: str) -> dict[str, tuple[Figure, Path]]:
    """The user's own pictures as figures, by the path that the record will give; ``name`` is its folder.

    Raises
    ------
    InputError
        If a file is not a PNG, or larger than a comment can take.
    """
    images: dict[str, tuple[Figure, Path]] = {}
    for number, path in enumerate(paths, start=1):
        if figures.read_png(path) is None:
            raise InputError(
                f"is not a PNG of at most {figures.MAX_PICTURE // 2**20} MB",
                where=str(path.name),
                hint="save the picture as PNG, and smaller",
                code="invalid-image",
            )
        title = path.stem.replace("_", " ").replace("-", " ")
        key = f"{name}/{number}-{slug(path.name)}"
        images[key] = (Figure(title=title, alt=title, path=key), path)
    return images


def choose_drawing(mode: str, shown: Iterable[Figure], load: Load, client: Client, server_url: str) -> tuple[Draw, str]:
    """How to draw figures (pictures on a branch where the token may write, else diagrams), and why, for the log.

    Parameters
    ----------
    mode
        ``auto`` and ``branch`` try the branch first; ``mermaid`` draws from the data; ``none`` leaves figures out.
    shown
        The figures of the report.
    load
        Gives a picture's bytes.
    client
        Makes the client; None where nothing may be written.
    """
    if mode == "none":
        return figures.none, "figures are left out"
    drawn = figures.drawn(_ELSEWHERE)
    if mode == "mermaid":
        return drawn, "figures are drawn from their data"
    unique = list({figure.path: figure for figure in shown}.values())[:MAX_FIGURES]
    data = {figure.path: picture for figure in unique if (picture := load(figure.path)) is not None}
    if not data:
        return drawn, "there are no pictures"
    if client is None:
        return drawn, "figures are drawn from their data, because there is no token that may write here"
    names = {path: branch.hashed_name(picture) for path, picture in data.items()}
    try:
        github = client()
        with expected_shape(branch.BRANCH):
            branch.put(github, {names[path]: picture for path, picture in data.items()})
    except ForbiddenError:
        return drawn, "figures are drawn from their data; with `permissions: contents: write` they would be pictures"
    except (InputError, OutsideError) as error:
        return drawn, f"figures are drawn from their data, because the branch could not be written: {error}"
    urls = {path: branch.address(server_url, github.repository, name) for path, name in names.items()}
    return figures.linked(urls, drawn), f"figures are pictures on the branch {branch.BRANCH}"
