"""A small client: one place that knows headers, pages, retries, limits and what the statuses mean.

Statuses become domain errors: :class:`WrongTokenError` (401), :class:`ForbiddenError` (403),
:class:`NotFoundError` (404), :class:`RefusedError` (422 and other 4xx); what does not get better in time is an
:class:`OutsideError`.
"""

from __future__ import annotations

import json
import queue
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import requests

from flint_ml import __version__
from flint_ml.errors import InputError, OutsideError

# REST API version that the requests were written and tested for.
API_VERSION = "2022-11-28"
DEADLINE = 120.0
TIMEOUT = (10.0, 30.0)
# Seconds for one request in wall time, also where an answer comes byte by byte.
REQUEST_DEADLINE = 60.0
MAX_PAGES = 100
MAX_BYTES = 64 * 1024 * 1024
# Bytes of an answer that is not a download.
MAX_ANSWER = 16 * 1024 * 1024
# Names that job tokens of workflows write under, where the token cannot be asked.
_JOB_LOGINS = ("github-actions[bot]", "forgejo-actions", "gitea-actions")
_REDIRECT, _CLIENT, _SERVER = 300, 400, 500


_DISTURBED = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class WrongTokenError(InputError):
    """401: the token is wrong or has expired."""


class ForbiddenError(InputError):
    """403: the token may not do this."""


class NotFoundError(InputError):
    """404: not there, or not for this token."""


class RefusedError(InputError):
    """422 and other 4xx: GitHub does not take the request as it is."""


class _Bearer(requests.auth.AuthBase):
    """Sends the token; also keeps requests from taking one out of a ``.netrc``."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(frozen=True)
class Answer:
    """An answer that was read to its end."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    links: Mapping[str, Mapping[str, str]]

    def json(self) -> Any:
        """The content as JSON; ValueError where it is something else."""
        return json.loads(self.content)


@contextmanager
def expected_shape(where: str) -> Iterator[None]:
    """An answer of another shape than GitHub's is an error from outside, and no defect of ours.

    Raises
    ------
    OutsideError
        In place of the errors that a missing key or another type leads to.
    """
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise OutsideError(
            f"what answers is not GitHub's API: its answer has another shape ({type(error).__name__})",
            where=where,
            hint="check GITHUB_API_URL, and the proxy between this runner and GitHub",
            code="github-answer",
        ) from error


