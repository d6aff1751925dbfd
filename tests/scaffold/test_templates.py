"""init's templates and the examples are one text; what init writes can be read by the actions."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml

from flint_ml.commands import names
from flint_ml.runner.settings import parse_settings
from flint_ml.scaffold.plan import PINS, Answers, answer, procedure, scalar, settings, workflow
from flint_ml.scaffold.scan import scan_repository
from flint_ml.scaffold.storage import S3

ROOT = Path(__file__).resolve().parents[2]
SOIL = Answers(
    kind="model-gate",
    title="Soil organic carbon",
    lead="Ana",
    steward="Rui",
    language="Python",
    python="3.13",
    branch="main",
    folder="",
    command="dvc repro",
    expect=("pull-data", "check-drift", "train", "compare-metrics"),
    install=("python -m pip install --require-hashes -r requirements.txt",),
    metrics="metrics.json",
    dvc=True,
    kept=True,
    remote=True,
    secrets=S3.secrets,
    mlflow=True,
    stages=True,
    packages="requirements.txt",
    reference="data/reference.csv",
    current="data/new.csv",
)
GCBM = replace(
    SOIL, kind="gcbm-gate", title="Carbon of the example landscape", kept=False, mlflow=False, expect=("run-gcbm",)
)
PINE = replace(
    SOIL,
    kind="model-gate-r",
    language="R",
    title="Height of loblolly pine",
    command="Rscript train.R",
    install=(),
    packages=None,
    mlflow=False,
    secrets=(),
)


@pytest.mark.parametrize(
    ("answers", "example"),
    [
        (SOIL, "soil-carbon/.github/workflows/model-gate.yml"),
        (GCBM, "gcbm/.github/workflows/gcbm-gate.yml"),
        (PINE, "workflows/model-gate-r.yml"),
    ],
    ids=["soil", "gcbm", "R"],
)
def test_the_workflow_is_the_example_with_other_answers(answers: Answers, example: str) -> None:
    def parts(text: str) -> tuple[str, str]:
        """First line and everything from the name on; between them the example says what to change by hand."""
        return text.partition("\n")[0], text[text.index("\nname:") :]

    assert parts(workflow(answers)) == parts((ROOT / "examples" / example).read_text(encoding="utf-8"))


def test_the_pins_are_those_of_the_example_workflows() -> None:
    found: dict[str, set[str]] = {}
    for file in [*ROOT.glob("examples/**/*.yml"), *ROOT.glob("examples/**/.github/workflows/*.yml")]:
        for action, commit in re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40})", file.read_text(encoding="utf-8")):
            found.setdefault(action, set()).add(commit)
    for pin in PINS.values():
        action, _, commit = pin.partition(" ")[0].partition("@")
        assert found.get(action, {commit}) == {commit}, action
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", pin)


VARIANTS = {
    "soil": SOIL,
    "gcbm": GCBM,
    "gcbm in a folder, with DVC": replace(GCBM, kept=True, folder="sim", expect=("pull-data", "run-gcbm")),
    "R": PINE,
    "R with packages": replace(PINE, packages="renv.lock", folder="r"),
    "R with DESCRIPTION": replace(PINE, packages="DESCRIPTION", dvc=False),
    "R without either": replace(PINE, install=("Rscript -e 'install.packages(c(\"ranger\"))'",)),
    "nothing but a script": replace(
        SOIL,
        dvc=False,
        kept=False,
        remote=False,
        secrets=(),
        mlflow=False,
        reference=None,
        current=None,
        stages=False,
        expect=("train", "compare-metrics"),
        command="python train.py",
        install=(),
        model="m.pkl",
    ),
    "odd names": replace(
        SOIL,
        title='C: "soil" #1',
        folder="a b",
        branch="release/1",
        command="python 'my train.py' # all",
        reference="data: old.csv",
        current="new, data.csv",
        exclude=("no",),
        model="on",
        model_name="null",
    ),
}


@pytest.mark.parametrize("answers", VARIANTS.values(), ids=VARIANTS)
def test_what_is_written_is_yaml_with_the_permissions_of_a_gate(answers: Answers) -> None:
    text = workflow(answers)
    flow = yaml.safe_load(text)
    job = flow["jobs"]["gate"]
    assert flow["permissions"] == {}
    assert job["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert job["steps"][0]["with"]["fetch-depth"] == 0
    assert job["timeout-minutes"]
    assert not re.search(r"\n\n\n|[ \t]\n", text)
    titled = next(step["with"]["title"] for step in job["steps"] if "title" in step.get("with", {}))
    assert titled == answers.title
    loaded = parse_settings(settings(answers), "flint-ml.yml", names())
    if answers.kind != "gcbm-gate":
        assert loaded.section("gate")["command"] == answers.command
        assert loaded.section("gate")["expect"] == list(answers.expect)
        assert loaded.section("check-drift").get("reference") == answers.reference
    page = procedure(answers)
    assert answers.title in page
    assert "Ana" in page
    assert not re.search(r"<<|>>|<%|%>|\n\n\n", page + text + settings(answers))


def schema() -> jsonschema.Draft202012Validator:
    text = (ROOT / "docs/schema/flint-ml.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


@pytest.mark.parametrize("answers", VARIANTS.values(), ids=VARIANTS)
def test_the_published_schema_holds_what_is_written(answers: Answers) -> None:
    assert [error.message for error in schema().iter_errors(yaml.safe_load(settings(answers)))] == []


def test_the_published_schema_holds_every_settings_file_of_ours() -> None:
    validator, checked = schema(), 0
    texts = {str(file): file.read_text(encoding="utf-8") for file in ROOT.glob("examples/**/flint-ml.yml")}
    for page in ROOT.glob("docs/**/*.md"):
        blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        texts |= {f"{page} {number}": block for number, block in enumerate(blocks)}
    for where, text in texts.items():
        content = yaml.safe_load(text) if not re.search(r"^on:|uses:", text, re.MULTILINE) else None
        if isinstance(content, dict) and set(content) <= {*names(), "gate"}:
            checked += 1
            assert [f"{where}: {error.message}" for error in validator.iter_errors(content)] == []
    assert checked > 10


@pytest.mark.parametrize(
    "text",
    [
        "compare-metrics: {metrics: a.json}",
        "compare-metrics: {metrics: [a.json, b.json]}",
        "check-drift: {columns: 'a, b'}",
        "check-drift: {columns: {a: {min-effect: 0.2}}}",
        "pull-data: {allow-missing: 'true', targets: data}",
        "share: {authors: ['Ana Silva <0000-0002-1825-0097>']}",
    ],
)
def test_the_published_schema_takes_what_the_actions_take(text: str) -> None:
    assert [error.message for error in schema().iter_errors(yaml.safe_load(text))] == []


def test_the_published_schema_refuses_what_is_unknown() -> None:
    assert list(schema().iter_errors({"compare-metrics": {"metric": "a.json"}}))


def test_the_procedure_has_the_sections_of_the_example() -> None:
    def sections(text: str) -> list[str]:
        return re.findall(r"^## (\d)\.", text, re.MULTILINE)

    example = (ROOT / "examples/soil-carbon/SOP.md").read_text(encoding="utf-8")
    assert sections(procedure(SOIL)) == sections(procedure(GCBM)) == sections(example)


@pytest.mark.parametrize("text", ["no", "a: b", "#x", "- x", "x # y", "1.0", "", " x", "é", "'q'", "a,b", "x: ", "~"])
def test_a_scalar_means_itself(text: str) -> None:
    assert yaml.safe_load(f"key: {scalar(text)}")["key"] == text


def test_the_examples_are_recognised() -> None:
    facts = scan_repository(ROOT / "examples" / "gcbm")
    assert facts.gcbm == "."
    assert answer(facts, {}, "3.13").kind == "gcbm-gate"
    soil = scan_repository(ROOT / "examples" / "soil-carbon")
    answers = answer(soil, {}, "3.13")
    assert (answers.command, answers.metrics, answers.language) == ("dvc repro", "metrics.json", "Python")
    assert (soil.project, soil.environments[0].hashed, soil.mlflow) == ("examples/soil-carbon", True, True)
    assert answers.folder == "examples/soil-carbon"
    # From the names that DVC's files hold: a clone has no data.
    assert (answers.reference, answers.current) == ("data/prepared/reference.csv", "data/prepared/new_batch.csv")
    assert (answers.benchmark, answers.predictions) == ("data/ssp460-test.csv", "predictions.csv")
    assert (answers.model or "").startswith("model")
    pine = answer(scan_repository(ROOT / "examples" / "pine-height-r"), {}, "3.13")
    assert (pine.command, pine.kind, pine.benchmark) == ("Rscript train.R", "model-gate-r", "data/benchmark.csv")


def test_a_title_cannot_bring_an_expression_into_the_workflow(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# ${{ secrets.X }} soil\n")
    text = workflow(answer(scan_repository(tmp_path), {}, "3.13"))
    assert "secrets.X }}" not in text


def test_every_workflow_passes_githubs_schema_and_zizmor(tmp_path: Path) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    for number, (name, answers) in enumerate(VARIANTS.items()):
        # On a branch called release/… zizmor takes the cache of data for one of published artefacts.
        written = replace(answers, branch="main") if name == "odd names" else answers
        (folder / f"{number}.yml").write_text(workflow(written), encoding="utf-8")
    files = [str(file) for file in sorted(folder.iterdir())]
    schema = ["check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    for command in (
        [sys.executable, "-m", *schema, *files],
        [str(Path(sys.executable).parent / "zizmor"), "--offline", "--config", str(ROOT / "zizmor.yml"), *files],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_name_cannot_break_the_table_of_roles() -> None:
    text = procedure(replace(SOIL, lead="Ana | Rui"))
    assert "| lead | Ana \\| Rui | reads" in text
