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
        "deep.of": 1.75,
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
        ("m.json", b"\xc3\x28", "invalid-metrics", "m.json"),
        ("m.json", b'{"val.rmse": 1, "val": {"rmse": 5}}', "invalid-metrics", "m.json"),
        ("m.yaml", b"a.b: 1\na:\n  b: 2\n", "invalid-metrics", "m.yaml"),
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


# Files as other programs write them, with what they say.
FILES = {
    "R's write_json": ("m.json", '{"rmse":[1.5],"r2":[0.7]}', {"rmse": 1.5, "r2": 0.7}),
    "R's write_json of a data frame": ("m.json", '[{"rmse":1.5,"r2":0.7}]', {"rmse": 1.5, "r2": 0.7}),
    "R's write.csv": ("m.csv", '"","rmse","r2"\n"1",1.5,0.7\n', {"rmse": 1.5, "r2": 0.7}),
    "R's write.csv2": ("m.csv", '"";"rmse";"r2"\n"1";1,5;0,7\n', {"rmse": 1.5, "r2": 0.7}),
    "R's write.table": ("m.tsv", "rmse\tr2\n1\t1.5\t0.7\n", {"rmse": 1.5, "r2": 0.7}),
    "caret": ("m.csv", '"","RMSE","Rsquared"\n"TrainRMSE",1.5,0.7\n', {"RMSE": 1.5, "Rsquared": 0.7}),
    "tidymodels": (
        "m.csv",
        ".metric,.estimator,.estimate\nrmse,standard,1.5\nrsq,standard,0.7\n",
        {"rmse": 1.5, "rsq": 0.7},
    ),
    "collect_metrics": (
        "m.csv",
        ".metric,.estimator,mean,n,std_err,.config\nrmse,standard,1.5,10,0.1,Model1\nrsq,standard,0.7,10,0.1,Model1\n",
        {"rmse": 1.5, "rsq": 0.7},
    ),
    "tidymodels of two models": (
        "m.csv",
        "model,.metric,.estimate\nrf,rmse,1.5\nlm,rmse,1.7\n",
        {"rf.rmse": 1.5, "lm.rmse": 1.7},
    ),
    "semicolons": ("m.csv", "metric;value\nrmse;1,5\nr2;0,7\n", {"rmse": 1.5, "r2": 0.7}),
    "tabs in a .csv": ("m.csv", "metric\tvalue\nrmse\t1.5\nr2\t0.7\n", {"rmse": 1.5, "r2": 0.7}),
    "pandas to_json": ("m.json", '{"rmse":{"0":1.5},"r2":{"0":0.7}}', {"rmse": 1.5, "r2": 0.7}),
    "pandas to_json of models": (
        "m.json",
        '{"model":{"0":"rf","1":"lm"},"rmse":{"0":1.5,"1":1.7}}',
        {"rf.rmse": 1.5, "lm.rmse": 1.7},
    ),
    "pandas split": ("m.json", '{"columns":["rmse","r2"],"index":[0],"data":[[1.5,0.7]]}', {"rmse": 1.5, "r2": 0.7}),
    "one name and value": ("m.json", '[{"name":"rmse","value":1.5}]', {"rmse": 1.5}),
    "pandas to_csv": ("m.csv", ",rmse,r2\n0,1.5,0.7\n", {"rmse": 1.5, "r2": 0.7}),
    "a list of names and values": (
        "m.json",
        '[{"name":"rmse","value":1.5},{"name":"r2","value":0.7}]',
        {"rmse": 1.5, "r2": 0.7},
    ),
    "cross_validate": (
        "m.json",
        '{"fit_time":[0.1,0.3],"test_score":[0.5,0.7]}',
        {"fit_time": 0.2, "test_score": 0.6},
    ),
    "folds in a table": ("m.csv", "fold,rmse,r2\n1,1.0,0.5\n2,2.0,0.7\n", {"rmse": 1.5, "r2": 0.6}),
    "folds with row names": ("m.csv", ",rmse,r2\n0,1.0,0.5\n1,2.0,0.7\n", {"rmse": 1.5, "r2": 0.6}),
    "folds in a list": ("m.json", '{"folds":[{"rmse":1.0},{"rmse":2.0}]}', {"folds.rmse": 1.5}),
    "Keras' CSVLogger": (
        "m.csv",
        "epoch,loss,val_loss\n0,1.0,1.1\n1,0.5,0.6\n2,0.3,0.4\n",
        {"epoch": 2.0, "loss": 0.3, "val_loss": 0.4},
    ),
    "Keras' history": ("m.json", '{"loss":[1.0,0.3],"val_loss":[1.1,0.4]}', {"loss": 0.3, "val_loss": 0.4}),
    "Lightning's metrics.csv": (
        "m.csv",
        "epoch,step,train_loss,val_loss\n0,10,1.0,\n0,11,,0.9\n1,20,0.7,\n1,21,,0.6\n",
        {"epoch": 1.0, "step": 21.0, "train_loss": 0.7, "val_loss": 0.6},
    ),
    "a log of two columns": ("m.tsv", "step\tloss\n0\t1.0\n1\t0.3\n", {"step": 1.0, "loss": 0.3}),
    "JSON lines": (
        "m.jsonl",
        '{"step":1,"loss":1.0}\n{"step":2,"loss":0.3}\n{"step":2,"eval_loss":0.4}\n',
        {"step": 2.0, "loss": 0.3, "eval_loss": 0.4},
    ),
    "DVCLive": ("m.json", '{"train":{"loss":0.3},"step":9}', {"train.loss": 0.3, "step": 9.0}),
    "numbers as text": ("m.json", '{"rmse":"1.5","r2":"0,7"}', {"rmse": 1.5, "r2": 0.7}),
    "one known metric as text": ("m.json", '{"rmse":"1.5","r2":0.7,"version":"2"}', {"rmse": 1.5, "r2": 0.7}),
    "R's NA": ("m.json", '{"rmse":"NA","r2":0.7}', {"rmse": None, "r2": 0.7}),
    "a confusion matrix": ("m.json", '{"confusion_matrix":[[50,10],[5,60]],"accuracy":0.88}', {"accuracy": 0.88}),
    "PowerShell": ("m.json", '{"rmse": 1.5}', {"rmse": 1.5}),
}


