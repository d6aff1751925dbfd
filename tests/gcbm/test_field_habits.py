"""Habits of real projects on a small project; and the made cases with the C++'s results, where they are at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flint_ml.gcbm import (
    Project,
    attribute_check,
    find_missing_attributes,
    indicators,
    load_project,
    run,
    unsupported,
    validate,
    write_database,
)
from flint_ml.gcbm.engine import aggregate
from flint_ml.gcbm.project import layers
from flint_ml.gcbm.project.grid import project_domain
from flint_ml.gcbm.project.layers import project_layers
from helpers.database_content import content, differences
from helpers.gcbm_inputs import edit, paint
from helpers.shared_data import SHARED, needs_shared

LISTENER = "CBMDisturbanceListener"


@needs_shared
@pytest.mark.parametrize(
    "case",
    [
        "field-1-no-events",
        "field-2-spinup-variables",
        "field-3-smoother-off",
        "field-4-spinup-mask",
        "field-5-tile-index",
    ],
)
def test_every_row_of_the_field_cases(case: str, tmp_path: Path) -> None:
    """As committed, without an option: pools, fluxes, areas, events; none missing, none extra."""
    project = load_project(SHARED / "gcbm-cases" / f"{case}.zip")
    mine = content(write_database(run(project), tmp_path / "gcbm_output.db"))
    assert differences(mine, content(project.root / "expected" / "gcbm_output.db")) == []


def disturbed(project: Project) -> float:
    table = indicators(run(project))
    return sum(table.column("disturbed_area_ha"))


@pytest.mark.parametrize("module", [LISTENER, "CBMDisturbanceEventModule"])
def test_a_listener_or_event_module_that_is_off_means_no_events(head: Path, module: str) -> None:
    edit(head, "modules_cbm.json", lambda c: c["Modules"][module].update(enabled=False))
    project = load_project(head)
    assert unsupported(project) == []
    assert disturbed(project) == 0.0


def test_spinup_follows_its_own_temperature_and_mixing(head: Path) -> None:
    before = indicators(run(load_project(head)))
    edit(head, "spinup.json", lambda c: c["SpinupVariables"].update(mean_annual_temperature=9.0))
    warmer = indicators(run(load_project(head)))
    soil = before.columns.index("soil_tC")
    assert warmer.rows[0][soil] < 0.9 * before.rows[0][soil]
    assert warmer.column("npp_tC") == before.column("npp_tC")  # biomass knows no temperature


def test_a_smoother_that_is_off_is_told_and_not_obeyed_unless_asked(head: Path) -> None:
    as_committed = indicators(run(load_project(head)))
    edit(
        head, "modules_cbm.json", lambda c: c["Modules"]["CBMGrowthModule"].update(settings={"smoother_enabled": False})
    )
    project = load_project(head)
    assert indicators(run(project)).rows == as_committed.rows
    assert "gcbm-smoother" in {problem.code for problem in validate(project, pixels=False)}
    obeyed = replace(project, obey_smoother=True)
    assert "gcbm-smoother" not in {problem.code for problem in validate(obeyed, pixels=False)}
    assert indicators(run(obeyed)).rows != as_committed.rows


def test_a_tile_counts_by_x_and_y(head: Path) -> None:
    project = load_project(head)
    blocks = project_domain(project).blocks
    edit(head, "localdomain.json", lambda c: c["LocalDomain"]["landscape"]["tiles"][0].update(index=1))
    moved = load_project(head)
    tile = moved.section("LocalDomain")["landscape"]["tiles"][0]
    if {"x", "y"} <= set(tile):
        assert project_domain(moved).blocks == blocks
        assert "gcbm-flint-tile" in {problem.code for problem in validate(moved, pixels=False)}
    else:
        assert {block.tile for block in project_domain(moved).blocks} == {1}


def test_values_without_attribute_are_a_check_and_do_not_stop_the_run(head: Path) -> None:
    count = paint(head, "wildfire", 77, 40)
    project = load_project(head)
    missing = find_missing_attributes(project)
    check = attribute_check(missing)
    assert (check.name, check.status, check.value) == ("missing-attributes", "failed", float(count))
    assert "77 (40 pixels)" in check.message
    assert "their events never happen" in check.message
    assert all(problem.severity == "warning" for problem in validate(project))
    assert run(project).pixels == run(load_project(head)).pixels


def test_pixels_without_age_are_masked_on_demand(head: Path) -> None:
    project = load_project(head)
    every = run(project).pixels
    masked = replace(project, extra_masks=("wildfire",))  # null on most pixels
    assert 0 < run(masked).pixels < every


def test_the_order_of_sums_is_blocks_one_after_the_other() -> None:
    """Folding in any chunks gives what adding all rows in order gives, to the bit."""
    generator = np.random.default_rng(3)
    keys = generator.integers(0, 4, size=(500, 3))
    values = generator.normal(size=(500, 2)) * 10.0 ** generator.integers(-8, 8, size=(500, 1))
    expected: dict[tuple[int, ...], np.ndarray] = {}
    for key, row in zip(map(tuple, keys.tolist()), values, strict=True):
        expected[key] = expected.get(key, np.zeros(2)) + row
    for cuts in ([], [250], [1, 2, 3, 100, 499]):
        sums = aggregate.Sums(3, 2)
        for part, rows in zip(np.split(keys, cuts), np.split(values, cuts), strict=True):
            sums.add(part, rows)
        assert list(map(tuple, sums.keys.tolist())) == sorted(expected)
        assert all(np.array_equal(row, expected[tuple(key)]) for key, row in zip(sums.keys, sums.values, strict=True))


def test_reading_ahead_changes_nothing(head: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = load_project(head)
    domain = project_domain(project)
    read = {}
    for whole in (4_000_000, 0):
        monkeypatch.setattr(layers, "WHOLE", whole)
        found = project_layers(project)
        read[whole] = [found[name].read(block, domain.grid) for name in found for block in domain.blocks[40:60]]
        together = [found[name].read_blocks(domain.blocks[40:60], domain.grid) for name in found]
        assert np.array_equal(np.concatenate(together), np.concatenate([part.reshape(-1) for part in read[whole]]))
        for layer in found.values():
            layer.close()
    assert all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(*read.values(), strict=True))
