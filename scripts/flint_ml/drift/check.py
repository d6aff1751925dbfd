"""The check: two tables and the rules in, findings and a verdict out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flint_ml.drift.bands import Spectrum, find_spectra
from flint_ml.drift.columns import Pair, as_classes, is_few_valued, pair
from flint_ml.drift.correction import adjust
from flint_ml.drift.rules import Rules
from flint_ml.drift.schema import Note, new_categories, schema_notes
from flint_ml.drift.tables import Source, read_columns
from flint_ml.drift.twosample import Test, chi_squared, ks_distance, ks_p_values, proportions, psi, wasserstein
from flint_ml.errors import InputError


@dataclass
class Hypothesis:
    """One test in the family whose error rate is controlled."""

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


@dataclass
class Result:
    """The outcome of a check; ``columns`` are in order of severity, worst first."""

    rules: Rules
    rows: tuple[int, int]
    columns: list[ColumnResult]
    notes: list[Note]
    spectra: list[Spectrum] = field(default_factory=list)

    @property
    def tested(self) -> list[ColumnResult]:
        """Columns that were compared."""
        return [column for column in self.columns if column.hypotheses]

    @property
    def drifted(self) -> list[ColumnResult]:
        """Columns that drifted, worst first."""
        return [column for column in self.columns if column.drifted]

    @property
    def broken(self) -> list[Note]:
        """What fails the check whatever the numbers say: columns that are gone or of another type."""
        return [note for note in self.notes if note.severity == "error"]

    @property
    def failed(self) -> bool:
        return bool(self.drifted or self.broken)


def severity(hypothesis: Hypothesis) -> tuple[Any, ...]:
    """Sort key: drifted first, then by effect in units of the smallest that counts, then by p."""
    scale = hypothesis.test.effect / hypothesis.min_effect if hypothesis.min_effect > 0 else hypothesis.test.effect
    return (not hypothesis.drifted, hypothesis.p_adjusted >= 1, -scale, hypothesis.test.p_value)


def check(reference: Source, current: Source, rules: Rules) -> Result:
    """Compare two tables.

    Raises
    ------
    InputError
        If no column is common, the rules leave none, or a column has no value at all on one side.
    """
    common = _common(reference, current, rules)
    one, two = read_columns(reference, common), read_columns(current, common)
    pairs = [pair(name, one.column(name), two.column(name), rules) for name in common]
    _refuse_empty(pairs, reference, current)
    notes = schema_notes(reference, current, rules)
    for column in pairs:
        notes += [Note("error" if code == "type-changed" else "warning", code, text) for code, text in column.notes]
        if column.kind == "category":
            notes += new_categories(column)
        if column.kind in {"identifier", "date", "text"} and rules.of(column.name).test == "auto":
            notes.append(Note("info", "not-compared", f"`{column.name}` was not compared: {column.why}"))
        if column.kind == "empty":
            notes.append(Note("warning", "no-values", f"`{column.name}` has no value in either table; not compared"))
    results = [ColumnResult(column, hypotheses) for column, hypotheses in zip(pairs, _tests(pairs, rules), strict=True)]
    if not any(result.hypotheses for result in results):
        raise InputError(
            "no column can be compared: all are identifiers, dates or empty",
            where=current.label, hint="name a test for one under `columns:` in flint-ml.yml", code="nothing-to-compare",
        )  # fmt: skip
    decide([h for result in results for h in result.hypotheses], rules)
    results.sort(key=lambda r: severity(r.leading) if r.leading else (True, True, 0.0, 2.0))
    spectra = find_spectra(common)
    return Result(rules, (one.num_rows, two.num_rows), results, notes, spectra)


def _common(reference: Source, current: Source, rules: Rules) -> list[str]:
    here = set(current.names)
    shared = [name for name in reference.names if name in here]
    if not shared:
        raise InputError(
            f"no common columns: {reference.label} has {_some(reference.names)}, {current.label} has "
            f"{_some(current.names)}",
            where=current.label,
            hint="rename the columns of one table; names are compared exactly, with case and units",
            code="no-common-columns",
        )
    common = [name for name in shared if rules.wanted(name)]
    for name in rules.only:
        if not any(ch in name for ch in "*?[") and name not in {*reference.names, *current.names}:
            raise InputError(
                f"the column `{name}` is in neither table", where="columns", hint="check the spelling", code="no-column"
            )
    if not common:
        raise InputError(
            "`columns` and `exclude` leave no common column", where="columns", hint="check both inputs",
            code="no-common-columns",
        )  # fmt: skip
    return common


def _some(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _refuse_empty(pairs: Sequence[Pair], reference: Source, current: Source) -> None:
    for side, source in enumerate((reference, current)):
        empty = [p.name for p in pairs if not p.present[side] and p.present[1 - side]]
        if empty:
            raise InputError(
                f"{_some(empty)} {'has' if len(empty) == 1 else 'have'} no values, only missing ones",
                where=source.label,
                hint="fill the column, or leave it out with `exclude`",
                code="all-missing",
            )


def decide(hypotheses: Sequence[Hypothesis], rules: Rules) -> None:
    """Adjust the p-values of a family and mark what drifted: significant, and large enough to matter."""
    adjusted = adjust([h.test.p_value for h in hypotheses], rules.correction)
    for hypothesis, p in zip(hypotheses, adjusted, strict=True):
        hypothesis.p_adjusted = p
        hypothesis.drifted = p < rules.alpha and hypothesis.test.effect >= hypothesis.min_effect


def _tests(pairs: Sequence[Pair], rules: Rules) -> list[list[Hypothesis]]:
    """The tests of each column. Those of KS wait until the end, to compute their p-values together."""
    found: list[list[Hypothesis]] = []
    waiting: list[tuple[list[Hypothesis], Pair, float]] = []
    for column in pairs:
        hypotheses: list[Hypothesis] = []
        found.append(hypotheses)
        test = _test_of(column, rules)
        if test == "ks":
            waiting.append((hypotheses, column, ks_distance(column.reference, column.current)))
        elif test is not None:
            hypotheses.append(Hypothesis(column.name, "values", _run(test, column), rules.effect_of(column.name)))
        if "missing" in rules.tests and any(column.missing) and rules.of(column.name).test != "none":
            result = proportions(column.missing, column.total)
            hypotheses.append(Hypothesis(column.name, "missing", result, rules.effect_of(column.name)))
    p_values = ks_p_values([(*column.present, distance) for _, column, distance in waiting])
    for (hypotheses, column, distance), (p, method) in zip(waiting, p_values, strict=True):
        note = "ties" if _tied(column) else ""
        test_result = Test("KS", method, distance, p, distance, "D", note)
        hypotheses.insert(0, Hypothesis(column.name, "values", test_result, rules.effect_of(column.name)))
    return found


def _tied(column: Pair) -> bool:
    return bool(
        (column.reference[1:] == column.reference[:-1]).any() or (column.current[1:] == column.current[:-1]).any()
    )


def _test_of(column: Pair, rules: Rules) -> str | None:
    """The name of the test for the values of a column, or None."""
    wish = rules.of(column.name).test
    if wish == "none" or not all(column.present):
        return None
    if column.kind == "numeric" or (
        column.kind == "identifier" and isinstance(column.labels, list) and not column.labels
    ):
        if wish != "auto":
            return wish
        if column.kind == "identifier" or rules.numeric_test is None:
            return "chi2" if column.kind == "numeric" and "chi2" in rules.tests and is_few_valued(column) else None
        return (
            "chi2"
            if rules.numeric_test == "ks" and "chi2" in rules.tests and is_few_valued(column)
            else rules.numeric_test
        )
    if column.kind in {"category", "boolean"}:
        if wish not in {"auto", "chi2"}:
            raise InputError(
                f"the test `{wish}` needs numbers, and `{column.name}` holds categories",
                where=f"columns.{column.name}", hint="use `chi2`, or leave the test out", code="invalid-test",
            )  # fmt: skip
        return "chi2" if wish == "chi2" or "chi2" in rules.tests else None
    return "chi2" if wish == "chi2" and column.kind == "identifier" else None


def _run(test: str, column: Pair) -> Test:
    if test == "chi2":
        classes = as_classes(column) if column.kind in {"numeric", "identifier"} and not column.labels else column
        return chi_squared(classes.reference, classes.current)
    runners: dict[str, Callable[..., Test]] = {"wasserstein": wasserstein, "psi": psi}
    return runners[test](column.reference, column.current)
