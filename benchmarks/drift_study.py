"""False alarms and power of check-drift, by simulation: `python benchmarks/drift_study.py [TRIALS] [CASE ...]`.

Writes benchmarks/results/drift-study.json and .md. With 500 trials about an hour on two cores.
"""

from __future__ import annotations

import json
import math
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa

from flint_ml.drift.check import Result, check_tables
from flint_ml.drift.rules import Rules

RESULTS = Path(__file__).parent / "results"
Pair = tuple[pa.Table, pa.Table]


def table(values: np.ndarray, names: list[str] | None = None, **more: list[str]) -> pa.Table:
    names = names or [f"v{i}" for i in range(values.shape[1])]
    return pa.table({**{n: values[:, i] for i, n in enumerate(names)}, **more})


def mixed(rng: np.random.Generator, n: int, shift: float = 0.0, every: float = 0.0) -> pa.Table:
    """15 normal columns, 5 of categories (3, 5, 10, 50, 200 levels)."""
    values = rng.normal(size=(n, 15)) + every
    values[:, 0] += shift
    classes = {f"c{k}": rng.integers(0, k, n).astype(str).tolist() for k in (3, 5, 10, 50, 200)}
    return table(values, **classes)


def correlated(rng: np.random.Generator, n: int) -> pa.Table:
    return table(math.sqrt(0.7) * rng.normal(size=(n, 1)) + math.sqrt(0.3) * rng.normal(size=(n, 20)))


def spectra(rng: np.random.Generator, n: int, bands: int, component: float = 0.0, noise: float = 1.0) -> pa.Table:
    """Twelve smooth components, gain, noise."""
    x = np.linspace(0, 1, bands)
    shapes = np.array([np.cos(math.pi * k * x + k) / k for k in range(1, 13)])
    scores = rng.normal(size=(n, 12))
    scores[:, 2] += component
    gain = 1 + 0.02 * rng.normal(size=(n, 1))
    values = gain * (5 + scores @ shapes) + 0.01 * noise * rng.normal(size=(n, bands))
    return table(values, [f"nm_{350 + i}" for i in range(bands)])


def sites(rng: np.random.Generator, icc: float, shift: float = 0.0) -> pa.Table:
    """40 sites of 25 samples, 20 columns."""
    unit = np.repeat(np.arange(40), 25)
    values = math.sqrt(icc) * rng.normal(size=(40, 20))[unit] + math.sqrt(1 - icc) * rng.normal(size=(1000, 20))
    values[:, 0] += shift
    label = rng.integers(0, 10**9)
    return table(values, site=[f"{label}-{u}" for u in unit])


PLAIN, GROUPED = Rules(), Rules(groups=("site",))
LENIENT = Rules(min_effect=0.0)
CASES: dict[str, tuple[Rules, Callable[[np.random.Generator], Pair], int]] = {
    "no drift: 20 mixed columns, n = 2,000": (PLAIN, lambda r: (mixed(r, 2000), mixed(r, 2000)), 1),
    "no drift: the same, min-effect 0": (LENIENT, lambda r: (mixed(r, 2000), mixed(r, 2000)), 1),
    "no drift: 20 correlated columns, n = 500, min-effect 0": (
        LENIENT,
        lambda r: (correlated(r, 500), correlated(r, 500)),
        1,
    ),
    "no drift: 206 spectral bands, n = 300 and 150": (
        LENIENT,
        lambda r: (spectra(r, 300, 206), spectra(r, 150, 206)),
        1,
    ),
    "no drift: 2,151 spectral bands, n = 500": (PLAIN, lambda r: (spectra(r, 500, 2151), spectra(r, 500, 2151)), 1),
    "no drift: 40 sites, ICC 0.3, groups named": (GROUPED, lambda r: (sites(r, 0.3), sites(r, 0.3)), 1),
    "no drift: 40 sites, ICC 0.6, groups named": (GROUPED, lambda r: (sites(r, 0.6), sites(r, 0.6)), 1),
    "0.25 sd in one of 20 columns, n = 2,000": (PLAIN, lambda r: (mixed(r, 2000), mixed(r, 2000, 0.25)), 4),
    "the same, min-effect 0": (LENIENT, lambda r: (mixed(r, 2000), mixed(r, 2000, 0.25)), 4),
    "0.15 sd in all numeric columns, n = 2,000": (PLAIN, lambda r: (mixed(r, 2000), mixed(r, 2000, 0, 0.15)), 4),
    "206 bands: one component + 0.5 sd, n = 300 and 150": (
        PLAIN,
        lambda r: (spectra(r, 300, 206), spectra(r, 150, 206, 0.5)),
        4,
    ),
    "206 bands: noise × 1.1, n = 300 and 150": (
        PLAIN,
        lambda r: (spectra(r, 300, 206), spectra(r, 150, 206, 0, 1.1)),
        4,
    ),
    "40 sites, ICC 0.3: one of 20 columns + 1 sd": (GROUPED, lambda r: (sites(r, 0.3), sites(r, 0.3, 1.0)), 4),
}


def bound(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z, p = 1.96, hits / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return centre - half, centre + half


def study(name: str, trials: int) -> dict[str, object]:
    rules, make, fewer = CASES[name]
    count = max(20, trials // fewer)
    alarms = columns = whole = spectral = 0
    started = time.process_time()
    for seed in range(count):
        one, two = make(np.random.default_rng([seed, len(name)]))
        result: Result = check_tables(one, two, rules)
        alarms += result.failed
        columns += bool(result.drifted)
        whole += result.whole_drifted
        spectral += bool(result.drifted_spectra)
    low, high = bound(alarms, count)
    return {
        "case": name, "trials": count, "alarms": alarms / count, "low": low, "high": high,
        "by columns": columns / count,
        "by spectra": spectral / count, "by classifier": whole / count,
        "cpu seconds a trial": round((time.process_time() - started) / count, 3),
    }  # fmt: skip


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    chosen = [name for name in CASES if len(sys.argv) < 3 or any(part in name for part in sys.argv[2:])]
    path = RESULTS / "drift-study.json"
    known = {row["case"]: row for row in json.loads(path.read_text())["cases"]} if path.is_file() else {}
    for name in chosen:
        known[name] = study(name, trials)
        print(json.dumps(known[name], ensure_ascii=False), flush=True)
        save(path, [known[case] for case in CASES if case in known])


def save(path: Path, rows: list[dict[str, object]]) -> None:
    from tabulate import tabulate

    versions = {name: metadata.version(name) for name in ("flint-ml-actions", "numpy", "pyarrow")}
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "python": platform.python_version(), **versions}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"about": about, "cases": rows}, indent=1, ensure_ascii=False) + "\n")
    head = ["case", "trials", "alarms", "95 % interval", "columns", "spectra", "classifier"]
    lines = [
        [r["case"], r["trials"], f"{r['alarms']:.3f}", f"{r['low']:.3f} … {r['high']:.3f}", f"{r['by columns']:.3f}",
         f"{r['by spectra']:.3f}", f"{r['by classifier']:.3f}"]
        for r in rows
    ]  # fmt: skip
    text = (
        "# Alarms of check-drift at alpha 0.05\n\nShare of simulated datasets on which the check alarms, and by what. "
    )
    text += f"`python benchmarks/drift_study.py`, {', '.join(f'{k} {v}' for k, v in about.items())}.\n\n"
    path.with_suffix(".md").write_text(text + tabulate(lines, head, tablefmt="pipe", disable_numparse=True) + "\n")


if __name__ == "__main__":
    main()
