"""Which files are tables, by their names, and which texts stand for a missing value."""

from __future__ import annotations

from pathlib import Path

PARQUET = {".parquet", ".pq", ".parq"}
TEXT = {".csv", ".tsv", ".txt", ".tab", ".dat"}
SHEETS = {".xlsx", ".xlsm"}
COMPRESSED = {".gz", ".bz2", ".zst", ".lz4", ".xz"}
# Read whole, through Arrow: Feather and Arrow's files and streams, and one JSON object a line.
ARROW = {".feather", ".arrow", ".ipc"}
JSON_LINES = {".jsonl", ".ndjson"}
R_DATA = {".rds", ".rda", ".rdata"}
# What spreadsheets, R and databases write for "no value"; Arrow's own list is a part of it.
MISSING = (
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
    "NULL",
    "NaN",
    "n/a",
    "nan",
    "null",
    "#DIV/0!",
    "#VALUE!",
    "#REF!",
    "#NUM!",
    "#NAME?",
)


def suffix_of(path: Path) -> str:
    """The suffix that tells the format, without that of a compression."""
    suffixes = [s.lower() for s in path.suffixes]
    return suffixes[-2] if len(suffixes) > 1 and suffixes[-1] in COMPRESSED else (suffixes or [""])[-1]


def is_table(path: Path) -> bool:
    """Whether a file is a table, by its name."""
    suffix = suffix_of(path)
    return (
        suffix in PARQUET | TEXT | SHEETS | ARROW | JSON_LINES or path.suffix.lower() == ".zip"
    ) and not path.name.startswith((".", "_", "~$"))
