"""A very small DVC project with its data source, for workflows that need a repository but no real science.

One column predicts another by a straight line, with Python's standard library, so that a job installs little and trains
in no time. The data source is another Git repository, as a laboratory's would be; storage is a folder. Both lie on
this machine and are mounted into jobs and containers at the same place.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "src/prepare.py": """
        import pathlib, shutil
        pathlib.Path("data/prepared").mkdir(parents=True, exist_ok=True)
        for name in ("reference", "new_batch"):
            shutil.copyfile(f"data/{name}.csv", f"data/prepared/{name}.csv")
        """,
    "src/train.py": """
        import csv, json, pathlib, statistics
        rows = [r for n in ("reference", "new_batch") for r in csv.DictReader(open(f"data/prepared/{n}.csv"))]
        line = statistics.linear_regression([float(r["band"]) for r in rows], [float(r["soc"]) for r in rows])
        pathlib.Path("model").mkdir(exist_ok=True)
        pathlib.Path("model/model.json").write_text(json.dumps([round(line.slope, 6), round(line.intercept, 6)]))
        """,
    "src/evaluate.py": """
        import csv, json, pathlib
        slope, intercept = json.loads(pathlib.Path("model/model.json").read_text())
        rows = list(csv.DictReader(open("data/benchmark.csv")))
        found = [(r["id"], float(r["soc"]), slope * float(r["band"]) + intercept) for r in rows]
        with open("predictions.csv", "w", newline="") as file:
            csv.writer(file, lineterminator="\\n").writerows([("id", "truth", "prediction"), *found])
        rmse = (sum((p - t) ** 2 for _, t, p in found) / len(found)) ** 0.5
        pathlib.Path("metrics.json").write_text(json.dumps({"rmse": round(rmse, 4)}) + "\\n")
        """,
    "tests/test_units.py": """
        def test_percent_to_g_per_kg():
            assert 1.5 * 10 == 15
        """,
    "dvc.yaml": """
        stages:
          prepare:
            cmd: python src/prepare.py
            deps: [src/prepare.py, data/reference.csv, data/new_batch.csv]
            outs: [data/prepared/reference.csv, data/prepared/new_batch.csv]
          train:
            cmd: python src/train.py
            deps: [src/train.py, data/prepared/reference.csv, data/prepared/new_batch.csv]
            outs: [model]
          evaluate:
            cmd: python src/evaluate.py
            deps: [src/evaluate.py, data/benchmark.csv, model]
            outs: [predictions.csv]
            metrics:
              - metrics.json: {cache: false}
        """,
    "flint-ml.yml": """
        check-drift: {reference: data/prepared/reference.csv, current: data/prepared/new_batch.csv, exclude: [id]}
        compare-metrics:
          metrics: metrics.json
          predictions: predictions.csv
          benchmark: data/benchmark.csv
          rules:
            rmse: {label: RMSE, unit: g/kg, direction: lower, tolerance: 0.05}
        """,
    ".gitignore": """
        /flint-ml-results/
        __pycache__/
        """,
}


def locked(*names: str) -> str:
    """The lines of this project's own lock for some packages and all that they need, hashes included."""
    blocks = re.split(r"(?m)^(?=[a-z0-9])", (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8"))
    known = {canonicalize_name(block.split("==")[0]): block for block in blocks if "==" in block}
    wanted, waiting = set[str](), [Requirement(name) for name in names]
    while waiting:
        need = waiting.pop()
        name = canonicalize_name(need.name)
        if name in wanted or name not in known:
            continue
        wanted.add(name)
        try:
            needs = [Requirement(line) for line in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:
            # Needed on another platform or Python only; its own needs are not known here.
            continue
        waiting += [one for one in needs if _applies(one, {"", *need.extras})]
    return "".join(known[name] for name in sorted(wanted))


def _applies(need: Requirement, extras: Iterable[str]) -> bool:
    return need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras)


def table(seed: int, count: int, *, shift: float = 0.0, prefix: str = "s") -> str:
    """Samples of a band and of soil organic carbon (g/kg); ``shift`` is how far another instrument's bands lie off."""
    draw = random.Random(seed)
    lines = ["id,band,soc"]
    for number in range(count):
        band = draw.gauss(1.0, 0.2)
        lines.append(f"{prefix}{seed}-{number},{band + shift:.4f},{8 + 12 * band + draw.gauss(0, 1.0):.3f}")
    return "\n".join(lines) + "\n"


@dataclass
class SmallTeam:
    """Places and settings: everything lies below ``top``."""

    top: Path

    @property
    def repository(self) -> Path:
        return self.top / "repository"

    @property
    def source(self) -> Path:
        return self.top / "laboratory"

    @property
    def env(self) -> dict[str, str]:
        """An environment that neither reads nor changes the user's own Git and DVC settings."""
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "INPUT_", "GIT_", "DVC_"))}
        who = {
            f"GIT_{role}_{what}": "team@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        dvc = {f"DVC_{kind}_CONFIG_DIR": str(self.top / "dvc") for kind in ("GLOBAL", "SYSTEM")}
        return {
            **keep,
            **who,
            **dvc,
            "DVC_SITE_CACHE_DIR": str(self.top / "dvc"),
            "DVC_NO_ANALYTICS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "PYTHONWARNINGS": "ignore",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def run(self, folder: Path, *command: str) -> str:
        done = subprocess.run(command, cwd=folder, env=self.env, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def commit(self, folder: Path, message: str) -> str:
        self.run(folder, "git", "add", "--all")
        self.run(folder, "git", "commit", "--quiet", "--message", message)
        return self.run(folder, "git", "rev-parse", "HEAD")

    def publish(self, batch: str) -> None:
        """The laboratory has a new batch."""
        (self.source / "new_batch.csv").write_text(batch, encoding="utf-8")
        self.commit(self.source, "A batch")

    def checkout(self, name: str) -> Path:
        """What a runner checks out: a blank clone of main."""
        folder = self.top / name
        self.run(self.top, "git", "clone", "--quiet", str(self.repository), str(folder))
        return folder


def make(top: Path, *packages: str) -> SmallTeam:
    """Laboratory, storage and repository, with a first model on main."""
    team = SmallTeam(top)
    team.source.mkdir(parents=True)
    team.run(team.source, "git", "init", "--quiet", "--initial-branch", "main")
    team.publish(table(2, 80))
    folder = team.repository
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = text.strip("\n").split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        path.write_text("\n".join(line[indent:] for line in lines).rstrip() + "\n", encoding="utf-8")
    (folder / "requirements.txt").write_text(locked("dvc", *packages), encoding="utf-8")
    (folder / "data").mkdir()
    (folder / "data/reference.csv").write_text(table(1, 120), encoding="utf-8")
    (folder / "data/benchmark.csv").write_text(table(3, 60, prefix="b"), encoding="utf-8")
    team.run(folder, "git", "init", "--quiet", "--initial-branch", "main")
    team.run(folder, "dvc", "init", "--quiet")
    team.run(folder, "dvc", "remote", "add", "--quiet", "--default", "storage", str(top / "storage"))
    team.run(folder, "dvc", "add", "--quiet", "data/reference.csv", "data/benchmark.csv")
    team.run(folder, "dvc", "import", "--quiet", str(team.source), "new_batch.csv", "-o", "data/new_batch.csv")
    team.run(folder, "dvc", "repro", "--quiet")
    team.run(folder, "dvc", "push", "--quiet")
    team.commit(folder, "A first model")
    return team
