"""Whether the gate lets a model into the registry: the decision of the report, read once more. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from flint_ml.decision import Run, decide
from flint_ml.errors import InputError
from flint_ml.record import Record

Value = Literal["approved", "review", "refused", "not required"]
# Their records come after the gate and are no evidence for it.
_AFTER_THE_GATE = frozenset({"register-model", "deploy-model", "promote", "post-report", "gate"})


@dataclass(frozen=True)
class Approval:
    """What the gate said, and why (for ``review`` and ``refused``)."""

    value: Value
    reasons: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()


def gate_approval(
    records: Sequence[Record], unreadable: Sequence[str], require: Sequence[str], run: Run, *, merged: bool = True
) -> Approval:
    """Read the gate's records of this run and commit.

    ``approve`` is approved. ``review`` means that people decide: on the default branch the merge was their word,
    so the model may be registered, marked ``review``. ``request-changes`` is refused.

    Parameters
    ----------
    require
        Names of records that must be there; only ``none`` asks for nothing.
    merged
        Whether a person has decided already; False on a pull request, where ``review`` is refused too.

    Raises
    ------
    InputError
        If a required record is missing or a record cannot be read: nothing is known then.
    """
    gate = [record for record in records if record.action not in _AFTER_THE_GATE]
    if list(require) == ["none"]:
        return Approval("not required", records=tuple(gate))
    decision = decide(gate, require, run)
    reasons = tuple(reason.text for reason in decision.reasons)
    if decision.value == "request-changes":
        return Approval("refused", reasons, decision.records)
    if unreadable:
        raise InputError(unreadable[0], hint="delete it, or run the gate again", code="record-invalid")
    if decision.missing:
        raise InputError(
            f"no record of {', '.join(decision.missing)} from this run and commit",
            where="require",
            hint="run the gate before this step in the same job, or bring its results here with "
            "actions/download-artifact; `require` names the records that must be there (`none`: none)",
            code="missing-record",
        )
    if decision.value == "approve":
        return Approval("approved", (), decision.records)
    return Approval("review" if merged else "refused", reasons, decision.records)
