"""Damaged and odd Parquet, Excel and compressed files: each gives a verdict or a clear error, never a traceback."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import random
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flint_ml.drift.check import check
from flint_ml.drift.report import summary
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.tables.reading import open_table
from flint_ml.errors import FlintError

RULES = DriftRules(tests=("ks", "chi2", "missing", "spectra"))
EXAMPLES = 5 * int(os.environ.get("FLINT_FUZZ_EXAMPLES", "60"))
ROWS = 60
# Stands for 400 nines, which no writer writes.
HUGE = 777_777_777
COLUMNS: dict[str, list[Any]] = {
    "SOC": [10 + i % 37 / 7 for i in range(ROWS)],
    "pH": [4 + i % 11 / 5 for i in range(ROWS)],
    "horizon": ["ABC"[i % 3] for i in range(ROWS)],
}
CSV = "SOC,pH,horizon\n" + "".join(f"{a:.3f},{b:.1f},{c}\n" for a, b, c in zip(*COLUMNS.values(), strict=True))


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def excel(rows: list[list[Any]], sheets: int = 1) -> bytes:
    book = openpyxl.Workbook()
    for number in range(sheets):
        sheet = book.active if number == 0 else book.create_sheet(f"s{number}")
        assert sheet is not None
        for row in rows:
            sheet.append(row)
    sink, fixed = io.BytesIO(), io.BytesIO()
    book.save(sink)
    # The time of day is in the file: without it a fault that was found is found again.
    with zipfile.ZipFile(sink) as made, zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as again:
        for name in made.namelist():
            text = re.sub(rb"\d{4}-\d\d-\d\dT[\d:]+Z", b"2026-01-01T00:00:00Z", made.read(name))
            text = text.replace(str(HUGE).encode(), b"9" * 400)
            again.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return fixed.getvalue()


def cut(content: bytes, parts: int) -> Iterator[bytes]:
    """``content`` broken off at several places, and with bytes changed."""
    noise = random.Random(3)
    for part in range(1, parts):
        yield content[: len(content) * part // parts]
        changed = bytearray(content)
        for _ in range(part):
            changed[noise.randrange(len(changed))] ^= 1 << noise.randrange(8)
        yield bytes(changed)


def odd_tables() -> Iterator[pa.Table]:
    good = pa.table(COLUMNS)
    yield good.slice(0, 0)
    yield good.slice(0, 1)
    yield pa.table({})
    yield pa.table([good["SOC"], good["pH"]], names=["SOC", "SOC"])
    yield pa.table({"": good["SOC"], " ": good["pH"]})
    for values in (
        [[1.0, 2.0]] * ROWS,
        [{"a": 1}] * ROWS,
        [None] * ROWS,
        [b"\xff\x00"] * ROWS,
        [Decimal("1.5")] * ROWS,
        [date(2024, 1, 1)] * ROWS,
        [datetime(2024, 1, 1, tzinfo=UTC)] * ROWS,
        [time(12)] * ROWS,
        [True, None] * 30,
        [float("nan")] * ROWS,
        [float("inf")] * ROWS,
        [1e308, -1e308] * 30,
        [2**63 - 1] * ROWS,
        ["1,5"] * ROWS,
        [""] * ROWS,
        ["5"] * ROWS,
    ):
        yield pa.table({**COLUMNS, "SOC": values})
    yield pa.table({**COLUMNS, "SOC": pa.array([5] * ROWS, pa.duration("s"))})
    yield pa.table({**COLUMNS, "SOC": pa.array(COLUMNS["SOC"], pa.float16())})
    yield pa.table({**COLUMNS, "SOC": pa.array(["a"] * ROWS).dictionary_encode()})
    yield pa.table({**COLUMNS, "SOC": pa.array(["a"] * ROWS, pa.large_string())})
    yield pa.table({**COLUMNS, "SOC": pa.array([{"k": 1}] * ROWS).cast(pa.struct([("k", pa.int64())]))})
    yield pa.table({f"c{i}": np.arange(2.0) for i in range(3000)})


def damaged() -> Iterator[tuple[str, bytes]]:
    """File names and contents."""
    good = parquet(pa.table(COLUMNS))
    for content in cut(good, 12):
        yield "new.parquet", content
    for table in odd_tables():
        yield "new.parquet", parquet(table)
    yield "new.parquet", CSV.encode()
    yield "new.parquet", b""
    yield "new.csv", good
    rows = [list(COLUMNS), *(list(row) for row in zip(*COLUMNS.values(), strict=True))]
    book = excel(rows)
    yield "new.xlsx", book
    yield "new.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    yield "new.csv", book
    yield "new.xlsx", CSV.encode()
    yield "new.xlsx", excel(rows, sheets=3)
    for content in cut(book, 40):
        yield "new.xlsx", content
    for odd in (
        [],
        [[]],
        [["SOC"]],
        [["SOC", "SOC"], [1, 2]],
        [[None, None], *rows],
        [["a title"], [], *rows],
        [["SOC", "pH", "horizon"], *([date(2024, 1, 1), "x", True] for _ in range(30))],
        [["SOC", "pH", "horizon"], *(["1,5", "=1/0", None] for _ in range(30))],
        [[1, 2, 3], *rows[1:]],
        [*rows, ["total", None, None, "beyond the last column"]],
        [*rows, [HUGE, -HUGE, "A"]],
        [*rows, [time(12), datetime(1900, 1, 1), date(9999, 12, 31)]],
    ):
        yield "new.xlsx", excel(odd)
    for name, content in (("new.csv.gz", gzip.compress(CSV.encode())), ("new.csv.bz2", bz2.compress(CSV.encode()))):
        yield name, content
        yield name, content[: len(content) // 2]
        yield name, content + b"garbage"
        yield name, CSV.encode()
        yield name, b""
    yield "new.csv.zst", pa.compress(CSV.encode(), codec="zstd", asbytes=True)
    yield "new.csv.zst", b"\x28\xb5\x2f\xfd" + bytes(40)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", CSV)
        archive.writestr("b.csv", CSV)
    for name in ("new.zip", "new.csv.zip", "new.csv"):
        yield name, packed.getvalue()


CASES = list(damaged())


def verdict(reference: Path, current: Path) -> str:
    try:
        result = check(open_table(reference, reference.name), open_table(current, current.name), RULES)
    except FlintError as error:
        return "clear" if error.message and error.hint else f"unclear: {error.message}"
    assert summary.headline(result)
    assert summary.tables(result)[0].rows
    return "failed" if result.failed else "passed"


@pytest.mark.parametrize("part", range(4))
def test_every_binary_file_gives_a_verdict_or_a_clear_error(tmp_path: Path, part: int) -> None:
    good = tmp_path / "good.csv"
    good.write_text(CSV)
    seen = set()
    for name, content in CASES[part::4]:
        bad = tmp_path / name
        bad.write_bytes(content)
        try:
            seen |= {verdict(good, bad), verdict(bad, good)}
        except Exception as error:
            raise AssertionError(f"{name}: {content[:80]!r} … {len(content)} bytes") from error
        bad.unlink()
    assert "clear" in seen
    assert not [word for word in seen if word.startswith("unclear")]


def test_there_are_many_different_ones() -> None:
    assert len({(name, content) for name, content in CASES}) >= 150


WHOLE = {name: content for name, content in reversed(CASES) if name not in {"new.xls", "new.csv"}}
WHOLE |= {"new.parquet": parquet(pa.table(COLUMNS)), "new.csv.gz": gzip.compress(CSV.encode())}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(WHOLE)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
    keep=st.floats(0.01, 1),
)
def test_any_bytes_changed(tmp_path: Path, name: str, changes: list[tuple[float, int]], keep: float) -> None:
    content = bytearray(WHOLE[name])
    for place, byte in changes:
        content[int(place * len(content))] = byte
    good, bad = tmp_path / "good.csv", tmp_path / name
    good.write_text(CSV)
    bad.write_bytes(content[: max(1, int(keep * len(content)))] if keep < 0.5 else content)
    assert not verdict(good, bad).startswith("unclear")
