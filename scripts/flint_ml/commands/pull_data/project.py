"""Where pull-data works: the project, its base, what differs, and what a change may not decide about its own data."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flint_ml.commands import names
from flint_ml.dvc_project import (
    NAMED,
    WATCHED,
    Changes,
    Entry,
    data_changes,
    describe_changes,
    dvc_root,
    never_run,
    paths_in_settings,
    refuse_files,
    remote_settings,
    tracked,
    unreadable,
)
from flint_ml.errors import InputError
from flint_ml.git import Base, Git
from flint_ml.record import Finding
from flint_ml.runner import Job, parse_settings

# A change is judged: what it says about remotes and sources does not hold for itself.
_JUDGED = ("pull_request", "pull_request_target", "merge_group")


@dataclass(frozen=True)
class ProjectPlace:
    """The repository, its top folder, and the DVC project's folder in it."""

    git: Git
    root: Path
    folder: str


@dataclass(frozen=True)
class Fence:
    """What a change does not decide for itself.

    ``base_config`` is the base's ``.dvc/config`` where the change's differs; ``no_origin`` are the imports whose
    source is not asked, by path, with the reason.
    """

    base_config: bytes | None = None
    no_origin: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def find_project(job: Job) -> ProjectPlace:
    """The DVC project that the working directory belongs to.

    Raises
    ------
    InputError
        If there is none, or its settings name files of the repository (``refuse_files``).
    """
    git = job.git
    root = git.root
    if root is None:
        raise InputError(
            "this is not a Git repository",
            where="working-directory",
            hint="run it inside one; in a workflow, run actions/checkout before this step",
            code="no-repository",
        )
    root = root.resolve()
    project = dvc_root(job.workspace.base)
    if project is None or not project.is_relative_to(root):
        inside = sorted({Path(p).parent.parent.as_posix() for p in git.present() if Path(p).parent.name == ".dvc"})
        hint = "run `dvc init`, track your data with `dvc add` and commit .dvc"
        if inside:
            hint = f"set `working-directory: {inside[0]}`, where there is one"
        raise InputError(
            "there is no DVC project here (no .dvc folder)", where="working-directory", hint=hint, code="no-dvc"
        )
    refuse_files(git, project)
    folder = project.relative_to(root).as_posix()
    return ProjectPlace(git, root, "" if folder == "." else folder)


def resolve_revision(text: str, git: Git) -> str | None:
    """The commit that the input ``revision`` names; None for the working tree."""
    if not text:
        return None
    commit = git.commit(text) or git.commit(f"origin/{text}")
    if commit is None:
        raise InputError(
            f"`{text}` is not in this clone" + (" (this is a shallow clone)" if git.shallow else ""),
            where="revision",
            hint="set `fetch-depth: 0` on actions/checkout, or fetch that revision before this step",
            code="revision-not-fetched",
        )
    return commit


def tracked_here(place: ProjectPlace, revision: str | None) -> dict[str, Entry]:
    """What this DVC project tracks; a project in a subfolder leaves its neighbours alone."""
    return {path: entry for path, entry in tracked(place.git, revision).items() if entry.root == place.folder}


def never_run_findings(
    place: ProjectPlace, revision: str | None, base: Base | None, entries: Mapping[str, Entry], *, allow_missing: bool
) -> list[Finding]:
    """A pipeline without dvc.lock is refused; a stage that is new, or was as little run in the base, is only named."""
    findings: list[Finding] = []
    before = never_run(place.git, base.commit, place.folder) if base and allow_missing else {}
    if revision is not None and (faults := unreadable(place.git, revision)):
        raise next(iter(faults.values()))
    for lock, stages in never_run(place.git, revision, place.folder).items():
        listed = ", ".join(f"`{stage}`" for stage in stages[:8])
        locked = place.git.show(revision, lock) is not None if revision else (place.root / lock).is_file()
        if not locked and not allow_missing:
            raise InputError(
                f"there is no {lock}, so nobody knows what the stages {listed} made",
                where=lock,
                hint="run `dvc repro`, `dvc push` and commit dvc.lock; or set `allow-missing: true` if a later step "
                "of this job runs the pipeline",
                code="no-dvc-lock",
            )
        message = f"never run, so without data: {listed} ({lock})"
        calm = locked or before.get(lock) == stages
        findings.append(Finding(severity="info" if calm else "warning", code="never-run", message=message))
    if not entries and not findings:
        findings.append(Finding(severity="warning", code="nothing-tracked", message="DVC tracks no data here yet"))
    return findings


