"""A workspace with a small generated GCBM project, and run-gcbm on it as a runner would start it."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import gcbm_example as example
from flint_ml.commands.run_gcbm import ACTION
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands
from gcbm_example import write_example

YEARS = (2010, 2017)
GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


class Place:
    """A repository's folder; ``run`` is one use of the action there."""

    def __init__(self, folder: Path, project: Path | None = None) -> None:
        self.folder = folder
        self.project = folder / "landscape"
        self.log, self.err = io.StringIO(), io.StringIO()
        self.outputs = folder.parent / f"{folder.name}-outputs.txt"
        if project is not None:
            shutil.copytree(project, self.project)

    def run(self, action: Any = ACTION, **given: Any) -> tuple[int, dict[str, Any]]:
        """Exit code and record."""
        self.log, self.err = io.StringIO(), io.StringIO()
        self.outputs.write_text("")
        env = {"GITHUB_OUTPUT": str(self.outputs)}
        context = Context(on_github=True, workspace=self.folder, head_sha="0" * 40, event_name="push", event={})
        commands = Commands(on_github=True, stdout=self.log, stderr=self.err, env=env)
        values = {"project": "landscape", "figures": "none", "parquet": False, "base": "none"}
        values |= {key.rstrip("_").replace("_", "-"): value for key, value in given.items()}
        code = run_action(action, values, env=dict(os.environ), context=context, commands=commands)
        name = given.get("name") or action.name
        return code, json.loads((self.folder / f"flint-ml-results/{name}.json").read_text())

    def errors(self) -> list[str]:
        return [line for line in self.log.getvalue().splitlines() if line.startswith("::error")]

    def output(self, name: str) -> str:
        lines = self.outputs.read_text().splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith(f"{name}<<"))
        return lines[start + 1]

    def contents(self, folder: str = "gcbm-output") -> dict[str, bytes]:
        """Every text file of the results."""
        found = (self.folder / folder).rglob("*")
        return {path.name: path.read_bytes() for path in found if path.suffix in (".csv", ".json", ".parquet")}

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.folder,
            env={**os.environ, **GIT},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def edit(self, path: str, change: Any) -> None:
        """Change one JSON file of the project."""
        file = self.project / path
        content = json.loads(file.read_text(encoding="utf-8"))
        change(content)
        file.write_text(json.dumps(content, indent=2), encoding="utf-8")


def small_project(folder: Path) -> Path:
    """The example's landscape for seven years, with the two clear-cuts of 2018 outside the run left out."""
    write_example(folder, years=YEARS)
    keep_only(folder, "harvest", 2016)
    return folder


def keep_only(project: Path, layer: str, year: int) -> None:
    """Leave one event record of a disturbance layer, and no pixel of the others."""
    import numpy as np
    import rasterio

    tiled = project / "layers" / "tiled"
    about = json.loads((tiled / f"{layer}.json").read_text())
    kept = {key: record for key, record in about["attributes"].items() if record["year"] == year}
    with rasterio.open(tiled / f"{layer}.tiff") as source:
        values = source.read(1)
    values = np.where(np.isin(values, [int(key) for key in kept]), values, 255).astype(np.uint8)
    example.write_layer(tiled, layer, values, attributes=kept)


def enlarge(project: Path, layer: str, rows: int) -> None:
    """Move a disturbance's lower edge: the pixels of the layer spread ``rows`` rows down, inside the forest."""
    import numpy as np
    import rasterio

    tiled = project / "layers" / "tiled"
    about = json.loads((tiled / f"{layer}.json").read_text())
    with rasterio.open(tiled / f"{layer}.tiff") as source:
        values = source.read(1)
    with rasterio.open(tiled / "Species.tiff") as source:
        forest = source.read(1) != 255
    grown = values
    for step in range(1, rows + 1):
        moved = np.full_like(values, 255)
        moved[step:] = values[:-step]
        grown = np.where((grown == 255) & forest, moved, grown)
    example.write_layer(tiled, layer, grown.astype(np.uint8), attributes=about["attributes"])
