"""A small generated project for the engine's tests, and where the C++'s results lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from flint_ml.gcbm import Project, Result, load_project, run
from gcbm_example import write_example


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_example(tmp_path_factory.mktemp("example") / "project")


@pytest.fixture(scope="session")
def example(example_folder: Path) -> Project:
    return load_project(example_folder)


@pytest.fixture(scope="session")
def example_result(example: Project) -> Result:
    return run(example)
