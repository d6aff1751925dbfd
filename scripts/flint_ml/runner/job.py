"""What an action is, what it is given, and what it returns."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from flint_ml.errors import InputError
from flint_ml.git import Base, Fetcher, Git, ShallowFetch, find_base
from flint_ml.hashing import file_md5, file_sha256
from flint_ml.record import (
    BaseSide,
    Benchmark,
    Changes,
    Figure,
    Finding,
    Input,
    Metric,
    PartBadge,
    Piece,
    Status,
    Table,
    Verdict,
    Written,
)
from flint_ml.runner.context import Context
from flint_ml.runner.inputs import ActionInputs
from flint_ml.runner.workflow_commands import Commands
from flint_ml.runner.workspace import Workspace


@dataclass
class Outcome:
    """What an action found out. The runner turns it into record, outputs, summary and exit code.

    ``message`` is the badge's message; ``outputs`` are the action's own outputs (lists become JSON, booleans
    ``true`` and ``false``, None an empty string). ``badge`` replaces the action's badge label, ``exit_code`` the
    one that follows from the status. The other fields are those of the record of the same name.
    """

    status: Status
    headline: str
    message: str
    spoken: str = ""
    verdict: Verdict | None = None
    advice: str = ""
    base: BaseSide | None = None
    benchmark: Benchmark | None = None
    badges: list[PartBadge] = field(default_factory=list)
    changes: Changes | None = None
    fingerprint: str = ""
    log: list[str] = field(default_factory=list)
    reproduce: list[str] = field(default_factory=list)
    wrote: list[Written] = field(default_factory=list)
    coverage: list[Piece] = field(default_factory=list)
    metrics: dict[str, Metric] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    base_sha: str | None = None
    badge: str | None = None
    exit_code: int | None = None
    # Everything was said already (JSON for a program, a list for people): nothing is added to it.
    quiet: bool = False


@dataclass(frozen=True)
class Action:
    """One action: everything its ``action.yml``, command line and documentation are made from."""

    name: str
    summary: str
    description: str
    badge: str
    inputs: type[ActionInputs]
    run: Callable[[Any, Job], Outcome]
    outputs: Mapping[str, str] = field(default_factory=dict)
    positionals: tuple[str, ...] = ()
    icon: str = "check-circle"
    color: str = "green"
    published: bool = True
    # How the check is called in a sentence: "the drift check did not run".
    spoken: str = ""
    leaves_record: bool = True
    # Whether the action judges what it finds in the results directory, and so must not tidy it up first.
    keeps_results: bool = False
    # Works where settings or results are broken, because it is there to find that: reads neither.
    standalone: bool = False
    # Settings that a change may decide for itself although the action is a gate.
    own_settings: tuple[str, ...] = ()
    # Whether its input `token` reads this repository, and so may fetch what a shallow clone lacks of the base.
    fetches_base: bool = False
    # Name of the section of flint-ml.yml, and what may stand in it, where these differ from name and inputs.
    section: str = ""
    settings: type[ActionInputs] | None = None

    @property
    def section_name(self) -> str:
        """Name of the action's section in flint-ml.yml."""
        return self.section or self.name


