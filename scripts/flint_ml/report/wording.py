"""What the report says in sentences: the reason, what to do, where to look."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flint_ml.decision import FORK, GATE_CODES, Decision, Gap
from flint_ml.record import TREE, Record

# Clauses for verdicts; a headline begins with the verdict's word.
_VERDICTS = {
    "better": "the metrics are better",
    "same": "the metrics are the same, within tolerance",
    "worse": "the metrics are worse",
    "inconclusive": "the metrics do not tell better from worse",
    "changed": "the results changed",
    "no-baseline": "there is nothing to compare with yet",
}
_BY_KIND = {
    "evidence": "see below what was not looked at, and why",
    "missing": "see the log of the step that should have made the record",
    "unreadable": "a file in the results is not a record: see the notes below",
    "fork": "read its code first; what it wrote is no proof until the gate has run on a branch of this repository",
    "schema": "use one version of flint-ml for all steps of the workflow, and run it again",
    "yardstick": "decide whether what is measured with can be trusted; merge it first, by itself",
    "gate": "decide whether the changed rule is meant; this run used the rules of the base",
}
# Worth knowing, and never the next thing to look at.
_FOLDED = ("interval-coverage",)
_GAPS = 3
_RANK = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class CheckName:
    """How a check is called that left no record: on its badge, in a sentence, and the sentence that it did not run."""

    label: str
    spoken: str = ""
    absent: str = ""


def label(record: Record) -> str:
    """The badge's label, for people."""
    return record.badge.label.strip() or record.name


def reason(decision: Decision, lead: Record | None, names: Mapping[str, CheckName]) -> str:
    """One sentence: the reason that weighs most, and what did not run because of it."""
    kind = decision.reasons[0].kind if decision.reasons else "passed"
    if decision.value == "approve" or kind in ("fork", "evidence"):
        text = _clause(lead.headline, lead) if lead else "all expected checks passed"
        text += {"fork": f"; but {FORK}", "evidence": f"; but not looked at: {_listed(decision.gaps)}"}.get(kind, "")
    elif kind == "missing":
        text = ""
    else:
        text = _clause(decision.reasons[0].text, lead)
    if not decision.records and kind == "missing":
        return "nothing ran: there is no record of this run"
    if decision.missing:
        absent = _absent(decision, names, short=bool(text))
        text = f"{text}; {absent}" if text else absent
    # A percent sign stays with its number.
    return re.sub(r"(?<=\d) %", "\u00a0%", text or decision.reasons[0].text)


def _absent(decision: Decision, names: Mapping[str, CheckName], *, short: bool) -> str:
    """``training and the comparison of metrics did not run``; short: what that means, where a check says it."""
    known = [names.get(name, CheckName(name)) for name in decision.missing]
    meaning = next((name.absent for name in known if name.absent), "") if short else ""
    spoken = [name.spoken or missing for name, missing in zip(known, decision.missing, strict=True)]
    listed = f"{', '.join(spoken[:-1])} and {spoken[-1]}" if len(spoken) > 1 else spoken[0]
    return meaning or f"{listed} did not run"


def _clause(headline: str, record: Record | None) -> str:
    """``better: RMSE 1.50 → 1.30`` as a clause: ``the metrics are better. RMSE 1.50 → 1.30``."""
    word, colon, rest = headline.partition(": ")
    if record is not None and record.headline == headline and record.verdict and colon and word in _VERDICTS:
        return f"{_VERDICTS[word]}. {rest}"
    return headline


def _listed(gaps: Sequence[Gap]) -> str:
    """``SOC, clay and 3 more``."""
    names = list(dict.fromkeys(shortened(gap.name) for gap in gaps))
    more = len(names) - _GAPS
    return (
        f"{', '.join(names[:_GAPS])} and {more} more"
        if more > 0
        else " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    )


def shortened(name: str, length: int = 80) -> str:
    """A name that leaves room for others: its beginning and its end."""
    return name if len(name) <= length else f"{name[: length - 21]}…{name[-20:]}"


def ledger(decision: Decision) -> str:
    """``209 of 209 columns, 6 of 6 metrics, commit e4f5a6b``: what was looked at, by all records."""
    texts = []
    for record in decision.records:
        for piece in record.coverage:
            if piece.state == "looked":
                count = f"{piece.n:,} of {piece.of:,} {piece.noun or piece.kind}"
                texts.append(piece.noun if piece.kind == TREE and piece.noun else count)
    return ", ".join(dict.fromkeys(texts))


def more_reasons(decision: Decision) -> list[str]:
    """Further reasons; what did not run is in the first line and in the badges."""
    if decision.value == "approve":
        return []
    first = decision.reasons[0].text
    rest = [reason.text for reason in decision.reasons[1:] if reason.kind not in ("missing", "unreadable", "evidence")]
    return [text for text in dict.fromkeys(rest) if text != first]


def advice(decision: Decision, lead: Record | None) -> tuple[str, str]:
    """What to do (the hint of what stopped the change) and where to look (the next thing worth seeing)."""
    ordered = [lead, *(r for r in decision.records if r is not lead)] if lead else decision.records
    findings = sorted((f for record in ordered for f in record.findings), key=lambda f: _RANK[f.severity])
    to_do = ""
    by_gap = decision.gaps and decision.reasons[0].kind == "evidence"
    if by_gap:
        to_do = next((gap.hint for gap in decision.gaps if gap.hint), _BY_KIND["evidence"])
    elif decision.value != "approve":
        own = sorted(lead.findings, key=lambda f: _RANK[f.severity]) if lead else findings
        # Where a check said no by its numbers, its remarks are no next step; only an error's hint is.
        weighty = ("error",) if lead and lead.status == "failed" else ("error", "warning")
        hints = [f.hint for f in own if f.hint and f.severity in weighty and f.code not in GATE_CODES]
        by_hint = hints and decision.reasons[0].kind not in ("gate", "fork")
        to_do = hints[0] if by_hint else _default_advice(decision, lead)
    used = {to_do, *(reason.text for reason in decision.reasons)}
    if lead:
        used.add(lead.headline)
    shown = (f for f in findings if f.code not in _FOLDED and f.message not in used and f.hint != to_do)
    look = next(shown, None)
    return to_do, look.message if look else ""


def _default_advice(decision: Decision, lead: Record | None) -> str:
    """The record's own advice where its result is the reason; else what the kind of reason calls for."""
    kind = decision.reasons[0].kind
    if lead is not None and kind in ("failed", "warned", "verdict") and lead.status != "error":
        if lead.advice:
            return lead.advice
        if lead.status == "failed" and lead.log:
            return "read the last lines of the log, correct the step and push again"
        if kind != "verdict":
            return f"see {label(lead)} below; correct the change, or explain why it is meant"
    if kind == "failed":
        return f"see {label(lead)} below" if lead else ""
    return _BY_KIND.get(kind, "read the part that is marked and decide")
