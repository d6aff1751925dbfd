"""The benchmark that both sides were scored on, the predictions for its samples, and samples seen in training."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from flint_ml.errors import InputError
from flint_ml.metrics.base_freshness import SampleInputs
from flint_ml.metrics.predictions import USUAL, Pairs, cells, join, numbers_of, read_table
from flint_ml.metrics.sources import At, StoredFiles
from flint_ml.record import Finding

if TYPE_CHECKING:
    import pandas as pd

MAX_BYTES = 1024 * 1024 * 1024
# Truths that differ by less, beside the largest, differ by the last digit of double precision.
_WORTH_SAYING = 1e-12


@dataclass(frozen=True)
class BenchmarkFiles:
    """Paths that the user gave, and the ways to the outside.

    ``existing`` resolves a path input, ``use`` notes a file for provenance, ``at`` reads the base,
    ``hash_in_tree`` is the md5 of a file or folder of the working tree.
    """

    predictions: str
    base_predictions: str
    columns: Mapping[str, str]
    benchmark: str
    existing: Callable[[str, str], Path]
    use: Callable[[Path], str]
    at: At | StoredFiles | None
    hash_in_tree: Callable[[str], str | None]


@dataclass
class Predictions:
    """Predictions of this change and, where they could be read, joined with the base's."""

    head: pd.DataFrame | None = None
    pairs: Pairs | None = None
    findings: list[Finding] = field(default_factory=list)


def read_predictions(files: BenchmarkFiles) -> Predictions:
    """Read this change's predictions and the base's.

    The base's, when they come from the base revision, may be absent or faulty: that is not this change's mistake,
    so it is said and the comparison goes on without them.
    """
    if not files.predictions:
        return Predictions()
    path = files.existing(files.predictions, "predictions")
    if not path.is_file():
        raise InputError("is not a file", where=f"predictions: {files.predictions}", code="missing-file")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"is larger than {MAX_BYTES:,} bytes", where=files.predictions, code="predictions-too-large")
    files.use(path)
    result = Predictions(head := read_table(path.read_bytes(), files.predictions, files.columns))
    if head.attrs["numbered"]:
        hint = "a column `id` keeps samples together when their order changes"
        message = "no column names the samples: they are compared in the order of the rows"
        result.findings.append(_finding("info", "rows-as-ids", message, hint))
    try:
        base = _read_base(files)
    except InputError as error:
        if files.base_predictions:
            raise
        result.findings.append(
            Finding(
                severity="warning",
                code="base-predictions",
                message=f"the base's predictions could not be used: {error.message}",
                hint=error.hint,
            )
        )
        return result
    if base is None:
        result.findings.append(
            Finding(
                severity="info",
                code="base-predictions",
                message=f"the base has no {files.predictions}, so samples cannot be compared one by one",
            )
        )
        return result
    assert result.head is not None
    result.pairs = join(base, result.head)
    return result


def _read_base(files: BenchmarkFiles) -> pd.DataFrame | None:
    if files.base_predictions:
        path = files.existing(files.base_predictions, "base-predictions")
        files.use(path)
        return read_table(path.read_bytes(), files.base_predictions, files.columns)
    if files.at is None:
        return None
    data = files.at.content(files.predictions)
    where = f"{files.predictions} at {files.at.shown}"
    return None if data is None else read_table(data, where, files.columns)


@dataclass(frozen=True)
class Benchmark:
    """Whether both sides were scored on the same samples.

    ``same`` is None where nothing is known about it; ``difference`` says how they differ.
    """

    path: str | None = None
    name: str | None = None
    md5: str | None = None
    base_md5: str | None = None
    same: bool | None = None
    n: int | None = None
    difference: str = ""
    findings: list[Finding] = field(default_factory=list)

    @property
    def known(self) -> bool:
        return self.same is not None

    @property
    def title(self) -> str:
        """Title of the comparison: "Benchmark ssp460-test, n = 115, same on both sides"."""
        if self.name is None and self.n is None:
            return "Metrics"
        parts = [f"Benchmark {self.name}" if self.name else "Benchmark"]
        parts += [f"n = {self.n:,}"] if self.n else []
        parts += ["same on both sides" if self.same else "NOT the same on both sides"] if self.known else []
        return ", ".join(parts)

    def as_dict(self) -> dict[str, Any] | None:
        """For ``details["benchmark"]``; None where there is none."""
        if self.path is None and self.n is None:
            return None
        keys = ("path", "name", "md5", "base_md5", "same", "n")
        return {key: getattr(self, key) for key in keys}