class Job:
    """One use of an action: where it runs and how it speaks.

    Attributes
    ----------
    context
        Facts of the run.
    commands
        The way to speak to runner or terminal.
    workspace
        Resolves path inputs.
    results_dir
        Folder of records.
    name
        Name of this use.
    figures_dir
        Empty folder for figures; it becomes ``<results-dir>/<name>/`` when the record is written. A figure's
        ``path`` in the record is ``f"{job.name}/{file}"`` (see :meth:`figure_path`).
    rest
        Arguments after ``--`` on the command line.
    """

    def __init__(
        self,
        *,
        action: Action,
        name: str,
        context: Context,
        commands: Commands,
        workspace: Workspace,
        results_dir: Path,
        figures_dir: Path,
        config: str = "flint-ml.yml",
        rest: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.action = action
        self.name = name
        self.context = context
        self.commands = commands
        self.workspace = workspace
        self.results_dir = results_dir
        self.figures_dir = figures_dir
        self.config = config
        self.rest = rest
        self.env = env or {}
        self.used: list[Input] = []
        self.gate_findings: list[Finding] = []
        self.fetcher: Fetcher | None = None
        # What was found once, before anything ran; None: not looked for yet, or there is none.
        self.known_base: Base | InputError | None = None
        # Whether the base's settings hold, and with them its version of the files that they name.
        self.by_base = False
        # Revisions that settings name, as gate-plan resolved them before anything of the change ran.
        self.noted_revisions: Mapping[str, str] = {}
        self.scratch_dir = figures_dir.parent

    def say(self, text: str = "") -> None:
        """Print a line for people."""
        self.commands.say(text)

    def path(self, text: str, name: str = "path") -> Path:
        """Absolute path of a path input; confined to the workspace on a runner."""
        return self.workspace.path(text, name)

    def existing(self, text: str, name: str = "path") -> Path:
        """Absolute path of a path input that must exist."""
        return self.workspace.existing(text, name)

    def relative(self, path: Path) -> str:
        """``path`` relative to the workspace."""
        return self.workspace.relative(path)

    def figure_path(self, file: str) -> str:
        """Path of a figure as its record gives it, for a file written to ``figures_dir``."""
        return f"{self.name}/{file}"

    def use(self, path: Path, name: str = "", *, large: int | None = None) -> str:
        """Note ``path`` as an input of the result, under ``name`` or its own, with its md5 (as DVC computes it).

        A file of more than ``large`` bytes gets its sha256 instead, which today's processors compute at twice the
        speed or more. Returns the hash.
        """
        size = path.stat().st_size
        swift = large is not None and size > large
        digest = file_sha256(path) if swift else file_md5(path)
        key = "sha256" if swift else "md5"
        self.used.append(Input.model_validate({"path": name or self.relative(path), key: digest, "bytes": size}))
        return digest

    @cached_property
    def git(self) -> Git:
        """The repository of the working directory."""
        return Git(self.workspace.base)

    def base(self, explicit: str | None = None) -> Base | None:
        """The base revision: that of this run, or another one that was named.

        Raises
        ------
        InputError
            If it is not in this clone, or is a commit of the change itself.
        """
        if explicit in (None, "", "auto") and self.known_base is not None:
            if isinstance(self.known_base, InputError):
                raise self.known_base
            return self.known_base
        event = self.context.git_event if self.context.on_github else None
        found = find_base(self.git, event, self.noted_revisions.get(explicit or "", explicit), self.fetcher)
        return replace(found, how=f"`{explicit}`") if found and explicit in self.noted_revisions else found

    @property
    def known_commit(self) -> str | None:
        """The base's commit as it was found before anything ran; None where there is none, or it is not known."""
        return self.known_base.commit if isinstance(self.known_base, Base) else None

    def revision(self, name: str) -> str:
        """The revision ``name`` as settings mean it: as gate-plan noted it, else on a runner the remote's of that name,
        for a local branch or tag may be anybody's."""
        if name in self.noted_revisions:
            return self.noted_revisions[name]
        remote = f"refs/remotes/origin/{name}"
        return remote if self.context.on_github and self.git.commit(remote) else name

    def ruling_file(self, text: str, name: str) -> Path | None:
        """The file ``text`` that the rules name, as those have it who made the rules.

        On a change that is not merged that is the base's version, copied into the scratch folder; None where the base
        has none, or a link.

        Raises
        ------
        InputError
            If it is absent where no base decides, or leads out of the workspace.
        """
        path = self.path(text, name)
        root = self.git.root
        if not self.by_base:
            return self.existing(text, name)
        base = self.known_commit
        written = Path(posixpath.normpath((self.workspace.base / text).as_posix()))
        top = root.resolve() if root else None
        if base is None or top is None or not written.is_relative_to(top):
            return None
        inside = written.relative_to(top).as_posix()
        mode = self.git.mode(base, inside)
        content = self.git.show(base, inside) if mode and mode.startswith("100") else None
        if content is None:
            return None
        copy = self.scratch_dir / f"base-{name}" / path.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(content)
        return copy

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Fold what is printed inside."""
        with self.commands.group(title):
            yield


def base_fetcher(token: object, context: Context, git: Git, env: Mapping[str, str]) -> Fetcher | None:
    """Fetches what a shallow clone lacks of the base; None without a token, at a terminal, and for a whole clone."""
    text = token.get_secret_value() if isinstance(token, SecretStr) else token
    text = text.strip() if isinstance(text, str) else ""
    if not (text and context.on_github and context.repository) or not git.shallow:
        return None
    return ShallowFetch(git, f"{context.server_url}/{context.repository}", text, env)


def output_text(value: Any) -> str:
    """A value as a step output: lists and mappings as JSON, booleans in lower case, None empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
