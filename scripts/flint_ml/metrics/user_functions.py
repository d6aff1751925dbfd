"""Metrics of the user's own, given as ``module:function``: any function of truth and prediction.

Such a function is code of the change under test, so the action runs it at a terminal only, never beside a token.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from flint_ml.errors import InputError
from flint_ml.metrics.intervals.bootstrap import Estimate, IntervalSettings
from flint_ml.metrics.intervals.interval import p_of
from flint_ml.metrics.intervals.resample import coins, multinomial
from flint_ml.metrics.predictions import Pairs

MAX_RESAMPLES = 2_000
Function = Callable[[np.ndarray, np.ndarray], float]


def load_functions(names: Sequence[str], folder: Path) -> dict[str, Function]:
    """The functions by their own names; modules are found in ``folder`` first.

    Raises
    ------
    InputError
        If a name is not ``module:function``, or the module or function does not exist.
    """
    functions: dict[str, Function] = {}
    for name in names:
        module, _, function = name.partition(":")
        where = f"functions: {name}"
        if not module or not function.isidentifier():
            raise InputError("must be `module:function`", where=where, code="invalid-input")
        sys.path.insert(0, str(folder))
        try:
            functions[function] = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError, SyntaxError) as error:
            raise InputError(
                f"cannot be imported: {error}",
                where=where,
                code="invalid-function",
                hint="name a module in the working directory and a function (truth, prediction) → number in it",
            ) from None
        finally:
            sys.path.remove(str(folder))
    return functions


def _call(name: str, function: Function, truth: np.ndarray, prediction: np.ndarray) -> float:
    try:
        return float(function(truth, prediction))
    except Exception as error:
        raise InputError(
            f"failed: {type(error).__name__}: {error}",
            where=f"functions: {name}",
            code="invalid-function",
            hint="it must take truth and prediction, each of shape (n,), and return a number",
        ) from None


def estimate_function(name: str, function: Function, pairs: Pairs, settings: IntervalSettings) -> Estimate:
    """The function on both sides with its resamples; the interval is the plain symmetric bootstrap's.

    Samples (or whole blocks) are drawn again and the function is called anew, 2,000 times at most.
    """
    rng = np.random.Generator(np.random.SFC64(settings.seed))
    block = np.arange(pairs.n) if pairs.block is None else np.unique(pairs.block, return_inverse=True)[1]
    units = int(block.max()) + 1
    count = min(settings.resamples, MAX_RESAMPLES)

    def both(index: np.ndarray) -> tuple[float, float]:
        truth = pairs.truth[index]
        return _call(name, function, truth, pairs.base[index]), _call(name, function, truth, pairs.head[index])

    base, head = both(np.arange(pairs.n))
    boots = np.empty((count, 2))
    mirrored = np.empty(count)
    for row in range(count):
        counts = multinomial(rng, units, 1)[0].astype(int)
        boots[row] = both(np.repeat(np.arange(pairs.n), counts[block]))
        swap = coins(rng, units, 1)[0][block] > 0
        sides = np.where(swap, pairs.head, pairs.base), np.where(swap, pairs.base, pairs.head)
        first, second = (_call(name, function, pairs.truth, side) for side in sides)
        mirrored[row] = second - first
    change = boots[:, 1] - boots[:, 0]
    spread = float(np.nanstd(change)) if count else math.nan
    influence = np.full(units, spread / math.sqrt(units))
    return Estimate(name, base, head, (boots[:, 0], boots[:, 1]), None, influence, 1.0, p_of(head - base, mirrored))
