"""The server: keeps comments, pull requests, artifacts, Git objects; fails on demand; checks every exchange."""

from __future__ import annotations

import io
import json
import re
import ssl
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from githubapi.gitobjects import Answer, GitObjects
from githubapi.issues import Issues
from githubapi.pulls import PullRequests
from githubapi.spec import Operation, Spec

NO_PERMISSION = "Resource not accessible by integration"
BOT = {"login": "github-actions[bot]", "type": "Bot", "write": True}


@dataclass
class Fault:
    """What goes wrong, how often: a status, a lost answer (``lost``: the request works, its answer does not
    arrive), a connection that is dropped before (``drop``)."""

    method: str = ""
    path: str = ""
    times: int = 1
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    lost: bool = False
    drop: bool = False


class FakeGitHub(GitObjects, PullRequests, Issues):
    """GitHub, as far as the project uses it.

    Parameters
    ----------
    repository
        ``owner/name``.
    tokens
        Token → ``{"login", "type", "write"}``; None: every token is the workflow's own.
    """

    def __init__(self, repository: str = "o/r", tokens: dict[str, dict[str, Any]] | None = None) -> None:
        self.spec = Spec()
        self.repository = repository
        self.tokens = tokens
        self.comments: list[dict[str, Any]] = []
        self.pulls: dict[int, dict[str, Any]] = {}
        self.issues: dict[int, dict[str, Any]] = {}
        self.events: dict[int, list[dict[str, Any]]] = {}
        self.permissions: dict[str, str] = {}
        self.artifacts: dict[int, tuple[int, str, bytes]] = {}
        self.runs: dict[int, dict[str, Any]] = {}
        self.objects: dict[str, dict[str, Any]] = {}
        self.refs: dict[str, str] = {}
        self.check_runs: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.faults: list[Fault] = []
        self.before: Callable[[str, str], None] | None = None
        self.file: Path | None = None
        self.url = ""
        self._lock = threading.RLock()
        self._next = 1000

    # -- what tests put in -------------------------------------------------------------------------------------

    def add_comment(self, pull: int, body: str, login: str = "someone", kind: str = "User") -> dict[str, Any]:
        """A comment that is there already."""
        with self._lock:
            self._next += 1
            number = self._next
            root = f"{self.url}/repos/{self.repository}"
            comment = self.spec.sample(
                "issue-comment",
                id=number,
                body=body,
                issue_url=f"{root}/issues/{pull}",
                url=f"{root}/issues/comments/{number}",
                html_url=f"https://github.com/{self.repository}/pull/{pull}#issuecomment-{number}",
                user=self.spec.sample("simple-user", login=login, type=kind),
            )
            self.comments.append(comment)
            return comment

    def of(self, pull: int) -> list[dict[str, Any]]:
        """Comments of a pull request, in order."""
        return [comment for comment in self.comments if comment["issue_url"].endswith(f"/issues/{pull}")]

    def add_artifact(self, number: int, run_id: int, name: str, files: dict[str, bytes] | bytes) -> None:
        """An artifact of a workflow run: files to be zipped, or the bytes themselves."""
        if isinstance(files, dict):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
                for path, data in files.items():
                    archive.writestr(path, data)
            files = buffer.getvalue()
        self.artifacts[number] = (run_id, name, files)

    def add_run(self, number: int, head_sha: str, branch: str = "change", owner: str | None = None) -> dict[str, Any]:
        """A workflow run, of a fork where ``owner`` is another."""
        owner = owner or self.repository.split("/")[0]
        name = self.repository.split("/")[1]
        user = self.spec.sample("simple-user", login=owner)
        head = self.spec.sample("minimal-repository", full_name=f"{owner}/{name}", name=name, owner=user)
        run = self.spec.sample(
            "workflow-run",
            id=number,
            run_number=12,
            run_attempt=1,
            head_sha=head_sha,
            head_branch=branch,
            head_repository=head,
            html_url=f"https://github.com/{self.repository}/actions/runs/{number}",
        )
        self.runs[number] = run
        return run

    def state(self) -> dict[str, Any]:
        """Everything that a test outside this process may look at."""
        return {
            "comments": [
                {"id": c["id"], "user": c["user"]["login"], "body": c["body"], "issue_url": c["issue_url"]}
                for c in self.comments
            ],
            "requests": self.requests,
            "problems": self.problems,
            "check_runs": self.check_runs,
            "refs": self.refs,
        }

    # -- one exchange ------------------------------------------------------------------------------------------

    def handle(self, method: str, target: str, token: str, headers: dict[str, str], data: bytes) -> Answer | None:
        """Answer a request; None drops the connection."""
        parts = urlsplit(target)
        # An Enterprise Server has the same API below /api/v3.
        path, query = (
            unquote(parts.path).removeprefix("/api/v3").removeprefix("/api"),
            parse_qs(parts.query, keep_blank_values=True),
        )
        if (method, path) == ("POST", "/graphql"):
            # Not in the description of the REST API: the one question that an app's token cannot ask there.
            who = BOT if self.tokens is None else self.tokens.get(token)
            self._note(method, path, 200 if who else 401, [])
            told = {"data": {"viewer": {"login": who["login"]}}} if who else {"message": "Bad credentials"}
            return Answer(200 if who else 401, told)
        if self.before is not None:
            self.before(method, path)
        with self._lock:
            fault = self._fault(method, path)
            if fault and fault.drop:
                self._note(method, path, 0, [])
                return None
            if fault and not fault.lost:
                body = {"message": f"status {fault.status}"} if fault.body is None else fault.body
                self._note(method, path, fault.status, [])
                return Answer(fault.status, body, fault.headers)
            answer = self._checked(method, path, query, token, headers, data)
            return None if fault else answer

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.method in ("", method) and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None

    def _note(self, method: str, path: str, status: int, problems: list[str]) -> None:
        self.requests.append({"method": method, "path": path, "status": status, "time": time.time()})
        self.problems += [f"{method} {path}: {problem}" for problem in problems]
        if self.file:
            text = json.dumps(self.state(), indent=1)
            temporary = self.file.with_suffix(".new")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self.file)

    def _checked(
        self, method: str, path: str, query: dict[str, list[str]], token: str, headers: dict[str, str], data: bytes
    ) -> Answer:
        if path.startswith("/_artifacts/"):
            # The storage that GitHub redirects to: it refuses a request that brings GitHub's token along.
            self._note(method, path, 200, ["token sent to another host"] if token else [])
            return Answer(200, raw=self.artifacts[int(path.rsplit("/", 1)[1])][2])
        found = self.spec.find(method, path)
        problems: list[str] = []
        if "flint-ml" in headers.get("user-agent", "") and headers.get("x-github-api-version") != "2022-11-28":
            problems.append("header X-GitHub-Api-Version: missing or another")
        if not headers.get("user-agent"):
            problems.append("header User-Agent: missing")
        if found is None:
            self._note(method, path, 404, [*problems, "is not in the description"])
            return Answer(404, {"message": "Not Found"})
        operation, values = found
        try:
            body = json.loads(data) if data else None
        except ValueError:
            body, problems = None, [*problems, "body: is not JSON"]
        problems += self.spec.request_errors(operation, query, body)
        answer = (
            self._answer(operation, values, query, token, body)
            if not problems
            else Answer(400, {"message": "; ".join(problems)})
        )
        if not problems:
            problems += [f"answer: {e}" for e in self.spec.response_errors(operation, answer.status, answer.body)]
        self._note(method, path, answer.status, problems)
        return answer

    def _answer(
        self, operation: Operation, values: dict[str, str], query: dict[str, list[str]], token: str, body: Any
    ) -> Answer:
        who = BOT if self.tokens is None else self.tokens.get(token)
        if not token or who is None:
            return Answer(401, {"message": "Bad credentials", "documentation_url": "x"})
        if "owner" in values and f"{values['owner']}/{values['repo']}".lower() != self.repository.lower():
            return Answer(404, {"message": "Not Found", "documentation_url": "x"})
        if operation.method != "get" and not who.get("write"):
            return Answer(403, {"message": NO_PERMISSION, "documentation_url": "x"})
        name = operation.node["operationId"].replace("/", "_").replace("-", "_")
        return getattr(self, f"_{name}")(values, query, body, who)

    # -- operations --------------------------------------------------------------------------------------------

    def _users_get_authenticated(self, _values, _query, _body, who) -> Answer:
        if who["type"] == "Bot":
            return Answer(403, {"message": NO_PERMISSION, "documentation_url": "x"})
        return Answer(200, self.spec.sample("private-user", login=who["login"]))

    def _issues_list_comments(self, values, query, _body, _who) -> Answer:
        pull = int(values["issue_number"])
        if pull not in self.pulls and pull not in self.issues and not self.of(pull):
            return Answer(404, {"message": "Not Found", "documentation_url": "x"})
        return self._paged(self.of(pull), query, f"/repos/{self.repository}/issues/{pull}/comments")

    def _paged(self, items: list[Any], query: dict[str, list[str]], path: str, key: str | None = None) -> Answer:
        size = min(100, int(query.get("per_page", ["30"])[0]))
        page = int(query.get("page", ["1"])[0])
        part = items[(page - 1) * size : page * size]
        headers = {}
        if page * size < len(items):
            headers["Link"] = f'<{self.url}{path}?per_page={size}&page={page + 1}>; rel="next"'
        return Answer(200, part if key is None else {"total_count": len(items), key: part}, headers)

    def _issues_create_comment(self, values, _query, body, who) -> Answer:
        pull = int(values["issue_number"])
        if pull not in self.pulls and pull not in self.issues:
            return Answer(404, {"message": "Not Found", "documentation_url": "x"})
        if len(body["body"]) > 65_536:
            errors = [
                {
                    "resource": "IssueComment",
                    "code": "unprocessable",
                    "field": "data",
                    "message": "Body is too long (maximum is 65536 characters)",
                }
            ]
            return Answer(422, {"message": "Validation Failed", "documentation_url": "x", "errors": errors})
        return Answer(201, self.add_comment(pull, body["body"], who["login"], who["type"]))

    def _comment(self, values) -> dict[str, Any] | None:
        return next((c for c in self.comments if c["id"] == int(values["comment_id"])), None)

    def _issues_get_comment(self, values, _query, _body, _who) -> Answer:
        comment = self._comment(values)
        return Answer(200, comment) if comment else Answer(404, {"message": "Not Found", "documentation_url": "x"})

    def _issues_update_comment(self, values, _query, body, who) -> Answer:
        comment = self._comment(values)
        if comment is None:
            return Answer(404, {"message": "Not Found", "documentation_url": "x"})
        if comment["user"]["login"] != who["login"]:
            return Answer(403, {"message": NO_PERMISSION, "documentation_url": "x"})
        comment["body"] = body["body"]
        return Answer(200, comment)

    def _issues_delete_comment(self, values, _query, _body, _who) -> Answer:
        comment = self._comment(values)
        if comment is None:
            return Answer(404, {"message": "Not Found", "documentation_url": "x"})
        self.comments.remove(comment)
        return Answer(204)

    def _issues_list_events(self, values, query, _body, _who) -> Answer:
        number = int(values["issue_number"])
        return self._paged(self.events.get(number, []), query, f"/repos/{self.repository}/issues/{number}/events")

    def _repos_get(self, _values, _query, _body, _who) -> Answer:
        owner, name = self.repository.split("/")
        del owner
        return Answer(200, self.spec.sample("full-repository", full_name=self.repository, name=name))

    def _repos_get_collaborator_permission_level(self, values, _query, _body, _who) -> Answer:
        level = self.permissions.get(values["username"], "read")
        return Answer(200, {"permission": level, "role_name": level, "user": None})

    def _actions_get_workflow_run(self, values, _query, _body, _who) -> Answer:
        run = self.runs.get(int(values["run_id"]))
        return Answer(200, run) if run else Answer(404, {"message": "Not Found", "documentation_url": "x"})

    def _actions_list_workflow_runs_for_repo(self, _values, query, _body, _who) -> Answer:
        return self._listed_runs(query, f"/repos/{self.repository}/actions/runs")

    def _actions_list_workflow_runs(self, values, query, _body, _who) -> Answer:
        name = values["workflow_id"]
        return self._listed_runs(query, f"/repos/{self.repository}/actions/workflows/{name}/runs", name)

    def _listed_runs(self, query, path: str, workflow: str = "") -> Answer:
        """Runs, newest first; GitHub's ``status`` is a status or a conclusion, and a branch may be a fork's."""
        wanted = query.get("status", [""])[0]
        found = [
            run
            for run in sorted(self.runs.values(), key=lambda run: -run["id"])
            if run["head_branch"] == query.get("branch", [run["head_branch"]])[0]
            and wanted in ("", run["status"], run["conclusion"])
            and (not workflow or run["path"].rpartition("/")[2] == workflow)
        ]
        return self._paged(found, query, path, "workflow_runs")

    def _actions_list_workflow_run_artifacts(self, values, query, _body, _who) -> Answer:
        run_id = int(values["run_id"])
        found = [
            self.spec.sample("artifact", id=number, name=name, size_in_bytes=len(data), expired=False)
            for number, (run, name, data) in self.artifacts.items()
            if run == run_id and query.get("name", [name])[0] == name
        ]
        return self._paged(found, query, f"/repos/{self.repository}/actions/runs/{run_id}/artifacts", "artifacts")

    def _actions_download_artifact(self, values, _query, _body, _who) -> Answer:
        number = int(values["artifact_id"])
        if number not in self.artifacts:
            return Answer(404, {"message": "Not Found", "documentation_url": "x"})
        other = self.url.replace("127.0.0.1", "localhost")
        return Answer(302, None, {"Location": f"{other}/_artifacts/{number}"})

    def _checks_create(self, _values, _query, body, _who) -> Answer:
        self.check_runs.append(body)
        sample = self.spec.sample("check-run", name=body["name"], head_sha=body["head_sha"])
        sample |= {"status": body.get("status", "queued"), "conclusion": body.get("conclusion")}
        return Answer(201, sample)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        data = self.rfile.read(length) if length else b""
        token = re.sub(r"^(Bearer|token) ", "", self.headers.get("authorization") or "").strip()
        headers = {key.lower(): value for key, value in self.headers.items()}
        answer = self.server.github.handle(self.command, self.path, token, headers, data)
        if answer is None:
            self.close_connection = True
            self.connection.close()
            return
        raw = answer.raw if answer.raw is not None else b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for key, value in answer.headers.items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve  # noqa: N815 - names that http.server asks for

    def log_message(self, *_arguments: Any) -> None:
        """Quiet: the state file tells what happened."""


class Server(ThreadingHTTPServer):
    """Serves a FakeGitHub on a loopback port; use it as a context manager."""

    daemon_threads = True

    def __init__(
        self, github: FakeGitHub, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__((host, port), _Handler)
        self.github = github
        name = "localhost" if tls else host if host != "0.0.0.0" else "127.0.0.1"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        github.url = f"{'https' if tls else 'http'}://{name}:{self.server_address[1]}"

    def __enter__(self) -> Server:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_arguments: object) -> None:
        self.shutdown()
        self.server_close()
