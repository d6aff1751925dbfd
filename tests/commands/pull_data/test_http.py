"""pull-data with a web server on loopback that fails in many ways: message, exit code, what is kept."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flint_ml.dvc_project import pull
from helpers.pull import Origin, act, fresh, make_origin, remote


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    return make_origin(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def server(origin: Origin) -> Iterator[str]:
    """Address of a server whose first folder names what it does wrong."""
    asked: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nothing on the screen."""

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            _, fault, key = self.path.split("/", 2)
            asked[fault] += 1
            file = origin.remote / key
            data = file.read_bytes() if file.is_file() else None
            listing = key.endswith(".dir")
            if fault == "private" and self.headers.get("Authorization") != "Basic dTpodW50ZXIyeA==":
                self.answer(401)
            elif fault.isdigit():
                self.answer(int(fault))
            elif fault == "hiccup" and asked[fault] % 3 == 0:
                self.answer(503)
            elif fault == "redirect":
                self.answer(302, Location=f"/good/{key}")
            elif fault == "slow" and not listing:
                time.sleep(2)
                self.answer(200, data or b"")
            elif data is None:
                self.answer(404)
            elif fault == "cut" and not listing:
                self.answer(200, data[: len(data) // 2], Content_Length=str(len(data)))
                self.close_connection = True
            elif fault == "short" and not listing:
                self.answer(200, data[: len(data) // 2])
            elif fault == "corrupt":
                self.answer(200, data[::-1])
            else:
                self.answer(200, data)

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{web.server_address[1]}"
    web.shutdown()


@pytest.fixture
def clone(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pull, "WAITS", (0.0,))
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    return fresh(origin, tmp_path)


@pytest.mark.parametrize(
    ("fault", "code", "name"),
    [
        ("good", 0, ""),
        ("redirect", 0, ""),
        ("hiccup", 0, ""),
        ("private", 0, ""),
        ("401", 2, "credentials-refused"),
        ("403", 2, "credentials-refused"),
        ("404", 3, "missing-on-remote"),
        ("500", 3, "remote-unreachable"),
        ("slow", 3, "remote-unreachable"),
        ("cut", 3, "remote-unreachable"),
        ("short", 3, "corrupt-object"),
        ("corrupt", 3, "corrupt-object"),
    ],
)
def test_each_fault_has_its_name_and_leaves_nothing_wrong(
    origin: Origin, server: str, clone: Path, fault: str, code: int, name: str
) -> None:
    secrets = {"auth": "basic", "user": "u", "password": "hunter2x"} if fault == "private" else {}
    remote(clone, f"{server}/{fault}", read_timeout="1", **secrets)
    result = act(clone, {"base-revision": "none"})
    codes = [finding.code for finding in result.record.findings]
    assert (result.code, codes) == (code, [name] if name else []), result.log
    assert "transferred by DVC" not in result.log
    assert "hunter2x" not in result.log + result.record.to_json()
    assert (clone / "data/soil.csv").exists() == (code == 0)
    for path in (clone / ".dvc/cache").rglob("*"):
        if path.is_file():
            assert hashlib.md5(path.read_bytes()).hexdigest() == (path.parent.name + path.name)[:32]
    # The next run, with a server that works, ends well.
    remote(clone, f"{server}/good")
    assert act(clone, {"base-revision": "none"}).code == 0
    assert (clone / "data/plots/p4.csv").read_bytes() == (origin.repo / "data/plots/p4.csv").read_bytes()


def test_what_we_do_not_read_dvc_does(
    server: str, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine elsewhere login u password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    remote(clone, f"{server}/good")
    result = act(clone, {"base-revision": "none"})
    assert result.code == 0, result.log
    assert "transferred by DVC itself: passwords of a .netrc file" in result.log
