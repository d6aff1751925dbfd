"""Do the base's metrics belong to its code and data? DVC's lock file says what they were made from."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from flint_ml.dvc_project import holder, joined, tracked
from flint_ml.errors import InputError
from flint_ml.metrics.sources import At
from flint_ml.record import Finding
from flint_ml.text.yaml import parse_yaml


def base_staleness(at: At) -> Finding | None:
    """What to say where ``dvc.lock`` of the base does not fit the base; None where it fits or there is none."""
    try:
        paths = outdated(at)
    except InputError:
        return None  # a lock file that cannot be read is pull-data's to report
    if not paths:
        return None
    more = " …" if len(paths) > 5 else ""
    return Finding(
        severity="warning",
        code="base-stale",
        message=f"the base's metrics are older than its files: {', '.join(paths[:5])}{more} changed after `dvc repro`",
        hint="run `dvc repro` on the main branch and commit dvc.lock and metrics, then compare again",
    )


def outdated(at: At) -> list[str]:
    """Dependencies, parameters and metrics at the base that differ from what its ``dvc.lock`` recorded."""
    lock = at.full("dvc.lock")
    stages = list(_stages(_yaml(at, lock)))
    recorded = [(path, md5) for stage in stages for path, md5 in _hashed(stage, at.project)]
    entries = tracked(at.git, at.commit)
    contents = at.git.show_many(at.commit, sorted({path for path, _ in recorded}))
    changed: list[str] = []
    for path, md5 in recorded:
        entry = holder(entries, path)
        if entry is not None:
            now = entry.md5 if entry.path == path else None
        else:
            data = contents.get(path)
            now = None if data is None else hashlib.md5(data, usedforsecurity=False).hexdigest()
        if now is not None and now != md5:
            changed.append(path)
    for stage in stages:
        changed += _changed_params(at, stage)
    return list(dict.fromkeys(changed))


def _yaml(at: At, path: str) -> Any:
    data = at.git.show(at.commit, path)
    return parse_yaml(data.decode("utf-8-sig", "replace"), path) if data else {}


def _stages(lock: Any) -> Iterator[Mapping[str, Any]]:
    stages = lock.get("stages") if isinstance(lock, Mapping) else None
    for stage in stages.values() if isinstance(stages, Mapping) else []:
        if isinstance(stage, Mapping):
            yield stage


def _hashed(stage: Mapping[str, Any], project: str) -> Iterator[tuple[str, str]]:
    """Files with the hashes that the stage saw or made; hashes of DVC 2 ignored line ends and are left out."""
    for kind in ("deps", "outs"):
        for item in stage.get(kind) or []:
            if isinstance(item, Mapping) and item.get("hash") == "md5" and item.get("md5") and "://" not in str(item):
                yield joined(project, str(item.get("path"))), str(item["md5"])


def _changed_params(at: At, stage: Mapping[str, Any]) -> Iterator[str]:
    files = stage.get("params")
    for name, values in files.items() if isinstance(files, Mapping) else []:
        if posixpath.splitext(str(name))[1] not in {".yaml", ".yml", ".json"} or not isinstance(values, Mapping):
            continue
        parameters = _yaml(at, at.full(str(name)))
        for key, value in values.items():
            if _value(parameters, str(key)) != value:
                yield f"{name}: {key}"


def _value(data: Any, key: str) -> Any:
    if isinstance(data, Mapping) and key in data:
        return data[key]
    for part in key.split("."):
        if not isinstance(data, Mapping) or part not in data:
            return None
        data = data[part]
    return data
