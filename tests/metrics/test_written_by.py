"""Files that libraries wrote in real runs (written_by/make.py, make.R): taken as they are, the verdict is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from flint_ml.metrics.intervals.bootstrap import IntervalSettings
from flint_ml.metrics.predictions import join, read_table
from flint_ml.metrics.read import MetricsFile, parse
from flint_ml.metrics.verdict import Evidence, judge_metrics, overall

HERE = Path(__file__).parent / "written_by"
PREDICTIONS = {"caret_pred", "classes"}
# A matrix alone is shown, not judged.
MATRICES = {"confusionMatrix_table"}
BASES = sorted(HERE.glob("*/*-base.*"))
METRICS = [path for path in BASES if path.name.partition("-")[0] not in PREDICTIONS | MATRICES]


def read(path: Path, side: str) -> dict[str, MetricsFile]:
    return {
        "metrics" + path.suffix: parse(path.with_name(path.name.replace("-base.", f"-{side}.")).read_bytes(), path.name)
    }


def test_there_are_files_of_every_library() -> None:
    assert {path.parent.name for path in METRICS} == {"R", "dvclive", "keras", "scikit-learn", "xgboost"}
    assert len(METRICS) >= 25


@pytest.mark.parametrize("path", METRICS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_better_and_a_worse_model(path: Path) -> None:
    evidence = Evidence(IntervalSettings(resamples=0))
    for side, verdict in (("better", "better"), ("worse", "worse"), ("base", "same")):
        rows = judge_metrics(read(path, side), read(path, "base"), {}, {}, evidence).rows
        assert overall(rows, has_base=True).verdict == verdict, [(row.name, row.result, row.rule.why) for row in rows]


@pytest.mark.parametrize(
    ("name", "columns"), [("R/caret_pred", {}), ("R/classes", {})], ids=["repeats of caret", "classes of rpart"]
)
def test_predictions_of_both_sides_are_joined(name: str, columns: dict[str, str]) -> None:
    base, head = ((HERE / f"{name}-{side}.csv").read_bytes() for side in ("base", "better"))
    pairs = join(read_table(base, "p.csv", columns), read_table(head, "p.csv", columns))
    assert pairs.same
    assert pairs.n == (60 if "classes" in name else 150)
    assert (pairs.likelihood is not None) == ("classes" in name)


def test_a_table_of_counts_is_a_confusion_matrix() -> None:
    file = parse((HERE / "R/confusionMatrix_table-base.csv").read_bytes(), "t.csv")
    assert not file.readings
    assert sum(map(sum, file.matrices["confusion_matrix"].rows)) == 60
