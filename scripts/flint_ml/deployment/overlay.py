"""Build what a changed manifest is a part of, with the tools that the cluster would use: Kustomize's overlays, charts.

Only where the tools are on the PATH; they run without network helpers of ours, for a limited time, in a folder of
their own that holds the manifests as they would be pushed.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flint_ml.deployment import schemas
from flint_ml.errors import InputError
from flint_ml.git import Remote
from flint_ml.record import Finding
from flint_ml.text.yaml import parse_documents

_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_SECONDS = 90
_MAX_OVERLAYS = 20


def kustomize_command() -> list[str] | None:
    """How overlays are built here."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    return ["kubectl", "kustomize"] if shutil.which("kubectl") else None


def check_overlays(remote: Remote, commit: str, changed: Mapping[str, bytes], kubernetes: str) -> list[Finding]:
    """Build every overlay and chart that the changed files belong to, and hold the result against the schemas.

    Parameters
    ----------
    changed
        Contents of the files as they would be pushed.

    Returns
    -------
    list[Finding]
        What was built, or why nothing could be.

    Raises
    ------
    InputError
        If an overlay does not build, or Kubernetes would not take what comes out of it.
    """
    names = remote.files(commit)
    kustomizations = {posixpath.dirname(name): name for name in names if posixpath.basename(name) in _KUSTOMIZATIONS}
    texts = {
        folder: (changed.get(name) or remote.read(commit, name) or b"").decode(errors="replace")
        for folder, name in kustomizations.items()
    }
    overlays = top_overlays({folder: _references(text, folder) for folder, text in texts.items()}, changed)
    charts = sorted({chart for file in changed if (chart := _chart_of(file, names)) is not None})
    if not overlays and not charts:
        return []
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="flint-ml-") as temporary:
        folder = Path(temporary)
        _export(remote, commit, changed, folder)
        command = kustomize_command()
        if overlays and command is None:
            findings.append(_not_built("kustomize or kubectl", overlays))
        for overlay in overlays if command else ():
            text = _built([*command, f"./{overlay}"], folder, f"{overlay or '.'} (kustomize)")  # type: ignore[misc]
            findings += schemas.check(text, f"{overlay or '.'} as built", kubernetes)
        if charts and not shutil.which("helm"):
            findings.append(_not_built("helm", charts))
        for chart in charts if shutil.which("helm") else ():
            values = [option for file in changed if file != f"{chart}/values.yaml" for option in ("-f", file)]
            text = _built(["helm", "template", "flint-ml", f"./{chart}", *values], folder, f"{chart} (helm)")
            findings += schemas.check(text, f"{chart} as built", kubernetes)
    return findings


def _not_built(tool: str, what: Iterable[str]) -> Finding:
    names = ", ".join(name or "." for name in what)
    message = f"{tool} is not on the PATH here: {names} was not built before the push, only the file was checked"
    return Finding(severity="info", code="overlay-not-built", message=message)


def _references(text: str, folder: str) -> set[str]:
    """Files and folders that a kustomization takes in, from the root of the repository."""
    try:
        loaded = parse_documents(text, folder)
    except InputError:
        return set()
    data: Any = loaded[0] if loaded and isinstance(loaded[0], dict) else {}
    named: list[Any] = []
    for key in ("resources", "bases", "components", "patchesStrategicMerge", "crds", "configurations"):
        named += data.get(key) or []
    for key in ("patches", "patchesJson6902", "replacements"):
        named += [item.get("path") for item in data.get(key) or [] if isinstance(item, dict)]
    for key in ("configMapGenerator", "secretGenerator"):
        for item in data.get(key) or []:
            if isinstance(item, dict):
                files = [str(name).rpartition("=")[2] for name in item.get("files") or []]
                named += [*files, *(item.get("envs") or []), item.get("env")]
    return {posixpath.normpath(posixpath.join(folder, name)) for name in named if isinstance(name, str) and name}


def top_overlays(references: Mapping[str, set[str]], changed: Iterable[str]) -> list[str]:
    """Folders of the kustomizations that take in the changed files, themselves taken in by no other.

    Parameters
    ----------
    references
        Folder of a kustomization to the files and folders that it names.
    """
    reached = {folder for folder in references for file in changed if _takes_in(folder, references[folder], file)}
    grown = True
    while grown:
        above = {folder for folder, named in references.items() if reached & {n if n != "." else "" for n in named}}
        grown = not above <= reached
        reached |= above
    taken = {name for folder in reached for name in references[folder]}
    return sorted(folder for folder in reached if (folder or ".") not in taken)[:_MAX_OVERLAYS]


def _takes_in(folder: str, named: set[str], file: str) -> bool:
    own = posixpath.dirname(file) == folder and posixpath.basename(file) in _KUSTOMIZATIONS
    return own or file in named


def _chart_of(file: str, names: Iterable[str]) -> str | None:
    """The folder of the chart whose values the file holds, the nearest above it."""
    known, folder = set(names), posixpath.dirname(file)
    while folder:
        if f"{folder}/Chart.yaml" in known and not file.startswith(f"{folder}/templates/"):
            return folder
        folder = posixpath.dirname(folder)
    return None


def _export(remote: Remote, commit: str, changed: Mapping[str, bytes], folder: Path) -> None:
    """The manifests as they would be pushed, in ``folder``; links out of it are left out."""
    with tarfile.open(fileobj=io.BytesIO(remote.archive(commit))) as archive:
        for member in archive:
            try:
                archive.extract(member, folder, filter="data")
            except (tarfile.FilterError, OSError):
                continue
    for file, data in changed.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _built(command: list[str], folder: Path, what: str) -> str:
    env = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "HELM_NO_PLUGINS": "1", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{what} was not built within {_SECONDS} seconds; nothing was pushed",
            where=what,
            hint="keep bases in the manifests repository instead of fetching them",
            code="overlay",
        ) from None
    if done.returncode:
        words = re.sub(r"^[EWIF]\d{4} .*?\] ", "", done.stderr, flags=re.MULTILINE)  # when and where it was logged
        said = " ".join(words.replace(str(folder), ".").split())[-400:]
        raise InputError(
            f"{what} does not build, and nothing was pushed: {said}",
            where=what,
            hint=f"build it yourself with `{' '.join(command)}` and fix it first",
            code="overlay",
        )
    return done.stdout
