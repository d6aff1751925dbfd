"""act, the job image and the stand-ins: what the tests of the example workflows rest on."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from e2e.act import ActResult, run_workflow
from e2e.harness import IMAGE

PINS = {
    "checkout": "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1",
    "python": "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97",
    "cache": "actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fccae",
    "upload": "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f",
    "download": "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c",
}
WORKFLOW = """
on: [pull_request]
permissions: {{contents: read}}
jobs:
  make:
    runs-on: ubuntu-latest
    outputs:
      hit: ${{{{ steps.cache.outputs.cache-hit }}}}
    steps:
      - uses: {checkout}
        with: {{fetch-depth: 0, persist-credentials: false}}
      - id: python
        uses: {python}
        with: {{python-version: "3.13"}}
      - id: cache
        uses: {cache}
        with: {{path: kept, key: "soil-${{{{ hashFiles('a.txt') }}}}", restore-keys: soil-}}
      - id: state
        run: |
          test "$(python -c 'import sys; print(sys.executable)')" = "${{{{ steps.python.outputs.python-path }}}}"
          test ! -e ignored
          cat kept/file 2>/dev/null || true
          mkdir -p kept && echo cached >kept/file
          mkdir -p results/sub && echo 1 >results/a.json && echo 2 >results/sub/b.png && echo 3 >results/.hidden
          echo '# Made' >>"$GITHUB_STEP_SUMMARY"
          curl -fsS "$GITHUB_API_URL/ping"
      - id: action
        uses: moja-global/flint-ml-actions/version@v1
        with: {{min-effect: "0.2"}}
      - uses: {upload}
        with: {{name: results, path: results}}
  broken:
    runs-on: ubuntu-latest
    steps:
      - id: cache
        uses: {cache}
        with: {{path: kept, key: broken}}
      - id: look
        run: mkdir -p kept && echo "hit=${{{{ steps.cache.outputs.cache-hit }}}}"
      - id: fails
        run: |
          echo "::error file=a.txt::no carbon"
          echo "token ${{{{ secrets.GITHUB_TOKEN }}}}"
          exit 3
  read:
    needs: make
    if: ${{{{ !cancelled() }}}}
    runs-on: ubuntu-latest
    steps:
      - uses: {download}
        with: {{name: results, path: got}}
      - id: look
        run: |
          test "$(cat got/a.json)" = 1 && test "$(cat got/sub/b.png)" = 2
          test ! -e got/.hidden && test ! -e a.txt
          echo "hit=${{{{ needs.make.outputs.hit }}}}"
""".format(**PINS)
ACTION = f"""
name: version
description: Prints the image's version
inputs:
  min-effect: {{description: any, default: "0.1"}}
runs:
  using: docker
  image: docker://{IMAGE}
  args: ["--version"]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A loopback server that answers every request with ``pong``."""

    class Pong(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            # act leaves out a last line without its newline.
            self.wfile.write(b"pong\n")

    http = HTTPServer(("127.0.0.1", 0), Pong)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, server: str) -> tuple[list[ActResult], Path]:
    """The workflow run twice, with the same cache, as two runs of GitHub; and the folder of artifacts."""
    base = tmp_path_factory.mktemp("act")
    repository, release = base / "repository", base / "release"
    (release / "version").mkdir(parents=True)
    (release / "version" / "action.yml").write_text(ACTION)
    workflows = repository / ".github" / "workflows"
    workflows.mkdir(parents=True)
    (workflows / "gate.yml").write_text(WORKFLOW)
    (repository / "a.txt").write_text("soil\n")
    (repository / "ignored").write_text("not in a checkout\n")
    (repository / ".gitignore").write_text("ignored\n")
    git = ["git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "--quiet", "-b", "main"], ["add", "."], ["commit", "--quiet", "-m", "start"]):
        subprocess.run([*git, *arguments], check=True)
    event = {"pull_request": {"number": 7, "base": {"ref": "main"}, "head": {"ref": "better"}}}
    results = [
        run_workflow(
            repository,
            ".github/workflows/gate.yml",
            "pull_request",
            event,
            {"GITHUB_API_URL": server, "GITHUB_REPOSITORY": "octo-org/soil", "GITHUB_RUN_ID": run_id},
            base / "artifacts",
            release_tree=release,
            secrets={"GITHUB_TOKEN": "s3cret-t0ken"},
            cache_dir=base / "cache",
            timeout=600,
        )
        for run_id in ("41", "42")
    ]
    return results, base / "artifacts"


def test_conclusions_are_those_of_github(runs: tuple[list[ActResult], Path]) -> None:
    first = runs[0][0]
    assert first.exit_code == 1
    expected = {"make": "success", "broken": "failure", "read": "success"}
    assert {name: job.conclusion for name, job in first.jobs.items()} == expected, first.log
    assert first.jobs["make"].step("state").conclusion == "success"
    assert first.jobs["broken"].step("fails").conclusion == "failure"


def test_a_docker_action_runs_in_the_local_image(runs: tuple[list[ActResult], Path]) -> None:
    step = runs[0][0].jobs["make"].step("action")
    assert step.conclusion == "success"
    assert step.log.startswith("flint-ml ")


def test_jobs_reach_a_loopback_server(runs: tuple[list[ActResult], Path]) -> None:
    assert "pong" in runs[0][0].jobs["make"].step("state").log


def test_artifacts_pass_between_jobs_and_stay(runs: tuple[list[ActResult], Path]) -> None:
    results, artifacts = runs
    assert results[0].jobs["read"].step("look").conclusion == "success"
    for run_id in ("41", "42"):
        kept = artifacts / run_id / "results"
        found = sorted(str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file())
        assert found == ["a.json", "sub/b.png"]


def test_a_cache_is_saved_only_after_success(runs: tuple[list[ActResult], Path]) -> None:
    results = runs[0]
    assert [result.jobs["read"].step("look").log for result in results] == ["hit=\n", "hit=true\n"]
    assert "cached" in results[1].jobs["make"].step("state").log
    # The real action's post step has `post-if: success()`.
    assert [result.jobs["broken"].step("look").log for result in results] == ["hit=\n", "hit=\n"]


def test_annotations_summaries_and_masks(runs: tuple[list[ActResult], Path]) -> None:
    first = runs[0][0]
    assert first.summaries == ["# Made\n"]
    fails = first.jobs["broken"].step("fails")
    assert fails.annotations == [("error", "no carbon")]
    assert "token ***" in fails.log
    assert "s3cret-t0ken" not in first.log
