"""The same comparison group by group (region, soil type, year), so that a better mean cannot hide a worse region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from flint_ml.metrics.intervals.bootstrap import (
    MIN_UNITS,
    Estimate,
    IntervalSettings,
    corrected_intervals,
    estimates,
    observed,
)
from flint_ml.metrics.intervals.interval import Interval
from flint_ml.metrics.predictions import Pairs, merge_small
from flint_ml.metrics.read import Reading
from flint_ml.metrics.rules import Applied, resolve
from flint_ml.metrics.verdict import Row, judge, loss

# More groups than this get no interval: the correction for so many questions would leave nothing to see.
MAX_GROUPS = 50
RESAMPLES = 5_000
# Samples times resamples for all groups together; about ten seconds of CPU.
WORK = 20_000_000


@dataclass(frozen=True)
class GroupRow:
    """One metric of one group of n samples. The result is ``inconclusive`` where there are too few to tell."""

    group: str
    n: int
    row: Row

    @property
    def worsening(self) -> float:
        """By how much this change is worse than the base, on a scale where lower is better."""
        if self.row.base is None or self.row.head is None:
            return 0.0
        return loss(self.row.head, self.row.rule) - loss(self.row.base, self.row.rule)


def main_scores(pairs: Pairs, scores: Mapping[str, str], rules: Mapping[str, Applied]) -> list[tuple[str, Applied]]:
    """The scores to show by group with their rules, most important first; RMSE or accuracy where none is known."""
    with_rules = [(key, rules[name]) for name, key in scores.items() if name in rules]
    if with_rules:
        return with_rules
    name = "rmse" if pairs.numeric else "accuracy"
    return [(name, resolve(name, {}))]


def by_group(
    pairs: Pairs, scores: Sequence[tuple[str, Applied]], settings: IntervalSettings
) -> dict[str, list[GroupRow]]:
    """Rows of each score by its key: the group that became worse most first, then the one with the largest error.

    Groups of fewer than five samples are merged. The groups' intervals are corrected for the number of groups.
    """
    if pairs.group is None:
        return {}
    group = merge_small(pairs.group)
    keys = [key for key, _ in scores]
    parts = {str(name): pairs.take(group == name) for name in np.unique(group)}
    values = {name: observed(part, keys) for name, part in parts.items()}
    intervals = _intervals(parts, keys, settings)
    result: dict[str, list[GroupRow]] = {}
    for key, rule in scores:
        rows = []
        for name, part in parts.items():
            if key not in values[name]:
                continue
            base, head = values[name][key]
            interval = intervals.get(key, {}).get(name)
            row = judge(name, Reading(_number(base)), Reading(_number(head)), rule, interval=interval)
            if settings.resamples and interval is None and row.result in {"better", "worse", "changed"}:
                row = replace(row, result="inconclusive")
            rows.append(GroupRow(name, part.n, row))
        result[key] = sorted(rows, key=lambda item: (-max(item.worsening, 0.0), -_loss(item)))
    return {key: rows for key, rows in result.items() if rows}


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _loss(item: GroupRow) -> float:
    return loss(item.row.head, item.row.rule) if item.row.head is not None else 0.0


def _intervals(
    parts: Mapping[str, Pairs], keys: Sequence[str], settings: IntervalSettings
) -> dict[str, dict[str, Interval]]:
    """Intervals by score and group, of groups that are large enough."""
    if not settings.resamples or len(parts) > MAX_GROUPS:
        return {}
    affordable = max(1_000, WORK // sum(part.n for part in parts.values()))
    fewer = replace(settings, resamples=min(settings.resamples, RESAMPLES, affordable), swaps=RESAMPLES)
    by_score: dict[str, dict[str, Estimate]] = {}
    for name, part in parts.items():
        if (part.n if part.block is None else len(np.unique(part.block))) < MIN_UNITS:
            continue
        for key, estimate in estimates(part, keys, fewer).items():
            by_score.setdefault(key, {})[name] = estimate
    return {
        key: corrected_intervals(groups, {name: name for name in groups}, fewer) for key, groups in by_score.items()
    }


def weakest_group(rows: Sequence[GroupRow]) -> GroupRow | None:
    """The group that became worse most, or the one with the largest error where none became worse."""
    return rows[0] if len(rows) > 1 else None


def group_dict(item: GroupRow) -> dict[str, Any]:
    """For the record's details."""
    row = item.row
    return {"group": item.group, "n": item.n, "base": row.base, "head": row.head, "result": row.result}
