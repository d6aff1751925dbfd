"""A real Git server over HTTP for tests: ``git http-backend`` behind basic authentication, on loopback.

Beside it, below ``/api/v3``, the stand-in for GitHub's API, which holds every exchange against GitHub's description; it
knows the branches from Git itself.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flint_ml.git.repository import Git
from githubapi.server import BOT, FakeGitHub

TOKEN = "ghs_manifests0token"
READER = "ghs_reads0only"


def git(*arguments: str, folder: Path, stdin: str = "") -> str:
    """Output of a Git command in ``folder``, as somebody else than the action."""
    who = {
        f"GIT_{role}_{what}": "somebody@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    result = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", *arguments],
        cwd=folder,
        env={**os.environ, **who},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def bare(folder: Path, files: dict[str, bytes]) -> Path:
    """A bare repository ``folder/o/manifests.git`` with one commit of ``files`` on ``main``."""
    work, repository = folder / "work", folder / "o" / "manifests.git"
    work.mkdir(parents=True)
    repository.parent.mkdir()
    git("init", "--quiet", ".", folder=work)
    for name, data in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(data)
    git("add", "--all", folder=work)
    git("commit", "--quiet", "-m", "manifests", folder=work)
    git("clone", "--quiet", "--bare", str(work), str(repository), folder=folder)
    git("config", "http.receivepack", "true", folder=repository)
    return repository


def change(repository: Path, name: str, data: bytes, branch: str = "main", message: str = "elsewhere") -> str:
    """Somebody else's commit, straight into the bare repository."""
    index = {"GIT_INDEX_FILE": str(repository / "other-index")}
    blob = (
        subprocess.run(
            ["git", "hash-object", "-w", "--stdin", "--no-filters"],
            cwd=repository,
            input=data,
            capture_output=True,
            check=True,
        )
        .stdout.decode()
        .strip()
    )
    environment = {**os.environ, **index}
    subprocess.run(["git", "read-tree", branch], cwd=repository, env=environment, check=True)
    cache = f"100644,{blob},{name}"
    subprocess.run(["git", "update-index", "--add", "--cacheinfo", cache], cwd=repository, env=environment, check=True)
    tree = subprocess.run(
        ["git", "write-tree"], cwd=repository, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()
    commit = git("commit-tree", tree, "-p", branch, "-m", message, folder=repository)
    git("update-ref", f"refs/heads/{branch}", commit, folder=repository)
    return commit


def content(repository: Path, name: str, branch: str = "main") -> bytes:
    """A file as it is on the server."""
    data = Git(repository).show(branch, name)
    assert data is not None
    return data


def commits(repository: Path, branch: str = "main") -> int:
    """How many commits the branch has."""
    return int(git("rev-list", "--count", branch, folder=repository))


@dataclass
class Server:
    """State of the server: faults to make, requests seen, pull requests."""

    root: Path
    url: str = ""
    status: int = 0
    fail: list[int] = field(default_factory=list)
    location: str = ""
    requests: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    github: FakeGitHub = field(default_factory=lambda: FakeGitHub("o/manifests", {TOKEN: BOT}))
    lose_push_answers: int = 0
    before_push: list[Any] = field(default_factory=list)
    after_push: list[Any] = field(default_factory=list)
    # Called once, when a request comes whose method and path hold the key.
    on: dict[str, Any] = field(default_factory=dict)

    @property
    def repository(self) -> Path:
        return self.root / "o" / "manifests.git"

    @property
    def manifests(self) -> str:
        return f"{self.url}/o/manifests.git"

    def branches(self) -> set[str]:
        """Names of the branches of the manifests repository."""
        names = git("for-each-ref", "--format=%(refname)", "refs/heads", folder=self.repository).splitlines()
        return {name.removeprefix("refs/heads/") for name in names}


class DroppedError(Exception):
    """A hook raises it to drop the connection: the request has no answer and, before a push, no effect."""


class _Handler(BaseHTTPRequestHandler):
    server_state: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._or_drop(b"")

    def do_POST(self) -> None:
        self._or_drop(self._body())

    def do_PATCH(self) -> None:
        self._or_drop(self._body())

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        data = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _or_drop(self, body: bytes) -> None:
        try:
            self._serve(body)
        except DroppedError:
            self.close_connection = True

    def _serve(self, body: bytes) -> None:
        state, parts = self.server_state, urlsplit(self.path)
        state.requests.append(f"{self.command} {self.path}")
        given = self.headers.get("authorization", "")
        state.headers.append(given)
        for key in [key for key in state.on if key in state.requests[-1]]:
            state.on.pop(key)()
        if state.location:
            self._answer(301, Location=state.location + self.path)
        elif state.fail:
            self._answer(state.fail.pop(0))
        elif parts.path.startswith("/api/v3/"):
            self._api(body, given)
        elif (user := self._user(given)) is None:
            self._answer(401, WWW_Authenticate='Basic realm="git"')
        elif user == READER and "git-receive-pack" in self.path:
            self._answer(403)
        else:
            if parts.path.endswith("/git-receive-pack") and state.before_push:
                state.before_push.pop(0)()
            self._backend(parts.path, parts.query, body)

    @staticmethod
    def _user(given: str) -> str | None:
        if not given.startswith("Basic "):
            return None
        password = base64.b64decode(given[6:]).decode().partition(":")[2]
        return password if password in {TOKEN, READER} else None

    def _backend(self, path: str, query: str, body: bytes) -> None:
        env = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.server_state.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": "somebody",
            "CONTENT_TYPE": self.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
        }
        out = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=False).stdout
        head, _, data = out.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        if path.endswith("/git-receive-pack") and self.server_state.after_push:
            self.server_state.after_push.pop(0)()
        if path.endswith("/git-receive-pack") and self.server_state.lose_push_answers:
            self.server_state.lose_push_answers -= 1
            self.close_connection = True
            return
        status = int(fields.pop("Status", "200").split()[0])
        self._answer(status, data, **{name: value for name, value in fields.items() if name != "Content-Length"})

    def _api(self, body: bytes, given: str) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server_state.github.handle(self.command, self.path, given.removeprefix("Bearer "), headers, body)
        if answer is None:
            self.close_connection = True
            return
        self._answer(answer.status, json.dumps(answer.body).encode(), **answer.headers)


@contextmanager
def serve(root: Path) -> Iterator[Server]:
    """Serve the repositories below ``root``."""
    state = Server(root)
    state.github.branches = state.branches
    handler = type("Handler", (_Handler,), {"server_state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        assert not state.github.problems, f"requests that GitHub would not understand: {state.github.problems}"
