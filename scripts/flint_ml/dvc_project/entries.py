"""What DVC tracks at a revision: from ``*.dvc`` files, read here, and from pipelines, read by DVC.

A repository may hold thousands of ``*.dvc`` files: DVC's index takes a second for a thousand of them, this reader a
sixteenth of it (measured), and a test holds it to DVC's own answers. Paths are relative to the Git root, with forward
slashes. A repository may hold several DVC projects (`dvc init --subdir`); each has its own cache.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flint_ml.dvc_project.paths import contents, dvc_roots, joined, listing, within
from flint_ml.dvc_project.pipeline import read_pipelines
from flint_ml.errors import InputError
from flint_ml.git import Git
from flint_ml.text.yaml import MAX_BYTES, parse_yaml

_MD5 = re.compile(r"[0-9a-f]{32}(?:\.dir)?")


@dataclass(frozen=True)
class Entry:
    """One output that DVC keeps.

    Attributes
    ----------
    path, md5, size, nfiles
        Where it stands, its hash (ending in ``.dir`` for a folder), bytes, number of files. The hash of an import
        without download is that of its source, and empty where only the source knows it.
    stage
        The file that declares it (``data/soil.csv.dvc``) or the pipeline stage (``dvc.yaml:train``).
    root
        Folder of its DVC project, empty for the Git root.
    legacy
        Whether the hash is DVC 2's, which ignored the difference between line ends.
    remote
        The output's own remote, if it names one.
    pushed
        Whether `dvc push` takes it to a remote.
    origin
        Where it was imported from, in words of its ``.dvc`` file; empty for what is the project's own.
    partial
        Whether the import was not downloaded: neither cache nor remote hold it, only its origin.
    made
        Whether a command in its ``.dvc`` file makes it, as DVC 0 wrote stages.
    executable
        Whether DVC marks the file as a program.
    """

    path: str
    md5: str
    size: int | None = None
    nfiles: int | None = None
    is_dir: bool = False
    stage: str = ""
    root: str = ""
    legacy: bool = False
    remote: str | None = None
    pushed: bool = True
    origin: str = ""
    partial: bool = False
    made: bool = False
    executable: bool = False

    @property
    def source(self) -> bool:
        """Whether people put it there, rather than a stage of the pipeline."""
        return self.stage.endswith(".dvc") and not self.made

    @property
    def imported(self) -> bool:
        """Whether it comes from another repository or address."""
        return bool(self.origin)


def tracked(git: Git, revision: str | None = None) -> dict[str, Entry]:
    """Everything that DVC keeps at ``revision`` (None: the working tree), by path.

    Outputs with ``cache: false`` are Git's, and stages that never ran have no content: neither is listed. Of a
    revision, what cannot be read is left out (``unreadable`` names it).

    Raises
    ------
    InputError
        If one of the working tree's ``*.dvc``, ``dvc.yaml`` or ``dvc.lock`` cannot be read.
    """
    entries, faults = _read(git, revision)
    if revision is None and faults:
        raise next(iter(faults.values()))
    return entries


def unreadable(git: Git, revision: str | None) -> dict[str, InputError]:
    """DVC's files at ``revision`` that cannot be read, and why."""
    return _read(git, revision)[1]


def _read(git: Git, revision: str | None) -> tuple[dict[str, Entry], dict[str, InputError]]:
    if revision is None:
        return _entries(git, None)
    return _at_commit(git.folder, git.commit(revision) or revision)


@lru_cache(maxsize=8)
def _at_commit(folder: Path, commit: str) -> tuple[dict[str, Entry], dict[str, InputError]]:
    return _entries(Git(folder), commit)


def _entries(git: Git, revision: str | None) -> tuple[dict[str, Entry], dict[str, InputError]]:
    paths = listing(git, revision)
    roots = dvc_roots(git, paths)
    entries: dict[str, Entry] = {}
    faults: dict[str, InputError] = {}
    names = [path for path in paths if path.endswith(".dvc") and posixpath.basename(path) != ".dvc"]
    for name, data in contents(git, revision, names).items():
        root = next(root for root in roots if within(name, root))
        where = f"{name} at {revision[:10]}" if revision else name
        try:
            found = _of_dvc_file(name, where, data.decode("utf-8-sig", "replace"), root)
        except InputError as error:
            faults[name] = error
            continue
        entries |= {entry.path: entry for entry in found}
    pipelines = read_pipelines(git, revision)
    faults |= pipelines.unreadable
    for stage in pipelines.stages:
        root = next(root for root in roots if within(stage.file, root))
        for output in stage.outputs:
            if output.cached and output.md5 and _MD5.fullmatch(output.md5):
                entries[output.path] = Entry(
                    path=output.path,
                    md5=output.md5,
                    size=output.size,
                    nfiles=output.nfiles,
                    is_dir=output.md5.endswith(".dir"),
                    stage=stage.address,
                    root=root,
                    legacy=output.legacy,
                    remote=output.remote,
                    pushed=output.pushed,
                    executable=output.executable,
                )
    return dict(sorted(entries.items())), faults


