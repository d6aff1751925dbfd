"""The ``artifacts:`` of ``dvc.yaml``: names by which other repositories take what is shared."""

from __future__ import annotations

import io
from typing import Any

from flint_ml.errors import InputError
from flint_ml.sharing.metadata import Item, Shared
from flint_ml.text.yaml import parse_yaml


def entry(item: Item, shared: Shared) -> dict[str, Any]:
    """One artifact as DVC writes it."""
    meta = {
        "title": shared.title,
        "licence": shared.licence,
        "region": shared.region,
        "period": shared.period,
        "version": shared.version,
        "authors": [person.name for person in shared.authors],
        "doi": shared.doi,
    }
    return {
        "path": item.path,
        "type": item.kind,
        "desc": item.description or f"{shared.title}: {item.path}",
        "labels": sorted({*shared.keywords, item.kind}),
        "meta": {key: value for key, value in meta.items() if value},
    }


def pipeline_file(shared: Shared, before: str | None, where: str = "dvc.yaml") -> str:
    """``dvc.yaml`` with the artifacts; everything else in it stays as it is.

    Raises
    ------
    InputError
        If ``before`` is no pipeline file.
    """
    wanted = {item.name: entry(item, shared) for item in shared.items}
    old = parse_yaml(before, where) if before and before.strip() else {}
    if not isinstance(old, dict):
        raise InputError("is no pipeline file", where=where, hint="restore it from Git", code="invalid-dvc-file")
    kept = old.get("artifacts") or {}
    if not isinstance(kept, dict):
        raise InputError("`artifacts` must be a mapping of names", where=where, code="invalid-dvc-file")
    if all(kept.get(name) == value for name, value in wanted.items()):
        return before or ""
    if "artifacts" not in old:
        # What is there stays letter for letter.
        head = (before or "").rstrip("\n")
        return f"{head}\n{_dump({'artifacts': wanted})}" if head else _dump({"artifacts": wanted})
    return _merged(before or "", wanted, where)


def _writer() -> Any:
    from ruamel.yaml import YAML

    writer = YAML()
    writer.width = 4096
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.preserve_quotes = True
    return writer


def _dump(data: Any) -> str:
    stream = io.StringIO()
    _writer().dump(data, stream)
    return stream.getvalue()


def _merged(before: str, wanted: dict[str, Any], where: str) -> str:
    """The text with the artifacts put in, comments kept."""
    data = _writer().load(before)
    if data.get("artifacts") is None:
        data["artifacts"] = {}
    for name, value in wanted.items():
        data["artifacts"][name] = value
    after = _dump(data)
    rest = {key: value for key, value in parse_yaml(before, where).items() if key != "artifacts"}
    if {key: value for key, value in parse_yaml(after, where).items() if key != "artifacts"} != rest:
        raise InputError(
            "cannot be changed without touching the stages",
            where=where,
            hint="add the artifacts by hand; `flint-ml share --dry-run` shows them",
            code="invalid-dvc-file",
        )
    return after
