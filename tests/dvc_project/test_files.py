"""DVC's files read without DVC. That DVC itself agrees is tested in tests/actions/test_pull_data.py."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from flint_ml.dvc_project.cache import cache_dir, cached, hash_at, members, object_path, read_at
from flint_ml.dvc_project.entries import folder_md5, tracked, unreadable
from flint_ml.errors import InputError
from flint_ml.git.repository import Git


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def commit(folder: Path) -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "x")
    return git("rev-parse", "HEAD")


def dvc_file(path: Path, text: str, *, more: str = "", out: str = "") -> None:
    write(path, f"{more}outs:\n- md5: {md5(text)}\n  size: {len(text)}\n  hash: md5\n  path: {path.stem}\n{out}")


def keep(cache: Path, text: str, name: str | None = None) -> None:
    write(object_path(cache, name or md5(text)), text)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """One DVC project at the top, one in `sub`, a folder under DVC, a pipeline."""
    folder = tmp_path / "repo"
    write(folder / ".dvc/config", "")
    write(folder / "sub/.dvc/config", "[core]\n    autostage = true\n[cache]\n    dir = ../../../shared\n")
    dvc_file(folder / "data/soil.csv.dvc", "one")
    dvc_file(folder / "sub/soil.csv.dvc", "two")
    write(
        folder / "dvc.yaml",
        """
stages:
  fit:
    cmd: c
    wdir: work
    outs: [model.bin]
    metrics: [{metrics.json: {cache: false}}]
  split:
    foreach: [a, b]
    do: {cmd: c, outs: ["${item}.csv", {"${item}.json": {cache: false}}]}
  never: {cmd: c, outs: [never.csv]}
""",
    )
    write(
        folder / "dvc.lock",
        f"""
schema: '2.0'
stages:
  fit:
    cmd: c
    outs:
    - {{path: model.bin, hash: md5, md5: {md5("model")}, size: 5}}
    - {{path: metrics.json, hash: md5, md5: {md5("{}")}, size: 2}}
  split@a:
    cmd: c
    outs:
    - {{path: a.csv, hash: md5, md5: {md5("a")}, size: 1}}
    - {{path: a.json, hash: md5, md5: {md5("b")}, size: 1}}
