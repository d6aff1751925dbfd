"""check-drift on a real Dask cluster of two worker processes: the same verdict, the same numbers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flint_ml.drift.streaming.dask import dask_scanner
from flint_ml.errors import InputError, OutsideError
from helpers.drift import Folder

distributed = pytest.importorskip("distributed")


def table(seed: int, rows: int, shift: float = 0.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    soc = rng.gamma(4, 4, rows) + shift
    soc[rng.random(rows) < 0.03] = np.nan
    return pa.table(
        {
            "SOC": pa.array(soc, from_pandas=True),
            "pH": rng.normal(6, 1, rows).round(1),
            "clay": np.exp(rng.normal(size=rows)),
            "horizon": rng.choice(["O", "A", "B"], rows),
            "tilled": rng.random(rows) < 0.4,
        }
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    place = tmp_path / "work"
    for name, seed, shift in (("reference", 1, 0.0), ("new", 2, 1.5)):
        (place / name).mkdir(parents=True)
        for part in range(3):
            pq.write_table(table(10 * seed + part, 12_000, shift), place / name / f"{part}.parquet")
    return Folder(place)


def test_the_cluster_gives_the_numbers_of_one_machine(folder: Folder, cluster: Any) -> None:
    sides = {"reference": "reference", "current": "new"}
    code, there = folder.run(**sides, engine="dask", scheduler=cluster.scheduler_address)
    _, here = folder.run(**sides, engine="stream")
    _, memory = folder.run(**sides, engine="memory")
    assert code == 1
    assert there["details"]["engine"] == "dask"
    assert there["details"]["columns"] == here["details"]["columns"] == memory["details"]["columns"]
    # The sample of rows is drawn by the same random numbers wherever a part is read.
    assert there["details"]["multivariate"] == here["details"]["multivariate"]
    assert there["headline"] == memory["headline"]
    with distributed.Client(cluster) as client:
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == 2


def test_text_of_another_type_on_a_worker_is_read_again(folder: Folder, cluster: Any) -> None:
    for name in ("a", "b"):
        lines = "".join(f"{i % 7 + 0},{i}\n" for i in range(20_000))
        (folder.folder / f"{name}-1.csv").write_text("v,w\n" + lines)
        (folder.folder / f"{name}-2.csv").write_text("v,w\n" + lines + "2.5,1\n")
    sides = {"reference": "a-*.csv", "current": "b-*.csv"}
    _, there = folder.run(**sides, engine="dask", scheduler=cluster.scheduler_address)
    _, memory = folder.run(**sides, engine="memory")
    assert there["status"] == memory["status"] == "passed"
    assert there["details"]["columns"] == memory["details"]["columns"]


def test_a_broken_part_is_the_users_to_mend(folder: Folder, cluster: Any) -> None:
    (folder.folder / "bad.csv").write_text("a,b\n" + "1,2\n" * 50 + "1,2,3\n")
    (folder.folder / "good.csv").write_text("a,b\n" + "1,2\n" * 50)
    sides = {"reference": "good.csv", "current": "bad.csv"}
    code, record = folder.run(**sides, engine="dask", scheduler=cluster.scheduler_address)
    assert code == 2
    assert "Expected 2 columns, got 3" in record["headline"]


def test_no_address_and_no_scheduler(folder: Folder) -> None:
    code, record = folder.run(reference="reference", current="new", engine="dask")
    assert code == 2
    assert "scheduler" in record["headline"]
    with pytest.raises(OutsideError, match="does not answer"), dask_scanner("tcp://127.0.0.1:9", timeout=0.5):
        pass


def test_a_cluster_without_workers() -> None:
    empty = distributed.LocalCluster(n_workers=0, processes=True, host="127.0.0.1", dashboard_address=None)
    with (
        empty as running,
        pytest.raises(OutsideError, match="no workers"),
        dask_scanner(running.scheduler_address, timeout=10),
    ):
        pass


def test_without_dask_the_message_says_how_to_install_it() -> None:
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from flint_ml.drift.streaming.dask import dask_scanner\n"
        "from flint_ml.errors import InputError\n"
        "try:\n    dask_scanner('tcp://127.0.0.1:1').__enter__()\n"
        "except InputError as error:\n    print(error.code, error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("no-dask install it beside flint-ml")
    assert InputError.exit_code == 2
