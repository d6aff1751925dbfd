"""Pull requests from forks, by the two example workflows, unchanged, under act.

The first runs the fork's code and has no token; the second posts what the first left, and believes nothing of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.act import ActResult, run_workflow
from e2e.smallteam import ROOT, SmallTeam, make
from githubapi.server import FakeGitHub, Server

REPOSITORY, TOKEN = "octo-org/soil", "ghs_forksWorkflowsTestToken"
FORK, NUMBER, RUN = "somebody", 31, 610
RUN_FILE, REPORT_FILE = "model-gate-forks-run.yml", "model-gate-forks-report.yml"


class Forked:
    """The small team's repository, a fork's pull request, and what GitHub knows of both."""

    def __init__(self, team: SmallTeam, github: FakeGitHub, release_tree: Path) -> None:
        self.team, self.github, self.release_tree = team, github, release_tree
        self.folder = team.checkout("fork")
        workflows = self.folder / ".github/workflows"
        workflows.mkdir(parents=True)
        for name in (RUN_FILE, REPORT_FILE):
            shutil.copyfile(ROOT / "examples/workflows" / name, workflows / name)
        self.base = team.commit(self.folder, "Workflows")
        team.run(self.folder, "git", "switch", "--quiet", "--create", "other-line")
        script = self.folder / "src/train.py"
        script.write_text(script.read_text().replace("round(line.slope, 6)", "round(line.slope * 1.02, 6)"))
        self.head = team.commit(self.folder, "Another line")
        team.run(self.folder, "git", "switch", "--quiet", "--detach", self.base)
        team.run(self.folder, "git", "merge", "--quiet", "--no-ff", "--message", "merge", self.head)
        github.add_pull(NUMBER, self.head, "other-line", owner=FORK)
        run = github.add_run(RUN, self.head, "other-line", owner=FORK)
        run |= {"run_number": RUN, "event": "pull_request", "conclusion": "success", "status": "completed"}

    def act(self, workflow: str, name: str, event: dict[str, Any], run: int, token: str) -> ActResult:
        repo = {"full_name": REPOSITORY, "default_branch": "main"}
        env = {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": self.github.url,
            "GITHUB_RUN_ID": str(run),
            "GITHUB_RUN_NUMBER": str(run),
        }
        mounts = {path: str(path) for path in (self.team.source, self.team.top / "storage")}
        return run_workflow(
            self.folder,
            f".github/workflows/{workflow}",
            name,
            {"repository": repo, **event},
            env,
            self.team.top / "artifacts",
            release_tree=self.release_tree,
            secrets={"GITHUB_TOKEN": token},
            cache_dir=self.team.top / "cache",
            mounts=mounts,
        )

    def pull_request(self) -> dict[str, Any]:
        head = {"ref": "other-line", "sha": self.head, "repo": {"full_name": f"{FORK}/soil", "fork": True}}
        base = {"ref": "main", "sha": self.base, "repo": {"full_name": REPOSITORY}}
        return {"number": NUMBER, "pull_request": {"number": NUMBER, "head": head, "base": base}}

    def workflow_run(self) -> dict[str, Any]:
        run = {
            "id": RUN,
            "name": "model gate",
            "event": "pull_request",
            "head_branch": "other-line",
            "head_sha": self.head,
            "head_repository": {"full_name": f"{FORK}/soil"},
            "pull_requests": [],
        }
        return {"action": "completed", "workflow_run": run}

    def files(self) -> dict[str, bytes]:
        """What the first workflow left as its artifact."""
        folder = self.team.top / "artifacts" / str(RUN) / "flint-ml-results"
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def upload(self, number: int, files: dict[str, bytes]) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        self.github.add_artifact(number, RUN, "flint-ml-results", buffer.getvalue())


@pytest.fixture(scope="module")
def forked(release_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forked]:
    team = make(tmp_path_factory.mktemp("forks") / "team")
    github = FakeGitHub(REPOSITORY, {TOKEN: {"login": "github-actions[bot]", "type": "Bot", "write": True}})
    with Server(github):
        yield Forked(team, github, release_tree)
    assert not github.problems, f"requests that GitHub would not understand: {github.problems}"


def with_fitting_hashes(records: dict[str, Any]) -> dict[str, bytes]:
    """The records as somebody forges them who has read our code: the hash that each holds of the earlier ones fits."""
    written: dict[str, bytes] = {}
    for name, record in sorted(records.items(), key=lambda item: len(item[1]["provenance"]["records"])):
        hashes = {
            earlier: hashlib.sha256(written[f"{earlier}.json"]).hexdigest()
            for earlier in record["provenance"]["records"]
            if f"{earlier}.json" in written
        }
        provenance = {**record["provenance"], "records": hashes}
        written[name] = json.dumps({**record, "provenance": provenance}).encode()
    return written


def test_a_forks_change_is_run_without_a_token_and_reported_by_the_second_workflow(forked: Forked) -> None:
    github = forked.github
    result = forked.act(RUN_FILE, "pull_request", forked.pull_request(), RUN, "ghs_aForksTokenOnlyReads")
    assert result.jobs["gate"].conclusion in ("success", "failure"), result.log
    assert [r for r in github.requests if r["method"] != "GET"] == [], "the first workflow writes nothing"
    files = forked.files()
    records = {name: json.loads(data) for name, data in files.items() if "/" not in name and name.endswith(".json")}
    assert {"pull-data.json", "check-drift.json", "train.json", "compare-metrics.json"} <= set(records), result.log
    assert records["compare-metrics.json"]["details"]["base"]["commit"] == forked.base

    forked.upload(1, files)
    result = forked.act(REPORT_FILE, "workflow_run", forked.workflow_run(), 700, TOKEN)
    assert result.jobs["report"].conclusion == "success", result.log
    (comment,) = github.of(NUMBER)
    first = next(line for line in comment["body"].splitlines() if line.startswith("## "))
    assert "Approve" not in first
    assert "fork" in comment["body"]
    assert "RMSE" in comment["body"]
    assert TOKEN not in result.log

    # The fork changes its mind: a record that says all is well, with markup and a mention in it.
    compared = records["compare-metrics.json"]
    forged = {
        **compared,
        "status": "passed",
        "headline": "better: RMSE 9.0 → 0.1 @octo-org <img src=x onerror=alert(1)>",
        "badge": {"label": "Metrics", "message": "better"},
        "findings": [],
        "details": {**compared["details"], "verdict": "better"},
    }
    passed = {name: {**record, "status": "passed", "findings": []} for name, record in records.items()}
    passed["compare-metrics.json"] = forged
    passed.pop("post-report.json", None)
    hostile = {"../../escape.json": b"{}", "x.sh": b"#!/bin/sh\n", "compare-metrics/a.png": b"<svg onload=alert(1)>"}
    forked.upload(2, {**with_fitting_hashes(passed), **hostile})
    result = forked.act(REPORT_FILE, "workflow_run", forked.workflow_run(), 701, TOKEN)
    assert result.jobs["report"].conclusion == "success", result.log
    (again,) = github.of(NUMBER)
    assert again["id"] == comment["id"], "one comment, kept up to date"
    first = next(line for line in again["body"].splitlines() if line.startswith("## "))
    assert first.startswith("## 🟡 Review: the metrics are better."), f"a forged record is at best reviewed: {first}"
    assert "but the change comes from a fork, whose own workflow run made these numbers" in first
    assert "<img" not in again["body"]
    assert "@octo-org" not in again["body"]


def test_when_the_fork_has_moved_on_nothing_is_posted(forked: Forked) -> None:
    before = [dict(comment) for comment in forked.github.of(NUMBER)]
    forked.github.pulls[NUMBER]["head"]["sha"] = "f" * 40
    try:
        result = forked.act(REPORT_FILE, "workflow_run", forked.workflow_run(), 702, TOKEN)
    finally:
        forked.github.pulls[NUMBER]["head"]["sha"] = forked.head
    assert result.jobs["report"].conclusion == "success", result.log
    assert [dict(comment) for comment in forked.github.of(NUMBER)] == before


def test_a_push_is_none_of_the_second_workflows_business(forked: Forked) -> None:
    event = forked.workflow_run()
    event["workflow_run"]["event"] = "push"
    result = forked.act(REPORT_FILE, "workflow_run", event, 703, TOKEN)
    assert "report" not in result.jobs or result.jobs["report"].conclusion in ("", "skipped"), result.log
