"""run-gcbm in its container: the committed example, and moja global's demo where it is at hand."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import time
import warnings
from pathlib import Path

import pytest

from e2e.harness import IMAGE, ROOT, run_action

EXAMPLE = ROOT / "examples" / "gcbm"
DEMO = ROOT.parent / "shared" / "data" / "gcbm-demo"


def workspace(folder: Path) -> Path:
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "project"]):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *command], cwd=folder, check=True)
    return folder


def test_the_example_gives_its_committed_metrics(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(
        EXAMPLE, folder, ignore=shutil.ignore_patterns("*.csv", "cache", "tmp", "flint-ml-results", "gcbm_output.db")
    )
    workspace(folder)
    started = time.monotonic()
    result = run_action(IMAGE, "run-gcbm", {}, folder)
    print(f"\nrun-gcbm on examples/gcbm in its container: {time.monotonic() - started:.1f} s")
    assert result.exit_code == 0, result.log
    assert result.outputs["engine"] == "embedded"
    made = json.loads((folder / result.outputs["metrics"]).read_text(encoding="utf-8"))
    committed = json.loads((EXAMPLE / "output/metrics.json").read_text(encoding="utf-8"))
    assert made == pytest.approx(committed, rel=1e-9, abs=1e-9)
    assert float(result.outputs["total-ecosystem"]) == pytest.approx(committed["total_ecosystem_tC"], rel=1e-9)
    assert list(result.left_by_root) == []
    assert list(result.problems) == []


def test_the_demo_gives_the_reference_totals(tmp_path: Path) -> None:
    archive = DEMO / "linux-demo.zip"
    if not archive.is_file():
        warnings.warn("moja global's demo is not beside this checkout: its totals were not compared", stacklevel=1)
        return
    shutil.copy2(archive, tmp_path / archive.name)
    result = run_action(IMAGE, "run-gcbm", {"project": archive.name, "figures": "none"}, workspace(tmp_path))
    assert result.exit_code == 0, result.log
    made = json.loads((tmp_path / result.outputs["metrics"]).read_text(encoding="utf-8"))
    compared = 0
    with (DEMO / "reference-totals.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            year = row.pop("year")
            for name, value in row.items():
                if f"{year}/{name}" in made:
                    assert made[f"{year}/{name}"] == pytest.approx(float(value), rel=1e-8, abs=1e-9), (year, name)
                    compared += 1
    assert compared >= 11 * 18
