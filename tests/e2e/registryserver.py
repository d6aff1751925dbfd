"""The registry of ``examples/mlflow``: its command and settings, on a real PostgreSQL and a real S3 server.

The images of the compose file cannot be had everywhere, so their services run as processes of this machine. What the
file says of the MLflow server (command, variables, login) is read from it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from ruamel.yaml import YAML

from e2e.team import S3, s3_server
from helpers import mlflow_server

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mlflow"
START_SECONDS = 300


def _program(name: str) -> str:
    """Debian keeps PostgreSQL's programs out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else str(shutil.which(name) or name)


@contextmanager
def postgresql(password: str) -> Iterator[str]:
    """A PostgreSQL server on loopback with the database ``mlflow`` and its user; yields host and port."""
    # It refuses to run as root, and its folder must be in reach of the user it runs as.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="flint-ml-pg-"))
    secret = folder / "password"
    secret.write_text(password)
    if user:
        for path in (folder, secret):
            shutil.chown(path, user)
    port, data = mlflow_server.free_port(), str(folder / "data")

    def run(*command: str) -> None:
        done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    listening = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories= -c fsync=off"
    control = [_program("pg_ctl"), "--pgdata", data, "--log", str(folder / "log"), "--wait"]
    try:
        run(
            _program("initdb"),
            "--pgdata",
            data,
            "--username",
            "mlflow",
            "--pwfile",
            str(secret),
            "--auth",
            "scram-sha-256",
        )
        run(*control, "--options", listening, "start")
        _create_database(port, password)
        yield f"127.0.0.1:{port}"
    finally:
        subprocess.run(
            [*control, "--mode", "immediate", "stop"], user=user, cwd=folder, capture_output=True, check=False
        )
        shutil.rmtree(folder, ignore_errors=True)


def _create_database(port: int, password: str) -> None:
    import psycopg2

    connection = psycopg2.connect(host="127.0.0.1", port=port, user="mlflow", password=password, dbname="postgres")
    connection.autocommit = True
    connection.cursor().execute("CREATE DATABASE mlflow")
    connection.close()


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}`` as docker compose reads them."""

    def replace(found: re.Match[str]) -> str:
        name, how, rest = found.groups()
        if values.get(name):
            return values[name]
        assert how != ":?", f"{name}: {rest}"
        return rest if how == ":-" else ""

    return re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", replace, text)


def compose_service(name: str, values: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a service of the example."""
    service = YAML(typ="safe").load(EXAMPLE / "compose.yaml")["services"][name]
    environment = {key: interpolated(str(value), values) for key, value in service["environment"].items()}
    return [interpolated(str(word), values) for word in service["command"]], environment


@dataclass(frozen=True)
class Registry:
    """A running server. ``admin`` and ``user`` are addresses with a login; ``user`` made nothing yet."""

    address: str
    admin_password: str
    user_password: str
    s3: str
    database: str
    folder: Path

    def login(self, name: str, password: str) -> str:
        return self.address.replace("//", f"//{name}:{password}@")

    @property
    def user(self) -> str:
        return self.login("ci", self.user_password)

    def call(self, method: str, path: str, **json: object) -> requests.Response:
        """A call of the API as the administrator."""
        return requests.request(
            method, f"{self.address}/api/2.0/mlflow/{path}", json=json, auth=("admin", self.admin_password), timeout=60
        )


def with_login_packages(folder: Path) -> str:
    """Flask-WTF, which the login needs and nothing else of ours, as the example's lock pins it."""
    lines = (EXAMPLE / "requirements.txt").read_text(encoding="utf-8")
    wanted = [block for block in re.split(r"\n(?=\S)", lines) if re.match(r"(flask-wtf|wtforms)==", block)]
    assert len(wanted) == 2
    (folder / "login.txt").write_text("\n".join(wanted) + "\n", encoding="utf-8")
    target = folder / "packages"
    command = ["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", str(target)]
    subprocess.run([sys.executable, *command, "-r", str(folder / "login.txt")], check=True, capture_output=True)
    return str(target)


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """The example's MLflow server with PostgreSQL, S3 and logins, and a user ``ci`` for workflows."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        name: secrets.token_hex(24)
        for name in ("DATABASE_PASSWORD", "S3_SECRET_KEY", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_SECRET_KEY")
    }
    with postgresql(values["DATABASE_PASSWORD"]) as database, s3_server(folder / "s3") as s3:
        values |= {"S3_ACCESS_KEY": S3["AWS_ACCESS_KEY_ID"], "S3_ENDPOINT": s3, "DATABASE_HOST": database}
        command, environment = compose_service("bucket", values)
        script = EXAMPLE / Path(command[1]).name
        bucket_env = {**os.environ, **environment}
        subprocess.run([sys.executable, str(script), *command[2:]], env=bucket_env, check=True, capture_output=True)
        with _mlflow(folder, values) as address:
            made = Registry(address, values["MLFLOW_ADMIN_PASSWORD"], secrets.token_hex(12), s3, database, folder)
            answer = made.call("POST", "users/create", username="ci", password=made.user_password)
            assert answer.ok, answer.text
            for _ in range(4):  # each worker loads half of MLflow at its first question
                requests.get(
                    f"{address}/api/2.0/mlflow/registered-models/search",
                    auth=("ci", made.user_password),
                    timeout=120,
                ).raise_for_status()
            yield made


@contextmanager
def _mlflow(folder: Path, values: Mapping[str, str]) -> Iterator[str]:
    command, environment = compose_service("mlflow", values)
    port = mlflow_server.free_port()
    settings = (EXAMPLE / Path(environment["MLFLOW_AUTH_CONFIG_PATH"]).name).read_text(encoding="utf-8")
    (folder / "basic_auth.ini").write_text(settings.replace("/var/lib/mlflow", str(folder)), encoding="utf-8")
    environment |= {
        "MLFLOW_HOST": "127.0.0.1",
        "MLFLOW_PORT": str(port),
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "basic_auth.ini"),
        "PYTHONPATH": with_login_packages(folder),
    }
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
    try:
        while not _healthy(address):
            text = (folder / "mlflow.log").read_text(errors="replace")[-3000:]
            assert process.poll() is None, f"mlflow server ended:\n{text}"
            assert time.monotonic() < end, f"mlflow server did not start:\n{text}"
            time.sleep(0.3)
        yield address
    finally:
        mlflow_server.stop(process.pid)
        process.wait()


def _healthy(address: str) -> bool:
    try:
        return requests.get(f"{address}/health", timeout=5).ok
    except requests.RequestException:
        return False