@lru_cache(maxsize=20_000)
def _parsed(text: str) -> Any:
    """YAML whose scalars are all texts, as the C loader reads it: thousands of small files are read more than once."""
    try:
        import yaml
    except ImportError:  # a light installation; the plain reader is slow and right
        return _as_texts(parse_yaml(text, ""))
    if len(text) > MAX_BYTES:
        raise InputError(f"is larger than {MAX_BYTES:,} bytes", code="yaml-too-large")
    try:
        return yaml.load(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506 - makes texts only
    except (yaml.YAMLError, RecursionError, ValueError):
        return _as_texts(parse_yaml(text, ""))


def _as_texts(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _as_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_texts(item) for item in value]
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _wrong(where: str, what: str) -> InputError:
    return InputError(what, where=where, hint="restore it from Git", code="invalid-dvc-file")


def _of_dvc_file(name: str, where: str, text: str, root: str) -> list[Entry]:
    """The outputs that a ``*.dvc`` file declares."""
    try:
        data = _parsed(text) if text.strip() else {}
    except InputError as error:
        raise InputError(error.message, where=f"{where}{error.where or ''}", hint=error.hint, code=error.code) from None
    if data in (None, ""):
        return []
    if not isinstance(data, Mapping):
        raise _wrong(where, "is not a DVC file")
    folder = joined(posixpath.dirname(name), str(data.get("wdir") or "."))
    outs, deps = data.get("outs") or [], data.get("deps") or []
    if not isinstance(outs, list) or not isinstance(deps, list):
        raise _wrong(where, "`outs` and `deps` must be lists")
    made = bool(data.get("cmd"))
    dep = deps[0] if deps and not made and isinstance(deps[0], Mapping) else {}
    entries = []
    for out in outs:
        if not isinstance(out, Mapping) or "path" not in out or out.get("cache") == "false":
            continue
        if (entry := _entry(out, dep, folder, where)) is not None:
            origin = _origin(dep, folder)
            entries.append(Entry(**{**entry, "stage": name, "root": root, "made": made, "origin": origin}))
    return entries


def _entry(out: Mapping[str, Any], dep: Mapping[str, Any], folder: str, where: str) -> dict[str, Any] | None:
    """Fields of an entry; None for what was never added, or lies outside the repository."""
    path = joined(folder, str(out["path"]))
    if posixpath.isabs(path) or path == ".." or path.startswith("../"):
        return None
    files = out.get("files")
    md5 = str(out.get("md5") or "")
    if not md5 and isinstance(files, list):
        listed = [item for item in files if isinstance(item, Mapping)]
        md5 = folder_md5({str(item.get("relpath")): str(item.get("md5")) for item in listed})
    partial = not md5 and bool(dep)
    if partial:
        md5 = str(dep.get("md5") or "")
    if md5 and not _MD5.fullmatch(md5):
        raise _wrong(where, f"`md5: {md5[:40]}` is not a hash")
    if not md5 and not partial:
        return None
    known = dep if partial else out
    return {
        "path": path,
        "md5": md5,
        "size": _number(known.get("size")),
        "nfiles": _number(known.get("nfiles")),
        "is_dir": md5.endswith(".dir"),
        "legacy": bool(md5) and known.get("hash", "md5" if partial else None) != "md5",
        "remote": str(out["remote"]) if out.get("remote") else None,
        "pushed": out.get("push") != "false",
        "executable": out.get("isexec") == "true",
        "partial": partial,
    }


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, str) and value.isdigit() else None


def _origin(dep: Mapping[str, Any], folder: str) -> str:
    """Where an import comes from: an address, a path (relative to the Git root), or a path in another repository."""
    if not dep:
        return ""
    path = str(dep.get("path") or "")
    repository = dep.get("repo")
    if isinstance(repository, Mapping):
        return f"{repository.get('url')} {path}".strip()
    if "://" in path or posixpath.isabs(path):
        return path
    return joined(folder, path) if path else str(dep.get("db") or "elsewhere")


def is_md5(text: str) -> bool:
    """Whether ``text`` is a hash as DVC writes it: it becomes a part of a path."""
    return bool(_MD5.fullmatch(text))


def holder(entries: Mapping[str, Entry], path: str) -> Entry | None:
    """The entry that ``path`` is, or the tracked folder that it lies in."""
    folder = path
    while folder:
        entry = entries.get(folder)
        if entry is not None and (entry.path == path or entry.is_dir):
            return entry
        folder = posixpath.dirname(folder)
    return None


def folder_md5(files: Mapping[str, str]) -> str:
    """DVC's hash of a folder from its files (path inside the folder to md5): the md5 of the sorted listing."""
    rows = [{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())]
    return hashlib.md5(json.dumps(rows, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"
