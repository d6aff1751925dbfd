"""What is published agrees with the models: action.yml, docs tables, schemas, README."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import metadata
from flint_ml import commands as actions
from flint_ml.commands.gate_plan import ORDER
from flint_ml.runner.inputs import dashed, shape

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = {
    "pull-data": "targets remote revision base-revision jobs allow-missing",
    "check-drift": "reference current columns exclude tests alpha correction min-effect on-failure",
    "compare-metrics": "metrics base-revision base rules predictions base-predictions on-failure",
    "post-report": "title key expect publisher token figures pull-request run-id artifact fail-on",
    "register-model": "model model-name tracking-uri stage require allow-ephemeral",
    "deploy-model": "manifests branch token ssh-key mode model-name version tracking-uri file path strategy timeout",
    "gate": "command expect token fail-on model model-name tracking-uri",
}
OUTPUTS = {
    "pull-data": "fingerprint changed files bytes cache-key",
    "check-drift": "drifted drifted-columns badge",
    "compare-metrics": "verdict table",
    "post-report": "decision posted comment-id comment-url report pull-request key",
    "register-model": "version run-id model-uri created",
    "deploy-model": "changed commit url",
    "gate": "decision report",
}


GENERATED = metadata.generated(ROOT)


@pytest.mark.parametrize("path", list(GENERATED), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_generated_files_are_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == GENERATED[path], "run `make metadata`"


@pytest.mark.parametrize("name", PUBLIC)
def test_the_public_names_of_inputs_and_outputs_are_there(name: str) -> None:
    action = actions.load(name)
    inputs = {dashed(key) for key in action.inputs.model_fields}
    common = {"results-dir", "name", "config", "working-directory"}
    assert inputs >= set(PUBLIC[name].split()) | common
    assert set(action.outputs) >= set(OUTPUTS[name].split())


@pytest.mark.parametrize("name", actions.names())
def test_every_input_and_output_says_what_it_is(name: str) -> None:
    action = actions.load(name)
    assert action.name == name
    assert action.summary == actions.SUMMARIES[name]
    for key, field in action.inputs.model_fields.items():
        assert (field.description or "").strip().endswith((".", ")", "`")), key
    assert not set(action.outputs) & set(metadata.COMMON_OUTPUTS)


def test_secrets_are_secrets_and_never_in_the_settings_file() -> None:
    schema = json.loads((ROOT / "docs/schema/flint-ml.json").read_text())
    for name in actions.names():
        action = actions.load(name)
        for key, field in action.inputs.model_fields.items():
            if re.search("token|secret|password|ssh_key", key):
                assert shape(field) == "secret", f"{name}.{key}"
                assert dashed(key) not in schema["properties"][action.section_name]["properties"]


def test_no_default_hides_the_settings_file() -> None:
    """A `default:` in action.yml would always win over flint-ml.yml; only the token, never set there, has one."""
    for path in [ROOT / "action.yml", *(ROOT / "actions").glob("*/action.yml")]:
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        with_default = {name for name, value in data["inputs"].items() if "default" in value}
        assert with_default <= ({"for"} if path.parent.name == "setup" else {"token"}), path


def test_one_name_four_rooms_and_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in actions.names():
        action = actions.load(name)
        if not action.published:
            continue
        module = name.replace("-", "_")
        rooms = (f"{module}.py", f"{module}/__init__.py")
        assert any((ROOT / "scripts/flint_ml/commands" / room).is_file() for room in rooms)
        assert (ROOT / f"actions/{name}/action.yml").is_file()
        assert (ROOT / f"docs/actions/{name}.md").is_file()
        assert list((ROOT / "tests").rglob(f"test_{module}.py"))
        assert f"`{name}`" in readme
        assert action.inputs.model_fields


def test_the_root_action_has_the_steps_of_the_gate_in_its_order() -> None:
    order = ["setup", "plan", *ORDER, "report", "upload", "register-model", "verdict"]
    assert [step["id"] for step in YAML(typ="safe").load((ROOT / "action.yml").read_text())["runs"]["steps"]] == order


def test_links_between_the_documents_lead_somewhere() -> None:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    broken = []
    for name in listed.split():
        text = (ROOT / name).read_text(encoding="utf-8")
        text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            target = link.split("#")[0]
            if target and not re.match(r"[a-z]+:", target) and not (ROOT / name).parent.joinpath(target).exists():
                broken.append(f"{name}: {link}")
    assert broken == []
