"""Everything missing or inconsistent in a project, in one list, without running it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import FlintError, InputError
from flint_ml.gcbm.engine.aggregate import Check, Status
from flint_ml.gcbm.engine.checks import unlistened_layers
from flint_ml.gcbm.engine.disturbance import Event, EventPlan, parse_event
from flint_ml.gcbm.engine.growth import NO_CURVE, GrowthKeys
from flint_ml.gcbm.engine.initial import MIXING, TEMPERATURE, select_stands, stand_places
from flint_ml.gcbm.engine.model import Model, StandVariables, build_model
from flint_ml.gcbm.engine.run import Reader
from flint_ml.gcbm.engine.stands import Inventory
from flint_ml.gcbm.project.compatibility import reachable, unsupported
from flint_ml.gcbm.project.config import Project
from flint_ml.gcbm.project.grid import Grid, project_domain, raster_provider, tile_bounds
from flint_ml.gcbm.project.layers import Layer, covers, layer_entries, make_layer
from flint_ml.gcbm.project.problems import Problem, Severity, readable
from flint_ml.gcbm.project.variables import NullVariableError
from flint_ml.text.numbers import count

PATH_KEYS = {"databasename", "output_path", "output_filename", "layer_path", "path", "queryFile"}


def validate(project: Project, *, pixels: bool = True) -> list[Problem]:
    """Faults of a project: errors first, then unsupported parts, then warnings.

    Parameters
    ----------
    project
        From ``load_project`` (which itself reports missing or broken JSON).
    pixels
        Also read the layers and look for pixels without curve, age, temperature, matrix.
    """
    found: list[Problem] = []
    for part in (unsupported, _separators, _settings, _variables):
        with _collect(found), readable("the configuration", project.relative(project.config_dir)):
            found += part(project)
    with _collect(found), readable("the landscape", project.source("LocalDomain", "landscape")):
        _tiles(project, found)
    layers: dict[str, Layer] = {}
    with _collect(found):
        layers = _layers(project, found)
    with _collect(found), readable("the landscape", project.source("LocalDomain", "landscape")):
        _domain(project, layers, found)
    with _collect(found):
        _ = project.years
    broken = any(p.severity == "error" for p in found)
    with _collect(found), Reader(project, layers) as reader:
        model = None
        with _collect(found):
            model = build_model(project, reader.variables, layers)
        if model is not None:
            with readable("an event", project.source("Modules", "CBMDisturbanceListener")):
                events = _events(model, found)
            if pixels and not broken and not any(p.severity != "warning" for p in found):
                with readable("a parameter of the pixels", str(project.database)):
                    _pixels(reader, model, events, found)
    rank = {"error": 0, "unsupported": 1, "warning": 2}
    unique = list({(p.code, p.where, p.message): p for p in reversed(found)}.values())[::-1]
    return sorted(unique, key=lambda p: rank[p.severity])


@contextmanager
def _collect(found: list[Problem]) -> Iterator[None]:
    """Turn an InputError into a problem and go on."""
    try:
        yield
    except NullVariableError as error:
        text = f"{error}, and a query needs it on every pixel"
        found.append(Problem("error", "gcbm-null", text, "", "give it a value on every pixel that has classifiers"))
    except FlintError as error:
        severity: Severity = "unsupported" if error.code == "gcbm-unsupported" else "error"
        found.append(Problem(severity, error.code, error.message, error.where or "", error.hint or ""))


def _separators(project: Project) -> Iterator[Problem]:
    """Windows separators: the engine understands them, moja.cli on Linux does not."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            for key, item in value.items():
                if key in PATH_KEYS and isinstance(item, str) and "\\" in item:
                    yield f"{path}.{key}", item
                yield from walk(item, f"{path}.{key}")
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from walk(item, f"{path}[{number}]")

    places: list[tuple[str, str, str]] = []
    for section, entries in project.config.items():
        for key, entry in entries.items():
            places += [(project.source(section, key), p, text) for p, text in walk(entry, f"{section}.{key}")]
    for name, entry in project.providers.items():
        places += [(project.source("Providers", name), p, t) for p, t in walk(entry, f"Providers.{name}")]
    for file in sorted({place[0] for place in places}):
        here = [f"{path} = {text!r}" for source, path, text in places if source == file]
        yield Problem(
            "warning",
            "gcbm-windows-path",
            f"{count(len(here), 'path')} with Windows separators, such as {here[0]}. On Linux moja.cli makes one file "
            "with a backslash in its name; the embedded engine reads them as folders",
            file,
            "write / instead of \\, which Windows accepts too (--fix writes a repaired copy)",
        )


