"""What drift tools say of the tables of the drift study; run by drift_study.py in an interpreter that has one of them.

Without arguments prints the contenders that this interpreter has; with CASE FROM TO, one JSON object a seed:
``{contender: {"p": smaller is more suspicious, "alarm": by its own rule at 0.05}}``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
os.environ["DO_NOT_TRACK"] = "1"

import data
import numpy as np

Seen = dict[str, tuple[float, bool]]
Judge = Callable[[data.Columns, data.Columns], Seen]
ALPHA = 0.05


def numbers(columns: data.Columns) -> np.ndarray:
    return np.column_stack([v for k, v in columns.items() if k.startswith("v")])


def evidently(one: data.Columns, two: data.Columns) -> Seen:
    """Its preset with KS and chi-squared; the numbers alone too: alarm where any column drifts.

    The numbers alone, because its chi-squared takes the reference for exact and alarms on any batch.
    """
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    found = Report([DataDriftPreset(num_method="ks", cat_method="chisquare")]).run(pd.DataFrame(two), pd.DataFrame(one))
    drifts = [m for m in found.dict()["metrics"] if "ValueDrift" in m["metric_name"]]
    p = {m["config"]["column"]: float(m["value"]) for m in drifts}
    assert len(p) == len(one)
    plain = min(v for k, v in p.items() if k.startswith("v"))
    whole = min(p.values())
    return {
        "evidently, KS + chi-squared": (whole, whole < ALPHA),
        "evidently, KS of the numbers": (plain, plain < ALPHA),
    }


def alibi(one: data.Columns, two: data.Columns) -> Seen:
    """Cramér–von Mises of the numbers with Bonferroni, and a classifier (logistic regression).

    Its KS and chi-squared give the p-values of frouros, and an exact KS of 2,000 values costs a second a table.
    """
    from alibi_detect.cd import ClassifierDrift, CVMDrift
    from sklearn.linear_model import LogisticRegression

    codes = [k for k in one if k.startswith("c")]
    both = {k: np.unique(np.concatenate([one[k], two[k]])) for k in codes}
    hot = [np.hstack([numbers(t), *((t[k][:, None] == both[k]).astype(float) for k in codes)]) for t in (one, two)]
    found = CVMDrift(numbers(one), p_val=ALPHA).predict(numbers(two))["data"]
    model = LogisticRegression(max_iter=500)
    drift = ClassifierDrift(hot[0], model, backend="sklearn", p_val=ALPHA, preds_type="probs", n_folds=5, seed=0)
    told = drift.predict(hot[1])["data"]
    return {
        "alibi-detect, Cramér–von Mises of the numbers": (float(found["p_val"].min()), bool(found["is_drift"])),
        "alibi-detect, classifier (logistic regression)": (float(told["p_val"]), bool(told["is_drift"])),
    }


def frouros(one: data.Columns, two: data.Columns) -> Seen:
    """A test for each column, as its user loops over them: alarm where any p < 0.05; it corrects nothing."""
    from frouros.detectors.data_drift import ChiSquareTest, CVMTest, KSTest, MannWhitneyUTest, WelchTTest

    classes = [_p(ChiSquareTest(), one[k], two[k]) for k in one if k.startswith("c")]
    seen: Seen = {}
    for name, test in (
        ("KS", KSTest),
        ("Cramér–von Mises", CVMTest),
        ("Mann–Whitney", MannWhitneyUTest),
        ("Welch's t", WelchTTest),
    ):
        p = min([_p(test(), one[k], two[k]) for k in one if k.startswith("v")] + classes)
        seen[f"frouros, {name} + chi-squared"] = (p, p < ALPHA)
    return seen


def _p(test: object, one: np.ndarray, two: np.ndarray) -> float:
    test.fit(X=one)  # type: ignore[attr-defined]
    result = test.compare(X=two)[0]  # type: ignore[attr-defined]
    return float(result.p_value)


def nannyml(one: data.Columns, two: data.Columns) -> Seen:
    """Its univariate KS (by D) and chi-squared; its domain classifier takes 18 CPU seconds a table, and is left out."""
    import nannyml as nml
    import pandas as pd

    first, second = pd.DataFrame(one), pd.DataFrame(two)
    names = list(one)
    classes = [k for k in names if k.startswith("c")]
    options = {"column_names": names, "continuous_methods": ["kolmogorov_smirnov"], "categorical_methods": ["chi2"]}
    calculator = nml.UnivariateDriftCalculator(treat_as_categorical=classes, chunk_number=1, **options)
    table = calculator.fit(first).calculate(second).filter(period="analysis").to_df()
    alarm = any(bool(table[c].iloc[0]) for c in table.columns if c[-1] == "alert")
    statistic = [float(table[k, "kolmogorov_smirnov", "value"].iloc[0]) for k in names if k not in classes]
    seen: Seen = {"nannyml, KS + chi-squared (largest D)": (1 - max(statistic), alarm)}
    return seen


JUDGES: dict[str, Judge] = {"evidently": evidently, "alibi_detect": alibi, "frouros": frouros, "nannyml": nannyml}


def judged(case: str, seeds: range) -> Iterator[dict[str, dict[str, float]]]:
    for seed in seeds:
        one, two = data.pair(case, seed)
        found: dict[str, dict[str, float]] = {}
        for module, judge in JUDGES.items():
            if find_spec(module):
                with contextlib.redirect_stdout(io.StringIO()):
                    seen = judge(one, two)
                found |= {name: {"p": p, "alarm": int(alarm)} for name, (p, alarm) in seen.items()}
        yield found


def main() -> None:
    warnings.simplefilter("ignore")
    if len(sys.argv) < 4:
        first = next(judged(data.FOR_PEERS[0], range(1)), {})
        print(json.dumps(sorted(first)))
        return
    for found in judged(sys.argv[1], range(int(sys.argv[2]), int(sys.argv[3]))):
        print(json.dumps(found, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
