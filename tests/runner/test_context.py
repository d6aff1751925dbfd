"""Where a run is: events, commits, paths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flint_ml.errors import InputError
from flint_ml.runner.context import read_context
from flint_ml.runner.workspace import Workspace


def github(folder: Path, event: object, **more: str) -> dict[str, str]:
    path = folder / "event.json"
    path.write_text(event if isinstance(event, str) else json.dumps(event), encoding="utf-8")
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_SHA": "m" * 40,
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": "12",
        "GITHUB_RUN_ATTEMPT": "2",
        "GITHUB_SERVER_URL": "https://ghes.example",
        **more,
    }


def pull(head_repo: str | None = "o/r") -> dict[str, object]:
    repo = {"full_name": head_repo} if head_repo else None
    return {
        "pull_request": {"number": 7, "head": {"sha": "h" * 40, "repo": repo}, "base": {"ref": "main"}},
        "repository": {"default_branch": "trunk"},
    }


def test_a_pull_requests_commit_is_its_head_not_the_merge(tmp_path: Path) -> None:
    context = read_context(github(tmp_path, pull(), GITHUB_EVENT_NAME="pull_request"))
    assert (context.head_sha, context.pull_request, context.default_branch) == ("h" * 40, 7, "trunk")
    assert (context.run_id, context.run_attempt, context.from_fork) == ("12", 2, False)
    assert context.run_url == "https://ghes.example/o/r/actions/runs/12"


@pytest.mark.parametrize("repo", ["stranger/r", None])
def test_a_fork_or_a_deleted_fork_is_foreign(tmp_path: Path, repo: str | None) -> None:
    assert read_context(github(tmp_path, pull(repo))).from_fork


def test_a_push_is_its_own_commit(tmp_path: Path) -> None:
    context = read_context(github(tmp_path, {"before": "b" * 40}, GITHUB_EVENT_NAME="push"))
    assert (context.head_sha, context.pull_request, context.from_fork) == ("m" * 40, None, False)


def test_an_event_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="event file"):
        read_context(github(tmp_path, "{"))
    assert read_context(github(tmp_path, "[]")).event == {}


def test_outside_github_there_is_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    context = read_context({"GITHUB_EVENT_NAME": "push"})
    assert (context.on_github, context.event_name, context.head_sha, context.run_url) == (False, "", None, None)


def test_paths_start_in_the_working_directory_and_stay_in_the_workspace(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a.csv").write_text("x")
    (root / "out").symlink_to(tmp_path)
    workspace = Workspace(root, "sub", confined=True)
    assert workspace.relative(workspace.existing("a.csv")) == "sub/a.csv"
    assert workspace.relative(workspace.path("../b.csv")) == "b.csv"
    for bad in ("../../x", "/etc/passwd", "../out/x"):
        with pytest.raises(InputError, match="leads out of the workspace"):
            workspace.path(bad, "reference")
    with pytest.raises(InputError, match="does not exist"):
        workspace.existing("none.csv", "current")
    with pytest.raises(InputError, match="NUL"):
        workspace.path("a\x00")
    with pytest.raises(InputError, match="no such folder"):
        Workspace(root, "absent", confined=True)
    with pytest.raises(InputError, match="leads out"):
        Workspace(root, "..", confined=True)


def test_at_a_terminal_any_file_may_be_named(tmp_path: Path) -> None:
    root = tmp_path / "here"
    root.mkdir()
    other = tmp_path / "other.csv"
    other.write_text("x")
    assert Workspace(root, confined=False).existing(str(other)) == other.resolve()
