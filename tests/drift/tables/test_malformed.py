"""Two hundred files that people really send: each gives a verdict or a clear error, never a traceback."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flint_ml.drift.check import check
from flint_ml.drift.report import summary
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.tables.reading import open_table
from flint_ml.errors import InputError

RULES = DriftRules(tests=("ks", "chi2", "missing", "spectra"))
GOOD = "id,SOC,pH,horizon,date\n" + "".join(
    f"S{i},{10 + i % 37 / 7:.2f},{4 + i % 11 / 5:.1f},{'ABC'[i % 3]},2024-0{1 + i % 9}-1{i % 9}\n" for i in range(60)
)
LINES = GOOD.splitlines()


def damaged() -> Iterator[tuple[str, bytes]]:
    """Names and contents of damaged tables."""
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1", "cp1252", "utf-32", "mac-roman"):
        for text in (GOOD, GOOD.replace("horizon", "Höhe"), GOOD.replace("A,", "Ä,")):
            yield f"{encoding}", text.encode(encoding)
    for end in ("\r\n", "\r", "\n\n", "\n\r"):
        yield "line ends", GOOD.replace("\n", end).encode()
    for separator in (";", "\t", "|", " ", ":", ",,"):
        yield "separator", GOOD.replace(",", separator).encode()
        yield "decimal comma", GOOD.replace(",", separator).replace(".", ",").encode()
    for cut in range(1, 300, 5):
        yield "truncated", GOOD[:cut].encode()
    for line in (0, 1, 30, 60):
        for bad in (
            "",
            "x",
            ",,,,,,",
            '"open quote',
            "1,2,3,4,5,6",
            "#comment",
            "\x00",
            "é,1,1,A,",
            "a\tb",
            '"a""b",1,2,C,d',
        ):
            yield "odd line", "\n".join([*LINES[:line], bad, *LINES[line:]]).encode()
    for value in (
        "NA",
        "-",
        "1e400",
        "inf",
        "-Infinity",
        "NaN",
        "1,5",
        "< 0.1",
        "1 000",
        "١٢",
        "0x1F",
        "true",
        '""',
        "'5'",
        "9" * 400,
    ):
        yield "odd value", GOOD.replace("10.00", value).encode()
        yield (
            "odd column",
            "\n".join([LINES[0], *(",".join([f"S{i}", value, "1", "A", ""]) for i in range(30))]).encode(),
        )
    for dates in ("01/02/2024", "2024-13-45", "2024-01-01T10:00:00Z", "12:30", "Jan 2024", "20240101"):
        yield "dates", GOOD.replace("2024-01-10", dates).encode()
    wide = ",".join(f"c{i}" for i in range(10_000))
    yield "10,000 columns", (wide + "\n" + "\n".join(",".join(["1.5"] * 10_000) for _ in range(5))).encode()
    yield "10,000 other columns", (wide.replace("c", "SOC,c", 1) + "\n" + ",".join(["2"] * 10_001)).encode()
    for text in (
        "",
        "\n",
        " ",
        "\n\n\n",
        "SOC",
        "SOC\n",
        "SOC\n1\n",
        ",\n,\n",
        '"',
        "\ufeff",
        "a,a\n1,2\n",
        "SOC,,\n1,2,3\n",
    ):
        yield "tiny", text.encode()
    noise = random.Random(1)
    for size in (1, 10, 100, 1_000, 10_000):
        yield "noise", noise.randbytes(size)
        yield "gzip noise", b"\x1f\x8b" + noise.randbytes(size)
        yield "parquet noise", b"PAR1" + noise.randbytes(size) + b"PAR1"
    yield "gzip in disguise", gzip.compress(GOOD.encode())
    yield "one long line", b"x" * 3_000_000
    yield "html", b"<!DOCTYPE html><html><body>404</body></html>"
    yield "json", b'[{"SOC": 1}, {"SOC": 2}]'


CASES = list(damaged())


def verdict(reference: Path, current: Path) -> str:
    try:
        result = check(open_table(reference, "reference.csv"), open_table(current, "new.csv"), RULES)
    except InputError as error:
        return error.code if error.message and error.hint else "unclear"
    assert summary.headline(result)
    assert summary.tables(result)[0].rows
    assert summary.details(result)["columns"]
    return "failed" if result.failed else "passed"


def test_there_are_two_hundred() -> None:
    assert len({content for _, content in CASES}) >= 200


@pytest.mark.parametrize("part", range(8))
def test_every_file_gives_a_verdict_or_a_clear_error(tmp_path: Path, part: int) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(GOOD)
    seen = set()
    for name, content in CASES[part::8]:
        bad.write_bytes(content)
        try:
            seen.add(verdict(good, bad))
            seen.add(verdict(bad, good))
        except Exception as error:
            raise AssertionError(f"{name}: {content[:200]!r}") from error
    assert len(seen) > 1
    assert "unclear" not in seen


def test_compressed_and_decimal_comma_tables_are_read(tmp_path: Path) -> None:
    good = tmp_path / "good.csv"
    good.write_text(GOOD)
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress(GOOD.encode()))
    assert verdict(good, packed) == "passed"
    old = tmp_path / "old.csv"
    old.write_bytes(GOOD.replace("horizon", "Höhe").encode("cp1252"))
    assert open_table(old, "old.csv").names[3] == "Höhe"
    [note] = open_table(old, "old.csv").notes
    assert (note.code, "Windows-1252" in note.message) == ("encoding", True)
    german = tmp_path / "german.csv"
    german.write_bytes(GOOD.replace(",", ";").replace(".", ",").encode("utf-8-sig"))
    assert verdict(good, german) == "passed"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=400), st.text(alphabet="a1.,;\n\"'-é \t\r", max_size=300).map(str.encode)))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(GOOD)
    bad.write_bytes(content)
    assert verdict(good, bad) != "unclear"
    assert verdict(bad, bad) != "unclear"
