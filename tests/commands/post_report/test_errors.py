"""Whatever GitHub answers: never two comments, never a lost report."""

from __future__ import annotations

from functools import partial

import pytest

from commands.post_report.test_post_report import BOT, Runner, good
from flint_ml.github.client import GitHub
from flint_ml.github.sticky import Marker
from githubapi.server import FakeGitHub, Fault, Server
from helpers.records import HEAD

DENIED = {"message": "Resource not accessible by integration"}
# What writing meets, how post-report then ends, and whether the report is on the pull request.
FAULTS = {
    "403": ({"times": 99, "status": 403, "body": DENIED}, 0, False),
    "403, a limit": ({"status": 403, "headers": {"retry-after": "3"}}, 0, True),
    "404": ({"times": 99, "status": 404}, 2, False),
    "422": ({"times": 99, "status": 422}, 2, False),
    "429": ({"times": 2, "status": 429, "headers": {"retry-after": "1"}}, 0, True),
    "429 for ever": ({"times": 999, "status": 429, "headers": {"retry-after": "30"}}, 3, False),
    "500": ({"times": 2, "status": 500}, 0, True),
    "503 for ever": ({"times": 999, "status": 503}, 3, False),
    "no answer": ({"times": 2, "drop": True}, 0, True),
    "no answer for ever": ({"times": 999, "drop": True}, 3, False),
    "answer lost": ({"times": 1, "lost": True}, 0, True),
}


@pytest.fixture(autouse=True)
def _time(monkeypatch):
    """Time that passes only in waiting, so that no test waits."""
    now = [0.0]
    patient = partial(GitHub, sleep=lambda seconds: now.__setitem__(0, now[0] + seconds), clock=lambda: now[0])
    monkeypatch.setattr("flint_ml.commands.post_report.GitHub", patient)


@pytest.fixture
def fake():
    github = FakeGitHub()
    with Server(github):
        github.add_pull(7, HEAD)
        yield github
    assert github.problems == []


@pytest.fixture
def runner(tmp_path, fake):
    (tmp_path / "workspace").mkdir()
    return Runner(tmp_path / "workspace", fake)


def ours(fake):
    return [comment for comment in fake.of(7) if comment["user"]["login"] == BOT]


def kept(runner) -> None:
    """The report is where people find it, whatever became of the comment."""
    assert "## 🟢 Approve" in runner.summary
    for name in ("report.md", "report.html"):
        assert "Approve" in (runner.results / name).read_text(encoding="utf-8")


CASES = [(name, 45) for name in FAULTS]
CASES += [(name, older) for older in (0, 250) for name in ("403", "404", "422", "429", "500", "answer lost")]


@pytest.mark.parametrize(("name", "older"), CASES)
def test_never_two_comments_and_never_a_lost_report(runner, fake, name, older):
    for number in range(older):
        fake.add_comment(7, f"older {number}")
    fault, code, posted = FAULTS[name]
    runner.put(*good())
    fake.faults.append(Fault("POST", "/comments", **fault))
    assert runner(12) == code
    assert runner.outputs["posted"] == str(posted).lower()
    kept(runner)
    assert len(ours(fake)) <= 1
    fake.faults.clear()
    assert runner(13, title="Second") == 0, "the next run puts it right"
    assert [comment["body"].count("# Second") for comment in ours(fake)] == [1]
    fake.faults.append(Fault("PATCH", "/comments", **fault))
    assert runner(14, title="Third") == code
    kept(runner)
    assert len(ours(fake)) == 1
    assert ("# Third" in ours(fake)[0]["body"]) == (posted or fault.get("lost", False))


@pytest.mark.parametrize("name", ["429", "500", "no answer"])
def test_disturbed_reading_is_repeated(runner, fake, name):
    fake.faults.append(Fault("GET", "/comments", **FAULTS[name][0]))
    runner.put(*good())
    assert runner() == 0
    assert len(ours(fake)) == 1


def test_on_an_enterprise_server(runner, fake):
    fake.url += "/api/v3"
    runner.put(*good())
    assert runner() == 0
    assert [runner() for _ in range(2)] == [0, 0]
    assert len(ours(fake)) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/comments$", {"message": "ok"}),
        ("/comments$", {"items": ["text", 3, None]}),
        ("/comments$", "text"),
        ("/comments$", [["x"], None, 3, {"id": "x"}, {"body": 3, "user": "me"}]),
        ("/pulls/7$", []),
        ("/pulls/7$", {"head": None}),
        ("/git/", {"sha": None}),
        ("/git/", [1]),
    ],
)
def test_an_answer_of_another_shape_does_not_keep_the_report_from_being_written(runner, fake, path, body):
    fake.faults.append(Fault("", path, times=999, status=200, body=body))
    runner.put(*good())
    assert runner(check_run=True) in (0, 3)
    kept(runner)
    assert "Traceback" not in runner.log
    assert "defect" not in runner.log


def test_a_bot_of_somebody_else_cannot_stop_the_report(runner, fake):
    forged = str(Marker("model gate", 10**9, 1, HEAD))
    fake.add_comment(7, f"{forged}\nforged", login="evil[bot]", kind="Bot")
    fake.add_comment(7, f"{forged}\nimplausible", login=BOT, kind="Bot")
    runner.put(*good())
    assert runner() == 0
    assert runner.outputs["posted"] == "true"
    assert ["Approve" in comment["body"] for comment in ours(fake)] == [True]
    assert [c["body"].endswith("forged") for c in fake.of(7) if c["user"]["login"] == "evil[bot]"] == [True]


def test_a_full_disk_still_posts_what_is_in_memory(runner, fake, monkeypatch):
    runner.put(*good())

    def full(path, *_):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("flint_ml.report.files.write_atomically", full)
    monkeypatch.setattr("flint_ml.record.write_atomically", full)
    assert runner() == 3
    assert "Approve" in ours(fake)[0]["body"]
    assert "No space left on device" in runner.err
    assert "Traceback" not in runner.err
