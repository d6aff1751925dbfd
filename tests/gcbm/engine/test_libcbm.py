"""The engine against libcbm, the Canadian Forest Service's own CBM in C++ and Python, process by process.

Optional: `pip install libcbm` beside the package. Without it each test says so in a warning and checks nothing.
Whole runs are not compared, because libcbm's drivers differ from GCBM's (spinup, mixed stands); the same
parameters must give the same curves, the same year of growth, turnover and decay, and the same disturbance.
"""

from __future__ import annotations

import shutil
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flint_ml.gcbm.engine.curves import CarbonCurve
from flint_ml.gcbm.engine.decay import decay_year
from flint_ml.gcbm.engine.disturbance import apply_matrix
from flint_ml.gcbm.engine.growth import GrowthKeys, GrowthTable, grow_year
from flint_ml.gcbm.engine.model import Model, build_model
from flint_ml.gcbm.engine.processes import FLOWS
from flint_ml.gcbm.engine.run import Reader
from flint_ml.gcbm.pools import INDEX, LIVE_END, STANDARD
from flint_ml.gcbm.project.config import Project
from gcbm_example.data import CURVES, DECAY, FACTORS, MATRICES, ROOTS, STUMP, TURNOVER

SIDE = {"Spruce": "Softwood", "Aspen": "Hardwood"}
GENUS = {"Softwood": "Spruce", "Hardwood": "Poplar"}
TEMPERATURE, MIXING = 1.25, 0.006
TOLERANCE = {"rel": 1e-12, "abs": 1e-12}
Array = np.ndarray[Any, np.dtype[np.float64]]


def available() -> bool:
    """Whether libcbm can be imported; a warning where not."""
    if find_spec("libcbm") is not None:
        return True
    warnings.warn("libcbm is not installed: the engine was not held against it in this run", stacklevel=2)
    return False


@pytest.fixture(scope="module")
def engine(example: Project) -> tuple[Model, GrowthKeys]:
    """The example's model, with the growth keys of CURVES in their order."""
    with Reader(example) as reader:
        model = build_model(example, reader.variables, reader.layers)
        keys = GrowthKeys(model)
        keys.places.append({})
        names = [{"Site": "good" if site == "?" else site, "Species": species} for (species, site), _ in CURVES]
        keys.of(np.array([keys.set_number(name) for name in names]), np.zeros(len(names), dtype=np.int64))
    assert keys.ids == [1, 2, 3]
    return model, keys


# Curves ---------------------------------------------------------------------------------------------------------


def parameter_database(folder: Path) -> tuple[Path, int, dict[str, int]]:
    """libcbm's default database with the example's factors: its path, a spatial unit, species -> code there."""
    from libcbm import resources

    path = folder / "cbm_defaults.db"
    shutil.copy(resources.get_cbm_defaults_path(), path)
    codes: dict[str, int] = {}
    with sqlite3.connect(path) as db:
        (unit,) = db.execute("SELECT MIN(spatial_unit_id) FROM vol_to_bio_species").fetchone()
        for number, (species, forest_type) in enumerate((("Spruce", 1), ("Aspen", 3)), 900001):
            factors = FACTORS[species]
            marks = ", ".join("?" * len(factors))
            db.execute(
                f"INSERT INTO vol_to_bio_factor (id, {', '.join(factors)}) VALUES ({number}, {marks})",
                tuple(factors.values()),
            )
            (codes[species],) = db.execute(
                "SELECT MIN(species_id) FROM vol_to_bio_species JOIN species ON species.id = species_id "
                "WHERE spatial_unit_id = ? AND forest_type_id = ?",
                (unit, forest_type),
            ).fetchone()
            db.execute(
                "UPDATE vol_to_bio_species SET vol_to_bio_factor_id = ? WHERE spatial_unit_id = ? AND species_id = ?",
                (number, unit, codes[species]),
            )
        db.execute("INSERT INTO stump_parameter VALUES (900001, ?, ?, ?, ?)", STUMP)
        db.execute(
            "UPDATE admin_boundary SET stump_parameter_id = 900001 "
            "WHERE id = (SELECT admin_boundary_id FROM spatial_unit WHERE id = ?)",
            (unit,),
        )
    return path, unit, codes


