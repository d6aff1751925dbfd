"""Git asked by its own command, on real repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from flint_ml.git.repository import Git


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x", "--allow-empty")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    here = Git(tmp_path)
    assert (here.root, here.commit("HEAD"), here.parents("HEAD"), here.present()) == (None, None, [], [])
    assert (here.shallow, here.dirty, here.default_branch()) == (False, False, None)


def test_files_at_a_revision_are_read_from_any_folder(repo: Path) -> None:
    first = commit(repo, {"a b.csv": "1\n", "sub/ä.csv": "2\n", "sub/empty": ""})
    commit(repo, {"a b.csv": "changed\n"})
    for folder in (repo, repo / "sub"):
        here = Git(folder)
        assert here.root == repo.resolve()
        assert here.show(first, "a b.csv") == b"1\n"
        assert here.files(first) == ["a b.csv", "sub/empty", "sub/ä.csv"]
        assert here.files(first, "sub") == ["sub/empty", "sub/ä.csv"]
        assert here.show(first, "sub") is None
        asked = ["a b.csv", "no such file", "sub", "sub/empty", "sub/ä.csv", "with\nbreak"]
        assert here.show_many(first, asked) == {"a b.csv": b"1\n", "sub/empty": b"", "sub/ä.csv": b"2\n"}
        assert here.show_many(first, []) == {}
        assert here.changed(first) == ["a b.csv"]


def test_the_working_tree_as_git_sees_it(repo: Path) -> None:
    commit(repo, {"kept": "", "deleted": "", ".gitignore": "ignored\n"})
    (repo / "deleted").unlink()
    (repo / "ignored").touch()
    (repo / "new").touch()
    assert sorted(Git(repo).present()) == [".gitignore", "kept", "new"]
    assert Git(repo).dirty
    assert Git(repo).changed("HEAD") == ["deleted"]


def test_an_option_is_no_revision(repo: Path) -> None:
    commit(repo, {"a": ""})
    assert Git(repo).commit("--all") is None
    assert Git(repo).commit("v1") is None


def test_ancestors(repo: Path) -> None:
    first = commit(repo, {"a": "1"})
    git(repo, "checkout", "-qb", "change")
    second = commit(repo, {"a": "2"})
    git(repo, "checkout", "-q", "main")
    third = commit(repo, {"b": "1"})
    git(repo, "merge", "-q", "--no-ff", "-m", "m", "change")
    here = Git(repo)
    assert here.parents("HEAD") == [third, second]
    assert here.parents(first) == []
    assert here.merge_base(second, third) == first
    assert here.default_branch() == "main"


def test_a_shallow_clone_ends_at_its_edge(repo: Path, tmp_path: Path) -> None:
    commit(repo, {"a": "1"})
    commit(repo, {"a": "2"})
    git(tmp_path, "clone", "-q", "--depth", "1", repo.as_uri(), "clone")
    here = Git(tmp_path / "clone")
    assert here.shallow
    assert here.parents("HEAD") == []
    assert here.default_branch() == "origin/main"
