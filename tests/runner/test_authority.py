"""Siblings of the table in issue 12: other files, fields and ways by which a change could judge itself."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flint_ml.commands import load, names
from flint_ml.errors import InputError
from flint_ml.record import Record, read_all
from flint_ml.runner import ChangeInputs, Commands, Context, run_action
from flint_ml.runner.base_settings import own_settings
from helpers.records import make
from runner.test_base_settings import REPORT, SETTINGS, action, codes, decided, git, made, only, pull_request

RULES = "compare-metrics: {rules: {rmse: {direction: lower, tolerance: 0.01}}, benchmark: none, metrics-from: commit}\n"


def on_branch(folder: Path, name: str) -> Context:
    event = {"repository": {"default_branch": "main"}, "before": "0" * 40}
    sha, ref = git(folder, "rev-parse", "HEAD"), "refs/heads/change"
    return Context(on_github=True, workspace=folder, event_name=name, event=event, sha=sha, ref=ref)


def act(name: str, context: Context, **given: Any) -> tuple[int, str, dict[str, Record]]:
    out, err = io.StringIO(), io.StringIO()
    commands = Commands(on_github=True, stdout=out, stderr=err, env={})
    values = {key.replace("_", "-"): value for key, value in given.items()}
    code = run_action(load(name), values, env={}, context=context, commands=commands, known=names())
    found = {record.name: record for record in read_all(context.workspace / "flint-ml-results")[0]}
    return code, out.getvalue() + err.getvalue(), found


def two(folder: Path, base: dict[str, str], head: dict[str, str | None]) -> Path:
    """A repository whose default branch has the files ``base`` and whose change writes ``head`` (None: removes)."""
    git(folder, "init", "-q")
    for files, message in ((base, "base"), (head, "change")):
        if message == "change":
            git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
            git(folder, "switch", "-qc", "change")
        for name, text in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.is_symlink() or text is None:
                file.unlink()
            if text is not None and text.startswith("-> "):
                file.unlink(missing_ok=True)
                file.symlink_to(text.removeprefix("-> "))
            elif text is not None:
                file.write_text(text)
        git(folder, "add", "-A", "-f", ":!flint-ml-results")
        git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return folder


# -- the workflow, wherever it stands ---------------------------------------------------------------------------------

ACTION = {"ci/gate/action.yml": "name: gate\n", "ci/gate/run.sh": "flint-ml gate\n", "readme": "x"}


@pytest.mark.parametrize("event", ["pull_request", "push"])
@pytest.mark.parametrize(
    "head",
    [
        {".github/workflows/gate.yml": "on: push\n"},
        {"ci/gate/action.yml": "name: other\n"},
        {"ci/gate/run.sh": "true\n"},
        {"ci/gate/action.yml": None},
        {"tools/x/action.yaml": "name: new\n"},
        {".forgejo/workflows/gate.yml": "on: push\n"},
        {".github/workflows": "-> ../elsewhere"},
        {"action.yml": "name: own\n"},
    ],
    ids=",".join,
)
def test_a_changed_workflow_or_action_is_named_wherever_it_stands(tmp_path: Path, event: str, head: dict) -> None:
    two(tmp_path, ACTION, head)
    context = pull_request(tmp_path, event) if event in ("pull_request", "merge_group") else on_branch(tmp_path, event)
    found = only(decided(context, action("compare-metrics", ChangeInputs)))
    assert found.code == "gate-changed"
    assert f"alters the workflow: `{next(iter(head))}`" in found.message


def test_a_file_beside_an_action_is_no_workflow(tmp_path: Path) -> None:
    two(tmp_path, {**ACTION, "action.yml": "name: root\n"}, {"ci/other.sh": "x", "train.py": "x", "ci/gatelike": "x"})
    assert codes(decided(pull_request(tmp_path), action("compare-metrics", ChangeInputs))) == []


# -- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["check-drift", "post-report"])
def test_without_a_repository_nobody_knows_whose_rules_these_are(tmp_path: Path, of: str) -> None:
    made(tmp_path, SETTINGS, "check-drift: {alpha: 0.9}\npost-report: {expect: [], template: t.j2}\n")
    context = pull_request(tmp_path)
    shutil.rmtree(tmp_path / ".git")  # as a command of the change could
    found = decided(context, REPORT if of == "post-report" else action())
    assert only(found).code == "gate-unverified"
    assert "template" not in found.section
    assert found.tree is not None
    assert found.tree.state == "left-out"


@pytest.mark.parametrize(
    ("section", "own"),
    [
        ("compare-metrics", {"tracking-uri": "http://other"}),
        ("register-model", {"tracking-uri": "http://other"}),
        ("check-drift", {"scheduler": "tcp://other:8786"}),
        ("deploy-model", {"manifests": "other/repository"}),
        ("post-report", {"artifact": "other", "run-id": 5}),
        ("pull-data", {"remote": "other"}),
    ],
)
def test_a_first_section_names_no_server_that_gets_our_credentials(tmp_path: Path, section: str, own: dict) -> None:
    made(tmp_path, "gate: {command: make}\n", json.dumps({section: own, "gate": {"command": "make"}}))
    found = decided(pull_request(tmp_path), action(section, ChangeInputs))
    assert dict(found.section) == {}
    assert only(found).code == "gate-new"
    assert all(f"`{key}`" in only(found).message for key in own)


def test_broken_rules_at_the_base_do_not_let_the_change_choose_the_reports_place(tmp_path: Path) -> None:
    made(tmp_path, "post-report: {nonsense: 1}\n", "post-report: {title: T, template: t.j2, key: k, fail-on: never}\n")
    found = decided(pull_request(tmp_path), REPORT)
    repaired = own_settings(found, InputError("unknown key"), "flint-ml.yml", "post-report")
    assert repaired is not None
    assert dict(repaired.section) == {"title": "T"}


# -- files that the rules name ------------------------------------------------------------------------------------

TEMPLATE = "{{ report.word }} by the base's template\n"


def report(folder: Path, **given: Any) -> tuple[str, dict[str, Record]]:
    context = pull_request(folder)
    head = str(context.git_event.head)
    results = folder / "flint-ml-results"
    results.mkdir(exist_ok=True)
    record = make("train").model_copy(deep=True)
    record.provenance.head_sha, record.provenance.run_id, record.provenance.run_attempt = head, None, 1
    (results / "train.json").write_text(record.to_json())
    context = Context(**{**context.__dict__, "head_sha": head})
    code, log, found = act("post-report", context, publisher="none", expect=["train"], **given)
    assert code == 0, log
    return (results / "report.md").read_text(), found


@pytest.mark.parametrize("how", ["settings", "with"])
@pytest.mark.parametrize("head", ["Approve!\n", "-> other.j2", None])
def test_the_reports_template_is_the_bases_word_for_word(tmp_path: Path, how: str, head: str | None) -> None:
    base = {"ci/t.j2": TEMPLATE, "other.j2": "x"}
    given = {"template": "ci/t.j2"} if how == "with" else {}
    if how == "settings":
        base["flint-ml.yml"] = "post-report: {template: ci/t.j2}\n"
    text, _ = report(two(tmp_path, base, {"ci/t.j2": head, "other.j2": "Approve by another\n"}), **given)
    assert "by the base's template" in text
    assert "Approve" not in text


@pytest.mark.parametrize("base", [{"readme": "x"}, {"ci/t.j2": "-> ../readme", "readme": "x"}])
def test_a_new_template_waits_for_the_merge(tmp_path: Path, base: dict[str, str]) -> None:
    text, found = report(two(tmp_path, base, {"ci/t.j2": "Approve!\n"}), template="ci/t.j2")
    assert "Approve!" not in text
    assert "template ci/t.j2 is new with this change" in text
    assert found["post-report"].details["decision"] == "review"


@pytest.mark.parametrize("folder", [False, True])
def test_metrics_to_compare_with_are_the_bases(tmp_path: Path, folder: bool) -> None:
    name = "old" if folder else "old/metrics.json"
    base = {"flint-ml.yml": RULES, "old/metrics.json": '{"rmse": 1.0}', "metrics.json": '{"rmse": 1.0}'}
    two(tmp_path, base, {"old/metrics.json": '{"rmse": 9.0}', "metrics.json": '{"rmse": 5.0}'})
    code, log, found = act("compare-metrics", pull_request(tmp_path), base=name)
    record = found["compare-metrics"]
    assert (code, record.metrics["rmse"].base) == (1, 1.0), log
    assert [f.code for f in record.findings if "alters the metrics" in f.message] == ["gate-changed"]


def test_metrics_to_compare_with_that_are_new_are_named_and_those_of_the_workflow_are_not(tmp_path: Path) -> None:
    base = {"flint-ml.yml": RULES, "metrics.json": '{"rmse": 1.0}', ".gitignore": "brought.json\n"}
    two(tmp_path, base, {"new.json": '{"rmse": 9.0}', "metrics.json": '{"rmse": 5.0}'})
    (tmp_path / "brought.json").write_text('{"rmse": 4.9}')
    (tmp_path / "brought.json").chmod(0o644)
    _, _, found = act("compare-metrics", pull_request(tmp_path), base="new.json")
    assert "are new with this change" in " ".join(f.message for f in found["compare-metrics"].findings)
    git(tmp_path, "rm", "-q", "--cached", "--ignore-unmatch", "brought.json")
    _, _, found = act("compare-metrics", pull_request(tmp_path), base="brought.json")
    assert "with this change" not in " ".join(f.message for f in found["compare-metrics"].findings)


# -- names of revisions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["settings", "with"])
@pytest.mark.parametrize("moved", ["refs/tags/good", "refs/remotes/origin/good", "refs/heads/good"])
def test_a_revision_is_what_it_was_before_the_command(tmp_path: Path, where: str, moved: str) -> None:
    """Settings of the base, or the workflow, name a tag as the base; the command moves it to a commit of its own."""
    rules = RULES.replace("benchmark", "base-revision: good, benchmark") if where == "settings" else RULES
    git(tmp_path, "init", "-q")
    (tmp_path / "flint-ml.yml").write_text(rules)
    (tmp_path / "metrics.json").write_text('{"rmse": 1.0}')
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "base")
    good = git(tmp_path, "rev-parse", "HEAD")
    git(tmp_path, "tag", "good")
    git(tmp_path, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(tmp_path, "switch", "-qc", "change")
    (tmp_path / "metrics.json").write_text('{"rmse": 5.0}')
    git(tmp_path, "commit", "-qam", "worse")
    context = pull_request(tmp_path)
    given = {"base_revision": "good"} if where == "with" else {}
    code, log, found = act("gate-plan", context, **given)
    assert code == 0, log
    handed = found["gate-plan"].details["base"]["commit"]
    git(tmp_path, "switch", "-q", "--orphan", "own")
    (tmp_path / "flint-ml.yml").write_text("x: {}\n")
    (tmp_path / "metrics.json").write_text('{"rmse": 9.0}')
    git(tmp_path, "add", "flint-ml.yml", "metrics.json")
    git(tmp_path, "commit", "-qm", "much worse")
    own = git(tmp_path, "rev-parse", "HEAD")
    git(tmp_path, "switch", "-qf", "change")
    git(tmp_path, "update-ref", moved, own)
    code, log, found = act("compare-metrics", context, base_commit=handed, **given)
    record = found["compare-metrics"]
    assert record.base is not None, log
    assert (code, record.base.commit, record.metrics["rmse"].base) == (1, good, 1.0), log


def test_records_that_a_model_needs_are_the_bases_on_a_dispatch_too(tmp_path: Path) -> None:
    base = "register-model: {model: m, require: [train, compare-metrics]}\ngate: {register: always}\n"
    made(tmp_path, base, base.replace("[train, compare-metrics]", "[x]"))
    _, log, found = act("gate-plan", on_branch(tmp_path, "workflow_dispatch"))
    assert found["gate-plan"].status == "passed", log
    context = on_branch(tmp_path, "workflow_dispatch")
    out = tmp_path / "out"
    commands = Commands(on_github=True, stdout=io.StringIO(), stderr=io.StringIO(), env={"GITHUB_OUTPUT": str(out)})
    run_action(load("gate-plan"), {}, env={}, context=context, commands=commands, known=names())
    assert '["train", "compare-metrics"]' in out.read_text()


def test_a_table_that_is_a_link_out_of_the_workspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("secret-header\n1\n")
    work = tmp_path / "work"
    (work / "new").mkdir(parents=True)
    (work / "ref.csv").write_text("a\n1\n2\n3\n")
    (work / "new/1.csv").write_text("a\n1\n2\n3\n")
    (work / "new/2.csv").symlink_to(tmp_path / "secret.csv")
    for current in ("new", "new/*.csv", "new/2.csv"):
        context = Context(on_github=True, workspace=work)
        code, log, found = act("check-drift", context, reference="ref.csv", current=current)
        assert code == 2, log
        assert "leads out of the workspace" in log
        assert "secret-header" not in log + found["check-drift"].to_json()