def test_volume_to_carbon_curves(engine: tuple[Model, GrowthKeys], tmp_path: Path) -> None:
    """Boudewyn et al. and the smoother: all ages of all curves, against libcbm's compiled routine."""
    if not available():
        return
    from libcbm.wrapper.volume_to_biomass.volume_to_biomass_wrapper import MerchVolumeCurve, VolumeToBiomassWrapper

    path, unit, codes = parameter_database(tmp_path)
    with quiet():
        library = VolumeToBiomassWrapper()
    for curve, (_, components) in zip(engine[1].curves, CURVES, strict=True):
        ages = [np.arange(0, 10 * len(v), 10, dtype=np.int32) for v in components.values()]
        volumes = [
            MerchVolumeCurve(codes[species], age, np.array(volume, dtype=np.float64))
            for age, (species, volume) in zip(ages, components.items(), strict=True)
        ]
        theirs = library.volume_to_biomass(unit, volumes, use_smoother=True, db_path=str(path))
        assert set(curve.parts) == {SIDE[species] for species in components}
        for side, part in curve.parts.items():
            columns = [f"{side[0]}W{name}" for name in ("Merch", "Foliage", "Other")]
            assert part[0].max() > 1.0
            ours = part[:, 1:].T
            assert ours == pytest.approx(theirs[columns].to_numpy(), **TOLERANCE)


# One year, one event ----------------------------------------------------------------------------------------------


@contextmanager
def quiet() -> Iterator[None]:
    """Without libcbm's warning on every Linux that it was not built on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "untested linux distribution", RuntimeWarning)
        yield


def library_parameters(side: str) -> dict[str, Any]:
    """The example's parameters as libcbm's cbm_exn wants them, for one forest type in spatial unit 1."""
    import pandas as pd

    short = "sw" if side == "Softwood" else "hw"
    t = TURNOVER[GENUS[side]]
    turnover = {
        "spatial_unit_id": 1,
        "sw_hw": short,
        "FoliageFallRate": t[0],
        "StemAnnualTurnoverRate": t[1],
        "BranchTurnoverRate": t[2],
        "StemSnag": t[3],
        "BranchSnag": t[4],
        "CoarseRootTurnProp": t[5],
        "FineRootTurnProp": t[6],
        "OtherToBranchSnagSplit": t[7],
        "CoarseRootAGSplit": t[8],
        "FineRootAGSplit": t[9],
    }
    keys = ("base_decay_rate", "reference_temp", "q10", "prop_to_atmosphere", "max_rate")
    decay = [
        {"pool": pool.removeprefix(side), **dict(zip(keys, row, strict=True))}
        for pool, row in DECAY.items()
        if not pool.startswith(("Softwood", "Hardwood")) or pool.startswith(side)
    ]
    values = [
        {
            "disturbance_matrix_id": number,
            "source_pool": source.removeprefix(side),
            "sink_pool": sink.removeprefix(side),
            "proportion": share,
        }
        for number, matrix in enumerate(MATRICES.values(), 1)
        for source, sinks in matrix.items()
        if not source.startswith(("Softwood", "Hardwood")) or source.startswith(side)
        for sink, share in {source: 0.0, **sinks}.items()  # without its own row a pool would keep all in libcbm
    ]
    associations = [
        {"spatial_unit_id": 1, "disturbance_type_id": number, "sw_hw": short, "disturbance_matrix_id": number}
        for number in range(1, len(MATRICES) + 1)
    ]
    return {
        "slow_mixing_rate": pd.DataFrame([{"id": 1, "rate": MIXING}]),
        "turnover_parameters": pd.DataFrame([turnover]),
        "root_parameters": pd.DataFrame([{"id": 1, **ROOTS, "biomass_to_carbon_rate": 0.5}]),
        "decay_parameters": pd.DataFrame(decay),
        "disturbance_matrix_value": pd.DataFrame(values),
        "disturbance_matrix_association": pd.DataFrame(associations),
    }


def library_pools(side: str, pools: Array, growth: Array | None = None, event: int = 0) -> Array:
    """The pools of ``STANDARD`` after libcbm's annual processes (with ``growth``, (3, n)) or its disturbance."""
    from libcbm.model.cbm_exn import cbm_exn_model, cbm_exn_step, cbm_exn_variables
    from libcbm.storage.backends import BackendType

    n = pools.shape[1]
    with quiet(), cbm_exn_model.initialize(library_parameters(side)) as model:
        state = cbm_exn_variables.init_cbm_vars(n, model.pool_names, model.flux_names, BackendType.numpy)
        rows = {name: INDEX[f"{side}{name}" if f"{side}{name}" in INDEX else name] for name in model.pool_names[1:]}
        state["pools"]["Input"].assign(np.ones(n))
        for name, row in rows.items():
            state["pools"][name].assign(pools[row].copy())
        given = {"mean_annual_temperature": np.full(n, TEMPERATURE), "disturbance_type": np.full(n, event, np.int32)}
        if growth is not None:
            given |= dict(zip(("merch_inc", "foliage_inc", "other_inc"), growth, strict=True))
        for name, values in given.items():
            state["parameters"][name].assign(values)
        for name, value in {"spatial_unit_id": 1, "sw_hw": int(side == "Hardwood"), "enabled": 1}.items():
            state["state"][name].assign(np.full(n, value, dtype=np.int32))
        step = cbm_exn_step.step_annual_process if growth is not None else cbm_exn_step.step_disturbance
        done = step(model, state)["pools"].to_pandas()
    after = pools.copy()
    for name, row in rows.items():
        after[row] = done[name].to_numpy()
    return after