def _settings(project: Project) -> Iterator[Problem]:
    """Settings that do something else than they say."""
    if project.masks_spinup_alone:
        alone = [name for name in project.spinup_mask_variables if name not in project.mask_variables]
        yield Problem(
            "warning",
            "gcbm-spinup-masked",
            f"{', '.join(alone)} masks pixels in spinup alone: they run from empty pools, at the age with which the "
            "pixel before them ended. moja.cli with several threads gives other numbers each time",
            project.source("SpinupModules", "CBMBuildLandUnitModule"),
            "add the variable to mask_vars of Modules.CBMBuildLandUnitModule, so that such pixels do not run",
        )
    if project.smoother_off and not project.obey_smoother:
        yield Problem(
            "warning",
            "gcbm-smoother",
            "smoother_enabled: false has no effect: the C++ smooths growth curves all the same, as this run does",
            project.source("Modules", "CBMGrowthModule"),
            "remove the setting, or set `smoother: project` to switch the smoother off in the embedded engine",
        )


def _variables(project: Project) -> Iterator[Problem]:
    for name, spinup in reachable(project):
        known = project.has_variable(name) or (spinup and name in project.section("SpinupVariables"))
        if not known:
            section = "SpinupVariables" if spinup and name == "minimum_rotation" else "Variables"
            yield Problem(
                "error",
                "gcbm-variable",
                f"variable {name} is used but not defined",
                project.source(section),
                f"add {name} to {section}.",
            )


def _layers(project: Project, found: list[Problem]) -> dict[str, Layer]:
    """Every layer that can be described; opened to compare it with its description."""
    layers: dict[str, Layer] = {}
    cropped: list[str] = []
    for provider, entry, where in layer_entries(project):
        with _collect(found):
            layer = make_layer(project, provider, entry, where)
            layers[layer.name] = layer
            layer.open()
            if layer.cropped():
                cropped.append(layer.name)
    if cropped:
        found.append(
            Problem(
                "warning",
                "gcbm-layer-cropped",
                f"moja.cli cannot run this project: {len(cropped)} rasters end inside a 0.1-degree block "
                f"({', '.join(sorted(cropped))}). Every read of such a block fails, and it exits with code 0 and "
                "writes no database. The embedded engine takes the missing part as no data",
                project.source("Providers"),
                "tile the layers to whole blocks (--fix writes a mended copy).",
            )
        )
    return layers


def part_tiles(project: Project) -> Iterator[Problem]:
    """Rasters that end inside a tile: builds of the public sources crash on them (exit code 139), without a word."""
    layers: list[str] = []
    for provider, entry, where in layer_entries(project):
        with suppress(FlintError):  # a layer that cannot be read has its own line
            layer = make_layer(project, provider, entry, where)
            try:
                if layer.part_of_tile() and not layer.cropped():
                    layers.append(layer.name)
            finally:
                layer.close()
    if layers:
        yield Problem(
            "warning",
            "gcbm-layer-part-of-tile",
            f"{len(layers)} rasters end inside a tile of 1 degree ({', '.join(sorted(layers)[:10])}): moja.cli "
            "may crash on them",
            project.source("Providers"),
            "tile the layers to whole tiles (--fix writes a repaired copy), or use engine: embedded",
        )


def _tiles(project: Project, found: list[Problem]) -> None:
    """Tiles whose index is not that of their x and y."""
    landscape = project.section("LocalDomain").get("landscape") or {}
    for tile in landscape.get("tiles") or []:
        if not (isinstance(tile, dict) and {"x", "y", "index"} <= set(tile)):
            continue
        with _collect(found):
            west, north = tile_bounds(int(tile["index"]))
            if (float(tile["x"]), float(tile["y"])) != (west, north):
                found.append(
                    Problem(
                        "warning",
                        "gcbm-flint-tile",
                        f"tile {tile['index']} begins at x {west:g}, y {north:g}, but x {tile['x']}, y {tile['y']} are "
                        "given: these count, in moja.cli and here",
                        project.source("LocalDomain", "landscape"),
                        "an index is (90 - y) * 360 + x + 180",
                    )
                )


