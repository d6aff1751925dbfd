"""pull-data end to end: real Git, real DVC, a remote in a folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from flint_ml.dvc_project import pull
from flint_ml.dvc_project.cache import hash_at, object_path, read_at
from flint_ml.dvc_project.entries import tracked
from flint_ml.errors import InputError
from flint_ml.git.repository import Git
from helpers.pull import Origin, act, commit, dvc, fresh, make_origin, refused, remote, sh, write


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    return make_origin(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def clone(origin: Origin, tmp_path: Path) -> Path:
    """A fresh clone with a remote of its own, which a test may damage."""
    return fresh(origin, tmp_path)


def test_a_fresh_clone_gets_the_exact_bytes(origin: Origin, clone: Path) -> None:
    result = act(clone, {"base-revision": "origin/main"})
    assert result.code == 0, result.log
    for name in ["data/soil.csv", "model.txt", "predictions.csv", *(f"data/plots/p{n}.csv" for n in range(5))]:
        assert (clone / name).read_bytes() == (origin.repo / name).read_bytes()
    assert (result.record.status, result.record.badge.message) == ("passed", "complete")
    assert (result.outputs["files"], result.outputs["bytes"]) == (
        "8",
        str(
            sum(
                (clone / e).stat().st_size
                for e in ["data/soil.csv", "model.txt", "predictions.csv", *(f"data/plots/p{n}.csv" for n in range(5))]
            )
        ),
    )
    assert json.loads(result.outputs["changed"]) == ["data/plots", "data/soil.csv", "model.txt", "predictions.csv"]
    assert {f["path"]: f["md5"] for f in result.record.details["files"]}["data/soil.csv"] == hashlib.md5(
        b"soc\n1.5\n2.5\n"
    ).hexdigest()
    assert result.record.provenance.base_sha == origin.base
    assert sh(clone, "git", "status", "--porcelain", "--untracked-files=no") == ""
    dvc(clone, "status")
    git = Git(clone)
    for path, entry in tracked(git).items():  # our reading of DVC's hashes is DVC's
        assert hash_at(git, None, path) == entry.md5


def test_what_changed_is_in_record_and_table(clone: Path) -> None:
    result = act(clone, {"base-revision": "origin/main"})
    changes = result.record.details["changes"]
    rows = {row["path"]: row for row in changes["data"]}
    assert (rows["data/soil.csv"]["change"], rows["data/soil.csv"]["size"]) == ("modified", 12)
    assert rows["data/soil.csv"]["base_size"] == 8
    assert changes["params"] == [{"path": "depth", "base": 10, "head": 20}]
    assert (changes["code"], changes["gate"]) == ([], [])
    table = result.record.tables[0]
    assert [row[0] for row in table.rows] == list(rows)
    assert "4 changed against the base" in result.record.headline


def test_the_bases_metrics_are_in_the_cache_afterwards(origin: Origin, clone: Path) -> None:
    git = Git(clone)
    with pytest.raises(InputError) as missing:
        read_at(git, origin.base, "predictions.csv")
    assert missing.value.code == "not-in-cache"
    assert act(clone, {"base-revision": "main", "targets": "model.txt"}).code == 0
    assert read_at(git, origin.base, "predictions.csv") == b"soc\n1.5\n"
    assert not (clone / "predictions.csv").exists()  # a target was named, and it was not this one
    with pytest.raises(InputError):
        read_at(git, origin.base, "model.txt")  # nobody compares this


def test_what_the_change_left_as_it_was_comes_too_though_it_is_no_target(origin: Origin, clone: Path) -> None:
    """The base's predictions are those of dvc.lock here as well, yet nobody pulled them."""
    sh(clone, "git", "switch", "-q", "--detach", origin.base)
    write(clone / "params.yaml", "depth: 11\n")
    commit(clone, "another depth, not yet run")
    assert act(clone, {"base-revision": origin.base, "targets": "data/soil.csv"}).code == 0
    assert read_at(Git(clone), origin.base, "predictions.csv") == b"soc\n1.5\n"


def test_a_folder_that_the_settings_name_comes_from_the_base_too(origin: Origin, clone: Path) -> None:
    write(clone / "flint-ml.yml", "check-drift:\n  reference: data/plots\n")
    result = act(clone, {"base-revision": "main"})
    assert result.code == 0, result.log
    assert read_at(Git(clone), origin.base, "data/plots/p3.csv") == b"depth,soc\n10,3\n"
    changes = result.record.details["changes"]
    assert changes["gate"] == ["data/plots"]  # the reference is what drift is measured against
    rows = {row["path"]: row for row in changes["data"]}
    assert rows["data/plots"]["files"] == {"added": 1, "modified": 0, "deleted": 0}


def test_two_targets_and_no_more(clone: Path) -> None:
    result = act(clone, {"targets": "data/soil.csv.dvc\ndata/plots/p1.csv", "base-revision": "none"})
    assert result.code == 0, result.log
    assert (clone / "data/soil.csv").is_file()
    assert (clone / "data/plots/p1.csv").is_file()
    assert not (clone / "model.txt").exists()
    assert result.outputs["changed"] == "[]"
    assert result.record.details["changes"] is None


