"""Sample reports of both examples, as the gate makes them: ``python tools/sample_reports.py --write``.

A good change, a bad one and one with faulty data: ``examples/<example>/reports/<name>.md`` and a picture of each.
Without ``--write`` the committed reports are held against fresh ones; what differs from run to run (commits, seconds,
versions, dates) is left out of the comparison. `.ci/run` does that. The soil reports come from the demo, which runs the
whole gate; the GCBM ones from the same two commands as its workflow.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The pictures that README and documentation show.
SHOWN = {
    "report-better": "soil-carbon/reports/better",
    "report-drifted": "soil-carbon/reports/drifted",
    "report-gcbm": "gcbm/reports/undeclared",
}
SOIL, GCBM = ROOT / "examples/soil-carbon/reports", ROOT / "examples/gcbm/reports"
LAYERS = Path("layers/tiled")
DECLARED = """
  expected:
    "*": [-10 %, +10 %]
    "2013/*": [-10 %, +60 %]
    "*/nbp_tC": [-100 %, +100 %]
    "*/nep_tC": [-100 %, +100 %]
    2013/disturbed_area_ha: [+20 %, +40 %]
"""
# What no two runs share: commits and hashes; a duration as a whole (`5.9 s`, `1 min 5 s`, `2 h 5 min`), for its form
# changes with its length; memory, dates, and sums that cancel to the processor's rounding.
_VOLATILE = re.compile(
    r"\b[0-9a-f]{7,64}\b"
    r"|\b(?:[\d,]+ h )?(?:\d+ min(?: \d+ s)?|\d+(?:\.\d+)? s)\b(?!-)|\b[\d,]+ h\b(?!-)"
    r"|\b\d+(?:\.\d+)? MB\b"
    r"|\b\d{4}-\d{2}-\d{2}[T \d:Z]*"
    r"|\d+(?:\.\d+)?(?:e[-+−]?\d+| × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
)


def burn(project: Path, every: int = 60) -> None:
    """Let the fire take every sixtieth of the forest pixels that did not burn."""
    import numpy as np
    import rasterio

    layer = project / LAYERS / "wildfire.tiff"
    with rasterio.open(layer) as source, rasterio.open(project / LAYERS / "initial_age.tiff") as ages:
        data, profile = source.read(1), source.profile
        free = (ages.read(1) != ages.nodata) & (data == source.nodata)
        fire = data[data != source.nodata][0]
    rows, columns = np.nonzero(free)
    data[rows[::every], columns[::every]] = fire
    with rasterio.open(layer, "w", **profile) as target:
        target.write(data, 1)


def declared(project: Path) -> None:
    """The same fire, with a word about what it is meant to do."""
    burn(project)
    settings = project / "flint-ml.yml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text[: text.index("  # What this change")].rstrip() + DECLARED, encoding="utf-8")


def unknown_species(project: Path) -> None:
    """A layer with a class that its attribute table does not know: a usual fault of an export."""
    import rasterio

    layer = project / LAYERS / "Species.tiff"
    with rasterio.open(layer) as source:
        data, profile = source.read(1), source.profile
    data[data == data[data != profile["nodata"]].max()] = 77
    with rasterio.open(layer, "w", **profile) as target:
        target.write(data, 1)


CHANGES: dict[str, Callable[[Path], None]] = {
    "declared": declared,
    "undeclared": burn,
    "faulty-data": unknown_species,
}


def soil(target: Path) -> None:
    """The demo's three reports."""
    subprocess.run([sys.executable, str(ROOT / "demo/demo.py")], check=True, stdout=subprocess.DEVNULL)
    for name in ("better", "worse", "drifted"):
        keep(ROOT / "demo/out" / name, target / name)


def gcbm(target: Path) -> None:
    """Each change as a branch of a repository that holds the example."""
    keep_out = ("GITHUB_", "INPUT_", "GIT_", "DVC_", "MLFLOW_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(keep_out)}
    environment |= {
        f"GIT_{role}_{key}": "demo@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")
    }
    environment |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with tempfile.TemporaryDirectory() as temporary:
        for name, change in CHANGES.items():
            project = Path(temporary) / name
            listed = subprocess.run(
                ["git", "ls-files", "-z", "--", "examples/gcbm"], cwd=ROOT, check=True, capture_output=True, text=True
            ).stdout.split("\0")
            for file in filter(None, listed):
                copy = project / Path(file).relative_to("examples/gcbm")
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, copy)

            def run(*command: str, folder: Path = project, check: bool = True) -> None:
                subprocess.run(command, cwd=folder, env=environment, check=check, capture_output=True)

            run("git", "init", "--quiet", "--initial-branch", "main")
            run("git", "add", "--all")
            run("git", "commit", "--quiet", "--message", "landscape")
            run("git", "switch", "--quiet", "--create", name)
            change(project)
            run("git", "commit", "--quiet", "--all", "--message", name)
            # The gate may close, and says so in the report; its annotations would look like ours.
            run("flint-ml", "run-gcbm", check=False)
            run(
                "flint-ml",
                "post-report",
                "--publisher",
                "none",
                "--expect",
                "run-gcbm",
                "--title",
                "Carbon of the example landscape",
                check=False,
            )
            keep(project / "flint-ml-results", target / name)


def keep(results: Path, target: Path) -> None:
    """The report as text, and as a picture where a Chromium is at hand."""
    from chromium import render_png

    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(results / "report.md", target.with_suffix(".md"))
    if problem := render_png(results / "report.html", target.with_suffix(".png")):
        print(problem)


def stable(report: Path) -> list[str]:
    """A report's lines without what differs from run to run, and without the folded part that names versions."""
    text = report.read_text(encoding="utf-8").split("<summary>Reproduce this")[0]
    return [_VOLATILE.sub("…", line) for line in text.splitlines()]


def differences(committed: Path, fresh: Path) -> list[str]:
    """Unified diffs of the reports of two folders; empty when they agree."""
    found = []
    for report in sorted(fresh.glob("*.md")):
        old = committed / report.name
        if not old.is_file():
            found.append(f"{old.relative_to(ROOT)} is missing")
            continue
        found += difflib.unified_diff(
            stable(old), stable(report), str(old.relative_to(ROOT)), "fresh", lineterm="", n=0
        )
    return found


def main() -> int:
    options = argparse.ArgumentParser(description="Make the sample reports, or hold them against fresh ones.")
    options.add_argument("--write", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        wrong = []
        for committed, make in ((SOIL, soil), (GCBM, gcbm)):
            fresh = Path(temporary) / committed.parent.name
            make(fresh)
            if given.write:
                shutil.rmtree(committed, ignore_errors=True)
                shutil.copytree(fresh, committed)
            else:
                wrong += differences(committed, fresh)
    if given.write:
        for name, report in SHOWN.items():
            shutil.copyfile(ROOT / "examples" / f"{report}.png", ROOT / "docs" / "pictures" / f"{name}.png")
    print(
        "\n".join(wrong)
        or ("sample reports written" if given.write else "the sample reports are as the gate makes them")
    )
    if wrong:
        print("Run: python tools/sample_reports.py --write, and look at the pictures")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
