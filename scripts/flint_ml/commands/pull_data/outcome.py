"""What pull-data says: refusals, table, headline, evidence."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flint_ml.commands.pull_data.project import ProjectPlace
from flint_ml.dvc_project import (
    Changes,
    DvcProject,
    Entry,
    Plan,
    Verification,
    cache_key,
    fingerprint,
    size_text,
    within,
)
from flint_ml.errors import InputError, OutsideError
from flint_ml.git import Base
from flint_ml.record import (
    DATA,
    BaseSide,
    Column,
    Finding,
    Input,
    Metric,
    Piece,
    Table,
    left_out,
    looked,
    not_applicable,
)
from flint_ml.record import Changes as RecordChanges
from flint_ml.runner import Job, Outcome

_MAX_LISTED = 2_000
# With less than this free, or less than the data take, a disk counts as full.
_FULL_BYTES = 1_000_000


@dataclass(frozen=True)
class Pulled:
    """What one run brought: all entries, those that were asked for, how they stand, changes, base, revision, plan."""

    entries: Mapping[str, Entry]
    targets: list[Entry]
    state: Verification
    changes: Changes | None
    base: Base | None
    revision: str | None
    plan: Plan


def summary_of_files(targets: Sequence[Entry]) -> str:
    """``3 tracked, 1.2 MB``."""
    return f"{len(targets)} tracked, {size_text(sum(entry.size or 0 for entry in targets))}"


def refuse(state: Verification, targets: Sequence[Entry], project: DvcProject, *, allow_missing: bool) -> list[Finding]:
    """Stop on wrong content and on missing data, unless missing data is allowed; name what is never pushed."""
    if state.corrupt:
        raise OutsideError(
            f"the DVC {project.remote_words} holds something else than was pushed for {some(state.corrupt)}",
            hint="`dvc push` again from where the data is right, after deleting these objects from the remote: "
            + ", ".join(_hashes(targets, state.corrupt)),
            code="corrupt-object",
        )
    never_pushed = {entry.path for entry in targets if not entry.pushed}
    missing = [path for path in state.missing_in_cache if not _below(path, never_pushed)]
    findings = []
    if local := [path for path in state.missing_in_cache if _below(path, never_pushed)]:
        message = f"never pushed (`push: false`), so not here: {some(local)}"
        hint = "the stage that makes it makes it again"
        findings.append(Finding(severity="info", code="never-pushed", message=message, hint=hint))
    if missing:
        findings += _missing(missing, project, allow_missing=allow_missing)
    elif unplaced := [path for path in [*state.missing_in_workspace, *state.differs] if not _below(path, never_pushed)]:
        raise _not_placed(unplaced, targets, project)
    return findings


def _missing(missing: list[str], project: DvcProject, *, allow_missing: bool) -> list[Finding]:
    if origins := {path: why for path, why in project.no_origin.items() if path in missing}:
        path, why = next(iter(origins.items()))
        message = f"the DVC {project.remote_words} lacks {some(missing)}; it was not fetched from elsewhere, for {why}"
        hint = f"`dvc import` or `dvc push` {path} where it may be read, so that the remote holds it"
        if not allow_missing:
            raise InputError(message, hint=hint, code="import-source-refused")
        return [Finding(severity="warning", code="import-source-refused", message=message, hint=hint)]
    message = f"the DVC {project.remote_words} lacks {some(missing)}"
    hint = "run `dvc push` where the data was made, to the same remote"
    if not allow_missing:
        raise OutsideError(
            message, hint=hint + "; or set `allow-missing: true` to go on without", code="missing-on-remote"
        )
    return [Finding(severity="warning", code="missing-on-remote", message=message, hint=hint)]


def _not_placed(paths: list[str], targets: Sequence[Entry], project: DvcProject) -> InputError | OutsideError:
    """Why data that is in the cache is not, or not right, in the working tree: only what is known is said."""
    free = shutil.disk_usage(project.git_root).free
    needed = max((entry.size or 0 for entry in targets if any(within(p, entry.path) for p in paths)), default=0)
    if free < max(needed, _FULL_BYTES):
        return OutsideError(
            f"the disk is full ({size_text(free)} free): no room for {some(paths)}",
            hint="free space on the runner, or pull fewer `targets`",
            code="disk-full",
        )
    return InputError(
        f"could not be put into the working tree: {some(paths)}",
        hint=f"`dvc checkout {paths[0]}` at a terminal says why",
        code="checkout-failed",
    )


def _below(path: str, folders: set[str]) -> bool:
    return any(within(path, folder) for folder in folders)


def _hashes(targets: Sequence[Entry], paths: Sequence[str]) -> list[str]:
    """Hashes of what is wrong, by which a remote names its objects; a folder's are in its listing."""
    known = {entry.path: entry.md5 for entry in targets}
    return [f"{known[path][:2]}/{known[path][2:]}" if path in known else path for path in paths[:5]]


def some(paths: Sequence[str], limit: int = 5) -> str:
    """``7 files: a, b, c, d, e and 2 more``."""
    rest = f" and {len(paths) - limit} more" if len(paths) > limit else ""
    return f"{len(paths)} file{'s' if len(paths) > 1 else ''}: {', '.join(paths[:limit])}{rest}"


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


