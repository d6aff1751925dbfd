"""open-pull-request against the stand-in for GitHub's API, from real checkouts."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flint_ml.commands.open_pull_request import ACTION
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands
from githubapi.server import FakeGitHub, Fault, Server

TOKEN = "ghs_openPullRequestTestToken"
BRANCH = "flint-ml/data-update"


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    github = FakeGitHub("o/r")
    with Server(github):
        yield github
    assert github.problems == []


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *who, *arguments], cwd=folder, env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit, and in its working tree what an update would leave."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for name in ("dvc.lock", "data.csv.dvc", "old.txt", "run.sh", "unchanged.txt"):
        (folder / name).write_text(f"{name} before\n", encoding="utf-8")
    (folder / ".gitignore").write_text("/data.csv\n", encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "first")
    (folder / "dvc.lock").write_text("after\n", encoding="utf-8")
    (folder / "run.sh").write_bytes(b"#!/bin/sh\r\n\xff")
    (folder / "run.sh").chmod(0o755)
    (folder / "old.txt").unlink()
    (folder / "new.json").write_text("{}\n", encoding="utf-8")
    (folder / "data.csv").write_text("1\n", encoding="utf-8")
    return folder


def run(
    folder: Path, github: FakeGitHub, *, token: str = TOKEN, ref: str = "refs/heads/main", **given: Any
) -> tuple[int, dict[str, Any], str]:
    env = {"GITHUB_TOKEN": token}
    context = Context(
        on_github=True,
        workspace=folder,
        event_name="schedule",
        head_sha="c0ffee",
        repository="o/r",
        run_id="7",
        api_url=github.url,
        ref=ref,
    )
    printed = io.StringIO()
    commands = Commands(on_github=True, stdout=printed, stderr=printed, env=env)
    values = {"branch": BRANCH, "title": "New data", **{k.replace("_", "-"): v for k, v in given.items()}}
    code = run_action(ACTION, values, env=env, context=context, commands=commands)
    record = json.loads((folder / "flint-ml-results" / "open-pull-request.json").read_text())
    return code, record, printed.getvalue()


def proposed(github: FakeGitHub) -> tuple[dict[str, Any], dict[str, tuple[str, bytes]]]:
    """The commit that the branch has, and the files that it has besides those of its base."""
    commit = github.objects[github.refs[f"refs/heads/{BRANCH}"]]
    tree = github.objects[commit["tree"]]["tree"]
    blobs = {e["path"]: (e["mode"], base64.b64decode(github.objects[e["sha"]]["data"])) for e in tree}
    return commit, blobs


def test_what_changed_becomes_one_commit_and_one_pull_request(checkout: Path, fake: FakeGitHub) -> None:
    (checkout / "flint-ml-results").mkdir()
    (checkout / "flint-ml-results" / "report.md").write_text("## Approve\n", encoding="utf-8")
    code, record, _ = run(checkout, fake, body="From the lab.", body_file="flint-ml-results/report.md")
    assert (code, record["headline"]) == (0, "pull request #1 opened: 3 files")
    commit, files = proposed(fake)
    assert files == {"dvc.lock": ("100644", b"after\n"), "run.sh": ("100755", b"#!/bin/sh\r\n\xff")}
    assert record["details"]["files"] == ["dvc.lock", "old.txt", "run.sh"]
    assert commit["parents"] == [git(checkout, "rev-parse", "HEAD")]
    assert commit["message"].startswith("New data\n\nFlint-ML-Key: ")
    pull = fake.pulls[1]
    assert (pull["head"]["ref"], pull["base"]["ref"], pull["title"]) == (BRANCH, "main", "New data")
    assert pull["body"].endswith("-->\nFrom the lab.\n\n## Approve\n")
    assert git(checkout, "status", "--porcelain", "dvc.lock") == "M dvc.lock"


def test_a_second_run_changes_nothing_and_newer_data_replace_the_commit(checkout: Path, fake: FakeGitHub) -> None:
    run(checkout, fake)
    before = dict(fake.refs)
    assert run(checkout, fake)[1]["details"]["how"] == "unchanged"
    assert fake.refs == before
    (checkout / "dvc.lock").write_text("newer\n", encoding="utf-8")
    code, record, _ = run(checkout, fake, title="Newer data")
    assert (code, record["details"]["how"], record["details"]["number"]) == (0, "updated", 1)
    commit, files = proposed(fake)
    assert files["dvc.lock"][1] == b"newer\n"
    assert commit["parents"] == [git(checkout, "rev-parse", "HEAD")]
    assert [pull["title"] for pull in fake.pulls.values()] == ["Newer data"]


def test_named_paths_take_new_files_too_and_nothing_else(checkout: Path, fake: FakeGitHub) -> None:
    code, record, _ = run(checkout, fake, paths=["*.json", "./dvc.lock"])
    assert code == 0
    assert record["details"]["files"] == ["dvc.lock", "new.json"]
    assert set(proposed(fake)[1]) == {"dvc.lock", "new.json"}


def test_without_a_change_nothing_is_opened(checkout: Path, fake: FakeGitHub) -> None:
    git(checkout, "checkout", "-q", "--", ".")
    code, record, _ = run(checkout, fake)
    assert (code, record["status"]) == (0, "passed")
    assert "nothing has changed" in record["headline"]
    assert fake.requests == []


def test_somebody_elses_work_on_the_branch_is_left_alone(checkout: Path, fake: FakeGitHub) -> None:
    run(checkout, fake)
    ours = fake.refs[f"refs/heads/{BRANCH}"]
    tree = fake.objects[ours]["tree"]
    theirs = fake._put("commit", {"message": "Mend the units", "tree": tree, "parents": [ours]})
    fake.refs[f"refs/heads/{BRANCH}"] = theirs
    (checkout / "dvc.lock").write_text("newer\n", encoding="utf-8")
    code, record, _ = run(checkout, fake)
    assert (code, record["findings"][0]["code"]) == (2, "branch-not-ours")
    assert fake.refs[f"refs/heads/{BRANCH}"] == theirs


def test_lost_answers_double_nothing(checkout: Path, fake: FakeGitHub) -> None:
    fake.faults += [Fault("POST", "/git/refs$", lost=True), Fault("POST", "/pulls$", lost=True)]
    code, record, _ = run(checkout, fake)
    assert (code, record["details"]["how"]) == (0, "opened")
    assert list(fake.pulls) == [1]


def test_workflow_files_and_large_files_are_refused(checkout: Path, fake: FakeGitHub) -> None:
    workflow = checkout / ".github" / "workflows" / "x.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text("on: push\n", encoding="utf-8")
    code, record, _ = run(checkout, fake, paths=["*"])
    assert (code, record["findings"][0]["code"]) == (2, "workflow-changed")
    (checkout / "dvc.lock").write_bytes(b"0" * 10_000_001)
    code, record, _ = run(checkout, fake)
    assert (code, record["findings"][0]["code"]) == (2, "file-too-large")
    assert fake.requests == []


def test_what_lies_behind_a_link_out_of_the_repository_is_not_read(checkout: Path, fake: FakeGitHub) -> None:
    (checkout / "data").mkdir()
    (checkout / "data/key").write_text("ours\n", encoding="utf-8")
    git(checkout, "add", "data/key")
    git(checkout, "commit", "-qm", "data")
    outside = checkout.parent / "outside"
    outside.mkdir()
    (outside / "key").write_text("a secret\n", encoding="utf-8")
    (checkout / "data/key").unlink()
    (checkout / "data").rmdir()
    (checkout / "data").symlink_to(outside)
    assert run(checkout, fake)[0] == 0
    _, files = proposed(fake)
    assert all(b"secret" not in data for _, data in files.values())
    assert "data/key" not in files


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"token": ""}, "no-token"),
        ({"base": BRANCH}, "invalid-input"),
        ({"branch": "-x"}, "invalid-input"),
        ({"ref": "refs/pull/3/merge", "base": "-x"}, "no-base"),
        ({"body_file": "absent.md"}, "missing-file"),
    ],
)
def test_bad_input_is_named(checkout: Path, fake: FakeGitHub, change: dict[str, str], word: str) -> None:
    code, record, printed = run(checkout, fake, **change)
    assert (code, record["status"], record["findings"][0]["code"]) == (2, "error", word)
    assert printed.count("::error") == 1
    assert fake.pulls == {}


def test_what_github_refuses_is_said_with_what_to_allow(checkout: Path, fake: FakeGitHub) -> None:
    fake.forbid_pulls = True
    code, record, printed = run(checkout, fake)
    assert (code, record["findings"][0]["code"]) == (2, "forbidden")
    assert "create and approve pull requests" in record["findings"][0]["hint"]
    assert TOKEN not in printed.replace(f"::add-mask::{TOKEN}", "")
    fake.faults.append(Fault("POST", "/git/trees$", status=422, body={"message": "base_tree is not a valid tree"}))
    code, record, _ = run(checkout, fake)
    assert (code, record["findings"][0]["code"]) == (2, "commit-not-pushed")


def test_at_a_terminal_the_branch_that_is_checked_out_is_the_base(checkout: Path, fake: FakeGitHub) -> None:
    git(checkout, "switch", "-q", "--create", "spring")
    assert run(checkout, fake, ref="")[0] == 0
    assert fake.pulls[1]["base"]["ref"] == "spring"
