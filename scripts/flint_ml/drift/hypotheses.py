"""The hypotheses whose common error rate is controlled, and the decision about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flint_ml.drift.rules import Rules
from flint_ml.drift.statistics.multiple_testing import adjust
from flint_ml.drift.statistics.two_sample_tests import Test
from flint_ml.drift.tables.columns import Pair


@dataclass
class Hypothesis:
    """One test. ``aspect`` says of what: ``values``, ``missing``, ``T²``, ``Q``, ``score 1``, ``all columns``."""

    column: str
    aspect: str
    test: Test
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


def severity(hypothesis: Hypothesis) -> tuple[Any, ...]:
    """Sort key: drifted first, then by effect in units of the smallest that counts, then by p."""
    least = hypothesis.min_effect
    scale = hypothesis.test.effect / least if least > 0 else hypothesis.test.effect
    return (not hypothesis.drifted, hypothesis.p_adjusted >= 1, -scale, hypothesis.test.p_value)


def settle(hypothesis: Hypothesis, p_adjusted: float, rules: Rules) -> None:
    """Decide one hypothesis: significant, and large enough to matter."""
    hypothesis.p_adjusted = min(1.0, p_adjusted)
    hypothesis.drifted = p_adjusted < rules.alpha and hypothesis.test.effect >= hypothesis.min_effect


def decide(hypotheses: Sequence[Hypothesis], rules: Rules) -> None:
    """Adjust the p-values of a family and decide each of its hypotheses."""
    adjusted = adjust([h.test.p_value for h in hypotheses], rules.correction)
    for hypothesis, p in zip(hypotheses, adjusted, strict=True):
        settle(hypothesis, p, rules)


def decide_within(hypotheses: Sequence[Hypothesis], gate: Sequence[Hypothesis], rules: Rules) -> None:
    """Decide what lies behind a gate, such as the bands of a spectrum: only where the gate's hypothesis was rejected.

    Testing in this order keeps the error rate of the whole: where the spectra did not drift, no band can.
    """
    decide(hypotheses, rules)
    least = min((h.p_adjusted for h in gate if h.drifted), default=1.0)
    for hypothesis in hypotheses:
        settle(hypothesis, max(hypothesis.p_adjusted, least), rules)
