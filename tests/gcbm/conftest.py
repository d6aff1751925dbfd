"""The generated example project, changed copies of it, and their results."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flint_ml.gcbm import Project, Result, Table, indicators, load_project, run
from gcbm_example import write_example

YEARS = (2010, 2017)
SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_example(tmp_path_factory.mktemp("example") / "project")


@pytest.fixture(scope="session")
def example(example_folder: Path) -> Project:
    return load_project(example_folder)


@pytest.fixture(scope="session")
def example_result(example: Project) -> Result:
    return run(example)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example project; not to be changed."""
    return write_example(tmp_path_factory.mktemp("base") / "project", years=YEARS)


@pytest.fixture(scope="session")
def result(base: Path) -> Result:
    return run(load_project(base))


@pytest.fixture(scope="session")
def table(result: Result) -> Table:
    return indicators(result)


@pytest.fixture
def head(base: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(base, tmp_path / "head"))


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """moja global's demo project, where it is at hand."""
    archive = SHARED / "gcbm-demo" / "linux-demo.zip"
    if not archive.is_file():
        pytest.skip("../shared/data/gcbm-demo is not here: the real demo was not checked")
    shutil.unpack_archive(archive, tmp_path / "demo")
    return tmp_path / "demo"