def check_benchmark(files: BenchmarkFiles, predictions: Predictions) -> Benchmark:
    """Compare the benchmark's hash, and the samples and truths of the predictions, of both sides."""
    n = len(predictions.head) if predictions.head is not None else None
    md5 = base_md5 = None
    same: bool | None = None
    difference = ""
    findings: list[Finding] = []
    if files.benchmark:
        md5 = files.hash_in_tree(files.benchmark)
        base_md5 = files.at.hash(files.benchmark) if files.at else None
        if md5 and base_md5:
            same = md5 == base_md5
            difference = (
                "" if same else f"the benchmark {files.benchmark} is not the base's ({base_md5[:8]} → {md5[:8]})"
            )
        elif files.at:
            findings.append(_finding("warning", "benchmark-new", f"the base has no benchmark {files.benchmark}"))
    pairs = predictions.pairs
    if pairs is not None and not pairs.same:
        same, difference = False, difference or _samples(pairs)
    elif pairs is not None and same is None:
        same = True
    if (
        pairs is not None
        and pairs.numeric
        and pairs.rounding > _WORTH_SAYING * float(np.max(np.abs(pairs.truth), initial=0.0))
    ):
        apart = f"at most {pairs.rounding:.1g}"
        message = f"the truths of both sides differ by rounding only ({apart}), so the samples are the same"
        findings.append(_finding("info", "truth-rounded", message))
    if difference:
        hint = "score both models on one benchmark, or merge the new benchmark first, by itself"
        findings.append(_finding("warning", "benchmark-changed", difference, hint))
    elif not files.benchmark and pairs is None:
        message = "no benchmark is named, so nothing proves that both sides were scored on the same samples"
        findings.append(_finding("info", "benchmark-unknown", message, "set `benchmark` or `predictions`"))
    return Benchmark(
        files.benchmark or None,
        PurePosixPath(files.benchmark).stem or None,
        md5,
        base_md5,
        same,
        n,
        difference,
        findings,
    )


def with_data(benchmark: Benchmark, data: SampleInputs | None) -> Benchmark:
    """``benchmark``, and where it settles nothing, what the pipeline tells of the data that the metrics come from.

    Other data are no common ground, however much better the numbers are.
    """
    if benchmark.known or data is None:
        return benchmark
    # The pipeline answers the question, so that its being open is no finding any more.
    findings = [finding for finding in benchmark.findings if finding.code != "benchmark-unknown"]
    if not data.changed:
        return replace(benchmark, findings=findings)
    changed = ", ".join(data.changed[:6]) + (" …" if len(data.changed) > 6 else "")
    difference = f"the data that the metrics come from are not the base's: {changed}"
    hint = "where both sides are scored on one table, name it: `benchmark: data/test.csv` under `compare-metrics`"
    findings.append(_finding("warning", "samples-changed", difference, hint))
    return replace(benchmark, same=False, difference=difference, findings=findings)


def _finding(severity: Any, code: str, message: str, hint: str | None = None) -> Finding:
    return Finding(severity=severity, code=code, message=message, hint=hint)


def _samples(pairs: Pairs) -> str:
    parts = [
        f"{count} {what}"
        for count, what in (
            (pairs.only_base, "samples are in the base's predictions only"),
            (pairs.only_head, "samples are in this change's predictions only"),
            (pairs.relabelled, "samples have another truth"),
        )
        if count
    ]
    return f"the two sides were not scored on the same samples: {'; '.join(parts)}"


def sample_ids(path: Path, shown: str, names: Mapping[str, str]) -> set[str]:
    """The sample ids of a table (CSV, TSV or Parquet), as text.

    Raises
    ------
    InputError
        If the file is not a table or has no column of ids.
    """
    import pandas as pd

    ending = path.suffix.lower()
    try:
        if ending in {".parquet", ".pq"}:
            import pyarrow.parquet as pq

            present = [str(name) for name in pq.read_schema(path).names]
        else:
            separator = "\t" if ending == ".tsv" else ","
            present = [str(name) for name in pd.read_csv(path, sep=separator, nrows=0).columns]
        lower = {name.lower(): name for name in present}
        named = [names["id"]] if "id" in names else []
        column = next((lower[name.lower()] for name in [*named, *USUAL["id"]] if name.lower() in lower), None)
        if column is None:
            raise InputError(
                f"has no column of sample ids; columns are: {', '.join(present[:12])}",
                where=shown,
                hint="name it: `prediction-columns: {id: your column}`",
                code="missing-column",
            )
        if ending in {".parquet", ".pq"}:
            table = pq.read_table(path, columns=[column]).replace_schema_metadata(None).to_pandas()
        else:
            table = pd.read_csv(io.BytesIO(path.read_bytes()), sep=separator, usecols=[column], dtype=str)
    except (ValueError, OSError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"cannot be read as a table: {first}",
            where=shown,
            hint="give a CSV with a header line, or Parquet",
            code="invalid-training",
        ) from None
    return set(table[column].dropna().astype(str))


def leakage(benchmark: Collection[str], training: Mapping[str, set[str]]) -> Finding | None:
    """What to say where samples of the benchmark are among the training samples of some file; their ids stay unsaid."""
    ids = set(benchmark)
    hits = {shown: len(ids & seen) for shown, seen in training.items() if ids & seen}
    if not hits:
        return None
    seen = len(ids & set().union(*training.values()))
    files = ", ".join(hits)
    return Finding(
        severity="error",
        code="benchmark-leak",
        message=f"{seen:,} of {len(ids):,} benchmark samples are in the training data ({files})",
        hint="take them out of the training data and train again; until then no score of this model counts",
    )


