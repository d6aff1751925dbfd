"""A change cannot move its own goalposts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from flint_ml.commands import gate
from flint_ml.runner.base_settings import trusted_section
from flint_ml.runner.context import Context
from flint_ml.runner.inputs import ActionInputs, GateInputs
from flint_ml.runner.job import Action, Outcome
from flint_ml.runner.workspace import Workspace


def action(name: str = "check-drift", *, gate: bool = True, own: tuple[str, ...] = ()) -> Action:
    model = GateInputs if gate else ActionInputs
    return Action(
        name=name,
        summary="s",
        description="d",
        badge="B",
        inputs=model,
        own_settings=own,
        run=lambda inputs, job: Outcome("passed", "h", "m"),
    )


def git(folder: Path, *arguments: str) -> str:
    options = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    result = subprocess.run(["git", *options, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return result.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "flint-ml.yml").write_text("check-drift: {alpha: 0.05}\ngate: {command: old, fail-on: review}\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "base")
    git(tmp_path, "switch", "-qc", "change")
    (tmp_path / "flint-ml.yml").write_text("check-drift: {alpha: 0.5}\ngate: {command: new, fail-on: never}\n")
    git(tmp_path, "commit", "-qam", "loosen")
    return tmp_path


def section(folder: Path, of: Action, **values: str) -> tuple[dict, list[str]]:
    context = Context(on_github=False, workspace=folder)
    found, findings = trusted_section(of, values, "flint-ml.yml", Workspace(folder, confined=False), context)
    return dict(found), [f"{finding.code}: {finding.message}" for finding in findings]


def test_a_gate_keeps_the_bases_rules_and_says_what_the_change_tried(repository: Path) -> None:
    found, findings = section(repository, action())
    assert found == {"alpha": 0.05}
    assert findings == [
        "gate-changed: this change alters the gate's rules in flint-ml.yml: `check-drift.alpha`: 0.05 → 0.5"
    ]


def test_an_action_that_is_no_gate_reads_the_change(repository: Path) -> None:
    assert section(repository, action(gate=False)) == ({"alpha": 0.5}, [])


def test_the_command_is_the_changes_own_and_the_verdict_is_not(repository: Path) -> None:
    found, findings = section(repository, action("gate", own=gate.ACTION.own_settings))
    assert found == {"command": "new", "fail-on": "review"}
    assert len(findings) == 1
    assert "gate.fail-on" in findings[0]


def test_rules_that_are_new_hold_and_are_named(repository: Path) -> None:
    git(repository, "switch", "-q", "main")
    git(repository, "rm", "-q", "flint-ml.yml")
    git(repository, "commit", "-qm", "without")
    git(repository, "switch", "-qc", "first")
    (repository / "flint-ml.yml").write_text("check-drift: {alpha: 0.2}\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "rules")
    found, findings = section(repository, action())
    assert found == {"alpha": 0.2}
    assert "are new with this change" in findings[0]


def test_without_a_difference_there_is_nothing_to_say(repository: Path) -> None:
    git(repository, "checkout", "-q", "main", "--", "flint-ml.yml")
    assert section(repository, action()) == ({"alpha": 0.05}, [])


def test_outside_git_the_file_holds(tmp_path: Path) -> None:
    (tmp_path / "flint-ml.yml").write_text("check-drift: {alpha: 0.2}\n")
    assert section(tmp_path, action()) == ({"alpha": 0.2}, [])


def test_a_base_that_was_not_fetched_is_said(repository: Path, tmp_path: Path) -> None:
    clone = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", "--branch", "change", f"file://{repository}", str(clone))
    event = {
        "pull_request": {"head": {"sha": git(clone, "rev-parse", "HEAD")}, "base": {"ref": "main", "sha": "0" * 40}}
    }
    context = Context(on_github=True, workspace=clone, event_name="pull_request", event=event)
    found, findings = trusted_section(action(), {}, "flint-ml.yml", Workspace(clone, confined=True), context)
    assert found == {"alpha": 0.5}
    assert [finding.code for finding in findings] == ["gate-unverified"]
    assert "fetch-depth: 0" in (findings[0].hint or "")


@pytest.mark.parametrize("event", ["schedule", "repository_dispatch"])
def test_what_is_in_the_default_branch_already_is_judged_by_its_own_rules(repository: Path, event: str) -> None:
    context = Context(on_github=True, workspace=repository, event_name=event)
    (repository / "flint-ml.yml").write_text("check-drift: {alpha: 0.9}\n")
    place = Workspace(repository, confined=False)
    found, findings = trusted_section(action(), {}, "flint-ml.yml", place, context)
    assert dict(found) == {"alpha": 0.5}
    assert [finding.code for finding in findings] == ["gate-changed"]
