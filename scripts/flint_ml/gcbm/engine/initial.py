"""Stands before the first year: what they are, and their pools after spinup (1.5 and 2.10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError
from flint_ml.gcbm.engine.growth import NO_CURVE, PLACE_VARIABLES, GrowthKeys
from flint_ml.gcbm.engine.model import Matrix, Model, StandVariables
from flint_ml.gcbm.engine.spinup import SpinupKeys, grow_to_age, spin_up, wait
from flint_ml.gcbm.engine.stands import CARRIED, Inventory, combine
from flint_ml.gcbm.engine.state import LandClasses, Stands
from flint_ml.gcbm.project.variables import CLASSIFIER_SET, NullVariableError, Variables

Array = NDArray[np.float64]
Index = NDArray[np.int64]

MIXING = "slow_ag_to_bg_mixing_rate"
TEMPERATURE = "mean_annual_temperature"


@dataclass
class SpinupReport:
    """For the checks: keys, rotations done, stands and area not stable, area without temperature."""

    keys: int = 0
    unstable_keys: int = 0
    unstable_ha: float = 0.0
    most_rotations: int = 0
    null_temperature_ha: float = 0.0
    null_temperature_pixels: int = 0
    masked_ha: float = 0.0


def needed_variables(variables: Variables) -> list[str]:
    """Variables that are evaluated for each pixel."""
    project = variables.project
    land = [v for v in ("initial_historic_land_class", "initial_current_land_class") if project.has_variable(v)]
    return [
        "initial_classifier_set",
        *project.mask_variables,
        *project.spinup_mask_variables,
        "initial_age",
        TEMPERATURE,
        MIXING,
        "spinup_parameters",
        *PLACE_VARIABLES,
        *land,
        *project.disturbance_variables,
        project.reporting_classifiers,
    ]


def used_layers(variables: Variables, names: Sequence[str]) -> list[str]:
    """Names of the layers that these variables depend on."""
    found: set[str] = set()
    for name in names:
        for spinup in (False, True):
            found |= variables.leaves(name, spinup=spinup)
    return sorted(leaf.removeprefix("layer:") for leaf in found if leaf != CLASSIFIER_SET)


def mask_layers(variables: Variables, masks: Sequence[str] | None = None) -> list[str]:
    """Layers whose null alone makes a pixel not simulated, by the project's mask variables or those given."""
    found: list[str] = []
    queue = ["initial_classifier_set", *(variables.project.mask_variables if masks is None else masks)]
    while queue:
        name = queue.pop(0)
        transform = variables.transform(name) or {}
        if transform.get("type") == "LocationIdxFromFlintDataTransform":
            found.append(str(transform["data_id"]))
        elif transform.get("type") == "CompositeTransform" and transform.get("allow_nulls") is not True:
            queue += [str(v) for v in transform.get("vars", [])]
    return list(dict.fromkeys(found))


def have_values(view: StandVariables, names: Sequence[str], *, spinup: bool = False) -> NDArray[np.bool_]:
    """Which stands have a value of each of these variables."""
    keep = np.ones(view.inventory.stands, dtype=bool)
    for name in names:
        values, index = view.of(name, spinup=spinup)
        keep &= np.array([value is not None for value in values], dtype=bool)[index]
    return keep


def select_stands(model: Model, inventory: Inventory) -> Inventory:
    """Only stands whose classifier set and mask variables have a value."""
    view = StandVariables(model.variables, model.layers, inventory)
    keep = have_values(view, ["initial_classifier_set", *model.project.mask_variables])
    return inventory if keep.all() else inventory.keep(keep)


