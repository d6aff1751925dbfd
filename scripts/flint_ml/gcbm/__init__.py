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
    from flint_ml.gcbm.comparison.calibration import Scored, score_sides
    from flint_ml.gcbm.comparison.compare import Change, Comparison, compare
    from flint_ml.gcbm.comparison.effects import Effects, one_at_a_time, steps
    from flint_ml.gcbm.comparison.map_diff import Changed, changed
    from flint_ml.gcbm.engine.aggregate import Check, Result
    from flint_ml.gcbm.engine.run import fingerprint, run
    from flint_ml.gcbm.partition import Job, merge, plan, write_part
    from flint_ml.gcbm.project.compatibility import unsupported
    from flint_ml.gcbm.project.config import CFG, Project, find_config_dir, load_project
    from flint_ml.gcbm.project.diff import InputChanges, changes
    from flint_ml.gcbm.project.layer_diff import value_text
    from flint_ml.gcbm.project.layers import project_layers
    from flint_ml.gcbm.project.problems import Problem
    from flint_ml.gcbm.project.repair import repair
    from flint_ml.gcbm.project.validation import attribute_check, find_missing_attributes, missing_attributes, validate
    from flint_ml.gcbm.results.indicators import Table, disturbance_carbon, disturbed_area, indicators
    from flint_ml.gcbm.results.labels import amount, choose_indicators, label, span, unit
    from flint_ml.gcbm.results.maps import MapRequest
    from flint_ml.gcbm.results.output_db import write_database
    from flint_ml.gcbm.results.report import (
        change_text,
        comparison_tables,
        draw_figures,
        rank,
        results_table,
        run_tables,
    )
    from flint_ml.gcbm.results.tables import keep, metrics, metrics_text, result_tables, table_of_metrics, value
    from flint_ml.gcbm.simulation import (
        DATABASE,
        Kind,
        Simulated,
        choose_engine,
        close_project,
        map_request,
        of_result,
        open_project,
        parse_memory,
        refuse_faults,
        run_embedded,
        run_moja_cli,
        staged,
        wanted_maps,
        with_params,
        write_outputs,
    )

_HOME = {
    "CFG": "project.config",
    "Change": "comparison.compare",
    "Changed": "comparison.map_diff",
    "Check": "engine.aggregate",
    "Comparison": "comparison.compare",
    "DATABASE": "simulation",
    "Effects": "comparison.effects",
    "InputChanges": "project.diff",
    "Job": "partition",
    "Kind": "simulation",
    "MapRequest": "results.maps",
    "OWN_MAPS": "simulation",
    "Problem": "project.problems",
    "Project": "project.config",
    "Result": "engine.aggregate",
    "Scored": "comparison.calibration",
    "Simulated": "simulation",
    "Table": "results.indicators",
    "amount": "results.labels",
    "attribute_check": "project.validation",
    "change_text": "results.report",
    "changed": "comparison.map_diff",
    "changes": "project.diff",
    "choose_engine": "simulation",
    "choose_indicators": "results.labels",
    "close_project": "simulation",
    "compare": "comparison.compare",
    "comparison_tables": "results.report",
    "disturbance_carbon": "results.indicators",
    "disturbed_area": "results.indicators",
    "draw_figures": "results.report",
    "find_config_dir": "project.config",
    "find_missing_attributes": "project.validation",
    "fingerprint": "engine.run",
    "indicators": "results.indicators",
    "keep": "results.tables",
    "label": "results.labels",
    "layer_text": "project.diff",
    "load_project": "project.config",
    "map_request": "simulation",
    "merge": "partition",
    "metrics": "results.tables",
    "metrics_text": "results.tables",
    "missing_attributes": "project.validation",
    "of_result": "simulation",
    "one_at_a_time": "comparison.effects",
    "open_project": "simulation",
    "parse_memory": "simulation",
    "part_tiles": "project.validation",
    "plan": "partition",
    "project_layers": "project.layers",
    "rank": "results.report",
    "refuse_faults": "simulation",
    "repair": "project.repair",
    "result_tables": "results.tables",
    "results_table": "results.report",
    "run": "engine.run",
    "run_embedded": "simulation",
    "run_moja_cli": "simulation",
    "run_tables": "results.report",
    "score_sides": "comparison.calibration",
    "span": "results.labels",
    "staged": "simulation",
    "steps": "comparison.effects",
    "table_of_metrics": "results.tables",
    "unit": "results.labels",
    "unsupported": "project.compatibility",
    "validate": "project.validation",
    "value": "results.tables",
    "value_text": "project.layer_diff",
    "wanted_maps": "simulation",
    "with_params": "simulation",
    "write_database": "results.output_db",
    "write_outputs": "simulation",
    "write_part": "partition",
}

__all__ = [
    "CFG",
    "DATABASE",
    "OWN_MAPS",
    "Change",
    "Changed",
    "Check",
    "Comparison",
    "Effects",
    "InputChanges",
    "Job",
    "Kind",
    "MapRequest",
    "Problem",
    "Project",
    "Result",
    "Scored",
    "Simulated",
    "Table",
    "amount",
    "attribute_check",
    "change_text",
    "changed",
    "changes",
    "choose_engine",
    "choose_indicators",
    "close_project",
    "compare",
    "comparison_tables",
    "disturbance_carbon",
    "disturbed_area",
    "draw_figures",
    "find_config_dir",
    "find_missing_attributes",
    "fingerprint",
    "indicators",
    "keep",
    "label",
    "layer_text",
    "load_project",
    "map_request",
    "merge",
    "metrics",
    "metrics_text",
    "missing_attributes",
    "of_result",
    "one_at_a_time",
    "open_project",
    "parse_memory",
    "part_tiles",
    "plan",
    "project_layers",
    "rank",
    "refuse_faults",
    "repair",
    "result_tables",
    "results_table",
    "run",
    "run_embedded",
    "run_moja_cli",
    "run_tables",
    "score_sides",
    "span",
    "staged",
    "steps",
    "table_of_metrics",
    "unit",
    "unsupported",
    "validate",
    "value",
    "value_text",
    "wanted_maps",
    "with_params",
    "write_database",
    "write_outputs",
    "write_part",
]

__getattr__ = door(__name__, _HOME)
