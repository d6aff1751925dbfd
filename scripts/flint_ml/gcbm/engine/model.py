"""The constant part of a project: parameters that are the same for all pixels, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError
from flint_ml.gcbm import libm
from flint_ml.gcbm.engine.stands import Inventory, combine
from flint_ml.gcbm.pools import DOM, STANDARD
from flint_ml.gcbm.project.config import Project
from flint_ml.gcbm.project.layers import Layer
from flint_ml.gcbm.project.problems import readable
from flint_ml.gcbm.project.variables import CLASSIFIER_SET, Variables, records

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Transition:
    """One row of ``transition_rules`` with its classifier changes (``?`` means keep, and is left out)."""

    id: int
    age: int
    regen_delay: int
    reset: str  # absolute, relative, yield
    classifiers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class LandClass:
    forest: bool
    years_to_permanent: int


@dataclass(frozen=True)
class AgeClasses:
    """Classes of ``width`` years up to ``top``; class 0 is (-1, -1), the last is open."""

    width: int
    top: int

    @property
    def bounds(self) -> list[tuple[int, int]]:
        count = -(-self.top // self.width)
        middle = [((j - 1) * self.width, min(j * self.width - 1, self.top - 1)) for j in range(1, count + 1)]
        return [(-1, -1), *middle, (self.top, -1)]

    def of(self, age: Index) -> Index:
        last = -(-self.top // self.width) + 1
        inside = np.minimum(np.maximum(age, 0) // self.width + 1, last - 1)
        return np.where(age < 0, 0, np.where(age >= self.top, last, inside))


@dataclass(frozen=True)
class Matrix:
    """Transfers (source pool, sink pool, proportion); source = sink rows are left out, as in the C++."""

    id: int
    transfers: tuple[tuple[int, int, float], ...]


@dataclass
class Matrices:
    """All matrices and which one belongs to (disturbance type, spatial unit)."""

    by_id: dict[int, Matrix]
    association: dict[tuple[str, int], int]
    row_deviation: dict[int, float]  # matrix id -> largest |row sum - 1|
    bad_rows: int
    rows: int

    def find(self, kind: str, spatial_unit: int) -> Matrix | None:
        return self.by_id.get(self.association.get((kind, spatial_unit), -1))


def build_matrices(
    values: Sequence[dict[str, Any]], associations: Sequence[dict[str, Any]], pool_index: dict[str, int], where: str
) -> Matrices:
    """Matrices from the rows of ``disturbance_matrices`` and ``disturbance_matrix_associations``.

    Rows need not sum to 1; they are never rescaled, because the reference does not either.
    """
    transfers: dict[int, list[tuple[int, int, float]]] = {}
    sums: dict[tuple[int, str], float] = {}
    unknown: set[str] = set()
    for row in values:
        source, sink, share = row["source_pool_name"], row["dest_pool_name"], float(row["proportion"])
        unknown |= {name for name in (source, sink) if name not in pool_index}
        matrix = int(row["disturbance_matrix_id"])
        sums[matrix, source] = sums.get((matrix, source), 0.0) + share
        kept = transfers.setdefault(matrix, [])
        if source != sink and not unknown:
            kept.append((pool_index[source], pool_index[sink], share))
    if unknown:
        raise InputError(
            f"disturbance matrices use pools that the project does not have: {', '.join(sorted(unknown))}",
            where=where,
            hint="add them to Pools, or correct the matrices",
            code="gcbm-matrix-pool",
        )
    deviation: dict[int, float] = {}
    for (matrix, _), total in sums.items():
        deviation[matrix] = max(deviation.get(matrix, 0.0), abs(total - 1.0))
    association: dict[tuple[str, int], int] = {}
    for row in associations:  # the first row of a pair wins, as in the C++
        key = (str(row["disturbance_type"]), int(row["spatial_unit_id"]))
        association.setdefault(key, int(row["disturbance_matrix_id"]))
    return Matrices(
        {matrix: Matrix(matrix, tuple(rows)) for matrix, rows in transfers.items()},
        association,
        deviation,
        sum(abs(total - 1.0) > 1e-5 for total in sums.values()),
        len(sums),
    )


@dataclass(frozen=True)
class DecayParameters:
    """Columns of ``decay_parameter``, one entry for each dead organic matter pool."""

    base: Array
    reference: Array
    log_q10: Array
    to_air: Array
    highest: Array

    @classmethod
    def build(cls, rows: Sequence[dict[str, Any]], where: str) -> DecayParameters:
        by_pool = {row["pool"]: row for row in rows}
        missing = [name for name in DOM if name not in by_pool]
        if missing:
            raise InputError(
                f"decay parameters are missing for {', '.join(missing)}",
                where=where,
                hint="add them to decay_parameter and dom_pool",
                code="gcbm-decay",
            )
        keys = ("organic_matter_decay_rate", "reference_temp", "q10", "prop_to_atmosphere", "max_decay_rate_soft")
        columns = [np.array([float(by_pool[name][key]) for name in DOM]) for key in keys]
        return cls(columns[0], columns[1], libm.log(columns[2]), columns[3], columns[4])

    def rates(self, temperature: Array) -> Array:
        """Yearly rates (11, n) at a mean annual temperature (n,), degrees C."""
        distinct, place = np.unique(temperature, return_inverse=True)
        response = libm.exp((distinct - self.reference[:, None]) * self.log_q10[:, None] * 0.1)
        return np.minimum(self.base[:, None] * response, self.highest[:, None])[:, place]


@dataclass
class Model:
    """Everything that does not depend on place."""

    project: Project
    variables: Variables
    layers: dict[str, Layer]
    years: list[int]
    pool_names: list[str]
    pool_index: dict[str, int]
    matrices: Matrices
    decay: DecayParameters
    spinup_decay: DecayParameters
    codes: dict[str, int]
    names_by_code: dict[int, str]
    transitions: dict[int, Transition]
    matching_rules: bool
    land_classes: dict[str, LandClass]
    land_transitions: dict[str, str]
    order: dict[str, int] | None
    age_classes: AgeClasses
    listener: list[str]
    smoothing: bool
    age_indicators: bool
    reporting: str

    def event_code(self, kind: str) -> int:
        return self.codes.get(kind, -1)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def build_model(project: Project, variables: Variables, layers: dict[str, Layer]) -> Model:
    """Read all constant parameters. InputError names the table or key that is missing."""
    with readable("the parameters of the input database", str(project.database)):
        return _build_model(project, variables, layers)


def _build_model(project: Project, variables: Variables, layers: dict[str, Layer]) -> Model:
    pool_names = list(project.section("Pools"))
    missing = [name for name in (*STANDARD[:21], "Atmosphere", "CO2") if name not in pool_names]
    if missing:
        raise InputError(
            f"Pools lacks {', '.join(missing)}",
            where=project.source("Pools"),
            hint="declare the pools with value 0.0",
            code="gcbm-pools",
        )
    order = [*STANDARD, *(name for name in pool_names if name not in STANDARD)]
    pool_index = {name: i for i, name in enumerate(order) if name in pool_names}
    where = project.source("Variables", "disturbance_matrices")
    matrices = build_matrices(
        records(variables.constant("disturbance_matrices")),
        records(variables.constant("disturbance_matrix_associations")),
        pool_index,
        where,
    )
    decay, spinup_decay = (
        DecayParameters.build(
            records(variables.constant("decay_parameters", spinup=spinup)),
            project.source("SpinupVariables" if spinup and project.overridden("decay_parameters") else "Variables"),
        )
        for spinup in (False, True)
    )
    codes, names = _codes(variables)
    transitions, matching = _transitions(project, variables)
    classes, changes = _land_classes(project, variables)
    active = project.module("CBMDisturbanceListener") and project.module("CBMDisturbanceEventModule")
    return Model(
        project=project,
        variables=variables,
        layers=layers,
        years=project.years,
        pool_names=pool_names,
        pool_index=pool_index,
        matrices=matrices,
        decay=decay,
        spinup_decay=spinup_decay,
        codes=codes,
        names_by_code=names,
        transitions=transitions,
        matching_rules=matching,
        land_classes=classes,
        land_transitions=changes,
        order=_order(variables),
        age_classes=AgeClasses(
            int(variables.constant("age_class_range", 20)), int(variables.constant("age_maximum", 300))
        ),
        listener=project.disturbance_variables if active else [],
        smoothing=not (project.smoother_off and project.obey_smoother),
        age_indicators=project.module("CBMAgeIndicators") is not None,
        reporting=project.reporting_classifiers,
    )


def _codes(variables: Variables) -> tuple[dict[str, int], dict[int, str]]:
    codes: dict[str, int] = {}
    names: dict[int, str] = {}
    for row in records(variables.constant("disturbance_type_codes", None)):
        if row["disturbance_type_code"] is not None:
            codes[str(row["disturbance_type"])] = int(row["disturbance_type_code"])
            names[int(row["disturbance_type_code"])] = str(row["disturbance_type"])
    return codes, names


def _transitions(project: Project, variables: Variables) -> tuple[dict[int, Transition], bool]:
    if project.module("CBMTransitionRulesModule") is None:
        return {}, False
    rules = records(variables.constant("transition_rules", None))
    if not rules:
        return {}, False
    changes: dict[int, list[tuple[str, str]]] = {}
    for row in records(variables.constant("transition_rule_classifiers", None)):
        if row["classifier_value"] != "?":
            found = changes.setdefault(int(row["id"]), [])
            found.append((str(row["classifier_name"]), str(row["classifier_value"])))
    made = {}
    for row in rules:
        reset = _text(row.get("reset_type", "absolute")).lower()
        number = int(row["id"])
        made[number] = Transition(
            number, int(row["age"]), int(row["regen_delay"]), reset, tuple(changes.get(number, ()))
        )
    return made, project.has_variable("transition_rule_matches")


def _land_classes(project: Project, variables: Variables) -> tuple[dict[str, LandClass], dict[str, str]]:
    if project.module("CBMLandClassTransitionModule") is None:
        return {}, {}
    classes = {
        str(row["land_class"]): LandClass(bool(row["is_forest"]), int(row["years_to_permanent"]))
        for row in records(variables.constant("land_class_data"))
    }
    changes: dict[str, str] = {}
    for row in records(variables.constant("land_class_transitions", None)):
        if row["land_class_transition"]:
            changes.setdefault(str(row["disturbance_type"]), str(row["land_class_transition"]))
    return classes, changes


def _order(variables: Variables) -> dict[str, int] | None:
    """Rank of each disturbance type, when the project has order lists (user's first)."""
    found: dict[str, int] = {}
    for name in ("user_disturbance_order", "default_disturbance_order"):
        value = variables.constant(name, None)
        for kind in [value] if isinstance(value, str) else value or []:
            found.setdefault(str(kind), len(found))
    return found or None


class StandVariables:
    """Variables of many stands: evaluated once for each combination of the layers that they depend on."""

    def __init__(self, variables: Variables, layers: Mapping[str, Layer], inventory: Inventory) -> None:
        self.variables, self.layers, self.inventory = variables, layers, inventory

    def groups(self, leaves: Sequence[str]) -> tuple[list[dict[str, Any]], Index]:
        """Distinct values of some layers (as leaves for ``Variables``), and each stand's group."""
        names = sorted(leaf.removeprefix("layer:") for leaf in leaves if leaf != CLASSIFIER_SET)
        columns = []
        for name in names:
            distinct, codes = np.unique(self.inventory.values[name], return_inverse=True)
            columns.append((codes, distinct.size))
        first, index = combine(columns, self.inventory.stands)
        picked = [self.inventory.values[name][first].tolist() for name in names]
        made = [
            {f"layer:{name}": self.layers[name].value(v) for name, v in zip(names, row, strict=True)}
            for row in zip(*picked, strict=True)
        ]
        return made or [{}], index

    def of(self, name: str, *, spinup: bool = False) -> tuple[list[Any], Index]:
        """Distinct values of a variable and each stand's value index."""
        groups, index = self.groups(sorted(self.variables.leaves(name, spinup=spinup)))
        return [self.variables.evaluate(name, group, spinup=spinup) for group in groups], index

    def numbers(self, name: str, *, spinup: bool = False) -> NDArray[np.float64]:
        """A numeric variable of each stand; NaN where it is null."""
        leaves = sorted(self.variables.leaves(name, spinup=spinup))
        transform = self.variables.transform(name, spinup=spinup)
        direct = transform and transform.get("type") == "LocationIdxFromFlintDataTransform"
        if direct and self.layers[leaves[0].removeprefix("layer:")].values is None:
            return self.inventory.values[leaves[0].removeprefix("layer:")]
        values, index = self.of(name, spinup=spinup)
        try:
            table = np.array([np.nan if value is None else float(value) for value in values])
        except (TypeError, ValueError):
            raise InputError(
                f"variable {name} must be a number, but is {values[0]!r}",
                where=self.variables.project.source("Variables", name),
                hint="give a number, or a layer or query with numbers",
                code="gcbm-number",
            ) from None
        return table[index]
