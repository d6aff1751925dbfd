"""release.yml as far as it goes without GitHub: its check under act, package and tags by its own lines."""

from __future__ import annotations

import datetime
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from e2e.act import run_workflow
from e2e.harness import ROOT
from flint_ml import __version__

RELEASE = ".github/workflows/release.yml"
EVENT = {"repository": {"default_branch": "main"}, "ref": "refs/heads/main"}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose CHANGELOG has today's entry for the package's version, and its remote."""
    folder = tmp_path_factory.mktemp("release")
    git(folder, "clone", "--quiet", "--no-hardlinks", str(ROOT), "source")
    source = folder / "source"
    files = [
        name for name in git(ROOT, "ls-files", "-co", "--exclude-standard").splitlines() if (ROOT / name).is_file()
    ]
    for name in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    changelog = source / "CHANGELOG.md"
    heading = f"## [{__version__}] - {datetime.datetime.now(datetime.UTC).date().isoformat()}"
    changelog.write_text(changelog.read_text(encoding="utf-8").replace("## [Unreleased]", heading), encoding="utf-8")
    git(source, "checkout", "--quiet", "-B", "main")
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "-m", "a version")
    git(folder, "init", "--quiet", "--bare", "remote.git")
    git(source, "remote", "set-url", "origin", str(folder / "remote.git"))
    git(source, "push", "--quiet", "origin", "main")
    return source


def steps(job: str) -> dict[str, str]:
    """The shell lines of a job's named steps."""
    found: Any = YAML(typ="safe").load((ROOT / RELEASE).read_text(encoding="utf-8"))
    return {step["name"]: step["run"] for step in found["jobs"][job]["steps"] if "name" in step and "run" in step}


def run_step(lines: str, folder: Path, **variables: str) -> None:
    environment = {**os.environ, "IMAGE": "ghcr.io/x/y", "FLINT_IMAGE": "ghcr.io/x/z", **variables}
    # The lines run under `python3` as the runner's setup-python step leaves it.
    environment["PATH"] = f"{ROOT / '.venv/bin'}:{environment['PATH']}"
    command = ["bash", "-e", "-c", lines]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("version", "code", "words"),
    [(__version__, 0, f"actions at v{__version__}"), ("9.9.9", 1, "CHANGELOG.md has no entry for 9.9.9")],
)
def test_the_check_under_act(ready: Path, tmp_path: Path, version: str, code: int, words: str) -> None:
    event = {**EVENT, "inputs": {"version": version}}
    environment = {"GITHUB_REPOSITORY": "moja-global/flint-ml-actions", "GITHUB_REF": "refs/heads/main"}
    done = run_workflow(
        ready, RELEASE, "workflow_dispatch", event, environment, tmp_path, inputs={"version": version}, job="check"
    )
    assert done.exit_code == code, done.log
    assert words in done.log


def test_package_and_tags_by_the_workflows_own_lines(ready: Path) -> None:
    digest = "sha256:" + "a" * 64
    head = git(ready, "rev-parse", "HEAD")
    given = {"VERSION": __version__, "DIGEST": digest, "FLINT_DIGEST": digest, "GITHUB_SHA": head}
    # This also starts the package from a fresh environment.
    run_step(steps("tree")["build both from this commit"], ready, **given)
    readme = (ready / "build/release/README.md").read_text(encoding="utf-8")
    assert f"/blob/{head}/docs/" in readme
    assert not re.search(r"\]\((?!https://|#)", readme)

    for _ in range(2):
        run_step(steps("publish")["release commit and tags, in one push"], ready, TOKEN="t", **given)
        tags = git(ready, "ls-remote", "--tags", "origin").splitlines()
        assert len({line.split("\t")[0] for line in tags}) == 1
        assert len(tags) == 3
    git(ready, "fetch", "--quiet", "origin", f"refs/tags/v{__version__}")
    action = git(ready, "show", "FETCH_HEAD:check-drift/action.yml")
    assert f"image: docker://ghcr.io/x/y@{digest}" in action
    assert ".github" not in git(ready, "ls-tree", "--name-only", "FETCH_HEAD").splitlines()
