"""Spinup by the affine map against plain stepping, and its rules."""

from __future__ import annotations

import numpy as np
import pytest

from flint_ml.gcbm.engine import spinup
from flint_ml.gcbm.engine.decay import DomYears, affine, decay_year, matrix_power
from flint_ml.gcbm.engine.disturbance import apply_matrix
from flint_ml.gcbm.engine.growth import GrowthKeys, GrowthTable, grow_year
from flint_ml.gcbm.engine.model import Matrix, Model, build_model
from flint_ml.gcbm.engine.processes import FLOWS
from flint_ml.gcbm.engine.run import Reader
from flint_ml.gcbm.engine.spinup import SpinupKeys, grow_to_age, spin_up
from flint_ml.gcbm.pools import DOM_END, LIVE_END, STANDARD
from flint_ml.gcbm.project.config import Project

TEMPERATURES = np.array([-1.0, 0.5, 3.0, 8.0, 3.0])
SETS = [("Spruce", "good"), ("Spruce", "poor"), ("Aspen", "good"), ("Spruce", "good"), ("Aspen", "poor")]
INTERVALS = np.array([120, 75, 120, 60, 200])


@pytest.fixture(scope="module")
def parts(example: Project) -> tuple[Model, GrowthTable, SpinupKeys]:
    with Reader(example) as reader:
        model = build_model(example, reader.variables, reader.layers)
        keys = GrowthKeys(model)
        keys.places.append({})
        numbers = np.array([keys.set_number({"Site": site, "Species": species}) for species, site in SETS])
        growth = keys.of(numbers, np.zeros(len(SETS), dtype=np.int64))
    fire, cut = (model.matrices.find(kind, 1) for kind in ("Wildfire", "Clear-cut"))
    assert fire is not None
    assert cut is not None
    n = len(SETS)
    return (
        model,
        keys.table,
        SpinupKeys(
            growth=growth,
            interval=INTERVALS,
            rotations=np.array([30, 30, 30, 4, 30]),
            minimum=np.array([10, 25, 10, 10, 10]),
            historic=np.zeros(n, dtype=np.int64),
            last=np.array([0, 1, 0, 1, 0]),
            rates=model.decay.rates(TEMPERATURES),
            mixing=np.full(n, 0.006),
            matrices=[fire, cut],
        ),
    )


def stepped(model: Model, table: GrowthTable, keys: SpinupKeys, i: int) -> tuple[np.ndarray, int, bool]:
    """One key, year by year."""
    pools, flows = np.zeros((len(STANDARD), 1)), np.zeros((len(FLOWS), 1))
    key, rates, mixing = keys.growth[i : i + 1], keys.rates[:, i : i + 1], keys.mixing[i : i + 1]
    previous, turn = 0.0, 0
    while True:
        turn += 1
        for age in range(int(keys.interval[i])):
            grow_year(table, pools, flows, key, np.array([age]))
            decay_year(pools, flows, rates, model.decay.to_air, mixing)
        slow = float(pools[DOM_END - 2 : DOM_END].sum())
        stable = previous > 0 and 0.999 < slow / previous < 1.001
        previous = slow
        if (stable and turn > keys.minimum[i]) or turn == keys.rotations[i]:
            return pools, turn, stable
        apply_matrix(keys.matrices[int(keys.historic[i])], pools)
        pools[:LIVE_END] = 0.0


def test_the_affine_map_is_the_year_by_year_result(parts: tuple[Model, GrowthTable, SpinupKeys]) -> None:
    model, table, keys = parts
    pools, turns, stable = spin_up(table, keys, model.decay.to_air, len(STANDARD))
    for i in range(keys.count):
        expected, turn, steady = stepped(model, table, keys, i)
        assert (turns[i], stable[i]) == (turn, steady)
        assert pools[:, i] == pytest.approx(expected[:, 0], rel=1e-11, abs=1e-11)
    assert turns[1] == 26  # stable long before, but the minimum must be exceeded
    assert not stable[3]  # four rotations are too few
    assert turns[3] == 4


