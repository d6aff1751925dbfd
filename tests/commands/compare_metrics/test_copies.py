"""Rows of the training data in the test data: memory is no skill."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flint_ml.metrics import near_copies
from helpers.metrics import BASE, Repo, codes


def table(n: int, seed: int, columns: int = 5, kind: str = "normal") -> pd.DataFrame:
    """Rows that share a distribution and nothing else."""
    random = np.random.default_rng(seed)
    if kind == "classes":
        values = random.integers(0, 4, (n, columns)).astype(float)
    elif kind == "plots":
        # Several measurements of one plot: rows that are near one another by nature.
        plots = np.random.default_rng(5).normal(size=(60, columns))
        values = plots[random.integers(0, 60, n)] + random.normal(0, 0.02, (n, columns))
    elif kind == "spectra":
        values = np.cumsum(random.normal(size=(n, 6)) @ np.random.default_rng(5).normal(size=(6, columns)), axis=1)
        values += random.normal(0, 0.01, (n, columns))
    else:
        values = random.normal(size=(n, columns))
    frame = pd.DataFrame(values, columns=[f"x{number}" for number in range(columns)])
    return frame.assign(id=[f"{seed}-{number}" for number in range(n)])


@pytest.mark.parametrize("kind", ["normal", "classes", "plots", "spectra"])
@pytest.mark.parametrize("seed", range(5))
def test_rows_drawn_independently_are_no_copies(kind: str, seed: int) -> None:
    columns = 200 if kind == "spectra" else 5
    test, training = (table(n, 2 * seed + off, columns, kind) for n, off in ((400, 100), (1_500, 101)))
    assert near_copies(test, training) is None


@pytest.mark.parametrize(
    ("kind", "noise", "copied", "fresh"),
    [
        ("normal", 0.0, 1_500, 0),
        ("normal", 0.002, 1_500, 0),
        ("normal", 0.002, 60, 1_440),
        ("normal", 0.0, 5, 1_495),
        ("spectra", 0.001, 1_500, 0),
        ("spectra", 0.001, 200, 1_300),
    ],
)
def test_copies_are_counted(kind: str, noise: float, copied: int, fresh: int) -> None:
    columns = 200 if kind == "spectra" else 5
    training = table(1_500, 1, columns, kind)
    leaked = training.sample(copied, random_state=1).reset_index(drop=True)
    names = [name for name in leaked if name != "id"]
    leaked[names] += np.random.default_rng(2).normal(0, noise, (copied, len(names))) if noise else 0.0
    test = pd.concat([leaked, table(fresh, 3, columns, kind)], ignore_index=True).assign(id=range(copied + fresh))
    copies = near_copies(test, training)
    assert copies is not None
    assert copied * 0.9 <= copies.n <= copied + 0.05 * fresh
    assert copies.of == copied + fresh


@pytest.mark.parametrize(
    ("test", "training"),
    [
        (table(2, 1), table(100, 2)),
        (table(50, 1), table(10, 2)),
        (table(50, 1)[["x0", "x1", "id"]], table(100, 2)),
        (table(50, 1)[["id"]].assign(x0="a", x1="b", x2="c"), table(100, 2)),
        (table(50, 1), table(100, 2).assign(x0=1.0, x1=2.0, x2=3.0)),
    ],
    ids=["few rows", "little training", "two columns", "texts", "constants"],
)
def test_tables_that_tell_nothing(test: pd.DataFrame, training: pd.DataFrame) -> None:
    assert near_copies(test, training) is None


def text(frame: pd.DataFrame, separator: str = ",") -> str:
    made = io.StringIO()
    frame.to_csv(made, index=False, sep=separator)
    return made.getvalue()


def near(frame: pd.DataFrame) -> pd.DataFrame:
    names = [name for name in frame if name != "id"]
    return frame.assign(**{name: frame[name] + 1e-4 for name in names}, id=range(len(frame)))


@pytest.mark.parametrize(
    ("files", "given"),
    [
        # A test set that the change replaces, and training data into which it copies the test set.
        ({"data__test_dot_csv": text(near(table(300, 1)))}, {}),
        ({"data__test_dot_csv": text(near(table(300, 1)))}, {"benchmark": "data/test.csv"}),
        (
            {"data__train_dot_csv": text(pd.concat([table(300, 1), near(table(100, 2))]))},
            {"benchmark": "data/test.csv"},
        ),
        ({"data__train_dot_csv": text(pd.concat([table(300, 1), near(table(100, 2))]))}, {"metrics_from": "commit"}),
    ],
)
def test_a_change_that_brings_copies_is_not_better(
    tmp_path: Path, files: dict[str, str], given: dict[str, Any]
) -> None:
    start = {"data__train_dot_csv": text(table(300, 1)), "data__test_dot_csv": text(table(100, 2))}
    repo = Repo(tmp_path / "r", metrics_dot_json=BASE, **start)
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json=BASE | {"rmse": 0.2}, **files)
    repo.commit("copies")
    record = repo.run(**given)[1]
    assert (record["status"], record["verdict"]) == ("warned", "inconclusive")
    assert "benchmark-copies" in codes(record)
    assert any(piece["name"] == "unseen samples" for piece in record["coverage"])


def test_what_the_base_has_already_and_honest_data_are_not_told(tmp_path: Path) -> None:
    start = {"data__train_dot_csv": text(table(300, 1)), "data__test_dot_csv": text(near(table(300, 1)))}
    repo = Repo(tmp_path / "r", metrics_dot_json=BASE, **start)
    repo.git("checkout", "-q", "-b", "change")
    repo.write(metrics_dot_json=BASE | {"rmse": 0.2})
    assert "benchmark-copies" not in codes(repo.run(benchmark="data/test.csv")[1])
    repo.write(data__test_dot_csv=text(table(100, 2)))
    repo.commit("another test set")
    assert "benchmark-copies" not in codes(repo.run(benchmark="data/test.csv")[1])


def test_a_table_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r", metrics_dot_json=BASE, train_dot_csv=text(table(100, 1)), test_dot_csv="")
    repo.git("checkout", "-q", "-b", "change")
    repo.write(train_dot_csv=text(table(100, 2)))
    record = repo.run(benchmark="test.csv")[1]
    assert "copies-unknown" in codes(record)