def test_another_revision_goes_into_the_cache_only(origin: Origin, clone: Path) -> None:
    result = act(clone, {"revision": "main", "base-revision": "none"})
    assert result.code == 0, result.log
    assert not (clone / "data/soil.csv").exists()
    assert read_at(Git(clone), origin.base, "data/soil.csv") == b"soc\n1.5\n"
    assert read_at(Git(clone), origin.base, "data/plots/p0.csv") == b"depth,soc\n10,0\n"
    here = act(clone, {"base-revision": "none"})
    assert here.outputs["fingerprint"] != result.outputs["fingerprint"]
    assert here.outputs["cache-key"] != result.outputs["cache-key"]


def test_a_second_run_changes_nothing(clone: Path) -> None:
    first = act(clone)
    second = act(clone)
    assert (first.code, second.code) == (0, 0)
    assert first.outputs["fingerprint"] == second.outputs["fingerprint"]
    assert first.outputs["cache-key"] == second.outputs["cache-key"]
    assert first.outputs["cache-key"].startswith("dvc-Linux-")


def remote_object(top: Path, content: bytes) -> Path:
    md5 = hashlib.md5(content).hexdigest()
    return top / "remote" / "files" / "md5" / md5[:2] / md5[2:]


def test_an_object_that_the_remote_lacks_stops_the_job(clone: Path, tmp_path: Path) -> None:
    remote_object(tmp_path, b"soc\n1.5\n2.5\n").unlink()
    result = act(clone)
    refused(result, 3, "missing-on-remote", "data/soil.csv", "predictions.csv")
    assert "dvc push" in (result.record.findings[0].hint or "")
    assert (clone / "model.txt").is_file()


def test_missing_data_can_be_allowed_and_is_never_silent(clone: Path, tmp_path: Path) -> None:
    remote_object(tmp_path, b"depth,soc\n10,2\n").unlink()
    result = act(clone, {"allow-missing": "true"})
    assert result.code == 0, result.log
    assert (result.record.status, result.record.badge.message) == ("warned", "1 missing")
    assert result.record.details["missing"] == ["data/plots/p2.csv"]
    assert "data/plots/p2.csv" in result.record.headline
    assert (clone / "data/soil.csv").is_file()


def test_wrong_content_on_the_remote_is_found_and_not_kept(clone: Path, tmp_path: Path) -> None:
    place = remote_object(tmp_path, b"soc\n1.5\n2.5\n")
    place.chmod(0o644)
    place.write_bytes(b"soc\n9.9\n9.9\n")
    place.chmod(0o444)  # DVC trusts what is read-only
    refused(act(clone), 3, "corrupt-object", "data/soil.csv")
    assert not (clone / "data/soil.csv").exists()
    assert b"9.9" not in b"".join(p.read_bytes() for p in (clone / ".dvc/cache").rglob("*") if p.is_file())
    place.unlink()
    write(place, "soc\n1.5\n2.5\n")
    assert act(clone).code == 0
    assert (clone / "data/soil.csv").read_bytes() == b"soc\n1.5\n2.5\n"


def test_a_corrupt_cache_is_mended_from_the_remote(clone: Path) -> None:
    assert act(clone).code == 0
    cached = object_path(clone / ".dvc/cache", hashlib.md5(b"soc\n1.5\n2.5\n").hexdigest())
    cached.chmod(0o644)
    cached.write_bytes(b"soc\n0.0\n0.0\n")
    cached.chmod(0o444)
    for name in ("data/soil.csv", "predictions.csv"):
        (clone / name).unlink()
    result = act(clone)
    assert result.code == 0, result.log
    assert (clone / "data/soil.csv").read_bytes() == b"soc\n1.5\n2.5\n"
    assert cached.read_bytes() == b"soc\n1.5\n2.5\n"


def test_local_changes_are_not_overwritten(clone: Path) -> None:
    write(clone / "data/soil.csv", "mine, never saved\n")
    refused(act(clone), 2, "local-changes", "data/soil.csv")
    assert (clone / "data/soil.csv").read_text() == "mine, never saved\n"


@pytest.mark.parametrize(
    ("given", "code", "word"),
    [
        ({"targets": "data/soli.csv"}, "bad-target", "data/soli.csv"),
        ({"remote": "stroe"}, "unknown-remote", "stroe"),
        ({"revision": "v9"}, "revision-not-fetched", "v9"),
        ({"base-revision": "v9"}, "base-not-fetched", "v9"),
    ],
)
def test_a_wrong_input_is_named(clone: Path, given: dict[str, str], code: str, word: str) -> None:
    refused(act(clone, given), 2, code, word)


