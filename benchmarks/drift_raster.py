"""Rasters in check-drift: false alarms on smooth fields of one law, and power: `python benchmarks/drift_raster.py`.

`python benchmarks/drift_raster.py [TRIALS]` (default 200) adds the trials that are lacking to
benchmarks/results/drift-raster.json and writes drift-raster.md; about ten minutes of one core. Every map is a normal
random field of 96 × 96 cells; its correlation reaches over a part of the side: exponential exp(−d/r) or Gaussian
exp(−(d/r)²).

`python benchmarks/drift_raster.py scale FOLDER [SIDE]` writes pairs of SIDE × SIDE cells there (default 20,000; float32
plain, uint8 deflated; tiles of 512), measures CPU and memory of the whole process, and deletes them.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

from flint_ml.drift.rasters.blocks import FINEST, permute_blocks
from flint_ml.drift.two_sample.base import BlockCounts
from flint_ml.drift.two_sample.ks import ks_statistic

RESULTS = Path(__file__).parent / "results"
SIDE = 96
CASES = [
    (kind, part, paired)
    for kind in ("exponential", "gaussian")
    for part in (40, 20, 10, 5, 3)
    for paired in (True, False)
]
SHIFT = 0.5


def field(rng: np.random.Generator, reach: float, kind: str) -> np.ndarray:
    wide = 2 * SIDE
    k2 = (2 * np.pi * np.fft.fftfreq(wide)[:, None]) ** 2 + (2 * np.pi * np.fft.rfftfreq(wide)[None, :]) ** 2
    amplitude = (1 + k2 * reach**2) ** -0.75 if kind == "exponential" else np.exp(-k2 * reach**2 / 8)
    values = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(wide, wide))) * amplitude, (wide, wide))
    return (values / values.std())[:SIDE, :SIDE]


def counted(one: np.ndarray, two: np.ndarray, paired: bool) -> BlockCounts:
    edges = np.quantile(np.concatenate([one.ravel(), two.ravel()]), np.linspace(0, 1, 129)[1:-1])
    block = np.arange(SIDE) * FINEST // SIDE
    place = block[:, None] * FINEST + block[None, :]
    bins = len(edges) + 1
    sides = [
        np.bincount((place * bins + np.searchsorted(edges, side)).ravel(), minlength=FINEST**2 * bins)
        for side in (one, two)
    ]
    values = np.concatenate([[edges[0]], (edges[1:] + edges[:-1]) / 2, [edges[-1]]])
    first, second = (side.reshape(FINEST, FINEST, bins) for side in sides)
    return BlockCounts(first, second, ordered=True, paired=paired, values=values)


def trial(number: int, kind: str, part: int, paired: bool) -> dict[str, float]:
    rng = np.random.default_rng([number, part, paired, len(kind)])
    one, two = (field(rng, SIDE / part, kind) for _ in range(2))
    same = permute_blocks(counted(one, two, paired), ks_statistic)
    moved = permute_blocks(counted(one, two + SHIFT, paired), ks_statistic)
    naive = same.statistic > 1.358 * np.sqrt(2 / SIDE**2)
    return {"p": same.p_value, "d": same.statistic, "p_shifted": moved.p_value, "naive": float(naive)}


def study(trials: int) -> None:
    path = RESULTS / "drift-raster.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"cases": {}}
    for kind, part, paired in CASES:
        key = f"{kind} 1/{part} {'one grid' if paired else 'other ground'}"
        done = found["cases"].setdefault(key, [])
        done += [trial(number, kind, part, paired) for number in range(len(done), trials)]
        found["made"] = stamp()
        path.write_text(json.dumps(found))
        print(key, rate(done, lambda t: t["p"] < 0.05), flush=True)
    write(found)


def rate(done: list[dict[str, float]], test: Any) -> float:
    return sum(bool(test(t)) for t in done) / len(done)


def stamp() -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "rasterio"))
    return f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {versions}"


def write(found: dict[str, Any]) -> None:
    rows = []
    for key, done in found["cases"].items():
        kind, part, how = key.split(" ", 2)
        cells = (
            rate(done, lambda t: t["p"] < 0.05),
            rate(done, lambda t: t["p"] < 0.05 and t["d"] >= 0.1),
            rate(done, lambda t: t["p_shifted"] < 0.05),
            rate(done, lambda t: t["naive"]),
        )
        rows.append(f"| {kind} | {part} | {how} | {len(done)} | " + " | ".join(f"{c:.1%}" for c in cells) + " |")
    trials = min(len(done) for done in found["cases"].values())
    bound = 0.05 + 2.33 * np.sqrt(0.05 * 0.95 / trials)
    text = (
        f"""# Rasters: false alarms and power