def _domain(project: Project, layers: dict[str, Layer], found: list[Problem]) -> None:
    with _collect(found):
        Grid.of(float(raster_provider(project).get("cellLatSize", 0.0)), project.source("Providers"))
        domain = project_domain(project)
        tiles = sorted({block.tile for block in domain.blocks})
        seen = [layer for layer in layers.values() if layer.is_open]
        empty = [tile for tile in tiles if seen and not any(covers(layer, tile) for layer in seen)]
        if empty:
            found.append(
                Problem(
                    "error" if len(empty) == len(tiles) else "warning",
                    "gcbm-tile-empty",
                    f"no layer reaches into tile {', '.join(map(str, empty))}",
                    project.source("LocalDomain", "landscape"),
                    "a tile's index is row * 360 + column, counted from 90 N, 180 W.",
                )
            )
    for layer in layers.values():
        layer.close()


def _events(model: Model, found: list[Problem]) -> list[Event]:
    """Attribute records of all disturbance layers, checked one by one."""
    events: list[Event] = []
    years = model.years
    for name in model.listener:
        with _collect(found):
            transform = model.variables.transform(name) or {}
            layer = model.layers.get(str(transform.get("data_id")))
            if layer is None:
                if transform.get("type") == "LocationIdxFromFlintDataTransform":
                    raise InputError(
                        f"disturbance layer {name}: layer {transform.get('data_id')} is missing or broken",
                        where=model.project.source("Variables", name),
                        hint="see the layer's own line, or correct data_id",
                        code="gcbm-layer-missing",
                    )
                continue
            if layer.values is None:
                raise InputError(
                    f"disturbance layer {name} has no attribute table; the C++ ignores it in silence",
                    where=layer.where,
                    hint="give each value a record with year and disturbance_type",
                    code="gcbm-event",
                )
            for record in layer.values:
                with _collect(found):
                    events.append(parse_event(model, name, record))
                    _event(model, events[-1], layer.where, found)
    late: dict[tuple[str, int], None] = {(e.layer, e.year): None for e in events if not years[0] <= e.year <= years[-1]}
    if late:
        found.append(
            Problem(
                "warning",
                "gcbm-event-year",
                f"events outside the run {years[0]}-{years[-1]} never happen: "
                f"{', '.join(f'{layer} {year}' for layer, year in late)}",
                model.project.source("LocalDomain", "end_date"),
                "the end date itself is not simulated; correct the years or the dates.",
            )
        )
    for name in unlistened_layers(model):
        found.append(
            Problem(
                "warning",
                "gcbm-layer-not-listened",
                f"layer {name} holds disturbance events but is not in CBMDisturbanceListener.vars; they never happen",
                model.project.source("Modules", "CBMDisturbanceListener"),
                f"add {name} to vars, with a variable that reads it",
            )
        )
    return events


def _event(model: Model, event: Event, where: str, found: list[Problem]) -> None:
    ruled = model.project.module("CBMTransitionRulesModule") is not None
    if ruled and event.transition is not None and event.transition not in model.transitions:
        found.append(
            Problem(
                "error",
                "gcbm-transition",
                f"disturbance layer {event.layer}: transition {event.transition} does not exist",
                where,
                "add it to the table transition, or correct the layer",
            )
        )
    if model.order is not None and event.kind not in model.order:
        found.append(
            Problem(
                "error",
                "gcbm-disturbance-order",
                f"disturbance type {event.kind!r} is in no disturbance order list; the C++ has no defined order then",
                where,
                "add it to user_disturbance_order or default_disturbance_order.",
            )
        )
    units = {unit for kind, unit in model.matrices.association if kind == event.kind}
    if not units:
        found.append(
            Problem(
                "error",
                "gcbm-matrix-missing",
                f"disturbance type {event.kind!r} has no disturbance matrix in any spatial unit",
                where,
                "add it to disturbance_matrix_association.",
            )
        )


def _pixels(reader: Reader, model: Model, events: list[Event], found: list[Problem]) -> None:
    """Read the layers and look at each unique stand."""
    tally = _Tally(model, events)
    simulated = 0
    domain = project_domain(reader.project)
    for inventory in reader.inventories(domain, 400_000):
        selected = select_stands(model, inventory)
        if selected.stands:
            simulated += selected.stands
            tally.add(selected)
    if not simulated:
        raise reader.no_pixels(domain)
    found += tally.problems()


@dataclass(frozen=True)
class _Fault:
    """What is wrong with some stands; ``variable`` says which file to name."""

    severity: Severity
    code: str
    text: str
    variable: str
    hint: str


