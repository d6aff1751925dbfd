"""The model card, and the papers that go with a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from flint_ml.errors import InputError
from flint_ml.record import Badge, Column, Figure, Provenance, Record, Table
from flint_ml.registry import card
from flint_ml.registry.model_files import described_as_mlflow, read_model, trained_python, training_run
from flint_ml.registry.version import Source


def record(headline: str = "better: RMSE 1.50 → 1.30") -> Record:
    return Record(
        action="compare-metrics",
        name="compare-metrics",
        status="passed",
        headline=headline,
        badge=Badge(label="Metrics", message="better"),
        tables=[Table(title="Metrics", columns=[Column(name="metric")], rows=[["RMSE"]])],
        figures=[
            Figure(title="Error", alt="errors centre near 0", path="compare-metrics/error.png"),
            Figure(title="Gone", alt="not there", path="compare-metrics/gone.png"),
        ],
        provenance=Provenance(tool="test", started="2026-11-21T20:00:00Z"),
    )


def test_card_has_source_checks_figures_and_rights(tmp_path: Path) -> None:
    results = tmp_path / "results"
    (results / "compare-metrics").mkdir(parents=True)
    (results / "compare-metrics" / "error.png").write_bytes(b"png")
    (tmp_path / "CITATION.cff").write_text("title: Soil <b>carbon</b>\nlicense: [MPL-2.0, CC-BY-4.0]\ndoi: 10.1/x\n")
    (tmp_path / "m.pkl").write_bytes(b"m")
    pictures = card.pictures_of([record()], results)
    assert pictures == {"figures/compare-metrics/error.png": results / "compare-metrics" / "error.png"}
    source = Source(
        commit="c0ffee" * 6 + "c0ff",
        pull_request=12,
        repository="https://github.com/lab/soil",
        gate="review",
        gate_reasons=("drift *warned*",),
    )
    text = card.model_card(
        "soc",
        source,
        read_model(tmp_path / "m.pkl", "m"),
        records=[record("worse <script>")],
        pictures=pictures,
        owner=card.read_rights(tmp_path),
    )
    assert "[#12](https://github.com/lab/soil/pull/12)" in text
    assert "[`c0ffeec0ff`](https://github.com/lab/soil/commit/c0ffee" in text
    assert "![errors centre near 0](figures/compare-metrics/error.png)" in text
    assert "gone.png" not in text
    assert "MPL-2.0, CC-BY-4.0" in text
    assert "https://doi.org/10.1/x" in text
    assert "<script>" not in text
    assert "<b>" not in text
    assert "drift \\*warned\\*" in text
    assert "download_artifacts" in text, "a plain file is not loaded by pyfunc"


def test_a_figure_outside_the_results_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "results" / "compare-metrics").mkdir(parents=True)
    (tmp_path / "secret").write_text("key")
    (tmp_path / "results" / "compare-metrics" / "error.png").symlink_to(tmp_path / "secret")
    assert card.pictures_of([record()], tmp_path / "results") == {}


def test_rights_of_a_project_without_or_with_a_broken_citation(tmp_path: Path) -> None:
    assert card.read_rights(tmp_path) == card.Rights()
    (tmp_path / "CITATION.cff").write_text("title: [\n")
    with pytest.raises(InputError, match="not valid YAML"):
        card.read_rights(tmp_path)


def test_project_files_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    assert card.project_files(tmp_path) == {"project/dvc.lock": tmp_path / "dvc.lock"}


def test_a_link_out_of_the_workspace_is_not_kept(tmp_path: Path) -> None:
    project = tmp_path / "workspace" / "soil"
    project.mkdir(parents=True)
    (tmp_path / "secret").write_text("key")
    (tmp_path / "workspace" / "LICENSE").write_text("MIT")
    (project / "params.yaml").symlink_to(tmp_path / "secret")
    (project / "LICENSE").symlink_to("../LICENSE")
    assert list(card.project_files(project, tmp_path / "workspace")) == ["project/LICENSE"]


def test_onnx_gets_an_mlmodel_that_mlflow_reads_and_keeps_its_hash(tmp_path: Path) -> None:
    from mlflow.models import Model

    (tmp_path / 'odd "name".onnx').write_bytes(b"onnx")
    plain = read_model(tmp_path / 'odd "name".onnx', "m")
    content = described_as_mlflow(plain, tmp_path / "made")
    assert content.sha256 == plain.sha256
    assert {file.name for file in content.files} == {
        'odd "name".onnx',
        "MLmodel",
        "requirements.txt",
        "python_env.yaml",
        "conda.yaml",
    }
    model = Model.load(str(tmp_path / "made"))
    assert model.flavors["python_function"]["loader_module"] == "mlflow.onnx"
    assert model.flavors["onnx"]["data"] == 'odd "name".onnx'


def test_the_run_that_trained_a_model_is_read_from_mlmodel(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("run_id: abc123\nflavors: {}\n")
    assert training_run(read_model(tmp_path, "m")) == "abc123"
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    assert training_run(read_model(tmp_path, "m")) is None


def test_the_card_as_a_page_shows_its_pictures_and_runs_nothing(tmp_path: Path) -> None:
    picture = tmp_path / "error.png"
    picture.write_bytes(b"png")
    text = "# soc\n\n| what | value |\n|---|---|\n| a | `b` |\n\n![errors](figures/a/error.png)\n\n<script>x</script>\n"
    text += '![gone](figures/gone.png) [run](https://h/r)\n\n```r\nreadRDS("m.rds")\n```\n'
    page = card.card_page(text, "soc <b>", {"figures/a/error.png": picture})
    assert 'src="data:image/png;base64,cG5n"' in page
    assert "gone.png" not in page
    assert "<script>" not in page
    assert "<title>soc &lt;b&gt;</title>" in page
    assert "<td><code>b</code></td>" in page
    assert 'href="https://h/r"' in page


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("m.rds", 'readRDS("model/m.rds")'),
        ("m.RDS", 'readRDS("model/m.RDS")'),
        ("m.RData", 'load("model/m.RData")'),
        ("m.pkl", "download_artifacts"),
    ],
)
def test_the_way_back_is_in_the_language_of_the_model(tmp_path: Path, file: str, words: str) -> None:
    (tmp_path / file).write_bytes(b"m")
    model = read_model(tmp_path / file, file)
    text = card.model_card("soc", Source(), model, records=[], pictures={}, owner=card.Rights())
    assert words in text
    assert (model.kind, "pyfunc" in text) == ("file" if file == "m.pkl" else "r", False)


@pytest.mark.parametrize(
    ("file", "text", "python"),
    [
        (".python-version", "3.12.4\n", "3.12.4"),
        ("environment.yml", "dependencies:\n  - python=3.10\n", "3.10"),
        ("conda.yaml", "dependencies:\n- python==3.9.18\n", "3.9.18"),
        ("pyproject.toml", '[project]\nrequires-python = ">=3.13,<4"\n', "3.13"),
        (".python-version", "pypy\n", None),
        ("requirements.txt", "numpy\n", None),
    ],
)
def test_the_python_that_trained(tmp_path: Path, file: str, text: str, python: str | None) -> None:
    from mlflow.models import Model
    from mlflow.utils.environment import _PythonEnv

    (tmp_path / file).write_text(text)
    assert trained_python(tmp_path) == python
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    described_as_mlflow(read_model(tmp_path / "m.onnx", "m"), tmp_path / "made", python)
    flavor = Model.load(str(tmp_path / "made")).flavors["python_function"]
    assert flavor.get("python_version") == python
    if python:
        assert _PythonEnv.from_yaml(tmp_path / "made" / "python_env.yaml").python == python
