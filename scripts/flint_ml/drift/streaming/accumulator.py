"""What one scan adds up of one column of one table. Accumulators of parts merge by addition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from flint_ml.drift.arrow import sorted_numbers, text_as_numbers
from flint_ml.drift.statistics.distributions import Floats, Ints
from flint_ml.drift.statistics.ecdf_grid import Intervals, count, within
from flint_ml.drift.tables.interpret import texts_in
from flint_ml.drift.tables.values import Texts

Mode = Literal["numbers", "classes", "both", "missing", "texts"]

# Categories of a column that are counted; a column with more is no category.
MOST_CLASSES = 1 << 20
_WORD = 1 << 64


@dataclass(frozen=True)
class ColumnRequest:
    """What a scan is to find out about a column.

    ``mode`` says how values are read: as numbers, as classes, as both (text that may hold numbers), or not at all.
    ``edges`` are the grid to count at; ``intervals`` those whose values are collected, of which one in ``thin``.
    Up to ``distinct`` different numbers are counted one by one. The mode ``texts`` asks what texts could be read as,
    ``missing`` being further words for no value.
    """

    mode: Mode
    edges: Floats | None = None
    intervals: Intervals | None = None
    thin: int = 1
    distinct: int = 0
    missing: tuple[str, ...] = ()


@dataclass
class Accumulator:
    """Counts of one column. ``low`` and ``high`` are the smallest and largest number.

    ``values`` counts each different number, and ``classes`` each category, until there are too many (None).
    ``once`` is then the share of the categories seen that occurred once. ``ids`` are the sum and the sum of squares of
    whole numbers, modulo 2⁶⁴; None where numbers are not whole or a batch repeats one.
    """

    rows: int = 0
    missing: int = 0
    numbers: int = 0
    low: float = np.inf
    high: float = -np.inf
    below: Ints | None = None
    upto: Ints | None = None
    values: dict[float, int] | None = field(default_factory=dict)
    tied: bool = False
    ids: tuple[int, int] | None = (0, 0)
    classes: dict[str, int] | None = field(default_factory=dict)
    once: float = 0.0
    collected: list[Floats] = field(default_factory=list)
    texts: Texts | None = None

    @property
    def at_edges(self) -> tuple[Ints, Ints]:
        """Counts below each edge, and not above it."""
        if self.below is None or self.upto is None:
            raise ValueError("the scan was not asked for counts at edges")
        return self.below, self.upto

    def merge(self, other: Accumulator, request: ColumnRequest) -> None:
        """Add the counts of another part of the column."""
        self.rows += other.rows
        self.missing += other.missing
        self.numbers += other.numbers
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.tied |= other.tied
        if other.below is not None and other.upto is not None:
            self.below = other.below if self.below is None else self.below + other.below
            self.upto = other.upto if self.upto is None else self.upto + other.upto
        self.values = _added(self.values, other.values, request.distinct)
        if self.ids is None or other.ids is None:
            self.ids = None
        else:
            self.ids = ((self.ids[0] + other.ids[0]) % _WORD, (self.ids[1] + other.ids[1]) % _WORD)
        self.once = min(self.once, other.once) if min(self.once, other.once) < 0 else max(self.once, other.once)
        before = self.classes
        self.classes = _added(self.classes, other.classes, MOST_CLASSES)
        if before is not None and other.classes is not None and self.classes is None:
            largest = max(before, other.classes, key=len)
            self.once = sum(n == 1 for n in largest.values()) / len(largest)
        self.collected += other.collected
        if other.texts is not None:
            if self.texts is None:
                self.texts = other.texts
            else:
                self.texts.merge(other.texts)


def _added(one: dict[Any, int] | None, two: dict[Any, int] | None, most: int) -> dict[Any, int] | None:
    if one is None or two is None:
        return None
    for key, n in two.items():
        one[key] = one.get(key, 0) + n
    return None if len(one) > most else one


def accumulate(column: Any, request: ColumnRequest) -> Accumulator:
    """Accumulator one batch of a column, a ``pyarrow.ChunkedArray``."""
    result = Accumulator(rows=len(column), missing=int(column.null_count))
    if request.mode == "texts":
        result.texts = texts_in(column, request.missing)
        result.classes = None
    if request.mode in {"classes", "both"}:
        _classes(column, result)
    if request.mode in {"numbers", "both"}:
        _add_numbers(column, request, result)
    if request.mode == "numbers":
        result.missing = result.rows - result.numbers
    return result


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind))


def _classes(column: Any, result: Accumulator) -> None:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        counted = column.drop_null().cast(pa.string()).value_counts()
    except pa.ArrowInvalid:
        # Bytes that are no text.
        result.classes, result.once = None, -1.0
        return
    result.classes = dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))


def numbers_in(column: Any) -> Floats:
    """The numbers of a column, sorted; of text those that are numbers, of dates microseconds."""
    import pyarrow as pa

    if _is_text(column.type):
        column = text_as_numbers(column)[0]
    if pa.types.is_null(column.type):
        return np.empty(0)
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    return sorted_numbers(column)


def _add_numbers(column: Any, request: ColumnRequest, result: Accumulator) -> None:
    import pyarrow as pa

    whole = pa.types.is_integer(column.type)
    ordered = numbers_in(column)
    result.numbers = len(ordered)
    result.ids = None
    if request.edges is not None:
        result.below, result.upto = count(ordered, request.edges)
    if request.intervals is not None:
        result.collected = [_some(within(ordered, request.intervals), request.thin)]
        return
    if not len(ordered):
        result.ids = (0, 0)
        return
    result.low, result.high = float(ordered[0]), float(ordered[-1])
    steps = ordered[1:] != ordered[:-1]
    different = int(np.count_nonzero(steps)) + 1
    result.tied = different < len(ordered)
    if whole and not result.tied:
        result.ids = _id_sums(ordered)
    if different > request.distinct:
        result.values = None
    else:
        first = np.flatnonzero(np.append(True, steps))
        sizes = np.diff(np.append(first, len(ordered)))
        result.values = dict(zip(ordered[first].tolist(), sizes.tolist(), strict=True))


def _some(values: Floats, thin: int) -> Floats:
    """All values, or one in ``thin``, at random but the same whenever they are read."""
    if thin == 1 or not len(values):
        return values
    rng = np.random.default_rng([20220, len(values), int(values[:1].view(np.uint64)[0])])
    return values[rng.random(len(values)) < 1 / thin]


def _id_sums(ordered: Floats) -> tuple[int, int]:
    if max(abs(float(ordered[0])), abs(float(ordered[-1]))) >= 2.0**53:
        return 0, 0
    with np.errstate(over="ignore"):
        values = ordered.astype(np.int64).astype(np.uint64)
        return int(values.sum(dtype=np.uint64)), int((values * values).sum(dtype=np.uint64))


def counts_rows(accumulator: Accumulator) -> bool:
    """Whether whole numbers are those from the smallest to the largest, each once, in whatever plan."""
    n, low = accumulator.numbers, accumulator.low
    if accumulator.ids is None or n < 3 or accumulator.high - low != n - 1:
        return False
    first, last = int(low), int(accumulator.high)

    def squares(k: int) -> int:
        return k * (k + 1) * (2 * k + 1) // 6

    total = (first + last) * n // 2
    return accumulator.ids == (total % _WORD, (squares(last) - squares(first - 1)) % _WORD)
