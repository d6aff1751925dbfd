"""What run-gcbm found, as a record: headline, tables, checks as badges, figures, outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from flint_ml.commands.run_gcbm.compare import Compared, Nothing
from flint_ml.commands.run_gcbm.modes import findings_of, problem_dict
from flint_ml.gcbm import (
    DATABASE,
    Change,
    Check,
    Problem,
    Scored,
    Simulated,
    amount,
    change_text,
    comparison_tables,
    label,
    rank,
    results_table,
    run_tables,
    span,
    unit,
    value,
)
from flint_ml.record import (
    BASE_METRICS,
    FRESH,
    METRICS,
    SAMPLES,
    BaseSide,
    Cell,
    Changes,
    Column,
    Figure,
    Finding,
    Metric,
    PartBadge,
    Piece,
    Status,
    Verdict,
    looked,
    not_applicable,
)
from flint_ml.record import Table as RecordTable
from flint_ml.runner import Job, Outcome

_FITS = ("better", "worse")
_RANK: dict[str, int] = {"passed": 0, "ignored": 0, "warned": 1, "failed": 2}


@dataclass
class RunReport:
    """Everything that the record is made from. ``compared`` is None with ``base: none``."""

    simulated: Simulated
    problems: list[Problem]
    chosen: list[str]
    metrics: dict[str, float]
    severities: Mapping[str, str]
    output_dir: str
    compared: Compared | Nothing | None = None
    scored: Scored | None = None
    changes: dict[str, Any] | None = None
    figures: list[Figure] = field(default_factory=list)


@dataclass(frozen=True)
class Judged:
    """A check with what it means here: ``known`` says that the base has the same warning."""

    check: Check
    status: str
    known: bool = False


def judge_checks(checks: list[Check], severities: Mapping[str, str], base: list[Check] | None) -> list[Judged]:
    """Each check's status after the user's settings; a warning that the base has too is not this change's."""
    before = {check.name: check.value for check in base or []}
    judged = []
    for check in checks:
        wanted = {"fail": "failed", "warn": "warned", "ignore": "ignored"}.get(severities.get(check.name, ""))
        status = check.status if check.status == "passed" or wanted is None else wanted
        known = status == "warned" and check.name in before and check.value <= before[check.name] * (1 + 1e-9)
        judged.append(Judged(check, status, known))
    return judged


def build(report: RunReport, job: Job) -> Outcome:
    """The outcome of a run."""
    simulated, compared = report.simulated, report.compared
    base = (
        compared.baseline.simulated.checks if isinstance(compared, Compared) and compared.baseline.simulated else None
    )
    checks = judge_checks(simulated.checks, report.severities, base)
    verdict = _verdict(report)
    last = simulated.years[-1]
    return Outcome(
        status=_status(checks, report),
        headline=_headline(report, checks),
        message=_message(report, checks),
        badge="Results" if isinstance(compared, Compared) else None,
        metrics=_metrics(report),
        tables=_tables(report, checks),
        figures=report.figures,
        verdict=_typed_verdict(report),
        advice=_advice(report, checks),
        base=_base_side(report),
        coverage=_coverage(report),
        badges=[PartBadge.model_validate(badge) for badge in badges(report, checks)],
        changes=None if report.changes is None else Changes.clipped(report.changes, by="content"),
        details=_details(report, checks),
        findings=[
            *_base_findings(compared),
            *_check_findings(checks),
            *(report.scored.findings if report.scored else []),
            *findings_of(report.problems),
        ],
        outputs={
            "output-db": f"{report.output_dir}/{DATABASE}",
            "metrics": f"{report.output_dir}/metrics.json",
            "engine": simulated.kind,
            "area-ha": value(simulated.table, last, "area_ha"),
            "total-biomass": value(simulated.table, last, "total_biomass_tC"),
            "total-ecosystem": value(simulated.table, last, "total_ecosystem_tC"),
            "npp": value(simulated.table, last, "npp_tC"),
            "nbp": value(simulated.table, last, "nbp_tC"),
            "verdict": verdict,
        },
        base_sha=commit_of(compared),
    )


