"""Which revision a change is compared with, by event (docs/architecture.md, "Base revision")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from flint_ml.errors import InputError
from flint_ml.git.repository import Git

_ZERO = "0" * 40
_FETCH = "set `fetch-depth: 0` on actions/checkout"


@dataclass(frozen=True)
class Base:
    """The base revision: its commit and how it was found, in words for the report."""

    commit: str
    how: str


class Fetcher(Protocol):
    """Brings what a shallow clone lacks into it."""

    def commit(self, revision: str) -> str | None:
        """Fetch a commit, branch or tag; its commit, or None where the server has none such."""

    def merge_base(self, one: str, other: str) -> str | None:
        """Find and fetch the best common ancestor of two commits."""


def find_base(
    git: Git,
    event_name: str = "",
    event: Mapping[str, Any] | None = None,
    explicit: str | None = None,
    fetcher: Fetcher | None = None,
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
    fetcher
        Asked for what a shallow clone lacks; None: nothing is fetched.

    Raises
    ------
    InputError
        If the revision exists by rights but is not in this clone.
    """
    here = _Clone(git, fetcher if git.shallow else None)
    if explicit and explicit != "auto":
        commit = git.commit(explicit) or git.commit(f"origin/{explicit}") or here.fetched(explicit)
        if commit is None:
            raise _missing(git, explicit)
        return Base(commit, f"`{explicit}`")
    event = event or {}
    if git.commit("HEAD") is None:
        return None
    if "pull_request" in event:
        return _of_pull_request(here, event["pull_request"] or {})
    if event_name == "merge_group":
        sha = str((event.get("merge_group") or {}).get("base_sha") or "")
        return _known(here, sha, "the base of the merge group")
    if event_name == "push":
        before = str(event.get("before") or "")
        if before and before != _ZERO and (git.commit(before) or here.fetched(before)):
            return Base(before, "the commit before the push")
        return _parent(here, "the commit before")
    if event_name:
        return _parent(here, "the commit before")
    return _of_terminal(here)


@dataclass(frozen=True)
class _Clone:
    """The clone and, where it is shallow, the way to what it lacks."""

    git: Git
    fetcher: Fetcher | None

    def fetched(self, revision: str) -> str | None:
        return self.fetcher.commit(revision) if self.fetcher and revision else None


def _missing(git: Git, revision: str) -> InputError:
    shallow = " (this is a shallow clone)" if git.shallow else ""
    return InputError(
        f"the base revision `{revision}` is not in this clone{shallow}",
        where="base-revision",
        hint=f"{_FETCH}, or fetch that revision before this step",
        code="base-not-fetched",
    )


def _known(here: _Clone, sha: str, how: str, shown: str = "") -> Base:
    if not (here.git.commit(sha) or here.fetched(sha)):
        raise _missing(here.git, shown or sha)
    return Base(sha, how)


def _parent(here: _Clone, how: str) -> Base | None:
    # A shallow clone hides the parents of its last commit, which itself still names them.
    parents = here.git.recorded_parents("HEAD")
    return _known(here, parents[0], how, "HEAD^1") if parents else None


def _of_pull_request(here: _Clone, pull: Mapping[str, Any]) -> Base | None:
    git = here.git
    head_sha = str((pull.get("head") or {}).get("sha") or "")
    base_sha = str((pull.get("base") or {}).get("sha") or "")
    branch = str((pull.get("base") or {}).get("ref") or "")
    parents = git.recorded_parents("HEAD")
    if git.commit("HEAD") != head_sha and len(parents) > 1:
        return _known(here, parents[0], f"`{branch}`, which the change is merged with", branch)
    left = f"where the change left `{branch}`"
    for revision in (f"origin/{branch}" if branch else "", base_sha):
        commit = git.merge_base("HEAD", revision) if revision and git.commit(revision) else None
        if commit:
            return Base(commit, left)
    head = git.commit("HEAD")
    commit = here.fetcher.merge_base(head, base_sha) if here.fetcher and head and base_sha else None
    if commit:
        return Base(commit, left)
    raise _missing(git, branch or base_sha)


def _of_terminal(here: _Clone) -> Base | None:
    git = here.git
    branch = git.default_branch()
    commit = git.merge_base("HEAD", branch) if branch else None
    if commit is None:
        return None
    if commit != git.commit("HEAD"):
        return Base(commit, f"where this branch left `{branch}`")
    if git.dirty:
        return Base(commit, "the last commit")
    return _parent(here, "the commit before")
