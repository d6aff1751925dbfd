"""Errors that a user can act on: what is wrong, where, and what to do.

Everything else that escapes is a defect of this package and is shown as one.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells the workflow (docs/architecture.md, "Exit codes")."""

    OK = 0
    GATE_CLOSED = 1
    INPUT = 2
    OUTSIDE = 3


class FlintError(Exception):
    """Base of the errors made for users.

    Parameters
    ----------
    message
        What is wrong, as one sentence.
    where
        File, input or address it is about; ``path:line`` is understood.
    hint
        What to do next, as one sentence.
    code
        A short stable name, for tests and for the record's findings.
    """

    exit_code = ExitCode.INPUT

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None, code: str = "error") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        text = f"{place}{self.message}"
        if not self.hint:
            return text
        return f"{text if text.endswith(('.', '!', '?')) else text + '.'} What to do: {self.hint}."


class InputError(FlintError):
    """The user's input or configuration is wrong (exit code 2)."""

    exit_code = ExitCode.INPUT


class OutsideError(FlintError):
    """Something outside failed after retries: remote, API, registry, simulator (exit code 3)."""

    exit_code = ExitCode.OUTSIDE
