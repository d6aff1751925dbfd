"""register-model: what the gate approved becomes a version that anybody can trace to code, data and results."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from flint_ml import __version__
from flint_ml import record as records
from flint_ml.commands.registry import ModelName, address_of, tracking_uri_field
from flint_ml.decision import EXPECTED, Run
from flint_ml.deployment import SAMPLES_FILE, parse_samples
from flint_ml.errors import InputError
from flint_ml.hashing import write_atomically
from flint_ml.record import Column, Finding, Metric, Table
from flint_ml.registry import (
    CARD_PAGE,
    GATE,
    WAYS_TO_HOST,
    Address,
    Approval,
    ModelFiles,
    Move,
    Registration,
    Source,
    Store,
    Submission,
    Version,
    base_metrics,
    card_page,
    connect,
    described_as_mlflow,
    description,
    flatten,
    from_repository,
    gate_approval,
    idempotency_key,
    metrics_of,
    model_card,
    move_forward,
    owner,
    pictures_of,
    project_files,
    provenance,
    read_model,
    read_rights,
    register_model,
    run_tags,
    trained_python,
    training_run,
    version_tags,
)
from flint_ml.runner import Action, ChangeInputs, Job, Outcome
from flint_ml.text.yaml import parse_yaml


class Inputs(ChangeInputs):
    """Inputs of register-model."""

    model: str = Field(description="Model file or folder. A folder with an `MLmodel` file stays a model MLflow serves.")
    model_name: ModelName = Field(description="Name of the registered model.")
    tracking_uri: str = tracking_uri_field()
    stage: Literal["Staging", "None"] = Field(
        "Staging",
        description="Where the new version goes: tag `stage`, alias `staging` and MLflow's own stage move together. "
        "`None` only registers.",
    )
    require: list[str] = Field(
        list(EXPECTED),
        description="Records of this run that must be there, none of them failed. `none` registers without the gate.",
    )
    experiment: str = Field("", description="MLflow experiment of the run. Default: the model's name.")
    params: str = Field("params.yaml", description="Parameter file to log; it may be absent.")
    samples: str = Field(
        "",
        description="JSON file with samples and what the model predicted for them, kept with the version for "
        "deploy-model to check what is served. Default: `samples.json` in the model's folder, if it is there.",
    )
    allow_ephemeral: bool = Field(
        False, description="Register in a sqlite file although the runner is thrown away after the job."
    )


def run(inputs: Inputs, job: Job) -> Outcome:
    """Judge the gate, then register, then move the stage."""
    gate_records, unreadable = records.read_all(job.results_dir)
    context = job.context
    gate = gate_approval(
        gate_records,
        [str(error) for error in unreadable],
        inputs.require,
        Run(context.head_sha, context.run_id, context.run_attempt),
        merged="pull_request" not in context.event,
    )
    if gate.value == "refused":
        return _refused(inputs, gate)
    address = _address(inputs, job)
    path = job.existing(inputs.model, "model")
    model = read_model(path, inputs.model, _limit(job))
    source = _source(job, path, gate)
    with (
        tempfile.TemporaryDirectory() as folder,
        job.group(f"Registering {inputs.model_name} in {address.shown(job.workspace.root)}"),
    ):
        submission = _submission(inputs, job, model, source=source, gate=gate, folder=Path(folder))
        store = connect(address, job.env)
        registration = register_model(store, submission, job.say)
        move = _stage(inputs, job, store, registration.version)
    for file in model.files[:20]:
        job.used.append(records.Input(path=job.relative(file.path), md5=file.md5, sha256=file.sha256, bytes=file.size))
    return _outcome(inputs, job, address, submission=submission, source=source, registration=registration, move=move)


def _refused(inputs: Inputs, gate: Approval) -> Outcome:
    findings = [Finding(severity="error", code="gate-refused", message=reason) for reason in gate.reasons]
    return Outcome(
        "failed",
        f"{inputs.model_name} was not registered: the gate says no ({gate.reasons[0]})",
        "Not registered",
        findings=findings,
        details={"gate": gate.value, "reasons": list(gate.reasons)},
        outputs={"created": False},
    )


def _address(inputs: Inputs, job: Job) -> Address:
    """The registry's address, unless it is a file that dies with the runner."""
    address = address_of(inputs.tracking_uri, job)
    hosted = job.context.hosted or job.env.get("RUNNER_ENVIRONMENT") == "github-hosted"
    if address.kind == "sqlite" and hosted and not inputs.allow_ephemeral:
        raise InputError(
            "a registry in a sqlite file vanishes with this runner, which GitHub throws away after the job",
            where="tracking-uri",
            hint=WAYS_TO_HOST,
            code="ephemeral-registry",
        )
    return address


