"""deploy-model end to end: a real registry in a sqlite file, a real Git server over HTTP on loopback."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flint_ml.actions.deploy_model import ACTION
from flint_ml.registry.address import resolve
from flint_ml.registry.connect import connect
from flint_ml.runner.commands import Commands
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from gitops.gitserver import READER, TOKEN, Server, bare, change, commits, content, git, serve

pytest_plugins = ("mlflowserver",)

DEPLOYMENT = b"""\
# staging\r
apiVersion: apps/v1\r
kind: Deployment\r
metadata: {name: soc-api}\r
spec:\r
    selector: {matchLabels: {app: soc}}\r
    template:\r
        metadata: {labels: {app: soc}}\r
        spec:\r
            containers:\r
            - name: api            # the model server\r
              image: 'registry.example.org/soc-api:1'\r
              env: [{name: MODEL_VERSION, value: "1"}, {name: LOG, value: info}]\r
"""
PATH = "spec.template.spec.containers[name=api].env[name=MODEL_VERSION].value"
FILES = {
    "staging/deployment.yaml": DEPLOYMENT,
    "helm/values.yaml": b"model:\n  version: 1  # set by deploy-model\n  name: latest\nlist:\n- a\n",
    "many.yaml": b'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  v: "1"\n---\n'
    b'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\ndata:\n  v: "1"\n',
    "anchors.yaml": b"x: &v 1\ny: *v\nz:\n  <<: {k: 1}\n",
    "template.yaml": b"a: {{ .Values.x }}\nb: }\n",
    "misspelt.yaml": DEPLOYMENT.replace(b"selector", b"replicsa: 2\r\n    selector"),
    "number.yaml": DEPLOYMENT.replace(b'"1"', b"1"),
    "rollout.yaml": b"apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r}\nspec: {v: '1'}\n",
    "latin.yaml": "a: é\n".encode("latin-1"),
    "lfs.yaml": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
}


@pytest.fixture(scope="module")
def filled(registry_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with three versions; `staging` is the third."""
    folder = tmp_path_factory.mktemp("registry")
    shutil.copy(registry_file, folder / "mlflow.db")
    store = connect(resolve("", {}, folder), {})
    store.ensure_model("soc")
    made = store.create_run(store.experiment("soc"), "soc", {})
    tags = {
        "flint_ml.commit": "c0ffee", "flint_ml.repository": "https://github.com/o/r", "flint_ml.pull_request": "12",
        "flint_ml.run": "https://github.com/o/r/actions/runs/5",
    }  # fmt: skip
    for _ in range(3):
        store.create_version("soc", f"{made.artifact_uri}/model", made.id, tags, "")
    store.set_alias("soc", "staging", 3)
    return folder / "mlflow.db"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifests, to be copied."""
    folder = tmp_path_factory.mktemp("manifests")
    bare(folder / "srv", FILES)
    return folder / "srv"


@pytest.fixture
def server(tmp_path: Path, template: Path) -> Iterator[Server]:
    shutil.copytree(template, tmp_path / "srv")
    with serve(tmp_path / "srv") as state:
        yield state


@pytest.fixture
def use(tmp_path: Path, filled: Path, server: Server) -> Use:
    shutil.copy(filled, tmp_path / "mlflow.db")
    return Use(tmp_path, server)


class Use:
    """Runs the action as on a runner, against the server."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.text = ""

    def values(self, **given: Any) -> dict[str, Any]:
        plain = {
            "manifests": self.server.manifests, "token": TOKEN, "model-name": "soc",
            "file": "staging/deployment.yaml", "path": PATH, "timeout": "60",
        }  # fmt: skip
        plain |= {key.replace("_", "-"): value for key, value in given.items()}
        return {key: value for key, value in plain.items() if value != ""}

    def __call__(self, results: str = "flint-ml-results", **given: Any) -> tuple[int, dict[str, Any]]:
        out = io.StringIO()
        outputs = self.folder / "outputs"
        outputs.touch()
        env = {"GITHUB_OUTPUT": str(outputs)}
        context = Context(
            on_github=True, workspace=self.folder, head_sha="c0ffee", repository="o/r", run_id="77",
            server_url=self.server.url, api_url=f"{self.server.url}/api/v3",
        )  # fmt: skip
        commands = Commands(on_github=True, stdout=out, stderr=out, env=env)
        values = {**self.values(**given), "results-dir": results}
        code = run_action(ACTION, values, env=env, context=context, commands=commands)
        self.text = out.getvalue()
        return code, json.loads((self.folder / results / "deploy-model.json").read_text())


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


def test_a_disturbance_is_tried_again(use: Use) -> None:
    use.server.fail = [503, 502]
    code, record = use()
    assert code == 0, record
    assert content(use.server.repository, "staging/deployment.yaml").count(b'"3"') == 1


def test_a_lost_answer_is_no_second_commit(use: Use) -> None:
    use.server.lose_push_answers = 1
    code, record = use()
    assert (code, record["details"]["result"]) == (0, "changed")
    assert commits(use.server.repository) == 2


def test_other_lines_changed_meanwhile(use: Use) -> None:
    other = DEPLOYMENT.replace(b"LOG, value: info", b"LOG, value: debug")
    use.server.before_push = [lambda: change(use.server.repository, "staging/deployment.yaml", other)]
    code, record = use()
    assert (code, record["details"]["tries"]) == (0, 2)
    assert content(use.server.repository, "staging/deployment.yaml") == other.replace(b'value: "1"', b'value: "3"')


