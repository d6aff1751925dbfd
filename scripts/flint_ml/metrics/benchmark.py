"""The benchmark that both sides were scored on, and the predictions for its samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from flint_ml.errors import InputError
from flint_ml.metrics.predictions import Pairs, join, read
from flint_ml.metrics.source import At
from flint_ml.metrics.stored_base import StoredFiles
from flint_ml.record import Finding

if TYPE_CHECKING:
    import pandas as pd

MAX_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True)
class Edge:
    """Paths that the user gave, and the ways to the outside.

    ``existing`` resolves a path input, ``use`` notes a file for provenance, ``at`` reads the base,
    ``hash_here`` is the md5 of a file or folder of the working tree.
    """

    predictions: str
    base_predictions: str
    columns: Mapping[str, str]
    benchmark: str
    existing: Callable[[str, str], Path]
    use: Callable[[Path], str]
    at: At | StoredFiles | None
    hash_here: Callable[[str], str | None]


@dataclass
class Predictions:
    """Predictions of this change and, where they could be read, joined with the base's."""

    head: pd.DataFrame | None = None
    pairs: Pairs | None = None
    findings: list[Finding] = field(default_factory=list)


def read_predictions(edge: Edge) -> Predictions:
    """Read this change's predictions and the base's.

    The base's, when they come from the base revision, may be absent or faulty: that is not this change's mistake,
    so it is said and the comparison goes on without them.
    """
    if not edge.predictions:
        return Predictions()
    path = edge.existing(edge.predictions, "predictions")
    if not path.is_file():
        raise InputError("is no file", where=f"predictions: {edge.predictions}", code="missing-file")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"is larger than {MAX_BYTES:,} bytes", where=edge.predictions, code="predictions-too-large")
    edge.use(path)
    result = Predictions(read(path.read_bytes(), edge.predictions, edge.columns))
    try:
        base = _read_base(edge)
    except InputError as error:
        if edge.base_predictions:
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
                message=f"the base has no {edge.predictions}, so samples cannot be compared one by one",
            )
        )
        return result
    assert result.head is not None
    result.pairs = join(base, result.head)
    return result


def _read_base(edge: Edge) -> pd.DataFrame | None:
    if edge.base_predictions:
        path = edge.existing(edge.base_predictions, "base-predictions")
        edge.use(path)
        return read(path.read_bytes(), edge.base_predictions, edge.columns)
    if edge.at is None:
        return None
    data = edge.at.content(edge.predictions)
    where = f"{edge.predictions} at {edge.at.shown}"
    return None if data is None else read(data, where, edge.columns)


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


def check(edge: Edge, predictions: Predictions) -> Benchmark:
    """Compare the benchmark's hash, and the samples and truths of the predictions, of both sides."""
    n = len(predictions.head) if predictions.head is not None else None
    md5 = base_md5 = None
    same: bool | None = None
    difference = ""
    findings: list[Finding] = []
    if edge.benchmark:
        md5 = edge.hash_here(edge.benchmark)
        base_md5 = edge.at.hash(edge.benchmark) if edge.at else None
        if md5 and base_md5:
            same = md5 == base_md5
            difference = (
                "" if same else f"the benchmark {edge.benchmark} is not the base's ({base_md5[:8]} → {md5[:8]})"
            )
        elif edge.at:
            findings.append(_finding("warning", "benchmark-new", f"the base has no benchmark {edge.benchmark}"))
    pairs = predictions.pairs
    if pairs is not None and not pairs.same:
        same, difference = False, difference or _samples(pairs)
    elif pairs is not None and same is None:
        same = True
    if difference:
        hint = "score both models on one benchmark, or merge the new benchmark first, by itself"
        findings.append(_finding("warning", "gate-changed", difference, hint))
    elif not edge.benchmark and pairs is None:
        message = "no benchmark is named, so nothing proves that both sides were scored on the same samples"
        findings.append(_finding("info", "benchmark-unknown", message, "set `benchmark` or `predictions`"))
    return Benchmark(
        edge.benchmark or None, PurePosixPath(edge.benchmark).stem or None, md5, base_md5, same, n, difference, findings
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
