"""What is wrong, or refused, in a project: one entry per fault, so that all can be shown at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from flint_ml.errors import InputError

Severity = Literal["error", "warning", "unsupported"]


@dataclass(frozen=True)
class Problem:
    """One fault of a project.

    ``severity``: ``error`` stops a run, ``warning`` does not, ``unsupported`` needs the C++ engine.
    ``code`` is a short stable name, ``where`` a file (``path:line``) or configuration key.
    """

    severity: Severity
    code: str
    message: str
    where: str
    hint: str = ""

    def __str__(self) -> str:
        advice = f". What to do: {self.hint.rstrip('.')}." if self.hint else ""
        return f"{self.where}: {self.message}{advice}"


# What Python raises where a file holds another type of value than it should, or lacks one.
MALFORMED = (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError, sqlite3.Error)


@contextmanager
def readable(what: str, where: str) -> Iterator[None]:
    """Say of a value of the wrong type, or of one that is missing, in which file it is: InputError ``gcbm-value``."""
    try:
        yield
    except MALFORMED as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"{what} cannot be read: a value has the wrong type or is missing ({reason[:200]})",
            where=where,
            hint="look there for text, null or a list where a number or an object is meant",
            code="gcbm-value",
        ) from error


FLINT_HINT = (
    "run it with the flint engine, which has every module of the C++: "
    "`uses: moja-global/flint-ml-actions/run-gcbm-flint@v1`"
)


def stop(problems: Sequence[Problem], headline: str, *, hint: str, code: str, where: str | None = None) -> None:
    """Raise one InputError that lists all problems; does nothing when there are none."""
    if not problems:
        return
    lines = [f"{headline} ({len(problems)}):", *(f"- {p.where}: {p.message}" for p in problems)]
    raise InputError("\n".join(lines), where=where, hint=hint, code=code)
