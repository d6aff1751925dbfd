"""Which metrics a change is compared with: a file, the base revision, a registered version, or main's last run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flint_ml import record as records
from flint_ml.commands.compare_metrics.inputs import CompareMetricsInputs as Inputs
from flint_ml.dvc_project import project_folder
from flint_ml.errors import FlintError, InputError
from flint_ml.metrics import (
    At,
    MetricsFile,
    Stored,
    StoredFiles,
    WorkingTree,
    base_staleness,
    declared_files,
    in_folder,
    is_glob,
    read_named,
    section_at,
    stored_files,
)
from flint_ml.record import Finding, Record
from flint_ml.runner import Job

STAGING = "staging"
# Words that `base` may be; everything else is a version's address, a file or a folder.
WORDS = ("auto", "revision", STAGING, "artifact")
ARTIFACT_SECONDS = 40.0


@dataclass
class Sides:
    """Metrics of both sides by file; ``base`` is None where there is nothing to compare with.

    Attributes
    ----------
    how, label
        What the base is, in words, and as a column's heading (empty: the base revision).
    commit
        The base revision, whose files say what the change changes.
    at
        The project's folder at that revision.
    files
        Where the base's predictions and benchmark are.
    kind
        ``revision``, ``file``, ``version`` or ``artifact``.
    stale
        What to say where the base's metrics are older than its files.
    """

    head: dict[str, MetricsFile]
    base: dict[str, MetricsFile] | None
    how: str
    commit: str | None = None
    at: At | None = None
    files: At | StoredFiles | None = None
    kind: str = "revision"
    label: str = ""
    named: str = ""
    stale: Finding | None = None
    findings: list[Finding] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For ``details["base"]``."""
        commit = self.files.stored.commit if isinstance(self.files, StoredFiles) else self.commit
        return {"commit": commit, "how": self.how, "kind": self.kind, "label": self.label, "named": self.named}


def read_sides(inputs: Inputs, job: Job) -> Sides:
    """This change's metrics from the working tree, the base's from where it is."""
    head = _head(inputs, job)
    kind = inputs.base or "auto"
    version = _version_named(kind)
    if kind not in WORDS and version is None:
        return _from_file(inputs, job, head)
    sides = _revision(inputs, job, head, must=kind in ("auto", "revision"))
    if kind == "revision":
        return sides
    if version is not None:
        return _with(sides, _registered(inputs, job, *version), named=True)
    if kind == STAGING:
        return _with(sides, _registered(inputs, job, _model_name(inputs, job, must=True), STAGING), named=True)
    if kind == "artifact":
        return _with(sides, _last_run(inputs, job), named=True)
    return sides if sides.base and sides.stale is None else _elsewhere(inputs, job, sides)


def _head(inputs: Inputs, job: Job) -> dict[str, MetricsFile]:
    tree = WorkingTree(job.workspace.base)
    patterns = inputs.metrics or declared_files(job.git, None, project(job)) or ["metrics.json"]
    for pattern in patterns:
        if not is_glob(pattern):
            job.path(pattern, "metrics")
    paths = tree.expand(patterns)
    for path in paths:
        job.use(job.existing(path, "metrics"))
    return tree.read(paths)


def project(job: Job) -> str:
    """The project's folder relative to the Git root."""
    return project_folder(job.git)


def _from_file(inputs: Inputs, job: Job, head: dict[str, MetricsFile]) -> Sides:
    named, findings = _as_at_base(job, inputs.base)
    base = read_named(named, inputs.base, list(head))
    if named.is_file():
        job.use(named, inputs.base)
    sides = _revision(inputs, job, head, must=False, content=False)
    return Sides(
        head,
        base,
        f"`{inputs.base}`",
        sides.commit,
        sides.at,
        sides.at,
        kind="file",
        label=inputs.base,
        named=inputs.base,
        findings=findings,
    )


def _as_at_base(job: Job, text: str) -> tuple[Path, list[Finding]]:
    """The file or folder of the base's metrics, and what this change did to it.

    What Git keeps is taken as the base has it: a change that writes it would choose what it is compared with. A file
    that Git does not keep was brought by the workflow.
    """
    path = job.existing(text, "base")
    commit, root = job.known_commit, job.git.root
    if not job.by_base or commit is None or root is None:
        return path, []
    name = path.relative_to(root.resolve()).as_posix() if path.is_relative_to(root.resolve()) else ""
    contents = job.git.show_many(commit, job.git.files(commit, name)) if name else {}
    if not contents:
        if not job.git.tracked(path):
            return path, []
        message = f"the metrics `{text}` to compare with are new with this change"
        return path, [Finding(severity="warning", code="gate-unverified", message=message, hint="look at their origin")]
    present = {each: (root / each).read_bytes() if (root / each).is_file() else None for each in contents}
    if present == contents and len(job.git.tracked(path)) == len(contents):
        return path, []
    for each, content in contents.items():
        copy = job.scratch_dir / "base-metrics" / each
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
    message = f"this change alters the metrics `{text}` to compare with; the base's version of them was taken"
    hint = "they hold after the merge"
    found = Finding(severity="warning", code="gate-changed", message=message, hint=hint)
    return job.scratch_dir / "base-metrics" / name, [found]


