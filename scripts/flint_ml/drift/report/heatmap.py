"""Every column at a glance: its effect beside the smallest that counts, and whether it is more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flint_ml.drift.check import Result
from flint_ml.drift.hypotheses import Hypothesis
from flint_ml.drift.report.figures import drawing, short
from flint_ml.record import Fallback, Series

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_ROWS = 3
_LARGEST = 28
_BARS = 12
_TILES_ACROSS, _TILES = 40, 1_200
# Okabe and Ito's vermilion, orange and sky blue, lightened under black letters; grey and white for what is no drift.
_SHADES = {
    "drifted, over twice the smallest effect that counts": "#E8701A",
    "drifted": "#F0C65A",
    "more than chance, but too small to matter": "#9AD1F2",
    "large enough, but may be chance": "#CFCFCF",
    "neither": "#FFFFFF",
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
    strong, drifted, small, large, neither = _SHADES
    if hypothesis is None:
        return neither
    if hypothesis.drifted:
        return strong if strength(hypothesis) >= 2 else drifted
    if hypothesis.p_adjusted < alpha:
        return small
    return large if strength(hypothesis) >= 1 else neither


def heatmap(result: Result, path: Path) -> tuple[str, Fallback]:
    """Draw the map; returns the alternative text, and the worst rows as data.

    The worst rows are named, with their effects and p-values in words; where there are more columns, each is a tile
    below, in the order of severity.
    """
    found = rows(result)
    with drawing():
        _draw(found, result.rules.alpha, path)
    drifted = [row.name for row in found if row.drifted]
    words = f"{len(drifted)} drifted: {', '.join(drifted[:6])}" if drifted else "none drifted"
    worst = found[:_BARS]
    bars = [round(max(map(strength, (row.values, row.missing))), 3) for row in worst]
    series = [Series(name="effect in units of the smallest that counts", y=bars)]
    fallback = Fallback(kind="bar", x=[short(row.name, 30) for row in worst], series=series)
    return f"Effect and adjusted p-value of {len(found)} {result.noun}s and tests, worst first; {words}", fallback


def _draw(found: Sequence[Row], alpha: float, path: Path) -> None:
    from matplotlib.figure import Figure

    shown = found[:_LARGEST]
    tiles = math.ceil(min(len(found), _TILES) / _TILES_ACROSS) if len(found) > len(shown) else 0
    high = 0.31 * (len(shown) + 1) + 0.9
    figure = Figure(figsize=(7.5, high + (0.19 * tiles + 0.6 if tiles else 0)), dpi=120, layout="constrained")
    if tiles:
        top, bottom = figure.subplots(2, 1, height_ratios=[high, 0.19 * tiles + 0.5])
        _draw_tiles(bottom, found, alpha)
    else:
        top = figure.subplots()
    _draw_rows(top, shown, alpha)
    _legend(figure, any(row.missing for row in shown))
    figure.savefig(path)


def _draw_rows(axis: Any, shown: Sequence[Row], alpha: float) -> None:
    heads = ["values: effect", "p (adjusted)"]
    if any(row.missing for row in shown):
        heads += ["missing values", "p (adjusted)"]
    for y, row in enumerate(shown):
        for pair, hypothesis in enumerate((row.values, row.missing)[: len(heads) // 2]):
            if hypothesis is None:
                _cell(axis, 2 * pair, y, "–", "#FFFFFF")
                _cell(axis, 2 * pair + 1, y, "–", "#FFFFFF")
                continue
            test = hypothesis.test
            text = f"{test.effect_name} {test.effect:.2f}" if pair == 0 else f"{100 * test.effect:.0f} points"
            colour = _SHADES[meaning(hypothesis, alpha)]
            _cell(axis, 2 * pair, y, text, colour, bold=hypothesis.drifted)
            p = "< 0.0001" if hypothesis.p_adjusted < 1e-4 else f"{hypothesis.p_adjusted:.2g}"
            _cell(axis, 2 * pair + 1, y, p, colour, bold=hypothesis.drifted)
    axis.set_xlim(-0.5, len(heads) - 0.5)
    axis.set_ylim(len(shown) - 0.5, -0.5)
    axis.set_xticks(range(len(heads)), heads, fontsize=11)
    axis.xaxis.tick_top()
    names = [short(row.name, 22) for row in shown]
    axis.set_yticks(range(len(shown)), names, fontsize=11)
    for label, row in zip(axis.get_yticklabels(), shown, strict=True):
        label.set_fontweight("bold" if row.drifted else "normal")
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _cell(axis: Any, x: float, y: float, text: str, colour: str, *, bold: bool = False) -> None:
    from matplotlib.patches import Rectangle

    axis.add_patch(Rectangle((x - 0.48, y - 0.44), 0.96, 0.88, facecolor=colour, edgecolor="#8C8C8C", linewidth=0.6))
    axis.text(x, y, text, ha="center", va="center", fontsize=11, color="#000000", fontweight="bold" if bold else None)


def _draw_tiles(axis: Any, found: Sequence[Row], alpha: float) -> None:
    from matplotlib.patches import Rectangle

    shown = found[:_TILES]
    for place, row in enumerate(shown):
        y, x = divmod(place, _TILES_ACROSS)
        said = {meaning(h, alpha) for h in (row.values, row.missing)}
        colour = next(colour for name, colour in _SHADES.items() if name in said)
        edge = "#000000" if row.drifted else "#8C8C8C"
        width = 1.3 if row.drifted else 0.4
        axis.add_patch(Rectangle((x + 0.06, y + 0.08), 0.88, 0.84, facecolor=colour, edgecolor=edge, linewidth=width))
    axis.set_xlim(0, _TILES_ACROSS)
    axis.set_ylim(math.ceil(len(shown) / _TILES_ACROSS), 0)
    axis.axis("off")
    which = f"all {len(found):,}" if len(shown) == len(found) else f"{len(shown):,} of {len(found):,}"
    axis.set_title(f"{which}, worst first; framed in black: drifted", fontsize=11)


def _legend(figure: Any, missing: bool) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=colour, edgecolor="#8C8C8C", label=name) for name, colour in _SHADES.items()]
    note = "bold: drifted" + ("; points: difference of the shares in %" if missing else "")
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=10, frameon=False, title=note)
