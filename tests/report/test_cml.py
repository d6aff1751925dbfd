"""`publisher: cml`: how we call CML, and CML itself against a TLS loopback server where there is one.

CML is not on every machine: its npm package may be absent from a mirror. Where ``cml`` is not on the PATH, the last
test checks what our users get there instead, and says so.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import textwrap
import warnings
from pathlib import Path

import pytest

from flint_ml.errors import InputError, OutsideError
from flint_ml.github.client import GitHub
from flint_ml.report import cml
from githubapi.server import FakeGitHub, Server

TOKEN = "ghs_aVerySecretToken1234567890"
BOT = "github-actions[bot]"


def watermark(title: str, sha: str = "abc123") -> str:
    return f'![](https://cml.dev/watermark.png#{sha} "CML watermark {title}")'


@pytest.fixture
def fake():
    github = FakeGitHub()
    with Server(github):
        github.add_pull(7, "e" * 40)
        yield github


@pytest.fixture
def report(tmp_path) -> Path:
    file = tmp_path / "report.md"
    file.write_text("## 🟢 Approve\n", encoding="utf-8")
    return file


def stand_in(folder: Path, script: str) -> dict[str, str]:
    """A PATH with a `cml` that writes down how it was called, then runs ``script``."""
    folder.mkdir(exist_ok=True)
    program = folder / "cml"
    program.write_text(f'#!/bin/sh\nfor a; do echo "$a"; done > {folder}/arguments\nenv > {folder}/env\n{script}\n')
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "CML_TOKEN": "other", "INPUT_TOKEN": "x", "HOME": str(folder)}


def test_it_is_called_safely(fake, report, tmp_path):
    fake.add_comment(7, f"old\n\n{watermark('model-gate')}", BOT, "Bot")
    env = stand_in(tmp_path / "bin", "exit 0")
    done = cml.post(GitHub(TOKEN, "o/r", fake.url), 7, "model gate", report, server_url="https://github.com", env=env)
    assert (tmp_path / "bin/arguments").read_text().splitlines() == [
        "comment",
        "update",
        "--publish=false",
        "--target=pr/7",
        "--watermark-title=model-gate",
        "--driver=github",
        "--repo=https://github.com/o/r",
        str(report),
    ]
    seen = dict(line.split("=", 1) for line in (tmp_path / "bin/env").read_text().splitlines() if "=" in line)
    assert seen["REPO_TOKEN"] == TOKEN
    assert seen["ITERATIVE_DO_NOT_TRACK"] == "1"
    assert not {"CML_TOKEN", "INPUT_TOKEN"} & set(seen)
    assert Path(seen["GIT_CONFIG_GLOBAL"]).parent.name.startswith("flint-ml-cml-")
    assert done.how == "updated"


def test_a_failure_is_told_without_the_token(fake, report, tmp_path):
    env = stand_in(tmp_path / "bin", f"echo 'error: 403 with {TOKEN}' >&2; exit 1")
    with pytest.raises(OutsideError, match=r"exited with 1: error: 403 with \*\*\*"):
        cml.post(GitHub(TOKEN, "o/r", fake.url), 7, "k", report, server_url="https://github.com", env=env)


def test_success_without_a_comment_is_no_success(fake, report, tmp_path):
    env = stand_in(tmp_path / "bin", "exit 0")
    with pytest.raises(OutsideError, match="left no comment"):
        cml.post(GitHub(TOKEN, "o/r", fake.url), 7, "k", report, server_url="https://github.com", env=env)


def test_doubles_are_deleted_other_peoples_are_not(fake, report, tmp_path):
    first = fake.add_comment(7, f"one\n\n{watermark('k')}", BOT, "Bot")
    second = fake.add_comment(7, f"two\n\n{watermark('k')}", BOT, "Bot")
    fake.add_comment(7, f"forged\n\n{watermark('k')}", "mallory", "User")
    fake.add_comment(7, f"other key\n\n{watermark('k2')}", BOT, "Bot")
    env = stand_in(tmp_path / "bin", "exit 0")
    done = cml.post(GitHub(TOKEN, "o/r", fake.url), 7, "k", report, server_url="https://github.com", env=env)
    assert done.comment_id == second["id"]
    assert first not in fake.comments
    assert len(fake.comments) == 3


def test_without_cml_the_message_points_to_the_example(tmp_path):
    with pytest.raises(InputError, match="no `cml` on the PATH") as caught:
        cml.find_cml(str(tmp_path))
    assert "publisher: none" in str(caught.value)


def _certificate(folder: Path) -> Path:
    file = folder / "localhost.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(folder / "key.pem"),
        "-out",
        str(folder / "cert.pem"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return file


@pytest.mark.e2e
@pytest.mark.parametrize("older", [0, 45])
def test_cml_itself_creates_then_updates_and_never_doubles(tmp_path, report, monkeypatch, older):
    if shutil.which("cml") is None:
        warnings.warn("cml is not on the PATH: only its absence is tested here", stacklevel=1)
        with pytest.raises(InputError, match="no `cml`"):
            cml.find_cml()
        return
    certificate = _certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    fake = FakeGitHub()
    with Server(fake, tls=tls):
        fake.add_pull(7, "e" * 40)
        for number in range(older):
            fake.add_comment(7, f"comment {number}")
        env = {**os.environ, "NODE_EXTRA_CA_CERTS": str(tmp_path / "cert.pem"), "HOME": str(tmp_path)}
        env |= {"GITHUB_SHA": "e" * 40, "GITHUB_REPOSITORY": "o/r", "GITHUB_ACTIONS": "true"}
        how = []
        for text in ("one", "two", "three"):
            report.write_text(textwrap.dedent(f"## {text}\n\n| a | b |\n|:--|--:|\n| *x* | 1 |\n"))
            github = GitHub(TOKEN, "o/r", f"{fake.url}/api/v3")
            done = cml.post(github, 7, "model_gate/x", report, server_url=fake.url, env=env)
            how.append(done.how)
    assert [problem for problem in fake.problems if "header" not in problem] == []
    mine = [comment for comment in fake.comments if comment["user"]["login"] == BOT]
    assert len(mine) == 1
    assert mine[0]["body"].startswith("## three")
    assert how == (["created", "updated", "updated"] if older == 0 else ["created"] * 3)
    assert not (tmp_path / ".gitconfig").exists()
