"""compare-metrics: this change's metrics against the base's: better, same, worse, or not to be told."""

from __future__ import annotations

import re
import shlex
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator

from flint_ml.commands.compare_metrics import base as base_side
from flint_ml.commands.compare_metrics.base import Sides, project
from flint_ml.commands.compare_metrics.plots import figures as dvc_plots
from flint_ml.commands.registry_address import MODEL_NAME_PATTERN
from flint_ml.dvc_project import describe_changes
from flint_ml.errors import InputError
from flint_ml.metrics import benchmark as bench
from flint_ml.metrics import coverage, functions, groups, history, judging, notes, repeats, significance, source, text
from flint_ml.metrics import expected as declarations
from flint_ml.metrics import leakage as leaks
from flint_ml.metrics.bootstrap import Estimate, Settings
from flint_ml.metrics.compare import STATUS, Declared, Overall, Row, overall
from flint_ml.metrics.predictions import Pairs
from flint_ml.metrics.read import MetricsFile, Reading
from flint_ml.metrics.rules import Rule
from flint_ml.record import BaseSide, Benchmark, Changes, Figure, Finding, Status, Verdict
from flint_ml.runner import Action, GateInputs, Job, Outcome

_NAME_OR_NONE = f"(?:{MODEL_NAME_PATTERN})|^$"


