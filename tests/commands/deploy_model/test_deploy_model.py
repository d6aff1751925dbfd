"""deploy-model end to end: a real registry in a sqlite file, a real Git server over HTTP on loopback."""

from __future__ import annotations

import json

import pytest

from flint_ml.registry.address import resolve
from flint_ml.registry.store import connect
from helpers.deployment import DEPLOYMENT, FILES, Use
from helpers.git_server import TOKEN, commits, content, git
from helpers.git_server import change as git_change

pytest_plugins = ("helpers.mlflow_server", "helpers.deployment")


def test_push_changes_that_value_only(use: Use) -> None:
    code, record = use()
    assert code == 0, record
    repository = use.server.repository
    after = content(repository, "staging/deployment.yaml")
    assert after == DEPLOYMENT.replace(b'value: "1"', b'value: "3"')
    assert git("diff", "--name-only", "main~1", "main", folder=repository) == "staging/deployment.yaml"
    message = git("log", "-1", "--format=%B", "main", folder=repository)
    assert message.startswith("Deploy soc version 3\n")
    for link in (
        "Model-Version: models:/soc/3",
        "Model-Pull-Request: https://github.com/o/r/pull/12",
        "Model-Run: https://github.com/o/r/actions/runs/5",
        f"Deploy-Run: {use.server.url}/o/r/actions/runs/77",
        "Model-Gate: approved",
        "Deployed-By: ana",
    ):
        assert link in message
    tip = git("rev-parse", "main", folder=repository)
    assert record["details"]["commit"] == tip
    assert record["details"]["url"] == f"{use.server.url}/o/manifests/commit/{tip}"
    assert record["headline"] == "soc version 3 is in staging/deployment.yaml on main (before: 1)"
    git("fsck", "--strict", folder=repository)


def test_nothing_to_change_makes_no_commit(use: Use) -> None:
    use()
    code, record = use()
    assert (code, record["status"], record["details"]["result"]) == (0, "passed", "same")
    assert commits(use.server.repository) == 2
    written = (use.folder / "outputs").read_text()
    assert "changed<<" in written or "changed=false" in written
    assert record["headline"] == "soc version 3 is in staging/deployment.yaml on main already"


def test_the_token_is_nowhere_to_be_seen(use: Use) -> None:
    code, record = use()
    assert code == 0
    shown = use.text.replace(f"::add-mask::{TOKEN}", "")
    lines = [line for line in shown.splitlines() if not line.startswith("::add-mask::")]
    assert TOKEN not in "\n".join(lines)
    assert TOKEN not in json.dumps(record)
    assert not any(TOKEN in request for request in use.server.requests)


@pytest.mark.parametrize(
    ("given", "file", "old", "new"),
    [
        ({"file": "helm/values.yaml", "path": "model.version"}, "helm/values.yaml", b"version: 1 ", b"version: 3 "),
        (
            {"file": "helm/values.yaml", "path": "model.name", "version": "2"},
            "helm/values.yaml",
            b"name: latest",
            b'name: "2"',
        ),
        (
            {"path": "spec.template.spec.containers[0].image", "value": "registry.example.org/soc-api:{version}"},
            "staging/deployment.yaml",
            b"soc-api:1'",
            b"soc-api:3'",
        ),
        (
            {"file": "many.yaml", "path": "[metadata.name=b].data.v"},
            "many.yaml",
            b'name: b\ndata:\n  v: "1"',
            b'name: b\ndata:\n  v: "3"',
        ),
        ({"file": "rollout.yaml", "path": "spec.v"}, "rollout.yaml", b"'1'", b"'3'"),
    ],
)
def test_places(use: Use, given: dict[str, str], file: str, old: bytes, new: bytes) -> None:
    code, record = use(**given)
    assert code == 0, record
    assert content(use.server.repository, file) == FILES[file].replace(old, new)
    unknown = [finding["code"] for finding in record["findings"]]
    expected = {"rollout.yaml": ["unknown-kind"], "staging/deployment.yaml": ["bare-index"]}
    assert unknown == expected.get(file, [])


def test_a_reason_stands_in_commit_and_record(use: Use) -> None:
    store = connect(resolve("", {}, use.folder), {})
    third = store.version("soc", 3)
    assert third is not None
    store.create_version("soc", third.source, third.run_id or "", {"flint_ml.gate": "review"}, "")
    code, record = use(version="4", reason="the storm model is wanted\ntoday")
    assert code == 0, record
    message = git("log", "-1", "--format=%B", "main", folder=use.server.repository)
    assert "Deploy-Reason: the storm model is wanted today" in message
    assert "Model-Gate: review" in message
    assert (record["details"]["reason"], record["details"]["by"]) == ("the storm model is wanted today", "ana")
    assert ["by", "ana"] in record["tables"][0]["rows"]


def test_a_comment_of_ours_names_the_value(use: Use) -> None:
    git_change(use.server.repository, "helm/values.yaml", b"a: 1\nmodel:\n  pinned: v7-old  # flint-ml: soc\n")
    code, record = use(file="helm/values.yaml", path="")
    assert code == 0, record
    after = content(use.server.repository, "helm/values.yaml")
    assert after == b'a: 1\nmodel:\n  pinned: "3"  # flint-ml: soc\n'
    assert "helm/values.yaml: model.pinned: v7-old -> 3" in git(
        "log", "-1", "--format=%B", folder=use.server.repository
    )
