"""Another workflow run: its facts, its pull request, its artifact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flint_ml.errors import OutsideError
from flint_ml.github.client import ForbiddenError, GitHub

MAX_ARTIFACT = 50 * 1024 * 1024
MAX_RUNS = 10
# Events whose runs are of the branch itself and not of a pull request.
_OWN_EVENTS = ("push", "schedule", "workflow_dispatch", "repository_dispatch", "merge_group")


@dataclass(frozen=True)
class WorkflowRun:
    """A run as GitHub tells it; nothing here comes from what the run wrote."""

    run_id: int
    number: int
    attempt: int
    head_sha: str
    head_owner: str
    head_branch: str
    head_repository: str
    url: str


def find_run(github: GitHub, run_id: int) -> WorkflowRun:
    """The workflow run ``run_id``."""
    return _run(_reading(github, f"{{repo}}/actions/runs/{run_id}"))


def _run(data: Mapping[str, Any]) -> WorkflowRun:
    head = data.get("head_repository") or {}
    return WorkflowRun(
        run_id=int(data["id"]),
        number=int(data["run_number"]),
        attempt=int(data.get("run_attempt") or 1),
        head_sha=str(data["head_sha"]),
        head_owner=str((head.get("owner") or {}).get("login") or ""),
        head_branch=str(data.get("head_branch") or ""),
        head_repository=str(head.get("full_name") or ""),
        url=str(data["html_url"]),
    )


def successful(github: GitHub, branch: str, workflow: str = "", but: str | None = None) -> Iterator[WorkflowRun]:
    """Successful runs on ``branch`` of this very repository, newest first, at most MAX_RUNS.

    Parameters
    ----------
    workflow
        File name of the workflow (``model-gate.yml``); empty: any workflow.
    but
        Identifier of a run that does not count: the present one.
    """
    path = f"{{repo}}/actions/workflows/{quote(workflow, safe='')}/runs" if workflow else "{repo}/actions/runs"
    found = _reading(github, path, branch=branch, status="success", per_page=MAX_RUNS)
    for data in found["workflow_runs"]:
        run = _run(data)
        # A pull request may come from a branch of the same name, of a fork even: that is no run on the branch.
        own = run.head_repository.lower() == github.repository.lower() and data.get("event") in _OWN_EVENTS
        if own and run.head_branch == branch and data.get("conclusion") == "success" and str(run.run_id) != but:
            yield run


def newest_results(
    github: GitHub, found: Iterator[WorkflowRun], names: Sequence[str]
) -> tuple[WorkflowRun, bytes] | None:
    """The first of the runs that has an artifact: the first of ``names``, a ``*`` at the end stands for any ending.

    Raises
    ------
    OutsideError
        If runs and artifacts may not be read, or GitHub is not to be had.
    """

    def choose(there: Sequence[str]) -> str | None:
        fitting = (
            name
            for wanted in names
            for name in there
            if name == wanted or (wanted.endswith("*") and name.startswith(wanted[:-1]))
        )
        return next(fitting, None)

    for run in found:
        data = _download(github, run, choose)
        if data is not None:
            return run, data
    return None


def find_pull(github: GitHub, run: WorkflowRun) -> dict[str, Any] | None:
    """The open pull request whose head is the run's owner, branch and commit; None where the head has moved on.

    ``workflow_run.pull_requests`` is empty for forks, and a number in the artifact could be anybody's.
    """
    for pull in github.pages("{repo}/pulls", state="open", head=f"{run.head_owner}:{run.head_branch}"):
        head = pull["head"]
        owner = ((head.get("repo") or {}).get("owner") or head.get("user") or {}).get("login")
        if (owner, head["ref"], head["sha"]) == (run.head_owner, run.head_branch, run.head_sha):
            return dict(pull)
    return None


def download(github: GitHub, run: WorkflowRun, name: str) -> bytes | None:
    """The newest artifact ``name`` of ``run`` as a zip file; None where there is none."""
    return _download(github, run, lambda names: name if name in names else None, name=name)


def _download(
    github: GitHub, run: WorkflowRun, choose: Callable[[Sequence[str]], str | None], **query: str
) -> bytes | None:
    """The newest artifact of the name that ``choose`` takes of those that are there."""
    try:
        there = [
            artifact
            for artifact in github.pages(f"{{repo}}/actions/runs/{run.run_id}/artifacts", **query)
            if not artifact["expired"]
        ]
        name = choose([str(artifact["name"]) for artifact in there])
        found = [artifact for artifact in there if artifact["name"] == name]
        if not found:
            return None
        newest = max(found, key=lambda artifact: int(artifact["id"]))
        if newest["size_in_bytes"] > MAX_ARTIFACT:
            raise OutsideError(
                f"is {newest['size_in_bytes']:,} bytes; {MAX_ARTIFACT:,} are read",
                where=f"artifact {name}",
                code="artifact-too-large",
            )
        return github.download(f"{{repo}}/actions/artifacts/{newest['id']}/zip", MAX_ARTIFACT)
    except ForbiddenError as error:
        raise _may_not_read(error) from None


def _reading(github: GitHub, path: str, **query: str | int) -> dict[str, Any]:
    try:
        return dict(github.get(path, **query))
    except ForbiddenError as error:
        raise _may_not_read(error) from None


def _may_not_read(error: ForbiddenError) -> OutsideError:
    return OutsideError(
        error.message, where=error.where, hint="give the job `permissions: actions: read`", code="may-not-read-runs"
    )
