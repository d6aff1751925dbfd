"""Spectra, classifier and groups: what they find, and what they must leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from flint_ml.drift.statistics import classifier as multivariate
from flint_ml.drift.statistics import cluster_permutation as groups
from flint_ml.drift.statistics import spectra
from flint_ml.drift.statistics.bands import find_spectra
from flint_ml.drift.statistics.multiple_testing import smallest_detectable
from flint_ml.drift.two_sample.ks import ks


def soil_spectra(seed: int, n: int, bands: int = 120, noise: float = 0.01) -> np.ndarray:
    """Smooth spectra from five components, as soils have them."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, bands)
    shapes = np.array(
        [np.exp(-(((x - c) / w) ** 2)) for c, w in ((0.1, 0.3), (0.4, 0.2), (0.5, 0.5), (0.8, 0.1), (0.9, 0.4))]
    )
    return 20 + rng.normal(size=(n, 5)) @ shapes + noise * rng.normal(size=(n, bands))


def rejected(comparison: spectra.SpectraComparison) -> set[str]:
    return {name for name, a, b in comparison.variables() if ks(np.sort(a), np.sort(b)).p_value < 0.001}


def test_components_are_those_of_the_data() -> None:
    model = spectra.fit(soil_spectra(1, 300))
    assert model.components == 5
    assert model.explained > 0.99
    assert model.loadings.T @ model.loadings == pytest.approx(np.eye(5), abs=1e-10)
    data = soil_spectra(2, 900, bands=160)
    big = spectra.fit(data)
    _, values, _ = np.linalg.svd(data - data.mean(axis=0), full_matrices=False)
    assert big.variances == pytest.approx(values[: big.components] ** 2 / (len(data) - 1), rel=1e-6)


def test_t2_and_q_by_hand() -> None:
    data = soil_spectra(1, 80)
    model = spectra.fit(data)
    seen = spectra.project(model, data)
    centred = data - model.mean
    scores = centred @ model.loadings
    assert seen.t2 == pytest.approx(np.sum(scores**2 / scores.var(axis=0, ddof=1), axis=1), rel=1e-8)
    assert seen.q == pytest.approx(np.sum((centred - scores @ model.loadings.T) ** 2, axis=1), rel=1e-6, abs=1e-9)


def test_spectra_of_one_kind_do_not_drift() -> None:
    alarms = 0
    for seed in range(40):
        comparison = spectra.compare_spectra(soil_spectra(seed, 120), soil_spectra(1000 + seed, 80))
        assert comparison is not None
        alarms += bool(rejected(comparison))
        assert comparison.outside[1] < 0.15
    assert alarms <= 2


def test_noise_and_wavelength_shift_show_in_the_residual() -> None:
    reference = soil_spectra(1, 200)
    noisy = spectra.compare_spectra(reference, soil_spectra(2, 150, noise=0.015))
    assert noisy is not None
    assert rejected(noisy) == {"Q"}
    assert noisy.outside[1] > 0.5
    shifted = spectra.compare_spectra(reference, np.roll(soil_spectra(3, 150), 3, axis=1))
    assert shifted is not None
    assert "Q" in rejected(shifted)


def test_another_soil_shows_in_the_scores() -> None:
    other = soil_spectra(2, 150) + 3 * np.exp(-(((np.linspace(0, 1, 120) - 0.4) / 0.2) ** 2))
    comparison = spectra.compare_spectra(soil_spectra(1, 200), other)
    assert comparison is not None
    assert "T²" in rejected(comparison)
    assert any(name.startswith("score") for name in rejected(comparison))


def test_spectra_with_gaps_are_left_out_and_counted() -> None:
    reference, current = soil_spectra(1, 100), soil_spectra(2, 60)
    reference[3, 7] = np.nan
    current[[1, 5], 0] = np.inf
    comparison = spectra.compare_spectra(reference, current)
    assert comparison is not None
    assert comparison.incomplete == (1, 2)
    assert np.flatnonzero(comparison.lost).tolist() == [3, 101, 105]


