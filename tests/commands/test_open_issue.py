"""open-issue against the stand-in for GitHub's API: one open issue for each key, whatever happens."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flint_ml.commands.open_issue import ACTION
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands
from githubapi.server import FakeGitHub, Fault, Server

TOKEN = "ghs_openIssueTestToken12345"


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    github = FakeGitHub("o/r")
    with Server(github):
        yield github
    assert github.problems == []


def run(folder: Path, github: FakeGitHub, *, token: str = TOKEN, **given: Any) -> tuple[int, dict[str, Any], str]:
    env = {"GITHUB_TOKEN": token}
    context = Context(
        on_github=True,
        workspace=folder,
        event_name="schedule",
        head_sha="c0ffee",
        repository="o/r",
        run_id="7",
        api_url=github.url,
    )
    printed = io.StringIO()
    commands = Commands(on_github=True, stdout=printed, stderr=printed, env=env)
    values = {"key": "data-update", **{key.replace("_", "-"): value for key, value in given.items()}}
    code = run_action(ACTION, values, env=env, context=context, commands=commands)
    return code, json.loads((folder / "flint-ml-results" / "open-issue.json").read_text()), printed.getvalue()


def of_us(github: FakeGitHub, state: str = "open") -> list[dict[str, Any]]:
    return [i for i in github.issues.values() if i["state"] == state and "flint-ml-key" in i["body"]]


def test_one_issue_is_opened_updated_left_alone_and_closed(tmp_path: Path, fake: FakeGitHub) -> None:
    fake.add_pull(3, "a" * 40)
    for number in range(120):
        fake.add_issue(f"older {number}")
    report = tmp_path / "report.md"
    report.write_text("clay drifted\n", encoding="utf-8")
    given = {"title": "New data  drifted", "body_file": "report.md", "labels": ["data", "drift"]}
    code, record, _ = run(tmp_path, fake, **given)
    assert (code, record["details"]["how"]) == (0, "opened")
    (issue,) = of_us(fake)
    assert issue["number"] == record["details"]["number"]
    assert issue["title"] == "New data drifted"
    assert issue["labels"] == ["data", "drift"]
    assert issue["body"].endswith("-->\nclay drifted\n")
    assert run(tmp_path, fake, **given)[1]["details"]["how"] == "unchanged"
    report.write_text("clay and pH drifted\n", encoding="utf-8")
    assert run(tmp_path, fake, **given)[1]["details"]["how"] == "updated"
    assert [i["body"].splitlines()[-1] for i in of_us(fake)] == ["clay and pH drifted"]
    code, record, _ = run(tmp_path, fake, close=True, body="The batch of today is fine.")
    assert (code, record["headline"]) == (0, f"issue #{issue['number']} closed")
    assert of_us(fake) == []
    assert [c["body"] for c in fake.of(issue["number"])] == ["The batch of today is fine."]
    assert run(tmp_path, fake, close=True)[1]["headline"] == "no open issue to close"


def test_keys_and_authors_are_kept_apart(tmp_path: Path, fake: FakeGitHub) -> None:
    run(tmp_path, fake, title="one")
    forged = fake.add_issue("forged", of_us(fake)[0]["body"].replace("data-update", "x"))
    run(tmp_path, fake, title="two", key="model-changed")
    assert sorted(i["title"] for i in of_us(fake) if i is not forged) == ["one", "two"]
    run(tmp_path, fake, title="one again")
    assert forged["title"] == "forged"


def test_a_lost_answer_makes_no_second_issue(tmp_path: Path, fake: FakeGitHub) -> None:
    fake.faults.append(Fault("POST", "/issues$", lost=True))
    code, record, _ = run(tmp_path, fake, title="t")
    assert (code, record["details"]["how"]) == (0, "opened")
    assert len(of_us(fake)) == 1


def test_of_two_jobs_at_once_one_issue_stays(tmp_path: Path, fake: FakeGitHub) -> None:
    barrier, seen = threading.Barrier(2, timeout=20), set()

    def both_have_looked(method: str, path: str) -> None:
        name = threading.current_thread().name
        if method == "POST" and path.endswith("/issues") and name not in seen:
            seen.add(name)
            barrier.wait()

    fake.before = both_have_looked
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    threads = [threading.Thread(target=run, args=(folder, fake), kwargs={"title": "t"}) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [i["number"] for i in of_us(fake)] == [1]
    assert [i["number"] for i in of_us(fake, "closed")] == [2]


def test_a_long_report_is_cut_at_a_line_end(tmp_path: Path, fake: FakeGitHub) -> None:
    (tmp_path / "report.md").write_text("0123456789\n" * 9_000, encoding="utf-8")
    assert run(tmp_path, fake, title="t", body_file="report.md")[0] == 0
    (issue,) = of_us(fake)
    assert len(issue["body"]) <= 65_000
    assert "0123456789\n\n… cut here" in issue["body"]


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({"token": ""}, 2, "no-token"),
        ({"title": " "}, 2, "invalid-input"),
        ({"title": "t", "body_file": "absent.md"}, 2, "missing-file"),
        ({"title": "t", "body_file": "binary.md"}, 2, "invalid-input"),
    ],
)
def test_bad_input_is_named_and_opens_nothing(
    tmp_path: Path, fake: FakeGitHub, change: dict[str, str], code: int, word: str
) -> None:
    (tmp_path / "binary.md").write_bytes(b"\xff\xfe\x00")
    found, record, printed = run(tmp_path, fake, **change)
    assert (found, record["status"], record["findings"][0]["code"]) == (code, "error", word)
    assert printed.count("::error") == 1
    assert fake.issues == {}


@pytest.mark.parametrize(
    ("fault", "code", "word"),
    [
        (Fault("POST", "/issues$", status=403, body={"message": "Resource not accessible"}), 2, "forbidden"),
        (Fault("GET", "/issues$", status=410, body={"message": "Issues are disabled"}), 2, "not-found"),
        (Fault("GET", "/issues$", status=401, body={"message": "Bad credentials"}), 2, "wrong-token"),
        (Fault("POST", "/issues$", status=422, body={"message": "Validation Failed"}), 2, "refused"),
    ],
)
def test_what_github_refuses_is_said_with_what_to_allow(
    tmp_path: Path, fake: FakeGitHub, fault: Fault, code: int, word: str
) -> None:
    fake.faults.append(fault)
    found, record, printed = run(tmp_path, fake, title="t")
    assert (found, record["findings"][0]["code"]) == (code, word)
    assert TOKEN not in printed.replace(f"::add-mask::{TOKEN}", "")
    if word in ("forbidden", "not-found"):
        assert "issues: write" in record["findings"][0]["hint"]
