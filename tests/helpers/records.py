"""Records for the tests of the report: small, and as the actions write them."""

from __future__ import annotations

from typing import Any

from flint_ml.record import Badge, Provenance, Record, Table, looked, not_applicable
from flint_ml.report import CheckName

HEAD = "e4f5a6b" + "0" * 33
BASE = "a1b2c3d" + "1" * 33
_LABELS = {
    "pull-data": "Data",
    "check-drift": "Data Drift Check",
    "train": "Training",
    "compare-metrics": "Metrics",
}
NAMES = {
    "pull-data": CheckName("Data", "the data check"),
    "check-drift": CheckName("Data Drift Check", "the drift check"),
    "train": CheckName("Training", "training", "the model was not trained"),
    "compare-metrics": CheckName("Metrics", "the comparison of metrics"),
}
_SPOKEN = {name: called.spoken for name, called in NAMES.items()}
_TREE = looked("tree", 1, noun=f"commit {HEAD[:7]}")
COMPARED = [
    _TREE,
    looked("metrics-of-this-run", 1, noun="files of metrics"),
    looked("metrics", 5, noun="metrics"),
    looked("samples", 115, noun="samples"),
    looked("base-metrics", 1, noun="files of metrics of the base"),
]
# The evidence that the actions leave where everything was looked at.
COMPLETE = {
    "pull-data": [_TREE, looked("data", 12, noun="files of data")],
    "check-drift": [_TREE, looked("columns", 21, noun="columns")],
    "compare-metrics": COMPARED,
    "run-gcbm": [
        _TREE,
        COMPARED[1],
        looked("metrics", 18, noun="indicators"),
        not_applicable("samples", "a simulation"),
        COMPARED[4],
    ],
}
_MINUTES = {name: minute for minute, name in enumerate(_LABELS)}


def make(name: str, status: str = "passed", headline: str = "", message: str = "", **more: Any) -> Record:
    """A record called ``name`` of the run 77, attempt 1, commit HEAD."""
    provenance = {
        "head_sha": HEAD,
        "base_sha": BASE,
        "run_id": "77",
        "run_attempt": 1,
        "tool": "flint-ml 1.2.3",
        "started": f"2026-11-21T20:{_MINUTES.get(name, 30):02d}:00Z",
        "seconds": 1.25,
        "peak_mb": 140.0,
        **more.pop("provenance", {}),
    }
    return Record(
        action="record" if name == "train" else more.pop("action", name),
        name=name,
        status=status,  # type: ignore[arg-type]
        headline=headline or f"{name} {status}",
        badge=Badge(label=_LABELS.get(name, name), message=message or status.capitalize()),
        coverage=more.pop("coverage", COMPLETE.get(name, []) if status not in ("error", "skipped") else []),
        spoken=more.pop("spoken", _SPOKEN.get(name, "")),
        provenance=Provenance(**provenance),
        **more,
    )


def metrics_table(rows: list[list[Any]] | None = None) -> Table:
    """The first table of compare-metrics."""
    columns = [
        {"name": "metric"},
        {"name": "base", "type": "number", "role": "base"},
        {"name": "this change", "type": "number", "role": "head"},
        {"name": "change", "role": "change"},
        {"name": "result", "role": "result"},
    ]
    rows = rows or [
        ["RMSE (g/kg, lower is better)", 1.5, 1.3, "−0.20 (−13 %)", "better"],
        ["R²", 0.62, 0.71, "+0.09 (+15 %)", "better"],
        ["RPIQ", 2.0, 2.31, "+0.31 (+16 %)", "better"],
        ["bias (g/kg)", 0.12, 0.05, "−0.07 (−58 %)", "same"],
    ]
    return Table.model_validate({"title": "Metrics", "columns": columns, "rows": rows})
