"""Quality of the new data beside the reference: ranges, allowed values, units, constant columns, duplicates."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from flint_ml.drift.arrow import class_codes, row_values
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.tables.column_summary import summary_of
from flint_ml.drift.tables.columns import ColumnSummary, Pair
from flint_ml.drift.tables.schema import Note

_ROWS = 200_000
_SHARE = 0.01
_UNIT = re.compile(
    r"[\s_.]*(?:\([^)]*\)|\[[^\]]*\]|[_\s.](?:(?:g|mg|cmol)[_./]?kg|percent|pct|perc|t[_./]?ha)|%)\s*$", re.I
)


def stem(name: str) -> str:
    """A column name without its unit, case and separators: ``SOC (g/kg)`` and ``soc_pct`` are both ``soc``."""
    return re.sub(r"[\s_.-]+", "", _UNIT.sub("", name)).lower()


def other_units(gone: Sequence[str], new: Sequence[str]) -> list[Note]:
    """Columns that are gone and have come back under another unit or spelling."""
    by_stem = {stem(name): name for name in new}
    pairs = [(name, by_stem[stem(name)]) for name in gone if stem(name) and stem(name) in by_stem]
    return [
        Note("warning", "renamed-column", f"`{a}` of the reference may be `{b}` of the new data", "Convert, rename.")
        for a, b in pairs[:5]
    ]


def quality_notes(
    tables: tuple[Any, Any],
    pairs: Sequence[Pair],
    rules: DriftRules,
    *,
    bands: Collection[str] = (),
    rows: bool = True,
) -> list[Note]:
    """Everything about the values that a person should look at, drift or not.

    Of the ``bands`` of a spectrum only given rules are checked: the calibration space says the rest. ``rows`` also
    looks for copies.
    """
    notes: list[Note] = []
    outside: list[tuple[float, str]] = []
    for pair in pairs:
        notes += _given(pair, rules)
        summary = summary_of(pair, rules)
        if summary is not None and pair.kind == "numeric" and pair.name not in bands:
            notes += _constant(pair) + _unit_slip(pair, summary)
            known, new = pair.present
            # Of new values like the reference's, 2 in n + 1 lie beyond its smallest or largest.
            few = summary.outside < 3 or summary.outside / new <= max(_SHARE, 10 / (known + 1))
            if not few and rules.of(pair.name).range is None:
                outside.append((summary.outside / new, pair.name))
    if outside:
        outside.sort(reverse=True)
        worst = ", ".join(f"`{name}` {share:.0%}" for share, name in outside[:5])
        more = f" and {len(outside) - 5} more columns" if len(outside) > 5 else ""
        text = f"values beyond the range of the reference: {worst}{more}"
        notes.append(Note("warning", "out-of-range", text, "Predictions for these samples are extrapolation."))
    return notes + (_duplicates(tables, pairs) if rows else [])


def _given(pair: Pair, rules: DriftRules) -> list[Note]:
    """Violations of the range or the values that the rules allow; these fail the check."""
    rule = rules.of(pair.name)
    notes = []
    if rule.range is not None and pair.kind == "numeric" and not pair.labels:
        low, high = rule.range
        summary = summary_of(pair, rules)
        if summary is not None and summary.wrong:
            text = f"`{pair.name}`: {summary.wrong} values outside the allowed range {low:g} … {high:g}"
            notes.append(Note("error", "range", text, "Correct them, or change `range`."))
    if rule.allowed is not None and pair.labels:
        allowed = set(rule.allowed)
        strange = sum(int(n) for label, n in zip(pair.labels, pair.current, strict=True) if label not in allowed)
        if strange:
            text = f"`{pair.name}`: {strange} values are none of the allowed ones"
            notes.append(Note("error", "allowed", text, "Correct them, or change `allowed`."))
    return notes


def _constant(pair: Pair) -> list[Note]:
    if len(pair.current) < 10 or pair.current[0] != pair.current[-1] or pair.reference[0] == pair.reference[-1]:
        return []
    text = f"`{pair.name}` has the same value in all {pair.present[1]} new rows"
    return [Note("warning", "constant", text, "A sensor that is stuck, or a default that was filled in?")]


def _unit_slip(pair: Pair, summary: ColumnSummary) -> list[Note]:
    """Medians that differ by a power of ten, with hardly any overlap: per cent and g/kg, for example."""
    middle = summary.middle
    if pair.present[1] < 10 or min(middle) <= 0 or not all(map(math.isfinite, middle)):
        return []
    power = math.log10(middle[1] / middle[0])
    nearest = round(power)
    if nearest == 0 or abs(power - nearest) > 0.15 or 0.02 < summary.apart < 0.98:
        return []
    factor = f"{10 ** abs(nearest):,} times {'larger' if nearest > 0 else 'smaller'}"
    text = f"`{pair.name}`: the new values are about {factor} than the reference"
    return [Note("warning", "unit", text, "Another unit, such as g/kg and %?")]


def _row_hashes(table: Any, pairs: Sequence[Pair]) -> npt.NDArray[np.uint64]:
    """A hash of each row over the compared columns; equal rows have equal hashes."""
    rng = np.random.default_rng(20218)
    total = np.zeros(table.num_rows, dtype=np.uint64)
    for pair in pairs:
        if pair.labels:
            values = class_codes(table.column(pair.name), pair.labels).astype(np.uint64)
        else:
            values = np.nan_to_num(row_values(table.column(pair.name)), nan=1e308).view(np.uint64)
        factor = np.uint64(int(rng.integers(1, 2**63)) * 2 + 1)
        mixed = values * factor
        total += (mixed ^ (mixed >> np.uint64(29))) * factor
    return total


def _duplicates(tables: tuple[Any, Any], pairs: Sequence[Pair]) -> list[Note]:
    used = [p for p in pairs if p.kind in {"numeric", "category", "boolean"} and p.reference is not None]
    # With few coarse columns equal rows are no surprise.
    if sum(p.kind == "numeric" for p in used) < 2 or max(t.num_rows for t in tables) > _ROWS or len(used) > 500:
        return []
    one, two = (_row_hashes(table, used) for table in tables)
    if len(one) - len(np.unique(one)) > 0.01 * len(one):
        return []
    notes = []
    twice = len(two) - len(np.unique(two))
    if twice:
        text = f"{twice} rows of the new data are copies of other new rows"
        notes.append(Note("warning", "duplicate-rows", text, "Remove them, or say why they are there."))
    known = int(np.isin(two, one).sum())
    if known:
        text = f"{known} rows of the new data are in the reference too"
        notes.append(Note("warning", "known-rows", text, "They are not new, and make the two tables look alike."))
    return notes
