"""The benchmark that both sides were scored on, the predictions for its samples, and samples seen in training."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from flint_ml.errors import InputError
from flint_ml.metrics.predictions import USUAL, Pairs, join, read_table
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
    result = Predictions(read_table(path.read_bytes(), files.predictions, files.columns))
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
        findings.append(_finding("warning", "gate-changed", difference, hint))
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
            table = pd.read_parquet(path, columns=[column])
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
