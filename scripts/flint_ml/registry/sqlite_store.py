"""A registry in a sqlite file, through MLflow's own client."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from flint_ml.errors import OutsideError
from flint_ml.registry.address import Address
from flint_ml.registry.errors import registry_file
from flint_ml.registry.store import (
    COLLISION_TRIES,
    MAX_READ,
    METRICS_PER_CALL,
    PARAMS_PER_CALL,
    Run,
    Version,
    chunks,
    collided,
    pause,
    too_large,
)

# Read by MLflow when it is imported.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def quiet_mlflow() -> None:
    """Set what MLflow must find in the environment before it is imported: no telemetry, no progress bars."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def version_of(mv: Any) -> Version:
    """MLflow's ModelVersion as ours."""
    return Version(mv.name, int(mv.version), mv.run_id or None, mv.source or "", mv.current_stage, dict(mv.tags))


class SqliteStore:
    """A :class:`flint_ml.registry.store.Store` in one file.

    Parameters
    ----------
    address
        A sqlite address; file and artifact folder are made when they are missing.

    Raises
    ------
    OutsideError
        If the file is no MLflow database, is newer than this MLflow, or cannot be written.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        assert address.artifacts is not None
        self.artifacts = address.artifacts
        quiet_mlflow()
        with self._asking():
            address.database.parent.mkdir(parents=True, exist_ok=True)
            self.artifacts.mkdir(exist_ok=True)
            self._check_file()
            from mlflow import MlflowClient

            self.client = MlflowClient(tracking_uri=address.uri, registry_uri=address.uri)
            self.client.search_registered_models(max_results=1)

    def _check_file(self) -> None:
        database = self.address.database
        if database.is_file() and database.stat().st_size:
            with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
                connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            except OSError as error:
                raise self._trouble(error.strerror or str(error)) from None
            except (sqlite3.Error, SQLAlchemyError) as error:
                raise self._trouble(str(error).splitlines()[0]) from None
            except Exception as error:
                if type(error).__module__.partition(".")[0] not in {"mlflow", "alembic"}:
                    raise
                raise self._trouble(str(error).splitlines()[0] if str(error) else type(error).__name__) from None

    def _trouble(self, text: str, hint: str = "") -> OutsideError:
        explained = registry_file(text)
        return OutsideError(
            explained.message, where=self.address.database.name, hint=hint or explained.hint, code=explained.code
        )

    def _or_none(self, ask: Callable[[], Any]) -> Any:
        """The answer, or None where MLflow says that there is no such thing."""
        from mlflow.exceptions import MlflowException

        with self._asking():
            try:
                return ask()
            except MlflowException as error:
                if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    return None
                raise

    def _insist(self, ask: Callable[[], Any]) -> None:
        """Do something that may be done twice, again where another process was quicker."""
        from mlflow.exceptions import MlflowException

        with self._asking():
            for attempt in range(COLLISION_TRIES):
                try:
                    ask()
                except MlflowException as error:
                    if attempt + 1 == COLLISION_TRIES or not collided(str(error)):
                        raise
                    pause(attempt)
                else:
                    return

    def ensure_model(self, name: str) -> None:
        if self._or_none(lambda: self.client.get_registered_model(name)) is not None:
            return
        with self._asking():
            from mlflow.exceptions import MlflowException

            try:
                self.client.create_registered_model(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise

    def _here(self, location: str) -> bool:
        """Whether artifacts at ``location`` are kept: a folder that is not on this machine (a container's, a runner's)
        would be made anew here, and lost."""
        path = Path(url2pathname(urlsplit(location).path)) if location.startswith("file:") else Path(location)
        return path.is_dir() or path.is_relative_to(self.address.database.parent)

    def experiment(self, name: str) -> str:
        for candidate in (name, f"{name} (flint-ml)"):
            found = self._experiment(candidate)
            if self._here(found.artifact_location):
                return str(found.experiment_id)
        raise self._trouble(
            f"experiment `{name}` keeps its artifacts in {found.artifact_location}, which is not on this machine",
            "give `experiment` another name",
        )

    def _experiment(self, name: str) -> Any:
        with self._asking():
            from mlflow.exceptions import MlflowException

            found = self.client.get_experiment_by_name(name)
            if found is None:
                try:
                    self.client.create_experiment(name, artifact_location=self.artifacts.as_uri())
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":
                        raise
                found = self.client.get_experiment_by_name(name)
            if found.lifecycle_stage != "active":
                self.client.restore_experiment(found.experiment_id)
            return found

    @staticmethod
    def _run(run: Any) -> Run:
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

    def runs(self, experiment: str, tag: tuple[str, str]) -> list[Run]:
        with self._asking():
            found = self.client.search_runs([experiment], f"tags.`{tag[0]}` = '{tag[1]}'", max_results=100)
        return sorted((self._run(run) for run in found), key=lambda run: (run.started, run.id))

    def run(self, run_id: str) -> Run | None:
        found = self._or_none(lambda: self.client.get_run(run_id))
        kept = found and found.info.lifecycle_stage == "active" and self._here(found.info.artifact_uri)
        return self._run(found) if kept else None

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> Run:
        with self._asking():
            return self._run(self.client.create_run(experiment, run_name=name, tags=dict(tags)))

    def log(
        self, run_id: str, metrics: Mapping[str, float], params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        import time

        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        with self._asking():
            for part in chunks(metrics, METRICS_PER_CALL):
                self.client.log_batch(run_id, metrics=[Metric(k, v, now, 0) for k, v in part.items()])
            for part in chunks(params, PARAMS_PER_CALL):
                self.client.log_batch(run_id, params=[Param(k, v) for k, v in part.items()])
            for part in chunks(tags, PARAMS_PER_CALL):
                self.client.log_batch(run_id, tags=[RunTag(k, v) for k, v in part.items()])

    def finish(self, run_id: str) -> None:
        with self._asking():
            self.client.set_terminated(run_id, "FINISHED")

    def delete_run(self, run_id: str) -> None:
        self._or_none(lambda: self.client.delete_run(run_id))

    def upload(self, run: Run, name: str, path: Path) -> None:
        with self._asking():
            self.client.log_artifact(run.id, str(path), name.rpartition("/")[0] or None)

    def sha256(self, run: Run, name: str) -> str:
        with self._asking(), tempfile.TemporaryDirectory() as folder:
            copy = Path(self.client.download_artifacts(run.id, name, folder))
            with copy.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()

    def read(self, run: Run, name: str) -> bytes | None:
        with self._asking(), tempfile.TemporaryDirectory() as folder:
            listed = self.client.list_artifacts(run.id, name.rpartition("/")[0] or None)
            there = {item.path: item.file_size for item in listed if not item.is_dir}
            if name not in there:
                return None
            if (there[name] or 0) > MAX_READ:
                raise too_large(name, self.address.database.name)
            return Path(self.client.download_artifacts(run.id, name, folder)).read_bytes()

    def create_version(self, name: str, source: str, run_id: str, tags: Mapping[str, str], description: str) -> Version:
        with self._asking():
            return version_of(
                self.client.create_model_version(name, source, run_id, tags=dict(tags), description=description)
            )

    def versions(self, name: str, tag: tuple[str, str]) -> list[Version]:
        with self._asking():
            found = self.client.search_model_versions(f"name = '{name}' AND tags.`{tag[0]}` = '{tag[1]}'")
        return sorted((version_of(mv) for mv in found), key=lambda version: version.number)

    def version(self, name: str, number: int) -> Version | None:
        found = self._or_none(lambda: self.client.get_model_version(name, str(number)))
        return version_of(found) if found else None

    def delete_version(self, name: str, number: int) -> None:
        self._or_none(lambda: self.client.delete_model_version(name, str(number)))

    def set_tag(self, name: str, number: int, tag: str, value: str) -> None:
        self._insist(lambda: self.client.set_model_version_tag(name, str(number), tag, value))

    def delete_tag(self, name: str, number: int, tag: str) -> None:
        self._or_none(lambda: self.client.delete_model_version_tag(name, str(number), tag))

    def alias(self, name: str, alias: str) -> int | None:
        found = self._or_none(lambda: self.client.get_model_version_by_alias(name, alias))
        return int(found.version) if found else None

    def set_alias(self, name: str, alias: str, number: int) -> None:
        self._insist(lambda: self.client.set_registered_model_alias(name, alias, str(number)))

    def move_stage(self, name: str, number: int, stage: str) -> bool:
        move = getattr(self.client, "transition_model_version_stage", None)
        if move is None:
            return False
        with self._asking():
            move(name, str(number), stage, archive_existing_versions=stage in {"Staging", "Production"})
        return True
