"""A registry on an ``mlflow server``, by MLflow's REST API.

MLflow's own client costs three seconds of CPU to import and hangs for minutes on a server that is down; the REST
API is the interface that MLflow documents for everybody else. Artifacts in a store that the server does not pass
on itself (S3, Google Cloud, Azure) go through MLflow's client.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from flint_ml.errors import OutsideError
from flint_ml.registry.address import Address
from flint_ml.registry.errors import artifact_store
from flint_ml.registry.http import Http, RefusedError
from flint_ml.registry.sqlite_store import quiet_mlflow
from flint_ml.registry.store import MAX_READ, METRICS_PER_CALL, PARAMS_PER_CALL, Run, Version, chunks, too_large

_LOCAL = {"localhost", "127.0.0.1", "::1"}
_GONE = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"}


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _mapping(pairs: Any) -> dict[str, str]:
    return {str(pair["key"]): str(pair.get("value", "")) for pair in pairs or []}


def _version(data: Mapping[str, Any]) -> Version:
    return Version(
        str(data["name"]),
        int(data["version"]),
        data.get("run_id") or None,
        str(data.get("source", "")),
        data.get("current_stage"),
        _mapping(data.get("tags")),
    )


def _run(data: Mapping[str, Any]) -> Run:
    info, logged = data["info"], data.get("data", {})
    return Run(
        str(info["run_id"]),
        str(info["experiment_id"]),
        str(info["artifact_uri"]),
        int(info.get("start_time") or 0),
        _mapping(logged.get("tags")),
        _mapping(logged.get("params")),
        {str(item["key"]): float(item["value"]) for item in logged.get("metrics") or [] if "value" in item},
        info.get("status") == "FINISHED",
    )


class ServerStore:
    """A :class:`flint_ml.registry.store.Store` on a server.

    Parameters
    ----------
    address
        The server.
    env
        MLflow's own variables for certificates (``MLFLOW_TRACKING_INSECURE_TLS`` and so on).

    Raises
    ------
    OutsideError
        If the server cannot be reached within ten seconds, or does not let us in.
    """

    def __init__(self, address: Address, env: Mapping[str, str]) -> None:
        self.address = address
        self.http = Http(address, env)
        self.http.probe()

    def _or_none(self, method: str, path: str, **values: Any) -> Any:
        try:
            return self.http.ask(method, path, **values)
        except RefusedError as error:
            if error.mlflow_code in _GONE:
                return None
            raise

    def ensure_model(self, name: str) -> None:
        if self._or_none("GET", "registered-models/get", name=name) is None:
            try:
                self.http.ask("POST", "registered-models/create", name=name)
            except RefusedError as error:
                if error.mlflow_code != "RESOURCE_ALREADY_EXISTS":
                    raise

    def experiment(self, name: str) -> str:
        found = self._or_none("GET", "experiments/get-by-name", experiment_name=name)
        if found is None:
            try:
                return str(self.http.ask("POST", "experiments/create", name=name)["experiment_id"])
            except RefusedError as error:
                if error.mlflow_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self.http.ask("GET", "experiments/get-by-name", experiment_name=name)
        if found["experiment"].get("lifecycle_stage", "active") != "active":
            self.http.ask("POST", "experiments/restore", experiment_id=found["experiment"]["experiment_id"])
        return str(found["experiment"]["experiment_id"])

    def runs(self, experiment: str, tag: tuple[str, str]) -> list[Run]:
        found = self.http.ask(
            "POST",
            "runs/search",
            experiment_ids=[experiment],
            filter=f"tags.`{tag[0]}` = '{tag[1]}'",
            run_view_type="ACTIVE_ONLY",
            max_results=100,
        )
        return sorted((_run(run) for run in found.get("runs", [])), key=lambda run: (run.started, run.id))

    def run(self, run_id: str) -> Run | None:
        found = self._or_none("GET", "runs/get", run_id=run_id)
        if not found or found["run"]["info"].get("lifecycle_stage", "active") != "active":
            return None
        return _run(found["run"])

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> Run:
        now = int(time.time() * 1000)
        made = self.http.ask(
            "POST", "runs/create", experiment_id=experiment, run_name=name, start_time=now, tags=_pairs(tags)
        )
        return _run(made["run"])

    def log(
        self, run_id: str, metrics: Mapping[str, float], params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        now = int(time.time() * 1000)
        for part in chunks(metrics, METRICS_PER_CALL):
            listed = [{"key": key, "value": value, "timestamp": now, "step": 0} for key, value in part.items()]
            self.http.ask("POST", "runs/log-batch", run_id=run_id, metrics=listed)
        for part in chunks(params, PARAMS_PER_CALL):
            self.http.ask("POST", "runs/log-batch", run_id=run_id, params=_pairs(part))
        for part in chunks(tags, PARAMS_PER_CALL):
            self.http.ask("POST", "runs/log-batch", run_id=run_id, tags=_pairs(part))

    def finish(self, run_id: str) -> None:
        self.http.ask("POST", "runs/update", run_id=run_id, status="FINISHED", end_time=int(time.time() * 1000))

    def delete_run(self, run_id: str) -> None:
        self._or_none("POST", "runs/delete", run_id=run_id)

    def _proxied(self, run: Run, name: str) -> str | None:
        """Path of the artifact at the server, or None where the server does not pass artifacts on."""
        parts = urlsplit(run.artifact_uri)
        if parts.scheme == "mlflow-artifacts":
            folder = parts.path.strip("/")
            return f"/api/2.0/mlflow-artifacts/artifacts/{quote(f'{folder}/{name}')}"
        if parts.scheme in {"", "file"} and urlsplit(self.address.uri).hostname not in _LOCAL:
            raise OutsideError(
                "the server keeps artifacts in a folder of its own machine, which this machine cannot reach",
                where=self.address.uri,
                hint="start it with `mlflow server --serve-artifacts --artifacts-destination …`, "
                "or with artifacts in S3, Google Cloud or Azure",
                code="artifacts-unreachable",
            )
        return None

    def _repository(self, run: Run) -> Any:
        quiet_mlflow()
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(run.artifact_uri, tracking_uri=self.address.uri)

    def _artifact_trouble(self, error: Exception) -> OutsideError:
        if isinstance(error, ImportError):
            message = f"artifacts of this server go straight to its store, which needs `{error.name}` here"
            hint = f"`pip install {error.name}`, or let the server pass artifacts on (`--artifacts-destination`)"
        else:
            explained = artifact_store(" ".join(str(error).split())[:300] or type(error).__name__)
            message, hint = explained.message, str(explained.hint)
        return OutsideError(message, where=self.address.uri, hint=hint, code="artifact-store")

    def upload(self, run: Run, name: str, path: Path) -> None:
        place = self._proxied(run, name)
        if place is not None:
            self.http.put(place, path)
            return
        try:
            self._repository(run).log_artifact(str(path), name.rpartition("/")[0] or None)
        except Exception as error:  # boto, google and azure each raise their own
            raise self._artifact_trouble(error) from None

    def sha256(self, run: Run, name: str) -> str:
        place = self._proxied(run, name)
        if place is not None:
            return self.http.sha256(place)
        try:
            with Path(self._repository(run).download_artifacts(name)).open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except Exception as error:  # boto, google and azure each raise their own
            raise self._artifact_trouble(error) from None

    def read(self, run: Run, name: str) -> bytes | None:
        place = self._proxied(run, name)
        if place is not None:
            return self.http.read(place, name)
        try:
            repository = self._repository(run)
            there = {item.path: item.file_size for item in repository.list_artifacts(name.rpartition("/")[0] or None)}
            if name not in there or (there[name] or 0) > MAX_READ:
                if name not in there:
                    return None
                raise too_large(name, self.address.uri)
            return Path(repository.download_artifacts(name)).read_bytes()
        except OutsideError:
            raise
        except Exception as error:  # boto, google and azure each raise their own
            raise self._artifact_trouble(error) from None

    def create_version(self, name: str, source: str, run_id: str, tags: Mapping[str, str], description: str) -> Version:
        made = self.http.ask(
            "POST",
            "model-versions/create",
            name=name,
            source=source,
            run_id=run_id,
            tags=_pairs(tags),
            description=description,
        )
        return _version(made["model_version"])

    def versions(self, name: str, tag: tuple[str, str]) -> list[Version]:
        condition = f"name = '{name}' AND tags.`{tag[0]}` = '{tag[1]}'"
        found = self.http.ask("GET", "model-versions/search", filter=condition, max_results=200)
        return sorted((_version(item) for item in found.get("model_versions", [])), key=lambda v: v.number)

    def version(self, name: str, number: int) -> Version | None:
        found = self._or_none("GET", "model-versions/get", name=name, version=str(number))
        return _version(found["model_version"]) if found else None

    def delete_version(self, name: str, number: int) -> None:
        self._or_none("DELETE", "model-versions/delete", name=name, version=str(number))

    def set_tag(self, name: str, number: int, tag: str, value: str) -> None:
        self.http.ask("POST", "model-versions/set-tag", name=name, version=str(number), key=tag, value=value)

    def delete_tag(self, name: str, number: int, tag: str) -> None:
        self._or_none("DELETE", "model-versions/delete-tag", name=name, version=str(number), key=tag)

    def alias(self, name: str, alias: str) -> int | None:
        found = self._or_none("GET", "registered-models/alias", name=name, alias=alias)
        return int(found["model_version"]["version"]) if found else None

    def set_alias(self, name: str, alias: str, number: int) -> None:
        self.http.ask("POST", "registered-models/alias", name=name, alias=alias, version=str(number))

    def move_stage(self, name: str, number: int, stage: str) -> bool:
        archive = stage in {"Staging", "Production"}
        try:
            self.http.ask(
                "POST",
                "model-versions/transition-stage",
                name=name,
                version=str(number),
                stage=stage,
                archive_existing_versions=archive,
            )
        except RefusedError as error:
            if error.mlflow_code in {"ENDPOINT_NOT_FOUND", "NOT_FOUND", "NOT_IMPLEMENTED"}:
                return False
            raise
        return True
