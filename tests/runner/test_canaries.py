"""Forty secrets through success and failure of the actions: none of them is in anything that leaves or stays behind."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from flint_ml.commands import load, names
from flint_ml.errors import OutsideError
from flint_ml.runner import Action, ActionInputs, Commands, Context, Outcome, run_action

NAMES = [
    "INPUT_TOKEN",
    "INPUT_SSH-KEY",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "NPM_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ACCESS_KEY_ID_SECRET",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_CLIENT_SECRET",
    "GOOGLE_CREDENTIALS",
    "DB_DSN",
    "PGPASS",
    "GDRIVE_CREDENTIALS_DATA",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_AWS_SECRET",
    "PGPASSWORD",
    "MYSQL_PWD",
    "DATABASE_URL",
    "REDIS_AUTH",
    "SMTP_PASS",
    "SLACK_WEBHOOK",
    "DISCORD_WEBHOOK_URL",
    "PYPI_API_TOKEN",
    "DOCKER_PASSWORD",
    "OSS_ACCESS_KEY",
    "SIGNING_KEY",
    "ENCRYPTION_KEY",
    "DEPLOY_KEY",
    "SSH_PRIVATE_KEY",
    "GPG_PASSPHRASE",
    "COOKIE_SECRET",
    "HTTP_AUTHORIZATION",
    "SERVICE_KEY",
]
CANARIES = {name: f"cnry{number:02d}x{name[:2].lower()}Zq9" for number, name in enumerate(NAMES)}
ADDRESSES = {
    "MLFLOW_TRACKING_URI": "http://me:cnry90addressQ@127.0.0.1:9/",
    "HTTPS_PROXY_UNUSED": "http://me:cnry91addressQ@proxy.example/",
    "AZURE_BLOB": "https://blob.example/x?sig=cnry92addressQ&sv=1",
}
ALL = [*CANARIES.values(), "cnry90addressQ", "cnry91addressQ", "cnry92addressQ"]
TABLE = "site,soc\n" + "".join(f"s{n},{n % 7}.5\n" for n in range(60))


def test_there_are_forty() -> None:
    assert len(set(CANARIES.values())) == 40


def given(**inputs: str) -> dict[str, str]:
    return {f"INPUT_{name.upper().replace('_', '-')}": value for name, value in inputs.items()}


def _break(_inputs: Any, job: Any) -> Outcome:
    raise RuntimeError(f"no connection with {job.env['DATABASE_URL']} and {job.env['PGPASSWORD']}")


def _outside(_inputs: Any, job: Any) -> Outcome:
    text = f"said no to {job.env['MLFLOW_TRACKING_TOKEN']}"
    raise OutsideError(text, where=job.env["SMTP_PASS"], hint=f"is {job.env['NPM_TOKEN']} right?", code="x")


def _told(_inputs: Any, job: Any) -> Outcome:
    """An action that has a secret in every part of what it says."""
    from flint_ml.record import Column, Finding, Metric, PartBadge, Table, left_out

    text = f"key {job.env['SIGNING_KEY']} of {job.env['MLFLOW_TRACKING_URI']}"
    job.say(text)
    job.commands.annotate("notice", text, title=text)
    with job.group(text):
        pass
    (job.figures_dir / "a.txt").write_text("figure")
    return Outcome(
        "warned",
        text,
        text,
        advice=text,
        log=[text],
        reproduce=[text],
        badge=text,
        badges=[PartBadge(label=text, message=text, status="passed")],
        coverage=[left_out("data", text, text, text)],
        metrics={"rmse": Metric(value=1.0, unit=text)},
        tables=[Table(title=text, columns=[Column(name=text)], rows=[[text]])],
        findings=[Finding(severity="warning", code="x", message=text, hint=text)],
        details={text: {"deep": [text]}},
        outputs={"text": text},
    )


def _give_up(_client: Any, _attempt: int, _wait: Any, problem: str, where: str) -> None:
    raise OutsideError(problem, where=where, code="github-unavailable")


def made(run: Any) -> Action:
    outputs = {"text": "a text"}
    return Action(name="check", summary="s", description="d", badge="B", inputs=ActionInputs, run=run, outputs=outputs)


ECHO = 'for name in $(env | cut -d= -f1); do eval echo \\"\\$$name\\"; done'
CASES: dict[str, tuple[Any, dict[str, str], int]] = {
    "plan": ("gate-plan", {}, 0),
    "told by an action": (made(_told), {}, 0),
    "command": ("record", given(command=f"{ECHO} > /dev/null; echo ok", name="x"), 0),
    "command that prints all": ("record", given(command=f"{ECHO}; exit 7", name="x"), 1),
    "command with one in it": ("record", given(command=f"false {CANARIES['PGPASS']}", name="x"), 1),
    "drift": ("check-drift", given(reference="ref.csv", current="ref.csv", figures="none"), 0),
    "defect": (made(_break), {}, 3),
    "refused outside": (made(_outside), {}, 3),
    "wrong value": ("check-drift", given(reference="a", current="b", alpha=CANARIES["GH_TOKEN"]), 2),
    "wrong word": ("check-drift", given(reference="a", current="b", tests=CANARIES["GH_TOKEN"]), 2),
    "missing file": ("check-drift", given(reference=CANARIES["DOCKER_PASSWORD"], current="ref.csv"), 2),
    "address of a table": (
        "check-drift",
        given(reference="ref.csv", current="https://u:cnry90addressQ@x.invalid/a.csv"),
        3,
    ),
    "registry": (
        "register-model",
        given(model="model.txt", model_name="m", tracking_uri=ADDRESSES["MLFLOW_TRACKING_URI"], require="none"),
        3,
    ),
    "metrics of a registry": ("compare-metrics", given(metrics="metrics.json", base="models:/m@staging"), 3),
    "manifests": (
        "deploy-model",
        given(model_name="m", manifests="https://u:cnry91addressQ@x.invalid/o/r", file="a.yaml", field="a"),
        2,
    ),
    "name": ("gate-plan", given(name=f"../{CANARIES['SERVICE_KEY']}"), 2),
    "settings": ("gate-plan", given(config="broken.yml"), 2),
    "settings that are missing": ("gate-plan", given(config=f"{CANARIES['REDIS_AUTH']}.yml"), 2),
    "folder": ("gate-plan", given(working_directory=CANARIES["COOKIE_SECRET"]), 2),
    "results": ("gate-plan", given(results_dir=f"/{CANARIES['COOKIE_SECRET']}"), 2),
    "simulation": ("run-gcbm", given(project=CANARIES["COOKIE_SECRET"]), 2),
    "report": (
        "post-report",
        given(publisher="none", title=f"of {CANARIES['DB_DSN']}", template=CANARIES["DB_DSN"]),
        2,
    ),
    "report without GitHub": ("post-report", given(pull_request="7"), 3),
    "data": ("pull-data", {}, 2),
}


@pytest.mark.parametrize("case", CASES)
def test_no_secret_leaves_or_stays(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    work, temporary = tmp_path / "work", tmp_path / "temp"
    for folder in (work, temporary):
        folder.mkdir()
    own = {
        "ref.csv": TABLE,
        "metrics.json": '{"rmse": 1.5}',
        "model.txt": "model",
        "broken.yml": f"gate: {{command: [{CANARIES['ENCRYPTION_KEY']}\n",
    }
    for name, text in own.items():
        (work / name).write_text(text)
    for name, value in {**CANARIES, **ADDRESSES}.items():
        if not name.startswith(("INPUT_", "GITHUB_", "ACTIONS_")):
            monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr("flint_ml.github.client.GitHub._wait", _give_up)
    assert tempfile.gettempdir() == str(temporary)
    action, inputs, expected = CASES[case]
    env = {**os.environ, **CANARIES, **ADDRESSES, **inputs}
    env |= {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    out, err = io.StringIO(), io.StringIO()
    commands = Commands(on_github=True, stdout=out, stderr=err, env=env)
    context = Context(
        on_github=True, workspace=work, run_id="1", repository="o/r", api_url="http://127.0.0.1:9", head_sha="a" * 40
    )
    action = load(action) if isinstance(action, str) else action
    code = run_action(action, {}, env=env, context=context, commands=commands, known=names())
    # The runner needs to be told a secret once, so that it hides it from then on.
    log = "\n".join(
        line for line in (out.getvalue() + err.getvalue()).splitlines() if not line.startswith("::add-mask::")
    )
    left = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.name not in own}
    for canary in ALL:
        for form in {canary, quote(canary)}:
            assert form not in log, log
            for file, content in left.items():
                assert form not in file.name
                assert form.encode() not in content, file
    assert (code, any(file.suffix == ".json" for file in left) or code == 2) == (expected, True), log


@pytest.mark.skipif(sys.platform != "linux", reason="reads the list of processes as Linux shows it")
def test_no_secret_is_in_the_list_of_processes(tmp_path: Path) -> None:
    look = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' > seen.txt || true"
    env = {**os.environ, **CANARIES, **ADDRESSES}
    arguments = ["gate-plan", "--token", "env:GITHUB_TOKEN"]
    for words in (arguments, ["record", "--name", "x", "--command", look]):
        subprocess.run(
            [sys.executable, "-m", "flint_ml", *words], cwd=tmp_path, env=env, check=True, capture_output=True
        )
    seen = (tmp_path / "seen.txt").read_text()
    assert "flint_ml" in seen
    assert [canary for canary in ALL if canary in seen] == []
