"""The simulation of a set of stands, year by year, in the reference's order (2.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError
from flint_ml.gcbm.engine.aggregate import Names, Recorder
from flint_ml.gcbm.engine.disturbance import Event, EventPlan, apply_matrix
from flint_ml.gcbm.engine.growth import NO_CURVE, GrowthKeys
from flint_ml.gcbm.engine.model import Model, StandVariables
from flint_ml.gcbm.engine.processes import FLOWS, PROCESSES, rows_of
from flint_ml.gcbm.engine.state import LandClasses, Stands, State
from flint_ml.gcbm.pools import LIVE_END
from flint_ml.gcbm.project.variables import CLASSIFIER_SET, freeze

Array = NDArray[np.float64]
Index = NDArray[np.int64]

BARE = 0.001  # tC/ha of live biomass below which an event resets the age
NO_CURVE_TEXT = "no growth curve for the stand's classifier set (growth_curve_id is null)"


class Simulation:
    """State of the stands of one chunk and the steps that change it."""

    def __init__(
        self,
        *,
        model: Model,
        keys: GrowthKeys,
        stands: Stands,
        land: LandClasses,
        events: EventPlan,
        recorder: Recorder,
        names: Names,
    ) -> None:
        self.model, self.keys, self.stands, self.land = model, keys, stands, land
        self.events, self.recorder, self.names = events, recorder, names
        self.reporting = _Reporting(model, stands.variables, keys, names)
        self.flows = np.zeros((len(FLOWS), stands.count))
        self.location = np.zeros((stands.count, 3), dtype=np.int64)
        self.error = names.number("errors", NO_CURVE_TEXT)
        self.state = State(stands, land, self._fail)
        self.processes = [
            (process(model, keys), rows_of(process)) for process in PROCESSES if model.project.module(process.name)
        ]
        self.skipped: dict[tuple[str, int], int] = {}
        self.event_codes = np.zeros(stands.count)
        # This year's events: type number, stands, transfers (source, sink, tC/ha of each stand).
        self.happened: list[tuple[int, Index, list[tuple[int, int, Array]]]] = []

    def run(self, observe: Any = None) -> None:
        """Record year 0, then every year. ``observe(year, self)`` sees the state after each, for maps."""
        stands = self.stands
        failed = ~stands.alive
        self.location = self._locations()
        if failed.any():  # no curve at the start: the C++ fails in spinup, before an age class is set
            at = self.location.copy()
            at[:, 2] = 0
            self.recorder.failure(failed, at, self.error)
        self.recorder.locations(0, self.location, stands.alive, stands.pools, None)
        if observe is not None:
            observe(0, self)
        for step, year in enumerate(self.model.years, 1):
            self._year(step, year)
            if observe is not None:
                observe(year, self)

    def _year(self, step: int, year: int) -> None:
        stands = self.stands
        self.flows[:] = 0.0
        self.event_codes[:] = 0.0
        self.happened = []
        for event, members in self.events.of(year):
            living = members[stands.alive[members]]
            if living.size:
                self.happened += self._disturb(event, living)
        self.land.step()
        for process, rows in self.processes:
            process.step(self.state, self.flows[rows])
        before = self.location
        self.location = self._locations()
        self.recorder.locations(step, self.location, stands.alive, stands.pools, self.flows)
        for kind, members, moved in self.happened:
            kept = stands.alive[members]
            chosen = members[kept]
            shown = moved if kept.all() else [(a, b, amount[kept]) for a, b, amount in moved]
            self.recorder.event(step, chosen, self.location[chosen], before[chosen], kind=kind, moved=shown)

    def _locations(self) -> Index:
        stands = self.stands
        land, texts = self.land.reported()
        used = np.unique(land)
        table = np.zeros(int(used.max(initial=0)) + 1, dtype=np.int64)
        table[used] = [self.names.number("lands", texts[i]) for i in used]
        return np.column_stack([self.reporting.sets(stands.sets), table[land], self.model.age_classes.of(stands.age)])

    def _disturb(self, event: Event, members: Index) -> list[tuple[int, Index, list[tuple[int, int, Array]]]]:
        """One event, by spatial unit; returns (type number, stands, transfers) for the record."""
        stands = self.stands
        kind = self.names.number("types", (self.model.event_code(event.kind), event.kind))
        happened = []
        units = stands.spatial_unit[members]
        for unit in np.unique(units):
            chosen = members[units == unit]
            matrix = self.model.matrices.find(event.kind, int(unit))
            if matrix is None:
                self._missing_matrix(event, int(unit), chosen)
                continue
            part = stands.pools[:, chosen]
            moved = apply_matrix(matrix, part)
            stands.pools[:, chosen] = part
            live = part[0].copy()
            for row in part[1:LIVE_END]:
                live += row
            stands.age[chosen[live < BARE]] = 0
            self.event_codes[chosen] = self.model.event_code(event.kind)
            self.land.event(event.kind, chosen)
            self._transition(event, chosen)
            happened.append((kind, chosen, moved))
        return happened

    def _missing_matrix(self, event: Event, unit: int, chosen: Index) -> None:
        if not self.stands.skip_missing:
            area = float(self.recorder.inventory.stand_area()[chosen].sum())
            raise InputError(
                f"no disturbance matrix for {event.kind!r} in spatial unit {unit} "
                f"({area:.6g} ha in {event.year}); the C++ would leave the event out and say nothing",
                where=str(self.model.project.database),
                hint="add the pair to disturbance_matrix_association",
                code="gcbm-matrix-missing",
            )
        key = (event.kind, unit)
        self.skipped[key] = self.skipped.get(key, 0) + int(chosen.size)

    def _transition(self, event: Event, members: Index) -> None:
        """Post-disturbance classifiers, age and regeneration delay."""
        if event.transition is not None:
            if self.model.project.module("CBMTransitionRulesModule") is not None:
                self._apply_transition(event, event.transition, members)
            return
        if not self.model.matching_rules:
            return
        joint = self.stands.sets[members]
        for number in np.unique(joint):
            leaves = {CLASSIFIER_SET: self.keys.sets[number]}
            rules = self.model.variables.evaluate("transition_rule_matches", leaves)
            if event.kind in rules:
                self._apply_transition(event, int(rules[event.kind]), members[joint == number])

    def _apply_transition(self, event: Event, number: int, members: Index) -> None:
        rule = self.model.transitions.get(number)
        if rule is None:
            raise InputError(
                f"disturbance layer {event.layer}: transition {number} does not exist",
                where=str(self.model.project.database),
                hint="add it to the table transition, or correct the layer",
                code="gcbm-transition",
            )
        stands = self.stands
        stands.delay[members] = rule.regen_delay
        if rule.classifiers:
            old = stands.sets[members]
            distinct, inverse = np.unique(old, return_inverse=True)
            changed = np.array([self.keys.changed_set(int(s), rule.classifiers) for s in distinct])
            stands.sets[members] = changed[inverse]
            stands.key[members] = self.keys.of(stands.sets[members], stands.place[members])
        if rule.reset == "absolute" and rule.age > -1:
            stands.age[members] = rule.age
        elif rule.reset == "relative":
            stands.age[members] = np.maximum(0, stands.age[members] + rule.age)
        elif rule.reset == "yield":
            self._yield_age(members)

    def _yield_age(self, members: Index) -> None:
        """First age whose above-ground carbon reaches the stand's, on the (new) curve."""
        stands = self.stands
        pools = stands.pools
        carbon = np.zeros(members.size)
        for row in (0, 1, 2, 5, 6, 7):
            carbon += pools[row, members]
        lost = stands.key[members] == NO_CURVE
        if lost.any():
            self._fail(members[lost])
        for key in np.unique(stands.key[members][~lost]):
            curve = self.keys.above[key]
            searched = curve[:-1] if curve.size > 1 else curve
            inside = stands.key[members] == key
            reached = searched[None, :] >= carbon[inside][:, None]
            stands.age[members[inside]] = np.where(reached.any(1), reached.argmax(1), searched.size - 1)

    def _fail(self, members: Index) -> None:
        """Pixel error: these stands leave the output from this year on."""
        stands = self.stands
        failed = np.zeros(stands.count, dtype=bool)
        failed[members] = True
        failed &= stands.alive
        if failed.any():
            at = self._locations()
            at[:, 2] = self.location[:, 2]  # the age class is still last year's
            self.recorder.failure(failed, at, self.error)
            stands.alive &= ~failed


