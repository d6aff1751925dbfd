"""Stored samples: what a version predicted when it was registered, held against what is served. Pure.

The file is a request in MLflow's scoring format with its answer beside it, in one JSON object::

    {"dataframe_split": {"columns": ["clay", "ndvi"], "data": [[21, 0.4], [35, 0.6]]},
     "predictions": [12.5, 17.25]}

A prediction is a number or text, or a list or mapping of them where the model has several outputs.
See https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#json-input.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flint_ml.errors import InputError

SAMPLES_FILE = "samples.json"
FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Samples:
    """``request`` is the JSON that is sent; ``predictions`` (n,) are what the registered model made of it."""

    request: str
    predictions: tuple[Any, ...]

    @property
    def n(self) -> int:
        """How many samples there are."""
        return len(self.predictions)


@dataclass(frozen=True)
class Compared:
    """Served against registered predictions; ``said`` is empty where they agree.

    Attributes
    ----------
    largest
        The largest difference of two numbers, in the unit of the prediction.
    """

    said: str = ""
    largest: float = 0.0


def _rows(request: Any) -> int | None:
    """How many samples a request holds; None where its form does not say."""
    if isinstance(request, dict) and isinstance(request.get("data"), list):
        return len(request["data"])
    return len(request) if isinstance(request, list) else None


def parse_samples(data: bytes, where: str) -> Samples:
    """The samples of a file.

    Raises
    ------
    InputError
        If it is not JSON of that form, is too large, or holds another number of predictions than of samples.
    """

    def wrong(message: str) -> InputError:
        hint = f"one JSON object with `predictions` and one of: {', '.join(FORMATS)} (docs/actions/deploy-model.md)"
        return InputError(message, where=where, hint=hint, code="invalid-samples")

    if len(data) > MAX_BYTES:
        raise wrong(f"holds {len(data):,} bytes; a few samples are enough, at most {MAX_BYTES:,} bytes")
    try:
        content = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise wrong("is not JSON") from None
    if not isinstance(content, dict) or not isinstance(content.get("predictions"), list):
        raise wrong("has no list `predictions`")
    kinds = [name for name in FORMATS if name in content]
    if len(kinds) != 1 or set(content) - {*kinds, "predictions", "params"}:
        raise wrong(f"holds {', '.join(sorted(set(content) - {'predictions'})) or 'no samples'}")
    predictions = tuple(content.pop("predictions"))
    rows = _rows(content[kinds[0]])
    if not predictions or rows not in {None, len(predictions)}:
        raise wrong(f"holds {rows} samples and {len(predictions)} predictions")
    return Samples(json.dumps(content), predictions)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The numbers and texts of one prediction, with their path in it."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _leaves(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}[{number}]")
    else:
        yield path, value


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _difference(served: Any, registered: Any, tolerance: float) -> tuple[float, bool]:
    """How far two values are apart, and whether that is too far."""
    if not (_number(served) and _number(registered)):
        return 0.0, served != registered
    if math.isnan(served) or math.isnan(registered):
        return math.nan, math.isnan(served) != math.isnan(registered)
    far = abs(served - registered) if served != registered else 0.0
    return far, not math.isclose(served, registered, rel_tol=tolerance, abs_tol=tolerance)


def compare_predictions(samples: Samples, answer: str, tolerance: float) -> Compared:
    """Hold an answer in MLflow's format (``{"predictions": [...]}``) against the registered predictions.

    Parameters
    ----------
    tolerance
        Difference that counts as none: relative to the prediction, or absolute where that is more.
    """
    try:
        content = json.loads(answer)
        served = content["predictions"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Compared('the answer is not `{"predictions": [...]}`')
    if not isinstance(served, list) or len(served) != samples.n:
        answered = f"{len(served)} predictions" if isinstance(served, list) else "not a list of predictions"
        return Compared(f"{answered} for {samples.n} samples")
    differing = 0
    largest, worst = 0.0, ""
    for number, (new, old) in enumerate(zip(served, samples.predictions, strict=True), 1):
        new_values, old_values = dict(_leaves(new)), dict(_leaves(old))
        if new_values.keys() != old_values.keys():
            return Compared(f"sample {number} is answered with {_named(new_values)} instead of {_named(old_values)}")
        wrong = False
        for key, value in old_values.items():
            far, too_far = _difference(new_values[key], value, tolerance)
            wrong |= too_far
            if (too_far and not worst) or far > largest:
                label = f"sample {number}" + (f", {key}" if key else "")
                worst = f"{label}: {new_values[key]!r} instead of {value!r}"
            largest = max(largest, far if not math.isnan(far) else largest)
        differing += wrong
    if not differing:
        return Compared("", largest)
    told = f"{differing} of {samples.n} samples are not predicted as registered"
    much = f"; the largest difference is {largest:.4g} ({worst})" if largest else f", such as {worst}"
    return Compared(told + much, largest)


def _named(leaves: dict[str, Any]) -> str:
    names = [name for name in leaves if name]
    return ", ".join(names[:5]) if names else "a single value" if leaves else "nothing"
