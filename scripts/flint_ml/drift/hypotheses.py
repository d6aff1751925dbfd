"""The hypotheses whose common error rate is controlled: the tests of all columns, and the decision about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flint_ml.drift.rules import DriftRules
from flint_ml.drift.statistics.multiple_testing import adjust
from flint_ml.drift.tables.column_summary import summary_of, test_of
from flint_ml.drift.tables.columns import Pair
from flint_ml.drift.two_sample import two_sample_test
from flint_ml.drift.two_sample.base import TestResult
from flint_ml.drift.two_sample.chi2 import proportions

# The aspect of a censored column: the share of values below the common limit of detection.
BELOW = "below the limit"


@dataclass
class Hypothesis:
    """One test. ``aspect`` says of what: ``values``, ``missing``, ``T²``, ``Q``, ``score 1``, ``all columns`` …"""

    column: str
    aspect: str
    test: TestResult
    min_effect: float
    p_adjusted: float = 1.0
    drifted: bool = False


@dataclass
class ColumnResult:
    """What was found out about one column; ``leading`` is the hypothesis that its row in the table shows."""

    column: Pair
    hypotheses: list[Hypothesis]

    @property
    def drifted(self) -> bool:
        return any(h.drifted for h in self.hypotheses)

    @property
    def leading(self) -> Hypothesis | None:
        return min(self.hypotheses, key=severity, default=None)


def column_tests(pairs: Sequence[Pair], rules: DriftRules) -> list[list[Hypothesis]]:
    """The tests of each column: of its values, and of the share of its missing values."""
    columns: list[list[Hypothesis]] = []
    # By the name of the test, for some compute the p-values of many columns together.
    unfinished: dict[str, list[tuple[Hypothesis, tuple[int, int]]]] = {}
    for column in pairs:
        hypotheses: list[Hypothesis] = []
        columns.append(hypotheses)
        name, result = _values_test(column, rules)
        if name is not None and result is not None:
            hypotheses.append(Hypothesis(column.name, "values", result, rules.effect_of(column.name)))
            unfinished.setdefault(name, []).append((hypotheses[-1], column.present))
            below = column.summary.below if column.summary else None
            if below and any(below):
                share = proportions(below, column.present)
                hypotheses.append(Hypothesis(column.name, BELOW, share, rules.effect_of(column.name)))
        if "missing" in rules.tests and any(column.missing) and rules.of(column.name).test != "none":
            result = proportions(column.missing, column.total)
            hypotheses.append(Hypothesis(column.name, "missing", result, rules.effect_of(column.name)))
    for name, cases in unfinished.items():
        results = two_sample_test(name).finished([sizes for _, sizes in cases], [h.test for h, _ in cases])
        for (hypothesis, _), result in zip(cases, results, strict=True):
            hypothesis.test = result
    return columns


def _values_test(column: Pair, rules: DriftRules) -> tuple[str | None, TestResult | None]:
    """The test of the values of a column, by name, and its result."""
    summary = summary_of(column, rules)
    name = test_of(column, rules)
    if summary is not None:
        return name, summary.test
    if name is None or not column.labels:
        return None, None
    return name, two_sample_test(name).of_classes(column.reference, column.current)


def severity(hypothesis: Hypothesis) -> tuple[Any, ...]:
    """Sort key: drifted first, then by effect in units of the smallest that counts, then by p."""
    least = hypothesis.min_effect
    scale = hypothesis.test.effect / least if least > 0 else hypothesis.test.effect
    return (not hypothesis.drifted, hypothesis.p_adjusted >= 1, -scale, hypothesis.test.p_value)


def decide_one(hypothesis: Hypothesis, p_adjusted: float, rules: DriftRules) -> None:
    """Decide one hypothesis: significant, and large enough to matter."""
    hypothesis.p_adjusted = min(1.0, p_adjusted)
    hypothesis.drifted = p_adjusted < rules.alpha and hypothesis.test.effect >= hypothesis.min_effect


def decide(hypotheses: Sequence[Hypothesis], rules: DriftRules) -> None:
    """Adjust the p-values of a family and decide each of its hypotheses."""
    adjusted = adjust([h.test.p_value for h in hypotheses], rules.correction)
    for hypothesis, p in zip(hypotheses, adjusted, strict=True):
        decide_one(hypothesis, p, rules)


def decide_within(hypotheses: Sequence[Hypothesis], gate: Sequence[Hypothesis], rules: DriftRules) -> None:
    """Decide what lies behind a gate, such as the bands of a spectrum: only where the gate's hypothesis was rejected.

    Testing in this order keeps the error rate of the whole: where the spectra did not drift, no band can.
    """
    decide(hypotheses, rules)
    least = min((h.p_adjusted for h in gate if h.drifted), default=1.0)
    for hypothesis in hypotheses:
        decide_one(hypothesis, max(hypothesis.p_adjusted, least), rules)
