"""CPU seconds and peak memory of `flint-ml compare-metrics` with per-sample predictions.

Each case is a whole process: start, reading two CSV files, joining, 10,000 bootstrap resamples and 10,000 random swaps
of all metrics, intervals, figure, record.

    python benchmarks/metrics_speed.py [--out benchmarks/results/metrics_speed.md]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from flint_ml.metrics.intervals.bootstrap import observed
from flint_ml.metrics.predictions import join, read_table

REGRESSION = {
    "rmse": "rmse",
    "mse": "mse",
    "mae": "mae",
    "r2": "r2",
    "nse": "r2",
    "bias": "bias",
    "rpiq": "rpiq",
    "rpd": "rpd",
    "rmsep": "rmse",
    "mbe": "bias",
}
CLASSES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced-accuracy",
    "kappa": "kappa",
    "f1": "f1",
    "precision": "precision",
    "recall": "recall",
    "log_loss": "logloss",
}


def regression(rng: np.random.Generator, n: int) -> list[pd.DataFrame]:
    truth = rng.gamma(3, 5, n)
    base = truth + rng.normal(0, 2, n)
    sides = base, truth + 0.6 * (base - truth) + rng.normal(0, 1.5, n)
    return [pd.DataFrame({"id": np.arange(n), "truth": truth, "prediction": side}) for side in sides]


def classes(rng: np.random.Generator, n: int) -> list[pd.DataFrame]:
    positive = rng.random(n) < 0.3
    sides = [1 / (1 + np.exp(-rng.normal(1.5 * positive - 0.7, spread))) for spread in (1.0, 0.97)]
    return [
        pd.DataFrame(
            {"id": np.arange(n), "truth": positive.astype(int), "prediction": (p > 0.5).astype(int), "probability": p}
        )
        for p in sides
    ]


CASES = {
    "10 regression metrics, n = 1,000": (regression, REGRESSION, 1_000, 0),
    "10 regression metrics, n = 100,000": (regression, REGRESSION, 100_000, 0),
    "10 regression metrics, n = 100,000 in 2,000 blocks": (regression, REGRESSION, 100_000, 2_000),
    "7 class metrics, n = 100,000": (classes, CLASSES, 100_000, 0),
    "AUC, 2,000 resamples, n = 100,000": (classes, {"auc": "auc"}, 100_000, 0),
}


def measure(name: str, folder: Path) -> tuple[float, float, str]:
    """CPU seconds, peak MB and headline of one run."""
    make, metrics, n, blocks = CASES[name]
    tables = make(np.random.default_rng(1), n)
    for table, side in zip(tables, ("base", "head"), strict=True):
        if blocks:
            table["block"] = np.arange(n) % blocks
        table.to_csv(folder / f"{side}.csv", index=False, float_format="%.6g")
    pairs = join(*(read_table((folder / f"{side}.csv").read_bytes(), "p.csv") for side in ("base", "head")))
    values = observed(pairs, sorted(set(metrics.values())))
    for place, side in enumerate(("base", "head")):
        found = {metric: values[key][place] for metric, key in metrics.items()}
        (folder / f"{side}.json").write_text(json.dumps(found))
    command = [sys.executable, "-m", "flint_ml", "compare-metrics", "head.json", "base.json"]
    command += ["--predictions", "head.csv", "--base-predictions", "base.csv"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    record = json.loads((folder / "flint-ml-results/compare-metrics.json").read_text())
    without = [row["name"] for row in record["details"]["rows"] if row["interval"] is None]
    if without:
        raise SystemExit(f"{name}: no interval for {without}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, record["headline"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/metrics_speed.md"))
    options = parser.parse_args()
    results: dict[str, list[tuple[float, float, str]]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for name in CASES:
                results[name].append(measure(name, Path(folder)))
                print(name, results[name][-1], flush=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    lines = [
        "# compare-metrics: CPU and memory",
        "",
        f"Made by `benchmarks/metrics_speed.py`: median of {options.rounds} whole processes, interleaved. "
        f"{os.cpu_count()} shared cores, Python {platform.python_version()}, numpy {np.__version__}, "
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}.",
        "",
        "| case | CPU s | peak MB |",
        "|:--|--:|--:|",
    ]
    for name, runs in results.items():
        cpu, peak = (statistics.median(run[place] for run in runs) for place in (0, 1))
        lines.append(f"| {name} | {cpu:.1f} | {peak:.0f} |")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
