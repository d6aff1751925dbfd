"""What the tests of deploy-model share: manifests, a registry, a Git server, and the action run as on a runner.

Use it with ``pytest_plugins = ("helpers.mlflow_server", "helpers.deployment")``.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flint_ml.commands.deploy_model import ACTION
from flint_ml.registry.address import resolve
from flint_ml.registry.store import connect
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands
from helpers.git_server import TOKEN, Server, bare, serve

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
    "replicas.yaml": b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: r}\nspec:\n  replicas: 2\n"
    b"  selector: {matchLabels: {app: r}}\n  template:\n    metadata: {labels: {app: r}}\n"
    b"    spec: {containers: [{name: r, image: r}]}\n",
    "latin.yaml": "a: é\n".encode("latin-1"),
    "odd.yaml": b"empty:\nblock: |\n  1\ntagged: !int 1\ntwice: 1\ntwice: 2\n",
    "tab.yaml": b"a:\n\tb: 1\n",
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
        "flint_ml.gate": "approved",
        "flint_ml.commit": "c0ffee",
        "flint_ml.repository": "https://github.com/o/r",
        "flint_ml.pull_request": "12",
        "flint_ml.run": "https://github.com/o/r/actions/runs/5",
    }
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
            "manifests": self.server.manifests,
            "token": TOKEN,
            "model-name": "soc",
            "file": "staging/deployment.yaml",
            "path": PATH,
            "timeout": "60",
        }
        plain |= {key.replace("_", "-"): value for key, value in given.items()}
        return {key: value for key, value in plain.items() if value != ""}

    def __call__(self, results: str = "flint-ml-results", **given: Any) -> tuple[int, dict[str, Any]]:
        out = io.StringIO()
        outputs = self.folder / "outputs"
        outputs.touch()
        env = {"GITHUB_OUTPUT": str(outputs), "GITHUB_ACTOR": "ana"}
        context = Context(
            on_github=True,
            workspace=self.folder,
            head_sha="c0ffee",
            repository="o/r",
            run_id="77",
            server_url=self.server.url,
            api_url=f"{self.server.url}/api/v3",
        )
        commands = Commands(on_github=True, stdout=out, stderr=out, env=env)
        values = {**self.values(**given), "results-dir": results}
        code = run_action(ACTION, values, env=env, context=context, commands=commands)
        self.text = out.getvalue()
        return code, json.loads((self.folder / results / "deploy-model.json").read_text())
