"""The same score group by group (region, soil type, year), so that a better mean cannot hide a worse region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flint_ml.metrics.predictions import Pairs, merge_small
from flint_ml.metrics.rules import Applied
from flint_ml.metrics.text import decimals, fixed, percent
from flint_ml.record import Cell, Column, Table


@dataclass(frozen=True)
class GroupScore:
    """One group: number of samples and its score on both sides; ``worse`` is whether it is beyond chance."""

    group: str
    n: int
    base: float
    head: float
    low: float | None = None
    high: float | None = None
    worse: bool | None = None

    @property
    def delta(self) -> float:
        return self.head - self.base


def rmse(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Root mean squared error, in the unit of the truth."""
    return float(np.sqrt(np.mean((prediction - truth) ** 2)))


def error_rate(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Share of samples in the wrong class (1 − accuracy)."""
    return float(np.mean(prediction != truth))


def by_group(pairs: Pairs) -> list[GroupScore]:
    """RMSE (numbers) or error rate (classes) of each group of at least five samples; lower is better.

    Largest worsening first, then the highest score.
    """
    if pairs.group is None:
        return []
    group = merge_small(pairs.group)
    score = rmse if pairs.numeric else error_rate
    result = []
    for name in np.unique(group):
        inside = group == name
        truth = pairs.truth[inside]
        values = score(truth, pairs.base[inside]), score(truth, pairs.head[inside])
        result.append(GroupScore(str(name), int(inside.sum()), *values))
    return sorted(result, key=lambda item: (-max(item.delta, 0.0), -item.head))


def weakest(scores: Sequence[GroupScore]) -> GroupScore | None:
    """The group that became worse most, or the one with the highest error where none became worse."""
    return scores[0] if len(scores) > 1 else None


def sentence(score: GroupScore, label: str, unit: str | None) -> str:
    """ "weakest group *clay > 60 %* (n = 14): RMSE 1.71 → 1.74 g/kg (+0.03, +1.8 %), within noise"."""
    digits = decimals(score.base, score.head, step=score.delta)
    unit_text = f" {unit}" if unit else ""
    text = f"weakest group {score.group} (n = {score.n}): {label} {fixed(score.base, digits)} → "
    text += f"{fixed(score.head, digits)}{unit_text}"
    if score.delta and score.base:
        text += f" ({fixed(score.delta, digits, sign=True)}, {percent(score.delta / score.base)})"
    if score.delta > 0 and score.worse is not None:
        text += ", more than chance" if score.worse else ", within noise"
    return text


def table(scores: Sequence[GroupScore], label: str, rule: Applied | None = None) -> Table:
    """One line a group, the one that became worse most first."""
    unit = rule.unit if rule else None
    intervals = any(score.low is not None for score in scores)
    columns = [Column(name="group"), Column(name="n", type="number")]
    columns += [Column(name=name, type="number", unit=unit) for name in ("base", "this change", "change")]
    columns += [Column(name="95 % CI")] if intervals else []
    rows: list[list[Cell]] = []
    for score in scores:
        row: list[Cell] = [score.group, score.n, score.base, score.head, score.delta]
        if intervals:
            digits = decimals(score.base, score.head, step=score.delta)
            ends = [fixed(end, digits, sign=True) for end in (score.low, score.high)]
            row.append(" … ".join(ends) if score.low is not None else "–")
        rows.append(row)
    return Table(title=f"{label} by group", columns=columns, rows=rows)
