"""init as a new user meets it: an empty folder with a table and a script, and nothing typed but what it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]
TRAIN = """\
import csv
rows = [(float(row["clay"]), float(row["soc"])) for row in csv.DictReader(open("samples.csv"))]
train, test = rows[::2], rows[1::2]
mean_x, mean_y = (sum(column) / len(train) for column in zip(*train))
slope = sum((x - mean_x) * (y - mean_y) for x, y in train) / sum((x - mean_x) ** 2 for x, _ in train)
errors = [mean_y + slope * (x - mean_x) - y for x, y in test]
rmse = (sum(error * error for error in errors) / len(errors)) ** 0.5
r2 = 1 - sum(error * error for error in errors) / sum((y - mean_y) ** 2 for _, y in test)
print("RMSE", rmse)
"""


def environment(folder: Path) -> dict[str, str]:
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "INPUT_"))},
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "Ana Silva",
        "GIT_AUTHOR_EMAIL": "ana@example.org",
        "GIT_COMMITTER_NAME": "Ana Silva",
        "GIT_COMMITTER_EMAIL": "ana@example.org",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder.parent / "site-cache"),
    }


def sh(folder: Path, command: str, expect: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        input=stdin,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def init(folder: Path, *options: str, expect: int = 0, stdin: str = "") -> str:
    return sh(folder, " ".join(["flint-ml", "init", *options]), expect, stdin).stdout


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A folder with a table and a training script that writes nothing."""
    folder = tmp_path / "my-soil"
    folder.mkdir()
    values = [(number * 37 % 101 / 2, number * 17 % 13) for number in range(120)]
    rows = "".join(f"{n},{clay},{0.8 * clay + noise}\n" for n, (clay, noise) in enumerate(values))
    (folder / "samples.csv").write_text("id,clay,soc\n" + rows)
    (folder / "train.py").write_text(TRAIN)
    return folder


def told(said: str, heading: str) -> list[str]:
    """The commands that init says to type below ``heading``, in order."""
    part = said.split(heading)[1].split("\nThe first report", maxsplit=1)[0]
    return [line.strip() for line in part.splitlines() if line.startswith("      ")]


def test_from_nothing_to_a_gate_by_what_it_says_alone(fresh: Path) -> None:
    said = init(fresh, "--yes", "--lead", "'Ana Silva'", "--title", "'Soil of the valley'")
    assert "metrics    no script writes any" in said
    lines = told(said, "at your desk:")
    code, commands = lines[:3], lines[3:]
    assert code[0] == "import json"
    with (fresh / "train.py").open("a") as stream:
        stream.write("\n".join([code[0], code[1], f"    {code[2]}"]) + "\n")
    assert commands[:3] == ["git init -b main", "dvc init", "dvc add samples.csv"]
    assert commands[-1] == "flint-ml gate"
    for command in commands:
        done = sh(fresh, command)
    assert "Gate: review" in done.stdout
    decision = json.loads((fresh / "flint-ml-results/post-report.json").read_text())
    assert decision["details"]["decision"] == "review"
    for name in ("pull-data", "check-drift", "train"):
        assert json.loads((fresh / f"flint-ml-results/{name}.json").read_text())["status"] == "passed", name
    # The next change has a base.
    sh(fresh, "git switch -q -c tidy && echo '# tidy' >> train.py && git commit -qam tidy")
    sh(fresh, "flint-ml gate")
    after = json.loads((fresh / "flint-ml-results/compare-metrics.json").read_text())["details"]
    assert after["verdict"] == "same"
    # The files are the user's, with their names in them, and everything is in Git but what a run makes.
    assert "Ana Silva" in (fresh / "SOP.md").read_text()
    kept = sh(fresh, "git ls-files").stdout.split()
    assert {"flint-ml.yml", ".github/workflows/model-gate.yml", "SOP.md", "samples.csv.dvc", "metrics.json"} <= set(
        kept
    )
    assert not [name for name in kept if name.startswith("flint-ml-results") or name == "samples.csv"]
    # And the doctor finds nothing but what a desk cannot have.
    found = json.loads(sh(fresh, "flint-ml doctor --json", expect=1).stdout)["checks"]
    assert [c["what"] for c in found if c["mark"] == "failure"] == [
        "no default remote: a runner has nowhere to take the data from"
    ]


