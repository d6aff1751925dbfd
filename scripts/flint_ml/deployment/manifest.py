"""What one deployment changes: a value in a manifest, read, changed and checked. Git is only read here."""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from flint_ml.deployment import schemas
from flint_ml.deployment.meaning import Meaning, check_meaning, is_kubernetes_number, marked, marked_path, named_path
from flint_ml.deployment.overlay import check_overlays
from flint_ml.deployment.yaml_edit import Scalar, decode, encode, find, line_of, replace
from flint_ml.errors import InputError
from flint_ml.git import Remote
from flint_ml.record import Finding


@dataclass(frozen=True)
class Target:
    """Where the version stands and how it is written.

    Attributes
    ----------
    template
        The value, with ``{version}`` for the number: ``{version}``, ``registry.example.org/api:{version}``.
    path
        Empty: the value behind which the comment ``# flint-ml: MODEL`` stands.
    kubernetes
        Version of Kubernetes that the manifest is checked for.
    model
        The registered model whose version it is; empty for a value that is not a version (a selector).
    """

    file: str
    path: str
    template: str = "{version}"
    kubernetes: str = ""
    model: str = ""

    def text(self, number: int) -> str:
        """The value for a version."""
        return self.template.replace("{version}", str(number))

    def number(self, text: str) -> int | None:
        """The version that a value names, or None where it is written in another way."""
        before, _, after = self.template.partition("{version}")
        match = re.fullmatch(f"{re.escape(before)}(\\d+){re.escape(after)}", text)
        return int(match[1]) if match else None


@dataclass(frozen=True)
class Edit:
    """A manifest with one or several values changed."""

    file: str
    before: bytes
    after: bytes
    old: str
    new: str
    path: str
    findings: tuple[Finding, ...] = field(default=())

    @property
    def files(self) -> Mapping[str, bytes]:
        """What a commit changes."""
        return {self.file: self.after}


def check_target(file: str, template: str) -> str:
    """The path of the manifest as Git names it.

    Raises
    ------
    InputError
        If the path leaves the repository or the template has no place for the version.
    """
    path = posixpath.normpath(file.strip())
    if path.startswith(("/", "../")) or path in {".", ".."} or "\x00" in path or "\\" in path:
        raise InputError(
            f"`{file}` is not a path inside the manifests repository",
            where="file",
            hint="give it from the root of that repository, with forward slashes",
            code="invalid-input",
        )
    if template.count("{version}") != 1 or not template.isprintable():
        raise InputError(
            f"`{template}` must hold `{{version}}` once",
            where="value",
            hint="such as `{version}` or `v{version}`",
            code="invalid-input",
        )
    return path


def read_manifest(remote: Remote, commit: str, file: str) -> bytes:
    """The manifest ``file`` at ``commit``.

    Raises
    ------
    InputError
        If it is not there, or is not a plain file; a near name is suggested.
    """
    data = remote.read(commit, file)
    if data is not None:
        return data
    mode = remote.mode(commit, file)
    what = {"040000": "a folder", "120000": "a symbolic link", "160000": "a submodule"}.get(mode or "")
    if what:
        raise InputError(
            f"`{file}` is {what} in the manifests repository",
            where="file",
            hint="name the YAML file itself",
            code="no-manifest",
        )
    known = [name for name in remote.files(commit) if name.endswith((".yaml", ".yml", ".json"))]
    same = [name for name in known if posixpath.basename(name) == posixpath.basename(file)]
    close = difflib.get_close_matches(file, known, n=1) or same[:1]
    raise InputError(
        f"`{file}` is not in the manifests repository",
        where="file",
        hint=f"did you mean `{close[0]}`?" if close else f"it has: {', '.join(known[:8]) or 'no YAML file'}",
        code="no-manifest",
    )


def path_in(remote: Remote, commit: str, target: Target) -> str:
    """The path of the target's value: as it was given, or found by our comment."""
    if target.path:
        return target.path
    return marked_path(decode(read_manifest(remote, commit, target.file), target.file), target.file, target.model)


def current(remote: Remote, commit: str, target: Target) -> str:
    """The value that stands at the target now."""
    text = decode(read_manifest(remote, commit, target.file), target.file)
    return find(text, path_in(remote, commit, target), target.file).value


def plan(remote: Remote, commit: str, target: Target, new: str, highest: int | None = None) -> Edit:
    """The manifest at ``commit`` with the new value; what it is part of is built and held against the schemas.

    Parameters
    ----------
    highest
        The highest version that the registry knows. With it, only a value that is a version is written over.

    Raises
    ------
    InputError
        If the value cannot be found or set, is not a version, or Kubernetes would not take the result.
    """
    data = read_manifest(remote, commit, target.file)
    text = decode(data, target.file)
    path = path_in(remote, commit, target)
    scalar = find(text, path, target.file)
    old = scalar.value
    if highest is not None:
        check_meaning(text, path, target.file, Meaning(target.model, target.number, target.template, highest), scalar)
    if old == new:
        return Edit(target.file, data, data, old, new, path)
    by_name = named_path(text, path, target.file, scalar) if highest is not None else ""
    changed = replace(text, path, new, target.file)
    kubernetes = target.kubernetes or schemas.latest()
    patch = schemas.is_patch(target.file, lambda name: remote.read(commit, name))
    findings = schemas.check(changed, target.file, kubernetes, patch=patch)
    if highest is not None and not marked(text, scalar, target.model):
        _refuse_kubernetes_number(text, path, target, scalar)
    if by_name:
        message = f"`{path}` counts items, and a line that somebody adds above moves it; write `{by_name}`"
        findings.append(Finding(severity="info", code="bare-index", message=message))
    after = encode(changed, data)
    findings += check_overlays(remote, commit, {target.file: after}, kubernetes)
    return Edit(target.file, data, after, old, new, path, tuple(findings))


def _refuse_kubernetes_number(text: str, path: str, target: Target, scalar: Scalar) -> None:
    """Numbers in Kubernetes' own resources are settings of its: replicas, ports, seconds. Versions are texts there."""
    if not is_kubernetes_number(scalar) or not schemas.is_resource_at(text, target.file, scalar.line):
        return
    raise InputError(
        f"line {scalar.line} is `{line_of(text, scalar.line)}`: `{path}` is a number "
        "that Kubernetes reads, not a version",
        where=f"{target.file}:{scalar.line}",
        hint="name the variable, label or image that holds the version",
        code="foreign-value",
    )