def find_base(revision: str, job: Job) -> tuple[Base | None, list[Finding]]:
    """The base; where nobody asked for it and the clone is shallow, a note instead."""
    if revision == "none":
        return None, []
    try:
        base = job.base(revision)
    except InputError as error:
        if revision != "auto" or "pull_request" in job.context.event or job.context.event_name == "merge_group":
            raise
        message = f"no comparison with the commit before: {error.message}"
        return None, [Finding(severity="info", code=error.code, message=message, hint=error.hint)]
    if base is None:
        return None, []
    faults = unreadable(job.git, base.commit)
    notes = [
        Finding(
            severity="warning",
            code="base-unreadable",
            message=f"of the base, {error.where}: {error.message}; it is left out of the comparison",
            hint="this change may repair it: look at the file in the diff",
        )
        for error in faults.values()
    ]
    return base, notes


def changes_against(
    place: ProjectPlace, job: Job, base: Base | None, revision: str | None, entries: Mapping[str, Entry]
) -> Changes | None:
    """What differs from the base; None without one."""
    if base is None:
        return None
    if revision is not None:
        return Changes(data=data_changes(tracked(place.git, base.commit), entries, place.folder, place.root))
    watched = paths_for_comparison(place, job, base, WATCHED)
    return describe_changes(place.git, base.commit, config=job.config, watched=watched)


def paths_for_comparison(
    place: ProjectPlace, job: Job, base: Base, keys: Mapping[str, Sequence[str]] = NAMED
) -> list[str]:
    """Files that flint-ml.yml names for comparisons, here and at the base."""
    path = job.path(job.config, "config")
    texts = [path.read_bytes()] if path.is_file() else []
    if path.is_relative_to(place.root):
        old = place.git.show(base.commit, path.relative_to(place.root).as_posix())
        texts += [old] if old else []
    paths: list[str] = []
    for text in texts:
        try:
            settings = parse_settings(text.decode("utf-8-sig", "replace"), job.config, names())
        except InputError:
            continue  # its own action says so; the data does not depend on it
        paths += paths_in_settings(settings.sections, keys)
    return list(dict.fromkeys(paths))


def fences(place: ProjectPlace, job: Job, base: Base | None, targets: Sequence[Entry]) -> Fence:
    """What of remotes and sources holds for this run.

    On a pull request the base's remotes count, and an import is not fetched from a source that the change added or
    altered. A source in a folder outside the repository is never read. At a terminal, and on a push, what is in the
    working tree counts.
    """
    outside = {
        entry.path: f"its source `{entry.origin}` lies outside this repository"
        for entry in targets
        if entry.imported and _outside(entry.origin)
    }
    if job.context.event_name not in _JUDGED or base is None:
        return Fence(no_origin=outside)
    findings: list[Finding] = []
    file = posixpath.join(place.folder, ".dvc/config")
    config = place.root / file
    ours, theirs = config.read_bytes() if config.is_file() else b"", place.git.show(base.commit, file)
    base_config = None
    if theirs is not None and remote_settings(ours) != remote_settings(theirs):
        base_config = theirs
        findings.append(
            Finding(
                severity="warning",
                code="remotes-changed",
                message=f"this change alters the remotes in {file}; the base's were used",
                hint="the new ones hold after the merge",
            )
        )
    before = tracked(place.git, base.commit)
    changed = {
        entry.path: f"this change made `{entry.origin}` its source"
        for entry in targets
        if entry.imported and entry.path not in outside and _origin(before, entry) != entry.origin
    }
    if changed:
        listed = ", ".join(f"{path} from {_source(targets, path)}" for path in list(changed)[:5])
        findings.append(
            Finding(
                severity="warning",
                code="import-source-changed",
                message=f"this change imports from a new source: {listed}",
                hint="look at the address; it is not asked before the merge, only the DVC remote is",
            )
        )
    return Fence(base_config, {**outside, **changed}, tuple(findings))


def _origin(before: Mapping[str, Entry], entry: Entry) -> str:
    old = before.get(entry.path)
    return old.origin if old else ""


def _source(targets: Sequence[Entry], path: str) -> str:
    return next(entry.origin for entry in targets if entry.path == path)


def _outside(origin: str) -> bool:
    """Whether a source is a folder of this machine outside the repository."""
    first = origin.partition(" ")[0]
    local = "://" not in first and not first.startswith("git@")
    return local and (posixpath.isabs(first) or first == ".." or first.startswith("../"))
