"""Rasters to check for drift."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

from flint_ml.drift.rasters.check import RasterResult, check_rasters
from flint_ml.drift.rasters.source import layers_of
from flint_ml.drift.rules import DriftRules

UTM = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_400_000, 30, 30)}


def field(rng: np.random.Generator, size: int, reach: float) -> np.ndarray:
    """A normal random field with exponential-like correlation over ``reach`` cells, mean 0 and variance 1."""
    wide = 2 * size
    k = 2 * np.pi * np.fft.fftfreq(wide)
    half = 2 * np.pi * np.fft.rfftfreq(wide)
    power = (1 + (k[:, None] ** 2 + half[None, :] ** 2) * reach**2) ** -0.75
    values = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(wide, wide))) * power, (wide, wide))
    return (values / values.std())[:size, :size]


def write(path: Path, values: np.ndarray, **profile: Any) -> Path:
    """Write a GeoTIFF; ``values`` are (rows, columns) or (bands, rows, columns)."""
    bands = values if values.ndim == 3 else values[None]
    given = {
        "driver": "GTiff",
        "width": bands.shape[2],
        "height": bands.shape[1],
        "count": bands.shape[0],
        "dtype": bands.dtype.name,
        **UTM,
        **profile,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **given) as dataset:
        dataset.write(bands)
    return path


def compare(one: Path, two: Path, rules: DriftRules | None = None, mask: Path | None = None) -> RasterResult:
    """Compare two files."""
    held = next(iter(layers_of([mask], "mask.tif").values())) if mask else None
    sides = (layers_of([one], one.name), layers_of([two], two.name))
    return check_rasters(*sides, rules or DriftRules(), labels=(one.name, two.name), mask=held)
