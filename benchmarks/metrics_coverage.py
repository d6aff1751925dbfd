"""Do the confidence intervals of compare-metrics hold what they promise?

Draws benchmarks from populations whose true scores are known, compares two models on each, and counts

- coverage: how often the 95 % interval of a change holds the true change;
- false verdicts: how often a metric is called better or worse though nothing changed, one metric by itself and any of
  them after Holm's correction (nominal 5 %);
- power: how often a true improvement is called better.

    python benchmarks/metrics_coverage.py [--simulations 2000] [--resamples 2000] [--out benchmarks/results/…]

The populations look like soil data: skewed truths (gamma, mean 15, as SOC in g/kg), errors that grow with the truth and
are correlated (0.7) between both models, because both see the same hard samples.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy import stats

from flint_ml.metrics.catalogue import SCORES
from flint_ml.metrics.intervals.bootstrap import IntervalSettings, corrected_intervals, estimates
from flint_ml.metrics.predictions import Pairs

REGRESSION = ("rmse", "mae", "r2", "bias", "rpiq")
CLASSES = ("accuracy", "f1", "logloss", "auc")
KIND = {"t": "the symmetric bootstrap-t (the default)", "bca": "BCa (`interval: bca`)"}
LABELS = {
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "bias": "bias",
    "rpiq": "RPIQ",
    "accuracy": "accuracy",
    "f1": "F1",
    "logloss": "log loss",
    "auc": "AUC",
}


def regression(rng: np.random.Generator, n: int, gain: float, blocks: int = 0) -> Pairs:
    """A benchmark of n soils; ``gain`` is the share by which the new model's errors are smaller."""
    truth = rng.gamma(3.0, 5.0, n)
    block = None
    common = rng.standard_normal(n)
    if blocks:
        index = np.arange(n) % blocks
        block = index.astype(str).astype(object)
        site = rng.standard_normal((blocks, 3))
        common = np.sqrt(0.5) * common + np.sqrt(0.5) * site[index, 0]
    own = rng.standard_normal((2, n))
    if blocks:
        own = np.sqrt(0.5) * own + np.sqrt(0.5) * site[index, 1:].T
    spread = 1 + 0.1 * truth
    base, head = (np.sqrt(0.7) * common + np.sqrt(0.3) * noise for noise in own)
    return Pairs(truth, truth + spread * base, truth + (1 - gain) * spread * head, None, block=block)


def classes(rng: np.random.Generator, n: int, gain: float, blocks: int = 0) -> Pairs:
    """Two classes, 30 % positive; the new model sees the signal with a share of ``gain`` less noise."""
    positive = rng.random(n) < 0.3
    common = rng.standard_normal(n)
    sides = []
    for less in (0.0, gain):
        noise = np.sqrt(0.7) * common + np.sqrt(0.3) * rng.standard_normal(n)
        logit = 2.0 * (positive - 0.5) + 1.2 * (1 - less) * noise - 0.4
        sides.append(1 / (1 + np.exp(-logit)))
    truth = positive.astype(float)
    likelihood = tuple(np.where(positive, p, 1 - p) for p in sides)
    return Pairs(
        truth,
        *((p > 0.5).astype(float) for p in sides),
        None,
        score=tuple(sides),
        likelihood=likelihood,
        positive=positive,
    )


RATIO = {score.key for score in SCORES.values() if score.ratio}


def true_changes(make, keys, gain: float) -> dict[str, float]:
    """Changes of the scores in a population of four million, relative for errors; none where nothing changed."""
    if gain == 0:
        return dict.fromkeys(keys, 0.0)
    rng = np.random.Generator(np.random.SFC64(99))
    totals: dict[str, list[float]] = {key: [] for key in keys}
    for _ in range(20):
        for key, found in estimates(make(rng, 200_000, gain), keys, IntervalSettings(resamples=0)).items():
            totals[key].append(found.change / (found.base if key in RATIO else 1))
    return {key: float(np.mean(values)) for key, values in totals.items()}


