"""A cluster of two colours that answers by what Git says at that moment, for tests of blue/green."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from helpers.git_server import DroppedError, content

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "manifests" / "blue-green"
PATH = "spec.template.spec.containers[name=api].env[name=MODEL_VERSION].value"


def manifests() -> dict[str, bytes]:
    """The example's manifests, with version 1 on both colours, blue live."""
    files = {name: (EXAMPLE / name).read_bytes() for name in ("blue.yaml", "green.yaml", "service.yaml")}
    return {name: data.replace(b'VERSION, value: "0"', b'VERSION, value: "1"') for name, data in files.items()}


class Cluster:
    """Answers ``/<colour>/version`` as pods of that colour would, by what Git says at that moment.

    ``broken`` are versions that fail, ``drifting`` those that predict something else than when they were registered;
    ``on_ask`` is called once, at the first question.
    """

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        self.broken: set[tuple[str, str]] = set()
        self.drifting: set[str] = set()
        self.on_ask: list[Callable[[], Any]] = []
        self.asked: list[str] = []
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Quiet."""

            def do_GET(self) -> None:
                cluster.answer(self)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                cluster.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def live(self) -> str:
        text = content(self.repository, "service.yaml").decode()
        return "green" if "colour: green" in text else "blue"

    def version(self, colour: str) -> str:
        return content(self.repository, f"{colour}.yaml").decode().split('MODEL_VERSION, value: "')[1].split('"')[0]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if self.on_ask:
            try:
                self.on_ask.pop(0)()
            except DroppedError:
                return
        self.asked.append(request.path)
        place = request.path.split("/")[1]
        version = self.version(self.live() if place == "live" else place)
        served = 99 if version in self.drifting else int(version)
        body = json.dumps(
            {"version": version, "soc": 1.5, "predictions": [{"SOC": served * n} for n in (1, 2)]}
        ).encode()
        request.send_response(500 if (place, version) in self.broken else 200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
