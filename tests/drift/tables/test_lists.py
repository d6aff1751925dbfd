"""Spectra in a column of lists: read as bands, in every container, in memory and scanned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as pf
import pyarrow.parquet as pq
import pytest

from flint_ml.drift import DriftRules, check_sources, open_table
from flint_ml.drift.tables.lists import element_names, elements, list_lengths, stored_names

BANDS = 40
KINDS = {
    "variable": pa.list_(pa.float64()),
    "fixed": pa.list_(pa.float32(), BANDS),
    "large": pa.large_list(pa.float64()),
    "whole": pa.list_(pa.int32()),
}


def spectra(seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """pH and smooth spectra of 120 samples; a narrow band may be higher."""
    rng = np.random.default_rng(seed)
    places = np.linspace(0, 1, BANDS)
    shapes = np.array([np.exp(-(((places - c) / 0.2) ** 2)) for c in (0.1, 0.3, 0.5, 0.7, 0.9)])
    values = 20 + rng.normal(size=(120, 5)) @ shapes + 0.01 * rng.normal(size=(120, BANDS))
    values[:, 20] += shift
    return rng.normal(6, 1, 120), 10_000 * values


def stored(path: Path, kind: str, seed: int, shift: float = 0.0) -> None:
    acid, values = spectra(seed, shift)
    if path.suffix == ".jsonl":
        rows = [json.dumps({"pH": a, "spectrum": list(v)}) for a, v in zip(acid, values, strict=True)]
        path.write_text("\n".join(rows) + "\n")
        return
    lists = values.round().astype(int).tolist() if kind == "whole" else values.tolist()
    table = pa.table({"pH": acid, "spectrum": pa.array(lists, KINDS[kind])})
    (pf.write_feather if path.suffix == ".feather" else pq.write_table)(table, path)


@pytest.mark.parametrize("engine", ["memory", "stream"])
@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("parquet", "variable"),
        ("parquet", "fixed"),
        ("parquet", "large"),
        ("parquet", "whole"),
        ("feather", "fixed"),
        ("jsonl", ""),
    ],
)
def test_spectra_in_lists_are_compared_as_spectra(tmp_path: Path, suffix: str, kind: str, engine: Any) -> None:
    paths = [tmp_path / f"{name}.{suffix}" for name in ("reference", "same", "shifted")]
    for path, seed, shift in zip(paths, (1, 2, 3), (0.0, 0.0, 0.1), strict=True):
        stored(path, kind, seed, shift)
    reference, same, shifted = (open_table(path, path.name) for path in paths)
    assert not check_sources(reference, same, DriftRules(), engine=engine).failed
    result = check_sources(reference, shifted, DriftRules(), engine=engine)
    [spectrum] = result.drifted_spectra
    assert spectrum.spectrum.label == f"{BANDS} spectral bands, 1–{BANDS}"
    assert [piece.state for piece in result.coverage] == ["looked"]


@pytest.mark.parametrize(
    "rules", [DriftRules(exclude=["spectrum"]), DriftRules(columns=["pH"]), DriftRules(exclude=["spec*"])]
)
def test_the_name_of_the_list_means_its_elements(tmp_path: Path, rules: DriftRules) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        stored(tmp_path / f"{name}.parquet", "variable", seed)
    sources = (open_table(tmp_path / "a.parquet", "a"), open_table(tmp_path / "b.parquet", "b"))
    result = check_sources(*sources, rules)
    assert [column.column.name for column in result.columns] == ["pH"]
    result = check_sources(*sources, DriftRules(columns=["spectrum"]))
    assert len(result.columns) == BANDS


def test_elements_by_hand() -> None:
    table = pa.table({"x": [[1, 2], None, [3, 4], [5]], "y": [1, 2, 3, 4], "z": [[1], [2, 3], [4], [5]]})
    lengths = list_lengths(table.schema, lambda names: table.slice(0, 3).select(names))
    assert lengths == {"x": 2}
    assert element_names(table.column_names, lengths) == ("x[1]", "x[2]", "y", "z")
    assert stored_names(["y", "x[2]", "x[1]", "z"], lengths) == ["y", "x", "z"]
    found = elements(table, ["x[2]", "y"], lengths)
    assert found.to_pydict() == {"x[2]": [2, None, 4, None], "y": [1, 2, 3, 4]}