def simulate(make, keys, n: int, gain: float, options, blocks: int = 0) -> dict[str, np.ndarray]:
    """For all simulations: whether the interval covers, what is called better or worse by metric, any after Holm.

    The interval of an error is that of its relative change at the base's value, by the default method.
    """
    truth = true_changes(make, keys, gain)
    covered, called, corrected = (np.zeros((options.simulations, len(keys)), bool) for _ in range(3))
    rng = np.random.Generator(np.random.SFC64(options.seed + n + int(1000 * gain) + blocks))
    for run in range(options.simulations):
        settings = IntervalSettings(resamples=options.resamples, seed=run, method=options.method)
        found = estimates(make(rng, n, gain, blocks), keys, settings)
        intervals = corrected_intervals(found, {key: SCORES[key].family for key in found}, settings)
        for place, key in enumerate(keys):
            item = intervals[key]
            scale = found[key].base if key in RATIO else 1.0
            covered[run, place] = item.low <= truth[key] * scale <= item.high
            called[run, place] = item.low > 0 or item.high < 0
            corrected[run, place] = item.differs()
    return {"covered": covered, "called": called, "any": corrected.any(axis=1), "corrected": corrected}


def within(share: float, nominal: float, trials: int) -> str:
    """The share with a mark whether it lies in the 99 % binomial interval of its nominal value."""
    low, high = stats.binom.ppf([0.005, 0.995], trials, nominal) / trials
    mark = "" if low <= share <= high else " below" if share < low else " above"
    return f"{share:.3f}{mark}"


def machine() -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}, "
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=2_000)
    parser.add_argument("--resamples", type=int, default=2_000)
    parser.add_argument("--method", choices=["t", "bca"], default="t")
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 500])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/metrics_coverage.md"))
    options = parser.parse_args()
    started = time.process_time()
    trials = options.simulations
    low, high = stats.binom.ppf([0.005, 0.995], trials, 0.95) / trials
    lines = [
        "# Confidence intervals of compare-metrics: coverage, false verdicts, power",
        "",
        f"Made by `benchmarks/metrics_coverage.py`: {trials:,} simulations each, {options.resamples:,} resamples, "
        f"95 % intervals by {KIND[options.method]}. {machine()}.",
        "",
        f"99 % binomial interval around 0.95: {low:.4f} … {high:.4f}; around 0.05: {1 - high:.4f} … {1 - low:.4f}. "
        "`below` and `above` mark what lies outside.",
    ]
    cases = [
        ("regression", regression, REGRESSION, 0.10, 0),
        ("two classes", classes, CLASSES, 0.25, 0),
        ("regression in 25 blocks, intra-block correlation 0.5", regression, REGRESSION, 0.10, 25),
    ]
    for title, make, keys, gain, blocks in cases:
        for n in options.sizes:
            null = simulate(make, keys, n, 0.0, options, blocks)
            better = simulate(make, keys, n, gain, options, blocks)
            lines += [
                "",
                f"## {title}, n = {n}",
                "",
                f"Any metric called better or worse though nothing changed, after Holm's correction: "
                f"{within(float(null['any'].mean()), 0.05, trials)}.",
                "",
                "| metric | coverage, no change | coverage, true change | false verdict, alone | "
                "power, alone | power, corrected |",
                "|:--|--:|--:|--:|--:|--:|",
            ]
            for place, key in enumerate(keys):
                shares = [
                    within(float(null["covered"][:, place].mean()), 0.95, trials),
                    within(float(better["covered"][:, place].mean()), 0.95, trials),
                    within(float(null["called"][:, place].mean()), 0.05, trials),
                    f"{better['called'][:, place].mean():.2f}",
                    f"{better['corrected'][:, place].mean():.2f}",
                ]
                lines.append(f"| {LABELS[key]} | {' | '.join(shares)} |")
            print(f"{title}, n = {n}: {time.process_time() - started:.0f} s CPU", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
