"""Check manifests against Kubernetes' own schemas, offline."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Any

from flint_ml.errors import InputError
from flint_ml.record import Finding
from flint_ml.text.yaml import compose_documents, parse_documents

_API_VERSION = re.compile(r"^([a-z0-9.-]+/)?v[a-z0-9]+$")
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")


def latest() -> str:
    """The newest version of Kubernetes that there are schemas for."""
    import kubernetes_validate  # type: ignore[import-untyped]

    return str(kubernetes_validate.latest_version())


def check(text: str, file: str, version: str, *, patch: bool = False) -> list[Finding]:
    """Hold every resource in ``text`` against the schemas of Kubernetes ``version``, misspelt keys included.

    Parameters
    ----------
    patch
        Whether the file is a Kustomize patch, which may leave out what its resource has.

    Returns
    -------
    list[Finding]
        Warnings about what could not be checked.

    Raises
    ------
    InputError
        If a resource is not what Kubernetes accepts; the place in it is named.
    """
    findings: list[Finding] = []
    for data in parse_documents(text, file):
        for resource in _resources(data):
            warning = _check_one(resource, file, version, patch)
            findings += [warning] if warning else []
    return findings


def _resources(data: Any) -> Iterator[dict[str, Any]]:
    """The resources in a document: one, those of a ``List``, or none (values of Helm, Kustomize's own file)."""
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        return
    if str(data.get("apiVersion", "")).startswith("kustomize.config.k8s.io/"):
        return
    if data["kind"] == "List" and isinstance(data.get("items"), list):
        for item in data["items"]:
            yield from _resources(item)
        return
    yield data


def is_resource_at(text: str, file: str, line: int) -> bool:
    """Whether the line belongs to a resource with a kind (not to Helm's values or Kustomize's own file)."""
    nodes = [node for node in compose_documents(text, file) if int(node.start_mark.line) < line]
    data = parse_documents(text, file)
    return bool(nodes) and any(_resources(data[len(nodes) - 1]))


def _check_one(resource: dict[str, Any], file: str, version: str, patch: bool) -> Finding | None:
    import kubernetes_validate
    from kubernetes_validate.utils import VersionNotSupportedError  # type: ignore[import-untyped]

    kind, api_version = resource["kind"], resource.get("apiVersion")
    metadata = resource.get("metadata")
    title = f"{kind} {metadata.get('name', '')}".strip() if isinstance(metadata, dict) else kind
    if not isinstance(api_version, str) or not _API_VERSION.match(api_version) or not kind.isalnum():
        raise InputError(
            f"{title}: `apiVersion` is missing or wrong",
            where=file,
            hint="such as `apiVersion: apps/v1`",
            code="invalid-manifest",
        )
    try:
        kubernetes_validate.validate(resource, version, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        message = f"{file}: {title} ({api_version}) is not one of Kubernetes' own kinds and was not checked"
        return Finding(severity="warning", code="unknown-kind", message=message)
    except VersionNotSupportedError:
        raise InputError(
            f"there are no schemas of Kubernetes {version}",
            where="kubernetes-version",
            hint=f"the newest is {latest()}",
            code="invalid-input",
        ) from None
    except kubernetes_validate.ValidationError as error:
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.path).lstrip(".")
        message = f"{title}: {path + ': ' if path else ''}{str(error.message)[:300]}"
        if patch and (error.validator == "required" or "$patch" in str(error.message)):
            text = f"{file} is a Kustomize patch and was checked in part only ({message})"
            return Finding(severity="info", code="patch", message=text)
        raise InputError(
            f"Kubernetes {version} does not take this manifest: {message}",
            where=file,
            hint=_hint(str(error.message)),
            code="invalid-manifest",
        ) from None
    return None


def _hint(message: str) -> str:
    if "is not of type 'string'" in message:
        return "put the value in quotes in the manifest; flint-ml keeps them"
    if "Additional properties" in message or "Unevaluated" in message:
        return "check the spelling of that key"
    return "mend the manifest first; nothing was pushed"


def is_patch(file: str, read: Callable[[str], bytes | None]) -> bool:
    """Whether a ``kustomization.yaml`` in the file's folder or above it names ``file`` as a patch.

    Parameters
    ----------
    read
        Gives a file of the manifests repository, or None.
    """
    folder = posixpath.dirname(file)
    while True:
        for name in _KUSTOMIZATIONS:
            data = read(posixpath.join(folder, name))
            if data is not None and file in _patches(data.decode(errors="replace"), folder, name):
                return True
        if not folder:
            return False
        folder = posixpath.dirname(folder)


def _patches(text: str, folder: str, name: str) -> set[str]:
    try:
        loaded = parse_documents(text, name)
    except InputError:
        return set()
    data = loaded[0] if loaded and isinstance(loaded[0], dict) else {}
    named = [item.get("path") for item in data.get("patches") or [] if isinstance(item, dict)]
    named += list(data.get("patchesStrategicMerge") or [])
    return {posixpath.normpath(posixpath.join(folder, item)) for item in named if isinstance(item, str)}
