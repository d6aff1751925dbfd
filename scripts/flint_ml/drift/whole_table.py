"""Tests of the table as a whole: spectra, and a classifier over all columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flint_ml.drift.arrow import class_codes, matrix, row_values
from flint_ml.drift.hypotheses import Hypothesis
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.statistics.bands import Spectrum, find_spectra
from flint_ml.drift.statistics.classifier import (
    MIN_AUC,
    ClassifierResult,
    Feature,
    class_features,
    classifier_test,
    numeric_feature,
    spectral_features,
)
from flint_ml.drift.statistics.distributions import Codes
from flint_ml.drift.statistics.spectra import Calibration, SpectraComparison, against, calibrate
from flint_ml.drift.tables.columns import Pair, is_few_valued
from flint_ml.drift.two_sample.base import TestResult
from flint_ml.drift.two_sample.chi2 import proportions
from flint_ml.drift.two_sample.ks import ks


@dataclass
class SpectrumResult:
    """Bands that were compared as a whole; ``comparison`` is None where they were not, and each band is on its own."""

    spectrum: Spectrum
    comparison: SpectraComparison | None = None
    hypotheses: list[Hypothesis] = field(default_factory=list)

    @property
    def drifted(self) -> list[Hypothesis]:
        return [h for h in self.hypotheses if h.drifted]


@dataclass
class WholeTable:
    """The classifier two-sample test and its hypothesis."""

    separation: ClassifierResult
    hypothesis: Hypothesis


def spectra_results(
    tables: tuple[Any, Any],
    pairs: Sequence[Pair],
    rules: DriftRules,
    codes: Codes | None,
    known: Mapping[tuple[str, ...], Calibration] | None = None,
) -> list[SpectrumResult]:
    """Compare the groups of bands among the numeric columns; ``known`` are the calibrations of a profile."""
    names = [p.name for p in pairs if p.kind == "numeric" and rules.of(p.name).test == "auto"]
    results = []
    for spectrum in find_spectra(names):
        result = SpectrumResult(spectrum)
        results.append(result)
        if "spectra" not in rules.tests:
            continue
        if known is None:
            calibration = calibrate(matrix(tables[0], spectrum.columns), codes)
        else:
            calibration = known.get(spectrum.columns)
        comparison = against(calibration, matrix(tables[1], spectrum.columns)) if calibration else None
        if comparison is None:
            continue
        result.comparison = comparison
        for aspect, one, two in comparison.variables():
            test = ks(np.sort(one), np.sort(two))
            result.hypotheses.append(Hypothesis(spectrum.name, aspect, test, rules.min_effect))
        if any(comparison.incomplete) and "missing" in rules.tests:
            total = (tables[0].num_rows, tables[1].num_rows)
            missing = proportions(comparison.incomplete, total)
            result.hypotheses.append(Hypothesis(spectrum.name, "incomplete", missing, rules.min_effect))
    return results


def whole_table(
    tables: tuple[Any, Any],
    pairs: Sequence[Pair],
    spectra: Sequence[SpectrumResult],
    rules: DriftRules,
    *,
    tests: int,
    units: Codes | None,
) -> WholeTable | None:
    """The classifier test over all compared columns; None where it is not wanted or there are too few rows.

    ``tables`` hold the rows that take part, ``units`` their groups.
    """
    if "multivariate" not in rules.tests:
        return None
    banded = {name for result in spectra for name in result.spectrum.columns}
    rows = (tables[0].num_rows, tables[1].num_rows)
    features: list[Feature] = []
    for pair in pairs:
        # A column that may differ more than others by the user's word must not alarm through the classifier.
        allowed = rules.effect_of(pair.name) > rules.min_effect
        if pair.name not in banded and rules.of(pair.name).test != "none" and not allowed:
            features += _features(tables, pair)
    for result in spectra:
        one, two = (matrix(table, result.spectrum.columns) for table in tables)
        features += spectral_features(result.spectrum.label, one, two)
    if len({f.column for f in features}) < 2:
        return None
    found = classifier_test(features, rows, tests + 1, rules.alpha, units)
    if found is None:
        return None
    test = TestResult("classifier", "permutation", found.auc, found.p_value, found.auc, "AUC")
    return WholeTable(found, Hypothesis("(all columns together)", "all columns", test, MIN_AUC))


def _features(tables: tuple[Any, Any], pair: Pair) -> list[Feature]:
    columns = [table.column(pair.name) for table in tables]
    if pair.kind in {"category", "boolean"}:
        one, two = (class_codes(column, pair.labels) for column in columns)
        return class_features(pair.name, one, two, len(pair.labels))
    if pair.kind != "numeric":
        return []
    ours, new = (row_values(column) for column in columns)
    feature = numeric_feature(pair.name, ours, new)
    if feature is None:
        return []
    return [feature if not is_few_valued(pair) else Feature(feature.column, feature.values, False)]
