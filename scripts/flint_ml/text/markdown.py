"""Markdown made from data: everything from outside is escaped, tables are laid out by tabulate."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any, Protocol

Cell = str | int | float | bool | None

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$])")
# Control, bidirectional and zero-width characters, tags, interlinear marks: nothing of theirs is for a reader.
_INVISIBLE = re.compile(
    r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_BREAKS = re.compile(r"\r\n|[\r\n\t\u2028\u2029]")
# More than three marks on one letter run over the lines above and below.
_STACKED = re.compile(
    r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3})"
    r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)


class Column(Protocol):
    """What a table's column must have: its title, ``number`` or another type, its unit."""

    name: str
    unit: str | None

    @property
    def type(self) -> str: ...


class Table(Protocol):
    """A table that can be laid out: columns, and rows of one cell a column (:class:`flint_ml.record.Table` is one)."""

    @property
    def columns(self) -> Sequence[Column]: ...

    @property
    def rows(self) -> Sequence[Sequence[Cell]]: ...


class Made(str):
    """Markdown that was made here, out of escaped parts; every other string is data."""

    __slots__ = ()


def plain(text: str) -> str:
    """``text`` on one line, without characters that a reader cannot see."""
    text = _STACKED.sub(r"\1", _INVISIBLE.sub("", _BREAKS.sub(" ", text)))
    # Old runners take `##[error]` for a command anywhere in a line, also where the log shows a comment's text.
    return text.replace("##[", "#\u2060#[")


def _unlinked(text: str) -> str:
    """``text`` with a word joiner where GitHub would make a mention, a reference or a link."""
    text = re.sub(r"@(?=\w)", "@\u2060", text)
    text = re.sub(r"#(?=\w)", "#\u2060", text)
    text = re.sub(r"(?i)\b(https?|ftp|mailto|xmpp)(?=:)", "\\1\u2060", text)
    text = re.sub(r"(?i)\bwww(?=\.)", "www\u2060", text)
    return re.sub(r"(?i)\b(GH)-(?=\d)", "\\1\u2060-", text)


def escape(text: str) -> str:
    """``text`` as it is, in Markdown: no markup, link, mention, issue reference or control character survives.

    A word joiner (U+2060) after ``@``, ``#`` and link schemes keeps GitHub from making mentions and links.
    """
    text = _unlinked(plain(text))
    return _SPECIAL.sub(r"\\\1", text).replace("&", "&amp;").replace("\\<", "&lt;").replace("\\>", "&gt;")


def escape_html(text: str) -> str:
    """``text`` as it is, inside an HTML block of Markdown (a ``<summary>``), as harmless as :func:`escape`."""
    return html.escape(_unlinked(plain(text)))


def fence(lines: Sequence[str]) -> str:
    """Lines of a log as a code block that cannot end early."""
    clean = [plain(line).rstrip() for line in lines]
    ticks = "`" * max(3, 1 + max((len(run) for line in clean for run in re.findall(r"`+", line)), default=0))
    return "\n".join([f"{ticks}text", *clean, ticks])


def code(text: str) -> str:
    """``text`` as inline code that cannot end early."""
    text = plain(text)
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text.replace('|', chr(92) + '|')}{pad}{ticks}" if text else ""


def prose(text: str) -> str:
    """A sentence of ours or of a record, escaped, with what stands between backticks as code."""
    parts = re.split(r"`([^`\n]{1,200})`", text)
    return "".join(code(part) if index % 2 else escape(part) for index, part in enumerate(parts))


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
            rows,
            [clean(name) for name in header(table)],
            tablefmt=style,
            colalign=align if rows else None,
            disable_numparse=True,
        )
    )
    more = len(table.rows) - len(rows)
    return f"{text}\n\n… and {more} more row{'s' if more > 1 else ''}" if more > 0 else text
