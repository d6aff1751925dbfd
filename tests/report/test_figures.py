"""Diagrams and tables that stand for a picture."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flint_ml.record import Figure
from flint_ml.report import figures
from flint_ml.text import plotting


def figure(kind: str, x: list[str], *series: list[Any]) -> Figure:
    named = [{"name": f"s{number}", "y": list(y)} for number, y in enumerate(series)]
    fallback = {"kind": kind, "x": x, "series": named}
    return Figure.model_validate({"title": "Error", "alt": "near 0", "path": "a/b.png", "fallback": fallback})


def test_two_series_are_lines_in_the_colours_of_their_roles():
    text = figures.mermaid(figure("line", ["a", "b"], [10, 12], [11, 13]))
    assert f'"plotColorPalette": "{plotting.BASE.colour}, {plotting.CHANGE.colour}"' in text
    assert "  line [10, 12]\n  line [11, 13]" in text
    assert "bar [" not in text
    assert "<sub>grey: s0 · blue: s1</sub>" in text
    assert f'"plotColorPalette": "{plotting.CHANGE.colour}"' in figures.mermaid(figure("line", ["a", "b"], [1, 2]))


def test_axes_and_diagram_are_named():
    shown = figure("line", ["a", "b"], [10, 12])
    shown.fallback.x_name, shown.fallback.y_name = "depth, cm", 'share "≤" value'
    shown.fallback.title = "nm_0400: share of samples up to each value"
    text = figures.mermaid(shown)
    assert 'title "nm_0400: share of samples up to each value"' in text
    assert 'x-axis "depth, cm" ["a", "b"]' in text
    assert 'y-axis "share  ≤  value" ' in text


@pytest.mark.parametrize(
    "data",
    [
        figure("bar", ["a", "b"], [1, 2]),
        figure("bar", ["a", "b"], [-1, 2]),
        figure("table", ["a", "b"], [1, 2]),
        figure("line", ["a"], [1]),
        figure("line", ["a", "b"], [None, 2]),
        figure("line", ["a", "b"], [0, 0]),
        figure("line", ["a", "b"], [1, 2], [1, 2], [1, 2]),
        figure("line", ["a", "b"]),
        figure("line", [], []),
    ],
)
def test_data_that_make_no_honest_diagram_are_a_table_or_words(data):
    assert figures.mermaid(data) == ""
    assert "xychart" not in figures.drawn("here")(data)
    assert figures.drawn("here")(data)


def test_many_numbers_on_the_x_axis_are_a_range():
    years = [str(year) for year in range(1990, 2021)]
    assert "x-axis 1990 --> 2020" in figures.mermaid(figure("line", years, range(31)))
    uneven = figures.mermaid(figure("line", ["1", "2", "4", *map(str, range(8, 20))], range(15)))
    labels = re.findall(r'"([^"]*)"', uneven.split("x-axis")[1].split("]")[0])
    assert (len(labels), labels[0], labels[-1]) == (8, "1", "19")


@pytest.mark.parametrize("names", [[f"206 bands: spectrum {i}" for i in range(11)], ["a"] * 5, ["x", "x…", "ab" * 9]])
def test_no_two_labels_are_alike_and_there_is_room_for_them(names):
    text = figures.mermaid(figure("line", names, range(len(names))))
    labels = re.findall(r'"([^"]*)"', text.split("x-axis")[1].split("]")[0])
    assert len(labels) == len(set(labels)) == min(8, len(names))
    assert sum(map(len, labels)) <= 80


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_the_y_axis_gets_few_labels_and_holds_all_values(low, span):
    """Ticks as d3 makes them for ten steps."""
    bottom, top = map(float, figures._y_axis("", low, low + span).split(" --> "))
    rounding = 1e-5 * max(abs(low), abs(low + span))
    assert bottom <= low + rounding
    assert top >= low + span - rounding
    if span > 1e-4 * max(abs(low), abs(low + span)):
        size = (top - bottom) / 10
        power = 10 ** math.floor(math.log10(size))
        step = power * next(
            f for f, limit in ((10, 50**0.5), (5, 10**0.5), (2, 2**0.5), (1, 0)) if size / power >= limit
        )
        assert math.floor(top / step + 1e-9) - math.ceil(bottom / step - 1e-9) + 1 <= 12


def test_long_series_are_thinned_to_their_ends():
    text = figures.mermaid(figure("line", [str(i) for i in range(2000)], range(2000)))
    values = text.split("line [")[1].split("]")[0].split(", ")
    assert (len(values), values[0], values[-1]) == (40, "0", "1999")


def test_a_small_table_says_how_many_rows_are_left_out():
    assert "… and 8 more rows" in figures.small_table(figure("table", [str(i) for i in range(20)], range(20)))


def test_without_data_the_figure_is_described():
    bare = Figure(title="Map", alt="913 pixels changed", path="a/b.png")
    assert figures.drawn("in the results")(bare) == "🖼️ Map: 913 pixels changed (picture: in the results)"


def test_only_whole_pictures_inside_the_results_are_read(tmp_path):
    from matplotlib.figure import Figure as Drawing

    results = tmp_path / "results"
    results.mkdir()
    drawing = Drawing(figsize=(1, 1))
    drawing.savefig(results / "good.png")
    drawing.savefig(tmp_path / "outside.png")
    whole = (results / "good.png").read_bytes()
    (results / "half.png").write_bytes(whole[: len(whole) // 2])
    (results / "huge.png").write_bytes(whole[:16] + b"\x7f\xff\xff\xff" * 2 + whole[24:])
    (results / "link.png").symlink_to(tmp_path / "outside.png")
    load = figures.loader(results)
    assert load("good.png") == whole
    assert [load(name) for name in ("half.png", "huge.png", "link.png", "../outside.png", "none.png")] == [None] * 5
