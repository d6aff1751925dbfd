"""Real projects with the C++'s results, where they are at hand (beside the checkout)."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not (SHARED / "gcbm-demo").is_dir(),
    reason="the C++'s results (../shared/data) are not here: equality with moja.cli was not tested in this run",
)
