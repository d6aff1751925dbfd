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
from gcbm.dbcontent import content, differences

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
        repository, ".github/workflows/gcbm-matrix.yml", "workflow_dispatch", {}, env, tmp_path / "artifacts",
        release_tree=release_tree,
    )  # fmt: skip
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
