"""Pixels that only spinup masks: each starts at the age with which the pixel before it ended.

With a null mask variable the C++ skips spinup and simulates the pixel all the same. Pools start at 0, but nothing sets
``age`` and ``regen_delay`` (nor ``is_decaying``, where the land class module is off), so they hold what the thread's
pixel before left there (moja.canada, cbmbuildlandunitmodule.cpp, and FLINT, spatialtiledlocaldomaincontroller.cpp,
``runCell``). The order is that of the queue of blocks, then of the cells in a block; pixels without classifiers change
nothing. With several threads the C++ gives other numbers each time; this is what one thread gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flint_ml.gcbm.engine.disturbance import EventPlan
from flint_ml.gcbm.engine.growth import GrowthKeys
from flint_ml.gcbm.engine.initial import SpinupReport, have_values, prepare
from flint_ml.gcbm.engine.model import Model, StandVariables
from flint_ml.gcbm.engine.stands import CARRIED, Inventory, add_up, combine
from flint_ml.gcbm.engine.state import LandClasses, Stands
from flint_ml.gcbm.project.grid import Grid, run_order

Array = NDArray[np.float64]
Index = NDArray[np.int64]
# Stands with the columns CARRIED -> their age, regeneration delay and decay after the last year, (3, stands).
Finish = Callable[[Inventory], Array]


def carry(model: Model, keys: GrowthKeys, inventory: Inventory, grid: Grid, finish: Finish) -> Inventory:
    """The simulated stands of a whole run, with the columns ``CARRIED``: null where spinup runs.

    ``inventory`` holds the pixels (``keep_pixels``) of all blocks that have classifiers. A stand that spinup masks
    becomes one stand for each state in which its pixels start.
    """
    view = StandVariables(model.variables, model.layers, inventory)
    simulated = have_values(view, ["initial_classifier_set", *model.project.mask_variables])
    spun = have_values(view, ["initial_classifier_set", *model.project.spinup_mask_variables], spinup=True)
    after = _left_behind(model, keys, inventory, simulated=simulated, spun=spun, finish=finish)
    pixels = _Pixels.of(model, inventory, grid)
    pixels = pixels.take(simulated[pixels.stand] | ~np.isnan(after[0])[pixels.stand])
    masked = simulated & ~spun
    starts = np.full((3, pixels.stand.size), np.nan)
    if masked.any():
        waves = _Waves(model, inventory, masked, finish)
        starts[:, masked[pixels.stand]] = waves.starts(pixels.stand, masked[pixels.stand], after)
    inside = simulated[pixels.stand]
    return _split(inventory, pixels.take(inside), starts[:, inside])


def _left_behind(
    model: Model,
    keys: GrowthKeys,
    inventory: Inventory,
    *,
    simulated: NDArray[np.bool_],
    spun: NDArray[np.bool_],
    finish: Finish,
) -> Array:
    """(3, stands) state that a pixel of each spun-up stand leaves to the next; NaN where it leaves none of its own.

    A pixel that is spun up and then masked in the run leaves its state after spinup.
    """
    after = np.full((3, inventory.stands), np.nan)
    whole = simulated & spun
    if whole.any():
        chosen = np.flatnonzero(whole)
        after[:, whole] = finish(_picked(inventory, chosen, np.full((3, chosen.size), np.nan)))
    view = StandVariables(model.variables, model.layers, inventory)
    only_spun = spun & ~simulated & have_values(view, ["initial_age"])
    if only_spun.any():
        stands, land = prepare(model, keys, inventory.keep(only_spun), SpinupReport())
        after[:, only_spun] = state_of(stands, land)
    return after


def state_of(stands: Stands, land: LandClasses) -> Array:
    """(3, stands) age, regeneration delay, decay."""
    return np.stack([stands.age, stands.delay, land.decaying]).astype(np.float64)


@dataclass
class _Pixels:
    """Pixels in the order of the run: block (index into the inventory's), cell in it, stand, area in ha."""

    block: Index
    cell: Index
    stand: Index
    area: Array

    @classmethod
    def of(cls, model: Model, inventory: Inventory, grid: Grid) -> _Pixels:
        number = {block: i for i, block in enumerate(inventory.blocks)}
        parts: list[tuple[Index, Index, Index, Array]] = []
        for block, cells in run_order(model.project):
            if block not in inventory.pixels:
                continue
            cell, stand = inventory.pixels[block]
            if cells is not None:  # single cells run in the order in which they are listed
                listed = list(dict.fromkeys(cells.tolist()))
                position = {c: i for i, c in enumerate(listed)}
                order = np.argsort([position[c] for c in cell.tolist()], kind="stable")
                cell, stand = cell[order], stand[order]
            area = grid.row_areas(block)[cell // grid.per_block]
            parts.append((np.full(cell.size, number[block], dtype=np.int64), cell, stand, area))
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def take(self, chosen: NDArray[np.bool_]) -> _Pixels:
        return _Pixels(self.block[chosen], self.cell[chosen], self.stand[chosen], self.area[chosen])


class _Waves:
    """Start states of masked pixels: first those behind a spun-up pixel, then those behind these, and so on."""

    def __init__(self, model: Model, inventory: Inventory, masked: NDArray[np.bool_], finish: Finish) -> None:
        self.model, self.inventory, self.finish = model, inventory, finish
        self.calm = self._calm()
        # What a year does to a stand without events does not depend on its age: once is enough.
        self.from_bare = np.full((3, inventory.stands), np.nan)
        chosen = np.flatnonzero(masked)
        self.from_bare[:, chosen] = finish(_picked(inventory, chosen, np.tile([[0.0], [0.0], [1.0]], chosen.size)))
        self._ended: dict[tuple[int, ...], Array] = {}  # (stand, age, delay, decay) -> state after the last year

    def _calm(self) -> NDArray[np.bool_]:
        """Stands without an event in the simulated years."""
        calm = np.ones(self.inventory.stands, dtype=bool)
        plan = EventPlan(self.model, StandVariables(self.model.variables, self.model.layers, self.inventory))
        for event, members in plan.all():
            if event.year in self.model.years:
                calm[members] = False
        return calm

    def starts(self, sequence: Index, masked: NDArray[np.bool_], after: Array) -> Array:
        """(3, masked pixels) in the order of ``sequence``; ``after`` is what spun-up stands leave behind."""
        variables = self.model.variables
        names = (("age", 0), ("regen_delay", 0), ("is_decaying", True))
        first = np.array([[float(variables.constant(name, default))] for name, default in names])
        position = np.flatnonzero(masked)
        last = np.maximum.accumulate(np.where(masked, -1, np.arange(sequence.size)))
        depth = position - last[position]  # 1 for the first masked pixel behind another
        out = np.full((3, sequence.size), np.nan)
        ended = np.full((3, sequence.size), np.nan)
        ended[:, ~masked] = after[:, sequence[~masked]]
        by_depth = np.argsort(depth, kind="stable")
        bounds = np.searchsorted(depth[by_depth], np.arange(1, int(depth.max(initial=0)) + 2))
        for wave in range(bounds.size - 1):
            mine = position[by_depth[bounds[wave] : bounds[wave + 1]]]
            out[:, mine] = np.where(mine == 0, first, ended[:, mine - 1])
            ended[:, mine] = self._after(sequence[mine], out[:, mine])
        return out[:, masked]

    def _after(self, stand: Index, start: Array) -> Array:
        """(3, pixels) state after the last year of pixels of these stands that start so."""
        years = len(self.model.years)
        age, delay, decay = start
        bare_age, _, bare_decay = self.from_bare[:, stand]
        grown = np.where(bare_age > 0.0, years - np.minimum(delay, years), 0.0)
        kept = np.where(delay < years, decay * bare_decay, decay)
        after = np.stack([age + grown, np.maximum(delay - years, 0.0), kept])
        eventful = np.flatnonzero(~self.calm[stand])
        if eventful.size:
            after[:, eventful] = self._simulated(stand[eventful], start[:, eventful])
        return after

    def _simulated(self, stand: Index, start: Array) -> Array:
        rows = np.column_stack([stand, *start.astype(np.int64)])
        distinct, place = np.unique(rows, axis=0, return_inverse=True)
        keys = [tuple(row) for row in distinct.tolist()]
        fresh = [key for key in keys if key not in self._ended]
        if fresh:
            numbers, states = (
                np.array([key[0] for key in fresh]),
                np.array([key[1:] for key in fresh], dtype=np.float64),
            )
            for key, state in zip(fresh, self.finish(_picked(self.inventory, numbers, states.T)).T, strict=True):
                self._ended[key] = state
        return np.stack([self._ended[key] for key in keys], axis=1)[:, place.reshape(-1)]


def _picked(inventory: Inventory, stands: Index, states: Array) -> Inventory:
    """Some stands, some of them several times, with a state to start from, for a run that is not added up."""
    values = {name: column[stands] for name, column in inventory.values.items()}
    return Inventory(
        inventory.blocks,
        {**values, **dict(zip(CARRIED, states, strict=True))},
        np.zeros(stands.size, dtype=np.int32),
        np.arange(stands.size, dtype=np.int32),
        inventory.stand_area()[stands],
        np.ones(stands.size, dtype=np.int32),
    )


def _split(inventory: Inventory, pixels: _Pixels, starts: Array) -> Inventory:
    """One stand for each (stand, start state) among ``pixels``, with the areas of its pixels by block."""
    columns = [(pixels.stand, inventory.stands)]
    for row in starts:
        distinct, codes = np.unique(row, return_inverse=True)
        columns.append((codes.astype(np.int64), distinct.size))
    first, stand = combine(columns, pixels.stand.size)
    values = {name: column[pixels.stand[first]] for name, column in inventory.values.items()}
    order = np.lexsort((pixels.cell, pixels.block))
    block, stand_of, area = pixels.block[order], stand[order], pixels.area[order]
    pair_first, pair = combine([(block, len(inventory.blocks)), (stand_of, first.size)], block.size)
    bounds = np.searchsorted(block, np.arange(len(inventory.blocks) + 1))
    spans = zip(inventory.blocks, bounds[:-1], bounds[1:], strict=True)
    cells = pixels.cell[order]
    return Inventory(
        inventory.blocks,
        {**values, **dict(zip(CARRIED, starts[:, first], strict=True))},
        block[pair_first].astype(np.int32),
        stand_of[pair_first].astype(np.int32),
        add_up(pair, area, pair_first.size),
        np.bincount(pair).astype(np.int32),
        {name: (cells[a:b], stand_of[a:b]) for name, a, b in spans},
    )
