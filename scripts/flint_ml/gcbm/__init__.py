"""GCBM: an embedded engine that gives the C++'s numbers, without the C++.

It reads a project for moja global's GCBM (``moja.cli``), groups pixels into unique stands, spins up once
for each key, and simulates year by year in the C++'s order. What it does not implement it refuses, with
the list. It is not moja.cli, and says so in its results.

    project = load_project("path/to/project")        # folder, configuration folder, or zip
    for problem in validate(project): print(problem)  # everything missing or inconsistent, in seconds
    result = run(project)
    write_database(result, "gcbm_output.db")
    table = indicators(result)                        # year x indicator, names with units

=========================  ==============================================================================
``load_project(path)``     find and merge the configuration -> ``Project``
``unsupported(project)``   what the engine does not implement -> list of ``Problem``
``validate(project)``      all faults: errors, warnings, unsupported parts -> list of ``Problem``
``repair(project, ...)``    a repaired copy for ``moja.cli`` and the engine -> list of what was changed
``run(project, ...)``      simulate -> ``Result`` (tables, ``checks``, stands, pixels, area)
``write_database``         the aggregator's SQLite schema, whole or not at all
``indicators(source)``     year x indicator from a ``Result`` or a database, also by group
``disturbed_area``         area by year and disturbance type
``disturbance_carbon``     area, emissions and harvest by year and disturbance type
``plan(project, jobs)``    split the blocks into jobs, balanced by unique stands
``write_part``             a job's result with its blocks' sums
``merge(parts)``           join parts to exactly the result of one run
``MapRequest``             GeoTIFFs of chosen indicators and years
=========================  ==============================================================================

All carbon is tC, areas are ha, years are calendar years (0 is the state after spinup).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint_ml.doors import door

if TYPE_CHECKING:
    from flint_ml.gcbm.engine.aggregate import Check, Result
    from flint_ml.gcbm.engine.run import run
    from flint_ml.gcbm.partition import merge, plan, write_part
    from flint_ml.gcbm.project.compatibility import unsupported
    from flint_ml.gcbm.project.config import Project, load_project
    from flint_ml.gcbm.project.problems import Problem
    from flint_ml.gcbm.project.repair import repair
    from flint_ml.gcbm.project.validation import validate
    from flint_ml.gcbm.results.indicators import Table, disturbance_carbon, disturbed_area, indicators
    from flint_ml.gcbm.results.maps import MapRequest
    from flint_ml.gcbm.results.output_db import write_database

_HOME = {
    "Check": "engine.aggregate",
    "MapRequest": "results.maps",
    "Problem": "project.problems",
    "Project": "project.config",
    "Result": "engine.aggregate",
    "Table": "results.indicators",
    "disturbance_carbon": "results.indicators",
    "disturbed_area": "results.indicators",
    "indicators": "results.indicators",
    "load_project": "project.config",
    "repair": "project.repair",
    "merge": "partition",
    "plan": "partition",
    "run": "engine.run",
    "unsupported": "project.compatibility",
    "validate": "project.validation",
    "write_database": "results.output_db",
    "write_part": "partition",
}

__all__ = [
    "Check",
    "MapRequest",
    "Problem",
    "Project",
    "Result",
    "Table",
    "disturbance_carbon",
    "disturbed_area",
    "indicators",
    "load_project",
    "merge",
    "plan",
    "repair",
    "run",
    "unsupported",
    "validate",
    "write_database",
    "write_part",
]


__getattr__ = door(__name__, _HOME)
