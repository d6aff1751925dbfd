"""Which revision a change is compared with, by event (docs/architecture.md, "Base revision")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flint_ml.data.git import Git
from flint_ml.errors import InputError

_ZERO = "0" * 40
_FETCH = "set `fetch-depth: 0` on actions/checkout"


@dataclass(frozen=True)
class Base:
    """The base revision: its commit and how it was found, in words for the report."""

    commit: str
    how: str


def find_base(
    git: Git, event_name: str = "", event: Mapping[str, Any] | None = None, explicit: str | None = None
) -> Base | None:
    """The base revision of this run, or None where there is nothing to compare with.

    Parameters
    ----------
    git
        The repository.
    event_name, event
        GitHub's event, empty at a terminal.
    explicit
        A revision that the user named (`auto`, empty or None: find it); it must exist.

    Raises
    ------
    InputError
        If the revision exists by rights but is not in this clone.
    """
    if explicit and explicit != "auto":
        commit = git.commit(explicit)
        if commit is None:
            commit = git.commit(f"origin/{explicit}")
        if commit is None:
            raise _missing(git, explicit)
        return Base(commit, f"`{explicit}`")
    event = event or {}
    if git.commit("HEAD") is None:
        return None
    if "pull_request" in event:
        return _of_pull_request(git, event["pull_request"] or {})
    if event_name == "merge_group":
        sha = str((event.get("merge_group") or {}).get("base_sha") or "")
        return _known(git, sha, "the base of the merge group")
    if event_name == "push":
        before = str(event.get("before") or "")
        if before and before != _ZERO and git.commit(before):
            return Base(before, "the commit before the push")
        return _parent(git, "the commit before")
    if event_name:
        return _parent(git, "the commit before")
    return _of_terminal(git)


def _missing(git: Git, revision: str) -> InputError:
    shallow = " (this is a shallow clone)" if git.shallow else ""
    return InputError(
        f"the base revision `{revision}` is not in this clone{shallow}",
        where="base-revision",
        hint=f"{_FETCH}, or fetch that revision before this step",
        code="base-not-fetched",
    )


def _known(git: Git, sha: str, how: str) -> Base:
    if not git.commit(sha):
        raise _missing(git, sha)
    return Base(sha, how)


def _parent(git: Git, how: str) -> Base | None:
    parents = git.parents("HEAD")
    if parents:
        return _known(git, parents[0], how)
    if git.shallow:
        raise _missing(git, "HEAD^1")
    return None


def _of_pull_request(git: Git, pull: Mapping[str, Any]) -> Base | None:
    head_sha = str((pull.get("head") or {}).get("sha") or "")
    base_sha = str((pull.get("base") or {}).get("sha") or "")
    branch = str((pull.get("base") or {}).get("ref") or "")
    if git.commit("HEAD") != head_sha and len(git.parents("HEAD")) > 1:
        return _known(git, git.parents("HEAD")[0], f"`{branch}`, which the change is merged with")
    for revision in (f"origin/{branch}" if branch else "", base_sha):
        commit = git.merge_base("HEAD", revision) if revision and git.commit(revision) else None
        if commit:
            return Base(commit, f"where the change left `{branch}`")
    raise _missing(git, branch or base_sha)


def _of_terminal(git: Git) -> Base | None:
    branch = git.default_branch()
    commit = git.merge_base("HEAD", branch) if branch else None
    if commit is None:
        return None
    if commit != git.commit("HEAD"):
        return Base(commit, f"where this branch left `{branch}`")
    if git.dirty:
        return Base(commit, "the last commit")
    return _parent(git, "the commit before")
