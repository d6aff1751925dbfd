"""Git's settings can name programs in many places; none of the repository's own runs when we ask Git something."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from flint_ml.git.repository import Git


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def spied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    """A repository with a submodule, the program that leaves a trace, and the trace."""
    trace, program = tmp_path / "trace", tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho \"$0 $@\" >> '{trace}'\ncat\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    other = tmp_path / "other"
    for folder in (other, tmp_path / "repo"):
        folder.mkdir()
        git(folder, "init", "-q", "-b", "main")
        (folder / "a.txt").write_text("one\n")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "first")
    repo = tmp_path / "repo"
    git(repo, "submodule", "add", "-q", other.as_uri(), "sub")
    git(repo, "commit", "-qm", "second")
    monkeypatch.setenv("HOME", str(tmp_path))
    return repo, program, trace


def signed(folder: Path) -> None:
    """Give HEAD a signature, so that a look at it may call a program."""
    raw = git(folder, "cat-file", "commit", "HEAD")
    head, _, text = raw.partition("\n\n")
    block = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----"
    made = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin"],
        cwd=folder,
        input=f"{head}\n{block}\n\n{text}".encode(),
        check=True,
        capture_output=True,
    ).stdout.decode()
    git(folder, "update-ref", "refs/heads/main", made.strip())


def ask(folder: Path) -> None:
    """All that the actions ask of a clone."""
    asked = Git(folder)
    first = asked.commit("HEAD^1") or "HEAD"
    asked.changed(first)
    asked.changed(first, "HEAD")
    assert asked.dirty in (True, False)
    asked.unsaved()
    asked.message("HEAD")
    asked.date("HEAD")
    asked.history("HEAD", ["a.txt"], 5)
    asked.show("HEAD", "a.txt")
    asked.show_many("HEAD", ["a.txt", "sub"])
    asked.show("HEAD", "0" * 40)
    asked.sizes("HEAD")
    asked.files("HEAD")
    asked.present()
    asked.ignores("a.txt")
    asked.default_branch()
    asked.merge_base("HEAD", first)
    asked.commit("1" * 40)


@pytest.mark.parametrize(
    "setting",
    [
        "filter.x.clean",
        "filter.x.process",
        "core.fsmonitor",
        "core.pager",
        "diff.external",
        "diff.x.command",
        "diff.x.textconv",
        "gpg.program",
        "core.alternateRefsCommand",
        "core.sshCommand",
        "credential.helper",
        "credential.https://x.helper",
        "core.askPass",
        "core.editor",
        "alias.status",
    ],
)
def test_no_program_of_the_clones_settings_runs(spied: tuple[Path, Path, Path], setting: str) -> None:
    repo, program, trace = spied
    signed(repo)
    git(repo, "config", "log.showSignature", "true")
    git(repo, "config", setting, f"!{program}" if "helper" in setting or "alias" in setting else str(program))
    (repo / ".git/info/attributes").write_text("* filter=x diff=x\n")
    (repo / "a.txt").write_text("two\n")
    ask(repo)
    assert not trace.exists(), trace.read_text()


@pytest.mark.parametrize("setting", ["filter.x.clean", "core.fsmonitor"])
def test_no_program_of_a_submodules_settings_runs(spied: tuple[Path, Path, Path], setting: str) -> None:
    repo, program, trace = spied
    git(repo / "sub", "config", setting, str(program))
    (repo / ".git/modules/sub/info").mkdir(exist_ok=True)
    (repo / ".git/modules/sub/info/attributes").write_text("* filter=x\n")
    (repo / "sub/a.txt").write_text("two\n")
    ask(repo)
    assert not trace.exists(), trace.read_text()


@pytest.mark.parametrize("scheme", ["ext::", "ssh://x/"])
def test_an_object_that_is_missing_starts_no_program(spied: tuple[Path, Path, Path], scheme: str) -> None:
    repo, program, trace = spied
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"{scheme}{program}",
        "protocol.allow": "always",
        "protocol.ext.allow": "always",
        "protocol.ssh.allow": "always",
        "core.sshCommand": str(program),
    }.items():
        git(repo, "config", name, value)
    blob = git(repo, "rev-parse", "HEAD:a.txt").strip()
    (repo / ".git/objects" / blob[:2] / blob[2:]).unlink()
    assert Git(repo).show("HEAD", "a.txt") is None
    ask(repo)
    assert not trace.exists(), trace.read_text()


def test_variables_of_an_earlier_step_bring_no_program_and_no_other_repository(
    spied: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, program, trace = spied
    commit = git(repo, "rev-parse", "HEAD").strip()
    for name in ("GIT_EXTERNAL_DIFF", "GIT_SSH_COMMAND", "GIT_PAGER", "GIT_PROXY_COMMAND", "GIT_ASKPASS"):
        monkeypatch.setenv(name, str(program))
    monkeypatch.setenv("GIT_DIR", str(repo.parent / "other/.git"))
    monkeypatch.setenv("GIT_TRACE", str(trace))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "filter.y.clean")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(program))
    (repo / ".git/info/attributes").write_text("* filter=y\n")
    (repo / "a.txt").write_text("two\n")
    ask(repo)
    assert Git(repo).commit("HEAD") == commit
    assert not trace.exists(), trace.read_text()


def test_a_replaced_commit_and_a_graft_are_not_followed(spied: tuple[Path, Path, Path]) -> None:
    repo, _, _ = spied
    head, first = (git(repo, "rev-parse", name).strip() for name in ("HEAD", "HEAD^1"))
    git(repo, "replace", head, first)
    (repo / ".git/info/grafts").write_text(f"{head}\n")
    asked = Git(repo)
    assert asked.parents("HEAD") == [first]
    assert asked.tree("HEAD") != asked.tree(first)