def test_it_writes_nothing_without_a_yes(fresh: Path) -> None:
    before = sorted(fresh.rglob("*"))
    shown = init(fresh, "--dry-run")
    assert "+++ b/.github/workflows/model-gate.yml" in shown
    init(fresh, stdin="n\n")
    init(fresh)
    assert sorted(fresh.rglob("*")) == before
    init(fresh, stdin="y\n")
    assert (fresh / "flint-ml.yml").is_file()


def test_a_file_that_is_there_is_shown_beside_and_never_changed(fresh: Path) -> None:
    mine = "gate:\n  command: make all\n"
    (fresh / "flint-ml.yml").write_text(mine)
    (fresh / ".gitignore").write_text("secret.txt\n")
    said = init(fresh, "--yes")
    assert (fresh / "flint-ml.yml").read_text() == mine
    assert (fresh / ".gitignore").read_text() == "secret.txt\n"
    assert "-  command: make all" in said
    assert "flint-ml.yml is yours and stays as it is" in said
    assert "echo flint-ml-results/ >> .gitignore" in said
    again = init(fresh, "--yes")
    assert "SOP.md: is there already" in again
    assert "There is nothing to write" in again


def test_a_second_workflow_is_not_added(fresh: Path) -> None:
    flows = fresh / ".github" / "workflows"
    flows.mkdir(parents=True)
    (flows / "ci.yml").write_text("jobs: {a: {steps: [{uses: moja-global/flint-ml-actions@v1}]}}\n")
    said = init(fresh, "--yes")
    assert [file.name for file in flows.iterdir()] == ["ci.yml"]
    assert "ci.yml uses flint-ml-actions already" in said


def test_reference_and_new_batch_are_told_apart_by_name(fresh: Path) -> None:
    shutil.move(fresh / "samples.csv", fresh / "reference.csv")
    shutil.copy(fresh / "reference.csv", fresh / "new_batch.csv")
    (fresh / "predictions.csv").write_text("id,truth,prediction\n1,2,3\n")
    (fresh / "benchmark.csv").write_text("id,clay,soc\n1,2,3\n")
    init(fresh, "--yes", "--dvc", "false")
    settings = yaml.safe_load((fresh / "flint-ml.yml").read_text())
    assert settings["check-drift"] == {"reference": "reference.csv", "current": "new_batch.csv", "exclude": ["id"]}
    assert settings["compare-metrics"]["predictions"] == "predictions.csv"
    assert settings["compare-metrics"]["benchmark"] == "benchmark.csv"
    assert settings["gate"]["expect"] == ["check-drift", "train", "compare-metrics"]


def test_an_r_project_gets_r_and_its_own_lines(tmp_path: Path) -> None:
    folder = tmp_path / "trees"
    (folder / "R").mkdir(parents=True)
    (folder / "plots.csv").write_text("plot_id;height;volume\n1;10,5;3\n")
    (folder / "R" / "fit_model.R").write_text("library(ranger)\nlibrary(stats)\nfit <- ranger(volume ~ height, data)\n")
    said = init(folder, "--yes")
    flow = (folder / ".github/workflows/model-gate-r.yml").read_text()
    assert "r-lib/actions/setup-r@" in flow
    assert 'install.packages(c("ranger")); stopifnot(all(c("ranger") %in% rownames(installed.packages())))' in flow
    assert yaml.safe_load((folder / "flint-ml.yml").read_text())["gate"]["command"] == "Rscript R/fit_model.R"
    assert 'writeLines(sprintf(\'{"rmse": %.6g, "r2": %.6g}\', rmse, r2), "metrics.json")' in said
    assert not (folder / "requirements.txt").exists()