def commit_of(compared: Compared | Nothing | None) -> str | None:
    """The base revision."""
    if isinstance(compared, Compared):
        return compared.baseline.commit
    return compared.commit if compared else None


def _verdict(report: RunReport) -> str:
    compared = report.compared
    if isinstance(compared, Compared):
        if report.scored and report.scored.overall and report.scored.overall.verdict in _FITS:
            return report.scored.overall.verdict
        return "changed" if compared.difference.verdict == "changed" else "same"
    return "no-baseline" if compared else ""


def _typed_verdict(report: RunReport) -> Verdict | None:
    """The record's verdict: what changed wholly as declared is told from what changed."""
    verdict = _verdict(report)
    if verdict == "same" and isinstance(report.compared, Compared):
        return "as-declared" if report.compared.difference.verdict == "as declared" else "same"
    return cast("Verdict", verdict) if verdict else None


def _advice(report: RunReport, checks: list[Judged]) -> str:
    if _status(checks, report) == "failed":
        return "look at the checks that failed; correct the change, or declare what it is meant to do"
    return "look at the rows that are not declared; declare what the change is meant to do, or correct it"


def _coverage(report: RunReport) -> list[Piece]:
    """What the run looked at: this very run made its results, and a simulation's results come from no samples."""
    compared, names = report.compared, {name.rpartition("/")[2] for name in report.metrics}
    fresh = looked(FRESH, 1, noun="simulations of this run")
    samples = not_applicable(SAMPLES, "results of a simulation do not come from samples")
    if not isinstance(compared, Compared):
        why = "`base: none`" if compared is None else compared.reason
        return [fresh, samples, *(not_applicable(kind, why) for kind in (METRICS, BASE_METRICS))]
    again = compared.baseline.simulated is not None
    current = looked(BASE_METRICS, 1, noun="simulations of the base") if again else None
    return [
        fresh,
        samples,
        looked(METRICS, len(names), noun="indicators"),
        current or not_applicable(BASE_METRICS, f"the base is {compared.baseline.how}"),
    ]


def _base_side(report: RunReport) -> BaseSide | None:
    compared = report.compared
    if compared is None:
        return None
    how = compared.reason if isinstance(compared, Nothing) else compared.baseline.how
    return BaseSide(commit=commit_of(compared), how=how[:1_000])


def _metrics(report: RunReport) -> dict[str, Metric]:
    base = report.compared.baseline.table if isinstance(report.compared, Compared) else None
    last = report.simulated.years[-1]
    metrics = {}
    for name, number in report.metrics.items():
        if name.startswith("calibration/"):
            continue
        year, slash, indicator = name.partition("/")
        at, what = (int(year), indicator) if slash else (last, name)
        before = None if base is None else value(base, at, what)
        metrics[name] = Metric(value=number, unit=unit(what), base=before)
    return metrics | (report.scored.metrics if report.scored else {})


def _tables(report: RunReport, checks: list[Judged]) -> list[RecordTable]:
    simulated, compared = report.simulated, report.compared
    every = run_tables(simulated, report.chosen, _check_table(checks), report.scored)
    if not isinstance(compared, Compared):
        return [results_table(simulated.table, report.chosen), *every]
    return [*comparison_tables(compared.difference, compared.changes, compared.effects), *every]


def _status(checks: list[Judged], report: RunReport) -> Status:
    compared = report.compared
    worst = max((_RANK[c.status] for c in checks if not c.known), default=0)
    if _verdict(report) == "worse":
        worst = _RANK["failed"]
    if isinstance(compared, Compared) and compared.difference.verdict == "changed":
        worst = max(worst, _RANK["warned"])
    return ("passed", "warned", "failed")[worst]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _message(report: RunReport, checks: list[Judged]) -> str:
    failed = [c.check.name for c in checks if c.status == "failed"]
    if failed:
        return f"failed ({', '.join(failed[:2])})"
    if not isinstance(report.compared, Compared):
        return check_words(checks)
    difference = report.compared.difference
    if not report.compared.differs:
        return "same as the base"
    changed, every = len(difference.changed_indicators), len(report.chosen)
    declared = ", as declared" if difference.verdict == "as declared" else ""
    return f"{changed} of {every} indicators changed{declared}"


