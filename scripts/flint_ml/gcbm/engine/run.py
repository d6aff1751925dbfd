"""Run a project with the embedded engine: read, spin up, simulate, add up."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError
from flint_ml.gcbm.engine.aggregate import (
    ENGINE,
    ENGINE_VERSION,
    Folded,
    Kept,
    Names,
    Observed,
    Recorder,
    Result,
    total,
)
from flint_ml.gcbm.engine.carried import carry, state_of
from flint_ml.gcbm.engine.checks import run_checks, unlistened_layers
from flint_ml.gcbm.engine.disturbance import EventPlan
from flint_ml.gcbm.engine.growth import GrowthKeys
from flint_ml.gcbm.engine.initial import (
    SpinupReport,
    mask_layers,
    needed_variables,
    prepare,
    select_stands,
    used_layers,
)
from flint_ml.gcbm.engine.model import Model, build_model
from flint_ml.gcbm.engine.processes import FLOWS
from flint_ml.gcbm.engine.simulate import Simulation
from flint_ml.gcbm.engine.stands import Inventory, read_inventories
from flint_ml.gcbm.project.compatibility import unsupported
from flint_ml.gcbm.project.config import Project
from flint_ml.gcbm.project.grid import BlockId, Domain, format_blocks, parse_blocks, project_domain
from flint_ml.gcbm.project.layers import Layer, project_layers
from flint_ml.gcbm.project.problems import FLINT_HINT, stop
from flint_ml.gcbm.project.variables import NullVariableError, Variables, open_database

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Progress = Callable[[str, int, int], None]

# Working memory for one stand: pools, flows, parameters and temporaries, measured.
BYTES_PER_STAND = 2500
BASE_BYTES = 210 * 2**20
DEFAULT_STANDS = 150_000
LEAST_STANDS = 1000


def run(
    project: Project,
    *,
    blocks: Sequence[str | BlockId] | None = None,
    progress: Progress | None = None,
    max_memory: int | None = None,
    skip_missing_matrices: bool = False,
    keep_partials: bool = False,
    maps: Any = None,
) -> Result:
    """Simulate a project.

    Parameters
    ----------
    project
        From ``load_project``.
    blocks
        Only these blocks (``tile:block``); default is all that the project asks for.
    progress
        Called with (what, done, of).
    max_memory
        Working memory in bytes: more stands are done in several passes, with the same result.
    skip_missing_matrices
        Do as the C++ does with events that have no matrix: leave them out. Default: InputError.
    keep_partials
        Keep the sums of each block, which ``write_part`` needs.
    maps
        A ``maps.MapRequest``; its rasters are written at the end.

    Raises
    ------
    InputError
        The project has faults, or uses what the engine does not implement (all of it is listed).
    """
    stop(
        unsupported(project),
        "the embedded engine does not implement all that this project uses",
        hint=FLINT_HINT,
        code="gcbm-unsupported",
        where=project.relative(project.config_dir),
    )
    try:
        with Reader(project) as reader:
            return _Run(reader, progress, skip_missing_matrices, maps, keep_partials).go(
                _domain(project, blocks), _stands(max_memory)
            )
    except NullVariableError as error:
        raise InputError(
            f"variable {error.name} has no value on some simulated pixels, and a query needs it",
            where=project.source("Variables", error.name),
            hint="give it a value on every pixel that has classifiers",
            code="gcbm-null",
        ) from None


def _stands(max_memory: int | None) -> int:
    """How many stands fit; at least a thousand, and always whole blocks."""
    if max_memory is None:
        return DEFAULT_STANDS
    return max(LEAST_STANDS, (max_memory - BASE_BYTES) // BYTES_PER_STAND)


def _domain(project: Project, blocks: Sequence[str | BlockId] | None) -> Domain:
    domain = project_domain(project)
    if blocks is None:
        return domain
    wanted = set(parse_blocks(blocks))
    unknown = sorted(str(block) for block in wanted - set(domain.blocks))
    if unknown:
        raise InputError(
            f"the project does not run block {', '.join(unknown)}",
            where="blocks",
            hint="list blocks of its tiles, as plan gives them",
            code="gcbm-block",
        )
    chosen = tuple(block for block in domain.blocks if block in wanted)
    return Domain(domain.grid, chosen, domain.cells)


class Reader:
    """A project opened for reading: variables, layers, and which layers a run needs."""

    def __init__(self, project: Project, layers: dict[str, Layer] | None = None) -> None:
        self.project = project
        self.layers = project_layers(project) if layers is None else layers
        self.connection = open_database(project.database)
        self.variables = Variables(project, self.connection)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def needed(self) -> dict[str, Layer]:
        """The layers that a run reads; InputError when one does not exist."""
        names = needed_variables(self.variables)
        chosen = {}
        for name in used_layers(self.variables, names):
            if name not in self.layers:
                raise InputError(
                    f"a variable reads layer {name}, which no provider has",
                    where=self.project.source("Providers"),
                    hint="add the layer to the provider, or correct data_id",
                    code="gcbm-layer-missing",
                )
            chosen[name] = self.layers[name]
        return chosen

    def inventories(
        self, domain: Domain, limit: int, masks: Sequence[str] | None = None, **options: Any
    ) -> Iterator[Inventory]:
        """Unique stands of the domain's blocks, in chunks of about ``limit`` stands.

        ``masks``: variables that leave pixels out; the project's mask variables where None.
        """
        chosen = self.needed()
        masks = [name for name in mask_layers(self.variables, masks) if name in chosen]
        return read_inventories(domain, chosen, masks, limit=limit, **options)

    def block_sizes(self) -> list[tuple[BlockId, int, int]]:
        """Every block of the project with its unique stands and pixels."""
        domain = project_domain(self.project)
        found: dict[BlockId, tuple[int, int]] = {}
        for inventory in self.inventories(domain, DEFAULT_STANDS):
            stands = np.bincount(inventory.pair_block, minlength=len(inventory.blocks))
            pixels = np.bincount(inventory.pair_block, inventory.pair_pixels, minlength=len(inventory.blocks))
            found |= dict(
                zip(inventory.blocks, zip(stands.tolist(), pixels.astype(int).tolist(), strict=True), strict=True)
            )
        return [(block, *found.get(block, (0, 0))) for block in domain.blocks]

    def no_pixels(self, domain: Domain) -> InputError:
        """What to say where nothing is to be simulated: which layers hold no value in any of the blocks."""
        layers = [self.layers[name] for name in mask_layers(self.variables) if name in self.layers]
        empty = [
            layer
            for layer in layers
            if all(layer.is_null(layer.read(block, domain.grid)).all() for block in domain.blocks)
        ]
        names = ", ".join(layer.name for layer in empty)
        why = f"no value anywhere in layer {names}" if empty else "every one lacks a classifier or a mask value"
        return InputError(
            f"no pixel to simulate in {len(domain.blocks)} blocks: {why}",
            where=empty[0].where if empty else self.project.source("LocalDomain", "landscape"),
            hint="check tile indices, the layers' extent, nodata and attributes",
            code="gcbm-no-pixels",
        )


class _Run:
    def __init__(
        self, reader: Reader, progress: Progress | None, skip_missing: bool, maps: Any, keep_partials: bool
    ) -> None:
        self.reader, self.project, self.variables = reader, reader.project, reader.variables
        self.progress, self.skip_missing, self.maps = progress, skip_missing, maps
        self.model: Model = build_model(self.project, self.variables, reader.layers)
        self.keys = GrowthKeys(self.model)
        self.names = Names()
        self.spinup = SpinupReport()
        self.observed = Observed()
        self.columns: list[str] = []
        width = 1 + len(self.model.pool_names) + len(FLOWS)
        self.folded = Folded(width)
        self.kept = Kept(width) if keep_partials else None
        self.pixels = 0
        self.areas: list[tuple[int, float]] = []
        self.stand_ids: NDArray[np.uint64] = np.zeros(0, dtype=np.uint64)

    def go(self, domain: Domain, limit: int) -> Result:
        if self.maps is not None:
            self.maps.check(self.model.years)
        for inventory in self._inventories(domain, limit):
            selected = select_stands(self.model, inventory)
            if selected.stands:
                self._chunk(selected)
        if self.folded.empty and self.kept is None:  # a part of a run may well be empty
            raise self.reader.no_pixels(domain)
        if self.maps is not None and not self.folded.empty:
            self.maps.write(domain.grid)
        return self._result(domain)

    def _inventories(self, domain: Domain, limit: int) -> Iterator[Inventory]:
        keep = self.maps is not None
        if not self.project.masks_spinup_alone:
            yield from self.reader.inventories(domain, limit, keep_pixels=keep, progress=self.progress)
            return
        if domain.blocks != project_domain(self.project).blocks:
            raise InputError(
                "mask_vars of SpinupModules mask pixels that are simulated, so each starts at the age of the pixel "
                "before it: such a project cannot be run in parts",
                where=self.project.source("SpinupModules", "CBMBuildLandUnitModule"),
                hint="run it in one job, or add the variables to mask_vars of Modules.CBMBuildLandUnitModule too",
                code="gcbm-spinup-masked",
            )
        every = self.reader.inventories(domain, sys.maxsize, masks=(), keep_pixels=True, progress=self.progress)
        for inventory in every:
            yield carry(self.model, self.keys, inventory, domain.grid, self._finish)

    def _finish(self, inventory: Inventory) -> NDArray[np.float64]:
        """State of each stand after the last year; nothing is added up."""
        simulation, _ = self._simulation(inventory, SpinupReport(), Names(), [])
        simulation.run()
        return state_of(simulation.stands, simulation.land)

    def _simulation(
        self, inventory: Inventory, report: SpinupReport, names: Names, sinks: list[Folded | Kept]
    ) -> tuple[Simulation, EventPlan]:
        stands, land = prepare(self.model, self.keys, inventory, report, skip_missing=self.skip_missing)
        events = EventPlan(self.model, stands.variables)
        order = np.array([self.model.pool_index[name] for name in self.model.pool_names])
        simulation = Simulation(
            model=self.model,
            keys=self.keys,
            stands=stands,
            land=land,
            events=events,
            recorder=Recorder(inventory, order, sinks),
            names=names,
        )
        return simulation, events

    def _chunk(self, inventory: Inventory) -> None:
        sinks: list[Folded | Kept] = [self.folded] if self.kept is None else [self.folded, self.kept]
        simulation, events = self._simulation(inventory, self.spinup, self.names, sinks)
        observer = None if self.maps is None else self.maps.observer(inventory)
        simulation.run(observer)
        self.columns = simulation.reporting.columns or self.columns
        self.stand_ids = np.union1d(self.stand_ids, inventory.stand_ids())
        self.pixels += int(inventory.pair_pixels.sum())
        area = np.bincount(inventory.pair_block, weights=inventory.pair_area)
        self.areas += [(block.order, float(a)) for block, a in zip(inventory.blocks, area, strict=True)]
        self.observed.add(self.model, inventory, events, simulation.skipped)
        if self.progress is not None:
            self.progress("simulated", self.stand_ids.size, self.stand_ids.size)

    def _result(self, domain: Domain) -> Result:
        result = self.folded.result(
            years=self.model.years,
            first_day=self.project.first_day,
            pool_names=self.model.pool_names,
            pool_index=self.model.pool_index,
            classifiers=self.columns,
            names=self.names,
            age_bounds=self.model.age_classes.bounds,
            age_indicators=self.model.age_indicators,
            stands=int(self.stand_ids.size),
            pixels=self.pixels,
            area_ha=total(area for _, area in sorted(self.areas)),
            blocks=[str(block) for block in domain.blocks],
        )
        self.observed.finish(self.model, self.spinup, unlistened_layers(self.model))
        result.checks = run_checks(result, self.observed)
        if self.kept is not None:
            result.partials = self.kept.partials()
            result.observed, result.block_areas = self.observed, sorted(self.areas)
            result.stand_ids = self.stand_ids
            result.fingerprint = fingerprint(self.project)
        return result


def fingerprint(project: Project) -> dict[str, Any]:
    """What two parts of one run must share: engine, configuration, database, layers, years."""

    def digest(data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()

    layers = {
        name: digest(layer.json.read_bytes() + (layer.tiff.read_bytes() if layer.tiff.is_file() else b""))
        for name, layer in sorted(project_layers(project).items())
    }
    config = {key: value for key, value in project.config.items() if key != "LocalDomain"}
    if project.extra_masks or project.obey_smoother:
        config["flint-ml"] = {"masks": list(project.extra_masks), "smoother": project.obey_smoother}
    return {
        "engine": f"{ENGINE} {ENGINE_VERSION}",
        "config": digest(json.dumps(config, sort_keys=True).encode()),
        "database": digest(project.database.read_bytes()),
        "layers": layers,
        "years": project.years,
        "blocks": format_blocks(project_domain(project).blocks),
    }
