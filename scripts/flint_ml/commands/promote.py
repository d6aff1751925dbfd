"""promote: a person's word moves a version to Production, or back."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from flint_ml.commands.registry import ModelName, existing_registry, person, tracking_uri_field
from flint_ml.errors import InputError
from flint_ml.record import Column, Finding, Table, now
from flint_ml.registry import GATE, Promotion, connect, history_of, promote, version_named
from flint_ml.runner import Action, ActionInputs, Job, Outcome


class Inputs(ActionInputs):
    """Inputs of promote."""

    model_name: ModelName = Field(description="Name of the registered model.")
    version: str = Field("", description="Number or alias of the version to promote. Default: the alias `staging`.")
    rollback: bool = Field(False, description="Go back to the version that was in Production before.")
    reason: str = Field(
        "", description="Why, where the gate did not approve the version; kept in the registry.", max_length=1000
    )
    dry_run: bool = Field(False, description="Move nothing, only say whether the version may go to Production.")
    tracking_uri: str = tracking_uri_field()


def run(inputs: Inputs, job: Job) -> Outcome:
    """Find the version, ask for the gate's word, move tag, alias and stage."""
    if inputs.rollback and inputs.version:
        raise InputError("give either `version` or `rollback`", where="promote", code="invalid-input")
    address = existing_registry(inputs.tracking_uri, job)
    store = connect(address, job.env)
    version = version_named(store, inputs.model_name, inputs.version, rollback=inputs.rollback)
    entry = {"at": now(), "by": person(job) or None, "run": job.context.run_url}
    reason = " ".join(inputs.reason.split())
    # Going back is an emergency; what was in Production once needs no new word of the gate.
    promotion = promote(
        store, version, entry, reason or ("rollback" if inputs.rollback else ""), dry_run=inputs.dry_run
    )
    after = store.version(version.name, version.number) or version
    return _outcome(inputs, promotion, [dict(move) for move in history_of(after)])


def _outcome(inputs: Inputs, promotion: Promotion, history: list[dict[str, Any]]) -> Outcome:
    version, previous = promotion.version, promotion.previous
    title = f"{inputs.model_name} version {version.number}"
    findings: list[Finding] = []
    if promotion.refused:
        findings.append(
            Finding(
                severity="error",
                code="gate-refused",
                message=f"the gate did not approve {title}: {promotion.refused}",
                hint="promote a version that it approved, run the gate and register-model again for this one, or say "
                f"why: "
                f'`flint-ml promote --model-name "{inputs.model_name}" --version {version.number} --reason "…"`, which '
                "the registry keeps",
            )
        )
        headline, message = f"{title} was not promoted; {promotion.refused}", "not promoted"
    elif promotion.changed:
        before = f" (before: version {previous})" if previous not in (None, version.number) else ""
        headline, message = f"{title} is in Production{before}", f"version {version.number} in Production"
    elif inputs.dry_run:
        headline, message = f"{title} may go to Production", "may go to Production"
    else:
        headline, message = f"{title} was in Production already", f"version {version.number} in Production"
    rows: list[list[Any]] = [
        [move.get("at"), move.get("to"), move.get("before"), move.get("by"), move.get("reason")] for move in history
    ]
    columns = [Column(name=name) for name in ("when", "to", "before", "by", "reason")]
    return Outcome(
        "failed" if promotion.refused else "passed",
        headline,
        message,
        tables=[Table(title=f"History of version {version.number}", columns=columns, rows=rows)] if rows else [],
        findings=findings,
        details={
            "name": version.name,
            "version": version.number,
            "previous_version": previous,
            "changed": promotion.changed,
            "gate": version.tags.get(GATE),
            "history": history,
        },
        outputs={
            "version": version.number,
            "previous-version": previous,
            "model-uri": version.uri,
            "changed": promotion.changed,
        },
    )


ACTION = Action(
    name="promote",
    summary="move a version to Production, or back to the one before",
    description="Move a registered version to Production: tag, alias and MLflow's stage together, with history.",
    badge="Production",
    inputs=Inputs,
    run=run,
    outputs={
        "version": "Number of the version that is in Production now.",
        "previous-version": "The version that was there before.",
        "model-uri": "Address to load the model by: `models:/name/version`.",
        "changed": "`true` if something was moved.",
    },
    icon="arrow-up-circle",
)
