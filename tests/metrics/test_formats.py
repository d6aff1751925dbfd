"""Files as programs write them, of a base and of a change: the verdict is what a person would say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flint_ml.errors import InputError
from flint_ml.metrics.formats import number_of
from flint_ml.metrics.intervals.bootstrap import IntervalSettings
from flint_ml.metrics.read import parse
from flint_ml.metrics.rules import Rule
from flint_ml.metrics.verdict import Evidence, Judged, judge_metrics, overall
from flint_ml.metrics.wording import value_findings


def judged(base: str, head: str, where: str = "m.json", rules: dict[str, Rule] | None = None) -> Judged:
    sides = [{where: parse(text.encode(), where)} for text in (head, base)]
    return judge_metrics(sides[0], sides[1], rules or {}, {}, Evidence(IntervalSettings(resamples=0)))


def verdict(base: str, head: str, where: str = "m.json") -> str:
    return overall(judged(base, head, where).rows, has_base=True).verdict


# Who writes it, the file's name, a text with places for a number of the training and of the test, base and change.
REPORT = """              precision    recall  f1-score   support

        Fire       {test:.2f}      0.70      0.75       100
     Harvest       0.80      0.70      0.75       100

    accuracy                           {test:.2f}       200
   macro avg       0.80      0.70      0.75       200
