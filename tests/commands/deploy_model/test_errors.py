"""Faults of deploy-model: each has a message of its own, which docs/deployment.md tells, and loses nothing."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from flint_ml.registry.address import resolve
from flint_ml.registry.store import connect
from helpers.deployment import DEPLOYMENT, PATH, Use
from helpers.documented_errors import PAGE, documented
from helpers.git_server import READER, change, git, serve

pytest_plugins = ("helpers.mlflow_server", "helpers.deployment")
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"


@dataclass(frozen=True)
class Fault:
    """What is given, what must be said, and what is done before."""

    given: dict[str, Any]
    code: str
    words: str
    exit_code: int = 2
    before: Callable[[Use], Any] = field(default=lambda _use: None)


def deny(said: str) -> Callable[[Use], None]:
    """A server that refuses each push with these words."""

    def put(use: Use) -> None:
        hook = use.server.repository / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
        hook.chmod(0o755)

    return put


def busy(use: Use) -> None:
    """Somebody is always first."""
    lines = [DEPLOYMENT.replace(b"LOG, value: info", f"LOG, value: n{n}".encode()) for n in range(60)]
    use.server.before_push = [
        lambda line=line: change(use.server.repository, "staging/deployment.yaml", line) for line in lines
    ]


def forbid_pulls(use: Use) -> None:
    use.server.github.forbid_pulls = True


def unapproved(use: Use) -> None:
    """Version 4 was registered without the gate."""
    store = connect(resolve("", {}, use.folder), {})
    third = store.version("soc", 3)
    assert third is not None
    store.create_version("soc", third.source, third.run_id or "", {"flint_ml.gate": "review"}, "")


def registry_gone(use: Use) -> None:
    (use.folder / "mlflow.db").unlink()


FAULTS = {
    "no token": Fault({"token": ""}, "no-token", "give the input `token`"),
    "a token that is wrong or has expired": Fault({"token": "ghs_wrong"}, "wrong-token", "401"),
    "a token that may only read": Fault({"token": READER}, "forbidden", "contents: write"),
    "a token with a line break in it": Fault({"token": "ghs_a b"}, "wrong-token", "only the token"),
    "no such repository": Fault({"manifests": "o/other"}, "repository-not-found", "no such repository"),
    "no such branch": Fault({"branch": "mian"}, "no-branch", "did you mean `main`?"),
    "no name of a branch": Fault({"branch": "a..b"}, "invalid-input", "no name of a branch"),
    "no such file": Fault({"file": "staging/deploymnt.yaml"}, "no-manifest", "did you mean `staging/deployment.yaml`?"),
    "a folder": Fault({"file": "staging"}, "no-manifest", "is a folder"),
    "a path out of the repository": Fault({"file": "../x.yaml"}, "invalid-input", "not a path inside"),
    "a path that leads nowhere": Fault({"path": PATH.replace("MODEL_", "MODL_")}, "unknown-path", f"mean `{PATH}`?"),
    "a path to something else": Fault(
        {"path": PATH.replace("MODEL_VERSION", "LOG")}, "foreign-value", f"would fit at `{PATH}`"
    ),
    "a number of Kubernetes": Fault({"file": "replicas.yaml", "path": "spec.replicas"}, "foreign-value", "a setting"),
    "a version that the gate did not approve": Fault(
        {"version": "4"}, "not-approved", "which stands in the commit", before=unapproved
    ),
    "a path to more than a value": Fault({"path": "spec.template"}, "not-a-value", "is a mapping"),
    "no path at all": Fault({"path": "spec["}, "invalid-path", "is not a path"),
    "several documents": Fault({"file": "many.yaml", "path": "data.v"}, "ambiguous-path", "[kind=ConfigMap]"),
    "a key that stands there twice": Fault({"file": "odd.yaml", "path": "twice"}, "ambiguous-path", "2 times"),
    "an anchor": Fault({"file": "anchors.yaml", "path": "x"}, "yaml-anchor", "anchor `&v`"),
    "an alias": Fault({"file": "anchors.yaml", "path": "y"}, "yaml-anchor", "every other place"),
    "a merged key": Fault({"file": "anchors.yaml", "path": "z.k"}, "yaml-anchor", "through `<<`"),
    "an empty value": Fault({"file": "odd.yaml", "path": "empty"}, "not-a-value", "is empty"),
    "a block of text": Fault({"file": "odd.yaml", "path": "block"}, "not-a-value", "a block of text"),
    "a tagged value": Fault({"file": "odd.yaml", "path": "tagged"}, "not-a-value", "given a tag"),
    "a tab": Fault({"file": "tab.yaml", "path": "a.b"}, "invalid-yaml", "is not valid YAML"),
    "a Helm template": Fault({"file": "template.yaml", "path": "a"}, "invalid-yaml", "values.yaml"),
    "not UTF-8": Fault({"file": "latin.yaml", "path": "a"}, "invalid-yaml", "not UTF-8"),
    "a pointer of Git LFS": Fault({"file": "lfs.yaml", "path": "version"}, "lfs-pointer", "Git LFS"),
    "a misspelt key": Fault({"file": "misspelt.yaml"}, "invalid-manifest", "replicsa"),
    "a number where text belongs": Fault({"file": "number.yaml"}, "invalid-manifest", "put the value in quotes"),
    "a Kubernetes that is not known": Fault({"kubernetes_version": "1.99"}, "invalid-input", "Kubernetes 1.99"),
    "a version that was deleted": Fault({"version": "9"}, "no-version", "no version 9"),
    "an alias that was never set": Fault({"version": "prod"}, "no-version", "alias `prod`"),
    "no such model": Fault({"model_name": "other"}, "no-version", "`other`"),
    "no registry": Fault({}, "no-registry", "no registry file", before=registry_gone),
    "a value without a number": Fault({"value": "v3"}, "invalid-input", "{version}"),
    "a password in the address": Fault(
        {"manifests": "https://u:hunter2@example.org/o/r"}, "manifests-address", "as the input `token`"
    ),
    "a command as the address": Fault({"manifests": "ext::sh -c true"}, "manifests-address", "not an address"),
    "a token over plain http": Fault({"manifests": "http://git.example.org/o/r"}, "insecure-address", "plain http"),
    "a public key": Fault(
        {"manifests": "git@example.org:o/r", "ssh_key": "ssh-ed25519 AAAA"}, "wrong-ssh-key", "public key"
    ),
    "a deploy key for https": Fault({"token": "", "ssh_key": KEY}, "manifests-address", "needs an SSH"),
    "a pull request without a token": Fault({"mode": "pull-request", "token": ""}, "no-token", "mode: push"),
    "the Git server is down": Fault(
        {"manifests": "http://127.0.0.1:9/o/r"}, "server-unavailable", "does not answer", 3
    ),
    "a protected branch": Fault(
        {}, "protected-branch", "mode: pull-request", before=deny("error: GH006: Protected branch update failed.")
    ),
    "a ruleset": Fault(
        {}, "protected-branch", "mode: pull-request", before=deny("error: GH013: Repository rule violations found.")
    ),
    "a deploy key that may only read": Fault(
        {},
        "forbidden",
        "Allow write access",
        before=deny("ERROR: The key you are authenticating with has been marked as read only."),
    ),
    "an archived repository": Fault(
        {}, "archived", "unarchive", before=deny("This repository was archived so it is read-only.")
    ),
    "a rule of the server": Fault({}, "push-refused", "a ticket", before=deny("commit messages need a ticket")),
    "a full server": Fault({}, "server-full", "full", 3, before=deny("fatal: write error: No space left on device")),
    "a branch that never rests": Fault({"timeout": "6"}, "busy-branch", "longer `timeout`", 3, before=busy),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(use: Use, name: str) -> None:
    fault = FAULTS[name]
    fault.before(use)
    before = git("for-each-ref", folder=use.server.repository)
    got, record = use(**fault.given)
    finding = record["findings"][0]
    assert (got, finding["code"]) == (fault.exit_code, fault.code), finding
    assert fault.words in f"{finding['message']} {finding['hint']}"
    assert record["status"] == "error"
    assert use.text.count("::error") == 1
    assert "hunter2" not in use.text
    if fault.before is not busy:
        assert git("for-each-ref", folder=use.server.repository) == before
    git("fsck", "--strict", folder=use.server.repository)
    documented(name, finding)


@contextmanager
def refusing(status: int, body: bytes) -> Iterator[str]:
    """A server that answers every request alike; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("name", "status", "body", "code"),
    [
        ("a registry that wants credentials", 401, b"", "registry-unauthorized"),
        ("a registry that does not allow it", 403, b"Permission denied", "registry-forbidden"),
        ("a registry that answers to other names", 403, b"Invalid Host header", "registry-host"),
        ("what is no registry", 404, b"<html>", "no-mlflow"),
    ],
)
def test_a_registry_that_refuses(use: Use, name: str, status: int, body: bytes, code: str) -> None:
    before = git("for-each-ref", folder=use.server.repository)
    with refusing(status, body) as address:
        got, record = use(tracking_uri=address)
    finding = record["findings"][0]
    assert (got, finding["code"]) == (3, code), finding
    assert git("for-each-ref", folder=use.server.repository) == before
    documented(name, finding)


