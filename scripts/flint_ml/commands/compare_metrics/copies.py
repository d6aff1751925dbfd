"""Rows of the training data in the test data, where this change alters one of them and both are tables at hand."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from flint_ml.commands.compare_metrics.base import Sides, project
from flint_ml.dvc_project import hash_at, read_pipelines, within
from flint_ml.errors import InputError
from flint_ml.metrics import TABLES, copies_finding, near_copies, read_rows
from flint_ml.record import Finding
from flint_ml.runner import Job

# What files of training and test data are called, as a word of the file's own name or of its folder's.
_TRAINING = re.compile(r"(?<![a-z])(train|training|learn|learning|fit)(?![a-z])", re.I)
_TEST = re.compile(
    r"(?<![a-z])(test|testing|holdout|hold[_-]out|eval|evaluation|val|valid|validation|benchmark)(?![a-z])", re.I
)
_MOST_PAIRS = 6
_MOST_FILES = 5_000


def copied_rows(job: Job, sides: Sides, benchmark: str, training: Sequence[str]) -> list[Finding]:
    """What to say of test rows that the model has seen; nothing where this change alters neither side.

    Test tables are the named ``benchmark``, else those of the project that are called so; training tables those of
    ``training``, else those that are called so. The largest pairs are compared, ``_MOST_PAIRS`` at most.
    """
    if sides.at is None or sides.at.git.root is None:
        return []
    tables = _tables(job)
    tests = _named(job, [benchmark], tables) if benchmark else _called(tables, _TEST, _TRAINING)
    learned = _named(job, training, tables) if training else _called(tables, _TRAINING, _TEST)
    pairs = [(test, each) for test in tests for each in learned if test != each and _suffix(test) == _suffix(each)]
    pairs = [pair for pair in pairs if any(_altered(sides, path) for path in pair)]
    findings = []
    for test, each in pairs[:_MOST_PAIRS]:
        finding = _compared(sides.at.git.root, test, each)
        findings += [finding] if finding else []
    if len(pairs) > _MOST_PAIRS:
        left = f"{len(pairs) - _MOST_PAIRS} of {len(pairs)} pairs of tables"
        message = f"rows of the training data were not looked for in all test data: {left} were left out"
        findings.append(
            Finding(severity="info", code="copies-unknown", message=message, hint="set `benchmark` and `training`")
        )
    return sorted(findings, key=lambda finding: finding.severity == "info")


def _compared(root: Path, test: str, training: str) -> Finding | None:
    try:
        copies = near_copies(read_rows(root / test, test), read_rows(root / training, training))
    except InputError as error:
        message = f"whether rows of {training} are in {test} is not known: {error}"
        return Finding(severity="info", code="copies-unknown", message=message)
    return copies_finding(copies, test, training) if copies else None


def _suffix(path: str) -> bool:
    """Tables compare with tables."""
    return PurePosixPath(path).suffix.lower() in TABLES


def _altered(sides: Sides, path: str) -> bool:
    assert sides.at is not None
    git = sides.at.git
    return hash_at(git, sides.at.commit, path) != hash_at(git, None, path)


def _called(tables: Iterable[str], name: re.Pattern[str], other: re.Pattern[str]) -> list[str]:
    """Tables whose own name, else whose folder's, has the word and not the other one."""

    def fits(path: str) -> bool:
        for part in reversed(PurePosixPath(path).parts):
            if bool(name.search(part)) != bool(other.search(part)):
                return bool(name.search(part))
        return False

    return [path for path in tables if fits(path)]


def _named(job: Job, given: Sequence[str], tables: Sequence[str]) -> list[str]:
    """Tables that inputs name, by file, folder or pattern."""
    wanted = [posixpath.normpath(posixpath.join(project(job), each)) for each in given]
    hits = [
        path
        for path in tables
        if any(PurePosixPath(path).match(each) or f"{path}/".startswith(f"{each}/") for each in wanted)
    ]
    root = job.git.root or job.workspace.base
    return list(dict.fromkeys([*hits, *(each for each in wanted if _is_table(root, each))]))


def _tables(job: Job) -> list[str]:
    """Tables in the working tree that Git keeps or a stage reads or makes, relative to the Git root."""
    root = job.git.root
    assert root is not None
    paths = [path for path in job.git.present() if within(path, project(job))]
    try:
        stages = read_pipelines(job.git, None).below(project(job)).stages
    except InputError:
        stages = ()
    for stage in stages:
        paths += [dependency.path for dependency in stage.dependencies if dependency.path]
        paths += [output.path for output in stage.outputs]
    return [path for path in dict.fromkeys(_files(root, paths)) if _is_table(root, path)]


def _files(root: Path, paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if (root / path).is_dir():
            inside = sorted((root / path).rglob("*"))[:_MOST_FILES]
            yield from (each.relative_to(root).as_posix() for each in inside)
        else:
            yield path


def _is_table(root: Path, path: str) -> bool:
    file = root / path
    return _suffix(path) and file.is_file() and file.resolve().is_relative_to(root.resolve())
