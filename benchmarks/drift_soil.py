"""check-drift on real soil spectra (LimeSoDa, CC BY-SA 4.0): `python benchmarks/drift_soil.py [HALVES]`.

Random halves of one dataset must not alarm; another country's spectra on common wavelengths must, by the spectra
themselves; so must the same spectra with 1 % gain and shifted by three bands. Writes benchmarks/results/drift-soil.*.
"""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
from LimeSoDa import load_dataset

from flint_ml.drift.check import Result, check_tables
from flint_ml.drift.rules import DriftRules

RESULTS = Path(__file__).parent / "results"
PROPERTIES = {"SOC_target": "SOC", "pH_target": "pH", "Clay_target": "clay"}
GRID = np.arange(400, 2451, 10.0)
HOME, OTHERS = "SSP.460", ("SC.93", "CV.98", "SL.125", "UL.120")


def prepared(name: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Soil properties, and spectra averaged in windows of 10 nm."""
    data = load_dataset(name)["Dataset"]
    bands = [c for c in data.columns if c.startswith("wl_")]
    position = np.array([float(c.removeprefix("wl_")) for c in bands])
    values = data[bands].to_numpy(float)
    spectra = np.full((len(values), len(GRID)), np.nan)
    for i, centre in enumerate(GRID):
        window = (position >= centre - 5) & (position < centre + 5)
        if window.any():
            spectra[:, i] = values[:, window].mean(axis=1)
    return {new: data[old].to_numpy(float) for old, new in PROPERTIES.items() if old in data}, spectra


def measured(spectra: np.ndarray) -> np.ndarray:
    """Which bands of the grid an instrument has."""
    return np.isfinite(spectra).all(axis=0)


def table(properties: dict[str, np.ndarray], spectra: np.ndarray, rows: np.ndarray | slice = slice(None)) -> pa.Table:
    good = measured(spectra)
    kept = [(f"nm_{int(g):04d}", spectra[rows, i]) for i, g in enumerate(GRID) if good[i]]
    bands = {name: np.ascontiguousarray(values) for name, values in kept}
    return pa.table({**{name: values[rows] for name, values in properties.items()}, **bands})


def halves(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    size = len(prepared(HOME)[1])
    for seed in range(count):
        order = np.random.default_rng(seed).permutation(size)
        yield order[: size // 2], order[size // 2 :]


def upper(hits: int, trials: int, level: float = 0.99) -> float:
    """Upper Clopper–Pearson bound of a share."""
    low, high = hits / trials, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        below = sum(math.comb(trials, k) * middle**k * (1 - middle) ** (trials - k) for k in range(hits + 1))
        low, high = (middle, high) if below > 1 - level else (low, middle)
    return high


def spectral(result: Result) -> bool:
    return bool(result.drifted_spectra)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    properties, spectra = prepared(HOME)
    rows: list[dict[str, object]] = []
    for label, rules in (("default", DriftRules()), ("min-effect 0", DriftRules(min_effect=0.0))):
        alarms = sum(
            check_tables(table(properties, spectra, a), table(properties, spectra, b), rules).failed
            for a, b in halves(count)
        )
        rows.append(
            {
                "data": f"random halves of {HOME}, {label}",
                "trials": count,
                "alarms": alarms,
                "bound": upper(alarms, count),
            }
        )
        print(rows[-1], flush=True)
    for other in OTHERS:
        there = prepared(other)
        hits = sum(
            spectral(check_tables(table(properties, spectra, a), table(*there), DriftRules())) for a, _ in halves(20)
        )
        rows.append({"data": f"{other} against halves of {HOME}, by the spectra", "trials": 20, "alarms": hits})
        print(rows[-1], flush=True)
    shifted = np.roll(spectra, 3, axis=1) * 1.01
    shifted[:, :3] = shifted[:, 3:4]
    for size in (10, 20, 30, 60, 120, 230):
        hits = 0
        for a, b in halves(50):
            two = table(properties, shifted, b[:size])
            hits += spectral(check_tables(table(properties, spectra, a), two, DriftRules()))
        rows.append(
            {"data": f"1 % gain and three bands off, {size} of {HOME}, by the spectra", "trials": 50, "alarms": hits}
        )
        print(rows[-1], flush=True)
    save(rows)


def save(rows: list[dict[str, object]]) -> None:
    from tabulate import tabulate

    versions = {name: metadata.version(name) for name in ("flint-ml-actions", "LimeSoDa", "numpy", "pyarrow")}
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "python": platform.python_version(), **versions}
    path = RESULTS / "drift-soil.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"about": about, "rows": rows}, indent=1, ensure_ascii=False) + "\n")
    lines = [[r["data"], r["trials"], r["alarms"], f"{r['bound']:.3f}" if "bound" in r else ""] for r in rows]
    text = "# check-drift on real soil spectra\n\n206 bands of 10 nm, 400 to 2450 nm, with SOC, pH and clay. LimeSoDa "
    text += f"(CC BY-SA 4.0). {', '.join(f'{k} {v}' for k, v in about.items())}.\n\n"
    head = ["data", "trials", "alarms", "99 % upper bound of the rate"]
    path.with_suffix(".md").write_text(text + tabulate(lines, head, tablefmt="pipe", disable_numparse=True) + "\n")


if __name__ == "__main__":
    main()