def prepare(
    model: Model, keys: GrowthKeys, inventory: Inventory, report: SpinupReport, *, skip_missing: bool = False
) -> tuple[Stands, LandClasses]:
    """Spin all stands up. InputError for null ages, missing spinup parameters and matrices."""
    view = StandVariables(model.variables, model.layers, inventory)
    values, index = view.of("initial_classifier_set")
    numbers = np.array([keys.set_number(value) for value in values])
    sets = numbers[index]
    place = stand_places(view, keys)
    age = view.numbers("initial_age")
    if np.isnan(age).any():
        pixels = int(inventory.stand_pixels()[np.isnan(age)].sum())
        raise InputError(
            f"initial_age has no value on {pixels} simulated pixels; the C++ would start them with empty pools",
            where=model.project.source("Variables", "initial_age"),
            hint="give every pixel with classifiers an age, or add initial_age to mask_vars of CBMBuildLandUnitModule",
            code="gcbm-initial-age",
        )
    years = age.astype(np.int64)
    temperature = view.numbers(TEMPERATURE)
    lacking = np.isnan(temperature)
    report.null_temperature_ha += float(inventory.stand_area()[lacking].sum())
    report.null_temperature_pixels += int(inventory.stand_pixels()[lacking].sum())
    temperature = np.where(lacking, 0.0, temperature)
    key = keys.of(sets, place)
    n = inventory.stands
    stands = Stands(
        inventory,
        view,
        np.zeros((len(model.pool_index), n)),
        age=np.maximum(years, 0),
        delay=np.maximum(-years, 0),
        sets=sets,
        place=place,
        key=key,
        spatial_unit=view.numbers("spatial_unit_id").astype(np.int64),
        rates=model.decay.rates(temperature),
        mixing=view.numbers(MIXING),
        alive=key != NO_CURVE,
        skip_missing=skip_missing,
    )
    last_pass = _run_spinup(model, keys, stands, temperature, report)
    historic, current = (_names(view, name) for name in ("initial_historic_land_class", "initial_current_land_class"))
    land = LandClasses(model, historic, current, last_pass)
    _carry(stands, land, report)
    return stands, land


def _carry(stands: Stands, land: LandClasses, report: SpinupReport) -> None:
    """Stands that spinup does not run for start as the pixel before them ended, with empty pools."""
    inventory = stands.inventory
    masked = inventory.masked_in_spinup()
    if not masked.any():
        return
    age, delay, decaying = (inventory.values[name][masked] for name in CARRIED)
    stands.age[masked], stands.delay[masked] = age.astype(np.int64), delay.astype(np.int64)
    if not land.enabled:  # the land class module sets it anew for each pixel
        land.decaying[masked] = decaying != 0.0
    report.masked_ha += float(inventory.stand_area()[masked & stands.alive].sum())


def stand_places(view: StandVariables, keys: GrowthKeys) -> Index:
    """Number of each stand's place, made known to ``keys``."""
    leaves: set[str] = set()
    for name in PLACE_VARIABLES:
        leaves |= view.variables.leaves(name)
    groups, index = view.groups(sorted(leaves))
    start = len(keys.places)
    keys.places += groups
    return index + start


def _names(view: StandVariables, name: str) -> list[Any]:
    if not view.variables.project.has_variable(name):
        return [None] * view.inventory.stands
    values, index = view.of(name)
    return [values[i] for i in index.tolist()]


