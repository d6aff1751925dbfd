"""Predictions tables, benchmark and groups, sources of metrics."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flint_ml.errors import InputError
from flint_ml.metrics import figures, groups, wording
from flint_ml.metrics.intervals.bootstrap import IntervalSettings
from flint_ml.metrics.intervals.significance import Question, answer, match
from flint_ml.metrics.names import meaning
from flint_ml.metrics.predictions import REST, Pairs, join, merge_small, read_table
from flint_ml.metrics.read import MetricsFile, Reading
from flint_ml.metrics.rules import Rule, resolve
from flint_ml.metrics.sources import glob_pattern, public_names
from flint_ml.metrics.wording import round_up

CSV = b"sample_id,measured,predicted,group\n007,1.0,1.5,a\n011,2.0,2.5,b\n"


def test_usual_column_names_and_ids_as_written() -> None:
    frame = read_table(CSV, "p.csv")
    assert list(frame.columns) == ["id", "truth", "prediction", "group"]
    assert list(frame["id"]) == ["007", "011"]


def test_parquet_and_named_columns() -> None:
    buffer = io.BytesIO()
    pd.DataFrame({"plot": [2, 1], "soc": [1.0, 2.0], "out": [1.5, 2.5]}).to_parquet(buffer)
    frame = read_table(buffer.getvalue(), "p.parquet at 0123", {"id": "plot", "truth": "soc", "prediction": "out"})
    assert list(frame["id"]) == ["1", "2"]
    assert list(frame["truth"]) == [2.0, 1.0]


def test_join_counts_what_differs() -> None:
    base = read_table(b"id,truth,prediction\na,1,1\nb,2,2\nc,3,3\n", "p.csv")
    head = read_table(b"id,truth,prediction\nb,2,5\nc,4,6\nd,5,7\n", "p.csv")
    pairs = join(base, head)
    assert (pairs.n, pairs.only_base, pairs.only_head, pairs.relabelled, pairs.same) == (2, 1, 1, 1, False)
    assert list(pairs.base) == [2.0, 3.0]
    assert list(pairs.head) == [5.0, 6.0]


def test_classes_and_probabilities() -> None:
    table = b"id,truth,prediction,probability\na,forest,forest,0.2\nb,peat,forest,0.4\n"
    pairs = join(read_table(table, "p.csv"), read_table(table, "p.csv"))
    assert not pairs.numeric
    assert pairs.likelihood is not None
    assert list(pairs.likelihood[0]) == pytest.approx([0.8, 0.4])
    assert list(pairs.positive) == [False, True]
    each = b"id,truth,prediction,probability_0,probability_1,probability_2\n"
    each += b"a,0,0,0.5,0.3,0.2\nb,1,1,0.1,0.8,0.1\nc,2,1,0,1,0\n"
    pairs = join(read_table(each, "p.csv"), read_table(each, "p.csv"))
    assert pairs.likelihood is not None
    assert list(pairs.likelihood[1]) == [0.5, 0.8, 0.0]
    assert pairs.score is None


def test_a_probability_is_between_zero_and_one() -> None:
    with pytest.raises(InputError, match="no probability in 1 rows, the first in data row 2"):
        read_table(b"id,truth,prediction,probability\na,0,0,0.2\nb,1,1,1.2\n", "p.csv")


def test_text_against_numbers_is_another_truth() -> None:
    pairs = join(
        read_table(b"id,truth,prediction\na,1,1\nb,2,2\n", "p.csv"),
        read_table(b"id,truth,prediction\na,x,1\nb,y,2\n", "p.csv"),
    )
    assert pairs.relabelled == 2


def test_small_groups_are_merged_until_no_sample_can_be_told() -> None:
    group = np.array(["a"] * 10 + ["b"] * 6 + ["c"] * 2 + ["d"], dtype=object)
    assert dict(zip(*np.unique(merge_small(group), return_counts=True), strict=True)) == {"a": 10, REST: 9}
    large = np.array(["a"] * 10 + ["b"] * 6, dtype=object)
    assert list(merge_small(large)) == list(large)
    assert set(merge_small(np.array(["a"] * 9 + ["b"] * 3 + ["c"] * 3, dtype=object))) == {"a", REST}


def test_the_weakest_group_is_the_one_that_became_worse() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(20, 5, 300)
    group = np.tile(np.array(["a", "b", "c"], dtype=object), 100)
    base = truth + rng.normal(0, 1.0, 300) * np.where(group == "c", 3, 1)
    head = truth + (base - truth) * np.where(group == "b", 1.5, 0.5)
    pairs = Pairs(truth, base, head, group)
    rows = groups.by_group(pairs, [("rmse", resolve("rmse", {}))], IntervalSettings(resamples=1_000))["rmse"]
    assert [(item.group, item.row.result) for item in rows] == [("b", "worse"), ("c", "better"), ("a", "better")]
    weakest = groups.weakest_group(rows)
    assert weakest is not None
    assert wording.group_sentence(weakest).startswith("weakest group b (n = 100): RMSE 0.995 → 1.493 (+0.498")
    assert wording.group_sentence(weakest).endswith("more than chance")


def test_a_group_with_few_samples_decides_nothing() -> None:
    truth = np.arange(40.0)
    group = np.array(["a"] * 30 + ["b"] * 10, dtype=object)
    pairs = Pairs(truth, truth + 1, truth + np.where(group == "b", 2.0, 1.0), group)
    rows = groups.by_group(pairs, [("rmse", resolve("rmse", {}))], IntervalSettings(resamples=200))["rmse"]
    assert {item.group: item.row.result for item in rows} == {"b": "inconclusive", "a": "same"}


def question(name: str, base: float, head: float) -> Question:
    return Question(name, resolve(name, {}), base, head)


def test_a_metric_is_what_the_predictions_say_it_is() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(20, 5, 50)
    base, head = truth + rng.normal(0.5, 2, 50), truth + rng.normal(0.5, 1, 50)
    pairs = Pairs(truth, base, head, None)
    correlation = [round(float(np.corrcoef(truth, side)[0, 1] ** 2), 3) for side in (base, head)]
    reverse = [round(float(np.mean(truth - side)), 3) for side in (base, head)]
    questions = [question("r2", *correlation), question("bias", *reverse), question("mae", 9.0, 9.0)]
    matched, findings = match(questions, pairs)
    assert matched == {"r2": "r2-correlation", "bias": "bias-reversed"}
    assert [finding.code for finding in findings] == ["metric-mismatch"]
    assert "mae of this change is 9" in findings[0].message
    assert set(answer(questions, pairs, IntervalSettings(resamples=500)).intervals) == {"r2", "bias"}


def test_names_that_no_score_fits_get_no_interval() -> None:
    pairs = Pairs(np.arange(30.0), np.arange(30.0), np.arange(30.0), None)
    assert match([question("npp", 1.0, 1.0), question("kge", 1.0, 1.0)], pairs) == ({}, [])
    assert meaning("kge").known


def test_round_up() -> None:
    assert [round_up(number) for number in (7, 99, 101, 115, 1_013)] == [7, 99, 110, 120, 1_100]


@pytest.mark.parametrize(
    ("pattern", "hits"),
    [
        ("*.json", ["a.json"]),
        ("**/*.json", ["a.json", "x/b.json", "x/y/c.json"]),
        ("x/*.json", ["x/b.json"]),
        ("x/**", ["x/b.json", "x/y/c.json"]),
        ("?.json", ["a.json"]),
        ("./x/?.json", ["x/b.json"]),
    ],
)
def test_globs_at_a_revision_mean_what_they_mean_in_the_tree(pattern: str, hits: list[str], tmp_path: Path) -> None:
    names = ["a.json", "x/b.json", "x/y/c.json", "xa.yaml"]
    assert [name for name in names if glob_pattern(pattern).fullmatch(name)] == hits
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    tree = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob(pattern) if path.is_file()}
    assert tree == set(hits) or pattern.endswith("**")


def test_the_same_name_in_two_files_is_told_apart() -> None:
    one = {"a.json": MetricsFile({"rmse": Reading(1.0), "r2": Reading(0.5)})}
    two = {"b.json": MetricsFile({"rmse": Reading(2.0)})}
    assert public_names(one, two) == {
        ("a.json", "rmse"): "a.json:rmse",
        ("a.json", "r2"): "r2",
        ("b.json", "rmse"): "b.json:rmse",
    }


def test_error_figure_draws_the_middle_and_leaves_out_the_rest(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(20, 5, 200)
    pairs = Pairs(truth, truth + rng.standard_cauchy(200), truth + rng.normal(0, 1, 200), None)
    alt, fallback = figures.draw_error_distribution(pairs, "g/kg", tmp_path / "e.png")
    errors = np.abs(np.concatenate([pairs.base - truth, pairs.head - truth]))
    inside = sum(y for series in fallback.series for y in series.y if y is not None)
    assert inside == (errors <= np.quantile(errors, 0.99)).sum() == 396
    assert "200 samples, narrower than in the base" in alt
    assert (fallback.kind, fallback.x_name, fallback.y_name) == ("line", "predicted − measured, g/kg", "samples")
    assert (tmp_path / "e.png").stat().st_size > 5_000


def test_no_bars_where_nothing_changed(tmp_path: Path) -> None:
    from flint_ml.metrics.verdict import judge

    row = judge("rmse", Reading(1.0), Reading(1.0), resolve("rmse", {"rmse": Rule(unit="g/kg")}))
    assert figures.draw_relative_changes([row], tmp_path / "c.png") is None


@pytest.mark.parametrize("word", ["NA", "None", "nan", "null", "N/A"])
def test_words_for_nothing_are_names_of_classes_and_groups(word: str) -> None:
    data = f"id,truth,prediction,group\na,{word},Fire,{word}\nb,Fire,{word},ZA\nc,Fire,Fire,\n"
    frame = read_table(data.encode(), "p.csv")
    assert list(frame["truth"]) == [word, "Fire", "Fire"]
    assert list(frame["group"]) == [word, "ZA", "(no group)"]


def test_a_missing_number_is_missing() -> None:
    for word in ("NA", "", "NaN"):
        with pytest.raises(InputError, match="has no truth"):
            read_table(f"id,truth,prediction\na,{word},1\nb,2,2\nc,3,3\n".encode(), "p.csv")


@pytest.mark.parametrize(
    "header",
    [
        "rowIndex,obs,pred",
        ".row,truth,.pred",
        "row_ids,truth,response",
        "index,y_true,y_pred",
        ",y_true,y_pred",
        "ID,Observed,Predicted",
    ],
)
def test_columns_as_other_programs_name_them(header: str) -> None:
    frame = read_table(f"{header}\n1,2.5,3.5\n2,4,5\n".encode(), "p.csv")
    assert list(frame["prediction"]) == [3.5, 5.0]


def test_semicolons_and_decimal_commas() -> None:
    frame = read_table(b"id;truth;prediction\n007;1,5;2,5\n011;2;3,25\n", "p.csv")
    assert list(frame["truth"]) == [1.5, 2.0]
    assert list(frame["id"]) == ["007", "011"]


def test_probabilities_of_tidymodels_and_mlr3() -> None:
    for prefix in (".pred_", "prob."):
        head = f".row,truth,.pred_class,{prefix}no,{prefix}yes\n"
        data = (head + "1,no,no,0.8,0.2\n2,yes,yes,0.3,0.7\n").encode()
        pairs = join(read_table(data, "p.csv"), read_table(data, "p.csv"))
        assert pairs.likelihood is not None
        assert list(pairs.likelihood[0]) == pytest.approx([0.8, 0.7])


def truths(values: np.ndarray, form: str) -> bytes:
    lines = [f"s{number},{format(value, form)},{value + 1:.10f}" for number, value in enumerate(values)]
    return ("id,truth,prediction\n" + "\n".join(lines) + "\n").encode()


def test_rounded_and_single_precision_truths_are_the_same_truth() -> None:
    values = np.random.default_rng(0).normal(20, 5, 50)
    exact = read_table(truths(values, ".10f"), "p.csv")
    for other in (
        truths(values, ".4f"),
        truths(values.astype(np.float32).astype(float), ".10f"),
        truths(values, ".1f"),
    ):
        for pair in ((exact, read_table(other, "p.csv")), (read_table(other, "p.csv"), exact)):
            pairs = join(*pair)
            assert pairs.same
            assert pairs.rounding > 0
    moved = values.copy()
    moved[3] += 0.01
    assert join(exact, read_table(truths(moved, ".10f"), "p.csv")).relabelled == 1
    assert join(exact, read_table(truths(moved, ".4f"), "p.csv")).relabelled == 1
    classes = read_table(b"id,truth,prediction\na,0,0\nb,1,1\n", "p.csv")
    assert join(classes, read_table(b"id,truth,prediction\na,0.4,0\nb,1.0,1\n", "p.csv")).relabelled == 1


def test_targets_make_samples_of_their_own_and_repeats_are_averaged() -> None:
    data = b"id,property,truth,prediction\na,soc,1,2\na,clay,10,20\nb,soc,2,3\nb,clay,20,30\n"
    frame = read_table(data, "p.csv", {"target": "property"})
    assert list(frame["id"]) == ["a / clay", "a / soc", "b / clay", "b / soc"]
    assert set(frame["group"]) == {"soc", "clay"}
    caret = b"rowIndex,obs,pred,Resample\n1,1.0,1.5,Fold1.Rep1\n1,1.0,2.5,Fold2.Rep2\n2,2.0,2.0,Fold1.Rep1\n"
    assert list(read_table(caret, "p.csv", {"repeat": "Resample"})["prediction"]) == [2.0, 2.0]
    with pytest.raises(InputError, match="same id again"):
        read_table(caret, "p.csv")


@pytest.mark.parametrize("name", ["p.rds", "p.RData", "p.rda at 0123"])
def test_files_of_r_are_named_with_the_line_that_exports_them(name: str) -> None:
    with pytest.raises(InputError) as caught:
        read_table(b"RDX3", name)
    assert "write.csv" in (caught.value.hint or "")


TABLES = {
    "row names as floats": ("id,truth,prediction\n0.0,1,1.5\n1.0,2,2.5\n", "0 1"),
    "no names of samples": ("y_test,y_pred\n1,1.5\n2,2.5\n", "row~000000001 row~000000002"),
    "tidymodels": ("id,.row,soc,.pred,.config\nFold1,1,1,1.5,M1\nFold2,2,2,2.5,M1\n", "1 2"),
    "tidymodels' augment": (".pred,.resid,soc\n1.5,0.5,1\n2.5,0.5,2\n", "row~000000001 row~000000002"),
    "wide, one target": ("id,soc_true,soc_pred\na,1,1.5\nb,2,2.5\n", "a b"),
    "wide, by prefix": ("plot_id,observed_soc,predicted_soc\na,1,1.5\nb,2,2.5\n", "a b"),
    "hydrology": ("date,obs,sim\n1,1,1.5\n2,2,2.5\n", "row~000000001 row~000000002"),
    "broom": ("id,actual,.fitted\na,1,1.5\nb,2,2.5\n", "a b"),
    "soil horizons": ("id,upper,lower,truth,prediction\na,0,,1,1.5\nb,5,15,2,2.5\n", "a b"),
}


@pytest.mark.parametrize("writer", list(TABLES))
def test_tables_as_others_write_them(writer: str) -> None:
    text, ids = TABLES[writer]
    frame = read_table(text.encode(), "p.csv")
    assert list(frame["id"]) == [name.replace("~", " ") for name in ids.split()]
    assert list(frame["truth"]) == [1.0, 2.0]
    assert list(frame["prediction"]) == [1.5, 2.5]
    assert frame.attrs["numbered"] == ids.startswith("row~")


def test_a_wide_table_of_targets_and_depths() -> None:
    text = b"id,soc_0_5_obs,soc_0_5_pred,clay_obs,clay_pred,group\na,1,1.5,10,11,x\nb,2,2.5,20,21,y\n"
    frame = read_table(text, "p.csv")
    assert list(frame["id"]) == ["a / clay", "a / soc_0_5", "b / clay", "b / soc_0_5"]
    assert list(frame["truth"]) == [10.0, 1.0, 20.0, 2.0]


def test_true_of_r_python_and_json_is_one_class() -> None:
    tables = [
        read_table(f"id,truth,prediction\na,{yes},{no}\nb,{no},{no}\n".encode(), "p.csv")
        for yes, no in (("TRUE", "FALSE"), ("True", "False"), ("true", "false"))
    ]
    assert all(join(tables[0], other).same for other in tables)
    named = read_table(b"id,truth,prediction\na,TRUE,Fire\nb,Fire,Fire\n", "p.csv")
    assert sorted(named["truth"]) == ["Fire", "TRUE"]


def test_probabilities_under_the_names_of_the_classes() -> None:
    data = b"rowIndex,obs,pred,Fire,Harvest\n1,Fire,Fire,0.8,0.2\n2,Harvest,Fire,0.6,0.4\n"
    pairs = join(read_table(data, "p.csv"), read_table(data, "p.csv"))
    assert pairs.likelihood is not None
    assert list(pairs.likelihood[0]) == pytest.approx([0.8, 0.4])
    groups_too = b"id,truth,prediction,Fire\n1,Fire,Fire,3\n2,Harvest,Fire,4\n"
    assert "probability_Fire" not in read_table(groups_too, "p.csv")


def test_an_id_that_comes_again_is_answered_with_the_column_of_its_repeats() -> None:
    with pytest.raises(InputError) as caught:
        read_table(b"rowIndex,obs,pred,Resample\n1,1,1,Fold1\n1,1,2,Fold2\n", "p.csv")
    assert "{repeat: Resample}" in (caught.value.hint or "")


def weighted_and_bounded(n: int, noise: float, half: float) -> tuple[bytes, dict[str, float]]:
    rng = np.random.default_rng(7)
    truth, weight = rng.normal(20, 5, n), rng.uniform(0.2, 3, n)
    prediction = truth + rng.normal(0, noise, n)
    table = pd.DataFrame({"id": range(n), "truth": truth, "prediction": prediction, "sample_weight": weight})
    table[".pred_lower"], table[".pred_upper"] = prediction - half, prediction + half
    error = prediction - truth
    outside = np.maximum(np.abs(error) - half, 0)
    values = {
        "rmse": float(np.sqrt(np.average(error**2, weights=weight))),
        "mae": float(np.average(np.abs(error), weights=weight)),
        "r2": float(1 - np.sum(weight * error**2) / np.sum(weight * (truth - np.average(truth, weights=weight)) ** 2)),
        "coverage": float(np.average(np.abs(error) <= half, weights=weight)),
        "interval_score": float(np.average(2 * half + 2 / 0.1 * outside, weights=weight)),
        "mpiw": 2 * half,
    }
    return table.to_csv(index=False).encode(), values


def test_weights_and_bounds_give_the_weighted_scores_coverage_and_interval_score() -> None:
    (one, before), (two, after) = weighted_and_bounded(200, 2.0, 2.5), weighted_and_bounded(200, 1.0, 2.5)
    pairs = join(read_table(one, "p.csv"), read_table(two, "p.csv"))
    questions = [Question(name, resolve(name, {}), before[name], after[name]) for name in before]
    matched, findings = match(questions, pairs)
    assert findings == []
    assert matched["interval_score"] == "interval-score-0.9"
    assert set(matched) == set(before)
    intervals = answer(questions, pairs, IntervalSettings(resamples=500)).intervals
    for name in ("rmse", "coverage", "interval_score"):
        assert intervals[name].differs(), name
        assert intervals[name].low < after[name] - before[name] < intervals[name].high


def test_a_weight_is_not_negative() -> None:
    with pytest.raises(InputError, match="no weight in 1 rows"):
        read_table(b"id,truth,prediction,sample_weight\na,1,1,-1\nb,2,2,1\n", "p.csv")


@pytest.mark.parametrize(
    "described",
    [
        b'{"index_columns": ["__nope__"], "columns": [], "column_indexes": []}',
        b'{"index_columns": [{"kind": "range", "start": 0, "stop": 99999999999, "step": 1}], "columns": []}',
        b"{broken",
        b"\xff\xfe",
    ],
)
def test_what_pandas_wrote_beside_a_parquet_file_decides_nothing(described: bytes) -> None:
    """Row 22 of docs/security.md: an index that is not there was a defect."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"id": ["a", "b"], "truth": [1.0, 2.0], "prediction": [1.5, 2.5]})
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({b"pandas": described}), file)
    frame = read_table(file.getvalue(), "p.parquet")
    assert frame["prediction"].tolist() == [1.5, 2.5]
