"""What pull-data leaves: DVC agrees with it on every kind of link, nothing wrong or half-written is ever in place."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from flint_ml.dvc_project import tracked, transfer
from flint_ml.dvc_project.plan import Plan, progress_text
from flint_ml.dvc_project.pull import DvcProject
from flint_ml.dvc_project.transfer import CacheWriter, Delivery, FolderSource, object_key
from flint_ml.errors import OutsideError
from flint_ml.git import Git
from helpers.pull import Origin, act, commit, dvc, fresh, make_origin, sh, write


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    return make_origin(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def clone(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    return fresh(origin, tmp_path)


def make(path: str) -> None:
    Path(path).mkdir(parents=True, exist_ok=True)


def everything_in_order(project: Path, *, quick: bool = True) -> None:
    """DVC's own commands see nothing to do; ``quick``: and hash nothing again."""
    from dvc.repo import Repo
    from dvc_data.hashfile import build

    with contextlib.chdir(project), Repo() as repo:
        hashed: list[str] = []
        original = build.hash_file  # what DVC calls for a file that its state does not know

        def hash_file(path: str, *arguments: Any, **options: Any) -> Any:
            hashed.append(os.path.relpath(path, project))
            return original(path, *arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(build, "hash_file", hash_file)
            assert repo.status() == {}
        state = repo.data_status(granular=True, not_in_remote=True, remote_refresh=True)
        assert {name: rows for name, rows in state.items() if rows and name not in {"git", "unchanged"}} == {}
        assert repo.checkout(relink=False)["stats"] == {"added": 0, "deleted": 0, "modified": 0}
        assert repo.fetch() == 0
        assert not quick or [path for path in hashed if path.startswith(("data/", "model"))] == []
        for path in ("data/soil.csv", "data/plots") if quick else ():
            ours = repo.state.links[path]
            repo.state.save_link(str(project / path), repo.fs)
            assert repo.state.links[path] == ours  # the mark is DVC's


@pytest.mark.parametrize("kind", ["", "copy", "hardlink", "symlink", "hardlink,copy"])
def test_dvc_sees_nothing_to_do_afterwards(origin: Origin, clone: Path, kind: str) -> None:
    if kind:
        dvc(clone, "config", "--local", "cache.type", kind)
    result = act(clone, {"base-revision": "none"})
    assert result.code == 0, result.log
    assert "transferred by DVC" not in result.log
    for name in ("data/soil.csv", "data/plots/p3.csv"):
        assert (clone / name).read_bytes() == (origin.repo / name).read_bytes()
        stored = (
            clone / ".dvc/cache" / object_key((hashlib.md5((clone / name).read_bytes()).hexdigest(), False))
        ).stat()
        assert oct(stored.st_mode)[-3:] == "444"
        linked = (clone / name).is_symlink(), (clone / name).stat().st_ino == stored.st_ino
        assert linked == (kind == "symlink", kind.startswith(("hardlink", "symlink")))
    everything_in_order(clone)
    assert not list((clone / ".dvc/cache").glob("flint-ml*"))
    assert not list((clone / ".dvc/tmp/flint-ml").iterdir())


def test_the_plan_is_told_and_kept(clone: Path, tmp_path: Path) -> None:
    md5 = hashlib.md5(b"depth,soc\n10,2\n").hexdigest()
    (tmp_path / "remote" / object_key((md5, False))).unlink()
    result = act(clone, {"allow-missing": "true", "base-revision": "none"})
    plan = result.record.details["plan"]
    assert (plan["files"], plan["cached"], plan["coming"], plan["lacking"]) == (8, 0, 7, ["data/plots/p2.csv"])
    assert plan["bytes"] == sum(
        (clone / path).stat().st_size
        for path in ("data/soil.csv", "model.txt", *(f"data/plots/p{n}.csv" for n in (0, 1, 3, 4)))
    )
    assert "the remote lacks 1: data/plots/p2.csv" in result.log


def test_a_dry_run_says_what_a_pull_would_do_and_proves_nothing(clone: Path) -> None:
    result = act(clone, {"dry-run": "true", "base-revision": "none"})
    assert (result.code, result.record.status) == (0, "warned"), result.log
    assert "8 files needed, 0 in the cache, 8 to come (" in result.record.headline
    assert [piece.state for piece in result.record.coverage or [] if piece.kind == "data"] == ["left-out"]
    assert not (clone / "data/soil.csv").exists()
    held = [path.name for path in (clone / ".dvc/cache/files").rglob("*") if path.is_file()]
    assert len(held) == 1  # the folder's listing
    assert held[0].endswith(".dir")
    assert act(clone, {"base-revision": "none"}).code == 0
    again = act(clone, {"base-revision": "none"})
    assert (again.record.details["plan"]["files"], again.record.details["plan"]["cached"]) == (8, 8)


def test_a_full_disk_is_told_before_the_first_byte(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flint_ml.dvc_project.pull.shutil.disk_usage", lambda _: type("Free", (), {"free": 3})())
    result = act(clone, {"base-revision": "none"})
    assert (result.code, [finding.code for finding in result.record.findings]) == (3, ["disk-full"])
    assert not (clone / "data/soil.csv").exists()


def test_an_object_that_comes_short_is_asked_for_again_and_named(clone: Path, tmp_path: Path) -> None:
    file = tmp_path / "remote" / object_key((hashlib.md5(b"soc\n1.5\n2.5\n").hexdigest(), False))
    file.chmod(0o644)
    file.write_bytes(b"soc\n1.")
    result = act(clone, {"base-revision": "none"})
    assert (result.code, [finding.code for finding in result.record.findings]) == (3, ["corrupt-object"])
    assert "data/soil.csv" in result.record.findings[0].message
    assert "asked for once more" in result.log
    assert file.read_bytes() == b"soc\n1."  # the remote is left as it is
    assert not (clone / "data/soil.csv").exists()


class Killed(BaseException):
    """What a signal would do."""


@pytest.mark.parametrize("call", ["rename", "replace", "write", "link"])
@pytest.mark.parametrize("number", [1, 3])
def test_killed_anywhere_nothing_half_written_looks_whole(
    clone: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """The process stops before a call of the system; the next run ends well, and nothing in between was wrong."""
    if call == "link":
        dvc(clone, "config", "--local", "cache.type", "hardlink")
    original, calls = getattr(os, call), []

    def stop(*arguments: Any, **options: Any) -> Any:
        if "flint-ml" not in str(arguments[0]) + str(arguments[-1]) and not isinstance(arguments[0], int):
            return original(*arguments, **options)
        calls.append(arguments)
        if len(calls) == number:
            raise Killed
        return original(*arguments, **options)

    project = DvcProject(clone, say=lambda _: None)
    entries = [*tracked(Git(clone)).values()]
    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(os, call, stop)
        project.fetch(entries)
        project.checkout(entries)
    for path in (clone / ".dvc/cache/files").rglob("*"):
        if path.is_file():
            assert hashlib.md5(path.read_bytes()).hexdigest() == (path.parent.name + path.name)[:32]
    result = act(clone, {"base-revision": "none"})
    assert result.code == 0, result.log
    everything_in_order(clone, quick=False)


def test_two_runs_fill_one_cache(tmp_path: Path) -> None:
    content = {hashlib.md5(text).hexdigest(): text for text in (b"%d" % n for n in range(300))}
    for md5, text in content.items():
        path = tmp_path / "remote" / object_key((md5, False))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    names = sorted((md5, False) for md5 in content)
    cache = tmp_path / "cache"
    with CacheWriter(cache, make) as ours:
        with CacheWriter(cache, make) as theirs:
            for writer in (ours, theirs):
                delivery = Delivery()
                FolderSource(str(tmp_path / "remote"), 4).bring(names, writer, delivery)
                assert (delivery.files, delivery.missing, delivery.corrupt) == (300, set(), set())
        assert ours.store(names[0], content[names[0][0]])  # the other's end leaves our folder alone
    assert transfer.lacking(str(cache), names) == set()
    assert not (cache / "flint-ml.tmp").exists()


def test_large_objects_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "SMALL_BYTES", 1_000)
    monkeypatch.setattr(transfer, "_FIRST_BYTES", 100)
    with CacheWriter(tmp_path / "cache", make) as writer:
        for size in (0, 99, 100, 101, 999, 1_000, 2_500):
            data = os.urandom(size)
            for wrong in (False, True):
                name = (hashlib.md5(data + b"x" * wrong).hexdigest(), False)
                path = tmp_path / "remote" / object_key(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                delivery = Delivery()
                FolderSource(str(tmp_path / "remote")).bring([name], writer, delivery)
                assert (delivery.bytes, delivery.corrupt) == ((0, {name}) if wrong else (size, set()))
                assert transfer.lacking(str(tmp_path / "cache"), [name]) == ({name} if wrong else set())


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    old = tmp_path / "flint-ml.tmp/old"
    write(old / "1.abc", "half")
    os.utime(old, (0, 0))
    with CacheWriter(tmp_path, make):
        assert not old.exists()


def test_progress_and_plan_in_words() -> None:
    assert (
        progress_text(Delivery(25, 10_000_000), 100, 40_000_000, 10.0)
        == "25 of 100 files, 10.0 MB of 40.0 MB, 1.0 MB/s, about 30 s left"
    )
    assert progress_text(Delivery(), 100, None, 5.0) == "0 of 100 files, 0 bytes, 0 bytes/s"
    plan = Plan(10, 4, 5, None, ("a.csv",), 5_000_000, by="DVC (a remote of the kind ssh)")
    assert plan.words() == (
        "10 files needed, 4 in the cache, 5 to come (of unknown size); the remote lacks 1: a.csv; 5.0 MB free; "
        "transferred by DVC (a remote of the kind ssh)"
    )
    with pytest.raises(OutsideError):
        Plan(bytes=2, free=1).refuse_full_disk()


def test_an_executable_and_an_old_hash_stay_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    folder = tmp_path / "repo"
    folder.mkdir()
    sh(folder, "git", "init", "-q", "-b", "main")
    dvc(folder, "init")
    dvc(folder, "remote", "add", "-d", "store", str(tmp_path / "remote"))
    run, old = b"#!/bin/sh\n", b"a\r\nb\r\n"
    md5, old_md5 = hashlib.md5(run).hexdigest(), hashlib.md5(old.replace(b"\r\n", b"\n")).hexdigest()
    write(folder / "run.sh.dvc", json.dumps({"outs": [{"md5": md5, "hash": "md5", "path": "run.sh", "isexec": True}]}))
    write(folder / "old.csv.dvc", json.dumps({"outs": [{"md5": old_md5, "path": "old.csv"}]}))
    for name, data in (((md5, False), run), ((old_md5, True), old)):
        path = tmp_path / "remote" / object_key(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    commit(folder, "x")
    result = act(folder, {"base-revision": "none"})
    assert result.code == 0, result.log
    assert (folder / "old.csv").read_bytes() == old
    assert os.access(folder / "run.sh", os.X_OK)
    from dvc.repo import Repo

    with contextlib.chdir(folder), Repo() as repo:
        assert repo.status() == {}
