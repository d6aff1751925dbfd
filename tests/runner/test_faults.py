"""What goes wrong around an action: its record, its outputs, its terminal, its folder, its secrets."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flint_ml.record import Column, Finding, Metric, Table, altered, read_all
from flint_ml.runner import Action, ActionInputs, Commands, Context, Job, Outcome, run_action
from flint_ml.runner import scratch as scratches
from flint_ml.text.sanitize import sanitize
from flint_ml.text.secrets import is_secret, redact, secret_values

COMMAND = re.compile(r"^\s*::[^:]+.*::|##\[")


def action(outcome: Outcome) -> Action:
    return Action(
        name="check", summary="s", description="d", badge="Check", inputs=ActionInputs, run=lambda inputs, job: outcome
    )


def act(folder: Path, outcome: Outcome, env: dict[str, str] | None = None) -> tuple[int, str, dict[str, Any] | None]:
    out, err = io.StringIO(), io.StringIO()
    env = env or {}
    commands = Commands(on_github=True, stdout=out, stderr=err, env=env)
    context = Context(on_github=True, workspace=folder, run_id="1", head_sha="a" * 40)
    code = run_action(action(outcome), {}, env=env, context=context, commands=commands)
    file = folder / "flint-ml-results/check.json"
    return code, out.getvalue() + err.getvalue(), json.loads(file.read_text()) if file.is_file() else None


def test_a_record_that_cannot_be_written_closes_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flint_ml.record.write", full)
    code, log, record = act(tmp_path, Outcome("passed", "fine", "Passed"))
    assert (code, record) == (3, None)
    assert "the record could not be written" in log


@pytest.mark.parametrize(("variable", "expected"), [("GITHUB_STEP_SUMMARY", 0), ("GITHUB_OUTPUT", 3)])
@pytest.mark.parametrize("kind", ["absent", "folder"])
def test_a_summary_may_be_lost_and_an_output_may_not(tmp_path: Path, variable: str, expected: int, kind: str) -> None:
    target = tmp_path / ("nowhere/file" if kind == "absent" else "")
    code, log, record = act(tmp_path, Outcome("passed", "fine", "Passed"), {variable: str(target)})
    assert (code, bool(record)) == (expected, True)
    assert log.count(f"{variable} cannot be written") == 1


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("arguments", [["--help"], ["gate-plan"], ["record", "--name", "x", "--", "echo", "hi"]])
def test_a_terminal_without_our_letters_ends_nothing(tmp_path: Path, encoding: str, arguments: list[str]) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "INPUT_"))}
    env |= {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "flint_ml", *arguments], cwd=tmp_path, env=env, capture_output=True, check=False
    )
    assert (done.returncode, b"Traceback" in done.stdout + done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize(
    "secret", ["pass", "model", "flint", "check", "abc", "warning", "x-passed-y", "s3cr3t-pässwörd"]
)
def test_a_secret_that_is_a_word_of_the_record_leaves_a_record(tmp_path: Path, secret: str) -> None:
    outcome = Outcome(
        "passed",
        f"signed in with {secret}",
        "Passed",
        metrics={"check": Metric(value=1.0)},
        tables=[Table(title="T", columns=[Column(name="line")], rows=[[f"password={secret}"]])],
        findings=[Finding(severity="warning", code="check-model", message=f"({secret})")],
        details={"url": f"https://u:{secret}@host"},
    )
    code, log, record = act(tmp_path, outcome, {"MLFLOW_TRACKING_PASSWORD": secret})
    assert code == 0
    assert record is not None
    assert record["headline"] == "signed in with ***"
    assert record["details"]["url"] == "https://u:***@host"
    assert record["tables"][0]["rows"] == [["password=***"]]
    assert (record["findings"][0]["severity"], record["findings"][0]["message"]) == ("warning", "(***)")
    assert f"signed in with {secret}" not in log


NAMES = [
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "DATABASE_URL",
    "PGPASSWORD",
    "PGPASSFILE_CONTENT_PASS",
    "MLFLOW_TRACKING_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "INPUT_TOKEN",
    "INPUT_SSH-KEY",
    "MY_API_KEY",
    "SSH_PRIVATE_KEY",
    "GOOGLE_CREDENTIALS",
    "HTTP_BASIC_AUTH",
    "SLACK_WEBHOOK",
    "DB_DSN",
    "AZURE_STORAGE_SAS_TOKEN",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["PWD", "OLDPWD", "PATH", "SSH_AUTH_SOCK", "GIT_ASKPASS", "INPUT_KEY", "AUTHOR", "KEYS"]
)
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("MLFLOW_TRACKING_URI", "https://me:p%40ssw0rd-1@host/x", ["p%40ssw0rd-1", "p@ssw0rd-1"]),
        ("ANY", "postgres://u:qwertyuiop@db/x", ["qwertyuiop"]),
        ("ANY", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0;", ["c2VjcmV0"]),
        ("ANY", "https://blob/x?sv=1&sig=abcdefgh", ["abcdefgh"]),
        (
            "GCP_CREDENTIALS",
            '{"private_key": "-----BEGIN-----\\\\nlongkey", "type": "x"}',
            ["-----BEGIN-----\\nlongkey"],
        ),
    ],
)
def test_secrets_inside_values(name: str, value: str, hidden: list[str]) -> None:
    found = secret_values({name: value})
    assert set(hidden) <= set(found)
    for secret in hidden:
        assert secret not in redact(f"it says: {secret}!", found)


def test_a_short_secret_does_not_black_out_words() -> None:
    assert redact("passed: password=pass", ["pass"]) == "passed: password=***"


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from(list(":#[]\n\r\v\f\x1c\x85\u2028 \ta\u202e\ufeff\x1b\ud800\u200b%"))))
def test_nothing_that_leaves_is_a_command(text: str) -> None:
    """Read as the runner reads: both forms, and every character that some reader takes for the end of a line."""
    clean = sanitize(text)
    for line in re.split("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", clean):
        assert "##[" not in line
        assert not line.lstrip().startswith("::")
    assert sanitize(clean) == clean
    assert not set(clean) & set("\x1b\u202e\ufeff\ud800")


@pytest.mark.parametrize(
    "text", ["x ##[error]boo", "a\r::set-output name=x::1", "\u2028::error::x", "  ::stop-commands::t"]
)
def test_foreign_names_speak_neither_on_stdout_nor_on_stderr(tmp_path: Path, text: str) -> None:
    outcome = Outcome(
        "warned",
        f"column {text}",
        text,
        findings=[Finding(severity="warning", code="x", message=f"first\n{text}", hint=text)],
        tables=[Table(title=text, columns=[Column(name=text)], rows=[[text]])],
    )
    _, log, _ = act(tmp_path, outcome)
    own = re.compile(r"^::(warning|error|notice|group|endgroup|add-mask)")
    for line in re.split("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", log):
        assert own.match(line) or not COMMAND.search(line), line
        assert "##[" not in line


def test_a_killed_runs_folder_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    alive = scratches.enter()
    killed, fresh, other = (tmp_path / name for name in ("flint-ml-run-dead", "flint-ml-run-new", "flint-ml-abc"))
    for folder in (killed, fresh, other, tmp_path / "somebody-elses"):
        folder.mkdir()
    hour_ago, days_ago = time.time() - 3600, time.time() - 3 * 86400
    os.utime(killed, (hour_ago, hour_ago))
    os.utime(alive.folder, (hour_ago, hour_ago))
    os.utime(other, (days_ago, days_ago))
    os.utime(tmp_path / "somebody-elses", (days_ago, days_ago))
    scratches.sweep(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {alive.folder.name, "flint-ml-run-new", "somebody-elses"}
    scratches.leave(alive)
    assert not alive.folder.exists()


@pytest.mark.parametrize("content", [b"text.usetex: True\nbackend: none\n", b"\xff\xfe broken"])
def test_a_matplotlibrc_of_the_project_decides_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "matplotlibrc").write_bytes(content)
    script = (
        "from flint_ml.text import plotting; from pathlib import Path; plotting.own_matplotlibrc();"
        "f, a = plotting.new_figure(heading='x'); a.plot([1, 2]); plotting.save_png(f, Path('x.png'));"
        "import matplotlib; assert not matplotlib.rcParams['text.usetex']"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, (tmp_path / "x.png").is_file()) == (0, True), done.stderr


def record_of(name: str) -> Action:
    def run(_inputs: Any, _job: Job) -> Outcome:
        return Outcome("passed", name, "Passed")

    return Action(name=name, summary="s", description="d", badge="B", inputs=ActionInputs, run=run)


def test_a_record_that_the_command_rewrote_is_found(tmp_path: Path) -> None:
    context = Context(on_github=True, workspace=tmp_path, run_id="1", head_sha="a" * 40)
    for name in ("pull-data", "train"):
        commands = Commands(on_github=True, stdout=io.StringIO(), stderr=io.StringIO(), env={})
        run_action(record_of(name), {}, env={}, context=context, commands=commands)
    results = tmp_path / "flint-ml-results"
    records = read_all(results)[0]
    assert records[1].provenance.records.keys() == {"pull-data"}
    assert altered(records, results) == []
    file = results / "pull-data.json"
    forged = re.sub(r'"started": "\d{4}', '"started": "2000', file.read_text()).replace('"Passed"', '"Better"')
    file.write_text(forged)
    assert altered(read_all(results)[0], results) == ["the record pull-data was changed after train had begun"]
    file.unlink()
    assert altered(read_all(results)[0], results) == ["the record pull-data was removed after train had begun"]
