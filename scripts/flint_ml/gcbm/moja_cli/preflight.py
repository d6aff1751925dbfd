"""What would make ``moja.cli`` fail, found before it starts: most of it would cost the whole run."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from flint_ml.errors import FlintError
from flint_ml.gcbm.moja_cli.locate import home_of, plugin
from flint_ml.gcbm.project.compatibility import definition, reachable, unsupported
from flint_ml.gcbm.project.config import Project
from flint_ml.gcbm.project.layers import layer_entries, make_layer
from flint_ml.gcbm.project.problems import Problem
from flint_ml.gcbm.project.validation import part_tiles, validate
from flint_ml.gcbm.project.variables import open_database

_VARIABLE = re.compile(r"\{var:[^}]+\}")
# Warnings for the embedded engine, which reads such a project; the C++ does not.
_FATAL_HERE = {"gcbm-layer-cropped", "gcbm-growth-curve"}


def preflight(project: Project, binary: Path) -> list[Problem]:
    """Errors that stop the run, and warnings (missing or broken JSON is found by ``load_project``).

    A project that the embedded engine understands is checked whole, pixel by pixel (unknown boundaries,
    curves, disturbance types); of any other: libraries, layers, database, and the tables of its queries.
    """
    found = [*_libraries(project, binary)]
    if not unsupported(project):
        for problem in validate(project):
            if problem.severity == "error" or problem.code in _FATAL_HERE:
                found.append(_as_error(problem))
        return [*found, *part_tiles(project)]
    return [*found, *_layers(project), *part_tiles(project), *_database(project)]


def _as_error(problem: Problem) -> Problem:
    return Problem("error", problem.code, problem.message, problem.where, problem.hint)


def _libraries(project: Project, binary: Path) -> Iterator[Problem]:
    home = home_of(binary)
    missing = [
        name
        for name, kind in project.section("Libraries").items()
        if kind == "external" and plugin(home, str(name)) is None
    ]
    if missing:
        yield Problem(
            "error",
            "gcbm-flint-library",
            f"{', '.join(f'lib{name}.so' for name in missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not beside moja.cli",
            project.source("Libraries"),
            f"put the plug-in libraries into the folder of the executable itself, {home.name}/ (symbolic links to "
            "moja.cli are resolved; LD_LIBRARY_PATH does not help for plug-ins)",
        )


def _layers(project: Project) -> Iterator[Problem]:
    for provider, entry, where in layer_entries(project):
        try:
            layer = make_layer(project, provider, entry, where)
            layer.open()
            sides = layer.cropped()
            layer.close()
        except FlintError as error:
            yield Problem("error", error.code, error.message, error.where or where, error.hint or "")
            continue
        if sides:
            yield Problem(
                "error",
                "gcbm-layer-cropped",
                f"layer {layer.name} ends inside a 0.1-degree block ({', '.join(sides)}): moja.cli fails on every "
                "read of such a block",
                where,
                "tile the layer to whole blocks (--fix writes a mended copy)",
            )


def _database(project: Project) -> Iterator[Problem]:
    """The input database opens, and every reachable query finds its tables and columns."""
    try:
        connection = open_database(project.database)
    except FlintError as error:
        yield Problem("error", error.code, error.message, error.where or "", error.hint or "")
        return
    try:
        for name, spinup in reachable(project):
            entry = definition(project, name, spinup)
            transform = entry.get("transform") if isinstance(entry, dict) else None
            query = transform.get("queryString") if isinstance(transform, dict) else None
            if not query:
                continue
            try:
                connection.execute(f"EXPLAIN {_VARIABLE.sub('NULL', str(query))}")
            except sqlite3.Error as error:
                if "no such" in str(error):
                    yield Problem(
                        "error",
                        "gcbm-flint-table",
                        f"the query of variable {name} fails: {error}",
                        project.source("SpinupVariables" if spinup else "Variables", name),
                        "the input database must have the GCBM tables; correct the query or the database",
                    )
    finally:
        connection.close()
