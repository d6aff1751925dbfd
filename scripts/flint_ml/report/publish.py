"""Post the report where it can be posted; what prevents it is told, not raised: the report exists anyway."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flint_ml.errors import FlintError, InputError, OutsideError
from flint_ml.github import ForbiddenError, GitHub, Marker, Posted, sticky
from flint_ml.report import cml

_NOT_WRITTEN = {
    "newer": "A newer run has already reported, so this report was not posted.",
    "stale": "The pull request has a newer commit, so this report was not posted.",
}


@dataclass(frozen=True)
class Letter:
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
class Sent:
    """What became of the comment: the comment, or a note why there is none, or what went wrong."""

    comment: Posted | None = None
    note: str = ""
    error: FlintError | None = None
    read_only: bool = False


def send(letter: Letter, client: Callable[[], GitHub] | None) -> Sent:
    """Post ``letter``.

    Parameters
    ----------
    letter
        What and where.
    client
        Makes the client; None where there is no token.
    """
    if letter.publisher == "none":
        return Sent()
    try:
        if letter.publisher == "cml":
            cml.find_cml(letter.env.get("PATH"))
        if client is None or letter.pull is None:
            missing = "no token" if client is None else "no pull request"
            if client is not None and letter.note:
                return Sent(note=f"{letter.note} Nothing was posted.")
            return Sent(note=f"There is {missing}, so nothing was posted; the report is in {letter.file.name}.")
        return _posted(letter, client(), letter.pull)
    except ForbiddenError as error:
        reason = "as is usual for a pull request from a fork" if letter.from_fork else str(error)
        return Sent(note=f"The token may not write comments, so nothing was posted ({reason}).", read_only=True)
    except (InputError, OutsideError) as error:
        return Sent(error=error)


def _posted(letter: Letter, github: GitHub, pull: int) -> Sent:
    def is_current() -> bool:
        head = github.get(f"{{repo}}/pulls/{pull}")["head"]["sha"] if letter.watched else letter.marker.head
        return bool(head == letter.marker.head)

    if letter.publisher == "cml":
        done = cml.post(github, pull, letter.marker.key, letter.file, server_url=letter.server_url, env=letter.env)
    else:
        done = sticky.post(github, pull, letter.marker, letter.body, is_current)
    note = _NOT_WRITTEN.get(done.how, "")
    return Sent(note=note) if note else Sent(comment=done)
