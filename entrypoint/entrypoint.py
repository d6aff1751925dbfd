"""What the container starts: runs one action of ``flint-ml`` in the workspace of a GitHub runner.

``entrypoint.py ACTION [ARGUMENT ...]``. The inputs stay where the runner put them, in ``INPUT_*``.

Around the action it does what a container owes its host. The container is root and the workspace
belongs to the runner's user, so whatever the action made is handed over to that user afterwards, also
after a failure: else later steps could not change it, and a self-hosted runner could not clean up.
And it is process 1, which gets no default signal handling: a cancelled job's signals are passed on.

Python and not ``sh``, because ``sh`` drops variables with a dash in their name (``INPUT_FAIL-ON``).
Standard library only, so that nothing heavy is imported twice.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

# A job may set these for its own Python on the runner. Here they would put the workspace's modules, or
# libraries that the container does not have, in place of the image's.
RUNNERS_OWN = frozenset(
    {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}
)


def command_names() -> list[str]:
    """Names of the commands in the image; the list is imported, no command is."""
    from flint_ml.commands import names

    return sorted(names())


def conceal() -> None:
    """Keep the job's secrets from what the action starts: that could read this process's variables too."""
    from flint_ml import runner

    runner.conceal()


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The job's variables for the action, without those that are meant for a Python on the runner."""
    return {name: value for name, value in environment.items() if name not in RUNNERS_OWN}


def run(command: list[str], environment: Mapping[str, str]) -> int:
    """Run the action in a process group of its own, pass signals on, return its exit code.

    A death by signal N is 128 + N, as a shell says it.
    """
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []  # signals from before the child was there

    def pass_on(number: int, frame: FrameType | None) -> None:
        if child is None:
            early.append(number)
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        child = subprocess.Popen(command, env=dict(environment), process_group=0)
        for number in early:
            pass_on(number, None)
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def hand_over(top: Path, since: float) -> int:
    """Give what this process's user made below ``top`` since then to the owner of ``top``.

    Returns how many entries changed hands; an entry that cannot be changed is left as it is.
    """
    mine = os.geteuid()
    try:
        owner = top.lstat()
    except OSError:
        return 0
    if owner.st_uid == mine or not stat.S_ISDIR(owner.st_mode):
        return 0
    changed = 0
    for name, folder in made_below(top, mine, since):
        try:
            os.chown(name, owner.st_uid, owner.st_gid, dir_fd=folder, follow_symlinks=False)
        except OSError:
            continue
        changed += 1
    return changed


def made_below(top: Path, uid: int, since: float) -> Iterator[tuple[str, int]]:
    """Entries below ``top`` of user ``uid`` whose inode changed at or after ``since`` (seconds since 1970).

    These are the files that the action made or renamed into place; a root-owned file of an earlier step
    is not among them, and a file with further names outside ``top`` is not either: it may be somebody
    else's. Each is a name and the open folder that it lies in, so that no symbolic link is followed,
    even if a folder is replaced by one meanwhile.
    """
    linked = links_below(top, uid)
    for _, folders, files, folder in os.fwalk(top, follow_symlinks=False):
        for name in (*folders, *files):
            try:
                entry = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except OSError:
                continue
            if entry.st_uid == uid and entry.st_ctime >= since and not has_outside_names(entry, linked):
                yield name, folder


def links_below(top: Path, uid: int) -> Counter[tuple[int, int]]:
    """How many names below ``top`` each file of this user with several names has, by device and inode."""
    names: Counter[tuple[int, int]] = Counter()
    for _, _, files, folder in os.fwalk(top, follow_symlinks=False):
        for name in files:
            try:
                entry = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except OSError:
                continue
            if entry.st_nlink > 1 and entry.st_uid == uid:
                names[entry.st_dev, entry.st_ino] += 1
    return names


def has_outside_names(entry: os.stat_result, linked: Mapping[tuple[int, int], int]) -> bool:
    """Whether a file has a name that was not met below the workspace."""
    several = stat.S_ISREG(entry.st_mode) and entry.st_nlink > 1
    return several and linked.get((entry.st_dev, entry.st_ino), 0) < entry.st_nlink


def shared_folders(environment: Mapping[str, str]) -> Iterable[Path]:
    """The folders that the runner mounts and later steps use: the workspace, and its home folder."""
    yield Path(environment.get("GITHUB_WORKSPACE") or "/github/workspace")
    if environment.get("HOME") == "/github/home":
        yield Path("/github/home")


def refusal(arguments: list[str], known: list[str]) -> str | None:
    """What to tell the user when the arguments name no action of this image, else ``None``."""
    choice = ", ".join(known)
    if not arguments:
        return f"No action was named. The first argument must be one of: {choice}."
    name = arguments[0]
    if name in known or name in {"--help", "--version", "-h"}:
        return None
    shown = re.sub(r"[^\x20-\x7e]", "?", name)[:80]
    return f'There is no action "{shown}" in this image. It must be one of: {choice}.'


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Run the action that the arguments name; its exit code, or 2 when there is no such action."""
    problem = refusal(arguments, command_names())
    if problem:
        print(f"::error title=flint-ml::{problem}", flush=True)
        return 2
    # The file system's clock ticks some milliseconds behind the system's: a second to be safe.
    since = time.time() - 1
    conceal()
    try:
        return run([sys.executable, "-P", "-m", "flint_ml", *arguments], child_environment(environment))
    finally:
        for folder in shared_folders(environment):
            hand_over(folder, since)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
