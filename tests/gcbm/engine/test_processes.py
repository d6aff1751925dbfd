"""Growth, turnover, decay and disturbance of one stand, by hand, and the traps among them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flint_ml.errors import InputError
from flint_ml.gcbm.engine.curves import CarbonCurve
from flint_ml.gcbm.engine.decay import FLOWS as DECAY_FLOWS
from flint_ml.gcbm.engine.decay import decay_year
from flint_ml.gcbm.engine.disturbance import apply_matrix
from flint_ml.gcbm.engine.growth import FLOW_SNAG, FLOW_UPTAKE, GrowthTable, grow_year
from flint_ml.gcbm.engine.growth import FLOWS as GROWTH_FLOWS
from flint_ml.gcbm.engine.model import DecayParameters, build_matrices
from flint_ml.gcbm.pools import INDEX, STANDARD
from gcbm_example.data import DECAY

TURNOVER = {
    f"{side}_{name}": value
    for side in ("sw", "hw")
    for name, value in {
        "stem_turnover": 0.01,
        "foliage_turnover": 0.1,
        "branch_turnover": 0.04,
        "coarse_root_turnover": 0.02,
        "fine_root_turnover": 0.6,
        "other_to_branch_snag_split": 0.25,
        "coarse_root_split": 0.5,
        "fine_root_ag_split": 0.4,
        "stem_snag_turnover": 0.032,
        "branch_snag_turnover": 0.1,
    }.items()
}
ROOTS = {"sw_a": 0.2, "hw_a": 1.5, "hw_b": 0.6, "frp_a": 0.07, "frp_b": 0.35, "frp_c": -0.06}


def softwood(*above: tuple[float, float, float]) -> GrowthTable:
    """A softwood curve from (merchantable, foliage, other) at ages 0, 1, 2 ..."""
    curve = CarbonCurve(parts={"Softwood": np.array(above).T}, factors={"Softwood": ROOTS})
    return GrowthTable.build([curve], [TURNOVER])


def stand(**pools: float) -> np.ndarray:
    made = np.zeros((len(STANDARD), 1))
    for name, value in pools.items():
        made[INDEX[name]] = value
    return made


def grow(table: GrowthTable, pools: np.ndarray, age: int) -> np.ndarray:
    flows = np.zeros((len(GROWTH_FLOWS), pools.shape[1]))
    n = pools.shape[1]
    grow_year(table, pools, flows, np.zeros(n, dtype=np.int64), np.full(n, age))
    return flows


def test_growth_and_turnover_by_hand() -> None:
    table = softwood((10.0, 2.0, 4.0), (12.0, 2.2, 4.6))
    pools = stand(
        SoftwoodMerch=10.0,
        SoftwoodFoliage=2.0,
        SoftwoodOther=4.0,
        SoftwoodCoarseRoots=5.0,
        SoftwoodFineRoots=0.8,
        SoftwoodStemSnag=3.0,
        SoftwoodBranchSnag=1.0,
    )
    flows = grow(table, pools, 0)
    biomass = 0.2 * (18.8 / 0.5)  # 12 + 2.2 + 4.6 tC/ha above ground
    fine = 0.07 + 0.35 * math.exp(-0.06 * biomass)
    grown = {
        "Merch": 2.0,
        "Foliage": 0.2,
        "Other": 0.6,
        "CoarseRoots": 0.5 * biomass * (1 - fine) - 5.0,
        "FineRoots": 0.5 * biomass * fine - 0.8,
    }
    start = {"Merch": 10.0, "Foliage": 2.0, "Other": 4.0, "CoarseRoots": 5.0, "FineRoots": 0.8}
    middle = {part: start[part] + grown[part] / 2 for part in start}
    for part, amount in start.items():  # what falls is grown again
        assert pools[INDEX[f"Softwood{part}"], 0] == pytest.approx(amount + grown[part], rel=1e-14)
    rates = {"Merch": 0.01, "Foliage": 0.1, "Other": 0.04, "CoarseRoots": 0.02, "FineRoots": 0.6}
    for i, part in enumerate(("Merch", "Foliage", "Other", "CoarseRoots", "FineRoots")):
        assert flows[FLOW_UPTAKE + i, 0] == pytest.approx(grown[part] + middle[part] * rates[part], rel=1e-13)
    assert pools[INDEX["SoftwoodStemSnag"], 0] == pytest.approx(3.0 - 3.0 * 0.032 + middle["Merch"] * 0.01)
    assert pools[INDEX["MediumSoil"], 0] == pytest.approx(3.0 * 0.032)  # snags of the year's start
    fallen = middle["Other"] * 0.04 * 0.75 + middle["CoarseRoots"] * 0.02 * 0.5 + 1.0 * 0.1
    assert pools[INDEX["AboveGroundFastSoil"], 0] == pytest.approx(fallen)
    assert pools[INDEX["BelowGroundVeryFastSoil"], 0] == pytest.approx(middle["FineRoots"] * 0.6 * 0.6)
    assert pools.sum() == pytest.approx(25.8)  # 21.8 live and 4 in snags: nothing made, nothing lost


def test_trap_the_first_year_uses_the_increment_of_age_zero() -> None:
    table = softwood((0.0, 0.0, 0.0), (1.0, 0.5, 0.5), (5.0, 1.0, 1.0))
    pools = stand()
    grow(table, pools, 0)
    assert pools[INDEX["SoftwoodMerch"], 0] == pytest.approx(1.0)  # lagged by a year it would be 0 or 4


def test_trap_turnover_comes_from_the_mid_season_stock() -> None:
    table = softwood((10.0, 2.0, 4.0), (20.0, 2.0, 4.0))
    pools = stand(SoftwoodMerch=10.0)
    grow(table, pools, 0)
    assert pools[INDEX["SoftwoodStemSnag"], 0] == pytest.approx(15.0 * 0.01)


def test_overmature_stands_lose_to_dead_wood_and_others_to_the_air() -> None:
    declining = softwood((10.0, 2.0, 4.0), (8.0, 2.0, 4.0))
    grown = {"SoftwoodFoliage": 2.0, "SoftwoodOther": 4.0, "SoftwoodCoarseRoots": 2.3, "SoftwoodFineRoots": 0.5}
    pools = stand(SoftwoodMerch=10.0, **grown)
    flows = grow(declining, pools, 0)
    assert flows[FLOW_UPTAKE, 0] == pytest.approx(9.0 * 0.01)  # only what turnover took is grown again
    assert pools[INDEX["SoftwoodStemSnag"], 0] == pytest.approx(2.0 + 9.0 * 0.01)
    # Merch falls by less than the rest grows: no decline of the stand, so the air takes it, with its sign.
    shifting = softwood((10.0, 2.0, 4.0), (9.0, 2.0, 8.0))
    pools = stand(SoftwoodMerch=10.0, **grown)
    flows = grow(shifting, pools, 0)
    assert flows[FLOW_UPTAKE, 0] == pytest.approx(-1.0 + 9.5 * 0.01)
    assert pools[INDEX["SoftwoodStemSnag"], 0] == pytest.approx(9.5 * 0.01)


def test_a_pool_never_loses_more_than_it_has_to_growth() -> None:
    pools = stand(SoftwoodMerch=0.5)
    grow(softwood((10.0, 0.0, 0.0), (5.0, 0.0, 0.0)), pools, 0)
    assert pools[INDEX["SoftwoodMerch"], 0] == pytest.approx(0.0, abs=1e-15)


def test_hardwood_roots_follow_a_power() -> None:
    curve = CarbonCurve(
        parts={"Hardwood": np.array([[10.0, 10.0], [1.0, 1.0], [4.0, 4.0]])}, factors={"Hardwood": ROOTS}
    )
    table = GrowthTable.build([curve], [TURNOVER])
    pools = stand(HardwoodMerch=10.0, HardwoodFoliage=1.0, HardwoodOther=4.0)
    grow(table, pools, 0)
    roots = pools[INDEX["HardwoodCoarseRoots"], 0] + pools[INDEX["HardwoodFineRoots"], 0]
    assert roots == pytest.approx(0.5 * 1.5 * 30.0**0.6)


def test_snags_fall_without_a_curve_of_their_type() -> None:
    pools = stand(HardwoodStemSnag=2.0, SoftwoodMerch=1.0)
    flows = grow(softwood((1.0, 0.0, 0.0), (1.0, 0.0, 0.0)), pools, 0)
    assert flows[FLOW_SNAG + 2, 0] == pytest.approx(2.0 * 0.032)


def parameters() -> DecayParameters:
    keys = ("organic_matter_decay_rate", "reference_temp", "q10", "prop_to_atmosphere", "max_decay_rate_soft")
    return DecayParameters.build([{"pool": n, **dict(zip(keys, r, strict=True))} for n, r in DECAY.items()], "test")


def decay(pools: np.ndarray, temperature: float, mixing: float = 0.006) -> np.ndarray:
    p = parameters()
    flows = np.zeros((len(DECAY_FLOWS), 1))
    decay_year(pools, flows, p.rates(np.array([temperature])), p.to_air, np.array([mixing]))
    return flows


def test_decay_by_hand() -> None:
    pools = stand(MediumSoil=100.0, BelowGroundFastSoil=10.0, AboveGroundSlowSoil=50.0, BelowGroundSlowSoil=80.0)
    decay(pools, 5.0)
    medium = 0.0374 * math.exp(-5 * math.log(2) * 0.1)
    below = 0.1435 * math.exp(-5 * math.log(2) * 0.1)
    slow = 0.015 * math.exp(-5 * math.log(2.65) * 0.1)
    above_slow = (50.0 + 100.0 * medium * 0.17) * (1 - slow)
    below_slow = (80.0 + 10.0 * below * 0.17) * (1 - 0.0033)
    assert pools[INDEX["MediumSoil"], 0] == pytest.approx(100.0 * (1 - medium), rel=1e-14)
    assert pools[INDEX["AboveGroundSlowSoil"], 0] == pytest.approx(above_slow * (1 - 0.006), rel=1e-14)
    assert pools[INDEX["BelowGroundSlowSoil"], 0] == pytest.approx(below_slow + above_slow * 0.006, rel=1e-14)
    assert pools.sum() == pytest.approx(240.0, rel=1e-14)


def test_trap_slow_pools_decay_after_the_fast_ones() -> None:
    """Carbon that enters the slow pool this year already decays this year."""
    pools = stand(MediumSoil=100.0)
    flows = decay(pools, 10.0)
    entered = 100.0 * 0.0374 * 0.17
    assert flows[[i for i, f in enumerate(DECAY_FLOWS) if f == ("AboveGroundSlowSoil", "CO2")], 0] == pytest.approx(
        entered * 0.015
    )


def test_decay_rates_stop_at_the_highest() -> None:
    assert parameters().rates(np.array([60.0]))[1, 0] == 1.0


def test_missing_decay_parameters_are_named() -> None:
    with pytest.raises(InputError, match="HardwoodStemSnag"):
        DecayParameters.build([], "somewhere")


def rows(*transfers: tuple[int, str, str, float]) -> list[dict[str, object]]:
    names = ("disturbance_matrix_id", "source_pool_name", "dest_pool_name", "proportion")
    return [dict(zip(names, row, strict=True)) for row in transfers]


def association(kind: str, unit: int, matrix: int) -> dict[str, object]:
    return {"disturbance_type": kind, "spatial_unit_id": unit, "disturbance_matrix_id": matrix}


def test_an_event_uses_the_pools_before_it_and_is_not_rescaled() -> None:
    matrices = build_matrices(
        rows(
            (1, "SoftwoodMerch", "SoftwoodStemSnag", 0.6),
            (1, "SoftwoodMerch", "Products", 0.3),
            (1, "SoftwoodMerch", "Products", 0.05),
            (1, "SoftwoodStemSnag", "MediumSoil", 1.0),
            (1, "SoftwoodStemSnag", "SoftwoodStemSnag", 0.2),
        ),
        [association("Fire", 3, 1), association("Fire", 3, 2)],
        INDEX,
        "test",
    )
    matrix = matrices.find("Fire", 3)
    assert matrix is not None
    assert matrix.id == 1  # the first association wins
    assert matrices.find("Fire", 4) is None
    pools = stand(SoftwoodMerch=100.0, SoftwoodStemSnag=10.0)
    apply_matrix(matrix, pools)
    assert pools[INDEX["SoftwoodMerch"], 0] == pytest.approx(5.0)  # 95 % leave, 5 % stay
    assert pools[INDEX["SoftwoodStemSnag"], 0] == pytest.approx(60.0)  # the 10 that were there left
    assert pools[INDEX["MediumSoil"], 0] == pytest.approx(10.0)
    assert pools[INDEX["Products"], 0] == pytest.approx(35.0)
    assert matrices.row_deviation[1] == pytest.approx(0.2)
    assert matrices.bad_rows == 2


def test_a_matrix_with_an_unknown_pool_is_refused() -> None:
    with pytest.raises(InputError, match="Deadwood"):
        build_matrices(rows((1, "SoftwoodMerch", "Deadwood", 1.0)), [], INDEX, "test")
