"""check-drift: has a new batch of data drifted from a trusted reference?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from flint_ml.commands.check_drift.inputs import CheckDriftInputs
from flint_ml.record import MARKS, Figure, Finding
from flint_ml.runner import Action, Job, Outcome

if TYPE_CHECKING:
    from flint_ml.drift import BaseReference, Result

BADGE = "Data Drift Check"
ADVICE = "check the instrument or region of the new data; if the difference is meant, update the reference"


def run(inputs: CheckDriftInputs, job: Job) -> Outcome:
    """Read both tables or stacks of rasters, compare them, say what differs."""
    from flint_ml.drift import describe, shown

    result, reference = _compare(inputs, job)
    if inputs.explain:
        from flint_ml.drift import explanation

        job.say(explanation(result))
    failed = result.failed
    mark = MARKS[
        "failed" if failed and inputs.on_failure == "fail" else "warned" if failed or result.blind else "passed"
    ]
    description, findings = describe(result), _findings(inputs, result, reference)
    names = (shown(inputs.reference), shown(inputs.current))
    details = {**description.details, "reference": {"path": names[0], "revision": reference.revision}}
    figures: list[Figure] = []
    if inputs.figures == "auto":
        from flint_ml.commands.check_drift.figures import write_page
        from flint_ml.drift import draw

        figures = draw(result, job.figures_dir, job.figure_path)
        details["page"] = write_page(
            result,
            job,
            title=(mark, BADGE, description.message),
            tables=names,
            headline=description.headline,
            findings=findings,
            drawn=figures,
        )
    return Outcome(
        status="failed" if failed else "warned" if result.blind else "passed",
        headline=description.headline,
        message=description.message,
        coverage=result.coverage,
        metrics=description.metrics,
        tables=description.tables,
        figures=figures,
        advice=ADVICE if failed else "",
        details=details,
        findings=findings,
        outputs={
            "drifted": failed,
            "drifted-columns": [c.column.name for c in result.drifted],
            "badge": f"{mark} {BADGE}: {description.message}",
        },
        base_sha=reference.revision,
    )


def _compare(inputs: CheckDriftInputs, job: Job) -> tuple[Result, BaseReference]:
    from flint_ml.commands.check_drift.rasters import compare_rasters
    from flint_ml.commands.check_drift.tables import compare_tables
    from flint_ml.drift import is_remote

    base = partial(_base_commit, job)
    rasters = None
    if not is_remote(inputs.reference) and not is_remote(inputs.current):
        texts = (inputs.reference, inputs.current, inputs.mask)
        rasters = compare_rasters(job, inputs, texts, inputs.reference_rev, base)
    return rasters or compare_tables(inputs, job, base)


def _findings(inputs: CheckDriftInputs, result: Result, reference: BaseReference) -> list[Finding]:
    """What a person should know besides the verdict."""
    from flint_ml.drift import LISTED, few_of_each

    notes = few_of_each(result.notes)
    findings = [Finding(severity=n.severity, code=n.code, message=n.message, hint=n.hint) for n in notes]
    if len(result.columns) > LISTED:
        findings.append(
            Finding(
                severity="info",
                code="shortened",
                message=f"the record lists the worst {LISTED:,} of {len(result.columns):,} {result.noun}s; all were "
                "compared, and the verdict is of all",
                hint="`flint-ml check-drift --explain` prints every column",
            )
        )
    if inputs.reference_rev and inputs.reference == inputs.current:
        # One table at two revisions: most of its rows are meant to be the same.
        findings = [finding for finding in findings if finding.code != "known-rows"]
    if reference.message:
        changed = Finding(severity="warning", code="reference-changed", message=reference.message, hint=reference.hint)
        findings.insert(0, changed)
    return findings


def _base_commit(job: Job) -> str | None:
    """The base revision of a change that is under review; None where the tree at hand is what counts."""
    context, git = job.context, job.git
    if git.root is None:
        return None
    if context.event_name:
        proposed = job.by_base or context.git_event.proposes
    else:
        branch = git.default_branch()
        proposed = branch is not None and git.merge_base("HEAD", branch) != git.commit("HEAD")
    base = job.base() if proposed else None
    return base.commit if base else None


ACTION = Action(
    name="check-drift",
    summary="compare new data with a trusted reference and fail or warn",
    description="Compare a new batch of data with a trusted reference, column by column, and fail or warn when it has "
    "drifted: significant after correction for many columns, and large enough to matter.",
    badge=BADGE,
    spoken="the drift check",
    inputs=CheckDriftInputs,
    run=run,
    outputs={
        "drifted": "`true` when a column drifted, is gone or changed its type, else `false`.",
        "drifted-columns": "Names of the columns that drifted, worst first, as JSON.",
        "badge": "The result as text: `✅ Data Drift Check: Passed (0 of 21)`.",
    },
    positionals=("reference", "current"),
    icon="activity",
    color="blue",
)
