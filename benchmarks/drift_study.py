"""False alarms and power of check-drift, by simulation: `python benchmarks/drift_study.py [TRIALS] [CASE ...]`.

Every trial is checked once with `min-effect: 0`; from its effects follows what the default of 0.1 would have said. Goes
on where an earlier run stopped: trials are seeds 0, 1, 2 …, and each case's are kept in benchmarks/results/
drift-study.json (delete a case there to repeat it). PEERS_PYTHON names interpreters, separated like PATH, in which
evidently, alibi-detect, frouros or nannyml are installed: they then judge the same tables (peers/power.py). With 500
trials three quarters of an hour of one core; the peers take another hour.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "peers"))

import data  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402

from flint_ml.drift.check import check_tables  # noqa: E402
from flint_ml.drift.rules import DriftRules  # noqa: E402

RESULTS = HERE / "results"
DEFAULT = DriftRules().min_effect
NULL = data.FOR_PEERS[0]
EVERY = 20
OURS = "check-drift"


def trial(case: str, seed: int) -> dict[str, float]:
    """One check: who alarms at `min-effect` 0 and at the default, and the least adjusted p-value."""
    one, two = data.pair(case, seed)
    groups = ("site",) if "site" in one else ()
    result = check_tables(pa.table(one), pa.table(two), DriftRules(min_effect=0.0, groups=groups))
    bands = {name for r in result.spectra if r.comparison for name in r.spectrum.columns}
    plain = [h for c in result.columns if c.column.name not in bands for h in c.hypotheses]
    spectral = [h for r in result.spectra for h in r.hypotheses]
    whole = [result.whole.hypothesis] if result.whole else []
    large = [h for h in (*plain, *spectral) if h.drifted and h.test.effect >= DEFAULT]
    return {
        "alarms": result.failed,
        "alarms by default": bool(large or result.whole_drifted),
        "columns": any(h.drifted for h in plain),
        "columns by default": any(h.drifted and h.test.effect >= DEFAULT for h in plain),
        "spectra": any(h.drifted for h in spectral),
        "classifier": result.whole_drifted,
        "p": min(h.p_adjusted for h in (*plain, *spectral, *whole)),
    }


def ours(case: str, row: dict[str, Any], until: int) -> None:
    """Add the trials that ``row`` lacks; the least p-values are kept for the comparison at equal false alarms."""
    started = time.process_time()
    first = row["trials"]
    while row["trials"] < min(until, first + EVERY):
        seen = trial(case, row["trials"])
        for name, value in seen.items():
            if name == "p":
                row.setdefault("p", []).append(float(f"{value:.4g}"))
            else:
                row[name] = row.get(name, 0) + int(value)
        row["trials"] += 1
    row["cpu s"] = round(row.get("cpu s", 0.0) + time.process_time() - started, 2)


def theirs(python: str, case: str, peers: dict[str, Any], until: int) -> bool:
    """Add one batch of trials of the peers that ``python`` has; whether any was missing."""
    of_case = peers.setdefault(case, {})
    asked = subprocess.run([python, str(HERE / "peers" / "power.py")], capture_output=True, text=True, check=True)
    names = json.loads(asked.stdout.splitlines()[-1])
    done = min((len(of_case.get(name, {"p": []})["p"]) for name in names), default=until)
    if done >= until:
        return False
    command = [python, str(HERE / "peers" / "power.py"), case, str(done), str(min(until, done + 5 * EVERY))]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    for line in run.stdout.splitlines():
        if line.startswith("{"):
            for name, seen in json.loads(line).items():
                kept = of_case.setdefault(name, {"p": [], "alarms": 0})
                kept["p"].append(float(f"{seen['p']:.4g}"))
                kept["alarms"] += seen["alarm"]
    return True


def bound(hits: int, trials: int) -> str:
    """Wilson's 95 % interval of a share."""
    z, p = 1.96, hits / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return f"{max(0.0, centre - half):.3f} … {centre + half:.3f}"


def calibrated(null: list[float], seen: list[float]) -> tuple[float, float]:
    """Share of ``null`` and of ``seen`` below the value that at most 5 % of ``null`` are below."""
    ordered = sorted(null)
    limit = ordered[int(0.05 * len(null))]
    return float(np.mean(np.array(null) < limit)), float(np.mean(np.array(seen) < limit))


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    chosen = [name for name in data.CASES if len(sys.argv) < 3 or any(part in name for part in sys.argv[2:])]
    path = RESULTS / "drift-study.json"
    kept = json.loads(path.read_text()) if path.is_file() else {}
    cases, peers = kept.setdefault("cases", {}), kept.setdefault("peers", {})
    for case in chosen:
        until = max(20, round(trials * data.CASES[case][1]))
        row = cases.setdefault(case, {"trials": 0})
        while row["trials"] < until:
            ours(case, row, until)
            save(path, kept)
        print(case, {k: v for k, v in row.items() if k != "p"}, flush=True)
    for python in os.environ.get("PEERS_PYTHON", "").split(os.pathsep) if os.environ.get("PEERS_PYTHON") else []:
        for case in (name for name in data.FOR_PEERS if name in chosen):
            while theirs(python, case, peers, round(0.4 * trials)):
                save(path, kept)
            print(case, {k: len(v["p"]) for k, v in peers[case].items()}, flush=True)
    save(path, kept)


