"""The training as an MLflow run: parameters, metrics and the model, where MLFLOW_TRACKING_URI says.

The run is found again by the model's bytes (a tag with their hash), not by a number inside the model: trained twice
on the same data, the model's folder is the same byte for byte, and DVC sees that nothing changed. `evaluate` adds its
scores to the run that way, and register-model makes that run's model the registered version.

Tracking is a help, never a condition: without a server, or with one that is down, training goes on and says so.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXPERIMENT = "soil-carbon-ssp460"
MODEL_TAG = "flint_ml.model_sha256"
# Read by MLflow when it is imported. Its own patience with a server that is down is four minutes.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


def model_sha256(folder: Path) -> str:
    """Return one hash over names and bytes of all files, as register-model computes it."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    total = hashlib.sha256()
    for name in sorted(name for name in files if "__pycache__" not in name):
        total.update(f"{name}\0{hashlib.sha256(files[name].read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def log_training(params: dict[str, Any], metrics: dict[str, float], model: Path) -> None:
    """Log a finished training as a new run."""

    def log(mlflow: Any) -> str:
        with mlflow.start_run(tags={MODEL_TAG: model_sha256(model)}) as run:
            mlflow.log_params(params)
            mlflow.log_metrics(metrics)
            mlflow.log_artifacts(str(model), "model")
        return f"run {run.info.run_id}"

    _tracked(log)


def log_scores(metrics: dict[str, float], model: Path) -> None:
    """Add the benchmark's scores to the run that trained the model."""

    def log(mlflow: Any) -> str:
        tag = f"tags.`{MODEL_TAG}` = '{model_sha256(model)}'"
        runs = mlflow.search_runs(filter_string=tag, max_results=1, output_format="list")
        if not runs:
            return "no run there trained this model, so its scores are not logged"
        mlflow.MlflowClient().log_batch(
            runs[0].info.run_id, [mlflow.entities.Metric(name, value, 0, 0) for name, value in metrics.items()]
        )
        return f"scores added to run {runs[0].info.run_id}"

    _tracked(log)


def _tracked(log: Callable[[Any], str]) -> None:
    """Do `log` in this project's experiment and say in one line what came of it."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if not uri:
        print("MLflow: not logged, MLFLOW_TRACKING_URI is not set (README, section Track it)")
        return
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow

        _experiment(mlflow, uri)
        print(f"MLflow: {log(mlflow)}")
    except Exception as error:  # whatever a server may answer: training must not fail for it
        lines = str(error).splitlines() or [type(error).__name__]
        # MLflow repeats the address, in which somebody may have put a password.
        text = re.sub(r"//[^/@\s]+@", "//***@", lines[0])
        print(f"MLflow: not logged ({type(error).__name__}: {text[:200]})")


def _experiment(mlflow: Any, uri: str) -> None:
    """Choose the experiment; a registry in a sqlite file keeps its artifacts beside the file."""
    if uri.startswith("sqlite:///") and mlflow.get_experiment_by_name(EXPERIMENT) is None:
        folder = Path(uri.removeprefix("sqlite:///")).absolute().parent / "mlartifacts"
        mlflow.create_experiment(EXPERIMENT, artifact_location=folder.as_uri())
    mlflow.set_experiment(EXPERIMENT)
