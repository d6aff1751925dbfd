"""Which growth parameters a stand has: growth keys for (classifier set, place)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.gcbm.engine.curves import CarbonCurve, CurveSource, build_curves
from flint_ml.gcbm.engine.growth import GrowthTable
from flint_ml.gcbm.engine.model import Model
from flint_ml.gcbm.project.variables import CLASSIFIER_SET, NullVariableError, freeze

Index = NDArray[np.int64]

NO_CURVE = -1
_TABLES = ("softwood_yield_table", "hardwood_yield_table", "volume_to_biomass_parameters")
PLACE_VARIABLES = (*_TABLES, "turnover_rates", "growth_curve_id", "spatial_unit_id")


class GrowthKeys:
    """Growth keys, made when first needed; classifier sets and places are numbered here.

    A *place* is a combination of the layers that growth parameters depend on. ``ids`` are the growth
    curve ids of the keys, ``NO_CURVE`` stands for a classifier set that no curve matches.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.sets: list[dict[str, Any]] = []
        self._set_number: dict[Any, int] = {}
        self.places: list[dict[str, Any]] = []
        self._known: dict[tuple[int, int], int] = {}
        self._by_curve: dict[tuple[Any, ...], int] = {}
        self.ids: list[int] = []
        self.curves: list[CarbonCurve] = []
        self._turnover: list[dict[str, Any] | None] = []
        self._waiting: list[tuple[CurveSource, dict[str, Any] | None]] = []
        self.grows: list[bool] = []
        self.table = GrowthTable.build([], [])
        self.above: list[NDArray[np.float64]] = []

    def set_number(self, classifier_set: dict[str, Any]) -> int:
        key = freeze(classifier_set)
        if key not in self._set_number:
            self._set_number[key] = len(self.sets)
            self.sets.append(classifier_set)
        return self._set_number[key]

    def changed_set(self, number: int, changes: tuple[tuple[str, str], ...]) -> int:
        """Number of the classifier set after a transition."""
        return self.set_number(dict(sorted({**self.sets[number], **dict(changes)}.items())))

    def of(self, sets: Index, places: Index) -> Index:
        """Growth key of each stand, -1 without curve; builds what is new and refreshes ``table``."""
        if sets.size == 0:
            return np.zeros(0, dtype=np.int64)
        joint = sets * (len(self.places) + 1) + places
        distinct, first, inverse = np.unique(joint, return_index=True, return_inverse=True)
        del distinct
        keys = np.array([self._key(int(sets[i]), int(places[i])) for i in first], dtype=np.int64)
        self._build()
        return keys[inverse]

    def _key(self, number: int, place: int) -> int:
        found = self._known.get((number, place))
        if found is None:
            found = self._make({**self.places[place], CLASSIFIER_SET: self.sets[number]})
            self._known[number, place] = found
        return found

    def _make(self, leaves: dict[str, Any]) -> int:
        variables = self.model.variables
        curve = variables.evaluate("growth_curve_id", leaves)
        try:
            tables = [variables.evaluate(name, leaves) for name in _TABLES]
            turnover = variables.evaluate("turnover_rates", leaves)
        except NullVariableError:
            if curve is None:
                return NO_CURVE
            raise
        place = tuple(
            freeze(leaves[leaf])
            for leaf in sorted(set().union(*(variables.leaves(name) for name in PLACE_VARIABLES)))
            if leaf != CLASSIFIER_SET
        )
        key = (curve, *place)
        if key not in self._by_curve:
            self._by_curve[key] = len(self.ids)
            self.ids.append(NO_CURVE if curve is None else int(curve))
            self.grows.append(curve is not None)
            self._waiting.append((CurveSource(str(curve), *tables), turnover))
        return self._by_curve[key]

    def _build(self) -> None:
        if not self._waiting:
            return
        made = build_curves([source for source, _ in self._waiting], smoothing=self.model.smoothing)
        self.curves += made
        self.above += [curve.above_ground() for curve in made]
        self._turnover += [turnover for _, turnover in self._waiting]
        self._waiting = []
        self.table = GrowthTable.build(self.curves, self._turnover)
