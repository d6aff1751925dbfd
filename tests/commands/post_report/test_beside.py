"""Beside the comment: accepted exceptions, checks that have gone, the check run, the badge."""

from __future__ import annotations

import base64
from xml.etree import ElementTree

import pytest

from commands.post_report.test_post_report import BOT, Runner, event, good
from flint_ml.report.html import svg
from githubapi.server import FakeGitHub, Fault, Server
from helpers.records import HEAD, make


@pytest.fixture
def fake():
    github = FakeGitHub()
    with Server(github):
        github.add_pull(7, HEAD)
        yield github
    assert github.problems == []


@pytest.fixture
def runner(tmp_path, fake):
    folder = tmp_path / "workspace"
    folder.mkdir()
    return Runner(folder, fake)


def drifted():
    return [*good()[:1], make("check-drift", "failed", headline="3 of 21 columns drifted")]


def test_an_exception_accepted_by_somebody_who_may_write_is_shown(runner, fake):
    fake.permissions = {"anna": "write", "bob": "read"}
    fake.add_comment(7, 'We sampled a new site.\r\n/flint-ml accept-drift e4f5a6b "new region"\r\nThanks', login="anna")
    fake.add_comment(7, "/flint-ml accept-drift e4f5a6b because I say so", login="bob")
    fake.add_comment(7, "/flint-ml accept-drift e4f5a6b forged", login="robot[bot]", kind="Bot")
    fake.add_comment(7, "quoted: /flint-ml accept-metrics e4f5a6b x", login="anna")
    runner.put(*drifted())
    assert runner() == 0
    first = runner.body.split("<details>")[0]
    assert "**Accepted:** drift by anna, 2026-11-21: new region" in first
    assert first.count("Accepted") == 1
    assert runner.outputs["decision"] == "request-changes", "it is shown; the advice stays what the records say"


def test_the_last_word_counts_and_it_cannot_bring_markup(runner, fake):
    fake.permissions = {"anna": "admin"}
    fake.add_comment(7, "/flint-ml accept-drift e4f5a6b first", login="anna")
    fake.add_comment(7, "/flint-ml accept-drift e4f5a6b \\<img src=x> @team fixes #1", login="anna")
    runner.put(*drifted())
    assert runner() == 0
    line = next(line for line in runner.body.splitlines() if "Accepted" in line)
    assert "first" not in line
    assert "<img" not in line
    assert "@team" not in line


