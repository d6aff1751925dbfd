"""Choose the growth curve and the transition rule that fit a classifier set best (2.3 and 2.8).

A stored classifier value scores 1 if it is ``?``, 4 if classifier and value match the stand's, else -1000.
The reference matches with SQL LIKE and the *stand's* value as the pattern.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from typing import Any

import numpy as np

_MISS = -1000


def sql_like(pattern: str) -> re.Pattern[str]:
    """SQLite's LIKE: ASCII case-insensitive, ``%`` any text, ``_`` any character."""
    parts = (".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
    return re.compile("".join(parts), re.IGNORECASE | re.ASCII | re.DOTALL)


class _Scores:
    """Scores of every stored classifier value against a classifier set."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.rows = connection.execute(
            "SELECT cv.id, c.name, cv.value FROM classifier_value cv "
            "INNER JOIN classifier c ON cv.classifier_id = c.id ORDER BY cv.id"
        ).fetchall()
        self.position = {row[0]: i for i, row in enumerate(self.rows)}

    def of(self, classifier_set: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
        wanted = [
            (sql_like(name), sql_like("NULL" if value is None else str(value)))
            for name, value in classifier_set.items()
        ]
        scores = np.empty(len(self.rows), dtype=np.int64)
        for i, (_, name, value) in enumerate(self.rows):
            text = str(value)
            if name not in classifier_set:
                scores[i] = _MISS
            elif text == "?":
                scores[i] = 1
            elif any(n.fullmatch(name) and v.fullmatch(text) for n, v in wanted):
                scores[i] = 4
            else:
                scores[i] = _MISS
        return scores


class CurveChooser:
    """Growth curve of a classifier set: highest positive score, ties to the lowest id."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._scores = _Scores(connection)
        rows = connection.execute(
            "SELECT growth_curve_id, classifier_value_id FROM growth_curve_classifier_value"
        ).fetchall()
        rows = [row for row in rows if row[1] in self._scores.position]
        self._ids = np.array(sorted({row[0] for row in rows}), dtype=np.int64)
        self._curve = np.searchsorted(self._ids, [row[0] for row in rows])
        self._value = np.array([self._scores.position[row[1]] for row in rows], dtype=np.int64)

    def choose(self, classifier_set: Mapping[str, Any]) -> int | None:
        if self._ids.size == 0:
            return None
        total = np.bincount(self._curve, weights=self._scores.of(classifier_set)[self._value])
        best = int(np.argmax(total))  # the first of equals: lowest id
        return int(self._ids[best]) if total[best] > 0 else None


class TransitionChooser:
    """Transition of each disturbance type for a classifier set; same scoring.

    Rules of one type that lead to the same transition add their points up, as in the reference.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._scores = _Scores(connection)
        self._rows = connection.execute(
            "SELECT dt.name, tr.transition_id, trv.classifier_value_id FROM transition_rule tr "
            "INNER JOIN transition_rule_classifier_value trv ON trv.transition_rule_id = tr.id "
            "INNER JOIN disturbance_type dt ON tr.disturbance_type_id = dt.id"
        ).fetchall()

    def choose(self, classifier_set: Mapping[str, Any]) -> dict[str, int]:
        if not self._rows:
            return {}
        scores = self._scores.of(classifier_set)
        totals: dict[tuple[str, int], int] = {}
        for kind, transition, value in self._rows:
            position = self._scores.position.get(value)
            if position is not None:
                key = (kind, transition)
                totals[key] = totals.get(key, 0) + int(scores[position])
        best: dict[str, tuple[int, int]] = {}
        for (kind, transition), score in totals.items():
            if score > 0 and (score, -transition) > best.get(kind, (0, 0)):
                best[kind] = (score, -transition)
        return {kind: -found[1] for kind, found in best.items()}