def test_a_refusal_leaves_what_was_there(clone: Path) -> None:
    assert act(clone).code == 0
    before = {p: p.read_bytes() for p in (clone / "data").rglob("*") if p.is_file()}
    write(clone / "results/other.json.txt", "kept")
    assert act(clone, {"targets": "nowhere.csv"}).code == 2
    assert {p: p.read_bytes() for p in (clone / "data").rglob("*") if p.is_file()} == before
    assert (clone / "results/other.json.txt").read_text() == "kept"


def test_no_default_remote(clone: Path) -> None:
    (clone / ".dvc/config.local").unlink()
    write(clone / ".dvc/config", "")
    refused(act(clone), 2, "no-remote", "default")


def test_a_kind_of_remote_that_is_not_installed(clone: Path) -> None:
    remote(clone, "hdfs://cluster/data")
    refused(act(clone), 2, "missing-remote-extra", "hdfs")


def test_broken_dvc_files(clone: Path) -> None:
    write(clone / "dvc.lock", "stages:\n  train: [\n")
    result = act(clone)
    refused(result, 2, "invalid-yaml", "dvc.lock:")
    assert "file=dvc.lock" in result.annotations[0]


def test_a_pipeline_without_lock(clone: Path) -> None:
    (clone / "dvc.lock").unlink()
    refused(act(clone), 2, "no-dvc-lock", "train")
    result = act(clone, {"allow-missing": "true"})
    assert (result.code, result.record.status) == (0, "warned")
    assert (clone / "data/soil.csv").is_file()


def test_a_pipeline_that_was_never_run_in_the_base_either_is_only_named_where_that_is_allowed(clone: Path) -> None:
    """Else a repository with a second pipeline, for monitoring, would never be green."""
    write(clone / "monitor/dvc.yaml", "stages:\n  watch:\n    cmd: 'true'\n    outs: [seen.csv]\n")
    sh(clone, "git", "add", "-A")
    sh(clone, "git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a pipeline")
    refused(act(clone, {"base-revision": "HEAD"}), 2, "no-dvc-lock", "watch")
    result = act(clone, {"base-revision": "HEAD", "allow-missing": "true"})
    assert (result.code, result.record.status) == (0, "passed"), result.log
    assert any("`watch`" in finding.message for finding in result.record.findings)
    new = act(clone, {"base-revision": "HEAD~1", "allow-missing": "true"})
    assert (new.code, new.record.status) == (0, "warned"), "new here: the base has no such stage"


def test_a_stage_that_is_new_is_only_named(clone: Path) -> None:
    plan = (clone / "dvc.yaml").read_text()
    write(clone / "dvc.yaml", f"{plan}  later:\n    cmd: 'true'\n    outs: [later.csv]\n")
    result = act(clone)
    assert (result.code, result.record.status) == (0, "passed")
    assert "`later`" in result.record.findings[0].message


def test_a_repository_without_dvc_and_a_folder_without_git(tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    refused(act(folder), 2, "no-repository", "Git")
    sh(folder, "git", "init", "-q", "-b", "main")
    refused(act(folder), 2, "no-dvc", ".dvc")


def test_a_project_in_a_subfolder(tmp_path: Path) -> None:
    made = make_origin(tmp_path, "examples/soil")
    top = tmp_path / "top"
    top.mkdir()
    folder = fresh(made, top, subfolder="examples/soil")
    refused(act(folder, {"base-revision": "main"}), 2, "no-dvc")
    result = act(folder, {"base-revision": "main", "working-directory": "examples/soil"})
    assert result.code == 0, result.log
    assert (folder / "examples/soil/data/plots/p4.csv").read_bytes() == b"depth,soc\n10,9\n"
    assert json.loads(result.outputs["changed"])[1] == "examples/soil/data/soil.csv"
    old = read_at(Git(folder / "examples/soil"), made.base, "examples/soil/predictions.csv")
    assert old == b"soc\n1.5\n"


def test_a_shallow_clone_fails_only_where_the_base_is_needed(origin: Origin, tmp_path: Path) -> None:
    folder = fresh(origin, tmp_path, "--depth", "1")
    pull_request = {"pull_request": {"head": {"sha": origin.head}, "base": {"ref": "main", "sha": origin.base}}}
    result = act(folder, event=pull_request, event_name="pull_request")
    refused(result, 2, "base-not-fetched")
    assert "fetch-depth: 0" in (result.record.findings[0].hint or "")
    refused(act(folder, {"base-revision": "main"}), 2, "base-not-fetched", "shallow")
    pushed = act(folder, event={"before": origin.base}, event_name="push")
    assert (pushed.code, pushed.record.status) == (0, "passed")
    assert "fetch-depth: 0" in (pushed.record.findings[0].hint or "")


def test_an_outage_is_tried_again_and_then_named(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "WAITS", (0.0, 0.0))
    remote(clone, "http://user:hunter2x@127.0.0.1:9/store")
    result = act(clone)
    refused(result, 3, "remote-unreachable")
    assert result.log.count("attempt ") == 2
    assert "hunter2x" not in result.log + result.record.to_json()
