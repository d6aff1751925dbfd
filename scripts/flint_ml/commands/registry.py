"""What the commands that use the registry share: its address, with secrets masked before anything is printed."""

from __future__ import annotations

import getpass
from typing import Annotated

from pydantic import AfterValidator, Field

from flint_ml.errors import InputError
from flint_ml.registry import Address, check_model_name, resolve
from flint_ml.runner import Job

TRACKING_URI = (
    "The registry: address of an `mlflow server`, or `sqlite:///file.db`. "
    "Default: the variable MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`."
)
ModelName = Annotated[str, AfterValidator(check_model_name)]


def tracking_uri_field() -> str:
    """The input `tracking-uri`, the same everywhere."""
    text: str = Field("", description=TRACKING_URI)
    return text


def person(job: Job) -> str:
    """Who asks for this: the account that started the workflow, or the person at the terminal."""
    if job.context.on_github or job.env.get("GITHUB_ACTOR"):
        return job.env.get("GITHUB_ACTOR", "")
    try:
        return job.git.setting("user.name") or getpass.getuser()
    except (OSError, KeyError):
        return ""


def address_of(tracking_uri: str, job: Job) -> Address:
    """The registry's address; its secrets are masked and a sqlite file lies in the workspace."""
    address = resolve(tracking_uri, job.env, job.workspace.base)
    for secret in address.secrets:
        job.commands.mask(secret)
    if address.kind == "sqlite":
        job.path(str(address.database), "tracking-uri")
    return address


def existing_registry(tracking_uri: str, job: Job) -> Address:
    """Like :func:`address_of`, for a registry that must hold something already."""
    address = address_of(tracking_uri, job)
    if address.kind == "sqlite" and not address.database.is_file():
        raise InputError(
            f"there is no registry file {address.database.name} here",
            where="tracking-uri",
            hint="give the address of the registry that the model was registered in",
            code="no-registry",
        )
    return address
