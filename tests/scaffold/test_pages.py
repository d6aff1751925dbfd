"""The pages about data and the command line: what they tell people to type works as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flint_ml.commands import load, names
from flint_ml.runner.inputs import dashed
from flint_ml.scaffold.plan import TEMPLATES

ROOT = Path(__file__).resolve().parents[2]
DATA = (ROOT / "docs/where-to-keep-data.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs/command-line.md").read_text(encoding="utf-8")
# Looked up in the actions' own repositories: the commit of the release's tag.
LOGINS = {
    "aws-actions/configure-aws-credentials": "e6de054238d6b7531b4efff3b6587d9aade6a06c # v6.2.3",
    "google-github-actions/auth": "7c6bc770dae815cd3e89ee6cdf493a5fab2cc093 # v3.0.0",
    "azure/login": "f5d393ae46f8fde4be8b75f32e3fc50e654ad0ca # v3.0.1",
}


def blocks(text: str, language: str) -> list[str]:
    """Code blocks of a page, those of list items without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return ["\n".join(line.removeprefix(indent) for line in body.splitlines()) for indent, body in found]


def bash(folder: Path, script: str) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "DVC_PASSWORD": "not-a-password",
        "DVC_SITE_CACHE_DIR": str(folder / "site-cache"),
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_ENV": str(folder / "env"),
        "KEY": "line one\nline two",
    }
    done = subprocess.run(
        ["bash", "-ec", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    bash(tmp_path, "git init -q && dvc init -q")
    return tmp_path


def test_every_line_about_a_remote_is_one_that_dvc_takes(project: Path) -> None:
    scripts = [block for block in blocks(DATA, "bash") if "remote add --default" in block or "remote modify" in block]
    assert len(scripts) >= 7
    for script in scripts:
        lines = [line for line in script.splitlines() if line.startswith("dvc remote")]
        bash(project, "\n".join(line.replace("remote add ", "remote add --quiet --force ") for line in lines))
    text = (project / ".dvc/config").read_text()
    assert "not-a-password" not in text
    assert "not-a-password" in (project / ".dvc/config.local").read_text()


def test_the_key_files_are_made_where_git_does_not_look(project: Path) -> None:
    steps = [step for block in blocks(DATA, "yaml") for step in yaml.safe_load(block)]
    for step in steps:
        if "KEY" in step.get("env", {}):
            bash(project, step["run"])
    assert (project / ".dvc/tmp/ssh_key").read_text() == "line one\nline two\n"
    assert (project / ".dvc/tmp/ssh_key").stat().st_mode & 0o077 == 0
    assert "GOOGLE_APPLICATION_CREDENTIALS=" in (project / "env").read_text()
    bash(project, "dvc remote add --quiet --default storage ssh://data.example/x")
    # As DVC itself resolves it: a path in its settings is relative to their folder.
    found = bash(project, 'python -c \'import dvc.repo as r; print(r.Repo().config["remote"]["storage"]["keyfile"])\'')
    assert Path(found.strip()).resolve() == (project / ".dvc/tmp/ssh_key").resolve()
    assert "ssh://data.example/x" in bash(project, "dvc remote list")
    assert ".dvc/tmp" not in bash(project, "git status --porcelain --untracked-files=all")


def test_every_snippet_is_yaml_and_every_pin_is_known() -> None:
    pins = (ROOT / "scripts/flint_ml/scaffold/plan.py").read_text(encoding="utf-8")
    for block in blocks(DATA, "yaml"):
        for step in yaml.safe_load(block):
            assert set(step) <= {"uses", "with", "env", "run"}
    for action, commit in re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40} # v[\d.]+)", DATA):
        assert LOGINS.get(action) == commit or f"{action}@{commit}" in pins
    assert not re.search(r"uses: (?!moja-global)[\w./-]+@(?![0-9a-f]{40} #)", DATA)


def test_the_page_of_commands_names_real_commands_and_options() -> None:
    for script in blocks(COMMANDS, "bash"):
        for line in script.splitlines():
            if not line.startswith("flint-ml "):
                continue
            command, *words = line.split("#")[0].split()[1:]
            assert command in names()
            known = {f"--{dashed(key)}" for key in load(command).inputs.model_fields}
            assert {word for word in words if word.startswith("--")} <= known, line
    own = {
        f"--{dashed(key)}" for name in ("init", "doctor", "share", "run-gcbm") for key in load(name).inputs.model_fields
    }
    assert set(re.findall(r"`(--[a-z-]+)", COMMANDS)) <= own


def test_the_lines_for_metrics_are_those_that_init_says() -> None:
    for name, language in (("metrics.py.txt", "python"), ("metrics.R.txt", "r")):
        text = (TEMPLATES / name).read_text(encoding="utf-8").replace("<< metrics >>", "metrics.json")
        assert text.rstrip() in blocks(COMMANDS, language)


def test_the_example_of_share_is_one_that_share_takes() -> None:
    example = yaml.safe_load(next(block for block in blocks(COMMANDS, "yaml") if block.startswith("share:")))
    assert load("share").inputs.model_validate(example["share"]).title
