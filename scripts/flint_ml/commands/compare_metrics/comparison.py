"""Everything that is compared: both sides' metrics, predictions, benchmark, groups and history, judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flint_ml.commands.compare_metrics.base import Sides, project
from flint_ml.commands.compare_metrics.copies import copied_rows
from flint_ml.commands.compare_metrics.inputs import CompareMetricsInputs as Inputs
from flint_ml.errors import InputError
from flint_ml.metrics import (
    Benchmark,
    BenchmarkFiles,
    Declared,
    Estimate,
    Evidence,
    GroupRow,
    HistoryLine,
    IntervalSettings,
    Judged,
    MetricsFile,
    Overall,
    Pairs,
    Predictions,
    Reading,
    Row,
    Rule,
    SampleInputs,
    WorkingTree,
    by_group,
    check_benchmark,
    collect_history,
    estimate_function,
    gap_findings,
    group_findings,
    hash_in_tree,
    interval_coverage,
    interval_findings,
    judge_metrics,
    leakage,
    load_functions,
    main_scores,
    name_findings,
    overall,
    parse_expected,
    read_predictions,
    run_findings,
    sample_ids,
    sample_inputs,
    section_at,
    value_findings,
    weakest_group,
    with_data,
    without_stale,
)
from flint_ml.record import Finding
from flint_ml.runner import Job

# Where one of these is set, code of the change could take it.
_TOKENS = ("GITHUB_TOKEN", "GH_TOKEN", "INPUT_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


@dataclass
class Comparison:
    """What was compared, and what came out.

    Attributes
    ----------
    pairs
        Predictions of both sides, where they are of the same samples.
    leak
        What to say where the model was trained on samples that it is judged on.
    groups
        The comparison by group, by score.
    commits, history
        Commits of the main branch, oldest first, and metrics over them.
    runs
        Number of further runs of this change with other seeds.
    data, data_error
        The data that the metrics come from, by the pipelines of both sides; None where no pipeline tells, or why.
    copies
        Rows of the training data that are in the test data.
    """

    sides: Sides
    predictions: Predictions
    benchmark: Benchmark
    pairs: Pairs | None
    leak: Finding | None
    judged: Judged
    result: Overall
    settings: IntervalSettings
    groups: Mapping[str, Sequence[GroupRow]] = field(default_factory=dict)
    commits: Sequence[str] = ()
    history: Sequence[HistoryLine] = ()
    runs: int = 0
    stale_declarations: Sequence[Finding] = ()
    data: SampleInputs | None = None
    data_error: InputError | None = None
    copies: Sequence[Finding] = ()

    @property
    def rows(self) -> list[Row]:
        return self.judged.rows

    @property
    def as_declared(self) -> bool:
        """Whether some metric changed as the change declares it."""
        return any(row.result == "as declared" for row in self.rows)

    @property
    def weakest(self) -> GroupRow | None:
        """The group that a reader should look at first."""
        return weakest_group(next(iter(self.groups.values()), []))

    def findings(self, inputs: Inputs) -> list[Finding]:
        """What a reader should know, in the order of the report."""
        stale = self.sides.stale if self.sides.base else None
        intervals = {row.name: row.interval for row in self.rows if row.interval is not None}
        blocks = self.pairs is not None and self.pairs.block is not None
        return [
            *([stale] if stale else []),
            *self.sides.findings,
            *([self.leak] if self.leak else []),
            *self.predictions.findings,
            *self.benchmark.findings,
            *self.copies,
            *self.stale_declarations,
            *self.judged.answers.findings,
            *name_findings(_rules(inputs), inputs.expected, self.rows, self.sides.head),
            *value_findings(self.rows, self.result, has_base=bool(self.sides.base)),
            *gap_findings(self.rows),
            *run_findings(self.rows, self.judged.spreads, self.runs),
            *interval_findings(self.rows, self.pairs),
            *group_findings(self.groups, self.weakest),
            *interval_coverage(intervals, self.judged.answers.scores, self.settings, blocks=blocks),
        ]


def compare(inputs: Inputs, job: Job, sides: Sides) -> Comparison:
    """Judge both sides' metrics with all evidence that the inputs name."""
    settings = IntervalSettings(inputs.confidence, inputs.resamples, inputs.seed, inputs.correction, inputs.interval)
    files = _benchmark_files(inputs, job, sides)
    predictions = read_predictions(files)
    data, data_error = _data(inputs, job, sides)
    benchmark = with_data(check_benchmark(files, predictions), data)
    copies = copied_rows(job, sides, named_benchmark(inputs), inputs.training)
    leak = _leak(inputs, job, predictions)
    pairs = predictions.pairs if predictions.pairs is not None and predictions.pairs.same else None
    expected, stale = _expected(inputs, job, sides)
    own = _functions(inputs, job, sides, pairs, settings)
    others = _further_runs(inputs, job)
    evidence = Evidence(settings, pairs, own, others)
    judged = judge_metrics(sides.head, sides.base or {}, _rules(inputs), expected, evidence)
    result = overall(judged.rows, has_base=bool(sides.base), benchmark_same=benchmark.same)
    if leak:
        result = Overall("inconclusive", leak.message)
    elif any(finding.code == "benchmark-copies" for finding in copies) and result.verdict != "worse":
        result = Overall("inconclusive", copies[0].message)
    compared = Comparison(sides, predictions, benchmark, pairs, leak, judged, result, settings)
    compared.runs, compared.stale_declarations = len(others), stale
    compared.data, compared.data_error, compared.copies = data, data_error, copies
    if pairs is not None and pairs.group is not None and pairs.n:
        rules = {row.name: row.rule for row in judged.rows if row.rule.weight > 0}
        compared.groups = by_group(pairs, main_scores(pairs, judged.answers.scores, rules), settings)
    if sides.at and sides.base:
        compared.commits, compared.history = collect_history(sides.at, judged.rows, inputs.history)
    return compared


