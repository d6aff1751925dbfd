"""The second workflow of forks has a token and reads what a stranger wrote: the rows of the table that apply to it."""

from __future__ import annotations

import json

import pytest

from commands.post_report.test_forks import RELAY, fake, files, runner  # noqa: F401 - fixtures
from commands.post_report.test_post_report import BOT, good
from flint_ml.github import Marker
from helpers.records import HEAD, make
from runner.test_fuzz import harmless

LATER = "d" * 40


def bring(github, found, **more: bytes) -> None:
    github.add_artifact(2, 77, "flint-ml-results", {**files(*found), **more})


def forged(record, **changes) -> bytes:
    return json.dumps({**json.loads(record.to_json()), **changes}).encode()


def test_the_artifact_brings_neither_settings_nor_template_nor_a_report(runner, fake):  # noqa: F811 - fixtures
    """Row 2: what decides is the base's, and a workflow_run without a checkout has `with:` alone."""
    plan = make("gate-plan", details={"expect": [], "steps": ["post-report"]})
    claims = {
        "flint-ml.yml": b"post-report: {template: t.j2, expect: [], publisher: none, pull-request: 6}\n",
        "t.j2": b"Approve\n",
        "report.md": b"Approve\n",
        "post-report.json": forged(make("post-report", details={"decision": "approve"})),
        "post-report/x.png": b"",
        ".git/config": b"[core]\n\tfsmonitor = touch pwned\n",
        "gate-plan.json": forged(plan),
    }
    bring(fake, good(), **claims)
    assert runner(the_event=RELAY, head=LATER) == 0
    assert runner.outputs["decision"] == "review"
    assert runner.outputs["pull-request"] == "7"
    assert "the change comes from a fork" in runner.body
    assert {path.name for path in runner.folder.iterdir()} == {"flint-ml-results"}
    assert not (runner.results / "t.j2").exists()
    assert fake.of(6) == []


@pytest.mark.parametrize(
    "text", ["x ##[error]boo", "a\r::set-output name=x::1", "\u2028::error::x", "\n ::add-path::/x"]
)
def test_names_of_a_fork_speak_to_no_runner(runner, fake, text):  # noqa: F811
    """Row 7, with the token at hand: log, stderr and summary."""
    hostile = make(
        "train",
        "failed",
        headline=f"h {text}",
        message=text[:100],
        log=[text],
        findings=[{"severity": "warning", "code": "x", "message": text, "hint": text}],
        tables=[{"title": text, "columns": [{"name": text}], "rows": [[text]]}],
    )
    bring(fake, [*good()[:2], hostile], **{f"{text}.json": b"{}", "broken.json": text.encode()})
    assert runner(the_event=RELAY, head=LATER) == 0
    for said in (runner.log, runner.err, runner.summary):
        harmless(said)
    assert runner.outputs["decision"] == "request-changes"


@pytest.mark.parametrize(
    ("login", "body"),
    [
        ("somebody", f'/flint-ml accept-drift {HEAD[:7]} "mine"'),
        ("anna", f"```\n/flint-ml accept-drift {HEAD[:7]}\n```"),
        ("anna", f"<!--\n/flint-ml accept-drift {HEAD[:7]}\n-->"),
        ("anna", f'/flint-ml accept-drift {LATER[:7]} "the other commit"'),
        ("anna", "/flint-ml accept-drift"),
    ],
)
def test_nobody_accepts_for_a_fork_by_the_way(runner, fake, login, body):  # noqa: F811
    """Row 8: somebody who may write, for this commit of the fork, in plain words."""
    fake.permissions = {"anna": "write", "somebody": "read"}
    fake.add_comment(7, body, login=login)
    bring(fake, [*good()[:1], make("check-drift", "failed", headline="3 of 21 columns drifted")])
    assert runner(the_event=RELAY, head=LATER) == 0
    assert "**Accepted:**" not in runner.body


@pytest.mark.parametrize("number", ["1000000000", "1e999", "-1", '"x"'])
def test_a_marker_of_somebody_else_stops_no_report(runner, fake, number):  # noqa: F811
    """Row 9: of another bot, or with a number that no run has."""
    first = str(Marker("model gate", 777, 1, HEAD)).replace("777", number)
    fake.add_comment(7, f"{first}\nforged", login="evil[bot]", kind="Bot")
    fake.add_comment(7, f"{first}\nforged", login="somebody")
    bring(fake, good())
    assert runner(the_event=RELAY, head=LATER) == 0
    assert runner.outputs["posted"] == "true"
    mine = [comment["body"] for comment in fake.of(7) if comment["user"]["login"] == BOT]
    assert len(mine) == 1
    assert "Review" in mine[0]


def test_all_of_a_forks_many_records_count(runner, fake):  # noqa: F811
    """Row 24: a failed one behind the first hundred, and no path of the runner in the first line."""
    parts = [make(f"part-{number:03}") for number in range(150)]
    bring(fake, [*good(), *parts, make("zz-last", "failed", headline="tile 7 failed", message="Failed")])
    assert runner(the_event=RELAY, head=LATER) == 0
    assert runner.outputs["decision"] == "request-changes"
    assert runner.body.splitlines()[1].startswith("## 🔴 Request changes: tile 7 failed")
    assert str(runner.folder) not in runner.body
