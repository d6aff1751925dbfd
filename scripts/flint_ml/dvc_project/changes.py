"""What a change does to data, parameters, code and the gate itself, compared with the base revision."""

from __future__ import annotations

import fnmatch
import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flint_ml.dvc_project.cache import hash_at, members
from flint_ml.dvc_project.entries import Entry, holder, tracked
from flint_ml.dvc_project.paths import joined, project_folder, within
from flint_ml.dvc_project.pipeline import declared, params_files
from flint_ml.errors import InputError
from flint_ml.git import Git
from flint_ml.text.yaml import parse_yaml

# Files of these kinds are data also where Git keeps them instead of DVC.
DATA_SUFFIXES = frozenset(
    {
        ".csv",
        ".tsv",
        ".parquet",
        ".feather",
        ".arrow",
        ".xls",
        ".xlsx",
        ".tif",
        ".tiff",
        ".gpkg",
        ".shp",
        ".dbf",
        ".geojson",
        ".nc",
        ".h5",
        ".hdf5",
        ".npy",
        ".npz",
        ".db",
        ".sqlite",
        ".duckdb",
        ".pkl",
        ".joblib",
        ".onnx",
        ".zip",
        ".gz",
        ".zst",
    }
)
_WORKFLOWS = (".github/workflows/*", ".github/actions/*")


