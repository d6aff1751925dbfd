"""deploy-model: the version that a cluster should serve goes into the manifests that the cluster follows."""

from __future__ import annotations

import base64
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr

from flint_ml.commands.deploy_model.blue_green import CheckInput, ColourInput, outcome_of, switch_of
from flint_ml.commands.registry_address import MODEL_NAME_PATTERN, existing_registry, tracking_uri_field
from flint_ml.deployment import blue_green as bluegreen
from flint_ml.deployment.manifest import Edit, Target, check_target
from flint_ml.deployment.message import Origin, commit_message
from flint_ml.deployment.pull_requests import Pulls, api_of
from flint_ml.deployment.rolling import Deployment, Order, propose, push
from flint_ml.deployment.samples import FILE as SAMPLES_FILE
from flint_ml.deployment.samples import Samples
from flint_ml.deployment.samples import parse as parse_samples
from flint_ml.deployment.yaml_path import parse_path
from flint_ml.errors import InputError
from flint_ml.git import Address, Login, Remote, check_login, git_environment, parse_address
from flint_ml.record import Column, Finding, Table
from flint_ml.registry.connect import connect
from flint_ml.registry.promote import wanted_version
from flint_ml.registry.register import FACTS_FOLDER, MODEL_FOLDER
from flint_ml.registry.store import Version
from flint_ml.runner import Action, ActionInputs, Job, Outcome