"""
KERAS = '{{"loss":{train},"mae":{train},"val_loss":{test},"val_mae":{test}}}'
TRAINER = (
    '{{"log_history":[{{"epoch":1,"loss":{train}}},{{"epoch":1,"eval_loss":9}},{{"epoch":2,"eval_loss":{test}}}]}}'
)
CV_RESULTS = (
    ",mean_fit_time,param_alpha,params,split0_test_score,mean_test_score,std_test_score,rank_test_score\n"
    "0,0.1,1,{{'alpha': 1}},0.5,-9,0.1,2\n1,0.1,2,{{'alpha': 2}},0.5,-{test},0.1,1\n"
)
LOWER_IS_BETTER = {
    "Keras after the last epoch": ("m.json", KERAS),
    "Keras' log": ("m.csv", "epoch,loss,val_loss\n0,9,9\n1,{train},{test}\n"),
    "transformers' trainer_state": ("trainer_state.json", TRAINER),
    "XGBoost's evals_result": (
        "m.json",
        '{{"validation_0":{{"rmse":[5,{train}]}},"validation_1":{{"rmse":[90,{test}]}}}}',
    ),
    "LightGBM's record": ("m.json", '{{"training":{{"l2":[5,{train}]}},"valid_1":{{"l2":[90,{test}]}}}}'),
    "CatBoost's results": ("m.json", '{{"learn":{{"RMSE":[5,{train}]}},"validation":{{"RMSE":{test}}}}}'),
    "CatBoost's table": ("test_error.tsv", "iter\tRMSE\n0\t9\n1\t{test}\n"),
    "YOLO's results": ("results.csv", "   epoch,  train/box_loss, val/box_loss\n  1, 9, 9\n  2, {train}, {test}\n"),
    "Lightning's names": ("m.json", '{{"train_loss_epoch":{train},"train_loss_step":{train},"val_loss_epoch":{test}}}'),
    "pandas Series": ("m.csv", ",0\nrmse,{test}\n"),
    "R's named vector": ("m.csv", '"","x"\n"regr.rmse",{test}\n'),
    "R's cat": ("m.txt", "RMSE = {test}\n"),
    "Python's print": ("metrics.txt", "Model: ridge\nRMSE: {test}\nMAE: {test}\n"),
    "Markdown": ("m.md", "| metric | value |\n|---|---:|\n| rmse | {test} |\n"),
    "a list in Markdown": ("m.md", "# Results\n- **RMSE**: {test}\n"),
    "ini": ("m.ini", "[metrics]\nrmse = {test}\n"),
    "NumPy's savetxt": ("m.csv", "# rmse,mae\n{test},{test}\n"),
    "comments on top": ("m.csv", "# by train.R\nmetric,value\nrmse,{test}\n"),
    "rows of splits": ("m.csv", "split,rmse,mae\ntrain,{train},{train}\ntest,{test},{test}\n"),
    "rows of datasets": ("m.csv", "dataset,rmse\ntrain,{train}\ntest,{test}\n"),
    "columns of splits": ("m.csv", ",train,test\nrmse,{train},{test}\n"),
    "mlr3's scores": (
        "m.csv",
        "nr,task_id,learner_id,resampling_id,iteration,regr.rmse\n1,soc,lm,cv,1,{test}\n1,soc,lm,cv,2,2\n",
    ),
    "tune's collect_metrics": (
        "m.csv",
        "id,.metric,.estimator,.estimate\nFold1,rmse,standard,{test}\nFold2,rmse,standard,2\n",
    ),
    "folds by name": ("m.json", '{{"fold_0":{{"rmse":{test}}},"fold_1":{{"rmse":2}}}}'),
    "folds in names": ("m.json", '{{"rmse_fold1":{test},"rmse_fold2":2}}'),
    "caret's resamples": ("m.csv", '"RMSE","Rsquared","Resample"\n{test},0.7,"Fold1"\n2,0.7,"Fold2"\n'),
    "caret's results": ("m.csv", '"","mtry","RMSE","RMSESD"\n"1",2,{test},0.1\n"2",5,9,0.1\n'),
    "scikit-learn's cv_results_": ("m.csv", CV_RESULTS),
    "Keras' history without epochs": ("m.csv", ",loss,val_loss\n0,9,9\n1,{train},{test}\n"),
    "Keras' history as records": ("m.json", '[{{"loss":9,"val_loss":9}},{{"loss":{train},"val_loss":{test}}}]'),
    "Keras' history by pandas": ("m.json", '{{"loss":{{"0":9,"1":{train}}},"val_loss":{{"0":9,"1":{test}}}}}'),
    "XGBoost's cv": ("m.csv", ",train-rmse-mean,test-rmse-mean,test-rmse-std\n0,9,1.6,0.1\n1,{train},{test},0.1\n"),
    "LightGBM's cv": ("m.json", '{{"valid rmse-mean":[1.6,{test}],"valid rmse-stdv":[0.1,0.1]}}'),
    "SageMaker": ("m.json", '{{"regression_metrics":{{"mae":{{"value":{test},"standard_deviation":{train}}}}}}}'),
    "Kubeflow": ("m.json", '{{"metrics":[{{"name":"rmse","numberValue":{test},"format":"RAW"}}]}}'),
    "Weka": ("m.txt", "Mean absolute error           {test}\nTotal Number of Instances   100\n"),
    "R's print of a vector": ("m.txt", "     RMSE  Rsquared \n{test}000000 0.7000000 \n"),
    "R's print of a data frame": ("m.txt", "  rmse rsq\n1  {test} 0.7\n"),
    "R's summary of lm": ("m.txt", "Residual standard error: {test} on 47 degrees of freedom\n"),
    "Python's print of a dict": ("m.txt", "{{'rmse': np.float64({test}), 'r2': 0.7}}\n"),
    "Python's repr as JSON": ("m.json", "{{'rmse': {test}, 'r2': 0.7}}"),
    "a list in YAML": ("m.yaml", "- rmse: {test}\n- r2: 0.7\n"),
    "pairs": ("m.json", '[["rmse",{test}],["r2",0.7]]'),
    "a number alone": ("rmse.txt", "{test}\n"),
    "a number alone in JSON": ("rmse.json", "{test}"),
    "Excel's first line": ("m.csv", "sep=;\nmetric;value\nrmse;{test}\n"),
    "a header of two lines": ("m.csv", ",rmse,rmse\n,mean,std\n0,{test},0.1\n1,2,0.1\n"),
    "a log": ("train.log", "2024-01-01 12:00:00 INFO rmse: {test}\n"),
    "rows by depth": ("m.csv", "depth,rmse\n5,{test}\n15,1.7\n"),
    "pandas describe": ("m.csv", ",rmse\ncount,5\nmean,{test}\nstd,0.1\nmin,1\n25%,1\nmax,9\n"),
    "broom": ("m.csv", '"r.squared","AIC","nobs"\n0.7,{test},50\n'),
    "an error whose sign is turned": ("m.json", '{{"cv_rmse":-{test}}}'),
    "in per cent": ("m.json", '{{"mape":"{test} %"}}'),
    "with its spread": ("m.json", '{{"rmse":"{test} ± 0.1"}}'),
    "as NumPy prints it": ("m.json", '{{"rmse":"np.float64({test})"}}'),
    "beside settings": (
        "m.json",
        '{{"params":{{"n_estimators":{train},"max_depth":{train}}},"metrics":{{"rmse":{test}}}}}',
    ),
    "beside importances": ("m.json", '{{"rmse":{test},"feature_importance":{{"clay":{train},"pH":0.2}}}}'),
    "beside samples": ("m.json", '{{"rmse":{test},"y_true":[1,2,3],"y_pred":[1,2,{train}]}}'),
    "beside a curve": ("m.json", '{{"brier":{test},"roc":{{"fpr":[0,{train},1],"tpr":[0,0.5,1]}}}}'),
    "beside a confusion matrix by name": (
        "m.json",
        '{{"rmse":{test},"cm":{{"a":{{"a":{train},"b":1}},"b":{{"a":2,"b":3}}}}}}',
    ),
    "beside spread and bounds": ("m.json", '{{"rmse":{{"mean":{test},"std":{train},"min":{train},"max":9,"n":5}}}}'),
    "beside p-values": ("m.json", '{{"rmse":{test},"rmse_pvalue":{train},"rmse_ci_low":{train},"rmse_se":0.1}}'),
}


@pytest.mark.parametrize("writer", list(LOWER_IS_BETTER))
def test_what_others_write_is_judged_by_what_the_model_has_not_seen(writer: str) -> None:
    where, text = LOWER_IS_BETTER[writer]
    base = text.format(train=1.0, test=1.5)
    assert verdict(base, text.format(train=1.1, test=1.2), where) == "better"
    assert verdict(base, text.format(train=0.8, test=1.9), where) == "worse"
    assert verdict(base, base, where) == "same"


def test_a_report_as_text() -> None:
    base, better, worse = (REPORT.format(test=value) for value in (0.8, 0.85, 0.6))
    assert (verdict(base, better, "r.txt"), verdict(base, worse, "r.txt")) == ("better", "worse")
    assert parse(base.encode(), "r.txt").readings["macro avg.f1-score"].value == 0.75


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        ({"rmse": 0.0}, {"rmse": 1e-15}, "same"),
        ({"rmse": 1e-15}, {"rmse": 0.0}, "same"),
        ({"rmse": 0.0}, {"rmse": 1e-5}, "worse"),
        ({"r2": 0.99999999999}, {"r2": 1.0}, "same"),
        ({"r2": 0.0}, {"r2": -1e-16}, "same"),
        ({"bias": 0.0}, {"bias": 3e-17}, "same"),
        ({"bias": 1e-14, "rmse": 120.0}, {"bias": 3e-9, "rmse": 120.0}, "same"),
        ({"bias": 1e-14, "rmse": 120.0}, {"bias": 3e-3, "rmse": 120.0}, "worse"),
        ({"mse": 1e-16}, {"mse": 3e-16}, "worse"),  # fluxes in kg m-2 s-1 are as small
        ({"loss": -1.7e308}, {"loss": 1.7e308}, "worse"),
    ],
)
def test_rounding_errors_are_not_a_change(base: Any, head: Any, expected: str) -> None:
    assert verdict(json.dumps(base), json.dumps(head)) == expected


@pytest.mark.parametrize(
    ("base", "head"),
    [
        ({"rmse": -1.5}, {"rmse": 2.5}),
        ({"accuracy": 0.91}, {"accuracy": 84.0}),
        ({"error_rate": 12}, {"error_rate": 0.1}),
    ],
)
def test_numbers_of_another_scale_are_not_compared(base: Any, head: Any) -> None:
    assert verdict(json.dumps(base), json.dumps(head)) == "changed"


def test_a_bare_name_beside_validation_may_be_that_of_the_test_set() -> None:
    rows = judged('{"rmse":1.5,"val_rmse":1.2}', '{"rmse":1.9,"val_rmse":1.2}').rows
    assert overall(rows, has_base=True).verdict == "worse"


def test_a_rule_lets_a_spread_decide() -> None:
    base, head = '{"rmse":1.5,"rmse_std":0.1}', '{"rmse":1.5,"rmse_std":0.2}'
    assert verdict(base, head) == "same"
    rows = judged(base, head, rules={"*_std": Rule(direction="lower")}).rows
    assert overall(rows, has_base=True).verdict == "worse"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.5", 1.5),
        ("91 %", 91.0),
        ("−0.2", -0.2),
        ("1.5 ± 0.1", 1.5),
        ("1.5 +/- 0.1", 1.5),
        ("1.5 (0.1)", 1.5),
        ("1,234.5", 1234.5),
        ("1,234,567", 1234567.0),
        ("np.float64(1.5)", 1.5),
        ("tensor(0.5, device='cuda:0')", 0.5),
        ("1,234", None),
        ("2024-05-01", None),
        ("1.5.2", None),
        ("v1.5", None),
        ("(1.5)", None),
        ("", None),
    ],
)
def test_numbers_as_text(text: str, number: float | None) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("where", "text", "size"),
    [
        ("m.csv", ",fire,harvest\nfire,50,10\nharvest,5,60\n", 2),
        ("m.csv", '"Prediction","Reference","Freq"\n"a","a",50\n"b","a",5\n"a","b",10\n"b","b",60\n', 2),
        ("m.json", '{"cm":{"a":{"a":5,"b":1,"c":0},"b":{"a":0,"b":7,"c":1},"c":{"a":0,"b":7,"c":1}}}', 3),
        ("m.json", '{"cm":[[5,1],[2,3]]}', 2),
    ],
)
def test_confusion_matrices_are_no_metrics(where: str, text: str, size: int) -> None:
    file = parse(text.encode(), where)
    assert not file.readings
    assert [len(matrix.rows) for matrix in file.matrices.values()] == [size]
    assert next(iter(file.matrices.values())).rows[0][1] in (10.0, 1.0)


def test_a_class_that_falls_is_told_where_the_average_is_better() -> None:
    def report(poor: float, rich: float) -> str:
        rows = {"poor": poor, "rich": rich, "macro avg": (poor + rich) / 2}
        parts = {name: {"precision": value, "recall": value, "f1-score": value} for name, value in rows.items()}
        return json.dumps({**parts, "accuracy": (poor + rich) / 2})

    for base, head, codes in (((0.8, 0.6), (0.79, 0.7), []), ((0.8, 0.6), (0.7, 0.9), ["class-worse"])):
        rows = judged(report(*base), report(*head)).rows
        result = overall(rows, has_base=True)
        assert result.verdict == "better"
        assert [finding.code for finding in value_findings(rows, result, has_base=True)] == codes


def test_an_extreme_in_the_name_of_a_metric_is_that_metric() -> None:
    base, head = '{"max_error":2,"mean_absolute_error":1}', '{"max_error":3,"mean_absolute_error":1}'
    assert verdict(base, head) == "worse"
    assert verdict('{"max_error":{"mean":2,"std":1}}', '{"max_error":{"mean":1.8,"std":1.2}}') == "better"


def test_a_spread_that_grows_is_a_warning() -> None:
    for std, codes in ((0.05, []), (0.2, ["spread-grew"])):
        rows = judged('{"r2_mean":0.7,"r2_std":0.02}', json.dumps({"r2_mean": 0.7, "r2_std": std})).rows
        result = overall(rows, has_base=True)
        assert result.verdict == "same"
        assert [finding.code for finding in value_findings(rows, result, has_base=True)] == codes


def test_rows_keep_what_they_are_about() -> None:
    assert list(parse(b"depth,rmse\n5,1.5\n15,1.7\n", "m.csv").readings) == ["depth_5.rmse", "depth_15.rmse"]
    assert list(parse(b"fold,rmse\n1,1.5\n2,1.7\n", "m.csv").readings) == ["rmse"]


def test_numpy_in_yaml_is_answered_with_what_to_write() -> None:
    text = b"rmse: !!python/object/apply:numpy.core.multiarray.scalar\n- x\n"
    with pytest.raises(InputError) as caught:
        parse(text, "m.yaml")
    assert "float(value)" in (caught.value.hint or "")
