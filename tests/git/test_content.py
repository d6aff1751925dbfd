"""Line ends and Git LFS: the same content is the same, however the clone writes it, and a pointer is never data."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from flint_ml.dvc_project import hash_at, read_at
from flint_ml.errors import InputError
from flint_ml.git import Git
from flint_ml.runner import Context
from helpers.rasters import write as write_raster
from runner.test_authority import act

TABLE = "site,soc\n" + "".join(f"s{n},{n % 7}.5\n" for n in range(60))
# What `git lfs install` sets, with a store as Git LFS has it, so that nothing needs to be installed.
CLEAN = """#!/bin/sh
f=$(mktemp); cat > $f; o=$(sha256sum $f | cut -c1-64); s=$(wc -c < $f)
d=$(git rev-parse --git-common-dir)/lfs/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-4)
mkdir -p $d; mv $f $d/$o
printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n' $o $s
"""
SMUDGE = """#!/bin/sh
o=$(sed -n 's/^oid sha256://p')
cat $(git rev-parse --git-common-dir)/lfs/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-4)/$o
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.safecrlf=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, files: dict[str, str | bytes]) -> str:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    git(folder, "add", "-A", ":!flint-ml-results")
    git(folder, "commit", "-qm", "x", "--allow-empty")
    return git(folder, "rev-parse", "HEAD")


def made(folder: Path, **settings: str) -> Path:
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for name, value in settings.items():
        git(folder, "config", name.replace("_", "."), value)
    return folder


def fresh(folder: Path, *names: str) -> None:
    """Write files anew, as a checkout does."""
    for name in names:
        (folder / name).unlink()
        git(folder, "checkout", "-q", "--", name)


@pytest.mark.parametrize(
    ("settings", "attributes", "content", "same"),
    [
        ({"core_autocrlf": "true"}, "", TABLE, True),
        ({}, "*.csv text eol=crlf\n", TABLE, True),
        ({"core_eol": "crlf"}, "*.csv text\n", TABLE, True),
        ({"core_eol": "crlf"}, "* text=auto\n", TABLE, True),
        ({}, "*.csv -text\n", TABLE.replace("\n", "\r\n"), True),
        ({"core_autocrlf": "true"}, "", "x" * (1 << 20) + "\n\n" + "y\n" * 9, True),
    ],
)
def test_line_ends_of_the_clone_are_no_change(tmp_path: Path, settings, attributes, content, same) -> None:
    repo = made(tmp_path / "repo", **settings)
    first = commit(repo, {".gitattributes": attributes, "a.csv": content})
    fresh(repo, "a.csv")
    assert b"\r\n" in (repo / "a.csv").read_bytes(), "the clone writes other line ends"
    asked = Git(repo)
    assert (hash_at(asked, first, "a.csv") == hash_at(asked, None, "a.csv")) is same
    (repo / "a.csv").write_bytes((repo / "a.csv").read_bytes() + b"more\r\n")
    assert hash_at(asked, first, "a.csv") != hash_at(asked, None, "a.csv")


@pytest.mark.parametrize(
    ("attributes", "before", "after"),
    [
        ("", b"a\nb\n", b"a\r\nb\r\n"),
        ("* -text\n", b"a\nb\n", b"a\r\nb\r\n"),
        ("* text\n", b"a\0\nb\n", b"a\0\r\nb\n"),
        ("* text=auto\n", b"a\r\nb\n", b"a\r\nb\r\n"),
    ],
)
def test_bytes_that_git_keeps_are_a_change(tmp_path: Path, attributes: str, before: bytes, after: bytes) -> None:
    repo = made(tmp_path / "repo", core_autocrlf="false")
    first = commit(repo, {"a.bin": before})
    (repo / ".gitattributes").write_text(attributes)  # as a change could, to hide another
    (repo / "a.bin").write_bytes(after)
    asked = Git(repo)
    assert hash_at(asked, first, "a.bin") != hash_at(asked, None, "a.bin")