class _Tally:
    """Area and pixels of what would go wrong, added up over all stands."""

    def __init__(self, model: Model, events: list[Event]) -> None:
        self.model, self.keys, self.events = model, GrowthKeys(model), events
        self.lost: dict[_Fault, list[float]] = {}

    def problems(self) -> list[Problem]:
        found = []
        for fault, (area, pixels) in self.lost.items():
            text = f"{fault.text} ({pixels:.0f} pixels, {area:.6g} ha)"
            where = self.model.project.source("Variables", fault.variable)
            found.append(Problem(fault.severity, fault.code, text, where, fault.hint))
        return found

    def add(self, inventory: Inventory) -> None:
        view = StandVariables(self.model.variables, self.model.layers, inventory)
        area, pixels = inventory.stand_area(), inventory.stand_pixels()

        def note(fault: _Fault, which: Any) -> None:
            if which.any():
                entry = self.lost.setdefault(fault, [0.0, 0.0])
                entry[0] += float(area[which].sum())
                entry[1] += float(pixels[which].sum())

        self._numbers(view, note)
        try:
            self._parameters(view, note)
            self._curves(view, note)
        except NullVariableError as error:
            text = f"{error.name} has no value, and a query needs it"
            hint = "give it a value on every pixel with classifiers; check boundaries against the input database"
            note(_Fault("error", "gcbm-null", text, error.name, hint), np.ones(inventory.stands, dtype=bool))

    def _numbers(self, view: StandVariables, note: Note) -> None:
        for fault in _NUMBERS:
            note(fault, np.isnan(view.numbers(fault.variable)))

    def _parameters(self, view: StandVariables, note: Note) -> None:
        units, unit_index = view.of("spatial_unit_id")
        rows, row_index = view.of("spinup_parameters", spinup=True)
        for number, row in enumerate(rows):
            if not isinstance(row, dict):
                text = "no spinup parameters; the C++ would run with empty pools"
                hint = "check admin and eco boundary against the input database"
                note(_Fault("error", "gcbm-spinup", text, "spinup_parameters", hint), row_index == number)
        years = self.model.years
        wanted = sorted({event.kind for event in self.events if years[0] <= event.year <= years[-1]})
        for number, unit in enumerate(units):
            here = unit_index == number
            for kind in wanted:
                self._matrix(kind, unit, "disturbance_matrix_associations", here, note)
            for position, row in enumerate(rows):
                for field in ("historic_disturbance_type", "last_pass_disturbance_type"):
                    if isinstance(row, dict):
                        self._matrix(
                            str(row.get(field)), unit, "spinup_parameters", here & (row_index == position), note
                        )

    def _matrix(self, kind: str, unit: Any, variable: str, which: Any, note: Note) -> None:
        if self.model.matrices.find(kind, -1 if unit is None else int(unit)) is None:
            text = f"no disturbance matrix for {kind!r} in spatial unit {unit}"
            text += ", which spinup needs" if variable == "spinup_parameters" else ""
            hint = "add the pair to disturbance_matrix_association"
            note(_Fault("error", "gcbm-matrix-missing", text, variable, hint), which)

    def _curves(self, view: StandVariables, note: Note) -> None:
        values, index = view.of("initial_classifier_set")
        numbers = np.array([self.keys.set_number(value) for value in values])
        sets = numbers[index]
        key = self.keys.of(sets, stand_places(view, self.keys))
        self._after_events(view, sets, note)
        for number in np.unique(sets[key == NO_CURVE]):
            names = ", ".join(f"{k}={v}" for k, v in self.keys.sets[number].items())
            text = f"no growth curve for {names}: these pixels leave the run; its check growth-curves fails"
            hint = "add a growth curve with these classifier values, or '?'"
            note(
                _Fault("warning", "gcbm-growth-curve", text, "growth_curve_id", hint),
                (sets == number) & (key == NO_CURVE),
            )

    def _after_events(self, view: StandVariables, sets: Any, note: Note) -> None:
        """Classifier sets to which an event's own transition leads."""
        place = stand_places(view, self.keys)
        every = np.arange(sets.size)
        for event, members in EventPlan(self.model, view).all():
            rule = self.model.transitions.get(-1 if event.transition is None else event.transition)
            if rule is None or not rule.classifiers or event.year not in self.model.years:
                continue
            changed = np.array([self.keys.changed_set(int(s), rule.classifiers) for s in sets[members]])
            lost = self.keys.of(changed, place[members]) == NO_CURVE
            for number in np.unique(changed[lost]):
                names = ", ".join(f"{k}={v}" for k, v in self.keys.sets[number].items())
                text = (
                    f"after {event.kind} in {event.year} no growth curve for {names}: these pixels leave the run then"
                )
                hint = "add a growth curve with these classifier values, or correct the transition"
                fault = _Fault("warning", "gcbm-growth-curve", text, "growth_curve_id", hint)
                note(fault, np.isin(every, members[lost & (changed == number)]))


