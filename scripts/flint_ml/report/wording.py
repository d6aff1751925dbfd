"""What the report says in sentences: the reason, what to do, where to look."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flint_ml.decision import FORK, GATE_CODES, Decision
from flint_ml.record import Record

LABELS = {
    "pull-data": "Data",
    "check-drift": "Data Drift Check",
    "train": "Training",
    "compare-metrics": "Metrics",
    "run-gcbm": "Simulation",
}
_VERDICTS = {
    "better": "the metrics are better",
    "same": "the metrics are the same, within tolerance",
    "worse": "the metrics are worse",
    "inconclusive": "the metrics do not tell better from worse",
    "changed": "the results changed",
    "no-baseline": "there is nothing to compare with yet",
}
_SPOKEN = {
    "pull-data": "the data check",
    "check-drift": "the drift check",
    "train": "training",
    "compare-metrics": "the comparison of metrics",
    "run-gcbm": "the simulation",
}
_TO_DO = {
    "pull-data": "bring the missing data to the remote (`dvc push`) and run again",
    "check-drift": "check the instrument or region of the new data; if the difference is meant, update the reference",
    "compare-metrics": "look at the rows that got worse; correct the change, or say why it is accepted",
    "run-gcbm": "look at the checks that failed; correct the change, or declare what it is meant to do",
}
_TO_DECIDE = {
    "compare-metrics": "the numbers alone do not decide: read the table, and say in the pull request what is expected",
    "run-gcbm": "look at the rows that are not declared; declare what the change is meant to do, or correct it",
}

# Worth knowing, and never the next thing to look at.
_FOLDED = ("interval-coverage",)


def label(record: Record) -> str:
    """The badge's label, for people."""
    return record.badge.label.strip() or LABELS.get(record.name, record.name)


def last_lines(record: Record) -> list[str]:
    lines = record.details.get("last_lines")
    return [str(line) for line in lines if isinstance(line, str | int | float)] if isinstance(lines, list) else []


def reason(decision: Decision, lead: Record | None) -> str:
    """One sentence: the reason that weighs most, and what did not run because of it."""
    if decision.value == "approve" or decision.reasons[0].kind == "fork":
        text = _spoken(lead.headline) if lead else "all expected checks passed"
        text += f"; but {FORK}" if decision.value != "approve" else ""
    elif decision.reasons[0].kind == "missing":
        text = ""
    else:
        text = _spoken(decision.reasons[0].text)
    if not decision.records and decision.reasons[0].kind == "missing":
        return "nothing ran: there is no record of this run"
    if decision.missing:
        absent = "the model was not trained" if text and "train" in decision.missing else _absent(decision.missing)
        text = f"{text}; {absent}" if text else absent
    # A percent sign stays with its number.
    return re.sub(r"(?<=\d) %", "\u00a0%", text or decision.reasons[0].text)


def _absent(names: Sequence[str]) -> str:
    """``training and the comparison of metrics did not run``."""
    spoken = [_SPOKEN.get(name, name) for name in names]
    return (f"{', '.join(spoken[:-1])} and {spoken[-1]}" if len(spoken) > 1 else spoken[0]) + " did not run"


def _spoken(headline: str) -> str:
    """``better: RMSE 1.50 → 1.30`` as a clause: ``the metrics are better. RMSE 1.50 → 1.30``."""
    match = re.match(r"^([a-z-]+): (.+)$", headline, re.DOTALL)
    if match and match[1] in _VERDICTS:
        return f"{_VERDICTS[match[1]]}. {match[2]}"
    return headline


def more_reasons(decision: Decision) -> list[str]:
    """Further reasons; what did not run is in the first line and in the badges."""
    if decision.value == "approve":
        return []
    first = decision.reasons[0].text
    rest = [reason.text for reason in decision.reasons[1:] if reason.kind not in ("missing", "unreadable")]
    return [text for text in dict.fromkeys(rest) if text != first]


def advice(decision: Decision, lead: Record | None) -> tuple[str, str]:
    """What to do (the hint of what stopped the change) and where to look (the next thing worth seeing)."""
    ordered = [lead, *(r for r in decision.records if r is not lead)] if lead else decision.records
    findings = [finding for record in ordered for finding in record.findings]
    rank = {"error": 0, "warning": 1, "info": 2}
    findings.sort(key=lambda finding: rank[finding.severity])
    to_do = ""
    if decision.value != "approve":
        own = sorted(lead.findings, key=lambda f: rank[f.severity]) if lead else findings
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
    kind = decision.reasons[0].kind
    if lead is not None and last_lines(lead) and lead.status == "failed":
        return "read the last lines of the log, correct the step and push again"
    if kind in ("warned", "verdict") and lead is not None and lead.action in _TO_DECIDE:
        return _TO_DECIDE[lead.action]
    if kind in ("failed", "warned") and lead is not None and lead.status != "error":
        return _TO_DO.get(lead.action, f"see {label(lead)} below; correct the change, or explain why it is meant")
    return {
        "failed": f"see {label(lead)} below" if lead else "",
        "missing": "see the log of the step that should have made the record",
        "unreadable": "a file in the results is no record: see the notes below",
        "fork": "read its code first; what it wrote is no proof until the gate has run on a branch of this repository",
        "gate": "decide whether the changed rule is meant; this run used the rules of the base",
    }.get(kind, "read the part that is marked and decide")
