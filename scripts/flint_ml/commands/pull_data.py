"""pull-data: the exact DVC-tracked data of this commit, checked file by file, and what changed against the base."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from flint_ml.commands import names
from flint_ml.dvc_project import (
    NAMED,
    WATCHED,
    Changes,
    DvcProject,
    Entry,
    Verification,
    base_entries,
    cache_key,
    data_changes,
    declared,
    describe_changes,
    dvc_root,
    fingerprint,
    joined,
    never_run,
    paths_in_settings,
    project_folder,
    select_targets,
    size_text,
    tracked,
    within,
)
from flint_ml.errors import InputError, OutsideError
from flint_ml.git import Base, Git
from flint_ml.record import BaseSide, Column, Finding, Input, Metric, Table
from flint_ml.record import Changes as RecordChanges
from flint_ml.runner import Action, ActionInputs, Job, Outcome, parse_settings

_MAX_LISTED = 2_000
_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSW|ACCESS_KEY|ACCOUNT_KEY|CONNECTION_STRING|SAS_", re.IGNORECASE)


class PullDataInputs(ActionInputs):
    """Inputs of pull-data."""

    targets: list[str] = Field(
        default_factory=list,
        description="What to pull: tracked files or folders, `.dvc` files, stages or patterns such as `data/*.csv`, "
        "one a line or with commas between. Default: everything.",
    )
    remote: str = Field("", description="Name of the DVC remote. Default: the project's default remote.")
    revision: str = Field(
        "",
        description="Commit, branch or tag whose data to bring into the DVC cache. Default: the working tree, whose "
        "data is also checked out.",
    )
    base_revision: str = Field(
        "auto",
        description="What to compare with: `auto` (by event: the pull request's base, the commit before a push), "
        "`none`, or a revision. Its metrics, predictions and reference are brought into the DVC cache.",
    )
    jobs: int | None = Field(None, ge=1, le=256, description="Parallel transfers. Default: DVC decides by remote.")
    allow_missing: bool = Field(
        False, description="Go on when the remote lacks some of the data: it is listed and the result is `warned`."
    )
    token: SecretStr | None = Field(
        None, description="Token that reads this repository, to fetch the base into a shallow clone."
    )


@dataclass(frozen=True)
class _Place:
    """Where the project lies: the repository, its top folder, and the DVC project's folder in it."""

    git: Git
    root: Path
    folder: str


@dataclass(frozen=True)
class _Found:
    """What one run found out."""

    entries: dict[str, Entry]
    wanted: list[Entry]
    check: Verification
    changes: Changes | None
    base: Base | None
    revision: str | None


def run(inputs: PullDataInputs, job: Job) -> Outcome:
    """Fetch, check out, check, compare."""
    for name, value in job.env.items():
        if _SECRET_NAME.search(name) and len(value) >= 8:
            job.commands.mask(value)
    place = _find_project(job)
    revision = _revision(inputs.revision, place.git)
    entries = _entries(place, revision)
    findings = _never_run(inputs, place, revision, entries)
    wanted = select_targets(entries, inputs.targets, project_folder(place.git))
    base, notes = _base(inputs, job)
    changes = _changes(place, job, base, revision, entries)
    project = DvcProject(place.root, place.folder, remote=inputs.remote or None, jobs=inputs.jobs, say=job.say)
    with job.group(f"DVC: {len(wanted)} tracked, {size_text(sum(e.size or 0 for e in wanted))}"):
        check = _pull(project, wanted, revision, everything=not inputs.targets)
        findings += _refuse(check, inputs, project)
        if base is not None:
            notes += _fetch_base(project, place, job, base, wanted)
    if base is not None:  # again: folders can be compared file by file once their listings are here
        changes = _changes(place, job, base, revision, entries)
    return _outcome(job, place, _Found(entries, wanted, check, changes, base, revision), [*findings, *notes])


