"""pull-data beside `dvc pull` on repositories that people really have, and what a change may not decide."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.pull import Result, act, commit, dvc, refused, sh, write


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def on_remote(top: Path, text: str) -> None:
    write(top / "remote/files/md5" / md5(text)[:2] / md5(text)[2:], text)


def kept(text: str, path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "hash": "md5", "md5": md5(text), "size": len(text), **more}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A DVC project with a remote in a folder, before its first commit."""
    folder = tmp_path / "repo"
    folder.mkdir()
    sh(folder, "git", "init", "-q", "-b", "main")
    dvc(folder, "init")
    dvc(folder, "remote", "add", "-d", "store", str(tmp_path / "remote"))
    (tmp_path / "remote").mkdir()
    write(folder / ".gitignore", "results/\n")
    return folder


def lock(folder: Path, plan: str, stages: dict[str, list[dict[str, Any]]]) -> None:
    """``dvc.yaml`` and a ``dvc.lock`` with the outputs of each stage."""
    write(folder / "dvc.yaml", plan)
    content = {"schema": "2.0", "stages": {name: {"cmd": "c", "outs": outs} for name, outs in stages.items()}}
    write(folder / "dvc.lock", json.dumps(content))


def test_a_stage_renamed_and_back_leaves_an_entry_that_is_not_data(project: Path) -> None:
    """treeverse/dvc#5293: the lock keeps the entry of the name between, with another hash of the same file."""
    lock(
        project,
        "stages: {train: {cmd: c, outs: [model.txt]}}\n",
        {"train": [kept("v3", "model.txt")], "fit": [kept("v2", "model.txt")]},
    )
    on_remote(project.parent, "v3")
    commit(project, "x")
    result = act(project, {"base-revision": "none"})
    assert result.code == 0, result.log
    assert (project / "model.txt").read_text() == "v3"


def test_metrics_that_moved_from_the_cache_to_git(project: Path) -> None:
    """The old stage cached metrics.json, the new one leaves it to Git: nothing to pull, nothing wrong on the remote."""
    lock(
        project,
        "stages: {evaluate: {cmd: c, metrics: [{metrics.json: {cache: false}}]}}\n",
        {"evaluate": [kept("new", "metrics.json")], "train": [kept("old", "metrics.json")]},
    )
    write(project / "metrics.json", "new")
    commit(project, "x")
    result = act(project, {"base-revision": "none"})
    assert result.code == 0, result.log
    assert (project / "metrics.json").read_text() == "new"


def test_what_is_never_pushed_is_named_and_not_demanded(project: Path) -> None:
    lock(
        project,
        "stages: {prep: {cmd: c, outs: [{tmp.txt: {push: false}}, soil.csv]}}\n",
        {"prep": [kept("tmp", "tmp.txt"), kept("soil", "soil.csv")]},
    )
    on_remote(project.parent, "soil")
    commit(project, "x")
    result = act(project, {"base-revision": "none"})
    assert (result.code, result.record.status) == (0, "passed"), result.log
    assert [finding.code for finding in result.record.findings] == ["never-pushed"]
    assert [(piece.state, piece.name) for piece in result.record.coverage or [] if piece.kind == "data"] == [
        ("looked", ""),
        ("not-applicable", "tmp.txt"),
    ]


def test_of_a_removed_stage_nothing_is_demanded(project: Path) -> None:
    lock(
        project,
        "stages: {fit: {cmd: c, outs: [m.txt]}}\n",
        {"fit": [kept("m", "m.txt")], "prep": [kept("gone", "tmp.txt")]},
    )
    on_remote(project.parent, "m")
    commit(project, "x")
    assert act(project, {"base-revision": "none"}).code == 0


