"""What a version says of itself: where it comes from, its tags, and the key by which it is found again."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from flint_ml.dvc_project import fingerprint, hash_at, project_folder, tracked, within
from flint_ml.git import Git
from flint_ml.record import Record
from flint_ml.registry.model_files import ModelFiles

KEY = "flint_ml.key"
GATE = "flint_ml.gate"
OWNER = "flint_ml.owner"
# A training logs the hash of the model that it wrote under this tag of its run, and is found by it.
MODEL_SHA256 = "flint_ml.model_sha256"
_JOB_LIMIT_SECONDS = 6 * 3600
_NOT_IN_NAMES = re.compile(r"[^\w\-. /:]")
_MAX_NAME, _MAX_PARAM, _MAX_TAG = 250, 6_000, 5_000
_PULL_REQUEST = re.compile(r"^Merge pull request #(\d+) |\(#(\d+)\)\s*$")


@dataclass(frozen=True)
class Source:
    """Where a model comes from.

    Attributes
    ----------
    data
        DVC-tracked path to md5.
    as_committed
        Whether the model's bytes are those that ``dvc.lock`` of the commit names; None where it names none.
    dirty
        Whether tracked files differed from the commit.
    gate
        ``approved``, ``review`` or ``not required``.
    """

    commit: str | None = None
    branch: str | None = None
    pull_request: int | None = None
    repository: str | None = None
    run_url: str | None = None
    fingerprint: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    as_committed: bool | None = None
    dirty: bool = False
    gate: str = "not required"
    gate_reasons: tuple[str, ...] = ()
    tool: str = ""


def pull_request_of(message: str) -> int | None:
    """Number of the pull request that a merge or squash commit's message names."""
    subject = message.partition("\n")[0]
    match = _PULL_REQUEST.search(subject)
    return int(match[1] or match[2]) if match else None


def mlflow_name(name: str) -> str:
    """``name`` as MLflow allows it for metrics and parameters."""
    text = _NOT_IN_NAMES.sub("_", name).strip("/ ")
    # MLflow takes names as paths and refuses those that a path would normalise.
    text = re.sub(r"/{2,}", "/", text)
    text = "/".join(part if part.strip(".") else "_" for part in text.split("/"))
    return text[:_MAX_NAME] or "_"


def flatten(params: Any, prefix: str = "") -> dict[str, str]:
    """Parameters leaf by leaf: ``{"train": {"n": 8}}`` becomes ``{"train.n": "8"}``; lists stay whole, as JSON."""
    if isinstance(params, Mapping):
        flat: dict[str, str] = {}
        for key, value in params.items():
            flat |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
        return flat
    if not prefix:
        return {}
    text = params if isinstance(params, str) else json.dumps(params, ensure_ascii=False, default=str)
    return {mlflow_name(prefix): text[:_MAX_PARAM]}


def metrics_of(records: Iterable[Record]) -> dict[str, float]:
    """Every finite metric of the records; where two records share a name, the later one's is prefixed by its own."""
    metrics: dict[str, float] = {}
    # Quality first, so that `rmse` is the model's and not some check's.
    for record in sorted(records, key=lambda record: record.action != "compare-metrics"):
        for name, metric in record.metrics.items():
            if metric.value is None or not math.isfinite(metric.value):
                continue
            plain = mlflow_name(name)
            metrics[plain if plain not in metrics else mlflow_name(f"{record.name}/{name}")] = metric.value
    return metrics


def base_metrics(records: Iterable[Record]) -> dict[str, float]:
    """The base's value of each metric that compare-metrics compared."""
    compared = (record for record in records if record.action == "compare-metrics")
    return {
        mlflow_name(name): metric.base
        for record in compared
        for name, metric in record.metrics.items()
        if metric.base is not None and math.isfinite(metric.base)
    }


def main_metric(metrics: Mapping[str, float], base: Mapping[str, float]) -> str:
    """The first metric and its change, short enough for a list: ``rmse 1.3 (-0.12)``."""
    name, value = next(iter(metrics.items()))
    change = f" ({value - base[name]:+.3g})" if name in base else ""
    return f"{name} {value:.4g}{change}".replace("-", "\N{MINUS SIGN}") if change else f"{name} {value:.4g}"


