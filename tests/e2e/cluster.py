"""A small cluster for tests: it follows a manifests repository as Argo CD does, and runs the serving example's image.

What the manifests say decides everything: the variables of each container, its limits, which colour the Service points
to. As in Kubernetes, an old pod serves on until the new one is ready, and a new one that never gets ready changes
nothing. What it cannot prove: that a real cluster's network, probes and image pulls work.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import yaml

from helpers.git_server import content, git
from helpers.mlflow_server import free_port

IMAGE = "flint-ml-serving:test"
READY_SECONDS = 90
ROOT = Path(__file__).resolve().parents[2]


def build_image() -> None:
    """The serving example's image, from its own Dockerfile."""
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", IMAGE, str(ROOT / "examples" / "serving")],
        check=True,
        capture_output=True,
    )


def _docker(*arguments: str) -> str:
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    return (result.stdout + result.stderr).strip()


class Pod:
    """One container, started with what the manifest says."""

    def __init__(self, env: Mapping[str, str], container: Mapping[str, Any]) -> None:
        self.env, self.port = dict(env), free_port()
        command = ["run", "--detach", "--network", "host"]
        if container["securityContext"]["readOnlyRootFilesystem"]:
            command += ["--read-only"]
        command += [part for mount in container["volumeMounts"] for part in ("--tmpfs", mount["mountPath"])]
        command += ["--memory", container["resources"]["limits"]["memory"].replace("Mi", "m")]
        command += [part for name, value in env.items() for part in ("--env", f"{name}={value}")]
        command += [IMAGE, "uvicorn", "api:app", "--host", "127.0.0.1", "--port", str(self.port)]
        self.id = _docker(*command).splitlines()[-1]

    def ready(self) -> bool:
        """Wait for `/healthz`; False where the container ends, or never answers."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            try:
                if requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=5).ok:
                    return True
            except requests.RequestException:
                if _docker("inspect", "--format", "{{.State.Running}}", self.id) != "true":
                    return False
                time.sleep(0.3)
        return False

    def stop(self) -> str:
        """Remove the container; what it said."""
        said = _docker("logs", self.id)
        _docker("rm", "--force", self.id)
        return said


@dataclass
class Workload:
    """A Deployment: the pod that serves, and what is wanted."""

    pod: Pod | None = None
    tried: dict[str, str] = field(default_factory=dict)


class Cluster:
    """Follows ``repository``; ``staging``, ``blue``, ``green`` and ``live`` are served at ``url(name)``."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        self.workloads = {name: Workload() for name in ("staging", "blue", "green")}
        self.live = ""
        self.logs: list[str] = []
        self._fronts = {name: _front(self, name) for name in (*self.workloads, "live")}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Cluster:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        for front in self._fronts.values():
            front.shutdown()
            front.server_close()
        for workload in self.workloads.values():
            if workload.pod:
                self.logs.append(workload.pod.stop())

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._fronts[name].server_address[1]}"

    def served(self, name: str, seconds: float = 120) -> str | None:
        """The version that is served under a name, None where nothing answers in time."""
        end = time.monotonic() + seconds
        while True:
            answer = requests.get(f"{self.url(name)}/version", timeout=20)
            if answer.ok or time.monotonic() > end:
                return str(answer.json()["version"]) if answer.ok else None
            time.sleep(0.5)

    _seen = ""

    def _follow(self) -> None:
        while not self._end.wait(0.5):
            commit = git("rev-parse", "main", folder=self.repository)
            if commit != self._seen:
                self._apply(commit)
                self._seen = commit

    def _read(self, commit: str, name: str) -> list[Any]:
        return list(yaml.safe_load_all(content(self.repository, name, commit)))

    def _apply(self, commit: str) -> None:
        self.live = self._read(commit, "blue-green/service.yaml")[0]["spec"]["selector"]["colour"]
        base = self._read(commit, "base/deployment.yaml")[0]["spec"]["template"]["spec"]["containers"][0]
        generator = self._read(commit, "staging/kustomization.yaml")[0]["configMapGenerator"][0]
        assert base["envFrom"][0]["configMapRef"]["name"] == generator["name"]
        self._roll(self.workloads["staging"], dict(text.split("=", 1) for text in generator["literals"]), base)
        for colour in ("blue", "green"):
            deployment = self._read(commit, f"blue-green/{colour}.yaml")[0]
            assert deployment["spec"]["template"]["metadata"]["labels"]["colour"] == colour
            container = deployment["spec"]["template"]["spec"]["containers"][0]
            env = {item["name"]: item["value"] for item in container["env"]}
            self._roll(self.workloads[colour], env, container)

    def _roll(self, workload: Workload, env: dict[str, str], container: Mapping[str, Any]) -> None:
        if workload.tried == env:
            return
        workload.tried = env
        if workload.pod and workload.pod.env == env:
            return
        new = Pod(env, container)
        if new.ready():
            old, workload.pod = workload.pod, new
        else:
            old = new
        if old:
            self.logs.append(old.stop())

    def pod_of(self, name: str) -> Pod | None:
        """The pod behind a name; None while there is none."""
        workload = self.workloads.get(self.live if name == "live" else name)
        return workload.pod if workload else None


def _front(cluster: Cluster, name: str) -> ThreadingHTTPServer:
    """What a Service is: an address that stays, and passes requests on to the pod."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

        def _pass_on(self) -> None:
            pod = cluster.pod_of(name)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, data = 503, b"no endpoints"
            if pod:
                try:
                    answer = requests.request(
                        self.command,
                        f"http://127.0.0.1:{pod.port}{self.path}",
                        data=body or None,
                        headers={"Content-Type": self.headers.get("content-type", "")},
                        timeout=30,
                    )
                    status, data = answer.status_code, answer.content
                except requests.RequestException as error:
                    status, data = 502, type(error).__name__.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _pass_on  # noqa: N815 - names that http.server asks for

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server
