"""Every fault of a registry has a message of its own and says what to do. The texts are those of real servers."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flint_ml.errors import OutsideError
from flint_ml.registry import store as registry_store
from flint_ml.registry import version as identity
from flint_ml.registry.address import resolve
from flint_ml.registry.errors import Explained, artifact_store, redirected, refusal, registry_file, unreachable
from flint_ml.registry.model_files import read_model
from flint_ml.registry.register import Submission, register_model
from flint_ml.registry.stages import move_forward
from flint_ml.registry.store import connect

pytest_plugins = ("helpers.mlflow_server",)


def refused(status: int, text: str = "", code: str = "", *, named: bool = True, artifact: bool = False) -> Explained:
    return refusal(status, code, text, host="mlflow.example.org", named=named, artifact=artifact)


FAULTS: dict[str, Explained] = {
    "no credentials": refused(401, named=False),
    "wrong credentials": refused(401),
    "no permission": refused(403, "Permission denied"),
    "foreign host name": refused(403, "Invalid Host header - possible DNS rebinding attack detected"),
    "another server": refused(404, "<html>"),
    "file too large for a proxy": refused(413, "<html>413 Request Entity Too Large</html>"),
    "overloaded": refused(503, "Service Unavailable"),
    "disk of the server full": refused(500, "[Errno 28] No space left on device", "INTERNAL_ERROR"),
    "database of the server full": refused(507),
    "old schema": refused(500, "Detected out-of-date database schema (found version 1, but expected 2)"),
    "bucket of the server gone": refused(500, "An error occurred (NoSuchBucket) when calling the PutObject operation"),
    "file gone from the server's store": refused(404, "not found", artifact=True),
    "server's own failure": refused(500, "INTERNAL_ERROR"),
    "version deleted meanwhile": refused(404, "Model Version (name=soc) not found", "RESOURCE_DOES_NOT_EXIST"),
    "server without aliases": refused(404, "no such endpoint", "ENDPOINT_NOT_FOUND"),
    "name that it does not take": refused(400, "Invalid name 'a:b'", "INVALID_PARAMETER_VALUE"),
    "anything else": refused(400, "too long", "BAD_REQUEST"),
    "sent on to https": redirected("https://mlflow.example.org/api", "http://mlflow.example.org"),
    "login page": redirected("https://login.example.org/", "https://mlflow.example.org"),
    "certificate": unreachable(OSError("certificate verify failed"), certificate=True, timeout=False),
    "http behind https": unreachable(OSError("[SSL] record layer failure"), certificate=True, timeout=False),
    "no answer": unreachable(OSError("read timed out"), certificate=False, timeout=True),
    "unknown host": unreachable(OSError("Failed to resolve 'x'"), certificate=False, timeout=False),
    "nothing listens": unreachable(OSError("Connection refused"), certificate=False, timeout=False),
    "no network": unreachable(OSError("Network is unreachable"), certificate=False, timeout=False),
    "connection broke": unreachable(OSError("Connection reset by peer"), certificate=False, timeout=False),
    "bucket gone": artifact_store("An error occurred (NoSuchBucket) when calling PutObject"),
    "storage denies": artifact_store("An error occurred (AccessDenied) when calling PutObject"),
    "storage without credentials": artifact_store("Unable to locate credentials"),
    "storage not reached": artifact_store('Could not connect to the endpoint URL: "http://localhost:1"'),
    "storage full": artifact_store("XMinioStorageFull: Storage backend has reached its minimum free drive threshold"),
    "file locked": registry_file("database is locked"),
    "file read-only": registry_file("attempt to write a readonly database"),
    "disk full": registry_file("database or disk is full"),
    "no database": registry_file("file is not a database"),
    "file of another MLflow": registry_file("Detected out-of-date database schema (found version 1"),
}


def test_each_fault_has_a_message_and_advice_of_its_own() -> None:
    said = {name: (fault.message, fault.hint) for name, fault in FAULTS.items()}
    assert len(set(said.values())) == len(said)
    # Where the server's own words are all there is, they are shown, and no advice is made up.
    assert [name for name, fault in FAULTS.items() if not fault.hint] == ["anything else"]
    assert "too long" in FAULTS["anything else"].message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("foreign host name", "--allowed-hosts mlflow.example.org"),
        ("old schema", "mlflow db upgrade"),
        ("version deleted meanwhile", "run the job again"),
        ("sent on to https", "tracking-uri: https://mlflow.example.org"),
        ("login page", "cannot log in"),
        ("storage denies", "s3:PutObject"),
        ("http behind https", "http://"),
    ],
)
def test_advice_is_to_the_point(name: str, words: str) -> None:
    assert words in str(FAULTS[name].hint)


def test_documented() -> None:
    """The table in docs/registry.md has a row for each fault."""
    text = (Path(__file__).parents[2] / "docs" / "registry.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")}
    assert FAULTS.keys() - rows == set()


class Redirecting(BaseHTTPRequestHandler):
    """A proxy that sends everybody on."""

    def do_GET(self) -> None:
        self.send_response(301)
        self.send_header("Location", f"https://127.0.0.1:8443{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def redirecting() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_redirect_is_not_followed_with_a_post(redirecting: str) -> None:
    with pytest.raises(OutsideError) as caught:
        connect(resolve(redirecting, {}, Path()), {})
    assert caught.value.code == "registry-redirect"
    assert "tracking-uri: https://127.0.0.1:8443" in str(caught.value.hint)


def test_http_where_https_was_asked_for(mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_store, "PROBE_SECONDS", 3)
    with pytest.raises(OutsideError, match="speaks http, not https"):
        connect(resolve(mlflow_server.replace("http:", "https:"), {}, Path()), {})


def submission(folder: Path, name: str) -> Submission:
    (folder / "m.bin").write_bytes(b"weights")
    content = read_model(folder / "m.bin", "m.bin")
    return Submission(name, name, identity.idempotency_key(name, "c", None, content.sha256), "5/1/here/1", content)


def test_a_version_that_is_deleted_before_it_is_staged(mlflow_server: str, tmp_path: Path) -> None:
    store = connect(resolve(mlflow_server, {}, Path()), {})
    wanted = submission(tmp_path, "deleted-meanwhile")
    first = register_model(store, wanted)
    store.delete_version("deleted-meanwhile", 1)
    with pytest.raises(OutsideError) as caught:
        move_forward(store, first.version, "Staging", lambda _: False)
    assert caught.value.code == "registry-gone"
    again = register_model(store, wanted)
    assert (again.created, move_forward(store, again.version, "Staging", lambda _: False).moved) == (True, True)


def test_a_name_that_mlflow_does_not_take(mlflow_server: str, tmp_path: Path) -> None:
    store = connect(resolve(mlflow_server, {}, Path()), {})
    with pytest.raises(OutsideError) as caught:
        register_model(store, submission(tmp_path, "soil/carbon"))
    assert caught.value.code == "registry-name"


@pytest.fixture
def file(tmp_path: Path, registry_file: Path) -> Path:
    shutil.copy(registry_file, tmp_path)
    return tmp_path / "mlflow.db"


def test_a_file_of_an_older_mlflow_is_left_as_it_is(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(OutsideError) as caught:
        connect(resolve("", {}, file.parent), {})
    assert "mlflow db upgrade" in str(caught.value.hint), caught.value
    assert file.read_bytes() == before


def test_a_full_disk_registers_nothing_and_the_next_run_completes(file: Path, tmp_path: Path) -> None:
    store = connect(resolve("", {}, tmp_path), {})

    class Full:
        def __getattr__(self, method: str) -> object:
            if method != "upload":
                return getattr(store, method)

            def full(*_: object) -> None:
                with store._translated():
                    raise OSError(28, os.strerror(28))

            return full

    wanted = submission(tmp_path, "full")
    with pytest.raises(OutsideError) as caught:
        register_model(Full(), wanted)  # type: ignore[arg-type]
    assert "make room" in str(caught.value.hint)
    assert store.versions("full", (identity.KEY, wanted.key)) == []
    assert register_model(store, wanted).created