def _within(seconds: float, work: Callable[[], Answer]) -> Answer:
    """The result of ``work``, or a timeout after ``seconds`` of wall time, whatever it waits for."""
    ended: queue.SimpleQueue[tuple[Answer | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            ended.put((work(), None))
        except BaseException as error:
            ended.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        answer, error = ended.get(timeout=seconds)
    except queue.Empty:
        raise requests.Timeout(f"no whole answer within {seconds:.0f} s") from None
    if error is not None:
        raise error
    assert answer is not None
    return answer


@dataclass
class GitHub:
    """A client for one repository.

    Parameters
    ----------
    token
        Never shown: not in ``repr``, not in an error.
    repository
        ``owner/name``.
    api_url
        ``GITHUB_API_URL``: GitHub.com, GitHub Enterprise Server, or a test server.
    deadline
        Seconds that all requests of this client may take together, waits included.
    """

    token: str = field(repr=False)
    repository: str
    api_url: str = "https://api.github.com"
    deadline: float = DEADLINE
    session: requests.Session = field(default_factory=requests.Session, repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    say: Callable[[str], None] = field(default=lambda _text: None, repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/(?!\.{1,2}$)[A-Za-z0-9_.-]+", self.repository):
            raise InputError(
                f"{self.repository!r} is not owner/name",
                where="GITHUB_REPOSITORY",
                hint="run on GitHub, or set the variable",
                code="no-repository",
            )
        address = urlsplit(self.api_url)
        local = address.hostname in ("localhost", "127.0.0.1", "::1")
        if address.scheme != "https" and not (address.scheme == "http" and local):
            raise InputError(
                "must be an https address, so that the token is not sent in the clear",
                where="GITHUB_API_URL",
                code="insecure-api-url",
            )
        self.api_url = self.api_url.rstrip("/")
        self._end = self.clock() + self.deadline

    def get(self, path: str, **query: str | int) -> Any:
        """JSON of ``GET path``; ``{repo}`` in the path stands for ``repos/owner/name``."""
        return _json(self._request("GET", self._url(path), query=query), path)

    def download(self, path: str, limit: int = MAX_BYTES) -> bytes:
        """Bytes of ``GET path``, redirects followed without the token, at most ``limit``."""
        answer: Answer = self._request("GET", self._url(path), limit=limit)
        return answer.content

    def post(self, path: str, body: Mapping[str, Any], before_retry: Callable[[], Any] | None = None) -> Any:
        """JSON of ``POST path``.

        ``before_retry`` is asked before the request is sent again: it may have worked without our seeing the
        answer. What it returns, if not None, is the result.
        """
        response = self._request("POST", self._url(path), body=body, before_retry=before_retry)
        return _json(response, path) if isinstance(response, Answer) else response

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """JSON of ``PATCH path``."""
        return _json(self._request("PATCH", self._url(path), body=body), path)

    def delete(self, path: str) -> None:
        """``DELETE path``; what is gone already is fine."""
        try:
            self._request("DELETE", self._url(path))
        except NotFoundError:
            return

    def pages(self, path: str, **query: str | int) -> Iterator[Any]:
        """Items of all pages of ``GET path``, following the ``Link`` header."""
        url: str | None = self._url(path)
        parameters: Mapping[str, str | int] = {"per_page": 100, **query}
        for _ in range(MAX_PAGES):
            if url is None:
                return
            response = self._request("GET", url, query=parameters)
            data = _json(response, path)
            with expected_shape(path):
                lists = [data] if isinstance(data, list) else [v for v in data.values() if isinstance(v, list)]
                items = lists[0]
            yield from (item for item in items if isinstance(item, dict))
            url, parameters = response.links.get("next", {}).get("url"), {}
            if url is not None and urlsplit(url)[:2] != urlsplit(self.api_url)[:2]:
                raise OutsideError("the next page is on another host", where=path, code="github-page")

    @cached_property
    def logins(self) -> tuple[str, ...]:
        """The names that this token writes comments under.

        A token of an app or of a workflow's job cannot ask REST who it is; GraphQL tells it. Where nothing does, only
        the names of workflows' jobs count.
        """
        if not self.token.startswith("ghs_"):
            try:
                with expected_shape("GET /user"):
                    return (str(self.get("user")["login"]),)
            except (InputError, OutsideError):
                return _JOB_LOGINS
        query = {"query": "query { viewer { login } }"}
        try:
            # Asked once: without an answer the report must not wait.
            with expected_shape("POST /graphql"):
                answer = self._send("POST", f"{self.api_url.removesuffix('/v3')}/graphql", None, query, MAX_ANSWER)
                login = str(answer.json()["data"]["viewer"]["login"]).removesuffix("[bot]")
        except (InputError, OutsideError, *_DISTURBED):
            return _JOB_LOGINS
        return (login, f"{login}[bot]")

    def _url(self, path: str) -> str:
        return f"{self.api_url}/{path.replace('{repo}', 'repos/' + self.repository).lstrip('/')}"

    def _request(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        limit: int = MAX_ANSWER,
        before_retry: Callable[[], Any] | None = None,
    ) -> Any:
        where = f"{method} {urlsplit(url).path}"
        attempt = 0
        while True:
            wait, problem = None, ""
            try:
                response = self._send(method, url, query, body, limit)
            except _DISTURBED as error:
                problem = f"GitHub did not answer ({type(error).__name__})"
            else:
                if response.status_code < _REDIRECT:
                    return response
                if response.status_code < _CLIENT:
                    raise RefusedError(
                        "GitHub sends on to another address: the repository was renamed or moved",
                        where=where,
                        hint=f"give its name of today in GITHUB_REPOSITORY, not `{self.repository}`",
                        code="repository-moved",
                    )
                wait = _pause(response)
                if wait is None and response.status_code < _SERVER:
                    raise _refusal(response, where)
                problem = f"GitHub answered {response.status_code}"
            self._wait(attempt, wait, problem, where)
            attempt += 1
            if before_retry is not None and (known := before_retry()) is not None:
                return known

    def _send(
        self, method: str, url: str, query: Mapping[str, str | int] | None, body: Mapping[str, Any] | None, limit: int
    ) -> Answer:
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": API_VERSION,
            "User-Agent": f"flint-ml/{__version__}",
        }
        left = max(1.0, self._end - self.clock())

        def work() -> Answer:
            response = self.session.request(
                method,
                url,
                params=dict(query or {}),
                json=body,
                headers=headers,
                auth=_Bearer(self.token),
                timeout=(min(TIMEOUT[0], left), min(TIMEOUT[1], left)),
                stream=True,
                # A redirected POST would become a GET; only reading follows redirects (requests drops the token then).
                allow_redirects=method == "GET",
            )
            data = bytearray()
            for block in response.iter_content(1 << 16):
                data += block
                if len(data) > limit:
                    response.close()
                    where = urlsplit(url).path
                    raise RefusedError(f"is larger than {limit:,} bytes", where=where, code="download-too-large")
            return Answer(response.status_code, response.headers, bytes(data), response.links)

        return _within(min(left, REQUEST_DEADLINE), work)

    def _wait(self, attempt: int, wait: float | None, problem: str, where: str) -> None:
        """Wait before the next attempt, or give up when the time is over."""
        seconds = wait if wait is not None else min(2.0**attempt, 30.0) * random.uniform(0.8, 1.2)  # noqa: S311
        if self.clock() + seconds > self._end:
            asked = f" and asks to wait {seconds:.0f} s" if wait else ""
            raise OutsideError(
                f"{problem}{asked}; given up after {attempt + 1} attempts in {self.deadline:.0f} s at most",
                where=where,
                hint="run the job again later; the report is in the job summary and in the results",
                code="github-unavailable",
            )
        self.say(f"{problem}; again in {seconds:.0f} s ({where})")
        self.sleep(seconds)


def _json(response: Answer, path: str) -> Any:
    """The answer's content; what stands between us and GitHub (a proxy, a login page) may answer with a page."""
    try:
        return response.json()
    except ValueError:
        raise OutsideError(
            "what answers is not GitHub's API: a page instead of data",
            where=path,
            hint="check GITHUB_API_URL, and the proxy between this runner and GitHub",
            code="github-answer",
        ) from None


def _pause(response: Answer) -> float | None:
    """Seconds to wait, where GitHub says that it is a matter of rate or load; None for other answers."""
    status = response.status_code
    if status >= _SERVER:
        after = response.headers.get("retry-after", "")
        return float(after) if after.isdigit() else None
    if status not in (403, 429):
        return None
    after = response.headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    if response.headers.get("x-ratelimit-remaining") == "0":
        reset = response.headers.get("x-ratelimit-reset", "")
        return max(1.0, float(reset) - time.time()) if reset.isdigit() else 60.0
    # GitHub's advice for a secondary limit that names no time: at least a minute.
    return 60.0 if status == 429 or "rate limit" in _message(response).lower() else None


def _message(response: Answer) -> str:
    try:
        data = response.json()
    except ValueError:
        return ""
    if not isinstance(data, dict):
        return ""
    text = str(data.get("message") or "")
    errors = data.get("errors")
    if isinstance(errors, list) and errors:
        first = errors[0]
        text += f" ({first.get('message') or first.get('code') if isinstance(first, dict) else first})"
    return text[:300]


def _refusal(response: Answer, where: str) -> InputError:
    """The domain error of a 4xx that waiting does not mend."""
    status, said = response.status_code, _message(response)
    text = f"GitHub answered {status}" + (f": {said}" if said else "")
    if status == 401:
        return WrongTokenError(
            text,
            where=where,
            code="wrong-token",
            hint="check the input `token`: `${{ github.token }}`, or a token that has not expired",
        )
    if status in (403, 423) and "locked" in said.lower():
        return ForbiddenError(
            text,
            where=where,
            code="conversation-locked",
            hint="the conversation is locked: unlock it; the report is in the job summary and in the results",
        )
    if status == 403:
        return ForbiddenError(
            text,
            where=where,
            code="forbidden",
            hint="give the job `permissions: pull-requests: write`; a fork's or Dependabot's token can only read",
        )
    if status in (404, 410):
        return NotFoundError(
            text,
            where=where,
            code="not-found",
            hint="check the number of the pull request and that the token may see this repository",
        )
    return RefusedError(text, where=where, code="refused", hint="this is what GitHub says of the request; see the log")
