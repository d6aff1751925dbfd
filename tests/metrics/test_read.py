"""Metrics files of every format, and what is wrong with bad ones."""

from __future__ import annotations

import json

import pytest

from flint_ml.errors import InputError
from flint_ml.metrics.read import parse

NESTED = {"rmse": 1.5, "deep": {"r2": 0.5, "of": [1, 2.5]}, "model": "plsr", "ok": True, "gone": None}


def values(data: bytes, where: str) -> dict[str, float | None]:
    return {name: reading.value for name, reading in parse(data, where).readings.items()}


def test_nested_json() -> None:
    file = parse(json.dumps(NESTED).encode(), "m.json")
    assert {name: r.value for name, r in file.readings.items()} == {
        "rmse": 1.5,
        "deep.r2": 0.5,
        "deep.of.0": 1.0,
        "deep.of.1": 2.5,
        "gone": None,
    }
    assert file.ignored == ["model", "ok"]
    assert file.readings["gone"].note == "is null"


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("m.yaml", "rmse: 1.5\ndeep: {r2: 0.5}\n"),
        ("m.yml at 0123456789", "rmse: 1.5\ndeep: {r2: 0.5}\n"),
        ("m.toml", "rmse = 1.5\n[deep]\nr2 = 0.5\n"),
        ("m.csv", "metric,value\nrmse,1.5\ndeep.r2,0.5\n"),
        ("m.csv", "rmse,1.5\ndeep.r2,0.5\n"),
        ("m.csv", "rmse,deep.r2\n1.5,0.5\n"),
        ("m.tsv", "rmse\tdeep.r2\n1.5\t0.5\n"),
        ("metrics", '{"rmse": 1.5, "deep": {"r2": 0.5}}'),
    ],
)
def test_formats(where: str, text: str) -> None:
    assert values(text.encode(), where) == {"rmse": 1.5, "deep.r2": 0.5}


def test_csv_with_a_line_for_each_model() -> None:
    assert values(b"model,rmse,r2\nplsr,1.5,0.5\nrf,1.4,0.6\n", "m.csv") == {
        "plsr.rmse": 1.5,
        "plsr.r2": 0.5,
        "rf.rmse": 1.4,
        "rf.r2": 0.6,
    }


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("m.json", '{"a": NaN, "b": Infinity, "c": "nan", "d": 1}'),
        ("m.yaml", "a: .nan\nb: .inf\nc: nan\nd: 1\n"),
        ("m.csv", "a,b,c,d\nnan,inf,,1\n"),
        ("m.toml", 'a = nan\nb = inf\nc = "NaN"\nd = 1\n'),
    ],
)
def test_what_is_no_number_is_null_with_a_note(where: str, text: str) -> None:
    readings = parse(text.encode(), where).readings
    assert {name: r.value for name, r in readings.items()} == {"a": None, "b": None, "c": None, "d": 1.0}
    assert all(readings[name].note for name in "abc")


def test_a_record_of_a_simulation() -> None:
    record = {
        "schema": "flint-ml/record/1",
        "metrics": {"2010/npp_tC": {"value": 3.0, "unit": "tC", "direction": "higher"}, "x": {"value": None}},
    }
    readings = parse(json.dumps(record).encode(), "run-gcbm.json").readings
    assert (readings["2010/npp_tC"].value, readings["2010/npp_tC"].unit, readings["2010/npp_tC"].direction) == (
        3.0,
        "tC",
        "higher",
    )
    assert readings["x"].value is None


@pytest.mark.parametrize(
    ("where", "text", "code", "place"),
    [
        ("m.json", b'{\n "rmse": 1.5\n "r2": 1}', "invalid-json", "m.json:3"),
        ("m.json", b"rmse: 1.5", "invalid-json", "m.json:1"),
        ("m.json", b'{"rmse": 1, "rmse": 2}', "invalid-json", "m.json"),
        ("m.json", b"[" * 100_000, "invalid-json", "m.json"),
        ("m.json", b"", "empty-metrics", "m.json"),
        ("m.json", b'{"model": "plsr"}', "empty-metrics", "m.json"),
        ("m.json", b"[1, 2]", "invalid-metrics", "m.json"),
        ("m.json", b"\xff\xfe", "invalid-metrics", "m.json"),
        ("m.yaml", b"a: [1", "invalid-yaml", "m.yaml:1"),
        ("m.toml", b"a = ", "invalid-toml", "m.toml"),
        ("m.csv", b"a,b,c\n1,2\n", "invalid-csv", "m.csv:2"),
        ("m.csv", b"metric,value\nrmse,1\nrmse,2\n", "invalid-csv", "m.csv"),
    ],
)
def test_bad_files(where: str, text: bytes, code: str, place: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text, where)
    assert (caught.value.code, caught.value.where) == (code, place)


def test_too_many_numbers() -> None:
    with pytest.raises(InputError, match="more than"):
        parse(json.dumps({str(i): i for i in range(5001)}).encode(), "m.json")
