"""Two workflows: the second reports on the first one's run, whose artifact may hold anything."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import pytest

from commands.post_report.test_post_report import TOKEN, Runner, event, good, png
from flint_ml.record import MAX_RECORDS
from flint_ml.report import unpack
from flint_ml.report.source import MAX_FILES
from githubapi.server import FakeGitHub, Fault, Server
from helpers.records import HEAD, make

RELAY = {"workflow_run": {"id": 77, "head_sha": HEAD, "head_branch": "change"}}


@pytest.fixture
def fake():
    github = FakeGitHub()
    with Server(github):
        github.add_pull(6, HEAD, owner="o")
        github.add_pull(7, HEAD, owner="somebody")
        github.add_run(77, HEAD, owner="somebody")
        yield github
    assert github.problems == []


@pytest.fixture
def runner(tmp_path, fake):
    folder = tmp_path / "workspace"
    folder.mkdir()
    return Runner(folder, fake)


def files(*records) -> dict[str, bytes]:
    return {f"{record.name}.json": record.to_json().encode() for record in records}


def test_the_second_workflow_posts_the_first_ones_report(runner, fake):
    figure = {"title": "Error", "alt": "near 0", "path": "compare-metrics/error.png"}
    found = [*good()[:3], make("compare-metrics", figures=[figure])]
    fake.add_artifact(1, 77, "flint-ml-results", {"train.json": b"{}"})
    fake.add_artifact(2, 77, "flint-ml-results", {**files(*found), "compare-metrics/error.png": png()})
    fake.add_artifact(3, 77, "other", b"x")
    assert runner(the_event=RELAY, head="d" * 40) == 0
    assert (runner.outputs["decision"], runner.outputs["pull-request"]) == ("review", "7"), "a fork may write anything"
    first = next(line for line in runner.body.splitlines() if line.startswith("## "))
    assert first.startswith("## 🟡 Review: compare-metrics passed; but the change comes from a fork, whose own")
    assert "**To do:** read its code first" in runner.body
    assert "\ndvc repro\n" not in runner.body, "a fork's command is not offered for copying"
    assert fake.refs == {}, "a fork's pictures are not put into the repository"
    assert "data:image/png" in (runner.results / "report.html").read_text()
    assert fake.of(6) == []


def test_a_run_of_the_same_repository_can_be_named(runner, fake):
    fake.add_run(78, HEAD, owner="o")
    for record in (found := good()):
        record.provenance.run_id = "78"
    fake.add_artifact(2, 78, "results", files(*found))
    assert runner(the_event={}, run_id="78", artifact="results") == 0
    assert runner.outputs["pull-request"] == "6"
    assert "from a fork" not in fake.of(6)[0]["body"]


def test_a_newer_head_means_stale_and_nothing_is_posted(runner, fake):
    fake.add_pull(7, "f" * 40, owner="somebody")
    fake.add_artifact(2, 77, "flint-ml-results", files(*good()))
    assert runner(the_event=RELAY) == 0
    assert (runner.outputs["posted"], runner.outputs["decision"]) == ("false", "review")
    assert "moved on" in runner.annotations("notice")[0]
    assert fake.comments == []


def test_a_run_without_artifact_did_not_run(runner, fake):
    assert runner(the_event=RELAY) == 0
    assert runner.outputs["decision"] == "review"
    assert "left no artifact" in runner.body


def test_records_that_name_another_run_are_not_believed(runner, fake):
    forged = [make(name, provenance={"run_id": "1"}) for name in ("pull-data", "check-drift", "train")]
    fake.add_artifact(2, 77, "flint-ml-results", files(*forged))
    assert runner(the_event=RELAY) == 0
    assert runner.outputs["decision"] == "review"
    assert "Ignored" in runner.body


def test_what_is_missing_is_said(runner, fake):
    assert runner(the_event=RELAY, token="") == 2
    assert "actions: read" in runner.annotations("error")[0]
    fake.faults.append(Fault("GET", "/actions/", status=403, times=9))
    assert runner(the_event=RELAY) == 3
    assert "actions: read" in runner.annotations("error")[0]
    fake.faults.clear()
    assert runner(the_event=event(), run_id="5") == 2


def _zip(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_unpack_takes_records_and_pictures_and_nothing_else(tmp_path):
    names = [
        "../out.json",
        "/etc/x.json",
        "a/b.json",
        "..\\x.json",
        "C:x.json",
        ".hidden.json",
        "a/../../x.png",
        "run.sh",
        "a/b/c.png",
        "a/x.svg",
        "post-report.json",
        "report.html",
        "a/.x.png",
        "train.json\n",
        "a\x00b.json",
    ]
    good_names = {"train.json": b"{}", "train/x.png": png()}
    assert unpack(_zip({**dict.fromkeys(names, b"{}"), **good_names}), tmp_path / "results") == []
    written = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert written == ["results/train.json", "results/train/x.png"]


def test_unpack_does_not_believe_sizes_and_stops_at_its_limits(tmp_path):
    bomb = _zip({"bomb.json": b"0" * (5 * 1024 * 1024), "small.json": b"{}"})
    assert unpack(bomb, tmp_path) == ["bomb.json: is too large, encrypted or damaged"]
    lying = bytearray(bomb)
    place = lying.index(b"PK\x01\x02")
    lying[place + 24 : place + 28] = struct.pack("<I", 10)
    assert unpack(bytes(lying), tmp_path / "lying")[0].startswith("bomb.json")
    many = _zip({f"r{number}.json": b"{}" for number in range(MAX_FILES + 5)})
    assert f"{MAX_FILES + 5} files" in unpack(many, tmp_path / "many")[0]
    assert len(list((tmp_path / "many").iterdir())) <= MAX_RECORDS
    for damaged in (b"", b"PK\x03\x04 broken", b"x" * 100):
        assert unpack(damaged, tmp_path / "none") == ["the artifact is not a zip file"]
    later = bytearray(_zip({"a.json": b"{}"}))
    place = later.index(b"PK\x01\x02")
    later[place + 6 : place + 8] = struct.pack("<H", 64)  # a version of the format that is not there yet
    assert unpack(bytes(later), tmp_path / "none") == ["the artifact is not a zip file"]
    crooked = bytearray(_zip({"a.json": json.dumps({"k": list(range(500))}).encode()}))
    crooked[60:80] = b"\x00" * 20
    assert unpack(bytes(crooked), tmp_path / "crooked") == ["a.json: is too large, encrypted or damaged"]


def test_a_broken_picture_in_the_artifact_is_dropped(tmp_path):
    assert unpack(_zip({"a/x.png": b"<svg onload=alert(1)>"}), tmp_path / "results") == []
    assert not (tmp_path / "results").exists()


def test_the_token_does_not_follow_the_redirect(runner, fake):
    fake.add_artifact(2, 77, "flint-ml-results", files(*good()))
    assert runner(the_event=RELAY, token=TOKEN) == 0
    assert any(request["path"].startswith("/_artifacts/") for request in fake.requests)
