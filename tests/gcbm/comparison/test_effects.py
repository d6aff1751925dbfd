"""The effect of each input change alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from flint_ml import gcbm
from flint_ml.errors import InputError
from flint_ml.gcbm.comparison.effects import one_at_a_time, steps, with_step
from flint_ml.gcbm.project.diff import changes
from flint_ml.gcbm.project.overrides import apply, with_database
from flint_ml.gcbm.results.indicators import Table
from helpers.gcbm_inputs import add_fire, edit, paint, sql


def run(project: Path) -> Table:
    return gcbm.indicators(gcbm.run(gcbm.load_project(project)))


def test_a_new_layer_and_its_configuration_are_one_step(base: Path, head: Path) -> None:
    add_fire(head)
    (step,) = steps(changes(base, head))
    assert [layer.name for layer in step.layers] == ["fire_2012"]
    assert len(step.configuration) == 3
    assert "added" in step.title


def test_parameters_of_one_kind_are_one_step(base: Path, head: Path) -> None:
    sql(
        head,
        "INSERT INTO growth_curve VALUES (4, 'new')",
        "INSERT INTO growth_curve_component VALUES (9, 4, 1)",
        "INSERT INTO growth_curve_component_value VALUES (9, 0, 0), (9, 10, 5)",
        "UPDATE decay_parameter SET q10 = 2.1 WHERE dom_pool_id = 5",
    )
    titles = [step.title for step in steps(changes(base, head))]
    assert len(titles) == 2
    assert titles[0].startswith("decay_parameter")
    assert titles[1].startswith("growth curves: ")


def test_each_change_has_its_effect_and_the_rest_is_shown(base: Path, head: Path, table: Table) -> None:
    """A fire, a decay rate and a date; the steps together make the head again."""
    add_fire(head)
    sql(head, "UPDATE decay_parameter SET base_decay_rate = 0.05 WHERE dom_pool_id = 5")
    edit(head, "variables.json", lambda c: c["Variables"].update(slow_ag_to_bg_mixing_rate=0.01))
    seen: list[str] = []
    after = run(head)
    found = one_at_a_time(
        base, head, changes(base, head), run, before=table, after=after, progress=lambda title, *_: seen.append(title)
    )
    assert [effect.error for effect in found.effects] == ["", "", ""]
    assert len(seen) == 3
    fire, mixing, decay = (effect.comparison for effect in found.effects)
    assert fire is not None
    assert mixing is not None
    assert decay is not None
    assert (fire.first_year, mixing.first_year, decay.first_year) == (2012, 0, 0)
    assert {c.indicator for c in decay.changes if c.word != "same"}.isdisjoint({"disturbed_area_ha", "npp_tC"})
    area = found.table("disturbed_area_ha", 2012)
    assert [row[1] for row in area.rows[1:]] == pytest.approx([0.0, 0.0, area.rows[0][1], 0.0], abs=1e-9)
    carbon = [row[1] for row in found.table("total_ecosystem_tC", 2016).rows]
    assert sum(carbon[:3]) + carbon[4] == pytest.approx(carbon[3], rel=1e-9)
    assert abs(carbon[4]) < abs(carbon[3]) / 10


def test_all_steps_one_after_the_other_make_the_head(base: Path, head: Path, tmp_path: Path) -> None:
    add_fire(head)
    paint(head, "harvest", 1, 60)
    sql(head, "UPDATE turnover_parameter SET foliage = 0.12 WHERE id = 1")
    edit(head, "localdomain.json", lambda c: c["LocalDomain"].update(end_date="2016/01/01"))
    project = gcbm.load_project(base)
    for number, step in enumerate(steps(changes(base, head))):
        project = gcbm.load_project(with_step(project, gcbm.load_project(head), step, tmp_path / f"step{number}"))
    assert gcbm.indicators(gcbm.run(project)) == run(head)
    assert not changes(project.root, head).layers
    assert not changes(project.root, head).parameters


def test_taking_a_layer_away_is_a_step_too(base: Path, head: Path, table: Table, tmp_path: Path) -> None:
    add_fire(head)
    (step,) = steps(changes(head, base))
    made = with_step(gcbm.load_project(head), gcbm.load_project(base), step, tmp_path / "less")
    assert run(made) == table


def test_a_single_change_costs_no_further_run(base: Path, head: Path, table: Table) -> None:
    paint(head, "wildfire", 1, 20)
    calls: list[list[int]] = []

    def counted(project: Path) -> Table:
        calls.append(gcbm.load_project(project).years)
        return run(project)

    found = one_at_a_time(base, head, changes(base, head), counted, before=table)
    assert len(calls) == 1
    assert found.effects[0].comparison is not None
    assert found.effects[0].comparison.first_year == 2013


def test_a_step_that_cannot_be_run_alone_is_told(base: Path, head: Path, table: Table) -> None:
    """As when a new type's matrix is one step and the type itself another."""
    paint(head, "wildfire", 1, 20)
    edit(head, "variables.json", lambda c: c["Variables"].update(age_maximum=180))

    def refuse(project: Path) -> Table:
        if gcbm.load_project(project).section("Variables")["age_maximum"] == 180:
            raise InputError("no matrix\nand more", where="x")
        return run(project)

    found = one_at_a_time(base, head, changes(base, head), refuse, before=table, after=table)
    assert [effect.error for effect in found.effects] == ["", "no matrix"]
    assert found.table("npp_tC", 2014).rows[1][1:] == [None, None]
    assert found.table("npp_tC", 2014).rows[-1][1] is None


def test_overrides_have_an_effect_of_their_own(base: Path, head: Path, table: Table, tmp_path: Path) -> None:
    """Parameters from params.yaml are in a copy of the database, not in the project's folder."""
    paint(head, "wildfire", 1, 20)
    before, project = gcbm.load_project(base), gcbm.load_project(head)
    after = with_database(project, apply(project, {"decay_parameter": {"MediumSoil": {"q10": 2.2}}}, folder=tmp_path))
    found = changes(before, after)
    assert not found.configuration
    assert [(c.table, c.column) for c in found.parameters] == [("decay_parameter", "q10")]
    effects = one_at_a_time(before, after, found, run, before=table)
    assert [e.comparison and e.comparison.first_year for e in effects.effects] == [2013, 0]
    assert effects.together.changes[0].base == table.rows[0][1]


def test_the_real_demo(demo: Path, tmp_path: Path) -> None:
    import shutil

    head = Path(shutil.copytree(demo, tmp_path / "demo-head"))
    sql(head, "UPDATE decay_parameter SET base_decay_rate = base_decay_rate * 1.1 WHERE dom_pool_id = 1")
    edit(head, "localdomain.json", lambda c: c["LocalDomain"].update(end_date="2019/01/01"))
    found = one_at_a_time(demo, head, changes(demo, head), run)
    assert [effect.error for effect in found.effects] == ["", ""]
    rows = found.table("total_ecosystem_tC", 2015).rows
    assert rows[0][1] == 0.0
    assert rows[1][1] == pytest.approx(rows[2][1])
