"""Yield tables to carbon, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flint_ml.errors import InputError
from flint_ml.gcbm.engine.curves import (
    CurveSource,
    build_curves,
    component_carbon,
    interpolate_yield,
    stand_volume,
    start_age,
)
from gcbm_example.data import FACTORS, STUMP


def table(**volumes: float) -> list[dict[str, float]]:
    return [{"age": int(age[1:]), "merchantable_volume": v} for age, v in volumes.items()]


def factors(species: str = "Spruce") -> dict[str, float]:
    row = {key.replace("nonmerch", "non_merch"): value for key, value in FACTORS[species].items()}
    names = ("softwood_top_prop", "softwood_stump_prop", "hardwood_top_prop", "hardwood_stump_prop")
    return {**row, **dict(zip(names, STUMP, strict=True))}


def test_interpolation_between_given_ages() -> None:
    volume = interpolate_yield(table(a0=0, a10=10, a20=40), "1")
    assert volume is not None
    assert volume[[0, 5, 10, 15, 20]].tolist() == [0.0, 5.0, 10.0, 25.0, 40.0]


def test_trailing_zeros_are_filled_with_the_last_volume() -> None:
    volume = interpolate_yield(table(a0=0, a10=10, a20=20, a30=0, a40=0), "1")
    assert volume is not None
    assert volume[20:].tolist() == [20.0] * 21


def test_the_step_is_second_smallest_less_smallest_age() -> None:
    """Ages 0, 5, 20: knots lie at 0, 5, 10, 15, 20; 10 and 15 hold the filled value of 5."""
    volume = interpolate_yield(table(a0=0, a5=10, a20=40), "1")
    assert volume is not None
    assert volume[[5, 10, 15, 16, 20]].tolist() == [10.0, 10.0, 10.0, 16.0, 40.0]


def test_rows_of_one_age_add_up() -> None:
    rows = [*table(a0=0, a10=10), *table(a10=5)]
    volume = interpolate_yield(rows, "1")
    assert volume is not None
    assert volume[-1] == 15.0


def test_empty_and_zero_tables_are_dropped() -> None:
    assert interpolate_yield([], "1") is None
    assert interpolate_yield(table(a0=0, a10=0), "1") is None


def test_a_single_age_is_refused() -> None:
    with pytest.raises(InputError, match="at least two"):
        interpolate_yield(table(a50=10), "7")


def test_stand_volume_and_softwood_share() -> None:
    volume, share = stand_volume({"Softwood": np.array([0.0, 30.0]), "Hardwood": np.array([0.0, 10.0, 10.0])})
    assert volume.tolist() == [0.0, 40.0, 40.0]
    assert share.tolist() == [1.0, 0.75, 0.75]


def test_carbon_of_one_age_by_hand() -> None:
    """Equations 1 to 7 of Boudewyn et al. (2007) for 100 m3/ha of pure spruce."""
    p = factors()
    merch = 0.88 * 100**0.856
    nonmerch = (1.057 + 15.0 * merch**-1.07 - 1) * merch
    sapling = (1.0 + 0.0 - 1) * (merch + nonmerch)
    stem = merch + nonmerch + sapling
    a = math.exp(-1.625 - 0.0004 * 100 - 0.038 * math.log(105))
    b = math.exp(-2.394 - 0.0014 * 100 + 0.023 * math.log(105))
    c = math.exp(-1.526 - 0.0002 * 100 - 0.155 * math.log(105))
    d = 1 + a + b + c
    tree = stem / (1 / d)
    bark, foliage = tree * a / d, tree * (1 - (1 + a + b) / d)
    used = 1 - (2.1 + 2.8) / 100
    wood, merch_bark = merch * used, bark * merch / stem * used
    got = component_carbon(np.array([100.0]), np.array([1.0]), "Softwood", p)[:, 0]
    expected = [0.5 * (wood + merch_bark), 0.5 * foliage, 0.5 * (tree - foliage - wood - merch_bark)]
    assert got == pytest.approx(expected, rel=1e-13)


def test_no_volume_gives_no_carbon() -> None:
    assert component_carbon(np.array([0.0]), np.array([1.0]), "Softwood", factors()).tolist() == [[0.0], [0.0], [0.0]]


def test_small_volumes_use_the_low_proportions() -> None:
    volume = np.array([0.2])  # below min_volume 0.3
    merch, foliage, other = component_carbon(volume, np.array([1.0]), "Softwood", factors())[:, 0]
    assert foliage / (merch + foliage + other) == pytest.approx(1 - 0.69 - 0.13 - 0.065)


@given(st.floats(0.5, 700.0), st.floats(0.0, 1.0))
def test_types_share_the_stand(volume: float, share: float) -> None:
    """Softwood and hardwood with one set of parameters add up to the pure stand."""
    v = np.array([volume])
    p = {**factors(), "hardwood_top_prop": 2.1, "hardwood_stump_prop": 2.8}
    pure = component_carbon(v, np.array([1.0]), "Softwood", p)
    soft = component_carbon(v, np.array([share]), "Softwood", p)
    hard = component_carbon(v, np.array([share]), "Hardwood", p)
    assert soft + hard == pytest.approx(pure, rel=1e-10, abs=1e-10)


def source(softwood: object, hardwood: object, rows: object) -> CurveSource:
    return CurveSource("1", softwood, hardwood, rows)


def test_the_last_parameter_row_of_a_type_wins() -> None:
    first = {**factors(), "forest_type": "Softwood", "a": 2.0}
    last = {**factors(), "forest_type": "Softwood"}
    both, one = (build_curves([source(table(a0=0, a100=200), None, rows)])[0] for rows in ([first, last], last))
    assert np.array_equal(both.parts["Softwood"], one.parts["Softwood"])


def test_a_type_without_parameters_has_no_curve_but_counts_in_the_volume() -> None:
    curve = build_curves(
        [source(table(a0=0, a100=100), table(a0=0, a100=100), {**factors(), "forest_type": "Softwood"})],
        smoothing=False,
    )[0]
    assert list(curve.parts) == ["Softwood"]
    half = component_carbon(np.array([200.0]), np.array([0.5]), "Softwood", factors())
    assert curve.parts["Softwood"][:, -1] == pytest.approx(half[:, 0])


def test_increments_are_zero_from_the_last_age_on() -> None:
    curve = build_curves([source(table(a0=0, a50=100), None, {**factors(), "forest_type": "Softwood"})])[0]
    steps = curve.increments()
    assert steps.shape == (6, 51)
    assert steps[:, -1].tolist() == [0.0] * 6
    assert steps[0, 10] == curve.parts["Softwood"][0, 11] - curve.parts["Softwood"][0, 10]


def test_trap_smoother_left_out_changes_young_biomass() -> None:
    row = {**factors(), "forest_type": "Softwood"}
    volumes = table(a0=0, a20=0, a30=20, a60=150, a100=220)
    rough, smooth = (
        build_curves([source(volumes, None, row)], smoothing=s)[0].parts["Softwood"] for s in (False, True)
    )
    # Knots lie 20 years apart: 4 m3/ha at age 24, 5 at 25. The non-merchantable factor reaches its cap, 5.17,
    # below 4.8 m3/ha, so the fit starts at 25.
    assert start_age(interpolate_yield(volumes, "1"), row) == 25  # type: ignore[arg-type]
    assert abs(smooth[:, 10] - rough[:, 10]).sum() > 0.1
    assert np.array_equal(smooth[:, 60:], rough[:, 60:])


def test_empty_tables_make_an_empty_curve() -> None:
    curve = build_curves([source(None, None, None)])[0]
    assert curve.empty
    assert curve.increments().tolist() == [[0.0]] * 6
