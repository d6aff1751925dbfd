"""``python -m githubapi --port 0 --port-file F --state FILE``: the stand-in as a process, for end-to-end tests."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from githubapi.server import FakeGitHub, Server


def main() -> int:
    """Serve until SIGTERM; exit 1 if an exchange did not follow GitHub's description."""
    parser = argparse.ArgumentParser(prog="githubapi", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--port-file", type=Path, help="the port is written here once the server listens")
    parser.add_argument(
        "--state", type=Path, help="comments, requests and problems are written here after each request"
    )
    parser.add_argument("--repository", default="o/r")
    parser.add_argument("--pull-request", type=int, default=1)
    parser.add_argument("--head-sha", default="e" * 40, help="head commit of the pull request")
    parser.add_argument("--comments", type=int, default=45, help="older comments of other people on it")
    parser.add_argument("--token", action="append", default=[], help="a token that may write; default: any")
    arguments = parser.parse_args()
    tokens = {token: {"login": "github-actions[bot]", "type": "Bot", "write": True} for token in arguments.token}
    github = FakeGitHub(arguments.repository, tokens or None)
    github.file = arguments.state
    with Server(github, arguments.host, arguments.port) as server:
        github.add_pull(arguments.pull_request, arguments.head_sha)
        for number in range(arguments.comments):
            github.add_comment(arguments.pull_request, f"older comment {number + 1}")
        if arguments.port_file:
            temporary = arguments.port_file.with_suffix(".new")
            temporary.write_text(str(server.server_address[1]), encoding="utf-8")
            temporary.replace(arguments.port_file)
        print(f"listening on {github.url}", flush=True)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        stop.wait()
    for problem in github.problems:
        print(f"problem: {problem}", file=sys.stderr)
    return 1 if github.problems else 0


if __name__ == "__main__":
    sys.exit(main())
