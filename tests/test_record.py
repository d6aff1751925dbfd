"""The record: strict reading, atomic writing, the published schema."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from flint_ml import record as records
from flint_ml.errors import InputError
from flint_ml.hashing import write_atomically
from flint_ml.record import Badge, Figure, Metric, Piece, Provenance, Record, Table, left_out, looked, not_applicable

DESIGN_EXAMPLE = {
    "schema": "flint-ml/record/2",
    "action": "compare-metrics",
    "name": "compare-metrics",
    "status": "passed",
    "headline": "better: RMSE 1.50 → 1.30 (−0.20, −13 %)",
    "badge": {"label": "Metrics", "message": "better"},
    "metrics": {"rmse": {"value": 1.30, "unit": "g/kg", "base": 1.50, "direction": "lower", "note": None}},
    "tables": [
        {
            "title": "Metrics",
            "columns": [{"name": "metric", "type": "text"}, {"name": "change", "type": "number", "unit": "g/kg"}],
            "rows": [["RMSE", -0.20]],
        }
    ],
    "figures": [
        {
            "title": "Prediction error",
            "alt": "both centred near 0, this change narrower",
            "path": "compare-metrics/error.png",
            "fallback": {"kind": "bar", "x": ["-2", "0", "2"], "series": [{"name": "this change", "y": [3, 90, 4]}]},
        }
    ],
    "details": {},
    "findings": [{"severity": "warning", "code": "group-worse", "message": "…", "hint": "…"}],
    "provenance": {
        "head_sha": "a" * 40,
        "base_sha": "b" * 40,
        "run_id": "1",
        "run_attempt": 1,
        "tool": "flint-ml 1.2.3",
        "versions": {},
        "inputs": [{"path": "metrics.json", "md5": "0" * 32}],
        "started": "2026-11-21T20:41:00Z",
        "seconds": 1.2,
        "peak_mb": 140,
    },
}


def minimal(name: str = "train", **changes: object) -> Record:
    values: dict[str, object] = {
        "action": "record",
        "name": name,
        "status": "passed",
        "headline": "done",
        "badge": Badge(label="Training", message="41 s"),
        "provenance": Provenance(tool="flint-ml test", started="2026-11-21T20:41:00Z"),
    }
    return Record(**(values | changes))  # type: ignore[arg-type]


def put(folder: Path, data: object, name: str = "compare-metrics") -> Path:
    path = folder / f"{name}.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


OLD = DESIGN_EXAMPLE | {
    "schema": "flint-ml/record/1",
    "tables": [
        {
            "title": "Metrics",
            "columns": [{"name": name} for name in ("metric", "base", "this change", "95 % CI", "tolerance", "result")],
            "rows": [],
        }
    ],
    "details": {
        "verdict": "changed",
        "as_declared": True,
        "base": {"commit": "b" * 40, "how": "the merge base", "engine": "reference"},
        "benchmark": {"name": "test", "n": 115, "same": True},
        "badges": [{"label": "Balance", "message": "closed", "status": "passed"}],
        "changes": {"params": [{"path": "a", "base": 1, "head": [2]}], "code": ["x.py"]},
        "last_lines": ["one", 2],
        "fingerprint": "abc",
    },
}


def test_a_record_of_the_schema_before_keeps_its_meaning(tmp_path: Path) -> None:
    record = records.read(put(tmp_path, OLD))
    assert record.schema_ == records.SCHEMA_BEFORE
    assert [column.role for column in record.tables[0].columns] == [
        None,
        "base",
        "head",
        "interval",
        "tolerance",
        "result",
    ]
    assert record.verdict == "as-declared"
    assert record.base
    assert (record.base.kind, record.base.commit) == ("revision", "b" * 40)
    assert record.benchmark
    assert (record.benchmark.n, record.benchmark.same) == (115, True)
    assert [badge.status for badge in record.badges] == ["passed"]
    assert record.changes
    assert record.changes.params[0].head == [2]
    assert (record.log, record.fingerprint, record.coverage) == (["one", "2"], "abc", [])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("verdict", "splendid"),
        ("verdict", ["better"]),
        ("base", "main"),
        ("base", {"kind": "other"}),
        ("benchmark", {"n": "many"}),
        ("badges", [{"label": "x"}]),
        ("changes", {"data": [1]}),
        ("last_lines", "text"),
        ("fingerprint", 1),
    ],
)
def test_what_does_not_fit_in_a_record_of_the_schema_before_is_dropped(tmp_path: Path, key: str, value: object) -> None:
    record = records.read(put(tmp_path, OLD | {"details": OLD["details"] | {key: value, "as_declared": False}}))  # type: ignore[operator]
    assert not getattr(record, {"last_lines": "log"}.get(key, key))


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "better"},
        {"coverage": []},
        {"tables": [{"title": "t", "columns": [{"name": "a", "role": "head"}], "rows": []}]},
    ],
)
def test_the_schema_before_has_no_field_of_the_new_one(tmp_path: Path, change: dict) -> None:
    with pytest.raises(InputError, match="no such field"):
        records.read(put(tmp_path, DESIGN_EXAMPLE | {"schema": "flint-ml/record/1"} | change))


@pytest.mark.parametrize(
    "piece",
    [
        {"state": "looked"},
        {"state": "looked", "n": 3, "of": 2},
        {"state": "looked", "n": -1, "of": 2},
        {"state": "left-out", "why": "text"},
        {"state": "left-out", "name": "SOC"},
        {"state": "not-applicable"},
        {"state": "seen", "n": 1, "of": 1},
        {"state": "looked", "n": 1, "of": 1, "kind": "No kind"},
    ],
)
def test_a_piece_of_evidence_that_contradicts_itself_is_refused(piece: dict) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Piece.model_validate({"kind": "columns"} | piece)


def test_pieces_of_evidence_are_made_short() -> None:
    assert looked("columns", 3, noun="columns").of == 3
    assert len(left_out("columns", "x" * 5_000, "y" * 5_000).name) == 300
    assert not_applicable("data", "no data under DVC").state == "not-applicable"


def test_the_example_of_the_design_is_read_and_written_unchanged(tmp_path: Path) -> None:
    record = records.read(put(tmp_path, DESIGN_EXAMPLE))
    again = json.loads(record.to_json())
    for key in ("schema", "action", "status", "headline", "metrics", "findings"):
        assert again[key] == DESIGN_EXAMPLE[key]
    assert records.read(records.write(record, tmp_path / "copy")) == record


def test_numbers_that_are_not_finite_become_null_with_a_note(tmp_path: Path) -> None:
    table = Table(title="t", columns=[{"name": "x", "type": "number"}], rows=[[math.inf], [1.0]])  # type: ignore[list-item]
    record = minimal(
        metrics={"rmse": Metric(value=math.nan)}, tables=[table], details={"a": [math.nan, {"b": -math.inf}]}
    )
    read = records.read(records.write(record, tmp_path))
    assert read.metrics["rmse"].value is None
    assert read.metrics["rmse"].note == "value was nan"
    assert read.tables[0].rows == [[None], [1.0]]
    assert read.details == {"a": [None, {"b": None}]}


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x.png", "a/../../x.png", "a\\b.png", "", "x\x00.png", "a" * 401], ids=repr
)
def test_a_figure_cannot_point_out_of_the_results(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        Figure(title="t", alt="a", path=path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "flint-ml/record/3"}, "schema"),
        ({"status": "fine"}, "status"),
        ({"extra": 1}, "extra"),
        ({"headline": "x" * 501}, "headline"),
        ({"name": "../evil"}, "name"),
        ({"tables": [{"title": "t", "columns": [{"name": "a"}], "rows": [["1", "2"]]}]}, "row 0 has 2 cells"),
        ({"provenance": {}}, "provenance"),
    ],
)
def test_a_record_that_breaks_the_schema_is_refused_by_name(tmp_path: Path, change: dict, words: str) -> None:
    path = put(tmp_path, DESIGN_EXAMPLE | change)
    with pytest.raises(InputError, match=words) as caught:
        records.read(path)
    assert caught.value.code == "record-invalid"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', "\x00\xff", "[" * 100_000])
def test_what_is_no_record_is_refused_without_a_traceback(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        records.read(put(tmp_path, text))


def test_large_files_links_and_foreign_names_are_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    large.write_bytes(b" " * (records.MAX_BYTES + 1))
    with pytest.raises(InputError, match="may have"):
        records.read(large)
    real = put(tmp_path, DESIGN_EXAMPLE)
    link = tmp_path / "link.json"
    link.symlink_to(real)
    with pytest.raises(InputError, match="regular file"):
        records.read(link)
    with pytest.raises(InputError, match="must agree"):
        records.read(put(tmp_path, DESIGN_EXAMPLE, "other"))


def test_read_all_takes_the_first_level_in_order_and_names_the_rest(tmp_path: Path) -> None:
    later = Provenance(tool="t", started="2026-11-21T21:00:00Z")
    records.write(minimal("a", provenance=later), tmp_path)
    records.write(minimal("b"), tmp_path)
    records.write(minimal("deep"), tmp_path / "deeper")
    put(tmp_path, "nonsense", "c")
    found, refused = records.read_all(tmp_path)
    assert [record.name for record in found] == ["b", "a"]
    assert [error.where for error in refused] == ["c.json"]
    assert records.read_all(tmp_path / "absent") == ([], [])


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_atomically(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_records_of_another_run_attempt_or_commit_are_told_apart() -> None:
    def made(head: str, run: str, attempt: int) -> Record:
        where = Provenance(tool="t", started="s", head_sha=head, run_id=run, run_attempt=attempt)
        return minimal(provenance=where)

    mine = made("c1", "7", 2)
    others = [made("c1", "7", 1), made("c1", "6", 2), made("c2", "7", 2)]
    assert records.same_run([mine, *others], "c1", "7", 2) == [mine]