def _base_findings(compared: Compared | Nothing | None) -> list[Finding]:
    """Where the difference starts, what the comparison rests on, and what of it could not be done."""
    if compared is None:
        return []
    if isinstance(compared, Nothing):
        text = f"not compared with a base: {compared.reason}"
        return compared.findings or [Finding(severity="info", code="gcbm-no-base", message=text)]
    found = list(compared.findings)
    first, same = compared.difference.first_year, compared.difference.identical_years
    if first is not None:
        years = [year for year in same if year]
        before = f"; {span(years)} identical" if years else ""
        text = f"the difference starts in {first}{before}" if first else "the difference starts in spinup"
        found.append(Finding(severity="info", code="gcbm-first-year", message=text))
    return found


def check_words(checks: list[Judged]) -> str:
    """``11 checks passed, 1 warning (matrix-rows)``."""
    text = f"{_count(sum(c.status in ('passed', 'ignored') for c in checks), 'check')} passed"
    for status, what in (("failed", "failed"), ("warned", "warning")):
        names = [c.check.name for c in checks if c.status == status and not c.known]
        if names:
            text += f", {len(names)} {what} ({', '.join(names[:3])})"
    known = sum(c.known for c in checks)
    return text + (f", {_count(known, 'warning')} as in the base" if known else "")


def _headline(report: RunReport, checks: list[Judged]) -> str:
    """What changed, or what there is, in one sentence."""
    simulated, compared = report.simulated, report.compared
    last = simulated.years[-1]
    stock = value(simulated.table, last, "total_ecosystem_tC") or 0.0
    nbp = value(simulated.table, last, "nbp_tC") or 0.0
    result = f"total ecosystem {amount(stock)} tC in {last}, NBP {amount(nbp)} tC"
    failed = [c for c in checks if c.status == "failed"]
    if failed:
        return f"{len(failed)} of {len(checks)} checks failed: {failed[0].check.message}"
    if isinstance(compared, Compared):
        verdict = _verdict(report)
        fit = f"{verdict} fit to the observations; " if verdict in _FITS else ""
        return f"{fit}{_difference(compared, result)}; {check_words(checks)}"
    pixels = f"{simulated.pixels:,} pixels, " if simulated.pixels is not None else ""
    size = f"{pixels}{simulated.area_ha:,.2f} ha, {span(simulated.years)}"
    return f"{size}: {result}; {check_words(checks)}"


def _difference(compared: Compared, result: str) -> str:
    difference = compared.difference
    missed = f"declared and did not happen: {', '.join(difference.undone[:3])}" if difference.undone else ""
    if not compared.differs:
        return "; ".join(filter(None, [missed, f"same as the base: {result}"]))
    if difference.verdict == "same":
        return f"within tolerance of the base, from {difference.first_year or 'spinup'} on; {result}"
    ranked = sorted(difference.first(100), key=rank)
    parts = [_said(change) for change in ranked if change.word not in ("same", "as declared")][:1]
    parts += [_said(change) for change in ranked if change.word == "as declared"][: 2 - len(parts)]
    return "; ".join([*parts, *([missed] if missed else [])])


def _said(change: Change) -> str:
    """``NBP in 2012 −983 tC (−32 %), not declared``."""
    text = change_text(change)
    difference, bracket, share = text.partition(" (")
    when = f"in {change.year}" if change.year else "after spinup"
    size = f"{difference} {unit(change.indicator)}{bracket}{share}"
    return f"{label(change.indicator)} {when} {size}, {change.word}"


def _check_table(checks: list[Judged]) -> RecordTable:
    columns = [Column(name="check"), Column(name="result", role="result"), Column(name="number", type="number")]
    columns += [Column(name="tolerance", type="number"), Column(name="unit"), Column(name="what was found")]
    rows: list[list[Cell]] = [
        [
            c.check.name,
            c.status + (", as in the base" if c.known else ""),
            c.check.value,
            c.check.tolerance,
            c.check.unit,
            c.check.message,
        ]
        for c in checks
    ]
    return RecordTable(title=f"Checks ({check_words(checks)})", columns=columns, rows=rows)


