"""Every column at a glance: its effect beside the smallest that counts, and whether it is more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flint_ml.drift.check import Result
from flint_ml.drift.hypotheses import Hypothesis
from flint_ml.record import Fallback, Series
from flint_ml.text import numbers, plotting

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_ROWS = 3
_LARGEST = 20
_BARS = 12
_TILES_ACROSS, _TILES = 40, 1_200
# What a hypothesis says, and the look of its mark.
_ROLES = {
    "drifted, over twice the smallest effect that counts": plotting.WORSE,
    "drifted": plotting.WORSE,
    "more than chance, but too small to matter": plotting.SAME,
    "large enough, but may be chance": plotting.INCONCLUSIVE,
    "neither": plotting.SAME,
}
# What stands for the smallest effect where the rules name none.
_UNIT = 0.1


@dataclass(frozen=True)
class Row:
    """One line of the map: a column, a spectrum, or the table as a whole."""

    name: str
    values: Hypothesis | None
    missing: Hypothesis | None

    @property
    def drifted(self) -> bool:
        return any(h.drifted for h in (self.values, self.missing) if h)


def rows(result: Result) -> list[Row]:
    """The lines of the map, worst first: spectra and classifier, then columns; single bands are left out."""
    bands = {name for r in result.spectra if r.comparison for name in r.spectrum.columns}
    whole = [
        Row(f"{len(r.spectrum.columns)} bands: {h.aspect}", h, None)
        for r in result.spectra
        for h in r.hypotheses
        if h.aspect != "incomplete"
    ]
    if result.whole:
        whole.append(Row("all columns together", result.whole.hypothesis, None))
    plain = []
    for column in result.tested:
        if column.column.name not in bands:
            missing = next((h for h in column.hypotheses if h.aspect == "missing"), None)
            values = next((h for h in column.hypotheses if h.aspect != "missing"), None)
            plain.append(Row(column.column.name, values, missing))
    found = [*plain, *whole]
    return sorted(found, key=lambda row: (not row.drifted, -max(map(strength, (row.values, row.missing)))))


def strength(hypothesis: Hypothesis | None) -> float:
    """The effect in units of the smallest that counts; an AUC counts from 0.5, which is chance."""
    if hypothesis is None:
        return 0.0
    chance = 0.5 if hypothesis.test.effect_name == "AUC" else 0.0
    least = hypothesis.min_effect - chance
    return max(0.0, hypothesis.test.effect - chance) / (least if least > 0 else _UNIT)


def meaning(hypothesis: Hypothesis | None, alpha: float) -> str:
    """What the colour of a hypothesis says."""
    strong, drifted, small, large, neither = _ROLES
    if hypothesis is None:
        return neither
    if hypothesis.drifted:
        return strong if strength(hypothesis) >= 2 else drifted
    if hypothesis.p_adjusted < alpha:
        return small
    return large if strength(hypothesis) >= 1 else neither


def heatmap(result: Result, path: Path) -> tuple[str, Fallback]:
    """Draw the effects, worst first; returns the alternative text, and the worst rows as data.

    The worst rows are named, each with its mark, effect and p-value; where there are more columns, each is a tile
    below, in the order of severity.
    """
    ranked = rows(result)
    drifted = [row.name for row in ranked if row.drifted]
    heading = f"{len(drifted)} of {numbers.count(len(ranked), 'test')} drifted, worst first"
    _draw(ranked, result.rules.alpha, path, heading)
    words = f"{len(drifted)} drifted: {', '.join(drifted[:6])}" if drifted else "none drifted"
    shown = ranked[:_BARS]
    effects = [round(max(map(strength, (row.values, row.missing))), 3) for row in shown]
    series = [Series(name="effect in units of the smallest that counts", y=effects)]
    names = [plotting.short(row.name, 30) for row in shown]
    fallback = Fallback(kind="table", x=names, series=series, x_name=result.noun)
    return f"Effect and adjusted p-value of {len(ranked)} {result.noun}s and tests, worst first; {words}", fallback


def _draw(ranked: Sequence[Row], alpha: float, path: Path, heading: str) -> None:
    shown = ranked[:_LARGEST]
    tiles = math.ceil(min(len(ranked), _TILES) / _TILES_ACROSS) if len(ranked) > len(shown) else 0
    high = 0.27 * len(shown) + 1.0
    if tiles:
        low = 0.14 * tiles + 0.4
        figure, (top, bottom) = plotting.new_figure(
            2, height=high + low + 0.3, heading=heading, height_ratios=[high, low]
        )
        _draw_tiles(bottom, ranked, alpha)
    else:
        figure, top = plotting.new_figure(height=high + 0.3, heading=heading)
    _draw_rows(top, shown, alpha)
    plotting.save_png(figure, path)


def _draw_rows(axis: Any, shown: Sequence[Row], alpha: float) -> None:
    """A mark for each hypothesis at its effect: a cross drifted, a diamond may be chance, a square is small."""
    largest = max([2.0, *(strength(h) for row in shown for h in (row.values, row.missing))])
    for y, row in enumerate(shown):
        lead = max((h for h in (row.values, row.missing) if h), key=lambda h: (h.drifted, strength(h)), default=None)
        for hypothesis in (row.values, row.missing):
            if hypothesis is not None:
                role = _ROLES[meaning(hypothesis, alpha)]
                axis.plot([strength(hypothesis)], [y], **plotting.mark(role, 8 if hypothesis is lead else 5))
        if lead is not None:
            axis.annotate(
                _said(lead),
                xy=(1.01, y),
                xycoords=axis.get_yaxis_transform(),
                va="center",
                fontsize=plotting.TICK_POINTS,
                color=plotting.TEXT,
                fontweight="bold" if row.drifted else "normal",
            )
    axis.axvspan(0, 1, color=plotting.TOLERANCE, zorder=0)
    axis.set_xlim(0, 1.06 * largest)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.set_yticks(range(len(shown)), plotting.distinct([row.name for row in shown], 18))
    for label, row in zip(axis.get_yticklabels(), shown, strict=True):
        label.set_fontweight("bold" if row.drifted else "normal")
    axis.set_xlabel("effect ÷ smallest that counts (grey: too small; ✕ drifted)")


def _said(hypothesis: Hypothesis) -> str:
    """ "D 0.12, p 0.034", or the difference of the missing shares."""
    test = hypothesis.test
    effect = f"{test.effect_name} {test.effect:.2f}"
    if hypothesis.aspect == "missing":
        effect = f"missing {100 * test.effect:.0f} points"
    return f"{effect}, p {numbers.p_value(hypothesis.p_adjusted)}"


def _draw_tiles(axis: Any, ranked: Sequence[Row], alpha: float) -> None:
    from matplotlib.patches import Rectangle

    shown = ranked[:_TILES]
    for number, row in enumerate(shown):
        y, x = divmod(number, _TILES_ACROSS)
        said = {meaning(h, alpha) for h in (row.values, row.missing)}
        role = next(role for name, role in _ROLES.items() if name in said)
        axis.add_patch(
            Rectangle(
                (x + 0.06, y + 0.08),
                0.88,
                0.84,
                facecolor=role.colour if row.drifted else plotting.PAPER,
                edgecolor=role.colour,
                linestyle="-" if role is not plotting.INCONCLUSIVE else ":",
                linewidth=1.0 if row.drifted else 0.5,
            )
        )
    axis.set_xlim(0, _TILES_ACROSS)
    axis.set_ylim(math.ceil(len(shown) / _TILES_ACROSS), 0)
    axis.axis("off")
    which = f"all {len(ranked):,}" if len(shown) == len(ranked) else f"{len(shown):,} of {len(ranked):,}"
    axis.set_title(f"{which}, worst first; filled: drifted", fontsize=plotting.TICK_POINTS)
