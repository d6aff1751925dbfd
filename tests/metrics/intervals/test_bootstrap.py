"""Scores against scikit-learn, intervals against scipy, and what resampling must hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from flint_ml.metrics.catalogue import SCORES
from flint_ml.metrics.intervals import resample
from flint_ml.metrics.intervals.auc import Ranked
from flint_ml.metrics.intervals.bootstrap import (
    Estimate,
    IntervalSettings,
    corrected_intervals,
    estimates,
    observed,
)
from flint_ml.metrics.intervals.interval import bca, needed, p_of
from flint_ml.metrics.predictions import Pairs

REGRESSION = [key for key, score in SCORES.items() if score.kind == "regression"]
CLASSES = [key for key, score in SCORES.items() if score.kind == "classes" and score.needs is None]
RNG = np.random.default_rng(7)


def soil(n: int = 120, *, better: float = 0.8, seed: int = 3) -> Pairs:
    rng = np.random.default_rng(seed)
    truth = rng.gamma(3, 5, n)
    base = truth + rng.normal(0.2, 2, n)
    return Pairs(truth, base, truth + better * (base - truth) * 0.7 + rng.normal(0, 0.8, n), None)


def land_use(n: int = 200, k: int = 3) -> Pairs:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, k, n)
    sides = [np.where(rng.random(n) < share, truth, rng.integers(0, k, n)) for share in (0.5, 0.7)]
    names = np.array(["cropland", "forest", "grassland", "peat"], dtype=object)
    return Pairs(names[truth], names[sides[0]], names[sides[1]], None)


def binary(n: int = 150, *, ties: bool = False) -> Pairs:
    rng = np.random.default_rng(9)
    positive = rng.random(n) < 0.3
    score = tuple(np.clip(rng.normal(0.35 + 0.2 * positive, s), 0.01, 0.99) for s in (0.2, 0.15))
    if ties:
        score = tuple(np.round(values, 1) for values in score)
    likelihood = tuple(np.where(positive, p, 1 - p) for p in score)
    labels = [(p > 0.5).astype(float) for p in score]
    return Pairs(positive.astype(float), *labels, None, likelihood=likelihood, score=score, positive=positive)


def test_regression_scores_are_scikit_learns() -> None:
    pairs = soil()
    found = observed(pairs, REGRESSION)
    quartiles = np.subtract(*np.quantile(pairs.truth, [0.75, 0.25]))
    for side, prediction in enumerate((pairs.base, pairs.head)):
        rmse = sk.root_mean_squared_error(pairs.truth, prediction)
        expected = {
            "rmse": rmse,
            "mse": rmse**2,
            "mae": sk.mean_absolute_error(pairs.truth, prediction),
            "r2": sk.r2_score(pairs.truth, prediction),
            "bias": np.mean(prediction - pairs.truth),
            "bias-reversed": np.mean(pairs.truth - prediction),
            "rpiq": quartiles / rmse,
            "rpd": np.std(pairs.truth, ddof=1) / rmse,
            "r2-correlation": np.corrcoef(pairs.truth, prediction)[0, 1] ** 2,
        }
        assert {key: values[side] for key, values in found.items()} == pytest.approx(expected)


def test_class_scores_are_scikit_learns() -> None:
    pairs = land_use()
    found = observed(pairs, CLASSES)
    for side, predicted in enumerate((pairs.base, pairs.head)):
        truth = pairs.truth
        last = {"labels": ["grassland"], "average": "macro"}
        expected = {
            "accuracy": sk.accuracy_score(truth, predicted),
            "balanced-accuracy": sk.balanced_accuracy_score(truth, predicted),
            "kappa": sk.cohen_kappa_score(truth, predicted),
            "f1": sk.f1_score(truth, predicted, **last),
            "f1-macro": sk.f1_score(truth, predicted, average="macro"),
            "f1-weighted": sk.f1_score(truth, predicted, average="weighted"),
            "precision": sk.precision_score(truth, predicted, **last),
            "precision-macro": sk.precision_score(truth, predicted, average="macro"),
            "recall": sk.recall_score(truth, predicted, **last),
            "recall-macro": sk.recall_score(truth, predicted, average="macro"),
        }
        assert {key: values[side] for key, values in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize("ties", [False, True])
def test_auc_and_log_loss_are_scikit_learns(ties: bool) -> None:
    pairs = binary(ties=ties)
    found = observed(pairs, ["auc", "logloss"])
    assert pairs.score is not None
    for side, score in enumerate(pairs.score):
        assert found["auc"][side] == pytest.approx(sk.roc_auc_score(pairs.positive, score))
        assert found["logloss"][side] == pytest.approx(sk.log_loss(pairs.positive, score))


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_auc_and_its_influence(ties: bool) -> None:
    pairs = binary(60, ties=ties)
    assert pairs.score is not None
    assert pairs.positive is not None
    ranked = Ranked(pairs.score[0], pairs.positive)
    counts = np.random.default_rng(1).integers(0, 4, (3, 60)).astype(float)
    expected = [sk.roc_auc_score(pairs.positive, pairs.score[0], sample_weight=row) for row in counts]
    assert ranked.auc(counts) == pytest.approx(expected)
    step = 1e-6 * np.eye(60)
    slopes = (ranked.auc(1 + step) - ranked.auc(np.ones((1, 60)))) / 1e-6
    assert ranked.with_influence(np.ones((1, 60)))[1][0] == pytest.approx(slopes, abs=1e-5)
    assert ranked.with_influence(counts)[0] == pytest.approx(expected)
    slopes = (ranked.auc(counts[1] + step) - ranked.auc(counts[1:2])) / 1e-6
    assert ranked.with_influence(counts)[1][1] == pytest.approx(slopes, abs=1e-5)


def test_intervals_agree_with_scipy() -> None:
    pairs = soil(400)

    def change(truth, base, head, axis=-1):
        return np.sqrt(np.mean((head - truth) ** 2, axis)) - np.sqrt(np.mean((base - truth) ** 2, axis))

    expected = stats.bootstrap(
        (pairs.truth, pairs.base, pairs.head), change, paired=True, n_resamples=9_999, rng=np.random.default_rng(0)
    ).confidence_interval
    low, high = estimates(pairs, ["rmse"], IntervalSettings())["rmse"].interval(0.95, "bca")
    # Ours is wider by t's tail of 400 samples, about 0.4 %, and both have the noise of 10,000 resamples.
    assert low == pytest.approx(expected.low, abs=0.06 * (expected.high - expected.low))
    assert high == pytest.approx(expected.high, abs=0.06 * (expected.high - expected.low))


def test_the_bootstrap_t_of_a_mean_is_students() -> None:
    rng = np.random.default_rng(3)
    truth = np.zeros(40)
    pairs = Pairs(truth, truth, rng.normal(0.3, 1, 40), None)
    low, high = estimates(pairs, ["bias"], IntervalSettings(resamples=40_000))["bias"].interval(0.95)
    expected = stats.ttest_1samp(pairs.head, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.02)


def again(pairs: Pairs, row: np.ndarray) -> Pairs:
    index = np.repeat(np.arange(pairs.n), row)
    return Pairs(pairs.truth[index], pairs.base[index], pairs.head[index], None)


def test_standard_errors_of_resamples_are_those_of_the_resampled_data() -> None:
    pairs = soil(400)
    found = estimates(pairs, ["rmse", "bias"], IntervalSettings(resamples=3, seed=8))
    rng = np.random.Generator(np.random.SFC64(8))
    counts = np.concatenate(list(resample.weights(rng, 400, 3))).astype(int)
    rmse, bias = found["rmse"], found["bias"]
    assert rmse.errors is not None
    assert bias.errors is not None
    for place, row in enumerate(counts):
        redone = estimates(again(pairs, row), ["rmse", "bias"], IntervalSettings(resamples=0))
        assert [boot[place] for boot in rmse.boots] == pytest.approx([redone["rmse"].base, redone["rmse"].head])
        assert bias.errors[place] == pytest.approx(redone["bias"].error, rel=0.01)
        squares = [np.repeat((side - pairs.truth) ** 2, row) for side in (pairs.base, pairs.head)]
        # The delta method by hand: log RMSE moves by e² / (2 Σe²) with each sample.
        pull = squares[1] / np.sum(squares[1]) / 2 - squares[0] / np.sum(squares[0]) / 2
        assert rmse.errors[place] == pytest.approx(np.sqrt(np.sum(pull**2)), rel=1e-4)


def test_errors_are_compared_by_their_ratio() -> None:
    pairs = soil()
    low, high = estimates(pairs, ["rmse"], IntervalSettings())["rmse"].interval(0.95)
    base, head = observed(pairs, ["rmse"])["rmse"]
    assert np.log1p(low / base) + np.log1p(high / base) == pytest.approx(2 * np.log(head / base))
    # RPIQ is the reciprocal, so it asks the same question.
    other = estimates(pairs, ["rpiq"], IntervalSettings())["rpiq"]
    ends = [np.log1p(end / other.base) for end in other.interval(0.95)]
    assert ends == pytest.approx([-np.log1p(high / base), -np.log1p(low / base)], rel=1e-3)


def test_a_perfect_model_has_an_interval_too() -> None:
    pairs = soil()
    perfect = Pairs(pairs.truth, pairs.base, pairs.truth.copy(), None)
    low, high = estimates(perfect, ["rmse"], IntervalSettings())["rmse"].interval(0.95)
    assert low < -observed(pairs, ["rmse"])["rmse"][0] < high < 0


def test_large_samples_use_other_weights_and_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = soil(2_000)
    keys = ["rmse", "mae", "r2", "bias"]
    exact = estimates(pairs, keys, IntervalSettings(resamples=5_000))
    monkeypatch.setattr(resample, "LARGE", 100)
    fast = estimates(pairs, keys, IntervalSettings(resamples=5_000))
    for key in keys:
        wide = np.ptp(exact[key].interval(0.95))
        assert fast[key].interval(0.95) == pytest.approx(exact[key].interval(0.95), abs=0.06 * wide)
        assert fast[key].p_value == pytest.approx(exact[key].p_value, abs=0.03)


def test_poisson_counts_have_the_right_moments() -> None:
    counts = resample.poisson(np.random.default_rng(2), 1_000, 1_000).ravel()
    assert counts.mean() == pytest.approx(1, abs=0.005)
    assert counts.var() == pytest.approx(1, abs=0.01)
    assert stats.skew(counts) == pytest.approx(1, abs=0.03)


def test_weights_of_small_samples_draw_n_out_of_n() -> None:
    counts = np.concatenate(list(resample.weights(np.random.default_rng(2), 50, 200)))
    assert counts.shape == (200, 50)
    assert (counts.sum(axis=1) == 50).all()


def test_sums_are_those_of_copied_data() -> None:
    columns = np.column_stack([np.ones(40), RNG.normal(5, 1, 40)])
    sums = resample.bootstrap_sums(columns, 30, np.random.default_rng(4))
    counts = np.concatenate(list(resample.weights(np.random.default_rng(4), 40, 30)))
    assert sums == pytest.approx(np.array([np.repeat(columns, row.astype(int), 0).sum(0) for row in counts]))


def test_whole_blocks_are_resampled() -> None:
    one = soil(50)
    block = np.arange(50).astype(str).astype(object)
    ten = Pairs(*(np.tile(side, 10) for side in (one.truth, one.base, one.head)), None, block=np.tile(block, 10))
    by_block = estimates(ten, ["rmse"], IntervalSettings())["rmse"]
    alone = estimates(one, ["rmse"], IntervalSettings())["rmse"]
    naive = estimates(Pairs(ten.truth, ten.base, ten.head, None), ["rmse"], IntervalSettings())["rmse"]
    # Ten copies of each sample hold no more than one does.
    assert by_block.units == 50
    wide = np.ptp(alone.interval(0.95))
    assert by_block.interval(0.95) == pytest.approx(alone.interval(0.95), abs=0.05 * wide)
    assert np.ptp(naive.interval(0.95)) < 0.5 * wide


def test_identical_predictions_do_not_differ() -> None:
    pairs = soil()
    same = Pairs(pairs.truth, pairs.base, pairs.base.copy(), None)
    for estimate in estimates(same, REGRESSION, IntervalSettings()).values():
        assert estimate.interval(0.95) == (0.0, 0.0)
        assert estimate.p_value == 1.0


def test_permutation_counts_the_sample_itself() -> None:
    assert p_of(1.0, np.array([0.0, 0.5, -1.0])) == 0.5
    assert p_of(2.0, np.array([0.0, 0.5, -1.0])) == 0.25


def test_bca_without_information_decides_nothing() -> None:
    assert bca(1.0, np.array([]), np.ones(30), 0.95) == (float("-inf"), float("inf"))


def drawn(centre: float, p_value: float) -> Estimate:
    """An estimate whose resamples are normal around ``centre`` with standard deviation one."""
    boot = centre + stats.norm.ppf((np.arange(4_000) + 0.5) / 4_000)
    return Estimate("r2", 0.0, centre, (0 * boot, boot), None, np.tile([1.0, -1.0], 5_000), 1.0, p_value)


def test_holm_over_families() -> None:
    found = {"a": drawn(2.7, 0.007), "b": drawn(2.1, 0.036), "c": drawn(2.1, 0.036)}
    apart = corrected_intervals(found, {"a": "one", "b": "two", "c": "three"}, IntervalSettings())
    assert [apart[key].p_adjusted for key in "abc"] == pytest.approx([0.021, 0.072, 0.072])
    assert [apart[key].differs() for key in "abc"] == [True, False, False]
    assert apart["b"].low > 0
    related = corrected_intervals(found, {"a": "one", "b": "two", "c": "two"}, IntervalSettings())
    assert [related[key].differs() for key in "abc"] == [True, True, True]
    alone = corrected_intervals(found, {"a": "one", "b": "two", "c": "three"}, IntervalSettings(correction="none"))
    assert all(alone[key].differs() for key in "abc")


def test_a_small_p_value_does_not_decide_against_the_interval() -> None:
    found = {"a": drawn(1.0, 0.01)}
    assert not corrected_intervals(found, {"a": "one"}, IntervalSettings())["a"].differs()


def test_the_size_of_a_bias_needs_difference_and_sum() -> None:
    truth = np.zeros(400)
    noise = RNG.normal(0, 1, 400)

    def differs(base: float, head: float) -> bool:
        pairs = Pairs(truth, noise + base - noise.mean(), noise[::-1] + head - noise.mean(), None)
        found = estimates(pairs, ["bias"], IntervalSettings())
        return corrected_intervals(found, {"bias": SCORES["bias"].family}, IntervalSettings())["bias"].differs()

    assert differs(1.0, 0.1)
    assert not differs(1.0, -1.0)
    assert not differs(1.0, 1.0)


def test_samples_needed() -> None:
    # Found with 80 % power at (1.96 + 0.84)² s²/d²: the textbook's formula.
    assert needed(0.5, 1.0, 100, 0.0) == int(np.ceil(100 * (1.959964 + 0.841621) ** 2 * 4))
    assert needed(0.0, 1.0, 100, 2.0) == 101
    assert needed(0.0, 1.0, 100, 0.5) == int(np.ceil(100 * (1.959964 / 0.5) ** 2))
    assert needed(0.5, 1.0, 100, 0.5) is None
    assert needed(0.0, 1.0, 100, 0.0) is None
