"""Files that a command proposes: shown as a diff, written only where a person says yes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flint_ml.errors import InputError
from flint_ml.hashing import write_atomically

State = Literal["new", "same", "differs"]


@dataclass(frozen=True)
class Proposal:
    """One file: its name for people, its place, the proposed text, and the text that is there (None: no file)."""

    name: str
    place: Path
    text: str
    before: str | None

    @property
    def state(self) -> State:
        """``new`` where no file is, ``same`` where it says this already, else ``differs``."""
        if self.before is None:
            return "new"
        return "same" if self.before == self.text else "differs"

    def diff(self) -> str:
        """What would change, as a unified diff; empty where nothing would."""
        old = (self.before or "").splitlines(keepends=True)
        source = "/dev/null" if self.before is None else f"a/{self.name}"
        lines = difflib.unified_diff(old, self.text.splitlines(keepends=True), source, f"b/{self.name}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def propose(root: Path, name: str, text: str) -> Proposal:
    """A proposal for the file ``name`` below ``root``.

    Raises
    ------
    InputError
        If something is there that is no text file of ours to compare with.
    """
    place = root / name
    if not place.resolve().is_relative_to(root.resolve()):
        raise InputError("is a link out of this folder", where=name, hint="remove the link", code="outside-workspace")
    if not place.exists():
        return Proposal(name, place, text, None)
    try:
        return Proposal(name, place, text, place.read_text(encoding="utf-8"))
    except (IsADirectoryError, UnicodeDecodeError):
        raise InputError("is there, and is no text file", where=name, hint="move it away", code="in-the-way") from None


def workflow_files(root: Path) -> list[Path]:
    """The workflows of the repository at ``root``."""
    folder = root / ".github" / "workflows"
    return sorted(file for file in folder.glob("*.y*ml") if file.is_file()) if folder.is_dir() else []


def write_files(
    proposals: Sequence[Proposal], say: Callable[..., None], command: str, *, yes: bool, dry_run: bool, overwrite: bool
) -> list[str]:
    """Show each proposal as a diff, ask, write; returns the names of what was written.

    Parameters
    ----------
    proposals
        The files, in the order to read them.
    say, command
        What prints for people, and the name of the command that proposes.
    yes, dry_run
        Write without asking; only show.
    overwrite
        Whether a file that is there may be changed; where not, it is shown and left alone.
    """
    for proposal in proposals:
        if proposal.state == "same":
            say(f"\n{proposal.name}: is there already, as it should be.")
            continue
        say(f"\n{proposal.diff()}".rstrip())
        if proposal.state == "differs" and not overwrite:
            say(
                f"\n{proposal.name} is yours and stays as it is. The lines with + are what {command} would write; "
                "copy those that you want."
            )
    to_write = [item for item in proposals if item.state == "new" or (overwrite and item.state == "differs")]
    if not to_write:
        say("\nThere is nothing to write.")
        return []
    names = ", ".join(item.name for item in to_write)
    if dry_run:
        say(f"\nNothing was written (--dry-run). It would be: {names}.")
        return []
    if not yes and not _agreed(f"\nWrite {names}?"):
        say(f"\nNothing was written. `flint-ml {command} --yes` writes without asking.")
        return []
    for proposal in to_write:
        proposal.place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(proposal.place, proposal.text)
    say(f"\nWritten: {names}.")
    return [proposal.name for proposal in to_write]


def _agreed(question: str) -> bool:
    """Whether a person says yes to ``question``; an empty answer, or none at all, is no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False
