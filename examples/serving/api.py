"""A small model API: one version of a registered MLflow model, served until the process ends.

Settings are environment variables, which the manifests set:

MLFLOW_TRACKING_URI
    The registry. Credentials as MLflow takes them (MLFLOW_TRACKING_USERNAME, ..._PASSWORD, ..._TOKEN), from a secret.
MODEL_NAME
    Name of the registered model.
MODEL_VERSION or MODEL_ALIAS
    Number of the version, or an alias such as ``staging`` (the default), which is asked once, at the start.

Loading a model may run code of it. So nothing is loaded but a version of that registry, and only if its bytes are
those that register-model stored (the version's tag ``flint_ml.model_sha256``).
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

# Read by MLflow when it is imported: no telemetry; with a server that is down the start fails soon, to be tried again.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

HASH_TAG = "flint_ml.model_sha256"
MAX_BYTES = 16 << 20
MAX_ROWS = 10_000
# What MLflow itself adds to a download.
ADDED = {"registered_model_meta"}
log = logging.getLogger("uvicorn.error")

Cell = float | int | str | bool | None
Row = Annotated[list[Cell], Field(max_length=100_000)]


class SettingsError(Exception):
    """A setting is missing or wrong; the message says which."""


@dataclass(frozen=True)
class Served:
    """The version that is served."""

    name: str
    version: str
    model: Any
    tags: Mapping[str, str]


class Split(BaseModel):
    """A table: names of the columns, and one list of values for each sample."""

    model_config = ConfigDict(extra="forbid")
    columns: list[str]
    data: list[Row] = Field(max_length=MAX_ROWS)


class Samples(BaseModel):
    """Samples in one of MLflow's forms: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/."""

    model_config = ConfigDict(extra="forbid")
    dataframe_split: Split | None = None
    dataframe_records: list[dict[str, Cell]] | None = Field(None, max_length=MAX_ROWS)
    instances: list[Any] | None = Field(None, max_length=MAX_ROWS)
    inputs: Any = None


def content_hash(folder: Path) -> str:
    """The hash that register-model computes: over names and bytes of all files; of a single file over its bytes."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names if name not in ADDED}
    if len(files) == 1:
        return next(iter(files.values()))
    return hashlib.sha256("".join(f"{name}\0{digest}\n" for name, digest in files.items()).encode()).hexdigest()


def settings(env: Mapping[str, str]) -> tuple[str, str, bool]:
    """Name of the model, number or alias, and whether it is an alias.

    Raises
    ------
    SettingsError
        If they name no version of a registry.
    """
    name, version, alias = (env.get(f"MODEL_{key}", "").strip() for key in ("NAME", "VERSION", "ALIAS"))
    if not env.get("MLFLOW_TRACKING_URI", "").strip():
        raise SettingsError("MLFLOW_TRACKING_URI must name the model registry")
    # Whatever else MLflow would take for a model (a path, an address of a bucket) is none of this registry.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]*", name):
        raise SettingsError(f"MODEL_NAME must be the name of a registered model, not {name!r}")
    if version == "0":
        raise SettingsError("MODEL_VERSION is 0: no version has been deployed yet")
    if version and alias:
        raise SettingsError("give MODEL_VERSION or MODEL_ALIAS, not both")
    if version and not re.fullmatch(r"[1-9]\d*", version):
        raise SettingsError(f"MODEL_VERSION must be a number, not {version!r}")
    if alias and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", alias):
        raise SettingsError(f"MODEL_ALIAS must be an alias, not {alias!r}")
    return name, version or alias or "staging", not version


def load(env: Mapping[str, str]) -> Served:
    """Download the version, check its bytes, load it.

    Raises
    ------
    SettingsError
        If the settings are wrong, or the stored model is not the one that was registered.
    """
    name, wanted, is_alias = settings(env)
    import mlflow
    from mlflow import MlflowClient

    client = MlflowClient()
    found = client.get_model_version_by_alias(name, wanted) if is_alias else client.get_model_version(name, wanted)
    number, tags = str(found.version), dict(found.tags)
    with tempfile.TemporaryDirectory(prefix="model-") as temporary:
        folder = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{number}", dst_path=temporary))
        registered = tags.get(HASH_TAG)
        if registered is None:
            log.warning("version %s was not registered by register-model: its bytes cannot be checked", number)
        elif content_hash(folder) != registered:
            raise SettingsError(f"{name} version {number} is not what was registered: {HASH_TAG} differs")
        model = mlflow.pyfunc.load_model(str(folder))
    log.info("serving %s version %s", name, number)
    return Served(name, number, model, tags)


def as_json(value: Any) -> Any:
    """Predictions (a table, a column, an array) as plain JSON; what is no finite number becomes null."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return [as_json(row) for row in value.to_dict(orient="records")]
    if hasattr(value, "tolist"):
        return as_json(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # Before the first request is taken: a pod that cannot load its version never becomes ready.
    app.state.served = load(os.environ)
    yield


app = FastAPI(title="Model API", lifespan=_lifespan)


@app.middleware("http")
async def _not_too_large(request: Request, call_next: Any) -> Any:
    length = request.headers.get("content-length", "")
    if request.method == "POST" and (not length.isdigit() or int(length) > MAX_BYTES):
        return JSONResponse({"detail": f"a request must say its length, at most {MAX_BYTES} bytes"}, 413)
    return await call_next(request)


@app.get("/healthz")
def healthz() -> dict[str, str]:
    """The model is loaded, and requests are answered."""
    return {"status": "ok"}


@app.get("/version")
def version() -> dict[str, str]:
    """Which version is served, and where it comes from."""
    served: Served = app.state.served
    known = {
        key: served.tags[f"flint_ml.{key}"] for key in ("commit", "repository") if f"flint_ml.{key}" in served.tags
    }
    return {"name": served.name, "version": served.version, **known}


# Also under the name that `mlflow models serve` has for it.
@app.post("/predict")
@app.post("/invocations")
def predict(samples: Samples) -> dict[str, Any]:
    """Predictions for samples, in their order."""
    from mlflow.pyfunc.scoring_server import infer_and_parse_data

    served: Served = app.state.served
    try:
        data = infer_and_parse_data(samples.model_dump(exclude_none=True), served.model.metadata.get_input_schema())
        predictions = served.model.predict(data)
    except Exception as error:  # what the model cannot take: another form, a missing column, a text for a number
        # MLflow repeats the data before it says what is wrong with them.
        said = " ".join(str(error).split()).rpartition("Error: ")[2][:300] or type(error).__name__
        log.warning("no prediction: %s", said)
        raise HTTPException(400, f"the model cannot predict that: {said}") from None
    return {"predictions": as_json(predictions), "version": served.version}