def test_a_pipeline_with_a_remote_gets_its_secrets(fresh: Path) -> None:
    sh(fresh, "git init -q -b trunk && dvc init -q && dvc add -q samples.csv && dvc remote add -d s s3://bucket/dvc")
    sh(fresh, "dvc stage add -q -n train -d samples.csv -d train.py -M scores.json python train.py")
    (fresh / "requirements.txt").write_text("dvc\nmlflow\n")
    (fresh / "train.py").write_text(f"import mlflow\n{TRAIN}")
    said = init(fresh, "--yes")
    flow = yaml.safe_load((fresh / ".github/workflows/model-gate.yml").read_text())
    step = flow["jobs"]["gate"]["steps"][-1]
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_URI"} <= set(step["env"])
    assert "gh secret set AWS_ACCESS_KEY_ID" in said
    settings = yaml.safe_load((fresh / "flint-ml.yml").read_text())
    assert (settings["gate"]["command"], settings["compare-metrics"]["metrics"]) == ("dvc repro", "scores.json")
    assert settings["check-drift"]["reference-rev"] == "trunk"
    assert "three lines" not in said


def test_a_simulation_gets_the_simulations_gate(tmp_path: Path) -> None:
    folder = tmp_path / "landscape"
    shutil.copytree(
        ROOT / "examples" / "gcbm",
        folder,
        ignore=shutil.ignore_patterns(".github", "flint-ml.yml", "dvc.*", ".dvc*", "README.md", "output"),
    )
    sh(folder, "git init -q -b main && git add -A && git commit -qm layers")
    said = init(folder, "--yes")
    assert "GCBM       a project in ." in said
    flow = yaml.safe_load((folder / ".github/workflows/gcbm-gate.yml").read_text())
    assert any("run-gcbm@" in step["uses"] for step in flow["jobs"]["gate"]["steps"])
    page = (folder / "SOP.md").read_text()
    assert "land balance" in page
    assert told(said, "at your desk:")[-1] == "flint-ml gate"
    sh(folder, "git add -A && git commit -qm gate && flint-ml gate --fail-on never")


def test_a_project_in_a_folder_of_the_repository(fresh: Path) -> None:
    sh(fresh, "git init -q -b main && mkdir soil && mv samples.csv train.py soil/")
    init(fresh, "--yes", "--working-directory", "soil", "--dvc", "false")
    assert (fresh / "soil" / "flint-ml.yml").is_file()
    flow = yaml.safe_load((fresh / ".github/workflows/model-gate.yml").read_text())
    assert flow["jobs"]["gate"]["steps"][-1]["with"]["working-directory"] == "soil"


@pytest.mark.parametrize("name", ["flint-ml.yml", "SOP.md"])
def test_something_in_the_way_is_one_line(fresh: Path, name: str) -> None:
    (fresh / name).mkdir()
    done = sh(fresh, "flint-ml init --yes", expect=2)
    assert done.stderr.count("\n") == 1
    assert re.search(rf"{name}: is there, and is no text file", done.stderr)
    assert not (fresh / "flint-ml-results").exists()


def test_a_gate_for_a_simulation_needs_one(fresh: Path) -> None:
    done = sh(fresh, "flint-ml init --yes --workflow gcbm-gate", expect=2)
    assert "gcbm_config.cfg" in done.stderr


def flow(folder: Path) -> dict[str, Any]:
    """The workflow that was written, as GitHub would read it."""
    (file,) = (folder / ".github/workflows").glob("*.yml")
    loaded: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return loaded


