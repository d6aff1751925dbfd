"""What a shallow clone lacks of the base, fetched from the repository itself: one commit, not its history.

The clone may hold settings that the change under test wrote (another address for the server, a proxy, a hook). So
the token is used in a new repository that has none of them, and the clone then takes the commit from there, without
a token.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flint_ml.errors import InputError, OutsideError
from flint_ml.git import access, errors
from flint_ml.git.repository import Git
from flint_ml.text.secrets import is_secret

SECONDS = 180.0
_TRIES = 3
_KEEP = "refs/flint-ml/base"
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# What could run a command, or send the request elsewhere, is switched off in the clone.
_QUIET = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0", "-c", "maintenance.auto=0"),
    *("-c", "core.alternateRefsCommand=true", "-c", "fetch.recurseSubmodules=false"),
)


@dataclass
class ShallowFetch:
    """Fetches single commits into the clone ``git``.

    Parameters
    ----------
    url
        Address of the repository, without credentials.
    token
        Never shown, never in an argument or address.
    """

    git: Git
    url: str
    token: str = field(repr=False)
    env: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        self._address = access.parse_address(self.url, self.url, Path(os.devnull))
        self._login = access.Login(self.token)
        access.check_login(self._address, self._login)
        self._end = time.monotonic() + self.seconds

    def commit(self, revision: str) -> str | None:
        """Bring a commit, branch or tag into the clone; returns its commit, None where the server has none such.

        Raises
        ------
        InputError
            If the token is not let in.
        OutsideError
            If the server does not answer.
        """
        found = re.fullmatch(_SHA, revision)
        wanted = [revision] if found else [f"refs/heads/{revision}", f"refs/tags/{revision}"]
        with tempfile.TemporaryDirectory(prefix="flint-ml-git-") as name:
            folder = Path(name)
            self._ask(folder, "init", "--quiet", "--bare", ".")
            for ref in wanted:
                arguments = ("fetch", "--quiet", "--no-tags", "--depth", "1", self._address.url, f"{ref}:{_KEEP}")
                if self._fetched(folder, *arguments):
                    return self._take(folder)
        return None

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor of two commits, brought into the clone; only commits are read, no files.

        ``other`` may name a branch.
        """
        with tempfile.TemporaryDirectory(prefix="flint-ml-git-") as name:
            folder = Path(name)
            self._ask(folder, "init", "--quiet", "--bare", ".")
            self._ask(folder, "remote", "add", "origin", self._address.url)
            refs = [
                f"{one}:refs/flint-ml/one",
                f"{other if _SHA.fullmatch(other) else f'refs/heads/{other}'}:refs/flint-ml/other",
            ]
            if not self._fetched(folder, "fetch", "--quiet", "--no-tags", "--filter=tree:0", "origin", *refs):
                return None
            commit = self._ask(folder, "merge-base", "refs/flint-ml/one", "refs/flint-ml/other").strip()
        return self.commit(commit) if _SHA.fullmatch(commit) else None

    def _take(self, folder: Path) -> str | None:
        """The commit that was fetched into ``folder``, taken into the clone without its history."""
        arguments = ["fetch", "--quiet", "--no-tags", "--depth", "1", "--no-write-fetch-head", folder.as_uri(), _KEEP]
        clean = {
            key: value
            for key, value in self.env.items()
            if not key.startswith(("GIT_", "INPUT_")) and not is_secret(key)
        }
        result = subprocess.run(
            ["git", *_QUIET, "-C", str(self.git.folder), *arguments],
            # Not even an address that the clone's settings put in the place of this one starts a program.
            env={**clean, "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file"},
            capture_output=True,
            check=False,
            timeout=self._left,
        )
        commit = Git(folder).commit(_KEEP)
        if result.returncode != 0 or commit is None or self.git.commit(commit) is None:
            said = result.stderr.decode(errors="replace").strip().splitlines()
            raise InputError(
                f"the base was fetched, and the clone did not take it: {(said or ['no reason given'])[-1][:200]}",
                where="base-revision",
                hint="set `fetch-depth: 0` on actions/checkout",
                code="base-not-fetched",
            )
        return commit

    @property
    def _left(self) -> float:
        return max(1.0, self._end - time.monotonic())

    def _fetched(self, folder: Path, *arguments: str) -> bool:
        """Run a fetch with patience; False where the server has no such thing."""
        for attempt in range(_TRIES):
            code, _, said = self._run(folder, arguments)
            if code == 0:
                return True
            if re.search(r"couldn't find remote ref|not our ref|no such ref|unadvertised object", said, re.IGNORECASE):
                return False
            if attempt + 1 == _TRIES or not errors.passing(said) or self._left < 2.0**attempt:
                raise _refused(said, outside=isinstance(errors.error_of(said, "fetch the base"), OutsideError))
            time.sleep(2.0**attempt / 2)
        return False

    def _ask(self, folder: Path, *arguments: str) -> str:
        code, out, said = self._run(folder, arguments)
        if code and arguments[0] != "merge-base":
            raise OutsideError(f"git {arguments[0]} failed: {said.strip()[:200]}", where="git", code="git-failed")
        return out

    def _run(self, folder: Path, arguments: Sequence[str]) -> tuple[int, str, str]:
        """A Git command in the new repository, with the token in its environment."""
        env = access.git_environment(self._address, self._login, folder, self.env)
        env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_DIR": str(folder)}
        # The token's header is all that a server is to see of us.
        env = {key: value for key, value in env.items() if not key.startswith("INPUT_")}
        try:
            result = subprocess.run(
                ["git", *arguments],
                cwd=folder,
                env=env,
                capture_output=True,
                check=False,
                timeout=self._left,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError:
            raise InputError("git is not installed", hint="install git and put it on the PATH") from None
        except subprocess.TimeoutExpired:
            raise _refused(f"no answer within {self.seconds:.0f} s", outside=True) from None
        return result.returncode, result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace")


def _refused(said: str, *, outside: bool) -> InputError | OutsideError:
    lines = [line for line in said.strip().splitlines() if line.startswith(("fatal", "remote", "error"))]
    reason = (lines or said.strip().splitlines() or ["no reason given"])[-1][:200]
    message = f"the base is not in this shallow clone and could not be fetched: {reason}"
    if outside:
        hint = "run the job again; `fetch-depth: 0` on actions/checkout needs no fetch here"
        return OutsideError(message, where="base-revision", hint=hint, code="base-not-fetched")
    hint = "set `fetch-depth: 0` on actions/checkout, or give a `token` that may read this repository"
    return InputError(message, where="base-revision", hint=hint, code="base-not-fetched")
