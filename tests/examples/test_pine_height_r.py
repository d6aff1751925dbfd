"""examples/pine-height-r: what is committed is what its script says, reckoned anew without R.

The script itself runs in tests/e2e/test_example_workflows.py, with the R of the job image.
"""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "pine-height-r"


def rows(name: str) -> list[dict[str, str]]:
    with (EXAMPLE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_committed_metrics_are_those_of_a_straight_line() -> None:
    train = rows("data/reference.csv") + rows("data/new_batch.csv")
    line = statistics.linear_regression([float(r["age"]) for r in train], [float(r["height_m"]) for r in train])
    benchmark, committed = rows("data/benchmark.csv"), rows("predictions.csv")
    assert [r["id"] for r in committed] == [r["id"] for r in benchmark]
    predicted = [line.slope * float(r["age"]) + line.intercept for r in benchmark]
    assert [float(r["prediction"]) for r in committed] == pytest.approx(predicted, abs=1e-4)
    errors = [p - float(r["height_m"]) for p, r in zip(predicted, benchmark, strict=True)]
    metrics = json.loads((EXAMPLE / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["rmse"] == pytest.approx(statistics.fmean(e * e for e in errors) ** 0.5, abs=1e-4)
    assert metrics["bias"] == pytest.approx(statistics.fmean(errors), abs=1e-4)
    assert metrics["n"] == len(benchmark) == 30


def test_no_seed_source_is_in_two_tables() -> None:
    sources = [{r["seed"] for r in rows(f"data/{name}.csv")} for name in ("reference", "new_batch", "benchmark")]
    assert [len(part) for part in sources] == [5, 4, 5]
    assert len(set.union(*sources)) == 14
