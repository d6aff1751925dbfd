"""One real ``mlflow server`` for all tests, also across pytest-xdist's workers: it takes long to start.

Use it with ``pytest_plugins = ("helpers.mlflow_server",)`` in a test file; the fixture's value is the server's address.
Tests share the server, so each takes a model name of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from flint_ml.registry.address import resolve
from flint_ml.registry.store import connect

START_SECONDS = 180


def free_port() -> int:
    """A port of this machine that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    folder: Path, *options: str, backend: str = "", env: Mapping[str, str] | None = None
) -> tuple[str, subprocess.Popen[bytes]]:
    """Start a server on a sqlite file in ``folder`` (or ``backend``) and wait until it answers."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        backend or f"sqlite:///{folder}/mlflow.db",
        *options,
    ]
    if "--default-artifact-root" not in options and "--artifacts-destination" not in options:
        command += ["--artifacts-destination", str(folder / "artifacts")]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **quiet, **(env or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if requests.get(f"{address}/health", timeout=5).ok:
                return address, process
        except requests.RequestException:
            time.sleep(0.2)
    stop(process.pid)
    raise RuntimeError("mlflow server did not start:\n" + (folder / "server.log").read_text(errors="replace")[-3000:])


def stop(pid: int) -> None:
    """End a server with its workers (it leads a process group of its own)."""
    try:
        os.killpg(pid, signal.SIGTERM)
    except ProcessLookupError:
        return


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    with (folder / "mlflow-server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder / "mlflow-server.json"


@pytest.fixture
def closed_port() -> int:
    """A port that nothing listens at."""
    return free_port()


@pytest.fixture(scope="session")
def registry_file(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """An empty registry in a sqlite file, to be copied: MLflow takes seconds to make one."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    with _locked(shared):
        file = shared / "registry-template" / "mlflow.db"
        if not file.is_file():
            file.parent.mkdir()
            connect(resolve("", {}, file.parent), {})
    return file


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """Address of the shared server. The first worker that asks starts it, the last one that leaves ends it."""
    if os.environ.get("FLINT_ML_TEST_MLFLOW"):
        # Another server for the same tests, such as one on PostgreSQL and S3.
        yield os.environ["FLINT_ML_TEST_MLFLOW"]
        return
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    with _locked(shared) as notes:
        if notes.is_file():
            state = json.loads(notes.read_text())
        else:
            address, process = start(shared / "mlflow-server")
            state = {"address": address, "pid": process.pid, "users": 0}
        state["users"] += 1
        notes.write_text(json.dumps(state))
    yield state["address"]
    with _locked(shared) as notes:
        state = json.loads(notes.read_text())
        state["users"] -= 1
        if state["users"]:
            notes.write_text(json.dumps(state))
        else:
            notes.unlink()
            stop(state["pid"])
