"""Paths that a user gives: relative to the working directory, and inside the workspace on a runner."""

from __future__ import annotations

from pathlib import Path

from flint_ml.errors import InputError
from flint_ml.git import is_lfs_pointer, pointer_error


class Workspace:
    """Resolve path inputs.

    Parameters
    ----------
    root
        The workspace.
    working_directory
        Folder, relative to ``root``, that path inputs start from.
    confined
        Refuse paths that leave ``root``, also through symlinks. True on a runner; at a terminal people may
        name any file of theirs.
    """

    def __init__(self, root: Path, working_directory: str = ".", *, confined: bool) -> None:
        self.root = root.resolve()
        self.confined = confined
        self.base = self.root
        # The folder as it is written, its own links not followed.
        self.written = self.root / working_directory
        self.base = self.path(working_directory, "working-directory")
        if not self.base.is_dir():
            raise InputError(
                "no such folder",
                where=f"working-directory: {working_directory}",
                hint="give a folder relative to the root of the repository",
                code="missing-folder",
            )

    def path(self, text: str, name: str = "path") -> Path:
        """The absolute path that the input ``name`` means.

        Raises
        ------
        InputError
            If the path leaves the workspace on a runner, or holds a NUL character.
        """
        if "\x00" in text:
            raise InputError("a path cannot hold a NUL character", where=name)
        path = self.base / text
        resolved = path.resolve()
        if self.confined and not resolved.is_relative_to(self.root):
            raise InputError(
                f"{text!r} leads out of the workspace",
                where=name,
                hint="give a path inside the checked-out repository",
                code="outside-workspace",
            )
        return resolved

    def existing(self, text: str, name: str = "path") -> Path:
        """Like :meth:`path`, for something that must exist."""
        path = self.path(text, name)
        if not path.exists():
            raise InputError(
                f"{text!r} does not exist",
                where=name,
                hint="check the spelling; if DVC tracks it, run pull-data before this step",
                code="missing-file",
            )
        if is_lfs_pointer(path):
            raise pointer_error(self.relative(path))
        return path

    def relative(self, path: Path) -> str:
        """``path`` relative to the workspace, with forward slashes, as outputs give it."""
        resolved = path.resolve()
        if resolved.is_relative_to(self.root):
            return resolved.relative_to(self.root).as_posix()
        return resolved.as_posix()
