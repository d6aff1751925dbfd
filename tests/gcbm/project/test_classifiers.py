"""Scoring of growth curves and transition rules against classifier sets."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from flint_ml.gcbm.project.classifiers import CurveChooser, TransitionChooser, sql_like

VALUES = {
    1: ("Species", "Spruce"),
    2: ("Species", "?"),
    3: ("Site", "good"),
    4: ("Site", "?"),
    5: ("Owner", "public"),
    6: ("Species", "aSpen"),
    7: ("Species", "NULL"),
}


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        """CREATE TABLE classifier (id INTEGER, name TEXT);
        CREATE TABLE classifier_value (id INTEGER, classifier_id INTEGER, value TEXT);
        CREATE TABLE growth_curve_classifier_value (growth_curve_id INTEGER, classifier_value_id INTEGER);
        CREATE TABLE transition_rule (id INTEGER, transition_id INTEGER, disturbance_type_id INTEGER);
        CREATE TABLE transition_rule_classifier_value (transition_rule_id INTEGER, classifier_value_id INTEGER);
        CREATE TABLE disturbance_type (id INTEGER, name TEXT);
        INSERT INTO disturbance_type VALUES (1, 'Fire'), (2, 'Cut');"""
    )
    names = {"Species": 1, "Site": 2, "Owner": 3}
    connection.executemany("INSERT INTO classifier VALUES (?, ?)", [(i, name) for name, i in names.items()])
    rows = [(i, names[name], value) for i, (name, value) in VALUES.items()]
    connection.executemany("INSERT INTO classifier_value VALUES (?, ?, ?)", rows)
    yield connection
    connection.close()


def curves(database: sqlite3.Connection, **chosen: tuple[int, ...]) -> CurveChooser:
    rows = [(int(name[1:]), value) for name, values in chosen.items() for value in values]
    database.executemany("INSERT INTO growth_curve_classifier_value VALUES (?, ?)", rows)
    return CurveChooser(database)


SPRUCE = {"Site": "good", "Species": "Spruce"}


def test_a_match_beats_a_wildcard(database: sqlite3.Connection) -> None:
    assert curves(database, c1=(2, 4), c2=(1, 4), c3=(1, 3)).choose(SPRUCE) == 3


def test_ties_go_to_the_lowest_id(database: sqlite3.Connection) -> None:
    assert curves(database, c9=(1, 4), c4=(1, 4), c7=(2, 3)).choose(SPRUCE) == 4


def test_one_miss_rules_a_curve_out(database: sqlite3.Connection) -> None:
    assert curves(database, c1=(6, 3)).choose(SPRUCE) is None
    assert curves(database, c2=(1, 5)).choose(SPRUCE) is None  # Owner is not in the set


def test_no_curves_at_all(database: sqlite3.Connection) -> None:
    assert CurveChooser(database).choose(SPRUCE) is None


def test_matching_is_sql_like_with_the_stands_value_as_pattern(database: sqlite3.Connection) -> None:
    chooser = curves(database, c1=(6, 4))
    assert chooser.choose({"Site": "x", "Species": "ASPEN"}) == 1  # ASCII case does not matter
    assert chooser.choose({"Site": "x", "Species": "A_pen"}) == 1  # _ is any character
    assert chooser.choose({"Site": "x", "Species": "As%"}) == 1
    assert chooser.choose({"Site": "x", "Species": "Aspe"}) is None


def test_a_null_value_matches_the_text_null(database: sqlite3.Connection) -> None:
    assert curves(database, c1=(7, 4)).choose({"Site": "good", "Species": None}) == 1


@pytest.mark.parametrize(
    ("pattern", "text", "hit"),
    [
        ("a.c", "abc", False),
        ("a.c", "A.C", True),
        ("%", "", True),
        ("_", "\n", True),
        ("é", "É", False),
        ("É", "É", True),
    ],
)
def test_like(pattern: str, text: str, hit: bool) -> None:
    assert bool(sql_like(pattern).fullmatch(text)) is hit


def rules(database: sqlite3.Connection, *made: tuple[int, int, int, tuple[int, ...]]) -> TransitionChooser:
    for number, transition, kind, values in made:
        database.execute("INSERT INTO transition_rule VALUES (?, ?, ?)", (number, transition, kind))
        rows = [(number, value) for value in values]
        database.executemany("INSERT INTO transition_rule_classifier_value VALUES (?, ?)", rows)
    return TransitionChooser(database)


def test_rules_are_chosen_by_disturbance_type(database: sqlite3.Connection) -> None:
    chooser = rules(database, (1, 10, 1, (2, 4)), (2, 11, 1, (1, 4)), (3, 12, 2, (2, 4)), (4, 13, 2, (6, 4)))
    assert chooser.choose(SPRUCE) == {"Fire": 11, "Cut": 12}


def test_ties_of_rules_go_to_the_lowest_transition(database: sqlite3.Connection) -> None:
    assert rules(database, (1, 30, 1, (1, 4)), (2, 20, 1, (1, 4))).choose(SPRUCE) == {"Fire": 20}


def test_rules_to_one_transition_add_their_points(database: sqlite3.Connection) -> None:
    """Two weak rules to 40 score 2 + 5; the one strong rule to 5 scores 5."""
    chooser = rules(database, (1, 5, 1, (1, 4)), (2, 40, 1, (2, 4)), (3, 40, 1, (2, 3)))
    assert chooser.choose(SPRUCE) == {"Fire": 40}


def test_without_rules_nothing_matches(database: sqlite3.Connection) -> None:
    assert TransitionChooser(database).choose(SPRUCE) == {}