# -- rows of the training data in the test data ----------------------------------------------------------------

TABLES = frozenset({".csv", ".tsv", ".parquet", ".pq"})
MAX_COPY_BYTES = 200 * 1024 * 1024
_MOST_ASKED = 5_000
_MOST_DIMENSIONS = 12
_FEWEST_COLUMNS = 3
_FEWEST_COPIES = 3
# What counts as near is what one of a hundred training rows is to its nearest neighbour in the training data.
_NEAR = 0.01


@dataclass(frozen=True)
class Copies:
    """Rows of a test table that lie (nearly) on rows of the training table: how many, of how many, and how many would
    if both were drawn independently."""

    n: int
    of: int
    expected: float


def near_copies(test: pd.DataFrame, training: pd.DataFrame, *, seed: int = 1) -> Copies | None:
    """Rows of ``test`` that are copies, exact or near, of rows of ``training``; None where chance makes as many.

    Distances are those to the nearest training row, over the shared columns of numbers, each in units of its standard
    deviation in training. If both tables were drawn independently, they would be spread like the distances of training
    rows to their nearest neighbours (leave one out), so that repeated measurements and coarse values are allowed for.
    A count beyond that by five standard deviations of two binomial shares is told. Many columns are projected on twelve
    random directions first, which keeps small distances small (Johnson and Lindenstrauss 1984).
    """
    from scipy.spatial import cKDTree

    shared = _shared_numbers(test, training)
    if len(shared) < _FEWEST_COLUMNS or len(test) < _FEWEST_COPIES or len(training) < 20:
        return None
    known, asked = (frame[shared].astype(float).to_numpy() for frame in (training, test))
    center = np.nanmedian(known, axis=0)
    known, asked = (np.where(np.isfinite(side), side, center) - center for side in (known, asked))
    spread = np.std(known, axis=0)
    used = spread > 0
    if int(used.sum()) < _FEWEST_COLUMNS:
        return None
    known, asked = known[:, used] / spread[used], asked[:, used] / spread[used]
    random = np.random.default_rng(seed)
    if known.shape[1] > _MOST_DIMENSIONS:
        directions = random.standard_normal((known.shape[1], _MOST_DIMENSIONS))
        known, asked = known @ directions, asked @ directions
    tree = cKDTree(known)
    own = random.permutation(len(known))[:_MOST_ASKED]
    if len(asked) > _MOST_ASKED:
        asked = asked[random.permutation(len(asked))[:_MOST_ASKED]]
    among = tree.query(known[own], k=2)[0][:, 1]
    to_training = tree.query(asked)[0]
    found = [_beyond_chance(to_training, among, limit) for limit in (1e-9, float(np.quantile(among, _NEAR)))]
    return max((each for each in found if each is not None), key=lambda each: each.n, default=None)


def _beyond_chance(distances: np.ndarray, among: np.ndarray, limit: float) -> Copies | None:
    n, count, share = len(distances), int((distances <= limit).sum()), float((among <= limit).mean())
    deviation = np.sqrt(n * share * (1 - share) * (1 + n / len(among)))
    if count < _FEWEST_COPIES or count <= n * share + 5 * deviation:
        return None
    return Copies(count, n, n * share)


def _shared_numbers(test: pd.DataFrame, training: pd.DataFrame) -> list[str]:
    """Columns of numbers that both tables have, without those that number the rows."""
    import pandas as pd

    def is_measured(name: str) -> bool:
        values = training[name].dropna()
        if name.lower() in USUAL["id"] or not len(values):
            return False
        whole = bool((values == values.round()).all())
        return not (whole and values.is_unique)

    both = [name for name in training.columns if name in test.columns]
    numeric = [n for n in both if all(pd.api.types.is_numeric_dtype(frame[n]) for frame in (training, test))]
    return [name for name in numeric if is_measured(name)]


def read_rows(path: Path, shown: str) -> pd.DataFrame:
    """A table (CSV, TSV or Parquet) with its columns of numbers as numbers.

    Raises
    ------
    InputError
        If it is no table, or larger than ``MAX_COPY_BYTES``.
    """
    size = path.stat().st_size
    if size > MAX_COPY_BYTES:
        raise InputError(f"is larger than {MAX_COPY_BYTES:,} bytes", where=shown, code="invalid-training")
    table, comma = cells(path.read_bytes(), shown)
    return table.apply(lambda column: numbers_of(column, comma=comma)).rename(columns=str)


def copies_finding(copies: Copies, test: str, training: str) -> Finding:
    """What to say where rows of the training data are in the test data."""
    expected = "none" if copies.expected < 0.5 else f"about {copies.expected:,.0f}"
    message = (
        f"{copies.n:,} of {copies.of:,} rows of {test} are copies, or nearly, of rows of {training} "
        f"(of rows drawn independently, {expected} would be)"
    )
    hint = "take them out of one of the two, and train again; until then a better score may be memory"
    return _finding("warning", "benchmark-copies", message, hint)
