"""deploy-model in its container, against a real ``mlflow server``: manifests over HTTP and over SSH.

As in the workflow deploy-staging there is no checkout: all that the step has is its inputs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.harness import IMAGE, run_action
from flint_ml.registry.address import resolve
from flint_ml.registry.store import connect
from helpers.git_server import TOKEN, bare, commits, content, git, serve
from helpers.ssh_server import Server

pytest_plugins = ("helpers.mlflow_server",)
NAME = "container"
MANIFESTS = Path(__file__).resolve().parents[2] / "examples" / "manifests"
FILE = "staging/kustomization.yaml"


@pytest.fixture(scope="module")
def registry(mlflow_server: str) -> str:
    """The server with a model of two versions, of which the second is in Staging."""
    store = connect(resolve(mlflow_server, {}, Path()), {})
    store.ensure_model(NAME)
    made = store.create_run(store.experiment(NAME), NAME, {})
    for _ in range(2):
        store.create_version(NAME, f"{made.artifact_uri}/model", made.id, {"flint_ml.commit": "c0ffee"}, "")
    store.set_alias(NAME, "staging", 2)
    return mlflow_server


@contextmanager
def over_http(root: Path) -> Iterator[dict[str, str]]:
    with serve(root) as server:
        yield {"manifests": server.manifests, "token": TOKEN}


@contextmanager
def over_ssh(root: Path) -> Iterator[dict[str, str]]:
    server = Server(root)
    try:
        yield {
            "manifests": server.url,
            "ssh-key": server.key.export_private_key().decode(),
            "known-hosts": server.known,
        }
    finally:
        server.stop()


@pytest.mark.parametrize("way", [over_http, over_ssh])
def test_a_version_goes_into_the_manifests(way: object, registry: str, tmp_path: Path) -> None:
    assert callable(way)
    repository = bare(tmp_path / "srv", {FILE: (MANIFESTS / FILE).read_bytes()})
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    inputs = {
        "model-name": NAME,
        "tracking-uri": registry,
        "file": FILE,
        "value": "MODEL_VERSION={version}",
        "path": "configMapGenerator[name=soc-model].literals[MODEL_VERSION]",
        "reason": "a test without a gate",
    }
    with way(tmp_path / "srv") as access:
        started = time.monotonic()
        result = run_action(IMAGE, "deploy-model", {**inputs, **access}, workspace)
        print(f"\n{way.__name__}: {time.monotonic() - started:.1f} s")
        assert result.exit_code == 0, result.log
        assert (result.outputs["changed"], result.outputs["version"]) == ("true", "2")
        again = run_action(IMAGE, "deploy-model", {**inputs, **access}, workspace)
        assert (again.exit_code, again.outputs["changed"]) == (0, "false"), again.log
    assert b"- MODEL_VERSION=2 # deploy-model sets this number" in content(repository, FILE)
    assert commits(repository) == 2
    git("fsck", "--strict", folder=repository)
    assert not result.left_by_root
    assert not result.problems
    for secret in ("token", "ssh-key"):
        assert access.get(secret, "nothing") not in result.log + result.summary
