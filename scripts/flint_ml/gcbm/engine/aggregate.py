"""Result of a run, and how it is added up.

Sums over pixels are made by block first, then over blocks in block order, so that parts merge bit for bit.

A *location* is (step, reporting classifiers, land class, age class), as in the reference's database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flint_ml.gcbm.engine.disturbance import EventPlan
from flint_ml.gcbm.engine.initial import SpinupReport
from flint_ml.gcbm.engine.model import Model
from flint_ml.gcbm.engine.processes import FLOWS
from flint_ml.gcbm.engine.stands import Inventory, add_up

Array = NDArray[np.float64]
Index = NDArray[np.int64]
ENGINE = "flint-ml embedded GCBM engine"
ENGINE_VERSION = "1"
Location = tuple[int, int, int, int]  # step, reporting set, land class, age class


@dataclass
class Names:
    """Numbers used in keys and what they stand for; they differ between jobs, the texts do not."""

    sets: list[tuple[str | None, ...]] = field(default_factory=list)
    lands: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    types: list[tuple[int, str]] = field(default_factory=list)  # code, name
    _known: dict[str, dict[object, int]] = field(default_factory=dict)

    def number(self, kind: str, value: object) -> int:
        known = self._known.setdefault(kind, {v: i for i, v in enumerate(getattr(self, kind))})
        if value not in known:
            known[value] = len(known)
            getattr(self, kind).append(value)
        return known[value]


@dataclass
class Partials:
    """Sums of each (block, location), with one row per entry.

    ``keys`` (rows, 5): block order, step, set, land, age class. ``sums`` (rows, 1 + pools + 51): area in
    ha, pools and yearly flows in tC. ``events`` (rows, 9): block, step, set, land, age class, type,
    previous set, land, age class with ``event_area``; ``moves`` (rows, 11): the same, source, sink with
    ``moved`` in tC. ``failures`` (rows, 5): block, set, land, age class, error with ``failed`` area.
    """

    keys: Index
    sums: Array
    events: Index
    event_area: Array
    moves: Index
    moved: Array
    failures: Index
    failed: Array


Status = Literal["passed", "warned", "failed"]


@dataclass(frozen=True)
class Check:
    """One check: ``value`` is compared with ``tolerance`` (both in ``unit``); above it, ``status`` tells."""

    name: str
    status: Status
    value: float
    tolerance: float
    unit: str
    message: str


@dataclass
class Observed:
    """What a run saw beside its sums."""

    event_area: Counter[tuple[int, str]] = field(default_factory=Counter)
    outside_area: Counter[tuple[str, int]] = field(default_factory=Counter)
    skipped: Counter[tuple[str, int]] = field(default_factory=Counter)
    unlistened: list[str] = field(default_factory=list)
    bad_matrix_rows: int = 0
    worst_matrix_row: float = 0.0
    unstable_ha: float = 0.0
    null_temperature_ha: float = 0.0
    spinup_masked_ha: float = 0.0

    def add(self, model: Model, inventory: Inventory, events: EventPlan, skipped: dict[tuple[str, int], int]) -> None:
        area = inventory.stand_area()
        inside = set(model.years)
        for event, members in events.all():
            size = float(area[members].sum())
            if event.year in inside:
                self.event_area[event.year, event.kind] += size  # type: ignore[assignment]
            else:
                self.outside_area[event.layer, event.year] += size  # type: ignore[assignment]
        self.skipped.update(skipped)

    def to_json(self) -> dict[str, Any]:
        """For a part's file; ``join`` reads it back."""
        return {
            "event_area": [[*key, area] for key, area in self.event_area.items()],
            "outside_area": [[*key, area] for key, area in self.outside_area.items()],
            "skipped": [[*key, count] for key, count in self.skipped.items()],
            "unlistened": self.unlistened,
            "bad_matrix_rows": self.bad_matrix_rows,
            "worst_matrix_row": self.worst_matrix_row,
            "unstable_ha": self.unstable_ha,
            "null_temperature_ha": self.null_temperature_ha,
            "spinup_masked_ha": self.spinup_masked_ha,
        }

    @classmethod
    def join(cls, parts: list[dict[str, Any]]) -> Observed:
        """What several parts of one run saw together."""
        seen = cls(
            unlistened=parts[0]["unlistened"],
            bad_matrix_rows=parts[0]["bad_matrix_rows"],
            worst_matrix_row=parts[0]["worst_matrix_row"],
        )
        for part in parts:
            for name in ("event_area", "outside_area", "skipped"):
                for first, second, amount in part[name]:
                    getattr(seen, name)[first, second] += amount
            seen.unstable_ha += part["unstable_ha"]
            seen.null_temperature_ha += part["null_temperature_ha"]
            seen.spinup_masked_ha += part["spinup_masked_ha"]
        return seen

    def finish(self, model: Model, spinup: SpinupReport, unlistened: list[str]) -> None:
        self.unstable_ha, self.null_temperature_ha = spinup.unstable_ha, spinup.null_temperature_ha
        self.spinup_masked_ha = spinup.masked_ha
        self.bad_matrix_rows = model.matrices.bad_rows
        self.worst_matrix_row = max(model.matrices.row_deviation.values(), default=0.0)
        self.unlistened = unlistened


