"""A manifests repository without a working tree: its newest commit is read, and one built on it is pushed.

No checkout, so no filter, hook, line-end conversion or link of the repository can do anything here, and every byte
but the changed value stays what it was.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from flint_ml.errors import InputError, OutsideError
from flint_ml.git import errors
from flint_ml.git.access import Address

AUTHOR = ("github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com")
_FILE_MODES = {"100644", "100755"}


class PushLostError(Exception):
    """The push was not taken because the branch had moved, or its answer did not arrive."""


class Remote:
    """One manifests repository for one job.

    Parameters
    ----------
    env
        What Git is run with (:func:`flint_ml.git.access.git_environment`).
    folder
        An empty folder for the objects.
    end
        Moment of ``time.monotonic()`` after which nothing is begun or waited for.
    """

    def __init__(self, address: Address, env: Mapping[str, str], folder: Path, end: float) -> None:
        self.address = address
        self.folder = folder
        self.end = end
        self._env = {**env, "GIT_DIR": str(folder)}
        self._ask("make a folder for the objects", "init", "--quiet", "--bare", str(folder))

    @property
    def left(self) -> float:
        """Seconds until the time is over."""
        return self.end - time.monotonic()

    def extend(self, seconds: float) -> None:
        """Begin to count the time anew."""
        self.end = time.monotonic() + seconds

    def _run(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> tuple[int, bytes, str]:
        """Exit code, output and messages of a Git command, which is ended with all its helpers when time is over."""
        try:
            process = subprocess.Popen(
                ["git", *arguments],
                env={**self._env, **(env or {})},
                start_new_session=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError:
            raise InputError("git is not installed", hint="install git and put it on the PATH") from None
        try:
            out, err = process.communicate(stdin, timeout=max(self.left, 0.1))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise OutsideError(
                f"the manifests repository did not answer in time (git {arguments[0]})",
                where="manifests",
                hint="run the job again, or give a longer `timeout`",
                code="timeout",
            ) from None
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, out, err.decode(errors="replace")

    def _ask(self, did: str, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        code, out, said = self._run(*arguments, stdin=stdin, env=env)
        if code != 0:
            raise errors.error_of(said, did)
        return out

    def fetch(self, branch: str) -> str | None:
        """The newest commit of ``branch``, now; None where there is no such branch.

        Raises
        ------
        FlintError
            If the repository cannot be read; what is only a disturbance is tried again.
        """
        self._check_branch(branch)
        ref = f"+refs/heads/{branch}:refs/remotes/origin/{branch}"
        code, _, said = self._patient("fetch", "--quiet", "--no-tags", "--depth", "1", self.address.url, ref)
        if code == 0:
            name = f"refs/remotes/origin/{branch}"
            return self._ask("read the branch", "rev-parse", "--verify", name).decode().strip()
        if errors.missing_branch(said):
            return None
        raise errors.error_of(said, "read the manifests")

    def _patient(self, *arguments: str) -> tuple[int, bytes, str]:
        """A command that only reads from the server; what is only a disturbance is tried again."""
        for attempt in range(4):
            code, out, said = self._run(*arguments)
            if code == 0 or attempt == 3 or not errors.passing(said) or self.left < 2.0**attempt:
                break
            time.sleep(2.0**attempt / 2)
        return code, out, said

    def _list(self, *arguments: str) -> list[str]:
        """Lines of ``git ls-remote``."""
        code, out, said = self._patient("ls-remote", *arguments)
        if code != 0:
            raise errors.error_of(said, "read the manifests")
        return out.decode(errors="replace").splitlines()

    def _check_branch(self, branch: str) -> None:
        code, _, _ = self._run("check-ref-format", "--branch", branch)
        if code != 0 or branch.startswith("-"):
            raise InputError(f"`{branch}` is no name of a branch", where="branch", code="invalid-input")

    def branches(self) -> list[str]:
        """Names of the branches."""
        return [line.partition("\trefs/heads/")[2] for line in self._list("--heads", self.address.url)]

    def default_branch(self) -> str:
        """Name of the branch that the repository's HEAD is."""
        lines = self._list("--symref", self.address.url, "HEAD")
        head = next((line for line in lines if line.startswith("ref: refs/heads/")), "")
        name = head.removeprefix("ref: refs/heads/").partition("\t")[0]
        if not name:
            raise InputError("the manifests repository is empty", where="manifests", code="empty-repository")
        return name

    def files(self, commit: str) -> list[str]:
        """Paths of all files at ``commit``."""
        out = self._ask("list the files", "ls-tree", "-r", "-z", "--name-only", commit).decode(errors="replace")
        return [name for name in out.split("\0") if name]

    def mode(self, commit: str, path: str) -> str | None:
        """Git's mode of ``path`` at ``commit`` (``100644`` for a plain file), None where there is nothing."""
        out = self._ask("look for the file", "--literal-pathspecs", "ls-tree", "-z", commit, "--", path)
        return out.split(b" ", 1)[0].decode() if out else None

    def read(self, commit: str, path: str) -> bytes | None:
        """The file ``path`` at ``commit``, or None where no plain file is there."""
        if self.mode(commit, path) not in _FILE_MODES:
            return None
        return self._ask("read the file", "cat-file", "blob", f"{commit}:{path}")

    def archive(self, commit: str) -> bytes:
        """All files at ``commit`` as a tar archive."""
        return self._ask("read the files", "archive", "--format=tar", commit)

    def commit(self, parent: str, files: Mapping[str, bytes], message: str) -> str:
        """A new commit on ``parent`` with the contents of ``files`` changed; it is not pushed."""
        index = {"GIT_INDEX_FILE": str(self.folder / "index")}
        self._ask("read the tree", "read-tree", parent, env=index)
        for path, data in files.items():
            blob = self._ask("store the file", "hash-object", "-w", "--no-filters", "--stdin", stdin=data)
            entry = f"{self.mode(parent, path)} {blob.decode().strip()}\t{path}".encode()
            self._ask("store the file", "update-index", "-z", "--index-info", stdin=entry + b"\0", env=index)
        tree = self._ask("store the tree", "write-tree", env=index).decode().strip()
        name, address = AUTHOR
        who = {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": address,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": address,
        }
        out = self._ask("commit", "commit-tree", tree, "-p", parent, "-F", "-", stdin=message.encode(), env=who)
        return out.decode().strip()

    def push(self, commit: str, branch: str, expected: str | None = None, *, replace: bool = False) -> None:
        """Make ``commit`` the newest of ``branch``.

        Parameters
        ----------
        expected, replace
            With ``replace``, whatever is there now is replaced if it is still ``expected`` (None: no such branch).

        Raises
        ------
        PushLostError
            If the branch has moved meanwhile, or nobody knows whether the push worked: look again.
        """
        lease = [f"--force-with-lease=refs/heads/{branch}:{expected or ''}"] if replace else []
        target = f"{commit}:refs/heads/{branch}"
        code, out, said = self._run("push", "--porcelain", "--no-verify", *lease, self.address.url, target)
        if code == 0:
            return
        said = f"{said}\n{out.decode(errors='replace')}"
        error = errors.error_of(said, "push")
        special = error.code not in {"git-failed", "server-unavailable"}
        if (errors.race(said) and not special) or errors.passing(said):
            raise PushLostError(errors.server_words(said))
        raise error
