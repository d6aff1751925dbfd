"""Jobs by blocks and their merge: exactly the single run."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from flint_ml.errors import InputError, OutsideError
from flint_ml.gcbm import Project, Result, indicators, load_project, merge, plan, run, write_database, write_part
from flint_ml.gcbm.partition import _cut
from flint_ml.gcbm.project.grid import parse_blocks


@pytest.fixture(scope="module")
def parts(example: Project, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("parts")
    return [
        write_part(run(example, blocks=[job.blocks], keep_partials=True), folder / f"part-{job.part}.npz")
        for job in plan(example, 4)
    ]


def test_the_plan_covers_every_block_once_and_is_balanced(example: Project, example_result: Result) -> None:
    jobs = plan(example, 4)
    blocks = [block for job in jobs for block in parse_blocks([job.blocks])]
    assert len(blocks) == len(set(blocks)) == 100
    assert [job.part for job in jobs] == [1, 2, 3, 4]
    assert sum(job.pixels for job in jobs) == example_result.pixels
    assert all(job.stands for job in jobs)
    assert json.dumps([job.__dict__ for job in jobs])  # goes into a job matrix


def test_no_more_jobs_than_blocks_with_pixels(example: Project) -> None:
    assert len(plan(example, 50)) == 4
    assert len(plan(example, 1)) == 1
    with pytest.raises(InputError):
        plan(example, 0)


def test_cuts_are_as_even_as_consecutive_blocks_allow() -> None:
    weights = [5, 1, 1, 1, 4, 0, 0, 6]
    for most in (6, 8, 12, 18):
        spans = _cut(weights, most)
        assert spans[0][0] == 0
        assert spans[-1][1] == len(weights)
        assert all(a[1] == b[0] for a, b in pairwise(spans))
        assert all(sum(weights[a:b]) <= most for a, b in spans)


def test_four_jobs_and_merge_equal_one_run_to_the_last_bit(
    parts: list[Path], example_result: Result, tmp_path: Path
) -> None:
    whole = write_database(example_result, tmp_path / "whole.db").read_bytes()
    shuffled = random.Random(1).sample(parts, len(parts))
    merged = merge(shuffled)
    assert write_database(merged, tmp_path / "merged.db").read_bytes() == whole
    assert indicators(merged) == indicators(example_result)
    assert (merged.stands, merged.pixels, merged.area_ha) == (
        example_result.stands,
        example_result.pixels,
        example_result.area_ha,
    )
    assert merged.checks == example_result.checks


def test_a_part_without_pixels_is_a_part(example: Project, parts: list[Path], tmp_path: Path) -> None:
    empty = write_part(run(example, blocks=["12674:12-99"], keep_partials=True), tmp_path / "empty.npz")
    last = write_part(run(example, blocks=["12674:11"], keep_partials=True), tmp_path / "last.npz")
    jobs = [path for path, job in zip(parts, plan(example, 4), strict=True) if "11" not in job.blocks]
    assert indicators(merge([*jobs, empty, last])) == indicators(merge(parts))


def test_a_missing_part_is_an_error(parts: list[Path]) -> None:
    with pytest.raises(InputError, match="no part has the blocks"):
        merge(parts[1:])


def test_a_part_given_twice_is_an_error(parts: list[Path], tmp_path: Path) -> None:
    again = tmp_path / "again.npz"
    again.write_bytes(parts[0].read_bytes())
    with pytest.raises(InputError, match="would count twice"):
        merge([*parts, again])


def test_parts_of_different_inputs_are_refused(example_folder: Path, parts: list[Path], tmp_path: Path) -> None:
    import shutil
    import sqlite3

    other = tmp_path / "other"
    shutil.copytree(example_folder, other)
    with sqlite3.connect(other / "input_database" / "gcbm_input.db") as connection:
        connection.execute("UPDATE root_parameter SET sw_a = 0.3")
    job = plan(load_project(other), 4)[0]
    strange = write_part(run(load_project(other), blocks=[job.blocks], keep_partials=True), tmp_path / "s.npz")
    with pytest.raises(InputError, match="database differ"):
        merge([strange, *parts[1:]])


def test_half_written_and_foreign_files_are_refused(parts: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.npz"
    broken.write_bytes(parts[0].read_bytes()[:1000])
    np.savez(tmp_path / "foreign.npz", x=np.zeros(3))
    for path in (broken, tmp_path / "foreign.npz", tmp_path / "nowhere.npz"):
        with pytest.raises(InputError, match="not a part"):
            merge([path, *parts[1:]])
    with pytest.raises(InputError, match="no parts"):
        merge([])


def test_a_part_that_cannot_be_written_leaves_nothing(example: Project, tmp_path: Path) -> None:
    result = run(example, blocks=["12674:0"], keep_partials=True)
    (tmp_path / "file").touch()
    with pytest.raises(OutsideError):
        write_part(result, tmp_path / "file" / "part.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_result_without_partial_sums_is_no_part(example_result: Result, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep_partials"):
        write_part(example_result, tmp_path / "x.npz")