def _find_project(job: Job) -> _Place:
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
    found = dvc_root(job.workspace.base)
    if found is None or not found.is_relative_to(root):
        inside = sorted({Path(p).parent.parent.as_posix() for p in git.present() if Path(p).parent.name == ".dvc"})
        hint = "run `dvc init`, track your data with `dvc add` and commit .dvc"
        if inside:
            hint = f"set `working-directory: {inside[0]}`, where there is one"
        raise InputError(
            "there is no DVC project here (no .dvc folder)", where="working-directory", hint=hint, code="no-dvc"
        )
    folder = found.relative_to(root).as_posix()
    return _Place(git, root, "" if folder == "." else folder)


def _revision(text: str, git: Git) -> str | None:
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


def _entries(place: _Place, revision: str | None) -> dict[str, Entry]:
    """What this DVC project tracks; a project in a subfolder leaves its neighbours alone."""
    return {path: entry for path, entry in tracked(place.git, revision).items() if entry.root == place.folder}


def _never_run(inputs: PullDataInputs, place: _Place, revision: str | None, entries: dict[str, Entry]) -> list[Finding]:
    """A pipeline without dvc.lock is refused; a stage that is new is only named."""
    findings: list[Finding] = []
    for lock, stages in never_run(place.git, revision, place.folder).items():
        listed = ", ".join(f"`{stage}`" for stage in stages[:8])
        there = place.git.show(revision, lock) is not None if revision else (place.root / lock).is_file()
        if not there and not inputs.allow_missing:
            raise InputError(
                f"there is no {lock}, so nobody knows what the stages {listed} made",
                where=lock,
                hint="run `dvc repro`, `dvc push` and commit dvc.lock; or set `allow-missing: true` if a later step "
                "of this job runs the pipeline",
                code="no-dvc-lock",
            )
        message = f"never run, so without data: {listed} ({lock})"
        severity = "info" if there else "warning"
        findings.append(Finding.model_validate({"severity": severity, "code": "never-run", "message": message}))
    if not entries and not findings:
        findings.append(Finding(severity="warning", code="nothing-tracked", message="DVC tracks no data here yet"))
    return findings


def _base(inputs: PullDataInputs, job: Job) -> tuple[Base | None, list[Finding]]:
    """The base; where nobody asked for it and the clone is shallow, a note instead."""
    wanted = inputs.base_revision
    if wanted == "none":
        return None, []
    try:
        return job.base(wanted), []
    except InputError as error:
        if wanted != "auto" or "pull_request" in job.context.event or job.context.event_name == "merge_group":
            raise
        message = f"no comparison with the commit before: {error.message}"
        return None, [Finding(severity="info", code=error.code, message=message, hint=error.hint)]


def _changes(
    place: _Place, job: Job, base: Base | None, revision: str | None, entries: dict[str, Entry]
) -> Changes | None:
    if base is None:
        return None
    if revision is not None:
        return Changes(data=data_changes(tracked(place.git, base.commit), entries, place.folder, place.root))
    return describe_changes(
        place.git, base.commit, config=job.config, watched=_settings_paths(place, job, base, WATCHED)
    )


def _pull(project: DvcProject, wanted: list[Entry], revision: str | None, *, everything: bool) -> Verification:
    """Fetch, check out, check. Wrong content is thrown away and asked for once more, then it is the remote's."""
    if not wanted:
        return Verification()
    project.fetch(wanted, revision)
    suspect: set[str] = set()
    for attempt in range(2):
        if revision is None:
            project.checkout(wanted, everything=everything)
        check = project.verify(wanted, in_cache=revision is not None)
        # DVC deletes a wrong object from a remote that is a folder: what was wrong and is gone now was still wrong.
        check.corrupt += [path for path in check.missing_in_cache if path in suspect]
        if not check.corrupt:
            return check
        suspect |= set(check.corrupt)
        project.say(f"{len(check.corrupt)} files do not match their hash; they are removed from the cache")
        project.drop_corrupt(wanted, check.corrupt)
        if attempt == 0:
            project.fetch(wanted, revision)
    return check


