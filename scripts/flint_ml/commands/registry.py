"""registry: what is registered, as a table; and, for all commands, its address with secrets masked."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from flint_ml.errors import InputError
from flint_ml.record import Column, Table
from flint_ml.registry import GATE, OVERRIDE, Address, Version, check_model_name, connect, resolve
from flint_ml.runner import Action, ActionInputs, Job, Outcome

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


class Inputs(ActionInputs):
    """Inputs of registry."""

    model_name: ModelName = Field(description="Name of the registered model.")
    tracking_uri: str = tracking_uri_field()
    limit: int = Field(20, description="How many versions, newest first.", ge=1, le=1000)


def run(inputs: Inputs, job: Job) -> Outcome:
    """List the versions of a model."""
    store = connect(existing_registry(inputs.tracking_uri, job), job.env)
    versions = store.versions(inputs.model_name)[::-1]
    if not versions:
        raise InputError(
            f"the registry has no model `{inputs.model_name}`",
            where="model-name",
            hint="check the spelling, and `tracking-uri`",
            code="no-version",
        )
    aliases: dict[int, list[str]] = {}
    for alias, number in store.aliases(inputs.model_name).items():
        aliases.setdefault(number, []).append(alias)
    rows: list[list[Any]] = [_row(version, aliases.get(version.number, [])) for version in versions[: inputs.limit]]
    names = ("version", "registered", "gate", "metric", "stage", "aliases", "commit", "pull request")
    more = f", the newest {inputs.limit} of them" if len(versions) > inputs.limit else ""
    title = f"{inputs.model_name}: {len(versions)} version{'s' if len(versions) > 1 else ''}{more}"
    staging = next((str(number) for number, named in aliases.items() if "staging" in named), "none")
    production = next((str(number) for number, named in aliases.items() if "production" in named), "none")
    return Outcome(
        "passed",
        f"{title}; Staging: {staging}, Production: {production}",
        f"{len(versions)} versions",
        tables=[Table(title=title, columns=[Column(name=name) for name in names], rows=rows)],
    )


def _row(version: Version, aliases: list[str]) -> list[Any]:
    """One version as a line of the table."""
    tags = version.tags
    when = datetime.fromtimestamp(version.created / 1000, UTC).strftime("%Y-%m-%d") if version.created else ""
    stage = tags.get("stage") or (version.stage if version.stage not in {None, "None"} else "")
    return [
        version.number,
        when,
        tags.get(GATE, "unknown") + (" (overridden)" if tags.get(OVERRIDE) else ""),
        tags.get("metric", ""),
        stage,
        ", ".join(sorted(aliases)),
        tags.get("flint_ml.commit", "")[:10],
        tags.get("flint_ml.pull_request", ""),
    ]


ACTION = Action(
    name="registry",
    summary="the versions of a model: gate, metric, stage, commit",
    description="List the versions of a registered model with gate, main metric, stage, aliases and commit.",
    badge="Registry",
    inputs=Inputs,
    run=run,
    published=False,
    leaves_record=False,
    positionals=("model-name",),
)
