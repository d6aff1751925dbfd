"""The registry through MLflow's own client: a sqlite file, or an ``mlflow server`` that is asked with short patience.

What the client honours (certificates, ``~/.mlflow/credentials``, proxies, path prefixes) therefore holds here. A
server is first asked one small question without the client, so that one that is down is reported in seconds.
"""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import requests

from flint_ml.errors import FlintError, InputError, OutsideError
from flint_ml.registry.address import Address
from flint_ml.registry.errors import (
    Explained,
    artifact_store,
    client_error,
    redirected,
    refusal,
    registry_file,
    unreachable,
)

PROBE_SECONDS = 8.0
# Seconds that one request may take, unless MLFLOW_HTTP_REQUEST_TIMEOUT says otherwise.
_REQUEST_SECONDS, _ARTIFACT_SECONDS = 60, 600
_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_LOCAL = {"localhost", "127.0.0.1", "::1"}
# MLflow writes tags and aliases by "look, then insert": of two jobs that do it at once the later one is refused by
# the database, although it has only to ask again. Nothing of a refused call is kept.
_COLLISIONS = ("IntegrityError", "UniqueViolation", "database is locked", "deadlock detected", "SerializationFailure")
_COLLISION_TRIES = 6
# What is read back from a registry (records, predictions) and not only hashed.
MAX_READ = 64 * 1024 * 1024
# MLflow takes at most 100 parameters or tags and 1,000 values of all kinds in one call.
_PARAMS_PER_CALL, _METRICS_PER_CALL = 100, 800
_GONE = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"}
_Answer = TypeVar("_Answer")
_NO_STAGES = {"ENDPOINT_NOT_FOUND", "NOT_FOUND", "NOT_IMPLEMENTED"}


@dataclass(frozen=True)
class Version:
    """One version of a registered model. ``stage`` is MLflow's own, None where the server has none."""

    name: str
    number: int
    run_id: str | None
    source: str
    stage: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    created: int = 0

    @property
    def uri(self) -> str:
        """The address that ``mlflow`` loads it by."""
        return f"models:/{self.name}/{self.number}"


@dataclass(frozen=True)
class Run:
    """One MLflow run: where its artifacts lie and what was logged so far. ``started`` is in ms since 1970."""

    id: str
    experiment: str
    artifact_uri: str
    started: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    finished: bool = False


def _version(mv: Any) -> Version:
    """MLflow's ModelVersion as ours."""
    created = int(mv.creation_timestamp or 0)
    return Version(
        mv.name, int(mv.version), mv.run_id or None, mv.source or "", mv.current_stage, dict(mv.tags), created
    )


def _run(run: Any) -> Run:
    """MLflow's Run as ours."""
    return Run(
        run.info.run_id,
        run.info.experiment_id,
        run.info.artifact_uri,
        int(run.info.start_time or 0),
        dict(run.data.tags),
        dict(run.data.params),
        dict(run.data.metrics),
        run.info.status == "FINISHED",
    )


def _chunks(values: Mapping[str, Any], size: int) -> list[dict[str, Any]]:
    items = list(values.items())
    return [dict(items[start : start + size]) for start in range(0, len(items), size)]


def _code(error: Exception) -> str:
    return str(getattr(error, "error_code", ""))


def _is_true(text: str) -> bool:
    return text.strip().lower() in {"1", "true"}


def _set_environment(address: Address, env: Mapping[str, str]) -> None:
    """Give MLflow's client what it reads from the environment: credentials, patience, and no chatter."""
    values: dict[str, str | None] = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_CONFIGURE_LOGGING": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    if address.kind == "server":
        insecure = _is_true(env.get("MLFLOW_TRACKING_INSECURE_TLS", ""))
        values |= {
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_TRACKING_USERNAME": address.username,
            "MLFLOW_TRACKING_PASSWORD": address.password,
            "MLFLOW_TRACKING_TOKEN": address.token,
            "MLFLOW_TRACKING_INSECURE_TLS": "true" if insecure else None,
            # The client refuses both at once.
            "MLFLOW_TRACKING_SERVER_CERT_PATH": None if insecure else env.get("MLFLOW_TRACKING_SERVER_CERT_PATH"),
            "MLFLOW_TRACKING_CLIENT_CERT_PATH": env.get("MLFLOW_TRACKING_CLIENT_CERT_PATH"),
        }
    for name, value in values.items():
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)


