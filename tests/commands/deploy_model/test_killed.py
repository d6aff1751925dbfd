"""kill -9 while deploy-model works, at eight moments, against a real ``mlflow server`` and a real Git server.

After each: no manifest is broken, the next job makes it right, and no commit is there twice.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flint_ml.registry.address import resolve
from flint_ml.registry.store import connect
from helpers.blue_green import PATH, Cluster, manifests
from helpers.git_server import TOKEN, DroppedError, Server, bare, content, git, serve

pytest_plugins = ("helpers.mlflow_server",)
NAME = "killed"


@pytest.fixture(scope="module")
def registry(mlflow_server: str) -> str:
    """The server with a model of three versions."""
    store = connect(resolve(mlflow_server, {}, Path()), {})
    store.ensure_model(NAME)
    made = store.create_run(store.experiment(NAME), NAME, {})
    for _ in range(3):
        store.create_version(NAME, f"{made.artifact_uri}/model", made.id, {}, "")
    store.set_alias(NAME, "staging", 2)
    return mlflow_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    bare(tmp_path / "srv", manifests())
    with serve(tmp_path / "srv") as state:
        yield state


@pytest.fixture
def cluster(server: Server) -> Iterator[Cluster]:
    running = Cluster(server.repository)
    yield running
    running.server.shutdown()
    running.server.server_close()


class Job:
    """deploy-model as a process of its own."""

    def __init__(self, folder: Path, server: Server, registry: str, **settings: Any) -> None:
        self.folder, self.server = folder, server
        plain = {
            "manifests": server.manifests,
            "model-name": NAME,
            "tracking-uri": registry,
            "file": "blue.yaml",
            "path": PATH,
            "timeout": 60,
            "reason": "a test registered it without a gate",
            **settings,
        }
        (folder / "flint-ml.yml").write_text(json.dumps({"deploy-model": plain}))
        self.env = {
            **os.environ,
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(folder),
            "INPUT_TOKEN": TOKEN,
            "GITHUB_SERVER_URL": server.url,
            "GITHUB_API_URL": f"{server.url}/api/v3",
        }

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "flint_ml", "deploy-model"],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def killed(self, put: Callable[[Callable[[], None]], None]) -> None:
        """Start it, and kill it when what ``put`` was given is called, in the middle of an answer."""
        arrived, go_on = threading.Event(), threading.Event()

        def here() -> None:
            arrived.set()
            go_on.wait(60)
            raise DroppedError

        put(here)
        process = self.start()
        try:
            assert arrived.wait(120), "it never came that far"
            # What runs now: no process has the token among its arguments.
            assert not any(TOKEN.encode() in arguments for arguments in _processes())
            assert process.poll() is None
        finally:
            # With its helpers, as when a container or the machine ends: an orphaned git would push all the same.
            for pid in [*_below(process.pid), process.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
            go_on.set()

    def finish(self) -> dict[str, Any]:
        """The next job: its record."""
        process = self.start()
        assert process.wait(120) in {0, 1}
        record: dict[str, Any] = json.loads((self.folder / "flint-ml-results" / "deploy-model.json").read_text())
        return record


def _below(pid: int) -> list[int]:
    """Children of a process, and theirs."""
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [deeper for child in found for deeper in [*_below(child), child]]


def _processes() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:  # ended meanwhile
            continue
    return found


def subjects(server: Server) -> list[str]:
    """What the commits say, oldest first, without the first."""
    git("fsck", "--strict", folder=server.repository)
    return git("log", "--reverse", "--format=%s", "main", folder=server.repository).splitlines()[1:]


@pytest.mark.parametrize("moment", ["fetching", "push arrives", "push was taken"])
def test_one_place(tmp_path: Path, server: Server, registry: str, moment: str) -> None:
    job = Job(tmp_path, server, registry)
    if moment == "fetching":
        job.killed(lambda here: server.on.update({"POST /o/manifests.git/git-upload-pack": here}))
    elif moment == "push arrives":
        job.killed(server.before_push.append)
    else:
        job.killed(server.after_push.append)
    assert subjects(server) == (["Deploy killed version 2"] if moment == "push was taken" else [])
    assert job.finish()["details"]["version"] == 2
    assert subjects(server) == ["Deploy killed version 2"]
    assert b'value: "2"' in content(server.repository, "blue.yaml")


def test_a_branch_without_its_pull_request(tmp_path: Path, server: Server, registry: str) -> None:
    job = Job(tmp_path, server, registry, mode="pull-request")
    job.killed(lambda here: server.on.update({"POST /api/v3/repos/o/manifests/pulls": here}))
    record = job.finish()
    assert record["details"]["pull_request"] == 1
    heads = {pull["head"]["ref"] for pull in server.github.pulls.values()}
    assert (len(server.github.pulls), len(heads), subjects(server)) == (1, 1, [])
    assert int(git("rev-list", "--count", f"main..{heads.pop()}", folder=server.repository)) == 1


def blue_green(folder: Path, server: Server, registry: str, cluster: Cluster, seconds: int = 20) -> Job:
    return Job(
        folder,
        server,
        registry,
        strategy="blue-green",
        file="service.yaml",
        path="spec.selector.colour",
        colours={c: {"file": f"{c}.yaml", "path": PATH, "url": f"{cluster.url}/{c}"} for c in ("blue", "green")},
        checks={"version": {"path": "/version", "contains": '"version": "{version}"'}},
        **{"live-url": f"{cluster.url}/live", "smoke-timeout": seconds},
    )


@pytest.mark.parametrize("moment", ["trying the idle colour", "switching", "checking what is live"])
def test_blue_green(tmp_path: Path, server: Server, registry: str, cluster: Cluster, moment: str) -> None:
    job = blue_green(tmp_path, server, registry, cluster)
    if moment == "trying the idle colour":
        job.killed(cluster.on_ask.append)
        assert (cluster.live(), cluster.version("blue"), cluster.version("green")) == ("blue", "1", "2")
    elif moment == "switching":
        job.killed(lambda here: server.before_push.extend([lambda: None, here]))
        assert (cluster.live(), cluster.version("blue")) == ("blue", "1")
    else:
        job.killed(lambda here: cluster.on_ask.extend([lambda: None, here]))
        assert (cluster.live(), cluster.version("green")) == ("green", "2")
    record = job.finish()
    assert record["status"] == "passed", record
    assert (cluster.live(), cluster.version("blue"), cluster.version("green")) == ("green", "1", "2")
    assert subjects(server) == ["Try killed version 2", "Serve killed version 2"]


def test_between_the_two_steps_back(tmp_path: Path, server: Server, registry: str, cluster: Cluster) -> None:
    """The traffic is back already, the version of the idle colour is not yet."""
    job = blue_green(tmp_path, server, registry, cluster, seconds=3)
    cluster.broken = {("live", "2")}
    job.killed(lambda here: server.before_push.extend([lambda: None] * 3 + [here]))
    assert (cluster.live(), cluster.version("blue"), cluster.version("green")) == ("blue", "1", "2")
    before = subjects(server)
    assert before == ["Try killed version 2", "Serve killed version 2", "Take back killed version 2"]
    record = job.finish()
    assert (record["details"]["result"], cluster.live()) == ("failed", "blue")
    assert subjects(server) == [*before, "Serve killed version 2", "Take back killed version 2"]
    cluster.broken = set()
    assert job.finish()["details"]["result"] == "changed"
    assert (cluster.live(), cluster.version("green")) == ("green", "2")
