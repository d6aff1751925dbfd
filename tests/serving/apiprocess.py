"""The serving example as a process of its own, as a pod would run it, and questions to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from helpers.mlflow_server import free_port

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "serving"
START_SECONDS = 120


class Api:
    """One process; ``url`` is its address, ``log`` the file that it writes to."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        self.port, self.log = free_port(), log
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "uvicorn", "api:app", "--host", "127.0.0.1", "--port", str(self.port)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MODEL_", "MLFLOW_"))}
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                command, cwd=EXAMPLE, env={**kept, **env}, stdout=stream, stderr=subprocess.STDOUT
            )

    def ready(self) -> bool:
        """Wait until it answers; False where it has ended instead."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if requests.get(f"{self.url}/healthz", timeout=5).ok:
                    return True
            except requests.RequestException:
                time.sleep(0.1)
        return False

    def post(self, path: str, **options: Any) -> requests.Response:
        return requests.post(f"{self.url}{path}", timeout=30, **options)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