def test_a_lock_of_dvc_1_is_told_with_its_cure(project: Path) -> None:
    write(project / "dvc.yaml", "stages: {fit: {cmd: c, outs: [m.txt]}}\n")
    write(project / "dvc.lock", f"fit:\n  cmd: c\n  outs:\n  - path: m.txt\n    md5: {md5('m')}\n")
    commit(project, "x")
    result = act(project, {"base-revision": "none"})
    refused(result, 2, "old-dvc-lock", "dvc.lock", "DVC 1")
    assert "schema: '2.0'" in (result.record.findings[0].hint or "")
    # The cure is one: lines on top, all others indented.
    old = (project / "dvc.lock").read_text().splitlines()
    write(project / "dvc.lock", "\n".join(["schema: '2.0'", "stages:", *(f"  {line}" for line in old)]) + "\n")
    write(project.parent / "remote" / md5("m")[:2] / md5("m")[2:], "m")  # where DVC 1 put it
    commit(project, "cured")
    assert act(project, {"base-revision": "none"}).code == 0


def test_wrong_content_that_a_restored_cache_held_is_not_the_remotes_fault(project: Path) -> None:
    """The remote never held it: the cache was wrong, and that the remote lacks the file is all that is known."""
    write(project / "a.csv.dvc", f"outs:\n- {json.dumps(kept('a', 'a.csv'))}\n")
    write(project / ".dvc/cache/files/md5" / md5("a")[:2] / md5("a")[2:], "not a")
    commit(project, "x")
    refused(act(project, {"base-revision": "none"}), 3, "missing-on-remote", "a.csv")


def test_an_import_without_download_comes_as_with_dvc(project: Path) -> None:
    write(project / "elsewhere/ext.csv", "x\n")
    deps = f"deps:\n- {json.dumps(kept('x', '../elsewhere/ext.csv') | {'md5': md5(chr(120) + chr(10)), 'size': 2})}\n"
    write(project / "data/ext.csv.dvc", f"frozen: true\n{deps}outs:\n- {{hash: md5, path: ext.csv}}\n")
    commit(project, "x")
    result = act(project, {"base-revision": "none"})
    assert result.code == 0, result.log
    assert (project / "data/ext.csv").read_text() == "x\n"


def test_an_import_from_a_folder_outside_is_never_read(project: Path) -> None:
    write(project.parent / "secret/id_rsa", "key")
    deps = f"deps:\n- {{path: ../secret/id_rsa, md5: {md5('key')}, hash: md5, size: 3}}\n"
    write(project / "ext.csv.dvc", f"frozen: true\n{deps}outs:\n- {{hash: md5, path: ext.csv}}\n")
    commit(project, "x")
    refused(act(project, {"base-revision": "none"}), 2, "import-source-refused", "ext.csv", "outside")
    assert not (project / "ext.csv").exists()


def pull_request(folder: Path, base: str) -> dict[str, Any]:
    head = sh(folder, "git", "rev-parse", "HEAD")
    event = {"pull_request": {"number": 1, "head": {"sha": head}, "base": {"ref": "main", "sha": base}}}
    return {"event": event, "event_name": "pull_request"}


def judged(folder: Path, base: str, given: dict[str, str] | None = None) -> Result:
    return act(folder, given or {}, **pull_request(folder, base))


def test_a_change_does_not_choose_the_remote(project: Path) -> None:
    write(project / "a.csv.dvc", f"outs:\n- {json.dumps(kept('a', 'a.csv'))}\n")
    on_remote(project.parent, "a")
    base = commit(project, "base")
    sh(project, "git", "switch", "-qc", "change")
    shutil.copytree(project.parent / "remote", project.parent / "evil")
    dvc(project, "remote", "modify", "store", "url", str(project.parent / "evil"))
    (project.parent / "evil/files/md5" / md5("a")[:2] / md5("a")[2:]).unlink()
    commit(project, "another remote")
    result = judged(project, base)
    assert (result.code, result.record.status) == (0, "warned"), result.log
    assert [finding.code for finding in result.record.findings] == ["remotes-changed"]
    assert (project / "a.csv").read_text() == "a"  # from the base's remote


