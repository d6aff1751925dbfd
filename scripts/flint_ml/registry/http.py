"""MLflow's REST API: requests with time limits, and what each refusal means in words."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from flint_ml.errors import OutsideError
from flint_ml.registry.address import Address
from flint_ml.registry.errors import Explained, redirected, refusal, unreachable
from flint_ml.registry.store import COLLISION_TRIES, MAX_READ, collided, pause, too_large

PROBE_SECONDS = 8.0
_CONNECT, _READ, _READ_ARTIFACT = 4, 60, 600
_API = "/api/2.0/mlflow/"
_NO_MLFLOW = Explained("what answers there is no MLflow server", "check `tracking-uri`", "no-mlflow")


class RefusedError(OutsideError):
    """The server answered no; ``mlflow_code`` is MLflow's own code (``RESOURCE_DOES_NOT_EXIST``)."""

    mlflow_code = ""


def _seconds(env: Mapping[str, str]) -> int:
    text = env.get("MLFLOW_HTTP_REQUEST_TIMEOUT", "")
    return int(text) if text.isdigit() and int(text) else _READ


class Http:
    """A session with one server."""

    def __init__(self, address: Address, env: Mapping[str, str]) -> None:
        self.address = address
        self.seconds = _seconds(env)
        self.session = requests.Session()
        # An answer that was lost may have done its work; registration settles what is then there twice.
        retry = Retry(
            total=3,
            connect=2,
            backoff_factor=0.4,
            status_forcelist=(408, 429, 502, 503, 504),
            allowed_methods=None,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(max_retries=retry))
        if address.username:
            self.session.auth = (address.username, address.password or "")
        elif address.token:
            self.session.headers["Authorization"] = f"Bearer {address.token}"
            # Without this, requests would look for a ~/.netrc and put that in the token's place.
            self.session.auth = lambda request: request
        if env.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in {"1", "true"}:
            self.session.verify = False
        elif env.get("MLFLOW_TRACKING_SERVER_CERT_PATH"):
            self.session.verify = env["MLFLOW_TRACKING_SERVER_CERT_PATH"]
        if env.get("MLFLOW_TRACKING_CLIENT_CERT_PATH"):
            self.session.cert = env["MLFLOW_TRACKING_CLIENT_CERT_PATH"]

    def probe(self) -> None:
        """Ask something small, without patience, so that a server that is down is reported at once."""
        url = f"{self.address.uri}{_API}registered-models/search"
        end = time.monotonic() + PROBE_SECONDS
        # A server that is slow gets all of the time, one that nothing is heard of half of it.
        connected_by = end - PROBE_SECONDS / 2
        plain = requests.Session()
        plain.auth, plain.verify, plain.cert = self.session.auth, self.session.verify, self.session.cert
        plain.headers.update(self.session.headers)
        while True:
            left = max(end - time.monotonic(), 0.2)
            try:
                answer = plain.get(
                    url, params={"max_results": 1}, timeout=(min(3.0, left), left), allow_redirects=False
                )
            except requests.RequestException as error:
                late = time.monotonic() > connected_by
                if late or isinstance(error, requests.exceptions.SSLError | requests.exceptions.ReadTimeout):
                    raise self._unreachable(error) from None
                time.sleep(1)
                continue
            self._checked(answer)
            return

    def ask(self, method: str, path: str, **values: Any) -> dict[str, Any]:
        """One call of the API; ``values`` go as query for GET, else as JSON."""
        where = {"params": values} if method == "GET" else {"json": values}
        for attempt in range(COLLISION_TRIES):
            answer = self._send(method, f"{_API}{path}", timeout=(_CONNECT, self.seconds), **where)
            try:
                data = self._checked(answer)
            except RefusedError as error:
                if attempt + 1 == COLLISION_TRIES or not collided(error.message):
                    raise
                pause(attempt)
                continue
            return data if isinstance(data, dict) else {}
        raise AssertionError("the last attempt returns or raises")

    def put(self, path: str, file: Path) -> None:
        """Upload ``file``, streamed."""
        with file.open("rb") as stream:
            headers = {"Content-Type": "application/octet-stream"}
            # An empty stream would be sent in chunks, which servers behind WSGI do not read.
            body: Any = stream if file.stat().st_size else b""
            answer = self._send("PUT", path, data=body, headers=headers, timeout=(_CONNECT, _READ_ARTIFACT))
        self._checked(answer, artifact=True)

    def sha256(self, path: str) -> str:
        """Hash of what the server returns for an artifact."""
        answer = self._send("GET", path, stream=True, timeout=(_CONNECT, _READ_ARTIFACT))
        digest = hashlib.sha256()
        with answer:
            if answer.status_code != requests.codes.ok:
                self._checked(answer, artifact=True)
            try:
                for block in answer.iter_content(1 << 20):
                    digest.update(block)
            except requests.RequestException as error:
                raise self._unreachable(error) from None
        return digest.hexdigest()

    def read(self, path: str, name: str) -> bytes | None:
        """Content of an artifact, or None where there is none."""
        answer = self._send("GET", path, stream=True, timeout=(_CONNECT, _READ_ARTIFACT))
        data = bytearray()
        with answer:
            if answer.status_code == requests.codes.not_found:
                return None
            if answer.status_code != requests.codes.ok:
                self._checked(answer, artifact=True)
            try:
                for block in answer.iter_content(1 << 20):
                    data += block
                    if len(data) > MAX_READ:
                        raise too_large(name, self.address.uri)
            except requests.RequestException as error:
                raise self._unreachable(error) from None
        return bytes(data)

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            return self.session.request(method, f"{self.address.uri}{path}", allow_redirects=method == "GET", **options)
        except requests.RequestException as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: requests.RequestException) -> OutsideError:
        explained = unreachable(
            error,
            certificate=isinstance(error, requests.exceptions.SSLError),
            timeout=isinstance(error, requests.exceptions.Timeout),
        )
        return OutsideError(explained.message, where=self.address.uri, hint=explained.hint, code=explained.code)

    def _checked(self, answer: requests.Response, *, artifact: bool = False) -> Any:
        """The answer's JSON, or the reason why there is none."""
        try:
            data = answer.json() if answer.content else {}
        except ValueError:
            data = None
        if answer.is_redirect:
            raise self._refused(redirected(answer.headers["Location"], self.address.uri))
        if answer.status_code < 400:
            if data is None:
                raise self._refused(_NO_MLFLOW)
            return data
        code = str(data.get("error_code", "")) if isinstance(data, dict) else ""
        text = str(data.get("message", "")) if isinstance(data, dict) else answer.text
        text = " ".join(text.split())[:300]
        error = self._refused(
            refusal(answer.status_code, code, text, host=self.address.host, named=self._named, artifact=artifact)
        )
        error.mlflow_code = code or ("NOT_FOUND" if answer.status_code == 404 else "")
        raise error

    def _refused(self, explained: Explained) -> RefusedError:
        return RefusedError(explained.message, where=self.address.uri, hint=explained.hint, code=explained.code)

    @property
    def _named(self) -> bool:
        return bool(self.address.username or self.address.token)
