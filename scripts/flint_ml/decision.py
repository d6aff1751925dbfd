"""The decision: a pure function of the records. It advises; people decide.

================================================================================  ====================
records of this run, this attempt, this commit                                    decision
================================================================================  ====================
any ``failed`` or ``error``                                                       request-changes
any ``warned``; verdict inconclusive, changed or no-baseline; gate itself touched  review
an expected record is missing or skipped: "did not run"                           request-changes if one
                                                                                  failed, else review
the records are of a fork's own run, or follow flint-ml/record/1                  at best review
all expected ones present and ``passed``                                          approve
================================================================================  ====================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from flint_ml.record import SCHEMA_BEFORE, Record, same_run

Value = Literal["approve", "review", "request-changes"]
Kind = Literal["failed", "warned", "verdict", "gate", "missing", "unreadable", "schema", "fork", "passed"]

EXPECTED = ("pull-data", "check-drift", "train", "compare-metrics")
REVIEW_VERDICTS = ("inconclusive", "changed", "no-baseline")
GATE_CODES = ("gate-changed", "gate-unverified")
# A report is no evidence for itself.
REPORTS = ("post-report",)
_SEVERITY: dict[Kind, Value] = {
    "failed": "request-changes",
    "unreadable": "review",
    "warned": "review",
    "verdict": "review",
    "gate": "review",
    "missing": "review",
    "schema": "review",
    "fork": "review",
}
FORK = "the change comes from a fork, whose own workflow run made these numbers"
_RANK: dict[Value, int] = {"approve": 0, "review": 1, "request-changes": 2}


@dataclass(frozen=True)
class Run:
    """Which records count: those made by this run and attempt, for this head commit."""

    head_sha: str | None = None
    run_id: str | None = None
    run_attempt: int = 1


@dataclass(frozen=True)
class Reason:
    """Why the decision is what it is: the kind of reason, the record it is about, and its sentence."""

    kind: Kind
    name: str
    text: str


@dataclass(frozen=True)
class Decision:
    """The advice, with its reasons (weightiest first) and what it was not based on.

    Attributes
    ----------
    value
        ``approve``, ``review`` or ``request-changes``.
    reasons
        Why; for ``approve`` what passed.
    records
        The records that counted.
    missing
        Names of expected records that are not there ("did not run").
    ignored
        Names of records of another run, attempt or commit.
    expected
        Names of the records that must be there, in the order of the gate.
    """

    value: Value
    reasons: tuple[Reason, ...] = ()
    records: tuple[Record, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()

    def at_least(self, level: str) -> bool:
        """Whether the decision is ``level`` or worse."""
        return level in _RANK and _RANK[self.value] >= _RANK[level]


def decide(
    records: Iterable[Record],
    expected: Sequence[str] = EXPECTED,
    run: Run | None = None,
    unreadable: Sequence[str] = (),
    *,
    from_fork: bool = False,
) -> Decision:
    """Advise on a change from the records that its checks left.

    Parameters
    ----------
    records
        Every record found, in order of start.
    expected
        Names of the records that must be there and have passed.
    run
        Whose records count; the others are ignored and named. None: all count.
    unreadable
        One sentence for each file that could not be read as a record: never a reason to approve.
    from_fork
        Whether the run was a fork's own, which may write any record it likes: never a reason to approve.
    """
    checks = [record for record in records if record.action not in REPORTS]
    counted = checks if run is None else same_run(checks, run.head_sha, run.run_id, run.run_attempt)
    ignored = tuple(record.name for record in checks if not any(record is other for other in counted))
    reasons = [reason for record in counted for reason in _of_record(record)]
    present = {record.name for record in counted if record.status != "skipped"}
    missing = tuple(name for name in expected if name not in present)
    reasons += [Reason("missing", name, f"{name} did not run") for name in missing]
    reasons += [Reason("unreadable", "", text) for text in unreadable]
    if not counted and not reasons:
        # Nothing expected and nothing found: silence is no evidence.
        reasons = [Reason("missing", "", "there is no record of this run")]
    reasons += [Reason("fork", "", FORK)] if from_fork else []
    order = list(_SEVERITY)
    reasons.sort(key=lambda reason: order.index(reason.kind))
    value: Value = max((_SEVERITY[reason.kind] for reason in reasons), key=_RANK.__getitem__, default="approve")
    if value == "approve":
        reasons = [Reason("passed", record.name, record.headline) for record in counted]
    return Decision(value, tuple(reasons), tuple(counted), missing, ignored, tuple(expected))


def _of_record(record: Record) -> list[Reason]:
    """What speaks against approving, in one record."""
    reasons: list[Reason] = []
    if record.status in ("failed", "error"):
        reasons.append(Reason("failed", record.name, record.headline))
    elif record.status == "warned":
        reasons.append(Reason("warned", record.name, record.headline))
    elif record.status == "passed" and record.verdict in REVIEW_VERDICTS:
        reasons.append(Reason("verdict", record.name, record.headline))
    if record.schema_ == SCHEMA_BEFORE:
        text = f"{record.name} left a record of an older flint-ml, which does not say what was looked at"
        reasons.append(Reason("schema", record.name, text))
    reasons += [Reason("gate", record.name, f.message) for f in record.findings if f.code in GATE_CODES]
    return reasons
