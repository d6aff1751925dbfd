"""What the embedded engine does not implement, found before any work (5.1 and 5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flint_ml.gcbm.engine.processes import PROCESSES
from flint_ml.gcbm.project.config import Project
from flint_ml.gcbm.project.problems import FLINT_HINT, Problem, readable

ORDER = (
    "CBMBuildLandUnitModule",
    "CBMSequencer",
    "CBMDisturbanceListener",
    "CBMDisturbanceEventModule",
    "CBMTransitionRulesModule",
    "CBMLandClassTransitionModule",
    *(process.name for process in PROCESSES),
    "CBMAgeIndicators",
    "TransactionManagerAfterSubmitModule",
    "WriteVariableGeotiff",
    "CBMAggregatorLandUnitData",
    "CBMAggregatorSQLiteWriter",
)
# Their order decides the result; the others only have to be there.
ACTING = ORDER[2 : ORDER.index("CBMAgeIndicators") + 1]
REQUIRED = ("CBMBuildLandUnitModule", "CBMGrowthModule", "CBMDecayModule", "CBMAggregatorLandUnitData")
SPINUP = (
    "CBMSpinupSequencer",
    "CBMBuildLandUnitModule",
    "CBMGrowthModule",
    "CBMDecayModule",
    "TransactionManagerAfterSubmitModule",
    "CBMSpinupDisturbanceModule",
)
TRANSFORMS = (
    "SQLQueryTransform",
    "LocationIdxFromFlintDataTransform",
    "CompositeTransform",
    "GrowthCurveTransform",
    "TransitionRuleTransform",
)
PROVIDERS = ("SQLite", "RasterTiledGDAL")
_ENGINE_VARIABLES = (
    "initial_classifier_set",
    "initial_age",
    "mean_annual_temperature",
    "slow_ag_to_bg_mixing_rate",
    "spinup_parameters",
    "spatial_unit_id",
    "growth_curve_id",
    "softwood_yield_table",
    "hardwood_yield_table",
    "volume_to_biomass_parameters",
    "turnover_rates",
    "decay_parameters",
    "disturbance_matrices",
    "disturbance_matrix_associations",
)
_OPTIONAL_VARIABLES = (
    "disturbance_type_codes",
    "user_disturbance_order",
    "default_disturbance_order",
    "transition_rules",
    "transition_rule_classifiers",
    "transition_rule_matches",
    "land_class_data",
    "land_class_transitions",
    "initial_historic_land_class",
    "initial_current_land_class",
    "age_class_range",
    "age_maximum",
)


def reachable(project: Project) -> list[tuple[str, bool]]:
    """Variables that the enabled modules use, directly or through others: (name, in spinup)."""
    queue = [
        (name, False)
        for name in (
            *_ENGINE_VARIABLES,
            *project.disturbance_variables,
            *project.mask_variables,
            project.reporting_classifiers,
        )
    ]
    queue += [(n, False) for n in _OPTIONAL_VARIABLES if project.has_variable(n)]
    queue += [(n, True) for n in ("spinup_parameters", "minimum_rotation", *_ENGINE_VARIABLES[:4])]
    queue += [(name, True) for name in ("decay_parameters", *project.spinup_mask_variables)]
    seen: dict[tuple[str, bool], None] = {}
    while queue:
        name, spinup = queue.pop()
        if (name, spinup) in seen or name == "classifier_set":
            continue
        seen[name, spinup] = None
        queue += [(part, spinup) for part in _parts(definition(project, name, spinup))]
    return list(seen)


def definition(project: Project, name: str, spinup: bool) -> Any:
    try:
        return project.variable(name, spinup=spinup)
    except KeyError:
        return None


def _parts(entry: Any) -> Iterator[str]:
    transform = entry.get("transform") if isinstance(entry, dict) else None
    if not isinstance(transform, dict):
        return
    if transform.get("type") == "CompositeTransform":
        yield from (str(v) for v in transform.get("vars", []))
    elif transform.get("type") == "SQLQueryTransform":
        text = str(transform.get("queryString", ""))
        for token in text.split("{var:")[1:]:
            yield token.split("}", 1)[0].split(".", 1)[0]


def unsupported(project: Project) -> list[Problem]:
    """Everything in the reachable configuration that the engine does not implement; empty is supported.

    InputError names the section whose values have the wrong type.
    """
    found: list[Problem] = []
    parts = {
        "Modules": _modules,
        "SpinupModules": _spinup,
        "Pools": _pools,
        "LocalDomain": _domain,
        "Providers": _providers,
        "Variables": _variables,
    }
    for section, part in parts.items():
        with readable(f"section {section}", project.source(section)):
            found += part(project)
    return found


def _refuse(project: Project, section: str, key: str, reason: str) -> Problem:
    where = f"{project.source(section, key)}: {section}.{key}" if key else project.source(section)
    return Problem("unsupported", "gcbm-unsupported", reason, where, FLINT_HINT)


def _modules(project: Project) -> Iterator[Problem]:
    enabled = {name: entry for name in project.section("Modules") if (entry := project.module(name)) is not None}
    for name in enabled:
        if name not in ORDER:
            yield _refuse(project, "Modules", name, f"module {name} is not implemented")
    for name in REQUIRED:
        if name not in enabled:
            yield _refuse(project, "Modules", name, f"a run without module {name} is not implemented")
    acting = sorted((n for n in enabled if n in ACTING), key=lambda n: enabled[n].get("order", 0))
    if acting != [name for name in ACTING if name in enabled]:
        yield _refuse(project, "Modules", acting[0], f"the modules act in another order: {', '.join(acting)}")
    refused = {
        "CBMDisturbanceListener": ("conditions",),
        "CBMDecayModule": ("extra_decay_removals",),
    }
    for name, settings in refused.items():
        for key in settings:
            if project.settings(name).get(key):
                yield _refuse(project, "Modules", name, f"{name}.settings.{key} is not implemented")


def _spinup(project: Project) -> Iterator[Problem]:
    spinup = project.section("Spinup")
    if spinup.get("enabled", True) is False or not spinup:
        yield _refuse(project, "Spinup", "enabled", "a run without spinup is not implemented")
    if spinup.get("sequencer", "CBMSpinupSequencer") != "CBMSpinupSequencer":
        yield _refuse(project, "Spinup", "sequencer", f"spinup sequencer {spinup['sequencer']} is not implemented")
    if (spinup.get("settings") or {}).get("ramp_start_date") or spinup.get("ramp_start_date"):
        yield _refuse(project, "Spinup", "ramp_start_date", "a spinup ramp is not implemented")
    modules = {
        name: entry
        for name, entry in project.section("SpinupModules").items()
        if not (isinstance(entry, dict) and entry.get("enabled", True) is False)
    }
    for name, entry in modules.items():
        if name not in SPINUP:
            yield _refuse(project, "SpinupModules", name, f"spinup module {name} is not implemented")
        elif isinstance(entry, dict) and (entry.get("settings") or {}).get("ramp_start_date"):
            yield _refuse(project, "SpinupModules", name, "a spinup ramp is not implemented")
    if absent := [name for name in SPINUP if name not in modules]:
        yield _refuse(project, "SpinupModules", absent[0], f"spinup without {', '.join(absent)} is not implemented")


def _pools(project: Project) -> Iterator[Problem]:
    for name, value in project.section("Pools").items():
        if isinstance(value, dict) or float(value or 0.0) != 0.0:
            yield _refuse(project, "Pools", name, f"pool {name} starts with {value}; only 0.0 is implemented")


def _domain(project: Project) -> Iterator[Problem]:
    domain = project.section("LocalDomain")
    wanted = {"type": "spatial_tiled", "sequencer": "CBMSequencer", "timing": "annual"}
    for key, value in wanted.items():
        if domain.get(key, value) != value:
            yield _refuse(project, "LocalDomain", key, f"{key} {domain[key]!r} is not implemented, only {value!r}")
    manager = domain.get("operationManager") or domain.get("operation_manager") or {}
    settings = manager.get("settings", manager.get("config", {})) if isinstance(manager, dict) else {}
    kind = manager.get("type", "Simple") if isinstance(manager, dict) else str(manager)
    if kind not in {"Simple", "Ublas"} or any(settings.values() if isinstance(settings, dict) else [True]):
        yield _refuse(project, "LocalDomain", "operationManager", f"operation manager {kind} with options {settings}")
    if (domain.get("settings") or {}).get("sampling_interval", 1) not in (0, 1):
        yield _refuse(project, "LocalDomain", "settings", "sampling_interval is not implemented")
    kind = (domain.get("landscape") or {}).get("iteration_type", "Normal")
    if kind not in {"Normal", "TileIndex", "BlockIndex", "CellIndex"}:
        yield _refuse(project, "LocalDomain", "landscape", f"iteration_type {kind} is not implemented")


def _providers(project: Project) -> Iterator[Problem]:
    for name, provider in project.providers.items():
        if provider.get("type") not in PROVIDERS:
            yield _refuse(project, "Providers", name, f"provider type {provider.get('type')} is not implemented")


# What spinup reads besides; another definition there is followed.
_SPINUP_OVERRIDES = {
    "mean_annual_temperature",
    "slow_ag_to_bg_mixing_rate",
    "decay_parameters",
    "spinup_parameters",
    "minimum_rotation",
    "delay",
    "run_delay",
}


def _variables(project: Project) -> Iterator[Problem]:
    for name in (*_ENGINE_VARIABLES, "initial_historic_land_class", "initial_current_land_class"):
        if name not in _SPINUP_OVERRIDES and project.overridden(name):
            yield _refuse(project, "SpinupVariables", name, f"{name} of its own in spinup is not implemented")
    for name in ("enable_moss", "enable_peatland"):
        if definition(project, name, False) not in (None, False, "false", 0):
            yield _refuse(project, "Variables", name, f"{name} is not implemented")
    for name in ("current_growth_multipliers", "last_pass_disturbance_timeseries"):
        if definition(project, name, False) is not None or definition(project, name, True) is not None:
            yield _refuse(project, "Variables", name, f"variable {name} is not implemented")
    if definition(project, "simulateLandUnit", False) is False:
        yield _refuse(project, "Variables", "simulateLandUnit", "simulateLandUnit is false: nothing would run")
    yield from _transforms(project)


def _transforms(project: Project) -> Iterator[Problem]:
    for name, spinup in reachable(project):
        section = "SpinupVariables" if spinup and name in project.section("SpinupVariables") else "Variables"
        entry = definition(project, name, spinup)
        if not isinstance(entry, dict):
            continue
        transform = entry.get("transform")
        if transform is None and set(entry) == {"flintdata"}:
            yield _refuse(project, section, name, f"variable {name} is FLINT data, which is not implemented")
        if not isinstance(transform, dict):
            continue
        kind = transform.get("type")
        if kind not in TRANSFORMS:
            yield _refuse(project, section, name, f"variable {name} uses {kind}, which is not implemented")
        if transform.get("format") == "long":
            yield _refuse(project, section, name, f"variable {name}: format long is not implemented")
        if "{pool:" in str(transform.get("queryString", "")):
            yield _refuse(project, section, name, f"variable {name}: a query with pool values is not implemented")
