"""Benchmark samples in the training data: a score on samples that the model has seen says nothing."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from pathlib import Path

from flint_ml.errors import InputError
from flint_ml.metrics.predictions import USUAL
from flint_ml.record import Finding


def ids_of(path: Path, shown: str, names: Mapping[str, str]) -> set[str]:
    """The sample ids of a table (CSV, TSV or Parquet), as text.

    Raises
    ------
    InputError
        If the file is no table or has no column of ids.
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
        wanted = [names["id"]] if "id" in names else []
        column = next((lower[name.lower()] for name in [*wanted, *USUAL["id"]] if name.lower() in lower), None)
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


def find(benchmark: Collection[str], training: Mapping[str, set[str]]) -> Finding | None:
    """What to say where samples of the benchmark are among the training samples of some file; their ids stay unsaid."""
    ids = set(benchmark)
    hits = {shown: len(ids & there) for shown, there in training.items() if ids & there}
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
