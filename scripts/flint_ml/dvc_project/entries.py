"""What DVC tracks at a revision, read from ``*.dvc`` and ``dvc.lock`` without DVC.

Reading them takes milliseconds where importing DVC takes a second, and it works for any revision without touching
the working tree. Paths are relative to the Git root, with forward slashes. A repository may hold several DVC
projects (`dvc init --subdir`); each has its own cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flint_ml.errors import InputError
from flint_ml.git import Git
from flint_ml.text.yaml import parse_yaml

_TEMPLATE = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True)
class Entry:
    """One output that DVC keeps.

    ``stage`` is the file that declares it (``data/soil.csv.dvc``) or the pipeline stage (``dvc.yaml:train``).
    ``root`` is the folder of its DVC project, empty for the Git root. ``legacy`` marks hashes of DVC 2, which
    ignored the difference between line ends. ``remote`` is the output's own remote, if it names one;
    ``imported`` outputs come from another repository or address.
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
    imported: bool = False

    @property
    def source(self) -> bool:
        """Whether people put it there (``*.dvc``), rather than a stage of the pipeline."""
        return self.stage.endswith(".dvc")


def listing(git: Git, revision: str | None) -> list[str]:
    """All files at ``revision``; in the working tree those that Git tracks or would."""
    if revision is not None:
        return git.files(revision)
    if git.root is not None:
        return git.present()
    found: list[str] = []
    for folder, folders, names in os.walk(git.folder):
        folders[:] = [name for name in folders if name not in {".git", "cache", "tmp"}]
        found += [(Path(folder) / name).relative_to(git.folder).as_posix() for name in names]
    return found


def _texts(git: Git, revision: str | None, paths: list[str]) -> dict[str, str]:
    if revision is not None:
        return {path: data.decode("utf-8-sig", "replace") for path, data in git.show_many(revision, paths).items()}
    root = git.root or git.folder
    files = {path: root / path for path in paths}
    return {path: file.read_text("utf-8-sig", "replace") for path, file in files.items() if file.is_file()}


def _dvc_roots(git: Git, paths: Iterable[str]) -> list[str]:
    """Folders of the DVC projects, deepest first; the working tree helps where Git ignores ``.dvc``."""
    roots = {
        posixpath.dirname(posixpath.dirname(p)) for p in paths if posixpath.basename(posixpath.dirname(p)) == ".dvc"
    }
    top = git.root
    here = dvc_root(git.folder)
    if top is not None and here is not None and here.is_relative_to(top.resolve()):
        name = here.relative_to(top.resolve()).as_posix()
        roots.add("" if name == "." else name)
    return sorted(roots | {""}, key=len, reverse=True)


def within(path: str, folder: str) -> bool:
    """Whether ``path`` is ``folder`` or lies below it; the empty folder holds everything."""
    return not folder or path == folder or path.startswith(folder + "/")


def dvc_root(folder: Path) -> Path | None:
    """The DVC project that ``folder`` belongs to: the nearest folder at or above it with ``.dvc/``."""
    folder = folder.resolve()
    return next((place for place in (folder, *folder.parents) if (place / ".dvc").is_dir()), None)


def tracked(git: Git, revision: str | None = None) -> dict[str, Entry]:
    """Everything that DVC keeps at ``revision`` (None: the working tree), by path.

    Read from ``*.dvc`` and ``dvc.lock``. Outputs with ``cache: false`` are Git's, and stages that never ran have
    no content: neither is listed.

    Raises
    ------
    InputError
        If one of these files is not YAML.
    """
    paths = listing(git, revision)
    names = [path for path in paths if _is_dvc_file(path)]
    texts = _texts(git, revision, names)
    roots = _dvc_roots(git, paths)
    entries: dict[str, Entry] = {}
    for name, text in texts.items():
        where = f"{name} at {revision[:10]}" if revision else name
        root = next(root for root in roots if within(name, root))
        if name.endswith(".dvc"):
            found = _of_dvc_file(name, _mapping(text, where), root)
        elif posixpath.basename(name) == "dvc.lock":
            pipeline = posixpath.join(posixpath.dirname(name), "dvc.yaml")
            plan = _mapping(texts.get(pipeline, ""), pipeline)
            found = _of_lock(name, _mapping(text, where), plan, root)
        else:
            continue
        entries |= {entry.path: entry for entry in found}
    return dict(sorted(entries.items()))


def _is_dvc_file(path: str) -> bool:
    name = posixpath.basename(path)
    return name in {"dvc.lock", "dvc.yaml"} or (name.endswith(".dvc") and name != ".dvc")


