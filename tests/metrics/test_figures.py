"""Figures of a comparison: colours by verdict and role, worst first, and nothing left out in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flint_ml.metrics import figures
from flint_ml.metrics.read import Reading
from flint_ml.metrics.rules import Rule, resolve
from flint_ml.metrics.verdict import Interval, Row, judge
from flint_ml.text import plotting


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures, kept instead of written."""
    kept: list[Any] = []
    monkeypatch.setattr(plotting, "save_png", lambda figure, _path: kept.append(figure))
    return kept


def row(name: str, base: float, head: float, interval: tuple[float, float] | None = None, **rule: Any) -> Row:
    applied = resolve(name, {name: Rule(**rule)})
    return judge(name, Reading(base), Reading(head), applied, interval=Interval(*interval) if interval else None)


def marks(figure: Any) -> dict[str, tuple[str, str]]:
    """Label of each metric to its word and colour."""
    axes = figure.axes[0]
    words = {round(text.xy[1]): text.get_text() for text in axes.texts}
    dots = {
        round(line.get_ydata()[0]): line.get_color() for line in axes.lines if line.get_marker() not in ("None", "")
    }
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    return {name: (words[-y], dots[-y]) for y, name in enumerate(names)}


def test_the_colour_is_that_of_the_verdict_never_of_the_sign(drawn: list[Any], tmp_path: Path) -> None:
    rows = [
        row("rmse", 1.0, 1.2, label="RMSE"),
        row("r2", 0.5, 0.6, label="R²"),
        row("mae", 1.0, 1.001, tolerance="2 %", label="MAE"),
        row("rpd", 2.0, 1.9, (-0.3, 0.1), label="RPD"),
    ]
    alt, fallback = figures.draw_relative_changes(rows, tmp_path / "c.png") or pytest.fail("no figure")
    assert marks(drawn[0]) == {
        "RMSE": ("worse", plotting.WORSE.colour),
        "RPD": ("inconclusive", plotting.INCONCLUSIVE.colour),
        "MAE": ("same", plotting.SAME.colour),
        "R²": ("better", plotting.BETTER.colour),
    }
    assert list(marks(drawn[0])) == ["RMSE", "RPD", "MAE", "R²"]
    assert "1 worse · 1 inconclusive · 1 better · 1 the same of 4" in alt
    assert fallback.kind == "table"


def test_right_is_worse_for_every_direction(drawn: list[Any], tmp_path: Path) -> None:
    figures.draw_relative_changes([row("rmse", 1.0, 1.1), row("r2", 0.5, 0.4)], tmp_path / "c.png")
    dots = [line.get_xdata()[0] for line in drawn[0].axes[0].lines if line.get_marker() == plotting.WORSE.marker]
    assert sorted(dots) == pytest.approx([10, 20])


def test_what_is_left_out_is_said_and_the_largest_losses_are_drawn(drawn: list[Any], tmp_path: Path) -> None:
    rows = [row(f"fold{number}_rmse", 1.0, 1 + number / 100) for number in range(1, 31)]
    figures.draw_relative_changes(rows, tmp_path / "c.png")
    assert "drawn: 12 of 30, largest loss first" in drawn[0].get_suptitle()
    shares = sorted(line.get_xdata()[0] for line in drawn[0].axes[0].lines if line.get_marker() == "X")
    assert shares == pytest.approx(range(19, 31))


def test_dvc_plots_have_the_base_dashed_and_this_change_solid(drawn: list[Any], tmp_path: Path) -> None:
    from flint_ml.dvc_project import Plot

    points = [{"x": number, "y": number**2} for number in range(5)]
    _, fallback = figures.draw_plot(Plot("t", "line", "x", "y", points, points), tmp_path / "p.png") or (None, None)
    base, head = drawn[0].axes[0].lines
    assert (base.get_color(), head.get_color()) == (plotting.BASE.colour, plotting.CHANGE.colour)
    assert base.get_linestyle() == "--"
    assert head.get_linestyle() == "-"
    assert fallback is not None
    assert [series.name for series in fallback.series] == ["base", "this change"]
