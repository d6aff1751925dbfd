"""Markdown made from data: everything from outside is escaped, tables are laid out by tabulate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from flint_ml.record import Cell, Status, Table

MARKS: dict[Status, str] = {"passed": "✅", "warned": "🟡", "failed": "❌", "skipped": "⏭️", "error": "❌"}

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$])")
_INVISIBLE = re.compile(r"[\u0000-\u0008\u000b-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def escape(text: str) -> str:
    """``text`` as it is, in Markdown: no markup, link, mention, issue reference or control character survives.

    A zero-width joiner after ``@`` and ``#`` and within ``://`` keeps GitHub from making mentions and links.
    """
    text = _INVISIBLE.sub("", text.replace("\r", " ").replace("\n", " "))
    text = _SPECIAL.sub(r"\\\1", text).replace("&", "&amp;").replace("\\<", "&lt;").replace("\\>", "&gt;")
    text = re.sub(r"@(?=\w)", "@\u2060", text)
    text = re.sub(r"\\#(?=\w)", "\\#\u2060", text)
    text = re.sub(r"(?i)\b(https?|ftp|mailto)(?=:)", "\\1\u2060", text)
    text = re.sub(r"(?i)\bwww(?=\.)", "www\u2060", text)
    return re.sub(r"(?i)\b(GH)-(?=\d)", "\\1\u2060-", text)


def code(text: str) -> str:
    """``text`` as inline code that cannot end early."""
    text = _INVISIBLE.sub("", text.replace("\r", " ").replace("\n", " "))
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text.replace('|', chr(92) + '|')}{pad}{ticks}" if text else ""


def number(value: float | int | None, digits: int = 3) -> str:
    """A number for people: ``digits`` significant digits, thousands separated, a true minus sign."""
    if value is None:
        return "–"
    if isinstance(value, int) or (abs(value) >= 10 ** (digits - 1) and abs(value) < 1e15):
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{digits}g}" if value == 0 or abs(value) < 1e-4 else f"{value:#.{digits}g}".rstrip(".")
    return text.replace("-", "−") if "e" not in text else text


def _cell(value: Cell) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    return value


def header(table: Table) -> list[str]:
    """Column titles with their units."""
    return [f"{c.name} ({c.unit})" if c.unit else c.name for c in table.columns]


def grid(table: Table, *, limit: int | None = None, style: str = "pipe", safe: bool = True) -> str:
    """``table`` as text: Markdown (``pipe``) or for a terminal (``simple``).

    ``limit`` rows at most, with a line that says how many more there are. ``safe`` escapes every cell.
    """
    from tabulate import tabulate

    clean = escape if safe and style == "pipe" else str
    rows: Sequence[Sequence[Any]] = [[clean(_cell(cell)) for cell in row] for row in table.rows[:limit]]
    align = ["right" if c.type == "number" else "left" for c in table.columns]
    text = str(
        tabulate(
            rows, [clean(name) for name in header(table)], tablefmt=style, colalign=align if rows else None,
            disable_numparse=True,
        )
    )  # fmt: skip
    more = len(table.rows) - len(rows)
    return f"{text}\n\n… and {more} more rows" if more > 0 else text