def _headline(pulled: Pulled) -> str:
    state, changes = pulled.state, pulled.changes
    count = f"{state.files:,} file{'' if state.files == 1 else 's'}"
    text = f"{count}, {size_text(state.bytes)}, every hash as in the commit"
    if not pulled.targets:
        text = "no data to pull"
    if state.missing_in_cache:
        text = f"the remote lacks {some(state.missing_in_cache, 3)}; {count} pulled and checked"
        if set(state.missing_in_cache) <= {entry.path for entry in pulled.targets if not entry.pushed}:
            whole = f"{count}, {size_text(state.bytes)}, every hash as in the commit"
            text = f"{whole}; {len(state.missing_in_cache)} never pushed"
    if pulled.revision:
        text += f" ({pulled.revision[:10]}, cache only)"
    if changes is not None:
        paths = [row["path"] for row in changes.data]
        listed = f" ({', '.join(paths[:3])}{' …' if len(paths) > 3 else ''})" if paths else ""
        text += f"; {len(paths)} changed against the base{listed}" if paths else "; data as at the base"
    return text


def coverage(pulled: Pulled) -> list[Piece]:
    """Evidence about the data: how many files are here and right, and each that is not, with the reason."""
    state = pulled.state
    if not pulled.entries:
        return [not_applicable(DATA, "DVC keeps no data in this project")]
    never_pushed = {entry.path for entry in pulled.targets if not entry.pushed}
    required = [path for path in state.missing_in_cache if not _below(path, never_pushed)]
    pieces = [looked(DATA, state.files, state.files + len(required), "files")]
    pieces += [
        left_out(DATA, path, "the remote does not hold it", "dvc push, where the data was made")
        for path in required[:20]
    ]
    pieces += [
        not_applicable(DATA, "`push: false`: the stage that makes it makes it again", path)
        for path in state.missing_in_cache[:20]
        if _below(path, never_pushed)
    ]
    return pieces


def to_outcome(job: Job, place: ProjectPlace, pulled: Pulled, findings: list[Finding]) -> Outcome:
    """The record's fields, the outputs and the status."""
    targets, state, changes, base = pulled.targets, pulled.state, pulled.changes, pulled.base
    incomplete = any(f.severity == "warning" and f.code != "base-missing-on-remote" for f in findings)
    mark = fingerprint(pulled.entries.values())
    job.used += [Input(path=e.path, md5=e.md5 or None, bytes=e.size) for e in targets[:_MAX_LISTED]]
    files = [{"path": e.path, "md5": e.md5, "size": e.size, "nfiles": e.nfiles} for e in targets[:_MAX_LISTED]]
    details: dict[str, Any] = {
        "fingerprint": mark,
        "files": files,
        "files_not_listed": max(0, len(targets) - _MAX_LISTED),
        "plan": pulled.plan.as_dict(),
        "missing": state.missing_in_cache[:_MAX_LISTED],
        "base": {"commit": base.commit, "how": base.how} if base else None,
        "changes": changes.as_dict() if changes else None,
    }
    lacking = any(finding.code in {"missing-on-remote", "import-source-refused"} for finding in findings)
    message = "incomplete" if incomplete else "complete"
    if lacking:
        message = f"{len(state.missing_in_cache)} missing"
    system = job.env.get("RUNNER_OS") or platform.system()
    return Outcome(
        "warned" if incomplete else "passed",
        _headline(pulled),
        message,
        metrics={"files": Metric(value=state.files), "bytes": Metric(value=state.bytes, unit="bytes")},
        tables=_table(changes, base),
        base=BaseSide(commit=base.commit, how=base.how) if base else None,
        changes=RecordChanges.clipped(changes.as_dict()) if changes else None,
        fingerprint=mark,
        coverage=coverage(pulled),
        reproduce=["dvc pull"] if targets else [],
        advice="bring the missing data to the remote (`dvc push`) and run again" if lacking else "",
        details=details,
        findings=findings,
        outputs={
            "fingerprint": mark,
            "changed": [row["path"] for row in changes.data] if changes else [],
            "files": state.files,
            "bytes": state.bytes,
            "cache-key": cache_key(system, _dvc_texts(place, pulled.revision)),
        },
        base_sha=base.commit if base else None,
    )


def planned(plan: Plan, entries: Mapping[str, Entry], findings: list[Finding]) -> Outcome:
    """What a pull would do. Nothing was brought, so nothing is proved."""
    mark = fingerprint(entries.values())
    return Outcome(
        "warned",
        f"dry run: {plan.words()}",
        "planned",
        fingerprint=mark,
        coverage=[left_out(DATA, "all data", "a dry run brings no data", "leave `dry-run` out")],
        details={"fingerprint": mark, "plan": plan.as_dict()},
        findings=findings,
        outputs={"fingerprint": mark, "changed": [], "files": 0, "bytes": 0, "cache-key": ""},
    )


def _dvc_texts(place: ProjectPlace, revision: str | None) -> dict[str, bytes]:
    """Contents of dvc.lock and ``*.dvc``, which the cache's key is made of."""
    listing = place.git.files(revision) if revision else place.git.present()
    paths = [p for p in listing if within(p, place.folder) and (p.endswith(".dvc") or Path(p).name == "dvc.lock")]
    if revision:
        return place.git.show_many(revision, paths)
    return {path: (place.root / path).read_bytes() for path in paths}
