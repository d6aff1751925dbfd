"""What a version says of itself: tags, parameters, metrics, description. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from flint_ml.record import Record
from flint_ml.registry.content import Content
from flint_ml.registry.identity import MODEL_SHA256

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
    found = _PULL_REQUEST.search(subject)
    return int(found[1] or found[2]) if found else None


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


def version_tags(source: Source, content: Content, metrics: Mapping[str, float]) -> dict[str, str]:
    """The tags of a version: what somebody who only sees the registry needs to find code, data and results."""
    values: dict[str, str | None] = {
        "flint_ml.commit": source.commit,
        "flint_ml.branch": source.branch,
        "flint_ml.pull_request": str(source.pull_request) if source.pull_request else None,
        "flint_ml.repository": source.repository,
        "flint_ml.run": source.run_url,
        "flint_ml.data_fingerprint": source.fingerprint,
        "flint_ml.data": _cut_json(source.data) if source.data else None,
        MODEL_SHA256: content.sha256,
        "flint_ml.model_md5": content.files[0].md5 if len(content.files) == 1 else None,
        "flint_ml.model_kind": content.kind,
        "flint_ml.model_bytes": str(content.size),
        "flint_ml.model_as_committed": None if source.as_committed is None else str(source.as_committed).lower(),
        "flint_ml.uncommitted_changes": "true" if source.dirty else None,
        "flint_ml.gate": source.gate,
        "flint_ml.gate_reasons": "; ".join(source.gate_reasons) or None,
        "flint_ml.metrics": _cut_json(metrics) if metrics else None,
        "flint_ml.tool": source.tool,
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


def provenance(source: Source, content: Content, more: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the tags say, uncut, for ``provenance.json``."""
    return {
        **asdict(source),
        "model": {file.name: {"sha256": file.sha256, "md5": file.md5, "bytes": file.size} for file in content.files},
        **more,
    }


def description(source: Source, content: Content) -> str:
    """The version's description: one line with the links that a reader of the registry wants first."""
    place = f"commit {source.commit[:10]}" if source.commit else "an unknown commit"
    link = f" ([run]({source.run_url}))" if source.run_url else ""
    card = "Model card: run artifact `flint-ml/model-card.md`."
    return f"{content.described} from {place}{link}, gate: {source.gate}. {card}"
