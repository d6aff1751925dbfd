"""Which revision a change is compared with, and whether the tree here is the change's, by event.

docs/architecture.md, "Base revision", has the table. The event decides; a revision that somebody names must be one
that the change did not make itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flint_ml.errors import InputError
from flint_ml.git.repository import Git

_ZERO = "0" * 40
_FETCH = "set `fetch-depth: 0` on actions/checkout"
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# Commits above the pull request's head that are looked through one by one where the history is cut.
_MAX_EXTRA = 50
# Their run is started from the default branch, whatever the job checks out then.
ON_DEFAULT = ("schedule", "repository_dispatch", "workflow_run", "issue_comment")


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
        """Find and fetch the best common ancestor of two commits; ``other`` may name a branch."""


@dataclass(frozen=True)
class Event:
    """What of GitHub's event decides about base and tree; empty at a terminal."""

    name: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    sha: str | None = None
    ref: str = ""

    def part(self, *keys: str) -> Mapping[str, Any]:
        value: Any = self.payload
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, Mapping) else {}

    @property
    def pull_request(self) -> Mapping[str, Any] | None:
        """The event's pull request, None where it has none."""
        return self.part("pull_request") if "pull_request" in self.payload else None

    @property
    def proposes(self) -> bool:
        """Whether the event is about a change that is not merged yet."""
        return self.pull_request is not None or self.name == "merge_group"

    @property
    def head(self) -> str:
        """The head commit that the event names: a pull request's or a merge group's, or empty."""
        part, key = ("merge_group",), "head_sha"
        if self.pull_request is not None:
            part, key = ("pull_request", "head"), "sha"  # type: ignore[assignment]
        sha = str(self.part(*part).get(key) or "")
        return sha if _SHA.fullmatch(sha) else ""

    @property
    def target(self) -> tuple[str, str]:
        """The branch that the change goes to, and the commit that the event knows of it; each may be empty."""
        if self.name == "merge_group":
            group = self.part("merge_group")
            return str(group.get("base_ref") or "").removeprefix("refs/heads/"), str(group.get("base_sha") or "")
        base = self.part("pull_request", "base")
        return str(base.get("ref") or ""), str(base.get("sha") or "")

    @property
    def default_branch(self) -> str:
        """Name of the repository's default branch, or empty."""
        return str(self.part("repository").get("default_branch") or "")


@dataclass(frozen=True)
class Tree:
    """How the tree here stands to the one that the event is about.

    Attributes
    ----------
    extra
        Commits on top of the pull request's head, newest first, such as a formatter's.
    doubt
        Why it is not known to be the change's; empty where it is.
    """

    extra: tuple[str, ...] = ()
    doubt: str = ""


def find_base(
    git: Git,
    event: Event | None = None,
    explicit: str | None = None,
    fetcher: Fetcher | None = None,
) -> Base | None:
    """The base revision of this run, or None where there is nothing to compare with.

    Parameters
    ----------
    git
        The repository.
    event
        GitHub's event, None at a terminal.
    explicit
        A revision that the user named (`auto`, empty or None: find it); it must exist and, for a pull request, must
        not be a commit of the change itself.
    fetcher
        Asked for what a shallow clone lacks; None: nothing is fetched.

    Raises
    ------
    InputError
        If the revision exists by rights but is not in this clone, or is the change's own.
    """
    clone = _Clone(git, fetcher if git.shallow else None)
    event = event or Event()
    if explicit and explicit != "auto":
        return _explicit(clone, event, explicit)
    if git.commit("HEAD") is None:
        return None
    if event.pull_request is not None:
        return _of_pull_request(clone, event)
    if event.name == "merge_group":
        return _known(clone, event.target[1], "the base of the merge group")
    if not event.name:
        return _of_terminal(git)
    on_default = on_default_branch(git, event, fetcher)
    if not on_default and (base := _where_it_left(clone, event)):
        return base
    if event.name == "push":
        before = str(event.payload.get("before") or "")
        if before and before != _ZERO and (git.commit(before) or clone.fetched(before)):
            return Base(before, "the commit before the push")
    if on_default is None and git.shallow:
        raise _missing(git, event.default_branch or "the default branch")
    return _parent(clone, "the commit before")


