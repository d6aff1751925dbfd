"""What changed: parameters, data, code, environment and gate rules, from the first record that knows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from flint_ml.record import Record
from flint_ml.text.markdown import Made, code, escape, number, plain

SHOWN = 6


def find(records: Iterable[Record]) -> dict[str, Any] | None:
    """``details.changes`` of the first record that has it; a simulation knows layers by pixel, so it comes first."""
    for record in sorted(records, key=lambda record: not record.action.startswith("run-gcbm")):
        changes = record.details.get("changes")
        if isinstance(changes, dict):
            return changes
    return None


def _rows(changes: dict[str, Any], key: str) -> list[Any]:
    rows = changes.get(key)
    return rows if isinstance(rows, list) else []


def _value(value: Any) -> str:
    """A parameter's value, short."""
    if value is None:
        return "(not set)"
    if isinstance(value, bool | str):
        return plain(str(value))[:40] or "(empty)"
    if isinstance(value, int | float):
        # `repr`, because 0.001 → 0.0012 must not look the same.
        return repr(value).replace("-", "−")
    return plain(str(value))[:40]


def _parameter(row: Any) -> str | None:
    if not isinstance(row, dict):
        return None
    name = plain(str(row.get("path") or "?"))
    return f"{code(name)} {code(_value(row.get('base')))} → {code(_value(row.get('head')))}"


def _bytes(row: dict[str, Any]) -> str:
    base, head = row.get("base_size"), row.get("size")
    if isinstance(base, int) and isinstance(head, int) and base != head:
        return f", {size(base)} → {size(head)}"
    return ""


def size(count: int) -> str:
    """Bytes for people: `850 bytes`, `497 kB`, `1.65 MB`."""
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= factor:
            return f"{number(count / factor)} {unit}"
    return f"{count} bytes"


def _data(row: Any) -> str | None:
    if not isinstance(row, dict):
        return code(plain(row)) if isinstance(row, str) and row else None
    change = escape(str(row.get("change") or "changed")[:100])
    return f"{code(str(row.get('path') or '?'))} ({change}{_bytes(row)})"


def _path(row: Any) -> str | None:
    path = row.get("path") if isinstance(row, dict) else row
    return code(plain(path)) if isinstance(path, str) and path else None


_PARTS = (
    ("params", "parameters", _parameter),
    ("data", "data", _data),
    ("code", "code", _path),
    ("code", "environment", _path),
    ("gate", "gate rules", _path),
)
# Files that say which packages a training runs with: another lock may be another result, without a line of code.
_ENVIRONMENT = re.compile(
    r"(?:requirements|constraints)[\w.-]*\.(?:txt|in)|(?:environment|conda-lock)[\w.-]*\.ya?ml|[\w.-]+\.lock|Pipfile"
    r"|pylock[\w.-]*\.toml|\.python-version|\.R-version|Dockerfile[\w.-]*"
)


def _is_output(row: Any) -> bool:
    """Whether ``row`` is what a stage makes: a result of the change and no part of it."""
    return isinstance(row, dict) and row.get("kind") == "output"


def _is_environment(row: Any) -> bool:
    path = row.get("path") if isinstance(row, dict) else row
    return isinstance(path, str) and bool(_ENVIRONMENT.fullmatch(path.rpartition("/")[2]))


def items(changes: dict[str, Any]) -> dict[str, list[Made]]:
    """Every change as Markdown, by part, as _PARTS names them; outputs of stages are left out."""
    found: dict[str, list[Made]] = {}
    gate = [row for row in _rows(changes, "gate") if isinstance(row, str)]
    for key, title, render in _PARTS:
        rows = [row for row in _rows(changes, key) if not (key == "data" and _is_output(row))]
        if key == "code":
            rows = [row for row in rows if row not in gate and _is_environment(row) == (title == "environment")]
        found[title] = [Made(text) for row in rows if (text := render(row)) is not None]
    return found


def count(changes: dict[str, Any]) -> int:
    """How many changes there are, outputs of stages not counted."""
    return sum(len(texts) for texts in items(changes).values())


def outputs(changes: dict[str, Any]) -> list[Made]:
    """Outputs of stages that differ, as Markdown."""
    rows = [row for row in _rows(changes, "data") if _is_output(row)]
    return [Made(text) for row in rows if (text := _data(row)) is not None]


def line(changes: dict[str, Any] | None) -> Made:
    """The changes on one line of Markdown, parameters first; what is unchanged is said too."""
    if changes is None:
        return Made()
    parts = items(changes)
    shown: list[str] = []
    for title, texts in parts.items():
        prefix = "**gate rules:** " if title == "gate rules" and texts else ""
        shown += [f"{prefix if index == 0 else ''}{text}" for index, text in enumerate(texts)]
    more = len(shown) - SHOWN
    if more > 0:
        gate = len(parts["gate rules"])
        # A changed gate rule is never among what is folded.
        shown = (shown[: max(1, SHOWN - gate)] + shown[-gate:])[:SHOWN] if gate else shown[:SHOWN]
        shown.append(f"and {more} more")
    unchanged = [title for title, texts in parts.items() if not texts]
    if unchanged:
        last = unchanged[-1]
        names = f"{', '.join(unchanged[:-1])} and {last}" if len(unchanged) > 1 else last
        shown.append(f"{names}: unchanged")
    return Made(" · ".join(shown))