def save(path: Path, kept: dict[str, Any]) -> None:
    """Write the trials, a case a line, and the tables made from them."""
    versions = {name: metadata.version(name) for name in ("flint-ml-actions", "numpy", "pyarrow")}
    kept["about"] = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "python": platform.python_version(), **versions}
    order = [name for name in data.CASES if name in kept["cases"]]
    lines = ",\n".join(f"  {_json(name)}: {_json(kept['cases'][name])}" for name in order)
    more = ",\n".join(
        f"  {_json(case)}: {{\n" + ",\n".join(f"   {_json(k)}: {_json(v)}" for k, v in found.items()) + "\n  }"
        for case, found in kept["peers"].items()
    )
    text = f'{{\n "about": {_json(kept["about"])},\n "cases": {{\n{lines}\n }},\n "peers": {{\n{more}\n }}\n}}\n'
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)
    path.with_suffix(".md").write_text(markdown(kept, order))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def markdown(kept: dict[str, Any], order: list[str]) -> str:
    from tabulate import tabulate

    cases = kept["cases"]
    head = [
        "case",
        "trials",
        "alarms, min-effect 0",
        "95 % interval",
        "columns",
        "spectra",
        "classifier",
        "alarms by default (0.1)",
        "columns by default",
    ]
    lines = []
    for name in order:
        row = cases[name]
        shares = [f"{row[k] / row['trials']:.3f}" for k in ("columns", "spectra", "classifier")]
        default = [f"{row[k] / row['trials']:.3f}" for k in ("alarms by default", "columns by default")]
        share = f"{row['alarms'] / row['trials']:.3f}"
        lines.append([name, row["trials"], share, bound(row["alarms"], row["trials"]), *shares, *default])
    about = ", ".join(f"{k} {v}" for k, v in kept["about"].items())
    text = (
        "# Alarms of check-drift at alpha 0.05\n\nShare of simulated tables on which the check alarms, and by what, "
        "without a minimum of the effect and with the default one (a smallest AUC of 0.55 holds for the classifier in "
        f"both). `python benchmarks/drift_study.py`, {about}.\n\n"
    )
    text += tabulate(lines, head, tablefmt="pipe", disable_numparse=True) + "\n"
    rows = compared(kept)
    if rows:
        text += (
            "\n## Beside the peers, at equal false alarms\n\nThe same tables for all (20 columns, n = 2,000 a side). "
            "Each contender's least (corrected) p-value or score of a table is compared with the value that 5 % of its "
            "own tables without drift reach, so that all alarm equally often without need; `as it comes` is the share "
            "of alarms without drift by the contender's own rule. check-drift with `min-effect: 0`.\n\n"
        )
        shown = ["contender", "trials (no drift)", "as it comes", "at 5 %", *data.FOR_PEERS[1:]]
        text += tabulate(rows, shown, tablefmt="pipe", disable_numparse=True) + "\n"
    return text


def compared(kept: dict[str, Any]) -> list[list[Any]]:
    """Power of every contender at its own threshold of 5 % false alarms."""
    found: dict[str, dict[str, Any]] = {}
    for case in data.FOR_PEERS:
        for name, seen in kept["peers"].get(case, {}).items():
            found.setdefault(name, {})[case] = seen
    mine = {
        c: {"p": kept["cases"][c]["p"], "alarms": kept["cases"][c]["alarms"]}
        for c in data.FOR_PEERS
        if kept["cases"].get(c, {}).get("p")
    }
    if not found or NULL not in mine:
        return []
    rows = []
    for name, seen in {OURS: mine, **found}.items():
        if NULL not in seen:
            continue
        null = seen[NULL]["p"]
        powers = [calibrated(null, seen[c]["p"]) if c in seen else None for c in data.FOR_PEERS[1:]]
        level = next((p[0] for p in powers if p), 0.0)
        cells = [f"{p[1]:.3f}" if p else "" for p in powers]
        rows.append([name, len(null), f"{seen[NULL]['alarms'] / len(null):.3f}", f"{level:.3f}", *cells])
    return rows


if __name__ == "__main__":
    main()
