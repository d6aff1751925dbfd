"""How text tables are written: each kind in several siblings."""

from __future__ import annotations

from pathlib import Path

import pytest

from flint_ml.drift.tables.dialect import Dialect, Given, dialect_of
from flint_ml.drift.tables.reading import open_table

ROWS = [
    ("S1", "21.5", "6.4", "32"),
    ("S2", "13.25", "6.5", "33"),
    ("S3", "17.5", "6.25", "32"),
    ("S4", "9.5", "5.5", "30"),
] * 3
NAMES = ("id", "SOC", "pH", "clay")


def table(
    delimiter: str = ",",
    decimal: str = ".",
    header: str | None = None,
    before: str = "",
    after: str = "",
    tail: str = "",
) -> str:
    rows = [delimiter.join(cell.replace(".", decimal) if i else cell for i, cell in enumerate(row)) for row in ROWS]
    head = delimiter.join(NAMES) if header is None else header
    return before + "\n".join([head, *([after] if after else []), *rows]) + "\n" + tail


def look(text: str, given: Given | None = None) -> Dialect:
    found = dialect_of(text, [], text, given or Given())
    assert found is not None
    return found


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("decimal", [".", ","])
def test_delimiter_and_decimal(delimiter: str, decimal: str) -> None:
    if delimiter == "," == decimal:
        return
    found = look(table(delimiter, decimal))
    assert found.names == NAMES
    assert found.delimiter == ("\t" if delimiter == " " else delimiter)
    assert found.decimal == decimal


@pytest.mark.parametrize(
    "before",
    [
        "Lab report 2024\n\n",
        "# instrument: ASD\n# operator: x\n",
        "Soil laboratory\nSeries 3, part 2\n\n",
        "sep=,\n",
        "Title,,,\n",
        "\n\n",
    ],
)
def test_lines_over_the_header(before: str) -> None:
    found = look(table(before=before))
    assert found.names == NAMES
    assert found.skip == before.count("\n")
    assert found.after == 1


@pytest.mark.parametrize(
    "units", [",g/kg,-,%", "-,g/kg,,%", "code,[g kg-1],[-],[%]", ",(g/kg),(pH),(%)", "text,mg kg-1,pH,wt.%", ",%,-,ppm"]
)
def test_a_row_of_units_is_no_data(units: str) -> None:
    found = look(table(after=units))
    assert (found.names, found.skip, found.after) == (NAMES, 0, 2)
    assert "units" in " ".join(found.said)


def test_a_first_row_with_words_for_missing_values_is_data() -> None:
    found = look(table(after="S0,n.d.,6.5,30"))
    assert found.after == 1


def test_logger_files() -> None:
    head = '"TOA5","6843","CR3000","x"\n"id","SOC","pH","clay"\n"","m/s","","Deg C"\n"","Avg","Avg","Smp"\n'
    found = look(head + table(header="", before="").lstrip("\n"))
    assert (found.names, found.skip, found.after) == (NAMES, 1, 3)


def test_a_header_of_two_lines() -> None:
    found = look(table(before="Sample,Chem,,Phys\n"))
    assert (found.names, found.skip) == (NAMES, 1)


def test_commas_within_the_names_of_a_semicolon_file() -> None:
    found = look(table(";", ",", "id;SOC, g/kg;pH, H2O;clay, %"))
    assert found.names == ("id", "SOC, g/kg", "pH, H2O", "clay, %")
    assert found.delimiter == ";"


def test_names_of_rows_and_trailing_delimiters() -> None:
    found = look(table(header="SOC,pH,clay"))
    assert found.names == ("(row name)", "SOC", "pH", "clay")
    lines = table().splitlines()
    found = look("\n".join([lines[0], *(f"{line}," for line in lines[1:])]))
    assert found.names == (*NAMES, "(column 5)")


@pytest.mark.parametrize(
    "tail",
    [
        "mean,15.4,6.2,n/a*\n",
        "Total,61.75,24.65,127\n\nprinted 2024-05-01\n",
        "Mittelwert,15.4,6.2,31\n",
        "end of file\n",
    ],
)
def test_a_footer_is_no_data(tail: str) -> None:
    found = look(table(tail=tail))
    assert found.footer == len([line for line in tail.splitlines() if line.strip()])


