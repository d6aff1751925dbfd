"""KS statistic and p-value beside scipy's on random pairs of columns: `python benchmarks/drift_scipy.py [PAIRS]`.

The columns go through check-drift as Arrow tables; ties, NaN, infinities, tiny and huge values, constants, integers and
all sizes from 1 to 30,000 occur. Writes benchmarks/results/drift-scipy.json.
"""

from __future__ import annotations

import json
import platform
import sys
import warnings
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import stats

from flint_ml.drift.hypotheses import column_tests
from flint_ml.drift.rules import ColumnRules, DriftRules
from flint_ml.drift.tables.columns import pair

RESULTS = Path(__file__).parent / "results"
RULES = DriftRules(tests=("ks",), columns={"v": ColumnRules(test="ks")})
METHODS = {"exact": "exact", "asymptotic": "asymp"}


def column(rng: np.random.Generator, kind: str, n: int) -> np.ndarray:
    values = rng.normal(rng.choice([0.0, 0.1, 1.0]), rng.choice([1.0, 1.2]), size=n)
    made = {
        "normal": values,
        "ties": np.round(values, 1),
        "integers": np.round(values * 5),
        "tiny": values * 1e-300,
        "huge": values * 1e300,
        "constant": np.full(n, rng.integers(0, 2)),
        "heavy": rng.standard_cauchy(n),
        "nan": np.where(rng.random(n) < 0.2, np.nan, values),
        "inf": np.where(rng.random(n) < 0.1, np.inf, values),
        "-inf": np.where(rng.random(n) < 0.1, -np.inf, np.round(values, 2)),
    }
    return made[kind].astype(float)


KINDS = ("normal", "ties", "integers", "tiny", "huge", "constant", "heavy", "nan", "inf", "-inf")


def size(rng: np.random.Generator) -> int:
    return int(np.exp(rng.uniform(0, np.log(1_500 if rng.random() < 0.9 else 30_000))))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rng = np.random.default_rng(0)
    worst_d = worst_p = 0.0
    methods = {"exact": 0, "asymptotic": 0, "scipy gave up": 0}
    compared = 0
    while compared < count:
        kind = str(rng.choice(KINDS))
        a, b = column(rng, kind, size(rng)), column(rng, kind, size(rng))
        if np.isnan(a).all() or np.isnan(b).all():
            continue
        test = column_tests([pair("v", pa.chunked_array([a]), pa.chunked_array([b]), RULES)], RULES)[0][0].test
        a, b = a[~np.isnan(a)], b[~np.isnan(b)]
        compared += 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                expected = stats.ks_2samp(a, b, method=METHODS[test.method])
            except RuntimeWarning:
                # Rounding takes scipy's exact p above 1, and it turns to the asymptotic one.
                methods["scipy gave up"] += 1
                assert test.p_value > 0.999999
                continue
        methods[test.method] += 1
        worst_d = max(worst_d, abs(test.statistic - expected.statistic))
        difference = abs(test.p_value - expected.pvalue)
        worst_p = max(worst_p, difference / expected.pvalue if expected.pvalue > 1e-300 else difference)
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "python": platform.python_version()}
    about |= {name: metadata.version(name) for name in ("flint-ml-actions", "numpy", "pyarrow", "scipy")}
    found = {"pairs": compared, **methods, "largest error of D": worst_d, "largest relative error of p": worst_p}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "drift-scipy.json").write_text(json.dumps({"about": about, **found}, indent=1) + "\n")
    print(found)


if __name__ == "__main__":
    main()
