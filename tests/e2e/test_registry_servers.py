"""register-model and promote against real registries: PostgreSQL and S3 with logins, sqlite with a token."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from e2e.harness import IMAGE, ROOT, ContainerResult, docker, run_action
from e2e.registryserver import EXAMPLE, Registry, compose_service, registry, with_login_packages
from e2e.team import S3
from helpers import mlflow_server

TIMED_IMAGE = "flint-ml-actions-timed:test"
MEGABYTE = 1024 * 1024
# Runs what the image's entrypoint is and says what it cost, children included.
TIMED = """
import resource, subprocess, sys, time
began = time.monotonic()
code = subprocess.call([{entrypoint}, *sys.argv[1:]])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = used.ru_utime + used.ru_stime
print(f"cost: {{cpu:.2f}} s CPU, {{time.monotonic() - began:.2f}} s, {{used.ru_maxrss // 1024}} MB", file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry") / "server") as made:
        yield made


@pytest.fixture(scope="module")
def timed_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image under test with a stopwatch around its entrypoint."""
    folder = tmp_path_factory.mktemp("timed")
    shown = docker("image", "inspect", "--format", "{{json .Config.Entrypoint}}", IMAGE)
    entrypoint = json.loads(shown.stdout)
    (folder / "timed.py").write_text(TIMED.format(entrypoint=", ".join(map(repr, entrypoint))), encoding="utf-8")
    command = json.dumps([entrypoint[0], "-I", "/opt/timed.py"])
    (folder / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY timed.py /opt/\nENTRYPOINT {command}\n", encoding="utf-8")
    built = docker("build", "--quiet", "--tag", TIMED_IMAGE, str(folder))
    assert built.returncode == 0, built.stderr
    return TIMED_IMAGE


@dataclass
class Project:
    """A repository on main with a model of 1 MB."""

    folder: Path
    event: dict[str, Any]

    def run(self, action: str, image: str, env: dict[str, str], **inputs: str) -> ContainerResult:
        values = {name.replace("_", "-"): value for name, value in inputs.items()}
        return run_action(image, action, values, self.folder, self.event, env)

    def register(self, image: str, uri: str, name: str, **env: str) -> ContainerResult:
        inputs = {"model": "model.bin", "model_name": name, "require": "none", "tracking_uri": uri}
        return self.run("register-model", image, env, **inputs)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "soil"
    folder.mkdir()
    (folder / ".gitignore").write_text("flint-ml-results/\nmodel.bin\n")
    (folder / "params.yaml").write_text("train:\n  n_components: 8\n")
    (folder / "model.bin").write_bytes(os.urandom(MEGABYTE))
    git = ["git", "-c", "user.name=Ana", "-c", "user.email=ana@example.org", "-C", str(folder)]
    for command in (["init", "--quiet", "-b", "main"], ["add", "."], ["commit", "--quiet", "-m", "A model"]):
        subprocess.run([*git, *command], check=True)
    return Project(folder, {"ref": "refs/heads/main", "repository": {"full_name": "octo-org/soil"}})


def cost(result: ContainerResult) -> str:
    found = re.search(r"cost: (.*)", result.stderr)
    assert found, result.stderr
    return found[1]


def test_the_registrys_own_tests_hold_on_postgresql_and_s3_with_a_login(server: Registry) -> None:
    """Races of jobs, kill -9 at five points, stages, training runs, loading by alias: as for sqlite, as user `ci`."""
    files = [str(ROOT / "tests/registry" / name) for name in ("test_flow.py", "test_training_run.py")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", SERVER_TESTS, *files],
        cwd=ROOT,
        env={**os.environ, "FLINT_ML_TEST_MLFLOW": server.user, "FLINT_ML_E2E": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout[-300:])
    assert done.returncode == 0, done.stdout[-5000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) >= 10
    stored = boto3.client(
        "s3",
        endpoint_url=server.s3,
        region_name="us-east-1",
        aws_access_key_id=S3["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=S3["AWS_SECRET_ACCESS_KEY"],
    ).list_objects_v2(Bucket="models")
    assert stored["KeyCount"] > 10, "the models are in the bucket"


SERVER_TESTS = "server or race or kill_9 or folder_that_mlflow_wrote"


def test_a_model_of_1_mb_costs_little(server: Registry, project: Project, timed_image: str) -> None:
    first = project.register(timed_image, server.user, "soc")
    assert first.exit_code == 0, first.log
    assert first.outputs["created"] == "true"
    again = project.register(timed_image, server.user, "soc")
    assert again.outputs["created"] == "false", again.log
    moved = project.run("promote", timed_image, {}, model_name="soc", tracking_uri=server.user, reason="a test")
    assert moved.exit_code == 0, moved.log
    print(f"\nregister-model, 1 MB, PostgreSQL + S3 + login: {cost(first)}; the same again: {cost(again)}")
    print(f"promote: {cost(moved)}")
    for result in (first, again, moved):
        assert server.user_password not in result.log
        assert server.user_password not in json.dumps(dict(result.record or {}))


def test_a_server_that_is_down_is_told_soon(project: Project, timed_image: str) -> None:
    began = time.monotonic()
    result = project.register(timed_image, f"http://127.0.0.1:{mlflow_server.free_port()}", "soc")
    print(f"\nserver down: told after {cost(result)}, container and all {time.monotonic() - began:.1f} s")
    assert result.exit_code == 3
    assert "nothing listens at that address" in result.log
    assert "Traceback" not in result.log


def test_who_may_not_is_told_so(server: Registry, project: Project) -> None:
    result = project.register(IMAGE, server.address, "soc-login")
    assert "wants credentials (401)" in result.log
    result = project.register(IMAGE, server.login("ci", "wrong"), "soc-login")
    assert "does not accept the user name and password or token (401)" in result.log
    answer = server.call("POST", "registered-models/create", name="of-the-admin")
    assert answer.ok, answer.text
    result = project.register(IMAGE, server.user, "of-the-admin")
    assert "does not allow this (403)" in result.log
    assert result.exit_code == 3


def test_a_bucket_that_is_gone_loses_nothing(server: Registry, project: Project) -> None:
    """The storage fails, nothing is registered; it is back, the next run completes the same run."""
    client = boto3.client(
        "s3",
        endpoint_url=server.s3,
        region_name="us-east-1",
        aws_access_key_id=S3["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=S3["AWS_SECRET_ACCESS_KEY"],
    )
    listed = client.list_objects_v2(Bucket="models").get("Contents", [])
    kept = {item["Key"]: client.get_object(Bucket="models", Key=item["Key"])["Body"].read() for item in listed}
    for key in kept:
        client.delete_object(Bucket="models", Key=key)
    client.delete_bucket(Bucket="models")
    result = project.register(IMAGE, server.user, "soc-bucket", GITHUB_RUN_ATTEMPT="1")
    print("\n" + next(line for line in result.log.splitlines() if "::error" in line or "error" in line.lower())[:300])
    assert result.exit_code == 3
    assert "the server's artifact store refused (500)" in result.log
    command, environment = compose_service("bucket", {**S3_VALUES, "S3_ENDPOINT": server.s3})
    script = str(EXAMPLE / Path(command[1]).name)
    subprocess.run([sys.executable, script, *command[2:]], env={**os.environ, **environment}, check=True)
    for key, body in kept.items():
        client.put_object(Bucket="models", Key=key, Body=body)
    again = project.register(IMAGE, server.user, "soc-bucket", GITHUB_RUN_ATTEMPT="2")
    assert again.exit_code == 0, again.log
    assert "completing run" in again.log
    assert again.outputs["version"] == "1"


S3_VALUES = {"S3_ACCESS_KEY": S3["AWS_ACCESS_KEY_ID"], "S3_SECRET_KEY": S3["AWS_SECRET_ACCESS_KEY"]}

TOKENS = """
import os
from flask import make_response, request
from werkzeug.datastructures import Authorization

def authenticate():
    if request.headers.get("Authorization") == "Bearer " + os.environ["TEST_TOKEN"]:
        return Authorization("basic", {"username": "admin", "password": ""})
    return make_response("a token is wanted", 401)
"""


@pytest.fixture(scope="module")
def token_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A server on sqlite and local files that takes a token, by MLflow's own hook for it."""
    folder = tmp_path_factory.mktemp("token")
    token = "registry-token-0123456789"
    (folder / "tokens.py").write_text(TOKENS)
    settings = (EXAMPLE / "basic_auth.ini").read_text().replace("/var/lib/mlflow", str(folder))
    settings = re.sub(r"(authorization_function) = .*", r"\1 = tokens:authenticate", settings)
    (folder / "basic_auth.ini").write_text(settings)
    env = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "basic_auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": "not-used-here-123",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "secret",
        "TEST_TOKEN": token,
        "PYTHONPATH": f"{with_login_packages(folder)}{os.pathsep}{folder}",
    }
    address, process = mlflow_server.start(folder, "--app-name", "basic-auth", env=env)
    yield address, token
    mlflow_server.stop(process.pid)


def test_a_token_opens_a_server_on_sqlite(token_server: tuple[str, str], project: Project, timed_image: str) -> None:
    address, token = token_server
    assert "wants credentials (401)" in project.register(IMAGE, address, "soc").log
    result = project.register(timed_image, address, "soc", MLFLOW_TRACKING_TOKEN=token)
    assert result.exit_code == 0, result.log
    assert token not in result.log
    print(f"\nregister-model, 1 MB, sqlite + local files + token: {cost(result)}")
    answer = requests.get(
        f"{address}/api/2.0/mlflow/registered-models/alias",
        params={"name": "soc", "alias": "staging"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    assert answer.json()["model_version"]["version"] == "1"
