"""End-to-end tests need Docker, act and two images, which .ci/run provides; `make test` leaves them out.

With FLINT_ML_E2E=1 nothing is left out and nothing skips: what is missing is a failure.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what lies in this folder as ``e2e``, and leave it out unless FLINT_ML_E2E=1."""
    mine = [item for item in items if item.path.is_relative_to(HERE)]
    for item in mine:
        item.add_marker(pytest.mark.e2e)
    if os.environ.get("FLINT_ML_E2E") != "1":
        items[:] = [item for item in items if item not in mine]
        config.hook.pytest_deselected(items=mine)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How long .ci/run took, before the line with the counts."""
    began = os.environ.get("FLINT_ML_CI_BEGAN")
    if began and os.environ.get("FLINT_ML_E2E") == "1":
        minutes, seconds = divmod(int(time.time()) - int(began), 60)
        terminalreporter.write_line(f".ci/run took {minutes} min {seconds} s in all")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The small team that all end-to-end tests share (see team.py)."""
    from e2e import team

    with team.world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="session")
def release_tree() -> Path:
    """The release tree as `make release-tree` builds it, at the image under test."""
    from e2e.harness import ROOT

    subprocess.run(["make", "release-tree"], cwd=ROOT, check=True, capture_output=True)
    return ROOT / "build" / "release"