def test_bands_may_be_names() -> None:
    header = "id," + ",".join(str(350 + 10 * k) for k in range(30))
    rows = "\n".join(f"S{i}," + ",".join(f"0.{i}{k:02d}" for k in range(30)) for i in range(9))
    found = look(f"{header}\n{rows}\n")
    assert found.names[:3] == ("id", "350", "360")
    assert (found.skip, found.after) == (0, 1)


def test_a_commented_header_of_numpy() -> None:
    found = look("# made by numpy\n# a,b,c\n" + "1.5,2.5,3\n" * 9)
    assert found.names == ("a", "b", "c")


def test_settings_decide() -> None:
    text = "one\ntwo\n" + table(";", ",", after="x;y;z;w")
    found = look(text, Given(header=1, skip=2, units_row=True, delimiter=";", decimal=","))
    assert (found.names, found.skip, found.after) == (NAMES, 2, 2)


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_header_longer_than_the_first_bytes(tmp_path: Path, quote: str, delimiter: str) -> None:
    names = [f"property_{k:05d}" for k in range(20_000)]
    lines = [delimiter.join(f"{quote}{name}{quote}" for name in names)]
    lines += [delimiter.join(["1.5"] * len(names))] * 3
    (tmp_path / "wide.csv").write_text("\n".join(lines) + "\n")
    assert (tmp_path / "wide.csv").stat().st_size > 500_000
    source = open_table(tmp_path / "wide.csv", "wide.csv")
    assert (list(source.names), source.delimiter) == (names, delimiter)


@pytest.mark.parametrize(
    ("lines", "decimal", "seen", "thousands"),
    [
        (["yield;SOC", *(f"{k}.250;{k},5" for k in range(1, 9))], ",", ",", ()),
        (["yield;SOC", *(f"{k}.250;{k}.5" for k in range(1, 9))], ".", ".", ()),
        (["yield;n", *(f"{k}.250;{k}" for k in range(1, 9))], ".", "", ("yield",)),
        (["yield;n", *(f"{k},250;{k}" for k in range(1, 9))], ",", "", ("yield",)),
        (["yield;n", *(f"0.{k}25;{k}" for k in range(1, 9))], ".", ".", ()),
        (["yield,n", *(f'"{k},250",{k}' for k in range(1, 9))], ".", "", ()),
        (["yield,n", *(f'"{k},250",{k}.5' for k in range(1, 9))], ".", ".", ()),
    ],
)
def test_signs_between_thousands(lines: list[str], decimal: str, seen: str, thousands: tuple[str, ...]) -> None:
    found = dialect_of("\n".join(lines), [], "", Given())
    assert found is not None
    assert (found.decimal, found.decimal_seen, found.thousands) == (decimal, seen, thousands)


@pytest.mark.parametrize("units", [("(g/kg)", "(-)", "(%)"), ("g kg⁻¹", "pH units", "mass-%"), ("mg/g", "", "wt%")])
def test_rows_of_units(units: tuple[str, ...]) -> None:
    lines = [";".join(NAMES), ";".join(("", *units)), *(";".join(row) for row in ROWS * 3)]
    found = dialect_of("\n".join(lines), [], "", Given())
    assert found is not None
    assert (found.names, found.after) == (NAMES, 2)


@pytest.mark.parametrize(
    "top",
    [["Station: 12;;;", "Serial;4711;;", ""], ["Probenliste 2024;;;"], ["Kunde;A. B.;;", "Datum;2024-01-01;;", ";;;"]],
)
def test_titles_with_the_delimiters_of_the_table(top: list[str]) -> None:
    lines = [*top, ";".join(NAMES), *(";".join(row) for row in ROWS * 3)]
    found = dialect_of("\n".join(lines), [], "", Given())
    assert found is not None
    assert (found.names, found.skip) == (NAMES, len(top))


@pytest.mark.parametrize("sign", ["#", "%"])
@pytest.mark.parametrize("gap", ["", " "])
def test_a_commented_header_over_blanks(sign: str, gap: str) -> None:
    lines = [f"{sign}{gap}SOC pH clay", *(f"{k}.5 6.{k} 3{k}" for k in range(9))]
    found = dialect_of("\n".join(lines), [], "", Given())
    assert found is not None
    assert found.names == ("SOC", "pH", "clay")


def test_nothing() -> None:
    assert dialect_of("\n \n", [], "", Given()) is None