@dataclass
class Result:
    """Results of a run, added up by location.

    ``locations`` (rows, 4): step, reporting set, land class, age class (numbers into ``names``);
    ``sums`` (rows, 1 + pools + flows): area (ha), pools and flows (tC), columns ``pool_names`` and
    ``processes.FLOWS``. ``events``, ``moves``, ``failures``: as in ``Partials`` without the block.
    """

    years: list[int]
    first_day: tuple[int, int]
    pool_names: list[str]
    pool_index: dict[str, int]
    classifiers: list[str]
    names: Names
    locations: Index
    sums: Array
    events: Index
    event_area: Array
    moves: Index
    moved: Array
    failures: Index
    failed: Array
    age_bounds: list[tuple[int, int]]
    age_indicators: bool
    stands: int
    pixels: int
    area_ha: float
    blocks: list[str]
    checks: list[Check] = field(default_factory=list)
    partials: Partials | None = None
    fingerprint: dict[str, Any] = field(default_factory=dict)
    observed: Observed | None = None
    block_areas: list[tuple[int, float]] = field(default_factory=list)
    stand_ids: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))

    @property
    def engine(self) -> str:
        return f"{ENGINE} {ENGINE_VERSION} (not moja.cli)"


def unique_rows(keys: Index) -> tuple[Index, Index]:
    """Distinct rows of non-negative numbers in lexicographic order, and each row's place among them."""
    code = np.zeros(keys.shape[0], dtype=np.int64)
    size = 1
    for column in keys.T:
        span = int(column.max(initial=0)) + 1
        if size > (1 << 62) // span:
            _, code = np.unique(code, return_inverse=True)
            size = int(code.max(initial=0)) + 1
        code = code * span + column
        size *= span
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    return keys[first], inverse


class Sums:
    """Sums by key, added in the order in which rows come: ((s1 + s2) + s3) + ..., whatever the size of the pieces."""

    def __init__(self, columns: int, width: int) -> None:
        self.keys: Index = np.zeros((0, columns), dtype=np.int64)
        self.values: Array = np.zeros((0, width))

    def add(self, keys: Index, values: Array) -> None:
        """Rows of keys (n, columns) and values (n, width), in block order."""
        known = self.keys.shape[0]
        distinct, place = unique_rows(np.concatenate([self.keys, keys]))
        out = np.empty((distinct.shape[0], values.shape[1]))
        for number, column in enumerate(values.T):
            # What is known comes first: adding goes on where it stopped.
            weights = np.concatenate([self.values[:, number], column])
            out[:, number] = add_up(place, weights, distinct.shape[0]) if known or column.any() else 0.0
        self.keys, self.values = distinct, out


