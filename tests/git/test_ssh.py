"""Manifests over SSH: OpenSSH's client, a real SSH server on loopback (see sshserver.py)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from flint_ml.deployment.manifest import Target
from flint_ml.deployment.rolling import Deployment, Order, push
from flint_ml.errors import InputError
from flint_ml.git.access import Login, check_login, git_environment, parse_address
from flint_ml.git.remote import Remote
from helpers.documented_errors import documented
from helpers.git_server import bare, content, git
from helpers.ssh_server import Server

HAS_SSH = shutil.which("ssh") is not None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    bare(tmp_path / "srv", {"values.yaml": b"version: 1\n"})
    running = Server(tmp_path / "srv")
    yield running
    running.stop()


def deploy(server: Server, folder: Path, login: Login) -> Deployment:
    address = parse_address(server.url, "https://github.com", folder)
    check_login(address, login)
    private = folder / "private"
    private.mkdir()
    env = git_environment(address, login, private)
    remote = Remote(address, env, private / "manifests.git", time.monotonic() + 60)
    return push(remote, Order("main", Target("values.yaml", "version"), lambda: 3, lambda number, edit: f"to {number}"))


def key_text(key: asyncssh.SSHKey, passphrase: str | None = None) -> str:
    return key.export_private_key(passphrase=passphrase).decode()


@pytest.mark.parametrize("known", [True, False])
def test_a_deploy_key(server: Server, tmp_path: Path, known: bool) -> None:
    login = Login(ssh_key=key_text(server.key).replace("\n", "\r\n").strip(), known_hosts=server.known if known else "")
    if not HAS_SSH:
        with pytest.raises(InputError, match="ssh is not installed"):
            deploy(server, tmp_path, login)
        return
    done = deploy(server, tmp_path, login)
    assert (done.result, done.tries) == ("changed", 1)
    repository = server.folder / "o" / "manifests.git"
    assert content(repository, "values.yaml") == b"version: 3\n"
    assert any(command.startswith("git-receive-pack") for command in server.commands)
    git("fsck", "--strict", folder=repository)


def _other_key(server: Server) -> Login:
    return Login(ssh_key=key_text(asyncssh.generate_private_key("ssh-ed25519")), known_hosts=server.known)


def _other_host(server: Server) -> Login:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    return Login(ssh_key=key_text(server.key), known_hosts=f"[127.0.0.1]:{server.port} {other}")


def _damaged(server: Server) -> Login:
    lines = key_text(server.key).splitlines()
    return Login(ssh_key="\n".join([lines[0], *lines[2:]]), known_hosts=server.known)


@pytest.mark.parametrize(
    ("name", "login", "code", "where"),
    [
        ("a deploy key of another repository", _other_key, "wrong-ssh-key", "ssh-key"),
        ("another host key", _other_host, "host-key", "known-hosts"),
        ("a damaged deploy key", _damaged, "wrong-ssh-key", "ssh-key"),
    ],
)
def test_refused(server: Server, tmp_path: Path, name: str, login: object, code: str, where: str) -> None:
    assert callable(login)
    with pytest.raises(InputError) as caught:
        deploy(server, tmp_path, login(server))
    if not HAS_SSH:
        code, where = "no-ssh", "manifests"
    assert (caught.value.code, caught.value.where) == (code, where)
    assert not any("receive-pack" in command for command in server.commands)
    if HAS_SSH:
        documented(name, {"message": caught.value.message, "hint": caught.value.hint})


def test_no_such_repository(server: Server, tmp_path: Path) -> None:
    shutil.rmtree(server.folder / "o")
    with pytest.raises(InputError) as caught:
        deploy(server, tmp_path, Login(ssh_key=key_text(server.key), known_hosts=server.known))
    assert caught.value.code == ("repository-not-found" if HAS_SSH else "no-ssh")
