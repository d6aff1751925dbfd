"""A base that is no revision: a registered version of the model, or the last run on the default branch.

What it was scored with is in the compare-metrics record that was stored with it; a version that somebody else
registered has only the metrics that were logged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flint_ml.metrics.read import MetricsFile, Reading
from flint_ml.metrics.source import At, public_names
from flint_ml.record import Record


def _no_file(_path: str) -> bytes | None:
    return None


@dataclass(frozen=True)
class Stored:
    """A stored base.

    Attributes
    ----------
    how
        What it is, in words: ``version 3 of soil-carbon (Staging)``.
    label
        The same for a column's heading: ``soil-carbon v3``.
    commit
        The commit that it was made from, where that is known.
    record
        The compare-metrics record that was stored with it.
    values
        Metrics by name, as they were logged, where there is no record.
    file
        Content of a file that was stored with it, by its path in the project; None where it was not.
    """

    how: str
    label: str
    commit: str | None = None
    record: Record | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    file: Callable[[str], bytes | None] = _no_file


def files(stored: Stored, head: Mapping[str, MetricsFile]) -> dict[str, MetricsFile]:
    """The stored metrics as files of the same paths as this change's (``head``).

    A record's metrics come whole, so that one that vanished is noticed; of merely logged values only those count
    that this change has too, because anything may have been logged beside them.
    """
    names = {shown: key for key, shown in public_names(head).items()}
    made: dict[str, MetricsFile] = {}
    for shown, path, value in _values(stored):
        if stored.record is None and shown not in names:
            continue
        place, name = names.get(shown, (path or next(iter(head), "metrics.json"), shown.removeprefix(f"{path}:")))
        made.setdefault(place, MetricsFile({})).readings[name] = Reading(value)
    return made


def _values(stored: Stored) -> list[tuple[str, str, float]]:
    """Shown name, path of the file (empty where it is not known), value."""
    if stored.record is None:
        return [(name, "", value) for name, value in stored.values.items()]
    rows = stored.record.details.get("rows")
    paths = {
        str(row.get("name")): str(row.get("path") or "")
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
    }
    metrics = stored.record.metrics.items()
    return [(name, paths.get(name, ""), metric.value) for name, metric in metrics if metric.value is not None]


@dataclass(frozen=True)
class StoredFiles:
    """What predictions and benchmark of a stored base need: like :class:`flint_ml.metrics.source.At`.

    ``there`` reads the commit that the stored base was made from, where this clone has it; what it holds counts only
    if its hash is the one in the record.
    """

    stored: Stored
    there: At | None = None

    @property
    def shown(self) -> str:
        """For messages."""
        return self.stored.label

    def content(self, path: str) -> bytes | None:
        """Content of ``path`` as it was then, or None where that is not to be had."""
        kept = self.stored.file(path)
        if kept is not None:
            return kept
        wanted = self._md5(path)
        data = self.there.content(path) if self.there and wanted else None
        return data if data is not None and hashlib.md5(data, usedforsecurity=False).hexdigest() == wanted else None

    def hash(self, path: str) -> str | None:
        """md5 of the benchmark that it was scored on."""
        record = self.stored.record
        benchmark = record.details.get("benchmark") if record else None
        if isinstance(benchmark, dict) and benchmark.get("path") == path and isinstance(benchmark.get("md5"), str):
            return str(benchmark["md5"])
        return self.there.hash(path) if self.there else None

    def _md5(self, path: str) -> str | None:
        inputs = self.stored.record.provenance.inputs if self.stored.record else []
        full = self.there.full(path) if self.there else path
        return next((item.md5 for item in inputs if item.path in (path, full)), None)
