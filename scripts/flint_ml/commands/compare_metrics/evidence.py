"""What a comparison of metrics looked at, and what it did not: the pieces of evidence of its record."""

from __future__ import annotations

import posixpath

from flint_ml.commands.compare_metrics.base import project
from flint_ml.commands.compare_metrics.comparison import Comparison, without_samples
from flint_ml.commands.compare_metrics.inputs import CompareMetricsInputs as Inputs
from flint_ml.errors import InputError
from flint_ml.metrics import declared_files, has_pipeline, resolve, up_to_date
from flint_ml.record import (
    BASE_METRICS,
    FRESH,
    METRICS,
    SAMPLES,
    Piece,
    left_out,
    looked,
    not_applicable,
    read_all,
    same_run,
)
from flint_ml.runner import Job

_MOST = 20
_SECTION = "under `compare-metrics` in flint-ml.yml"


def coverage(inputs: Inputs, job: Job, compared: Comparison) -> list[Piece]:
    """Metrics of this run, all metrics, the same samples, a current base."""
    return [
        *_of_this_run(inputs, job, compared),
        *_all_metrics(inputs, job, compared),
        *_same_samples(inputs, compared),
        _current_base(compared),
    ]


def _full(job: Job, path: str) -> str:
    """``path`` relative to the Git root."""
    return posixpath.normpath(posixpath.join(project(job), path))


def _of_this_run(inputs: Inputs, job: Job, compared: Comparison) -> list[Piece]:
    """Each metrics file was written in this run, or is what its stage would write."""
    files = [path for path in compared.sides.head if path != "functions"]
    if inputs.metrics_from == "commit":
        return [not_applicable(FRESH, "`metrics-from: commit`: the author of the change made the metrics")]
    context = job.context
    records = same_run(read_all(job.results_dir)[0], context.head_sha, context.run_id, context.run_attempt)
    wrote = {item.path for record in records for item in record.wrote}
    left = [path for path in files if _full(job, path) not in wrote and not _restored(job, path)]
    pieces = [looked(FRESH, len(files) - len(left), len(files), "metrics files")]
    hint = f"let `flint-ml record` run what writes it (make: `make -B`), or set `metrics-from: commit` {_SECTION}"
    return pieces + [left_out(FRESH, path, "nothing in this run wrote it", hint) for path in left[:_MOST]]


def _restored(job: Job, path: str) -> bool:
    if job.git.root is None:
        return False
    try:
        return up_to_date(job.git, _full(job, path))
    except InputError:
        return False


def _all_metrics(inputs: Inputs, job: Job, compared: Comparison) -> list[Piece]:
    """Every metric that the project declares was read on both sides."""
    pieces: list[Piece] = []
    hint = "`missing: ignore` in its rule ends it"
    seen = [row for row in compared.rows if row.base is not None and row.head is not None]
    for row in compared.rows:
        if row not in seen and row.rule.missing != "ignore" and row.result != "new":
            pieces.append(left_out(METRICS, row.name, row.note or "is a number on one side only", hint))
    before = compared.sides.base or {}
    for path, file in compared.sides.head.items():
        texts = {*file.texts, *(before[path].texts if path in before else [])}
        pieces += [
            left_out(METRICS, name, "is a number as text, and not compared", hint)
            for name in sorted(texts)
            if resolve(name, inputs.rules).missing != "ignore"
        ]
    pieces += [
        left_out(METRICS, path, "dvc.yaml declares it, and it was not read", "name it under `metrics`")
        for path in _not_read(job, compared)
    ]
    if not seen and not pieces:
        pieces = [left_out(METRICS, "all metrics", compared.sides.how or "there is no base")]
    return [looked(METRICS, len(seen), len(seen) + len(pieces), "metrics"), *pieces[:_MOST]]


def _not_read(job: Job, compared: Comparison) -> list[str]:
    """Metrics files that dvc.yaml declares and that were not compared."""
    try:
        declared = declared_files(job.git, None, project(job))
    except InputError:
        return []
    read = {posixpath.normpath(path) for path in compared.sides.head}
    return [path for path in declared if posixpath.normpath(path) not in read]


def _same_samples(inputs: Inputs, compared: Comparison) -> list[Piece]:
    """Both sides were scored on the same samples: by benchmark, predictions, or unchanged data; none was learned."""
    if without_samples(inputs):
        return [not_applicable(SAMPLES, "`benchmark: none`: the metrics do not come from samples")]
    piece = _samples(compared)
    learned = [finding for finding in compared.copies if finding.severity == "warning"]
    return [piece, *(left_out(SAMPLES, "unseen samples", each.message, each.hint or "") for each in learned)]


def _samples(compared: Comparison) -> Piece:
    benchmark, data = compared.benchmark, compared.data
    passed = f"stages followed: {', '.join(data.stages[:6])}" if data else ""
    if benchmark.same:
        n = benchmark.n or 1
        return looked(SAMPLES, n, noun="samples" if benchmark.n else "benchmark", why="benchmark and predictions")
    hint = f"`benchmark: data/test.csv` {_SECTION}; `benchmark: none` where metrics do not come from samples"
    if benchmark.same is False:
        why = f"{benchmark.difference} ({passed})" if data and data.changed else benchmark.difference
        named = "merge the new benchmark first, by itself"
        return left_out(SAMPLES, "the same samples", why, named if benchmark.path else hint)
    if data is not None:
        return looked(SAMPLES, data.data, noun="data inputs", why=passed)
    why = compared.data_error.message if compared.data_error else "nothing tells what both sides were scored on"
    return left_out(SAMPLES, "the same samples", why, hint)


def _current_base(compared: Comparison) -> Piece:
    """The base's metrics belong to its code and data."""
    sides = compared.sides
    if sides.kind != "revision":
        return not_applicable(BASE_METRICS, f"the base is {sides.how}")
    if sides.at is None or not sides.base:
        return not_applicable(BASE_METRICS, f"there are none: {sides.how}")
    if sides.stale is not None:
        return left_out(BASE_METRICS, "the base's metrics", sides.stale.message, sides.stale.hint or "")
    try:
        pipeline = has_pipeline(sides.at)
    except InputError as error:
        return left_out(BASE_METRICS, "the base's metrics", error.message, error.hint or "")
    if not pipeline:
        return not_applicable(BASE_METRICS, "no DVC stage writes them; they are as they were committed")
    return looked(BASE_METRICS, len(sides.base), noun="metrics files of the base")
