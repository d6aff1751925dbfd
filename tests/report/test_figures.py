"""Diagrams and tables that stand for a picture."""

from __future__ import annotations

from typing import Any

import pytest

from flint_ml.record import Figure
from flint_ml.report import figures


def figure(kind: str, x: list[str], *series: list[Any]) -> Figure:
    named = [{"name": f"s{number}", "y": list(y)} for number, y in enumerate(series)]
    fallback = {"kind": kind, "x": x, "series": named}
    return Figure.model_validate({"title": "Error", "alt": "near 0", "path": "a/b.png", "fallback": fallback})


def test_bars_start_at_zero_and_the_second_series_is_a_line():
    text = figures.mermaid(figure("bar", ["a", "b"], [10, 12], [11, 13]))
    assert "y-axis 0 --> 13" in text
    assert "  bar [10, 12]\n  line [11, 13]" in text
    assert "blue bar: s0 · orange line: s1" in text


@pytest.mark.parametrize(
    "data",
    [
        figure("bar", ["a", "b"], [-1, 2]),
        figure("table", ["a", "b"], [1, 2]),
        figure("line", ["a"], [1]),
        figure("line", ["a", "b"], [None, 2]),
        figure("bar", ["a", "b"], [0, 0]),
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
    assert 'x-axis ["1"' in figures.mermaid(figure("line", ["1", "2", "4", *map(str, range(8, 20))], range(15)))


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
