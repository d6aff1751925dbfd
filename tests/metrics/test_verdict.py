"""The verdict's tables, line by line, and the texts made from them."""

from __future__ import annotations

import re
from decimal import Decimal
from random import Random

import pytest

from flint_ml.metrics import wording
from flint_ml.metrics.expected import declaration_of, parse_expected, without_stale
from flint_ml.metrics.intervals.interval import Interval
from flint_ml.metrics.names import meaning
from flint_ml.metrics.read import Reading
from flint_ml.metrics.rules import Rule, resolve
from flint_ml.metrics.verdict import STATUS, Row, judge, overall


def one(name: str, base: float | None, head: float | None, *, absent: str = "", interval=None, expected=None, **rule):
    """A judged row; ``absent`` names the side that has no such metric."""
    keys = {key.replace("_", "-"): value for key, value in rule.items()}
    applied = resolve(name, {name: Rule.model_validate(keys)} if rule else {})
    readings = [
        None if absent == side else Reading(value, None if value is not None else "is null")
        for side, value in (("base", base), ("head", head))
    ]
    declared = declaration_of(name, parse_expected(expected)) if expected else None
    return judge(name, *readings, applied, declared=declared, interval=interval)


def between(low: float, high: float, p_adjusted: float = 0.01) -> Interval:
    return Interval(low, high, p_adjusted=p_adjusted)


@pytest.mark.parametrize(
    ("row", "result"),
    [
        (one("rmse", 1.5, 1.3), "better"),
        (one("rmse", 1.3, 1.5), "worse"),
        (one("r2", 0.62, 0.71), "better"),
        (one("r2", 0.71, 0.62), "worse"),
        (one("bias", -0.5, 0.1), "better"),
        (one("bias", 0.1, -0.5), "worse"),
        (one("bias", -0.5, 0.5), "same"),
        (one("rmse", 1.5, 1.5 * (1 + 1e-12)), "same"),
        (one("rmse", 1.5, 1.52, tolerance=0.02), "same"),
        (one("rmse", 1.5, 1.5201, tolerance=0.02), "worse"),
        (one("rmse", 100.0, 102.0, tolerance="2 %"), "same"),
        (one("rmse", 100.0, 102.1, tolerance="2 %"), "worse"),
        (one("rmse", 100.0, 102.1, tolerance="2 %", tolerance_relative=0.03), "same"),
        (one("stock", 100.0, 100.5), "changed"),
        (one("stock", -100.0, -101.0, tolerance="2 %"), "same"),
        (one("stock", 100.0, 101.0, direction="higher"), "better"),
        (one("rmse", None, 1.5, absent="base"), "new"),
        (one("rmse", 1.5, None, absent="head"), "gone"),
        (one("rmse", 1.5, None), "worse"),
        (one("stock", 1.5, None), "changed"),
        (one("rmse", None, 1.5), "new"),
        (one("rmse", None, None), "new"),
        (one("stock", 100.0, 139.0, expected={"stock": ["+25 %", "+50 %"]}), "as declared"),
        (one("stock", 100.0, 160.0, expected={"stock": ["+25 %", "+50 %"]}), "changed"),
        (one("stock", 100.0, 100.0, expected={"sto*": ["+25 %", "+50 %"]}), "changed"),
        (one("stock", -100.0, -132.0, expected={"stock": ["-45 %", "-25 %"]}), "as declared"),
        (one("rmse", 1.5, 1.8, expected={"rmse": [0, 1]}), "worse"),
        (one("rmse", 1.5, 1.3, interval=between(-0.28, -0.11)), "better"),
        (one("rmse", 1.5, 1.7, interval=between(0.11, 0.28)), "worse"),
        (one("rmse", 1.5, 1.3, interval=between(-0.42, 0.02)), "inconclusive"),
        (one("rmse", 1.5, 1.3, interval=between(-0.28, -0.11, p_adjusted=0.06)), "inconclusive"),
        (one("rmse", 1.5, 1.48, interval=between(-0.05, -0.01), tolerance=0.06), "same"),
        (one("rmse", 1.5, 1.45, interval=between(-0.09, -0.01), tolerance=0.06), "inconclusive"),
        (one("rmse", 1.5, 1.4, interval=between(-0.19, -0.01), tolerance=0.06), "better"),
        (one("r2", 0.6, 0.7, interval=between(0.05, 0.13)), "better"),
        (one("stock", 0.6, 0.7, interval=between(0.05, 0.13)), "changed"),
    ],
)
def test_one_metric(row: Row, result: str) -> None:
    assert row.result == result


RMSE_BETTER, RMSE_WORSE = one("rmse", 1.5, 1.3), one("rmse", 1.3, 1.5)
UNCLEAR = one("mae", 1.0, 0.9, interval=between(-0.3, 0.1))


