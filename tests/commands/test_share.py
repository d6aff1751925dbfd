"""share: what is written is valid, and another repository really takes data and model by it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

BIN = Path(sys.executable).parent
SETTINGS = """\
register-model: {model: model.json, model-name: soc-topsoil}
share:
  title: Topsoil carbon of the valley
  description: Measurements of 4 samples and a model of them.
  licence: cc-by-4.0
  region: São Paulo, Brazil
  bounds: [-50.5, -23, -49, -22]
  period: 2010/2020
  keywords: [soil organic carbon]
  authors:
    - {name: Ana Silva, orcid: 0000-0002-1825-0097, affiliation: University of São Paulo}
    - {organisation: moja global}
"""
RECORD = {
    "schema": "flint-ml/record/1",
    "action": "compare-metrics",
    "name": "compare-metrics",
    "status": "passed",
    "headline": "better: RMSE 1.30",
    "badge": {"label": "Metrics", "message": "better"},
    "metrics": {"rmse": {"value": 1.3, "unit": "g/kg", "direction": "lower"}},
    "provenance": {
        "tool": "flint-ml 1.0.0",
        "started": "2026-11-21T20:41:00Z",
        "seconds": 62.0,
        "inputs": [{"path": "metrics.json", "md5": "0" * 32}],
    },
}


def sh(folder: Path, *command: str, expect: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder.parent / "site-cache"),
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, input=stdin
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def share(folder: Path, *options: str, expect: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return sh(folder, sys.executable, "-m", "flint_ml", "share", *options, expect=expect, stdin=stdin)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with data of people, a model of a stage, a local remote, and a record; made once, then copied."""
    folder = tmp_path_factory.mktemp("share") / "giver"
    folder.mkdir()
    sh(folder, "git", "init", "--quiet", "--initial-branch", "main")
    sh(folder, "dvc", "init", "--quiet")
    sh(folder, "dvc", "remote", "add", "--quiet", "--default", "storage", "../remote")
    (folder / "samples.csv").write_text("id,soc\n1,10\n2,20\n3,30\n4,40\n")
    (folder / "train.py").write_text("open('model.json', 'w').write('{\"mean\": 25}')\n")
    sh(folder, "dvc", "add", "--quiet", "samples.csv")
    sh(
        folder,
        "dvc",
        "stage",
        "add",
        "--quiet",
        "--run",
        "-n",
        "train",
        "-d",
        "train.py",
        "-o",
        "model.json",
        "python train.py",
    )
    (folder / "flint-ml.yml").write_text(SETTINGS)
    results = folder / "flint-ml-results"
    results.mkdir()
    (results / "compare-metrics.json").write_text(json.dumps(RECORD))
    with (folder / ".gitignore").open("a") as stream:
        stream.write("flint-ml-results/\n")
    sh(folder, "git", "add", "--all")
    sh(folder, "git", "commit", "--quiet", "-m", "Data and model")
    return folder


