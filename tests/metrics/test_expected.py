"""Declared changes: ranges as people write them, and which of them count."""

from __future__ import annotations

from typing import Any

import pytest

from flint_ml.errors import InputError
from flint_ml.metrics.expected import declaration_of, parse_expected, unmatched, without_stale


@pytest.mark.parametrize(
    ("ends", "base", "change", "holds"),
    [
        (["+20 %", "+50 %"], 100.0, 39.0, True),
        (["+20 %", "+50 %"], 100.0, 50.0, True),
        (["+20 %", "+50 %"], 100.0, 51.0, False),
        (["-45 %", "-25 %"], -100.0, -30.0, True),
        ([-2, 3.5], 0.0, 3.5, True),
        ([-2, 3.5], 0.0, 3.6, False),
        ([0, "10 %"], 50.0, 5.0, True),
    ],
)
def test_a_change_lies_inside_what_was_declared(ends: list[Any], base: float, change: float, holds: bool) -> None:
    assert parse_expected({"area": ends})["area"].holds(base, change) is holds


@pytest.mark.parametrize("ends", ["+20 %", ["+20 %"], [1, 2, 3], ["much", "more"], [3, 1], ["50 %", "20 %"]])
def test_what_is_no_range_is_named(ends: Any) -> None:
    with pytest.raises(InputError) as caught:
        parse_expected({"area": ends}, "flint-ml.yml: expected")
    assert (caught.value.code, caught.value.where) == ("invalid-expected", "flint-ml.yml: expected: area")


def test_a_name_wins_over_globs_and_the_last_glob_over_the_first() -> None:
    declared = parse_expected({"*": [0, 1], "2012/*": [1, 2], "2012/area": [2, 3]})
    assert str(declaration_of("2012/area", declared)) == "+2 … +3"
    assert str(declaration_of("2012/npp", declared)) == "+1 … +2"
    assert declaration_of("npp", parse_expected({"area": [0, 1]})) is None
    assert unmatched(declared, ["2012/npp"]) == ["2012/area"]


def test_what_the_base_declares_already_belongs_to_an_earlier_change() -> None:
    own, stale = without_stale({"a": [1, 2], "b": [1, 2]}, {"a": [1, 2], "b": [1, 3]})
    assert (own, stale) == ({"b": [1, 2]}, ["a"])
