"""deploy-model end to end: a real registry in a sqlite file, a real Git server over HTTP on loopback."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from gitops.deployuse import DEPLOYMENT, FILES, PATH, Use
from gitops.gitserver import READER, TOKEN, commits, content, git, serve

pytest_plugins = ("mlflowserver", "gitops.deployuse")


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
        "Model-Version: models:/soc/3", "Model-Pull-Request: https://github.com/o/r/pull/12",
        "Model-Run: https://github.com/o/r/actions/runs/5", f"Deploy-Run: {use.server.url}/o/r/actions/runs/77",
    ):  # fmt: skip
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
            "helm/values.yaml", b"name: latest", b'name: "2"',
        ),
        (
            {"path": "spec.template.spec.containers[0].image", "value": "registry.example.org/soc-api:{version}"},
            "staging/deployment.yaml", b"soc-api:1'", b"soc-api:3'",
        ),
        (
            {"file": "many.yaml", "path": "[metadata.name=b].data.v"},
            "many.yaml", b'name: b\ndata:\n  v: "1"', b'name: b\ndata:\n  v: "3"',
        ),
        ({"file": "rollout.yaml", "path": "spec.v"}, "rollout.yaml", b"'1'", b"'3'"),
    ],
)  # fmt: skip
def test_places(use: Use, given: dict[str, str], file: str, old: bytes, new: bytes) -> None:
    code, record = use(**given)
    assert code == 0, record
    assert content(use.server.repository, file) == FILES[file].replace(old, new)
    unknown = [finding["code"] for finding in record["findings"]]
    assert unknown == (["unknown-kind"] if file == "rollout.yaml" else [])


def _registry_gone(use: Use) -> None:
    (use.folder / "mlflow.db").unlink()


def _deny(use: Use, said: str) -> None:
    hook = use.server.repository / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    hook.chmod(0o755)


FAULTS: dict[str, tuple[dict[str, Any], str, int, str]] = {
    "no token": ({"token": ""}, "no-token", 2, "give the input `token`"),
    "wrong token": ({"token": "ghs_wrong"}, "wrong-token", 2, "401"),
    "reading token": ({"token": READER}, "forbidden", 2, "contents: write"),
    "no repository": ({"manifests": "o/other"}, "repository-not-found", 2, "no such repository"),
    "no branch": ({"branch": "mian"}, "no-branch", 2, "did you mean `main`?"),
    "bad branch": ({"branch": "a..b"}, "invalid-input", 2, "no name of a branch"),
    "no file": ({"file": "staging/deploymnt.yaml"}, "no-manifest", 2, "did you mean `staging/deployment.yaml`?"),
    "folder": ({"file": "staging"}, "no-manifest", 2, "is a folder"),
    "outside": ({"file": "../x.yaml"}, "invalid-input", 2, "no path inside"),
    "no path": ({"path": PATH.replace("MODEL_", "MODL_")}, "unknown-path", 2, f"did you mean `{PATH}`?"),
    "mapping": ({"path": "spec.template"}, "not-a-value", 2, "is a mapping"),
    "syntax": ({"path": "spec["}, "invalid-path", 2, "is no path"),
    "two documents": ({"file": "many.yaml", "path": "data.v"}, "ambiguous-path", 2, "[kind=ConfigMap]"),
    "anchor": ({"file": "anchors.yaml", "path": "x"}, "yaml-anchor", 2, "anchor `&v`"),
    "alias": ({"file": "anchors.yaml", "path": "y"}, "yaml-anchor", 2, "every other place"),
    "merge": ({"file": "anchors.yaml", "path": "z.k"}, "yaml-anchor", 2, "through `<<`"),
    "template": ({"file": "template.yaml", "path": "a"}, "invalid-yaml", 2, "template"),
    "not UTF-8": ({"file": "latin.yaml", "path": "a"}, "invalid-yaml", 2, "not UTF-8"),
    "LFS": ({"file": "lfs.yaml", "path": "version"}, "lfs-pointer", 2, "Git LFS"),
    "misspelt": ({"file": "misspelt.yaml", "path": "metadata.name"}, "invalid-manifest", 2, "replicsa"),
    "number": ({"file": "number.yaml"}, "invalid-manifest", 2, "put the value in quotes"),
    "no version": ({"version": "9"}, "no-version", 2, "no version 9"),
    "no alias": ({"version": "prod"}, "no-version", 2, "alias `prod`"),
    "no model": ({"model_name": "other"}, "no-version", 2, "`other`"),
    "value": ({"value": "v3"}, "invalid-input", 2, "{version}"),
    "Kubernetes": ({"kubernetes_version": "1.99"}, "invalid-input", 2, "no schemas of Kubernetes 1.99"),
    "password": ({"manifests": "https://u:hunter2@example.org/o/r"}, "manifests-address", 2, "as the input `token`"),
    "command": ({"manifests": "ext::sh -c true"}, "manifests-address", 2, "not an address"),
    "clear": ({"manifests": "http://git.example.org/o/r"}, "insecure-address", 2, "plain http"),
    "public key": (
        {"manifests": "git@example.org:o/r", "ssh_key": "ssh-ed25519 AAAA"}, "wrong-ssh-key", 2, "public key",
    ),
    "key for https": (
        {"token": "", "ssh_key": "-----BEGIN OPENSSH PRIVATE KEY-----"}, "manifests-address", 2, "needs an SSH",
    ),
    "pull request without token": ({"mode": "pull-request", "token": ""}, "no-token", 2, "mode: push"),
    "server down": ({"manifests": "http://127.0.0.1:9/o/r"}, "server-unavailable", 3, "does not answer"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_fault(use: Use, name: str) -> None:
    given, code, exit_code, words = FAULTS[name]
    before = git("for-each-ref", folder=use.server.repository)
    got, record = use(**given)
    finding = record["findings"][0]
    assert (got, finding["code"]) == (exit_code, code), finding
    assert words in f"{finding['message']} {finding['hint']}"
    assert record["status"] == "error"
    assert use.text.count("::error") == 1
    assert "hunter2" not in use.text
    assert git("for-each-ref", folder=use.server.repository) == before


def test_no_registry(use: Use) -> None:
    _registry_gone(use)
    code, record = use()
    assert (code, record["findings"][0]["code"]) == (2, "no-registry")


@pytest.mark.parametrize(
    ("said", "code", "exit_code"),
    [
        ("error: GH006: Protected branch update failed for refs/heads/main.", "protected-branch", 2),
        ("error: GH013: Repository rule violations found for refs/heads/main.", "protected-branch", 2),
        ("ERROR: The key you are authenticating with has been marked as read only.", "forbidden", 2),
        ("This repository was archived so it is read-only.", "archived", 2),
        ("commit messages need a ticket", "push-refused", 2),
        ("fatal: write error: No space left on device", "server-full", 3),
    ],
)
def test_a_refused_push(use: Use, said: str, code: str, exit_code: int) -> None:
    _deny(use, said)
    got, record = use()
    assert (got, record["findings"][0]["code"]) == (exit_code, code)
    assert said in record["findings"][0]["message"]
    assert commits(use.server.repository) == 1


def test_a_server_that_hangs(use: Use) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/o/r"
        code, record = use(manifests=address, timeout="1")
    assert (code, record["findings"][0]["code"]) == (3, "timeout")


def test_a_moved_repository_does_not_get_the_token(use: Use, tmp_path: Path) -> None:
    with serve(tmp_path / "elsewhere") as other:
        use.server.location = other.url
        code, record = use()
        assert (code, record["findings"][0]["code"]) == (2, "moved")
        assert not other.requests
