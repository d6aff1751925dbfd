"""Code and data that a model comes from, read from Git and DVC's own files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flint_ml.dvc_project import fingerprint, hash_at, project_folder, tracked, within
from flint_ml.git import Git
from flint_ml.registry.version_tags import Source, pull_request_of


def from_repository(source: Source, git: Git, model: Path) -> Source:
    """``source`` completed from the repository that ``git`` is opened in.

    Branch and pull request are only filled in where the event did not name them.

    Raises
    ------
    InputError
        If one of DVC's files cannot be read.
    """
    root = git.root
    if root is None:
        return replace(source, commit=None)
    project = project_folder(git)
    entries = [entry for entry in tracked(git).values() if within(entry.path, project)]
    return replace(
        source,
        branch=source.branch or git.branch,
        pull_request=source.pull_request or pull_request_of(git.message("HEAD")),
        fingerprint=fingerprint(entries) if entries else None,
        data={entry.path: entry.md5 for entry in entries},
        as_committed=_as_committed(git, root.resolve(), model),
        dirty=git.dirty,
    )


def _as_committed(git: Git, root: Path, model: Path) -> bool | None:
    """Whether the model here is the one that the commit holds; None where the commit holds none."""
    if not model.is_relative_to(root) or git.commit("HEAD") is None:
        return None
    name = model.relative_to(root).as_posix()
    there = hash_at(git, "HEAD", name)
    return None if there is None else there == hash_at(git, None, name)