def on_default_branch(git: Git, event: Event, fetcher: Fetcher | None = None) -> bool | None:
    """Whether HEAD is a commit of the default branch; None where this clone does not tell."""
    branch, head = event.default_branch, git.commit("HEAD")
    remote = git.commit(f"refs/remotes/origin/{branch}") if branch else None
    if head is None:
        return None
    if head == remote or (head == event.sha and branch and event.ref == f"refs/heads/{branch}" and remote is None):
        return True
    if remote is not None and (not git.shallow or git.merge_base(head, remote)):
        return git.is_ancestor(head, remote)
    if not branch:
        name = git.default_branch()
        return git.is_ancestor(head, name) if name else None
    if head == event.sha and (event.name in ON_DEFAULT or event.ref == f"refs/heads/{branch}"):
        return True
    if git.shallow and fetcher is not None and (common := fetcher.merge_base(head, branch)):
        return common == head
    return None if git.shallow or git.commit(branch) is None else git.is_ancestor(head, branch)


def judged_tree(git: Git, event: Event, pull_request: int | None = None, fetcher: Fetcher | None = None) -> Tree:
    """Whether the tree here is the change that the event, or the input ``pull_request``, is about.

    Raises
    ------
    InputError
        If it is another one: a result about it would be told as one about the change.
    """
    head = git.commit("HEAD")
    if head is None:
        return Tree()
    if not event.proposes:
        comment = event.name == "issue_comment" and event.part("issue").get("pull_request") is not None
        dispatch = event.name in ("workflow_dispatch", "repository_dispatch") and pull_request is not None
        if (comment or dispatch) and on_default_branch(git, event, fetcher):
            number = pull_request or event.part("issue").get("number") or "N"
            raise _other_tree(
                f"the tree here is the default branch's ({head[:7]}), not the one of pull request #{number}",
                f"check out the change: `with: {{ref: refs/pull/{number}/merge, fetch-depth: 0}}` on actions/checkout",
            )
        return Tree()
    if not event.head or event.head == head:
        return Tree()
    extra = _above(git, event.head)
    if extra is not None:
        return Tree(extra=extra)
    what = "the merge group" if event.name == "merge_group" else "the pull request"
    if git.shallow and git.commit(event.head) is None and head not in (event.target[1], event.sha):
        return Tree(doubt=f"whether {head[:7]} holds {what}'s head {event.head[:7]} is not to be seen in this clone")
    if git.commit(event.head) is None and not git.shallow and event.name == "pull_request":
        return Tree(doubt=f"the tree here ({head[:7]}) is another repository's: it does not know {event.head[:7]}")
    if head == event.sha and event.name == "pull_request" and len(git.recorded_parents("HEAD")) > 1:
        return Tree(doubt=f"{head[:7]} is a merge of another head than the event's {event.head[:7]}")
    raise _other_tree(
        f"the tree here is {head[:7]}, without {what}'s head {event.head[:7]}",
        "check out the change: on `pull_request` by leaving out `ref`; on `pull_request_target`, in a job without "
        "secrets, by `ref: refs/pull/${{ github.event.number }}/merge`",
    )


def _other_tree(message: str, hint: str) -> InputError:
    return InputError(message, where="the checkout", hint=hint, code="another-tree")


def _above(git: Git, head: str) -> tuple[str, ...] | None:
    """Commits of HEAD's line above ``head``, or above the merge of it; None where HEAD does not hold it."""
    extra: list[str] = []
    commit = git.commit("HEAD")
    while commit and len(extra) < _MAX_EXTRA:
        parents = git.recorded_parents(commit)
        if commit == head or head in parents[1:]:
            return tuple(extra)
        extra.append(commit)
        commit = parents[0] if parents else None
    return tuple(extra[:1]) if git.is_ancestor(head, "HEAD") else None