def _limit(job: Job) -> Path | None:
    """Where links must not lead out of: the workspace on a runner, nowhere at a desk."""
    return job.workspace.root if job.workspace.confined else None


def _source(job: Job, path: Path, gate: Approval) -> Source:
    context = job.context
    source = Source(
        commit=context.head_sha,
        branch=context.ref.removeprefix("refs/heads/") if context.ref.startswith("refs/heads/") else None,
        pull_request=context.pull_request,
        repository=f"{context.server_url}/{context.repository}" if context.repository else None,
        run_url=context.run_url,
        gate=gate.value,
        gate_reasons=gate.reasons,
        tool=f"flint-ml {__version__}",
    )
    return from_repository(source, job.git, path)


def _params(inputs: Inputs, job: Job) -> dict[str, str]:
    path = job.path(inputs.params, "params")
    if not path.is_file():
        return {}
    return flatten(parse_yaml(path.read_text(encoding="utf-8-sig", errors="replace"), inputs.params))


def _samples(inputs: Inputs, job: Job) -> dict[str, str]:
    """The samples, if a file is named; one that deploy-model could not read is refused here already."""
    if not inputs.samples:
        return {}
    data = job.existing(inputs.samples, "samples").read_bytes()
    parse_samples(data, inputs.samples)
    return {SAMPLES_FILE: data.decode()}


def _submission(
    inputs: Inputs, job: Job, model: ModelFiles, *, source: Source, gate: Approval, folder: Path
) -> Submission:
    """Everything that goes into the registry; ``folder`` takes what is written for it until it is stored."""
    name, metrics, params = inputs.model_name, metrics_of(gate.records), _params(inputs, job)
    base = base_metrics(gate.records)
    key = idempotency_key(name, source.commit, source.fingerprint, model.sha256)
    rights = read_rights(job.workspace.base)
    pictures = pictures_of(gate.records, job.results_dir)
    origin = provenance(source, model, {"key": key, "metrics": metrics, "params": params})
    text = model_card(name, source, model, records=gate.records, pictures=pictures, owner=rights)
    written = {
        "model-card.md": text,
        CARD_PAGE: card_page(text, name, pictures),
        "provenance.json": json.dumps(origin, indent=1, ensure_ascii=False) + "\n",
        **{f"records/{record.name}.json": record.to_json() for record in gate.records},
        **_samples(inputs, job),
    }
    for file, text in written.items():
        write_atomically(folder / file, text)
    if model.kind == "onnx":
        model = described_as_mlflow(model, folder / "onnx", trained_python(job.workspace.base))
    tags = version_tags(source, model, metrics, base)
    return Submission(
        name=name,
        experiment=inputs.experiment or name,
        key=key,
        owner=owner(job.context.run_id, job.context.run_attempt),
        model=model,
        tags={**tags, "flint_ml.licence": rights.licence} if rights.licence else tags,
        run_tags=run_tags(source),
        metrics=metrics,
        params=params,
        attachments={
            **{file: folder / file for file in written},
            **pictures,
            **project_files(job.workspace.base, _limit(job)),
        },
        description=description(source, model, metrics, base),
        training_run=training_run(model),
    )


def _stage(inputs: Inputs, job: Job, store: Store, version: Version) -> Move | None:
    if inputs.stage == "None":
        return None

    def is_older(other: Version) -> bool:
        """Whether this commit is an ancestor of the other's: then the other is the newer model."""
        mine, theirs = job.git.commit("HEAD"), other.tags.get("flint_ml.commit", "")
        return bool(mine and theirs and mine != theirs and job.git.merge_base(mine, theirs) == mine)

    return move_forward(store, version, inputs.stage, is_older)


