"""Soil spectra on the project's wavelength grid. Shared by all stages.

A *raw* table is an instrument's export: `sample_id`, `SOC_target` (%), `pH_target`, `Clay_target` (%), then
`wl_<nm>` columns with reflectance in percent at the instrument's own wavelengths.
A *prepared* table is the same for every instrument: `sample_id`, `SOC` (g/kg), `pH`, `clay` (%), `nm_0400` …
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from soc_model import band_names

PROPERTIES = ["SOC", "pH", "clay"]
RAW_NAMES = {"SOC_target": "SOC", "pH_target": "pH", "Clay_target": "clay"}
G_PER_KG_IN_PERCENT = 10.0


def read_params() -> dict[str, Any]:
    """Return params.yaml of the current directory (DVC runs every stage in the folder of dvc.yaml)."""
    return yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))


def make_grid(start_nm: int, stop_nm: int, step_nm: int) -> np.ndarray:
    """Return the band centres in nm, both ends included."""
    return np.arange(start_nm, stop_nm + 1, step_nm)


def resample(raw: pd.DataFrame, grid: np.ndarray) -> pd.DataFrame:
    """Average the reflectance of a raw table in windows of one grid step around each band centre.

    Averaging, unlike interpolation, uses every measured band and brings instruments with 1 nm and with 5 nm
    sampling to the same resolution. Raises ValueError when the instrument does not cover a band.
    """
    names = [column for column in raw.columns if column.startswith("wl_")]
    wavelength = np.array([float(name.removeprefix("wl_")) for name in names])
    reflectance = raw[names].to_numpy(float)
    half = (grid[1] - grid[0]) / 2
    bands = []
    for centre in grid:
        window = (wavelength >= centre - half) & (wavelength < centre + half)
        if not window.any():
            raise ValueError(f"no measurement between {centre - half:g} and {centre + half:g} nm; check the instrument")
        bands.append(reflectance[:, window].mean(axis=1))
    return pd.DataFrame(np.column_stack(bands), columns=band_names(grid), index=raw.index)


def prepare_table(raw: pd.DataFrame, grid: np.ndarray) -> pd.DataFrame:
    """Return the prepared table of a raw one: common names, SOC in g/kg, spectra on the common grid."""
    missing = [name for name in ["sample_id", *RAW_NAMES] if name not in raw.columns]
    if missing:
        raise ValueError(f"columns missing from the raw table: {', '.join(missing)}")
    properties = raw[["sample_id", *RAW_NAMES]].rename(columns=RAW_NAMES)
    properties["SOC"] = properties["SOC"] * G_PER_KG_IN_PERCENT
    return pd.concat([properties, resample(raw, grid)], axis=1)


def training_table() -> pd.DataFrame:
    """Return all samples that may be trained on: the reference and the new batch, never the benchmark."""
    return pd.concat(
        [pd.read_csv(f"data/prepared/{name}.csv") for name in ("reference", "new_batch")], ignore_index=True
    )
