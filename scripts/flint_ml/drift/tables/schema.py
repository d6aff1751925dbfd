"""Names and types of the columns of two tables: what is gone, new, or unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from flint_ml.drift.rules import DriftRules
from flint_ml.drift.tables.columns import Pair
from flint_ml.drift.tables.reading import Source
from flint_ml.record import Severity

_SHOWN = 5


@dataclass(frozen=True)
class Note:
    """A finding in the making."""

    severity: Severity
    code: str
    message: str
    hint: str | None = None


def few_of_each(notes: Sequence[Note], shown: int = 25) -> list[Note]:
    """At most so many notes of one code and severity; the last says how many more there are."""
    counts: Counter[tuple[str, str]] = Counter()
    kept = []
    for note in notes:
        counts[note.severity, note.code] += 1
        if counts[note.severity, note.code] <= shown:
            kept.append(note)
    for (severity, code), count in counts.items():
        if count > shown:
            text = f"{count - shown:,} more findings of this kind (`{code}`)"
            kept.append(Note(cast("Severity", severity), code, text, "The page of all columns shows each column."))
    return kept


def listed(names: Sequence[str], shown: int = _SHOWN) -> str:
    """ "`a`, `b` and 7 more" """
    text = ", ".join(f"`{name}`" for name in names[:shown])
    return f"{text} and {len(names) - shown} more" if len(names) > shown else text


def schema_notes(reference: Source, current: Source, rules: DriftRules) -> list[Note]:
    """Columns that only one table has. A column that is gone fails the check: no model could use the table."""
    there, here = set(reference.names), set(current.names)
    gone = [name for name in reference.names if name not in here and rules.compares(name)]
    new = [name for name in current.names if name not in there and rules.compares(name)]
    notes = [Note("warning", note.code, note.message, note.hint) for note in (*reference.notes, *current.notes)]
    if gone:
        notes.append(
            Note(
                "error",
                "missing-column",
                f"{current.label} lacks {len(gone)} of the reference's columns: {listed(gone)}",
                "add the column, or leave it out of the comparison with `exclude`",
            )
        )
    if new:
        notes.append(
            Note("info", "extra-column", f"{current.label} has {len(new)} more than the reference: {listed(new)}")
        )
    return notes


def new_categories(column: Pair) -> list[Note]:
    """Categories of the new data that the reference does not know."""
    unseen = np.flatnonzero((column.reference == 0) & (column.current > 0))
    if not len(unseen):
        return []
    names = [column.labels[i] for i in unseen]
    count = int(column.current[unseen].sum())
    share = count / max(1, column.present[1])
    return [
        Note(
            "warning" if share >= 0.01 else "info",
            "new-category",
            f"`{column.name}`: {count} values ({share:.1%}) in {len(names)} categories unknown to the reference",
            "A model trained on the reference has not seen them.",
        )
    ]
