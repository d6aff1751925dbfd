"""Tables of a repository, told apart by name and header: reference, new batch, benchmark, predictions."""

from __future__ import annotations

import csv
import gzip
import posixpath
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flint_ml.metrics import USUAL

_REFERENCE = re.compile(r"(^|[^a-z])(ref|reference|trusted|baseline|train|training|histor\w*)([^a-z]|$)")
_CURRENT = re.compile(r"(^|[^a-z])(new|current|batch|incoming|latest|recent)([^a-z]|$)")
_BENCHMARK = re.compile(r"(^|[^a-z])(bench\w*|hold-?_?out|test|validation)([^a-z]|$)")
# What a run makes, by its name or the folder that it lies in (DVCLive's among them).
_NO_DATA = re.compile(
    r"(^|[^a-z])(metrics?|scores?|results?|importances?|feat_imp|history|predictions?|preds?|dvclive|plots?|logs?|outputs?"
    r"|reports?|loss|epochs?|curves?)([^a-z]|$)"
)


@dataclass(frozen=True)
class TableFile:
    """One table: path, size in bytes, names of its columns (empty where they could not be read)."""

    path: str
    size: int
    columns: tuple[str, ...]

    def column(self, role: str) -> str | None:
        """The column that serves as ``id``, ``truth`` or ``prediction`` by its name."""
        lower = {name.lower(): name for name in reversed(self.columns)}
        return next((lower[usual] for usual in USUAL[role] if usual in lower), None)

    @property
    def is_predictions(self) -> bool:
        """Whether it holds truth and prediction for each sample."""
        return all(self.column(role) for role in ("id", "truth", "prediction"))


@dataclass(frozen=True)
class Roles:
    """Which table serves for what; None: none does."""

    reference: TableFile | None = None
    current: TableFile | None = None
    benchmark: TableFile | None = None
    predictions: TableFile | None = None
    only: TableFile | None = None


def read_header(folder: Path, path: str) -> TableFile:
    """Path, size and columns of a table."""
    file = folder / path
    size = file.stat().st_size
    if path.endswith(".parquet"):
        return TableFile(path, size, _parquet(file))
    try:
        opener = gzip.open if path.endswith(".gz") else Path.open
        with opener(file, "rb") as stream:
            line = stream.readline(1_000_000).decode("utf-8-sig")
        delimiter = max(",;\t", key=line.count)
        columns = next(csv.reader([line], delimiter=delimiter), [])
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error):
        return TableFile(path, size, ())
    return TableFile(path, size, tuple(name.strip() for name in columns))


def _parquet(file: Path) -> tuple[str, ...]:
    import pyarrow
    import pyarrow.parquet

    try:
        return tuple(pyarrow.parquet.read_schema(file).names)
    except (pyarrow.ArrowException, OSError):
        return ()


def _alike(one: TableFile, other: TableFile) -> bool:
    if not one.columns or not other.columns:
        return True  # one of them is not here: its name must do
    shared = len(set(one.columns) & set(other.columns))
    return shared > 0 and 2 * shared >= min(len(one.columns), len(other.columns))


def assign(tables: Sequence[TableFile], named: Sequence[str] = ()) -> Roles:
    """Tell the tables apart.

    Parameters
    ----------
    tables
        What there is.
    named
        Paths that the training script names: the table to watch, where names alone do not say.
    """
    predictions = next((t for t in tables if t.is_predictions), None)
    rest = [t for t in tables if not t.is_predictions and not _NO_DATA.search(t.path.lower())]
    benchmark = next((t for t in rest if _BENCHMARK.search(t.path.lower())), None)
    data = [t for t in rest if not _BENCHMARK.search(t.path.lower())]
    pairs = [
        (reference, current)
        for reference in data
        if _REFERENCE.search(reference.path.lower())
        for current in data
        if current is not reference and _CURRENT.search(current.path.lower())
        if _alike(reference, current)
    ]
    if pairs:
        # Tables of one folder belong together.
        reference, current = min(
            pairs, key=lambda pair: posixpath.dirname(pair[0].path) != posixpath.dirname(pair[1].path)
        )
        return Roles(reference, current, benchmark, predictions)
    read = [t for t in data if t.path in named or t.path.rpartition("/")[2] in named]
    trusted = [t for t in read or data if _REFERENCE.search(t.path.lower())]
    only = next(iter(trusted or read or data), None)
    return Roles(None, None, benchmark, predictions, only)
