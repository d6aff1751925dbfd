"""What each refusal of a server means in words. The answers are those of real servers, given by a small stand-in."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flint_ml.errors import OutsideError
from flint_ml.registry import http
from flint_ml.registry.address import resolve
from flint_ml.registry.connect import connect
from flint_ml.registry.server_store import ServerStore
from flint_ml.registry.store import Run

pytest_plugins = ("helpers.mlflow_server",)


class Answers(BaseHTTPRequestHandler):
    """Answers every request with what the test set."""

    status, body, seen = 200, b"{}", [{}]

    def _answer(self) -> None:
        type(self).seen.append(dict(self.headers))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def answers() -> Iterator[tuple[str, type[Answers]]]:
    handler = type("Handler", (Answers,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()
    thread.join()


def trouble(uri: str, env: dict[str, str] | None = None) -> OutsideError:
    with pytest.raises(OutsideError) as caught:
        connect(resolve(uri, env or {}, Path()), env or {})
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (401, b"You are not authenticated.", "registry-unauthorized", "wants credentials"),
        (403, b"Permission denied", "registry-forbidden", "does not allow"),
        (403, b"Invalid Host header - possible DNS rebinding attack detected", "registry-host", "--allowed-hosts"),
        (404, b"<html>nothing here</html>", "no-mlflow", "no MLflow server"),
        (200, b"<html>welcome</html>", "no-mlflow", "no MLflow server"),
        (
            500,
            json.dumps({"error_code": "INTERNAL_ERROR", "message": "No space left on device"}).encode(),
            "registry-full",
            "No space left",
        ),
        (
            400,
            json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": "too  long"}).encode(),
            "registry-refused",
            "INVALID_PARAMETER_VALUE",
        ),
    ],
)
def test_refusals(answers: tuple[str, type[Answers]], status: int, body: bytes, code: str, words: str) -> None:
    address, handler = answers
    handler.status, handler.body = status, body
    error = trouble(address)
    assert error.code == code
    assert words in str(error)
    assert address in str(error)


def test_wrong_credentials_are_told_from_none(answers: tuple[str, type[Answers]]) -> None:
    address, handler = answers
    handler.status = 401
    error = trouble(address.replace("//", "//ana:geheim@"))
    assert "does not accept" in str(error)
    assert "geheim" not in str(error)
    assert handler.seen[-1]["Authorization"].startswith("Basic ")


def test_token_goes_as_bearer(answers: tuple[str, type[Answers]]) -> None:
    address, handler = answers
    env = {"MLFLOW_TRACKING_TOKEN": "t0ken"}
    connect(resolve(address, env, Path()), env)
    assert handler.seen[-1]["Authorization"] == "Bearer t0ken"


def test_nothing_listens(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    monkeypatch.setattr(http, "PROBE_SECONDS", 0.5)
    error = trouble(f"http://127.0.0.1:{closed_port}")
    assert error.code == "registry-unreachable"
    assert "nothing listens" in str(error)


def test_a_server_that_accepts_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(http, "PROBE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = trouble(f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert "does not answer" in str(error)


def test_the_limit_is_below_ten_seconds() -> None:
    assert http.PROBE_SECONDS + 1 < 10


def test_a_real_server_that_is_called_by_a_foreign_name(mlflow_server: str) -> None:
    # 127.0.0.1 written as one number: reaches the server, but is no name that it knows.
    error = trouble(mlflow_server.replace("127.0.0.1", "2130706433"))
    assert error.code == "registry-host"
    assert "--allowed-hosts 2130706433:" in str(error)


def test_a_real_server_refuses_an_unknown_artifact_and_keeps_an_empty_file(
    mlflow_server: str,
    tmp_path: Path,
) -> None:
    store = connect(resolve(mlflow_server, {}, Path()), {})
    assert isinstance(store, ServerStore)
    run = store.create_run(store.experiment("artifacts"), "artifacts", {})
    (tmp_path / "empty file").touch()
    store.upload(run, "model/empty file", tmp_path / "empty file")
    assert store.sha256(run, "model/empty file") == ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    with pytest.raises(OutsideError):
        store.sha256(run, "model/nothing")


def test_artifacts_in_a_folder_of_another_machine(answers: tuple[str, type[Answers]], tmp_path: Path) -> None:
    address, _ = answers
    store = ServerStore(resolve(address, {}, Path()), {})
    store.address = resolve("http://registry.example.org", {}, Path())
    (tmp_path / "m").write_text("m")
    with pytest.raises(OutsideError, match="folder of its own machine") as caught:
        store.upload(Run("r", "1", "/srv/mlruns/1/r/artifacts"), "model/m", tmp_path / "m")
    assert caught.value.code == "artifacts-unreachable"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server with the bucket ``models``, and the environment that leads there."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    values = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**values, "MLFLOW_S3_ENDPOINT_URL": address}.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=address).create_bucket(Bucket="models")
    yield address
    server.stop()


def test_artifacts_that_the_server_leaves_to_s3(answers: tuple[str, type[Answers]], s3: str, tmp_path: Path) -> None:
    address, _ = answers
    store = ServerStore(resolve(address, {}, Path()), {})
    (tmp_path / "m.bin").write_bytes(b"weights")
    run = Run("r", "1", "s3://models/1/r/artifacts")
    store.upload(run, "model/m.bin", tmp_path / "m.bin")
    assert store.sha256(run, "model/m.bin") == hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(OutsideError, match="NoSuchBucket") as caught:
        store.upload(Run("r", "1", "s3://gone/1/r/artifacts"), "model/m.bin", tmp_path / "m.bin")
    assert caught.value.code == "artifact-store"


def test_a_store_whose_package_is_not_installed(answers: tuple[str, type[Answers]]) -> None:
    store = ServerStore(resolve(answers[0], {}, Path()), {})
    error = store._artifact_trouble(ModuleNotFoundError("No module named 'boto3'", name="boto3"))
    assert "needs `boto3` here" in str(error)
    assert "--artifacts-destination" in str(error)


def test_a_connection_that_breaks_later_is_told_too(answers: tuple[str, type[Answers]], closed_port: int) -> None:
    address, _ = answers
    store = ServerStore(resolve(address, {}, Path()), {})
    store.http.address = resolve(f"http://127.0.0.1:{closed_port}", {}, Path())
    with pytest.raises(OutsideError, match="cannot be reached"):
        store.ensure_model("soc")