def _revision(inputs: Inputs, job: Job, head: dict[str, MetricsFile], *, must: bool, content: bool = True) -> Sides:
    """The base revision and its metrics; without ``must`` it may be out of reach."""
    try:
        revision = job.base(inputs.base_revision)
    except FlintError:
        if must or inputs.base_revision != "auto":
            raise
        revision = None
    if revision is None:
        return Sides(head, None, "no revision to compare with: this is the first commit, or no Git repository")
    at = At(job.git, revision.commit, project(job))
    sides = Sides(head, None, revision.how, revision.commit, at, at)
    if not content:
        return sides
    named = [in_folder(job.workspace.base, pattern) for pattern in inputs.metrics]
    patterns = named or declared_files(job.git, revision.commit, at.project) or list(head)
    paths = list(dict.fromkeys([*at.expand(patterns), *head]))
    sides.base = at.read(paths) or None
    if sides.base is None:
        sides.how = f"{revision.how} has no {', '.join(paths[:3])}"
    else:
        sides.stale = base_staleness(at)
    return sides


@dataclass(frozen=True)
class _Search:
    """A stored base, or why none was found."""

    stored: Stored | None = None
    kind: str = ""
    why: str = ""
    named: str = ""
    findings: tuple[Finding, ...] = ()


def _with(sides: Sides, search: _Search, *, named: bool, because: str = "") -> Sides:
    """``sides`` with the stored base in the place of the revision's metrics."""
    if search.stored is None:
        if named:
            raise InputError(
                search.why,
                where="base",
                code="base-not-found",
                hint="`base: auto` takes the next one that there is; see docs/metrics.md",
            )
        return sides
    stored = search.stored
    at = None
    if stored.commit and sides.at and sides.at.git.commit(stored.commit):
        at = At(sides.at.git, stored.commit, sides.at.project)
    how = f"{stored.how}, because {because}" if because else stored.how
    base = stored_files(stored, sides.head)
    files = StoredFiles(stored, at)
    findings = list(search.findings)
    if because:
        findings.append(Finding(severity="info", code="base-elsewhere", message=f"compared with {how}"))
    return Sides(
        sides.head,
        base or None,
        how,
        sides.commit,
        sides.at,
        files,
        kind=search.kind,
        label=stored.label,
        named=search.named,
        findings=findings,
    )


def _elsewhere(inputs: Inputs, job: Job, sides: Sides) -> Sides:
    """The version in Staging, then main's last run; where neither can be read, what the revision has."""
    reasons = [sides.stale.message if sides.stale else sides.how]
    for look in (_staged, _main_run):
        try:
            search = look(inputs, job)
        except FlintError as error:
            search = _Search(why=f"{error.message} ({error.where})" if error.where else error.message)
        if search.stored is not None:
            made = _with(sides, search, named=False, because="; ".join(reasons))
            if made.base:
                return made
            search = _Search(why=f"{search.stored.how} has none of these metrics")
        reasons += [search.why] if search.why else []
    if sides.base is None:
        sides.how = "; ".join(reasons)
        hint = "the first merge makes one; or name a base: `base: old/metrics.json`"
        message = f"nothing to compare with: {sides.how}"
        sides.findings.append(Finding(severity="info", code="no-baseline", message=message, hint=hint))
    return sides


# -- the registry ----------------------------------------------------------------------------------------------


def _version_named(text: str) -> tuple[str, int | str] | None:
    if not text.startswith("models:"):
        return None
    from flint_ml.registry import parse_address

    version = parse_address(text)
    if version is None:
        raise InputError(
            f"`{text}` is not the address of a version",
            where="base",
            hint="`models:/name/3` or `models:/name@staging`",
            code="invalid-input",
        )
    return version


def _model_name(inputs: Inputs, job: Job, *, must: bool = False) -> str:
    """The model's name: the input, or that of the section `register-model` of the settings at the base."""
    name = inputs.model_name
    if not name and (base := job.base(inputs.base_revision)):
        at = At(job.git, base.commit, project(job))
        name = str(section_at(at, job.config, "register-model").get("model-name") or "")
    if not name and must:
        raise InputError(
            "is needed to find the version in Staging",
            where="model-name",
            code="missing-input",
            hint="give the registered model's name, or `base: models:/name@staging`",
        )
    return name


def _staged(inputs: Inputs, job: Job) -> _Search:
    """The version with the alias `staging`, where a registry is named."""
    address = inputs.tracking_uri.strip() or job.env.get("MLFLOW_TRACKING_URI", "").strip()
    if not address:
        return _Search()
    name = _model_name(inputs, job)
    if not name:
        return _Search(why="no `model-name` says which model's version in Staging would serve")
    if job.context.on_github and not address.lower().startswith(("http:", "https:")):
        return _Search(why="a registry file on the runner is within the change's own reach")
    return _registered(inputs, job, name, STAGING)


