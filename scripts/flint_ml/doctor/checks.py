"""One line of the doctor's list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from flint_ml.errors import FlintError
from flint_ml.git import Git

Mark = Literal["ok", "warning", "failure"]
MARKS = {"ok": "✔", "warning": "!", "failure": "✖"}


@dataclass(frozen=True)
class Check:
    """What was looked at and how it stands; ``fix`` says what to do and is empty where all is well."""

    area: str
    mark: Mark
    what: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        """For ``--json``."""
        return {"area": self.area, "mark": self.mark, "what": self.what, "mend": self.fix}


@dataclass(frozen=True)
class Project:
    """The project under examination.

    Attributes
    ----------
    folder, root, subfolder
        The project's folder, the top of the Git repository (the folder itself without one), and the first relative
        to the second.
    settings
        Sections of ``flint-ml.yml``; empty where there is none or it cannot be read.
    inputs
        Inputs of each published action by name (``gate``: the root action).
    section_fault
        What is wrong with the values of a section, or None.
    results
        Folder of the results, relative to the project.
    online
        Whether the network may be asked.
    env
        Variables of this machine.
    """

    folder: Path
    git: Git
    root: Path
    subfolder: str
    settings: Mapping[str, Mapping[str, Any]]
    inputs: Mapping[str, frozenset[str]]
    section_fault: Callable[[str, Mapping[str, Any]], FlintError | None]
    config: str = "flint-ml.yml"
    results: str = "flint-ml-results"
    online: bool = False
    env: Mapping[str, str] = field(default_factory=dict)

    def section(self, name: str) -> Mapping[str, Any]:
        """A section of ``flint-ml.yml``."""
        return self.settings.get(name) or {}

    @property
    def command(self) -> str:
        """What trains."""
        return str(self.section("gate").get("command") or "dvc repro")


def guarded(area: str, checks: Callable[[Project], Iterable[Check]], project: Project) -> Iterator[Check]:
    """The checks of one area; what the user's files throw becomes a line of the list."""
    try:
        yield from checks(project)
    except FlintError as error:
        place = f"{error.where}: " if error.where else ""
        yield Check(area, "failure", f"{place}{error.message}", error.hint or "correct the file")
