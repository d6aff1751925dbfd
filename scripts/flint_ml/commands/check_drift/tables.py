"""Tables in check-drift: which files they are, from which revision, and the comparison itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from flint_ml.drift import (
    BaseReference,
    base_file,
    base_files,
    check_profile,
    check_sources,
    file_at,
    find_remote,
    is_profile,
    is_remote,
    is_table,
    open_tables,
    read_profile,
    remote_size,
    shown,
)
from flint_ml.errors import InputError
from flint_ml.record import Input
from flint_ml.runner import Job

if TYPE_CHECKING:
    from flint_ml.commands.check_drift.inputs import CheckDriftInputs
    from flint_ml.drift import Result

# Files above get a sha256 rather than DVC's md5: hashing would otherwise take as long as comparing.
LARGE = 32 << 20

Parts = list[Path] | list[str]


def compare_tables(inputs: CheckDriftInputs, job: Job, base: Callable[[], str | None]) -> tuple[Result, BaseReference]:
    """Read both tables and compare them; ``base`` finds the commit that a change is compared with."""
    new = _parts(job, inputs.current, "current")
    with tempfile.TemporaryDirectory(prefix="flint-ml-") as folder:
        named, reference = _reference(inputs, job, base, Path(folder))
        label = shown(inputs.reference)
        current = open_tables(new, shown(inputs.current), inputs.read.of_side(1))
        if isinstance(named[0], Path) and is_profile(named[0]):
            result = check_profile(read_profile(reference.paths[0], label), label, current, inputs)
        else:
            parts = reference.paths if isinstance(named[0], Path) else named
            table = open_tables(parts, label, inputs.read.of_side(0))
            result = check_sources(table, current, inputs, engine=inputs.engine, scheduler=inputs.scheduler)
        _note_reference(job, named, reference)
        _note(job, new)
    return result, reference


def _parts(job: Job, text: str, name: str) -> Parts:
    """The files or addresses that an input means, in order of name."""
    return find_remote(text, name) if is_remote(text) else _files(job, text, name)


def _files(job: Job, text: str, name: str) -> list[Path]:
    """The files that a path, a folder or a pattern means, in order of name."""
    if not any(sign in text for sign in "*?[") or job.path(text, name).exists():
        path = job.existing(text, name)
        inside = sorted(p for p in path.rglob("*") if p.is_file() and is_table(p)) if path.is_dir() else [path]
        for file in inside:
            job.existing(str(file), name)  # none of them a link out of the workspace, or a pointer of Git LFS
        return inside
    pattern = job.path(text, name)
    matching = Path(pattern.anchor).glob(pattern.relative_to(pattern.anchor).as_posix())
    files = sorted(job.existing(str(p), name) for p in matching if p.is_file() and is_table(p))
    if not files:
        raise InputError(
            f"{text!r} matches no CSV, Parquet or Excel file",
            where=name,
            hint="check the pattern; if DVC tracks the files, run pull-data before this step",
            code="missing-file",
        )
    return files


def _reference(
    inputs: CheckDriftInputs, job: Job, base: Callable[[], str | None], folder: Path
) -> tuple[Parts, BaseReference]:
    """The reference as it is named, and its files at the base; none for an address, which no commit holds."""
    if is_remote(inputs.reference):
        if inputs.reference_rev:
            raise InputError(
                "has a meaning for files in Git or DVC only",
                where="reference-rev",
                hint="leave it out, or give a path as `reference`",
                code="invalid-input",
            )
        return find_remote(inputs.reference, "reference"), BaseReference(())
    path = job.path(inputs.reference, "reference")
    if inputs.reference_rev:
        return [path], file_at(job.git, job.revision(inputs.reference_rev), path, folder)
    files = _files(job, inputs.reference, "reference")
    if files == [path]:
        return files, base_file(job.git, base(), path, folder)
    pattern = path / "*" if path.is_dir() else path
    return files, base_files(job.git, base(), files, pattern, folder)


def _note_reference(job: Job, named: Parts, reference: BaseReference) -> None:
    if not reference.paths or reference.paths == tuple(named):
        _note(job, named)
        return
    for path in reference.paths:
        single = isinstance(named[0], Path) and len(named) == 1
        name = job.relative(Path(named[0])) if single else path.name
        job.use(path, f"{name} at {(reference.revision or '')[:10]}", large=LARGE)


def _note(job: Job, parts: Parts) -> None:
    """Note what was read as inputs of the result: files with their hash, addresses with their size."""
    for part in parts:
        if isinstance(part, Path):
            job.use(part, large=LARGE)
        else:
            job.used.append(Input(path=shown(part), bytes=remote_size(part, shown(part))))
