"""What changed in a project's inputs: configuration, parameter database, layers.

found = changes(Path("base"), Path("head"))
for line in found.lines(): print(line)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flint_ml.gcbm.project.config import Project, load_project, plain_path, read_json
from flint_ml.gcbm.project.layer_diff import LayerChange, compare_layers
from flint_ml.gcbm.project.layers import project_layers
from flint_ml.gcbm.project.parameters import ParameterChange, difference
from flint_ml.text.numbers import count

MISSING = "(missing)"
# In a layer's description: what it means is compared pixel by pixel.
_BY_PIXEL = {"attributes", "nodata"}


@dataclass(frozen=True)
class ConfigChange:
    """One changed value of the configuration.

    ``pointer``: JSON pointer into the merged configuration (``/LocalDomain/end_date``; provider entries under
    ``/Providers``, a layer by its name). ``old``, ``new``: values, or ``(missing)``. ``file``: where it stands.
    """

    pointer: str
    old: Any
    new: Any
    file: str

    def as_dict(self) -> dict[str, Any]:
        return {"pointer": self.pointer, "old": self.old, "new": self.new, "file": self.file}


@dataclass(frozen=True)
class InputChanges:
    """All differences between two projects; false when there is none."""

    configuration: list[ConfigChange] = field(default_factory=list)
    parameters: list[ParameterChange] = field(default_factory=list)
    layers: list[LayerChange] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.configuration or self.parameters or self.layers)

    def as_dict(self) -> dict[str, Any]:
        """For the record's details: aggregates only."""
        return {
            "configuration": [change.as_dict() for change in self.configuration],
            "parameters": [change.as_dict() for change in self.parameters],
            "layers": [change.as_dict() for change in self.layers],
        }

    def lines(self, most: int = 20) -> list[str]:
        """One line for each change, one for many values of a table, the rest as a count."""
        texts = [layer_line(change) for change in self.layers]
        texts += [f"{c.pointer}: {short(c.old)} → {short(c.new)}" for c in self.configuration]
        for table in dict.fromkeys(change.table for change in self.parameters):
            own = [change for change in self.parameters if change.table == table]
            several = f"{table}: {len(own)} values, such as {parameter_line(own[0]).removeprefix(f'{table} ')}"
            texts += [parameter_line(change) for change in own] if len(own) <= 3 else [several]
        return texts if len(texts) <= most else [*texts[:most], f"and {len(texts) - most} more"]

    def unchanged(self) -> list[str]:
        """The kinds of input that are as they were."""
        kinds = {"layers": self.layers, "configuration": self.configuration, "parameters": self.parameters}
        return [name for name, found in kinds.items() if not found]


SHOWN_MOVES = 3


def layer_line(change: LayerChange) -> str:
    """``disturbances_2012.tiff (913 pixels, 41.1 ha, none → Wildfire 2012)``"""
    kind = "" if change.kind == "changed" else f"{change.kind}: "
    note = f", {change.note}" if change.note else ""
    return f"{change.file or change.name} ({kind}{layer_text(change)}{note})"


def layer_text(change: LayerChange) -> str:
    """Pixels, area and each direction: ``2,129 pixels, 95.6 ha: 1,138 none → beetle, 991 beetle → none``"""
    whole = f"{change.pixels:,} pixels, {change.area_ha:.4g} ha"
    moves = [(f"{move.old} → {move.new}", move.pixels) for move in change.transitions]
    if len(moves) < 2:
        return ", ".join([whole, *(text for text, _ in moves)])
    listed = [f"{pixels:,} {text}" for text, pixels in moves[:SHOWN_MOVES]]
    more = f" and {count(len(moves) - SHOWN_MOVES, 'other change')}" if len(moves) > SHOWN_MOVES else ""
    return f"{whole}: {', '.join(listed)}{more}"


def parameter_line(change: ParameterChange) -> str:
    """``turnover_parameter (genus=Spruce): foliage 0.1 → 0.12``"""
    return f"{change.table} ({change.key}): {change.column} {short(change.old)} → {short(change.new)}"


