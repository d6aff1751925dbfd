"""pull-data: the exact DVC-tracked data of this commit, checked file by file, and what changed against the base."""

from __future__ import annotations

from pydantic import Field, SecretStr

from flint_ml.commands.pull_data.outcome import Pulled, planned, refuse, summary_of_files, to_outcome
from flint_ml.commands.pull_data.project import (
    ProjectPlace,
    changes_against,
    fences,
    find_base,
    find_project,
    never_run_findings,
    paths_for_comparison,
    resolve_revision,
    tracked_here,
)
from flint_ml.dvc_project import (
    Changes,
    DvcProject,
    Entry,
    Plan,
    Verification,
    base_entries,
    declared,
    holder,
    joined,
    project_folder,
    select_targets,
)
from flint_ml.git import Base
from flint_ml.record import Finding
from flint_ml.runner import Action, ChangeInputs, Job, Outcome
from flint_ml.text.secrets import secret_values


class PullDataInputs(ChangeInputs):
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
    dry_run: bool = Field(
        False,
        description="Only say what a pull would do: files needed, cached, to come, not on the remote, bytes, free "
        "disk. Listings of folders are brought into the cache, nothing else.",
    )
    token: SecretStr | None = Field(
        None, description="Token that reads this repository, to fetch the base into a shallow clone."
    )


def run(inputs: PullDataInputs, job: Job) -> Outcome:
    """Fetch, check out, check, compare."""
    for value in secret_values(job.env):
        if len(value) >= 8:
            job.commands.mask(value)
    place = find_project(job)
    revision = resolve_revision(inputs.revision, place.git)
    entries = tracked_here(place, revision)
    targets = select_targets(entries, inputs.targets, project_folder(place.git))
    base, notes = find_base(inputs.base_revision, job)
    findings = never_run_findings(place, revision, base, entries, allow_missing=inputs.allow_missing)
    fence = fences(place, job, base, targets)
    findings += fence.findings
    project = DvcProject(
        place.root,
        place.folder,
        remote=inputs.remote or None,
        jobs=inputs.jobs,
        base_config=fence.base_config,
        no_origin=fence.no_origin,
        say=job.say,
    )
    if inputs.dry_run:
        return planned(project.look_ahead(targets, revision), entries, findings)
    with job.group(f"DVC: {summary_of_files(targets)}"):
        state = _pull(project, targets, revision)
        plan = project.plan
        findings += refuse(state, targets, project, allow_missing=inputs.allow_missing)
        if base is not None:
            notes += _fetch_base(project, place, job, base, targets)
    # Only now: folders can be compared file by file once their listings are here.
    changes: Changes | None = changes_against(place, job, base, revision, entries)
    pulled = Pulled(entries, targets, state, changes, base, revision, plan)
    return to_outcome(job, place, pulled, [*findings, *notes])


def _pull(project: DvcProject, targets: list[Entry], revision: str | None) -> Verification:
    """Fetch, check out, check. Wrong content is thrown away and asked for once more, then it is the remote's."""
    if not targets:
        return Verification()
    in_cache = revision is not None
    state = project.verify(targets, in_cache=in_cache)
    if not state.wrong:
        project.plan = Plan(state.files, state.files, free=project.plan.free)
        return state
    from_remote = set(state.missing_in_cache)
    project.fetch(targets, revision)
    suspect: set[str] = set()
    for attempt in range(2):
        dropped: list[str] = []
        if not in_cache:
            by_path = {entry.path: entry for entry in targets}
            wrong = {entry.path for path in state.wrong if (entry := holder(by_path, path))}
            dropped = project.checkout([entry for entry in targets if entry.path in wrong])
        state = project.verify(targets, in_cache=in_cache)
        # What came wrong from the remote, was thrown away and did not come again is still wrong.
        state.corrupt += [path for path in state.missing_in_cache if path in suspect]
        dropped += [path for path in state.corrupt if path not in suspect and path not in state.refused]
        if not dropped:
            return state
        project.say(f"{len(dropped)} files do not match their hash; they are removed from the cache")
        project.drop_corrupt(targets, dropped)
        if attempt == 0:
            suspect = set(dropped) & from_remote
            project.fetch(targets, revision)
    return state


def _fetch_base(project: DvcProject, place: ProjectPlace, job: Job, base: Base, pulled: list[Entry]) -> list[Finding]:
    """Bring what a comparison needs of the base into the cache, unless it was just pulled."""
    before = tracked_here(place, base.commit)
    folder = project_folder(place.git)
    paths = [joined(folder, path) for path in paths_for_comparison(place, job, base)]
    needed = base_entries(before, {entry.path: entry for entry in pulled}, [*paths, *declared(place.git, base.commit)])
    needed = [entry for entry in needed if entry.pushed and not entry.partial]
    if not needed:
        return []
    project.say(f"base {base.commit[:10]}: {', '.join(entry.path for entry in needed[:8])}")
    project.fetch(needed, base.commit)
    state = project.verify(needed, in_cache=True)
    project.drop_corrupt(needed, state.corrupt)
    missing = [*state.missing_in_cache, *state.corrupt]
    if not missing:
        return []
    listed = f"{len(missing)} file{'s' if len(missing) > 1 else ''}: {', '.join(missing[:5])}"
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    message = f"of the base {base.commit[:10]} the DVC {project.remote_words} lacks {listed}{more}"
    hint = "a comparison that needs it stops with an error; push it from where it was made"
    return [Finding(severity="warning", code="base-missing-on-remote", message=message, hint=hint)]


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
