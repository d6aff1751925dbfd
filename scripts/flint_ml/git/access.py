"""Where the manifests are and how to get in: the address, a token, a deploy key. No secret is ever in an address."""

from __future__ import annotations

import base64
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from flint_ml.errors import InputError

# https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints
_GITHUB_HOST_KEY = "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
_SHORTHAND = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+$")
_SCP = re.compile(r"^(?:(?P<user>[A-Za-z0-9_][\w.-]*)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>(?![/\\]{2}).+)$")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_HINT = "give https://host/owner/repository, git@host:owner/repository, owner/repository, or a folder"


@dataclass(frozen=True)
class Address:
    """A manifests repository.

    Attributes
    ----------
    url
        What Git is given; holds no password.
    web
        Address of the repository's page, None for a folder or a bare SSH server.
    repository
        ``owner/name`` where the address has that form.
    """

    kind: Literal["http", "ssh", "folder"]
    url: str
    host: str = ""
    user: str = ""
    web: str | None = None
    repository: str | None = None


def _wrong(shown: str, why: str, hint: str = _HINT) -> InputError:
    return InputError(f"`{shown}` {why}", where="manifests", hint=hint, code="manifests-address")


def parse_address(text: str, server_url: str, folder: Path) -> Address:
    """What the input ``manifests`` means.

    Parameters
    ----------
    server_url
        The GitHub that ``owner/name`` is on.
    folder
        Folder that a relative path starts from.

    Raises
    ------
    InputError
        If it is no address that can be used, or holds a password.
    """
    text = text.strip()
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if scheme in {"http", "https", "ssh"}:
        return _from_url(text)
    if scheme == "file":
        return Address("folder", str(Path(unquote(urlsplit(text).path))))
    if scheme or "::" in text or text.startswith("-") or "\x00" in text or not text:
        raise _wrong(text[:80], "is not an address that can be used")
    if (folder / text).exists():
        return Address("folder", str((folder / text).resolve()))
    if _SHORTHAND.match(text) and not text.startswith("."):
        return _from_url(f"{server_url.rstrip('/')}/{text}")
    match = _SCP.match(text)
    if match:
        host, path = match["host"], match["path"]
        return Address("ssh", text, host=host, user=match["user"] or "", **_page("https", host, path))
    raise _wrong(text, "is neither a folder here nor an address")


def _from_url(text: str) -> Address:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _wrong("manifests", f"is no address: {error}") from None
    if parts.password or parts.query or parts.fragment:
        raise _wrong(
            urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")),
            "must be given without password, query or fragment",
            "give a token as the input `token`, from a secret; what stands in an address ends up in logs",
        )
    if not host or host.startswith("-") or not parts.path.strip("/"):
        raise _wrong(text, "names no host or no repository")
    netloc = parts.netloc.rpartition("@")[2]
    user = unquote(parts.username or "")
    if parts.scheme.lower() == "ssh":
        if user.startswith("-"):
            raise _wrong(text, "has a user name that begins with a dash")
        return Address("ssh", text, host=host, user=user, **_page("https", host, parts.path))
    clean = urlunsplit((parts.scheme.lower(), netloc, parts.path.rstrip("/"), "", ""))
    where = f"{host}:{port}" if port else host
    return Address("http", clean, host=host, user=user, **_page(parts.scheme.lower(), where, parts.path))


def _page(scheme: str, host: str, path: str) -> dict[str, str | None]:
    name = path.strip("/").removesuffix(".git")
    return {"web": f"{scheme}://{host}/{name}", "repository": name if _SHORTHAND.match(name) else None}


@dataclass(frozen=True)
class Login:
    """Secrets and host keys; never shown."""

    token: str = field(default="", repr=False)
    ssh_key: str = field(default="", repr=False)
    known_hosts: str = field(default="", repr=False)

    def header(self, user: str) -> str:
        """The token as Git hosts take it: basic authentication. GitHub ignores the user name, GitLab's deploy tokens
        need theirs, which then stands in the address."""
        return base64.b64encode(f"{user or 'x-access-token'}:{self.token}".encode()).decode()


