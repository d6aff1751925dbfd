"""Disturbances: matrices that move carbon, and which stands have which event in which year (2.7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError
from flint_ml.gcbm.engine.model import Matrix, Model, StandVariables
from flint_ml.gcbm.project.problems import FLINT_HINT

Array = NDArray[np.float64]


def apply_matrix(matrix: Matrix, pools: Array) -> list[tuple[int, int, Array]]:
    """Disturb (pools, n) in place; all amounts come from the values before the event.

    Returns the transfers (source, sink, amount in tC/ha).
    """
    before = pools.copy()
    moved = []
    for source, sink, share in matrix.transfers:
        if share == 0.0:
            continue
        amount = before[source] * share
        pools[source] -= amount
        pools[sink] += amount
        moved.append((source, sink, amount))
    return moved


Index = NDArray[np.int64]


@dataclass(frozen=True)
class Event:
    """One attribute record of a disturbance layer."""

    layer: str
    year: int
    kind: str
    transition: int | None


def parse_event(model: Model, layer: str, record: Any) -> Event:
    """Read an attribute record; InputError when it is none, or names an unknown type or transition."""
    where = _where(model, layer)
    if not isinstance(record, dict):
        raise InputError(
            f"disturbance layer {layer}: the attribute {record!r} is no record; the C++ ignores it in silence",
            where=where,
            hint="give each value a record with year and disturbance_type",
            code="gcbm-event",
        )
    if record.get("conditions"):
        raise InputError(
            f"disturbance layer {layer} uses conditions, which the embedded engine does not have",
            where=where,
            hint=FLINT_HINT,
            code="gcbm-unsupported",
        )
    kind = record.get("disturbance_type")
    number = record.get("disturbance_type_id")
    if kind is None and number is not None:
        kind = model.names_by_code.get(int(number))
    known = kind is not None and (kind in model.codes or not model.codes)
    if not known or (number is not None and model.names_by_code.get(int(number)) != kind):
        raise InputError(
            f"disturbance layer {layer}: disturbance type {record.get('disturbance_type', number)!r} "
            "is not in the input database",
            where=where,
            hint="use a name from the table disturbance_type, letter by letter",
            code="gcbm-disturbance-type",
        )
    try:
        year = int(record["year"])
        transition = None if record.get("transition") is None else int(record["transition"])
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"disturbance layer {layer}: {record!r} has no usable year or transition",
            where=where,
            hint="year and transition are whole numbers",
            code="gcbm-event",
        ) from None
    if transition == -1:
        transition = None
    return Event(layer, year, str(kind), transition)


def _where(model: Model, layer: str) -> str:
    transform = model.variables.transform(layer) or {}
    found = model.layers.get(str(transform.get("data_id")))
    return found.where if found else model.project.source("Variables", layer)


class EventPlan:
    """All events of a set of stands."""

    def __init__(self, model: Model, stands: StandVariables) -> None:
        self.model = model
        self._by_year: dict[int, list[tuple[int, int, Event, Index]]] = {}
        for position, name in enumerate(model.listener):
            values, index = stands.of(name)
            order = np.argsort(index, kind="stable")
            bounds = np.searchsorted(index[order], np.arange(len(values) + 1))
            for number, value in enumerate(values):
                members = order[bounds[number] : bounds[number + 1]]
                if value is None or members.size == 0:
                    continue
                event = parse_event(model, name, value)
                rank = self._rank(event)
                self._by_year.setdefault(event.year, []).append((rank, position, event, members))

    def _rank(self, event: Event) -> int:
        if self.model.order is None:
            return 0
        if event.kind not in self.model.order:
            raise InputError(
                f"disturbance type {event.kind!r} is in no disturbance order list; the C++ has no defined order then",
                where=self.model.project.source("Variables", "default_disturbance_order"),
                hint="add it to user_disturbance_order or default_disturbance_order",
                code="gcbm-disturbance-order",
            )
        return self.model.order[event.kind]

    def of(self, year: int) -> Iterator[tuple[Event, Index]]:
        """Events of a year in the order in which every stand sees its own."""
        for _, _, event, members in sorted(self._by_year.get(year, []), key=lambda e: (e[0], e[1])):
            yield event, members

    def years(self) -> list[int]:
        return sorted(self._by_year)

    def all(self) -> Iterator[tuple[Event, Index]]:
        for year in self.years():
            yield from self.of(year)
