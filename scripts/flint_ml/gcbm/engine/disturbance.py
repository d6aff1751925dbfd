"""Disturbance matrices and how an event moves carbon (2.7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Matrix:
    """Transfers (source pool, sink pool, proportion); source = sink rows are left out, as in the C++."""

    id: int
    transfers: tuple[tuple[int, int, float], ...]


@dataclass
class Matrices:
    """All matrices and which one belongs to (disturbance type, spatial unit)."""

    by_id: dict[int, Matrix]
    association: dict[tuple[str, int], int]
    row_deviation: dict[int, float]  # matrix id -> largest |row sum - 1|
    bad_rows: int
    rows: int

    def find(self, kind: str, spatial_unit: int) -> Matrix | None:
        return self.by_id.get(self.association.get((kind, spatial_unit), -1))


def build_matrices(
    values: Sequence[dict[str, Any]], associations: Sequence[dict[str, Any]], pool_index: dict[str, int], where: str
) -> Matrices:
    """Matrices from the rows of ``disturbance_matrices`` and ``disturbance_matrix_associations``.

    Rows need not sum to 1; they are never rescaled, because the reference does not either.
    """
    transfers: dict[int, list[tuple[int, int, float]]] = {}
    sums: dict[tuple[int, str], float] = {}
    unknown: set[str] = set()
    for row in values:
        source, sink, share = row["source_pool_name"], row["dest_pool_name"], float(row["proportion"])
        unknown |= {name for name in (source, sink) if name not in pool_index}
        matrix = int(row["disturbance_matrix_id"])
        sums[matrix, source] = sums.get((matrix, source), 0.0) + share
        kept = transfers.setdefault(matrix, [])
        if source != sink and not unknown:
            kept.append((pool_index[source], pool_index[sink], share))
    if unknown:
        raise InputError(
            f"disturbance matrices use pools that the project does not have: {', '.join(sorted(unknown))}",
            where=where,
            hint="add them to Pools, or correct the matrices",
            code="gcbm-matrix-pool",
        )
    deviation: dict[int, float] = {}
    for (matrix, _), total in sums.items():
        deviation[matrix] = max(deviation.get(matrix, 0.0), abs(total - 1.0))
    association: dict[tuple[str, int], int] = {}
    for row in associations:  # the first row of a pair wins, as in the C++
        key = (str(row["disturbance_type"]), int(row["spatial_unit_id"]))
        association.setdefault(key, int(row["disturbance_matrix_id"]))
    return Matrices(
        {matrix: Matrix(matrix, tuple(rows)) for matrix, rows in transfers.items()},
        association,
        deviation,
        sum(abs(total - 1.0) > 1e-5 for total in sums.values()),
        len(sums),
    )


def apply_matrix(matrix: Matrix, pools: Array) -> list[tuple[int, int, Array]]:
    """Disturb (pools, n) in place; all amounts come from the values before the event.

    Returns the transfers (source, sink, amount in tC/ha).
    """
    before = pools.copy()
    moved = []
    for source, sink, share in matrix.transfers:
        if share == 0.0:
            continue
        amount = before[source] * share
        pools[source] -= amount
        pools[sink] += amount
        moved.append((source, sink, amount))
    return moved