def _run_spinup(model: Model, keys: GrowthKeys, stands: Stands, temperature: Array, report: SpinupReport) -> list[str]:
    """Fill ``stands.pools``; returns each stand's last-pass disturbance type."""
    rows, row_index = _parameters(model, stands)
    matrices: list[Matrix] = []
    position: dict[tuple[str, int], int] = {}
    spun = stands.alive & ~np.array([*(c.empty for c in keys.curves), True])[stands.key]
    spun &= ~stands.inventory.masked_in_spinup()
    temperature, mixing, rates = _spinup_climate(model, stands, temperature)
    stands.age[~spun & stands.alive] = 0
    chosen = np.flatnonzero(spun)
    if chosen.size:
        columns = [stands.key[chosen], row_index[chosen], stands.spatial_unit[chosen]]
        floats = [temperature[chosen], mixing[chosen]]
        spans = [np.unique(c, return_inverse=True)[1] for c in (*columns, *floats)]
        first, key = combine([(c, int(c.max()) + 1) for c in spans], chosen.size)
        picked = chosen[first]

        def matrix_of(field: str) -> Index:
            found = []
            for stand in picked.tolist():
                kind, unit = str(rows[row_index[stand]][field]), int(stands.spatial_unit[stand])
                if (kind, unit) not in position:
                    position[kind, unit] = len(matrices)
                    matrices.append(_spinup_matrix(model, kind, unit))
                found.append(position[kind, unit])
            return np.array(found, dtype=np.int64)

        def column(field: str) -> Index:
            return np.array([int(rows[i][field]) for i in range(len(rows))], dtype=np.int64)[row_index[picked]]

        spin = SpinupKeys(
            growth=stands.key[picked],
            interval=column("return_interval"),
            rotations=column("max_rotations"),
            minimum=np.full(picked.size, int(model.variables.constant("minimum_rotation", 0, spinup=True))),
            historic=matrix_of("historic_disturbance_type"),
            last=matrix_of("last_pass_disturbance_type"),
            rates=np.ascontiguousarray(rates[:, picked]),
            mixing=mixing[picked],
            matrices=matrices,
        )
        table, to_air = keys.table, model.spinup_decay.to_air
        pools, turns, stable = spin_up(table, spin, to_air, stands.pools.shape[0])
        grown = grow_to_age(table, spin, pools, to_air, stand_key=key, stand_age=stands.age[chosen])
        waiting = _inventory_delay(rows)[row_index[chosen]]
        wait(table, spin, grown, to_air, stand_key=key, years=waiting)
        stands.pools[:, chosen] = grown
        report.keys += spin.count
        report.unstable_keys += int((~stable).sum())
        report.most_rotations = max(report.most_rotations, int(turns.max()))
        report.unstable_ha += float(stands.inventory.stand_area()[chosen][~stable[key]].sum())
    kinds = [str(row["last_pass_disturbance_type"]) for row in rows]
    return [kinds[i] for i in row_index.tolist()]


def _spinup_climate(model: Model, stands: Stands, temperature: Array) -> tuple[Array, Array, Array]:
    """Temperature, slow mixing rate and decay rates of spinup, where ``SpinupVariables`` has its own."""
    project, view = model.project, stands.variables
    mixing, rates = stands.mixing, stands.rates
    if project.overridden(TEMPERATURE):
        own = view.numbers(TEMPERATURE, spinup=True)
        temperature = np.where(np.isnan(own), 0.0, own)
    if project.overridden(MIXING):
        mixing = view.numbers(MIXING, spinup=True)
    if project.overridden(TEMPERATURE) or project.overridden("decay_parameters"):
        rates = model.spinup_decay.rates(temperature)
    return temperature, mixing, rates


def _parameters(model: Model, stands: Stands) -> tuple[list[dict[str, Any]], Index]:
    where = model.project.source("Variables", "spinup_parameters")
    try:
        rows, index = stands.variables.of("spinup_parameters", spinup=True)
    except NullVariableError as error:
        raise InputError(
            f"spinup_parameters needs {error.name}, which has no value on some pixels",
            where=where,
            hint=f"give every simulated pixel a value of {error.name}",
            code="gcbm-spinup",
        ) from None
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            pixels = int(stands.inventory.stand_pixels()[index == number].sum())
            raise InputError(
                f"spinup parameters are missing for {pixels} pixels; the C++ would run them with empty pools",
                where=where,
                hint="check admin and eco boundary against spatial_unit and spinup_parameter in the input database",
                code="gcbm-spinup",
            )
    return rows, index


def _inventory_delay(rows: Sequence[dict[str, Any]]) -> Index:
    """Years without growth after the stand has reached its age: ``inventory_delay``, else ``delay``."""
    given = [row["inventory_delay"] if "inventory_delay" in row else row.get("delay") for row in rows]
    return np.array([0 if years is None else int(years) for years in given], dtype=np.int64)


def _spinup_matrix(model: Model, kind: str, unit: int) -> Matrix:
    matrix = model.matrices.find(kind, unit)
    if matrix is None:
        raise InputError(
            f"no disturbance matrix for {kind!r} in spatial unit {unit}, which spinup needs; the C++ would go on "
            "with part of the carbon",
            where=str(model.project.database),
            hint="add the pair to disturbance_matrix_association",
            code="gcbm-matrix-missing",
        )
    return matrix