def _registered(inputs: Inputs, job: Job, name: str, which: int | str) -> _Search:
    """A version of a registered model: its stored record, else the metrics of its run."""
    from flint_ml.commands.registry import existing_registry
    from flint_ml.registry import connect, find_registered, mlflow_name

    address = existing_registry(inputs.tracking_uri, job)
    found = find_registered(connect(address, job.env), name, which)
    if found is None:
        what = f"version {which}" if isinstance(which, int) else f"a version with the alias {which}"
        return _Search(why=f"the registry has no model {name} with {what}")
    number = found.version.number
    staged = " (Staging)" if which == STAGING else ""
    record = _parsed(found.record(job.name), job.name)
    logged = {mlflow_name(key): value for key, value in found.metrics.items()}
    stored = Stored(
        f"version {number} of {name}{staged}",
        f"{name} v{number}",
        found.commit,
        record,
        logged if record is None else {},
        found.file,
    )
    findings = []
    if address.kind == "sqlite" and job.context.on_github:
        message = "the base comes from a registry file on this runner, which the change itself could write"
        findings.append(Finding(severity="warning", code="gate-unverified", message=message))
    return _Search(stored, "version", named=f"models:/{name}/{number}", findings=tuple(findings))


def _parsed(data: bytes | None, name: str) -> Record | None:
    """A stored record, read as strictly as any; None where it is not of compare-metrics."""
    if data is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.json"
        path.write_bytes(data)
        try:
            record = records.read(path)
        except InputError:
            return None
    return record if record.action == "compare-metrics" else None


# -- the last run on the default branch --------------------------------------------------------------------------


def _main_run(inputs: Inputs, job: Job) -> _Search:
    """Main's last run, where a token may ask for it."""
    return _last_run(inputs, job) if _token(inputs, job) else _Search()


def _token(inputs: Inputs, job: Job) -> str:
    token = inputs.token.get_secret_value().strip() if inputs.token else ""
    if not token and not job.context.on_github:
        token = job.env.get("GITHUB_TOKEN", "").strip()
        job.commands.mask(token)
    return token


def _last_run(inputs: Inputs, job: Job) -> _Search:
    """The results of the last successful run on the default branch, from its artifact."""
    from flint_ml.github import GitHub, runs
    from flint_ml.report import unpack

    context, env, token = job.context, job.env, _token(inputs, job)
    if not token:
        hint = "give `token: ${{ github.token }}`, and the job `permissions: actions: read`"
        raise InputError("reading another run needs a token", where="token", hint=hint, code="no-token")
    api = context.api_url if context.on_github else env.get("GITHUB_API_URL") or context.api_url
    repository = context.repository or env.get("GITHUB_REPOSITORY", "")
    github = GitHub(token, repository, api, deadline=ARTIFACT_SECONDS, say=job.say)
    branch = context.default_branch or "main"
    workflow = env.get("GITHUB_WORKFLOW_REF", "").partition("@")[0].rpartition("/")[2]
    found = runs.newest_results(github, runs.successful(github, branch, workflow, context.run_id), _names(inputs, job))
    if found is None:
        return _Search(why=f"no successful run on {branch} has left its results as an artifact")
    run, data = found
    record, problems = _of_archive(data, job, run.head_sha, unpack)
    if record is None:
        more = f" ({problems[0]})" if problems else ""
        return _Search(why=f"the results of run {run.run_id} on {branch} hold no record {job.name}{more}")
    how = f"the last successful run on `{branch}` ({run.url})"
    stored = Stored(how, f"{branch}, run {run.number}", run.head_sha, record)
    return _Search(stored, "artifact", named="artifact")


def _names(inputs: Inputs, job: Job) -> list[str]:
    """Names that the artifact may have; the gate's own are made with the job's name."""
    if inputs.base_artifact:
        return [inputs.base_artifact]
    mine = job.env.get("GITHUB_JOB", "")
    return [*([f"flint-ml-results-{mine}"] if mine else []), "flint-ml-results", "flint-ml-results*"]


def _of_archive(
    data: bytes, job: Job, head_sha: str, unpack: Callable[[bytes, Path], list[str]]
) -> tuple[Record | None, list[str]]:
    """This action's record from a run's results, if the run made it for its own commit."""
    with tempfile.TemporaryDirectory() as folder:
        problems = unpack(data, Path(folder))
        found, _ = records.read_all(Path(folder))
    fitting = [
        record
        for record in found
        if record.name == job.name
        and record.action == "compare-metrics"
        and record.status in ("passed", "warned")
        and record.provenance.head_sha == head_sha
    ]
    return next(iter(fitting), None), problems
