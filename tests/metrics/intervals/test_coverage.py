"""What the intervals are worth is said where they are shown, with the numbers of the study."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flint_ml.metrics.intervals import coverage
from flint_ml.metrics.intervals.bootstrap import IntervalSettings
from flint_ml.metrics.intervals.interval import Interval

STUDY = Path(__file__).parents[3] / "benchmarks" / "results"


def said(*names: str, units: int = 115, blocks: bool = False, **settings: str) -> str:
    intervals = {name: Interval(-0.2, -0.1, units=units) for name in names}
    scores = {name: name for name in names}
    findings = coverage.interval_coverage(intervals, scores, IntervalSettings(**settings), blocks=blocks)
    assert {finding.severity for finding in findings} <= {"info"}
    return findings[0].message if findings else ""


@pytest.mark.parametrize(
    ("names", "units", "blocks", "deviates"),
    [
        (("rmse", "r2"), 115, False, "with fewer than 500 samples a little too wide"),
        (("auc",), 115, False, "AUC 96.5 %"),
        (("rmse", "r2"), 500, False, ""),
        (("rmse", "mae"), 115, False, ""),
        (("r2",), 25, True, "in blocks a little too wide"),
        (("auc",), 25, True, ""),
    ],
)
def test_the_deviation_is_said_where_it_applies(
    names: tuple[str, ...], units: int, blocks: bool, deviates: str
) -> None:
    text = said(*names, units=units, blocks=blocks)
    assert "94.0 to 96.6 %" in text
    assert ("too wide" in text) == bool(deviates)
    assert deviates in text


def test_false_verdicts_of_all_metrics_together_are_said_where_there_are_several() -> None:
    assert "at most 3.1 %" in said("rmse", "mae")
    assert "at most 3.1 %" not in said("rmse", "r2"), "functions of each other on one benchmark are one question"
    assert "at most 3.1 %" not in said("rmse", "mae", correction="none")


def test_bca_says_that_it_is_too_narrow() -> None:
    assert "RMSE 91.0 %, R² 91.0 %" in said("rmse", "r2", method="bca")


def test_without_an_interval_nothing_is_said() -> None:
    assert coverage.interval_coverage({}, {"rmse": "rmse"}, IntervalSettings(), blocks=False) == []
    own = {"willmott": Interval(-0.2, -0.1, units=115)}
    assert coverage.interval_coverage(own, {}, IntervalSettings(), blocks=False) == []


def shares(file: str) -> list[tuple[str, float, float]]:
    """Metric, coverage without and with a change, in per cent, of every line of the study."""
    text = (STUDY / file).read_text(encoding="utf-8")
    found = re.findall(r"(?m)^\| ([^|]+?) \| ([\d.]+)(?: \w+)? \| ([\d.]+)(?: \w+)? \|", text)
    return [(name, float(one) * 100, float(two) * 100) for name, one, two in found]


def test_the_numbers_are_those_of_the_study() -> None:
    found = shares("metrics_coverage.md")
    values = [value for _, *pair in found for value in pair]
    assert (round(min(values), 1), round(max(values), 1)) == (94.0, 96.6)
    outside = {(name, round(value, 1)) for name, *pair in found for value in pair if not 93.7 <= value <= 96.2}
    assert outside == {("R²", 96.5), ("AUC", 96.5), ("R²", 96.6)}
    least: dict[str, float] = {}
    for name, *pair in shares("metrics_coverage_bca.md"):
        least[name] = min(least.get(name, 100.0), *pair)
    for key, share in coverage._NARROW_BCA.items():
        assert f"{least[coverage._NAMES[key]]:.1f} %" == share, key
