"""Names of the classes of a raster: a GDAL attribute table, the JSON of a GCBM layer, or a CSV beside it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from flint_ml.errors import InputError

_MOST_BYTES = 16 << 20
# How GDAL says what a column of an attribute table is for (GDALRATFieldUsage).
_NAME, _VALUE = "2", "5"
_VALUE_HEADS = ("value", "code", "class", "id", "key", "pixel")
_NAME_HEADS = ("name", "label", "class_name", "classname", "description", "category", "species")


@dataclass(frozen=True)
class Names:
    """What the values of cells stand for; None: the cell holds no value. ``nodata`` as a GCBM JSON gives it."""

    classes: Mapping[int, str | None] = field(default_factory=dict)
    nodata: float | None = None
    source: str = ""


def companions(path: Path) -> tuple[Path, ...]:
    """The files beside a raster that say what it holds."""
    return (
        path.with_name(path.name + ".aux.xml"),
        path.with_suffix(".json"),
        path.with_suffix(".csv"),
        path.with_name(path.name + ".msk"),
        path.with_suffix(".tfw"),
        path.with_suffix(".prj"),
    )


def read_names(path: Path, label: str) -> Names:
    """Names of the classes of the raster ``path``, from the first of .tif.aux.xml, .json and .csv that has any.

    Raises
    ------
    InputError
        If such a file is there and cannot be read.
    """
    nodata = None
    for file, reader in zip(companions(path), (_from_xml, _from_json, _from_csv), strict=False):
        if not file.is_file():
            continue
        where = f"{label}: {file.name}"
        if file.stat().st_size > _MOST_BYTES:
            raise _bad(where, f"is larger than {_MOST_BYTES >> 20} MB")
        try:
            found = reader(file.read_text("utf-8-sig"))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ElementTree.ParseError) as error:
            raise _bad(where, f"cannot be read: {str(error)[:200]}") from None
        nodata = found.nodata if nodata is None else nodata
        if found.classes:
            return Names(found.classes, nodata, file.name)
    return Names(nodata=nodata)


def _bad(where: str, message: str) -> InputError:
    hint = "write the attribute table again, or take the file away"
    return InputError(message, where=where, hint=hint, code="raster-attributes")


def _from_xml(text: str) -> Names:
    """GDAL's own table (``<GDALRasterAttributeTable>``), else its ``<CategoryNames>``."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it declares entities, which no attribute table needs")
    root = ElementTree.fromstring(text)  # noqa: S314 - without a document type there is nothing to expand
    for table in root.iter("GDALRasterAttributeTable"):
        usage = {item.findtext("Usage", ""): int(item.get("index", "0")) for item in table.iter("FieldDefn")}
        heads = {item.findtext("Name", "").lower(): int(item.get("index", "0")) for item in table.iter("FieldDefn")}
        key = usage.get(_VALUE, next((heads[h] for h in _VALUE_HEADS if h in heads), None))
        name = usage.get(_NAME, next((heads[h] for h in _NAME_HEADS if h in heads), None))
        if key is None or name is None:
            continue
        rows = [[cell.text or "" for cell in row.iter("F")] for row in table.iter("Row")]
        return Names({_code(row[key]): row[name] or row[key] for row in rows if len(row) > max(key, name)})
    listed = next(root.iter("CategoryNames"), None)
    if listed is None:
        return Names()
    return Names({code: item.text for code, item in enumerate(listed.iter("Category")) if item.text})


def _from_json(text: str) -> Names:
    """``attributes`` of the JSON that describes a GCBM layer; an event is named like "Wildfire 2012"."""
    about = json.loads(text)
    if not isinstance(about, dict):
        return Names()
    nodata = about.get("nodata")
    table = about.get("attributes")
    classes = {_code(key): None if value is None else _value_text(value) for key, value in (table or {}).items()}
    return Names(classes, float(nodata) if isinstance(nodata, int | float) else None)


def _value_text(value: Any) -> str:
    """A value of the table: text, a number, or an event as ``Wildfire 2012``."""
    if not isinstance(value, dict):
        return f"{value:.7g}" if isinstance(value, float) else str(value)
    kind = value.get("disturbance_type", value.get("disturbance_type_id"))
    if kind is None:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    rest = {k: v for k, v in value.items() if k not in {"disturbance_type", "disturbance_type_id", "year"}}
    return f"{kind} {value.get('year', '')}".strip() + "".join(f", {k} {v}" for k, v in sorted(rest.items()))


def _from_csv(text: str) -> Names:
    """A column of codes and a column of names, found by their heads, else by what they hold."""
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=delimiter) if any(row)]
    if len(rows) < 2 or min(len(row) for row in rows) < 2:
        return Names()
    heads = [head.lower() for head in rows[0]]
    whole = [all(_is_code(row[i]) for row in rows[1:]) for i in range(min(len(row) for row in rows))]
    key = next((heads.index(h) for h in _VALUE_HEADS if h in heads and whole[heads.index(h)]), None)
    if key is None:
        key = next((i for i, good in enumerate(whole) if good), None)
    if key is None:
        return Names()
    name = next((heads.index(h) for h in _NAME_HEADS if h in heads and heads.index(h) < len(whole)), None)
    if name is None:
        name = next((i for i, good in enumerate(whole) if not good and i != key), None)
    return Names() if name is None else Names({_code(row[key]): row[name] or row[key] for row in rows[1:]})


def _is_code(text: str) -> bool:
    try:
        _code(text)
    except ValueError:
        return False
    return True


def _code(value: Any) -> int:
    number = float(value)
    if not number.is_integer():
        raise ValueError(f"{value!r} is no whole number, so it cannot be the value of a class")
    return int(number)
