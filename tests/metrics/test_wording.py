"""A comparison in words: numbers that subtract, extremes, and what is the same but for rounding."""

from __future__ import annotations

import pytest

from flint_ml.metrics.read import Reading
from flint_ml.metrics.rules import Rule, resolve
from flint_ml.metrics.verdict import judge
from flint_ml.metrics.wording import change, decimals, fixed, percent, sentence


@pytest.mark.parametrize(
    ("name", "base", "head", "words"),
    [
        ("rmse", 1.5, 1.3, "RMSE 1.50 → 1.30 (−0.20, −13 %)"),
        ("rmse [g/kg]", 1.5, 1.3, "RMSE 1.50 → 1.30 g/kg (−0.20, −13 %)"),
        ("r2", 0.7, 0.71, "R² 0.70 → 0.71 (+0.01)"),
        ("rmse", 1.0, 1.000000000001, "RMSE 1.00 → 1.00 (≈ 0)"),
        ("loss", -1.7e308, 1.7e308, "loss −1.7e+308 → 1.7e+308 (beyond all numbers)"),
        ("rmse", 1e-3, 1e6, "RMSE 0.001 → 1,000,000 (+1,000,000)"),
        ("rmse", 1.5, 1.5, "RMSE 1.50 → 1.50"),
    ],
)
def test_sentences(name: str, base: float, head: float, words: str) -> None:
    assert sentence(judge(name, Reading(base), Reading(head), resolve(name, {}))) == words


def test_a_rule_gives_label_and_unit() -> None:
    rule = resolve("soc.rmse", {"soc.rmse": Rule(label="SOC", unit="g/kg")})
    row = judge("soc.rmse", Reading(1.5), Reading(1.45), rule)
    assert (sentence(row), change(row)) == ("SOC 1.50 → 1.45 g/kg (−0.05, −3.3 %)", "−0.05 (−3.3 %)")


def test_numbers() -> None:
    assert [percent(share) for share in (-0.13, 0.014, 0.0004, 29.0)] == ["−13 %", "+1.4 %", "+0.04 %", "+2,900 %"]
    assert (fixed(None, 2), fixed(-0.0, 2, sign=True), fixed(1234.5, 1)) == ("–", "0.00", "1,234.5")
    assert (decimals(1.5, 1.3), decimals(120.0), decimals(0.7, step=0.001)) == (2, 0, 3)