def test_what_cannot_be_read_is_no_reason_to_stop(fresh: Path) -> None:
    (fresh / "absent.csv").symlink_to("no/such/cache.csv")
    (fresh / "fit.py").symlink_to("nowhere.py")
    (fresh / "broken.csv.gz").write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03not compressed")
    (fresh / "one-column.csv").write_text("x" * 200_000, encoding="utf-8")
    (fresh / ".github/workflows/folder.yml").mkdir(parents=True)
    said = init(fresh, "--yes")
    assert "samples.csv" in said
    assert "fit.py" not in said
    assert (fresh / "flint-ml.yml").is_file()


def test_an_environment_of_conda_is_a_line_of_yaml(fresh: Path) -> None:
    (fresh / "environment.yml").write_text("name: soil\n", encoding="utf-8")
    init(fresh, "--yes")
    lines = [step["run"] for step in flow(fresh)["jobs"]["gate"]["steps"] if "run" in step]
    assert lines == [
        '"$CONDA/bin/conda" env create --prefix "$RUNNER_TEMP/conda" --file environment.yml '
        '&& echo "$RUNNER_TEMP/conda/bin" >> "$GITHUB_PATH"'
    ]


def test_odd_names_of_folder_and_script_stay_names(fresh: Path) -> None:
    top = fresh.parent / "top"
    folder = top / "soil's data #1"
    folder.parent.mkdir()
    shutil.move(fresh, folder)
    sh(top, "git init -q -b main")
    (folder / "train.py").rename(folder / "train it.py")
    (folder / "requirements.txt").write_text("numpy==2.3.5\n", encoding="utf-8")
    init(folder, "--yes", "--dvc", "true")
    steps = flow(top)["jobs"]["gate"]["steps"]
    (install,) = [step["run"] for step in steps if "run" in step]
    assert shlex.split(install)[-1] == "soil's data #1/requirements.txt"
    (cache,) = [step["with"] for step in steps if "cache@" in step.get("uses", "")]
    assert cache["path"] == "soil's data #1/.dvc/cache"
    assert "hashFiles('**/dvc.lock', '**/*.dvc')" in cache["key"]
    command = yaml.safe_load((folder / "flint-ml.yml").read_text(encoding="utf-8"))["gate"]["command"]
    assert shlex.split(command)[1:] == ["train it.py"]


def test_a_name_cannot_bring_an_expression_into_the_workflow(fresh: Path) -> None:
    (fresh / "train.py").rename(fresh / "train ${{ github.token }}.py")
    assert "say what trains" in sh(fresh, "flint-ml init --yes", expect=2).stderr
    init(fresh, "--yes", "--command", "'make model'")
    assert "github.token" not in (fresh / ".github/workflows/model-gate.yml").read_text(encoding="utf-8")
    assert "github.token" not in (fresh / "flint-ml.yml").read_text(encoding="utf-8")
    inner = fresh / "${{ github.token }}"
    inner.mkdir()
    sh(fresh, "git init -q -b main")
    sh(inner, "flint-ml init --yes", expect=2)


def test_it_runs_nothing_of_yours(fresh: Path) -> None:
    (fresh / "csv.py").write_text("raise SystemExit('run')\n", encoding="utf-8")
    (fresh / "train.py").write_text(f"import numpy\n{TRAIN}", encoding="utf-8")
    init(fresh, "--yes")
    assert re.match(r"numpy==\d", (fresh / "requirements.txt").read_text(encoding="utf-8"))


def test_a_link_out_of_the_folder_is_not_followed(fresh: Path) -> None:
    outside = fresh.parent / "outside"
    outside.mkdir()
    (fresh / ".github").symlink_to(outside)
    done = sh(fresh, "flint-ml init --yes", expect=2)
    assert "link out of this folder" in done.stderr
    assert list(outside.iterdir()) == []
    assert not (fresh / "flint-ml.yml").exists()


def test_a_password_in_the_remotes_address_is_not_shown(fresh: Path) -> None:
    sh(fresh, "git init -q -b main && dvc init -q && dvc remote add -q -d s https://reader:hunter2@data.example.org/x")
    said = init(fresh, "--dry-run")
    assert "remote: https://data.example.org/x" in said
    assert "hunter2" not in said
