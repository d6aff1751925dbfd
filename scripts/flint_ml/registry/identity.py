"""The key that makes registration idempotent, and the owner that tells a dead attempt from a living one."""

from __future__ import annotations

import hashlib
import os
import socket
import time

KEY = "flint_ml.key"
OWNER = "flint_ml.owner"
# A training logs the hash of the model that it wrote under this tag of its run, and is found by it.
MODEL_SHA256 = "flint_ml.model_sha256"
_JOB_LIMIT_SECONDS = 6 * 3600


def key(name: str, commit: str | None, fingerprint: str | None, content: str) -> str:
    """Hash of registered name, commit, data fingerprint and content: same key, same version."""
    text = "\0".join(["flint-ml/key/1", name, commit or "", fingerprint or "", content])
    return hashlib.sha256(text.encode()).hexdigest()


def owner(run_id: str | None, run_attempt: int) -> str:
    """Who registers: workflow run and attempt, machine, process."""
    return f"{run_id or '-'}/{run_attempt}/{socket.gethostname()}/{os.getpid()}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def dead(theirs: str, mine: str, started_ms: int, now: float | None = None) -> bool:
    """Whether the process that wrote ``theirs`` cannot be at work any more.

    True for an earlier attempt of the same workflow run, for a process of this machine that has ended, and for
    anything older than the longest job of a hosted runner (6 h). In doubt it is taken to be alive.
    """
    try:
        run, attempt, host, pid = theirs.split("/")
        my_run, my_attempt, my_host, _ = mine.split("/")
        if run != "-" and run == my_run and int(attempt) < int(my_attempt):
            return True
        if host == my_host and not _alive(int(pid)):
            return True
    except ValueError:
        pass
    return (time.time() if now is None else now) - started_ms / 1000 > _JOB_LIMIT_SECONDS