@pytest.mark.parametrize(
    ("rows", "has_base", "benchmark", "verdict"),
    [
        ([one("rmse", None, 1.5, absent="base")], False, None, "no-baseline"),
        ([one("rmse", None, 1.5, absent="base")], True, None, "no-baseline"),
        ([], True, None, "no-baseline"),
        ([one("rmse", None, 1.5, absent="base", threshold=1.4)], False, None, "worse"),
        ([one("rmse", 1.5, 1.3, threshold=1.2)], True, True, "worse"),
        ([one("r2", 0.5, 0.6, threshold=0.55)], True, True, "better"),
        ([one("r2", 0.5, 0.6, threshold=0.65)], True, True, "worse"),
        ([one("bias", -0.5, -0.3, threshold=0.2)], True, True, "worse"),
        ([one("rmse", 1.5, 1.5), one("mae", 1.0, None, absent="head")], True, None, "worse"),
        ([one("rmse", 1.5, 1.5), one("mae", 1.0, None, absent="head", missing="warn")], True, None, "same"),
        ([one("rmse", 1.5, 1.5), one("stock", 1.0, None, absent="head")], True, None, "same"),
        ([one("rmse", 1.5, None, absent="head")], True, None, "worse"),
        ([RMSE_BETTER], True, False, "inconclusive"),
        ([RMSE_WORSE], True, False, "inconclusive"),
        ([RMSE_BETTER, one("r2", 0.6, 0.5)], True, True, "worse"),
        ([RMSE_WORSE, one("r2", 0.6, 0.7)], True, True, "worse"),
        ([one("rmse", 1.5, 1.3, weight=2), one("r2", 0.6, 0.5)], True, True, "better"),
        ([one("rmse", 1.5, 1.3, weight=2), one("r2", 0.6, 0.5, must_not_regress=True)], True, True, "worse"),
        ([RMSE_BETTER, one("r2", 0.6, 0.5, weight=0)], True, True, "better"),
        ([RMSE_BETTER, one("seconds", 10.0, 60.0)], True, True, "better"),
        ([RMSE_BETTER, one("stock", 1.0, 2.0)], True, True, "changed"),
        ([one("stock", 100.0, 139.0, expected={"stock": ["+25 %", "+50 %"]})], True, None, "same"),
        ([UNCLEAR], True, True, "inconclusive"),
        ([RMSE_BETTER, UNCLEAR], True, True, "better"),
        (
            [RMSE_BETTER, one("mae", 1.0, 0.9, interval=between(-0.3, 0.1), must_not_regress=True)],
            True,
            True,
            "inconclusive",
        ),
        ([one("rmse", 1.5, 1.5)], True, True, "same"),
        ([one("rmse", 1.5, 1.5)], True, None, "same"),
    ],
)
def test_all_metrics(rows: list[Row], has_base: bool, benchmark: bool | None, verdict: str) -> None:
    assert overall(rows, has_base=has_base, benchmark_same=benchmark).verdict == verdict


def test_status_of_each_verdict() -> None:
    assert {status: sorted(v for v, s in STATUS.items() if s == status) for status in set(STATUS.values())} == {
        "passed": ["better", "same"],
        "warned": ["changed", "inconclusive", "no-baseline"],
        "failed": ["worse"],
    }


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([one("rmse", 1.5, 1.3, unit="g/kg")], "better: RMSE 1.50 → 1.30 g/kg (−0.20, −13 %)"),
        ([one("r2", 0.62, 0.71)], "better: R² 0.62 → 0.71 (+0.09)"),
        (
            [one("total_ecosystem", 52200.0, 51469.0, unit="tC")],
            "changed: total_ecosystem 52,200 → 51,469 tC (−731, −1.4 %)",
        ),
        ([one("nbp", -3078.0, -4061.0)], "changed: nbp −3,078 → −4,061 (−983, −32 %)"),
        ([one("rmse", 1.5, 1.5)], "same: RMSE 1.50 → 1.50"),
        ([one("rmse", 0.0, 0.2)], "worse: RMSE 0.00 → 0.20 (+0.20)"),
        ([one("rmse", 1.5, None)], "worse: RMSE 1.50 → – (is null in this change)"),
        (
            [one("rmse", 1.5, 1.3, threshold=1.2, unit="g/kg")],
            "worse than required: RMSE 1.50 → 1.30 g/kg (−0.20, −13 %); required is at most 1.20 g/kg",
        ),
        ([one("rmse", None, 1.3, absent="base")], "no-baseline: RMSE 1.30; there is nothing to compare with"),
        ([one("rmse", 1.5, None, absent="head")], "worse: RMSE 1.50 → missing"),
        (
            [one("area", 100.0, 139.0, expected={"area": ["+25 %", "+50 %"]})],
            "as declared: area 100 → 139 (+39, +39 %)",
        ),
        ([UNCLEAR], "inconclusive: MAE 1.00 → 0.90 (−0.10, −10 %); 95 % CI −0.30 … +0.10"),
    ],
)
def test_headline(rows: list[Row], expected: str) -> None:
    assert wording.headline(overall(rows, has_base=rows[0].result != "new"), rows) == expected


