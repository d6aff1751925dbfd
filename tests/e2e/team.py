"""A small team to test with: a Git repository made from the example, an S3 server, a registry, GitHub's API.

All of it is real except the API. The story is the demo's (``demo/demo.py``); here the storage is S3 and its address is
committed, as a real team's would be, so that a container that sees only the workspace reaches it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import requests

from githubapi.server import FakeGitHub, Server
from helpers import mlflow_server

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "demo"))

import demo  # noqa: E402

REPOSITORY = "octo-org/soil-carbon"
TOKEN = "ghs_endToEndTestToken0123456789"
S3 = {"AWS_ACCESS_KEY_ID": "test-access-key", "AWS_SECRET_ACCESS_KEY": "test-secret-key-0123456789"}
OLDER_COMMENTS = 45


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """A real S3 server on loopback with the bucket ``soil``; yields its address."""
    port = mlflow_server.free_port()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "s3.log").open("wb") as log:
        process = subprocess.Popen(
            [shutil.which("moto_server") or str(Path(sys.executable).parent / "moto_server"), "-p", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(300):
                try:
                    requests.get(address, timeout=5)
                    break
                except requests.RequestException:
                    time.sleep(0.2)
            client = boto3.client(
                "s3",
                endpoint_url=address,
                region_name="us-east-1",
                aws_access_key_id=S3["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=S3["AWS_SECRET_ACCESS_KEY"],
            )
            client.create_bucket(Bucket="soil")
            yield address
        finally:
            process.terminate()
            process.wait()


@dataclass
class World:
    """Everything that the end-to-end tests share."""

    team: demo.Team
    registry: str
    github: FakeGitHub
    numbers: dict[str, int] = field(default_factory=dict)

    def git(self, folder: Path, *arguments: str) -> str:
        return str(self.team.run(folder, "git", *arguments))

    def pull_request(self, name: str, branch: str, number: int) -> tuple[Path, dict[str, Any]]:
        """What a runner checks out for a pull request, its merge commit, and the event."""
        folder = self.team.clone(f"checkout-{name}", "main")
        base = self.git(folder, "rev-parse", "HEAD")
        head = self.git(folder, "rev-parse", f"origin/{branch}")
        self.git(folder, "switch", "--quiet", "--detach")
        self.git(folder, "merge", "--quiet", "--no-ff", "--message", f"Merge {head} into {base}", f"origin/{branch}")
        repo = {"full_name": REPOSITORY, "default_branch": "main", "fork": False}
        if number not in self.numbers.values():
            self.github.add_pull(number, head, branch)
            for count in range(OLDER_COMMENTS):
                self.github.add_comment(number, f"older comment {count + 1}")
            self.numbers[name] = number
        else:
            self.github.pulls[number]["head"]["sha"] = head
        event = {
            "action": "synchronize",
            "number": number,
            "repository": repo,
            "pull_request": {
                "number": number,
                "head": {"ref": branch, "sha": head, "repo": repo},
                "base": {"ref": "main", "sha": base, "repo": repo},
            },
        }
        return folder, event

    def push(self, name: str) -> tuple[Path, dict[str, Any]]:
        """What a runner checks out for a push to main, and the event."""
        folder = self.team.clone(f"checkout-{name}", "main")
        event = {
            "ref": "refs/heads/main",
            "before": self.git(folder, "rev-parse", "HEAD^1"),
            "after": self.git(folder, "rev-parse", "HEAD"),
            "repository": {"full_name": REPOSITORY, "default_branch": "main"},
        }
        return folder, event

    def ours(self, number: int) -> list[dict[str, Any]]:
        """Comments on the pull request beyond the older ones."""
        return [c for c in self.github.of(number) if not c["body"].startswith("older comment")]


def propose_crash(team: demo.Team) -> None:
    """A branch whose training ends with exit code 1."""
    desk = team.clone("desk-crashes")
    team.run(desk, "git", "switch", "--quiet", "--create", "crashes")
    script = desk / "src" / "train.py"
    text = script.read_text(encoding="utf-8")
    broken = text.replace(
        'if __name__ == "__main__":',
        'if __name__ == "__main__":\n    raise SystemExit("error: the spectra have no band nm_9999")',
    )
    assert broken != text
    script.write_text(broken, encoding="utf-8")
    team.commit(desk, "Use a band that does not exist")


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Start the servers, make the repository and the branches of the example's changes, and one that crashes."""
    registry, process = mlflow_server.start(folder / "mlflow")
    try:
        with s3_server(folder / "s3") as s3:
            # Trainings at a desk are logged where the gate registers.
            env = {**demo.environment(folder / "team"), **S3, "MLFLOW_TRACKING_URI": registry}
            options = (("endpointurl", s3), ("region", "us-east-1"))
            team = demo.Team(folder / "team", env, "s3://soil/dvc", options, committed=True)
            demo.make_team(team)
            for change in demo.CHANGES:
                demo.propose(team, change)
            propose_crash(team)
            github = FakeGitHub(REPOSITORY, {TOKEN: {"login": "github-actions[bot]", "type": "Bot", "write": True}})
            with Server(github):
                yield World(team, registry, github)
            assert not github.problems, f"requests that GitHub would not understand: {github.problems}"
    finally:
        mlflow_server.stop(process.pid)


def in_environment(world_: World, folder: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a workflow's ``run:`` step does: on the runner, in the user's environment."""
    return subprocess.run(
        command, cwd=folder, env={**world_.team.env, **more}, text=True, capture_output=True, check=False
    )


def owned_by_us(folder: Path) -> None:
    """Take a checkout back from the runner's user, so that commands on this machine may go on in it."""
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "0:0", str(folder)], check=True)