class Folded:
    """Sums over blocks by step and key, folded as they come: memory follows groups and years, not blocks.

    The order of sums is fixed: pixels within a block, stand by stand; then blocks in the order of their numbers, one
    after the other from zero. So any split of the blocks into chunks gives the same bits.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._steps: dict[str, dict[int, Sums]] = {"keys": {}, "events": {}, "moves": {}}
        self._failures = Sums(4, 1)

    def add(self, kind: str, keys: Index, values: Array) -> None:
        """Rows of one chunk: ``keys`` begin with the block, then (but for failures) the one step that they share."""
        if not keys.shape[0]:
            return
        rows = values.reshape(keys.shape[0], -1)
        if kind == "failures":
            self._failures.add(keys[:, 1:], rows)
            return
        steps = self._steps[kind]
        for step in np.unique(keys[:, 1]):
            mine = keys[:, 1] == step
            sums = steps.setdefault(int(step), Sums(keys.shape[1] - 2, rows.shape[1]))
            sums.add(keys[mine, 2:], rows[mine])

    @property
    def empty(self) -> bool:
        """Whether nothing was added."""
        return not self._steps["keys"] and not self._failures.keys.size

    def rows(self, kind: str, columns: int, width: int) -> tuple[Index, Array]:
        """Keys (step first) in lexicographic order, and their sums."""
        steps = self._steps[kind]
        if not steps:
            return np.zeros((0, columns), dtype=np.int64), np.zeros((0, width))
        keys = [np.insert(steps[step].keys, 0, step, axis=1) for step in sorted(steps)]
        return np.concatenate(keys), np.concatenate([steps[step].values for step in sorted(steps)])

    def result(self, **about: Any) -> Result:
        """The result that these sums make."""
        locations, sums = self.rows("keys", 4, self.width)
        events, event_area = self.rows("events", 8, 1)
        moves, moved = self.rows("moves", 10, 1)
        return Result(
            locations=locations,
            sums=sums,
            events=events,
            event_area=event_area[:, 0],
            moves=moves,
            moved=moved[:, 0],
            failures=self._failures.keys,
            failed=self._failures.values[:, 0],
            **about,
        )


class Kept:
    """The rows of every block, as they come: what parts of a run need to be joined to the same bits."""

    def __init__(self, width: int) -> None:
        self._rows: dict[str, list[tuple[Index, Array]]] = {"keys": [], "events": [], "moves": [], "failures": []}
        self._columns = {"keys": (5, width), "events": (9, 0), "moves": (11, 0), "failures": (5, 0)}

    def add(self, kind: str, keys: Index, values: Array) -> None:
        """Rows of one chunk."""
        self._rows[kind].append((keys, values))

    def partials(self) -> Partials:
        """Everything, sorted by block."""
        fields: list[Any] = []
        for kind, (columns, width) in self._columns.items():
            fields += _stack(self._rows[kind], columns, width)
        return Partials(*fields)


def total(values: Any) -> float:
    """Sum in the given order."""
    out = 0.0
    for value in values:
        out += value
    return out


class Recorder:
    """Adds a chunk up by block, year by year, and hands the rows on to ``sinks``."""

    def __init__(self, inventory: Inventory, pool_order: Index, sinks: Sequence[Folded | Kept]) -> None:
        self.inventory, self.sinks = inventory, sinks
        self.pool_order = pool_order
        self.block_order = np.array([block.order for block in inventory.blocks], dtype=np.int64)
        self.width = 1 + pool_order.size + len(FLOWS)

    def _hand_on(self, kind: str, keys: Index, values: Array) -> None:
        for sink in self.sinks:
            sink.add(kind, keys, values)

    def _pairs(self, stands: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32], Array]:
        inside = stands[self.inventory.pair_stand]
        if inside.all():
            return self.inventory.pair_block, self.inventory.pair_stand, self.inventory.pair_area
        return (
            self.inventory.pair_block[inside],
            self.inventory.pair_stand[inside],
            self.inventory.pair_area[inside],
        )

    def _group(self, place: NDArray[np.integer[Any]], block: NDArray[np.int32], columns: Index) -> tuple[Index, Index]:
        """Number (block, key) groups; returns each pair's group and the groups' keys with block order."""
        if columns.shape[0] == 0:
            return np.zeros(0, dtype=np.int64), np.zeros((0, columns.shape[1] + 1), dtype=np.int64)
        spans = columns.max(axis=0) + 1
        key = np.zeros(columns.shape[0], dtype=np.int64)
        size = 1
        for i, span in enumerate(spans):
            if size > (1 << 62) // int(span):
                _, key = np.unique(key, return_inverse=True)
                size = int(key.max()) + 1
            key = key * int(span) + columns[:, i]
            size *= int(span)
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        joint = block.astype(np.int64) * first.size + inverse[place]
        distinct, group = np.unique(joint, return_inverse=True)
        rows = columns[first[distinct % first.size]]
        return group, np.column_stack([self.block_order[distinct // first.size], rows])

    def locations(
        self, step: int, location: Index, alive: NDArray[np.bool_], pools: Array, flows: Array | None
    ) -> None:
        """State of a year: ``location`` (stands, 3) set, land, age class; pools and flows in tC/ha."""
        block, stand, area = self._pairs(alive)
        group, keys = self._group(stand, block, location)
        if keys.shape[0] == 0:
            return
        sums = np.zeros((keys.shape[0], self.width))
        sums[:, 0] = add_up(group, area, keys.shape[0])
        rows = [pools[i] for i in self.pool_order]
        rows += list(flows) if flows is not None else []
        straight = np.array_equal(stand, np.arange(pools.shape[1]))
        for column, row in enumerate(rows, 1):
            if row.any():
                values = row * area if straight else row.take(stand) * area
                sums[:, column] = add_up(group, values, keys.shape[0])
        self._hand_on("keys", np.insert(keys, 1, step, axis=1), sums)

    def event(
        self,
        step: int,
        stands: Index,
        now: Index,
        before: Index,
        *,
        kind: int,
        moved: list[tuple[int, int, Array]],
    ) -> None:
        """One event on some stands: their locations after and before, and the transfers in tC/ha."""
        chosen = np.zeros(self.inventory.stands, dtype=bool)
        chosen[stands] = True
        block, stand, area = self._pairs(chosen)
        if stand.size == 0:
            return
        local = np.cumsum(chosen) - 1
        place = local[stand]
        columns = np.column_stack([now, np.full(stands.size, kind), before])
        group, keys = self._group(place, block, columns)
        keys = np.insert(keys, 1, step, axis=1)
        count = keys.shape[0]
        self._hand_on("events", keys, add_up(group, area, count))
        for source, sink, amount in moved:
            if amount.any():
                ends = np.tile([source, sink], (count, 1))
                value = add_up(group, amount[place] * area, count)
                self._hand_on("moves", np.column_stack([keys, ends]), value)

    def failure(self, stands: NDArray[np.bool_], location: Index, error: int) -> None:
        """Stands that leave the simulation: the reference adds their area to year 0 once more."""
        block, stand, area = self._pairs(stands)
        columns = np.column_stack([location, np.full(location.shape[0], error)])
        group, keys = self._group(stand, block, columns)
        self._hand_on("failures", keys, add_up(group, area, keys.shape[0]))


def _stack(parts: list[tuple[Index, Array]], columns: int, width: int) -> tuple[Index, Array]:
    if not parts:
        return np.zeros((0, columns), dtype=np.int64), np.zeros((0, width) if width else 0)
    keys = np.concatenate([key for key, _ in parts])
    sums = np.concatenate([value for _, value in parts])
    order = np.argsort(keys[:, 0], kind="stable")
    return keys[order], sums[order]