def test_figures_of_one_line_subtract() -> None:
    """A lead who checks "0.67 → 0.59 (−0.07)" by hand stops trusting the table."""
    row = one("rmse", 0.6664481433182887, 0.5942331744445398)
    assert wording.sentence(row) == "RMSE 0.666 → 0.594 (−0.072, −11 %)"
    random = Random(7)
    for _ in range(2_000):
        base = random.uniform(0, 10 ** random.randint(-3, 5))
        row = one("rmse", base, base * random.uniform(0.5, 1.5))
        text = wording.sentence(row).replace(",", "").replace("−", "-")
        before, after, change = map(Decimal, re.findall(r"-?[\d.]+(?= → )|(?<=→ )[\d.]+|(?<=\()[-+\d.]+", text))
        assert after - before == change, text


def test_a_name_that_would_fill_the_screen_is_cut_in_its_middle() -> None:
    rows = [one(f"fold_{'x' * 300}_{end}_rmse", 1.0, 2.0) for end in ("north", "south")]
    texts = [wording.sentence(row) for row in rows]
    assert all(len(text) < 120 and text.startswith("fold_xxx") for text in texts)
    assert "…" in texts[0]
    assert texts[0] != texts[1]
    assert wording.sentence(one("r" * 80, 1.0, 2.0)).startswith("r" * 80)


def test_small_changes_stay_visible() -> None:
    assert wording.sentence(one("rmse", 1.5, 1.5004)) == "RMSE 1.5000 → 1.5004 (+0.0004, +0.03 %)"
    assert wording.change(one("r2", 0.6, 0.6)) == "0.00"
    assert wording.change(one("total", 1e18, 2e18)) == "+1e+18 (+100 %)"


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("rmse", "lower"),
        ("RMSE", "lower"),
        ("test.rmse", "lower"),
        ("val_rmse", "lower"),
        ("soc_rmse", "lower"),
        ("RMSEP", "lower"),
        ("mae", "lower"),
        ("r2", "higher"),
        ("R²", "higher"),
        ("r2_score", "higher"),
        ("f1-score", "higher"),
        ("f1", "higher"),
        ("roc_auc", "higher"),
        ("balanced_accuracy", "higher"),
        ("test/accuracy", "higher"),
        ("valLoss", "lower"),
        ("log_loss", "lower"),
        ("bias", "zero"),
        ("rpiq", "higher"),
        ("RPD", "higher"),
        ("n", "none"),
        ("train_seconds", "none"),
        ("loss.seconds", "none"),
    ],
)
def test_direction_from_name(name: str, direction: str) -> None:
    assert (meaning(name).known, meaning(name).direction) == (True, direction)


@pytest.mark.parametrize("name", ["2012/total_biomass_tC", "rmse_ratio_limit_set", "clay", "n_components", "npp"])
def test_names_that_say_nothing(name: str) -> None:
    assert not meaning(name).known


def test_later_and_more_special_rules_win_key_by_key() -> None:
    rules = {
        "*": Rule(tolerance="1 %", unit="g/kg"),
        "rm*": Rule(tolerance=0.5),
        "a.json:rmse": Rule(label="root"),
    }
    rule = resolve("rmse", rules, path="a.json")
    assert (rule.label, rule.unit, rule.source) == ("root", "g/kg", "name")
    assert rule.margin(100.0) == pytest.approx(0.5)
    assert resolve("mae", rules).margin(100.0) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "path", "alone", "split"),
    [
        ("rmse", "reports/train/metrics.json", True, ""),
        ("rmse", "reports/train/metrics.json", False, "train"),
        ("rmse", "reports/train.json", True, "train"),
        ("train_rmse", "reports/train/metrics.json", True, "train"),
        ("test.rmse", "reports/train/metrics.json", True, "test"),
        ("rmse", "reports/test/metrics.json", True, "test"),
    ],
)
def test_a_folder_called_train_tells_the_samples_only_beside_another(
    name: str, path: str, alone: bool, split: str
) -> None:
    """Pipelines and stages are called so too: of one folder alone nothing tells which is meant."""
    rule = resolve(name, {}, path=path, only_folder=alone)
    assert (rule.split, rule.weight) == (split, 0.0 if split == "train" else 1.0)
    assert ("taken for a pipeline's name" in rule.why) == (alone and split == "" and "train/" in path)


def test_a_rule_is_refused_with_a_reason() -> None:
    with pytest.raises(ValueError, match="neither a number"):
        Rule(tolerance="some")
    with pytest.raises(ValueError, match="negative"):
        Rule(tolerance="-1 %")


def test_declarations_of_an_earlier_change_do_not_count() -> None:
    own, stale = without_stale({"a": ["+1 %", "+2 %"], "b": [0, 1]}, {"a": ["+1 %", "+2 %"], "b": [0, 2]})
    assert own == {"b": [0, 1]}
    assert stale == ["a"]
