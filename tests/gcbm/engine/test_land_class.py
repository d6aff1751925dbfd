"""Land class bookkeeping."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flint_ml.errors import InputError
from flint_ml.gcbm.engine.model import AgeClasses, LandClass
from flint_ml.gcbm.engine.state import LandClasses


def classes(historic: list[Any], current: list[Any], last: str = "Wildfire") -> LandClasses:
    model: Any = SimpleNamespace(
        land_classes={"FL": LandClass(True, 2), "CL": LandClass(False, 2), "OL": LandClass(False, 3)},
        land_transitions={"Afforestation": "FL", "Deforestation": "OL"},
        project=SimpleNamespace(source=lambda *_: "variables.json"),
    )
    return LandClasses(model, historic, current, [last] * len(historic))


def names(land: LandClasses) -> list[str]:
    numbers, texts = land.reported()
    return [texts[i] for i in numbers]


def test_the_flip_comes_when_the_years_exceed_the_limit() -> None:
    land = classes(["FL"], ["CL"])
    seen = []
    for _ in range(4):
        land.step()
        seen += names(land)
    assert seen == ["UNFCCC_FL_R_CL", "UNFCCC_FL_R_CL", "UNFCCC_CL_R_CL", "UNFCCC_CL_R_CL"]


def test_a_change_restarts_the_count_and_decay() -> None:
    land = classes(["CL"], ["CL"])
    assert not land.forest[0]
    assert not land.decaying[0]  # a non-forest stand that waits for afforestation
    land.step()
    land.event("Afforestation", np.array([0]))
    assert names(land) == ["UNFCCC_CL_R_CL"]  # until the step's bookkeeping
    land.step()
    assert names(land) == ["UNFCCC_CL_R_FL"]
    assert land.forest[0]
    assert land.decaying[0]
    for _ in range(2):
        land.step()
    assert names(land) == ["UNFCCC_CL_R_FL"]
    land.step()
    assert names(land) == ["UNFCCC_FL_R_FL"]


def test_deforestation_is_no_forest_but_decays() -> None:
    land = classes(["FL"], ["FL"])
    land.event("Deforestation", np.array([0]))
    land.step()
    assert names(land) == ["UNFCCC_FL_R_OL"]
    assert not land.forest[0]
    assert land.decaying[0]


def test_stands_deforested_in_spinup_decay_from_the_start() -> None:
    assert classes(["FL"], ["OL"], last="Deforestation").decaying[0]
    assert not classes(["FL"], ["OL"], last="Afforestation").decaying[0]


def test_a_null_current_class_is_the_historic_one() -> None:
    assert names(classes(["FL"], [None])) == ["UNFCCC_FL_R_FL"]


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(InputError, match="XX is not in land_class"):
        classes(["XX"], ["FL"])


def test_other_disturbances_change_nothing() -> None:
    land = classes(["FL"], ["FL"])
    land.event("Wildfire", np.array([0]))
    land.step()
    assert names(land) == ["UNFCCC_FL_R_FL"]


def test_age_classes() -> None:
    made = AgeClasses(20, 300)
    assert made.bounds[:3] == [(-1, -1), (0, 19), (20, 39)]
    assert made.bounds[-2:] == [(280, 299), (300, -1)]
    ages = np.array([-1, 0, 19, 20, 299, 300, 900])
    assert [made.bounds[i] for i in made.of(ages)] == [
        (-1, -1),
        (0, 19),
        (0, 19),
        (20, 39),
        (280, 299),
        (300, -1),
        (300, -1),
    ]


def test_an_age_maximum_that_is_no_multiple() -> None:
    made = AgeClasses(20, 50)
    assert made.bounds == [(-1, -1), (0, 19), (20, 39), (40, 49), (50, -1)]
    assert made.of(np.array([45, 49, 50])).tolist() == [3, 3, 4]
