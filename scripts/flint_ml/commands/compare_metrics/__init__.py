"""compare-metrics: this change's metrics against the base's: better, same, worse, or not to be told."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from flint_ml.commands.compare_metrics.base import Sides, read_sides
from flint_ml.commands.compare_metrics.comparison import Comparison, compare, named_benchmark
from flint_ml.commands.compare_metrics.evidence import coverage
from flint_ml.commands.compare_metrics.figures import comparison_figures, history_figures, plot_figures
from flint_ml.commands.compare_metrics.inputs import CompareMetricsInputs as Inputs
from flint_ml.dvc_project import describe_changes
from flint_ml.metrics import (
    STATUS,
    explain_table,
    group_dict,
    group_table,
    headline,
    history_dict,
    history_table,
    metrics_table,
)
from flint_ml.record import BaseSide, Benchmark, Changes, Finding, Status, Table, Verdict
from flint_ml.runner import Action, Job, Outcome
from flint_ml.text.markdown import grid


def run(inputs: Inputs, job: Job) -> Outcome:
    """Read both sides, judge each metric, decide, and show where to look."""
    compared = compare(inputs, job, read_sides(inputs, job))
    findings = compared.findings(inputs)
    plots, plot_findings = plot_figures(job, compared.sides.commit) if inputs.plots else ([], [])
    tables = _tables(compared, explain=inputs.explain)
    if inputs.explain:
        job.say(f"\n{tables[-1].title}\n{grid(tables[-1], limit=100, style='simple')}")
    verdict = compared.result.verdict
    changed = _changes(inputs, job, compared)
    benchmark = compared.benchmark.as_dict()
    return Outcome(
        status=_status(compared, findings),
        headline=_headline(compared, findings),
        message="failed" if compared.leak else verdict,
        metrics={row.name: row.as_metric() for row in compared.rows},
        tables=tables,
        figures=[
            *comparison_figures(job, compared.rows, compared.predictions.pairs),
            *history_figures(job, compared.commits, compared.history),
            *plots,
        ],
        verdict=_verdict(compared),
        advice=_ADVICE.get(verdict, ""),
        base=BaseSide.model_validate(compared.sides.as_dict()),
        benchmark=Benchmark.model_validate(benchmark) if benchmark else None,
        changes=None if changed is None else Changes.clipped(changed),
        reproduce=_reproduce(compared.sides),
        coverage=coverage(inputs, job, compared),
        details=_details(compared) | {"changes": changed},
        findings=[*findings, *plot_findings],
        outputs={"verdict": verdict, "table": grid(tables[0], limit=100)},
        base_sha=compared.sides.commit,
    )


_ADVICE = {
    "worse": "look at the rows that got worse; correct the change, or say why it is accepted",
    **dict.fromkeys(
        ("inconclusive", "changed", "no-baseline"),
        "the numbers alone do not decide: read the table, and say in the pull request what is expected",
    ),
}


def _verdict(compared: Comparison) -> Verdict:
    """The record's verdict: results that changed wholly as declared are told from those that are the same."""
    verdict = compared.result.verdict
    return "as-declared" if verdict == "same" and compared.as_declared else verdict


def _reproduce(sides: Sides) -> list[str]:
    """The command that repeats the comparison with this base."""
    if not sides.commit:
        return []
    named = f" --base {shlex.quote(sides.named)}" if re.fullmatch(r"[\w./:@ -]{1,200}", sides.named) else ""
    return [f"flint-ml compare-metrics --base-revision {shlex.quote(sides.commit)}{named}"]


def _against(findings: Sequence[Finding]) -> Finding | None:
    """What holds back a verdict that would pass: a better mean must not hide a worse region, nor stale metrics of the
    base a worse change."""
    return next(
        (
            finding
            for finding in findings
            if finding.code in {"group-worse", "base-stale", "spread-grew", "class-worse"}
        ),
        None,
    )


def _status(compared: Comparison, findings: Sequence[Finding]) -> Status:
    """The verdict's status; a leak spoils every score."""
    if compared.leak:
        return "failed"
    status = STATUS[compared.result.verdict]
    return "warned" if status == "passed" and _against(findings) else status


def _headline(compared: Comparison, findings: Sequence[Finding]) -> str:
    """The verdict in one sentence, with what holds it back."""
    result = compared.result
    if compared.leak:
        return f"failed: {compared.leak.message}"
    if compared.benchmark.same is False and result.verdict == "inconclusive":
        return f"inconclusive: {compared.benchmark.difference}"
    sentence = headline(result, compared.rows)
    against = _against(findings)
    return f"{sentence}; but {against.message}" if against and STATUS[result.verdict] == "passed" else sentence


def _tables(compared: Comparison, *, explain: bool) -> list[Table]:
    """Metrics first, then groups and history, then how names were read."""
    tables = [metrics_table(compared.rows, compared.benchmark.title)]
    tables += [group_table(compared.groups)] if compared.groups else []
    tables += [history_table(compared.history)] if compared.history else []
    tables += [explain_table(compared.rows)] if explain else []
    return tables


def _details(compared: Comparison) -> dict[str, Any]:
    """For other programs."""
    verdict, rows = compared.result.verdict, compared.rows
    return {
        "verdict": verdict,
        "reason": compared.result.reason,
        "as_declared": compared.as_declared and verdict == "same",
        "base": compared.sides.as_dict(),
        "benchmark": compared.benchmark.as_dict(),
        "rows": [row.as_dict() for row in rows],
        "groups": {key: [group_dict(item) for item in items] for key, items in compared.groups.items()},
        "weakest_group": group_dict(compared.weakest) if compared.weakest else None,
        "history": history_dict(compared.commits, compared.history),
    }


def _changes(inputs: Inputs, job: Job, compared: Comparison) -> dict[str, Any] | None:
    """What the change does to data, parameters and code, where there is a base revision."""
    sides = compared.sides
    if sides.at is None:
        return None
    benchmark = named_benchmark(inputs)
    watched = [benchmark] if benchmark else []
    described = describe_changes(job.git, sides.at.commit, config=job.config, watched=watched).as_dict()
    # Metrics and predictions are what a change leads to, not what it changes, also where dvc.yaml does not name them.
    results = [sides.at.full(path) for path in (*sides.head, inputs.predictions) if path]
    described["code"] = [path for path in described["code"] if path not in results]
    return described


ACTION = Action(
    name="compare-metrics",
    summary="this change against the base: better, same or worse",
    description="Compares a model's or simulation's metrics with the base revision and says better, same or worse.",
    badge="Metrics",
    spoken="the comparison of metrics",
    inputs=Inputs,
    run=run,
    outputs={
        "verdict": "`better`, `same`, `worse`, `inconclusive`, `changed` or `no-baseline`.",
        "table": "The comparison as a Markdown table.",
    },
    positionals=("metrics", "base"),
    icon="bar-chart-2",
    own_settings=("expected",),
    fetches_base=True,
)
