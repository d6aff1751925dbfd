"""The other side of run-gcbm's comparison: results given directly, or the base revision's inputs run again."""

from __future__ import annotations

import json
import posixpath
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flint_ml.dvc_project import NOT_IN_CACHE, Entry, cache_dir, members, object_path, read_at, tracked, within
from flint_ml.errors import InputError
from flint_ml.gcbm.project.config import CFG, Project
from flint_ml.gcbm.results.indicators import Table
from flint_ml.gcbm.results.tables import result_tables, table_of_metrics
from flint_ml.gcbm.simulation import DATABASE, Kind, Simulated
from flint_ml.git import Git
from flint_ml.runner import Job

METRICS = "metrics.json"
_HINT = "give a metrics.json, a gcbm_output.db, a folder with them, or a GCBM project"


@dataclass
class Baseline:
    """What a run is compared with.

    ``kind`` and ``engine`` are None where the results do not say which engine made them. ``simulated`` is there
    when the base was run in this job, ``project`` when its inputs are at hand.
    """

    tables: dict[str, Table]
    how: str
    commit: str | None = None
    kind: Kind | None = None
    engine: str | None = None
    simulated: Simulated | None = None
    project: Project | None = None

    @property
    def table(self) -> Table:
        return self.tables["indicators"]


Rerun = Callable[[Path, str | None], tuple[Project, Simulated]]


def from_path(job: Job, text: str, rerun: Rerun) -> Baseline:
    """The base given as a path: metrics, database, a folder with either, or a project, which is run."""
    path = job.existing(text, "base")
    how = f"`{text}`"
    if path.is_dir():
        if not (path / METRICS).is_file() and not (path / DATABASE).is_file():
            project, simulated = rerun(path, None)
            return Baseline(simulated.tables, how, None, simulated.kind, simulated.engine, simulated, project)
        kind, engine = _engine(path / "run.json")
        file = path / (DATABASE if (path / DATABASE).is_file() else METRICS)
        job.use(file)
        return Baseline(_tables(file, text), how, None, kind, engine)
    job.use(path)
    if path.suffix == ".zip":
        project, simulated = rerun(path, None)
        return Baseline(simulated.tables, how, None, simulated.kind, simulated.engine, simulated, project)
    kind, engine = _engine(path.parent / "run.json")
    return Baseline(_tables(path, text), how, None, kind, engine)


def _tables(path: Path, shown: str) -> dict[str, Table]:
    if path.suffix == ".json":
        return {"indicators": _metrics(path.read_bytes(), shown)}
    if path.suffix in {".db", ".sqlite"}:
        return result_tables(path)
    raise InputError(f"{shown!r} holds no results", where="base", hint=_HINT, code="gcbm-base")


def _metrics(data: bytes, where: str) -> Table:
    try:
        values = json.loads(data)
    except ValueError as error:
        raise InputError(f"is not valid JSON: {error}", where=where, hint=_HINT, code="gcbm-base") from None
    if isinstance(values, dict) and str(values.get("schema", "")).startswith("flint-ml/record/"):
        values = {name: item.get("value") for name, item in values.get("metrics", {}).items()}
    return table_of_metrics(values if isinstance(values, dict) else {}, where)


def _engine(about: Path) -> tuple[Kind | None, str | None]:
    return _engine_of(about.read_bytes() if about.is_file() else None)


def _engine_of(data: bytes | None) -> tuple[Kind | None, str | None]:
    try:
        values: Any = json.loads(data) if data else {}
    except ValueError:
        values = {}
    kind = values.get("kind") if isinstance(values, dict) else None
    if kind not in ("embedded", "flint"):
        return None, None
    return kind, str(values.get("engine") or "")


def from_results(git: Git, commit: str, how: str, output_dir: str) -> Baseline | None:
    """The base's own results, ``<output-dir>/metrics.json`` at its revision; None where it has none."""
    data = read_at(git, commit, posixpath.join(output_dir, METRICS))
    if data is None:
        return None
    kind, engine = _engine_of(read_at(git, commit, posixpath.join(output_dir, "run.json")))
    return Baseline({"indicators": _metrics(data, f"{METRICS} at {commit[:10]}")}, how, commit, kind, engine)


def inside(git: Git, path: Path) -> str | None:
    """``path`` relative to the Git root (empty for the root itself), or None outside a repository."""
    root = git.root
    if root is None or not path.resolve().is_relative_to(root.resolve()):
        return None
    text = path.resolve().relative_to(root.resolve()).as_posix()
    return "" if text == "." else text


def materialise(git: Git, commit: str, folder: str, target: Path, without: Sequence[str] = ()) -> Path | None:
    """Write the files of ``folder`` at ``commit`` to ``target``, from Git and DVC's cache; None where it has none.

    Parameters
    ----------
    folder
        Relative to the Git root; empty for the root. A single file (a zip) is written alone.
    without
        Folders (relative to the Git root) that hold results, not inputs.

    Raises
    ------
    InputError
        With code ``not-in-cache`` where DVC tracks an input and its content is not here.
    """
    root = git.root
    entries = tracked(git, commit)
    if root is None:
        return None
    if git.show(commit, folder) is not None or (folder in entries and not entries[folder].is_dir):
        data = read_at(git, commit, folder) or b""
        target.mkdir(parents=True, exist_ok=True)
        file = target / posixpath.basename(folder)
        file.write_bytes(data)
        return file
    skip = (".dvc", ".git", ".github", *without)

    def wanted(path: str) -> bool:
        return within(path, folder) and not any(place and within(path, place) for place in skip)

    names = [name for name in git.files(commit, folder) if wanted(name)]
    for name, data in git.show_many(commit, names).items():
        _place(target, folder, name).write_bytes(data)
    missing: list[str] = []
    for entry in entries.values():
        if wanted(entry.path) or (entry.is_dir and within(folder, entry.path)):
            missing += _from_cache(root, entry, folder, target, wanted)
    if missing:
        raise InputError(
            f"{len(missing)} inputs of the base {commit[:10]} are tracked by DVC and not in the cache, such as "
            f"`{missing[0]}`",
            where="base",
            hint="run pull-data with `base-revision: auto` before this step, or set `base`",
            code=NOT_IN_CACHE,
        )
    return target if target.is_dir() and any(target.iterdir()) else None


def _place(target: Path, folder: str, name: str) -> Path:
    path = target / posixpath.relpath(name, folder or ".")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _from_cache(root: Path, entry: Entry, folder: str, target: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Copy one tracked output from the cache; returns what is missing there."""
    files = {entry.path: entry.md5}
    if entry.is_dir:
        found = members(root, entry)
        if found is None:
            return [entry.path]
        files = {posixpath.join(entry.path, name): md5 for name, md5 in found.items()}
    cache = cache_dir(root / entry.root)
    missing: list[str] = []
    for name, md5 in files.items():
        if not wanted(name):
            continue
        source = object_path(cache, md5, legacy=entry.legacy)
        if not source.is_file():
            missing.append(name)
            continue
        place = _place(target, folder, name)
        place.unlink(missing_ok=True)
        shutil.copyfile(source, place)
    return missing


def has_project(path: Path) -> bool:
    """Whether a materialised folder may hold a project at all."""
    return path.is_file() or any(path.rglob(CFG))
