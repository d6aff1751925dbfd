"""Tables of any types and sizes give a verdict or a clear error, and a record that can be written."""

from __future__ import annotations

import json
import os
import tempfile
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flint_ml.drift.check import Result, check_tables
from flint_ml.drift.profile import as_table, comparable, make_profile
from flint_ml.drift.quality import quality_notes
from flint_ml.drift.report import figures, page, summary
from flint_ml.drift.report.heatmap import heatmap
from flint_ml.drift.rules import DriftRules
from flint_ml.errors import InputError
from flint_ml.record import finite

EXAMPLES = int(os.environ.get("FLINT_FUZZ_EXAMPLES", "60"))
# One of so many tables is drawn too, which takes longer than the check.
PICTURED = 7
KINDS: dict[str, Any] = {
    "float": lambda r, n: pa.array(r.normal(size=n), mask=r.random(n) < 0.1),
    "wild": lambda r, n: pa.array(r.choice([np.nan, np.inf, -np.inf, 0.0, 1e308, -1e-308], n)),
    "float32": lambda r, n: pa.array(r.normal(size=n).astype("float32")),
    "half": lambda r, n: pa.array(r.normal(size=n).astype("float16")),
    "int": lambda r, n: pa.array(r.integers(-5, 5, n), mask=r.random(n) < 0.1),
    "big": lambda r, n: pa.array(r.integers(0, 2**63, n).astype("uint64")),
    "row": lambda r, n: pa.array(np.arange(n)),
    "bool": lambda r, n: pa.array(r.random(n) < 0.4, mask=r.random(n) < 0.1),
    "text": lambda r, n: pa.array([str(v) for v in r.choice(["a", "b", "ä", "1", "2.5"], n)]),
    "number text": lambda r, n: pa.array([str(v) for v in r.integers(0, 50, n)]),
    "id": lambda r, n: pa.array([f"S{v}" for v in r.integers(0, 10**9, n)]),
    "class": lambda r, n: pa.array([str(v) for v in r.choice(["x", "y"], n)]).dictionary_encode(),
    "number class": lambda r, n: pa.array(r.integers(0, 4, n)).dictionary_encode(),
    "date": lambda r, n: pa.array([date(2020, 1, 1) + timedelta(int(v)) for v in r.integers(0, 900, n)]),
    "time": lambda r, n: pa.array([datetime(2020, 1, 1) + timedelta(hours=int(v)) for v in r.integers(0, 900, n)]),
    "decimal": lambda r, n: pa.array([Decimal(int(v)) / 100 for v in r.integers(0, 900, n)]),
    "list": lambda r, n: pa.array([[1.0, float(v)] for v in r.integers(0, 9, n)]),
    "binary": lambda r, n: pa.array([bytes([v]) for v in r.integers(97, 110, n)]),
    "null": lambda r, n: pa.nulls(n),
    "nan": lambda r, n: pa.array(np.full(n, np.nan)),
    "constant": lambda r, n: pa.array(np.full(n, 3.0)),
}
RULES = (
    DriftRules(),
    DriftRules(tests=("wasserstein", "missing"), correction="benjamini-hochberg"),
    DriftRules(tests=("psi", "chi2", "multivariate"), correction="none", min_effect=0.0),
    DriftRules(groups=("site",)),
)


def table(rng: np.random.Generator, kinds: list[str], n: int) -> pa.Table:
    columns = {f"c{i}": KINDS[kind](rng, n) for i, kind in enumerate(kinds)}
    return pa.table({**columns, "site": [f"P{v}" for v in rng.integers(0, max(1, n // 4), n)]})


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kinds=st.lists(
        st.tuples(st.sampled_from(sorted(KINDS)), st.booleans(), st.sampled_from(sorted(KINDS))), max_size=6
    ),
    sizes=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    seed=st.integers(0, 2**32),
    rules=st.sampled_from(RULES),
)
def test_any_tables(kinds: list[tuple[str, bool, str]], sizes: tuple[int, int], seed: int, rules: DriftRules) -> None:
    rng = np.random.default_rng(seed)
    one = table(rng, [first for first, _, _ in kinds], sizes[0])
    two = table(rng, [other if changes else first for first, changes, other in kinds], sizes[1])
    try:
        result = check_tables(one, two, rules)
    except InputError:
        return
    assert summary.headline(result)
    for found in summary.tables(result):
        assert found.rows
    json.dumps(finite(summary.details(result)), allow_nan=False)
    quality_notes((one, two), [c.column for c in result.columns], rules)
    for column in result.columns:
        for hypothesis in column.hypotheses:
            assert 0 <= hypothesis.test.p_value <= hypothesis.p_adjusted <= 1 or rules.groups
            assert hypothesis.test.effect >= 0
    profile = make_profile(one, rules)
    assert as_table(profile, comparable(profile)).num_rows in {0, sizes[0]}
    if result.rows[0] % PICTURED == 0:
        pictures(result)


def pictures(result: Result) -> None:
    """Every figure and the page can be made, whatever the columns hold."""
    with tempfile.TemporaryDirectory() as folder:
        if figures.worst(result):
            figures.distributions(result, Path(folder) / "distributions.png")
        for seen in result.spectra:
            if seen.comparison:
                figures.spectra(result, seen, Path(folder) / "spectra.png")
        heatmap(result, Path(folder) / "heatmap.png")
    text = page.page_body(result, title=("", "", ""), tables=("", ""), headline="", findings=[], pictures=[])
    assert text.count("<tr>") > len(result.columns)


NAMES = st.text(min_size=1, max_size=12)


@settings(max_examples=max(15, EXAMPLES // 10), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names=st.lists(NAMES, min_size=2, max_size=5, unique=True), labels=st.lists(NAMES, min_size=1, max_size=5))
def test_any_names(names: list[str], labels: list[str]) -> None:
    rng = np.random.default_rng(1)
    tables = [
        pa.table(
            {
                names[0]: rng.choice(labels, 30),
                **{n: rng.normal(size=30) * 10 ** rng.uniform(-300, 308) for n in names[1:]},
            }
        )
        for _ in range(2)
    ]
    result = check_tables(tables[0], tables[1], DriftRules())
    pictures(result)
    assert summary.headline(result)


@settings(max_examples=max(10, EXAMPLES // 20), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), exponent=st.floats(-320, 308), lost=st.floats(0, 0.2), rules=st.sampled_from(RULES))
def test_any_spectra(seed: int, exponent: float, lost: float, rules: DriftRules) -> None:
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore"):
        values = (
            rng.normal(size=(160, 1)) * np.linspace(1, 2, 24) * 10**exponent
            + rng.normal(size=(160, 24)) * 10**exponent / 100
        )
    values[rng.random(values.shape) < lost / 24] = rng.choice([np.nan, np.inf, -np.inf, 0.0])
    columns = {f"nm_{400 + 10 * i}": values[:, i] for i in range(24)}
    both = pa.table({**columns, "site": [f"P{v}" for v in rng.integers(0, 40, 160)]})
    try:
        result = check_tables(both.slice(0, 90), both.slice(90), rules)
    except InputError:
        return
    json.dumps(finite(summary.details(result)), allow_nan=False)
    assert summary.tables(result)[0].rows
    pictures(result)