def test_a_ratio_near_the_limit_is_stepped_year_by_year(
    parts: tuple[Model, GrowthTable, SpinupKeys], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a wide margin every key is doubtful: the plain way must give the same."""
    model, table, keys = parts
    quick = spin_up(table, keys, model.decay.to_air, len(STANDARD))
    calls = []
    original = spinup._Rotations._years

    def spy(self: spinup._Rotations, *args: object) -> np.ndarray:
        calls.append(1)
        return original(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(spinup, "NEAR", 10.0)
    monkeypatch.setattr(spinup._Rotations, "_years", spy)
    slow = spin_up(table, keys, model.decay.to_air, len(STANDARD))
    assert len(calls) > keys.count
    assert np.array_equal(quick[1], slow[1])
    assert quick[0] == pytest.approx(slow[0], rel=1e-11, abs=1e-11)


def test_growth_to_age_after_the_last_pass(parts: tuple[Model, GrowthTable, SpinupKeys]) -> None:
    model, table, keys = parts
    pools, _, _ = spin_up(table, keys, model.decay.to_air, len(STANDARD))
    stand_key = np.array([0, 0, 1, 2, 3, 4, 4, 0])
    stand_age = np.array([0, 90, 35, 151, 1, 0, 44, 12])
    got = grow_to_age(table, keys, pools.copy(), model.decay.to_air, stand_key=stand_key, stand_age=stand_age)
    for column, (key, age) in enumerate(zip(stand_key, stand_age, strict=True)):
        one, flows = pools[:, [key]].copy(), np.zeros((len(FLOWS), 1))
        apply_matrix(keys.matrices[int(keys.last[key])], one)  # biomass is not cleared here
        for year in range(age):
            grow_year(table, one, flows, keys.growth[[key]], np.array([year]))
            decay_year(one, flows, keys.rates[:, [key]], model.decay.to_air, keys.mixing[[key]])
        assert got[:, column] == pytest.approx(one[:, 0], rel=1e-11, abs=1e-11)


def test_a_key_does_not_depend_on_its_neighbours(parts: tuple[Model, GrowthTable, SpinupKeys]) -> None:
    model, table, keys = parts
    together, _, _ = spin_up(table, keys, model.decay.to_air, len(STANDARD))
    for i in range(keys.count):
        alone, _, _ = spin_up(table, keys.take(np.array([i])), model.decay.to_air, len(STANDARD))
        assert np.array_equal(alone[:, 0], together[:, i])


def test_trap_historic_disturbance_not_after_the_last_rotation(parts: tuple[Model, GrowthTable, SpinupKeys]) -> None:
    model, table, keys = parts
    pools, _, _ = spin_up(table, keys, model.decay.to_air, len(STANDARD))
    assert (pools[:LIVE_END].sum(axis=0) > 10.0).all()  # a fire would have left nothing alive


def test_matrix_power_is_repeated_stepping(parts: tuple[Model, GrowthTable, SpinupKeys]) -> None:
    model, _, keys = parts
    n = keys.count
    years = DomYears(keys.rates, model.decay.to_air, keys.mixing, np.full((4, n), 0.05))
    x = np.arange(1.0, 11 * n + 1).reshape(11, n)
    stepping = x.copy()
    for _ in range(13):
        years.step(stepping, np.zeros((11, n)))
    assert affine(matrix_power(years.matrix(), 13), x, np.zeros((11, n))) == pytest.approx(stepping, rel=1e-13)
    assert affine(matrix_power(years.matrix(), 0), x, np.zeros((11, n))) == pytest.approx(x)


def test_disturb_leaves_columns_without_matrix_alone() -> None:
    pools = np.zeros((len(STANDARD), 3))
    pools[0] = 1.0
    spinup.disturb(pools, np.array([0, -1, 0]), [Matrix(1, ((0, 10, 1.0),))])
    assert pools[0].tolist() == [0.0, 1.0, 0.0]
    assert pools[10].tolist() == [1.0, 0.0, 1.0]
