"""What changed: parameters, data, code, environment and gate rules, from the record that knows most."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from flint_ml.record import Changes, DataChange, ParameterChange, Record
from flint_ml.text import numbers
from flint_ml.text.markdown import Made, code, escape, plain

SHOWN = 6
MAX_NAME = 120
# Files that say which packages a training runs with: another lock may be another result, without a line of code.
_ENVIRONMENT = re.compile(
    r"(?:requirements|constraints)[\w.-]*\.(?:txt|in)|(?:environment|conda-lock)[\w.-]*\.ya?ml|[\w.-]+\.lock|Pipfile"
    r"|pylock[\w.-]*\.toml|\.python-version|\.R-version|Dockerfile[\w.-]*"
)


def of_records(records: Sequence[Record]) -> Changes | None:
    """The changes of the first record that has them; one that compared by content knows more than one by hash."""
    known = [record.changes for record in records if record.changes is not None]
    return next((changes for changes in known if changes.by == "content"), known[0] if known else None)


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


def _cut(text: str) -> str:
    """A name or path as code, of a length that leaves room for the others."""
    text = plain(text)
    return code(text if len(text) <= MAX_NAME else f"{text[: MAX_NAME - 21]}…{text[-20:]}")


def _parameter(change: ParameterChange) -> str:
    return f"{_cut(change.path or '?')} {code(_value(change.base))} → {code(_value(change.head))}"


def _data(change: DataChange) -> str:
    sizes = ""
    if change.base_size is not None and change.size is not None and change.base_size != change.size:
        sizes = f", {numbers.size(change.base_size)} → {numbers.size(change.size)}"
    return f"{_cut(change.path or '?')} ({escape(change.change[:100] or 'changed')}{sizes})"


def _is_environment(path: str) -> bool:
    return bool(_ENVIRONMENT.fullmatch(path.rpartition("/")[2]))


def items(changes: Changes) -> dict[str, list[Made]]:
    """Every change as Markdown, by part; outputs of stages are left out, for they are what a change leads to."""
    code_files = [path for path in changes.code if path and path not in changes.gate]
    data = {change.path for change in changes.data}
    texts = {
        "parameters": map(_parameter, changes.params),
        "data": (_data(change) for change in changes.data if change.kind != "output"),
        "code": (_cut(path) for path in code_files if not _is_environment(path)),
        "environment": (_cut(path) for path in code_files if _is_environment(path)),
        # Data that the gate measures with stand among the data: they are no rules.
        "gate rules": (_cut(path) for path in changes.gate if path and path not in data),
    }
    return {part: [Made(text) for text in lines] for part, lines in texts.items()}


def count(changes: Changes) -> int:
    """How many changes there are, outputs of stages not counted."""
    return sum(len(texts) for texts in items(changes).values())


def outputs(changes: Changes) -> list[Made]:
    """Outputs of stages that differ, as Markdown."""
    return [Made(_data(change)) for change in changes.data if change.kind == "output"]


def line(changes: Changes | None) -> Made:
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