def _seconds(env: Mapping[str, str]) -> int | None:
    """The user's own limit for a request."""
    text = env.get(_TIMEOUT, "")
    return int(text) if text.isdigit() and int(text) else None


def probe(address: Address, env: Mapping[str, str]) -> None:
    """Ask the server something small, without patience and without MLflow's client.

    Raises
    ------
    OutsideError
        If it does not answer within ten seconds, does not let us in, or is not an MLflow server.
    """
    session = requests.Session()
    if address.username and address.password:
        session.auth = (address.username, address.password)
    elif address.token:
        session.headers["Authorization"] = f"Bearer {address.token}"
        # Without this, requests would look for a ~/.netrc and put that in the token's place.
        session.auth = lambda request: request
    options: dict[str, Any] = {"cert": env.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None}
    # Given with the request: as a setting of the session, REQUESTS_CA_BUNDLE would overrule it.
    if _is_true(env.get("MLFLOW_TRACKING_INSECURE_TLS", "")):
        options["verify"] = False
    elif env.get("MLFLOW_TRACKING_SERVER_CERT_PATH"):
        options["verify"] = env["MLFLOW_TRACKING_SERVER_CERT_PATH"]
    url = f"{address.uri}/api/2.0/mlflow/registered-models/search"
    end = time.monotonic() + PROBE_SECONDS
    # A server that is slow gets all of the time, one that nothing is heard of half of it.
    connected_by = end - PROBE_SECONDS / 2
    while True:
        left = max(end - time.monotonic(), 0.2)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = session.get(
                    url, params={"max_results": 1}, timeout=(min(3.0, left), left), allow_redirects=False, **options
                )
        except (requests.RequestException, OSError) as error:
            final = isinstance(error, requests.exceptions.SSLError | requests.exceptions.ReadTimeout)
            if final or not isinstance(error, requests.RequestException) or time.monotonic() > connected_by:
                raise _outside(address, _unreachable(error)) from None
            time.sleep(1)
            continue
        break
    # Plugins and signatures of AWS are known to MLflow's client alone; it says whether they are accepted.
    own_authentication = env.get("MLFLOW_TRACKING_AUTH") or _is_true(env.get("MLFLOW_TRACKING_AWS_SIGV4", ""))
    if own_authentication and answer.status_code in {401, 403}:
        return
    if answer.is_redirect:
        raise _outside(address, redirected(answer.headers["Location"], address.uri))
    explained = _answer(answer, address)
    if explained is not None:
        raise _outside(address, explained)


def _answer(answer: requests.Response, address: Address, *, artifact: bool = False) -> Explained | None:
    """What is wrong with an answer of a server; None where nothing is."""
    try:
        data = answer.json() if answer.content else {}
    except (ValueError, requests.RequestException):
        data = None
    if answer.status_code < 400:
        return None if isinstance(data, dict) else client_error("no-json", address.host, named=_named(address))
    code = str(data.get("error_code", "")) if isinstance(data, dict) else ""
    text = str(data.get("message", "")) if isinstance(data, dict) else answer.text
    return refusal(answer.status_code, code, text, host=address.host, named=_named(address), artifact=artifact)


def _named(address: Address) -> bool:
    return bool(address.username or address.token)


def _unreachable(error: Exception) -> Explained:
    return unreachable(
        error,
        certificate=isinstance(error, requests.exceptions.SSLError),
        timeout=isinstance(error, requests.exceptions.Timeout),
    )


def _outside(address: Address, explained: Explained) -> OutsideError:
    where = address.uri if address.kind == "server" else address.database.name
    return OutsideError(explained.message, where=where, hint=explained.hint, code=explained.code)