def test_a_change_does_not_choose_a_source(project: Path) -> None:
    base = commit(project, "base")
    sh(project, "git", "switch", "-qc", "change")
    dep = {"path": "http://127.0.0.1:9/x.csv", "etag": "1", "size": 1}
    write(
        project / "x.csv.dvc", f"frozen: true\ndeps:\n- {json.dumps(dep)}\nouts:\n- {json.dumps(kept('x', 'x.csv'))}\n"
    )
    commit(project, "an import")
    refused(judged(project, base), 2, "import-source-refused", "x.csv", "127.0.0.1:9")
    on_remote(project.parent, "x")
    result = judged(project, base)
    assert (result.code, result.record.findings[0].code) == (0, "import-source-changed"), result.log
    assert (project / "x.csv").read_text() == "x"


@pytest.mark.parametrize("option", ["configpath", "credentialpath", "keyfile", "ssl_verify"])
def test_settings_that_name_files_of_the_repository_are_refused(project: Path, option: str) -> None:
    with (project / ".dvc/config").open("a") as stream:
        stream.write(f"    {option} = ../aws/config\n")
    commit(project, "x")
    refused(act(project, {"base-revision": "none"}), 2, "dvc-config-file", option)


def test_settings_for_one_machine_are_not_taken_from_git(project: Path) -> None:
    write(project / ".dvc/config.local", "[core]\n    remote = store\n")
    sh(project, "git", "add", "-f", ".dvc/config.local")
    commit(project, "x")
    refused(act(project, {"base-revision": "none"}), 2, "dvc-config-in-git")


def test_a_folder_whose_listing_names_files_outside_is_not_written(project: Path) -> None:
    listing = json.dumps([{"md5": md5("evil"), "relpath": "../../outside.txt"}])
    name = md5(listing) + ".dir"
    write(project / "d.dvc", f"outs:\n- {{md5: {name}, hash: md5, path: d, nfiles: 1, size: 4}}\n")
    write(project.parent / "remote/files/md5" / name[:2] / name[2:], listing)
    on_remote(project.parent, "evil")
    commit(project, "x")
    refused(act(project, {"base-revision": "none"}), 2, "unsafe-listing", "outside.txt")
    assert not (project.parent / "outside.txt").exists()


def test_a_hash_that_is_a_path_deletes_nothing(project: Path) -> None:
    victim = project.parent / "id_rsa"
    victim.write_text("key")
    for name in (f"ab{victim}", "../../../../id_rsa", "A" * 32):
        write(project / "a.csv.dvc", f"outs:\n- {{md5: {name}, hash: md5, path: a.csv}}\n")
        refused(act(project, {"base-revision": "none"}), 2, "invalid-dvc-file", "a.csv.dvc")
    assert victim.read_text() == "key"


def test_a_link_out_of_the_repository_is_not_written_through(project: Path) -> None:
    (project.parent / "outside").mkdir()
    (project / "data").symlink_to(project.parent / "outside")
    write(project / "a.csv.dvc", f"outs:\n- {json.dumps(kept('a', 'data/a.csv'))}\n")
    on_remote(project.parent, "a")
    commit(project, "x")
    refused(act(project, {"base-revision": "none"}), 2, "outside-workspace", "data")
    assert list((project.parent / "outside").iterdir()) == []


def test_a_base_that_cannot_be_read_is_said_and_not_an_error(project: Path) -> None:
    write(project / "dvc.yaml", "stages: [\n")
    base = commit(project, "broken")
    sh(project, "git", "switch", "-qc", "change")
    lock(project, "stages: {fit: {cmd: c, outs: [m.txt]}}\n", {"fit": [kept("m", "m.txt")]})
    on_remote(project.parent, "m")
    commit(project, "repaired")
    result = judged(project, base)
    assert (result.code, result.record.status) == (0, "warned"), result.log
    assert [finding.code for finding in result.record.findings] == ["base-unreadable"]