Note = Callable[[_Fault, Any], None]
_NUMBERS = (
    _Fault(
        "error",
        "gcbm-initial-age",
        "no initial age; the C++ would start with empty pools",
        "initial_age",
        "fill the layer, or set `mask: initial_age` to leave such pixels out",
    ),
    _Fault(
        "warning",
        "gcbm-null-temperature",
        "no mean annual temperature; it counts as 0 degrees C",
        TEMPERATURE,
        "fill the layer",
    ),
    _Fault("error", "gcbm-null", "no slow mixing rate", MIXING, "give it a value everywhere"),
)


# Rows of a raster read at once, so that memory does not follow its size.
ROWS = 1024


@dataclass(frozen=True)
class MissingAttributes:
    """Cell values of a layer that its attribute table lacks: value to pixels. ``event``: a disturbance is lost."""

    layer: str
    values: dict[int, int]
    event: bool
    where: str

    @property
    def text(self) -> str:
        """``layer fires: values without an entry in its attributes: 3 (12 pixels); their events never happen``"""
        listed = ", ".join(f"{value} ({pixels:,} pixels)" for value, pixels in list(self.values.items())[:10])
        effect = "their events never happen" if self.event else "they count as no data"
        return f"layer {self.layer}: values without an entry in its attributes: {listed}; {effect}"


def find_missing_attributes(project: Project) -> list[MissingAttributes]:
    """Layers with cell values that their attribute table lacks: the C++ takes them as no data, without a word.

    A classifier's pixel without attribute is not simulated at all, an age or mask without one is null. InputError where
    a layer's description cannot be read.
    """
    from rasterio.errors import RasterioIOError

    listened = {str((_transform(project, name) or {}).get("data_id")) for name in project.disturbance_variables}
    listened |= set(project.disturbance_variables)
    missing = []
    for layer in [make_layer(project, *item) for item in layer_entries(project)]:
        try:
            values = _unlisted_values(layer) if layer.lookup else {}
        except (FlintError, RasterioIOError):
            continue  # a raster that cannot be read has its own line
        finally:
            layer.close()
        if values:
            missing.append(MissingAttributes(layer.name, values, layer.name in listened, project.relative(layer.json)))
    return missing


def _transform(project: Project, name: str) -> dict[str, Any] | None:
    entry = project.section("Variables").get(name)
    transform = entry.get("transform") if isinstance(entry, dict) else None
    return transform if isinstance(transform, dict) else None


def missing_attributes(missing: Sequence[MissingAttributes]) -> list[Problem]:
    """A warning for each layer; the run's check ``missing-attributes`` fails where an event is lost."""
    hint = "add an entry for each value, or correct the raster"
    return [Problem("warning", "gcbm-attribute-missing", each.text, each.where, hint) for each in missing]


def attribute_check(missing: Sequence[MissingAttributes]) -> Check:
    """The check of a run: pixels whose value has no attribute; failed where events are lost, else a warning."""
    pixels = sum(sum(each.values.values()) for each in missing)
    status: Status = "passed" if not missing else "failed" if any(each.event for each in missing) else "warned"
    listed = f": {'; '.join(each.text for each in missing)}" if missing else ""
    text = f"{pixels:,} pixels hold a value that the layer's attributes lack{listed}"
    return Check("missing-attributes", status, float(pixels), 0.0, "pixels", text[:2000])


def _unlisted_values(layer: Layer) -> dict[int, int]:
    """Value -> pixels of what is neither nodata nor in the table."""
    from rasterio.windows import Window

    dataset = layer.open()
    known = np.array(sorted({*layer.lookup, int(layer.nodata)}), dtype=np.int64)
    lost: dict[int, int] = {}
    for top in range(0, dataset.height, ROWS):
        block = dataset.read(1, window=Window(0, top, dataset.width, min(ROWS, dataset.height - top)))
        values, counts = np.unique(block, return_counts=True) if block.dtype.itemsize > 1 else _bytes(block)
        for value, pixels in zip(values.tolist(), counts.tolist(), strict=True):
            if int(value) not in known:
                lost[int(value)] = lost.get(int(value), 0) + pixels
    return dict(sorted(lost.items()))


def _bytes(block: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    counts = np.bincount(block.ravel().view(np.uint8), minlength=256)
    values = np.flatnonzero(counts)
    return values, counts[values]
