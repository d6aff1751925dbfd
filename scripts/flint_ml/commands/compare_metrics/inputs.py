"""Inputs of compare-metrics."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator

from flint_ml.commands.registry import ModelName
from flint_ml.metrics import Rule
from flint_ml.runner import GateInputs


class CompareMetricsInputs(GateInputs):
    """Inputs of compare-metrics."""

    metrics: list[str] = Field(
        default_factory=list,
        description="Metrics files, globs or DVCLive's folder (JSON, YAML, TOML, CSV, run-gcbm's record), one a line. "
        "Default: the metrics that dvc.yaml names, else metrics.json.",
    )
    base_revision: str = Field(
        "auto", description="Revision to compare with: a branch, tag or commit. `auto`: the base of this event."
    )
    base: str = Field(
        "auto",
        description="What to compare with: `auto` (metrics at the base revision, else the version in Staging, else the "
        "last successful run on the default branch), one of `revision`, `staging`, `artifact`, a registered version "
        "(`models:/name/3`), or the base's metrics file, or a folder with files of the same names.",
    )
    model_name: ModelName = Field(
        "", description="Name of the registered model whose version in Staging may be the base."
    )
    tracking_uri: str = Field(
        "", description="The registry to look for that version in. Default: the variable MLFLOW_TRACKING_URI."
    )
    base_artifact: str = Field(
        "",
        description="Artifact with the results of the default branch's runs. Default: `flint-ml-results`, also with "
        "the job's name behind it.",
        max_length=200,
    )
    token: SecretStr | None = Field(
        None,
        description="Token that reads this repository: fetches the base into a shallow clone (`contents: read`) and "
        "reads the default branch's last run (`actions: read`).",
    )
    rules: dict[str, Rule] = Field(
        default_factory=dict,
        description="How each metric is judged, by name or glob, such as `rmse: {tolerance: 2 %, unit: g/kg}`.",
    )
    primary: str = Field(
        "", description="Name or glob of the metric that the headline is about; it stands first.", max_length=200
    )
    explain: bool = Field(False, description="Show how each metric's name was read: what it is, where, what is better.")
    expected: dict[str, list[float | str]] = Field(
        default_factory=dict,
        description="What this change is meant to do, such as `2012/area_ha: [+20 %, +50 %]`; "
        "in flint-ml.yml the change's own declaration counts.",
    )
    predictions: str = Field(
        "", description="Predictions of this change for each sample (CSV or Parquet: id, truth, prediction, group)."
    )
    base_predictions: str = Field(
        "", description="Predictions of the base. Default: the same file at the base revision."
    )
    prediction_columns: dict[str, str] = Field(
        default_factory=dict,
        description="Columns of the predictions that have other names, such as `{id: plot, truth: soc}`.",
    )
    benchmark: str = Field(
        "",
        description="File or folder that both sides must have been scored on; its hash must be the same. `none`: the "
        "metrics do not come from samples.",
    )
    metrics_from: Literal["run", "commit"] = Field(
        "run",
        description="Who makes the metrics: this `run`, whose command must have written them, or the author of the "
        "`commit`.",
    )
    functions: list[str] = Field(
        default_factory=list,
        description="Further metrics as `module:function` of truth and prediction; at a terminal only.",
    )
    training: list[str] = Field(
        default_factory=list,
        description="Tables that the model was trained on; a benchmark sample in them is a failure.",
    )
    repeats: list[str] = Field(
        default_factory=list,
        description="Metrics files of further runs of this change with other seeds, for the spread from run to run.",
    )
    plots: bool = Field(True, description="Draw the plots that dvc.yaml declares, of the base and of this change.")
    history: int = Field(10, ge=0, le=100, description="Commits of the main branch to show the metrics of; 0: none.")
    resamples: int = Field(
        10_000, ge=0, le=100_000, description="Resamples for confidence intervals; 0: judge by the difference alone."
    )
    confidence: float = Field(0.95, ge=0.8, le=0.999, description="Level of the confidence intervals.")
    interval: Literal["t", "bca"] = Field(
        "t", description="Kind of interval: symmetric bootstrap-t, or bias-corrected and accelerated (BCa)."
    )
    correction: Literal["holm", "none"] = Field(
        "holm", description="Correction for judging several metrics, and several groups, at once."
    )
    seed: int = Field(1, ge=0, description="Seed of the resampling: the same files give the same intervals.")

    @field_validator("metrics", "training", "functions", "repeats", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value