`benchmarks/drift_raster.py`, {found["made"]}. Two independent normal fields of one law, 96 × 96 cells, correlated over
a part of the side; alpha 0.05, one layer. With a true rate of 5 %, {trials} trials stay below {bound:.1%} in 99 of 100
studies. "Taken for independent": the KS test of all cells, as any tool does that knows of no neighbours.

| correlation | reach / side | maps | trials | false alarms | and D ≥ 0.1 | {SHIFT} sd found | taken for independent |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""
        + "\n".join(rows)
        + "\n"
    )
    scale = found.get("scale")
    if scale:
        text += (
            "\n## Large rasters\n\nWhole process (`flint-ml check-drift`, no figures), both maps read in full, "
            f"{scale['made']}.\n\n| pair | cells in each | CPU s | peak memory MB |\n| --- | --- | --- | --- |\n"
        )
        text += "\n".join(f"| {r['pair']} | {r['cells']:,} | {r['cpu']:.1f} | {r['mb']:.0f} |" for r in scale["rows"])
        text += "\n"
    (RESULTS / "drift-raster.md").write_text(text)


def make(path: Path, side: int, dtype: str, shift: float) -> None:
    rng = np.random.default_rng([side, int(shift * 10)])
    coarse = np.random.default_rng(1).normal(size=(side // 200 + 2, side // 200 + 2)).astype("float32")
    profile = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "count": 1,
        "dtype": dtype,
        "crs": "EPSG:32633",
        "transform": from_origin(300_000, 6_000_000, 10, 10),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "nodata": -9999 if dtype == "float32" else 255,
        "compress": None if dtype == "float32" else "deflate",
    }
    with rasterio.open(path, "w", **profile) as out:
        for row in range(0, side, 1024):
            for column in range(0, side, 1024):
                high, wide = min(1024, side - row), min(1024, side - column)
                y, x = np.arange(row, row + high) / 200, np.arange(column, column + wide) / 200
                i, j = y.astype(int), x.astype(int)
                fy, fx = (y - i)[:, None], (x - j)[None, :]
                top = coarse[np.ix_(i, j)] * (1 - fx) + coarse[np.ix_(i, j + 1)] * fx
                bottom = coarse[np.ix_(i + 1, j)] * (1 - fx) + coarse[np.ix_(i + 1, j + 1)] * fx
                values = top * (1 - fy) + bottom * fy + 0.2 * rng.standard_normal((high, wide)) + shift
                cells = values * 10 + 20 if dtype == "float32" else np.clip(values * 30 + 120, 0, 254)
                out.write(cells.astype(dtype), 1, window=Window(column, row, wide, high))


def measure(folder: Path, side: int, dtype: str) -> dict[str, Any]:
    names = [f"{dtype}-{name}.tif" for name in ("reference", "new")]
    for name, shift in zip(names, (0.0, 0.1), strict=True):
        make(folder / name, side, dtype, shift)
    command = [sys.executable, "-m", "flint_ml", "check-drift", *names, "--figures", "none"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) in {0, 1}
    for name in names:
        (folder / name).unlink()
    return {"pair": dtype, "cells": side**2, "cpu": cpu(usage), "mb": usage.ru_maxrss / 1024}


def cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def scale(folder: Path, side: int) -> None:
    path = RESULTS / "drift-raster.json"
    rows = [measure(folder, size, dtype) for dtype in ("uint8", "float32") for size in (side // 4, side)]
    found = json.loads(path.read_text()) if path.exists() else {"cases": {}}
    found["scale"] = {"made": stamp(), "rows": rows}
    path.write_text(json.dumps(found))
    if found["cases"]:
        write(found)
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["scale"]:
        scale(Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 20_000)
    else:
        study(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
