"""What a column holds, decided from both tables, and its values in the form that the tests take."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flint_ml.drift.arrow import sorted_numbers, text_as_numbers
from flint_ml.drift.rules import DriftRules, Kind
from flint_ml.drift.statistics.distributions import Floats, Ints
from flint_ml.drift.tables.values import Reading
from flint_ml.drift.two_sample.base import TestResult

# Up to so many different values a number is a class (a horizon, a score): KS would be far too cautious.
FEW_VALUES = 12
# Whole numbers from here on are not all floats.
EXACT = 2.0**53
_IDENTIFIER = re.compile(r"(?i)^(?:id|.*[_. -]id|uid|uuid|fid|oid|objectid|index|rowid|row|\(column 1\)|unnamed: 0)$")


@dataclass(frozen=True)
class ColumnSummary:
    """What is exactly known of one column of numbers; pairs are of reference and new data.

    ``test`` is the result of its test. ``middle`` are the values of rank n // 2, ``outside`` is how many new values
    lie beyond the reference's range, ``apart`` the share of the reference below the new middle, ``wrong`` how many new
    values break the given range, ``below`` how many are below the common limit of detection, where there is one.
    """

    test: TestResult | None
    median: tuple[float, float]
    middle: tuple[float, float]
    outside: int
    apart: float
    wrong: int = 0
    below: tuple[int, int] | None = None


@dataclass
class Pair:
    """One column of both tables.

    ``reference`` and ``current`` are sorted values without NaN (numeric), or counts aligned by ``labels`` (category).
    ``missing`` and ``total`` are counts in the two tables, reference first. With a ``summary``, the arrays of a
    numeric column may be a few of its values only; ``few`` says then whether it repeats a handful of values.
    """

    name: str
    kind: Kind
    missing: tuple[int, int]
    total: tuple[int, int]
    reference: Any = None
    current: Any = None
    labels: list[str] = field(default_factory=list)
    why: str = ""
    notes: list[tuple[str, str]] = field(default_factory=list)
    summary: ColumnSummary | None = None
    reading: Reading | None = None
    few: bool | None = None

    @property
    def present(self) -> tuple[int, int]:
        """Counts of values that are there, reference first."""
        return self.total[0] - self.missing[0], self.total[1] - self.missing[1]


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def family(kind: Any) -> str:
    import pyarrow as pa

    if _is_number(kind):
        return "number"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_temporal(kind):
        return "date"
    if pa.types.is_null(kind):
        return "empty"
    if pa.types.is_dictionary(kind):
        return "number" if _is_number(kind.value_type) else "text"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return "text"
    return "other"


def _counts(reference: Any, current: Any) -> tuple[list[str], Ints, Ints]:
    """Categories of either column, sorted, with their counts in both."""
    import pyarrow as pa

    tables: list[dict[str, int]] = []
    for column in (reference, current):
        plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        counted = plain.drop_null().cast(pa.string()).value_counts()
        tables.append(dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)))
    labels = sorted({*tables[0], *tables[1]})
    one, two = (np.array([table.get(label, 0) for label in labels], dtype=np.int64) for table in tables)
    return labels, one, two


def distinct(values: Floats) -> int:
    """How many different values a sorted sample has."""
    return int(np.count_nonzero(values[1:] != values[:-1])) + 1 if len(values) else 0


def _few(reference: Floats, current: Floats) -> bool:
    """Whether two sorted samples repeat a handful of values."""
    if any(distinct(side[:: max(1, len(side) // 64)]) > FEW_VALUES for side in (reference, current)):
        return False
    largest = max(distinct(reference), distinct(current))
    if largest > FEW_VALUES:
        return False
    values = len(np.unique(np.concatenate([reference, current])))
    return values <= FEW_VALUES and len(reference) + len(current) >= 5 * values


def looks_like_identifier(name: str) -> bool:
    """Whether a column is named as one that numbers the rows."""
    return bool(_IDENTIFIER.match(name))


def _row_number(name: str, column: Any, values: Floats) -> bool:
    """Whether whole numbers only count the rows: all different and without gaps, or all different and named so."""
    import pyarrow as pa

    if not pa.types.is_integer(column.type) or len(values) < 3 or distinct(values) < len(values):
        return False
    return bool((values[-1] - values[0] == len(values) - 1 and len(values) > FEW_VALUES) or _IDENTIFIER.match(name))


def pair(name: str, reference: Any, current: Any, rules: DriftRules, reading: Reading | None = None) -> Pair:
    """Decide what the column ``name`` of two ``pyarrow`` columns is and prepare its values."""
    result = _pair(name, reference, current, rules, reading)
    result.reading = reading
    result.notes += reading_notes(name, reading)
    return result


def how_read(pair: Pair) -> str:
    """What the texts of a column were taken for; empty where they were plain."""
    reading = pair.reading
    if reading is None:
        return ""
    parts = [reading.why] if reading.why else []
    if reading.below is not None:
        limit = f"{reading.below:g}" if reading.below > float("-inf") else "detection"
        parts.append(f"values below {limit} are ties")
    if reading.above is not None:
        parts.append(f"values above {reading.above:g} are ties")
    return "; ".join(parts)


def reading_notes(name: str, reading: Reading | None) -> list[tuple[str, str]]:
    """What a person should know of how the texts of a column were read."""
    notes: list[tuple[str, str]] = []
    if reading is None:
        return notes
    if reading.left_out:
        return [("not-understood", f"`{name}` was not compared: {reading.why}; {reading.hint}")]
    for side, count in zip(("reference", "new data"), reading.odd, strict=True):
        if count and reading.kind == "numbers":
            shown = ", ".join(f"`{text[:20]}`" for text in reading.odd_texts)
            text = f"`{name}`: {count} values of the {side} are not numbers ({shown}); counted as missing"
            notes.append(("mixed-type", text))
    if reading.padded:
        notes.append(("blanks", f"`{name}`: blanks around its values were dropped; a model may take them for others"))
    if reading.doubt:
        taken = "decimals" if reading.doubt in reading.decimals else "thousands"
        text = f"`{name}`: all its numbers are like `1{reading.doubt}234`; the sign was taken to part {taken}; `read: "
        notes.append(("thousands", f"{text}thousands: '{reading.doubt}'` or `decimal: '{reading.doubt}'` decides"))
    if reading.kind == "dates" and reading.hint:
        notes.append(("date-order", f"`{name}` was read as {reading.why}; {reading.hint}"))
    return notes


def _pair(name: str, reference: Any, current: Any, rules: DriftRules, reading: Reading | None) -> Pair:
    wish = rules.of(name).kind
    families = (family(reference.type), family(current.type))
    if "text" in families and not (_is_text(reference) and _is_text(current)):
        families = ("other", "other")
    notes: list[tuple[str, str]] = []
    if "text" in families and (wish == "numeric" or "number" in families):
        reference, current, families, notes = _reconcile(name, reference, current, families, wish == "numeric")
    total = (len(reference), len(current))
    missing = (int(reference.null_count), int(current.null_count))
    result = Pair(name, "empty", missing, total, notes=notes)
    seen = {family for family in families if family != "empty"}
    if not seen:
        result.missing = total
        return result
    if reading is not None and reading.left_out:
        result.kind, result.why = "text", reading.why
        return result
    if seen == {"number"} and wish != "category":
        return _numeric_pair(result, reference, current, families)
    if seen == {"date"} and wish == "auto":
        result.kind, result.why = "date", "a later batch has later dates; name a test for this column to compare them"
        return result
    if seen == {"date"} and wish == "numeric":
        import pyarrow as pa

        one, two = (c.cast(pa.timestamp("us")).cast(pa.int64()) for c in (reference, current))
        return _numeric_pair(result, one, two, families)
    if "other" in seen:
        result.kind, result.why = "text", "lists, structures and bytes that are no text are not compared"
        return result
    return _category_pair(result, reference, current, seen, wish == "category")


def _is_text(column: Any) -> bool:
    """Whether what is stored as text is text; Parquet's readers do not look."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    try:
        if pa.types.is_binary(kind):
            column.cast(pa.string())
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            column.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _reconcile(
    name: str, reference: Any, current: Any, families: tuple[str, str], forced: bool
) -> tuple[Any, Any, tuple[str, str], list[tuple[str, str]]]:
    """Numbers on one side, text on the other: read the text as numbers where nearly all of it is."""
    columns, kinds, notes = [reference, current], list(families), []
    for index, side in enumerate(("reference", "new data")):
        if kinds[index] != "text":
            continue
        numbers, share = text_as_numbers(columns[index])
        if not forced and share < 0.9:
            notes.append(
                ("type-changed", f"`{name}` holds numbers on one side and text in the {side}; compared as categories")
            )
            continue
        lost = numbers.null_count - columns[index].null_count
        columns[index], kinds[index] = numbers, "number"
        if lost:
            notes.append(("mixed-type", f"`{name}`: {lost} values of the {side} are no numbers; counted as missing"))
    return columns[0], columns[1], (kinds[0], kinds[1]), notes


