"""Declared changes: what ``expected`` of flint-ml.yml says that a change is meant to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from flint_ml.errors import InputError
from flint_ml.metrics.rules import Amount, parse_amount

_HINT = "write a range of changes against the base, such as `2012/disturbed_area_ha: [+20 %, +50 %]`"


@dataclass(frozen=True)
class Declared:
    """What a change is said to do to a metric: from ``low`` to ``high``, both as changes against the base."""

    low: Amount
    high: Amount

    def holds(self, base: float, change: float) -> bool:
        """Whether ``change`` (this change − base) lies inside; a rounding error at the ends is forgiven."""
        ends = sorted((self.low.of(base), self.high.of(base)))
        slack = 1e-9 * max(abs(base), abs(change))
        return ends[0] - slack <= change <= ends[1] + slack

    def __str__(self) -> str:
        return f"{_signed(self.low)} … {_signed(self.high)}"


def _signed(amount: Amount) -> str:
    return f"{'+' if amount.value >= 0 else ''}{amount}".replace("-", "−")


def parse_expected(raw: Mapping[str, Any], where: str = "expected") -> dict[str, Declared]:
    """Ranges by metric name or glob; each is a list of two changes: shares (``+20 %``) or numbers.

    Raises
    ------
    InputError
        If one is not a list of two changes.
    """
    result: dict[str, Declared] = {}
    for name, ends in raw.items():
        if not isinstance(ends, list | tuple) or len(ends) != 2:
            raise InputError(
                "must be a list of two changes", where=f"{where}: {name}", hint=_HINT, code="invalid-expected"
            )
        try:
            low, high = (parse_amount(end) for end in ends)
        except ValueError as error:
            raise InputError(str(error), where=f"{where}: {name}", hint=_HINT, code="invalid-expected") from None
        if low.relative == high.relative and low.value > high.value:
            raise InputError(
                "the first end is above the second", where=f"{where}: {name}", hint=_HINT, code="invalid-expected"
            )
        result[str(name)] = Declared(low, high)
    return result


def declaration_of(name: str, expected: Mapping[str, Declared]) -> Declared | None:
    """What is declared for ``name``: its own entry, else the last glob that fits."""
    if name in expected:
        return expected[name]
    fitting = [declared for pattern, declared in expected.items() if fnmatchcase(name, pattern)]
    return fitting[-1] if fitting else None


def without_stale(own: Mapping[str, Any], base: Mapping[str, Any] | None) -> tuple[dict[str, Any], list[str]]:
    """The declarations that are this change's own, and the names of those that the base has already.

    A declaration that was merged with an earlier change must not excuse this one.
    """
    before = base or {}
    stale = [name for name, ends in own.items() if name in before and before[name] == ends]
    return {name: ends for name, ends in own.items() if name not in stale}, stale


def unmatched(expected: Mapping[str, Declared], names: Iterable[str]) -> list[str]:
    """Declarations that fit no metric: most likely misspelt."""
    known = list(names)
    return [pattern for pattern in expected if not any(n == pattern or fnmatchcase(n, pattern) for n in known)]
