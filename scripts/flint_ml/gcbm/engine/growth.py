"""Growth, roots and turnover of a year (2.5), and which growth parameters each stand has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flint_ml.gcbm import libm
from flint_ml.gcbm.engine.curves import CarbonCurve, CurveSource, build_curves
from flint_ml.gcbm.engine.model import Model
from flint_ml.gcbm.engine.state import State
from flint_ml.gcbm.pools import INDEX, LIVE, SIDES
from flint_ml.gcbm.project.problems import readable
from flint_ml.gcbm.project.variables import CLASSIFIER_SET, NullVariableError, freeze

Array = NDArray[np.float64]
Index = NDArray[np.int64]

OVERMATURE = -0.0001
_RATES = ("stem", "foliage", "branch", "coarse_root", "fine_root")
_SPLITS = ("other_to_branch_snag_split", "coarse_root_split", "fine_root_ag_split")
_SNAGS = ("stem_snag", "branch_snag")
# Order of biomass parts in the pools: Merch, Foliage, Other, CoarseRoots, FineRoots.


def litter_targets(side: str) -> tuple[tuple[str, str], ...]:
    """Turnover of one forest type: (biomass part, dead organic matter pool), eight transfers."""
    return (
        (f"{side}Merch", f"{side}StemSnag"),
        (f"{side}Foliage", "AboveGroundVeryFastSoil"),
        (f"{side}Other", f"{side}BranchSnag"),
        (f"{side}Other", "AboveGroundFastSoil"),
        (f"{side}CoarseRoots", "AboveGroundFastSoil"),
        (f"{side}CoarseRoots", "BelowGroundFastSoil"),
        (f"{side}FineRoots", "AboveGroundVeryFastSoil"),
        (f"{side}FineRoots", "BelowGroundVeryFastSoil"),
    )


UPTAKE = tuple(("Atmosphere", pool) for pool in LIVE)
LITTER_FALL = tuple(pair for side in SIDES for pair in litter_targets(side))
SNAG_FALL = tuple(
    pair for side in SIDES for pair in ((f"{side}StemSnag", "MediumSoil"), (f"{side}BranchSnag", "AboveGroundFastSoil"))
)
# Rows of the flux array: first row of each kind of transfer.
FLOWS = (*UPTAKE, *LITTER_FALL, *SNAG_FALL)
FLOW_UPTAKE = 0
FLOW_LITTER = len(UPTAKE)
FLOW_SNAG = FLOW_LITTER + len(LITTER_FALL)


@dataclass
class GrowthTable:
    """Everything growth needs, one column for each growth key (curve and place).

    ``increments``: (6, keys * width), increment at key * width + min(age, width - 1).
    ``present``: (2, keys) whether the forest type has a curve. ``roots``: (2, 5, keys) a, b, frp_a, frp_b,
    frp_c. ``rates``: (2, 5, keys) turnover of Merch, Foliage, Other, CoarseRoots, FineRoots.
    ``splits``: (2, 3, keys) branch snag, coarse above ground, fine above ground. ``snags``: (2, 2, keys).
    """

    increments: Array
    width: int
    present: NDArray[np.bool_]
    roots: Array
    rates: Array
    splits: Array
    snags: Array

    @classmethod
    def build(cls, curves: Sequence[CarbonCurve], turnover: Sequence[dict[str, Any] | None]) -> GrowthTable:
        """Table of growth keys from carbon curves and their ``turnover_rates`` records."""
        keys = len(curves)
        width = max([curve.ages for curve in curves], default=1)
        increments = np.zeros((6, keys, width))
        present = np.zeros((2, keys), dtype=bool)
        roots = np.zeros((2, 5, keys))
        roots[:, 1] = 1.0
        rates, splits, snags = np.zeros((2, 5, keys)), np.zeros((2, 3, keys)), np.zeros((2, 2, keys))
        for key, (curve, row) in enumerate(zip(curves, turnover, strict=True)):
            increments[:, key, : curve.ages] = curve.increments()
            for number, side in enumerate(SIDES):
                prefix = "sw" if number == 0 else "hw"
                if row is not None:
                    rates[number, :, key] = [row[f"{prefix}_{name}_turnover"] for name in _RATES]
                    splits[number, :, key] = [row[f"{prefix}_{name}"] for name in _SPLITS]
                    snags[number, :, key] = [row[f"{prefix}_{name}_turnover"] for name in _SNAGS]
                if side in curve.parts:
                    f = curve.factors[side]
                    present[number, key] = True
                    power = 1.0 if number == 0 else f["hw_b"]
                    roots[number, :, key] = [f[f"{prefix}_a"], power, f["frp_a"], f["frp_b"], f["frp_c"]]
        return cls(increments.reshape(6, keys * width), width, present, roots, rates, splits, snags)


def _above_ground(table: GrowthTable, side: int, live: Array, place: Index) -> tuple[Array, Array, Array, Array]:
    """Increments of Merch, Foliage, Other (no pool below zero), and the carbon they lead to."""
    rows = table.increments[3 * side : 3 * side + 3]
    merch, foliage, other = (np.maximum(rows[i].take(place), -live[5 * side + i]) for i in range(3))
    carbon = live[5 * side] + merch + live[5 * side + 2] + other + live[5 * side + 1] + foliage
    return merch, foliage, other, carbon


def _increments(table: GrowthTable, live: Array, keys: Index, age: Index) -> list[Array | None]:
    """Increments of the ten biomass pools for one year; None where no stand has the forest type."""
    place = keys * table.width + np.minimum(age, table.width - 1)
    found: list[Any] = [None] * 10
    biomass = np.zeros(keys.size)
    root: list[Any] = [None, None]
    for side in range(2):
        here = table.present[side].take(keys)
        if not here.any():
            continue
        merch, foliage, other, carbon = _above_ground(table, side, live, place)
        a, b = table.roots[side, 0].take(keys), table.roots[side, 1].take(keys)
        doubled = carbon / 0.5
        grown = a * doubled if side == 0 else a * libm.power(np.where(here, doubled, 1.0), b)
        root[side] = np.where(here, grown, 0.0)
        biomass += root[side]
        found[5 * side : 5 * side + 3] = [np.where(here, x, 0.0) for x in (merch, foliage, other)]
    for side in range(2):
        if root[side] is None:
            continue
        here = table.present[side].take(keys)
        p = [table.roots[side, i].take(keys) for i in (2, 3, 4)]
        fine = p[0] + p[1] * libm.exp(p[2] * biomass)
        carbon = root[side] * 0.5
        found[5 * side + 3] = np.where(here, carbon * (1.0 - fine) - live[5 * side + 3], 0.0)
        found[5 * side + 4] = np.where(here, carbon * fine - live[5 * side + 4], 0.0)
    return found


class _Move:
    """Apply transfers to live and dead pools, and add them up in the flux rows."""

    def __init__(self, pools: Array, flows: Array) -> None:
        self.pools, self.flows = pools, flows

    def __call__(self, row: int, source: int, sink: int, amount: Array) -> None:
        self.pools[source] -= amount
        self.pools[sink] += amount
        self.flows[row] += amount


def grow_year(table: GrowthTable, pools: Array, flows: Array, keys: Index, age: Index, *, growing: bool = True) -> None:
    """Growth and turnover of one year, in the reference's order; ``age`` is before growth and unchanged.

    A year that is not ``growing`` has turnover alone, which the atmosphere replaces: biomass stays as it is.

    Parameters
    ----------
    table
        Parameters by growth key.
    pools
        (pools, n) tC/ha in the order of ``pools.STANDARD``; changed in place.
    flows
        (30, n) tC/ha, rows of ``FLOWS``; this year's amounts are added.
    keys, age
        (n,) growth key and stand age.
    """
    move = _Move(pools, flows)
    grown: list[Array | None] = _increments(table, pools, keys, age) if growing else [None] * 10
    atmosphere = INDEX["Atmosphere"]
    halves, losses = _halves(table, grown, keys)
    snag = [pools[INDEX[f"{side}{kind}"]].copy() for side in SIDES for kind in ("StemSnag", "BranchSnag")]
    _half_growth(move, halves, losses, atmosphere)
    stock = [pools[i].copy() if grown[i] is not None or pools[i].any() else None for i in range(10)]
    for i, x in enumerate(stock):
        if x is not None:
            rate = table.rates[i // 5, i % 5].take(keys)
            move(FLOW_UPTAKE + i, atmosphere, i, x * rate)
    for number, amount in enumerate(snag):
        side, kind = divmod(number, 2)
        sink = INDEX["MediumSoil" if kind == 0 else "AboveGroundFastSoil"]
        source = INDEX[f"{SIDES[side]}{'StemSnag' if kind == 0 else 'BranchSnag'}"]
        move(FLOW_SNAG + number, source, sink, amount * table.snags[side, kind].take(keys))
    for side in range(2):
        _litter(move, table, side, stock[5 * side : 5 * side + 5], keys)
    _half_growth(move, halves, losses, atmosphere)


def _halves(
    table: GrowthTable, grown: list[Array | None], keys: Index
) -> tuple[list[Array | None], list[tuple[int, int, int, Array]]]:
    """Half increments to exchange with the atmosphere, and half losses of overmature stands to litter."""
    halves: list[Array | None] = [None if g is None else g / 2.0 for g in grown]
    losses: list[tuple[int, int, int, Array]] = []
    for side in range(2):
        parts = grown[5 * side : 5 * side + 5]
        if any(p is None for p in parts):
            continue
        merch, foliage, other, coarse, fine = (p for p in parts if p is not None)
        declining = (merch + other + foliage + coarse + fine) < OVERMATURE
        if not declining.any():
            continue
        for part, increment in enumerate((merch, foliage, other, coarse, fine)):
            lost = declining & (increment < 0.0)
            if lost.any():
                pool = 5 * side + part
                kept = halves[pool]
                halves[pool] = None if kept is None else np.where(lost, 0.0, kept)
                losses += _litter_split(table, side, part, np.where(lost, -increment, 0.0), rate=None, keys=keys)
    return halves, [(row, source, sink, amount / 2.0) for row, source, sink, amount in losses]


def _half_growth(
    move: _Move, halves: list[Array | None], losses: list[tuple[int, int, int, Array]], atmosphere: int
) -> None:
    for row, source, sink, amount in losses:
        move(row, source, sink, amount)
    for pool, half in enumerate(halves):
        if half is not None:
            move(FLOW_UPTAKE + pool, atmosphere, pool, half)


def _litter(move: _Move, table: GrowthTable, side: int, stock: list[Array | None], keys: Index) -> None:
    for part, x in enumerate(stock):
        if x is not None:
            rate = table.rates[side, part].take(keys)
            for transfer in _litter_split(table, side, part, x, rate=rate, keys=keys):
                move(*transfer)


def _litter_split(
    table: GrowthTable, side: int, part: int, amount: Array, *, rate: Array | None, keys: Index
) -> list[tuple[int, int, int, Array]]:
    """Where falling biomass of one part goes: (flux row, source, sink, amount * split * rate)."""
    name = SIDES[side]
    row = FLOW_LITTER + 8 * side
    source = 5 * side + part
    scale = 1.0 if rate is None else rate
    if part == 0:
        return [(row, source, INDEX[f"{name}StemSnag"], amount * scale)]
    if part == 1:
        return [(row + 1, source, INDEX["AboveGroundVeryFastSoil"], amount * scale)]
    split = table.splits[side, part - 2].take(keys)
    first, second, offset = {
        2: (f"{name}BranchSnag", "AboveGroundFastSoil", 2),
        3: ("AboveGroundFastSoil", "BelowGroundFastSoil", 4),
        4: ("AboveGroundVeryFastSoil", "BelowGroundVeryFastSoil", 6),
    }[part]
    return [
        (row + offset, source, INDEX[first], amount * split * scale),
        (row + offset + 1, source, INDEX[second], amount * (1.0 - split) * scale),
    ]


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
        _, first, inverse = np.unique(joint, return_index=True, return_inverse=True)
        with readable("the growth parameters of the input database", str(self.model.project.database)):
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


class Growth:
    """CBMGrowthModule: growth, roots and turnover of the stands that grow this year (2.5)."""

    name: ClassVar[str] = "CBMGrowthModule"
    identity: ClassVar[tuple[int, int, int, int]] = (3, 5, 0, 6)
    flows: ClassVar[tuple[tuple[str, str], ...]] = FLOWS

    def __init__(self, model: Model, keys: GrowthKeys) -> None:
        self.keys = keys

    def step(self, state: State, flows: Array) -> None:
        """Grow each living stand on forest land that waits for no regeneration; a stand without curve fails."""
        stands, land = state.stands, state.land
        waiting = stands.delay > 0
        ready = stands.alive & ~waiting
        lost = ready & (stands.key == NO_CURVE)
        if lost.any():
            state.fail(np.flatnonzero(lost))
            ready &= ~lost
        stands.delay[waiting] -= 1
        stopped = ready & ~np.array([*self.keys.grows, True])[stands.key]
        land.decaying[stopped] = False
        growing = np.flatnonzero(ready & land.forest & ~stopped)
        if growing.size == 0:
            return
        if growing.size == stands.count:
            grow_year(self.keys.table, stands.pools, flows, stands.key, stands.age)
        else:
            pools, own = stands.pools[:, growing], np.zeros((len(FLOWS), growing.size))
            grow_year(self.keys.table, pools, own, stands.key[growing], stands.age[growing])
            stands.pools[:, growing] = pools
            flows[:, growing] = own
        stands.age[growing] += 1