def test_too_few_or_constant_spectra_are_not_compared() -> None:
    assert spectra.compare_spectra(soil_spectra(1, 30), soil_spectra(2, 60)) is None
    assert spectra.compare_spectra(np.ones((100, 30)), np.ones((50, 30))) is None


def test_split_keeps_groups_whole() -> None:
    units = np.repeat(np.arange(10), 12)
    chosen = spectra.split(120, units)
    assert all(len(set(chosen[units == unit])) == 1 for unit in range(10))
    assert 36 <= chosen.sum() <= 84


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([f"nm_{w:04d}" for w in range(400, 800, 10)], 1),
        ([f"X{w}" for w in range(350, 400)], 1),
        ([f"{w}.5" for w in range(1000, 1100, 2)], 1),
        ([f"wl_{w}" for w in range(4000, 600, -50)], 1),
        ([f"x{i}" for i in range(1, 60)], 0),
        ([f"x{i}" for i in range(1, 300)], 0),
        ([f"nm_{w}" for w in range(400, 500, 10)], 0),
        (["SOC", "pH", "clay"], 0),
    ],
)
def test_bands_are_known_by_name(names: list[str], found: int) -> None:
    spectra_found = find_spectra(["SOC", *names, "depth_30"])
    assert len(spectra_found) == found
    for spectrum in spectra_found:
        assert set(spectrum.columns) == set(names)
        assert list(spectrum.positions) == sorted(spectrum.positions)


def separated(
    seed: int, n: int = 300, p: int = 8, shift: float = 0.0, link: float = 0.0
) -> multivariate.ClassifierResult:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, p)), rng.normal(size=(n, p)) + shift
    b[:, 1] = link * b[:, 0] + np.sqrt(1 - link**2) * b[:, 1]
    features = [multivariate.numeric_feature(f"x{i}", a[:, i], b[:, i]) for i in range(p)]
    found = multivariate.classifier_test([f for f in features if f], (n, n), 9, 0.05)
    assert found is not None
    return found


def test_classifier_keeps_its_level() -> None:
    alarms = sum(separated(seed, n=60, p=4).p_value < 0.05 for seed in range(60))
    assert alarms <= stats.binom.ppf(0.999, 60, 0.05)


def test_classifier_finds_a_small_common_shift_and_a_correlation() -> None:
    common = separated(1, shift=0.25)
    assert common.p_value <= 0.001
    assert common.auc > 0.6
    linked = separated(2, link=0.8)
    assert linked.p_value <= 0.001
    assert set(linked.contributors[:2]) == {"x0", "x1"}


def test_classifier_needs_rows() -> None:
    feature = multivariate.numeric_feature("x", np.arange(10.0), np.arange(10.0))
    assert feature is not None
    assert multivariate.classifier_test([feature], (10, 10), 1, 0.05) is None
    assert multivariate.numeric_feature("x", np.ones(5), np.ones(5)) is None


def sites(
    seed: int, count: int = 20, size: int = 15, columns: int = 4, icc: float = 0.5, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(count), size)
    values = np.sqrt(icc) * rng.normal(size=(count, columns))[unit] + np.sqrt(1 - icc) * rng.normal(
        size=(len(unit), columns)
    )
    return values + shift, unit


def permuted(seed: int, shift: float = 0.0) -> tuple[list[float], float]:
    a, ua = sites(2 * seed)
    b, ub = sites(2 * seed + 1, shift=shift)
    unit = np.concatenate([ua, ub + 20])
    samples = [groups.Sample(np.concatenate([a[:, j], b[:, j]]), unit) for j in range(4)]
    naive = min(ks(np.sort(a[:, j]), np.sort(b[:, j])).p_value for j in range(4))
    return groups.permute_groups(samples, np.arange(40) >= 20).p_adjusted, naive


def test_groups_do_not_alarm_where_the_naive_test_does() -> None:
    results = [permuted(seed) for seed in range(20)]
    assert sum(naive < 0.05 / 4 for _, naive in results) > 8
    assert sum(min(p) < 0.05 for p, _ in results) <= 4
    assert min(permuted(99, shift=1.5)[0]) < 0.01


