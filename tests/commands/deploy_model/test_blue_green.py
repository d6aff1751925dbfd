"""Blue/green end to end: a Git server, a registry, and a small cluster that serves what the manifests say."""

from __future__ import annotations

import io
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flint_ml.commands.deploy_model import ACTION
from flint_ml.deployment.yaml_edit import find, replace
from flint_ml.registry.address import resolve
from flint_ml.registry.store import connect
from flint_ml.runner.context import Context
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands
from flint_ml.text.yaml import parse_yaml
from helpers.blue_green import EXAMPLE, PATH, Cluster, manifests
from helpers.documented_errors import documented
from helpers.git_server import TOKEN, Server, bare, change, commits, content, git, serve

pytest_plugins = ("helpers.mlflow_server",)


@pytest.fixture(scope="module")
def filled(registry_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    shutil.copy(registry_file, folder / "mlflow.db")
    store = connect(resolve("", {}, folder), {})
    store.ensure_model("soc")
    for number in (1, 2, 3):
        made = store.create_run(store.experiment("soc"), "soc", {})
        samples = folder / "samples.json"
        predictions = [{"SOC": number}, {"SOC": 2 * number}]
        samples.write_text(json.dumps({"dataframe_records": [{"x": 1}, {"x": 2}], "predictions": predictions}))
        # Beside the model or in its folder; version 3 has none.
        for place in {1: ["flint-ml"], 2: ["model"]}.get(number, []):
            store.upload(made, f"{place}/samples.json", samples)
        store.create_version("soc", f"{made.artifact_uri}/model", made.id, {"flint_ml.gate": "approved"}, "")
    store.set_alias("soc", "staging", 2)
    return folder / "mlflow.db"


@pytest.fixture
def server(tmp_path: Path, filled: Path) -> Iterator[Server]:
    shutil.copy(filled, tmp_path / "mlflow.db")
    bare(tmp_path / "srv", manifests())
    with serve(tmp_path / "srv") as state:
        yield state


@pytest.fixture
def cluster(server: Server) -> Iterator[Cluster]:
    running = Cluster(server.repository)
    yield running
    running.server.shutdown()
    running.server.server_close()


def run(server: Server, cluster: Cluster, **given: Any) -> tuple[int, dict[str, Any]]:
    folder = server.root.parent
    values = {
        "manifests": server.manifests,
        "token": TOKEN,
        "model-name": "soc",
        "strategy": "blue-green",
        "file": "service.yaml",
        "path": "spec.selector.colour",
        "smoke-timeout": "20",
        "colours": {c: {"file": f"{c}.yaml", "path": PATH, "url": f"{cluster.url}/{c}"} for c in ("blue", "green")},
        "checks": {
            "version": {"path": "/version", "contains": '"version": "{version}"'},
            "sample": {"path": "/predict", "body": '{"x": 1}', "contains": '"soc": 1.5'},
        },
        "live-url": f"{cluster.url}/live",
        **{key.replace("_", "-"): value for key, value in given.items()},
    }
    out = io.StringIO()
    context = Context(on_github=True, workspace=folder, head_sha="c0ffee", server_url=server.url)
    commands = Commands(on_github=True, stdout=out, stderr=out, env={})
    results = str(given.get("results_dir", "flint-ml-results"))
    code = run_action(ACTION, values, env={}, context=context, commands=commands)
    return code, json.loads((folder / results / "deploy-model.json").read_text())


def test_try_switch_and_again(server: Server, cluster: Cluster) -> None:
    code, record = run(server, cluster)
    assert code == 0, record
    assert record["headline"] == "soc version 2 is live on green (before: 1 on blue)"
    assert (cluster.live(), cluster.version("green"), cluster.version("blue")) == ("green", "2", "1")
    subjects = git("log", "--format=%s", "main", folder=server.repository).splitlines()
    assert subjects[:2] == ["Serve soc version 2", "Try soc version 2"]
    assert cluster.asked[0] == "/green/version"
    assert cluster.asked[-1] == "/live/predict"
    code, record = run(server, cluster)
    assert (code, record["details"]["result"], commits(server.repository)) == (0, "same", 3)
    code, record = run(server, cluster, version="3")
    assert (code, cluster.live(), cluster.version("blue")) == (0, "blue", "3")
    code, record = run(server, cluster, version="2")
    assert (code, record["details"]["result"], cluster.live()) == (0, "newer", "blue")
    code, record = run(server, cluster, version="2", rollback="true")
    assert (code, cluster.live(), record["details"]["result"]) == (0, "green", "changed")


@pytest.mark.parametrize("place", ["green", "live"])
def test_a_failing_version_is_taken_back(server: Server, cluster: Cluster, place: str) -> None:
    before = {name: content(server.repository, name) for name in ("blue.yaml", "green.yaml", "service.yaml")}
    cluster.broken = {(place, "2")}
    code, record = run(server, cluster, smoke_timeout="3")
    assert (code, record["status"], record["details"]["result"]) == (1, "failed", "failed")
    assert "answered 500 instead of 200" in record["headline"]
    assert {name: content(server.repository, name) for name in before} == before
    assert record["findings"][0]["code"] == "smoke-failed"
    if place == "green":
        documented("a version that fails its checks", record["findings"][0])


def test_a_cluster_that_does_not_follow(server: Server, cluster: Cluster) -> None:
    checks = {"version": {"path": "/version", "contains": "release {version}"}}
    code, record = run(server, cluster, checks=checks, smoke_timeout="3")
    assert (code, cluster.live(), cluster.version("green")) == (1, "blue", "1")
    assert "does not hold `release 2`" in record["headline"]


def test_predictions_of_stored_samples(server: Server, cluster: Cluster) -> None:
    code, record = run(server, cluster, predict_path="/predict")
    assert (code, cluster.live()) == (0, "green"), record
    assert ["predictions", "passed (2 samples, largest difference 0)"] in record["tables"][0]["rows"]
    code, record = run(server, cluster, predict_path="/predict", version="1", rollback="true")
    assert (code, cluster.live()) == (0, "blue"), record


def test_a_version_that_predicts_something_else_is_taken_back(server: Server, cluster: Cluster) -> None:
    before = {name: content(server.repository, name) for name in ("blue.yaml", "green.yaml", "service.yaml")}
    cluster.drifting = {"2"}
    code, record = run(server, cluster, predict_path="/predict", smoke_timeout="3")
    assert (code, record["details"]["result"]) == (1, "failed")
    said = (
        "predictions: 2 of 2 samples are not predicted as registered; the largest difference is 194 "
        "(sample 2, SOC: 198 instead of 4)"
    )
    assert record["findings"][0]["message"] == said
    assert {name: content(server.repository, name) for name in before} == before
    documented("a version that predicts something else", record["findings"][0])
    assert said in git("log", "-1", "--format=%B", "main", folder=server.repository)


def test_a_version_without_samples_is_refused_before_anything_changes(server: Server, cluster: Cluster) -> None:
    code, record = run(server, cluster, predict_path="/predict", version="3")
    assert (code, record["findings"][0]["code"]) == (2, "no-samples")
    assert (commits(server.repository), cluster.asked) == (1, [])
    documented("a version without stored samples", record["findings"][0])


def test_live_already_but_unwell(server: Server, cluster: Cluster) -> None:
    """An earlier job was killed after the switch: what it had not checked yet is checked now."""
    assert run(server, cluster)[0] == 0
    cluster.broken = {("live", "2")}
    code, record = run(server, cluster, smoke_timeout="3")
    assert (code, record["status"], record["details"]["result"], cluster.live()) == (1, "failed", "unwell", "green")
    assert "rollback: true" in record["findings"][0]["hint"]
    documented("a live version that fails its checks", record["findings"][0])


def test_somebody_else_switches_meanwhile(server: Server, cluster: Cluster) -> None:
    other = content(server.repository, "green.yaml").replace(b'VERSION, value: "1"', b'VERSION, value: "3"')
    cluster.on_ask = [
        lambda: None,
        lambda: change(server.repository, "green.yaml", other),
    ]
    code, record = run(server, cluster)
    assert (code, record["findings"][0]["code"]) == (3, "moved-on")
    documented("somebody else switches meanwhile", record["findings"][0])
    assert (cluster.live(), cluster.version("green")) == ("blue", "3")


def test_two_jobs_at_once(server: Server, cluster: Cluster) -> None:
    """Both have read the colours before either pushes: one goes live, the other says so and undoes nothing."""
    barrier = threading.Barrier(2, timeout=60)
    server.before_push = [barrier.wait, barrier.wait]
    ended: dict[str, tuple[int, dict[str, Any]]] = {}

    def job(version: str) -> None:
        ended[version] = run(server, cluster, version=version, results_dir=f"results-{version}")

    threads = [threading.Thread(target=job, args=(version,)) for version in ("2", "3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(code for code, _ in ended.values()) == [0, 3], ended
    won = next(version for version, (code, _) in ended.items() if code == 0)
    lost = next(record for code, record in ended.values() if code == 3)
    assert (cluster.live(), cluster.version("green"), cluster.version("blue")) == ("green", won, "1")
    assert lost["findings"][0]["code"] == "moved-on"
    assert commits(server.repository) == 3
    git("fsck", "--strict", folder=server.repository)


def test_a_killed_job_is_gone_on_with(server: Server, cluster: Cluster) -> None:
    tried = content(server.repository, "green.yaml").replace(b'VERSION, value: "1"', b'VERSION, value: "2"')
    change(server.repository, "green.yaml", tried)
    code, _ = run(server, cluster)
    assert (code, cluster.live()) == (0, "green")
    assert git("log", "-1", "--format=%s", "main", folder=server.repository) == "Serve soc version 2"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"colours": {}}, "invalid-input"),
        ({"checks": {}}, "invalid-input"),
        ({"checks": {"health": {"path": "/healthz"}}}, "invalid-input"),
        ({"checks": {"health": {"path": "healthz"}}}, "invalid-input"),
        ({"live_url": "ftp://x"}, "invalid-input"),
        ({"mode": "pull-request"}, "invalid-input"),
        ({"predict_path": "predict"}, "invalid-input"),
        ({"predict_path": "/p", "checks": {"predictions": {"path": "/v", "contains": "{version}"}}}, "invalid-input"),
        ({"path": "spec.selector.app"}, "unknown-colour"),
    ],
)
def test_bad_input(server: Server, cluster: Cluster, given: dict[str, Any], code: str) -> None:
    got, record = run(server, cluster, **given)
    assert (got, record["findings"][0]["code"]) == (2, code)
    assert commits(server.repository) == 1
    assert not cluster.asked
    if code == "unknown-colour":
        documented("a selector that names another colour", record["findings"][0])


def test_the_example_settings_fit_the_example_manifests() -> None:
    settings = parse_yaml((EXAMPLE / "flint-ml.yml").read_text(), "flint-ml.yml")["deploy-model"]
    inputs = ACTION.inputs.model_validate({"manifests": "o/r", "model-name": "soc", **settings})
    places = [(settings["file"], settings["path"])]
    places += [(colour["file"], colour["path"]) for colour in settings["colours"].values()]
    assert [find((EXAMPLE.parent / file).read_text(), path, file).value for file, path in places] == ["blue", "0", "0"]
    assert set(inputs.model_dump()["checks"]) == {"health", "version"}
    rollout = (EXAMPLE.parent / "argo-rollouts" / "rollout.yaml").read_text()
    assert replace(rollout, PATH, "7", "rollout.yaml").count('value: "7"') == 1
