"""What a transition does to age, delay and classifiers after an event that leaves trees standing."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from flint_ml.gcbm import MapRequest, Project, indicators, load_project, run
from flint_ml.gcbm.engine.growth import GrowthKeys
from gcbm_example import write_layer

AGE = 100
BEFORE = AGE + 2  # the event comes in the third year
KINDS = {"absolute": 1, "relative": 2, "yield": 3}


def insects(example_folder: Path, folder: Path, *, kind: str, age: int, delay: int, explicit: bool = True) -> Project:
    """All pixels spruce of one age; in 2012 insects take half of the stems, with this transition (id 9)."""
    shutil.copytree(example_folder, folder)
    with sqlite3.connect(folder / "input_database" / "gcbm_input.db") as connection:
        connection.executescript(
            f"""INSERT INTO disturbance_type VALUES (9, 'Insects', 99, NULL);
            INSERT INTO disturbance_matrix VALUES (9, 'Insects');
            INSERT INTO disturbance_matrix_association VALUES (1, 9, 9);
            INSERT INTO disturbance_matrix_value SELECT 9, a.id, b.id, 0.5 FROM pool a, pool b
                WHERE a.name = 'SoftwoodMerch' AND b.name IN ('SoftwoodStemSnag', 'SoftwoodMerch');
            INSERT INTO transition VALUES (9, {KINDS[kind]}, {age}, {delay}, 'test');"""
        )
        if not explicit:
            connection.executescript(
                """INSERT INTO transition_rule VALUES (9, 9, 9);
                INSERT INTO transition_rule_classifier_value SELECT 9, id FROM classifier_value WHERE value = '?';"""
            )
    event = {"year": 2012, "disturbance_type": "Insects", **({"transition": 9} if explicit else {})}
    tiled = folder / "layers" / "tiled"
    write_layer(tiled, "wildfire", np.ones((200, 200), dtype=np.uint8), attributes={"1": event})
    write_layer(tiled, "initial_age", np.full((200, 200), AGE, dtype=np.int16))
    write_layer(tiled, "Species", np.ones((200, 200), dtype=np.uint8), attributes={"1": "Spruce"})
    write_layer(tiled, "Site", np.ones((200, 200), dtype=np.uint8), attributes={"1": "good"})
    return load_project(folder)


def ages(project: Project, folder: Path) -> dict[int, set[float]]:
    import rasterio

    request = MapRequest(folder, ["age_years"], [2011, 2012, 2013, 2015])
    run(project, blocks=["12674:0"], maps=request)
    found = {}
    for (_, year), path in request.files.items():
        with rasterio.open(path) as raster:
            found[year] = set(np.unique(raster.read(1)).tolist())
    return found


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize(
    ("kind", "age", "delay", "expected"),
    [
        ("absolute", 0, 0, {2011: BEFORE, 2012: 1, 2013: 2, 2015: 4}),
        ("absolute", 7, 0, {2011: BEFORE, 2012: 8, 2013: 9, 2015: 11}),
        ("absolute", -1, 0, {2011: BEFORE, 2012: BEFORE + 1, 2013: BEFORE + 2, 2015: BEFORE + 4}),
        ("relative", -20, 0, {2011: BEFORE, 2012: BEFORE - 19, 2013: BEFORE - 18, 2015: BEFORE - 16}),
        ("relative", -500, 0, {2011: BEFORE, 2012: 1, 2013: 2, 2015: 4}),
        ("absolute", 0, 3, {2011: BEFORE, 2012: 0, 2013: 0, 2015: 1}),  # three growth years with the event's
    ],
)
def test_age_after_a_partial_event(
    example_folder: Path, tmp_path: Path, kind: str, age: int, delay: int, expected: dict[int, int], explicit: bool
) -> None:
    project = insects(example_folder, tmp_path / "p", kind=kind, age=age, delay=delay, explicit=explicit)
    assert ages(project, tmp_path / "maps") == {year: {float(a)} for year, a in expected.items()}


def test_a_yield_reset_looks_for_the_carbon_that_is_left(example_folder: Path, tmp_path: Path) -> None:
    from flint_ml.gcbm.engine.model import build_model
    from flint_ml.gcbm.engine.run import Reader

    project = insects(example_folder, tmp_path / "p", kind="yield", age=0, delay=0)
    with Reader(project) as reader:
        model = build_model(project, reader.variables, reader.layers)
        keys = GrowthKeys(model)
        keys.places.append({})
        keys.of(np.array([keys.set_number({"Site": "good", "Species": "Spruce"})]), np.array([0]))
    curve = keys.curves[0].parts["Softwood"]
    left = curve[:, BEFORE].sum() - curve[0, BEFORE] / 2
    first = next(a for a in range(curve.shape[1]) if curve[:, a].sum() >= left)
    assert ages(project, tmp_path / "maps")[2012] == {float(first + 1)}


def test_trap_age_kept_after_the_event_is_another_result(example_folder: Path, tmp_path: Path) -> None:
    """With its biomass halved and its age 0 a stand grows differently from one that keeps its age."""
    reset, kept = (
        indicators(run(insects(example_folder, tmp_path / str(age), kind="absolute", age=age, delay=0)))
        for age in (0, -1)
    )
    npp = reset.columns.index("npp_tC")
    assert reset.rows[-1][npp] != pytest.approx(kept.rows[-1][npp], rel=0.01)


def test_without_the_transition_module_nothing_is_reset(example_folder: Path, tmp_path: Path) -> None:
    project = insects(example_folder, tmp_path / "p", kind="absolute", age=0, delay=0)
    file = tmp_path / "p" / "config" / "modules_cbm.json"
    content = json.loads(file.read_text())
    content["Modules"]["CBMTransitionRulesModule"]["enabled"] = False
    file.write_text(json.dumps(content))
    assert ages(load_project(project.root), tmp_path / "maps")[2012] == {float(BEFORE + 1)}
