"""Refusals: everything that is not implemented, in one list, before any work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flint_ml.errors import InputError
from flint_ml.gcbm import Project, load_project, run, unsupported


def with_change(project: Project, section: str, *path: str, value: Any) -> Project:
    config = json.loads(json.dumps(project.config))
    entry = config.setdefault(section, {})
    for key in path[:-1]:
        entry = entry.setdefault(key, {})
    entry[path[-1]] = value
    return Project(project.root, project.config_dir, config, project.origin, project.providers, project.files)


def transform(kind: str, **more: Any) -> dict[str, Any]:
    return {"transform": {"type": kind, **more}}


CASES: list[tuple[tuple[str, ...], Any, str]] = [
    (("Modules", "MossGrowthModule"), {"order": 5}, "MossGrowthModule"),
    (("Modules", "CBMPartitioningModule"), {"order": 5}, "CBMPartitioningModule"),
    (("Modules", "GrowthMultiplierModule"), {"order": 5}, "GrowthMultiplierModule"),
    (("Modules", "CBMFlatAggregatorLandUnitData"), {"order": 12}, "CBMFlatAggregatorLandUnitData"),
    (("Modules", "CBMGrowthModule", "enabled"), False, "without module CBMGrowthModule"),
    (("Modules", "CBMDecayModule", "order"), 3.5, "another order"),
    (("SpinupVariables", "turnover_rates"), 0.1, "of its own in spinup is not implemented"),
    (("Modules", "CBMDisturbanceListener", "settings", "conditions"), [{}], "conditions"),
    (("Modules", "CBMDecayModule", "settings", "extra_decay_removals"), True, "extra_decay_removals"),
    (("Spinup", "enabled"), False, "without spinup"),
    (("Spinup", "sequencer"), "ESGYMSpinupSequencer", "ESGYMSpinupSequencer"),
    (("Spinup", "ramp_start_date"), "1980/01/01", "ramp"),
    (("SpinupModules", "MossDecayModule"), {"order": 9}, "MossDecayModule"),
    (("SpinupModules", "CBMGrowthModule"), {"enabled": False}, "spinup without CBMGrowthModule"),
    (("Pools", "SoftwoodMerch"), 10.0, "starts with 10.0"),
    (("LocalDomain", "timing"), "monthly", "monthly"),
    (("LocalDomain", "type"), "spatial_csv", "spatial_csv"),
    (("LocalDomain", "sequencer"), "Sequencer", "sequencer"),
    (("LocalDomain", "operationManager"), {"type": "Simple", "settings": {"use_kahan": True}}, "use_kahan"),
    (("LocalDomain", "settings"), {"sampling_interval": 10}, "sampling_interval"),
    (("LocalDomain", "landscape", "iteration_type"), "LandUnit", "LandUnit"),
    (("Variables", "enable_moss"), True, "enable_moss"),
    (("Variables", "enable_peatland"), True, "enable_peatland"),
    (("Variables", "current_growth_multipliers"), {}, "current_growth_multipliers"),
    (("Variables", "last_pass_disturbance_timeseries"), [], "last_pass_disturbance_timeseries"),
    (("Variables", "simulateLandUnit"), False, "nothing would run"),
    (("Variables", "mean_annual_temperature"), transform("TimeSeriesIdxFromFlintDataTransform"), "TimeSeriesIdx"),
    (("Variables", "growth_curve_id"), transform("DynamicGrowthCurveTransform"), "DynamicGrowthCurveTransform"),
    (("Variables", "reporting_classifiers"), transform("CompositeTransform", vars=[], format="long"), "format long"),
    (
        ("Variables", "slow_ag_to_bg_mixing_rate"),
        transform("SQLQueryTransform", queryString="SELECT {pool:SoftwoodMerch}"),
        "pool values",
    ),
]


@pytest.mark.parametrize(("path", "value", "reason"), CASES)
def test_each_refusal(example: Project, path: tuple[str, ...], value: Any, reason: str) -> None:
    found = unsupported(with_change(example, path[0], *path[1:], value=value))
    assert any(reason in problem.message for problem in found), found
    assert all(problem.severity == "unsupported" for problem in found)
    assert all("run-gcbm-flint@v1" in problem.hint for problem in found)


def test_the_example_is_supported(example: Project) -> None:
    assert unsupported(example) == []


def test_an_unknown_provider(example: Project) -> None:
    providers = {**example.providers, "Maps": {"type": "RasterTiled"}}
    project = Project(example.root, example.config_dir, example.config, example.origin, providers, example.files)
    assert [p.message for p in unsupported(project)] == ["provider type RasterTiled is not implemented"]


def test_what_nothing_uses_is_not_refused(example: Project) -> None:
    """Real projects carry unused, even broken, variables and disabled modules."""
    project = with_change(example, "Variables", "unused", value=transform("PoolTransform"))
    project = with_change(project, "Modules", "MossGrowthModule", value={"enabled": False, "order": 3})
    assert unsupported(project) == []


def test_a_run_is_refused_with_the_whole_list(example_folder: Path) -> None:
    project = load_project(example_folder)
    project = with_change(project, "Modules", "MossGrowthModule", value={"order": 5})
    project = with_change(project, "Variables", "enable_moss", value=True)
    project = with_change(project, "Pools", "CO2", value=1.0)
    with pytest.raises(InputError, match=r"(?s)\(3\).*MossGrowthModule.*CO2.*enable_moss") as caught:
        run(project)
    assert "uses: moja-global/flint-ml-actions/run-gcbm-flint@v1" in str(caught.value.hint)
    assert caught.value.code == "gcbm-unsupported"
