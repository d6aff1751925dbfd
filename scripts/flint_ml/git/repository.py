"""Git, asked by its own command: revisions, files at a revision, what changed."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from flint_ml.errors import InputError
from flint_ml.text.secrets import is_secret

# Whatever the clone's settings and attributes say (the change under test may have written them): none of its programs
# run, and an object is the one that its hash names. Optional locks off: a reading command must not write the index.
_QUIET = (
    *("--no-pager", "--no-optional-locks", "--no-replace-objects"),
    *(
        "-c",
        "core.fsmonitor=false",
        "-c",
        f"core.hooksPath={os.devnull}",
        "-c",
        "gc.auto=0",
        "-c",
        "maintenance.auto=0",
    ),
    *("-c", "credential.helper=", "-c", "core.askPass=", "-c", "core.alternateRefsCommand=true"),
)
# A clone without all objects may ask its server for them, and start no program for it. This variable counts more than
# any `protocol.<name>.allow` of the clone's settings.
_NO_PROGRAMS = {
    "GIT_ALLOW_PROTOCOL": "http:https",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
}
_FILTER = re.compile(r"^(filter\..*)\.(?:clean|smudge|process|required)$", re.DOTALL)
# Commands that compare with the working tree, and so would run filters.
_COMPARING = ("status", "diff")
# What each command must not do: show with a program, check signatures with one, look into submodules with their own
# settings and filters.
_CALM = {
    "diff": ("--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty"),
    "log": ("--no-ext-diff", "--no-textconv", "--no-show-signature"),
    "status": ("--ignore-submodules=dirty",),
}
# Variables by which a step before this one could give Git programs, other objects or another repository. That a hook
# of Git calls us at a terminal is no exception: the folder says which repository is meant.
_REDIRECTING = re.compile(
    r"^GIT_(?:EXTERNAL_DIFF|SSH(?:_COMMAND|_VARIANT)?|PROXY_COMMAND|PAGER|EDITOR|DIR|WORK_TREE|COMMON_DIR|INDEX_FILE"
    r"|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|REPLACE_REF_BASE|NAMESPACE|SHALLOW_FILE|ATTR_SOURCE|TRACE\w*)$"
)


class Git:
    """The Git repository that holds ``folder``.

    Nothing is fetched and nothing is changed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _run(self, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        name, *rest = arguments
        filters = self._no_filters if name in _COMPARING else []
        return self._start([*filters, name, *_CALM.get(name, ()), *rest], stdin)

    def _start(self, arguments: Sequence[str], stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        # What Git might start in spite of all finds no secret in its environment.
        env = {name: value for name, value in os.environ.items() if not is_secret(name)}
        env = {name: value for name, value in env.items() if not _REDIRECTING.match(name)}
        try:
            return subprocess.run(
                ["git", *_QUIET, "-C", str(self.folder), *arguments],
                capture_output=True,
                check=False,
                input=stdin,
                env={**env, **_NO_PROGRAMS},
            )
        except FileNotFoundError:
            raise InputError("git is not installed", hint="install git and put it on the PATH") from None

    @cached_property
    def _no_filters(self) -> list[str]:
        """Options that empty every filter of the clone's settings."""
        said = self._start(["config", "--name-only", "-z", "--get-regexp", r"^filter\."]).stdout
        names = {
            match[1] for name in said.decode(errors="surrogateescape").split("\0") if (match := _FILTER.match(name))
        }
        options = []
        for name in sorted(names):
            if "=" in name or "\n" in name:
                raise InputError(
                    f"the clone's settings have a filter with an odd name ({name[:80]!r})",
                    where=".git/config",
                    hint="remove it: `git config --remove-section`",
                    code="odd-filter",
                )
            for setting in ("clean=", "smudge=", "process=", "required=false"):
                options += ["-c", f"{name}.{setting}"]
        return options

    def _text(self, *arguments: str) -> str | None:
        result = self._run(*arguments)
        return result.stdout.decode(errors="replace").strip() if result.returncode == 0 else None

    @property
    def root(self) -> Path | None:
        """Top folder of the working tree, or None outside a repository."""
        text = self._text("rev-parse", "--show-toplevel")
        return Path(text) if text else None

    def commit(self, revision: str) -> str | None:
        """Full hash of ``revision``, or None where it is not here."""
        if revision.startswith("-"):
            return None
        return self._text("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") or None

    def is_ancestor(self, commit: str, of: str) -> bool:
        """Whether ``commit`` is ``of`` or in its history, as far as this clone holds it."""
        if commit.startswith("-") or of.startswith("-"):
            return False
        return self._run("merge-base", "--is-ancestor", commit, of).returncode == 0

    def mode(self, revision: str, path: str) -> str | None:
        """Git's mode of ``path`` (relative to the root) at ``revision``; ``120000`` is a symbolic link."""
        row = self._text("ls-tree", "-z", "--full-tree", revision, "--", f":(literal){path}")
        return row.split(" ", 1)[0] if row else None

    def tree(self, revision: str) -> str | None:
        """Full hash of the tree of ``revision``, or None where it is not here."""
        return (
            None if revision.startswith("-") else self._text("rev-parse", "--verify", "--quiet", f"{revision}^{{tree}}")
        )

    def parents(self, revision: str) -> list[str]:
        """Parents of ``revision``; none for a root commit or at the edge of a shallow clone."""
        line = self._text("rev-list", "--parents", "-n", "1", revision)
        return (line or "").split()[1:]

    def recorded_parents(self, revision: str) -> list[str]:
        """Parents that the commit itself names, also at the edge of a shallow clone."""
        header = (self._text("cat-file", "commit", revision) or "").partition("\n\n")[0]
        return [line.removeprefix("parent ") for line in header.splitlines() if line.startswith("parent ")]

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor, or None where the history here does not reach it."""
        return self._text("merge-base", one, other) or None

    @property
    def shallow(self) -> bool:
        """Whether this clone holds a part of the history only."""
        return self._text("rev-parse", "--is-shallow-repository") == "true"

    @property
    def dirty(self) -> bool:
        """Whether tracked files differ from HEAD."""
        return bool(self._text("status", "--porcelain", "--untracked-files=no"))

    def tracked(self, path: Path) -> list[str]:
        """Files under ``path`` that Git tracks."""
        text = self._text("ls-files", "-z", "--", str(path)) or ""
        return [name for name in text.split("\0") if name]

    def show(self, revision: str, path: str) -> bytes | None:
        """Content of ``path`` (relative to the root) at ``revision``, or None where it is absent there."""
        result = self._run("cat-file", "blob", f"{revision}:{path}")
        return result.stdout if result.returncode == 0 else None

    def show_many(self, revision: str, paths: Sequence[str]) -> dict[str, bytes]:
        """Contents of those of ``paths`` that are files at ``revision``, by one process for all of them."""
        names = [path for path in paths if "\n" not in path]
        asked = "".join(f"{revision}:{path}\n" for path in names).encode()
        data = self._run("cat-file", "--batch", stdin=asked).stdout if names else b""
        contents: dict[str, bytes] = {}
        position = 0
        for path in names:
            end = data.index(b"\n", position)
            header = data[position:end].split(b" ")
            position = end + 1
            if len(header) != 3 or not header[2].isdigit():
                continue  # "... missing"
            size = int(header[2])
            if header[1] == b"blob":
                contents[path] = data[position : position + size]
            position += size + 1
        return contents

    def present(self) -> list[str]:
        """Paths (relative to the root) of the working tree's files that Git tracks or would track."""
        top = self.root
        if top is None:
            return []
        arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
        text = Git(top)._text(*arguments) or ""
        return [name for name in text.split("\0") if name and (top / name).is_file()]

    def files(self, revision: str, under: str = "") -> list[str]:
        """Paths (relative to the root) of all files at ``revision`` below ``under``."""
        arguments = ["ls-tree", "-r", "-z", "--name-only", "--full-tree", revision]
        text = self._text(*arguments, *(["--", under] if under else [])) or ""
        return [name for name in text.split("\0") if name]

    def changed(self, base: str, head: str | None = None) -> list[str]:
        """Files that differ between ``base`` and ``head`` (default: the working tree)."""
        text = self._text("diff", "-z", "--name-only", "--no-renames", base, *([head] if head else []), "--")
        return [name for name in (text or "").split("\0") if name]

    def default_branch(self) -> str | None:
        """The remote's default branch as ``origin/main``, or a local ``main`` or ``master``."""
        head = self._text("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
        candidates = [head or "", "origin/main", "origin/master", "main", "master"]
        return next((name for name in candidates if name and self.commit(name)), None)

    def message(self, revision: str) -> str:
        """Commit message of ``revision``, empty where it is not here."""
        return self._text("log", "-1", "--format=%B", revision, "--") or ""

    def sizes(self, revision: str) -> dict[str, int]:
        """Sizes in bytes of all files at ``revision``, by path relative to the root."""
        text = self._text("ls-tree", "-r", "-l", "-z", "--full-tree", revision) or ""
        rows = (row.partition("\t") for row in text.split("\0") if row)
        return {path: int(size) for head, _, path in rows if (size := head.split()[-1]).isdigit()}

    @cached_property
    def common_folder(self) -> Path | None:
        """Git's own folder, which all working trees of a clone share."""
        text = self._text("rev-parse", "--git-common-dir")
        return (self.folder / text).resolve() if text else None

    def attributes(self, file: Path, *names: str) -> dict[str, str]:
        """What ``.gitattributes`` say of a file: ``set``, ``unset`` or a value; what they do not say is left out."""
        parts = (self._text("check-attr", "-z", *names, "--", str(file)) or "").split("\0")
        told = zip(parts[1::3], parts[2::3], strict=False)
        return {name: value for name, value in told if value != "unspecified"}

    def ignores(self, path: str) -> bool:
        """Whether ``path`` (relative to the folder) is ignored."""
        return self._run("check-ignore", "--quiet", "--", path).returncode == 0

    def unsaved(self) -> list[str]:
        """Paths (relative to the root) that are new or differ from the last commit."""
        rows = (self._text("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames") or "").split("\0")
        return [row.strip().partition(" ")[2].strip() for row in rows if row]

    def date(self, revision: str) -> str | None:
        """Day of the commit ``revision`` (2026-11-22), or None where it is not here."""
        return self._text("log", "-1", "--format=%cs", revision, "--") or None

    def setting(self, name: str) -> str | None:
        """A setting of Git such as ``remote.origin.url``, or None where it is not set."""
        return self._text("config", "--get", name) or None

    @property
    def branch(self) -> str | None:
        """Name of the branch that is checked out, or None for a detached HEAD."""
        return self._text("symbolic-ref", "--quiet", "--short", "HEAD") or None

    def history(self, revision: str, paths: Sequence[str], limit: int) -> list[str]:
        """At most ``limit`` commits on the main line up to ``revision`` that changed ``paths``, newest first."""
        arguments = ["log", "--first-parent", f"-n{limit}", "--format=%H", revision, "--"]
        return (Git(self.root or self.folder)._text(*arguments, *paths) or "").split()
