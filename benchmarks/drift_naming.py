"""Real spectra under the names of many libraries: the same verdict and the same numbers under each.

Each table of LimeSoDa (CC BY-SA 4.0) is cut into random halves, which are compared in several dialects. Those with
spectra are compared under several names of the bands, as they are, and with a tenth of the bands raised.

    python benchmarks/drift_naming.py
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from LimeSoDa import list_datasets, load_dataset

from flint_ml.drift import check_sources, open_table
from flint_ml.drift.check import Result, check_tables
from flint_ml.drift.rules import DriftRules

RESULTS = Path(__file__).parent / "results"
RULES = DriftRules(tests=["ks", "missing", "spectra"])
NAMINGS = {
    "LimeSoDa": "wl_{}",
    "OSSL, visible and near infrared": "scan_visnir.{}_ref",
    "OSSL, middle infrared": "scan_mir.{}_abs",
    "LUCAS": "spc.{}",
    "R": "X{}",
    "bare": "{}",
    "unit behind": "{}_nm",
    "unit before": "nm_{}",
    "prefix and suffix": "refl_{}nm_avg",
}


DIALECTS: dict[str, dict[str, Any]] = {
    "commas": {},
    "semicolons, decimal commas": {"sep": ";", "decimal": ","},
    "tabs": {"sep": "\t"},
    "names of rows, n.d.": {"index": True, "na_rep": "n.d."},
    "UTF-16, tabs, decimal commas": {"sep": "\t", "decimal": ",", "encoding": "utf-16"},
}
_COLUMNS = 60


def spectra_of(data: Any) -> tuple[list[str], np.ndarray] | None:
    """Positions and values of the bands; None where a table has none."""
    bands = [column for column in data.columns if re.fullmatch(r"w[ln]_\d+(?:\.\d+)?", column)]
    if len(bands) < 20:
        return None
    # Of some thousand bands some hundred: the names matter here.
    bands = bands[:: max(1, len(bands) // 400)]
    return [band[3:] for band in bands], data[bands].to_numpy(float)


def told(result: Result) -> list[Any]:
    """The verdict and the numbers of a result, without names."""
    spectra = [
        [len(r.spectrum.columns), *((h.aspect, h.test.statistic, h.p_adjusted, h.drifted) for h in r.hypotheses)]
        for r in result.spectra
    ]
    return [result.failed, len(result.tested), len(result.drifted), spectra]


def under_names(positions: list[str], one: np.ndarray, two: np.ndarray) -> dict[str, list[Any]]:
    """What is told of two halves of spectra under each naming."""
    outcomes = {}
    for naming, form in NAMINGS.items():
        names = [form.format(position) for position in positions]
        tables = [pa.table(dict(zip(names, side.T.copy(), strict=True))) for side in (one, two)]
        outcomes[naming] = told(check_tables(tables[0], tables[1], RULES))
    return outcomes


def in_dialects(one: Any, two: Any, folder: Path) -> dict[str, list[Any]]:
    """What is told of two halves of a table, of at most sixty columns, in each dialect."""
    outcomes = {}
    for dialect, options in DIALECTS.items():
        paths = [folder / f"{name}.csv" for name in ("one", "two")]
        for path, half in zip(paths, (one, two), strict=True):
            half.to_csv(path, **{"index": False, **options})
        sources = [open_table(path, path.name) for path in paths]
        outcomes[dialect] = told(check_sources(sources[0], sources[1], RULES, engine="memory"))
    return outcomes


def judged(outcomes: dict[str, list[Any]], counts: Counter[str]) -> str:
    """The verdict, and what differs from the first outcome."""
    first = next(iter(outcomes.values()))
    different = [name for name, outcome in outcomes.items() if outcome != first]
    counts["compared"] += len(outcomes)
    counts["different"] += len(different)
    return ("drift" if first[0] else "no drift") + (f" (other: {', '.join(different)})" if different else "")


def main() -> int:
    counts: Counter[str] = Counter()
    lines = []
    names = [name for name in list_datasets() if name != "Overview_Datasets"]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            data = load_dataset(name)["Dataset"]
            order = np.random.default_rng(20224).permutation(len(data))
            first, second = order[: len(data) // 2], order[len(data) // 2 :]
            some = data[data.columns[:_COLUMNS]]
            told_of = [judged(in_dialects(some.iloc[first], some.iloc[second], Path(folder)), counts)]
            read = spectra_of(data)
            if read is not None:
                positions, values = read
                raised = values[second].copy()
                raised[:, : raised.shape[1] // 10] += 2 * values.std(axis=0)[: raised.shape[1] // 10]
                for new in (values[second], raised):
                    told_of.append(judged(under_names(positions, values[first], new), counts))
            told_of += ["–"] * (3 - len(told_of))
            lines.append(f"| {name} | {len(data)} | {len(read[0]) if read else 0} | {' | '.join(told_of)} |")
    head = [
        "# Real tables in many dialects, real spectra under many names",
        "",
        f"The {len(names)} tables of LimeSoDa (CC BY-SA 4.0), random halves. Each in {len(DIALECTS)} dialects",
        f"({'; '.join(DIALECTS)}); those with spectra under {len(NAMINGS)} namings",
        f"({', '.join(f'`{form}`' for form in NAMINGS.values())}).",
        f"{counts['compared']} comparisons, {counts['different']} of which differ in verdict or in any number",
        "from the first dialect or naming. By `benchmarks/drift_naming.py`.",
        "",
        "| table | samples | bands | in dialects | under names | a tenth of the bands two sd higher, under names |",
        "| --- | ---: | ---: | --- | --- | --- |",
    ]
    (RESULTS / "drift-naming.md").write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    print("\n".join([*head, *lines]))
    return 1 if counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
