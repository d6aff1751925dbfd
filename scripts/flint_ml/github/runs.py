"""Another workflow run: its facts, its pull request, its artifact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flint_ml.errors import OutsideError
from flint_ml.github.client import ForbiddenError, GitHub

MAX_ARTIFACT = 50 * 1024 * 1024


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
    data = _reading(github, f"{{repo}}/actions/runs/{run_id}")
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
    try:
        found = [
            artifact
            for artifact in github.pages(f"{{repo}}/actions/runs/{run.run_id}/artifacts", name=name)
            if artifact["name"] == name and not artifact["expired"]
        ]
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


def _reading(github: GitHub, path: str) -> dict[str, Any]:
    try:
        return dict(github.get(path))
    except ForbiddenError as error:
        raise _may_not_read(error) from None


def _may_not_read(error: ForbiddenError) -> OutsideError:
    return OutsideError(
        error.message, where=error.where, hint="give the job `permissions: actions: read`", code="may-not-read-runs"
    )
