"""`make demo`: the whole gate on real soil data, for three changes.

It plays a small team in a temporary folder: a Git repository with `main`, a DVC remote (a folder), an MLflow
registry (a SQLite file). Three colleagues each propose a change; for each a blank clone runs `flint-ml gate`, as a
pull request would. The better model is then merged, and main's gate registers the MLflow run that trained it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from tabulate import tabulate

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "soil-carbon"
OUT = ROOT / "demo" / "out"
WORK = ROOT / "demo" / "work"
CHANGES = ("better", "worse", "drifted")
EXPECTED = {"better": "approve", "worse": "request-changes", "drifted": "request-changes"}
MODEL_NAME = "soil-carbon-ssp460"


def environment(work: Path) -> dict[str, str]:
    """An environment that neither reads nor changes the user's own Git and DVC settings."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "INPUT_", "GIT_", "DVC_", "MLFLOW_"))}
    return {
        **keep,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Demo",
        "GIT_AUTHOR_EMAIL": "demo@example.org",
        "GIT_COMMITTER_NAME": "Demo",
        "GIT_COMMITTER_EMAIL": "demo@example.org",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(work / "dvc-site"),
        "DVC_GLOBAL_CONFIG_DIR": str(work / "dvc-config"),
        "DVC_SYSTEM_CONFIG_DIR": str(work / "dvc-config"),
        "PYTHONWARNINGS": "ignore",
        # Where trainings are logged and models are registered.
        "MLFLOW_TRACKING_URI": f"sqlite:///{work / 'mlflow.db'}",
    }