def pure(keys: GrowthKeys, number: int, side: str) -> tuple[GrowthTable, Array]:
    """A growth table of one forest type alone (libcbm has no mixed stands), and its yearly increments (3, ages)."""
    curve = keys.curves[number]
    alone = CarbonCurve(parts={side: curve.parts[side]}, factors={side: curve.factors[side]})
    short = "sw" if side == "Softwood" else "hw"
    names = (
        "foliage_turnover",
        "stem_turnover",
        "branch_turnover",
        "stem_snag_turnover",
        "branch_snag_turnover",
        "coarse_root_turnover",
        "fine_root_turnover",
        "other_to_branch_snag_split",
        "coarse_root_split",
        "fine_root_ag_split",
    )
    row = {f"{p}_{name}": v for p in ("sw", "hw") for name, v in zip(names, TURNOVER[GENUS[side]], strict=True)}
    offset = 0 if short == "sw" else 3
    return GrowthTable.build([alone], [row]), alone.increments()[offset : offset + 3]


def own_pools(side: str) -> list[int]:
    """Biomass and dead organic matter of one forest type."""
    other = "Hardwood" if side == "Softwood" else "Softwood"
    return [i for i, name in enumerate(STANDARD[: LIVE_END + 11]) if not name.startswith(other)]


def engine_years(model: Model, table: GrowthTable, side: str, years: int) -> Array:
    """(pools, years + 1): a stand from age 0 on, first with 20 tC/ha in each dead organic matter pool."""
    pools = np.zeros((len(STANDARD), 1))
    pools[[i for i in own_pools(side) if i >= LIVE_END]] = 20.0
    rates = model.decay.rates(np.array([TEMPERATURE]))
    states = [pools.copy()]
    for age in range(years):
        flows = np.zeros((len(FLOWS), 1))
        grow_year(table, pools, flows, np.zeros(1, dtype=np.int64), np.array([age]))
        decay_year(pools, flows, rates, model.decay.to_air, np.array([MIXING]))
        states.append(pools.copy())
    return np.concatenate(states, axis=1)


@pytest.mark.parametrize(("number", "side"), [(0, "Softwood"), (1, "Softwood"), (2, "Hardwood")])
def test_a_year_of_growth_turnover_and_decay(engine: tuple[Model, GrowthKeys], number: int, side: str) -> None:
    """Every year from age 0 to 160: the same state before, the same pools after.

    Overmature stands differ by a known amount: libcbm takes the loss L of a pool as a share of its stock M at the
    year's start, but applies that to the mid-season stock M - L/2, so L**2 / (2 M) less reaches dead organic matter.
    """
    if not available():
        return
    model, keys = engine
    table, increments = pure(keys, number, side)
    states = engine_years(model, table, side, 160)  # (pools, 161)
    before, ours = states[:, :-1], states[:, 1:]
    theirs = library_pools(side, before, growth=increments[:, :160])
    live, dead = ours[:LIVE_END], [*range(LIVE_END, LIVE_END + 11), INDEX["CO2"]]
    assert live.max() > 30.0
    assert live == pytest.approx(theirs[:LIVE_END], **TOLERANCE)
    grown = live - before[:LIVE_END]
    declining = grown.sum(axis=0) < -0.0001
    assert bool(declining.any()) == (side == "Hardwood")
    assert ours[dead][:, ~declining] == pytest.approx(theirs[dead][:, ~declining], **TOLERANCE)
    lost = np.where(declining, np.maximum(-grown, 0.0), 0.0)
    short = (lost**2 / (2 * np.where(lost > 0.0, before[:LIVE_END], 1.0))).sum(axis=0)
    assert (ours - theirs)[dead].sum(axis=0) == pytest.approx(short, abs=1e-10)


@pytest.mark.parametrize("side", ["Softwood", "Hardwood"])
def test_disturbances(engine: tuple[Model, GrowthKeys], side: str) -> None:
    """Each matrix of the example on stands of random pools."""
    if not available():
        return
    model, _ = engine
    pools = np.zeros((len(STANDARD), 20))
    used = own_pools(side)
    pools[used] = np.random.default_rng(7).uniform(0.0, 120.0, (len(used), 20))
    for number, kind in enumerate(MATRICES, 1):
        theirs = library_pools(side, pools, event=number)
        ours = pools.copy()
        matrix = model.matrices.find(kind, 1)
        assert matrix is not None
        apply_matrix(matrix, ours)
        assert np.abs(ours - pools).max() > 10.0
        assert ours == pytest.approx(theirs, **TOLERANCE)
