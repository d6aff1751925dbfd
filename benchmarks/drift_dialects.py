"""Tables in many dialects against the clean numbers: the same D and verdict, or a refusal; never a silent difference.

Each case is two files of three columns of numbers, written in one dialect: delimiter, decimal sign, form of the header,
row of units, word for missing values, limits of detection, encoding, line end. D is computed apart, by scipy, from the
numbers blanked and censored in the same way; the verdict is compared with that of the clean tables by Arrow.

    python benchmarks/drift_dialects.py [CASES]
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.stats import chi2_contingency, fisher_exact, ks_2samp

from flint_ml.drift import DriftRules, check_sources, open_table
from flint_ml.errors import FlintError

RESULTS = Path(__file__).parent / "results"
NAMES = ("SOC", "pH", "clay")
RULES = DriftRules(tests=["ks", "missing"])
DIMENSIONS = {
    "delimiter": [",", ";", "\t", "|", " "],
    "decimal": [".", ","],
    "header": ["plain", "title", "comments", "two lines", "quoted", "row names"],
    "units": ["", "g/kg", "[g kg-1]"],
    "missing": ["", "NA", "n.d.", "-"],
    "limit": ["none", "one", "both"],
    "encoding": ["utf-8", "utf-8-sig", "cp1252", "utf-16"],
    "end": ["\n", "\r\n"],
}


LEGEND = [
    "",
    "*equal*: D of all three columns is that of the clean numbers, blanked and censored alike (scipy, to 1e-12), and",
    "the same columns drifted. *refused*: an error, or the column is left out aloud. *different*: a silent difference.",
    "",
]


def numbers(seed: int, size: int, shift: float) -> dict[str, np.ndarray]:
    """Three columns with two decimals and a tenth of missing values."""
    rng = np.random.default_rng(seed)
    columns = {
        "SOC": rng.gamma(4, 4, size) + 1 + shift * 8,
        "pH": rng.normal(5.5, 0.6, size) + shift * 0.6,
        "clay": rng.normal(30, 6, size),
    }
    rounded = {name: values.round(2) for name, values in columns.items()}
    rounded["pH"][rng.random(size) < 0.1] = np.nan
    return rounded


def written(columns: dict[str, np.ndarray], case: dict[str, str], limit: float | None) -> bytes:
    """The file of a table in a dialect; values of SOC below the limit are written as such."""

    def cell(name: str, value: float) -> str:
        if np.isnan(value):
            return case["missing"] or ('""' if case["delimiter"] == " " else "")
        text = f"<{limit:.2f}" if limit is not None and name == "SOC" and value < limit else f"{value:.2f}"
        text = text.replace(".", case["decimal"])
        return f'"{text}"' if case["decimal"] == case["delimiter"] else text

    delimiter = case["delimiter"]
    quoted = '"' if case["header"] == "quoted" else ""
    heads = [f"{quoted}{name}{quoted}" for name in NAMES]
    lines = {
        "title": ["Bodenprobe Göttingen"],
        "comments": ["# Gerät: ASD", "# 2024"],
        "two lines": [delimiter.join(["Proben", "", ""])],
    }
    top = lines.get(case["header"], [])
    named = case["header"] == "row names"
    unit = [delimiter.join(["r"] * named + [case["units"], "%", case["units"]])] if case["units"] else []
    size = len(columns["SOC"])
    rows = [
        delimiter.join([str(i + 1)] * named + [cell(name, columns[name][i]) for name in NAMES]) for i in range(size)
    ]
    text = case["end"].join([*top, delimiter.join(heads), *unit, *rows, ""])
    return text.encode(case["encoding"])


def possible(case: dict[str, str]) -> bool:
    """Whether anybody could write, and a reader read, such a file."""
    if case["delimiter"] == " " and (
        case["units"].startswith("[") or case["header"] in {"two lines", "title"} or not case["missing"]
    ):
        return False
    return not (case["decimal"] == "," and case["delimiter"] == " " and case["header"] == "row names")


def cases(count: int) -> list[dict[str, str]]:
    """So many of all combinations, at random, the same whenever they are drawn."""
    every = [dict(zip(DIMENSIONS, values, strict=True)) for values in itertools.product(*DIMENSIONS.values())]
    allowed = [case for case in every if possible(case)]
    chosen = np.random.default_rng(20222).choice(len(allowed), min(count, len(allowed)), replace=False)
    return [allowed[i] for i in sorted(chosen)]


def holm(sides: list[dict[str, np.ndarray]], common: float | None) -> set[str]:
    """The columns that drift by scipy's p-values, Holm's correction and the smallest effect that counts."""
    tests = []
    for name in NAMES:
        one, two = (side[name][~np.isnan(side[name])] for side in sides)
        result = ks_2samp(one, two, method="exact")
        tests.append((name, result.pvalue, result.statistic))
        shares = [(np.isnan(side[name]), len(side[name])) for side in sides]
        if any(lost.any() for lost, _ in shares):
            tests.append((name, *proportions([int(lost.sum()) for lost, _ in shares], [n for _, n in shares])))
        if name == "SOC" and common is not None and any((side[name] < common).any() for side in sides):
            tests.append(
                (name, *proportions([int((side[name] < common).sum()) for side in sides], [len(one), len(two)]))
            )
    drifted, largest = set(), 0.0
    for rank, (name, p, effect) in enumerate(sorted(tests, key=lambda test: test[1])):
        largest = max(largest, min(1.0, p * (len(tests) - rank)))
        if largest < RULES.alpha and effect >= RULES.min_effect:
            drifted.add(name)
    return drifted


def proportions(counts: list[int], totals: list[int]) -> tuple[float, float]:
    """p of the two-proportion test and the difference of the shares."""
    table = np.array([counts, [n - k for k, n in zip(counts, totals, strict=True)]])
    difference = abs(counts[0] / totals[0] - counts[1] / totals[1])
    if not table.sum(axis=1).all():
        return 1.0, difference
    p = chi2_contingency(table, correction=False)
    return (p.pvalue if p.expected_freq.min() >= 5 else fisher_exact(table).pvalue), difference


def judge(case: dict[str, str], number: int, folder: Path) -> tuple[str, str]:
    """``equal``, ``refused`` or ``different``, and what about it."""
    shift = number % 3 * 0.5
    sides = (numbers(2 * number, 80, 0.0), numbers(2 * number + 1, 60, shift))
    limits = {"none": (None, None), "one": (None, 8.0), "both": (6.0, 9.0)}[case["limit"]]
    # A limit that no value is below stands in neither file.
    known = [
        limit for side, limit in zip(sides, limits, strict=True) if limit is not None and (side["SOC"] < limit).any()
    ]
    common = max(known) if known else None
    clean = [dict(side) for side in sides]
    for side in clean:
        if common is not None:
            side["SOC"] = np.where(side["SOC"] < common, 0.0, side["SOC"])
    for name, side, limit in zip(("a", "b"), sides, limits, strict=True):
        (folder / f"{name}.csv").write_bytes(written(side, case, limit))
    try:
        tables = [open_table(folder / f"{name}.csv", name) for name in ("a", "b")]
        result = check_sources(tables[0], tables[1], RULES, engine="memory")
    except FlintError as error:
        return "refused", error.message
    read = {c.column.name: next((h for h in c.hypotheses if h.aspect == "values"), None) for c in result.columns}
    left = [piece.name for piece in result.coverage if piece.state == "left-out"]
    drifted = {c.column.name for c in result.drifted}
    expected = holm(clean, common)
    for name in NAMES:
        if name in left:
            return "refused", f"{name} was left out aloud"
        one, two = (side[name][~np.isnan(side[name])] for side in clean)
        hypothesis = read.get(name)
        if hypothesis is None:
            return "different", f"{name} was not compared"
        distance = ks_2samp(one, two).statistic
        if abs(hypothesis.test.statistic - distance) > 1e-12:
            return "different", f"D of {name} is {hypothesis.test.statistic:.4f} instead of {distance:.4f}"
    if drifted != expected:
        return "different", f"drifted: {sorted(drifted)} instead of {sorted(expected)}"
    return "equal", ""


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    outcomes: Counter[str] = Counter()
    odd: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases(count)):
            outcome, about = judge(case, number, Path(folder))
            outcomes[outcome] += 1
            if outcome != "equal":
                odd.setdefault(f"{outcome}: {about.split(' is ')[0][:70]}", []).append(json.dumps(case))
    total = sum(outcomes.values())
    lines = [
        "# Tables in many dialects",
        "",
        f"{total:,} pairs of files ({2 * total:,} files), by `benchmarks/drift_dialects.py`.",
        "",
    ]
    lines += ["| outcome | pairs |", "| --- | ---: |"]
    lines += [f"| {name} | {outcomes[name]:,} |" for name in ("equal", "refused", "different")]
    lines += LEGEND
    for what, held in sorted(odd.items(), key=lambda item: -len(item[1])):
        lines.append(f"- {what}: {len(held)} (such as `{held[0]}`)")
    if count >= 1_000:
        (RESULTS / "drift-dialects.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 1 if outcomes["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