@dataclass(frozen=True)
class Changes:
    """What differs between the base and the working tree. Paths are relative to the Git root.

    Attributes
    ----------
    data
        ``{path, change, kind, size, base_size, md5, base_md5, files}``: ``change`` is added, modified or deleted;
        ``kind`` is ``source`` (put there by people), ``output`` (made by a stage) or ``git`` (a data file that Git
        keeps); sizes in bytes; ``files`` counts the files added, modified and deleted in a folder, where known.
    params
        ``{path, base, head}`` for each leaf; a file other than params.yaml is named before a colon.
    code
        All other changed files.
    gate
        Changed files that decide what the gate demands: settings, workflows, reference, benchmark.
    """

    data: list[dict[str, Any]] = field(default_factory=list)
    params: list[dict[str, Any]] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    gate: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain lists and mappings, for ``details["changes"]`` of a record."""
        return asdict(self)


def describe_changes(
    git: Git, base_commit: str, *, config: str = "flint-ml.yml", watched: Sequence[str] = ()
) -> Changes:
    """Compare the working tree with ``base_commit``.

    Parameters
    ----------
    git
        The repository, opened at the project's folder; data and parameters are those below this folder.
    base_commit
        The base revision's commit.
    config, watched
        Settings file, and further files or folders that the gate depends on (reference, benchmark), relative to
        the project's folder.

    Raises
    ------
    InputError
        If one of DVC's files or a parameter file cannot be read.
    """
    project = project_folder(git)
    before, after = tracked(git, base_commit), tracked(git, None)
    changed = git.changed(base_commit)
    params_files = _params_files(git, base_commit, project)
    outputs = set(declared(git, None, ("outs", "metrics", "plots")))
    outputs |= {path for path in changed if holder(before, path) or holder(after, path)}
    data = data_changes(before, after, project, git.root)
    data += _git_data(git, base_commit, [path for path in changed if path not in outputs], project)
    code = [path for path in changed if path not in outputs | set(params_files) and not _bookkeeping(path)]
    code = [path for path in code if Path(path).suffix.lower() not in DATA_SUFFIXES]
    return Changes(
        data=data,
        params=_params(git, base_commit, params_files, project),
        code=code,
        gate=_gate(git, base_commit, changed, [joined(project, config)], [joined(project, path) for path in watched]),
    )


def _bookkeeping(path: str) -> bool:
    name = posixpath.basename(path)
    return name in {"dvc.lock", ".gitignore"} or name.endswith(".dvc")


def data_changes(
    before: Mapping[str, Entry], after: Mapping[str, Entry], project: str = "", root: Path | None = None
) -> list[dict[str, Any]]:
    """Tracked data that differs, sources first; with ``root`` the files inside folders are counted."""
    rows: list[dict[str, Any]] = []
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        entry = new or old
        if entry is None or not within(path, project) or (old and new and old.md5 == new.md5):
            continue
        rows.append(
            {
                "path": path,
                "change": "added" if old is None else "deleted" if new is None else "modified",
                "kind": "source" if entry.source else "output",
                "size": new.size if new else None,
                "base_size": old.size if old else None,
                "md5": new.md5 if new else None,
                "base_md5": old.md5 if old else None,
                "files": _inside(root, old, new),
            }
        )
    return sorted(rows, key=lambda row: row["kind"] != "source")


def _inside(root: Path | None, old: Entry | None, new: Entry | None) -> dict[str, int] | None:
    """How many files of a folder were added, modified and deleted; None where a listing is not at hand."""
    if root is None or not any(entry and entry.is_dir for entry in (old, new)):
        return None
    before = members(root, old) if old and old.is_dir else {}
    after = members(root, new) if new and new.is_dir else {}
    if before is None or after is None:
        return None
    return {
        "added": len(after.keys() - before.keys()),
        "modified": sum(before[name] != after[name] for name in before.keys() & after.keys()),
        "deleted": len(before.keys() - after.keys()),
    }


def _git_data(git: Git, base: str, paths: Iterable[str], project: str) -> list[dict[str, Any]]:
    """Changed data files that Git keeps."""
    root = git.root
    data_files = [p for p in paths if within(p, project) and Path(p).suffix.lower() in DATA_SUFFIXES]
    before = git.show_many(base, data_files)
    rows = []
    for path in data_files:
        file = (root or git.folder) / path
        size = file.stat().st_size if file.is_file() else None
        old = before.get(path)
        change = "added" if old is None else "deleted" if size is None else "modified"
        rows.append(
            {
                "path": path,
                "change": change,
                "kind": "git",
                "size": size,
                "base_size": None if old is None else len(old),
                "md5": hash_at(git, None, path) if size else None,
                "base_md5": None,
                "files": None,
            }
        )
    return rows


def _params_files(git: Git, base: str, project: str) -> list[str]:
    """Parameter files: ``params.yaml`` and those that dvc.yaml names, at the base and now."""
    files = {joined(project, "params.yaml"), *params_files(git, base), *params_files(git, None)}
    return sorted(path for path in files if Path(path).suffix in {".yaml", ".yml", ".json", ".toml"})


def _values(path: str, content: bytes | None) -> Any:
    if not content:
        return {}
    text = content.decode("utf-8-sig", "replace")
    try:
        if path.endswith(".json"):
            return json.loads(text)
        if path.endswith(".toml"):
            import tomllib

            return tomllib.loads(text)
    except ValueError as error:
        raise InputError(f"cannot be read: {error}", where=path, code="invalid-params") from None
    return parse_yaml(text, path)


def _params(git: Git, base: str, files: Sequence[str], project: str) -> list[dict[str, Any]]:
    root = git.root or git.folder
    before = git.show_many(base, files)
    rows: list[dict[str, Any]] = []
    for path in files:
        file = root / path
        now = file.read_bytes() if file.is_file() else None
        if now == before.get(path):
            continue
        prefix = "" if path == joined(project, "params.yaml") else f"{path}:"
        old, new = leaves(_values(path, before.get(path))), leaves(_values(path, now))
        for key in [*old, *(key for key in new if key not in old)]:
            if key not in old or key not in new or old[key] != new[key]:
                rows.append({"path": f"{prefix}{key}", "base": old.get(key), "head": new.get(key)})
    return rows


def leaves(value: Any, prefix: str = "") -> dict[str, Any]:
    """Leaf by leaf with dotted names, in order; lists are leaves. Dates and the like become text."""
    if isinstance(value, Mapping):
        named: dict[str, Any] = {}
        for key, item in value.items():
            named |= leaves(item, f"{prefix}.{key}" if prefix else str(key))
        return named
    if not prefix:
        return {}
    plain = value is None or isinstance(value, str | int | float | bool | list)
    return {prefix: value if plain else str(value)}


def _gate(git: Git, base: str, changed: Sequence[str], config: Sequence[str], watched: Sequence[str]) -> list[str]:
    """Changed files that the gate depends on."""
    files = [
        path for path in changed if path in config or any(fnmatch.fnmatch(path, pattern) for pattern in _WORKFLOWS)
    ]
    files += [path for path in watched if hash_at(git, base, path) != hash_at(git, None, path)]
    return list(dict.fromkeys(files))
