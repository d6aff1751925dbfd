"""Scanned tables give the verdict and the numbers of tables in memory, whatever the scan's budget and the data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from scipy import stats

from flint_ml.drift import frames
from flint_ml.drift.check import Result, check
from flint_ml.drift.report.summary import details
from flint_ml.drift.rules import ColumnRules, DriftRules
from flint_ml.drift.statistics.ecdf_grid import count, new_grid
from flint_ml.drift.streaming import choose as engine
from flint_ml.drift.streaming import scan
from flint_ml.drift.streaming import stream_columns as stream
from flint_ml.drift.tables.reading import Source, open_tables
from flint_ml.errors import InputError
from helpers.drift import Folder

TESTS = ("ks", "chi2", "missing")


def soil(seed: int, n: int, shift: float = 0.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    soc = rng.gamma(4, 4, n) + shift
    soc[rng.random(n) < 0.05] = np.nan
    wild = rng.normal(size=n)
    wild[:3], wild[5:8] = np.inf, -np.inf
    return pa.table(
        {
            "SOC": pa.array(soc, from_pandas=True),
            "pH": rng.normal(6, 1, n).round(2),
            "clay": rng.normal(30, 8, n) + shift,
            "wild": wild,
            "skew": np.exp(3 * rng.normal(size=n)),
            "count": rng.poisson(300, n),
            "depth": rng.choice([10, 20, 30], n),
            "row": rng.permutation(n) + 1,
            "constant": np.ones(n),
            "horizon": rng.choice(["O", "A", "B"], n),
            "tilled": rng.random(n) < 0.4,
            "sample": [f"S{seed}-{i}" for i in range(n)],
        }
    )


def stored(folder: Path, kind: str, one: pa.Table, two: pa.Table) -> tuple[Source, Source]:
    paths = [folder / f"{name}.{kind}" for name in ("reference", "new")]
    for path, table in zip(paths, (one, two), strict=True):
        if kind == "csv":
            pc.write_csv(table, path)
        else:
            pq.write_table(table, path, row_group_size=3_000)
    return open_tables(paths[:1], "reference"), open_tables(paths[1:], "new")


def same(one: Result, two: Result) -> None:
    assert details(one)["columns"] == details(two)["columns"]
    summaries = [{c.column.name: c.column.summary for c in result.columns} for result in (one, two)]
    assert summaries[0] == summaries[1]
    notes = [{(n.code, n.message) for n in r.notes if n.code not in {"sampled", "known-rows"}} for r in (one, two)]
    assert notes[0] == notes[1]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(("n", "m", "shift"), [(20_000, 15_000, 0.0), (20_000, 9_000, 0.3), (9_000, 60, 0.0)])
def test_a_scan_gives_the_numbers_of_a_comparison_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, n: int, m: int, shift: float
) -> None:
    sources = stored(tmp_path, kind, soil(1, n), soil(2, m, shift))
    rules = DriftRules(tests=TESTS, columns={"SOC": ColumnRules(range=(1.0, 60.0))})
    whole = check(*sources, rules)
    same(whole, check(*sources, rules, stream.stream_pairs))
    # A coarse grid and little room for values: several rounds, the same numbers.
    monkeypatch.setattr(stream, "EDGES", 256)
    monkeypatch.setattr(stream, "COLLECTED", 9_000)
    monkeypatch.setattr(scan, "BATCH_VALUES", 50_000)
    monkeypatch.setattr(scan, "_FEWEST_ROWS", 1_000)
    same(whole, check(*sources, rules, stream.stream_pairs))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_large_tables_in_memory_give_the_numbers_of_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    sources = stored(tmp_path, kind, soil(1, 12_000), soil(2, 15_000, 0.5))
    for rules in (DriftRules(), DriftRules(tests=TESTS)):
        whole = check(*sources, rules)
        monkeypatch.setattr(frames, "_SMALL", 0)
        monkeypatch.setattr(frames, "_BATCH", 60_000)
        parts = check(*sources, rules)
        monkeypatch.undo()
        same(whole, parts)
        assert details(whole)["multivariate"] == details(parts)["multivariate"]


def test_psi_is_exact_and_wasserstein_says_that_it_was_sampled(tmp_path: Path) -> None:
    sources = stored(tmp_path, "parquet", soil(1, 2_500), soil(2, 2_000, 2.0))
    rules = DriftRules(tests=("psi", "chi2", "missing"))
    same(check(*sources, rules), check(*sources, rules, stream.stream_pairs))
    result = check(*sources, DriftRules(columns=("clay",), tests=("wasserstein",)), stream.stream_pairs)
    assert [c.column.name for c in result.drifted] == ["clay"]
    one, two = (pq.read_table(s.path, columns=["clay"]).column(0).to_numpy() for s in sources)
    leading = result.drifted[0].leading
    assert leading is not None
    assert leading.test.statistic == pytest.approx(stats.wasserstein_distance(one, two))


def test_a_sample_of_rows_serves_the_classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_FEWEST_SAMPLED", 900)
    monkeypatch.setattr(stream, "_MOST_SAMPLED", 900)
    sources = stored(tmp_path, "parquet", soil(1, 3_000), soil(2, 3_000, 5.0))
    result = check(*sources, DriftRules(exclude=("sample",)), stream.stream_pairs)
    assert result.whole_drifted
    assert result.rows == (3_000, 3_000)
    note = next(n.message for n in result.notes if n.code == "sampled")
    assert "a random sample of 900 and 900 rows served the classifier" in note
    again = check(*sources, DriftRules(exclude=("sample",)), stream.stream_pairs)
    assert details(again)["multivariate"] == details(result)["multivariate"]


def text(path: Path, lines: list[str]) -> Source:
    path.write_text("\n".join(lines) + "\n")
    return open_tables([path], path.name)


LATE = [
    (["1"] * 9_000 + ["2.5"], "numeric"),
    ([""] * 9_000 + [str(i) for i in range(999)], "numeric"),
    (["true"] * 9_000 + ["maybe"] * 50, "category"),
    ([str(i % 40) for i in range(9_000)] + ["x"] * 9, "numeric"),
    (["2026-01-01"] * 9_000 + ["soon"] * 9, "category"),
    (["caf\u00e9", "the"] * 4_000, "category"),
]


@pytest.mark.parametrize(("values", "kind"), LATE)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_late_value_of_another_type_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[str], kind: str, encoding: str
) -> None:
    monkeypatch.setattr(scan, "_BLOCK", 1 << 12)
    path = tmp_path / "late.csv"
    path.write_bytes(
        "\n".join(["v,w", *(f"{v},{i % 7 + i / 9:.4f}" for i, v in enumerate(values)), ""]).encode(encoding)
    )
    other = text(tmp_path / "reference.csv", ["v,w", *(f"{i % 40},{i % 7 + i / 9:.4f}" for i in range(5_000))])
    for reference in (open_tables([path], "late.csv"), other):
        sources = (reference, open_tables([path], "late.csv"))
        scanned = check(*sources, DriftRules(tests=TESTS), stream.stream_pairs)
        same(check(*sources, DriftRules(tests=TESTS)), scanned)
    if reference is not other:
        assert next(c for c in scanned.columns if c.column.name == "v").column.kind == kind


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n", "no rows"),
        ("a,b\n" + "1,2\n" * 5_000 + "1,2,3\n", "Expected 2 columns, got 3"),
    ],
)
def test_what_cannot_be_scanned_is_said_as_in_memory(tmp_path: Path, content: str, message: str) -> None:
    good = text(tmp_path / "good.csv", ["a,b", *(f"{i},{i % 3}" for i in range(50))])
    (tmp_path / "bad.csv").write_text(content)
    bad = open_tables([tmp_path / "bad.csv"], "bad.csv")
    for read in (frames.read_pairs, stream.stream_pairs):
        with pytest.raises(InputError, match=message):
            check(good, bad, DriftRules(tests=TESTS), read)


def test_the_interval_holds_the_distance() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        one, two = (
            np.sort(rng.normal(rng.normal() / 9, 1, rng.integers(5, 400)).round(rng.integers(1, 5))) for _ in "ab"
        )
        edges = np.unique(rng.choice(one, 8))
        grid = new_grid(edges, count(one, edges), count(two, edges), (len(one), len(two)))
        exact = stats.ks_2samp(one, two, method="asymp").statistic
        least, most, wanted = grid.distance()
        assert least - 1e-15 <= exact <= most + 1e-15
        low = np.append(-np.inf, edges)[wanted]
        high = np.append(edges, np.inf)[wanted]
        inside = [
            np.concatenate([s[:0], *(s[(s > a) & (s < b)] for a, b in zip(low, high, strict=True))]) for s in (one, two)
        ]
        assert grid.with_values(wanted, inside).distance()[0] == pytest.approx(exact, abs=1e-15)


def test_the_engine_follows_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = stored(tmp_path, "parquet", soil(1, 5_000), soil(2, 5_000))
    free = engine.available_memory()
    assert free is not None
    assert free > 1 << 20
    assert engine.choose("auto", sources, DriftRules()) == "memory"
    monkeypatch.setattr(engine, "available_memory", lambda: 200_000)
    assert engine.choose("auto", sources, DriftRules()) == "stream"
    assert engine.choose("memory", sources, DriftRules()) == "memory"


def test_the_action_scans_where_told_to(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    folder = Folder(tmp_path / "work")
    for name, seed in (("reference", 1), ("new", 2)):
        pc.write_csv(soil(seed, 4_000), folder.folder / f"{name}.csv")
    _, whole = folder.run(engine="memory", groups=[])
    code, record = folder.run(engine="stream")
    assert code == 0
    assert record["details"]["engine"] == "stream"
    assert record["details"]["columns"] == whole["details"]["columns"]
    # All rows were sampled, so that the classifier saw what it sees in memory.
    assert record["details"]["multivariate"] == whole["details"]["multivariate"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("way", ["small", "large", "stream"])
def test_the_common_path_imports_neither_pandas_nor_scipy_nor_matplotlib(tmp_path: Path, kind: str, way: str) -> None:
    sources = stored(tmp_path, kind, soil(1, 3_000), soil(2, 3_000))
    given: list[Any] = ["check-drift", *(str(s.path) for s in sources), "--figures", "none"]
    given += ["--results-dir", str(tmp_path / "results"), "--engine", "stream" if way == "stream" else "memory"]
    code = f"""
import sys
from flint_ml.drift import frames
if {way == "large"}:
    frames._SMALL = 0
sys.argv = ["flint-ml", *{given!r}]
from flint_ml.cli import main
try:
    main()
except SystemExit as end:
    assert end.code in (0, None), end.code
print([name for name in ("pandas", "scipy", "matplotlib", "pyarrow.dataset", "fsspec") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr[-2_000:]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("start", [2**53, 2**60, -(2**62)])
def test_whole_numbers_that_no_float_holds(tmp_path: Path, kind: str, start: int) -> None:
    rng = np.random.default_rng(5)
    one, two = (
        pa.table({"code": [start + 100 * int(k) + step for k in rng.integers(0, 2, 300)], "pH": rng.normal(size=300)})
        for step in (0, 1)
    )
    sources = stored(tmp_path, kind, one, two)
    found = [check(*sources, DriftRules(), *reader) for reader in ((), (stream.stream_pairs,))]
    drifted = [[column.column.name for column in result.drifted] for result in found]
    assert drifted == [["code"], ["code"]]
