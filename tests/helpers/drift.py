"""Tables to check for drift, and check-drift run on them as on a runner."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flint_ml.commands.check_drift import ACTION
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands


def soil(seed: int, n: int = 300, **shift: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "sample_id": [f"S{seed}-{i}" for i in range(n)],
            "SOC": rng.gamma(4, 4, n) + shift.get("SOC", 0),
            "pH": rng.normal(5.5, 0.6, n) + shift.get("pH", 0),
            "clay": rng.normal(30, 8, n) + shift.get("clay", 0),
            "horizon": rng.choice(["A", "B", "C"], n),
        }
    )


class Folder:
    """A workspace; ``run`` is check-drift on it as a runner would start it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log, self.err = io.StringIO(), io.StringIO()
        self.outputs = folder.parent / "outputs.txt"

    def write(self, name: str, content: pd.DataFrame | str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pd.DataFrame):
            content = content.to_csv(index=False)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def run(
        self, event: dict[str, Any] | None = None, head: str = "0" * 40, **given: Any
    ) -> tuple[int, dict[str, Any]]:
        self.log, self.err = io.StringIO(), io.StringIO()
        self.outputs.write_text("")
        env = {"GITHUB_OUTPUT": str(self.outputs)}
        name = "pull_request" if event else ""
        context = Context(on_github=True, workspace=self.folder, head_sha=head, event_name=name, event=event or {})
        commands = Commands(on_github=True, stdout=self.log, stderr=self.err, env=env)
        values: dict[str, Any] = {"reference": "reference.csv", "current": "new.csv", "figures": "none"}
        values |= {key.replace("_", "-"): value for key, value in given.items()}
        code = run_action(ACTION, values, env={}, context=context, commands=commands)
        return code, json.loads((self.folder / "flint-ml-results/check-drift.json").read_text())

    def errors(self) -> list[str]:
        return [line for line in self.log.getvalue().splitlines() if line.startswith("::error")]

    def output(self, name: str) -> str:
        lines = self.outputs.read_text().splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith(f"{name}<<"))
        return lines[start + 1]


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    result = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return result.stdout.strip()
