"""Stage `prepare`: bring the reference and the new batch to the common wavelengths, names and units."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from spectra import make_grid, prepare_table, read_params


def main() -> None:
    grid = make_grid(**read_params()["prepare"])
    Path("data/prepared").mkdir(parents=True, exist_ok=True)
    # Each file of the reference may come from another campaign or instrument, with wavelengths of its own.
    sources = {
        "reference": sorted(Path("data/raw/reference").glob("*.csv")),
        "new_batch": [Path("data/raw/new_batch.csv")],
    }
    for name, files in sources.items():
        table = pd.concat([prepare_table(pd.read_csv(file), grid) for file in files], ignore_index=True)
        table.to_csv(f"data/prepared/{name}.csv", index=False, float_format="%.4f", lineterminator="\n")
        print(f"{name}: {len(table)} samples on {len(grid)} bands")


if __name__ == "__main__":
    main()