def test_the_same_line_changed_meanwhile_and_the_registry_too(use: Use) -> None:
    registry = connect(resolve("", {}, use.folder), {})

    def elsewhere() -> None:
        change(use.server.repository, "staging/deployment.yaml", DEPLOYMENT.replace(b'"1"', b'"2"'))
        registry.set_alias("soc", "staging", 2)

    use.server.before_push = [elsewhere]
    code, record = use()
    assert (code, record["details"]["result"], record["details"]["version"]) == (0, "same", 2)
    assert commits(use.server.repository) == 2


def test_never_back_unless_asked(use: Use) -> None:
    use()
    code, record = use(version="2")
    assert (code, record["status"], record["findings"][0]["code"]) == (0, "warned", "newer-deployed")
    assert commits(use.server.repository) == 2
    code, record = use(version="2", rollback="true")
    assert (code, record["details"]["result"]) == (0, "changed")
    assert b'"2"' in content(use.server.repository, "staging/deployment.yaml")


def test_a_rollback_does_not_undo_what_came_meanwhile(use: Use) -> None:
    change(use.server.repository, "staging/deployment.yaml", DEPLOYMENT.replace(b'"1"', b'"2"'))
    newer = DEPLOYMENT.replace(b'"1"', b'"3"')
    use.server.before_push = [lambda: change(use.server.repository, "staging/deployment.yaml", newer)]
    code, record = use(version="1", rollback="true")
    assert (code, record["details"]["result"]) == (0, "newer")
    assert content(use.server.repository, "staging/deployment.yaml") == newer


def test_two_jobs_at_once(use: Use) -> None:
    """Both have fetched before either pushes; then version 2 and 3 race, and 3 is what stays."""
    barrier = threading.Barrier(2, timeout=60)
    use.server.before_push = [barrier.wait, barrier.wait]
    results: dict[str, tuple[int, dict[str, Any]]] = {}

    def job(version: str) -> None:
        results[version] = Use(use.folder, use.server)(results=f"results-{version}", version=version)

    threads = [threading.Thread(target=job, args=(version,)) for version in ("2", "3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {code for code, _ in results.values()} == {0}
    assert content(use.server.repository, "staging/deployment.yaml") == DEPLOYMENT.replace(b'"1"', b'"3"')
    assert results["3"][1]["details"]["result"] == "changed"
    assert commits(use.server.repository) in {2, 3}
    git("fsck", "--strict", folder=use.server.repository)


def test_pull_request(use: Use) -> None:
    server = use.server
    code, record = use(mode="pull-request", version="2")
    assert code == 0, record
    assert commits(server.repository) == 1
    head = server.pulls[0]["head"]
    assert content(server.repository, "staging/deployment.yaml", head).count(b'value: "2"') == 1
    assert "Model-Version: models:/soc/2" in server.pulls[0]["body"]
    assert record["details"]["url"] == f"{server.url}/o/manifests/pull/1"
    tip = git("rev-parse", head, folder=server.repository)

    code, record = use(mode="pull-request", version="2")
    assert (code, record["details"]["result"]) == (0, "same")
    assert git("rev-parse", head, folder=server.repository) == tip

    code, record = use(mode="pull-request")
    assert (code, record["details"]["result"]) == (0, "changed")
    assert [pull["title"] for pull in server.pulls] == ["Deploy soc version 3"]
    assert content(server.repository, "staging/deployment.yaml", head).count(b'value: "3"') == 1

    code, record = use(mode="pull-request", version="2")
    assert (code, record["details"]["result"]) == (0, "newer")

    git("update-ref", "refs/heads/main", head, folder=server.repository)
    code, record = use(mode="pull-request")
    assert (code, record["details"]["result"], len(server.pulls)) == (0, "same", 1)


def test_a_pull_request_that_may_not_be_opened_is_opened_by_the_next_run(use: Use) -> None:
    use.server.forbid_pulls = True
    code, record = use(mode="pull-request")
    assert (code, record["findings"][0]["code"]) == (2, "forbidden")
    assert "not permitted to create" in record["findings"][0]["message"]
    use.server.forbid_pulls = False
    code, record = use(mode="pull-request")
    assert (code, len(use.server.pulls)) == (0, 1)


def test_a_folder_with_its_branch_checked_out(use: Use, tmp_path: Path) -> None:
    code, record = use(manifests="srv/work", token="")
    assert (code, record["findings"][0]["code"]) == (2, "checked-out-branch")
    code, record = use(manifests="srv/o/manifests.git", token="")
    assert record["details"]["manifests"] == "srv/o/manifests.git"
    assert (code, record["details"]["result"], record["details"]["url"]) == (0, "changed", None)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_around_the_push(use: Use, moment: str) -> None:
    """kill -9 when the push arrives, before or after the server has taken it: the next run makes it right."""
    arrived, go_on = threading.Event(), threading.Event()

    def stop() -> None:
        arrived.set()
        go_on.wait(60)

    use.server.before_push = [stop]
    command = [sys.executable, "-m", "flint_ml", "deploy-model"]
    for name, value in use.values(token="").items():
        command += [f"--{name}", str(value)]
    env = {**os.environ, "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(use.folder), "INPUT_TOKEN": TOKEN}
    process = subprocess.Popen(
        command, cwd=use.folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        assert arrived.wait(120)
        # What runs now: no process has the token among its arguments.
        lists = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)]
        assert not any(TOKEN.encode() in arguments for arguments in lists)
        if moment == "after":
            go_on.set()
            end = time.monotonic() + 60
            while commits(use.server.repository) == 1 and time.monotonic() < end:
                time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
        go_on.set()
    code, record = use()
    assert code == 0, record
    assert content(use.server.repository, "staging/deployment.yaml") == DEPLOYMENT.replace(b'value: "1"', b'value: "3"')
    assert commits(use.server.repository) == 2
    git("fsck", "--strict", folder=use.server.repository)


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True
