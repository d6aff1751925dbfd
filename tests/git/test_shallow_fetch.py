"""A shallow clone: what it lacks of the base is fetched from a real Git server, and nothing of the token leaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flint_ml.errors import InputError, OutsideError
from flint_ml.git.base import Event, find_base
from flint_ml.git.repository import Git
from flint_ml.git.shallow_fetch import ShallowFetch
from helpers.git_server import TOKEN, Server, git, serve
from helpers.metrics import BASE, Repo, codes

pytest_plugins = ("helpers.mlflow_server",)
NEW = {"rmse": 1.3, "r2": 0.71, "n": 115}


class Story:
    """On a server: main with three commits, a change that left it at the second, and their merge."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        work = folder / "work"
        self.repo = Repo(work, metrics_dot_json=BASE)
        self.repo.write(**{"flint-ml_dot_yml": "compare-metrics:\n  rules:\n    rmse: {unit: g/kg}\n"})
        self.repo.commit("two")
        self.two = self._head()
        self.repo.git("checkout", "-q", "-b", "change")
        self.repo.write(metrics_dot_json=NEW)
        self.repo.commit("change")
        self.change = self._head()
        self.repo.git("checkout", "-q", "main")
        self.repo.write(readme_dot_md="three")
        self.repo.commit("three")
        self.three = self._head()
        self.repo.git("checkout", "-q", "-b", "merge")
        self.repo.git("merge", "-q", "--no-ff", "-m", "merge", "change")
        self.repo.git("tag", "v1", self.two)
        (server.root / "o").mkdir(exist_ok=True)
        git("clone", "--quiet", "--bare", str(work), str(server.root / "o" / "r"), folder=folder)
        git("config", "uploadpack.allowFilter", "true", folder=server.root / "o" / "r")

    def _head(self) -> str:
        return self.repo.git("rev-parse", "HEAD").strip()

    @property
    def url(self) -> str:
        return f"{self.server.url}/o/r"

    def clone(self, branch: str) -> Repo:
        """As actions/checkout leaves it: one commit, no credentials."""
        target = self.folder / f"clone-{branch}"
        source = (self.server.root / "o" / "r").as_uri()
        git("clone", "-q", "--depth", "1", "--no-tags", "-b", branch, source, str(target), folder=self.folder)
        git("remote", "set-url", "origin", self.url, folder=target)
        clone = Repo.__new__(Repo)
        clone.folder, clone.outputs = target, self.folder / "outputs"
        return clone

    def event(self) -> dict[str, Any]:
        return {"pull_request": {"number": 7, "head": {"sha": self.change}, "base": {"ref": "main", "sha": self.three}}}

    def facts(self, name: str = "pull_request", **event: Any) -> dict[str, Any]:
        event = event or self.event()
        return {"event_name": name, "event": event, "repository": "o/r", "server_url": self.server.url}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("served")) as made:
        yield made