@lru_cache(maxsize=20_000)
def _parsed(text: str) -> Any:
    """YAML read once: base and working tree share most files, and are asked for more than once."""
    return parse_yaml(text, "")


def _mapping(text: str, where: str) -> dict[str, Any]:
    try:
        data = _parsed(text) if text.strip() else {}
    except InputError:
        data = parse_yaml(text, where)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InputError("is not a DVC file", where=where, hint="restore it from Git", code="invalid-dvc-file")
    return data


def _entry(out: Any, folder: str, stage: str, root: str, *, imported: bool = False) -> Entry | None:
    if not isinstance(out, Mapping) or "path" not in out:
        return None
    path = posixpath.normpath(posixpath.join(folder, str(out["path"])))
    if posixpath.isabs(path) or path.startswith("../"):
        return None
    files = out.get("files")
    md5 = str(out.get("md5") or "")
    if not md5 and isinstance(files, list):
        md5 = folder_md5({str(f.get("relpath")): str(f.get("md5")) for f in files if isinstance(f, Mapping)})
    if not md5:
        return None
    return Entry(
        path=path,
        md5=md5,
        size=out["size"] if isinstance(out.get("size"), int) else None,
        nfiles=out["nfiles"] if isinstance(out.get("nfiles"), int) else None,
        is_dir=md5.endswith(".dir"),
        stage=stage,
        root=root,
        legacy=out.get("hash") != "md5",
        remote=str(out["remote"]) if out.get("remote") else None,
        imported=imported,
    )


def _of_dvc_file(name: str, data: Mapping[str, Any], root: str) -> list[Entry]:
    folder = posixpath.join(posixpath.dirname(name), str(data.get("wdir") or "."))
    listed = data.get("outs") or []
    if not isinstance(listed, list):
        raise InputError("`outs` is no list", where=name, hint="restore it from Git", code="invalid-dvc-file")
    outs = [out for out in listed if isinstance(out, Mapping) and out.get("cache", True)]
    imported = bool(data.get("deps"))
    return [entry for out in outs if (entry := _entry(out, folder, name, root, imported=imported))]


def _of_lock(name: str, lock: Mapping[str, Any], plan: Mapping[str, Any], root: str) -> list[Entry]:
    here = posixpath.dirname(name)
    stages = lock.get("stages", {} if "schema" in lock else lock) or {}
    entries: list[Entry] = []
    for stage, content in stages.items() if isinstance(stages, Mapping) else []:
        definition = _definition(plan, str(stage))
        wdir = _TEMPLATE.sub(str(stage).partition("@")[2], str(definition.get("wdir") or "."))
        uncached = _uncached(definition)
        outs = content.get("outs") if isinstance(content, Mapping) else None
        for out in outs if isinstance(outs, list) else []:
            entry = _entry(out, posixpath.join(here, wdir), f"{posixpath.join(here, 'dvc.yaml')}:{stage}", root)
            if entry and not any(pattern.fullmatch(str(out["path"])) for pattern in uncached):
                entries.append(entry)
    return entries


def _definition(plan: Mapping[str, Any], stage: str) -> Mapping[str, Any]:
    stages = plan.get("stages")
    stages = stages if isinstance(stages, Mapping) else {}
    found = stages.get(stage) or stages.get(stage.partition("@")[0]) or {}
    inner = found.get("do", found) if isinstance(found, Mapping) else {}
    return inner if isinstance(inner, Mapping) else {}


def _uncached(definition: Mapping[str, Any]) -> list[re.Pattern[str]]:
    """Patterns of the outputs that a stage leaves to Git; ``${item}`` stands for anything."""
    patterns = []
    for kind in ("outs", "metrics", "plots"):
        listed = definition.get(kind) or []
        for out in listed if isinstance(listed, list) else []:
            for path, flags in out.items() if isinstance(out, Mapping) else []:
                if isinstance(flags, Mapping) and flags.get("cache") is False:
                    pieces = _TEMPLATE.split(posixpath.normpath(str(path)))
                    patterns.append(re.compile(".+".join(map(re.escape, pieces))))
    return patterns


def holder(entries: Mapping[str, Entry], path: str) -> Entry | None:
    """The entry that ``path`` is, or the tracked folder that it lies in."""
    place = path
    while place:
        entry = entries.get(place)
        if entry is not None and (entry.path == path or entry.is_dir):
            return entry
        place = posixpath.dirname(place)
    return None


def folder_md5(files: Mapping[str, str]) -> str:
    """DVC's hash of a folder from its files (path inside the folder to md5): the md5 of the sorted listing."""
    listing = [{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"
