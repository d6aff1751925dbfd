"""Start ``moja.cli``, follow its stderr line by line, and end it with everything it started."""

from __future__ import annotations

import os
import queue
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from flint_ml.errors import OutsideError

_GRACE = 10.0


@dataclass(frozen=True)
class Finished:
    """How a process ended.

    ``code``: exit code as a shell shows it (128 + signal). ``stopped``: why it was ended by us, if so.
    ``peak_mb``: largest memory of any process that this one started.
    """

    code: int
    seconds: float
    stopped: Literal["timeout", "quiet"] | None
    peak_mb: float


def follow(
    command: Sequence[str],
    *,
    folder: Path,
    env: Mapping[str, str],
    log: Path,
    on_line: Callable[[str], None],
    timeout: float | None,
    quiet: float | None,
) -> Finished:
    """Run a command in ``folder``; every line of stderr goes to ``log`` and ``on_line``.

    Parameters
    ----------
    timeout, quiet
        Seconds after which it is stopped: in all, and without a line in the log. None: never.

    Raises
    ------
    OutsideError
        It cannot be started.
    """
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as sink, log.with_suffix(".stdout").open("wb") as out:
        try:
            process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise OutsideError(
                f"{command[0]} cannot be started: {error.strerror or error}",
                where="moja-cli",
                hint="it must be built for this system; `file` and `ldd` on it tell what is missing",
                code="gcbm-flint-start",
            ) from None
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        assert process.stderr is not None
        reader = threading.Thread(target=_pump, args=(process.stderr, lines), daemon=True)
        reader.start()
        try:
            stopped = _watch(process, lines, sink, on_line, timeout=timeout, quiet=quiet)
            code = process.wait()
        finally:
            _end(process)
            process.stderr.close()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return Finished(128 - code if code < 0 else code, time.monotonic() - began, stopped, peak)


def _pump(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    with suppress(ValueError, OSError):  # closed under us when the process is ended
        for line in stream:
            lines.put(line)
    lines.put(None)


def _watch(
    process: subprocess.Popen[str],
    lines: queue.SimpleQueue[str | None],
    sink: IO[str],
    on_line: Callable[[str], None],
    *,
    timeout: float | None,
    quiet: float | None,
) -> Literal["timeout", "quiet"] | None:
    end = None if timeout is None else time.monotonic() + timeout
    silent = None if quiet is None else time.monotonic() + quiet
    while True:
        limits = [limit for limit in (end, silent) if limit is not None]
        wait = max(0.0, min(limits) - time.monotonic()) if limits else None
        try:
            line = lines.get(timeout=wait)
        except queue.Empty:
            _end(process)
            return "timeout" if end is not None and time.monotonic() >= end else "quiet"
        if line is None:
            return None
        sink.write(line)
        on_line(line)
        if quiet is not None:
            silent = time.monotonic() + quiet


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and its children: asked first, then killed."""
    for kind, wait in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, None)):
        if process.poll() is not None:
            break
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, kind)
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # what it started and left behind
