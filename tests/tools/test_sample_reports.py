"""The comparison of sample reports passes over what differs from run to run, and over nothing else."""

from pathlib import Path

import pytest

import sample_reports


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("trained in 41 s on main", "trained in 1 min 5 s on main"),
        ("took 59 min 3 s", "took 1 h 2 min"),
        ("took 0.4 s, 210 MB", "took 12 s, 1,208.5 MB".replace("1,208.5", "1208.5")),
        ("commit `fcc858c` of 2026-01-05", "commit `0a1b2c3` of 2026-11-28"),
        ("closes to 3.1e-16", "closes to 2.84 × 10⁻¹⁷"),
    ],
)
def test_what_differs_from_run_to_run_is_passed_over(tmp_path: Path, old: str, new: str) -> None:
    for name, text in (("old", old), ("new", new)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert sample_reports.stable(tmp_path / "old") == sample_reports.stable(tmp_path / "new")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RMSE 1.50 → 1.30", "RMSE 1.50 → 1.31"),
        ("5 min-effect", "6 min-effect"),
        ("area 38 ha", "area 39 ha"),
        ("2 hidden", "3 hidden"),
        ("12 samples", "13 samples"),
    ],
)
def test_what_is_reported_is_compared(tmp_path: Path, old: str, new: str) -> None:
    for name, text in (("old", old), ("new", new)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert sample_reports.stable(tmp_path / "old") != sample_reports.stable(tmp_path / "new")
