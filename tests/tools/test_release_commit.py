"""A release is a commit of its own: made once, tags move forward only, in one push or none; real Git on both ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import release_commit  # noqa: E402
import release_notes  # noqa: E402
from release_tree import ReleaseError  # noqa: E402


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A clone with one commit, and its remote."""
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    git(tmp_path, "clone", "--quiet", "remote.git", "source")
    folder = tmp_path / "source"
    (folder / "code.py").write_text("1\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "code")
    git(folder, "push", "--quiet", "origin", "HEAD:main")
    return folder


def tree(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / f"tree-{text}"
    (folder / "check-drift").mkdir(parents=True, exist_ok=True)
    (folder / "check-drift" / "action.yml").write_text(text)
    (folder / ".gitignore").write_text("*.yml\n")
    return folder


def tags(tmp_path: Path) -> dict[str, str]:
    lines = git(tmp_path / "remote.git", "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/tags")
    return dict(line.split(" ") for line in lines.splitlines())


def test_the_commit_holds_the_tree_and_names_its_source(tmp_path: Path, source: Path) -> None:
    made = release_commit.release(source, tree(tmp_path, "a"), "1.2.3", "origin", image="docker://x@sha256:1")
    assert set(tags(tmp_path).values()) == {made.commit}
    assert set(tags(tmp_path)) == {"v1.2.3", "v1.2", "v1"}
    remote = tmp_path / "remote.git"
    assert git(remote, "ls-tree", "-r", "--name-only", "v1.2.3") == ".gitignore\ncheck-drift/action.yml"
    head = git(source, "rev-parse", "HEAD")
    assert git(remote, "rev-list", "--count", "v1.2.3") == "1"
    message = git(remote, "show", "--no-patch", "--format=%B", "v1.2.3")
    assert f"source: {head}" in message
    assert "image: docker://x@sha256:1" in message
    assert git(source, "status", "--porcelain") == ""


def test_a_second_run_changes_nothing(tmp_path: Path, source: Path) -> None:
    first = release_commit.release(source, tree(tmp_path, "a"), "1.2.3", "origin")
    before = tags(tmp_path)
    again = release_commit.release(source, tree(tmp_path, "a"), "v1.2.3", "origin")
    assert (again.commit, again.tags, again.existed) == (first.commit, (), True)
    assert tags(tmp_path) == before


def test_a_version_is_never_moved(tmp_path: Path, source: Path) -> None:
    release_commit.release(source, tree(tmp_path, "a"), "1.2.3", "origin")
    before = tags(tmp_path)
    with pytest.raises(ReleaseError, match="never moved"):
        release_commit.release(source, tree(tmp_path, "b"), "1.2.3", "origin")
    assert tags(tmp_path) == before


def test_a_fix_for_an_old_series_does_not_take_users_back(tmp_path: Path, source: Path) -> None:
    release_commit.release(source, tree(tmp_path, "a"), "1.2.3", "origin")
    new = release_commit.release(source, tree(tmp_path, "b"), "1.10.0", "origin")
    old = release_commit.release(source, tree(tmp_path, "c"), "1.2.4", "origin")
    assert tags(tmp_path)["v1"] == new.commit
    assert tags(tmp_path)["v1.2"] == old.commit
    # Each follows the release before it, and a run again of an earlier one finds it.
    assert git(tmp_path / "remote.git", "rev-parse", "v1.2.4^", "v1.10.0^").split() == [tags(tmp_path)["v1.2.3"]] * 2
    assert release_commit.release(source, tree(tmp_path, "b"), "1.10.0", "origin").tags == ()


def test_a_refused_push_leaves_no_tag(tmp_path: Path, source: Path) -> None:
    hook = tmp_path / "remote.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho tags are protected >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(ReleaseError, match="tags are protected"):
        release_commit.release(source, tree(tmp_path, "a"), "1.2.3", "origin")
    assert tags(tmp_path) == {}


@pytest.mark.parametrize("text", ["1.2", "1.2.3-rc1", "latest", "1.2.3; rm -rf /"])
def test_what_is_no_version_is_refused(tmp_path: Path, source: Path, text: str) -> None:
    with pytest.raises(ReleaseError, match=r"not of the form 1\.2\.3"):
        release_commit.release(source, tree(tmp_path, "a"), text, "origin")


def test_notes_are_what_stands_below_the_version() -> None:
    changelog = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-21\n\n### Added\n\n- a\n"
    changelog += "\n## [1.2.2] - 2026-01-01\n\n- b\n"
    assert release_notes.notes(changelog, "1.2.3") == "### Added\n\n- a\n"
    assert release_notes.notes(changelog, "1.2.2") == "- b\n"


@pytest.mark.parametrize(
    ("changelog", "words"),
    [
        ("## [Unreleased]\n- a\n", "no entry"),
        ("## [1.2.3]\n- a\n", "no date"),
        ("## [1.2.3] - 2026-11-21\n\n## [1.2.2] - 2026-01-01\n- b\n", "says nothing"),
    ],
)
def test_notes_that_are_missing_stop_the_release(changelog: str, words: str) -> None:
    with pytest.raises(ReleaseError, match=words):
        release_notes.notes(changelog, "1.2.3")
