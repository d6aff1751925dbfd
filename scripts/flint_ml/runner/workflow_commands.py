"""Workflow commands and files: annotations, groups, masks, outputs, state, step summary.

On a terminal the same calls print plain text. Limits of the runner are kept here: ten annotations of a type a
step, one MiB of summary.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TextIO

from flint_ml.text.sanitize import sanitize, visible
from flint_ml.text.secrets import redact

Level = Literal["notice", "warning", "error"]
MAX_ANNOTATIONS = 10
MAX_SUMMARY_BYTES = 1024 * 1024
_TRUNCATED = "\n\n_The rest did not fit into the job summary; the full text is in the results._\n"
# The runner would black out shorter values inside ordinary words of the log.
_MIN_MASK = 4
_MIN_SECRET = 3


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


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
        self._masked: set[str] = set()
        self._told: set[str] = set()
        self._annotations: Counter[str] = Counter()
        self._summary_bytes = 0
        # Whether an output did not reach the runner, so that later steps would go on without it.
        self.lost = False

    @property
    def out(self) -> TextIO:
        return self._out or sys.stdout

    @property
    def err(self) -> TextIO:
        return self._err or sys.stderr

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is kept out of everything that leaves, longest first."""
        return tuple(self._secrets)

    def redact(self, text: str) -> str:
        """``text`` without any value that was masked."""
        return redact(text, self._secrets)

    def hide(self, values: Iterable[str]) -> None:
        """Keep ``values`` out of all that leaves from now on, without a word to the runner."""
        self._secrets = sorted({*self._secrets, *(v for v in values if len(v) >= _MIN_SECRET)}, key=len, reverse=True)

    def _clean(self, text: str) -> str:
        """Foreign text on its way out; at a terminal nobody reads commands out of it."""
        text = self.redact(text)
        return sanitize(text) if self.on_github else visible(text)

    def _print(self, text: str, stream: TextIO) -> None:
        """Print, whatever the stream can take: a result is not lost to a letter or to a full disk."""
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            encoding = getattr(stream, "encoding", None) or "ascii"
            print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)
        except BrokenPipeError:
            raise
        except OSError:
            return

    def mask(self, secret: str | None) -> None:
        """Keep ``secret`` out of the log from now on."""
        for part in (secret or "").splitlines():
            value = part.strip()
            if self.on_github and len(value) >= _MIN_MASK and value not in self._masked:
                self._print(f"::add-mask::{_data(value)}", self.out)
                self._masked.add(value)
            # Longest first, so that a secret inside another leaves nothing behind.
            self.hide([value])

    def say(self, text: str = "") -> None:
        """Print ``text`` for people; it is never taken for a workflow command."""
        self._print(self._clean(text).removesuffix("\n"), self.out)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Fold what is printed inside under ``title``."""
        title = self._clean(title)
        self._print(f"::group::{_data(title)}" if self.on_github else title, self.out)
        try:
            yield
        finally:
            if self.on_github:
                self._print("::endgroup::", self.out)

    def annotate(
        self, level: Level, message: str, *, title: str = "", file: str | None = None, line: int | None = None
    ) -> None:
        """Show ``message`` as an annotation of the run; errors and warnings also go to stderr."""
        message = self._clean(message)
        if level != "notice":
            self._print(f"{level}: {message}", self.err)
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
        pairs = {"title": self._clean(title), "file": self._clean(file or ""), "line": str(line or "")}
        properties = ",".join(f"{key}={_property(value)}" for key, value in pairs.items() if value)
        self._print(f"::{level}{' ' + properties if properties else ''}::{_data(message)}", self.out)

    def _append(self, variable: str, text: str) -> bool:
        path = self._env.get(variable) if self.on_github else None
        if not path:
            return False
        try:
            with Path(path).open("a", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
        except OSError as error:
            if variable not in self._told:
                self._told.add(variable)
                self._print(f"warning: {variable} cannot be written: {self._clean(str(error))}", self.err)
            self.lost |= variable == "GITHUB_OUTPUT"
            return False
        return True

    def _pair(self, variable: str, name: str, value: str) -> None:
        # A random delimiter: a value that holds it could otherwise define further outputs.
        delimiter = f"flint_{secrets.token_hex(16)}"
        self._append(variable, f"{name}<<{delimiter}\n{visible(self.redact(value))}\n{delimiter}\n")

    def output(self, name: str, value: str) -> None:
        """Set the step's output ``name``."""
        self._pair("GITHUB_OUTPUT", name, value)

    def state(self, name: str, value: str) -> None:
        """Keep ``value`` for a later phase of the same action."""
        self._pair("GITHUB_STATE", name, value)

    def summary(self, markdown: str) -> None:
        """Add ``markdown`` to the job summary, cut at a line so that the whole stays under one MiB."""
        text = sanitize(self.redact(markdown)).rstrip("\n") + "\n\n"
        budget = MAX_SUMMARY_BYTES - 1024 - self._summary_bytes
        if len(text.encode()) > budget:
            keep = text.encode()[: max(0, budget - len(_TRUNCATED.encode()))].decode(errors="ignore")
            text = keep[: keep.rfind("\n") + 1] + _TRUNCATED
            if budget < len(_TRUNCATED.encode()):
                return
        if self._append("GITHUB_STEP_SUMMARY", text):
            self._summary_bytes += len(text.encode())
