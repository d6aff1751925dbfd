"""What the name of a metric says: its usual label, and whether lower or higher is better."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher", "zero", "none"]


@dataclass(frozen=True)
class Known:
    """A metric that is known by its name.

    Attributes
    ----------
    label
        How papers write it.
    direction
        ``lower``, ``higher`` or ``zero`` is better; ``none``: a change is neither.
    rank
        Place in a table; the smaller the more important.
    percent
        Whether a change in per cent of the base means something (not for R² or a bias, whose zero is arbitrary
        or their target).
    decides
        Whether a change counts for the verdict; a running time does not.
    """

    label: str
    direction: Direction
    rank: int = 50
    percent: bool = False
    decides: bool = True


def _group(direction: Direction, rank: int, *names: tuple[str, str], percent: bool = False) -> dict[str, Known]:
    return {
        key: Known(label, direction, rank + index, percent)
        for index, (keys, label) in enumerate(names)
        for key in keys.split()
    }


KNOWN: dict[str, Known] = {
    **_group(
        "lower",
        0,
        ("rmse rmsep rmsecv rmsec rmsd", "RMSE"),
        ("mae", "MAE"),
        ("mse", "MSE"),
        ("rmsle", "RMSLE"),
        ("mape", "MAPE"),
        ("smape", "sMAPE"),
        ("nrmse", "NRMSE"),
        ("medae", "MedAE"),
        ("crps", "CRPS"),
        percent=True,
    ),
    **_group(
        "higher",
        10,
        ("r2 rsquared rsq", "R²"),
        ("rpiq", "RPIQ"),
        ("rpd", "RPD"),
        ("nse", "NSE"),
        ("kge", "KGE"),
        ("ccc", "CCC"),
        ("explainedvariance", "explained variance"),
        ("pearson corr correlation", "correlation"),
    ),
    **_group("zero", 18, ("bias mbe meanerror", "bias"), ("pbias", "PBIAS")),
    **_group(
        "higher",
        20,
        ("accuracy acc", "accuracy"),
        ("balancedaccuracy", "balanced accuracy"),
        ("f1 f1score", "F1"),
        ("auc rocauc auroc", "AUC"),
        ("prauc auprc averageprecision", "average precision"),
        ("kappa", "kappa"),
        ("mcc", "MCC"),
        ("precision", "precision"),
        ("recall sensitivity", "recall"),
        ("specificity", "specificity"),
        ("iou jaccard", "IoU"),
        ("dice", "Dice"),
    ),
    **_group(
        "lower",
        34,
        ("logloss crossentropy nll", "log loss"),
        ("brier", "Brier score"),
        ("loss", "loss"),
        ("error errorrate", "error"),
        ("aic", "AIC"),
        ("bic", "BIC"),
        ("perplexity", "perplexity"),
        percent=True,
    ),
    **{key: Known("n", "none", 90) for key in ("n", "count", "samples", "nsamples", "support")},
    **{
        key: Known(key, "none", 95, percent=True, decides=False)
        for key in ("seconds", "duration", "time", "runtime", "epoch", "epochs", "step", "steps", "timestamp")
    },
}

# Parts of a name that say where it was measured, not what.
_WHERE = {"train", "training", "test", "val", "valid", "validation", "benchmark", "cv", "mean", "avg", "eval", "score"}


def infer(name: str) -> Known | None:
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
