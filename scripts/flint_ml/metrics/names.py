"""What the name of a metric says: which metric it is, on which samples, and what is better.

The grammar. A name is cut at ``. / : |`` and brackets into parts, parts at other signs and humps into words; an
``@10`` or ``@0.5`` belongs to the word before it. In the last part that names a metric of the catalogue, the longest
run of words that names one is the metric; ``mean_error`` is a bias, not an error. Every other word is one of:

==================  =========================================================  =============================
split               train, val, test, cv, holdout, benchmark, eval …           says where, not what
statistic           mean, median, macro, weighted, best, p95, a number …       nothing changes
sign                neg, negative, minus before the metric                     the direction turns
head                loss, error, cost after the metric (``dice_loss``)         lower is better
another quantity    std, se, ci, var, p, n, gap, drop, ratio, null, target …   no direction is known
subject             anything else (``soc``, ``clay``, ``0-30``)                what it is about
==================  =========================================================  =============================

More than three words of a subject beside the metric, or any after a short or general name (``me``, ``n``, ``score``),
are too many for a guess: no direction is known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Literal

from flint_ml.metrics.catalogue import KNOWN, Direction, Metric

Split = Literal["train", "val", "test", ""]


def _words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn", "tr", "fit", "fitted", "learn", "insample"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval", "evaluation", "cv", "crossval", "oof", "oob"), "val"),
    **dict.fromkeys(("test", "testing", "holdout", "heldout", "benchmark", "oot", "external", "independent"), "test"),
}
# Words that are a split only as a whole part (``train.rmse``), for they are also a subject or a statistic.
_ONLY_WHOLE = {"tr", "fit", "learn", "external", "independent", "fitted"}
_STATISTICS = _words_of(
    "mean avg average median macro micro weighted binary samples best last final worst min max overall total all "
    "global multiclass multilabel ovr ovo score metric metrics value estimate per class cross bbox segm mask cut pct "
    "percent by at k relative rel normalized normalised norm adjusted adj log sqrt root ensemble pooled fold folds "
    "split epoch running smoothed ema"
)
_SIGNS = frozenset(("neg", "negative", "minus"))
_HEADS = frozenset(("loss", "error", "err", "cost"))
# Words that make another quantity of a metric, whose direction nobody knows from its name.
_OTHER = _words_of(
    "std sd stdev stdv stddev se sem stderr ste deviation ci ci95 ci90 cil ciu lcl ucl lower upper lo hi low high var "
    "variance cov p pvalue pval pv n num number nobs count support gap drop diff difference delta change changed "
    "improvement improved improve gain increase decrease reduction reduced ratio inverse inv reciprocal null baseline "
    "dummy naive chance random reference ref threshold thr thresh target goal limit required requirement tolerance "
    "budget residual residuals range iqr spread margin rank weight weights coef coefficient slope intercept share "
    "uncertainty interval width variability noise ceiling floor penalty factor scale alpha beta gamma lambda "
    "temperature "
    "decay patience cutoff quantile bound bounds z t q skew kurtosis entropy hours frequency freq vs versus name "
    "id version beats wins time persistence climatology majority seasonal lag pm bar"
)
# A loss or an error of one of these is a quantity of nature.
_NATURE = _words_of(
    "carbon soil water nutrient nitrogen phosphorus biomass heat mass area forest cover yield tree crop harvest humus "
    "organic sediment runoff energy habitat species land canopy tc ha kg tco2 co2 ch4 n2o gpp npp nep nee"
)
# Between truth and prediction, or between any two columns.
_OF_TWO = frozenset(("correlation", "corr", "pearson", "spearman"))
_GENERAL = frozenset(("loss", "error", "cost", "score", "time", "n", "count", "samples", "quantile"))
# Names of metrics that are also plain words: alone they name the metric, beside others they are a subject.
_AMBIGUOUS = _words_of(
    "map pre far fair lin rand spec sens sam hit hits ter loo em ap ks skill phi roc fid kid mer wil vif sdr snr ef oa "
    "memory topk concordance selectivity correctness matthews size l1 l2 kl s sec wis "
    "aps apm apl mapk pa ua ar ark pk rk ms ve rms nash tss ets pss mis nd owa press dic gcv hss bss looic mre mare"
)
_MOST_WORDS, _MOST_SUBJECT = 8, 3


@dataclass(frozen=True)
class Meaning:
    """What a name says.

    Attributes
    ----------
    metric
        The metric of the catalogue, where one is named.
    direction
        What is better; ``none`` where the name does not say, or what it names has none.
    known
        Whether the direction is known (``none`` may be known: a count).
    split
        Samples that it was measured on: ``train``, ``val``, ``test`` or empty.
    plain
        Whether the name says nothing else than the metric.
    unit
        The unit that stands in brackets or behind the name (``RMSE (g/kg)``, ``latency_ms``); else empty.
    why
        How it was read, for people.
    """

    metric: Metric | None
    direction: Direction
    known: bool
    split: Split
    plain: bool
    why: str
    unit: str = ""


@dataclass(frozen=True)
class _Hit:
    metric: Metric
    start: int
    end: int
    alias: str

    @property
    def order(self) -> tuple[int, bool, int, int]:
        """The longest run of words wins; then what is no mere loss, error or count; then the longest name, the last."""
        mere = self.alias in _HEADS or self.metric.direction == "none"
        return self.end - self.start, not mere, len(self.alias), self.end


_SPELLED = {"²": "2", "R^2": "R2", "r^2": "r2", "ρ": "rho", "κ": "kappa", "±": " std ", "%": " percent "}
# A unit in brackets at the end; other brackets hold a split, a class or a kind of the metric.
_BRACKETS = re.compile(
    r"\s*[\[(]\s*((?:[^\[\]()]*(?:[/%°µ·⁻]|[A-Za-z]\^?-?[1-3]\b)[^\[\]()]*)|(?:[kmcµ]?g|[kcm]?m|t|K|dB|ha|m?s|mins?|hours?"
    r"|[KMG]i?B|ppm|dex))\s*[\])]\s*$"
)
_BEHIND = re.compile(r"[_ .](ms|seconds|minutes|hours|MB|mb|GB|gb|KB|kb|bytes|fps)$")
_UNITS = {"seconds": "s", "minutes": "min", "hours": "h", "mb": "MB", "gb": "GB", "kb": "KB", "fps": "1/s"}


def unit_of(name: str) -> tuple[str, str]:
    """The name without the unit in brackets, and the unit that it says (empty where it says none)."""
    if bracket := _BRACKETS.search(name):
        return name[: bracket.start()], bracket[1].strip()
    behind = _BEHIND.search(name)
    return name, _UNITS.get(behind[1], behind[1]) if behind else ""


def _words(part: str) -> list[str]:
    humps = re.sub(r"([a-z0-9])([A-Z][a-z])|([a-z])([A-Z])", r"\1\3_\2\4", part)
    words = [word for word in re.split(r"[^a-z0-9]+", humps.lower()) if word]
    return [half for word in words for half in _halves(word)]


def _halves(word: str) -> list[str]:
    """caret's ``RMSESD`` as two words."""
    end = next((end for end in ("sd", "std") if word.endswith(end) and word.removesuffix(end) in KNOWN), None)
    return [word.removesuffix(end), end] if end and word not in KNOWN else [word]