def _requests_error(error: BaseException | None) -> requests.RequestException | None:
    """The error of ``requests`` that MLflow's own one was made from."""
    while error is not None:
        if isinstance(error, requests.RequestException):
            return error
        error = error.__cause__ or error.__context__
    return None


def connect(address: Address, env: Mapping[str, str]) -> Store:
    """The registry at ``address``. Only here is MLflow's client imported, which costs seconds of CPU.

    Raises
    ------
    FlintError
        If it cannot be reached or used; a server that is down is reported within ten seconds.
    """
    return Store(address, env)


def _is_collision(error: Exception) -> bool:
    """Whether a refusal only means that another job wrote the same row at the same moment."""
    return any(word in str(error) for word in _COLLISIONS)


class Store:
    """A registry. Every method raises OutsideError with what to do when the registry refuses or is gone.

    Parameters
    ----------
    address
        A server, or a sqlite file, which is made with its folder of artifacts when it is missing.
    env
        MLflow's own variables for certificates and time limits (``MLFLOW_TRACKING_INSECURE_TLS`` and so on).

    Raises
    ------
    InputError
        If the folder of the sqlite file does not exist.
    OutsideError
        If the server cannot be reached within ten seconds or does not let us in; if the file is not an MLflow
        database, is newer than this MLflow, or cannot be written.
    """

    def __init__(self, address: Address, env: Mapping[str, str]) -> None:
        self.address = address
        self._request_seconds = _seconds(env)
        if address.kind == "server":
            probe(address, env)
        else:
            self._check_file()
        _set_environment(address, env)
        with self._translated():
            from mlflow import MlflowClient

            self.client = MlflowClient(tracking_uri=address.uri, registry_uri=address.uri)
            if address.kind == "sqlite":
                self.client.search_registered_models(max_results=1)

    def _check_file(self) -> None:
        database, artifacts = self.address.database, self.address.artifacts
        if not database.parent.is_dir():
            raise InputError(
                f"there is no folder {database.parent} for the registry file {database.name}",
                where="tracking-uri",
                hint="check the spelling, or make the folder first; a new registry would not know the versions that "
                "you have",
                code="no-folder",
            )
        with self._translated():
            if artifacts is not None:
                artifacts.mkdir(exist_ok=True)
            if database.is_file() and database.stat().st_size:
                with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
                    connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()

    @contextmanager
    def _translated(self, *, artifact: str = "") -> Iterator[None]:
        """Give errors of MLflow, its database and its network in words. ``artifact`` is where a file is kept."""
        own = _ARTIFACT_SECONDS if artifact else _REQUEST_SECONDS
        if self.address.kind == "server":
            os.environ[_TIMEOUT] = str(self._request_seconds or own)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            except FlintError:
                raise
            except Exception as error:
                explained = self._explained(error, artifact)
                if explained is None:
                    raise
                raise _outside(self.address, explained) from None

    def _explained(self, error: Exception, artifact: str) -> Explained | None:
        """What an error means; None for a defect of this package."""
        if isinstance(error, ImportError) and artifact:
            return artifact_store(str(error), package=str(error.name))
        library = type(error).__module__.partition(".")[0]
        text = " ".join(str(error).split())[:600] or type(error).__name__
        if self.address.kind == "sqlite":
            known = isinstance(error, OSError | sqlite3.Error) or library in {"mlflow", "alembic", "sqlalchemy"}
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            return registry_file((isinstance(error, OSError) and error.strerror) or first) if known else None
        if artifact and not self._proxied(artifact):
            return artifact_store(text[:300])
        from_requests = _requests_error(error)
        if from_requests is not None:
            if from_requests.response is not None:
                return _answer(from_requests.response, self.address, artifact=bool(artifact))
            if isinstance(from_requests, requests.exceptions.RetryError):
                return client_error(str(from_requests), self.address.host, named=True, artifact=bool(artifact))
            return _unreachable(from_requests)
        if library == "mlflow":
            return client_error(
                text,
                self.address.host,
                named=_named(self.address),
                artifact=bool(artifact),
                code=_code(error),
                status=int(error.get_http_status_code()),  # type: ignore[attr-defined]
            )
        return None

    def _ask(self, question: Callable[[], _Answer]) -> _Answer:
        """The answer of MLflow's client; asked again where another job was quicker."""
        with self._translated():
            for attempt in range(_COLLISION_TRIES):
                try:
                    return question()
                except Exception as error:
                    if attempt + 1 == _COLLISION_TRIES or not _is_collision(error):
                        raise
                time.sleep(random.uniform(0.02, 0.1) * (attempt + 1))  # noqa: S311 - not a secret
        raise AssertionError("the last attempt returns or raises")

    def _ask_unless_gone(self, question: Callable[[], _Answer], gone: Set[str] = _GONE) -> _Answer | None:
        """The answer, or None where MLflow says, by one of these codes, that there is no such thing."""
        from mlflow.exceptions import MlflowException

        def answer() -> _Answer | None:
            try:
                return question()
            except MlflowException as error:
                if _code(error) in gone and _requests_error(error) is None:
                    return None
                raise

        return self._ask(answer)

    def _make(self, making: Callable[[], object]) -> None:
        """Make something unless another job has made it meanwhile."""
        from mlflow.exceptions import MlflowException

        def made() -> None:
            try:
                making()
            except MlflowException as error:
                if _code(error) != "RESOURCE_ALREADY_EXISTS":
                    raise

        self._ask(made)

    def ensure_model(self, name: str) -> None:
        """Make the registered model unless it is there."""
        if self._ask_unless_gone(lambda: self.client.get_registered_model(name)) is None:
            self._make(lambda: self.client.create_registered_model(name))

    def _here(self, location: str) -> bool:
        """Whether artifacts at ``location`` are kept: a folder that is not on this machine (a container's, a runner's)
        would be made anew here, and lost."""
        if self.address.kind == "server":
            return True
        path = Path(url2pathname(urlsplit(location).path)) if location.startswith("file:") else Path(location)
        return path.is_dir() or path.is_relative_to(self.address.database.parent)

    def experiment(self, name: str) -> str:
        """Identifier of the experiment ``name``, made unless it is there."""
        for candidate in (name, f"{name} (flint-ml)"):
            experiment = self._experiment(candidate)
            if self._here(experiment.artifact_location):
                return str(experiment.experiment_id)
        where = experiment.artifact_location
        text = f"experiment `{name}` keeps its artifacts in {where}, which is not on this machine"
        explained = registry_file(text)
        raise _outside(self.address, Explained(explained.message, "give `experiment` another name", explained.code))

    def _experiment(self, name: str) -> Any:
        location = self.address.artifacts.as_uri() if self.address.artifacts else None
        experiment = self._ask_unless_gone(lambda: self.client.get_experiment_by_name(name))
        if experiment is None:
            self._make(lambda: self.client.create_experiment(name, artifact_location=location))
            experiment = self._ask(lambda: self.client.get_experiment_by_name(name))
        if experiment.lifecycle_stage != "active":
            self._ask(lambda: self.client.restore_experiment(experiment.experiment_id))
        return experiment

    def runs(self, experiment: str, tag: tuple[str, str]) -> list[Run]:
        """Runs that are not deleted and carry the tag, oldest first; at most 100."""
        condition = f"tags.`{tag[0]}` = '{tag[1]}'"
        runs = self._ask(lambda: self.client.search_runs([experiment], condition, max_results=100))
        return sorted(map(_run, runs), key=lambda run: (run.started, run.id))

    def run(self, run_id: str) -> Run | None:
        """One run, or None where the registry does not know it or its artifacts are not to be had here."""
        run = self._ask_unless_gone(lambda: self.client.get_run(run_id))
        if run is None or run.info.lifecycle_stage != "active" or not self._here(run.info.artifact_uri):
            return None
        return _run(run)

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> Run:
        """A new run."""
        return _run(self._ask(lambda: self.client.create_run(experiment, run_name=name, tags=dict(tags))))

    def log(
        self, run_id: str, metrics: Mapping[str, float], params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """Log any number of metrics, parameters and tags."""
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        calls: list[dict[str, Any]] = [
            {"metrics": [Metric(name, value, now, 0) for name, value in part.items()]}
            for part in _chunks(metrics, _METRICS_PER_CALL)
        ]
        calls += [{"params": [Param(*item) for item in part.items()]} for part in _chunks(params, _PARAMS_PER_CALL)]
        calls += [{"tags": [RunTag(*item) for item in part.items()]} for part in _chunks(tags, _PARAMS_PER_CALL)]
        for call in calls:
            self._ask(lambda call=call: self.client.log_batch(run_id, **call))  # type: ignore[misc]

    def finish(self, run_id: str) -> None:
        """Mark the run as finished."""
        self._ask(lambda: self.client.set_terminated(run_id, "FINISHED"))

    def delete_run(self, run_id: str) -> None:
        """Put the run into MLflow's trash; nothing happens where it is gone."""
        self._ask_unless_gone(lambda: self.client.delete_run(run_id))

    def _proxied(self, artifact_uri: str) -> bool:
        """Whether the server passes artifacts on itself."""
        return urlsplit(artifact_uri).scheme in {"mlflow-artifacts", "http", "https"}

    def _check_artifact(self, run: Run, name: str) -> None:
        """Refuse what would be stored elsewhere than it is asked for."""
        if self.address.kind == "sqlite":
            return
        if self._proxied(run.artifact_uri):
            # MLflow's client writes the name into an address as it is.
            sent = unquote(urlsplit(requests.Request("GET", f"http://host/{name}").prepare().url or "").path[1:])
            if sent != name:
                raise InputError(
                    f"a server of MLflow cannot store a file with the name `{name}`",
                    where="model",
                    hint="leave `#`, `?` and `%` with two digits after it out of the names of files",
                    code="artifact-name",
                )
        elif urlsplit(run.artifact_uri).scheme in {"", "file"} and urlsplit(self.address.uri).hostname not in _LOCAL:
            raise OutsideError(
                "the server keeps artifacts in a folder of its own machine, which this machine cannot reach",
                where=self.address.uri,
                hint="start it with `mlflow server --serve-artifacts --artifacts-destination …`, "
                "or with artifacts in S3, Google Cloud or Azure",
                code="artifacts-unreachable",
            )

    def upload(self, run: Run, name: str, path: Path) -> None:
        """Store the file ``path`` as artifact ``name`` (forward slashes; the last part is the file's own name)."""
        self._check_artifact(run, name)
        with self._translated(artifact=run.artifact_uri):
            self.client.log_artifact(run.id, str(path), name.rpartition("/")[0] or None)

    def sha256(self, run: Run, name: str) -> str:
        """Read the artifact ``name`` back and return its hash."""
        self._check_artifact(run, name)
        with (
            self._translated(artifact=run.artifact_uri),
            tempfile.TemporaryDirectory() as folder,
            Path(self.client.download_artifacts(run.id, name, folder)).open("rb") as stream,
        ):
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def read(self, run: Run, name: str) -> bytes | None:
        """Content of the artifact ``name``; None where the run has no such file. At most MAX_READ bytes."""
        from mlflow import artifacts

        # Not the client's own list of a run's files: it asks for logged models too, which MLflow 2 does not know.
        above, _, file = name.rpartition("/")
        address = f"{run.artifact_uri.rstrip('/')}/{above}".rstrip("/")
        with self._translated(artifact=run.artifact_uri), tempfile.TemporaryDirectory() as folder:
            listed = artifacts.list_artifacts(artifact_uri=address, tracking_uri=self.address.uri)
            sizes = {item.path.rpartition("/")[2]: item.file_size or 0 for item in listed if not item.is_dir}
            if file not in sizes:
                return None
            if sizes[file] <= MAX_READ:
                data = Path(self.client.download_artifacts(run.id, name, folder)).read_bytes()
            if sizes[file] > MAX_READ or len(data) > MAX_READ:
                too_large = Explained(f"`{name}` is larger than {MAX_READ:,} bytes", None, "artifact-too-large")
                raise _outside(self.address, too_large)
            return data

    def create_version(self, name: str, source: str, run_id: str, tags: Mapping[str, str], description: str) -> Version:
        """A new version with its tags, in one step."""
        return _version(
            self._ask(
                lambda: self.client.create_model_version(
                    name, source, run_id, tags=dict(tags), description=description, await_creation_for=60
                )
            )
        )

    def versions(self, name: str, tag: tuple[str, str] | None = None) -> list[Version]:
        """Versions of a model, lowest first; with ``tag`` those that carry it."""
        quote = '"' if "'" in name else "'"
        condition = f"name = {quote}{name}{quote}" + (f" AND tags.`{tag[0]}` = '{tag[1]}'" if tag else "")
        versions: list[Version] = []
        token: str | None = None
        while True:
            page = self._ask(
                lambda token=token: self.client.search_model_versions(condition, max_results=200, page_token=token)  # type: ignore[misc]
            )
            versions += map(_version, page)
            token = page.token
            if not token:
                return sorted(versions, key=lambda version: version.number)

    def version(self, name: str, number: int) -> Version | None:
        """One version, or None where it is gone."""
        version = self._ask_unless_gone(lambda: self.client.get_model_version(name, str(number)))
        return _version(version) if version else None

    def describe(self, name: str, number: int, description: str) -> None:
        """Set the description of a version."""
        self._ask(lambda: self.client.update_model_version(name, str(number), description))

    def delete_version(self, name: str, number: int) -> None:
        """Delete a version; nothing happens where it is gone."""
        self._ask_unless_gone(lambda: self.client.delete_model_version(name, str(number)))

    def set_tag(self, name: str, number: int, tag: str, value: str) -> None:
        """Set a tag of a version."""
        self._ask(lambda: self.client.set_model_version_tag(name, str(number), tag, value))

    def delete_tag(self, name: str, number: int, tag: str) -> None:
        """Delete a tag of a version; nothing happens where it is gone."""
        self._ask_unless_gone(lambda: self.client.delete_model_version_tag(name, str(number), tag))

    def alias(self, name: str, alias: str) -> int | None:
        """The version that the alias points to."""
        version = self._ask_unless_gone(lambda: self.client.get_model_version_by_alias(name, alias))
        return int(version.version) if version else None

    def aliases(self, name: str) -> dict[str, int]:
        """All aliases of a model, with the versions that they point to."""
        model = self._ask_unless_gone(lambda: self.client.get_registered_model(name))
        return {alias: int(number) for alias, number in model.aliases.items()} if model else {}

    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Point the alias to a version."""
        self._ask(lambda: self.client.set_registered_model_alias(name, alias, str(number)))

    def in_stage(self, name: str, stage: str) -> int | None:
        """The newest version in MLflow's own stage, None where there is none or the registry has no stages."""
        newest = getattr(self.client, "get_latest_versions", None)
        if newest is None:
            return None
        versions = self._ask_unless_gone(lambda: newest(name, [stage]), _GONE | _NO_STAGES)
        return max((int(version.version) for version in versions or []), default=None)

    def move_stage(self, name: str, number: int, stage: str) -> bool:
        """Move MLflow's own stage, archiving the version that had it; False where the registry has none."""
        move = getattr(self.client, "transition_model_version_stage", None)
        if move is None:
            return False
        archive = stage in {"Staging", "Production"}

        def moved() -> bool:
            move(name, str(number), stage, archive_existing_versions=archive)
            return True

        return bool(self._ask_unless_gone(moved, _NO_STAGES))