def _check_findings(checks: list[Judged]) -> list[Finding]:
    found = []
    for item in checks:
        if item.status not in ("failed", "warned"):
            continue
        severity = "error" if item.status == "failed" else "info" if item.known else "warning"
        hint = (
            None if item.known else f"docs/gcbm.md says what `{item.check.name}` means; `checks` decides what it does"
        )
        found.append(
            Finding(severity=severity, code=f"gcbm-{item.check.name}", message=item.check.message[:4000], hint=hint)
        )
    return found


def _badge(label: str, message: str, status: str) -> dict[str, str]:
    return {"label": label, "message": message, "status": "passed" if status == "ignored" else status}


def badges(report: RunReport, checks: list[Judged]) -> list[dict[str, str]]:
    """Short results that stand beside the action's own badge in the report."""
    known = {c.check.name: c for c in checks}
    warnings = [p for p in report.problems if p.severity == "warning"]
    text = "0 problems" if not warnings else _count(len(warnings), "warning")
    result = [_badge("Input check", text, "warned" if warnings else "passed")]
    balance = known.get("carbon-balance")
    if balance:
        closes = "closes" if balance.status == "passed" else "does not close"
        result.append(_badge("Carbon balance", f"{closes} ({balance.check.value:.0e})", balance.status))
    areas = [known[name] for name in ("area-constant", "area-of-rasters", "growth-curves") if name in known]
    worst = max(areas, key=lambda c: _RANK[c.status], default=None)
    if worst:
        result.append(_area_badge(report, worst))
    return result


def _area_badge(report: RunReport, worst: Judged) -> dict[str, str]:
    """The area, and whether it is that of the base: a layer that loses pixels changes no balance."""
    area = report.simulated.area_ha
    if worst.status != "passed":
        return _badge("Area", f"{area:,.2f} ha, {worst.check.name}", worst.status)
    table = report.compared.baseline.table if isinstance(report.compared, Compared) else None
    if table is None or "area_ha" not in table.columns:
        return _badge("Area", f"{area:,.2f} ha, constant", "passed")
    before = float(table.column("area_ha")[-1])
    if abs(area - before) <= 1e-9 * max(area, before):
        return _badge("Area", f"{area:,.2f} ha, unchanged", "passed")
    return _badge("Area", f"{before:,.2f} → {area:,.2f} ha", "warned")


def _details(report: RunReport, checks: list[Judged]) -> dict[str, Any]:
    simulated = report.simulated
    return {
        "engine": simulated.engine,
        "kind": simulated.kind,
        "years": span(simulated.years),
        "pixels": simulated.pixels,
        "stands": simulated.stands,
        "area_ha": simulated.area_ha,
        **_compared_details(report),
        "badges": badges(report, checks),
        "checks": [
            {
                "name": c.check.name,
                "status": c.status,
                "value": c.check.value,
                "tolerance": c.check.tolerance,
                "unit": c.check.unit,
                "message": c.check.message,
                "known": c.known,
            }
            for c in checks
        ],
        "problems": [problem_dict(problem) for problem in report.problems],
        "inputs": simulated.fingerprint,
    }


def _compared_details(report: RunReport) -> dict[str, Any]:
    compared = report.compared
    if compared is None:
        return {}
    details: dict[str, Any] = {"verdict": _verdict(report)}
    if report.changes is not None:
        details["changes"] = report.changes
    if isinstance(compared, Nothing):
        return details | {"base": {"commit": compared.commit, "how": compared.reason}}
    difference = compared.difference
    return details | {
        "as_declared": difference.verdict == "as declared",
        "base": {
            "commit": compared.baseline.commit,
            "how": compared.baseline.how,
            "engine": compared.baseline.engine,
            "run_again": compared.baseline.simulated is not None,
        },
        "first_year": difference.first_year,
        "not_done": difference.undone,
        "changed_pixels": compared.pixels.pixels if compared.pixels else None,
        "changed_area_ha": compared.pixels.area_ha if compared.pixels else None,
        "input_changes": compared.changes.as_dict() if compared.changes else None,
    }