# What stands in a part of this name describes the model or the run.
_SETTINGS = _words_of(
    "params parameters param hyperparameters hyperparams config configuration settings args options bestparams "
    "featureimportance featureimportances importance importances shap coefficients versions environment"
)


def _parts(name: str) -> list[list[str]]:
    for sign, word in _SPELLED.items():
        name = name.replace(sign, word)
    text = re.sub(r"['’]s\b", "", name)  # LightGBM's `valid_0's l2`
    text = re.sub(r"@\s*[\d.]+(?:[:-][\d.]+)?|@\s*k\b", "@k", text)
    text = re.sub(r"(?<=\d)[.:](?=\d)", "_", text)
    return [words for part in re.split(r"[./:|()\[\]{}>]+|\s-\s", text) if (words := _words(part))]


def _hits(words: list[str]) -> list[_Hit]:
    hits = []
    for start in range(len(words)):
        for end in range(start + 1, min(len(words), start + _MOST_WORDS) + 1):
            for alias in _spellings(words[start:end]):
                if alias in KNOWN:
                    hits.append(_Hit(KNOWN[alias], start, end, alias))
                    break
    return hits


def _spellings(words: list[str]) -> list[str]:
    """The words as one, as they are, with numbers as k (``top_5_accuracy``), and in the singular's form."""
    whole = "".join(words)
    numbered = "".join("k" if word.isdigit() else re.sub(r"(?<=top)\d+$", "k", word) for word in words)
    return [whole, numbered] if numbered != whole else [whole]