@pytest.mark.parametrize("writer", list(FILES))
def test_files_as_others_write_them(writer: str) -> None:
    where, text, expected = FILES[writer]
    data = text.encode("utf-16" if writer == "PowerShell" else "utf-8")
    assert values(data, where) == pytest.approx(expected)


def test_a_classification_report_keeps_its_classes() -> None:
    report = {"0": {"precision": 0.8, "support": 10}, "1": {"precision": 0.7, "support": 9}, "accuracy": 0.75}
    assert values(json.dumps(report).encode(), "m.json") == {
        "0.precision": 0.8,
        "0.support": 10.0,
        "1.precision": 0.7,
        "1.support": 9.0,
        "accuracy": 0.75,
    }


def test_text_beside_numbers_is_left_out_aloud() -> None:
    file = parse(b'{"rmse": 1.5, "release": "1.10", "model": "plsr"}', "m.json")
    assert (list(file.readings), file.texts, file.ignored) == (["rmse"], ["release"], ["model"])


def test_how_a_value_was_read() -> None:
    readings = parse(b'{"test_score": [0.5, 0.7], "fit_time": [1, 2]}', "m.json").readings
    assert readings["test_score"].detail == "mean of 2, 0.5 to 0.7"
    matrix = parse(b'{"m": [[1, 2], [3, 4]], "acc": 1}', "m.json").matrices["m"]
    assert matrix.rows == ((1.0, 2.0), (3.0, 4.0))