def test_a_registry_that_is_down(use: Use, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flint_ml.registry.store.PROBE_SECONDS", 1.0)
    got, record = use(tracking_uri=f"http://127.0.0.1:{closed_port}")
    assert (got, record["findings"][0]["code"]) == (3, "registry-unreachable")
    documented("a registry that is down", record["findings"][0])


def test_a_server_that_hangs(use: Use) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/o/r"
        code, record = use(manifests=address, timeout="1")
    assert (code, record["findings"][0]["code"]) == (3, "timeout")
    documented("a Git server that hangs", record["findings"][0])


def test_a_moved_repository_does_not_get_the_token(use: Use, tmp_path: Path) -> None:
    with serve(tmp_path / "elsewhere") as other:
        use.server.location = other.url
        code, record = use()
        assert (code, record["findings"][0]["code"]) == (2, "moved")
        assert not other.requests
    documented("a repository that has moved", record["findings"][0])


def test_a_pull_request_that_may_not_be_opened(use: Use) -> None:
    forbid_pulls(use)
    code, record = use(mode="pull-request")
    assert (code, record["findings"][0]["code"]) == (2, "forbidden")
    documented("pull requests that a workflow may not open", record["findings"][0])


def test_the_page_counts_them() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text.partition("| fault |")[2].partition("\n\n")[0].splitlines()[2:]
    names = [line.split(" | ")[0].removeprefix("| ") for line in table]
    assert set(FAULTS) <= set(names)
    assert len(names) == len(set(names))
    assert re.search(rf"\b{len(names)} faults\b", text)
