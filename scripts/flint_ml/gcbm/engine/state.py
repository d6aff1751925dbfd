"""State of a chunk of stands: pools, age, classifiers, and UNFCCC land classes through time (2.9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError
from flint_ml.gcbm.engine.model import Model, StandVariables
from flint_ml.gcbm.engine.stands import Inventory

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class LandClasses:
    """Historic and current class, forest and decay flags, years since the last change, per stand."""

    def __init__(self, model: Model, historic: Sequence[Any], current: Sequence[Any], last_pass: Sequence[str]) -> None:
        """``historic``, ``current`` and ``last_pass`` (disturbance type) hold one entry for each stand."""
        self.model = model
        self.enabled = bool(model.land_classes)
        self.names = sorted(model.land_classes) if self.enabled else []
        n = len(historic)
        self._pairs: dict[tuple[str, str], str] = {}
        if not self.enabled:
            self.forest, self.decaying = np.ones(n, dtype=bool), np.ones(n, dtype=bool)
            return
        self.number = {name: i for i, name in enumerate(self.names)}
        self.is_forest = np.array([model.land_classes[name].forest for name in self.names])
        self.permanent = np.array([model.land_classes[name].years_to_permanent for name in self.names])
        self.historic = self._encode(historic)
        self.current = self._encode([h if c is None else c for h, c in zip(historic, current, strict=True)])
        self.before = self.current.copy()
        self.years = np.zeros(n, dtype=np.int64)
        self.forest = self.is_forest[self.current]
        known: dict[str, bool] = {}
        for kind in set(last_pass):
            target = model.land_transitions.get(kind)
            known[kind] = target is not None and not model.land_classes[target].forest
        self.decaying = self.forest | np.array([known[kind] for kind in last_pass], dtype=bool)

    def _encode(self, names: Sequence[Any]) -> Index:
        unknown = sorted({str(name) for name in names if name not in self.number})
        if unknown:
            raise InputError(
                f"land class {', '.join(unknown)} is not in land_class",
                where=self.model.project.source("Variables", "initial_historic_land_class"),
                hint=f"use one of {', '.join(self.names)}",
                code="gcbm-land-class",
            )
        return np.array([self.number[name] for name in names], dtype=np.int64)

    def event(self, kind: str, stands: Index) -> None:
        """A disturbance of this type happens; its land class takes effect at the end of the step."""
        target = self.model.land_transitions.get(kind) if self.enabled else None
        if target is not None:
            self.current[stands] = self.number[target]

    def step(self) -> None:
        """The year's bookkeeping, after the events and before growth."""
        if not self.enabled:
            return
        self.years += 1
        changed = self.current != self.before
        flips = ~changed & (self.historic != self.current) & (self.years > self.permanent[self.current])
        self.historic[flips] = self.current[flips]
        self.historic[changed] = self.before[changed]
        self.before[changed] = self.current[changed]
        self.years[changed] = 0
        self.decaying[changed] = True
        moved = changed | flips
        self.forest[moved] = self.is_forest[self.current[moved]]

    def reported(self) -> tuple[Index, list[str]]:
        """Each stand's number and the reported names by number."""
        if not self.enabled:
            return np.zeros(self.forest.size, dtype=np.int64), [self._constant()]
        size = len(self.names)
        names = [f"UNFCCC_{h}_R_{c}" for h in self.names for c in self.names]
        return self.historic * size + self.before, names

    def _constant(self) -> str:
        variables = self.model.variables
        name = variables.constant("unfccc_land_class", "UNFCCC_FL_R_FL")
        return str(name)


@dataclass
class Stands:
    """State of a chunk's stands. Pools are (pools, stands) in tC/ha; the rest has one entry per stand."""

    inventory: Inventory
    variables: StandVariables
    pools: Array
    age: Index
    delay: Index
    sets: Index
    place: Index
    key: Index
    spatial_unit: Index
    rates: Array
    mixing: Array
    alive: NDArray[np.bool_]
    skip_missing: bool = False

    @property
    def count(self) -> int:
        return int(self.age.size)


@dataclass
class State:
    """What a process sees and changes: stands and their land classes; ``fail`` takes stands out of the run."""

    stands: Stands
    land: LandClasses
    fail: Callable[[Index], None]