def _refuse(check: Verification, inputs: PullDataInputs, project: DvcProject) -> list[Finding]:
    """Stop on wrong content and on missing data, unless missing data is allowed."""
    if check.corrupt:
        raise OutsideError(
            f"the DVC {project.remote_words} holds something else than was pushed for {_some(check.corrupt)}",
            hint="delete the wrong object from the remote, then `dvc push` from where the data is right",
            code="corrupt-object",
        )
    if not check.missing_in_cache:
        if check.missing_in_workspace:
            raise OutsideError(
                f"could not be put into the working tree: {_some(check.missing_in_workspace)}",
                hint="see whether the disk is full or the folder may not be written",
                code="checkout-failed",
            )
        return []
    message = f"the DVC {project.remote_words} lacks {_some(check.missing_in_cache)}"
    hint = "run `dvc push` where the data was made, to the same remote"
    if not inputs.allow_missing:
        hint += "; or set `allow-missing: true` to go on without"
        raise OutsideError(message, hint=hint, code="missing-on-remote")
    return [Finding(severity="warning", code="missing-on-remote", message=message, hint=hint)]


def _some(paths: list[str], limit: int = 5) -> str:
    rest = f" and {len(paths) - limit} more" if len(paths) > limit else ""
    return f"{len(paths)} file{'s' if len(paths) > 1 else ''}: {', '.join(paths[:limit])}{rest}"


def _fetch_base(project: DvcProject, place: _Place, job: Job, base: Base, pulled: list[Entry]) -> list[Finding]:
    """Bring what a comparison needs of the base into the cache, unless it was just pulled."""
    before = {path: entry for path, entry in tracked(place.git, base.commit).items() if entry.root == place.folder}
    here = project_folder(place.git)
    paths = [joined(here, path) for path in _settings_paths(place, job, base)]
    needed = base_entries(before, {entry.path: entry for entry in pulled}, [*paths, *declared(place.git, base.commit)])
    if not needed:
        return []
    project.say(f"base {base.commit[:10]}: {', '.join(entry.path for entry in needed[:8])}")
    project.fetch(needed, base.commit)
    check = project.verify(needed, in_cache=True)
    project.drop_corrupt(needed, check.corrupt)
    lacking = [*check.missing_in_cache, *check.corrupt]
    if not lacking:
        return []
    message = f"of the base {base.commit[:10]} the DVC {project.remote_words} lacks {_some(lacking)}"
    hint = "a comparison that needs it stops with an error; push it from where it was made"
    return [Finding(severity="warning", code="base-missing-on-remote", message=message, hint=hint)]


def _settings_paths(place: _Place, job: Job, base: Base, keys: Mapping[str, Sequence[str]] = NAMED) -> list[str]:
    """Files that flint-ml.yml names for comparisons, here and at the base."""
    path = job.path(job.config, "config")
    texts = [path.read_bytes()] if path.is_file() else []
    if path.is_relative_to(place.root):
        old = place.git.show(base.commit, path.relative_to(place.root).as_posix())
        texts += [old] if old else []
    found: list[str] = []
    for text in texts:
        try:
            found += paths_in_settings(
                parse_settings(text.decode("utf-8-sig", "replace"), job.config, names()).sections, keys
            )
        except InputError:
            continue  # its own action says so; the data does not depend on it
    return list(dict.fromkeys(found))


def _table(changes: Changes | None, base: Base | None) -> list[Table]:
    if changes is None or base is None or not changes.data:
        return []
    rows: list[list[Any]] = []
    for row in changes.data[:500]:
        inside = row["files"]
        counts = ", ".join(f"{number} {word}" for word, number in inside.items() if number) if inside else ""
        old, new = (size_text(row[key]) if row[key] is not None else "–" for key in ("base_size", "size"))
        rows.append([row["path"], f"{row['change']}{f' ({counts})' if counts else ''}", old, new])
    columns = [Column(name=name) for name in ("data", "change", "size at base", "size now")]
    return [Table(title=f"Data against {base.how}", columns=columns, rows=rows)]


