"""The model: one linear equation on absorbance, read from JSON.

`train` copies this file into the model's folder (`model/code/`), so that whoever serves the model computes exactly
what the evaluation did. It needs numpy and pandas only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FILE = "soc-plsr.json"


def band_names(grid: np.ndarray) -> list[str]:
    return [f"nm_{int(centre):04d}" for centre in grid]


def absorbance(table: pd.DataFrame) -> np.ndarray:
    """Return log10(1/R), the usual linearisation of reflectance R, shape (samples, bands)."""
    percent = table[[column for column in table.columns if column.startswith("nm_")]].to_numpy(float)
    return np.log10(100.0 / percent)


def predict(model: dict[str, Any], table: pd.DataFrame) -> np.ndarray:
    """Return predicted SOC in g/kg, shape (samples,), of a table with the model's bands (reflectance in percent)."""
    bands = band_names(np.array(model["wavelengths_nm"]))
    return model["intercept"] + absorbance(table[bands]) @ np.array(model["coefficients"])


def read_model(folder: Path) -> dict[str, Any]:
    return json.loads((folder / FILE).read_text(encoding="utf-8"))


class SocModel:
    """The model as MLflow wants it (`mlflow.pyfunc.load_model`, `mlflow models serve`)."""

    def __init__(self, model: dict[str, Any]) -> None:
        self.model = model

    def predict(self, data: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return the column SOC (g/kg) for rows of reflectance (percent)."""
        return pd.DataFrame({"SOC": predict(self.model, data)}, index=data.index)


def _load_pyfunc(folder: str) -> SocModel:
    """MLflow calls this with the model's folder; MLmodel names this module as the loader."""
    return SocModel(read_model(Path(folder)))
