"""The GCBM workflows, unchanged, under act: a run in parts is joined to the numbers of one run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from e2e.act import run_workflow
from e2e.harness import ROOT
from githubapi.server import FakeGitHub, Server
from helpers.database_content import content, differences

pytestmark = pytest.mark.e2e
EXAMPLE = ROOT / "examples" / "gcbm"
MATRIX = ROOT / "examples" / "workflows" / "gcbm-matrix.yml"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as a repository of its own, with the workflow in parts beside its own."""
    folder = tmp_path_factory.mktemp("gcbm") / "repository"
    shutil.copytree(
        EXAMPLE, folder, ignore=shutil.ignore_patterns("cache", "tmp", "flint-ml-results", "*.csv", "*.db-*")
    )
    shutil.copy(MATRIX, folder / ".github/workflows/gcbm-matrix.yml")
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "landscape"]):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *identity, *command], cwd=folder, env=environment, check=True)
    return folder


def test_four_jobs_and_a_merge_give_the_numbers_of_one_run(
    repository: Path, release_tree: Path, tmp_path: Path
) -> None:
    env = {"GITHUB_REPOSITORY": "octo-org/gcbm", "GITHUB_RUN_ID": "7"}
    result = run_workflow(
        repository,
        ".github/workflows/gcbm-matrix.yml",
        "workflow_dispatch",
        {},
        env,
        tmp_path / "artifacts",
        release_tree=release_tree,
    )
    assert {name.split()[0] for name in result.jobs} == {"plan", "part", "merge"}, result.log
    assert all(job.conclusion == "success" for job in result.jobs.values()), result.log
    made = tmp_path / "artifacts" / "7"
    assert len(list(made.glob("run-gcbm-*/part-*-of-4.npz"))) == 4
    joined = next(made.glob("gcbm-output/**/metrics.json")).parent
    committed = json.loads((EXAMPLE / "output/metrics.json").read_text())
    assert json.loads((joined / "metrics.json").read_text()) == pytest.approx(committed, rel=1e-9, abs=1e-6)
    from flint_ml.gcbm import load_project, run, write_database

    single = write_database(run(load_project(EXAMPLE)), tmp_path / "single.db")
    assert differences(content(single), content(joined / "gcbm_output.db"), relative=1e-9, floor=1e-9) == []


def test_a_changed_layer_is_reported_with_year_indicator_and_place(
    repository: Path, release_tree: Path, tmp_path: Path
) -> None:
    """The example's own gate, unchanged, on the merge commit of a pull request that lets more forest burn."""
    folder = tmp_path / "checkout"
    shutil.copytree(repository, folder)

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    base = git("rev-parse", "HEAD")
    git("switch", "-qc", "more-fire")
    burn(folder / "layers/tiled/wildfire.tiff", folder / "layers/tiled/initial_age.tiff")
    git("commit", "-qam", "More forest burns")
    head = git("rev-parse", "HEAD")
    git("switch", "-q", "--detach", base)
    git("merge", "-q", "--no-ff", "-m", "merge", head)
    repo = {"full_name": "octo-org/gcbm", "default_branch": "main"}
    pull = {"number": 3, "head": {"ref": "more-fire", "sha": head, "repo": repo}, "base": {"ref": "main", "sha": base}}
    github = FakeGitHub(
        "octo-org/gcbm", {"ghs_gcbmTestToken": {"login": "github-actions[bot]", "type": "Bot", "write": True}}
    )
    github.add_pull(3, head, "more-fire")
    with Server(github):
        env = {"GITHUB_REPOSITORY": "octo-org/gcbm", "GITHUB_RUN_ID": "8", "GITHUB_API_URL": github.url}
        result = run_workflow(
            folder,
            ".github/workflows/gcbm-gate.yml",
            "pull_request",
            {"pull_request": pull, "repository": repo},
            env,
            tmp_path / "artifacts",
            release_tree=release_tree,
            secrets={"GITHUB_TOKEN": "ghs_gcbmTestToken"},
        )
    assert all(job.conclusion == "success" for job in result.jobs.values()), result.log
    assert github.problems == []
    (comment,) = github.of(3)
    assert "## 🟡 Review" in comment["body"]
    assert "not declared" in comment["body"]
    assert "2013" in comment["body"]
    assert "wildfire" in comment["body"]


def burn(layer: Path, wooded: Path) -> None:
    """Let the fire of the layer take every tenth of the pixels that hold forest and did not burn."""
    import numpy as np
    import rasterio

    with rasterio.open(layer) as source, rasterio.open(wooded) as ages:
        data, profile = source.read(1), source.profile
        free = (ages.read(1) != ages.nodata) & (data == source.nodata)
        fire = data[data != source.nodata][0]
    rows, columns = np.nonzero(free)
    data[rows[::10], columns[::10]] = fire
    with rasterio.open(layer, "w", **profile) as target:
        target.write(data, 1)