def _headline(check: Verification, wanted: list[Entry], changes: Changes | None, revision: str | None) -> str:
    count = f"{check.files:,} file{'' if check.files == 1 else 's'}"
    text = f"{count}, {size_text(check.bytes)}, every hash as in the commit"
    if not wanted:
        text = "no data to pull"
    if check.missing_in_cache:
        text = f"the remote lacks {_some(check.missing_in_cache, 3)}; {count} pulled and checked"
    if revision:
        text += f" ({revision[:10]}, cache only)"
    paths = [row["path"] for row in changes.data] if changes else []
    if changes is not None:
        listed = f" ({', '.join(paths[:3])}{' …' if len(paths) > 3 else ''})" if paths else ""
        text += f"; {len(paths)} changed against the base{listed}" if paths else "; data as at the base"
    return text


def _outcome(job: Job, place: _Place, found: _Found, findings: list[Finding]) -> Outcome:
    entries, wanted, check = found.entries, found.wanted, found.check
    changes, base, revision = found.changes, found.base, found.revision
    incomplete = any(f.severity == "warning" and f.code != "base-missing-on-remote" for f in findings)
    mark = fingerprint(entries.values())
    job.used += [Input(path=e.path, md5=e.md5, bytes=e.size) for e in wanted[:_MAX_LISTED]]
    files = [{"path": e.path, "md5": e.md5, "size": e.size, "nfiles": e.nfiles} for e in wanted[:_MAX_LISTED]]
    details: dict[str, Any] = {
        "fingerprint": mark,
        "files": files,
        "files_not_listed": max(0, len(wanted) - _MAX_LISTED),
        "missing": check.missing_in_cache[:_MAX_LISTED],
        "base": {"commit": base.commit, "how": base.how} if base else None,
        "changes": changes.as_dict() if changes else None,
    }
    message = (
        f"{len(check.missing_in_cache)} missing"
        if check.missing_in_cache
        else "incomplete"
        if incomplete
        else "complete"
    )
    system = job.env.get("RUNNER_OS") or platform.system()
    return Outcome(
        "warned" if incomplete else "passed",
        _headline(check, wanted, changes, revision),
        message,
        metrics={"files": Metric(value=check.files), "bytes": Metric(value=check.bytes, unit="bytes")},
        tables=_table(changes, base),
        base=BaseSide(commit=base.commit, how=base.how) if base else None,
        changes=RecordChanges.clipped(changes.as_dict()) if changes else None,
        fingerprint=mark,
        reproduce=["dvc pull"] if wanted else [],
        advice="bring the missing data to the remote (`dvc push`) and run again" if check.missing_in_cache else "",
        details=details,
        findings=findings,
        outputs={
            "fingerprint": mark,
            "changed": [row["path"] for row in changes.data] if changes else [],
            "files": check.files,
            "bytes": check.bytes,
            "cache-key": cache_key(system, _dvc_texts(place, revision)),
        },
        base_sha=base.commit if base else None,
    )


def _dvc_texts(place: _Place, revision: str | None) -> dict[str, bytes]:
    """Contents of dvc.lock and ``*.dvc``, which the cache's key is made of."""
    listing = place.git.files(revision) if revision else place.git.present()
    paths = [p for p in listing if within(p, place.folder) and (p.endswith(".dvc") or Path(p).name == "dvc.lock")]
    if revision:
        return place.git.show_many(revision, paths)
    return {path: (place.root / path).read_bytes() for path in paths}


ACTION = Action(
    name="pull-data",
    fetches_base=True,
    summary="bring the exact DVC-tracked data of this commit onto this machine",
    description="Pull the exact DVC-tracked data of this commit, check every file against its hash, and say what "
    "changed against the base.",
    badge="Data",
    spoken="the data check",
    inputs=PullDataInputs,
    run=run,
    outputs={
        "fingerprint": "Hash over paths and md5s of all tracked data of this commit; the same data, the same hash.",
        "changed": "JSON list of the data that differs from the base.",
        "files": "Number of files pulled and checked.",
        "bytes": "Their size in bytes.",
        "cache-key": "Key for actions/cache: `dvc-<os>-<hash of dvc.lock and *.dvc>`.",
    },
    icon="download-cloud",
    color="blue",
)
