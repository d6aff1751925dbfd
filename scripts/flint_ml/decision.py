"""The decision: a pure function of the records. It advises; people decide.

================================================================================  ====================
records of this run, this attempt, this commit                                    decision
================================================================================  ====================
any ``failed`` or ``error``                                                       request-changes
any ``warned``; verdict inconclusive, changed or no-baseline; gate itself touched  review
an expected record is missing or skipped: "did not run"                           request-changes if one
                                                                                  failed, else review
a piece of evidence was left out, is absent or contradicts itself                 review
the records are of a fork's own run, or follow flint-ml/record/1                  at best review
all expected ones present and ``passed``, with all their evidence                 approve
================================================================================  ====================

Evidence is what a record's ``coverage`` says was looked at. Which pieces an expected record must have is in
:data:`EVIDENCE`, by the action that made it; of other actions only what they themselves name as left out counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from flint_ml.record import (
    BASE_METRICS,
    COLUMNS,
    DATA,
    FRESH,
    METRICS,
    SAMPLES,
    SCHEMA_BEFORE,
    TREE,
    Piece,
    Record,
    same_run,
)

Value = Literal["approve", "review", "request-changes"]
Kind = Literal[
    "failed", "warned", "verdict", "gate", "yardstick", "missing", "unreadable", "evidence", "schema", "fork", "passed"
]

EXPECTED = ("pull-data", "check-drift", "train", "compare-metrics")
REVIEW_VERDICTS = ("inconclusive", "changed", "no-baseline")
GATE_CODES = ("gate-changed", "gate-new", "gate-unverified")
# What the gate measures with is altered, which is no change of its rules: the reference, observations.
YARDSTICK_CODES = ("reference-changed", "observations-changed")
# What the record of an expected check must have looked at, or say that there is nothing of.
_COMPARISON = (TREE, FRESH, METRICS, SAMPLES, BASE_METRICS)
EVIDENCE: dict[str, tuple[str, ...]] = {
    "pull-data": (TREE, DATA),
    "check-drift": (TREE, COLUMNS),
    "compare-metrics": _COMPARISON,
    "run-gcbm": _COMPARISON,
    "run-gcbm-flint": _COMPARISON,
}
_ABSENT = {
    TREE: "which commit was judged",
    DATA: "whether all data were there",
    COLUMNS: "which columns were compared",
    FRESH: "whether this run wrote the metrics",
    METRICS: "which metrics were compared",
    SAMPLES: "whether both sides were scored on the same samples",
    BASE_METRICS: "whether the metrics of the base are current",
}
# A report is no evidence for itself.
REPORTS = ("post-report",)
_SEVERITY: dict[Kind, Value] = {
    "failed": "request-changes",
    "unreadable": "review",
    "warned": "review",
    "verdict": "review",
    "gate": "review",
    "yardstick": "review",
    "missing": "review",
    "evidence": "review",
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
class Gap:
    """Something that was not looked at: in which record, what, why, and the line that changes it."""

    record: str
    kind: str
    name: str
    why: str
    hint: str = ""


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
    gaps
        What was not looked at.
    """

    value: Value
    reasons: tuple[Reason, ...] = ()
    records: tuple[Record, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()

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
    required: Mapping[str, tuple[str, ...]] | None = None,
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
    required
        Kinds of evidence that an expected record must have, by its action; default: :data:`EVIDENCE`.
    """
    must = EVIDENCE if required is None else required
    checks = [record for record in records if record.action not in REPORTS]
    counted = checks if run is None else same_run(checks, run.head_sha, run.run_id, run.run_attempt)
    ignored = tuple(record.name for record in checks if not any(record is other for other in counted))
    reasons = [reason for record in counted for reason in _of_record(record)]
    present = {record.name for record in counted if record.status != "skipped"}
    missing = tuple(name for name in expected if name not in present)
    reasons += [Reason("missing", name, f"{name} did not run") for name in missing]
    asked = {record.name: must.get(record.action, ()) for record in counted if record.name in expected}
    gaps = [gap for record in counted for gap in _gaps(record, asked.get(record.name, ()))] + _trees(counted)
    reasons += [Reason("evidence", gap.record, f"{gap.name} was not looked at: {gap.why}") for gap in gaps]
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
    return Decision(value, tuple(reasons), tuple(counted), missing, ignored, tuple(expected), tuple(gaps))


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
    reasons += [Reason("yardstick", record.name, f.message) for f in record.findings if f.code in YARDSTICK_CODES]
    return reasons


def _gaps(record: Record, required: Sequence[str]) -> list[Gap]:
    """What the record left out, what it does not say although it must, and where it contradicts itself."""
    if record.status in ("error", "skipped") or record.schema_ == SCHEMA_BEFORE:
        return []
    by_kind: dict[str, list[Piece]] = {}
    for piece in record.coverage:
        by_kind.setdefault(piece.kind, []).append(piece)
    gaps = [gap for kind, pieces in by_kind.items() for gap in _gaps_of_kind(record.name, kind, pieces)]
    why = f"the record of {record.name} does not say it"
    return gaps + [Gap(record.name, kind, _ABSENT[kind], why) for kind in required if kind not in by_kind]


def _gaps_of_kind(name: str, kind: str, pieces: Sequence[Piece]) -> list[Gap]:
    """Pieces of one kind: each that was left out, and a count that does not add up."""
    gaps = [Gap(name, kind, piece.name, piece.why, piece.hint) for piece in pieces if piece.state == "left-out"]
    counted = [piece for piece in pieces if piece.state == "looked"]
    nothing = [piece for piece in pieces if piece.state == "not-applicable"]
    what = _ABSENT.get(kind, kind)
    for piece in counted:
        left = (piece.of or 0) - (piece.n or 0)
        if left and not gaps:
            text = f"{left:,} of {piece.of:,} {piece.noun or kind}"
            gaps.append(Gap(name, kind, text, "the record does not say which, nor why"))
        if not piece.of and not nothing and not gaps:
            gaps.append(Gap(name, kind, what, "there was nothing to look at, and the record does not say why"))
    if counted and any(not piece.name for piece in nothing):
        gaps.append(Gap(name, kind, what, "the record says both that it was looked at and that there is nothing of it"))
    return gaps


def _trees(records: Sequence[Record]) -> list[Gap]:
    """Records that judged different trees are no evidence for one."""
    trees = {p.noun: r.name for r in records for p in r.coverage if p.kind == TREE and p.state == "looked" and p.noun}
    if len(trees) < 2:
        return []
    why = f"the records are about {' and '.join(list(trees)[:3])}"
    return [Gap(list(trees.values())[-1], TREE, "one and the same tree", why, "check out the same commit in every job")]
