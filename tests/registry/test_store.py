"""What each refusal of a server means in words. The answers are those of real servers, given by a small stand-in."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flint_ml.errors import InputError, OutsideError
from flint_ml.registry import store as registry_store
from flint_ml.registry.address import resolve
from flint_ml.registry.store import Run, connect

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
        (200, b"<html>welcome</html>", "no-mlflow", "not an MLflow server"),
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
    monkeypatch.setattr(registry_store, "PROBE_SECONDS", 0.5)
    error = trouble(f"http://127.0.0.1:{closed_port}")
    assert error.code == "registry-unreachable"
    assert "nothing listens" in str(error)


def test_a_server_that_accepts_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(registry_store, "PROBE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = trouble(f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert "does not answer" in str(error)


def test_the_limit_is_below_ten_seconds() -> None:
    assert registry_store.PROBE_SECONDS + 1 < 10


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
    run = store.create_run(store.experiment("artifacts"), "artifacts", {})
    (tmp_path / "empty file").touch()
    store.upload(run, "model/empty file", tmp_path / "empty file")
    assert store.sha256(run, "model/empty file") == ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    with pytest.raises(OutsideError):
        store.sha256(run, "model/nothing")


def a_run(handler: type[Answers], artifact_uri: str, name: str = "r") -> Run:
    """What the stand-in answers from now on: one run that keeps its artifacts there."""
    info = {"run_id": name, "run_uuid": name, "experiment_id": "1", "artifact_uri": artifact_uri, "status": "RUNNING"}
    handler.body = json.dumps({"run": {"info": info, "data": {}}}).encode()
    return Run(name, "1", artifact_uri)


def test_artifacts_in_a_folder_of_another_machine(answers: tuple[str, type[Answers]], tmp_path: Path) -> None:
    address, handler = answers
    store = connect(resolve(address, {}, Path()), {})
    store.address = resolve("http://registry.example.org", {}, Path())
    (tmp_path / "m").write_text("m")
    with pytest.raises(OutsideError, match="folder of its own machine") as caught:
        store.upload(a_run(handler, "/srv/mlruns/1/r/artifacts"), "model/m", tmp_path / "m")
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
    address, handler = answers
    store = connect(resolve(address, {}, Path()), {})
    (tmp_path / "m.bin").write_bytes(b"weights")
    run = a_run(handler, "s3://models/1/r/artifacts")
    store.upload(run, "model/m.bin", tmp_path / "m.bin")
    assert store.sha256(run, "model/m.bin") == hashlib.sha256(b"weights").hexdigest()
    assert store.read(run, "model/m.bin") == b"weights"
    assert store.read(run, "model/none.bin") is None
    with pytest.raises(OutsideError, match="NoSuchBucket") as caught:
        store.upload(a_run(handler, "s3://gone/1/r/artifacts", "other"), "model/m.bin", tmp_path / "m.bin")
    assert caught.value.code == "artifact-store"


def test_a_store_whose_package_is_not_installed(
    answers: tuple[str, type[Answers]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, handler = answers
    store = connect(resolve(address, {}, Path()), {})
    monkeypatch.setitem(sys.modules, "boto3", None)
    (tmp_path / "m.bin").write_bytes(b"weights")
    with pytest.raises(OutsideError, match="needs `boto3` here") as caught:
        store.upload(a_run(handler, "s3://elsewhere/1/r/artifacts", "no-boto"), "model/m.bin", tmp_path / "m.bin")
    assert "--artifacts-destination" in str(caught.value)


def test_a_connection_that_breaks_later_is_told_too(answers: tuple[str, type[Answers]], closed_port: int) -> None:
    from mlflow import MlflowClient

    address, _ = answers
    store = connect(resolve(address, {}, Path()), {})
    store.client = MlflowClient(f"http://127.0.0.1:{closed_port}")
    start = time.monotonic()
    with pytest.raises(OutsideError, match="nothing listens at that address") as caught:
        store.ensure_model("soc")
    assert caught.value.code == "registry-unreachable"
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (500, b'{"error_code": "INTERNAL_ERROR", "message": "gone"}', "registry-failed", "failed (500)"),
        (503, b"starting", "registry-busy", "overloaded or just starting (503)"),
        (403, b"forbidden by a proxy", "registry-forbidden", "forbidden by a proxy"),
        (413, b"<html>413</html>", "registry-too-large", "larger than the server"),
        (200, b"<html>login</html>", "no-mlflow", "not an MLflow server"),
        (404, b'{"error_code": "ENDPOINT_NOT_FOUND", "message": "x"}', "registry-too-old", "does not know"),
        (400, b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid name"}', "registry-name", "this name"),
    ],
)
def test_refusals_after_the_first_question(
    answers: tuple[str, type[Answers]], status: int, body: bytes, code: str, words: str
) -> None:
    """The client keeps a server's answer only in its own error's text."""
    address, handler = answers
    store = connect(resolve(address, {}, Path()), {})
    handler.status, handler.body = status, body
    with pytest.raises(OutsideError) as caught:
        store.create_run("1", "a run", {})
    assert (caught.value.code, words in str(caught.value)) == (code, True), caught.value
    assert len(handler.seen) <= 3 * 6 + 1


@pytest.mark.parametrize("name", ["a#b.bin", "what?.bin", "50%41.bin"])
def test_names_of_files_that_would_be_stored_under_another_name(
    answers: tuple[str, type[Answers]], tmp_path: Path, name: str
) -> None:
    address, handler = answers
    store = connect(resolve(address, {}, Path()), {})
    (tmp_path / name).write_bytes(b"weights")
    asked = len(handler.seen)
    with pytest.raises(InputError, match="cannot store a file with the name"):
        store.upload(a_run(handler, "mlflow-artifacts:/1/r/artifacts", "names"), f"model/{name}", tmp_path / name)
    assert len(handler.seen) == asked


@pytest.mark.parametrize("name", ["Wälder ö.bin", "50 %.bin", "a+b&c=d.bin", "100%.bin"])
def test_other_names_of_files_come_back_as_they_are(mlflow_server: str, tmp_path: Path, name: str) -> None:
    from mlflow import artifacts

    store = connect(resolve(mlflow_server, {}, Path()), {})
    run = store.create_run(store.experiment("names of files"), "names", {})
    (tmp_path / name).write_bytes(b"weights")
    store.upload(run, f"model/{name}", tmp_path / name)
    listed = artifacts.list_artifacts(artifact_uri=f"{run.artifact_uri}/model", tracking_uri=mlflow_server)
    assert [item.path for item in listed] == [f"model/{name}"]
    assert store.read(run, f"model/{name}") == b"weights"
    assert store.sha256(run, f"model/{name}") == hashlib.sha256(b"weights").hexdigest()
