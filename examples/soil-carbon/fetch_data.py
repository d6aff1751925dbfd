"""Export the example's raw tables from the PyPI package LimeSoDa, byte for byte the same on every machine.

    python fetch_data.py                 # data/raw/reference/, data/raw/new_batch.csv, data/ssp460-test.csv
    python fetch_data.py --batch cv98    # replaces data/raw/new_batch.csv by the Swiss samples

The package's São Paulo set (SSP.460) is split once, by a hash of the sample number, so that nobody chose who
is where: 115 samples for the benchmark, 75 for the new batch, the other 270 are the reference. Values keep the
package's names, units (percent) and native wavelengths; reflectance is written with four decimals, far finer
than any of the instruments resolves.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PINNED = "0.1.5"
N_BENCHMARK, N_BATCH = 115, 75
REFERENCE, BATCH, BENCHMARK = "data/raw/reference/ssp460.csv", "data/raw/new_batch.csv", "data/ssp460-test.csv"

Row = list[str]


def load(name: str, prefix: str) -> tuple[Row, list[Row]]:
    """Return header and rows of one LimeSoDa set, numbered `<prefix>-001` … in the package's order."""
    import LimeSoDa

    if LimeSoDa.__version__ != PINNED:
        need = f"the example needs {PINNED}: pip install LimeSoDa=={PINNED}"
        sys.exit(f"LimeSoDa {LimeSoDa.__version__} is installed, {need}")
    table = LimeSoDa.load_dataset(name)["Dataset"]
    header = ["sample_id", *(str(column) for column in table.columns)]
    rows = [
        [f"{prefix}-{number:03d}", *(f"{value:.4f}" for value in values)]
        for number, values in enumerate(table.to_numpy(dtype=float).tolist(), start=1)
    ]
    return header, rows


def split(rows: list[Row]) -> dict[str, list[Row]]:
    """Deal the São Paulo samples to the three files by the SHA-256 of their number; file order stays by number."""
    dealt = sorted(rows, key=lambda row: hashlib.sha256(row[0].encode()).hexdigest())
    parts = {
        BENCHMARK: dealt[:N_BENCHMARK],
        BATCH: dealt[N_BENCHMARK : N_BENCHMARK + N_BATCH],
        REFERENCE: dealt[N_BENCHMARK + N_BATCH :],
    }
    return {path: sorted(part) for path, part in parts.items()}


def write(path: Path, header: Row, rows: list[Row]) -> None:
    """Write a CSV with Unix line ends under a temporary name, then move it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    part.replace(path)
    print(f"{path.name}: {len(rows)} samples, {len(header) - 4} wavelengths")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Export the raw tables of the example from LimeSoDa.")
    parser.add_argument("--batch", choices=["ssp460", "cv98"], default="ssp460", help="which samples are the new batch")
    parser.add_argument("--into", type=Path, default=ROOT, help="project folder to write into (default: this one)")
    options = parser.parse_args(arguments)
    if options.batch == "cv98":
        write(options.into / BATCH, *load("CV.98", "cv98"))
        return
    header, rows = load("SSP.460", "ssp460")
    for path, part in split(rows).items():
        write(options.into / path, header, part)


if __name__ == "__main__":
    main()
