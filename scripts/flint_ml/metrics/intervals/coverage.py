"""What the intervals of this comparison are worth, by simulation: benchmarks/results/metrics_coverage.md.

Said in the folded part of the report, so that nobody has to take "95 %" on trust.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flint_ml.metrics.catalogue import SCORES
from flint_ml.metrics.intervals.bootstrap import IntervalSettings
from flint_ml.metrics.intervals.interval import Interval
from flint_ml.record import Finding

CODE = "interval-coverage"
# Simulated with 100 and 500 samples; with 500 nothing deviates but in blocks.
FEW = 500
_NAMES = {"r2": "R²", "auc": "AUC", "rmse": "RMSE", "rpiq": "RPIQ", "logloss": "log loss", "accuracy": "accuracy"}
# Shares of simulations in which the interval held the true change, where they lie outside the binomial interval.
_WIDE_WHEN_FEW = {"r2": "96.5 %", "auc": "96.5 %"}
_WIDE_IN_BLOCKS = {"r2": "96.6 %"}
_NARROW_BCA = {
    "rmse": "91.0 %",
    "r2": "91.0 %",
    "rpiq": "92.3 %",
    "auc": "92.5 %",
    "logloss": "93.2 %",
    "accuracy": "93.1 %",
}


def interval_coverage(
    intervals: Mapping[str, Interval], scores: Mapping[str, str], settings: IntervalSettings, *, blocks: bool
) -> list[Finding]:
    """How often such intervals held the true change, and where that is not what they say.

    Parameters
    ----------
    intervals
        By the metric's name.
    scores
        The score that each metric is, by its name.
    settings
        Kind and correction of the intervals.
    blocks
        Whether samples were resampled in blocks.
    """
    keys = {scores[name] for name in intervals if name in scores}
    if not keys:
        return []
    few = max(interval.units or 0 for name, interval in intervals.items() if name in scores) < FEW
    if settings.method == "bca":
        narrow = _listed(_NARROW_BCA, keys)
        parts = ["BCa intervals of the plain difference are narrower than they say"]
        parts += [f"in simulations 95 % ones held the true change as seldom as {narrow}"] if narrow else []
        return _finding([*parts, "`interval: t` keeps its level"])
    parts = [
        "in 2,000 simulations each with 100 and with 500 samples, 95 % intervals like these held the true change in "
        "94.0 to 96.6 %"
    ]
    wide = _listed(_WIDE_IN_BLOCKS if blocks else _WIDE_WHEN_FEW if few else {}, keys)
    if wide:
        where = "in blocks" if blocks else f"with fewer than {FEW} samples"
        parts.append(f"{where} a little too wide, so that a change may be missed but is not made up: {wide}")
    if settings.correction == "holm" and len({SCORES[key].family for key in keys}) > 1:
        parts.append("an unchanged model was called better or worse in at most 3.1 %, where 5 % are allowed")
    return _finding(parts)


def _listed(shares: Mapping[str, str], keys: set[str]) -> str:
    return ", ".join(f"{_NAMES[key]} {share}" for key, share in shares.items() if key in keys)


def _finding(parts: Sequence[str]) -> list[Finding]:
    return [Finding(severity="info", code=CODE, message="; ".join(parts))]