""",
    )
    listing = [{"md5": md5("p1"), "relpath": "p1.csv"}, {"md5": md5("p2"), "relpath": "x/p2.csv"}]
    name = folder_md5({"p1.csv": md5("p1"), "x/p2.csv": md5("p2")})
    write(folder / "plots.dvc", f"outs:\n- md5: {name}\n  size: 4\n  nfiles: 2\n  hash: md5\n  path: plots\n")
    write(folder / "notes.txt", "in Git\n")
    keep(folder / ".dvc/cache", json.dumps(listing), name)
    keep(folder / ".dvc/cache", "p2")
    keep(tmp_path / "shared", "two")
    write(folder / ".gitignore", "cache\n")
    return folder


def test_everything_that_dvc_keeps(repo: Path) -> None:
    head = commit(repo)
    for revision in (head, None):
        found = tracked(Git(repo / "sub"), revision)
        assert list(found) == ["a.csv", "data/soil.csv", "plots", "sub/soil.csv", "work/model.bin"]
        assert (found["plots"].is_dir, found["plots"].nfiles) == (True, 2)
        assert (found["data/soil.csv"].source, found["work/model.bin"].source) == (True, False)
        assert found["a.csv"].stage == "dvc.yaml:split@a"
        assert (found["sub/soil.csv"].root, found["data/soil.csv"].root) == ("sub", "")


def test_a_revision_does_not_see_the_working_tree(repo: Path) -> None:
    head = commit(repo)
    (repo / "plots.dvc").unlink()
    dvc_file(repo / "data/new.csv.dvc", "new")
    assert "plots" in tracked(Git(repo), head)
    assert "data/new.csv" not in tracked(Git(repo), head)
    assert "plots" not in tracked(Git(repo))
    assert "data/new.csv" in tracked(Git(repo))


def test_unusual_dvc_files(tmp_path: Path) -> None:
    write(tmp_path / ".dvc/config", "")
    dvc_file(tmp_path / "own.csv.dvc", "x", out="  remote: other\n")
    dvc_file(tmp_path / "imp.csv.dvc", "x", more="frozen: true\ndeps:\n- path: s3://bucket/x\n")
    dvc_file(tmp_path / "d/moved.csv.dvc", "x", more="wdir: ../elsewhere\n")
    dvc_file(tmp_path / "git.csv.dvc", "x", out="  cache: false\n")
    write(tmp_path / "old.csv.dvc", f"outs:\n- md5: {md5('x')}\n  path: old.csv\n")
    write(tmp_path / "away.dvc", f"outs:\n- md5: {md5('x')}\n  hash: md5\n  path: ../away\n")
    write(tmp_path / "todo.dvc", "outs:\n- path: todo\n")
    write(tmp_path / "cloud.dvc", f"outs:\n- path: cloud\n  files:\n  - {{relpath: a, md5: {md5('x')}, size: 1}}\n")
    write(tmp_path / "empty.dvc", "")
    x = md5("x")
    write(
        tmp_path / "later.csv.dvc",
        f"deps:\n- {{path: ../x.csv, md5: {md5('x')}}}\nouts:\n- path: later.csv\n  hash: md5\n",
    )
    write(
        tmp_path / "no.dvc",
        f"outs:\n- {{md5: {md5('x')}, hash: md5, path: no, size: 0o17, isexec: true, push: false}}\n",
    )
    write(tmp_path / "old.dvc", f"cmd: make\nouts: [{{md5: {x}, path: made.bin}}]\n")
    write(
        tmp_path / "repo.dvc",
        f"deps: [{{path: d, repo: {{url: 'https://x/y'}}}}]\nouts: [{{md5: {md5('x')}, path: repo}}]\n",
    )
    commit(tmp_path)
    found = tracked(Git(tmp_path))
    names = ["cloud", "elsewhere/moved.csv", "imp.csv", "later.csv", "made.bin", "no", "old.csv", "own.csv", "repo"]
    assert sorted(found) == names
    later, no = found["later.csv"], found["no"]
    assert (later.partial, later.md5, later.origin) == (True, md5("x"), "../x.csv")
    assert (no.executable, no.pushed, no.size, no.source) == (True, False, None, True)
    assert (found["made.bin"].source, found["repo"].origin) == (False, "https://x/y d")
    assert (found["own.csv"].remote, found["imp.csv"].origin, found["old.csv"].legacy) == (
        "other",
        "s3://bucket/x",
        True,
    )
    assert found["cloud"].md5 == folder_md5({"a": md5("x")})
    assert object_path(Path("c"), "abcd", legacy=True) == Path("c/ab/cd")


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("dvc.lock", "stages: [\n", "invalid-yaml"),
        ("dvc.lock", "fit: {cmd: c}\n", "old-dvc-lock"),
        ("dvc.yaml", "stages: 3\n", "invalid-dvc-file"),
        ("dvc.yaml", "stages: {fit: {cmd: 'x ${nowhere}'}}\n", "invalid-dvc-file"),
        ("a.csv.dvc", "- 1\n", "invalid-dvc-file"),
        ("a.csv.dvc", "outs: 3\n", "invalid-dvc-file"),
        ("a.csv.dvc", "outs: [{path: a.csv, md5: ab/home/me/.ssh/id_rsa}]\n", "invalid-dvc-file"),
        ("a.csv.dvc", "outs: [\n", "invalid-yaml"),
    ],
)
def test_a_broken_file_is_named_and_of_a_revision_left_out(tmp_path: Path, name: str, text: str, code: str) -> None:
    write(tmp_path / "dvc.yaml", "stages: {fit: {cmd: c, outs: [o]}}\n")
    dvc_file(tmp_path / "good.csv.dvc", "one")
    write(tmp_path / name, text)
    head = commit(tmp_path)
    with pytest.raises(InputError) as error:
        tracked(Git(tmp_path))
    assert error.value.code == code
    assert name in (error.value.where or "")
    assert list(tracked(Git(tmp_path), head)) == ["good.csv"]
    (fault,) = unreadable(Git(tmp_path), head).values()
    assert (fault.code, name in (fault.where or "")) == (code, True)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "..", "a\\b", "a\0b"])
def test_a_listing_that_leaves_its_folder_is_refused(repo: Path, name: str) -> None:
    entry = tracked(Git(repo))["plots"]
    keep(repo / ".dvc/cache", json.dumps([{"md5": md5("p1"), "relpath": name}]), entry.md5)
    with pytest.raises(InputError) as error:
        members(repo, entry)
    assert (error.value.code, error.value.where) == ("unsafe-listing", "plots")


def test_a_listing_with_something_else_than_hashes_is_refused(repo: Path) -> None:
    entry = tracked(Git(repo))["plots"]
    keep(repo / ".dvc/cache", json.dumps([{"md5": "ab/../../../x", "relpath": "p1.csv"}]), entry.md5)
    with pytest.raises(InputError):
        members(repo, entry)


def test_a_folder_without_git(tmp_path: Path) -> None:
    dvc_file(tmp_path / "data/soil.csv.dvc", "one")
    assert list(tracked(Git(tmp_path))) == ["data/soil.csv"]


def test_the_cache_is_where_the_settings_say(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_dir(repo / "data") == repo / ".dvc/cache"
    assert cache_dir(repo / "sub") == tmp_path / "shared"
    write(repo / "sub/.dvc/config.local", "[cache]\n    dir = /elsewhere\n")
    assert cache_dir(repo / "sub") == Path("/elsewhere")
    write(tmp_path / "settings/dvc/config", "[cache]\n    dir = /global\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    assert cache_dir(repo) == Path("/global")
    write(repo / ".dvc/config", "[cache\n")  # broken: DVC will say so
    assert cache_dir(repo) == Path("/global")


def test_what_is_cached(repo: Path) -> None:
    commit(repo)
    found = tracked(Git(repo))
    assert cached(repo, found["sub/soil.csv"]) is not None
    assert cached(repo, found["plots"]) is not None
    assert cached(repo, found["data/soil.csv"]) is None


def test_content_at_a_revision(repo: Path) -> None:
    head = commit(repo)
    git = Git(repo)
    assert read_at(git, head, "notes.txt") == b"in Git\n"
    assert read_at(git, head, "sub/soil.csv") == b"two"
    assert read_at(git, head, "plots/x/p2.csv") == b"p2"
    assert read_at(git, head, "nowhere.csv") is None
    assert read_at(git, head, "plots/nowhere.csv") is None
    for path, code in (("data/soil.csv", "not-in-cache"), ("plots/p1.csv", "not-in-cache"), ("plots", "is-a-folder")):
        with pytest.raises(InputError) as error:
            read_at(git, head, path)
        assert error.value.code == code


def test_a_cache_that_holds_something_else_is_not_believed(repo: Path) -> None:
    head = commit(repo)
    write(object_path(repo / ".dvc/cache", md5("p2")), "other")
    with pytest.raises(InputError) as error:
        read_at(Git(repo), head, "plots/x/p2.csv")
    assert error.value.code == "not-in-cache"


def test_the_hash_does_not_depend_on_who_keeps_a_file(repo: Path) -> None:
    head = commit(repo)
    git = Git(repo)
    assert hash_at(git, head, "notes.txt") == hash_at(git, None, "notes.txt") == md5("in Git\n")
    assert hash_at(git, head, "data/soil.csv") == hash_at(git, None, "data/soil.csv") == md5("one")
    write(repo / "data/soil.csv", "edited")
    assert hash_at(git, None, "data/soil.csv") == md5("edited")
    assert hash_at(git, head, "plots/p1.csv") == md5("p1")
    write(repo / "plots/p1.csv", "p1")
    write(repo / "plots/x/p2.csv", "p2")
    assert hash_at(git, None, "plots") == hash_at(git, head, "plots")
    write(repo / "plots/x/p2.csv", "p3")
    assert hash_at(git, None, "plots") != hash_at(git, head, "plots")
    assert hash_at(git, None, "nowhere") is None
    assert hash_at(git, head, "nowhere") is None


def test_the_hash_of_a_folder_in_git(tmp_path: Path) -> None:
    write(tmp_path / "ref/a.csv", "a")
    write(tmp_path / "ref/b/b.csv", "b")
    head = commit(tmp_path)
    git = Git(tmp_path)
    expected = folder_md5({"a.csv": md5("a"), "b/b.csv": md5("b")})
    assert hash_at(git, head, "ref") == hash_at(git, None, "ref") == expected
    write(tmp_path / "ref/c.csv", "c")
    assert hash_at(git, None, "ref") != expected
