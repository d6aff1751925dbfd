"""Where the registry is: an ``mlflow server``, or a sqlite file with its artifacts beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from flint_ml.errors import InputError

WAYS_TO_HOST = (
    "give `tracking-uri` (or the variable MLFLOW_TRACKING_URI) with the address of an `mlflow server` on a machine "
    "that the runner reaches, or of a hosted MLflow such as DagsHub's; or use a runner of your own that keeps its "
    "disk; or set `allow-ephemeral: true` if the version may be lost (docs/actions/register-model.md)"
)


@dataclass(frozen=True)
class Address:
    """A registry's address without its credentials, which are kept apart and never shown.

    Attributes
    ----------
    kind
        ``server`` or ``sqlite``.
    uri
        What MLflow is given; holds no user name or password.
    artifacts
        Folder of the artifacts, for sqlite.
    """

    kind: Literal["server", "sqlite"]
    uri: str
    artifacts: Path | None = None
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def secrets(self) -> list[str]:
        """What must never be shown."""
        return [text for text in (self.password, self.token) if text]

    def shown(self, folder: Path) -> str:
        """The address for people: a file inside ``folder`` is named relative to it."""
        if self.kind == "sqlite" and self.database.is_relative_to(folder):
            return f"sqlite:///{self.database.relative_to(folder).as_posix()}"
        return self.uri

    @property
    def database(self) -> Path:
        """The sqlite file."""
        return Path(self.uri.removeprefix("sqlite:///"))

    @property
    def host(self) -> str:
        """Host and port as the server is asked for them."""
        return urlsplit(self.uri).netloc


def without_credentials(uri: str) -> str:
    """``uri`` as it may be shown: no user name, no password, no query."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "(not an address)"
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, "", "")) if netloc else uri.partition("?")[0]


def _server(uri: str, env: Mapping[str, str]) -> Address:
    try:
        parts = urlsplit(uri)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise _wrong(uri, str(error)) from None
    if not host:
        raise _wrong(uri, "names no host")
    netloc = parts.netloc.rpartition("@")[2]
    username = unquote(parts.username) if parts.username else env.get("MLFLOW_TRACKING_USERNAME") or None
    password = unquote(parts.password) if parts.password else env.get("MLFLOW_TRACKING_PASSWORD") or None
    return Address(
        "server",
        urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", "")),
        username=username,
        password=password,
        token=env.get("MLFLOW_TRACKING_TOKEN") or None,
    )


def _wrong(uri: str, why: str) -> InputError:
    return InputError(
        f"`{without_credentials(uri)}` is no registry that can be used: {why}",
        where="tracking-uri",
        hint="give the address of an `mlflow server` (https://…) or a sqlite file (sqlite:///mlflow.db)",
        code="tracking-uri",
    )


def resolve(text: str, env: Mapping[str, str], base: Path) -> Address:
    """The registry's address: the input, then ``MLFLOW_TRACKING_URI``, then a sqlite file in ``base``.

    Raises
    ------
    InputError
        If the address is of a kind that cannot hold a registry, or is malformed.
    """
    uri = text.strip() or env.get("MLFLOW_TRACKING_URI", "").strip() or "sqlite:///mlflow.db"
    scheme = uri.partition(":")[0].lower()
    if scheme in {"http", "https"}:
        return _server(uri, env)
    if scheme == "sqlite":
        name = uri[len("sqlite:///") :] if uri.lower().startswith("sqlite:///") else ""
        if not name.strip("/") or "?" in name:
            raise _wrong(uri, "a sqlite address is `sqlite:///` and a file")
        database = Path(os.path.normpath(base / name))
        return Address("sqlite", f"sqlite:///{database}", artifacts=database.parent / "mlartifacts")
    if scheme in {"postgresql", "mysql", "mssql"} or "+" in scheme:
        raise _wrong(uri, "a database is reached through an `mlflow server` that uses it")
    if scheme == "file" or ":" not in uri:
        raise _wrong(uri, "MLflow 3 keeps no registry in plain folders; use sqlite:///mlflow.db")
    raise _wrong(uri, f"`{scheme}:` is not supported")
