"""Metrics files: JSON, YAML, TOML and CSV, nested or flat, as dotted names with numbers."""

from __future__ import annotations

import csv
import io
import json
import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from flint_ml.errors import InputError
from flint_ml.metrics.catalogue import Direction
from flint_ml.text.yaml import parse_yaml

MAX_METRICS = 5_000
_NOT_FINITE = {"nan", ".nan", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity"}


@dataclass(frozen=True)
class Reading:
    """One number of a metrics file; None with a note where the file has a null, NaN or infinity."""

    value: float | None
    note: str | None = None
    unit: str | None = None
    direction: Direction | None = None


@dataclass(frozen=True)
class MetricsFile:
    """A metrics file: its readings by dotted name, and the names whose values are no numbers."""

    readings: dict[str, Reading]
    ignored: list[str] = field(default_factory=list)


def parse(data: bytes, where: str) -> MetricsFile:
    """Read the content of a metrics file; the ending of ``where`` tells the format (JSON where it is unknown).

    Raises
    ------
    InputError
        If the content is not of that format (the line is named), holds no number, or too many.
    """
    ending = PurePosixPath(where.partition(" at ")[0]).suffix.lower()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", where=where, hint="save it as UTF-8", code="invalid-metrics") from None
    if not text.strip():
        raise InputError(
            "is empty", where=where, hint="let the evaluation step write its metrics into it", code="empty-metrics"
        )
    loaded = {".yaml": _yaml, ".yml": _yaml, ".toml": _toml, ".csv": _csv, ".tsv": _tsv}.get(ending, _json)(text, where)
    if isinstance(loaded, dict) and str(loaded.get("schema", "")).startswith("flint-ml/record/"):
        return MetricsFile(dict(_of_record(loaded)))
    if not isinstance(loaded, dict):
        raise InputError('must hold names and numbers, such as {"rmse": 1.3}', where=where, code="invalid-metrics")
    result = MetricsFile({})
    for name, value in _leaves(loaded):
        reading = _reading(value)
        if reading is None:
            result.ignored.append(name)
        else:
            result.readings[name] = reading
    if len(result.readings) > MAX_METRICS:
        raise InputError(f"holds more than {MAX_METRICS:,} numbers", where=where, code="invalid-metrics")
    if not result.readings:
        raise InputError(
            "holds no number", where=where, hint="give the file that the evaluation writes", code="empty-metrics"
        )
    return result


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the name {key!r} stands there twice")
        result[key] = value
    return result


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise InputError(
            f"is not valid JSON: {error.msg} (column {error.colno})",
            where=f"{where}:{error.lineno}",
            hint="open the file at that line; the evaluation step may have been cut off while writing it",
            code="invalid-json",
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not valid JSON: {error}", where=where, code="invalid-json") from None


def _yaml(text: str, where: str) -> Any:
    return parse_yaml(text, where)


def _toml(text: str, where: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not valid TOML: {error}", where=where, code="invalid-toml") from None


def _tsv(text: str, where: str) -> Any:
    return _csv(text, where, "\t")


def _csv(text: str, where: str, delimiter: str = ",") -> dict[str, Any]:
    """Two columns are name and value, a line each; else one line of values under the names.

    With several lines and more than two columns, the first column names the line: ``clay.rmse``.
    """
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(cell.strip() for cell in row)]
    head, *body = [[cell.strip() for cell in row] for row in rows]
    for number, row in enumerate(body, start=2):
        if len(row) != len(head):
            raise InputError(
                f"has {len(row)} values for {len(head)} columns", where=f"{where}:{number}", code="invalid-csv"
            )
    if len(head) == 2 and (len(body) != 1 or not _is_number(body[0][0])):
        lines = body if not _is_number(head[1]) else [head, *body]
        return _unique_csv([(name, value) for name, value in lines], where)
    if len(body) == 1:
        return _unique_csv(list(zip(head, body[0], strict=True)), where)
    return _unique_csv([(row[0], _unique_csv(list(zip(head[1:], row[1:], strict=True)), where)) for row in body], where)


def _unique_csv(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    try:
        return _unique([(name, _typed(value)) for name, value in pairs])
    except ValueError as error:
        raise InputError(f"is not a metrics table: {error}", where=where, code="invalid-csv") from None


def _is_number(text: str) -> bool:
    return isinstance(_typed(text), float)


def _typed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return float(value) if value else None
    except ValueError:
        return value


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    items: Any
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        yield prefix, value
        return
    for key, item in items:
        yield from _leaves(item, f"{prefix}.{key}" if prefix else str(key))


def _reading(value: Any) -> Reading | None:
    """A leaf as a reading, or None where it is text or a date: nothing that can be compared as a number."""
    if value is None:
        return Reading(None, "is null")
    if isinstance(value, str) and value.strip().lower() in _NOT_FINITE:
        return Reading(None, f"is {value.strip()}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return Reading(None, "is too large for a number")
    return Reading(number) if math.isfinite(number) else Reading(None, f"is {number}")


def _of_record(record: dict[str, Any]) -> Iterator[tuple[str, Reading]]:
    """The metrics of another action's record (run-gcbm's indicators), with unit and direction."""
    for name, metric in (record.get("metrics") or {}).items():
        if isinstance(metric, dict):
            reading = _reading(metric.get("value")) or Reading(None, "is no number")
            note = reading.note and (metric.get("note") or reading.note)
            yield str(name), Reading(reading.value, note, metric.get("unit"), metric.get("direction"))