def _headline(inputs: Inputs, submission: Submission, registration: Registration, move: Move | None) -> str:
    commit = submission.tags.get("flint_ml.commit", "")[:7]
    did = "registered" if registration.created else "was already registered"
    text = f"{inputs.model_name} version {registration.version.number} {did}" + (f" from {commit}" if commit else "")
    if registration.approved_before:
        text += f", and approved since: its gate said `{registration.approved_before}`, now `{submission.tags[GATE]}`"
    if move is not None and move.moved:
        before = move.previous if move.previous not in (None, move.version) else None
        text += f", in {inputs.stage}" + (f" (before: version {before})" if before else "")
    elif move is not None:
        text += f"; {inputs.stage} stays at the newer version {move.version}"
    if submission.model.kind in {"r", "file", "folder"}:
        text += f"; stored as a {submission.model.described}, which MLflow keeps but cannot serve"
    return text


def _findings(job: Job, address: Address, source: Source) -> list[Finding]:
    findings = [
        Finding(severity="warning", code="registered-for-review", message=f"the gate asked for review: {reason}")
        for reason in source.gate_reasons
    ]
    if source.as_committed is False:
        findings.append(
            Finding(
                severity="warning",
                code="model-differs",
                message="the model is not the one that this commit holds (dvc.lock): it was trained again since",
                hint="register what was reviewed: run pull-data before this step instead of training again",
            )
        )
    if source.commit is None:
        findings.append(
            Finding(severity="warning", code="no-commit", message="outside a Git repository: no commit to trace to")
        )
    elif source.dirty:
        message = "tracked files differ from the commit; the version cannot be reproduced from it"
        findings.append(Finding(severity="warning", code="uncommitted-changes", message=message))
    if address.kind == "sqlite" and job.git.tracked(address.database):
        message = f"{address.database.name} is tracked by Git; add it and mlartifacts/ to .gitignore"
        findings.append(Finding(severity="warning", code="registry-tracked", message=message))
    return findings


def _outcome(
    inputs: Inputs,
    job: Job,
    address: Address,
    *,
    submission: Submission,
    source: Source,
    registration: Registration,
    move: Move | None,
) -> Outcome:
    version, model = registration.version, submission.model
    shown = address.shown(job.workspace.root)
    rows: list[list[Any]] = [
        ["version", version.uri],
        ["stage", f"{inputs.stage}: version {move.version}" if move else "none"],
        ["registry", shown],
        ["commit", source.commit or "unknown"],
        ["data", source.fingerprint or "no DVC-tracked data"],
        ["training", f"MLflow run {version.run_id}" if registration.trained else "logged here, no run of it was found"],
        ["model", f"{model.name}, {model.size:,} bytes, sha256 {model.sha256[:16]}…"],
        ["gate", version.tags.get(GATE, source.gate)],
    ]
    staged = bool(move and move.moved)
    return Outcome(
        "passed",
        _headline(inputs, submission, registration, move),
        f"version {version.number}" + (f" in {inputs.stage}" if staged else ""),
        metrics={"model_size": Metric(value=model.size, unit="bytes")},
        tables=[Table(title="Registered model", columns=[Column(name="what"), Column(name="value")], rows=rows)],
        findings=_findings(job, address, source),
        details={
            "name": version.name,
            "version": version.number,
            "run_id": version.run_id,
            "model_uri": version.uri,
            "created": registration.created,
            "key": submission.key,
            "registry": shown,
            "gate": version.tags.get(GATE, source.gate),
            "gate_before": registration.approved_before or None,
            "stage": inputs.stage if staged else None,
            "previous_version": move.previous if move else None,
            "fingerprint": source.fingerprint,
            "model_as_committed": source.as_committed,
            "trained_run": registration.trained,
            "model": {"kind": model.kind, "sha256": model.sha256, "bytes": model.size},
        },
        outputs={
            "version": version.number,
            "run-id": version.run_id,
            "model-uri": version.uri,
            "created": registration.created,
        },
    )


ACTION = Action(
    name="register-model",
    summary="a new version in the MLflow registry, traceable to code and data",
    description="Register the model that the gate approved in MLflow, with commit, data, metrics and run, in Staging.",
    badge="Registry",
    inputs=Inputs,
    run=run,
    outputs={
        "version": "Number of the version.",
        "run-id": "MLflow run that holds the model, its parameters and metrics.",
        "model-uri": "Address to load the model by: `models:/name/version`.",
        "created": "`true` if this run made the version, `false` if it was there already.",
    },
    positionals=("model",),
    icon="package",
)
