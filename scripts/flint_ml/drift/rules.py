"""What counts as drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from flint_ml.drift.statistics.multiple_testing import Correction

Kind = Literal["numeric", "category", "boolean", "date", "identifier", "text", "empty"]
NumericTest = Literal["ks", "chi2", "wasserstein", "psi"]
DEFAULT_TESTS = ("ks", "chi2", "missing", "spectra", "multivariate")


@dataclass(frozen=True)
class ColumnRules:
    """What holds for one column, or for those that a pattern matches; None means the general rule."""

    test: Literal["auto", "ks", "chi2", "wasserstein", "psi", "none"] = "auto"
    min_effect: float | None = None
    kind: Literal["auto", "numeric", "category"] = "auto"
    range: tuple[float, float] | None = None
    allowed: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Rules:
    """The decision: a column drifts where its corrected p is below ``alpha`` and its effect at least ``min_effect``.

    ``only`` and ``exclude`` hold names or shell patterns (``nm_*``); so do the keys of ``columns``, of which the
    first that matches counts, an exact name before any pattern. ``groups`` name the columns that say which samples
    belong together; ``coordinates`` (x, y) and ``block_size`` do so by squares on the ground.
    """

    alpha: float = 0.05
    correction: Correction = "holm"
    min_effect: float = 0.1
    tests: tuple[str, ...] = DEFAULT_TESTS
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    columns: Mapping[str, ColumnRules] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    coordinates: tuple[str, ...] = ()
    block_size: float | None = None

    def of(self, column: str) -> ColumnRules:
        """The rules of ``column``."""
        exact = self.columns.get(column)
        if exact is not None:
            return exact
        return next((rule for pattern, rule in self.columns.items() if fnmatchcase(column, pattern)), _GENERAL)

    def effect_of(self, column: str) -> float:
        """The smallest effect that counts in ``column``."""
        own = self.of(column).min_effect
        return self.min_effect if own is None else own

    @property
    def numeric_test(self) -> str | None:
        """The test of numeric columns, or None where none is wanted."""
        return next((name for name in ("ks", "wasserstein", "psi") if name in self.tests), None)

    def wanted(self, column: str) -> bool:
        """Whether ``column`` takes part in the comparison."""
        return (not self.only or _any(column, self.only)) and not _any(column, self.exclude)


_GENERAL = ColumnRules()


def _any(column: str, patterns: tuple[str, ...]) -> bool:
    return any(column == pattern or fnmatchcase(column, pattern) for pattern in patterns)
