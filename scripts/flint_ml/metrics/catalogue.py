"""The metrics that are known by their name: label, what is better, and how they are computed from predictions.

A new metric is one entry of :data:`METRICS`, with a :class:`Score` where predictions of both sides shall give it a
confidence interval.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from flint_ml.metrics import scores as s
from flint_ml.metrics.scores import Score

Direction = Literal["lower", "higher", "zero", "none"]
# Place in a table of a metric that is not in the catalogue.
UNKNOWN_RANK = 500


@dataclass(frozen=True)
class Metric:
    """A metric that is known by its name.

    Attributes
    ----------
    label
        How papers write it.
    names
        Names in files, without case and separators, separated by blanks.
    direction
        ``lower``, ``higher`` or ``zero`` is better; ``none``: a change is neither.
    scores
        What a metric of this name may have been computed as; the first that gives the values in the files counts.
    percent
        Whether a change in per cent of the base means something (not for R² or a bias, whose zero is arbitrary
        or their target).
    decides
        Whether a change counts for the verdict; a running time does not.
    """

    label: str
    names: str
    direction: Direction
    scores: tuple[Score, ...] = ()
    percent: bool = False
    decides: bool = True

    @property
    def rank(self) -> int:
        """Place in a table: the order of the catalogue, with those that are neither better nor worse at the end."""
        return _RANKS[self.label] + (2 * UNKNOWN_RANK if self.direction == "none" else 0)


def _error(label: str, names: str, *scores: Score) -> Metric:
    """A metric of which less is better and none is nothing, so that per cent mean something."""
    return Metric(label, names, "lower", scores, percent=True)


def _gain(label: str, names: str, *scores: Score) -> Metric:
    return Metric(label, names, "higher", scores)


# The order is that of papers and of tables.
METRICS = (
    _error("RMSE", "rmse rmsep rmsecv rmsec rmsd", Score("rmse", "regression", "squared error", s.rmse, ratio=True)),
    _error("MAE", "mae", Score("mae", "regression", "absolute error", lambda x: x["abs"] / x["n"], ratio=True)),
    _error("MSE", "mse", Score("mse", "regression", "squared error", lambda x: x["e2"] / x["n"], ratio=True)),
    _error("RMSLE", "rmsle"),
    _error("MAPE", "mape"),
    _error("sMAPE", "smape"),
    _error("NRMSE", "nrmse"),
    _error("MedAE", "medae"),
    _error("CRPS", "crps"),
    _gain(
        "R²",
        "r2 rsquared rsq",
        R2 := Score("r2", "regression", "squared error", lambda x: 1 - x["e2"] / s.spread(x)),
        Score("r2-correlation", "regression", "correlation", s.squared_correlation),
    ),
    _gain("RPIQ", "rpiq", Score("rpiq", "regression", "squared error", lambda x: x["iqr"] / s.rmse(x), ratio=True)),
    _gain("RPD", "rpd", Score("rpd", "regression", "squared error", s.rpd, ratio=True)),
    _gain("NSE", "nse", R2),
    _gain("KGE", "kge"),
    _gain("CCC", "ccc"),
    _gain("explained variance", "explainedvariance"),
    _gain("correlation", "pearson corr correlation"),
    Metric(
        "bias",
        "bias mbe meanerror",
        "zero",
        (
            Score("bias", "regression", "mean error", lambda x: x["e"] / x["n"]),
            Score("bias-reversed", "regression", "mean error", lambda x: -x["e"] / x["n"]),
        ),
    ),
    Metric("PBIAS", "pbias", "zero"),
    _gain("accuracy", "accuracy acc", Score("accuracy", "classes", "accuracy", s.accuracy)),
    _gain(
        "balanced accuracy",
        "balancedaccuracy",
        Score("balanced-accuracy", "classes", "balanced accuracy", lambda x: s.mean_of_present(x, s.recall(x))),
    ),
    _gain(
        "F1",
        "f1 f1score",
        Score("f1", "classes", "f1", lambda x: s.f1(x)[:, -1]),
        Score("f1-macro", "classes", "f1", lambda x: s.mean_of_present(x, s.f1(x))),
        Score("f1-weighted", "classes", "f1", s.weighted_f1),
    ),
    _gain("AUC", "auc rocauc auroc", AUC := Score("auc", "ranks", "auc", lambda x: np.full(len(x["n"]), np.nan))),
    _gain("average precision", "prauc auprc averageprecision"),
    _gain("kappa", "kappa", Score("kappa", "classes", "kappa", s.kappa)),
    _gain("MCC", "mcc"),
    _gain(
        "precision",
        "precision",
        Score("precision", "classes", "precision", lambda x: s.precision(x)[:, -1]),
        Score("precision-macro", "classes", "precision", lambda x: s.mean_of_present(x, s.precision(x))),
    ),
    _gain(
        "recall",
        "recall sensitivity",
        Score("recall", "classes", "recall", lambda x: s.recall(x)[:, -1]),
        Score("recall-macro", "classes", "recall", lambda x: s.mean_of_present(x, s.recall(x))),
    ),
    _gain("specificity", "specificity"),
    _gain("IoU", "iou jaccard"),
    _gain("Dice", "dice"),
    _error(
        "log loss",
        "logloss crossentropy nll",
        Score("logloss", "classes", "log loss", lambda x: x["nll"] / x["n"], ratio=True, needs="nll"),
    ),
    _error("Brier score", "brier"),
    _error("loss", "loss"),
    _error("error", "error errorrate"),
    _error("AIC", "aic"),
    _error("BIC", "bic"),
    _error("perplexity", "perplexity"),
    Metric("n", "n count samples nsamples support", "none"),
    *(
        Metric(name, name, "none", percent=True, decides=False)
        for name in ("seconds", "duration", "time", "runtime", "epoch", "epochs", "step", "steps", "timestamp")
    ),
)
_RANKS = {metric.label: rank for rank, metric in enumerate(METRICS)}
KNOWN = {name: metric for metric in METRICS for name in metric.names.split()}
SCORES = {score.key: score for metric in METRICS for score in metric.scores}

# Parts of a name that say where it was measured, not what.
_WHERE = {"train", "training", "test", "val", "valid", "validation", "benchmark", "cv", "mean", "avg", "eval", "score"}


def infer(name: str) -> Metric | None:
    """What ``name`` (``test.rmse``, ``val_f1-score``, ``R2``) is known as, or None.

    The last part that is known decides, so that ``loss.seconds`` is a time and ``soc.rmse`` an RMSE. Only whole
    words count: ``rmse_ratio_limit`` names something else than an RMSE and is not guessed at.
    """
    tail = re.split(r"[./:]", name.replace("²", "2"))[-1]
    words = [word for word in re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", tail).lower()) if word]
    kept = [word for word in words if word not in _WHERE] or words
    whole = KNOWN.get("".join(kept)) or KNOWN.get("".join(words))
    if whole:
        return whole
    # A name with what it is about: soc_rmse, rmse_clay. Two words at most may be foreign, or it is a guess.
    hits = [KNOWN[word] for word in kept if word in KNOWN and len(word) > 1]
    return hits[0] if len(hits) == 1 and len(kept) <= 2 else None