@pytest.fixture
def lfs(tmp_path: Path) -> Path:
    repo = made(tmp_path / "repo")
    for name, text in {"clean": CLEAN, "smudge": SMUDGE}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
        git(repo, "config", f"filter.lfs.{name}", str(tmp_path / name))
    write_raster(repo / "ref.tif", __import__("numpy").arange(10_000, dtype="float32").reshape(100, 100))
    predictions = "id,truth,prediction\n" + "".join(f"{n},{n},{n + n % 3}\n" for n in range(60))
    commit(
        repo,
        {
            ".gitattributes": "".join(f"*.{end} filter=lfs diff=lfs merge=lfs -text\n" for end in ("csv", "tif")),
            "ref.csv": TABLE,
            "test.csv": TABLE,
            "pred.csv": predictions,
            "metrics.json": '{"rmse": 1.0}',
            "flint-ml.yml": "compare-metrics: {benchmark: test.csv, metrics-from: commit}\n",
        },
    )
    assert git(repo, "show", "HEAD:ref.csv").startswith("version https://git-lfs")
    git(repo, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(repo, "switch", "-qc", "change")
    commit(repo, {"metrics.json": '{"rmse": 1.1}'})
    # No filter runs when we ask: the clone of a runner in a container has no git-lfs.
    for name in ("clean", "smudge"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 9\n")
    return repo


def pull_request(folder: Path) -> Context:
    head, base = git(folder, "rev-parse", "HEAD"), git(folder, "rev-parse", "origin/main")
    pull = {"number": 7, "head": {"sha": head}, "base": {"ref": "main", "sha": base}}
    event = {"repository": {"default_branch": "main"}, "pull_request": pull}
    return Context(on_github=True, workspace=folder, event_name="pull_request", event=event, head_sha=head)


def store(folder: Path, name: str) -> Path:
    oid = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return folder / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid


@pytest.mark.parametrize("reference", ["ref.csv", "ref.tif"])
def test_a_reference_in_lfs_that_did_not_change_is_no_change(lfs: Path, reference: str) -> None:
    code, log, found = act("check-drift", pull_request(lfs), reference=reference, current=reference, figures="none")
    assert code == 0, log
    assert "alters the reference" not in log
    assert found["check-drift"].status == "passed", log


@pytest.mark.parametrize("reference", ["ref.csv", "ref.tif"])
def test_a_reference_in_lfs_is_read_at_the_base(lfs: Path, reference: str) -> None:
    base = (lfs / reference).read_bytes()
    kept = store(lfs, reference)
    (lfs / reference).write_bytes(base + b"\n" if reference == "ref.tif" else b"site,soc\n" + b"a,999\n" * 60)
    asked = Git(lfs)
    assert read_at(asked, "origin/main", reference) == base
    code, log, _ = act("check-drift", pull_request(lfs), reference=reference, current=reference, figures="none")
    assert code in (0, 1), log
    assert "this change alters the reference" in log
    kept.write_bytes(b"forged")  # by the command: it is no longer what its name says
    code, log, _ = act("check-drift", pull_request(lfs), reference=reference, current=reference, figures="none")
    assert code == 2
    assert "is kept in Git LFS, and its content is not in this clone" in log


def test_a_benchmark_and_predictions_in_lfs_are_the_same_samples(lfs: Path) -> None:
    code, log, found = act(
        "compare-metrics", pull_request(lfs), predictions="pred.csv", plots=False, history=0, resamples=0
    )
    record = found["compare-metrics"]
    assert record.benchmark is not None, log
    assert record.benchmark.same is True, log
    assert "version https" not in record.to_json() + log
    assert code in (0, 1)


@pytest.mark.parametrize("stored", [True, False])
def test_a_pointer_is_never_data(lfs: Path, stored: bool) -> None:
    """As a checkout without `lfs: true` leaves the files."""
    kept = store(lfs, "ref.csv")
    if not stored:
        kept.unlink()
    for name in ("ref.csv", "pred.csv", "test.csv"):
        (lfs / name).write_text(git(lfs, "show", f"HEAD:{name}") + "\n")
    (lfs / "folder").mkdir()
    (lfs / "folder/a.csv").write_text(git(lfs, "show", "HEAD:ref.csv") + "\n")
    asked = Git(lfs)
    assert hash_at(asked, "origin/main", "ref.csv") == hash_at(asked, None, "ref.csv")
    for given in (
        {"reference": "ref.csv", "current": "ref.csv"},
        {"reference": "folder", "current": "folder"},
        {"reference": "folder/*.csv", "current": "folder/*.csv"},
    ):
        code, log, _ = act("check-drift", pull_request(lfs), **given)
        assert code == 2
        assert "is a Git LFS pointer, not the file itself" in log
        assert "lfs: true" in log
    code, log, _ = act("compare-metrics", pull_request(lfs), predictions="pred.csv")
    assert (code, "lfs: true" in log) == (2, True)
    if not stored:
        with pytest.raises(InputError, match="kept in Git LFS"):
            read_at(asked, "origin/main", "ref.csv")
