"""Secrets of our own process, and who may read them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECRETS = {
    "INPUT_TOKEN": "canary-token-1",
    "AWS_SECRET_ACCESS_KEY": "canary-key-2",
    "DATABASE_URL": "postgres://me:canary-pass-3@db/x",
    "ANY_ADDRESS": "https://me:canary-pass-4@host/x",
}
LOOK = "tr '\\0' '\\n' < /proc/$PPID/environ"
linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems show no variables of other processes")


@linux
def test_what_the_command_reads_of_us_holds_no_secret(tmp_path: Path) -> None:
    """The command may look at the process that started it; the job's own variables are its own to read."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "INPUT_"))}
    arguments = ["record", "--name", "x", "--command", f"{LOOK}; env | grep -c canary; env | grep INPUT_ || true"]
    done = subprocess.run(
        [sys.executable, "-m", "flint_ml", *arguments],
        cwd=tmp_path,
        env={**env, **SECRETS, "PLAIN": "shown"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "PLAIN=shown" in done.stdout
    assert "canary-" not in done.stdout
    assert "\n3\n" in done.stdout, "the command has its own variables, without the inputs of actions"


@linux
def test_the_container_starts_with_nothing_to_read(tmp_path: Path) -> None:
    entrypoint = Path(__file__).parents[2] / "entrypoint" / "entrypoint.py"
    (tmp_path / "look.sh").write_text(LOOK.replace("$PPID", "$(ps -o ppid= -p $PPID | tr -d ' ')"))
    done = subprocess.run(
        [sys.executable, str(entrypoint), "record", "--name", "x", "--command", "sh look.sh"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GITHUB_WORKSPACE": str(tmp_path), **SECRETS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "GITHUB_WORKSPACE=" in done.stdout, done.stderr
    assert "canary-" not in done.stdout + done.stderr
