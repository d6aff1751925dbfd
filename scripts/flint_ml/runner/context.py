"""Where this process runs: on a GitHub runner or a terminal, for which event, commit and pull request."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flint_ml.errors import InputError
from flint_ml.git import Event

MAX_EVENT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Context:
    """Facts of the run, read once from the environment and the event file.

    ``head_sha`` is the commit that people know: a pull request's head, not the merge commit that GitHub makes.
    """

    on_github: bool
    workspace: Path
    event_name: str = ""
    event: Mapping[str, Any] = field(default_factory=dict)
    sha: str | None = None
    head_sha: str | None = None
    ref: str = ""
    repository: str = ""
    run_id: str | None = None
    run_number: int | None = None
    run_attempt: int = 1
    server_url: str = "https://github.com"
    api_url: str = "https://api.github.com"
    runner_debug: bool = False
    hosted: bool = False

    @property
    def git_event(self) -> Event:
        """What of the event decides about base and tree."""
        return Event(self.event_name, self.event, self.sha, self.ref)

    @property
    def pull_request(self) -> int | None:
        """Number of the pull request of this event, if it has one."""
        number = self.git_event.part("pull_request").get("number")
        return int(number) if isinstance(number, int) else None

    @property
    def default_branch(self) -> str | None:
        """The repository's default branch, as the event names it."""
        return self.git_event.default_branch or None

    @property
    def from_fork(self) -> bool:
        """Whether the pull request comes from another repository, so that the token only reads."""
        pull = self.git_event.part("pull_request")
        return bool(pull) and self.git_event.part("pull_request", "head", "repo").get("full_name") != self.repository

    @property
    def run_url(self) -> str | None:
        """Address of the workflow run."""
        if not (self.repository and self.run_id):
            return None
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}"


def _event(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    file = Path(path)
    if not file.is_file() or file.stat().st_size > MAX_EVENT_BYTES:
        return {}
    try:
        event = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"the event file is not JSON: {error}", where=path) from None
    return event if isinstance(event, dict) else {}


def _git_head(folder: Path) -> str | None:
    result = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip() or None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def read_context(env: Mapping[str, str] | None = None) -> Context:
    """Read the context from ``env`` (default: the process's environment)."""
    env = os.environ if env is None else env
    on_github = env.get("GITHUB_ACTIONS") == "true"
    if not on_github:
        here = Path.cwd()
        return Context(on_github=False, workspace=here, head_sha=_git_head(here))
    workspace = Path(env.get("GITHUB_WORKSPACE") or Path.cwd())
    event = _event(env.get("GITHUB_EVENT_PATH"))
    sha = env.get("GITHUB_SHA") or None
    head = Event(payload=event).part("pull_request", "head").get("sha")
    return Context(
        on_github=True,
        workspace=workspace,
        event_name=env.get("GITHUB_EVENT_NAME", ""),
        event=event,
        sha=sha,
        head_sha=str(head or "") or sha or _git_head(workspace),
        ref=env.get("GITHUB_REF", ""),
        repository=env.get("GITHUB_REPOSITORY", ""),
        run_id=env.get("GITHUB_RUN_ID") or None,
        run_number=_number(env.get("GITHUB_RUN_NUMBER")),
        run_attempt=_number(env.get("GITHUB_RUN_ATTEMPT")) or 1,
        server_url=(env.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/"),
        api_url=(env.get("GITHUB_API_URL") or "https://api.github.com").rstrip("/"),
        runner_debug=env.get("RUNNER_DEBUG") == "1",
        hosted=env.get("RUNNER_ENVIRONMENT") == "github-hosted",
    )
