"""Figures and page of a check: what they show, and that no name of a column becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from flint_ml.drift.check import Result, check_tables
from flint_ml.drift.hypotheses import Hypothesis, decide_one
from flint_ml.drift.report import figures, heatmap, page, summary
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.tables.columns import Pair
from flint_ml.drift.two_sample.base import TestResult
from flint_ml.record import Figure, Finding
from flint_ml.report import whole_page
from flint_ml.report.figures import is_png
from flint_ml.text import plotting
from helpers.drift import Folder, soil

HOSTILE = '<img src=x onerror="alert(1)">$x_1$ {{ 7*7 }}'


def table(seed: int, n: int = 200, shift: float = 0.0, columns: int = 4, bands: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    found = {f"v{i}": rng.normal(size=n) + (shift if i == 0 else 0) for i in range(columns)}
    found["horizon"] = rng.choice(["A", "B", "<b>C"], n)
    found[HOSTILE] = np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n))
    found["number"] = np.arange(n)
    if bands:
        x, scores = np.linspace(0, 1, bands), rng.normal(size=(n, 3))
        values = 5 + scores @ np.array([np.cos(np.pi * k * x) for k in (1, 2, 3)]) + 0.01 * rng.normal(size=(n, bands))
        found |= {f"nm_{400 + 10 * i}": values[:, i] + 0.2 * shift for i in range(bands)}
    return pa.table(found)


@pytest.fixture(scope="module")
def drifted() -> Result:
    return check_tables(table(1, bands=40), table(2, shift=1.5, bands=40), DriftRules())


class Seen(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def made(result: Result, pictures: list[tuple[Figure, bytes]] | None = None) -> Seen:
    finding = Finding(severity="warning", code="units", message="`<i>` & 'x'", hint="look")
    text = page.page_body(
        result,
        title=("❌", "Data Drift Check", "Failed"),
        tables=(HOSTILE, "new.csv"),
        headline=summary.headline(result),
        findings=[finding],
        pictures=pictures or [],
    )
    return Seen(whole_page(text, "Drift", wide=True))


def test_the_map_has_a_line_for_each_column_and_test_worst_first(drifted: Result, tmp_path: Path) -> None:
    found = heatmap.rows(drifted)
    names = [row.name for row in found]
    assert {"v0", "v1", "v2", "v3", "horizon", HOSTILE, "all columns together", "40 bands: T²", "40 bands: Q"} < {
        *names
    }
    assert not any(name.startswith("nm_") or name == "number" for name in names)
    flags = [row.drifted for row in found]
    assert flags == sorted(flags, reverse=True)
    assert flags[names.index("v0")]
    assert next(row for row in found if row.name == HOSTILE).missing
    alt, fallback = heatmap.heatmap(drifted, tmp_path / "map.png")
    assert fallback.x[0] == names[0][:30]
    assert len(fallback.x) == len(fallback.series[0].y) == 12
    assert is_png((tmp_path / "map.png").read_bytes())
    assert f"{len(found)} columns and tests" in alt
    assert "v0" in alt


def test_reference_and_new_data_have_the_looks_of_their_roles(
    drifted: Result, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = []
    monkeypatch.setattr(plotting, "save_png", lambda figure, _path: kept.append(figure))
    _, fallback = figures.distributions(drifted, tmp_path / "d.png")
    lines = next(axes.lines for axes in kept[0].axes if len(axes.lines) == 2)
    assert [(line.get_label(), line.get_color()) for line in lines] == [
        ("reference", plotting.BASE.colour),
        ("new data", plotting.CHANGE.colour),
    ]
    # Both go to the ends of the axis, so that a gap is seen.
    assert all((line.get_ydata()[0], line.get_ydata()[-1]) == (0, 1) for line in lines)
    assert len({line.get_xdata()[0] for line in lines}) == 1
    assert fallback is not None
    assert fallback.title.startswith(figures.worst(drifted)[0].column.name)


def test_ordered_classes_stay_in_their_order() -> None:
    names = ["60–100", "0–5", "> 200", "5–15", "30–60"]
    pair = Pair("depth", "category", (0, 0), (100, 100), np.array([5, 30, 5, 30, 30]), np.array([40, 5, 30, 5, 20]))
    pair.labels = names
    order = figures._class_order(pair, 4)
    assert [names[k] for k in order] == ["0–5", "5–15", "60–100", "> 200"]


def test_a_table_of_many_columns_gives_a_map_of_tiles(tmp_path: Path) -> None:
    few = check_tables(table(1, columns=20), table(2, columns=20), DriftRules())
    many = check_tables(table(1, columns=90), table(2, columns=90), DriftRules())
    heatmap.heatmap(few, tmp_path / "few.png")
    heatmap.heatmap(many, tmp_path / "many.png")
    assert len(heatmap.rows(many)) > 90
    sizes = [int.from_bytes((tmp_path / f"{name}.png").read_bytes()[20:24]) for name in ("few", "many")]
    assert sizes[0] < sizes[1] < 1600


@pytest.mark.parametrize(
    ("effect", "name", "least", "expected"),
    [(0.2, "D", 0.1, 2.0), (0.05, "D", 0.0, 0.5), (0.6, "AUC", 0.55, 2.0), (0.4, "AUC", 0.55, 0.0)],
)
def test_effects_are_in_units_of_the_smallest_that_counts(
    effect: float, name: str, least: float, expected: float
) -> None:
    test = TestResult("t", "exact", effect, 0.5, effect, name)
    assert heatmap.strength(Hypothesis("v", "values", test, least)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("effect", "p", "expected"),
    [
        (0.3, 0.01, "drifted, over twice the smallest effect that counts"),
        (0.12, 0.01, "drifted"),
        (0.05, 0.01, "more than chance, but too small to matter"),
        (0.3, 0.5, "large enough, but may be chance"),
        (0.05, 0.5, "neither"),
    ],
)
def test_colours_tell_drift_from_chance(effect: float, p: float, expected: str) -> None:
    hypothesis = Hypothesis("v", "values", TestResult("t", "exact", effect, p, effect, "D"), 0.1)
    decide_one(hypothesis, p, DriftRules())
    assert heatmap.meaning(hypothesis, 0.05) == expected
    assert heatmap.meaning(None, 0.05) == "neither"


def test_the_page_has_every_column_and_no_markup_of_theirs(drifted: Result, tmp_path: Path) -> None:
    figures.distributions(drifted, tmp_path / "d.png")
    figure = Figure(title="t", alt=HOSTILE, path="check-drift/d.png")
    seen = made(drifted, [(figure, (tmp_path / "d.png").read_bytes())])
    words = "".join(seen.words)
    for column in drifted.columns:
        assert column.column.name in words
    assert seen.tags.count("img") == 1
    assert seen.tags.count("script") == 1
    assert not {"i", "b"} & {*seen.tags}
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert [value for name, value in seen.attributes if name == "alt"] == [HOSTILE]
    outside = [
        value for name, value in seen.attributes if name in {"src", "href"} and not str(value).startswith("data:")
    ]
    assert outside == []
    assert "not compared" in words
    assert "counts the rows" in words
    assert seen.tags.count("svg") == sum(c.column.kind in {"numeric", "category"} for c in drifted.columns)


def test_a_page_of_very_many_columns_says_what_it_leaves_out(drifted: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "_ROWS", 5)
    monkeypatch.setattr(page, "_PLOTS", 2)
    seen = made(drifted)
    assert f"{len(drifted.columns) - 5} more columns are in the record" in "".join(seen.words)
    assert seen.tags.count("svg") == 2


def test_groups_show_their_effective_sizes() -> None:
    tables = []
    for seed in (1, 2):
        one = table(seed)
        tables.append(one.append_column("site", pa.array([f"{seed}-{i // 10}" for i in range(one.num_rows)])))
    seen = made(check_tables(tables[0], tables[1], DriftRules(groups=("site",))))
    assert "effective n" in "".join(seen.words)


@pytest.mark.parametrize(
    "values",
    [[1.0], [np.inf, 1.0, 2.0], [np.inf, np.inf], [5.0, 5.0], [-1e308, 1e308], [1e-320, 2e-320]],
)
def test_plots_stay_inside_their_frame(values: list[float]) -> None:
    side = np.array(values)
    drawn = str(page.plot(Pair("v", "numeric", (0, 0), (len(side), 3), side, np.array([0.0, 1.0, 2.0]))))
    assert "nan" not in drawn
    for number in re.findall(r"[HV](-?\d+)", drawn):
        assert 0 <= int(number) <= 150


def test_the_record_names_figures_and_page(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    folder = Folder(work)
    folder.write("reference.csv", soil(1))
    folder.write("new.csv", soil(2, pH=1.5))
    _, record = folder.run(figures="auto")
    results = work / "flint-ml-results"
    names = [Path(figure["path"]).name for figure in record["figures"]]
    assert names == ["distributions.png", "heatmap.png"]
    assert all(is_png((results / figure["path"]).read_bytes()) for figure in record["figures"])
    assert record["details"]["page"] == "check-drift/columns.html"
    seen = Seen((results / record["details"]["page"]).read_text(encoding="utf-8"))
    assert seen.tags.count("img") == 2
    assert record["headline"] in "".join(seen.words)
    _, record = folder.run(figures="none")
    assert "page" not in record["details"]
    assert not (results / "check-drift").exists()
