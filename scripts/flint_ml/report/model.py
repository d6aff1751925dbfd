"""The report: what the comment says, worked out from the records, before any markup."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from flint_ml.decision import Decision, Gap, Value
from flint_ml.github import Accepted
from flint_ml.record import MARKS, Figure, Finding, Piece, Record, Table
from flint_ml.report import changes as changed
from flint_ml.report.wording import CheckName, advice, label, ledger, more_reasons, reason, shortened
from flint_ml.text.markdown import Made
from flint_ml.text.numbers import number

WORDS: dict[Value, tuple[str, str]] = {
    "approve": ("🟢", "Approve"),
    "review": ("🟡", "Review"),
    "request-changes": ("🔴", "Request changes"),
}
MAX_BADGES = 8
MAX_BAD_BADGES = 24
LOG_LINES = 8
LOG_WIDTH = 300
_BAD = ("failed", "error")


@dataclass(frozen=True)
class Facts:
    """What the report says beside the records: where it was made and for whom.

    Attributes
    ----------
    base_name
        The branch that the change is compared with, for the column title.
    guide_url, run_url, page
        How to read this; the workflow run; the file name of the full report (in the run's artifact).
    folder
        Folder of the project, where it is not the root of the repository.
    accepted
        Exceptions that people with write access accepted on the pull request.
    not_accepted
        Acceptances that do not count, as sentences.
    earlier
        Labels of the checks in the last report.
    names
        How checks are called that left no record.
    """

    title: str = ""
    base_name: str = "base"
    pull_request: int | None = None
    run_url: str | None = None
    guide_url: str | None = None
    page: str = "report.html"
    head_sha: str | None = None
    folder: str = ""
    from_fork: bool = False
    accepted: tuple[Accepted, ...] = ()
    not_accepted: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    names: Mapping[str, CheckName] = field(default_factory=dict)


@dataclass(frozen=True)
class BadgeLine:
    """One badge: mark, label, message."""

    mark: str
    label: str
    message: str


@dataclass(frozen=True)
class Section:
    """One record, folded."""

    record: Record
    mark: str
    label: str
    findings: list[Finding]
    log: list[str]
    tables: list[Table]
    figures: list[Figure]
    facts: list[tuple[str, str]]


@dataclass(frozen=True)
class Report:
    """Everything a template needs. All text is as it was in the records: the template escapes it."""

    decision: Decision
    facts: Facts
    mark: str
    word: str
    reason: str
    more_reasons: list[str]
    badges: list[BadgeLine]
    lead: Record | None
    table: Table | None
    benchmark: str
    log: list[str]
    changed_line: Made
    changed_items: dict[str, list[Made]]
    changed_folded: bool
    to_do: str
    look_at: str
    figure: Figure | None
    images: list[Figure]
    sections: list[Section]
    reproduce: list[str]
    provenance: Table
    inputs: Table
    base_sha: str | None
    base_label: str
    head_sha: str | None
    tool: str
    fingerprint: str
    notes: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    ledger: str = ""
    nothing_of: list[Piece] = field(default_factory=list)


def build(decision: Decision, facts: Facts, images: Sequence[Figure] = ()) -> Report:
    """The report of ``decision``: first screen, folded sections, provenance; ``images`` are the user's own."""
    records = decision.records
    lead = _lead(decision)
    results = _results(decision, lead)
    crashed = _crashed(decision)
    mark, word = WORDS[decision.value]
    changes = changed.of_records(records)
    base_label, base_sha = _base(results, records)
    to_do, look_at = advice(decision, lead)
    head_sha = facts.head_sha or next((r.provenance.head_sha for r in records if r.provenance.head_sha), None)
    # A figure that has nothing to do with the failure would lead astray.
    candidates = [lead] if lead and lead.status in _BAD else [results, lead]
    pictured = next((r for r in candidates if r and r.figures), None)
    return Report(
        decision=decision,
        facts=facts,
        mark=mark,
        word=word,
        reason=reason(decision, lead, facts.names),
        more_reasons=more_reasons(decision),
        badges=[*_badges(decision, facts.names), *_outdated(decision, facts)],
        lead=lead,
        table=results.tables[0] if results and results.tables and not crashed else None,
        benchmark=_benchmark(results) if results else "",
        log=[line[:LOG_WIDTH] for line in crashed.log[-LOG_LINES:]] if crashed else [],
        changed_line=changed.line(changes),
        changed_items=changed.items(changes) | {"outputs": changed.outputs(changes)} if changes else {},
        changed_folded=bool(changes and (changed.outputs(changes) or changed.count(changes) > changed.SHOWN)),
        to_do=to_do,
        look_at=look_at,
        figure=pictured.figures[0] if pictured else None,
        images=list(images),
        sections=[_section(record) for record in _in_order(decision)],
        reproduce=_reproduce(records, facts, head_sha),
        provenance=_provenance(records),
        inputs=_inputs(records),
        base_sha=base_sha,
        base_label=base_label,
        head_sha=head_sha,
        tool=records[-1].provenance.tool[:60] if records else "",
        fingerprint=next((record.fingerprint for record in records if record.fingerprint), ""),
        notes=[*_notes(decision), *facts.not_accepted[:3]],
        gaps=[replace(gap, name=shortened(gap.name)) for gap in decision.gaps],
        ledger=ledger(decision),
        nothing_of=_nothing_of(records),
    )


def _nothing_of(records: Sequence[Record]) -> list[Piece]:
    """What there was not to look at, each once: several records tell it."""
    pieces = (piece for record in records for piece in record.coverage if piece.state == "not-applicable")
    return list({(piece.name or piece.kind, piece.why): piece for piece in pieces}.values())


def _lead(decision: Decision) -> Record | None:
    """The record that the decision hangs on."""
    by_name = {record.name: record for record in decision.records}
    if decision.value != "approve" and decision.reasons[0].kind not in ("fork", "evidence"):
        return next((by_name[reason.name] for reason in decision.reasons if reason.name in by_name), None)
    return next(iter([*_comparisons(decision), *reversed(decision.records)]), None)


def _comparisons(decision: Decision) -> list[Record]:
    """Records that compare this change with a base, the last one first: a lead decides from their first table."""
    return [
        record
        for record in reversed(decision.records)
        if record.verdict or any(table.column("head") is not None for table in record.tables)
    ]


def _results(decision: Decision, lead: Record | None) -> Record | None:
    """The record whose first table is shown: the failed one's, else the comparison's."""
    candidates = [lead] if lead and (lead.status in _BAD or lead in _comparisons(decision)) else []
    candidates += [*_comparisons(decision), *([lead] if lead else [])]
    return next((record for record in [*candidates, *decision.records] if record.tables), None)


def _crashed(decision: Decision) -> Record | None:
    """The failed command whose log says why, if the decision hangs on it."""
    lead = _lead(decision)
    return lead if lead and lead.status in _BAD and lead.log else None


def _in_order(decision: Decision) -> list[Record]:
    """The expected records in the order of the gate, then the others as they ran, failed ones first."""
    order = {name: number for number, name in enumerate(decision.expected)}
    return sorted(decision.records, key=lambda r: (order.get(r.name, len(order)), r.status not in _BAD))


def _badges(decision: Decision, names: Mapping[str, CheckName]) -> list[BadgeLine]:
    """One badge for each record and each missing one, in the gate's order; many passed ones are counted."""
    by_name = {record.name: record for record in decision.records}
    missing = {name: BadgeLine("⏭️", names.get(name, CheckName(name)).label, "did not run") for name in decision.missing}
    order = [*(name for name in decision.expected if name in {*by_name, *missing}), *by_name, *missing]
    badges: list[tuple[bool, BadgeLine]] = []
    for name in dict.fromkeys(order):
        record = by_name.get(name)
        if name in missing or record is None:
            badges.append((False, missing[name]))
        else:
            passed = record.status == "passed"
            badges.append((passed, BadgeLine(MARKS[record.status], label(record), record.badge.message)))
            badges += [
                (badge.status == "passed", BadgeLine(MARKS[badge.status], badge.label, badge.message))
                for badge in record.badges[:MAX_BADGES]
            ]
    if len(badges) <= MAX_BADGES:
        return [badge for _, badge in badges]
    bad = [badge for passed, badge in badges if not passed]
    good = [badge for passed, badge in badges if passed]
    if len(bad) > MAX_BAD_BADGES:
        bad = [*bad[:MAX_BAD_BADGES], BadgeLine("❌", "Others", f"{len(bad) - MAX_BAD_BADGES} not passed")]
    room = max(0, MAX_BADGES - len(bad))
    rest = [BadgeLine("✅", "Others", f"{len(good) - room} passed")] if len(good) > room else []
    return [*bad, *good[:room], *rest]


def _outdated(decision: Decision, facts: Facts) -> list[BadgeLine]:
    """Checks of the last report that this run no longer has: silence must not look like success."""
    missing = (facts.names.get(name, CheckName(name)).label for name in decision.missing)
    present = {*map(label, decision.records), *missing}
    gone = [name for name in facts.earlier if name not in present]
    return [BadgeLine("⚪\ufe0f", name, "outdated, no longer part of this run") for name in gone[:MAX_BADGES]]


def checks(report: Report) -> tuple[str, ...]:
    """Labels of all checks of ``report``, those that are outdated included."""
    return tuple(dict.fromkeys(badge.label[:100] for badge in report.badges))


def _benchmark(record: Record) -> str:
    """``Benchmark ssp460-test, n = 115, same on both sides``, as far as the record says."""
    benchmark = record.benchmark
    if benchmark is None:
        return ""
    name = (benchmark.name or benchmark.path or "")[:120]
    size = f"n\u00a0=\u00a0{benchmark.n}" if benchmark.n is not None else ""
    known = {None: "", True: "same on both sides", False: "not the same on both sides"}[benchmark.same]
    return ", ".join(part for part in (f"Benchmark {name}".strip() if name else "", size, known) if part)


def _base(results: Record | None, records: Sequence[Record]) -> tuple[str, str | None]:
    """What the comparison's base is called (empty: as its branch) and its commit."""
    base = results.base if results else None
    if base is not None and base.kind != "revision":
        return base.label[:120], base.commit if base.kind != "file" else None
    commits = (record.provenance.base_sha for record in (results, *records) if record)
    return "", next((sha for sha in commits if sha), None)


def _section(record: Record) -> Section:
    """One record, folded: works for any action."""
    return Section(
        record=record,
        mark=MARKS[record.status],
        label=label(record),
        findings=record.findings,
        log=record.log,
        tables=[table for table in record.tables if not _is_log(table, record)],
        figures=record.figures,
        facts=_scalars(record),
    )


def _is_log(table: Table, record: Record) -> bool:
    """Whether ``table`` repeats the last lines, which are shown as a block."""
    return bool(record.log) and [str(row[0]) for row in table.rows if len(row) == 1] == record.log


def _scalars(record: Record) -> list[tuple[str, str]]:
    """The simple values of ``details``, so that nothing an unknown action says is lost."""
    simple = [(key, value) for key, value in record.details.items() if isinstance(value, str | int | float | bool)]
    lists = [
        (key, ", ".join(map(str, value)))
        for key, value in record.details.items()
        if isinstance(value, list)
        and value != record.log
        and value
        and all(isinstance(item, str | int | float) for item in value)
    ]
    return [(key, _value(value)) for key, value in [*simple, *lists][:30]]


def _value(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int | float) else value[:300]


def _reproduce(records: Sequence[Record], facts: Facts, head_sha: str | None) -> list[str]:
    """Commands that repeat the run in a clone of the repository."""
    if not head_sha:
        return []
    commands: list[str] = []
    remote = f"pull/{facts.pull_request}/head" if facts.pull_request else head_sha
    commands.append(f"git fetch origin {shlex.quote(remote)} && git switch --detach {shlex.quote(head_sha)}")
    if facts.folder:
        commands.append(f"cd {shlex.quote(facts.folder)}")
    # A command that a fork wrote is not one to be copied into a terminal.
    told = () if facts.from_fork else records
    return commands + list(dict.fromkeys(line.strip() for record in told for line in record.reproduce if line.strip()))


def _provenance(records: Sequence[Record]) -> Table:
    rows = [
        [
            record.name,
            record.status,
            record.provenance.started[:40],
            record.provenance.seconds,
            record.provenance.peak_mb,
            (record.provenance.head_sha or "")[:12],
            record.provenance.tool[:60],
            ", ".join(f"{name} {version}" for name, version in record.provenance.versions.items())[:300],
        ]
        for record in records
    ]
    columns = [
        {"name": "record"},
        {"name": "status"},
        {"name": "started"},
        {"name": "time", "type": "number", "unit": "s"},
        {"name": "peak memory", "type": "number", "unit": "MB"},
        {"name": "commit"},
        {"name": "tool"},
        {"name": "versions"},
    ]
    return Table.model_validate({"title": "Provenance", "columns": columns, "rows": rows})


def _inputs(records: Sequence[Record]) -> Table:
    seen: dict[tuple[str, str], list[str | int | None]] = {}
    for record in records:
        for item in record.provenance.inputs:
            digest = f"md5 {item.md5}" if item.md5 else f"sha256 {item.sha256}" if item.sha256 else ""
            seen.setdefault((item.path, digest), [item.path, digest, item.bytes])
    columns = [{"name": "input"}, {"name": "hash"}, {"name": "size", "type": "number", "unit": "bytes"}]
    return Table.model_validate({"title": "Inputs", "columns": columns, "rows": list(seen.values())[:1000]})


def _notes(decision: Decision) -> list[str]:
    """What the decision was not based on."""
    notes = [reason.text for reason in decision.reasons if reason.kind == "unreadable"]
    if decision.ignored:
        names = ", ".join(dict.fromkeys(decision.ignored))
        notes.append(f"Ignored, because another run or commit made them: {names}")
    return notes
