"""post-report from records to comment, files, outputs and exit code, against the stand-in for GitHub."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from flint_ml import record as records
from flint_ml.commands.post_report import ACTION
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands
from githubapi.server import FakeGitHub, Fault, Server
from helpers.records import HEAD, make, metrics_table

TOKEN = "ghs_aVerySecretToken1234567890"
BOT = "github-actions[bot]"


def event(number: int = 7, head: str = HEAD, owner: str = "o") -> dict:
    pull = {
        "number": number,
        "head": {"sha": head, "ref": "change", "repo": {"full_name": f"{owner}/r"}},
        "base": {"ref": "main", "sha": "b" * 40},
    }
    return {"pull_request": pull}


class Runner:
    """A workspace with records in it; calling it is post-report as a runner would start it."""

    def __init__(self, folder: Path, fake: FakeGitHub) -> None:
        self.folder, self.fake = folder, fake
        self.results = folder / "flint-ml-results"
        self.log, self.err, self.files = "", "", folder.parent

    def put(self, *found: records.Record) -> None:
        for record in found:
            records.write(record, self.results)

    def __call__(self, number: int = 12, attempt: int = 1, head: str = HEAD, the_event=None, **given):
        out, err = io.StringIO(), io.StringIO()
        env = {"GITHUB_WORKFLOW": "model gate", "PATH": given.pop("path", "/nowhere")}
        env |= {name: str(self.files / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
            (self.files / name).write_text("")
        the_event = event() if the_event is None else the_event
        kind = next((name for name in ("pull_request", "workflow_run") if name in the_event), "push")
        context = Context(
            on_github=True,
            workspace=self.folder,
            event_name=kind,
            event=the_event,
            head_sha=head,
            repository="o/r",
            run_id="77",
            run_number=number,
            run_attempt=attempt,
            api_url=self.fake.url,
            ref=given.pop("ref", ""),
        )
        commands = Commands(on_github=True, stdout=out, stderr=err, env=env)
        values = {name.replace("_", "-"): value for name, value in {"token": TOKEN, **given}.items()}
        code = run_action(ACTION, values, env=env, context=context, commands=commands)
        self.log, self.err = out.getvalue(), err.getvalue()
        return code

    @property
    def outputs(self) -> dict[str, str]:
        found, lines = {}, (self.files / "GITHUB_OUTPUT").read_text().split("\n")
        while len(lines) > 2:
            name, end = lines.pop(0).split("<<")
            value = []
            while (line := lines.pop(0)) != end:
                value.append(line)
            found[name] = "\n".join(value)
        return found

    @property
    def summary(self) -> str:
        return (self.files / "GITHUB_STEP_SUMMARY").read_text()

    @property
    def record(self) -> records.Record:
        return records.read(self.results / "post-report.json")

    @property
    def body(self) -> str:
        mine = [comment for comment in self.fake.of(7) if comment["user"]["login"] == BOT]
        assert len(mine) == 1
        return mine[0]["body"]

    def annotations(self, level: str) -> list[str]:
        return [line for line in self.log.splitlines() if line.startswith(f"::{level} ")]


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


def good() -> list[records.Record]:
    return [
        make("pull-data", message="complete"),
        make("check-drift", message="Passed", headline="0 of 21 columns drifted"),
        make("train", message="41 s", log=["done"], reproduce=["dvc repro"]),
        make(
            "compare-metrics",
            message="better",
            headline="better: RMSE 1.50 → 1.30",
            tables=[metrics_table()],
            verdict="better",
        ),
    ]


def test_a_good_change_is_approved_in_one_comment(runner, fake):
    for number in range(45):
        fake.add_comment(7, f"comment {number}")
    runner.put(*good())
    assert runner(12) == 0
    first = runner.outputs
    assert (first["decision"], first["posted"], first["pull-request"]) == ("approve", "true", "7")
    assert first["key"] == "model gate"
    assert first["report"] == "flint-ml-results/report.md"
    assert "✅ Data Drift Check: Passed" in runner.body
    assert "RMSE 1.50 → 1.30" in runner.body.split("\n")[1]
    assert runner(13) == 0
    assert runner.outputs["comment-id"] == first["comment-id"]
    assert runner.record.status == "passed"
    assert runner.summary.startswith("## 🟢 Approve")
    assert (runner.results / "report.md").read_text() == runner.body.split("\n", 1)[1].rstrip("\n") + "\n"
    page = (runner.results / "report.html").read_text()
    assert "default-src 'none'" in page
    assert "http-equiv" in page
    assert TOKEN not in runner.log.replace(f"::add-mask::{TOKEN}", "") + runner.err + page


def test_a_crashed_training_requests_changes_with_its_last_lines(runner):
    log = ["fitting", "MemoryError: 8 GiB"]
    train = make("train", "failed", headline="Training failed (exit code 1): MemoryError", log=log)
    runner.put(*good()[:2], train)
    assert runner() == 0
    assert runner.outputs["decision"] == "request-changes"
    assert "MemoryError: 8 GiB" in runner.body.split("<details>")[0]
    assert "⏭️ Metrics: did not run" in runner.body


@pytest.mark.parametrize(
    ("level", "decision", "code"),
    [
        ("never", "request-changes", 0),
        ("request-changes", "request-changes", 1),
        ("request-changes", "review", 0),
        ("review", "review", 1),
        ("review", "approve", 0),
    ],
)
def test_fail_on(runner, level, decision, code):
    found = good()
    if decision != "approve":
        found[1] = make("check-drift", "failed" if decision == "request-changes" else "warned", headline="drift")
    runner.put(*found)
    assert runner(fail_on=level) == code
    assert runner.outputs["decision"] == decision
    assert runner.outputs["posted"] == "true"


def test_stale_records_are_ignored_named_and_kept(runner):
    runner.put(*good()[:3], make("compare-metrics", provenance={"run_id": "76"}))
    assert runner() == 0
    assert runner.outputs["decision"] == "review"
    assert "another run or commit made them: compare-metrics" in runner.body
    assert (runner.results / "compare-metrics.json").is_file()


def test_a_file_that_is_no_record_is_named(runner):
    runner.put(*good())
    (runner.results / "train.json").write_text("{not json")
    assert runner() == 0
    assert runner.outputs["decision"] == "review"
    assert "train.json" in runner.body


@pytest.mark.parametrize("missing", ["token", "pull request"])
def test_without_token_or_pull_request_it_prints_and_exits_0(runner, fake, missing):
    runner.put(*good())
    assert (runner(token="") if missing == "token" else runner(the_event={})) == 0
    assert runner.outputs["posted"] == "false"
    assert runner.outputs["comment-url"] == ""
    assert "## 🟢 Approve" in runner.log
    assert f"no {missing}" in runner.annotations("notice")[0]
    assert fake.requests == []


def test_a_read_only_token_is_warned_and_the_report_is_in_the_summary(runner, fake):
    fake.tokens = {TOKEN: {"login": BOT, "type": "Bot", "write": False}}
    runner.put(*good())
    assert runner(the_event=event(owner="somebody")) == 0
    assert runner.record.status == "warned"
    assert len(runner.annotations("warning")) >= 1
    assert "fork" in runner.record.findings[0].message
    assert "## 🟡 Review" in runner.summary, "a fork's own numbers"
    assert runner.outputs["posted"] == "false"


def test_a_wrong_token_is_the_users_mistake(runner, fake):
    fake.tokens = {}
    runner.put(*good())
    (runner.results / "earlier.txt").write_text("kept")
    assert runner() == 2
    assert len(runner.annotations("error")) == 1
    assert "`token`" in runner.annotations("error")[0]
    assert runner.record.status == "error"
    assert runner.outputs["decision"] == "approve"
    assert "## 🟢 Approve" in runner.summary
    assert (runner.results / "report.html").is_file()
    assert (runner.results / "earlier.txt").read_text() == "kept"
    assert TOKEN not in runner.record.to_json()


def test_a_pull_request_that_is_not_there(runner):
    runner.put(*good())
    assert runner(pull_request="9") == 2
    assert "number of the pull request" in runner.annotations("error")[0]


def test_github_down_is_exit_3_with_the_report_kept(runner, fake, monkeypatch):
    monkeypatch.setattr("flint_ml.commands.post_report.EXTRAS_DEADLINE", 0.0)
    monkeypatch.setattr("flint_ml.commands.post_report._client.__defaults__", (0.0,))
    fake.faults.append(Fault(status=503, times=99))
    runner.put(*good())
    assert runner() == 3
    assert runner.record.status == "error"
    assert "503" in runner.annotations("error")[0]
    assert "## 🟢 Approve" in runner.summary
    assert (runner.results / "report.md").is_file()


def test_an_older_run_says_that_a_newer_one_has_reported(runner):
    runner.put(*good())
    assert runner(13) == 0
    newer = runner.body
    assert runner(12) == 0
    assert runner.body == newer
    assert runner.outputs["posted"] == "false"
    assert "newer run" in runner.annotations("notice")[0]


def test_a_report_about_an_older_commit_is_not_posted(runner, fake):
    fake.add_pull(7, "f" * 40)
    runner.put(*good())
    assert runner() == 0
    assert runner.outputs["posted"] == "false"
    assert fake.comments == []


def test_publisher_none_posts_nothing(runner, fake):
    runner.put(*good())
    assert runner(publisher="none") == 0
    assert (fake.requests, runner.outputs["posted"]) == ([], "false")
    assert runner.outputs["key"] == "model gate"


def test_publisher_cml_without_cml_points_to_the_example(runner):
    runner.put(*good())
    assert runner(publisher="cml") == 2
    assert "publisher: none" in runner.annotations("error")[0]
    assert runner.record.status == "error"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pull_request": "seven"}, "pull-request"),
        ({"figures": "pictures"}, "figures"),
        ({"fail_on": "approve"}, "fail-on"),
        ({"publisher": "gitlab"}, "publisher"),
        ({"template": "no/such.j2"}, "template"),
        ({"template": "../../etc/passwd"}, "workspace"),
    ],
)
def test_bad_inputs(runner, given, words):
    runner.put(*good())
    assert runner(**given) == 2
    assert len(runner.annotations("error")) == 1
    assert words in runner.annotations("error")[0]
    assert runner.record.status == "error"


def test_a_template_of_ones_own(runner):
    runner.put(*good())
    (runner.folder / "mine.j2").write_text("{{ report.word }} by {{ '<b>us</b>' }} {{ report.table | grid }}")
    assert runner(template="mine.j2") == 0
    assert "Approve by &lt;b&gt;us&lt;/b&gt;" in runner.body
    (runner.folder / "mine.j2").write_text("{{ report.nothing }}")
    assert runner(template="mine.j2") == 2
    (runner.folder / "mine.j2").write_text("{{ ''.__class__.__mro__[1].__subclasses__() }}")
    assert runner(template="mine.j2") == 2
    (runner.folder / "mine.j2").write_text("{{ 'x' * 70000 }}")
    assert runner(template="mine.j2") == 2
    assert "70,0" in runner.annotations("error")[0]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "longer than"),
        ("{{ 'a' * 10000000000 }}", "more memory"),
        ("{{ 'x' | center(10000000000) }}", "more memory"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion"),
        ("{{ 2 ** 99999999999 }}", "longer than"),
    ],
)
def test_a_template_without_end_is_stopped(runner, monkeypatch, template, words):
    monkeypatch.setattr("flint_ml.report.render.MAX_TEMPLATE_SECONDS", 2)
    runner.put(*good())
    (runner.folder / "mine.j2").write_text(template)
    assert runner(template="mine.j2") == 2
    assert words in runner.annotations("error")[0]


def test_all_of_many_records_count_and_the_failed_one_comes_first(runner):
    parts = [make(f"part-{number:03}") for number in range(150)]
    runner.put(*good(), *parts, make("zz-last", "failed", headline="tile 7 failed", message="Failed"))
    assert runner() == 0
    assert runner.outputs["decision"] == "request-changes"
    assert runner.body.splitlines()[1] == "## 🔴 Request changes: tile 7 failed"
    assert "❌ zz-last: Failed" in runner.body
    assert str(runner.folder) not in runner.body


def test_what_stands_for_a_command_in_a_log_is_broken(runner):
    text = "x ##[error]forged ::error::forged"
    log = [text, "::set-output name=decision::approve", "\u2028::error::x"]
    runner.put(*good()[:2], make("train", "failed", headline=text, log=log))
    assert runner() == 0
    report = runner.log.split("::group::Report")[1].split("::endgroup::")[0]
    assert "##[" not in report
    assert not [line for line in report.splitlines()[1:] if line.lstrip().startswith("::")]


def test_at_a_terminal(tmp_path):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    for record in good():
        record.provenance.head_sha, record.provenance.run_id = head, None
        records.write(record, tmp_path / "flint-ml-results")
    command = [sys.executable, "-m", "flint_ml", "post-report"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "## 🟢 Approve" in result.stdout
    assert json.loads((tmp_path / "flint-ml-results/post-report.json").read_text())["details"]["decision"] == "approve"


def png(colour: int = 0) -> bytes:
    """A small PNG."""
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), (colour, 100, 200)).save(buffer, "PNG")
    return buffer.getvalue()


FIGURE = {
    "title": "Prediction error",
    "alt": "both centred near 0",
    "path": "compare-metrics/error.png",
    "fallback": {"kind": "line", "x": ["-1", "0", "1"], "series": [{"name": "main", "y": [1, 5, 1]}]},
}


def pictured(runner) -> list[records.Record]:
    (runner.results / "compare-metrics").mkdir(parents=True)
    (runner.results / "compare-metrics/error.png").write_bytes(png())
    return [*good()[:3], make("compare-metrics", figures=[FIGURE], tables=[metrics_table()])]


def test_figures_are_pictures_on_a_branch_where_the_token_may_write(runner, fake):
    runner.put(*pictured(runner))
    assert runner(12) == 0
    address = re.search(r'<img src="(https://github.com/o/r/raw/flint-ml-figures/(figures/\w+\.png))"', runner.body)
    commit = fake.objects[fake.refs["refs/heads/flint-ml-figures"]]
    assert commit["parents"] == []
    tree = fake.objects[commit["tree"]]["tree"]
    assert [entry["path"] for entry in tree] == [address[2]]
    assert base64.b64decode(fake.objects[tree[0]["sha"]]["data"]) == png()
    assert "data:image/png" in (runner.results / "report.html").read_text()
    head = fake.refs["refs/heads/flint-ml-figures"]
    assert runner(13) == 0
    assert fake.refs["refs/heads/flint-ml-figures"] == head, "the same picture is not committed again"
    (runner.results / "compare-metrics/error.png").write_bytes(png(9))
    assert runner(14) == 0
    commit = fake.objects[fake.refs["refs/heads/flint-ml-figures"]]
    assert commit["parents"] == [head]
    assert len(fake.objects[commit["tree"]]["tree"]) == 2


def test_the_branch_moves_while_we_write(runner, fake):
    fake.faults.append(Fault("POST", "git/refs$", status=422, times=2))
    runner.put(*pictured(runner))
    assert runner() == 0
    assert "flint-ml-figures/figures/" in runner.body


@pytest.mark.parametrize(
    "fault", [Fault("POST", "git/blobs", status=403, times=9), Fault("POST", "git/", status=422, times=99)]
)
def test_without_permission_the_figure_is_a_diagram_and_the_log_says_why(runner, fake, fault):
    fake.faults.append(fault)
    runner.put(*pictured(runner))
    assert runner() == 0
    assert "```mermaid" in runner.body
    assert "<img" not in runner.body
    assert "drawn from their data" in runner.log


@pytest.mark.parametrize(("mode", "word"), [("mermaid", "```mermaid"), ("none", "")])
def test_other_figure_modes_write_nothing(runner, fake, mode, word):
    runner.put(*pictured(runner))
    assert runner(figures=mode) == 0
    assert word in runner.body
    assert ("mermaid" in runner.body) == (mode == "mermaid")
    assert fake.refs == {}


def test_a_fork_writes_no_branch(runner, fake):
    runner.put(*pictured(runner))
    assert runner(the_event=event(owner="somebody"), figures="branch") == 0
    assert fake.refs == {}
    assert "```mermaid" in runner.body


def test_a_broken_picture_is_not_shown(runner):
    runner.put(*pictured(runner))
    (runner.results / "compare-metrics/error.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 100)
    assert runner() == 0
    assert "<img" not in runner.body + (runner.results / "report.html").read_text()


def test_pictures_of_the_users_pipeline(runner, fake):
    (runner.folder / "plots").mkdir()
    (runner.folder / "plots/confusion_matrix.png").write_bytes(png(1))
    (runner.folder / "plots/notes.txt").write_text("x")
    runner.put(*good())
    assert runner(images=["plots/*.png"]) == 0
    assert 'alt="confusion matrix"' in runner.body
    assert "data:image/png" in (runner.results / "report.html").read_text()
    assert runner.record.figures[0].path == "post-report/1-confusion_matrix.png"
    assert (runner.results / runner.record.figures[0].path).read_bytes() == png(1)
    for wrong in (["plots/notes.txt"], ["plots/none.png"], ["../../*.png"], ["/etc/*"]):
        assert runner(images=wrong) == 2
        assert len(runner.annotations("error")) == 1
