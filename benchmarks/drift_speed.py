"""CPU seconds and peak memory of whole processes, check-drift beside its peers, on generated data.

`python benchmarks/drift_speed.py [ROUNDS] [CASE ...]` makes the data below build/, runs every contender in turn so that
load on the machine falls on all alike, and writes the medians to benchmarks/results/drift-speed.json and .md.
PEERS_PYTHON names interpreters, separated like PATH, in which peers are installed (peers/speed.py).
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent
DATA = ROOT / "build" / "drift-data"
RESULTS = Path(__file__).parent / "results"
LOOP = """
import sys, pandas as pd
from scipy import stats
read = pd.read_csv if sys.argv[1].endswith("csv") else pd.read_parquet
a, b = read(sys.argv[1]), read(sys.argv[2])
p = {}
for c in a:
    if pd.api.types.is_numeric_dtype(a[c]):
        p[c] = stats.ks_2samp(a[c], b[c], method="asymp").pvalue
    else:
        p[c] = stats.chi2_contingency(pd.DataFrame([a[c].value_counts(), b[c].value_counts()]).fillna(0)).pvalue
print(min(p.values()))
"""
# The peers that can do a case in minutes: evidently takes more than 400 s for a million rows.
ABLE = {
    "2,000": ("evidently", "alibi-detect", "frouros", "nannyml"),
    "1,000,000": ("frouros",),
    "20,000": ("alibi-detect", "frouros"),
}
RUNNER = Path(__file__).parent / "peers" / "speed.py"
OURS = ["--figures", "none", "--tests", "ks,chi2,missing", "--results-dir", "build/drift-results"]


def mixed(seed: int, rows: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    data = {f"v{i}": rng.normal(size=rows).round(6) for i in range(15)}
    for levels in (3, 5, 10, 50, 200):
        names = np.array([f"k{i}" for i in range(levels)])
        data[f"c{levels}"] = names[rng.integers(0, levels, rows)]
    return pa.table(data)


def spectra(seed: int, rows: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, 2151)
    shapes = np.array([np.cos(np.pi * k * x + k) / k for k in range(1, 13)])
    values = 5 + rng.normal(size=(rows, 12)) @ shapes + 0.01 * rng.normal(size=(rows, 2151))
    return pa.table({f"nm_{350 + i}": values[:, i] for i in range(2151)})


CASES = {
    "2,000 × 20 CSV": (lambda seed: mixed(seed, 2_000), "csv"),
    "1,000,000 × 20 CSV": (lambda seed: mixed(seed, 1_000_000), "csv"),
    "1,000,000 × 20 Parquet": (lambda seed: mixed(seed, 1_000_000), "parquet"),
    "20,000 × 2,151 Parquet": (lambda seed: spectra(seed, 20_000), "parquet"),
}


def files(case: str) -> list[Path]:
    make, kind = CASES[case]
    DATA.mkdir(parents=True, exist_ok=True)
    stem = case.replace(",", "").replace(" × ", "x").replace(" ", "-")
    paths = [DATA / f"{stem}-{seed}.{kind}" for seed in (1, 2)]
    for seed, path in enumerate(paths, 1):
        if not path.is_file():
            (pc.write_csv if kind == "csv" else pq.write_table)(make(seed), path)
    return paths


def contenders(case: str, paths: list[Path]) -> dict[str, list[str]]:
    names = [str(path) for path in paths]
    found = {
        "check-drift": [sys.executable, "-m", "flint_ml", "check-drift", *names, *OURS],
        "pandas + scipy loop": [sys.executable, "-c", LOOP, *names],
    }
    for name, (python, version) in peers().items():
        if name in ABLE[case.split(maxsplit=1)[0]]:
            found[f"{name} {version}"] = [python, str(RUNNER), name, *names]
    if case.startswith("20,000"):
        found["check-drift, spectra as a whole"] = [*found["check-drift"], "--tests", "spectra"]
    return found


def peers() -> dict[str, tuple[str, str]]:
    """Interpreter and version of each peer that PEERS_PYTHON has."""
    found: dict[str, tuple[str, str]] = {}
    for python in filter(None, os.environ.get("PEERS_PYTHON", "").split(os.pathsep)):
        told = subprocess.run([python, str(RUNNER)], capture_output=True, text=True, check=True)
        found |= {name: (python, version) for name, version in json.loads(told.stdout).items()}
    return found


def measure(command: list[str]) -> tuple[float, float]:
    """CPU seconds and peak MB of one process and its children, by a parent of its own."""
    code = (
        "import json,resource,subprocess,sys;"
        "r=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,stderr=subprocess.PIPE);"
        "u=resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(json.dumps([u.ru_utime+u.ru_stime,u.ru_maxrss/1024,r.returncode,r.stderr.decode()[-300:]]))"
    )
    # Byte code is kept, as it is of what pip installed: the checkout's own would else be compiled in each run.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True, cwd=ROOT, env=env
    )
    seconds, peak, status, errors = json.loads(done.stdout)
    # 1 is check-drift's "drifted"; anybody else's 1 is a failure.
    if status not in ((0, 1) if "check-drift" in command else (0,)):
        raise RuntimeError(f"{command[:4]}: {errors}")
    return seconds, peak


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    chosen = [case for case in CASES if len(sys.argv) < 3 or any(part in case for part in sys.argv[2:])]
    path = RESULTS / "drift-speed.json"
    cases = json.loads(path.read_text())["cases"] if path.is_file() else {}
    for case in chosen:
        commands = contenders(case, files(case))
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                seen[name].append(measure(command))
        cases[case] = {
            name: {
                "cpu_s": round(statistics.median(s for s, _ in runs), 2),
                "peak_mb": round(max(m for _, m in runs)),
                "rounds": rounds,
                "date": f"{datetime.now(UTC):%Y-%m-%d}",
            }
            for name, runs in seen.items()
        }
        print(case, json.dumps(cases[case]), flush=True)
        save(path, cases)


def save(path: Path, cases: dict[str, dict[str, dict[str, Any]]]) -> None:
    from tabulate import tabulate

    versions = {name: metadata.version(name) for name in ("flint-ml-actions", "numpy", "pyarrow", "pandas", "scipy")}
    about = {"python": platform.python_version(), **versions}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"about": about, "cases": cases}, indent=1, ensure_ascii=False) + "\n")
    rows = [
        [case, name, f"{run['cpu_s']:.2f}", run["peak_mb"], run.get("rounds", ""), run.get("date", "")]
        for case, runs in cases.items()
        for name, run in runs.items()
    ]
    text = "# CPU seconds and peak memory of whole processes\n\nKS and chi-squared on every column; record and table "
    text += (
        f"included, no figures, no classifier. Two shared cores. {', '.join(f'{k} {v}' for k, v in about.items())}.\n\n"
    )
    text += (
        tabulate(rows, ["data", "tool", "CPU s", "peak MB", "rounds", "date"], tablefmt="pipe", disable_numparse=True)
        + "\n"
    )
    path.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
