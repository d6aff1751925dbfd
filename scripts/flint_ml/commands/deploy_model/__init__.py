"""deploy-model: the version that a cluster should serve goes into the manifests that the cluster follows."""

from __future__ import annotations

import base64
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from flint_ml.commands.deploy_model.blue_green import outcome_of, switch_of
from flint_ml.commands.deploy_model.inputs import Inputs
from flint_ml.commands.registry import existing_registry, person
from flint_ml.deployment import (
    SAMPLES_FILE,
    Deployment,
    Edit,
    Order,
    Origin,
    Pulls,
    Samples,
    Target,
    api_of,
    check_target,
    commit_message,
    parse_path,
    parse_samples,
    propose,
    push,
    switch_colours,
)
from flint_ml.errors import InputError
from flint_ml.git import Address, Login, Remote, check_login, git_environment, parse_address
from flint_ml.record import Column, Finding, Table
from flint_ml.registry import ATTACHMENTS_FOLDER, GATE, MODEL_FOLDER, OVERRIDE, Version, connect, version_named
from flint_ml.runner import Action, Job, Outcome

SAMPLES = (f"{ATTACHMENTS_FOLDER}/{SAMPLES_FILE}", f"{MODEL_FOLDER}/{SAMPLES_FILE}")


def run(inputs: Inputs, job: Job) -> Outcome:
    """Look at the manifests, ask the registry, set the version, push or propose."""
    target = Target(
        check_target(inputs.file, inputs.value),
        inputs.path,
        inputs.value,
        inputs.kubernetes_version,
        inputs.model_name,
    )
    if inputs.path:
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
            switched = switch_colours(remote, switch, lambda: remote.extend(inputs.timeout))
            return outcome_of(inputs, shown, branch, switched, place.web)
        order = Order(branch, target, registry.number, registry.message, inputs.rollback, registry.highest, job.say)
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
    """The version that is asked for, looked up anew at each try."""

    def __init__(self, inputs: Inputs, job: Job) -> None:
        self.inputs = inputs
        self.run = job.context.run_url
        address = existing_registry(inputs.tracking_uri, job)
        self.shown = address.shown(job.workspace.root)
        self.store = connect(address, job.env)
        self.known: dict[int, Version] = {}
        self.by = person(job)
        self.reason = " ".join(inputs.reason.split())

    def number(self) -> int:
        version = version_named(self.store, self.inputs.model_name, self.inputs.version, rollback=False)
        self.known[version.number] = version
        gate = version.tags.get(GATE, "not registered by flint-ml")
        if gate != "approved" and not self._reason(version):
            raise InputError(
                f"the gate did not approve {self.inputs.model_name} version {version.number} (gate: {gate})",
                where="version",
                hint="run the gate and register-model again for it, deploy a version that it approved, or give "
                "`reason`, which stands in the commit",
                code="not-approved",
            )
        return version.number

    def _reason(self, version: Version) -> str:
        """Why a version is deployed that the gate did not approve; promote may have asked for it already."""
        return self.reason or version.tags.get(OVERRIDE, "")

    def highest(self) -> int:
        """The highest version that the registry knows."""
        return max((version.number for version in self.store.versions(self.inputs.model_name)), default=0)

    def origin(self, number: int) -> Origin:
        version = self.known[number]
        reason = self._reason(version) if version.tags.get(GATE) != "approved" else self.reason
        return Origin(self.inputs.model_name, number, self.shown, self.run, self.by, reason, version.tags)

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
        return commit_message(self.origin(number), f"{edit.file}: {edit.path}", edit.old, edit.new)


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
        return f"{title}{waits}" if waits else f"{title} is in {inputs.file} on {branch} already"
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
        ["manifest", f"{inputs.file}: {done.path or inputs.path}"],
        ["value", f"{done.old} → {done.new}" if changed else done.old],
        ["manifests", f"{manifests}, branch {branch}"],
        ["commit", done.commit or "none, nothing changed"],
        ["pull request of the model", origin.pull_request or "unknown"],
        ["gate", origin.tags.get(GATE, "unknown")],
        ["by", origin.by or "unknown"],
        *([["reason", origin.reason]] if origin.reason else []),
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
            "by": origin.by,
            "reason": origin.reason,
            "gate": origin.tags.get(GATE),
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
