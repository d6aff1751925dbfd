"""What the pipeline file ``dvc.yaml`` says, at any revision, read without DVC."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from flint_ml.dvc_project.entries import within
from flint_ml.git import Git
from flint_ml.text.yaml import parse_yaml


def project_folder(git: Git) -> str:
    """The project's folder relative to the Git root, empty for the root itself."""
    root = git.root
    folder = git.folder.resolve()
    if root is None or folder == root.resolve() or not folder.is_relative_to(root.resolve()):
        return ""
    return folder.relative_to(root.resolve()).as_posix()


def joined(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path))


def plans(git: Git, revision: str | None, project: str) -> dict[str, dict[str, Any]]:
    """The project's ``dvc.yaml`` files at ``revision``, by path."""
    root = git.root or git.folder
    listing = git.present() if revision is None else git.files(revision)
    names = [path for path in listing if posixpath.basename(path) == "dvc.yaml" and within(path, project)]
    here = {name: (root / name).read_bytes() for name in names} if revision is None else {}
    texts = here if revision is None else git.show_many(revision, names)
    plans = {name: parse_yaml(text.decode("utf-8-sig", "replace"), name) for name, text in texts.items()}
    return {name: plan for name, plan in plans.items() if isinstance(plan, dict)}


def stages(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    stages = plan.get("stages")
    found = (
        [stage.get("do", stage) for stage in stages.values() if isinstance(stage, Mapping)]
        if isinstance(stages, Mapping)
        else []
    )
    return [stage for stage in found if isinstance(stage, Mapping)]


def listed_paths(value: Any) -> list[str]:
    """Paths of a dvc.yaml list whose items are paths or one-key mappings of a path to its flags."""
    items = value if isinstance(value, list) else list(value) if isinstance(value, Mapping) else []
    return [str(key) for item in items for key in (item if isinstance(item, Mapping) else [item])]


def declared(git: Git, revision: str | None, kinds: Sequence[str] = ("metrics", "plots")) -> list[str]:
    """Files that the project's ``dvc.yaml`` names under ``kinds`` at ``revision``, relative to the Git root.

    Names with ``${…}`` in them are left out.
    """
    paths: list[str] = []
    for name, plan in plans(git, revision, project_folder(git)).items():
        here = posixpath.dirname(name)
        for stage in [*stages(plan), {kind: plan.get(kind) for kind in kinds}]:
            folder = joined(here, str(stage.get("wdir") or "."))
            paths += [joined(folder, path) for kind in kinds for path in listed_paths(stage.get(kind))]
    return sorted({path for path in paths if "${" not in path})


def never_run(git: Git, revision: str | None, project: str) -> dict[str, list[str]]:
    """Stages with outputs for DVC that ``dvc.lock`` does not know, by the lock file that lacks them.

    Raises
    ------
    InputError
        If ``dvc.yaml`` or ``dvc.lock`` is not YAML.
    """
    missing: dict[str, list[str]] = {}
    for name, plan in plans(git, revision, project).items():
        lock = posixpath.join(posixpath.dirname(name), "dvc.lock")
        known = _locked(git, revision, lock)
        names = plan.get("stages")
        for stage, definition in names.items() if isinstance(names, Mapping) else []:
            if not isinstance(definition, Mapping) or not _keeps(definition.get("do", definition)):
                continue
            if not any(done == stage or done.startswith(f"{stage}@") for done in known):
                missing.setdefault(lock, []).append(str(stage))
    return missing


def _locked(git: Git, revision: str | None, lock: str) -> list[str]:
    if revision is None:
        place = (git.root or git.folder) / lock
        content = place.read_bytes() if place.is_file() else None
    else:
        content = git.show(revision, lock)
    data = parse_yaml(content.decode("utf-8-sig", "replace"), lock) if content else {}
    names = data.get("stages") if isinstance(data, Mapping) else None
    return [str(name) for name in names] if isinstance(names, Mapping) else []


def _keeps(stage: Any) -> bool:
    """Whether a stage has an output that DVC keeps (and not Git)."""
    if not isinstance(stage, Mapping):
        return False
    for kind in ("outs", "metrics", "plots"):
        listed = stage.get(kind)
        for out in listed if isinstance(listed, list) else []:
            flags = next(iter(out.values()), None) if isinstance(out, Mapping) else None
            if not (isinstance(flags, Mapping) and flags.get("cache") is False):
                return True
    return False