@lru_cache(maxsize=20_000)
def meaning(name: str, path: str = "") -> Meaning:
    """What ``name`` of the file ``path`` says (see the grammar above)."""
    bare, unit = unit_of(name)
    parts = _dotted(_parts(bare))
    split = _split(parts, path)
    if any("".join(words) in _SETTINGS for words in parts[:-1]):
        return Meaning(KNOWN["params"], "none", True, split, False, "a setting or a property of the model", unit)
    for number in range(len(parts) - 1, -1, -1):
        words = parts[number]
        hits = _hits(words)
        if not hits:
            continue
        # scikit-learn's `f1_samples` is an average over samples, Lightning's `val_loss_epoch` one over an epoch.
        hits = [hit for hit in hits if hit.alias not in _OF_SOMETHING] or hits
        hit = max(hits, key=lambda hit: hit.order)
        others = [word for place, part in enumerate(parts) if place != number for word in part]
        return replace(_read(hit, words, others, split), unit=unit)
    return Meaning(None, "none", False, split, False, "no metric of the catalogue in it", unit)


_OF_SOMETHING = frozenset(("samples", "epoch", "epochs", "step", "steps", "iter", "iteration"))


def _dotted(parts: list[list[str]]) -> list[list[str]]:
    """Parts of one word each that together name a metric as one part: R parts words by dots (``mean.error``)."""
    joined = list(parts)
    for length in range(min(len(parts), _MOST_WORDS), 1, -1):
        for start in range(len(parts) - length + 1):
            run = parts[start : start + length]
            if all(len(words) == 1 for words in run):
                alias = "".join(words[0] for words in run)
                if alias in KNOWN and (len(alias) > 4 or length == len(parts)):
                    joined[start : start + length] = [[word for words in run for word in words]]
                    return joined
    return joined


def _read(hit: _Hit, words: list[str], others: list[str], split: Split) -> Meaning:
    metric = hit.metric
    before, after = words[: hit.start], words[hit.end :]
    rest = [*before, *after]
    strange = next((word for word in [*rest, *others] if _is_other(word)), None)
    label = metric.label
    if strange is not None and not _dull(metric):
        return Meaning(None, "none", False, split, False, f"{label}, but `{strange}` makes another quantity of it")
    subject = [word for word in rest if not _neutral(word)]
    direction: Direction = metric.direction
    turned = bool(before) and before[-1] in _SIGNS
    heads = [word for word in after if word in _HEADS]
    if turned:
        subject = [word for word in subject if word not in _SIGNS]
        direction = {"lower": "higher", "higher": "lower"}.get(direction, direction)  # type: ignore[assignment]
    if heads and heads[0] != "loss" and metric.least is None and direction == "higher":
        return Meaning(None, "none", False, split, False, f"the {heads[0]} of {label} may be its uncertainty")
    if heads and direction == "higher":
        subject = [word for word in subject if word not in _HEADS]
        direction = "lower"
    if {"abs", "absolute"} & {*before} and direction == "zero":
        direction = "lower"
    subject = [word for word in subject if word not in ("abs", "absolute", *_HEADS)]
    short = len(hit.alias) <= 2 and hit.alias not in ("r2", "f1", "q2", "f2", "ce", "d2")
    nature = any(word in _NATURE for word in [*rest, *others]) and hit.alias in _GENERAL
    alone = short or hit.alias == "score" or hit.alias in _AMBIGUOUS
    limit = 0 if alone else 1 if hit.alias in _GENERAL | _OF_TWO else _MOST_SUBJECT
    if nature or len(subject) > limit:
        return Meaning(None, "none", False, split, False, f"`{' '.join(words)}` names too much beside {label}")
    plain = not rest and not others
    said = f"{label}" + (", turned by its sign" if turned else "") + (f", a {heads[0]}" if heads else "")
    return Meaning(metric, direction, True, split, plain, said)


