"""Metrics files as dotted names with numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flint_ml.errors import InputError
from flint_ml.metrics.catalogue import Direction
from flint_ml.metrics.formats import Matrix, NoMetric, Several, is_record, load, number_of
from flint_ml.metrics.names import meaning

MAX_METRICS = 5_000
_NOT_FINITE = {"nan", ".nan", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity"}
_MISSING = {"na", "n/a", "#n/a", "null", "none", "", "-", "missing"}


@dataclass(frozen=True)
class Reading:
    """One number of a metrics file; None with a note where the file has a null, NaN or infinity.

    ``detail`` says how it was read where it does not stand there as a number (``mean of 5, …``). ``log`` holds epochs
    and values where the file is a log, of which ``value`` is the last.
    """

    value: float | None
    note: str | None = None
    unit: str | None = None
    direction: Direction | None = None
    detail: str = ""
    log: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class MetricsFile:
    """A metrics file.

    Attributes
    ----------
    readings
        By dotted name.
    ignored
        Names whose values are not numbers.
    texts
        Names whose values are numbers as text, and which are not taken for metrics.
    matrices
        Tables of numbers without names, such as confusion matrices.
    """

    readings: dict[str, Reading]
    ignored: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    matrices: dict[str, Matrix] = field(default_factory=dict)


def parse(data: bytes, where: str) -> MetricsFile:
    """Read the content of a metrics file (see :mod:`flint_ml.metrics.formats`).

    Raises
    ------
    InputError
        If the content is not of its format (the line is named), names a metric twice, holds no number, or too many.
    """
    tree = load(data, where)
    if is_record(tree):
        return MetricsFile(dict(_of_record(tree)))
    if not isinstance(tree, dict):
        raise InputError('must hold names and numbers, such as {"rmse": 1.3}', where=where, code="invalid-metrics")
    leaves = _of_folds(_unique_leaves(tree, where))
    result = MetricsFile({})
    every_number_is_text = not any(_is_numeric(value) for value in leaves.values())
    for name, value in leaves.items():
        if isinstance(value, Matrix):
            result.matrices[name] = value
            continue
        if isinstance(value, NoMetric):
            result.ignored.append(name)
            continue
        reading = _reading(name, value, take_text=every_number_is_text)
        if reading is not None:
            result.readings[name] = reading
        elif isinstance(value, str) and _as_number(value) is not None:
            result.texts.append(name)
        else:
            result.ignored.append(name)
    if len(result.readings) > MAX_METRICS:
        raise InputError(f"holds more than {MAX_METRICS:,} numbers", where=where, code="invalid-metrics")
    if not result.readings and not result.matrices:
        raise InputError(
            "holds no number", where=where, hint="give the file that the evaluation writes", code="empty-metrics"
        )
    return result


def _unique_leaves(tree: dict[str, Any], where: str) -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name, value in _leaves(tree):
        if name in leaves:
            raise InputError(
                f"names the metric {name!r} twice, once with a dot and once nested",
                where=where,
                hint="give each its own name",
                code="invalid-metrics",
            )
        leaves[name] = value
    return leaves


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield prefix, value
        return
    for key, item in value.items():
        yield from _leaves(item, f"{prefix}.{key}" if prefix else str(key))


_FOLD = re.compile(
    r"(?:(?<=[._/ -])|^)(?:cv[_-]?)?(?:fold|split|repeat|rep|seed|run|resample)[ _-]?\d+(?:(?=[._/ -])|$)", re.I
)


def _of_folds(leaves: dict[str, Any]) -> dict[str, Any]:
    """Values of numbered folds, repeats or seeds (``fold_0.rmse``, ``rmse_fold1``) as one, their mean.

    Where the file has a value without a number too, that is the mean already, and the folds stay as they are.
    """
    groups: dict[str, list[str]] = {}
    for name, value in leaves.items():
        if _FOLD.search(name) and isinstance(value, int | float) and not isinstance(value, bool):
            groups.setdefault(re.sub(r"[._/ -]{2,}", ".", _FOLD.sub("", name)).strip("._/ -"), []).append(name)
    merged = {name: names for name, names in groups.items() if name and len(names) > 1 and name not in leaves}
    gone = {name for names in merged.values() for name in names}
    kept = {name: value for name, value in leaves.items() if name not in gone}
    return kept | {name: Several(tuple(float(leaves[n]) for n in names), False) for name, names in merged.items()}


def _as_number(text: str) -> float | None:
    """Text as a number; a single comma parts decimals, unless it could part thousands."""
    text = text.strip()
    if text.count(",") == 1 and "." not in text and not re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text):
        text = text.replace(",", ".")
    return number_of(text)


def _is_numeric(value: Any) -> bool:
    return isinstance(value, int | float | Several) and not isinstance(value, bool)


def _reading(name: str, value: Any, *, take_text: bool = False) -> Reading | None:
    """A leaf as a reading, or None where it is text or a date: nothing that can be compared as a number.

    Text that is a number counts where all numbers of the file are text, or where the name is a metric's.
    """
    if value is None:
        return Reading(None, "is null")
    if isinstance(value, Several):
        number = value.value
        return (
            Reading(number, detail=value.how, log=value.log)
            if math.isfinite(number)
            else Reading(None, "is not finite")
        )
    if isinstance(value, str):
        text = value.strip()
        known = meaning(name).known
        if text.lower() in _NOT_FINITE or (known and text.lower() in _MISSING):
            return Reading(None, f"is {text or 'empty'}")
        written = _as_number(text)
        return Reading(written, detail="text in the file") if written is not None and (take_text or known) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number_value = float(value)
    except OverflowError:
        return Reading(None, "is too large for a number")
    number_value += 0.0  # a zero has no sign
    return Reading(number_value) if math.isfinite(number_value) else Reading(None, f"is {number_value}")


def _of_record(record: dict[str, Any]) -> Iterator[tuple[str, Reading]]:
    """The metrics of another action's record (run-gcbm's indicators), with unit and direction."""
    for name, metric in (record.get("metrics") or {}).items():
        if isinstance(metric, dict):
            reading = _reading(str(name), metric.get("value")) or Reading(None, "is not a number")
            note = reading.note and (metric.get("note") or reading.note)
            yield str(name), Reading(reading.value, note, metric.get("unit"), metric.get("direction"))
