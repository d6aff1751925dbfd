"""CPU seconds and peak memory of the embedded GCBM engine, whole process, one case after the other.

    python benchmarks/gcbm_speed.py [--cases demo,keys-500,keys-60000] [--keep FOLDER]

``demo`` is moja global's demo run (needs ../shared); the others are generated landscapes of the demo's
span of years: 100,000 unique stands in one block, with 500 or 60,000 spinup keys.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT.parent / "shared" / "data" / "gcbm-demo" / "linux-demo.zip"
STANDS = 100_000
KEYS = {"keys-500": 167, "keys-60000": 20_000}  # temperatures; times three curves
# Budgets of issue 3: CPU seconds and MB.
BUDGET = {"demo": (2.5, 300), "keys-500": (5.0, 800), "keys-60000": (20.0, 800)}

CHILD = """
import json, resource, sys, time
from flint_ml.gcbm import load_project, run, write_database, indicators
result = run(load_project(sys.argv[1]), max_memory=int(sys.argv[3]) or None)
write_database(result, sys.argv[2])
table = indicators(result)
use = resource.getrusage(resource.RUSAGE_SELF)
total = dict(zip(table.columns, table.rows[-1]))["total_ecosystem_tC"]
print(json.dumps({"stands": result.stands, "pixels": result.pixels, "cpu": use.ru_utime + use.ru_stime,
                  "mb": use.ru_maxrss / 1024, "ecosystem": total}))
"""


def write_landscape(folder: Path, temperatures: int, stands: int = STANDS) -> None:
    """One block of 400 x 400 cells with this many unique stands and 3 x ``temperatures`` spinup keys."""
    sys.path.insert(0, str(ROOT / "tools"))
    from gcbm_example import CLASSIFIERS, write_project

    stand = (np.arange(160_000) % stands).reshape(400, 400)
    curve, rest = stand % 3, stand // 3
    warmth = rest % temperatures
    age = (rest // temperatures) * 7 % 200
    layers = {
        "Species": np.where(curve == 2, 2, 1).astype(np.uint8),
        "Site": np.where(curve == 1, 2, 1).astype(np.uint8),
        "initial_age": (age if temperatures > 1000 else rest // temperatures).astype(np.int16),
        "mean_annual_temperature": (-2.0 + 8.0 * warmth / temperatures).astype(np.float32),
    }
    events = {}
    for number in range(7):
        name = f"event_{number}"
        kind, year = ("Wildfire", 2010 + number) if number % 2 else ("Clear-cut", 2012 + number)
        layers[name] = np.where((stand // 97) % 23 == number, 1, 255).astype(np.uint8)
        events[name] = {"1": {"year": year, "disturbance_type": kind}}
    write_project(
        folder,
        layers,
        attributes={**CLASSIFIERS, **events},
        events=list(events),
        cell=0.00025,
        spinup={"return_interval": 125, "max_rotations": 30},
    )


def measure(project: Path, output: Path, memory: int) -> dict[str, float]:
    command = [sys.executable, "-c", CHILD, str(project), str(output), str(memory)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", default="demo,keys-500,keys-60000")
    parser.add_argument("--keep", type=Path, help="make the landscapes here and keep them")
    parser.add_argument("--max-memory", type=int, default=0, help="MB")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="gcbm-bench-"))
    print("case         stands  pixels   CPU s  budget   peak MB  budget")
    for case in options.cases.split(","):
        if case == "demo" and not DEMO.exists():
            print("demo: not run, the shared demo data are not here")
            continue
        project = DEMO if case == "demo" else folder / case
        if case != "demo" and not project.exists():
            write_landscape(project, KEYS[case])
        found = measure(project, folder / f"{case}.db", options.max_memory * 2**20)
        seconds, megabytes = BUDGET[case]
        print(
            f"{case:12} {found['stands']:6.0f} {found['pixels']:7.0f} {found['cpu']:7.2f} {seconds:7.1f} "
            f"{found['mb']:9.0f} {megabytes:7.0f}"
        )


if __name__ == "__main__":
    main()
