"""Which revision a change is compared with, event by event."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from flint_ml.errors import InputError
from flint_ml.git.base import Base, find_base
from flint_ml.git.repository import Git


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def step(folder: Path, name: str) -> str:
    (folder / name).write_text(name)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", name)
    return git(folder, "rev-parse", "HEAD")


class Story:
    """main: one, two, three; change: leaves main at two, has four and five; merge: both."""

    def __init__(self, folder: Path) -> None:
        self.origin = folder / "origin"
        self.origin.mkdir()
        git(self.origin, "init", "-q", "-b", "main")
        self.one, self.two = step(self.origin, "one"), step(self.origin, "two")
        git(self.origin, "checkout", "-qb", "change")
        self.four, self.five = step(self.origin, "four"), step(self.origin, "five")
        git(self.origin, "checkout", "-q", "main")
        self.three = step(self.origin, "three")
        git(self.origin, "checkout", "-qb", "merge")
        git(self.origin, "merge", "-q", "--no-ff", "-m", "merge", "change")
        git(self.origin, "checkout", "-q", "main")
        self.folder = folder

    def clone(self, branch: str, *options: str) -> Git:
        target = self.folder / "clone"
        git(self.folder, "clone", "-q", *options, "-b", branch, self.origin.as_uri(), str(target))
        return Git(target)

    def pull_request(self) -> dict[str, Any]:
        return {"pull_request": {"head": {"sha": self.five}, "base": {"ref": "main", "sha": self.three}}}


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def commit(base: Base | None) -> str | None:
    return base.commit if base else None


def test_a_pull_requests_merge_commit_has_the_base_as_first_parent(story: Story) -> None:
    here = story.clone("merge")
    base = find_base(here, "pull_request", story.pull_request())
    assert commit(base) == story.three
    assert "main" in (base.how if base else "")


def test_a_pull_requests_head_is_compared_where_it_left_the_base(story: Story) -> None:
    here = story.clone("change")
    assert commit(find_base(here, "pull_request", story.pull_request())) == story.two


def test_without_the_branch_the_events_base_commit_serves(story: Story) -> None:
    here = story.clone("change", "--single-branch")
    git(here.folder, "fetch", "-q", "origin", story.three)
    assert commit(find_base(here, "pull_request", story.pull_request())) == story.two


@pytest.mark.parametrize("branch", ["merge", "change"])
def test_a_shallow_pull_request_names_the_remedy(story: Story, branch: str) -> None:
    here = story.clone(branch, "--depth", "1")
    with pytest.raises(InputError) as error:
        find_base(here, "pull_request", story.pull_request())
    assert error.value.code == "base-not-fetched"
    assert "fetch-depth: 0" in (error.value.hint or "")


def test_a_push_is_compared_with_what_was_there_before(story: Story) -> None:
    here = story.clone("main")
    assert commit(find_base(here, "push", {"before": story.one})) == story.one
    assert commit(find_base(here, "push", {"before": "0" * 40})) == story.two  # a new branch
    assert commit(find_base(here, "push", {"before": "1" * 40})) == story.two  # a forced push: not here any more
    assert commit(find_base(here, "schedule", {})) == story.two


def test_a_merge_group_names_its_base(story: Story) -> None:
    here = story.clone("merge")
    assert commit(find_base(here, "merge_group", {"merge_group": {"base_sha": story.three}})) == story.three
    with pytest.raises(InputError, match="not in this clone"):
        find_base(here, "merge_group", {"merge_group": {"base_sha": "1" * 40}})


def test_at_a_terminal(story: Story) -> None:
    here = story.clone("change")
    assert commit(find_base(here)) == story.two
    git(here.folder, "checkout", "-q", "main")
    assert commit(find_base(here)) == story.two  # a clean default branch: the commit before
    (here.folder / "one").write_text("edited")
    assert commit(find_base(here)) == story.three  # unsaved work: the last commit


def test_a_revision_that_was_named(story: Story) -> None:
    here = story.clone("change")
    assert find_base(here, explicit="main") == Base(story.three, "`main`")  # found as origin/main
    assert commit(find_base(here, explicit=story.one[:12])) == story.one
    assert commit(find_base(here, explicit="auto")) == story.two
    with pytest.raises(InputError) as error:
        find_base(here, explicit="v1")
    assert error.value.code == "base-not-fetched"


def test_nothing_to_compare_with(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    assert find_base(Git(tmp_path)) is None
    only = step(tmp_path, "only")
    assert find_base(Git(tmp_path), "push", {"before": "0" * 40}) is None
    assert find_base(Git(tmp_path)) is None
    assert commit(find_base(Git(tmp_path), explicit="main")) == only
