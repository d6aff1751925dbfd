"""Where the registry is: an ``mlflow server``, or a sqlite file with its artifacts beside it."""

from __future__ import annotations

import configparser
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
MAX_MODEL_NAME = 250
# Registries that MLflow's client opens and that work in another way: no stages, no aliases or names of three parts.
_OTHER_REGISTRIES = {
    "databricks": "Databricks' registry",
    "databricks-uc": "Databricks' Unity Catalog",
    "uc": "Unity Catalog",
    "arn": "Amazon SageMaker's managed MLflow",
    "azureml": "Azure Machine Learning's registry",
}


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


def check_model_name(name: str) -> str:
    """``name`` as it is, where every MLflow takes it as the name of a registered model.

    Raises
    ------
    ValueError
        With the reason, where it does not.
    """
    if not name.strip():
        raise ValueError("a registered model needs a name")
    if "/" in name or ":" in name:
        raise ValueError(f"{name!r} holds `/` or `:`, which MLflow 3 does not take; write `-` or `.` instead")
    if not name.isprintable() or name != name.strip():
        raise ValueError(f"{name!r} holds a blank at an end or a character that cannot be seen")
    if "'" in name and '"' in name:
        raise ValueError(f"{name!r} holds both kinds of quotes, and MLflow cannot search for it then")
    if set(name) == {"."}:
        raise ValueError(f"{name!r} is a path of a folder, which MLflow does not take")
    if len(name) > MAX_MODEL_NAME:
        raise ValueError(f"it has {len(name)} characters; MLflow's databases keep {MAX_MODEL_NAME}")
    return name


def without_credentials(uri: str) -> str:
    """``uri`` as it may be shown: no user name, no password, no query."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "(not an address)"
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, "", "")) if netloc else uri.partition("?")[0]


def _credentials_file(env: Mapping[str, str]) -> Mapping[str, str]:
    """User name and password that ``mlflow`` keeps for its client in ``~/.mlflow/credentials``."""
    home = env.get("HOME") or env.get("USERPROFILE")
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read(Path(home or "/nonexistent") / ".mlflow" / "credentials", encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}
    return dict(config.items("mlflow")) if config.has_section("mlflow") else {}


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
    kept = _credentials_file(env)
    username = unquote(parts.username) if parts.username else env.get("MLFLOW_TRACKING_USERNAME")
    password = unquote(parts.password) if parts.password else env.get("MLFLOW_TRACKING_PASSWORD")
    return Address(
        "server",
        urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", "")),
        username=username or kept.get("mlflow_tracking_username") or None,
        password=password or kept.get("mlflow_tracking_password") or None,
        token=env.get("MLFLOW_TRACKING_TOKEN") or None,
    )


def _wrong(uri: str, why: str) -> InputError:
    return InputError(
        f"`{without_credentials(uri)}` is not a registry that can be used: {why}",
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
    if scheme in _OTHER_REGISTRIES:
        raise _wrong(uri, f"{_OTHER_REGISTRIES[scheme]} is not supported")
    if scheme in {"postgresql", "mysql", "mssql"} or "+" in scheme:
        raise _wrong(uri, "a database is reached through an `mlflow server` that uses it")
    if scheme == "file" or ":" not in uri:
        raise _wrong(uri, "MLflow 3 keeps no registry in plain folders; use sqlite:///mlflow.db")
    raise _wrong(uri, f"`{scheme}:` is not supported")
