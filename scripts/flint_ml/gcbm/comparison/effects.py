"""The effect of each input change: the base run again with one change at a time.

Changes that only make sense together are one step: all tables of one kind of parameter (a new growth curve
is in four tables), and a new layer with the configuration entries that name it.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flint_ml.errors import FlintError, InputError
from flint_ml.gcbm.comparison.compare import Comparison, compare
from flint_ml.gcbm.project.config import CFG, Project, plain_path
from flint_ml.gcbm.project.diff import (
    MISSING,
    ConfigChange,
    InputChanges,
    as_project,
    escape,
    layer_line,
    merged,
    parameter_line,
    short,
    unescape,
)
from flint_ml.gcbm.project.layer_diff import LayerChange
from flint_ml.gcbm.project.layers import layer_entries, make_layer, project_layers
from flint_ml.gcbm.project.parameters import ParameterChange
from flint_ml.gcbm.results.indicators import Table

Runner = Callable[[Path], Table]


@dataclass(frozen=True)
class Step:
    """Changes that are made together."""

    title: str
    configuration: tuple[ConfigChange, ...] = ()
    parameters: tuple[ParameterChange, ...] = ()
    layers: tuple[LayerChange, ...] = ()


@dataclass(frozen=True)
class Effect:
    """What one step alone does to the base. ``error``: why it could not be run alone; then there is no result."""

    step: Step
    comparison: Comparison | None
    error: str = ""


@dataclass(frozen=True)
class Effects:
    """The effect of each step, and of all together."""

    effects: list[Effect]
    together: Comparison

    def table(self, indicator: str, year: int) -> Table:
        """One indicator in one year: effect of each step, all together, and what is not the sum of its parts.

        Columns change, difference (in the indicator's unit), share of the base; None where a step could not run
        alone.
        """
        total = _delta(self.together, indicator, year)
        rows: list[list[Any]] = []
        parts: list[float | None] = []
        for effect in self.effects:
            delta, share = _delta(effect.comparison, indicator, year)
            parts.append(delta)
            rows.append([effect.step.title, delta, share])
        rows.append(["all together", *total])
        known = [part for part in parts if part is not None]
        rest = total[0] - sum(known) if total[0] is not None and len(known) == len(parts) else None
        rows.append(["acting on each other", rest, None])
        return Table(["change", "difference", "share"], rows)


def _delta(comparison: Comparison | None, indicator: str, year: int) -> tuple[float | None, float | None]:
    for change in comparison.changes if comparison else ():
        if (change.indicator, change.year) == (indicator, year):
            return change.delta, change.relative
    return None, None


def steps(changes: InputChanges) -> list[Step]:
    """Split changes into the smallest groups that can be made alone."""
    found: list[Step] = []
    left = list(changes.configuration)
    new = [layer for layer in changes.layers if layer.kind in {"added", "removed"}]
    for group in _tied(new, left):
        own = tuple(c for c in left if any(_names(c, layer.name) for layer in group))
        left = [c for c in left if c not in own]
        found.append(Step("; ".join(layer_line(layer) for layer in group), configuration=own, layers=tuple(group)))
    for layer in changes.layers:
        if layer not in new:
            own = tuple(c for c in left if f"/layers/{escape(layer.name)}/" in c.pointer)
            left = [c for c in left if c not in own]
            found.append(Step(layer_line(layer), configuration=own, layers=(layer,)))
    found += [Step(f"{c.pointer}: {short(c.old)} → {short(c.new)}", configuration=(c,)) for c in left]
    for kind in dict.fromkeys(change.group for change in changes.parameters):
        own_parameters = tuple(change for change in changes.parameters if change.group == kind)
        only = parameter_line(own_parameters[0])
        title = only if len(own_parameters) == 1 else f"{kind}: {len(own_parameters)} values"
        found.append(Step(title, parameters=own_parameters))
    return found


def _names(change: ConfigChange, layer: str) -> bool:
    """Whether a configuration change speaks of a layer."""
    if layer in (unescape(part) for part in change.pointer.split("/")):
        return True
    words = [json.dumps(value, ensure_ascii=False) for value in (change.old, change.new)]
    quoted = json.dumps(layer, ensure_ascii=False)
    return any(quoted in word for word in words)


def _tied(layers: Sequence[LayerChange], changes: Sequence[ConfigChange]) -> list[list[LayerChange]]:
    """New layers that share a configuration change (the listener's list) cannot be told apart."""
    groups = [[layer] for layer in layers]
    for change in changes:
        hit = [group for group in groups if any(_names(change, layer.name) for layer in group)]
        if len(hit) > 1:
            groups = [group for group in groups if group not in hit] + [[layer for group in hit for layer in group]]
    return groups


def one_at_a_time(
    base: Path | Project,
    head: Path | Project,
    changes: InputChanges,
    run: Runner,
    *,
    before: Table | None = None,
    after: Table | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Effects:
    """Run the base again with each change alone.

    Parameters
    ----------
    base, head
        Project folders, or loaded projects (with the databases that they name).
    changes
        From ``inputdiff.changes(base, head)``.
    run
        Runs a project folder and gives its indicators by year: ``lambda p: indicators(run(load_project(p)))``.
    before, after
        Results of base and head, if they are there already.

    Raises
    ------
    InputError
        Base or head itself cannot be run. A single step that cannot be run alone is told in its ``error``.
    """
    old, new = as_project(base), as_project(head)
    before = _whole(old, run) if before is None else before
    after = _whole(new, run) if after is None else after
    todo = steps(changes)
    effects: list[Effect] = []
    for number, step in enumerate(todo, 1):
        if progress is not None:
            progress(step.title, number, len(todo))
        if len(todo) == 1:
            effects.append(Effect(step, compare(before, after)))
            continue
        with tempfile.TemporaryDirectory(prefix="gcbm-step-") as folder:
            try:
                made = with_step(old, new, step, Path(folder) / "project")
                effects.append(Effect(step, compare(before, run(made))))
            except FlintError as error:
                effects.append(Effect(step, None, error.message.splitlines()[0]))
    return Effects(effects, compare(before, after))


def _whole(project: Project, run: Runner) -> Table:
    """Run a project as it is loaded, also where its database is not the one in its folder."""
    with tempfile.TemporaryDirectory(prefix="gcbm-step-") as folder:
        return run(with_step(project, project, Step("none"), Path(folder) / "project"))


def with_step(base: Project, head: Project, step: Step, target: Path) -> Path:
    """Write the base project with one step made; layers and database that do not change are not copied.

    Returns
    -------
    The folder of the new project.
    """
    config = {section: dict(entries) for section, entries in base.config.items()}
    providers = json.loads(json.dumps(base.providers))
    _absolute(base, config, providers)
    document: dict[str, Any] = {**json.loads(json.dumps(config)), "Providers": providers}
    described = (c.pointer.split("/") for c in step.configuration if c.pointer.startswith("/layers/"))
    places = {layer.name for layer in step.layers} | {unescape(parts[2]) for parts in described}
    for change in step.configuration:
        if not change.pointer.startswith("/layers/"):
            _set(document, change, head)
    (target / "config").mkdir(parents=True)
    if step.parameters:
        database = target / "input_database" / "gcbm_input.db"
        with_tables(base.database, head.database, {change.table for change in step.parameters}, database)
        for provider in providers.values():
            if provider.get("type") == "SQLite":
                provider["path"] = str(database)
    if places:
        _layers(head, providers, places)
    document.pop("Providers")
    for name, content in (("merged", document), ("provider_config", {"Providers": providers})):
        text = json.dumps(content, ensure_ascii=False)
        (target / "config" / f"{name}.json").write_text(text, encoding="utf-8")
    (target / "config" / CFG).write_text("config=merged.json\nconfig_provider=provider_config.json\n", encoding="utf-8")
    return target


def _absolute(project: Project, config: dict[str, dict[str, Any]], providers: dict[str, Any]) -> None:
    """Inputs by absolute path, so that the configuration can stand elsewhere."""
    for name, provider in providers.items():
        if "path" in provider:
            where = project.source("Providers", name)
            provider["path"] = str(project.path(str(provider["path"]), what=f"provider {name}", where=where).resolve())
        for entry in provider.get("layers", []):
            entry["layer_path"] = str(make_layer(project, provider, entry, "").tiff.resolve())
    for name, entry in config.get("Variables", {}).items():
        if isinstance(entry, dict) and isinstance(entry.get("transform"), dict) and "queryFile" in entry["transform"]:
            file = (project.config_dir / plain_path(str(entry["transform"]["queryFile"]))).resolve()
            config["Variables"][name] = {"transform": {**entry["transform"], "queryFile": str(file)}}


def _layers(head: Project, providers: dict[str, Any], names: set[str]) -> None:
    """Read these layers from the head; an entry of a layer that the head does not have goes."""
    there = project_layers(head)
    entries = {str(entry.get("name")): (provider, entry) for provider, entry, _ in layer_entries(head)}
    raster = [provider for provider in providers.values() if provider.get("type") == "RasterTiledGDAL"]
    for provider in raster:
        provider["layers"] = [e for e in provider.get("layers", []) if e.get("name") not in names or e["name"] in there]
        for entry in provider["layers"]:
            if entry.get("name") in names:
                entry["layer_path"] = str(there[entry["name"]].tiff.resolve())
    known = {entry.get("name") for provider in raster for entry in provider["layers"]}
    for name in sorted(names & set(there) - known):
        raster[0]["layers"].append({**entries[name][1], "layer_path": str(there[name].tiff.resolve())})


def _set(document: dict[str, Any], change: ConfigChange, head: Project) -> None:
    """Make one configuration change in the merged document."""
    parts = [unescape(part) for part in change.pointer.split("/")[1:]]
    if parts[0] == "Providers" and (len(parts) < 3 or parts[2] in {"path", "layers"}):
        if len(parts) > 4 and parts[2] == "layers" and parts[4] != "layer_path":
            _set_in_layer(document["Providers"][parts[1]], parts[3], parts[4:], change.new)
        elif len(parts) == 2 and change.new is MISSING:
            document["Providers"].pop(parts[1], None)
        return  # layers and databases come with their own steps
    if parts[-1] == "query":  # the text of a query file: take the head's file
        entry = merged(head)["Variables"][parts[1]]["transform"]
        document["Variables"][parts[1]]["transform"].pop("queryFile", None)
        document["Variables"][parts[1]]["transform"]["queryString"] = entry["query"]
        return
    _put(document, parts, change.new)


def _set_in_layer(provider: dict[str, Any], name: str, parts: Sequence[str], new: Any) -> None:
    for entry in provider.get("layers", []):
        if entry.get("name") == name:
            _put(entry, parts, new)


def _put(place: Any, parts: Sequence[str], new: Any) -> None:
    for part in parts[:-1]:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    last = parts[-1]
    if isinstance(place, list):
        place[int(last)] = new
    elif new == MISSING:
        place.pop(last, None)
    else:
        place[last] = new


def with_tables(base: Path, head: Path, tables: set[str], target: Path) -> Path:
    """A copy of the base's parameter database with some tables as in the head."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(base, target)
    connection = sqlite3.connect(target)
    try:
        connection.execute("ATTACH DATABASE ? AS head", (str(head),))
        for table in sorted(tables):
            row = connection.execute("SELECT sql FROM head.sqlite_master WHERE name = ?", (table,)).fetchone()
            connection.execute(f'DROP TABLE IF EXISTS main."{table}"')
            if row is not None:
                connection.execute(str(row[0]))
                connection.execute(f'INSERT INTO main."{table}" SELECT * FROM head."{table}"')  # noqa: S608 - own names
        connection.commit()
    except sqlite3.Error as error:
        raise InputError(
            f"the tables {', '.join(sorted(tables))} cannot be taken over: {error}",
            where=str(head),
            hint="compare the two databases by hand",
            code="gcbm-effects",
        ) from None
    finally:
        connection.close()
    return target