HIDDEN = {
    "a code block": "```\n{}\n```",
    "a code block that is not closed": "Write this:\n~~~text\n{}",
    "indented code": "Write this:\n\n    {}",
    "a quote": "> anna wrote\n> {}",
    "a lazy quote": "> anna wrote\n{}",
    "a list": "- {}",
    "an HTML comment": "<!--\n{}\n-->",
    "an HTML comment that is not closed": "text\n<!--\n{}",
    "an HTML comment in a line": "nice <!-- x -->\n{}",
    "a tag": "<pre>\n{}\n</pre>",
    "a tag in a line": "see <code>\n{}\n</code>",
    "inline code": "see `\n{}\n`",
    "a longer line": "I would not write {}",
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_an_acceptance_that_nobody_said_does_not_count(runner, fake, kind):
    fake.permissions = {"anna": "admin"}
    fake.add_comment(7, HIDDEN[kind].format('/flint-ml accept-drift e4f5a6b "why"'), login="anna")
    runner.put(*drifted())
    assert runner() == 0
    assert "Accepted" not in runner.body


@pytest.mark.parametrize(
    ("command", "note"),
    [
        ('/flint-ml accept-drift "why"', "accepts drift without naming a commit"),
        ("/flint-ml accept-drift", "accepts drift without naming a commit"),
        ('/flint-ml accept-drift fffffff "why"', "accepted for commit fffffff and not for this one"),
    ],
)
def test_an_acceptance_is_for_one_commit(runner, fake, command, note):
    fake.permissions = {"anna": "write"}
    fake.add_comment(7, command, login="anna")
    runner.put(*drifted())
    assert runner() == 0
    assert "Accepted" not in runner.body
    assert note in runner.body
    assert "/flint-ml accept-drift e4f5a6b" in runner.body


def test_a_label_outlives_its_commit_and_does_not_count(runner, fake):
    label = {"id": 1, "node_id": "x", "url": "https://x", "description": None, "color": "red", "default": False}
    fake.pulls[7]["labels"] = [{**label, "name": "flint-ml: accept-drift"}]
    runner.put(*drifted())
    assert runner() == 0
    assert "Accepted" not in runner.body
    assert "names no commit, so it does not count" in runner.body


def test_a_check_that_has_gone_is_marked_outdated(runner):
    runner.put(*good(), make("site-check", "failed", message="Failed"))
    assert runner(12) == 0
    assert "❌ site-check: Failed" in runner.body
    (runner.results / "site-check.json").unlink()
    for number in (13, 14):
        assert runner(number) == 0
        assert "site-check: outdated, no longer part of this run" in runner.body
    runner.put(make("site-check", message="Passed"))
    assert runner(15) == 0
    assert "outdated" not in runner.body


def test_only_our_own_comment_is_asked_for_earlier_checks(runner, fake):
    runner.put(*good(), make("forged-check"))
    assert runner(12) == 0
    stolen = runner.body
    fake.comments.clear()
    fake.add_comment(7, stolen, login="mallory", kind="User")
    # A run of its own: what this run's reports had read before is another matter.
    for name in ("forged-check.json", "post-report.json"):
        (runner.results / name).unlink()
    assert runner(13) == 0
    assert "forged-check" not in runner.body


@pytest.mark.parametrize(
    ("found", "conclusion"), [(good(), "success"), (good()[:3], "neutral"), (drifted(), "failure")]
)
def test_check_run(runner, fake, found, conclusion):
    runner.put(*found)
    assert runner(check_run="true") == 0
    assert [(c["name"], c["head_sha"], c["conclusion"]) for c in fake.check_runs] == [("model gate", HEAD, conclusion)]
    assert fake.check_runs[0]["output"]["title"] == runner.record.headline


def test_a_check_run_that_may_not_be_made_is_a_line_in_the_log(runner, fake):
    fake.faults.append(Fault("POST", "check-runs", status=403))
    runner.put(*good())
    assert runner(check_run="true") == 0
    assert "checks: write" in runner.log
    assert runner.outputs["posted"] == "true"


def test_no_check_run_unless_asked_for(runner, fake):
    runner.put(*good())
    assert runner() == 0
    assert fake.check_runs == []


def test_earlier_comments_that_cannot_be_read_do_not_stop_the_report(runner, fake):
    fake.faults.append(Fault("GET", "/issues/7/comments", status=403))
    runner.put(*good())
    assert runner() == 0
    assert "could not be read" in runner.log
    assert runner.outputs["posted"] == "true"


def test_badge(runner):
    runner.put(*good())
    assert runner() == 0
    root = ElementTree.fromstring((runner.results / "badge.svg").read_text())
    assert root.attrib["aria-label"] == "model gate: passing"


def test_badge_text_is_data():
    root = ElementTree.fromstring(svg("</text><script>alert('x')</script>\" onload=\"", "review"))
    assert {child.tag.split("}")[1] for child in root.iter()} == {"svg", "title", "rect", "g", "text"}


def test_the_badge_is_published_from_the_default_branch_only(runner, fake):
    runner.put(*good())
    assert runner(the_event=event()) == 0
    assert fake.refs == {}
    push = {"repository": {"default_branch": "main"}}
    assert runner(the_event=push, ref="refs/heads/other") == 0
    assert fake.refs == {}
    assert runner(the_event=push, ref="refs/heads/main") == 0
    tree = fake.objects[fake.objects[fake.refs["refs/heads/flint-ml-figures"]]["tree"]]["tree"]
    assert [entry["path"] for entry in tree] == ["badges/model-gate.svg"]
    assert b"passing" in base64.b64decode(fake.objects[tree[0]["sha"]]["data"])
    assert "raw/flint-ml-figures/badges/model-gate.svg" in runner.log
    assert BOT not in runner.log
