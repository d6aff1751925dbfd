"""What names say: metric, samples and direction, and which samples decide."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from flint_ml.metrics.intervals.bootstrap import IntervalSettings
from flint_ml.metrics.names import meaning, without_split
from flint_ml.metrics.read import MetricsFile, Reading, parse
from flint_ml.metrics.rules import Rule, resolve
from flint_ml.metrics.verdict import Evidence, Row, judge_metrics, overall
from flint_ml.metrics.wording import explain_table, gap_findings, name_findings

LOWER = (
    "root_mean_squared_error mean_absolute_error RMSEP rmse_clay soc.0-30.rmse rmse@10 test/rmse log_rmse val/box_loss "
    "dice_loss iou_loss f1_loss rpn_class_loss valLoss eval_loss top5_error hamming_loss false_positive_rate miss_rate "
    "brier_score_loss SEP SECV davies_bouldin_score ppl wer abs_bias validation_0-logloss regr.rmse classif.ce "
    "max_error coverage_error mean_pinball_loss latency_p95_ms "
    "valid_0's~l2 training's~rmse test:RMSE learn:Logloss mean_residual_deviance mean_per_class_error mcr rmsl MAPE "
    "prediction.error misclass.error root.mean.squared.error mean.absolute.error log.loss ubRMSE rmspe wape looic "
    "train_loss_epoch val_loss_step BCEWithLogitsLoss hammingLoss mean_wQuantileLoss Root~mean~squared~error "
    "RMSE~(g/kg) rmse~[t/ha] fast_rcnn/false_negative oob_error"
)
HIGHER = (
    "neg_rmse neg_brier_score neg_mean_squared_error test_neg_log_loss neg_max_error minus_mae avg_prec.test mAP50 "
    "metrics/mAP50-95(B) ndcg@10 mrr top-5 top_5_accuracy hits@10 recall@20 log_likelihood lin_ccc rho_c LCCC MEC RPIQ "
    "rsq R² adj_r2 q2 d2 explained_variance test_score macro~avg.f1-score 0.precision MultilabelF1Score BinaryAUROC "
    "auc_1 cohen_kappa mean_io_u "
    "r.squared adj.r.squared multiple.r.squared dev.expl log.lik Pos~Pred~Value Neg~Pred~Value "
    "Correctly~Classified~Instances "
    "areaUnderROC areaUnderPR bbox_mAP_50 coco/bbox_mAP segm_mAP AR@100 P@5 recip_rank test_acc_epoch val_acc_step TSS "
    "KGEnp nash oob_score cross_val_score llf lins_ccc"
)
ZERO = (
    "bias mean_error mbe ME percent_bias msd test.bias soc_bias mean_bias_error mean.error mean_signed_error "
    "mean_residual bias~(g/kg)"
)


@pytest.mark.parametrize(("names", "direction"), [(LOWER, "lower"), (HIGHER, "higher"), (ZERO, "zero")])
def test_directions(names: str, direction: str) -> None:
    for name in names.split():
        said = meaning(name.replace("~", " "))
        assert (said.known, said.direction) == (True, direction), (name, said.why)


OTHER = "std sd se ci var pvalue support count gap drop diff improvement ratio inverse null baseline target limit"


@pytest.mark.parametrize("metric", ["rmse", "accuracy", "r2"])
def test_words_that_make_another_quantity_take_the_direction_away(metric: str) -> None:
    for word in OTHER.split():
        for name in (f"{metric}_{word}", f"{word}_{metric}", f"{metric}.{word}", f"test/{metric}/{word}"):
            assert meaning(name).direction == "none", (name, meaning(name).why)


UNKNOWN = (
    "residual_correlation error_reduction soil_loss 2012/carbon_loss_tC 2013/disturbed_area_ha npp clay near_far_map "
    "rmse_n n_iou n_accuracy rmse_95ci r2_err persistence_rmse climatology_mae time_to_accuracy correlation_clay_soc "
    "anomaly_score risk_score n_components me_and_you loss_of_forest_cover the_map_of_all_rmse_of_it 2010/nbp_tC"
)


def test_names_that_are_not_guessed_at() -> None:
    for name in UNKNOWN.split():
        assert not meaning(name).known, (name, meaning(name).why)


@pytest.mark.parametrize(
    ("name", "path", "split"),
    [
        ("train_loss", "", "train"),
        ("rmse.train", "", "train"),
        ("training/rmse", "", "train"),
        ("trainRMSE", "", "train"),
        ("val_loss", "", "val"),
        ("eval_accuracy", "", "val"),
        ("cv.rmse", "", "val"),
        ("avg_prec.test", "", "test"),
        ("holdout_r2", "", "test"),
        ("rmse", "metrics_test.json", "test"),
        ("rmse", "eval/train.json", "train"),
        ("rmse", "train/metrics.json", "train"),
        ("test_rmse", "train/metrics.json", "test"),
        ("rmse", "training-code/metrics.json", ""),
        ("rmse", "metrics.json", ""),
        ("rmse_trained_on_clay", "", ""),
    ],
)
def test_splits(name: str, path: str, split: str) -> None:
    assert meaning(name, path).split == split


@pytest.mark.parametrize(
    ("name", "label", "unit"),
    [
        ("rmse [t/ha]", "RMSE", "t/ha"),
        ("SOC RMSE (g kg-1)", "SOC RMSE", "g kg-1"),
        ("latency_p99_ms", "latency_p99_ms", "ms"),
        ("model_size_mb", "model_size_mb", "MB"),
        ("bias (%)", "bias", "%"),
        ("AP (test)", "AP (test)", None),
        ("metrics/mAP50(B)", "metrics/mAP50(B)", None),
        ("rmse", "RMSE", None),
    ],
)
def test_units_in_names(name: str, label: str, unit: str | None) -> None:
    rule = resolve(name, {})
    assert (rule.label, rule.unit) == (label, unit)


def test_settings_and_properties_of_a_model_are_no_metrics() -> None:
    names = "params.max_depth config/alpha feature_importance.clay best_params.C mtry n_estimators"
    for name in names.split():
        assert (meaning(name).known, meaning(name).direction, resolve(name, {}).weight) == (True, "none", 0), name


def test_the_same_metric_on_other_samples() -> None:
    assert without_split("train_rmse") == without_split("test.rmse") == without_split("rmse")


def rows(base: dict[str, float], head: dict[str, float], **rules: Rule) -> list[Row]:
    sides = [{"m.json": MetricsFile({name: Reading(value) for name, value in side.items()})} for side in (head, base)]
    return judge_metrics(sides[0], sides[1], rules, {}, Evidence(IntervalSettings(resamples=0))).rows


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [
        ({"train_rmse": 1.0, "test_rmse": 2.0}, {"train_rmse": 0.5, "test_rmse": 2.5}, "worse"),
        ({"train_rmse": 1.0, "test_rmse": 2.0}, {"train_rmse": 1.5, "test_rmse": 1.8}, "better"),
        ({"train_loss": 1.0, "val_loss": 2.0}, {"train_loss": 1.5, "val_loss": 1.8}, "better"),
        ({"val_rmse": 1.0, "test_rmse": 2.0}, {"val_rmse": 1.5, "test_rmse": 1.8}, "better"),
        ({"val_rmse": 1.0, "test_seconds": 2.0}, {"val_rmse": 1.5, "test_seconds": 1.8}, "worse"),
        ({"train_loss": 1.0}, {"train_loss": 0.5}, "inconclusive"),
        ({"train_loss": 1.0}, {"train_loss": 1.5}, "inconclusive"),
        ({"fit_time": 1.0}, {"fit_time": 9.5}, "inconclusive"),
        ({"rmse_std": 1.0, "rmse": 1.0}, {"rmse_std": 1.0, "rmse": 1.5}, "worse"),
    ],
)
def test_the_test_set_decides_and_training_never_does(
    base: dict[str, float], head: dict[str, float], verdict: str
) -> None:
    assert overall(rows(base, head), has_base=True).verdict == verdict


def test_a_rule_lets_validation_decide_beside_the_test_set() -> None:
    base, head = {"val_rmse": 1.0, "test_rmse": 2.0}, {"val_rmse": 1.5, "test_rmse": 1.8}
    assert overall(rows(base, head, val_rmse=Rule(weight=2)), has_base=True).verdict == "worse"


def test_a_gap_that_widens_is_told_and_one_beyond_its_limit_is_a_warning() -> None:
    before, after = {"train_rmse": 1.0, "test_rmse": 1.2}, {"train_rmse": 0.4, "test_rmse": 1.2}
    assert [finding.severity for finding in gap_findings(rows(before, after))] == ["info"]
    assert [f.severity for f in gap_findings(rows(before, after, test_rmse=Rule(gap=0.5)))] == ["warning"]
    assert gap_findings(rows(before, {"train_rmse": 0.9, "test_rmse": 1.1})) == []
    higher = rows({"train_r2": 0.8, "test.r2": 0.7}, {"train_r2": 0.99, "test.r2": 0.7})
    assert "0.10 → 0.29" in gap_findings(higher)[0].message


def test_a_large_change_without_direction_asks_for_it_with_two_lines_to_paste() -> None:
    judged = rows({"ndvi index": 1.0, "rmse": 1.0}, {"ndvi index": 1.5, "rmse": 1.0})
    found = name_findings({}, {}, judged, {})
    assert [(finding.severity, finding.code) for finding in found] == [("warning", "direction-unknown")]
    assert found[0].hint is not None
    assert found[0].hint.endswith('rules:\n  "ndvi index": {direction: lower}')
    small = name_findings({}, {}, rows({"ndvi": 1.0}, {"ndvi": 1.01}), {})
    assert [finding.severity for finding in small] == ["info"]


def test_explained() -> None:
    table = explain_table(rows({"train_rmse": 1.0, "neg_mae": -1.0}, {"train_rmse": 1.0, "neg_mae": -2.0}))
    by_name = {row[0]: row[1:] for row in table.rows}
    assert by_name["neg_mae"] == ["MAE", "–", "higher", "yes", "MAE, turned by its sign"]
    assert by_name["train_rmse"][:4] == ["RMSE", "train", "lower", "no"]


def test_a_tolerance_makes_a_duration_decide() -> None:
    assert resolve("latency_ms", {}).weight == 0
    assert resolve("latency_ms", {"latency_ms": Rule(tolerance="5 %")}).weight == 1


def test_the_names_of_libraries_are_read_as_the_libraries_mean_them() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "metrics_names.csv"
    with path.open(encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    said = [(row, meaning(row["name"])) for row in table]
    assert len(said) > 400
    assert sum(each.known for _, each in said) > 0.98 * len(said)
    for row, each in said:
        assert (each.direction if each.known else "not known", each.split) == (row["direction read"], row["split"])


def test_a_real_cross_validation_is_taken_as_it_is() -> None:
    from sklearn.datasets import make_friedman1
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import cross_validate

    x, y = make_friedman1(200, noise=1.0, random_state=0)
    scoring = ["neg_root_mean_squared_error", "r2", "neg_mean_absolute_error"]
    sides = []
    for alpha in (1.0, 500.0):
        written = cross_validate(Ridge(alpha), x, y, cv=4, scoring=scoring, return_train_score=True)
        data = json.dumps({name: values.tolist() for name, values in written.items()}).encode()
        sides.append({"m.json": parse(data, "m.json")})
    good, bad = sides
    evidence = Evidence(IntervalSettings(resamples=0))
    for head, base, verdict in ((good, bad, "better"), (bad, good, "worse"), (good, good, "same")):
        judged = judge_metrics(head, base, {}, {}, evidence).rows
        assert overall(judged, has_base=True).verdict == verdict
        assert {row.name for row in judged if row.rule.weight > 0} == {f"test_{name}" for name in scoring}
