"""What texts of a column mean, several siblings of each kind."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from flint_ml.drift.check import check_tables
from flint_ml.drift.coverage import not_understood
from flint_ml.drift.rules import ColumnRules, DriftRules, ReadBothRules
from flint_ml.drift.tables.values import Reading, Texts, read_texts, reading_of, texts_of


def read(*texts: str, **given: object) -> tuple[Reading | None, list[object]]:
    """How a column with these texts in both tables is read."""
    seen = texts_of(Counter(texts * 3), given.get("missing", ()))  # type: ignore[arg-type]
    reading = reading_of((seen, seen), **given)  # type: ignore[arg-type]
    return reading, [] if reading is None else read_texts(texts, reading, 0)


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (("12,5", "3", "0,25"), [12.5, 3, 0.25]),
        (("1.234,56", "2.099,05", "12,5"), [1234.56, 2099.05, 12.5]),
        (("1,234.56", "12", "1,000,000"), [1234.56, 12, 1e6]),
        (("1 234,5", "7", "2\u00a0000"), [1234.5, 7, 2000]),
        (("1'234.5", "7.5", "2'000"), [1234.5, 7.5, 2000]),
        (("45.1%", "3 %", "7.25%"), [45.1, 3, 7.25]),
        (("12.3 g/kg", "4 g/kg", "0.5 g/kg"), [12.3, 4, 0.5]),
        (("4 mg kg-1", "5.5 mg kg-1"), [4, 5.5]),
        (("1.5e-3", "2E4", "-7.5"), [0.0015, 2e4, -7.5]),
        (("−3.5", "+2", ".5"), [-3.5, 2, 0.5]),
        (("~3.5", "ca. 4", "≈ 5.5"), [3.5, 4, 5.5]),
        (("12.3 ± 0.5", "4.1±0.2", "3 +/- 1"), [12.3, 4.1, 3]),
        (("12.3*", "4 †", "3.5 **"), [12.3, 4, 3.5]),
        (("'12.3", '="4.5"', "'7'"), [12.3, 4.5, 7]),
        (("$1,200.50", "€ 3.5", "$7"), [1200.5, 3.5, 7]),
        (("1.5D+02", "2.5d-1", "3.0D0"), [150, 0.25, 3]),
        (("4.5 wt%", "3 wt%"), [4.5, 3]),
    ],
)
def test_spellings_of_numbers(texts: tuple[str, ...], values: list[float]) -> None:
    reading, found = read(*texts)
    assert reading is not None
    assert reading.kind == "numbers"
    assert found == values


@pytest.mark.parametrize(
    "word", ["n.d.", "n. d.", "NA", "-", "–", "…", "...", "n/a", "no data", "k.A.", "k. A.", "#NV", "nan", "?", "*"]
)
def test_words_for_no_value(word: str) -> None:
    reading, found = read(word, "1.5", "2.5")
    assert reading is not None
    assert found == [None, 1.5, 2.5]


def test_words_from_the_settings_and_a_column() -> None:
    reading, found = read("fehlt", "1.5", "2.5", missing=["fehlt"])
    assert reading is not None
    assert found == [None, 1.5, 2.5]
    rules = DriftRules(columns={"x": ColumnRules(missing=["lost"])}, read=ReadBothRules(missing=["gone"]))
    assert rules.missing_in("x", 0) == ["gone", "lost"]
    assert rules.missing_in("y", 1) == ["gone"]


@pytest.mark.parametrize(
    ("texts", "limit"),
    [(("<14", "20", "15"), 14), (("< 0,5", "1,5", "<0,2"), 0.5), (("≤3", "4", "5.5"), 3), (("(<14)", "20", "15"), 14)],
)
def test_values_below_a_limit_are_ties_under_the_largest(texts: tuple[str, ...], limit: float) -> None:
    reading, found = read(*texts)
    assert reading is not None
    assert reading.below == limit
    under = [value for text, value in zip(texts, found, strict=True) if set(text) & set("<≤")]
    assert all(value < limit and value == under[0] for value in under)  # type: ignore[operator]


def test_values_above_a_limit_and_limits_that_are_not_given() -> None:
    reading, found = read("> 50", "3", "4.5")
    assert reading is not None
    assert reading.above == 50
    assert found[0] > 50  # type: ignore[operator]
    reading, found = read("b.d.l.", "3.4", "2.2")
    assert reading is not None
    assert reading.below == 2.2
    assert found[0] < 2.2  # type: ignore[operator]


def test_the_qualifiers_of_laboratories() -> None:
    reading, found = read("15 U", "20 J", "30.5")
    assert reading is not None
    assert reading.below == 15
    assert (found[0], found[1:]) == (np.nextafter(15, 0), [20, 30.5])
    assert "U" in reading.why


@pytest.mark.parametrize(
    ("texts", "likely", "values", "doubt"),
    [
        (("1.234", "12.500"), ",", [1234, 12500], ""),
        (("1.234", "12.500"), ".", [1.234, 12.5], ""),
        (("1.234", "12.500"), "", [1.234, 12.5], "."),
        (("1,234", "12,500"), ".", [1234, 12500], ""),
        (("1,234", "12,500"), ",", [1.234, 12.5], ""),
        (("1,234", "12,500"), "", [1.234, 12.5], ","),
        (("1,234", "900"), "", [1234, 900], ","),
        (("1.234", "0,5"), "", [1234, 0.5], ""),
        (("1,234", "12,500", "1,250.5"), "", [1234, 12500, 1250.5], ""),
    ],
)
def test_thousands(texts: tuple[str, ...], likely: str, values: list[float], doubt: str) -> None:
    reading, found = read(*texts, likely=(likely, likely))
    assert reading is not None
    assert (found, reading.doubt) == (values, doubt)


@pytest.mark.parametrize("write", ["{:.1f}-{:.1f}".format, "{:.1f}/{:.1f}".format, "{:.1f} to {:.1f}".format])
def test_numbers_that_cannot_be_read_are_no_identifiers(write: Any) -> None:
    rng = np.random.default_rng(3)
    tables = [
        pa.table({"range": [write(v, v + 1) for v in rng.gamma(4, 4, 60)], "pH": rng.normal(6, 1, 60)}) for _ in "ab"
    ]
    result = check_tables(tables[0], tables[1], DriftRules())
    reasons = {column.column.name: not_understood(column.column, result.rules) for column in result.columns}
    assert reasons["pH"] is None
    assert "could not be read" in str(reasons["range"])


@pytest.mark.parametrize("form", ["S{}", "P-{}-a", "2024.{}.x", "10.5281/z.{}", "v1.2.{}", "1.{}.24"])
def test_identifiers_are_understood(form: str) -> None:
    rng = np.random.default_rng(4)
    tables = [
        pa.table({"id": [form.format(k) for k in range(first, first + 60)], "pH": rng.normal(6, 1, 60)})
        for first in (100, 900)
    ]
    result = check_tables(tables[0], tables[1], DriftRules())
    assert [not_understood(column.column, result.rules) for column in result.columns] == [None, None]


@pytest.mark.parametrize(
    ("texts", "date"),
    [
        (("13.03.2024", "01.04.2024"), (2024, 3, 13)),
        (("13/03/2024 12:30", "02/04/2024 08:00"), (2024, 3, 13, 12, 30)),
        (("03/13/2024", "04/02/2024"), (2024, 3, 13)),
        (("13 Mar 2024", "2 April 2024"), (2024, 3, 13)),
        (("13. März 2024", "2. Mai 2024"), (2024, 3, 13)),
        (("March 13, 2024", "May 2, 2024"), (2024, 3, 13)),
        (("13-03-24", "14-03-24"), (2024, 3, 13)),
        (("13-Mär-2024", "2-Mai-2024"), (2024, 3, 13)),
        (("2024-03", "2024-11"), (2024, 3, 1)),
    ],
)
def test_dates(texts: tuple[str, ...], date: tuple[int, ...]) -> None:
    reading, found = read(*texts)
    assert reading is not None
    assert reading.kind == "dates"
    assert found[0] == datetime.datetime(*date)  # type: ignore[arg-type]


def test_the_order_of_a_date_can_be_given() -> None:
    reading, found = read("02/03/2024", "04/05/2024", dates=("month-first", "month-first"))
    assert reading is not None
    assert found[0] == datetime.datetime(2024, 2, 3)
    reading, _ = read("02/03/2024", "04/05/2024")
    assert reading is not None
    assert "month-first" in reading.hint


@pytest.mark.parametrize(
    "texts", [("yes", "no"), ("Ja", "Nein"), ("oui", "non"), ("TRUE", "FALSE"), ("y", "N"), ("sim", "não")]
)
def test_yes_and_no_in_any_spelling(texts: tuple[str, ...]) -> None:
    reading, found = read(*texts)
    assert reading is not None
    assert found == ["yes", "no"]


@pytest.mark.parametrize(
    "texts", [("A", "B"), ("1A", "2A", "3B"), ("001", "002", "001"), ("S10", "S11"), ("forest 1", "forest 2")]
)
def test_text_stays_text(texts: tuple[str, ...]) -> None:
    reading, _ = read(*texts)
    assert reading is None


def test_what_cannot_be_understood_is_left_out_aloud() -> None:
    reading, _ = read("1.5", "2.5", "3.5", "see note", "4.5")
    assert reading is not None
    assert reading.left_out
    assert "see note" in reading.why
    reading, _ = read("1.5", "2,5")
    assert reading is not None
    assert reading.left_out
    assert "decimal" in reading.hint
    reading, _ = read("1.5 g", "2.5 kg", "3 g")
    assert reading is not None
    assert reading.left_out


def test_parts_add_up() -> None:
    whole = texts_of(Counter(["<14", "21.5", "n.d.", "3,5"] * 5))
    first, second = texts_of(Counter(["<14", "n.d."] * 5)), texts_of(Counter(["21.5", "3,5"] * 5))
    first.merge(second)
    first.different = whole.different
    assert first == whole
    empty = Texts()
    empty.merge(whole)
    assert empty.numbers == whole.numbers


def test_a_changed_limit_alone_is_not_drift() -> None:
    rng = np.random.default_rng(7)
    tables = []
    for limit in (8.0, 12.0):
        values = rng.gamma(4, 4, 2_000).round(2)
        tables.append(pa.table({"SOC": [f"<{limit:g}" if value < limit else f"{value:g}" for value in values]}))
    result = check_tables(tables[0], tables[1], DriftRules())
    assert not result.failed
    shifted = pa.table({"SOC": ["<12" if v < 12 else f"{v:g}" for v in rng.gamma(4, 4, 2_000).round(2) + 3]})
    result = check_tables(tables[0], shifted, DriftRules())
    assert result.drifted
    assert {h.aspect for h in result.columns[0].hypotheses} == {"values", "below the limit"}


def test_the_distance_of_censored_values_is_that_of_the_values_blanked_alike() -> None:
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(8)
    one, two = rng.gamma(4, 4, 500).round(2), rng.gamma(4, 4, 400).round(2) + 2
    tables = [
        pa.table({"v": [f"<{limit}" if value < limit else str(value) for value in side]})
        for side, limit in ((one, 9), (two, 11))
    ]
    expected = ks_2samp(np.where(one < 11, 0, one), np.where(two < 11, 0, two)).statistic
    [column] = check_tables(tables[0], tables[1], DriftRules()).columns
    values = next(h for h in column.hypotheses if h.aspect == "values")
    assert values.test.statistic == pytest.approx(expected, abs=1e-12)
