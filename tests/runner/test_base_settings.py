"""Who decides: every section of flint-ml.yml by event, and what a change may say about itself."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from flint_ml.errors import InputError
from flint_ml.record import Finding
from flint_ml.runner import Action, ActionInputs, ChangeInputs, Context, GateInputs, Outcome, Workspace
from flint_ml.runner.base_settings import Authority, authority, own_settings

SETTINGS = "check-drift: {alpha: 0.05}\ngate: {command: old, fail-on: review}\npost-report: {title: Soil}\n"
LOOSENED = (
    "check-drift: {alpha: 0.5}\ngate: {command: new, fail-on: never}\n"
    "post-report: {title: Soil, template: evil.j2, key: other, publisher: none, expect: []}\n"
)


def action(name: str = "check-drift", model: type[ActionInputs] = GateInputs, own: tuple[str, ...] = ()) -> Action:
    return Action(
        name=name,
        summary="s",
        description="d",
        badge="B",
        inputs=model,
        own_settings=own,
        run=lambda inputs, job: Outcome("passed", "h", "m"),
    )


GATE = action("gate", own=("command",))
REPORT = action("post-report", ChangeInputs)


def git(folder: Path, *arguments: str) -> str:
    options = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    result = subprocess.run(["git", *options, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return result.stdout.strip()


def commit(folder: Path, settings: str | None, message: str) -> str:
    file = folder / "flint-ml.yml"
    file.unlink(missing_ok=True)
    if settings is not None:
        file.write_text(settings)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def made(folder: Path, base: str | None, head: str | None) -> Path:
    git(folder, "init", "-q")
    (folder / "readme").write_text("x")
    commit(folder, base, "base")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(folder, "switch", "-qc", "change")
    commit(folder, head, "change")
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return made(tmp_path, SETTINGS, LOOSENED)


def pull_request(folder: Path, name: str = "pull_request") -> Context:
    event: dict[str, Any] = {"repository": {"default_branch": "main"}}
    head, base = git(folder, "rev-parse", "HEAD"), git(folder, "rev-parse", "origin/main")
    if name == "merge_group":
        event["merge_group"] = {"head_sha": head, "base_sha": base, "base_ref": "refs/heads/main"}
    else:
        event["pull_request"] = {"number": 7, "head": {"sha": head}, "base": {"ref": "main", "sha": base}}
    return Context(on_github=True, workspace=folder, event_name=name, event=event)


def decided(context: Context, of: Action, **values: str) -> Authority:
    workspace = Workspace(context.workspace, confined=context.on_github)
    return authority(of, {k.replace("_", "-"): v for k, v in values.items()}, "flint-ml.yml", workspace, context)


def codes(found: Authority) -> list[str]:
    return [each.code for each in found.findings]


def only(found: Authority) -> Finding:
    assert len(found.findings) == 1, found.findings
    return found.findings[0]


@pytest.mark.parametrize("event", ["pull_request", "pull_request_target", "merge_group"])
@pytest.mark.parametrize("of", [action(), REPORT, GATE, action("pull-data", ActionInputs)])
def test_every_section_is_the_bases_for_a_change_that_is_not_merged(repository: Path, event: str, of: Action) -> None:
    found = decided(pull_request(repository, event), of)
    expected: dict[str, Any] = {"check-drift": {"alpha": 0.05}, "post-report": {"title": "Soil"}}
    expected["gate"] = {"command": "new", "fail-on": "review"}
    assert dict(found.section) == expected.get(of.name, {})
    assert codes(found) == (["gate-changed"] if of.name in expected else [])
    assert found.judges


def test_the_change_is_told_setting_by_setting(repository: Path) -> None:
    message = only(decided(pull_request(repository), action())).message
    assert message == "this change alters the gate's rules in flint-ml.yml: `check-drift.alpha`: 0.05 → 0.5"
    message = only(decided(pull_request(repository), GATE)).message
    assert "`gate.command`: old → new" in message


def test_a_command_of_the_change_runs_and_is_named(tmp_path: Path) -> None:
    made(tmp_path, "gate: {command: dvc repro}\n", 'gate: {command: "true"}\n')
    found = decided(pull_request(tmp_path), GATE)
    assert (dict(found.section), codes(found)) == ({"command": "true"}, ["gate-changed"])


def test_a_declaration_of_the_change_is_its_own_and_no_finding(tmp_path: Path) -> None:
    made(tmp_path, "compare-metrics: {rules: {a: 1}}\n", "compare-metrics: {rules: {a: 1}, expected: {a: 2}}\n")
    found = decided(pull_request(tmp_path), action("compare-metrics", own=("expected",)))
    assert (dict(found.section), codes(found)) == ({"rules": {"a": 1}, "expected": {"a": 2}}, [])


@pytest.mark.parametrize("base", [None, "check-drift: {alpha: 0.05}\n"])
def test_the_first_settings_hold_except_where_a_report_goes(tmp_path: Path, base: str | None) -> None:
    own = "{title: T, template: t.j2, key: k, publisher: none, run-id: 5, pull-request: 8, fail-on: never, expect: []}"
    made(tmp_path, base, f"post-report: {own}\npull-data: {{remote: mine, jobs: 2}}\n")
    found = decided(pull_request(tmp_path), REPORT)
    assert dict(found.section) == {"title": "T", "expect": []}
    assert codes(found) == ["gate-new"]
    assert "`template`" in only(found).message
    assert dict(decided(pull_request(tmp_path), action("pull-data", ChangeInputs)).section) == {"jobs": 2}


@pytest.mark.parametrize(
    "event", ["push", "schedule", "workflow_dispatch", "repository_dispatch", "workflow_run", "issue_comment"]
)
def test_on_the_default_branch_its_own_file_holds_without_a_word(repository: Path, event: str) -> None:
    git(repository, "update-ref", "refs/remotes/origin/main", "HEAD")
    payload = {"repository": {"default_branch": "main"}, "before": git(repository, "rev-parse", "HEAD^")}
    context = Context(on_github=True, workspace=repository, event_name=event, event=payload, ref="refs/heads/main")
    (repository / "flint-ml.yml").write_text("check-drift: {alpha: 0.9}\n")
    found = decided(context, action())
    assert (dict(found.section), codes(found)) == ({"alpha": 0.5}, [])


@pytest.mark.parametrize("event", ["push", "workflow_dispatch", "issue_comment"])
def test_a_branch_is_judged_by_where_it_left_the_default_branch(repository: Path, event: str) -> None:
    payload = {"repository": {"default_branch": "main"}, "before": "0" * 40}
    context = Context(on_github=True, workspace=repository, event_name=event, event=payload, ref="refs/heads/change")
    found = decided(context, action())
    assert (dict(found.section), codes(found)) == ({"alpha": 0.05}, ["gate-changed"])


def test_at_a_terminal_the_working_tree_holds_and_the_difference_is_told(repository: Path) -> None:
    found = decided(Context(on_github=False, workspace=repository), action())
    assert dict(found.section) == {"alpha": 0.5}
    finding = only(found)
    assert (finding.severity, finding.code) == ("info", "working-tree-rules")
    assert "a pull request uses the base's" in finding.message


def test_outside_git_the_file_holds(tmp_path: Path) -> None:
    (tmp_path / "flint-ml.yml").write_text("check-drift: {alpha: 0.2}\n")
    found = decided(Context(on_github=False, workspace=tmp_path), action())
    assert (dict(found.section), codes(found)) == ({"alpha": 0.2}, [])


def test_a_second_workflow_without_a_checkout_misses_nothing(tmp_path: Path) -> None:
    found = decided(Context(on_github=True, workspace=tmp_path, event_name="workflow_run"), REPORT)
    assert (dict(found.section), codes(found)) == ({}, [])


def test_a_base_that_was_not_fetched_is_said(repository: Path, tmp_path: Path) -> None:
    clone = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", "--branch", "change", repository.as_uri(), str(clone))
    context = pull_request(repository)
    found = decided(Context(on_github=True, workspace=clone, event_name="pull_request", event=context.event), action())
    assert (dict(found.section), codes(found)) == ({"alpha": 0.5}, ["gate-unverified"])
    assert "fetch-depth: 0" in (only(found).hint or "")


@pytest.mark.parametrize("link", ["flint-ml.yml", "folder"])
def test_settings_behind_a_link_are_refused_on_a_runner(repository: Path, link: str) -> None:
    context = pull_request(repository)
    config = "flint-ml.yml" if link == "flint-ml.yml" else "folder/flint-ml.yml"
    (repository / "loose").mkdir()
    (repository / "loose/flint-ml.yml").write_text("check-drift: {alpha: 0.9}\n")
    (repository / link).unlink(missing_ok=True)
    (repository / link).symlink_to("loose/flint-ml.yml" if link == "flint-ml.yml" else "loose")
    for committed in (False, True):
        if committed:
            git(repository, "add", "-A")
            git(repository, "commit", "-qm", "link")
            context = pull_request(repository)
        with pytest.raises(InputError) as caught:
            authority(action(), {}, config, Workspace(repository, confined=True), context)
        assert caught.value.code == "linked-settings"


def test_a_link_in_two_steps_does_not_bring_its_targets_rules(tmp_path: Path) -> None:
    """The base already has the link; the change exchanges what it points to."""
    git(tmp_path, "init", "-q")
    (tmp_path / "rules.yml").write_text("check-drift: {alpha: 0.05}\n")
    (tmp_path / "flint-ml.yml").symlink_to("rules.yml")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "base")
    git(tmp_path, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(tmp_path, "switch", "-qc", "change")
    commit(tmp_path, "check-drift: {alpha: 0.9}\n", "a file again")
    found = decided(pull_request(tmp_path), action())
    assert codes(found) == ["gate-unverified"]


def test_rules_from_a_bases_flint_ml_yml_that_is_broken_can_be_repaired(tmp_path: Path) -> None:
    made(tmp_path, "check-drift: [\n", "check-drift: {alpha: 0.2}\n")
    found = decided(pull_request(tmp_path), action())
    assert (dict(found.section), codes(found)) == ({"alpha": 0.2}, ["gate-unverified"])
    assert own_settings(Authority(section={"a": 1}, own={"a": 1}), InputError("x"), "f", "check-drift") is None
    repaired = own_settings(Authority(section={"a": 1}, own={"a": 2}), InputError("x"), "f", "check-drift")
    assert repaired is not None
    assert (repaired.section, codes(repaired)) == ({"a": 2}, ["gate-unverified"])


@pytest.mark.parametrize("name", [".github/workflows/gate.yml", ".github/actions/x/action.yml"])
def test_a_changed_workflow_is_named(repository: Path, name: str) -> None:
    (repository / name).parent.mkdir(parents=True)
    (repository / name).write_text("on: push\n")
    commit(repository, SETTINGS, "workflow")
    finding = only(decided(pull_request(repository), action()))
    assert (finding.code, name in finding.message) == ("gate-changed", True)


def test_a_long_setting_is_cut(tmp_path: Path) -> None:
    names = ", ".join(f"column_{number}" for number in range(2_100))
    made(tmp_path, "check-drift: {exclude: []}\n", f"check-drift: {{exclude: [{names}]}}\n")
    assert len(only(decided(pull_request(tmp_path), action())).message) < 500


def test_what_gate_plan_noted_stands_when_a_branch_was_moved(repository: Path) -> None:
    context, noted = pull_request(repository), git(repository, "rev-parse", "origin/main")
    git(repository, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(repository, "replace", noted, "HEAD")
    found = decided(context, action(), base_commit=noted)
    assert dict(found.section) == {"alpha": 0.05}
    assert found.base is not None
    assert found.base.commit == noted


def test_the_tree_is_a_piece_of_evidence(repository: Path) -> None:
    context = pull_request(repository)
    tree = decided(context, action()).tree
    assert tree is not None
    assert (tree.kind, tree.state, tree.noun) == (
        "tree",
        "looked",
        f"commit {git(repository, 'rev-parse', 'HEAD')[:7]}",
    )
    commit(repository, SETTINGS, "formatted")
    found = decided(context, action())
    assert found.tree is not None
    assert (found.tree.state, "formatted" in found.tree.why) == ("left-out", True)
    assert "gate-unverified" in codes(found)