def short(value: Any, length: int = 80) -> str:
    """A value in one line."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.7g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def changes(base: Path | Project, head: Path | Project) -> InputChanges:
    """Compare two projects.

    Parameters
    ----------
    base, head
        Folders (or zips, as for ``load_project``), or projects that are loaded already: one whose database was
        replaced (``overrides.with_database``) is compared with that database.

    Returns
    -------
    Configuration by JSON pointer (after merging, as the engine sees it: moving an entry to another file is no
    change), parameters by table, key and column, layers by pixel.

    Raises
    ------
    InputError
        One of the projects cannot be read.
    """
    one, two = as_project(base), as_project(head)
    return InputChanges(
        [*_configuration(one, two), *_descriptions(one, two)], difference(one.database, two.database), _layers(one, two)
    )


def as_project(given: Path | Project) -> Project:
    """A loaded project as it is, else the one in that folder."""
    return given if isinstance(given, Project) else load_project(given)


def _configuration(one: Project, two: Project) -> Iterator[ConfigChange]:
    before, after = merged(one), merged(two)
    for pointer, old, new in json_difference(before, after):
        if pointer in _database_paths(one, two):
            continue  # only where it lies; its content is compared row by row
        yield ConfigChange(pointer, old, new, _file(two if new is not MISSING else one, pointer))


def _database_paths(one: Project, two: Project) -> set[str]:
    """The paths of databases that a copy with overrides stands for."""
    return {
        f"/Providers/{escape(name)}/path"
        for project in (one, two)
        for name, provider in project.providers.items()
        if provider.get("type") == "SQLite" and Path(str(provider.get("path"))).is_absolute()
    }


def _file(project: Project, pointer: str) -> str:
    section, key = (*(unescape(part) for part in pointer.split("/")[1:3]), "")[:2]
    return project.source(section, key)


def merged(project: Project) -> dict[str, Any]:
    """The whole configuration as one object; layers and query files are named, paths written with ``/``."""
    config: dict[str, Any] = {section: dict(entries) for section, entries in project.config.items()}
    providers = {}
    for name, provider in project.providers.items():
        entry = dict(provider)
        if isinstance(entry.get("layers"), list):
            entry["layers"] = {str(layer.get("name")): _plain(layer) for layer in entry["layers"]}
        providers[name] = _plain(entry)
    config["Providers"] = providers
    for name, entry in config.get("Variables", {}).items():
        if isinstance(entry, dict) and isinstance(entry.get("transform"), dict) and "queryFile" in entry["transform"]:
            file = project.config_dir / plain_path(str(entry["transform"]["queryFile"]))
            text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else MISSING
            config["Variables"][name] = {"transform": {**entry["transform"], "query": text}}
    return config


def _plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    paths = {"path", "layer_path"}
    return {k: plain_path(v) if k in paths and isinstance(v, str) else v for k, v in entry.items()}


def json_difference(old: Any, new: Any, pointer: str = "") -> Iterator[tuple[str, Any, Any]]:
    """JSON pointer, old and new value of everything that differs; lists of plain values count as one value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from json_difference(old.get(key, MISSING), new.get(key, MISSING), f"{pointer}/{escape(str(key))}")
    elif _deep_list(old) and _deep_list(new) and len(old) == len(new):
        for number, (one, two) in enumerate(zip(old, new, strict=True)):
            yield from json_difference(one, two, f"{pointer}/{number}")
    elif type(old) is bool or type(new) is bool:
        if old is not new:
            yield pointer, old, new
    elif old != new:
        yield pointer, old, new


def _deep_list(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict | list) for item in value)


def escape(key: str) -> str:
    """A key in a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def unescape(part: str) -> str:
    """The key that a part of a JSON pointer stands for."""
    return part.replace("~1", "/").replace("~0", "~")


def _descriptions(one: Project, two: Project) -> Iterator[ConfigChange]:
    """Layer descriptions apart from what their values mean."""
    before, after = project_layers(one), project_layers(two)
    for name in before:
        if name in after and before[name].json.read_bytes() != after[name].json.read_bytes():
            old, new = (
                {k: v for k, v in read_json(layer.json).items() if k not in _BY_PIXEL}
                for layer in (before[name], after[name])
            )
            for pointer, was, now in json_difference(old, new):
                yield ConfigChange(f"/layers/{escape(name)}{pointer}", was, now, two.relative(after[name].json))


def _layers(one: Project, two: Project) -> list[LayerChange]:
    before, after = project_layers(one), project_layers(two)
    found = (compare_layers(before.get(name), after.get(name)) for name in dict.fromkeys([*before, *after]))
    return [change for change in found if change is not None]