@pytest.fixture
def giver(made: Path, tmp_path: Path) -> Path:
    """A copy of the repository that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "giver"))


def graph(folder: Path) -> dict[str, dict[str, Any]]:
    data = json.loads((folder / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    return {entity["@id"]: entity for entity in data["@graph"]}


def references(value: Any) -> list[str]:
    """Every `{"@id": …}` inside a value."""
    if isinstance(value, dict):
        own = [value["@id"]] if set(value) == {"@id"} else []
        return own + [name for item in value.values() for name in references(item)]
    return [name for item in value for name in references(item)] if isinstance(value, list) else []


def test_another_repository_takes_data_and_model(giver: Path, tmp_path: Path) -> None:
    said = share(giver, "--yes").stdout
    sh(giver, "git", "add", "--all")
    sh(giver, "git", "commit", "--quiet", "-m", "Describe what is shared")
    sh(giver, "dvc", "push", "--quiet")
    for line in said.splitlines():
        if line.strip().startswith("git tag"):
            name = line.split("--annotate ")[1].split()[0]
            sh(giver, "git", "tag", "--annotate", name, "--message", name)
    taker = tmp_path / "taker"
    taker.mkdir()
    sh(taker, "git", "init", "--quiet")
    sh(taker, "dvc", "init", "--quiet")
    sh(taker, "dvc", "import", "--quiet", str(giver), "samples.csv")
    assert (taker / "samples.csv").read_bytes() == (giver / "samples.csv").read_bytes()
    imported = yaml.safe_load((taker / "samples.csv.dvc").read_text())
    assert imported["deps"][0]["repo"]["url"] == str(giver)
    sh(taker, "dvc", "artifacts", "get", str(giver), "soc-topsoil", "--rev", "v1.0.0", "-o", "taken.json")
    assert json.loads((taker / "taken.json").read_text()) == {"mean": 25}
    # The model of a pipeline's stage can be imported, too.
    sh(taker, "dvc", "import", "--quiet", str(giver), "model.json", "-o", "model.json")


def test_what_is_written_is_valid_and_says_who_what_where(giver: Path) -> None:
    share(giver, "--yes")
    checked = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.citation-file-format"]
    sh(giver, *checked, "CITATION.cff")
    citation = yaml.safe_load((giver / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["authors"][0]["orcid"] == "https://orcid.org/0000-0002-1825-0097"
    assert (citation["license"], citation["version"]) == ("CC-BY-4.0", "1.0.0")
    entities = graph(giver)
    # RO-Crate 1.1: descriptor, root, and no reference to nothing.
    assert entities["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    assert entities["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    root = entities["./"]
    assert {"name", "description", "datePublished", "license"} <= set(root)
    dangling = [
        name
        for e in entities.values()
        for name in references([v for k, v in e.items() if k != "@id"])
        if name not in entities and name != "https://w3id.org/ro/crate/1.1"
    ]
    assert dangling == []
    assert {part["@id"] for part in root["hasPart"]} == {"samples.csv", "model.json"}
    assert root["temporalCoverage"] == "2010/2020"
    assert entities["#bounds"]["box"] == "-23.0 -50.5 -22.0 -49.0"
    assert entities["#compare-metrics/rmse"]["value"] == 1.3
    assert entities["#compare-metrics"]["endTime"] == "2026-11-21T20:42:02Z"
    assert entities["samples.csv"]["identifier"].startswith("md5:")
    plan = yaml.safe_load((giver / "dvc.yaml").read_text(encoding="utf-8"))
    assert list(plan["stages"]) == ["train"]
    assert plan["artifacts"]["soc-topsoil"]["type"] == "model"
    assert plan["artifacts"]["samples"]["meta"]["region"] == "São Paulo, Brazil"


def test_nothing_is_written_without_a_yes_and_a_second_time_nothing_changes(giver: Path) -> None:
    before = (giver / "dvc.yaml").read_text()
    shown = share(giver, "--dry-run").stdout
    assert "+artifacts:" in shown
    share(giver, stdin="n\n")
    share(giver)  # nobody answers
    assert (giver / "dvc.yaml").read_text() == before
    assert not (giver / "CITATION.cff").exists()
    share(giver, stdin="y\n")
    after = (giver / "dvc.yaml").read_text()
    assert after.startswith(before.rstrip("\n"))
    assert "There is nothing to write" in share(giver, "--yes").stdout


def test_an_artifact_that_is_there_is_kept_and_comments_too(giver: Path) -> None:
    text = (giver / "dvc.yaml").read_text()
    text = f"# why this pipeline\n{text}artifacts:\n  mine: {{path: train.py, type: dataset}}  # by hand\n"
    (giver / "dvc.yaml").write_text(text)
    share(giver, "--yes")
    after = (giver / "dvc.yaml").read_text(encoding="utf-8")
    assert "# why this pipeline" in after
    assert "# by hand" in after
    plan = yaml.safe_load(after)
    assert set(plan["artifacts"]) == {"mine", "samples", "soc-topsoil"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--licence", "do what you like"), "SPDX"),
        (("--authors", "Ana Silva <0000-0002-1825-0098>"), "no ORCID"),
        (("--period", "2020/2010"), "ends before it begins"),
        (("--bounds", "1,2,3"), "no bounds"),
        (("--doi", "zenodo"), "no DOI"),
        (("--version", "1"), "version"),
        (("--artifacts", "{x: {path: nowhere.csv, type: dataset}}"), "neither in Git nor in DVC"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(giver: Path, options: tuple[str, ...], said: str) -> None:
    done = share(giver, "--yes", *options, expect=2)
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert not (giver / "CITATION.cff").exists()


@pytest.mark.parametrize("missing", ["licence", "authors"])
def test_without_licence_or_authors_nothing_is_shared(giver: Path, missing: str) -> None:
    settings = yaml.safe_load(SETTINGS)
    del settings["share"][missing]
    (giver / "flint-ml.yml").write_text(yaml.safe_dump(settings))
    done = share(giver, "--yes", expect=2)
    assert missing in done.stderr


def test_what_it_says_to_type_holds_for_names_with_spaces(giver: Path, tmp_path: Path) -> None:
    (giver / "field notes.csv").write_text("id\n1\n")
    sh(giver, "dvc", "add", "--quiet", "field notes.csv")
    said = share(giver, "--yes", "--repository", str(giver)).stdout
    assert references(list(graph(giver).values())).count("field%20notes.csv") == 1
    sh(giver, "git", "add", "--all")
    sh(giver, "git", "commit", "--quiet", "-m", "Notes")
    sh(giver, "dvc", "push", "--quiet")
    taker = tmp_path / "taker"
    taker.mkdir()
    sh(taker, "git", "init", "--quiet")
    sh(taker, "dvc", "init", "--quiet")
    (line,) = [line for line in said.splitlines() if "dvc import" in line and "notes" in line]
    sh(taker, *shlex.split(line))
    assert (taker / "field notes.csv").read_text() == "id\n1\n"


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ("git@github.com:o/r.git", "https://github.com/o/r"),
        ("https://x:s3cr3t@github.com/o/r.git", "https://github.com/o/r"),
        ("ssh://git@git.example.org:2222/o/r.git", "https://git.example.org/o/r"),
    ],
)
def test_the_address_is_one_for_people_and_without_credentials(giver: Path, origin: str, address: str) -> None:
    sh(giver, "git", "remote", "add", "origin", origin)
    said = share(giver, "--yes").stdout
    assert f"dvc import {address} samples.csv" in said
    assert graph(giver)["./"]["url"] == address
    assert "s3cr3t" not in said


def test_a_pipeline_file_that_is_no_text_is_one_line(giver: Path) -> None:
    (giver / "dvc.yaml").write_bytes(b"stages: {\xff\xfe}\n")
    done = share(giver, "--yes", expect=2)
    assert done.stderr.count("error: ") == 1
    assert "dvc.yaml" in done.stderr