SAMPLES = (f"{FACTS_FOLDER}/{SAMPLES_FILE}", f"{MODEL_FOLDER}/{SAMPLES_FILE}")


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
    model_name: str = Field(description="Name of the registered model.", pattern=MODEL_NAME_PATTERN)
    version: str = Field("staging", description="Number or alias of the version to deploy.")
    tracking_uri: str = tracking_uri_field()
    file: str = Field(description="Manifest in that repository, such as `staging/kustomization.yaml`.", min_length=1)
    path: str = Field(
        description="Place of the value in it, such as `spec.template.spec.containers[name=api]."
        "env[name=MODEL_VERSION].value`.",
        min_length=1,
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
    kubernetes_version: str = Field(
        "",
        description="Kubernetes that the manifest is checked for, such as `1.33`. Default: the newest known.",
        pattern=r"^(v?1\.\d{1,3}(\.\d+)?)?$",
    )
    timeout: float = Field(120, description="Seconds that the manifests repository may take.", gt=0, le=3600)


def run(inputs: Inputs, job: Job) -> Outcome:
    """Look at the manifests, ask the registry, set the version, push or propose."""
    target = Target(check_target(inputs.file, inputs.value), inputs.path, inputs.value, inputs.kubernetes_version)
    parse_path(inputs.path)
    place, login = _login(inputs, job)
    pulls = _pulls(place, login, job) if inputs.mode == "pull-request" else None
    registry = _Registry(inputs, job)
    shown = job.relative(Path(place.url)) if place.kind == "folder" else place.url
    end = time.monotonic() + inputs.timeout
    with tempfile.TemporaryDirectory(prefix="flint-ml-") as folder, job.group(f"Deploying to {shown}"):
        env = git_environment(place, login, Path(folder))
        remote = Remote(place, env, Path(folder) / "manifests.git", end)
        branch = inputs.branch or remote.default_branch()
        if inputs.strategy == "blue-green":
            switch = switch_of(inputs, branch, registry, job.say)
            switched = bluegreen.deploy(remote, switch, lambda: remote.extend(inputs.timeout))
            return outcome_of(inputs, shown, branch, switched, place.web)
        order = Order(branch, target, registry.number, registry.message, rollback=inputs.rollback, say=job.say)
        done = propose(remote, order, pulls, inputs.model_name) if pulls else push(remote, order)
    return _outcome(inputs, (shown, branch), _url(place, done), done=done, origin=registry.origin(done.number))


def _login(inputs: Inputs, job: Job) -> tuple[Address, Login]:
    place = parse_address(inputs.manifests, job.context.server_url, job.workspace.base)
    if place.kind == "folder":
        place = replace(place, url=str(job.existing(place.url, "manifests")))
    login = Login(
        inputs.token.get_secret_value().strip() if inputs.token else "",
        inputs.ssh_key.get_secret_value() if inputs.ssh_key else "",
        inputs.known_hosts,
    )
    if login.token:
        job.commands.mask(login.token)
        job.commands.mask(login.header(place.user))
        job.commands.mask(base64.b64encode(login.token.encode()).decode())
    check_login(place, login)
    return place, login


def _pulls(place: Address, login: Login, job: Job) -> Pulls:
    from flint_ml.github import GitHub

    if not place.repository or not login.token:
        raise InputError(
            "a pull request needs a repository on GitHub and a token for it",
            where="mode",
            hint="give `token`, or use `mode: push`",
            code="no-token",
        )
    address = api_of(place, job.context.server_url, job.context.api_url)
    return Pulls(GitHub(login.token, place.repository, address, say=job.say))


class _Registry:
    """The version that is wanted, asked anew at each try."""

    def __init__(self, inputs: Inputs, job: Job) -> None:
        self.inputs = inputs
        self.run = job.context.run_url
        address = existing_registry(inputs.tracking_uri, job)
        self.shown = address.shown(job.workspace.root)
        self.store = connect(address, job.env)
        self.known: dict[int, Version] = {}

    def number(self) -> int:
        version = wanted_version(self.store, self.inputs.model_name, self.inputs.version, rollback=False)
        self.known[version.number] = version
        return version.number

    def origin(self, number: int) -> Origin:
        return Origin(self.inputs.model_name, number, self.shown, self.run, self.known[number].tags)

    def samples(self, number: int) -> Samples:
        """The samples that were registered with the version; said where there are none."""
        title = f"{self.inputs.model_name} version {number}"
        run = self.store.run(self.known[number].run_id or "")
        for name in SAMPLES:
            if run and (data := self.store.read(run, name)) is not None:
                return parse_samples(data, f"{title}, {name}")
        raise InputError(
            f"{title} has no stored samples to compare predictions with",
            where="predict-path",
            code="no-samples",
            hint="register it with `samples`, or leave `predict-path` out",
        )

    def say_it(self, verb: str, where: str, number: int, edit: Edit, reason: str) -> str:
        return commit_message(self.origin(number), where, edit.old, edit.new, verb=verb, reason=reason)

    def message(self, number: int, edit: Edit) -> str:
        return commit_message(self.origin(number), f"{edit.file}: {self.inputs.path}", edit.old, edit.new)


def _findings(inputs: Inputs, done: Deployment) -> list[Finding]:
    findings = list(done.findings)
    if done.result == "newer":
        findings.append(
            Finding(
                severity="warning",
                code="newer-deployed",
                message=f"{inputs.file} has `{done.old}`, which is newer than version {done.number}; it stays",
                hint="to go back on purpose, set `rollback: true`",
            )
        )
    return findings


def _url(place: Address, done: Deployment) -> str | None:
    if done.pull:
        return done.pull.url
    return f"{place.web}/commit/{done.commit}" if place.web and done.commit else None


def _headline(inputs: Inputs, branch: str, done: Deployment, title: str) -> str:
    if done.result == "newer":
        return f"{title} was not deployed: {inputs.file} has the newer `{done.old}`"
    if done.result == "same":
        waits = f"; pull request #{done.pull.number} proposes it already" if done.pull else ""
        there = f"{title} is in {inputs.file} on {branch} already"
        return f"{title}{waits}" if waits else there
    if done.pull:
        return f"pull request #{done.pull.number} sets {title} in {inputs.file} (before: {done.old})"
    return f"{title} is in {inputs.file} on {branch} (before: {done.old})"


def _outcome(inputs: Inputs, place: tuple[str, str], url: str | None, *, done: Deployment, origin: Origin) -> Outcome:
    (manifests, branch), changed = place, done.result == "changed"
    message = {"same": "unchanged", "newer": "a newer version stays"}.get(done.result) or (
        f"version {done.number} proposed" if done.pull else f"version {done.number}"
    )
    rows: list[list[Any]] = [
        ["version", f"models:/{origin.model}/{origin.number}"],
        ["manifest", f"{inputs.file}: {inputs.path}"],
        ["value", f"{done.old} → {done.new}" if changed else done.old],
        ["manifests", f"{manifests}, branch {branch}"],
        ["commit", done.commit or "none, nothing changed"],
        ["pull request of the model", origin.pull_request or "unknown"],
    ]
    return Outcome(
        "warned" if done.result == "newer" else "passed",
        _headline(inputs, branch, done, origin.title),
        message,
        tables=[Table(title="Deployment", columns=[Column(name="what"), Column(name="value")], rows=rows)],
        findings=_findings(inputs, done),
        details={
            "result": done.result,
            "model": origin.model,
            "version": done.number,
            "before": done.old,
            "value": done.new,
            "manifests": manifests,
            "branch": branch,
            "file": inputs.file,
            "path": inputs.path,
            "commit": done.commit,
            "pull_request": done.pull.number if done.pull else None,
            "url": url,
            "tries": done.tries,
            "strategy": inputs.strategy,
            "mode": inputs.mode,
        },
        outputs={"changed": changed, "version": done.number, "commit": done.commit, "url": url},
    )


ACTION = Action(
    name="deploy-model",
    summary="set the version that a cluster serves, in its manifests repository",
    description="Set a registered model's version in the manifests that a cluster follows, by push or pull request.",
    badge="Deployment",
    inputs=Inputs,
    run=run,
    outputs={
        "changed": "`true` if a commit was made.",
        "version": "Number of the version that was asked for.",
        "commit": "Hash of the commit in the manifests repository; empty if nothing changed.",
        "url": "Address of the commit or of the pull request; empty where the repository has no pages.",
    },
    icon="upload-cloud",
)
