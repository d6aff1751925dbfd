"""Stored samples: read, and held against what is served."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flint_ml.deployment.samples import MAX_BYTES, compare_predictions, parse_samples
from flint_ml.errors import InputError

SPLIT = {"columns": ["a"], "data": [[1], [2]]}


def stored(predictions: Any, **request: Any) -> bytes:
    return json.dumps({**(request or {"dataframe_split": SPLIT}), "predictions": predictions}).encode()


@pytest.mark.parametrize(
    "request_",
    [
        {"dataframe_split": SPLIT},
        {"dataframe_records": [{"a": 1}, {"a": 2}]},
        {"instances": [[1], [2]]},
        {"inputs": {"a": [1, 2]}},
        {"dataframe_split": SPLIT, "params": {"k": 1}},
    ],
)
def test_forms_of_mlflow(request_: dict[str, Any]) -> None:
    samples = parse_samples(stored([1, 2], **request_), "samples.json")
    assert json.loads(samples.request) == request_
    assert (samples.n, samples.predictions) == (2, (1, 2))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "no list `predictions`"),
        (b'{"predictions": [1]}', "holds no samples"),
        (stored([1], dataframe_split=SPLIT), "2 samples and 1 predictions"),
        (stored([], instances=[]), "0 samples and 0 predictions"),
        (stored([1], instances=[1], inputs=[1]), "holds inputs, instances"),
        (stored([1], instances=[1], other=1), "holds instances, other"),
        (b" " * (MAX_BYTES + 1), "at most 1,048,576 bytes"),
    ],
)
def test_what_is_no_samples_file(data: bytes, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_samples(data, "samples.json")
    assert words in caught.value.message
    assert caught.value.code == "invalid-samples"


@pytest.mark.parametrize(
    ("registered", "served", "tolerance", "said"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0, ""),
        ([1000.0, 2], [1000.09, 2], 1e-4, ""),
        ([0.00001, 2], [0.00009, 2], 1e-4, ""),
        (
            [1000.0, 2],
            [1000.2, 2],
            1e-4,
            "1 of 2 samples are not predicted as registered; the largest difference is "
            "0.2 (sample 1: 1000.2 instead of 1000.0)",
        ),
        (
            [1, 2],
            [3, 7],
            1e-4,
            "2 of 2 samples are not predicted as registered; the largest difference is 5 (sample 2: 7 instead of 2)",
        ),
        (
            ["oak", "pine"],
            ["oak", "fir"],
            1e-4,
            "1 of 2 samples are not predicted as registered, such as sample 2: 'fir' instead of 'pine'",
        ),
        ([{"SOC": 1.0, "sd": 0.1}] * 2, [{"sd": 0.1, "SOC": 1.0}] * 2, 1e-4, ""),
        (
            [{"SOC": 1.0}] * 2,
            [{"SOC": 1.0}, {"SOC": 4.0}],
            1e-4,
            "1 of 2 samples are not predicted as registered; the "
            "largest difference is 3 (sample 2, SOC: 4.0 instead of 1.0)",
        ),
        ([{"SOC": 1.0}] * 2, [1.0, 1.0], 1e-4, "sample 1 is answered with a single value instead of SOC"),
        ([[1, 2]] * 2, [[1, 2], [1]], 1e-4, "sample 2 is answered with [0] instead of [0], [1]"),
        ([float("nan"), 1], [float("nan"), 1], 1e-4, ""),
        (
            [1.0, float("nan")],
            [1.0, 3.0],
            1e-4,
            "1 of 2 samples are not predicted as registered, such as sample 2: 3.0 instead of nan",
        ),
        ([1, 2], [1], 1e-4, "1 predictions for 2 samples"),
    ],
)
def test_compare(registered: list[Any], served: list[Any], tolerance: float, said: str) -> None:
    samples = parse_samples(stored(registered, dataframe_split=SPLIT), "samples.json")
    assert compare_predictions(samples, json.dumps({"predictions": served}), tolerance).said == said


@pytest.mark.parametrize("answer", ["", "<html>", "[1]", '{"result": [1]}', "3", "null"])
def test_an_answer_of_another_form(answer: str) -> None:
    samples = parse_samples(stored([1, 2]), "samples.json")
    assert compare_predictions(samples, answer, 1).said == 'the answer is not `{"predictions": [...]}`'


def test_the_largest_difference_is_told_also_where_it_is_small_enough() -> None:
    samples = parse_samples(stored([10.0, 20.0]), "samples.json")
    assert compare_predictions(samples, '{"predictions": [10.0, 20.001]}', 1e-3).largest == pytest.approx(1e-3)
