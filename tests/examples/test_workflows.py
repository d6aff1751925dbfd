"""What every example workflow must hold: people copy these files and never look at them again."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flint_ml import commands as actions
from flint_ml.runner.inputs import dashed

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "workflows"
FILES = [*sorted(FOLDER.glob("*.yml")), *sorted(ROOT.glob("examples/*/.github/workflows/*.yml"))]
OWN = "moja-global/flint-ml-actions"
# The one table of third-party actions: version and commit. A newer version is entered here first.
PINS = {
    "actions/cache": ("v5.0.5", "27d5ce7f107fe9357f9df03efb73ab90386fccae"),
    "actions/checkout": ("v7.0.1", "3d3c42e5aac5ba805825da76410c181273ba90b1"),
    "actions/download-artifact": ("v8.0.1", "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c"),
    "actions/setup-python": ("v7.0.0", "5fda3b95a4ea91299a34e894583c3862153e4b97"),
    "actions/upload-artifact": ("v7.0.0", "bbbca2ddaa5d8feaa63e36b76fdaad77386f024f"),
    "iterative/setup-cml": ("v2.0.1", "f12ea7685438c1fc438d50f77519b3860cf5fa98"),
    "r-lib/actions/setup-r": ("v2.10.1", "e6be4b3706e0f39bc7a4cf4496a5f2c4cb840040"),
    "r-lib/actions/setup-r-dependencies": ("v2.10.1", "e6be4b3706e0f39bc7a4cf4496a5f2c4cb840040"),
}
# Who may do more than check out, and why.
WRITES = {
    "pull-requests": "the comment of post-report, or a pull request",
    "issues": "an issue of open-issue",
    "contents": "the branch of open-pull-request",
}
# Workflows that no test runs under act as a whole.
NOT_UNDER_ACT: dict[str, str] = {}
_USES = re.compile(r"uses: ([\w./-]+)@([\w.-]+)(?: # (\S+))?$", re.MULTILINE)
named = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT / "examples").as_posix())


def load(path: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(path.read_text(encoding="utf-8")))


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    return dict(load(path)["jobs"])


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job.get("steps", [])]


def action_of(step: dict[str, Any]) -> str:
    return str(step.get("uses", "")).partition("@")[0]


@named
def test_head_says_what_it_is_and_what_to_change(path: Path) -> None:
    head = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        head.append(line.lstrip("# "))
    text = " ".join(head)
    assert len(head) >= 4
    assert "What to change" in text
    if 'marked "yours"' in text:
        assert len(re.findall(r" [1-9]\. ", text)) >= 3
        assert "yours" in path.read_text(encoding="utf-8").partition("\nname:")[2]


@named
def test_nothing_is_allowed_that_a_job_does_not_ask_for(path: Path) -> None:
    assert load(path)["permissions"] == {}
    for name, job in jobs(path).items():
        for permission, level in job["permissions"].items():
            assert level == "read" or permission in WRITES, f"{name}: {permission}: {level}"


@named
def test_every_job_has_a_name_and_an_end(path: Path) -> None:
    concurrency = load(path)["concurrency"]
    assert concurrency["group"]
    assert "cancel-in-progress" in concurrency
    for name, job in jobs(path).items():
        assert job["name"], name
        assert 0 < job["timeout-minutes"] <= 600, name


@named
def test_checkouts_say_how_deep_and_leave_no_token_behind(path: Path) -> None:
    for step in steps(path):
        if action_of(step) == "actions/checkout":
            assert step["with"]["fetch-depth"] in (0, 1)
            assert step["with"]["persist-credentials"] is False


@named
def test_third_party_actions_are_those_of_the_table(path: Path) -> None:
    found = _USES.findall(path.read_text(encoding="utf-8"))
    assert len(found) >= sum("uses" in step for step in steps(path))
    for name, commit, version in found:
        if name == OWN or name.startswith(f"{OWN}/"):
            assert commit == "v1"
        else:
            assert (version, commit) == PINS[name], name


@named
def test_our_actions_and_their_inputs_exist(path: Path) -> None:
    for step in steps(path):
        name = action_of(step)
        if name != OWN and not name.startswith(f"{OWN}/"):
            continue
        folder = ROOT / "actions" / name.removeprefix(f"{OWN}/") if name != OWN else ROOT
        known = YAML(typ="safe").load((folder / "action.yml").read_text(encoding="utf-8")).get("inputs") or {}
        assert set(step.get("with", {})) <= set(known), name


@named
def test_commands_and_their_options_exist(path: Path) -> None:
    for step in steps(path):
        script = str(step.get("run", "")).replace("\\\n", " ")
        for line in re.findall(r"flint-ml ([a-z-]+ .*)", script):
            words = shlex.split(line, comments=True)
            words = words[: words.index("--")] if "--" in words else words
            known = {f"--{dashed(key)}" for key in actions.load(words[0]).inputs.model_fields}
            assert {word.partition("=")[0] for word in words[1:] if word.startswith("--")} <= known, line


@named
def test_values_reach_scripts_by_the_environment_only(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in str(step.get("run", "")), "an expression in a script is code that somebody else may write"


@named
def test_the_token_is_only_where_it_is_needed(path: Path) -> None:
    for job in jobs(path).values():
        assert "token" not in str(job.get("env", "")).lower()
        for step in job.get("steps", []):
            given = str({**step.get("env", {}), **step.get("with", {})})
            if "github.token" in given or "secrets.GITHUB_TOKEN" in given:
                run = str(step.get("run", ""))
                ours = action_of(step).startswith(OWN) or re.search(r"(?m)^\s*(cml|flint-ml open-\S+) ", run)
                assert ours, step
                assert not re.search(r"(?m)^\s*(python|Rscript|dvc|pip|bash)\b", run), "user code beside the token"


@named
def test_who_may_write_contents_or_issues_runs_no_code_of_the_change(path: Path) -> None:
    for name, job in jobs(path).items():
        if not {"contents", "issues"} & {p for p, level in job["permissions"].items() if level == "write"}:
            continue
        for step in job.get("steps", []):
            assert action_of(step) not in (OWN, "actions/setup-python"), name
            assert not re.search(r"\b(python|Rscript|dvc|pip)\b", str(step.get("run", ""))), name


@named
def test_what_another_job_hands_over_stays_in_a_folder_of_its_own(path: Path) -> None:
    """Unpacked over the checkout, an artifact of a job that was taken over could bring a `.git/config` along."""
    for step in steps(path):
        if action_of(step) == "actions/download-artifact":
            place = step["with"]["path"]
            assert re.fullmatch(r"[a-z][a-z-]*", place), place


@named
def test_data_are_cached_where_they_are_pulled(path: Path) -> None:
    for name, job in jobs(path).items():
        used = [action_of(step) for step in job.get("steps", [])]
        if "self-hosted" in job.get("runs-on", "") or not {OWN, f"{OWN}/pull-data"} & set(used):
            continue
        paths = [step["with"]["path"] for step in job["steps"] if action_of(step) == "actions/cache"]
        assert ".dvc/cache" in paths, name


def test_examples_have_the_text_of_the_collection() -> None:
    for name, example in (("model-gate.yml", "soil-carbon"), ("gcbm-gate.yml", "gcbm")):
        own = ROOT / "examples" / example / ".github" / "workflows" / name
        assert own.read_text(encoding="utf-8") == (FOLDER / name).read_text(encoding="utf-8")


def test_each_is_run_by_a_test_under_act_or_says_why_not() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "e2e").glob("test_*.py"))
    missing = {path.name for path in FILES if path.name not in tests and f'"{path.stem}"' not in tests}
    assert missing == set(NOT_UNDER_ACT)
    assert all(len(reason) > 40 for reason in NOT_UNDER_ACT.values())


def test_the_table_of_the_readme_names_each_once() -> None:
    rows = re.findall(r"(?m)^\| \[`([\w.-]+)`\]\(([\w./-]+)\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert all(name == target for name, target in rows)
    assert sorted(name for name, _ in rows) == sorted(path.name for path in FOLDER.glob("*.yml"))


def test_githubs_schema_and_the_pedantic_auditor_have_nothing_to_say() -> None:
    folder, names = Path(sys.executable).parent, [str(path) for path in FILES]
    schema = [str(folder / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *names]
    audit = [str(folder / "zizmor"), "--offline", "--quiet", "--persona", "pedantic", "--config", "zizmor.yml", *names]
    for command in (schema, audit):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
