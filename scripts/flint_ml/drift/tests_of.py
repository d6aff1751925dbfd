"""Which test a column gets, and its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flint_ml.drift.columns import Pair, as_classes, is_few_valued
from flint_ml.drift.family import Hypothesis
from flint_ml.drift.rules import Rules
from flint_ml.drift.twosample import Test, chi_squared, ks_distance, ks_p_values, proportions, psi, wasserstein
from flint_ml.errors import InputError


def column_tests(pairs: Sequence[Pair], rules: Rules) -> list[list[Hypothesis]]:
    """The tests of each column. Those of KS wait until the end, to compute their p-values together."""
    found: list[list[Hypothesis]] = []
    waiting: list[tuple[list[Hypothesis], Pair, float]] = []
    for column in pairs:
        hypotheses: list[Hypothesis] = []
        found.append(hypotheses)
        test = test_of(column, rules)
        if test == "ks":
            waiting.append((hypotheses, column, ks_distance(column.reference, column.current)))
        elif test is not None:
            hypotheses.append(Hypothesis(column.name, "values", _run(test, column), rules.effect_of(column.name)))
        if "missing" in rules.tests and any(column.missing) and rules.of(column.name).test != "none":
            result = proportions(column.missing, column.total)
            hypotheses.append(Hypothesis(column.name, "missing", result, rules.effect_of(column.name)))
    p_values = ks_p_values([(*column.present, distance) for _, column, distance in waiting])
    for (hypotheses, column, distance), (p, method) in zip(waiting, p_values, strict=True):
        result = Test("KS", method, distance, p, distance, "D", "ties" if _tied(column) else "")
        hypotheses.insert(0, Hypothesis(column.name, "values", result, rules.effect_of(column.name)))
    return found


def _tied(column: Pair) -> bool:
    one, two = column.reference, column.current
    return bool((one[1:] == one[:-1]).any() or (two[1:] == two[:-1]).any())


def test_of(column: Pair, rules: Rules) -> str | None:
    """The name of the test for the values of a column, or None."""
    wish = rules.of(column.name).test
    if wish == "none" or not all(column.present):
        return None
    holds_numbers = column.reference is not None and not column.labels
    if column.kind in {"category", "boolean"} or (column.kind == "identifier" and column.labels):
        if wish not in {"auto", "chi2"}:
            raise InputError(
                f"the test `{wish}` needs numbers, and `{column.name}` holds categories",
                where=f"columns.{column.name}", hint="use `chi2`, or leave the test out", code="invalid-test",
            )  # fmt: skip
        allowed = "chi2" in rules.tests and column.kind != "identifier"
        return "chi2" if wish == "chi2" or allowed else None
    if not holds_numbers:
        return None
    if wish != "auto":
        return wish
    if column.kind != "numeric":
        return None
    if rules.numeric_test in {None, "ks"} and "chi2" in rules.tests and is_few_valued(column):
        return "chi2"
    return rules.numeric_test


def _run(test: str, column: Pair) -> Test:
    if test == "chi2":
        classes = column if column.labels else as_classes(column)
        return chi_squared(classes.reference, classes.current)
    runners: dict[str, Callable[..., Test]] = {"wasserstein": wasserstein, "psi": psi}
    return runners[test](column.reference, column.current)
