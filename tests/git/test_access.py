"""Addresses and secrets: what is understood, what is refused, and that nothing secret leaves."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from flint_ml.deployment.message import Origin, commit_message
from flint_ml.deployment.pull_requests import api_of
from flint_ml.deployment.schemas import check, is_patch
from flint_ml.errors import InputError, OutsideError
from flint_ml.git import errors
from flint_ml.git.access import Login, check_login, git_environment, parse_address

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\r\nabc\r\n-----END OPENSSH PRIVATE KEY-----"
PATCH = "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{name: c}]}}}\n"


@pytest.mark.parametrize(
    ("text", "kind", "url", "repository"),
    [
        ("o/r", "http", "https://github.com/o/r", "o/r"),
        ("https://ghe.example.org/o/r.git/", "http", "https://ghe.example.org/o/r.git", "o/r"),
        ("https://me@git.example.org/a/b/c", "http", "https://git.example.org/a/b/c", None),
        ("git@github.com:o/r.git", "ssh", "git@github.com:o/r.git", "o/r"),
        ("ssh://git@example.org:2222/o/r", "ssh", "ssh://git@example.org:2222/o/r", "o/r"),
    ],
)
def test_addresses(tmp_path: Path, text: str, kind: str, url: str, repository: str | None) -> None:
    found = parse_address(text, "https://github.com", tmp_path)
    assert (found.kind, found.url, found.repository) == (kind, url, repository)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-x",
        "--upload-pack=sh",
        "ext::sh -c id",
        "fd::7",
        "https://u:p@h/o/r",
        "https://h/",
        "ssh://-oX/r",
        "no where",
        "https://h/o/r?token=x",
        "git://h/o/r",
        "./missing",
        "-oProxyCommand=x:y",
        "ssh://-l@h/r",
    ],
)
def test_refused_addresses(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_address(text, "https://github.com", tmp_path)
    assert caught.value.code == "manifests-address"
    assert ":p@" not in str(caught.value)


def test_secrets_stay_in_the_environment_and_in_a_private_file(tmp_path: Path) -> None:
    address = parse_address("git@git.example.org:o/r", "https://github.com", tmp_path)
    env = git_environment(
        address, Login(ssh_key=KEY), tmp_path, {"GIT_TRACE_CURL": "1", "GIT_DIR": "x", "PATH": "/bin"}
    )
    assert "GIT_TRACE_CURL" not in env
    assert "GIT_DIR" not in env
    assert "StrictHostKeyChecking=accept-new" in env["GIT_SSH_COMMAND"]
    key = tmp_path / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes().endswith(b"KEY-----\n")
    assert b"\r" not in key.read_bytes()
    assert "abc" not in env["GIT_SSH_COMMAND"]
    assert "abc" not in repr(Login(ssh_key="abc", token="abc"))


def test_host_keys_that_are_known_are_asked_for(tmp_path: Path) -> None:
    address = parse_address("git@github.com:o/r", "https://github.com", tmp_path)
    env = git_environment(address, Login(), tmp_path, {})
    assert "StrictHostKeyChecking=yes" in env["GIT_SSH_COMMAND"]
    assert (tmp_path / "known_hosts").read_text().startswith("github.com ssh-ed25519 ")


@pytest.mark.parametrize(
    ("text", "login", "code"),
    [
        ("http://git.example.org/o/r", Login(token="t0ken"), "insecure-address"),
        ("https://git.example.org/o/r", Login(token="t0 ken"), "wrong-token"),
        ("git@h:o/r", Login(ssh_key="ssh-ed25519 AAAA"), "wrong-ssh-key"),
    ],
)
def test_secrets_that_do_not_fit(tmp_path: Path, text: str, login: Login, code: str) -> None:
    with pytest.raises(InputError) as caught:
        check_login(parse_address(text, "https://github.com", tmp_path), login)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("said", "code", "kind"),
    [
        ("git@h: Permission denied (publickey).", "wrong-ssh-key", InputError),
        ("Host key verification failed.\nfatal: Could not read from remote repository.", "host-key", InputError),
        ('Load key "/tmp/k": error in libcrypto\nPermission denied (publickey).', "wrong-ssh-key", InputError),
        ("fatal: unable to access: Could not resolve host: h", "server-unavailable", OutsideError),
        ("fatal: unable to access: SSL certificate problem: self-signed certificate", "certificate", OutsideError),
        ("remote: Repository not found.", "repository-not-found", InputError),
        ("remote: Write access to repository not granted.\nfatal: ... error: 403", "forbidden", InputError),
        ("error: cannot run ssh: No such file or directory", "no-ssh", InputError),
        ("fatal: detected dubious ownership in repository at 'x'", "foreign-folder", InputError),
        ("something new", "git-failed", OutsideError),
    ],
)
def test_what_git_says(said: str, code: str, kind: type) -> None:
    error = errors.error_of(said, "push")
    assert (error.code, type(error)) == (code, kind)


def test_races_are_told_from_refusals() -> None:
    assert errors.race("!\tx:refs/heads/main\t[rejected] (fetch first)")
    assert errors.race("!\tx:refs/heads/main\t[remote rejected] (cannot lock ref 'refs/heads/main')")
    assert not errors.race("!\tx:refs/heads/main\t[remote rejected] (pre-receive hook declined)")


def test_the_api_of_a_server(tmp_path: Path) -> None:
    def api(text: str) -> str:
        return api_of(
            parse_address(text, "https://github.com", tmp_path),
            "https://ghe.example.org",
            "https://ghe.example.org/api/v3",
        )

    assert api("git@github.com:o/r") == "https://api.github.com"
    assert api("https://ghe.example.org/o/r") == "https://ghe.example.org/api/v3"
    assert api("https://other.example.org/o/r") == "https://other.example.org/api/v3"


def test_a_tag_of_the_registry_cannot_forge_a_trailer() -> None:
    origin = Origin("soc", 7, tags={"flint_ml.run": "x\nModel-Version: models:/evil/1", "flint_ml.commit": "c0ffee"})
    message = commit_message(origin, "f: p", "6", "7")
    assert "\nModel-Version: models:/evil" not in message
    assert "\nModel-Code: c0ffee\n" in message


def test_a_patch_is_told_by_its_kustomization() -> None:
    files = {"staging/kustomization.yaml": b"patches:\n- path: patches/api.yaml\n"}
    assert is_patch("staging/patches/api.yaml", files.get)
    assert not is_patch("staging/api.yaml", files.get)
    with pytest.raises(InputError, match="required"):
        check(PATCH, "f", "1.33")
    assert [finding.code for finding in check(PATCH, "f", "1.33", patch=True)] == ["patch"]