def check_login(address: Address, login: Login) -> None:
    """Refuse secrets that do not fit the address.

    Raises
    ------
    InputError
        For a token that would be sent in the clear, or for a key that is none.
    """
    if address.kind == "http" and login.token and address.url.startswith("http:") and address.host not in _LOOPBACK:
        raise InputError(
            "the token would be sent over plain http",
            where="manifests",
            hint="give the https address",
            code="insecure-address",
        )
    if login.token and not re.fullmatch(r"[\x21-\x7e]+", login.token):
        raise InputError(
            "holds spaces or line breaks",
            where="token",
            hint="store the secret again, only the token",
            code="wrong-token",
        )
    if login.ssh_key and "PRIVATE KEY-----" not in login.ssh_key:
        public = login.ssh_key.lstrip().startswith(("ssh-", "ecdsa-"))
        raise InputError(
            "is a public key" if public else "is no private key",
            where="ssh-key",
            hint="give the whole private key with its BEGIN and END lines; its public part is the deploy key",
            code="wrong-ssh-key",
        )
    if address.kind == "http" and login.ssh_key and not login.token:
        raise InputError(
            "a deploy key needs an SSH address",
            where="manifests",
            hint="such as git@github.com:owner/repository",
            code="manifests-address",
        )


def git_environment(
    address: Address, login: Login, folder: Path, env: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment that Git is run with; key and known hosts are written into ``folder``, readable by us only.

    Settings go by ``GIT_CONFIG_*`` so that no secret is in a process list, and what the machine has set for other
    repositories (credential helpers, hooks, traces, another index) is left out.
    """
    env = os.environ if env is None else env
    keep = {"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY", "GIT_EXEC_PATH"}
    clean = {key: value for key, value in env.items() if not key.startswith("GIT_") or key in keep}
    config = {
        "credential.helper": "",
        "core.hooksPath": os.devnull,
        "commit.gpgSign": "false",
        "gc.auto": "0",
        "core.autocrlf": "false",
        "protocol.version": "2",
        "safe.directory": "*",
        "push.gpgSign": "false",
    }
    if address.kind == "http" and login.token:
        parts = urlsplit(address.url)
        config[f"http.{parts.scheme}://{parts.netloc}/.extraHeader"] = (
            f"Authorization: Basic {login.header(address.user)}"
        )
        # Git would send the header to wherever the server points.
        config["http.followRedirects"] = "false"
        # Where the token is refused, Git asks for another one; an empty answer makes it say so.
        clean["GIT_ASKPASS"] = "true"
    clean |= {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        clean |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    clean |= {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": clean.get("GIT_ASKPASS", ""),
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_ALLOW_PROTOCOL": "http:https:ssh:file",
        "GIT_PROTOCOL_FROM_USER": "1",
        "LC_ALL": "C",
    }
    if address.kind == "ssh":
        clean["GIT_SSH_COMMAND"] = _ssh_command(address, login, folder)
    return clean


def _private(path: Path, text: str) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text.replace("\r\n", "\n").strip() + "\n")
    return path


def _ssh_command(address: Address, login: Login, folder: Path) -> str:
    """SSH without questions. Host keys: those given; GitHub's own; else the first one seen holds for this job."""
    known = login.known_hosts or (_GITHUB_HOST_KEY if address.host == "github.com" else "")
    file = _private(folder / "known_hosts", known)
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "15",
        "StrictHostKeyChecking": "yes" if known else "accept-new",
        "UserKnownHostsFile": str(file),
        "UpdateHostKeys": "no",
        "HashKnownHosts": "no",
    }
    if known:
        options["GlobalKnownHostsFile"] = os.devnull
    command = ["ssh"]
    if login.ssh_key:
        key = _private(folder / "key", login.ssh_key)
        command += ["-F", os.devnull, "-i", str(key)]
        options |= {"IdentitiesOnly": "yes", "IdentityAgent": "none", "PreferredAuthentications": "publickey"}
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    return shlex.join(command)
