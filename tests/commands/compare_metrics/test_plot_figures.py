"""DVC's plots: those that dvc.yaml declares, of both sides, drawn; what cannot be drawn stops nothing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flint_ml.dvc_project import plots as dvcplots
from flint_ml.dvc_project.plots import Plot
from flint_ml.metrics.figures import draw_plot
from helpers.metrics import BASE, Repo, codes

DVC_YAML = """
stages:
  evaluate:
    cmd: python evaluate.py
    deps: [evaluate.py]
    plots:
      - loss.csv: {x: epoch, y: loss, cache: false}
      - classes.csv: {template: confusion, x: actual, y: predicted, cache: false}
      - tree.png: {cache: false}
plots:
  - Residuals:
      template: scatter
      x: {residuals.json: truth}
      y: {residuals.json: error}
  - importance.csv: {template: bar_horizontal, x: share, y: band}
"""


def _write(repo: Repo, factor: float, wrong: int) -> None:
    lines = [f"{epoch},{factor / (epoch + 1):.3f}" for epoch in range(6)]
    (repo.folder / "loss.csv").write_text("epoch,loss\n" + "\n".join(lines) + "\n")
    pairs = ["a,a"] * (10 - wrong) + ["a,b"] * wrong + ["b,b"] * 5
    (repo.folder / "classes.csv").write_text("actual,predicted\n" + "\n".join(pairs) + "\n")
    residuals = [{"truth": place, "error": factor * (place % 3 - 1)} for place in range(8)]
    (repo.folder / "residuals.json").write_text(json.dumps(residuals))
    (repo.folder / "importance.csv").write_text(f"band,share\nnm_500,{0.2 * factor}\nnm_900,0.1\n")
    Image.new("RGB", (40, 30), (0, int(100 * factor), 0)).save(repo.folder / "tree.png")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "repo", metrics_dot_json=BASE, dvc_dot_yaml=DVC_YAML)
    made.write(_dot_dvc__config="", _dot_dvc___dot_gitignore="/config.local\n/tmp\n/cache\n")
    _write(made, 1.0, 3)
    made.commit("base with plots")
    made.git("checkout", "-q", "-b", "change")
    made.write(metrics_dot_json=BASE | {"rmse": 1.3})
    _write(made, 0.8, 1)
    return made


def test_every_declared_plot_becomes_a_figure_of_both_sides(repo: Repo) -> None:
    code, record = repo.run(metrics=["metrics.json"])
    assert code == 0
    found = {figure["title"]: figure for figure in record["figures"]}
    assert {"loss.csv", "classes.csv", "tree.png", "Residuals", "importance.csv"} <= set(found)
    for figure in found.values():
        with Image.open(repo.folder / "flint-ml-results" / figure["path"]) as picture:
            picture.verify()
    loss = found["loss.csv"]["fallback"]
    assert (loss["kind"], loss["x"]) == ("line", ["0", "1", "2", "3", "4", "5"])
    assert [(one["name"], one["y"][0]) for one in loss["series"]] == [("base", 1.0), ("this change", 0.8)]
    assert found["classes.csv"]["alt"] == "classes.csv: 14 of 15 right with this change, 12 of 15 in the base."
    matrix = found["classes.csv"]["fallback"]
    assert (matrix["kind"], matrix["x"]) == ("table", ["actual a", "actual b"])
    assert {one["name"]: one["y"] for one in matrix["series"]} == {"predicted a": [9, 0], "predicted b": [1, 5]}
    assert found["tree.png"]["fallback"] is None
    bars = found["importance.csv"]["fallback"]
    assert (bars["x"], bars["series"][1]["y"]) == (["nm_500", "nm_900"], [pytest.approx(0.16), 0.1])
    assert repo.git("status", "--porcelain", "--", ".dvc") == "", "DVC leaves nothing behind"


def test_without_declared_plots_and_with_the_switch_off_dvc_is_not_asked(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("DVC was asked")

    monkeypatch.setattr("flint_ml.commands.compare_metrics.figures.collect_plots", never)
    assert repo.run(metrics=["metrics.json"], plots=False)[0] == 0
    repo.write(dvc_dot_yaml="stages: {}\n")
    assert repo.run(metrics=["metrics.json"])[0] == 0


def test_a_pipeline_that_dvc_refuses_is_named_before_anything_is_compared(repo: Repo) -> None:
    repo.write(dvc_dot_yaml=DVC_YAML + "  - broken: {x: [1, 2], unknown_key: 3}\n")
    code, record = repo.run(metrics=["metrics.json"])
    assert (code, codes(record)) == (2, {"invalid-dvc-file"})
    assert record["findings"][0]["message"].startswith("dvc.yaml: DVC cannot read it")


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"data": 3},
        {"data": {"x": None}},
        {"data": {"x": [3]}},
        {"data": {"x": [{"type": "image"}]}},
        {"data": {"x": [{"type": "vega", "content": {}, "anchor_definitions": {"<DVC_METRIC_DATA>": [3, {}]}}]}},
    ],
)
def test_what_dvc_says_in_another_form_is_left_out(data: Any) -> None:
    assert [plot for plot in dvcplots.parse(data, "HEAD") if plot.x] == []


def _declared(rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """What ``dvc plots diff --json --split`` prints of one plot."""
    anchors = {"<DVC_METRIC_DATA>": rows, "<DVC_METRIC_TITLE>": "ROC", "<DVC_METRIC_X_LABEL>": "fpr", **more}
    return {"data": {"ROC": [{"type": "vega", "content": {}, "anchor_definitions": anchors}]}}


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ([{"filename": "train.json"}, {"filename": "test.json"}], ["ROC: test", "ROC: train"]),
        ([{"field": "tpr_train"}, {"field": "tpr"}, {"field": "bound"}], ["ROC: tpr", "ROC: bound", "ROC: tpr_train"]),
        ([{"filename": "roc.json", "field": "tpr"}], ["ROC"]),
        (
            [{"filename": "north/a.csv", "field": "x"}, {"filename": "b.csv", "field": "y"}],
            ["ROC: north/a, x", "ROC: b, y"],
        ),
        ([{}], ["ROC"]),
    ],
)
def test_each_file_and_column_of_a_plot_is_a_figure_of_its_own(keys: list[dict[str, str]], names: list[str]) -> None:
    """Points of a training curve between those of the test curve would be a curve of nothing."""
    rows = [
        {"fpr": x, "tpr": number + x, "rev": rev, **key}
        for number, key in enumerate(keys)
        for rev in ("workspace", "HEAD")
        for x in (0.0, 0.5, 1.0)
    ]
    plots = dvcplots.parse(_declared(rows, **{"<DVC_METRIC_Y_LABEL>": "tpr"}), "HEAD")
    assert sorted(plot.title for plot in plots) == sorted(names)
    assert [plot.title for plot in plots][-1] == names[-1]
    for plot in plots:
        assert [row["tpr"] for row in plot.head] == [row["tpr"] for row in plot.base]
        assert [row["tpr"] - plot.head[0]["tpr"] for row in plot.head] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("backwards", [False, True])
def test_curves_with_points_at_other_places_are_read_off_at_the_same(tmp_path: Path, backwards: bool) -> None:
    head = [{"x": x, "y": 2 * x} for x in (0, 0, 0.25, 1)]
    base = [{"x": x, "y": x} for x in (0, 0.1, 0.7, 1)]
    if backwards:
        head, base = head[::-1], base[::-1]
    drawn = draw_plot(Plot("t", "line", "x", "y", head, base), tmp_path / "p.png")
    assert drawn is not None
    assert drawn[1] is not None
    before, after = drawn[1].series
    assert (before.name, after.name) == ("base", "this change")
    assert after.y == pytest.approx([2 * y for y in before.y if y is not None])
    assert (before.y[0], before.y[-1]) == (0, 1)
    assert len(set(drawn[1].x)) > 150


def test_curves_that_share_no_place_show_this_change_alone(tmp_path: Path) -> None:
    head, base = ([{"x": x + start, "y": x} for x in range(3)] for start in (0, 10))
    drawn = draw_plot(Plot("t", "line", "x", "y", head, base), tmp_path / "p.png")
    assert drawn is not None
    assert drawn[1] is not None
    assert [one.name for one in drawn[1].series] == ["this change"]


@pytest.mark.parametrize("kind", ["line", "scatter", "bar", "confusion"])
def test_points_that_are_no_numbers_make_no_figure(kind: Any, tmp_path: Path) -> None:
    rows = [{"x": "a", "y": "nan"}, {"x": None, "y": "text"}]
    drawn = draw_plot(Plot("t", kind, "x", "y", rows if kind != "confusion" else [], []), tmp_path / "p.png")
    assert drawn is None
    assert not (tmp_path / "p.png").exists()


def test_many_classes_are_no_matrix(tmp_path: Path) -> None:
    rows = [{"x": str(number), "y": str(number)} for number in range(13)]
    assert draw_plot(Plot("t", "confusion", "x", "y", rows, rows), tmp_path / "p.png") is None


def test_no_secret_reaches_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def run(command: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
        seen.update(more["env"])
        return subprocess.CompletedProcess(command, 0, '{"data": {}}', "")

    monkeypatch.setattr(subprocess, "run", run)
    env = {"PATH": "/usr/bin", "INPUT_TOKEN": "a", "AWS_SECRET_ACCESS_KEY": "b", "GITHUB_TOKEN": "c"}
    assert dvcplots.collect_plots(tmp_path, "HEAD", tmp_path, env) == []
    assert set(seen) == {"PATH", "DVC_NO_ANALYTICS", "PYTHONWARNINGS"}
