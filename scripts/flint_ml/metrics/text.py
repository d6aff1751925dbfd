"""Rows as text for people: "1.50 → 1.30 g/kg (−0.20, −13 %)"."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from flint_ml.metrics.compare import Overall, Row
from flint_ml.record import Cell, Column, Table

MINUS = "−"


def decimals(*values: float | None, step: float | None = None) -> int:
    """Decimals for ``values``: two below ten, fewer above, and as many as show ``step`` to a tenth of itself."""
    size = max((abs(value) for value in values if value), default=1.0)
    magnitude = math.floor(math.log10(size))
    digits = max(0, 2 - magnitude) if magnitude < -1 else max(0, 2 - max(0, magnitude))
    while step and digits < 12 and abs(round(step, digits) - step) > 0.1 * abs(step):
        digits += 1
    return min(digits, 12)


def fixed(value: float | None, digits: int, *, sign: bool = False) -> str:
    """``value`` with ``digits`` decimals, thousands separated, a true minus sign; an en dash for None."""
    if value is None:
        return "–"
    if abs(value) >= 1e15 or (value and abs(value) < 1e-9):
        return f"{value:{'+' if sign else ''}.3g}".replace("-", MINUS)
    text = f"{value:{'+' if sign else ''},.{digits}f}"
    if sign and not text.strip("+-0.,"):
        return text.lstrip("+-")
    return text.replace("-", MINUS)


def percent(share: float) -> str:
    """A relative change for people: "−13 %", "+1.4 %"; "< 0.1 %" is said with two digits."""
    value = share * 100
    if abs(value) >= 1e6:
        return f"{value:+.1e} %".replace("-", MINUS)
    digits = 0 if abs(value) >= 9.95 else 1 if abs(value) >= 0.095 or value == 0 else 2
    return f"{value:+,.{digits}f} %".replace("-", MINUS)


def _digits(row: Row) -> int:
    return decimals(row.base, row.head, step=row.delta)


def change(row: Row) -> str:
    """ "−0.20 (−13 %)", or what there is to say instead of a number."""
    if row.delta is None:
        return {"new": "no base", "gone": "not in this change"}.get(row.result, row.note or "–")
    text = fixed(row.delta, _digits(row), sign=True)
    if row.rule.percent and row.relative is not None and row.delta:
        text += f" ({percent(row.relative)})"
    return text


def interval(row: Row) -> str:
    """ "−0.28 … −0.11", or an en dash."""
    if row.interval is None:
        return "–"
    width = row.interval.high - row.interval.low
    shown = 1 - math.floor(math.log10(width)) if 0 < width < math.inf else 0
    digits = min(12, max(_digits(row), shown))
    return f"{fixed(row.interval.low, digits, sign=True)} … {fixed(row.interval.high, digits, sign=True)}"


def interval_title(rows: Iterable[Row]) -> str:
    """Title of the interval's column: "95 % CI"."""
    level = next((row.interval.level for row in rows if row.interval), 0.95)
    return f"{level * 100:g} % CI"


def sentence(row: Row) -> str:
    """ "RMSE 1.50 → 1.30 g/kg (−0.20, −13 %)"."""
    unit = f" {row.rule.unit}" if row.rule.unit else ""
    digits = _digits(row)
    if row.result == "new":
        return f"{row.rule.label} {fixed(row.head, digits)}{unit}"
    if row.result == "gone":
        return f"{row.rule.label} {fixed(row.base, digits)} → missing"
    text = f"{row.rule.label} {fixed(row.base, digits)} → {fixed(row.head, digits)}{unit}"
    if row.delta is None:
        return f"{text} ({row.note})" if row.note else text
    if not row.delta:
        return text
    inside = change(row).replace(" (", ", ").rstrip(")")
    return f"{text} ({inside})"


def headline(result: Overall, rows: Sequence[Row]) -> str:
    """The verdict in one sentence that a lead can act on."""
    row = result.row
    if row is None:
        return f"{result.verdict}: {result.reason}"
    if row.missed and result.verdict == "worse":
        bound = {"higher": "at least", "zero": "within ±", "lower": "at most", "none": "at most"}[row.rule.direction]
        limit = fixed(row.rule.threshold, decimals(row.rule.threshold, row.head))
        unit = f" {row.rule.unit}" if row.rule.unit else ""
        return f"worse than required: {sentence(row)}; required is {bound} {limit}{unit}".replace("± ", "±")
    text = f"{result.verdict}: {sentence(row)}"
    if result.verdict == "no-baseline":
        return f"{text}; {result.reason}"
    if result.verdict == "changed":
        others = sum(other.result == "changed" for other in rows) - 1
        text += f" and {others} more" if others > 0 else ""
        return text + (", not as declared" if row.declared else "")
    if result.verdict == "same" and row.result == "as declared":
        return f"as declared: {sentence(row)}"
    if result.verdict == "better":
        worse = [other.rule.label for other in rows if other.result == "worse"]
        return text + (f"; {', '.join(worse[:3])} worse" if worse else "")
    if result.verdict == "inconclusive":
        return text + (f"; {interval_title([row])} {interval(row)}" if row.interval else ", which may be chance")
    return text


def table(rows: Sequence[Row], title: str = "Metrics", *, base: str = "base", head: str = "this change") -> Table:
    """The first-screen table; the interval's column is there when any row has one.

    A count that did not change (number of samples) says nothing beside metrics that have a direction: it is left out.
    """
    if any(row.rule.direction != "none" for row in rows):
        rows = [row for row in rows if row.rule.direction != "none" or row.base != row.head]
    intervals = any(row.interval for row in rows)
    columns = [Column(name="metric"), Column(name=base, type="number", role="base")]
    columns += [Column(name=head, type="number", role="head"), Column(name="change", role="change")]
    if intervals:
        columns.append(Column(name=interval_title(rows), role="interval"))
    columns.append(Column(name="result", role="result"))
    cells: list[list[Cell]] = []
    for row in rows:
        line: list[Cell] = [row.rule.title, row.base, row.head, change(row)]
        cells.append([*line, *([interval(row)] if intervals else []), row.result])
    return Table(title=title, columns=columns, rows=cells)
