"""One comparison of two tables by a peer, as a whole process: `python speed.py PEER reference current`.

KS on the numbers and chi-squared on the categories, each peer by its own public way. Run by drift_speed.py in an
interpreter that has the peer; without arguments prints the peers that this interpreter has, with their versions.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from importlib import metadata
from typing import Any

PEERS = ("evidently", "alibi-detect", "frouros", "nannyml")
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
os.environ["DO_NOT_TRACK"] = "1"


def tables(one: str, two: str) -> tuple[Any, Any]:
    import pandas as pd

    read = pd.read_csv if one.endswith("csv") else pd.read_parquet
    return read(one), read(two)


def evidently(one: str, two: str) -> float:
    from evidently import Report
    from evidently.presets import DataDriftPreset

    a, b = tables(one, two)
    found = Report([DataDriftPreset(num_method="ks", cat_method="chisquare")]).run(b, a).dict()
    return min(float(m["value"]) for m in found["metrics"] if "ValueDrift" in m["metric_name"])


def alibi_detect(one: str, two: str) -> float:
    import numpy as np
    import pandas as pd
    from alibi_detect.cd import KSDrift, TabularDrift

    a, b = tables(one, two)
    words = [i for i, c in enumerate(a) if not pd.api.types.is_numeric_dtype(a[c])]
    for i in words:
        both = pd.concat([a.iloc[:, i], b.iloc[:, i]]).astype("category").cat.codes
        a[a.columns[i]], b[b.columns[i]] = both[: len(a)].to_numpy(), both[len(a) :].to_numpy()
    x, y = a.to_numpy(np.float64), b.to_numpy(np.float64)
    drift = TabularDrift(x, categories_per_feature=dict.fromkeys(words)) if words else KSDrift(x)
    return float(drift.predict(y)["data"]["p_val"].min())


def frouros(one: str, two: str) -> float:
    import pandas as pd
    from frouros.detectors.data_drift import ChiSquareTest, KSTest

    a, b = tables(one, two)
    least = 1.0
    for c in a:
        test = KSTest() if pd.api.types.is_numeric_dtype(a[c]) else ChiSquareTest()
        test.fit(X=a[c].to_numpy())
        least = min(least, float(test.compare(X=b[c].to_numpy())[0].p_value))
    return least


def nannyml(one: str, two: str) -> float:
    import nannyml as nml

    a, b = tables(one, two)
    calculator = nml.UnivariateDriftCalculator(
        column_names=list(a), continuous_methods=["kolmogorov_smirnov"], categorical_methods=["chi2"], chunk_number=1
    )
    table = calculator.fit(a).calculate(b).filter(period="analysis").to_df()
    return float(max(table[c].iloc[0] for c in table.columns if c[1:] == ("kolmogorov_smirnov", "value")))


def main() -> None:
    warnings.simplefilter("ignore")
    if len(sys.argv) < 4:
        found = {}
        for name in PEERS:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        print(json.dumps(found))
        return
    run = {"evidently": evidently, "alibi-detect": alibi_detect, "frouros": frouros, "nannyml": nannyml}[sys.argv[1]]
    print(run(sys.argv[2], sys.argv[3]))


if __name__ == "__main__":
    main()