class Inputs(GateInputs):
    """Inputs of compare-metrics."""

    metrics: list[str] = Field(
        default_factory=list,
        description="Metrics files or globs (JSON, YAML, TOML, CSV, or a record of run-gcbm), one a line. "
        "Default: the metrics that dvc.yaml names, else metrics.json.",
    )
    base_revision: str = Field(
        "auto", description="Revision to compare with: a branch, tag or commit. `auto`: the base of this event."
    )
    base: str = Field(
        "auto",
        description="What to compare with: `auto` (metrics at the base revision, else the version in Staging, else the "
        "last successful run on the default branch), one of `revision`, `staging`, `artifact`, a registered version "
        "(`models:/name/3`), or the base's metrics file, or a folder with files of the same names.",
    )
    model_name: str = Field(
        "", description="Name of the registered model whose version in Staging may be the base.", pattern=_NAME_OR_NONE
    )
    tracking_uri: str = Field(
        "", description="The registry to look for that version in. Default: the variable MLFLOW_TRACKING_URI."
    )
    base_artifact: str = Field(
        "",
        description="Artifact with the results of the default branch's runs. Default: `flint-ml-results`, also with "
        "the job's name behind it.",
        max_length=200,
    )
    token: SecretStr | None = Field(
        None,
        description="Token that reads this repository: fetches the base into a shallow clone (`contents: read`) and "
        "reads the default branch's last run (`actions: read`).",
    )
    rules: dict[str, Rule] = Field(
        default_factory=dict,
        description="How each metric is judged, by name or glob, such as `rmse: {tolerance: 2 %, unit: g/kg}`.",
    )
    expected: dict[str, list[float | str]] = Field(
        default_factory=dict,
        description="What this change is meant to do, such as `2012/area_ha: [+20 %, +50 %]`; "
        "in flint-ml.yml the change's own declaration counts.",
    )
    predictions: str = Field(
        "", description="Predictions of this change for each sample (CSV or Parquet: id, truth, prediction, group)."
    )
    base_predictions: str = Field(
        "", description="Predictions of the base. Default: the same file at the base revision."
    )
    prediction_columns: dict[str, str] = Field(
        default_factory=dict,
        description="Columns of the predictions that have other names, such as `{id: plot, truth: soc}`.",
    )
    benchmark: str = Field(
        "", description="File or folder that both sides must have been scored on; its hash must be the same."
    )
    functions: list[str] = Field(
        default_factory=list,
        description="Further metrics as `module:function` of truth and prediction; at a terminal only.",
    )
    training: list[str] = Field(
        default_factory=list,
        description="Tables that the model was trained on; a benchmark sample in them is a failure.",
    )
    repeats: list[str] = Field(
        default_factory=list,
        description="Metrics files of further runs of this change with other seeds, for the spread from run to run.",
    )
    plots: bool = Field(True, description="Draw the plots that dvc.yaml declares, of the base and of this change.")
    history: int = Field(10, ge=0, le=100, description="Commits of the main branch to show the metrics of; 0: none.")
    resamples: int = Field(
        10_000, ge=0, le=100_000, description="Resamples for confidence intervals; 0: judge by the difference alone."
    )
    confidence: float = Field(0.95, ge=0.8, le=0.999, description="Level of the confidence intervals.")
    interval: Literal["t", "bca"] = Field(
        "t", description="Kind of interval: symmetric bootstrap-t, or bias-corrected and accelerated (BCa)."
    )
    correction: Literal["holm", "none"] = Field(
        "holm", description="Correction for judging several metrics, and several groups, at once."
    )
    seed: int = Field(1, ge=0, description="Seed of the resampling: the same files give the same intervals.")

    @field_validator("metrics", "training", "functions", "repeats", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


# Where one of these is set, code of the change could take it.
_TOKENS = ("GITHUB_TOKEN", "GH_TOKEN", "INPUT_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


def run(inputs: Inputs, job: Job) -> Outcome:
    """Read both sides, judge each metric, decide, and show where to look."""
    sides = base_side.read(inputs, job)
    predictions = bench.read_predictions(_side_of(inputs, job, sides))
    compared = bench.check(_side_of(inputs, job, sides), predictions)
    leak = _leak(inputs, job, predictions)
    expected, old = _expected(inputs, job, sides)
    pairs = predictions.pairs if predictions.pairs is not None and predictions.pairs.same else None
    own = _functions(inputs, job, sides, pairs)
    evidence = judging.Evidence(_settings(inputs), pairs, own, _others(inputs, job))
    judged = judging.judge_metrics(sides.head, sides.base or {}, inputs.rules, expected, evidence)
    rows, answers = judged.rows, judged.answers
    result = overall(rows, has_base=bool(sides.base), benchmark_same=compared.same)
    if leak:
        result = Overall("inconclusive", leak[0].message)
    by_group = _groups(inputs, pairs, rows, answers)
    weakest = groups.weakest(next(iter(by_group.values()), []))
    commits, lines = history.collect(sides.at, rows, inputs.history) if sides.at and sides.base else ([], [])
    aged = sides.aged if sides.base else None
    findings = [
        *([aged] if aged else []),
        *sides.findings,
        *leak,
        *predictions.findings,
        *compared.findings,
        *old,
        *answers.findings,
    ]
    findings += notes.of_names(inputs.rules, inputs.expected, rows, sides.head)
    findings += notes.of_values(rows, result, has_base=bool(sides.base))
    findings += [
        *repeats.notes(rows, judged.spreads, len(evidence.others)),
        *significance.notes(rows, pairs),
        *notes.of_groups(by_group, weakest),
        *coverage.note(rows, answers.scores, _settings(inputs), blocks=pairs is not None and pairs.block is not None),
    ]
    pictures, unseen = dvc_plots(job, sides.commit) if inputs.plots else ([], [])
    findings += unseen
    changed = _changes(inputs, job, sides)
    tables = [text.table(rows, compared.title, head="this change")]
    tables += [groups.table(by_group)] if by_group else []
    tables += [history.table(lines)] if lines else []
    return Outcome(
        status=_status(result, findings),
        headline=f"failed: {leak[0].message}" if leak else _headline(result, rows, compared, findings),
        message="failed" if leak else result.verdict,
        metrics={row.name: row.as_metric() for row in rows},
        tables=tables,
        figures=[*_figures(job, rows, predictions, commits, lines), *pictures],
        verdict=_verdict(result, rows),
        advice=_ADVICE.get(result.verdict, ""),
        base=BaseSide.model_validate(sides.as_dict()),
        benchmark=Benchmark.model_validate(compared.as_dict()) if compared.as_dict() else None,
        changes=None if changed is None else Changes.clipped(changed),
        reproduce=_reproduce(sides),
        details={
            "verdict": result.verdict,
            "reason": result.reason,
            "as_declared": any(row.result == "as declared" for row in rows) and result.verdict == "same",
            "base": sides.as_dict(),
            "benchmark": compared.as_dict(),
            "rows": [row.as_dict() for row in rows],
            "groups": {key: [groups.as_dict(item) for item in items] for key, items in by_group.items()},
            "weakest_group": groups.as_dict(weakest) if weakest else None,
            "history": history.as_dict(commits, lines),
            "changes": changed,
        },
        findings=findings,
        outputs={"verdict": result.verdict, "table": _markdown(tables[0])},
        base_sha=sides.commit,
    )


_ADVICE = {
    "worse": "look at the rows that got worse; correct the change, or say why it is accepted",
    **dict.fromkeys(
        ("inconclusive", "changed", "no-baseline"),
        "the numbers alone do not decide: read the table, and say in the pull request what is expected",
    ),
}


def _verdict(result: Overall, rows: list[Row]) -> Verdict:
    """The record's verdict: results that changed wholly as declared are told from those that are the same."""
    declared = result.verdict == "same" and any(row.result == "as declared" for row in rows)
    return "as-declared" if declared else result.verdict


def _reproduce(sides: Sides) -> list[str]:
    """The command that repeats the comparison with this base."""
    if not sides.commit:
        return []
    named = f" --base {shlex.quote(sides.named)}" if re.fullmatch(r"[\w./:@ -]{1,200}", sides.named) else ""
    return [f"flint-ml compare-metrics --base-revision {shlex.quote(sides.commit)}{named}"]


def _status(result: Overall, findings: list[Finding]) -> Status:
    """The verdict's status. A better mean must not hide a worse region, nor stale metrics of the base a worse change;
    a leak spoils every score."""
    codes = {finding.code for finding in findings}
    status = STATUS[result.verdict]
    if "benchmark-leak" in codes:
        return "failed"
    return "warned" if codes & {"group-worse", "base-stale"} and status == "passed" else status


def _leak(inputs: Inputs, job: Job, predictions: bench.Predictions) -> list[Finding]:
    """Whether the model was trained on samples that it is judged on."""
    if not inputs.training:
        return []
    if predictions.head is None:
        raise InputError(
            "needs `predictions`: their ids are the benchmark's samples",
            where="training",
            code="invalid-input",
            hint="give the predictions on the benchmark, one line a sample with its id",
        )
    paths = source.Here(job.workspace.base).expand(inputs.training, "training")
    training = {path: leaks.ids_of(job.existing(path, "training"), path, inputs.prediction_columns) for path in paths}
    found = leaks.find(list(predictions.head["id"]), training)
    return [found] if found else []


def _markdown(table: Any) -> str:
    from flint_ml.text.markdown import grid

    return grid(table, limit=100)


def _side_of(inputs: Inputs, job: Job, sides: Sides) -> bench.Edge:
    """What the benchmark and predictions need of the outside, as functions."""
    return bench.Edge(
        predictions=inputs.predictions,
        base_predictions=inputs.base_predictions,
        columns=inputs.prediction_columns,
        benchmark=inputs.benchmark,
        existing=job.existing,
        use=job.use,
        at=sides.kept,
        hash_here=lambda path: source.hash_here(job.git, project(job), job.existing(path, "benchmark"), path),
    )


def _expected(inputs: Inputs, job: Job, sides: Sides) -> tuple[dict[str, Declared], list[Finding]]:
    """The change's own declarations; what the base's settings declare already belongs to an earlier change."""
    before = source.section_at(sides.at, job.config, "compare-metrics") if sides.at else {}
    own, stale = declarations.without_stale(inputs.expected, before.get("expected"))
    findings = []
    if stale:
        findings.append(
            Finding(
                severity="info",
                code="expected-stale",
                message=f"declared by an earlier change and not counted: {', '.join(stale[:10])}",
                hint=f"remove them from `expected` in {job.config}",
            )
        )
    return declarations.parse_expected(own, f"{job.config}: expected"), findings


def _functions(inputs: Inputs, job: Job, sides: Sides, pairs: Pairs | None) -> dict[str, Estimate]:
    """The user's own metrics, computed from the predictions and put beside those of the files."""
    if not inputs.functions:
        return {}
    if job.context.on_github or inputs.token or any(job.env.get(name) for name in _TOKENS):
        raise InputError(
            "own functions are code of the change under test and are not run where a token may be",
            where="functions",
            hint="compute the metric in the evaluation step, or compare at a terminal",
            code="function-refused",
        )
    if pairs is None or not pairs.n:
        raise InputError(
            "need predictions of both sides for the same samples",
            where="functions",
            code="invalid-input",
            hint="give `predictions` and, where the base revision has none, `base-predictions`",
        )
    loaded = functions.load(inputs.functions, job.workspace.base)
    own = {name: functions.estimate(name, call, pairs, _settings(inputs)) for name, call in loaded.items()}
    sides.head["functions"] = MetricsFile({name: Reading(found.head) for name, found in own.items()})
    if sides.base is not None:
        sides.base["functions"] = MetricsFile({name: Reading(found.base) for name, found in own.items()})
    return own


def _others(inputs: Inputs, job: Job) -> list[MetricsFile]:
    """Metrics of further runs of this change with other seeds."""
    if not inputs.repeats:
        return []
    here = source.Here(job.workspace.base)
    paths = here.expand(inputs.repeats, "repeats")
    for path in paths:
        job.existing(path, "repeats")
    return list(here.read(paths).values())


def _settings(inputs: Inputs) -> Settings:
    return Settings(inputs.confidence, inputs.resamples, inputs.seed, inputs.correction, inputs.interval)


def _groups(
    inputs: Inputs, pairs: Pairs | None, rows: list[Row], answers: significance.Answers
) -> dict[str, list[groups.GroupRow]]:
    """The comparison by group, where the predictions name groups."""
    if pairs is None or pairs.group is None or not pairs.n:
        return {}
    rules = {row.name: row.rule for row in rows if row.rule.weight > 0}
    return groups.by_group(pairs, groups.main_score(pairs, answers.scores, rules), _settings(inputs))


def _headline(result: Overall, rows: list[Row], compared: bench.Benchmark, findings: list[Finding]) -> str:
    """The verdict in one sentence, with what holds it back."""
    if compared.same is False and result.verdict == "inconclusive":
        return f"inconclusive: {compared.difference}"
    sentence = text.headline(result, rows)
    against = [finding for finding in findings if finding.code in {"group-worse", "base-stale"}]
    return f"{sentence}; but {against[0].message}" if against and STATUS[result.verdict] == "passed" else sentence


def _figures(
    job: Job, rows: list[Row], predictions: bench.Predictions, commits: list[str], lines: list[history.Line]
) -> list[Figure]:
    found = _comparison(job, rows, predictions)
    if lines:
        alt, fallback = history.figure(commits, lines[0], job.figures_dir / "history.png")
        title = f"{lines[0].row.rule.label} on the main branch and with this change"
        found.append(Figure(title=title, alt=alt, path=job.figure_path("history.png"), fallback=fallback))
    return found


def _comparison(job: Job, rows: list[Row], predictions: bench.Predictions) -> list[Figure]:
    from flint_ml.metrics import figures

    if predictions.pairs is not None and predictions.pairs.numeric and predictions.pairs.n:
        unit = next((row.rule.unit for row in rows if row.rule.unit and row.rule.direction == "lower"), None)
        alt, fallback = figures.error_distribution(predictions.pairs, unit, job.figures_dir / "error.png")
        title = "Prediction error of the base and of this change"
        return [Figure(title=title, alt=alt, path=job.figure_path("error.png"), fallback=fallback)]
    drawn = figures.relative_changes(rows, job.figures_dir / "changes.png")
    if drawn is None:
        return []
    title = "Change of each metric against the base"
    return [Figure(title=title, alt=drawn[0], path=job.figure_path("changes.png"), fallback=drawn[1])]


def _changes(inputs: Inputs, job: Job, sides: Sides) -> dict[str, Any] | None:
    """What the change does to data, parameters and code, where there is a base revision."""
    if sides.at is None:
        return None
    watched = [inputs.benchmark] if inputs.benchmark else []
    found = describe_changes(job.git, sides.at.commit, config=job.config, watched=watched).as_dict()
    # Metrics and predictions are what a change leads to, not what it changes, also where dvc.yaml does not name them.
    results = [sides.at.full(path) for path in (*sides.head, inputs.predictions) if path]
    found["code"] = [path for path in found["code"] if path not in results]
    return found


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
