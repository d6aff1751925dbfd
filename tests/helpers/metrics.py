"""A Git repository to compare metrics in, and predictions to put into it."""

from __future__ import annotations

import io
import json
import random
import subprocess
from pathlib import Path
from typing import Any

from flint_ml.commands.compare_metrics import ACTION
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands

BASE = {"rmse": 1.5, "r2": 0.62, "n": 115}


class Repo:
    """A Git repository with one commit on main; ``run`` is compare-metrics on what lies in the working tree."""

    def __init__(self, folder: Path, **files: Any) -> None:
        self.folder = folder
        self.log = io.StringIO()
        self.outputs = folder.parent / f"{folder.name}-outputs"
        folder.mkdir()
        self.git("init", "-q", "-b", "main")
        (folder / ".gitignore").write_text("flint-ml-results/\n.dvc/cache/\n")
        self.write(**files)
        self.commit("base")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            ["git", *who, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout

    def write(self, **files: Any) -> None:
        for name, content in files.items():
            path = self.folder / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def run(
        self,
        *,
        terminal: dict[str, str] | None = None,
        runner: dict[str, str] | None = None,
        facts: dict[str, Any] | None = None,
        **given: Any,
    ) -> tuple[int, dict[str, Any]]:
        """Exit code and record, on a runner with ``facts`` and the variables ``runner``; with ``terminal``, at one with
        this environment."""
        self.log = io.StringIO()
        self.outputs.write_text("")
        env = {"GITHUB_OUTPUT": str(self.outputs)}
        head = self.git("rev-parse", "HEAD").strip()
        context = Context(
            on_github=terminal is None,
            workspace=self.folder,
            **{"head_sha": head, **(facts or {})},
        )
        commands = Commands(on_github=True, stdout=self.log, stderr=io.StringIO(), env=env)
        values = {key.replace("_", "-"): value for key, value in given.items()}
        code = run_action(ACTION, values, env=terminal or runner or {}, context=context, commands=commands)
        return code, json.loads((self.folder / "flint-ml-results/compare-metrics.json").read_text())

    def errors(self) -> list[str]:
        return [line for line in self.log.getvalue().splitlines() if line.startswith("::error")]

    def output(self, name: str) -> str:
        lines = self.outputs.read_text().splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith(f"{name}<<"))
        end = lines.index(lines[start].split("<<")[1], start + 1)
        return "\n".join(lines[start + 1 : end])


def predictions(error: float, *, n: int = 60, seed: int = 1, worse: str = "") -> str:
    truth, noise = random.Random(1), random.Random(seed)
    lines = ["id,truth,prediction,group"]
    for number in range(n):
        value, group = truth.gauss(20, 6), "abc"[number % 3]
        spread = error * (4 if group == worse else 1)
        lines.append(f"{number:03d},{value:.4f},{value + noise.gauss(0, spread):.4f},{group}")
    return "\n".join(lines) + "\n"


def codes(record: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in record["findings"]}


def scores(table: str) -> dict[str, float]:
    """RMSE and bias of a predictions table, as an evaluation step writes them."""
    rows = [line.split(",") for line in table.splitlines()[1:]]
    errors = [float(row[2]) - float(row[1]) for row in rows]
    rmse = (sum(error**2 for error in errors) / len(errors)) ** 0.5
    return {"rmse": round(rmse, 4), "bias": round(sum(errors) / len(errors), 4)}


def evaluated(repo: Repo, table: str) -> None:
    repo.write(predictions_dot_csv=table, metrics_dot_json=scores(table))
