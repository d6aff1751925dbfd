"""Which columns of the reference were looked at, which were not, and the line that changes it."""

from __future__ import annotations

from collections.abc import Sequence

from flint_ml.drift.rules import DriftRules
from flint_ml.drift.tables.columns import Pair
from flint_ml.drift.tables.values import holds_measurement, is_number
from flint_ml.record import COLUMNS, Piece, left_out, looked

_LOOKED_AT = 500
# Columns left out that are named one by one.
_NAMED = 200


def coverage_of(names: Sequence[str], pairs: Sequence[Pair], rules: DriftRules, noun: str) -> list[Piece]:
    """The evidence of a check: ``names`` are the columns of the reference, ``pairs`` those that both tables have.

    Columns that the user left out, identifiers and dates are understood; one that could not be is left out aloud.
    """
    pieces = []
    understood: dict[str, int] = {}
    for pair in pairs:
        reason = not_understood(pair, rules)
        if reason is not None:
            pieces.append(left_out(COLUMNS, pair.name, *reason))
        elif pair.kind in {"identifier", "date", "empty"}:
            word = {"identifier": "identifiers", "date": "dates", "empty": "without values"}[pair.kind]
            understood[word] = understood.get(word, 0) + 1
    placed = {*rules.groups, *rules.coordinates}
    excluded = sum(not rules.compares(name) and name not in placed for name in names)
    if excluded:
        understood["left out by the settings"] = excluded
    why = ", ".join(f"{count} {what}" for what, count in understood.items())
    seen = looked(COLUMNS, len(names) - len(pieces), noun=f"{noun}s", why=why)
    if len(pieces) > _NAMED:
        more = f"{len(pieces) - _NAMED:,} more {noun}s"
        hint = f"`flint-ml check-drift --explain` shows each {noun}"
        pieces = [*pieces[:_NAMED], left_out(COLUMNS, more, "as those before", hint)]
    return [seen, *pieces]


def not_understood(pair: Pair, rules: DriftRules) -> tuple[str, str] | None:
    """Why the values of a column could not be compared, and the setting that changes it; None where they were."""
    rule = rules.of(pair.name)
    exclude = f"leave it out by name: `exclude: [{pair.name}]`"
    if rule.test == "none":
        return None
    if pair.reading is not None and pair.reading.left_out:
        return pair.reading.why, pair.reading.hint
    if pair.kind == "text" and rule.test == "auto":
        return pair.why, exclude
    # A column in which more than half of the values hold a number is not an identifier.
    if pair.kind == "identifier" and pair.labels and rule.test == "auto":
        labels = pair.labels[:: max(1, len(pair.labels) // _LOOKED_AT)]
        if sum(map(is_number, labels)) > len(labels) / 2 and len(pair.labels) < sum(pair.present):
            hint = f"say what it is: `columns: {{{pair.name}: {{kind: numeric}}}}`, or {exclude}"
            return "its texts hold numbers, and nearly every one is different", hint
        if sum(map(holds_measurement, labels)) > len(labels) / 2:
            text = f"its texts hold numbers that could not be read (`{labels[0][:20]}`)"
            return text, f"write numbers alone, or {exclude}"
    return None
