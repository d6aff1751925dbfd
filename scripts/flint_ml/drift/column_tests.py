"""The tests of all columns."""

from __future__ import annotations

from collections.abc import Sequence

from flint_ml.drift.hypotheses import Hypothesis
from flint_ml.drift.rules import Rules
from flint_ml.drift.statistics.two_sample_tests import Test, chi_squared, ks_p_values, proportions
from flint_ml.drift.tables.column_summary import Facts, facts_of, test_of
from flint_ml.drift.tables.columns import Pair


def column_tests(pairs: Sequence[Pair], rules: Rules) -> list[list[Hypothesis]]:
    """The tests of each column. Those of KS wait until the end, to compute their p-values together."""
    found: list[list[Hypothesis]] = []
    waiting: list[tuple[list[Hypothesis], Pair, float, bool]] = []
    for column in pairs:
        hypotheses: list[Hypothesis] = []
        found.append(hypotheses)
        facts = facts_of(column, rules)
        test = _values_test(column, facts, rules)
        if test is not None:
            hypotheses.append(Hypothesis(column.name, "values", test, rules.effect_of(column.name)))
        elif facts is not None and facts.distance is not None:
            waiting.append((hypotheses, column, facts.distance, facts.tied))
        if "missing" in rules.tests and any(column.missing) and rules.of(column.name).test != "none":
            result = proportions(column.missing, column.total)
            hypotheses.append(Hypothesis(column.name, "missing", result, rules.effect_of(column.name)))
    p_values = ks_p_values([(*column.present, distance) for _, column, distance, _ in waiting])
    for (hypotheses, column, distance, tied), (p, method) in zip(waiting, p_values, strict=True):
        result = Test("KS", method, distance, p, distance, "D", "ties" if tied else "")
        hypotheses.insert(0, Hypothesis(column.name, "values", result, rules.effect_of(column.name)))
    return found


def _values_test(column: Pair, facts: Facts | None, rules: Rules) -> Test | None:
    if facts is not None:
        return facts.test
    return chi_squared(column.reference, column.current) if test_of(column, rules) == "chi2" else None
