"""Metrics files as libraries write them: a base, a better and a worse model of each, small, with fixed seeds.

    KERAS_BACKEND=jax python tests/metrics/written_by/make.py

needs what ``versions.txt`` lists, in an environment of its own; `make.R` makes those of R. Writes
``<library>/<file>`` with ``base``, ``better`` and ``worse`` in its name.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent.resolve()
SIDES = ("base", "better", "worse")


def samples() -> tuple[np.ndarray, np.ndarray]:
    """Forty features of which five matter, shape (120, 40), and a truth in no unit."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 40))
    return x, 20 + x[:, :5] @ np.array([3.0, -2.0, 2.0, 1.0, 1.0]) + rng.normal(0, 1, 120)


def write(path: str, content: object) -> None:
    """``content`` as JSON, or as it is where it is text."""
    target = HERE / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content if isinstance(content, str) else json.dumps(content, indent=1) + "\n", encoding="utf-8")


def scikit_learn() -> None:
    """cross_validate, cross_val_score, GridSearchCV, classification_report."""
    import pandas as pd
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.metrics import classification_report
    from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate, train_test_split

    x, y = samples()
    scoring = ["neg_root_mean_squared_error", "r2", "neg_mean_absolute_error", "neg_max_error"]
    for side, alpha in zip(SIDES, (60.0, 10.0, 900.0), strict=True):
        folds = cross_validate(Ridge(alpha), x, y, cv=5, scoring=scoring, return_train_score=True)
        write(f"scikit-learn/cross_validate-{side}.json", {name: values.tolist() for name, values in folds.items()})
        score = cross_val_score(Ridge(alpha), x, y, cv=5, scoring="neg_root_mean_squared_error").mean()
        write(f"scikit-learn/cross_val_score-{side}.json", {"cv_rmse": float(score)})
        grid = GridSearchCV(Ridge(), {"alpha": [alpha, alpha * 2]}, cv=3, scoring="r2").fit(x, y)
        write(f"scikit-learn/cv_results-{side}.csv", pd.DataFrame(grid.cv_results_).round(6).to_csv())
        frame = pd.DataFrame(folds).filter(like="test_").agg(["mean", "std"])
        write(f"scikit-learn/mean_and_std-{side}.csv", frame.T.round(6).to_csv())
        classes = np.where(y > np.median(y), "rich", "poor")
        train_x, test_x, train_y, test_y = train_test_split(x, classes, random_state=0, test_size=0.5)
        used = {"base": slice(1, 3), "better": slice(0, 5), "worse": slice(10, 14)}[side]
        model = LogisticRegression().fit(train_x[:, used], train_y)
        truth, predicted = test_y, model.predict(test_x[:, used])
        write(
            f"scikit-learn/report-{side}.json",
            classification_report(truth, predicted, output_dict=True, zero_division=0),
        )
        write(f"scikit-learn/report-{side}.txt", classification_report(truth, predicted, zero_division=0))


def keras() -> None:
    """CSVLogger, history and evaluate."""
    import keras as k

    x, y = samples()
    y = (y - y.mean()) / y.std()
    for side, (epochs, width) in zip(SIDES, ((6, 4), (40, 4), (1, 4)), strict=True):
        k.utils.set_random_seed(3)
        model = k.Sequential([k.Input((5,)), k.layers.Dense(width, activation="relu"), k.layers.Dense(1)])
        model.compile(k.optimizers.Adam(0.02), "mse", metrics=["mae", k.metrics.RootMeanSquaredError()])
        (HERE / "keras").mkdir(exist_ok=True)
        logger = k.callbacks.CSVLogger(str(HERE / f"keras/CSVLogger-{side}.csv"))
        fitted = model.fit(
            x[:80, :5], y[:80], epochs=epochs, validation_data=(x[80:, :5], y[80:]), verbose=0, callbacks=[logger]
        )
        write(
            f"keras/history-{side}.json", {name: [float(v) for v in values] for name, values in fitted.history.items()}
        )
        scores = model.evaluate(x[80:, :5], y[80:], verbose=0, return_dict=True)
        write(f"keras/evaluate-{side}.json", {name: float(value) for name, value in scores.items()})
        last = {name: values[-1] for name, values in fitted.history.items()}
        write(f"keras/last_epoch-{side}.json", {name: float(value) for name, value in last.items()})


def dvclive() -> None:
    """DVCLive's summary, and one of its tables over steps."""
    from dvclive import Live

    (HERE / "dvclive").mkdir(exist_ok=True)
    os.chdir(tempfile.mkdtemp())  # it makes a DVC project of the repository that it is run in
    for side, (train, test) in zip(SIDES, ((0.9, 1.5), (1.0, 1.2), (0.3, 2.1)), strict=True):
        folder = Path(side)
        with Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None) as live:
            for step in range(3):
                live.log_metric("train/loss", train + 2 - step)
                live.log_metric("test/rmse", test + 2 - step)
                live.next_step()
            live.log_metric("test/r2", 1 - test / 5, plot=False)
        shutil.copy(folder / "metrics.json", HERE / f"dvclive/metrics-{side}.json")
        shutil.copy(folder / "plots/metrics/test/rmse.tsv", HERE / f"dvclive/test_rmse-{side}.tsv")


def xgboost() -> None:
    """evals_result of a training and a test set."""
    import xgboost as xgb

    x, y = samples()
    sets = xgb.DMatrix(x[:80], y[:80]), xgb.DMatrix(x[80:], y[80:])
    for side, (rounds, depth) in zip(SIDES, ((10, 3), (60, 2), (3, 8)), strict=True):
        result: dict[str, object] = {}
        booster = {"max_depth": depth, "eta": 0.2, "eval_metric": ["rmse", "mae"], "seed": 1}
        named = [(sets[0], "validation_0"), (sets[1], "validation_1")]
        xgb.train(booster, sets[0], rounds, evals=named, evals_result=result, verbose_eval=False)
        write(f"xgboost/evals_result-{side}.json", result)


if __name__ == "__main__":
    libraries = {"scikit-learn": scikit_learn, "keras": keras, "dvclive": dvclive, "xgboost": xgboost}
    for make in libraries.values():
        make()
    names = ("scikit-learn", "keras", "jax", "dvclive", "xgboost-cpu", "numpy", "pandas")
    write("versions.txt", "".join(f"{name} {version(name)}\n" for name in names) + f"python {sys.version.split()[0]}\n")
