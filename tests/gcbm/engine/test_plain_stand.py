"""The engine against the model written plainly, for whole stands of the example."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from flint_ml.gcbm import Result, load_project, run
from flint_ml.gcbm.engine.growth import GrowthKeys
from flint_ml.gcbm.engine.model import build_model
from flint_ml.gcbm.engine.run import Reader
from flint_ml.gcbm.pools import SIDES
from flint_ml.gcbm.project.config import Project
from gcbm_example import CLASSIFIERS, write_project
from helpers.plain_stand import PlainStand

YEARS = (2010, 2021)
# Species, site, age, temperature, year of the fire, year of the clear-cut (0 is none)
STANDS = [
    ("Spruce", "good", 80, 1.25, 2013, 0),
    ("Spruce", "poor", 0, -0.5, 0, 0),
    ("Aspen", "good", 130, 2.0, 0, 0),  # past its maximum: overmature decline
    ("Aspen", "poor", 60, 0.25, 0, 2016),  # becomes spruce after two years without growth
    ("Spruce", "good", -3, 1.25, 0, 2014),  # a negative age is a regeneration delay
    ("Aspen", "good", 40, 1.0, 2012, 2012),  # two events in one year
]


def with_delay(folder: Path, delay: str) -> Project:
    """The project with these columns in ``spinup_parameters``."""
    config = folder / "config" / "variables.json"
    text = config.read_text()
    assert "0 AS delay" in text
    config.write_text(text.replace("0 AS delay", delay))
    return load_project(folder)


@pytest.fixture(scope="module")
def stands(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Result]:
    """One cell for each of STANDS, in a block of 100 x 100 cells."""
    shape = (100, 100)
    layers = {
        "Species": np.full(shape, 255, dtype=np.uint8),
        "Site": np.full(shape, 255, dtype=np.uint8),
        "initial_age": np.full(shape, 32767, dtype=np.int16),
        "mean_annual_temperature": np.full(shape, 3.4e38, dtype=np.float32),
        "wildfire": np.full(shape, 255, dtype=np.uint8),
        "harvest": np.full(shape, 255, dtype=np.uint8),
    }
    for i, (species, site, age, temperature, fire, cut) in enumerate(STANDS):
        layers["Species"][i, 0] = {"Spruce": 1, "Aspen": 2}[species]
        layers["Site"][i, 0] = {"good": 1, "poor": 2}[site]
        layers["initial_age"][i, 0] = age
        layers["mean_annual_temperature"][i, 0] = temperature
        for name, year in (("wildfire", fire), ("harvest", cut)):
            if year:
                layers[name][i, 0] = year - 2000
    fires = {"disturbance_type": "Wildfire", "transition": 1}
    events = {
        "wildfire": {str(y): {"year": 2000 + y, **fires} for y in range(10, 21)},
        "harvest": {str(y): {"year": 2000 + y, "disturbance_type": "Clear-cut"} for y in range(10, 21)},
    }
    folder = tmp_path_factory.mktemp("plain") / "project"
    write_project(folder, layers, attributes={**CLASSIFIERS, **events}, events=list(events), years=YEARS)
    config = folder / "config" / "variables.json"
    text = config.read_text().replace(
        '"vars": [\n          "classifier_set"\n        ]', '"vars": ["classifier_set", "row"]'
    )
    assert '"row"' in text  # each cell is its own reporting group
    config.write_text(text.replace('"Variables": {', '"Variables": {\n    "row": ' + ROW + ",", 1))
    _write_row_layer(folder, shape)
    project = load_project(folder)
    return project, run(project)


ROW = """{"transform": {"type": "LocationIdxFromFlintDataTransform", "provider": "RasterTiled", "data_id": "row"}}"""


def _write_row_layer(folder: Path, shape: tuple[int, int]) -> None:
    import json

    from gcbm_example import write_layer

    rows = np.repeat(np.arange(shape[0], dtype=np.int16)[:, None], shape[1], axis=1)
    write_layer(folder / "layers" / "tiled", "row", rows)
    providers = folder / "config" / "provider_config.json"
    content = json.loads(providers.read_text())
    content["Providers"]["RasterTiled"]["layers"].append({"name": "row", "layer_path": "../layers/tiled/row.tiff"})
    providers.write_text(json.dumps(content))


def plain_curve(project: Project, species: str, site: str) -> dict[str, tuple[list[float], list[float], list[float]]]:
    with Reader(project) as reader:
        model = build_model(project, reader.variables, reader.layers)
        keys = GrowthKeys(model)
        keys.places.append({})
        keys.of(np.array([keys.set_number({"Site": site, "Species": species})]), np.array([0]))
        curve = keys.curves[0]
    return {side: tuple(row.tolist() for row in curve.parts[side]) for side in SIDES if side in curve.parts}  # type: ignore[misc]


def expected(project: Project, number: int, wait: int = 0) -> list[tuple[dict[str, float], float, float]]:
    """Pools, NPP and Rh of each year of one stand, tC/ha; the first entry is after spinup (and ``wait`` years)."""
    species, site, age, temperature, fire, cut = STANDS[number]
    stand = PlainStand(plain_curve(project, species, site), float(np.float32(temperature)))
    stand.spin_up(120, 30, 10, max(age, 0))
    for _ in range(wait):
        stand.idle()
    stand.delay = max(-age, 0)
    out = [(dict(stand.pools), 0.0, 0.0)]
    for year in range(*YEARS):
        if year == fire:
            stand.disturb("Wildfire")
            stand.age, stand.delay = 0, 0
        if year == cut:
            stand.disturb("Clear-cut")
            stand.curve = plain_curve(project, "Spruce", site)  # planted with spruce
            stand.age, stand.delay = 0, 2
        stand.year()
        out.append((dict(stand.pools), stand.uptake, stand.released))
    return out


def assert_years(result: Result, number: int, years: list[tuple[dict[str, float], float, float]]) -> None:
    position = result.classifiers.index("row")
    for step, (pools, npp, rh) in enumerate(years):
        rows = [
            i
            for i, key in enumerate(result.locations.tolist())
            if key[0] == step and result.names.sets[key[1]][position] == str(number)
        ]
        total = result.sums[rows].sum(axis=0)
        for column, name in enumerate(result.pool_names, 1):
            assert total[column] / total[0] == pytest.approx(pools.get(name, 0.0), rel=1e-10, abs=1e-9), (step, name)
        flows = total[1 + len(result.pool_names) :] / total[0]
        assert flows[:10].sum() == pytest.approx(npp, rel=1e-10, abs=1e-9)
        assert flows[39:50].sum() == pytest.approx(rh, rel=1e-10, abs=1e-9)


@pytest.mark.parametrize("number", range(len(STANDS)))
def test_every_pool_of_every_year(stands: tuple[Project, Result], number: int) -> None:
    project, result = stands
    assert_years(result, number, expected(project, number))


@pytest.mark.parametrize(
    ("columns", "years"),
    [("4 AS inventory_delay, 9 AS delay", 4), ("3 AS delay", 3), ("NULL AS inventory_delay, 9 AS delay", 0)],
)
def test_an_inventory_delay_is_turnover_and_decay_without_growth(
    stands: tuple[Project, Result], tmp_path: Path, columns: str, years: int
) -> None:
    project = with_delay(Path(shutil.copytree(stands[0].root, tmp_path / "p")), columns)
    result = run(project)
    for number in (0, 2, 4):  # grown, overmature, with a regeneration delay
        assert_years(result, number, expected(project, number, years))