def test_permutation_statistics_are_ks_and_chi_squared() -> None:
    rng = np.random.default_rng(0)
    values, unit = np.round(rng.normal(size=60), 1), np.arange(60)
    labels = (np.arange(60) >= 25)[:, None]
    found = groups._rank_statistics(groups.Sample(values, unit), labels)[0]
    assert found == pytest.approx(stats.ks_2samp(values[:25], values[25:]).statistic)
    codes = rng.integers(0, 3, 60).astype(float)
    table = [np.bincount(side.astype(int), minlength=3) for side in (codes[:25], codes[25:])]
    chi = groups._class_statistics(groups.Sample(codes, unit, 3), labels)[0]
    assert chi == pytest.approx(stats.chi2_contingency(table, correction=False).statistic)


def test_clustering_is_measured() -> None:
    a, ua = sites(1, count=200, size=10, columns=1, icc=0.4)
    b, ub = sites(2, count=100, size=10, columns=1, icc=0.4)
    found = groups.clustering((a[:, 0], b[:, 0]), (ua, ub))
    assert found is not None
    assert found.icc == pytest.approx(0.4, abs=0.08)
    assert found.effect == pytest.approx(1 + 9 * found.icc, rel=0.01)
    assert found.effective[0] == pytest.approx(2000 / found.effect, rel=0.05)
    assert groups.looks_clustered(ua, [a[:, 0]]) == pytest.approx(0.4, abs=0.1)
    assert groups.looks_clustered(np.random.default_rng(0).permutation(ua), [a[:, 0]]) is None


def test_detectable_distance_is_found_in_four_of_five() -> None:
    found = smallest_detectable((200, 200), 20, 0.05, 0.1)
    rng = np.random.default_rng(0)
    assert found.shift is not None
    hits = 0
    for _ in range(300):
        test = ks(np.sort(rng.normal(size=200)), np.sort(rng.normal(found.shift, size=200)))
        hits += test.p_value < 0.05 / 20 and test.effect >= 0.1
    assert 0.75 <= hits / 300 <= 0.95
    assert not found.blind
    assert smallest_detectable((10, 300), 20, 0.05, 0.1).blind
    assert smallest_detectable((1e6, 1e6), 20, 0.05, 0.1).distance == 0.1


@pytest.mark.parametrize("units", [None, np.arange(150) // 3])
@pytest.mark.parametrize("columns", [40, 150, 900])
def test_the_classifier_by_rows_is_the_one_by_columns(columns: int, units: np.ndarray | None) -> None:
    values = np.random.default_rng(columns).normal(size=(150, columns))
    values[80:, :3] += 0.6
    values[:, 5] = values[:, 5].round()
    features = [multivariate.numeric_feature(f"c{k}", v[:80], v[80:]) for k, v in enumerate(values.T)]
    design = np.column_stack([f.values for f in features if f])
    folds = np.random.default_rng(1).permutation(np.arange(150) % 5 if units is None else units % 5)
    labels = np.random.default_rng(2).choice([-1.0, 1.0], (150, 30))
    by_columns, by_rows = (form(design, folds) for form in (multivariate._ByColumns, multivariate._ByRows))
    for one, two in zip(by_columns.held_out(labels), by_rows.held_out(labels), strict=True):
        assert (one[0] == two[0]).all()
        assert one[1] == pytest.approx(two[1], rel=1e-7, abs=1e-9)
    assert by_columns.weights(labels[:, 0]) == pytest.approx(by_rows.weights(labels[:, 0]), rel=1e-7, abs=1e-9)
    # The equation itself: the discriminant of the rows of four folds, applied to those of the fifth.
    inside, scores = next(iter(by_rows.held_out(labels)))
    fitted, ridge = design[~inside], (design**2).sum() / len(design)
    weights = np.linalg.solve(fitted.T @ fitted + ridge * np.eye(columns), fitted.T @ labels[~inside])
    assert pytest.approx(design[inside] @ weights, rel=1e-7, abs=1e-9) == scores.T