@pytest.fixture(scope="module")
def shared(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(server, tmp_path_factory.mktemp("story"))


@pytest.fixture
def story(shared: Story, tmp_path: Path) -> Story:
    shared.server.requests.clear()
    shared.server.headers.clear()
    shared.folder = tmp_path
    return shared


def commits(repo: Repo) -> int:
    return len(repo.git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype)").split("commit")) - 1


def test_the_merge_commits_base_is_fetched_alone(story: Story) -> None:
    clone = story.clone("merge")
    before = (clone.folder / ".git/config").read_text()
    code, record = clone.run(facts=story.facts(), token=TOKEN)
    assert (code, record["details"]["verdict"]) == (0, "better")
    assert record["details"]["base"]["commit"] == story.three
    assert record["metrics"]["rmse"]["unit"] == "g/kg", "the rules are the base's"
    assert not codes(record) & {"gate-unverified", "gate-changed"}
    assert commits(clone) == 2
    assert (clone.folder / ".git/config").read_text() == before
    assert TOKEN not in json.dumps(record)
    assert clone.git("status", "--porcelain") == ""
    assert any(header.startswith("Basic ") for header in story.server.headers)


def test_without_a_token_nothing_is_asked_and_the_remedy_is_named(story: Story) -> None:
    clone = story.clone("merge")
    code, record = clone.run(facts=story.facts())
    assert (code, record["status"]) == (2, "error")
    assert "fetch-depth: 0" in clone.errors()[0]
    assert story.server.requests == []


def test_where_the_head_is_checked_out_the_common_ancestor_is_found(story: Story) -> None:
    clone = story.clone("change")
    code, record = clone.run(facts=story.facts(), token=TOKEN)
    assert (code, record["details"]["verdict"]) == (0, "better")
    assert record["details"]["base"]["commit"] == story.two
    assert commits(clone) == 2


def test_a_push_a_merge_group_and_a_named_revision(story: Story) -> None:
    cases: list[tuple[str, dict[str, Any], str | None, str]] = [
        ("push", {"before": story.two}, None, story.two),
        ("push", {"before": "1" * 40}, None, story.three),  # a forced push: the parent
        ("merge_group", {"merge_group": {"base_sha": story.three}}, None, story.three),
        ("schedule", {"schedule": "0 0 * * *"}, None, story.three),
        ("push", {}, "main", story.three),
        ("push", {}, "v1", story.two),
        ("push", {}, story.two, story.two),
    ]
    for number, (name, event, explicit, expected) in enumerate(cases):
        here = Git(story.clone("merge").folder.rename(story.folder / f"case-{number}"))
        found = find_base(here, Event(name, event), explicit, ShallowFetch(here, story.url, TOKEN))
        assert found is not None
        assert found.commit == expected, (name, event, explicit)
        assert here.show(expected, "metrics.json") is not None


def test_what_the_server_does_not_have_is_not_in_this_clone(story: Story) -> None:
    here = Git(story.clone("merge").folder)
    with pytest.raises(InputError, match="not in this clone"):
        find_base(here, Event("push", {}), "no-such-branch", ShallowFetch(here, story.url, TOKEN))


def test_a_wrong_token_is_a_mistake_and_a_dead_server_is_outside(
    story: Story, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Git(story.clone("merge").folder)
    with pytest.raises(InputError, match="could not be fetched") as wrong:
        ShallowFetch(here, story.url, "ghs_wrong").commit(story.three)
    assert "fetch-depth: 0" in (wrong.value.hint or "")
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(OutsideError, match="could not be fetched") as dead:
        ShallowFetch(here, f"http://127.0.0.1:{closed_port}/o/r", TOKEN).commit(story.three)
    assert TOKEN not in str(wrong.value) + str(dead.value)
    with pytest.raises(InputError, match="plain http"):
        ShallowFetch(here, "http://git.example/o/r", TOKEN)


def test_settings_that_the_change_wrote_see_no_token(story: Story, tmp_path: Path) -> None:
    clone = story.clone("merge")
    spy = tmp_path / "spy"
    script = tmp_path / "spy.sh"
    script.write_text(f"#!/bin/sh\nenv >> {spy}\ntr '\\0' ' ' < /proc/$PPID/cmdline >> {spy}\ncat\n")
    script.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("reference-transaction", "post-checkout", "pre-auto-gc"):
        (hooks / hook).symlink_to(script)
    evil = story.server.url.replace("127.0.0.1", "localhost")
    for key, value in {
        "core.hooksPath": str(hooks),
        "core.fsmonitor": str(script),
        "filter.x.clean": str(script),
        f"url.{evil}/.insteadOf": f"{story.server.url}/",
        "http.proxy": "http://127.0.0.1:9",
        "credential.helper": str(script),
        "core.askPass": str(script),
        "core.sshCommand": str(script),
    }.items():
        git("config", key, value, folder=clone.folder)
    (clone.folder / ".git/info/attributes").write_text("* filter=x\n")
    (clone.folder / "metrics.json").write_text(json.dumps(NEW | {"rmse": 1.2}))
    env = {**os.environ, "INPUT_TOKEN": TOKEN, "GITHUB_TOKEN": TOKEN}
    env |= {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(clone.folder), "GITHUB_REPOSITORY": "o/r"}
    env |= {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_SERVER_URL": story.server.url}
    (tmp_path / "event.json").write_text(json.dumps(story.event()))
    env["GITHUB_EVENT_PATH"] = str(tmp_path / "event.json")
    command = [sys.executable, "-m", "flint_ml", "compare-metrics"]
    result = subprocess.run(command, cwd=clone.folder, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert not spy.exists(), "a program of the clone's settings ran"
    shown = [line for line in result.stdout.splitlines() if not line.startswith("::add-mask::")]
    assert TOKEN not in "\n".join(shown) + result.stderr