def _numeric_pair(result: Pair, reference: Any, current: Any, families: tuple[str, str]) -> Pair:
    one = sorted_numbers(reference) if families[0] != "empty" else np.empty(0)
    two = sorted_numbers(current) if families[1] != "empty" else np.empty(0)
    if any(len(side) and max(abs(side[0]), abs(side[-1])) >= EXACT for side in (one, two)):
        one, two = _exact(reference, current, (one, two))
    # NaN within a Parquet column is missing too, though Arrow does not count it as null.
    result.missing = (result.total[0] - len(one), result.total[1] - len(two))
    result.kind, result.reference, result.current = "numeric", one, two
    if len(one) and len(two) and _row_number(result.name, reference, one) and _row_number(result.name, current, two):
        result.kind, result.why = "identifier", "counts the rows"
    return result


def _exact(reference: Any, current: Any, rounded: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Whole numbers beyond 2⁵³ less the smallest of them, which a float holds exactly where they lie close together."""
    import pyarrow as pa

    if not all(pa.types.is_integer(column.type) for column in (reference, current)):
        return rounded
    sides = [column.drop_null().to_pylist() for column in (reference, current)]
    if not all(sides):
        return rounded
    least = min(map(min, sides))
    one, two = (np.sort(np.array([value - least for value in side], dtype=float)) for side in sides)
    return one, two


def _category_pair(result: Pair, reference: Any, current: Any, seen: set[str], forced: bool) -> Pair:
    import pyarrow as pa

    reference, current = (
        c.cast(pa.string()) if family(c.type) in {"empty", "number", "boolean"} else c for c in (reference, current)
    )
    labels, one, two = _counts(reference, current)
    result.kind = "boolean" if seen == {"boolean"} else "category"
    result.labels, result.reference, result.current = labels, one, two
    known = result.present[0]
    # The reference decides: categories that dissolve into single values in the new data are drift.
    if not forced and known >= 20 and np.count_nonzero(one) > 0.5 * known:
        result.kind, result.why = "identifier", "nearly every value is different"
    return result


def is_few_valued(column: Pair) -> bool:
    """Whether a numeric column repeats a handful of values."""
    if column.few is None:
        column.few = column.kind == "numeric" and _few(column.reference, column.current)
    return column.few
