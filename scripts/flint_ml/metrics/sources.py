"""Where metrics come from: the working tree, a revision (Git or DVC's cache), a named file, or a stored base.

A stored base is a registered version of the model, or the last run on the default branch. What it was scored with is
in the compare-metrics record that was stored with it; a version that somebody else registered has only the metrics
that were logged.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flint_ml.dvc_project import declared, hash_at, read_at, tracked
from flint_ml.errors import InputError
from flint_ml.git import Git
from flint_ml.hashing import file_md5
from flint_ml.metrics.read import MetricsFile, Reading, parse
from flint_ml.record import Record
from flint_ml.text.yaml import parse_yaml

MAX_BYTES = 20 * 1024 * 1024
_HINT_MISSING = "run the evaluation step first, check the spelling, or run pull-data if DVC tracks it"


def glob_pattern(pattern: str) -> re.Pattern[str]:
    """A glob over paths as a regular expression: ``*`` and ``?`` within a folder, ``**`` over folders."""
    out = ""
    for piece in re.split(r"(\*\*/|\*\*|\*|\?)", posixpath.normpath(pattern)):
        out += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece, re.escape(piece))
    return re.compile(out)


def is_glob(text: str) -> bool:
    """Whether ``text`` is a pattern and not a path."""
    return any(sign in text for sign in "*?")


def in_folder(root: Path, path: str) -> str:
    """``path``, or the metrics file of the folder that it is (DVCLive's ``dvclive/metrics.json``)."""
    return posixpath.join(path, "metrics.json") if not is_glob(path) and (root / path).is_dir() else path


def declared_files(git: Git, revision: str | None, project: str) -> list[str]:
    """Metrics files that ``dvc.yaml`` names, relative to the project's folder."""
    if git.root is None:
        return []
    named = declared(git, revision, ("metrics",))
    return [posixpath.relpath(path, project or ".") for path in named]


@dataclass(frozen=True)
class WorkingTree:
    """The project's folder in the working tree."""

    folder: Path

    def expand(self, patterns: Sequence[str], name: str = "metrics") -> list[str]:
        """Files that ``patterns`` mean, relative to the folder, in their order, each once.

        Raises
        ------
        InputError
            If a file is not there or a glob fits none.
        """
        paths: list[str] = []
        for pattern in patterns:
            if is_glob(pattern):
                if posixpath.isabs(pattern) or ".." in pattern.split("/"):
                    raise InputError(
                        f"the glob {pattern!r} must stay below the working directory",
                        where=name,
                        hint="set working-directory, or name the file without a glob",
                        code="invalid-input",
                    )
                hits = sorted(
                    path.relative_to(self.folder).as_posix() for path in self.folder.glob(pattern) if path.is_file()
                )
            else:
                file = in_folder(self.folder, pattern)
                hits = [posixpath.normpath(file)] if (self.folder / file).is_file() else []
            if not hits:
                raise InputError(
                    f"no file fits {pattern!r}" if is_glob(pattern) else f"{pattern!r} does not exist",
                    where=name,
                    hint=_HINT_MISSING,
                    code="missing-file",
                )
            paths += hits
        return list(dict.fromkeys(paths))

    def read(self, paths: Sequence[str]) -> dict[str, MetricsFile]:
        """The metrics of each file."""
        return {path: parse(_limited(self.folder / path, path), path) for path in paths}


def _limited(path: Path, where: str) -> bytes:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(
            f"is {size:,} bytes; a metrics file may have {MAX_BYTES:,}",
            where=where,
            hint="give per-sample predictions as `predictions`, not as metrics",
            code="metrics-too-large",
        )
    return path.read_bytes()


@dataclass(frozen=True)
class At:
    """The project's folder at a revision: content from Git, else from DVC's cache; nothing is fetched."""

    git: Git
    commit: str
    project: str

    @property
    def shown(self) -> str:
        """For messages."""
        return self.commit[:10]

    def full(self, path: str) -> str:
        """``path`` relative to the Git root."""
        return posixpath.normpath(posixpath.join(self.project, path))

    def expand(self, patterns: Sequence[str]) -> list[str]:
        """Files of the revision that ``patterns`` mean, relative to the folder; that none does is not an error."""
        literal = [posixpath.normpath(pattern) for pattern in patterns if not is_glob(pattern)]
        globs = [glob_pattern(pattern) for pattern in patterns if is_glob(pattern)]
        paths: list[str] = list(literal)
        if globs:
            names = [*self.git.files(self.commit), *tracked(self.git, self.commit)]
            inside = [posixpath.relpath(name, self.project or ".") for name in names]
            paths += sorted(name for name in inside if any(glob.fullmatch(name) for glob in globs))
        return list(dict.fromkeys(paths))

    def content(self, path: str) -> bytes | None:
        """Content of ``path``, or None where the revision has no such file."""
        return read_at(self.git, self.commit, self.full(path))

    def read(self, paths: Sequence[str]) -> dict[str, MetricsFile]:
        """The metrics of each file that is there."""
        contents = {path: self.content(path) for path in paths}
        return {
            path: parse(data, f"{path} at {self.commit[:10]}") for path, data in contents.items() if data is not None
        }

    def hash(self, path: str) -> str | None:
        """md5 of a file or folder, as DVC computes it."""
        return hash_at(self.git, self.commit, self.full(path))


def read_named(base: Path, shown: str, paths: Sequence[str]) -> dict[str, MetricsFile]:
    """The base's metrics from a file given directly, or from a folder that holds the same relative paths.

    A file stands for the only metrics file of this change, whatever its name.

    Raises
    ------
    InputError
        If one file is given for several.
    """
    if base.is_dir():
        present = [path for path in paths if (base / path).is_file()]
        if not present:
            raise InputError(
                f"{shown!r} holds none of {', '.join(paths)}",
                where="base",
                hint="give the base's metrics file, or a folder with files of the same names",
                code="missing-file",
            )
        return {path: parse(_limited(base / path, path), f"{shown}/{path}") for path in present}
    if len(paths) != 1:
        raise InputError(
            f"is one file, and `metrics` are {len(paths)}",
            where="base",
            hint="give a folder with files of the same names",
            code="invalid-input",
        )
    return {paths[0]: parse(_limited(base, shown), shown)}


def public_names(*sides: Mapping[str, MetricsFile]) -> dict[tuple[str, str], str]:
    """A name for each metric (path, name): its own where only one file has it, else ``path:name``."""
    keys = list(dict.fromkeys((path, name) for side in sides for path, file in side.items() for name in file.readings))
    count: dict[str, set[str]] = {}
    for path, name in keys:
        count.setdefault(name, set()).add(path)
    return {(path, name): name if len(count[name]) == 1 else f"{path}:{name}" for path, name in keys}


def hash_in_tree(git: Git, project: str, path: Path, shown: str) -> str | None:
    """md5 of a file or folder of the working tree, as DVC computes it."""
    if path.is_file() and not git.tracked(path):
        return file_md5(path)
    return hash_at(git, None, posixpath.normpath(posixpath.join(project, shown)))


def section_at(at: At, config: str, section: str) -> Mapping[str, Any]:
    """The section of the settings file at the base, empty where there is none or it cannot be read."""
    data = at.content(config)
    try:
        settings = parse_yaml(data.decode("utf-8-sig", "replace"), config) if data else None
    except InputError:
        return {}
    values = settings.get(section) if isinstance(settings, dict) else None
    return values if isinstance(values, dict) else {}


# -- a base that is not a revision ------------------------------------------------------------


def _no_file(_path: str) -> bytes | None:
    return None


@dataclass(frozen=True)
class Stored:
    """A stored base.

    Attributes
    ----------
    how
        What it is, in words: ``version 3 of soil-carbon (Staging)``.
    label
        The same for a column's heading: ``soil-carbon v3``.
    commit
        The commit that it was made from, where that is known.
    record
        The compare-metrics record that was stored with it.
    values
        Metrics by name, as they were logged, where there is no record.
    file
        Content of a file that was stored with it, by its path in the project; None where it was not.
    """

    how: str
    label: str
    commit: str | None = None
    record: Record | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    file: Callable[[str], bytes | None] = _no_file


def stored_files(stored: Stored, head: Mapping[str, MetricsFile]) -> dict[str, MetricsFile]:
    """The stored metrics as files of the same paths as this change's (``head``).

    A record's metrics come whole, so that one that vanished is noticed; of merely logged values only those count
    that this change has too, because anything may have been logged beside them.
    """
    names = {shown: key for key, shown in public_names(head).items()}
    made: dict[str, MetricsFile] = {}
    for shown, value in _values(stored).items():
        if stored.record is None and shown not in names:
            continue
        file, name = names.get(shown) or _file_and_name(shown, list(head))
        made.setdefault(file, MetricsFile({})).readings[name] = Reading(value)
    return made


def _file_and_name(shown: str, files: Sequence[str]) -> tuple[str, str]:
    """File and name of a metric that this change does not have: the file that its shown name begins with, if any."""
    file = next((file for file in files if shown.startswith(f"{file}:")), None)
    return (file, shown.removeprefix(f"{file}:")) if file else (next(iter(files), "metrics.json"), shown)


def _values(stored: Stored) -> dict[str, float]:
    """Numbers by shown name."""
    if stored.record is None:
        return dict(stored.values)
    return {name: metric.value for name, metric in stored.record.metrics.items() if metric.value is not None}


@dataclass(frozen=True)
class StoredFiles:
    """What predictions and benchmark of a stored base need: like :class:`At`.

    ``at`` reads the commit that the stored base was made from, where this clone has it; what it holds counts only
    if its hash is the one in the record.
    """

    stored: Stored
    at: At | None = None

    @property
    def shown(self) -> str:
        """For messages."""
        return self.stored.label

    def content(self, path: str) -> bytes | None:
        """Content of ``path`` as it was then, or None where it is not known."""
        stored = self.stored.file(path)
        if stored is not None:
            return stored
        md5 = self._md5(path)
        data = self.at.content(path) if self.at and md5 else None
        return data if data is not None and hashlib.md5(data, usedforsecurity=False).hexdigest() == md5 else None

    def hash(self, path: str) -> str | None:
        """md5 of the benchmark that it was scored on."""
        record = self.stored.record
        benchmark = record.benchmark if record else None
        if benchmark is not None and benchmark.path == path and benchmark.md5:
            return benchmark.md5
        return self.at.hash(path) if self.at else None

    def _md5(self, path: str) -> str | None:
        inputs = self.stored.record.provenance.inputs if self.stored.record else []
        full = self.at.full(path) if self.at else path
        return next((item.md5 for item in inputs if item.path in (path, full)), None)