@dataclass
class Team:
    """The places that a team has: its repository, its data storage, its model registry."""

    work: Path
    env: dict[str, str]
    # The DVC remote: its URL and options. A committed one is everybody's, a local one only this machine's.
    url: str
    options: tuple[tuple[str, str], ...] = ()
    committed: bool = False

    @property
    def origin(self) -> Path:
        return self.work / "origin.git"

    def run(self, folder: Path, *command: str) -> str:
        """Run ``command`` in ``folder``; a failure ends the demo with what it printed."""
        result = subprocess.run(
            command, cwd=folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if result.returncode != 0:
            sys.exit(f"error: `{' '.join(command)}` in {folder} ended with {result.returncode}:\n{result.stdout}")
        return result.stdout.strip()

    def clone(self, name: str, branch: str = "main") -> Path:
        """A blank checkout of ``branch``, without any data, as a runner has it."""
        target = self.work / name
        shutil.rmtree(target, ignore_errors=True)
        self.run(self.work, "git", "clone", "--quiet", "--branch", branch, str(self.origin), str(target))
        if not self.committed:
            self.add_remote(target)
        return target

    def add_remote(self, folder: Path) -> None:
        local = [] if self.committed else ["--local"]
        self.run(folder, "dvc", "remote", "add", *local, "--quiet", "--default", "storage", self.url)
        for name, value in self.options:
            self.run(folder, "dvc", "remote", "modify", *local, "--quiet", "storage", name, value)

    def commit(self, folder: Path, message: str) -> None:
        self.run(folder, "git", "add", "--all")
        self.run(folder, "git", "commit", "--quiet", "--message", message)
        self.run(folder, "git", "push", "--quiet", "origin", "HEAD")


def make_team(team: Team) -> None:
    """Main as the example has it: raw data and outputs in the storage, code and metrics in Git."""
    work = team.work
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    team.run(work, "git", "init", "--quiet", "--bare", "--initial-branch", "main", str(team.origin))
    seed = work / "seed"
    tracked = (
        team.run(ROOT, "git", "ls-files", "-z", "--", str(EXAMPLE)).split("\0") if (ROOT / ".git").exists() else []
    )
    ignore = shutil.ignore_patterns("__pycache__", "*.csv", "plots", "model", "flint-ml-results", "cache", "tmp")
    if tracked:
        for name in filter(None, tracked):
            target = seed / (ROOT / name).relative_to(EXAMPLE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    else:
        shutil.copytree(EXAMPLE, seed, ignore=ignore)
    team.run(seed, "git", "init", "--quiet", "--initial-branch", "main")
    team.run(seed, "git", "remote", "add", "origin", str(team.origin))
    team.add_remote(seed)
    team.run(seed, "python", "fetch_data.py")
    team.run(seed, "dvc", "add", "--quiet", "data/raw/reference", "data/raw/new_batch.csv", "data/ssp460-test.csv")
    team.run(seed, "dvc", "repro", "--quiet")
    team.run(seed, "dvc", "push", "--quiet")
    team.commit(seed, "A first model of soil organic carbon")


def propose(team: Team, change: str) -> Path:
    """A colleague's branch: the commands of ``changes/<change>.yml``, then a commit."""
    recipe = YAML(typ="safe").load((EXAMPLE / "changes" / f"{change}.yml").read_text(encoding="utf-8"))
    desk = team.clone(f"desk-{change}")
    team.run(desk, "dvc", "pull", "--quiet")
    team.run(desk, "git", "switch", "--quiet", "--create", change)
    for command in recipe["run"]:
        team.run(desk, "bash", "-e", "-c", command)
    team.commit(desk, recipe["title"])
    return desk


@dataclass(frozen=True)
class Verdict:
    """What one run of the gate said."""

    name: str
    decision: str
    reason: str
    exit_code: int
    seconds: float


def gate(team: Team, name: str, branch: str, *options: str) -> Verdict:
    """Run the gate in a blank clone of ``branch`` and keep its results as ``demo/out/<name>/``."""
    folder = team.clone(f"runner-{name}", branch)
    started = time.monotonic()
    result = subprocess.run(
        ["flint-ml", "gate", *options],
        cwd=folder,
        env=team.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    results = folder / "flint-ml-results"
    target = OUT / name
    shutil.rmtree(target, ignore_errors=True)
    if results.is_dir():
        shutil.copytree(results, target)
    target.mkdir(parents=True, exist_ok=True)
    (target / "gate.log").write_text(result.stdout, encoding="utf-8")
    report = target / "post-report.json"
    if not report.is_file():
        sys.exit(f"error: the gate made no report for {name!r}; its log:\n{result.stdout}")
    record = json.loads(report.read_text(encoding="utf-8"))
    return Verdict(name, record["details"]["decision"], record["headline"], result.returncode, seconds)


def picture(name: str) -> str:
    """`report.png` of a report where a Chromium is at hand; says what came of it."""
    sys.path.insert(0, str(ROOT / "tools"))
    from chromium import render_png

    problem = render_png(OUT / name / "report.html", OUT / name / "report.png")
    return problem or str((OUT / name / "report.png").relative_to(ROOT))


def merge(team: Team) -> None:
    """Merge the better model into main, with its outputs in the storage and their hashes in dvc.lock."""
    desk = team.clone("desk-merge")
    team.run(desk, "git", "merge", "--quiet", "--no-ff", "--message", "Merge better", "origin/better")
    # The pull request's run made the new outputs on a runner; main's lock file needs them in the storage.
    team.run(desk, "dvc", "pull", "--quiet", "--allow-missing")
    team.run(desk, "dvc", "repro", "--quiet")
    team.run(desk, "dvc", "push", "--quiet")
    team.run(desk, "git", "add", "--all")
    if team.run(desk, "git", "status", "--porcelain"):
        team.run(desk, "git", "commit", "--quiet", "--message", "Lock the merged model")
    team.run(desk, "git", "push", "--quiet", "origin", "HEAD")


def merge_and_register(team: Team) -> str:
    """Merge; main's gate registers the model. Returns what the registry now holds, in words."""
    merge(team)
    gate(team, "main", "main", "--register", "always", "--base-revision", "HEAD^1")
    path = OUT / "main" / "register-model.json"
    if not path.is_file():
        return "nothing was registered"
    record = json.loads(path.read_text(encoding="utf-8"))
    run = (
        " (the MLflow run of its training)" if record["details"].get("trained_run") else " (its training was not found)"
    )
    return str(record["headline"]) + run


def main() -> int:
    """Play the story and print the verdicts; 1 if a decision is not the one that the change deserves."""
    print("Making a small team's repository, data storage and registry ...", flush=True)
    team = Team(WORK, environment(WORK), str(WORK / "storage"))
    make_team(team)
    verdicts = []
    for change in CHANGES:
        print(f"Change {change!r}: a colleague's branch, then the gate on a blank clone ...", flush=True)
        propose(team, change)
        verdicts.append(gate(team, change, change, "--register", "never"))
        print(f"  {verdicts[-1].decision}: {verdicts[-1].reason}", flush=True)
    print("Merging 'better'; main's gate registers the model ...", flush=True)
    registered = merge_and_register(team)
    print(f"  {registered}\n", flush=True)
    rows = [(v.name, v.decision, v.exit_code, f"{v.seconds:.0f} s", v.reason) for v in verdicts]
    print(tabulate(rows, headers=["change", "decision", "exit code", "time", "why"], maxcolwidths=[None] * 4 + [70]))
    print()
    for verdict in verdicts:
        print(f"{verdict.name:8} demo/out/{verdict.name}/report.html   picture: {picture(verdict.name)}")
    wrong = [v.name for v in verdicts if v.decision != EXPECTED[v.name]]
    if wrong or "registered from" not in registered or "not found" in registered:
        print(f"\nerror: not what these changes deserve: {', '.join(wrong) or registered}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