class _Reporting:
    """Reporting classifier sets: the current classifiers, and layers that do not change."""

    def __init__(self, model: Model, stands: StandVariables, keys: GrowthKeys, names: Names) -> None:
        self.model, self.keys, self.names = model, keys, names
        leaves = model.variables.leaves(model.reporting)
        self.groups, self.group = stands.groups(sorted(leaves))
        self._known: dict[tuple[int, int], int] = {}
        self.columns: list[str] = []

    def sets(self, sets: Index) -> Index:
        """Number (in ``names.sets``) of each stand's reporting set."""
        joint = sets * len(self.groups) + self.group
        distinct, inverse = np.unique(joint, return_inverse=True)
        found = np.array([self._number(*divmod(int(d), len(self.groups))) for d in distinct], dtype=np.int64)
        return found[inverse]

    def _number(self, number: int, group: int) -> int:
        key = (number, group)
        if key not in self._known:
            leaves = {**self.groups[group], CLASSIFIER_SET: self.keys.sets[number]}
            record = self.model.variables.evaluate(self.model.reporting, leaves)
            if not isinstance(record, dict):
                raise InputError(
                    f"the reporting classifiers ({self.model.reporting}) have no value for {freeze(leaves)}",
                    where=self.model.project.source("Variables", self.model.reporting),
                    hint="set allow_nulls to true, or give every pixel a value",
                    code="gcbm-reporting",
                )
            self.names_of(record)
            value = tuple(_shown(v) for v in record.values())
            self._known[key] = self.names.number("sets", value)
        return self._known[key]

    def names_of(self, record: dict[str, Any]) -> None:
        if not self.columns:
            self.columns = [name.replace(".", "_").replace(" ", "_") for name in record]


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    return f"{value:.15g}" if isinstance(value, float) else str(value)