def named_benchmark(inputs: Inputs) -> str:
    """The benchmark's path; empty where none is named, or where there are no samples."""
    return "" if without_samples(inputs) else inputs.benchmark


def without_samples(inputs: Inputs) -> bool:
    """Whether the metrics are declared to come from no samples."""
    return inputs.benchmark.strip().lower() == "none"


def _data(inputs: Inputs, job: Job, sides: Sides) -> tuple[SampleInputs | None, InputError | None]:
    """The data that the metrics come from, by DVC's pipelines, or why they do not tell."""
    at = sides.at
    if without_samples(inputs) or at is None or sides.kind != "revision":
        return None, None
    try:
        return sample_inputs(at, [at.full(path) for path in sides.head if path != "functions"]), None
    except InputError as error:
        return None, error


def _rules(inputs: Inputs) -> dict[str, Rule]:
    """The rules, and that of the metric which stands first."""
    return inputs.rules | ({inputs.primary: _first(inputs)} if inputs.primary else {})


def _first(inputs: Inputs) -> Rule:
    own = inputs.rules.get(inputs.primary)
    given = own.model_dump(exclude_unset=True) if own else {}
    return Rule.model_validate(given | {"order": -1_000_000})


def _benchmark_files(inputs: Inputs, job: Job, sides: Sides) -> BenchmarkFiles:
    """What the benchmark and predictions need of the outside, as functions."""
    return BenchmarkFiles(
        predictions=inputs.predictions,
        base_predictions=inputs.base_predictions,
        columns=inputs.prediction_columns,
        benchmark=named_benchmark(inputs),
        existing=job.existing,
        use=job.use,
        at=sides.files,
        hash_in_tree=lambda path: hash_in_tree(job.git, project(job), job.existing(path, "benchmark"), path),
    )


def _leak(inputs: Inputs, job: Job, predictions: Predictions) -> Finding | None:
    """Whether the model was trained on samples that it is judged on."""
    if not inputs.training:
        return None
    if predictions.head is None:
        raise InputError(
            "needs `predictions`: their ids are the benchmark's samples",
            where="training",
            code="invalid-input",
            hint="give the predictions on the benchmark, one line a sample with its id",
        )
    paths = WorkingTree(job.workspace.base).expand(inputs.training, "training")
    training = {path: sample_ids(job.existing(path, "training"), path, inputs.prediction_columns) for path in paths}
    return leakage(list(predictions.head["id"]), training)


def _expected(inputs: Inputs, job: Job, sides: Sides) -> tuple[dict[str, Declared], list[Finding]]:
    """The change's own declarations; what the base's settings declare already belongs to an earlier change."""
    before = section_at(sides.at, job.config, "compare-metrics") if sides.at else {}
    own, stale = without_stale(inputs.expected, before.get("expected"))
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
    return parse_expected(own, f"{job.config}: expected"), findings


def _functions(
    inputs: Inputs, job: Job, sides: Sides, pairs: Pairs | None, settings: IntervalSettings
) -> dict[str, Estimate]:
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
    functions = load_functions(inputs.functions, job.workspace.base)
    own = {name: estimate_function(name, function, pairs, settings) for name, function in functions.items()}
    sides.head["functions"] = MetricsFile({name: Reading(estimate.head) for name, estimate in own.items()})
    if sides.base is not None:
        sides.base["functions"] = MetricsFile({name: Reading(estimate.base) for name, estimate in own.items()})
    return own


def _further_runs(inputs: Inputs, job: Job) -> list[MetricsFile]:
    """Metrics of further runs of this change with other seeds."""
    if not inputs.repeats:
        return []
    tree = WorkingTree(job.workspace.base)
    paths = tree.expand(inputs.repeats, "repeats")
    for path in paths:
        job.existing(path, "repeats")
    return list(tree.read(paths).values())
