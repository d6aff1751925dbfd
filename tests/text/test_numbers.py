"""Numbers for people: one form, and shown values that subtract."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flint_ml.text import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (1234, "1,234"),
        (-7, "−7"),
        (12345.6, "12,346"),
        (115.0, "115"),
        (0.1314, "0.131"),
        (-4.2, "−4.20"),
        (9.996, "10.0"),
        (0.00012, "0.000120"),
        (3.74e-16, "3.74 × 10⁻¹⁶"),
        (-7.94e-07, "−7.94 × 10⁻⁷"),
        (2.5e20, "2.50 × 10²⁰"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "NaN"),
    ],
)
def test_a_number_on_its_own(value: float | None, text: str) -> None:
    assert numbers.number(value) == text


def test_signs() -> None:
    assert [numbers.number(value, sign=True) for value in (3, 0, 0.5, -0.5)] == ["+3", "0", "+0.500", "−0.500"]


@pytest.mark.parametrize(
    ("value", "places", "sign", "text"),
    [
        (1.5, 2, False, "1.50"),
        (-0.004, 2, True, "0.00"),
        (0.004, 2, True, "0.00"),
        (-1234.5, 1, False, "−1,234.5"),
        (0.2, 1, True, "+0.2"),
        (None, 2, True, "–"),
    ],
)
def test_a_number_with_given_decimals(value: float | None, places: int, sign: bool, text: str) -> None:
    assert numbers.fixed(value, places, sign=sign) == text


@pytest.mark.parametrize(
    ("values", "step", "places"),
    [
        ((1.5, 1.3), None, 2),
        ((0.131, 0.0708), None, 3),
        ((115.0, 120.0), None, 0),
        ((3, 4), None, 0),
        ((1.5, 1.5004), None, 4),
        ((1.5, 1.5004), 0.05, 3),
        ((1.5, 1.3), 0.0997, 2),
        ((889910.0, 889910.0000001), None, 0),
        ((0.0, 0.0), None, 0),
        ((None, 2.0), None, 2),
        ((), None, 0),
    ],
)
def test_decimals_come_from_the_step_or_else_from_the_values(
    values: tuple[float, ...], step: float | None, places: int
) -> None:
    assert numbers.decimals(*values, step=step) == places


def test_the_difference_is_that_of_the_shown_values() -> None:
    assert numbers.compared(-0.1358, -0.4042, step=0.12).difference == "−0.268"
    assert numbers.compared(-0.1358, -0.4042, step=0.12).base == "−0.136"
    shown = numbers.compared(17275.2, 4619.4)
    assert (shown.base, shown.head, shown.difference) == ("17,275", "4,619", "−12,656")
    shown = numbers.compared(17275.4, 4619.6)
    assert (shown.base, shown.head, shown.difference) == ("17,275.4", "4,619.6", "−12,655.8")
    assert numbers.compared(5, 8).difference == "+3"


def test_a_difference_below_the_step_is_zero() -> None:
    shown = numbers.compared(1.5, 1.5004, step=0.05)
    assert (shown.base, shown.head, shown.difference) == ("1.500", "1.500", "0")


def _read(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


@given(
    st.floats(-1e6, 1e6, allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-6),
    st.floats(-1e6, 1e6, allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-6),
    st.one_of(st.none(), st.floats(1e-5, 1e3)),
)
def test_whoever_subtracts_gets_what_is_written(base: float, head: float, step: float | None) -> None:
    shown = numbers.compared(base, head, step=step)
    assert _read(shown.difference) == pytest.approx(_read(shown.head) - _read(shown.base), abs=1e-9)
    assert len(shown.head.partition(".")[2]) == len(shown.base.partition(".")[2]) == shown.decimals


def test_an_interval() -> None:
    assert numbers.interval(-0.28, -0.114, 2) == "−0.28 … −0.11"
    assert numbers.interval(0, 12.5, 1, sign=False) == "0.0 … 12.5"


@pytest.mark.parametrize(
    ("share", "sign", "text"),
    [
        (0.11, False, "11 %"),
        (0.014, False, "1.4 %"),
        (0.0, False, "0 %"),
        (1.0, False, "100 %"),
        (0.9999, False, "> 99.9 %"),
        (0.9961, False, "99.6 %"),
        (0.00001, False, "< 0.01 %"),
        (0.00053, False, "0.053 %"),
        (-0.134, True, "−13 %"),
        (0.0997, True, "+10 %"),
        (12.345, True, "+1,234 %"),
        (0.00002, True, "< +0.01 %"),
        (-0.00002, True, "> −0.01 %"),
        (0.0, True, "0 %"),
        (None, False, "–"),
    ],
)
def test_a_share(share: float | None, sign: bool, text: str) -> None:
    assert numbers.percent(share, sign=sign) == text.replace(" %", "\u202f%")


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (1.0, "1"),
        (0.999, "1"),
        (0.4, "0.40"),
        (0.0996, "0.10"),
        (0.034, "0.034"),
        (0.0012, "0.0012"),
        (9e-5, "< 0.0001"),
    ],
)
def test_a_p_value(p: float, text: str) -> None:
    assert numbers.p_value(p) == text


def test_things_sizes_and_seconds() -> None:
    assert [numbers.count(n, "row") for n in (0, 1, 1234)] == ["0 rows", "1 row", "1,234 rows"]
    assert numbers.count(2, "entry", "entries") == "2 entries"
    sizes = {0: "0 bytes", 1: "1 byte", 850: "850 bytes", 1000: "1 kB", 497_200: "497 kB", 1_654_000: "1.65 MB"}
    sizes |= {999_999: "1 MB", 3_400_000_000: "3.4 GB", 5e15: "5,000 TB"}
    assert {amount: numbers.size(amount) for amount in sizes} == sizes
    times = {0.44: "0.4 s", 9.97: "10 s", 41.2: "41 s", 200: "3 min 20 s", 7500: "2 h 5 min"}
    assert {seconds: numbers.duration(seconds) for seconds in times} == times