def _explicit(clone: _Clone, event: Event, name: str) -> Base:
    """A revision that somebody named: on the remote first, for a local name may be anybody's."""
    git = clone.git
    exact = _SHA.fullmatch(name) is not None
    local = exact or not event.name or re.match(r"HEAD(?![\w/.-])", name)
    names = [name] if local else [f"refs/remotes/origin/{name}", f"refs/tags/{name}", name]
    if not event.name:
        names.append(f"origin/{name}")
    commit = next((found for each in names if (found := git.commit(each))), None) or clone.fetched(name)
    if commit is None:
        raise _missing(git, name)
    if event.proposes:
        _refuse_own(clone, event, commit, name)
    return Base(commit, f"`{name[:12] if exact else name}`")


def _refuse_own(clone: _Clone, event: Event, commit: str, name: str) -> None:
    git = clone.git
    # A shallow clone does not tell ancestors; what the change is merged with is its own parent there.
    own = git.is_ancestor(commit, "HEAD") or commit == event.head
    target = _target(clone, event)
    if own and not (target and (commit == target or git.is_ancestor(commit, target))):
        raise InputError(
            f"`{name}` is a commit of this change: it cannot be its own base",
            where="base-revision",
            hint="name a commit of the branch that the change goes to, or leave `base-revision` out",
            code="base-of-change",
        )


def _target(clone: _Clone, event: Event) -> str | None:
    """The newest known commit of the branch that the change goes to."""
    git = clone.git
    branch, sha = event.target
    merge = _merge_of(git, event.head)
    if merge:
        return git.recorded_parents(merge)[0]
    return (git.commit(f"refs/remotes/origin/{branch}") if branch else None) or (sha if git.commit(sha) else None)


def _merge_of(git: Git, head: str) -> str | None:
    """The commit of HEAD's line that merges ``head`` into the target: GitHub's merge commit."""
    commit = git.commit("HEAD")
    for _ in range(_MAX_EXTRA):
        parents = git.recorded_parents(commit) if commit else []
        if not head or not parents or commit == head:
            return None
        if head in parents[1:]:
            return commit
        commit = parents[0]
    return None


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


def _known(clone: _Clone, sha: str, how: str, shown: str = "") -> Base:
    if not (clone.git.commit(sha) or clone.fetched(sha)):
        raise _missing(clone.git, shown or sha)
    return Base(sha, how)


def _parent(clone: _Clone, how: str) -> Base | None:
    # A shallow clone hides the parents of its last commit, which itself still names them.
    parents = clone.git.recorded_parents("HEAD")
    return _known(clone, parents[0], how, "HEAD^1") if parents else None


def _where_it_left(clone: _Clone, event: Event) -> Base | None:
    """Where this branch left the default branch; None where that is HEAD itself or the clone does not tell."""
    git, branch, head = clone.git, event.default_branch, clone.git.commit("HEAD")
    for revision in (f"refs/remotes/origin/{branch}", branch) if branch else (git.default_branch(),):
        commit = git.merge_base("HEAD", revision) if revision and git.commit(revision) else None
        if commit:
            shown = branch or str(revision).removeprefix("origin/")
            return Base(commit, f"where this branch left `{shown}`") if commit != head else None
    commit = clone.fetcher.merge_base(head, branch) if clone.fetcher and head and branch else None
    return Base(commit, f"where this branch left `{branch}`") if commit and commit != head else None


def _of_pull_request(clone: _Clone, event: Event) -> Base | None:
    git = clone.git
    branch, base_sha = event.target
    merge = _merge_of(git, event.head)
    head = git.commit("HEAD")
    if merge is None and event.head and head != event.head and _above(git, event.head) is None:
        # A merge of another head than the event knows: GitHub's own, made anew meanwhile.
        merge = head if len(git.recorded_parents("HEAD")) > 1 else None
    if merge:
        return _known(clone, git.recorded_parents(merge)[0], f"`{branch}`, which the change is merged with", branch)
    left = f"where the change left `{branch}`"
    for revision in (f"refs/remotes/origin/{branch}" if branch else "", base_sha):
        commit = git.merge_base("HEAD", revision) if revision and git.commit(revision) else None
        if commit:
            return Base(commit, left)
    for revision in (branch, base_sha):
        commit = clone.fetcher.merge_base(head, revision) if clone.fetcher and head and revision else None
        if commit:
            return Base(commit, left)
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
    return _parent(_Clone(git, None), "the commit before")
