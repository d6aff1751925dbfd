"""What issues and pull requests that we open have in common: a hidden key, a body that fits, errors that help."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from flint_ml.errors import InputError
from flint_ml.github.client import ForbiddenError, NotFoundError

# GitHub takes 65,536 characters.
MAX_BODY = 65_000
MAX_TITLE = 250
CUT = "\n\n… cut here: the rest is in the job summary and in the artifact of the run."


def mark(key: str) -> str:
    """The hidden first line by which we find again what we opened for ``key``."""
    return f"<!-- flint-ml-key {hashlib.sha256(key.encode()).hexdigest()[:32]} -->"


def keyed(key: str, text: str) -> str:
    """``text`` below its mark, cut at a line end where it is longer than GitHub takes."""
    body = f"{mark(key)}\n{text.strip()}\n"
    if len(body) <= MAX_BODY:
        return body
    cut = body[: MAX_BODY - len(CUT)]
    return cut[: cut.rfind("\n")] + CUT


def one_line(title: str) -> str:
    """``title`` on one line, not longer than GitHub takes."""
    text = " ".join(title.split())
    return text if len(text) <= MAX_TITLE else f"{text[: MAX_TITLE - 1]}…"


def same_text(one: str | None, other: str) -> bool:
    """Whether GitHub would show the same: it stores Windows line ends for some clients."""
    return (one or "").replace("\r\n", "\n").rstrip() == other.replace("\r\n", "\n").rstrip()


@contextmanager
def explained(did: str, hint: str) -> Iterator[None]:
    """Turn "forbidden" and "not found" into what to allow.

    Raises
    ------
    InputError
        With ``hint``, in place of the client's error.
    """
    try:
        yield
    except (ForbiddenError, NotFoundError) as error:
        raise InputError(
            f"the token may not {did}: {error.message}", where="token", hint=hint, code=error.code
        ) from None
