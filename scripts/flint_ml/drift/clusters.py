"""A check whose samples come in groups: every hypothesis by permutation of whole groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from flint_ml.drift.arrow import class_codes, present, row_values
from flint_ml.drift.hypotheses import BELOW, ColumnResult, Hypothesis, decide, decide_one
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.statistics.cluster_permutation import (
    Clustering,
    Sample,
    blocks_of,
    clustering,
    codes_of,
    permute_groups,
)
from flint_ml.drift.statistics.distributions import Codes, Floats
from flint_ml.drift.tables.columns import Pair
from flint_ml.drift.whole_table import SpectrumResult
from flint_ml.errors import InputError


@dataclass(frozen=True)
class Units:
    """Groups of the rows of both tables, numbered through: those of the new data follow those of the reference."""

    reference: Codes
    current: Codes
    label: str

    @property
    def counts(self) -> tuple[int, int]:
        """Number of groups in each table."""
        first = int(self.reference.max()) + 1
        return first, int(self.current.max()) + 1 - first

    @property
    def both(self) -> Codes:
        return np.concatenate([self.reference, self.current])


def units_of(tables: tuple[Any, Any], rules: DriftRules) -> Units | None:
    """The groups that the rules name, or None."""
    if rules.coordinates:
        if len(rules.coordinates) != 2 or not rules.block_size:
            raise InputError(
                "needs two columns, x and y, and `block-size`",
                where="coordinates",
                hint="give the size of a square in the unit of the coordinates",
                code="invalid-input",
            )
        x, y = rules.coordinates
        codes = [blocks_of(_number(table, x), _number(table, y), rules.block_size) for table in tables]
        label = f"squares of {rules.block_size:g}"
    elif rules.groups:
        codes = [codes_of([table.column(name) for name in rules.groups]) for table in tables]
        label = ", ".join(f"`{name}`" for name in rules.groups)
    else:
        return None
    return Units(codes[0], codes[1] + int(codes[0].max()) + 1, label)


def _number(table: Any, name: str) -> Any:
    import pyarrow as pa

    column = table.column(name)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise InputError(f"`{name}` holds no numbers", where="coordinates", hint="name the columns of x and y")
    return column


def decide_by_groups(
    tables: tuple[Any, Any],
    columns: Sequence[ColumnResult],
    spectra: Sequence[SpectrumResult],
    *,
    whole: Hypothesis | None,
    units: Units,
    rules: DriftRules,
) -> None:
    """Give every hypothesis its p by permutation of groups, and decide the family.

    Under Holm the columns are adjusted together by their joint permutations; they share alpha by Bonferroni with the
    spectra and the classifier, which have permutations of their own.
    """
    blocks: list[tuple[list[Hypothesis], list[Sample]]] = [([], [])]
    for column in columns:
        for hypothesis in column.hypotheses:
            blocks[0][0].append(hypothesis)
            blocks[0][1].append(_sample(tables, column.column, hypothesis, units))
    for result in spectra:
        held = [_spectral_sample(result, hypothesis, units) for hypothesis in result.hypotheses]
        blocks.append((result.hypotheses, held))
    blocks = [block for block in blocks if block[0]]
    share = len(blocks) + (1 if whole else 0)
    for hypotheses, samples in blocks:
        # Groups that the components were fitted on take no part: they are not exchangeable with the others.
        taking_part = np.unique(np.concatenate([sample.units for sample in samples]))
        inside = [replace(sample, units=np.searchsorted(taking_part, sample.units)) for sample in samples]
        permuted = permute_groups(inside, taking_part >= units.counts[0])
        for hypothesis, p, adjusted in zip(hypotheses, permuted.p_values, permuted.p_adjusted, strict=True):
            hypothesis.test = replace(hypothesis.test, method="permutation of groups", p_value=p)
            decide_one(hypothesis, share * adjusted, rules)
    if whole:
        decide_one(whole, share * whole.test.p_value, rules)
    if rules.correction != "holm":
        decide([*(h for block, _ in blocks for h in block), *([whole] if whole else [])], rules)


def _sample(tables: tuple[Any, Any], pair: Pair, hypothesis: Hypothesis, units: Units) -> Sample:
    columns = [table.column(pair.name) for table in tables]
    if pair.kind not in {"numeric", "category", "boolean"} and hypothesis.aspect == "missing":
        there = np.concatenate([present(column.combine_chunks()) for column in columns])
        return Sample((~there).astype(float), units.both, 2)
    if pair.labels:
        codes = np.concatenate([class_codes(column, pair.labels) for column in columns])
        if hypothesis.aspect == "missing":
            return Sample((codes < 0).astype(float), units.both, 2)
        return Sample(codes[codes >= 0].astype(float), units.both[codes >= 0], len(pair.labels))
    values = np.concatenate([row_values(column) for column in columns])
    known = ~np.isnan(values)
    if hypothesis.aspect == BELOW and pair.reading is not None and pair.reading.below is not None:
        return Sample((values[known] < pair.reading.below).astype(float), units.both[known], 2)
    if hypothesis.aspect == "missing":
        return Sample((~known).astype(float), units.both, 2)
    if hypothesis.test.effect_name == "V":
        different, codes = np.unique(values[known], return_inverse=True)
        return Sample(codes.astype(float), units.both[known], len(different))
    return Sample(values[known], units.both[known])


def _spectral_sample(result: SpectrumResult, hypothesis: Hypothesis, units: Units) -> Sample:
    comparison = result.comparison
    assert comparison is not None
    if hypothesis.aspect == "incomplete":
        known = np.zeros(len(units.both), dtype=bool)
        rows = comparison.rows
        known[rows[0]] = known[rows[1] + len(units.reference)] = True
        used = known | comparison.lost
        return Sample(comparison.lost[used].astype(float), units.both[used], 2)
    one, two = next((a, b) for name, a, b in comparison.variables() if name == hypothesis.aspect)
    rows = comparison.rows
    return Sample(np.concatenate([one, two]), np.concatenate([units.reference[rows[0]], units.current[rows[1]]]))


def clusterings(tables: tuple[Any, Any], pairs: Sequence[Pair], units: Units) -> dict[str, Clustering]:
    """How clustered each numeric column is within the groups."""
    found: dict[str, Clustering] = {}
    for pair in pairs:
        if pair.kind == "numeric" and not pair.labels:
            sides: list[Floats] = [row_values(table.column(pair.name)) for table in tables]
            result = clustering((sides[0], sides[1]), (units.reference, units.current))
            if result is not None:
                found[pair.name] = result
    return found
