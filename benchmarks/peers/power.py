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

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
os.environ["DO_NOT_TRACK"] = "1"

import data

Seen = dict[str, tuple[float, bool]]
Judge = Callable[[data.Columns, data.Columns], Seen]
ALPHA = 0.05


def numbers(columns: data.Columns) -> np.ndarray:
    return np.column_stack([v for k, v in columns.items() if k.startswith("v")])


def evidently(one: data.Columns, two: data.Columns) -> Seen:
    """Its preset with KS and chi-squared, and the numbers alone by KS and by t-test: alarm where any column drifts.

    The numbers alone, because its chi-squared takes the reference for exact and alarms on any batch.
    """
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    seen: Seen = {}
    for name, method, names in (("KS", "ks", list(one)), ("t-test", "t_test", [k for k in one if k[0] == "v"])):
        preset = DataDriftPreset(columns=names, num_method=method, cat_method="chisquare")
        found = Report([preset]).run(pd.DataFrame(two), pd.DataFrame(one)).dict()
        drifts = [m for m in found["metrics"] if "ValueDrift" in m["metric_name"]]
        p = {m["config"]["column"]: float(m["value"]) for m in drifts}
        assert len(p) == len(names)
        plain = min(v for k, v in p.items() if k.startswith("v"))
        seen[f"evidently, {name} of the numbers"] = (plain, plain < ALPHA)
        if len(names) == len(one):
            seen[f"evidently, {name} + chi-squared"] = (min(p.values()), min(p.values()) < ALPHA)
    return seen


def alibi(one: data.Columns, two: data.Columns) -> Seen:
    """KS and chi-squared, Cramér–von Mises, each with Bonferroni; a classifier (random forest, logistic regression)."""
    from alibi_detect.cd import ClassifierDrift, CVMDrift, TabularDrift
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    codes = [k for k in one if k.startswith("c")]
    both = {k: np.unique(np.concatenate([one[k], two[k]])) for k in codes}
    first, second = (
        np.column_stack([numbers(t), *(np.searchsorted(both[k], t[k]) for k in codes)]) for t in (one, two)
    )
    places = {numbers(one).shape[1] + i: None for i in range(len(codes))}
    seen: Seen = {}
    p = TabularDrift(first, p_val=ALPHA, categories_per_feature=places).predict(second)["data"]
    seen["alibi-detect, KS + chi-squared, Bonferroni"] = (float(p["p_val"].min()), bool(p["is_drift"]))
    p = CVMDrift(numbers(one), p_val=ALPHA).predict(numbers(two))["data"]
    seen["alibi-detect, Cramér–von Mises of the numbers, Bonferroni"] = (float(p["p_val"].min()), bool(p["is_drift"]))
    hot = [np.hstack([numbers(t), *((t[k][:, None] == both[k]).astype(float) for k in codes)]) for t in (one, two)]
    models = {
        "logistic regression": LogisticRegression(max_iter=500),
        "random forest": RandomForestClassifier(50, max_depth=6, n_jobs=1, random_state=0),
    }
    for name, model in models.items():
        drift = ClassifierDrift(hot[0], model, backend="sklearn", p_val=ALPHA, preds_type="probs", n_folds=5, seed=0)
        p = drift.predict(hot[1])["data"]
        seen[f"alibi-detect, classifier ({name})"] = (float(p["p_val"]), bool(p["is_drift"]))
    return seen


def frouros(one: data.Columns, two: data.Columns) -> Seen:
    """A test for each column, as its user loops over them: alarm where any p < 0.05; it corrects nothing."""
    from frouros.detectors.data_drift import ChiSquareTest, CVMTest, KSTest, MannWhitneyUTest, WelchTTest

    classes = [_p(ChiSquareTest(), one[k], two[k]) for k in one if k.startswith("c")]
    seen: Seen = {}
    for name, test in (
        ("KS", KSTest), ("Cramér–von Mises", CVMTest), ("Mann–Whitney", MannWhitneyUTest), ("Welch's t", WelchTTest),
    ):  # fmt: skip
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
