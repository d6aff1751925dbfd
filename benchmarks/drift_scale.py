"""Tables larger than memory: CPU seconds and peak memory of `check-drift --engine stream` as rows grow.

`python benchmarks/drift_scale.py [MILLIONS ...]` makes two tables of 20 columns below build/ (15 of numbers, five of
categories; Parquet and CSV), runs the whole process on them, holds its numbers against `--engine memory` where that
fits, deletes the tables, and writes benchmarks/results/drift-scale.json and .md.
"""

from __future__ import annotations

import json
import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pyarrow.csv as pc
import pyarrow.parquet as pq
from drift_speed import DATA, RESULTS, ROOT, measure, mixed

MILLION = 1_000_000
TESTS = ["--figures", "none", "--tests", "ks,chi2,missing", "--results-dir", "build/drift-results"]


def make(path: Path, seed: int, millions: int) -> None:
    """Write a table of so many million rows, a million at a time."""
    first = mixed(1_000 * seed, MILLION)
    writer = pq.ParquetWriter(path, first.schema) if path.suffix == ".parquet" else pc.CSVWriter(path, first.schema)
    with writer:
        writer.write_table(first)
        for number in range(1, millions):
            writer.write_table(mixed(1_000 * seed + number, MILLION))


def run(paths: list[Path], engine: str) -> tuple[float, float, dict[str, object]]:
    """CPU seconds, peak MB and the columns of the record."""
    command = [sys.executable, "-m", "flint_ml", "check-drift", *map(str, paths), *TESTS, "--engine", engine]
    seconds, peak = measure(command)
    record = json.loads((ROOT / "build" / "drift-results" / "check-drift.json").read_text())
    return seconds, peak, {"columns": record["details"]["columns"], "wall": record["provenance"]["seconds"]}


def same(one: dict[str, object], two: dict[str, object]) -> bool:
    """Whether two runs gave the same numbers for each column."""
    return one["columns"] == two["columns"]


def case(kind: str, millions: int) -> dict[str, object]:
    """Measure one size, and delete its data."""
    paths = [DATA / f"scale-{millions}-{seed}.{kind}" for seed in (1, 2)]
    DATA.mkdir(parents=True, exist_ok=True)
    try:
        for seed, path in enumerate(paths, 1):
            make(path, seed, millions)
        gigabytes = sum(path.stat().st_size for path in paths) / 1e9
        seconds, peak, found = run(paths, "stream")
        result: dict[str, object] = {
            "gb": round(gigabytes, 2),
            "cpu_s": round(seconds, 1),
            "wall_s": found["wall"],
            "peak_mb": round(peak),
        }
        if millions <= 8:
            other, most, whole = run(paths, "memory")
            result |= {"memory_cpu_s": round(other, 1), "memory_peak_mb": round(most), "same": same(found, whole)}
        return result
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def main() -> None:
    sizes = [int(text) for text in sys.argv[1:]] or [2, 8, 20]
    path = RESULTS / "drift-scale.json"
    cases = json.loads(path.read_text())["cases"] if path.is_file() else {}
    for kind in ("parquet", "csv"):
        for millions in sizes:
            cases[f"{kind} {millions}"] = case(kind, millions)
            print(kind, millions, json.dumps(cases[f"{kind} {millions}"]), flush=True)
            save(path, cases)


def save(path: Path, cases: dict[str, dict[str, object]]) -> None:
    from tabulate import tabulate

    versions = {name: metadata.version(name) for name in ("flint-ml-actions", "numpy", "pyarrow")}
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "python": platform.python_version(), **versions}
    path.write_text(json.dumps({"about": about, "cases": cases}, indent=1, ensure_ascii=False) + "\n")
    rows = []
    for name, run_ in cases.items():
        kind, millions = name.split()
        each = f"{float(str(run_['cpu_s'])) / int(millions):.2f}"
        equal = {True: "the same", False: "DIFFERENT"}.get(bool(run_["same"])) if "same" in run_ else ""
        rows.append(
            [
                {"parquet": "Parquet", "csv": "CSV"}[kind],
                f"{millions} M",
                run_["gb"],
                run_["cpu_s"],
                each,
                run_["peak_mb"],
                run_.get("memory_cpu_s", ""),
                run_.get("memory_peak_mb", ""),
                equal,
            ]
        )
    heads = [
        "format",
        "rows a side",
        "GB, both",
        "CPU s",
        "CPU s per M rows",
        "peak MB",
        "in memory: CPU s",
        "peak MB",
        "numbers",
    ]
    text = "# Tables larger than memory\n\n`check-drift --engine stream`, 20 columns, KS and chi-squared on every "
    text += "column, no drift; the whole process with hashing of the files, record and table. Two shared cores. "
    text += f"{', '.join(f'{k} {v}' for k, v in about.items())}.\n\n"
    text += tabulate(rows, heads, tablefmt="pipe", disable_numparse=True) + "\n"
    path.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
