"""``flint-ml record --name train -- COMMAND``: run a command, show its output, leave a record of it."""

from __future__ import annotations

import collections
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Literal

from pydantic import Field

from flint_ml.errors import InputError
from flint_ml.hashing import file_md5, file_sha256
from flint_ml.record import Column, Finding, Input, Metric, Table, Written, read_all, same_run
from flint_ml.runner import Action, ChangeInputs, Job, Outcome

# Names that have a meaning: the badge's label, the name in a sentence, the sentence that it did not run.
KNOWN = {"train": ("Training", "training", "the model was not trained"), "test": ("Tests", "the tests", "")}
_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07")
# What no command of a project writes its metrics to: of Git, DVC, package managers and interpreters.
_UNWATCHED = frozenset({".git", ".dvc", ".venv", "venv", "node_modules", "__pycache__", ".snakemake", "renv", ".cache"})
_SURROGATE = re.compile("[\ud800-\udfff]")
MAX_WATCHED = 200_000
MAX_WRITTEN = 5_000
MAX_HASHED = 64 * 1024 * 1024


class RecordInputs(ChangeInputs):
    """Inputs of ``flint-ml record``."""

    command: str = Field(
        "", description="Command line for `bash -e -o pipefail -c`; at a terminal, give the command after `--`."
    )
    label: str = Field("", description="Label of the badge. Default: from the name, `train` is `Training`.")
    lines: int = Field(40, ge=1, le=400, description="How many last lines of the output the record keeps.")


@dataclass(frozen=True)
class Finished:
    """How a command ended: exit code, wall seconds, peak memory in MB (None: unknown), last lines."""

    exit_code: int
    seconds: float
    peak_mb: float | None
    last_lines: list[str]


class _Tail:
    """The last lines of a byte stream, as text without terminal escapes."""

    def __init__(self, lines: int) -> None:
        self._lines: collections.deque[bytes] = collections.deque(maxlen=lines)
        self._rest = b""

    def feed(self, block: bytes) -> None:
        *whole, self._rest = (self._rest + block).split(b"\n")
        self._lines.extend(line for line in whole if line.strip())
        self._rest = self._rest[-4096:]

    def text(self) -> list[str]:
        lines = [*self._lines, *([self._rest] if self._rest.strip() else [])][-(self._lines.maxlen or 1) :]
        # Only what follows the last carriage return is left on a screen: progress bars redraw one line.
        shown = (_ESCAPES.sub(b"", line).rstrip(b"\r").rsplit(b"\r", 1)[-1] for line in lines)
        return [line.decode("utf-8", "replace")[:500] for line in shown]


