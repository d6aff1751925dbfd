"""A stored profile of a reference: what a comparison needs of it, and no row of it.

Numbers are kept as the middles of bins of equal count, categories as counts, spectra as their principal components
and the distributions of T², Q and scores. So 10 GB need not be pulled to check 10 MB.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flint_ml.drift.arrow import matrix
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.statistics.bands import find_spectra
from flint_ml.drift.statistics.distributions import Floats
from flint_ml.drift.statistics.spectra import Calibration, Model, Projection, calibrate
from flint_ml.drift.tables.columns import Pair, distinct, pair
from flint_ml.drift.tables.interpret import interpreted
from flint_ml.errors import InputError
from flint_ml.hashing import write_atomically

SCHEMA = "flint-ml/drift-profile/1"
MAX_BYTES = 512 * 1024 * 1024
# No bin holds fewer rows, so that no value is one row's own unless many rows share it.
_FEWEST = 5
_BINS, _BAND_BINS = 4_096, 64
_EXACT_VALUES = 256
# A profile counts as at most so many rows: p-values are then on the safe side.
_ROWS = 65_536


@dataclass(frozen=True)
class Profile:
    """A reference without its rows. ``columns`` hold kind, counts and bins; ``bound`` is the largest error of D."""

    rows: int
    columns: Mapping[str, Mapping[str, Any]]
    calibrations: Mapping[tuple[str, ...], Calibration] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bound(self) -> float:
        """Largest error of the KS distance that the bins of a column (no band) can cause."""
        banded = {name for columns in self.calibrations for name in columns}
        return max(
            (float(c["bound"]) for n, c in self.columns.items() if "bound" in c and n not in banded), default=0.0
        )


def binned(ordered: Floats, most: int) -> tuple[Floats, list[int], float]:
    """Sorted values as bins of equal count: the middle value of each, the counts, and the error of D they cause.

    A mass moves within its bin, so that no distribution function changes by more than one bin. Values that many
    rows share are kept as they are.
    """
    n = len(ordered)
    if distinct(ordered) <= min(_EXACT_VALUES, n / _FEWEST):
        values, counts = np.unique(ordered, return_counts=True)
        return values, [int(c) for c in counts], 0.0
    bins = max(1, min(most, n // _FEWEST))
    edges = np.arange(bins + 1) * n // bins
    starts, counts = edges[:-1], np.diff(edges)
    return ordered[starts + (counts - 1) // 2], [int(c) for c in counts], float(counts.max()) / n


def _rounded(values: Floats) -> list[float | str]:
    return [float(f"{v:.10g}") if math.isfinite(v) else ("inf" if v > 0 else "-inf") for v in values]


def make_profile(table: Any, rules: DriftRules, source: Mapping[str, Any] | None = None) -> Profile:
    """Profile the columns of a ``pyarrow.Table`` that the rules want."""
    names = [name for name in table.column_names if rules.compares(name)]
    (table, _), readings = interpreted((table, table), names, rules)
    pairs = [pair(name, table.column(name), table.column(name), rules, readings.get(name)) for name in names]
    spectra = find_spectra([p.name for p in pairs if p.kind == "numeric" and rules.of(p.name).test == "auto"])
    banded = {name for spectrum in spectra for name in spectrum.columns}
    columns = {p.name: _column(p, _BAND_BINS if p.name in banded else _BINS) for p in pairs}
    found = {s.columns: calibrate(matrix(table, s.columns)) for s in spectra}
    calibrations = {names: calibration for names, calibration in found.items() if calibration is not None}
    return Profile(table.num_rows, columns, calibrations, dict(source or {}))


def _column(column: Pair, most: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": column.kind, "missing": column.missing[0]}
    if column.kind == "numeric" and not column.labels and len(column.reference):
        values, counts, bound = binned(column.reference, most)
        entry |= {"values": _rounded(values), "counts": counts, "bound": bound}
        reading = column.reading
        if reading and reading.below is not None and math.isfinite(reading.below):
            entry["below"] = reading.below
        if reading and reading.above is not None:
            entry["above"] = reading.above
    elif column.kind in {"category", "boolean"}:
        entry |= {"labels": column.labels, "counts": [int(c) for c in column.reference]}
    return entry


def _thin(projection: Projection) -> dict[str, Any]:
    def one(values: Floats) -> dict[str, Any]:
        middles, counts, _ = binned(np.sort(values), _BINS)
        return {"values": _rounded(middles), "counts": counts}

    return {"t2": one(projection.t2), "q": one(projection.q), "scores": [one(s) for s in projection.scores.T]}


def write_profile(profile: Profile, path: Path) -> None:
    """Write a profile as JSON, compressed where the name ends in ``.gz``."""
    spectra = [
        {
            "columns": list(names),
            "mean": _rounded(c.model.mean),
            "variances": _rounded(c.model.variances),
            "loadings": [_rounded(v) for v in c.model.loadings.T],
            "explained": c.model.explained,
            "fitted": c.model.fitted,
            "held": _thin(c.held),
            "limits": list(c.limits),
            "outside": c.outside,
            "centre": _rounded(c.mean),
            "sd": _rounded(c.sd),
            "lost": int(c.lost.sum()),
        }
        for names, c in profile.calibrations.items()
    ]
    data = {
        "schema": SCHEMA,
        "rows": profile.rows,
        "bound": profile.bound,
        "source": dict(profile.source),
        "columns": dict(profile.columns),
        "spectra": spectra,
    }
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    write_atomically(path, gzip.compress(text, mtime=0) if path.suffix == ".gz" else text + b"\n")


def is_profile(path: Path) -> bool:
    """Whether a file is a profile, by its name."""
    return path.name.endswith((".json", ".json.gz"))


def read_profile(path: Path, label: str) -> Profile:
    """Read a profile.

    Raises
    ------
    InputError
        If the file is no profile of this version.
    """
    hint = "make it anew: `flint-ml drift-profile reference.csv --output reference.profile.json`"
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            with gzip.open(path) as stream:
                content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError("is too large for a profile", where=label, hint=hint, code="invalid-profile")
        data = json.loads(content)
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise InputError(f"is no {SCHEMA}", where=label, hint=hint, code="invalid-profile")
        calibrations = {tuple(entry["columns"]): _calibration(entry) for entry in data["spectra"]}
        return Profile(int(data["rows"]), data["columns"], calibrations, data["source"])
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"is no profile: {error}", where=label, hint=hint, code="invalid-profile") from None


def _expanded(entry: Mapping[str, Any]) -> Floats:
    return np.repeat(np.array([float(v) for v in entry["values"]]), entry["counts"])


def _calibration(entry: Mapping[str, Any]) -> Calibration:
    loadings = np.array(entry["loadings"], dtype=float).T
    model = Model(
        np.array(entry["mean"], float),
        loadings,
        np.array(entry["variances"], float),
        entry["explained"],
        entry["fitted"],
    )
    held = entry["held"]
    scores = np.column_stack([_expanded(s) for s in held["scores"]])
    projection = Projection(scores, _expanded(held["t2"]), _expanded(held["q"]))
    limits = (float(entry["limits"][0]), float(entry["limits"][1]))
    lost = np.ones(int(entry["lost"]), dtype=bool)
    return Calibration(
        model,
        projection,
        limits,
        float(entry["outside"]),
        np.arange(len(projection.t2)),
        np.array(entry["centre"], float),
        np.array(entry["sd"], float),
        lost,
    )


def comparable(profile: Profile) -> list[str]:
    """Columns of the profile whose values it holds."""
    return [name for name, column in profile.columns.items() if "counts" in column]


def limits_in(profile: Profile) -> dict[str, tuple[float | None, float | None]]:
    """Limits of detection of the columns that have any: below and above which values are ties."""
    return {
        name: (entry.get("below"), entry.get("above"))
        for name, entry in profile.columns.items()
        if "below" in entry or "above" in entry
    }


def as_table(profile: Profile, names: Sequence[str]) -> Any:
    """A table with the distributions of the profile, in no order of rows, of at most 65,536 rows."""
    import pyarrow as pa

    rows = min(profile.rows, _ROWS)
    columns = {}
    for name in names:
        entry = profile.columns[name]
        counts = np.array([*entry["counts"], entry["missing"]], dtype=np.int64)
        # Row i of the table stands for the share (i + ½) / rows of the reference.
        place = np.searchsorted(np.cumsum(counts), (np.arange(rows) + 0.5) / rows * counts.sum(), side="right")
        missing = place == len(counts) - 1
        if "values" in entry:
            values = np.array([*(float(v) for v in entry["values"]), np.nan])[place]
            columns[name] = pa.array(values, mask=missing)
        else:
            labels = np.array([*entry["labels"], ""], dtype=object)[place]
            kind = pa.bool_() if entry["kind"] == "boolean" else pa.string()
            columns[name] = pa.array(labels, type=pa.string(), mask=missing).cast(kind)
    return pa.table(columns)