def _is_other(word: str) -> bool:
    return (word in _OTHER and word not in SPLITS) or re.fullmatch(r"ci\d+|\d+ci", word) is not None


def _dull(metric: Metric) -> bool:
    """Whether it decides nothing anyway: a count or a duration stays one, whatever stands beside it."""
    return metric.direction == "none"


def without_split(name: str) -> tuple[str, ...]:
    """The words of a name that do not say on which samples: the same for ``train_rmse`` and ``test.rmse``."""
    return tuple(sorted(word for part in _parts(name) for word in part if word not in SPLITS))


# Words of a number that says how a metric varies, and of one that stands for the metric itself.
_VARIES = _words_of(
    "std sd stdev stdv stddev se sem stderr ste deviation ci lcl ucl lower upper lo hi low high var variance p pvalue "
    "pval pv n nobs count support null uncertainty interval width iqr range skew min max worst"
)
_CENTRAL = _words_of("mean avg average median value estimate overall standard")


def beside(name: str) -> tuple[tuple[str, ...], str]:
    """What ``name`` is about, and the word that makes it a number beside the metric (``rmse_std``: std); else empty."""
    words = [word for part in _parts(unit_of(name)[0]) for word in _without_metric(part)]
    numbers = {word for before, word in zip(words[1:], words[:-1], strict=True) if before == "percent"}
    varies = next((word for word in words if word in _VARIES or word in numbers or _is_part(word)), "")
    left = [w for w in words if w not in _VARIES and w not in _CENTRAL and w not in numbers and not _is_part(w)]
    return tuple(sorted(word for word in left if word != "percent")), varies


def _without_metric(words: list[str]) -> list[str]:
    """The words, those of a metric's name of several as one: the `max` of `max_error` is no extreme of an error."""
    hits = [hit for hit in _hits(words) if hit.end - hit.start > 1]
    if not hits:
        return words
    hit = max(hits, key=lambda hit: hit.order)
    return [*words[: hit.start], hit.alias, *words[hit.end :]]


def _is_part(word: str) -> bool:
    return re.fullmatch(r"(?:[pq]|fold|split)\d+|ci\d+|\d+ci", word) is not None


def _neutral(word: str) -> bool:
    return (
        word in SPLITS or word in _STATISTICS or word.isdigit() or re.fullmatch(r"(p|k|v|fold|ap)\d+", word) is not None
    )


def _split(parts: list[list[str]], path: str) -> Split:
    """Where it was measured; the last word that says so counts, then the file's own name, then its folder's."""
    stem = PurePosixPath(path)
    places = [(part, len(part) == 1) for part in reversed(parts)]
    # `train.log` is what the training said, also of the test set.
    logged = stem.suffix.lower() in (".log", ".out")
    places += [([] if logged else _words(stem.stem), False), (_words(stem.parent.name), True)] if path else []
    for index, (words, whole) in enumerate(places):
        if index == len(places) - 1 and path and len(words) != 1:
            continue
        for word in reversed(words):
            split = SPLITS.get(word, "")
            if split and (whole or word not in _ONLY_WHOLE):
                return split
    return ""
