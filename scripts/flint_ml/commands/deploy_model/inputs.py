"""The inputs of deploy-model."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from flint_ml.commands.registry import ModelName, tracking_uri_field
from flint_ml.runner import ActionInputs, dashed


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=dashed, populate_by_name=True)


class ColourInput(_Part):
    """One colour."""

    file: str = Field(description="Manifest of this colour.")
    path: str = Field(description="Place of the version in it.")
    url: str = Field(description="Address at which this colour answers, before it gets the traffic.")


class CheckInput(_Part):
    """One smoke test."""

    path: str = Field(description="What to ask for, such as `/healthz`.", pattern=r"^/")
    status: int = Field(200, description="Status that the answer must have.", ge=100, le=599)
    contains: str = Field("", description="Text that the answer must hold; `{version}` stands for the number.")
    body: str = Field("", description="JSON to send by POST, such as a stored sample. Default: a GET.")


class Inputs(ActionInputs):
    """Inputs of deploy-model."""

    manifests: str = Field(
        description="The manifests repository: `owner/name`, an https or SSH address, or a folder.",
        min_length=1,
        max_length=2000,
    )
    branch: str = Field("", description="Branch that the cluster follows. Default: the repository's default branch.")
    token: SecretStr | None = Field(
        None,
        description="Token for an https address, with `contents: write` there (and `pull-requests: write` for "
        "`pull-request`). No default: the workflow's own token opens its own repository only.",
    )
    ssh_key: SecretStr | None = Field(
        None, description="Private deploy key for an SSH address, with write access, without a passphrase."
    )
    known_hosts: str = Field(
        "",
        description="Lines of `known_hosts` with the SSH server's keys. Default: GitHub's published key for "
        "github.com; for other servers the first key seen counts for the job.",
    )
    mode: Literal["push", "pull-request"] = Field(
        "push", description="`push` commits to the branch, `pull-request` leaves the merge to a person."
    )
    model_name: ModelName = Field(description="Name of the registered model.")
    version: str = Field("staging", description="Number or alias of the version to deploy.")
    tracking_uri: str = tracking_uri_field()
    file: str = Field(description="Manifest in that repository, such as `staging/kustomization.yaml`.", min_length=1)
    path: str = Field(
        "",
        description="Place of the value in it, such as `spec.template.spec.containers[name=api]."
        "env[name=MODEL_VERSION].value` or `configMapGenerator[name=soc].literals[MODEL_VERSION]`. Default: the value "
        "behind which the comment `# flint-ml: MODEL-NAME` stands.",
    )
    value: str = Field("{version}", description="What is written there; `{version}` stands for the number.")
    strategy: Literal["rolling", "blue-green"] = Field(
        "rolling",
        description="`rolling` sets the version in one place. `blue-green` deploys the colour that serves nobody, "
        "checks it, and switches; `file` and `path` then name the selector of the Service.",
    )
    colours: dict[str, ColourInput] = Field(
        {}, description="blue-green: the two values of the selector, each with `file`, `path` and `url`."
    )
    checks: dict[str, CheckInput] = Field(
        {}, description="blue-green: smoke tests by name, each with `path`, `status`, `contains` and `body`."
    )
    predict_path: str = Field(
        "",
        description="blue-green: where the API takes samples in MLflow's JSON format, such as `/predict` or "
        "`/invocations`; its predictions must be those that were registered with the version.",
        pattern=r"^(/\S*)?$",
    )
    tolerance: float = Field(
        1e-4,
        description="blue-green: difference of two predictions that counts as none, relative to the prediction "
        "(absolute below 1).",
        ge=0,
        le=1,
    )
    live_url: str = Field("", description="blue-green: address of the Service, checked after the switch.")
    smoke_timeout: float = Field(
        300,
        description="blue-green: seconds until the checks must pass; the cluster needs time to follow.",
        gt=0,
        le=7200,
    )
    rollback: bool = Field(False, description="Allow an older version than the one in the manifest.")
    reason: str = Field(
        "", description="Why, where the gate did not approve the version; it stands in the commit.", max_length=1000
    )
    kubernetes_version: str = Field(
        "",
        description="Kubernetes that the manifest is checked for, such as `1.33`. Default: the newest known.",
        pattern=r"^(v?1\.\d{1,3}(\.\d+)?)?$",
    )
    timeout: float = Field(120, description="Seconds that the manifests repository may take.", gt=0, le=3600)