def watch(command: list[str], *, cwd: str, env: Mapping[str, str], lines: int, out: BinaryIO) -> Finished:
    """Run ``command``, copy its output to ``out`` as it comes, and report how it ended.

    Raises
    ------
    InputError
        If the command cannot be started.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            command, cwd=cwd, env={**env, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise InputError(
            f"cannot be started: {error.strerror}",
            where=command[0],
            hint="check the spelling, and that the program is installed on this machine",
            code="command-not-found",
        ) from None
    tail = _Tail(lines)

    def forward(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    before = signal.signal(signal.SIGTERM, forward)
    try:
        assert process.stdout is not None
        while block := os.read(process.stdout.fileno(), 1 << 16):
            out.write(block)
            out.flush()
            tail.feed(block)
        _, status, usage = os.wait4(process.pid, 0)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Finished(
        process.returncode, time.monotonic() - started, round(usage.ru_maxrss / unit, 1) or None, tail.text()
    )


def duration(seconds: float) -> str:
    """Seconds for people: `0.4 s`, `41 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _command(inputs: RecordInputs, job: Job) -> tuple[list[str], str]:
    """The argument list to run, and the command as people know it."""
    if job.rest and inputs.command:
        raise InputError("is given twice: as `command` and after `--`", where="command", hint="give one of them")
    if job.rest:
        return list(job.rest), shlex.join(job.rest)
    if not inputs.command:
        raise InputError(
            "no command to run",
            where="record",
            hint="`flint-ml record --name train -- dvc repro`",
            code="missing-input",
        )
    # The same options as a `run:` step with `shell: bash`.
    return [shutil.which("bash") or "bash", "-e", "-o", "pipefail", "-c", inputs.command], inputs.command


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}" + (", perhaps out of memory" if name == "SIGKILL" else "")


def _is_same(path: Path, used: Input) -> bool:
    """Whether a file is what it was when its hash was noted."""
    if used.bytes is not None and path.stat().st_size != used.bytes:
        return False
    return file_md5(path) == used.md5 if used.md5 else file_sha256(path) == used.sha256


def changed_since_check(job: Job) -> list[Finding]:
    """Files whose drift was checked in this run and that the command then replaced.

    A stage may make the checked table anew from raw data that nobody checked; the model would be trained on it.
    """
    context = job.context
    found = same_run(read_all(job.results_dir)[0], context.head_sha, context.run_id, context.run_attempt)
    changed: dict[str, str] = {}
    for record in (record for record in found if record.action == "check-drift" and record.status != "error"):
        for used in record.provenance.inputs:
            path = job.workspace.root / used.path
            if (used.md5 or used.sha256) and path.is_file() and not _is_same(path, used):
                changed[used.path] = record.name
    return [
        Finding(
            severity="error",
            code="changed-after-check",
            message=f"the command replaced {path}, whose drift `{name}` had checked: its result says nothing any more",
            hint="run the stage that makes it (such as `dvc repro prepare`), `dvc push`, and commit dvc.lock",
        )
        for path, name in changed.items()
    ]


def snapshot(folder: Path, leave_out: Sequence[Path] = ()) -> dict[Path, tuple[int, int, int, int]]:
    """Size, modification time, change time (ns) and inode of the files below ``folder``, for :func:`written`.

    Git's and DVC's own folders, installed packages, byte code and ``leave_out`` are passed over, and so is what comes
    after the first ``MAX_WATCHED`` files. Links are not followed.
    """
    seen: dict[Path, tuple[int, int, int, int]] = {}
    for root, folders, files in os.walk(folder):
        place = Path(root)
        folders[:] = sorted(name for name in folders if name not in _UNWATCHED and place / name not in leave_out)
        for name in files:
            if len(seen) >= MAX_WATCHED:
                return seen
            try:
                stat = (place / name).lstat()
            except OSError:
                continue
            seen[place / name] = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    return seen


def written(
    root: Path, before: Mapping[Path, tuple[int, int, int, int]], after: Mapping[Path, tuple[int, int, int, int]]
) -> list[Written]:
    """Files that differ between two snapshots, smallest first, with their md5 where that is soon computed.

    A file that leads out of ``root``, and one of more than ``MAX_HASHED`` bytes, is noted without a hash.
    """
    changed = sorted((state[0], path) for path, state in after.items() if before.get(path) != state)
    files = []
    for size, path in changed[:MAX_WRITTEN]:
        try:
            hashed = path.resolve().is_relative_to(root) and path.is_file() and path.stat().st_size <= MAX_HASHED
            digest = file_md5(path) if hashed else None
        except OSError:
            continue
        name = path.relative_to(root).as_posix()
        how: Literal["new", "rewritten"] = "rewritten" if path in before else "new"
        if len(name) <= 1_000 and not _SURROGATE.search(name):
            files.append(Written(path=name, md5=digest, bytes=size, how=how))
    return files


def label_of(name: str) -> str:
    """The badge's label of a command's record, for people: `train` is `Training`, `fit-curves` `Fit curves`."""
    return KNOWN[name][0] if name in KNOWN else name.replace("-", " ").replace("_", " ").capitalize()


def spoken_name(name: str) -> str:
    """How a command's record is called in a sentence: `train` is `training`; others by their name."""
    return KNOWN[name][1] if name in KNOWN else name


def run(inputs: RecordInputs, job: Job) -> Outcome:
    """Run the command and say how it ended."""
    command, shown = _command(inputs, job)
    label = inputs.label or label_of(job.name)
    before = snapshot(job.workspace.base, [job.results_dir])
    # Inputs of actions, a token among them, are no business of the command.
    env = {name: value for name, value in (job.env or os.environ).items() if not name.startswith("INPUT_")}
    done = watch(command, cwd=str(job.workspace.base), env=env, lines=inputs.lines, out=sys.stdout.buffer)
    wrote = written(job.workspace.root, before, snapshot(job.workspace.base, [job.results_dir]))
    # The runner masks secrets in its log only; the record goes further than the log.
    shown, *last = (job.commands.redact(line) for line in (shown, *done.last_lines))
    replaced = changed_since_check(job) if done.exit_code == 0 else []
    passed = done.exit_code == 0 and not replaced
    time_text = duration(done.seconds)
    reason = last[-1].strip()[:200] if last else "it printed nothing"
    headline = (
        f"{label} finished in {time_text}: {shown}"
        if passed
        else f"{label} failed after {time_text} ({_ending(done.exit_code)}): {reason}"
    )
    message = time_text if passed else f"Failed ({_ending(done.exit_code)})"
    if replaced:
        headline, message = f"{label}: {replaced[0].message}", "Failed (unchecked data)"
    return Outcome(
        status="passed" if passed else "failed",
        headline=headline[:500],
        message=message,
        findings=replaced,
        badge=label,
        spoken=spoken_name(job.name),
        log=last,
        reproduce=[shown],
        wrote=wrote,
        advice="" if passed or replaced else "read the last lines of the log, correct the step and push again",
        metrics={
            "seconds": Metric(value=round(done.seconds, 2), unit="s"),
            "peak_memory": Metric(value=done.peak_mb, unit="MB"),
        },
        tables=[]
        if passed
        else [Table(title="Last lines of the log", columns=[Column(name="line")], rows=[[line] for line in last])],
        details={"command": shown, "exit_code": done.exit_code, "last_lines": last},
    )


ACTION = Action(
    name="record",
    summary="run a command, show its output and leave a record of it",
    description="Run a command, show its output, and leave a record: exit code, seconds, peak memory, last lines.",
    badge="Command",
    inputs=RecordInputs,
    run=run,
    outputs={},
    published=False,
)