def version_tags(
    source: Source, model: ModelFiles, metrics: Mapping[str, float], base: Mapping[str, float] | None = None
) -> dict[str, str]:
    """The tags of a version: what somebody who only sees the registry needs to find code, data and results.

    Two are for people who look at the list of versions: ``gate`` and ``metric``; the others are for programs.
    """
    values: dict[str, str | None] = {
        "flint_ml.commit": source.commit,
        "flint_ml.branch": source.branch,
        "flint_ml.pull_request": str(source.pull_request) if source.pull_request else None,
        "flint_ml.repository": source.repository,
        "flint_ml.run": source.run_url,
        "flint_ml.data_fingerprint": source.fingerprint,
        "flint_ml.data": _cut_json(source.data) if source.data else None,
        MODEL_SHA256: model.sha256,
        "flint_ml.model_md5": model.files[0].md5 if len(model.files) == 1 else None,
        "flint_ml.model_kind": model.kind,
        "flint_ml.model_bytes": str(model.size),
        "flint_ml.model_as_committed": None if source.as_committed is None else str(source.as_committed).lower(),
        "flint_ml.uncommitted_changes": "true" if source.dirty else None,
        GATE: source.gate,
        "flint_ml.gate_reasons": "; ".join(source.gate_reasons) or None,
        "flint_ml.metrics": _cut_json(metrics) if metrics else None,
        "flint_ml.tool": source.tool,
        "gate": source.gate,
        "metric": main_metric(metrics, base or {}) if metrics else None,
    }
    return {name: value[:_MAX_TAG] for name, value in values.items() if value}


def _cut_json(values: Mapping[str, Any]) -> str:
    """As many leading entries as fit into a tag, as JSON; the whole is in the run's provenance.json."""
    kept = dict(values)
    while len(text := json.dumps(kept, ensure_ascii=False)) > _MAX_TAG:
        kept = dict(list(kept.items())[: len(kept) * 3 // 4])
        kept["…"] = f"{len(values)} in all, see flint-ml/provenance.json"
    return text


def run_tags(source: Source) -> dict[str, str]:
    """MLflow's own tags of a run, so that its pages link to the code."""
    values = {
        "mlflow.source.git.commit": source.commit,
        "mlflow.source.git.branch": source.branch,
        "mlflow.source.git.repoURL": source.repository,
        "mlflow.source.name": source.run_url,
        "mlflow.source.type": "JOB",
    }
    return {name: value for name, value in values.items() if value}


def provenance(source: Source, model: ModelFiles, more: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the tags say, uncut, for ``provenance.json``."""
    return {
        **asdict(source),
        "model": {file.name: {"sha256": file.sha256, "md5": file.md5, "bytes": file.size} for file in model.files},
        **more,
    }


def description(source: Source, model: ModelFiles, metrics: Mapping[str, float], base: Mapping[str, float]) -> str:
    """The version's description: one line with the links that a reader of the registry wants first."""
    revision = f"commit {source.commit[:10]}" if source.commit else "an unknown commit"
    link = f" ([run]({source.run_url}))" if source.run_url else ""
    first = f", {main_metric(metrics, base)}" if metrics else ""
    return f"gate: {source.gate}{first}. {model.described} from {revision}{link}."


def from_repository(source: Source, git: Git, model: Path) -> Source:
    """``source`` completed from the repository that ``git`` is opened in.

    Branch and pull request are only filled in where the event did not name them.

    Raises
    ------
    InputError
        If one of DVC's files cannot be read.
    """
    root = git.root
    if root is None:
        return replace(source, commit=None)
    project = project_folder(git)
    entries = [entry for entry in tracked(git).values() if within(entry.path, project)]
    return replace(
        source,
        branch=source.branch or git.branch,
        pull_request=source.pull_request or pull_request_of(git.message("HEAD")),
        fingerprint=fingerprint(entries) if entries else None,
        data={entry.path: entry.md5 for entry in entries},
        as_committed=_as_committed(git, root.resolve(), model),
        dirty=git.dirty,
    )


def _as_committed(git: Git, root: Path, model: Path) -> bool | None:
    """Whether the model here is the one that the commit holds; None where the commit holds none."""
    if not model.is_relative_to(root) or git.commit("HEAD") is None:
        return None
    name = model.relative_to(root).as_posix()
    committed = hash_at(git, "HEAD", name)
    return None if committed is None else committed == hash_at(git, None, name)


def idempotency_key(name: str, commit: str | None, fingerprint: str | None, model_sha256: str) -> str:
    """Hash of registered name, commit, data fingerprint and the model's bytes: same key, same version."""
    text = "\0".join(["flint-ml/key/1", name, commit or "", fingerprint or "", model_sha256])
    return hashlib.sha256(text.encode()).hexdigest()


def owner(run_id: str | None, run_attempt: int) -> str:
    """Who registers: workflow run and attempt, machine, process."""
    return f"{run_id or '-'}/{run_attempt}/{socket.gethostname()}/{os.getpid()}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def is_dead(theirs: str, mine: str, started_ms: int, now: float | None = None) -> bool:
    """Whether the process that wrote ``theirs`` cannot be at work any more.

    True for an earlier attempt of the same workflow run, for a process of this machine that has ended, and for
    anything older than the longest job of a hosted runner (6 h). In doubt it is taken to be alive.
    """
    try:
        run, attempt, host, pid = theirs.split("/")
        my_run, my_attempt, my_host, _ = mine.split("/")
        if run != "-" and run == my_run and int(attempt) < int(my_attempt):
            return True
        if host == my_host and not _alive(int(pid)):
            return True
    except ValueError:
        pass
    return (time.time() if now is None else now) - started_ms / 1000 > _JOB_LIMIT_SECONDS
