"""The check as one HTML page: every column in a table to sort, with a small plot of its distribution."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from markupsafe import Markup

from flint_ml.drift.check import Result
from flint_ml.drift.hypotheses import BELOW, ColumnResult
from flint_ml.drift.report import summary
from flint_ml.drift.report.figures import drawable
from flint_ml.drift.tables.columns import Pair
from flint_ml.record import Figure, Finding
from flint_ml.text import plotting
from flint_ml.text.markdown import number, plain

# So many columns have a row, and so many of these a plot: beyond, a browser gets slow.
_ROWS, _PLOTS = 3_000, 600
_CORRECTIONS = {
    "holm": "adjusted for {} tests by Holm's method",
    "benjamini-hochberg": "adjusted for {} tests by Benjamini and Hochberg's method",
    "none": "not adjusted, {} tests",
}
_ASPECTS = {"missing": " (missing values)", BELOW: f" ({BELOW})"}
_WIDTH, _HEIGHT, _POINTS, _CLASSES = 150, 46, 48, 8


def page_body(
    result: Result,
    *,
    title: tuple[str, str, str],
    tables: tuple[str, str],
    headline: str,
    findings: Sequence[Finding],
    pictures: Sequence[tuple[Figure, bytes]],
) -> str:
    """The body of the page; ``report.page.whole_page`` makes a document of it.

    Parameters
    ----------
    title
        Mark, label and message of the badge.
    tables
        Names of reference and new data.
    findings
        What the check noticed besides.
    pictures
        Figures of the record with their PNGs.
    """
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_shown)
    text = (files("flint_ml.drift.report") / "templates" / "page.html.j2").read_text(encoding="utf-8")
    columns = [_row(column, result, drawn=place < _PLOTS) for place, column in enumerate(result.columns[:_ROWS])]
    return environment.from_string(text).render(
        result=result,
        looks=plotting,
        mark=title[0],
        badge=title[1],
        message=title[2],
        reference=tables[0],
        current=tables[1],
        label="new data",
        headline=headline,
        notes=findings,
        correction=_CORRECTIONS[result.rules.correction].format(result.tests),
        pictures=[_picture(figure, data) for figure, data in pictures],
        wholes=[t for t in (_whole(result),) if t],
        columns=columns,
        grouped=bool(result.clustered),
        left_out=max(0, len(result.columns) - _ROWS),
    )


def _shown(value: Any) -> Any:
    """Text without characters that a reader cannot see."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _picture(figure: Figure, data: bytes) -> dict[str, str]:
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"source": Markup(source), "alt": figure.alt, "title": figure.title}  # noqa: S704 - base64


def _whole(result: Result) -> dict[str, Any] | None:
    """Spectra and classifier, as the record's table has them."""
    found = [table for table in summary.tables(result)[1:] if table.title == "The table as a whole"]
    return (
        {"title": found[0].title, "heads": [c.name for c in found[0].columns], "rows": found[0].rows} if found else None
    )


def _row(column: ColumnResult, result: Result, *, drawn: bool) -> dict[str, Any]:
    pair, lead = column.column, column.leading
    row: dict[str, Any] = {
        "name": pair.name,
        "kind": pair.kind,
        "drifted": column.drifted,
        "note": pair.why,
        "plot": "",
        "missing": " → ".join(_share(m, t) for m, t in zip(pair.missing, pair.total, strict=True)),
        "result": "not compared",
        "effect": "–",
        "least": "–",
        "adjusted": "–",
        "p": "–",
        "test": "–",
        "typical": "–",
    }
    if drawn and pair.kind in {"numeric", "category", "boolean"} and all(pair.present):
        row["plot"] = plot(pair)
    if lead is not None:
        test = lead.test
        row |= {
            "result": "drifted" if column.drifted else "same",
            "effect": f"{number(test.effect, 2)} {test.effect_name}",
            "least": number(lead.min_effect, 2),
            "adjusted": summary.p_text(lead.p_adjusted),
            "p": summary.p_text(test.p_value),
            "test": summary.test_name(lead)
            + ({"missing": " (missing values)", BELOW: f" ({BELOW})"}.get(lead.aspect, "")),
            "typical": summary.typical(column),
            "note": pair.why or test.note,
        }
    seen = result.clustered.get(pair.name)
    row["icc"] = number(seen.icc, 2) if seen else "–"
    row["effective"] = " → ".join(f"{n:,.0f}" for n in seen.effective) if seen else "–"
    return row


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else "–"


def plot(pair: Pair) -> Markup:
    """A small picture of both distributions: functions for numbers, bars for classes. It holds numbers only."""
    drawing = _bars(pair) if pair.labels else _functions(pair)
    frame = f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
    return Markup(f"{frame}{drawing}</svg>" if drawing else "")  # noqa: S704 - numbers only


def _functions(pair: Pair) -> str:
    sides = [drawable(side) for side in (pair.reference, pair.current)]
    if not all(len(side) for side in sides):
        return ""
    low = min(float(np.quantile(side, 0.005)) for side in sides)
    high = max(float(np.quantile(side, 0.995)) for side in sides)
    wide = high - low
    if wide <= 0:
        wide, low = 1.0, low - 0.5
    drawn = ""
    for name, side in zip(("reference", "current"), sides, strict=True):
        step = np.unique(np.linspace(0, len(side) - 1, min(_POINTS, len(side))).astype(int))
        x = np.clip((side[step] - low) / wide, 0, 1) * (_WIDTH - 4) + 2
        y = _HEIGHT - 2 - (step + 1) / len(side) * (_HEIGHT - 4)
        line = "".join(f"H{a:.0f}V{b:.0f}" for a, b in zip(x, y, strict=True))
        drawn += f'<path class="{name}" d="M2 {_HEIGHT - 2}{line}H{_WIDTH - 2}"/>'
    return drawn


def _bars(pair: Pair) -> str:
    p, q = (side / max(1, side.sum()) for side in (pair.reference, pair.current))
    order = np.argsort(-np.abs(p - q), kind="stable")[:_CLASSES]
    tallest = max(float(p[order].max()), float(q[order].max()), 1e-9)
    step = _WIDTH / max(2, len(order))
    drawn = ""
    for place, k in enumerate(order):
        for half, (name, share) in enumerate((("reference", p[k]), ("current", q[k]))):
            high = share / tallest * (_HEIGHT - 4)
            x, y = place * step + step * (0.1 + 0.42 * half), _HEIGHT - high
            size = f'width="{0.38 * step:.1f}" height="{high:.1f}"'
            drawn += f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" {size}/>'
    return drawn
