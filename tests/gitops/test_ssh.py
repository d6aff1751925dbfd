"""Manifests over SSH: OpenSSH's client, a real SSH server on loopback that runs Git's own server commands."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from flint_ml.errors import InputError
from flint_ml.gitops.access import Login, check_login, environment, place
from flint_ml.gitops.manifest import Target
from flint_ml.gitops.remote import Remote
from flint_ml.gitops.rolling import Deployment, Order, push
from gitops.faultdocs import documented
from gitops.gitserver import bare, content, git

HAS_SSH = shutil.which("ssh") is not None


async def _pump(source: Any, target: Any) -> None:
    """Everything from ``source`` to ``target``, until the end or until nobody listens."""
    try:
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
        if isinstance(target, asyncio.StreamWriter):
            target.write_eof()
    except (OSError, asyncssh.Error):
        return


class Server:
    """An SSH server that lets one key in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.commands: list[str] = []
        self.port = 0
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._start(), self.loop).result(30)

    async def _start(self) -> None:
        keys = asyncssh.import_authorized_keys(self.key.export_public_key().decode())
        self.server = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[self.host_key], authorized_client_keys=keys,
            process_factory=self._handle, encoding=None,
        )  # fmt: skip
        self.port = self.server.sockets[0].getsockname()[1]

    async def _handle(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = process.command or ""
        self.commands.append(command)
        child = await asyncio.create_subprocess_shell(
            command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        asking = asyncio.create_task(_pump(process.stdin, child.stdin))
        await asyncio.gather(_pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr))
        process.exit(await child.wait())
        asking.cancel()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def _stop(self) -> None:
        self.server.close()
        await self.server.wait_closed()

    @property
    def url(self) -> str:
        return f"ssh://git@127.0.0.1:{self.port}{self.folder}/o/manifests.git"

    @property
    def known(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.host_key.export_public_key().decode()}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    bare(tmp_path / "srv", {"values.yaml": b"version: 1\n"})
    running = Server(tmp_path / "srv")
    yield running
    running.stop()


def deploy(server: Server, folder: Path, login: Login) -> Deployment:
    where = place(server.url, "https://github.com", folder)
    check_login(where, login)
    private = folder / "private"
    private.mkdir()
    env = environment(where, login, private)
    remote = Remote(where, env, private / "manifests.git", time.monotonic() + 60)
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
