"""Workflow commands and files: annotations, groups, masks, outputs, state, step summary.

On a terminal the same calls print plain text. Limits of the runner are kept here: ten annotations of a type a
step, one MiB of summary.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TextIO

Level = Literal["notice", "warning", "error"]
MAX_ANNOTATIONS = 10
MAX_SUMMARY_BYTES = 1024 * 1024
_TRUNCATED = "\n\n_The rest did not fit into the job summary; the full text is in the results._\n"
# Shorter values would black out ordinary words of the log.
_MIN_SECRET = 4


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _harmless(line: str) -> str:
    """A line of foreign text that the runner must not take for a command."""
    bare = line.lstrip()
    return f"\u200b{line}" if bare.startswith(("::", "##[")) else line


class Commands:
    """Speak to the runner, or to a person at a terminal.

    Parameters
    ----------
    on_github
        Whether to write workflow commands.
    stdout, stderr
        Where to write; tests pass their own.
    env
        Where ``GITHUB_OUTPUT``, ``GITHUB_STATE`` and ``GITHUB_STEP_SUMMARY`` are named.
    """

    def __init__(
        self,
        *,
        on_github: bool,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.on_github = on_github
        self._out = stdout
        self._err = stderr
        self._env = os.environ if env is None else env
        self._secrets: list[str] = []
        self._annotations: Counter[str] = Counter()
        self._summary_bytes = 0

    @property
    def out(self) -> TextIO:
        return self._out or sys.stdout

    @property
    def err(self) -> TextIO:
        return self._err or sys.stderr

    def redact(self, text: str) -> str:
        """``text`` without any value that was masked."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def mask(self, secret: str | None) -> None:
        """Keep ``secret`` out of the log from now on."""
        for part in (secret or "").splitlines():
            value = part.strip()
            if len(value) < _MIN_SECRET or value in self._secrets:
                continue
            if self.on_github:
                print(f"::add-mask::{_data(value)}", file=self.out, flush=True)
            self._secrets.append(value)
        # Longest first, so that a secret inside another leaves nothing behind.
        self._secrets.sort(key=len, reverse=True)

    def say(self, text: str = "") -> None:
        """Print ``text`` for people; it is never taken for a workflow command."""
        lines = self.redact(text).splitlines() or [""]
        print(
            "\n".join(_harmless(line) if self.on_github else line for line in lines),
            file=self.out,
            flush=True,
        )

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Fold what is printed inside under ``title``."""
        title = self.redact(title)
        print(f"::group::{_data(title)}" if self.on_github else title, file=self.out, flush=True)
        try:
            yield
        finally:
            if self.on_github:
                print("::endgroup::", file=self.out, flush=True)

    def annotate(
        self, level: Level, message: str, *, title: str = "", file: str | None = None, line: int | None = None
    ) -> None:
        """Show ``message`` as an annotation of the run; errors and warnings also go to stderr."""
        message = self.redact(message)
        if level != "notice":
            print(f"{level}: {message}", file=self.err, flush=True)
        if not self.on_github:
            if level == "notice":
                self.say(message)
            return
        self._annotations[level] += 1
        count = self._annotations[level]
        if count > MAX_ANNOTATIONS:
            return
        if count == MAX_ANNOTATIONS:
            # The runner drops the rest silently, so the last one says that there is more.
            message += f" (further {level}s are in the log and the report)"
        pairs = {"title": self.redact(title), "file": file or "", "line": str(line or "")}
        properties = ",".join(f"{key}={_property(value)}" for key, value in pairs.items() if value)
        print(f"::{level}{' ' + properties if properties else ''}::{_data(message)}", file=self.out, flush=True)

    def _append(self, variable: str, text: str) -> bool:
        path = self._env.get(variable) if self.on_github else None
        if not path:
            return False
        with Path(path).open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        return True

    def _pair(self, variable: str, name: str, value: str) -> None:
        # A random delimiter: a value that holds it could otherwise define further outputs.
        delimiter = f"flint_{secrets.token_hex(16)}"
        self._append(variable, f"{name}<<{delimiter}\n{self.redact(value)}\n{delimiter}\n")

    def output(self, name: str, value: str) -> None:
        """Set the step's output ``name``."""
        self._pair("GITHUB_OUTPUT", name, value)

    def state(self, name: str, value: str) -> None:
        """Keep ``value`` for a later phase of the same action."""
        self._pair("GITHUB_STATE", name, value)

    def summary(self, markdown: str) -> None:
        """Add ``markdown`` to the job summary, cut at a line so that the whole stays under one MiB."""
        text = self.redact(markdown).rstrip("\n") + "\n\n"
        budget = MAX_SUMMARY_BYTES - 1024 - self._summary_bytes
        if len(text.encode()) > budget:
            keep = text.encode()[: max(0, budget - len(_TRUNCATED.encode()))].decode(errors="ignore")
            text = keep[: keep.rfind("\n") + 1] + _TRUNCATED
            if budget < len(_TRUNCATED.encode()):
                return
        if self._append("GITHUB_STEP_SUMMARY", text):
            self._summary_bytes += len(text.encode())
