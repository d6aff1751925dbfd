"""promote end to end, on a registry in a sqlite file."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flint_ml.commands.promote import ACTION
from flint_ml.registry.address import resolve
from flint_ml.registry.store import connect
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands

pytest_plugins = ("helpers.mlflow_server",)


def run(folder: Path, **given: Any) -> tuple[int, dict[str, Any]]:
    env = {"GITHUB_ACTOR": "ana"}
    context = Context(on_github=False, workspace=folder, head_sha="c0ffee")
    commands = Commands(on_github=False, stdout=io.StringIO(), stderr=io.StringIO(), env=env)
    values = {"model-name": "soc", **{key.replace("_", "-"): value for key, value in given.items()}}
    code = run_action(ACTION, values, env=env, context=context, commands=commands)
    return code, json.loads((folder / "flint-ml-results" / "promote.json").read_text())


@pytest.fixture
def registry(tmp_path: Path, registry_file: Path) -> Path:
    shutil.copy(registry_file, tmp_path)
    store = connect(resolve("", {}, tmp_path), {})
    store.ensure_model("soc")
    made = store.create_run(store.experiment("soc"), "soc", {})
    for gate in ("approved", "review"):
        store.create_version("soc", f"{made.artifact_uri}/model", made.id, {"flint_ml.gate": gate}, "")
    return tmp_path


def test_promote_refuse_override_and_roll_back(registry: Path) -> None:
    code, record = run(registry, version="1")
    assert (code, record["headline"]) == (0, "soc version 1 is in Production")
    code, record = run(registry, version="2")
    assert (code, record["status"]) == (1, "failed")
    assert record["findings"][0]["code"] == "gate-refused"
    code, record = run(registry, version="2", reason="checked by hand")
    assert (code, record["headline"]) == (0, "soc version 2 is in Production (before: version 1)")
    assert record["tables"][0]["rows"][0][1:] == ["Production", 1, "ana", "checked by hand"]
    code, record = run(registry, rollback=True)
    assert (code, record["details"]["version"]) == (0, 1)
    code, record = run(registry, version="1")
    assert record["headline"] == "soc version 1 was in Production already"


def test_a_dry_run_moves_nothing(registry: Path) -> None:
    code, record = run(registry, version="2", dry_run=True)
    assert (code, record["findings"][0]["code"]) == (1, "gate-refused")
    code, record = run(registry, version="1", dry_run=True)
    assert (code, record["headline"]) == (0, "soc version 1 may go to Production")
    store = connect(resolve("", {}, registry), {})
    assert (store.alias("soc", "production"), store.versions("soc", ("stage", "Production"))) == (None, [])


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"version": "7"}, "no-version"),
        ({}, "no-version"),
        ({"version": "1", "rollback": True}, "invalid-input"),
        ({"tracking_uri": "sqlite:///other.db"}, "no-registry"),
    ],
)
def test_bad_input(registry: Path, given: dict[str, Any], code: str) -> None:
    exit_code, record = run(registry, **given)
    assert exit_code == 2
    assert record["findings"][0]["code"] == code
    assert not (registry / "other.db").exists()
