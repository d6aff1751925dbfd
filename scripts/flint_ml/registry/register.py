"""A model becomes a version: found again by its key, completed after a crash, settled after a race."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from flint_ml.errors import OutsideError
from flint_ml.registry.model_files import ModelFile, ModelFiles
from flint_ml.registry.store import Run, Store, Version
from flint_ml.registry.version import GATE, KEY, MODEL_SHA256, OWNER, is_dead

MODEL_FOLDER = "model"
ATTACHMENTS_FOLDER = "flint-ml"
_COMMIT = "mlflow.source.git.commit"
# Marks runs that register-model made; what a training logged is never deleted.
CREATED = "flint_ml.created_by"
CARD_PAGE = "model-card.html"
_AT_ONCE = 6
# What a gate's word is worth: a version never loses one.
_APPROVAL = {"not required": 1, "review": 2, "approved": 3}
_OF_THE_GATE = frozenset({"flint_ml.gate_reasons", "flint_ml.metrics", "metric"})


@dataclass(frozen=True)
class Submission:
    """Everything that is registered.

    Attributes
    ----------
    key
        See :func:`flint_ml.registry.version.idempotency_key`.
    owner
        See :func:`flint_ml.registry.version.owner`.
    training_run
        The MLflow run that trained the model, as the model itself says: where this registry knows it, the version
        belongs to it. A run of the experiment whose tag names the model's hash serves as well.
    attachments
        Further files (provenance, records, figures), name to file, stored beside the model.
    """

    name: str
    experiment: str
    key: str
    owner: str
    model: ModelFiles
    tags: Mapping[str, str] = field(default_factory=dict)
    run_tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    attachments: Mapping[str, Path] = field(default_factory=dict)
    description: str = ""
    training_run: str | None = None


@dataclass(frozen=True)
class Registration:
    """The version that carries the key, and what became of it.

    Attributes
    ----------
    created
        Whether this call made it.
    trained
        Whether its run is the training's own.
    approved_before
        What its gate said before this call, where this one's gate said more and the version was brought up to date.
    """

    version: Version
    created: bool
    trained: bool = False
    approved_before: str = ""


def register_model(store: Store, submission: Submission, say: Callable[[str], None] = lambda _: None) -> Registration:
    """Register a model once, however often and from however many jobs it is asked for.

    Raises
    ------
    OutsideError
        If the registry fails, or returns other bytes than were stored.
    """
    name = submission.name
    store.ensure_model(name)
    existing = store.versions(name, (KEY, submission.key))
    if existing:
        say(f"already registered: {existing[0].uri}")
        _remove(store, existing[1:], existing[0])
        return _known(store, submission, existing[0], say)
    run = _training_run(store, submission)
    if run is not None:
        say(f"run {run.id} trained this model; its version belongs to it")
        _log_missing(store, submission, run)
        _store_files(store, submission, run, say, stored=_stored_already(store, submission, run))
    else:
        run = _own_run(store, submission, say)
        # MLflow refuses to change a parameter; an interrupted attempt may have logged them.
        params = {name: value for name, value in submission.params.items() if name not in run.params}
        store.log(run.id, submission.metrics, params, {**submission.run_tags, OWNER: submission.owner})
        _store_files(store, submission, run, say)
        store.finish(run.id)
    version = store.create_version(
        name,
        f"{run.artifact_uri.rstrip('/')}/{MODEL_FOLDER}",
        run.id,
        {**submission.tags, KEY: submission.key, OWNER: submission.owner},
        described(submission, run),
    )
    return replace(_settle(store, submission, version, say), trained=CREATED not in run.tags)


def _known(store: Store, submission: Submission, version: Version, say: Callable[[str], None]) -> Registration:
    """A version that is there: where the gate has said more since, it gets that gate's word, metrics and files."""
    run = store.run(version.run_id) if version.run_id else None
    trained = run is not None and CREATED not in run.tags
    before = version.tags.get(GATE, "")
    if _APPROVAL.get(submission.tags.get(GATE, ""), 0) <= _APPROVAL.get(before, 0):
        return Registration(version, created=False, trained=trained)
    say(f"the gate said `{before or 'nothing'}` then and `{submission.tags[GATE]}` now: its word goes to {version.uri}")
    if run is not None:
        # The newest value of a metric is the one that MLflow shows.
        changed = {name: value for name, value in submission.metrics.items() if run.metrics.get(name) != value}
        missing = {name: value for name, value in submission.run_tags.items() if name not in run.tags}
        store.log(run.id, changed, {}, missing)
        attachments = replace(submission, model=replace(submission.model, files=()))
        _store_files(store, attachments, run, say)
        store.describe(version.name, version.number, described(submission, run))
    # The gate's word comes last: whoever reads it finds what it was said of.
    tags = {name: value for name, value in submission.tags.items() if name != GATE}
    for name, value in {**tags, GATE: submission.tags[GATE]}.items():
        if version.tags.get(name) != value:
            store.set_tag(version.name, version.number, name, value)
    for name in _OF_THE_GATE - submission.tags.keys():
        if name in version.tags:
            store.delete_tag(version.name, version.number, name)
    renewed = store.version(version.name, version.number) or version
    return Registration(renewed, created=False, trained=trained, approved_before=before or "none")


def described(submission: Submission, run: Run) -> str:
    """The description of the version, with the way to its card in MLflow's own pages."""
    if not submission.description:
        return ""
    link = f"#/experiments/{run.experiment}/runs/{run.id}/artifacts/{ATTACHMENTS_FOLDER}/{CARD_PAGE}"
    return f"{submission.description} [Model card]({link})."


def _training_run(store: Store, submission: Submission) -> Run | None:
    """The run that trained the model: the one that the model names, or the best of those that name the model."""
    named = store.run(submission.training_run) if submission.training_run else None
    if named is not None:
        return named
    trainings = store.runs(store.experiment(submission.experiment), (MODEL_SHA256, submission.model.sha256))
    commit = submission.run_tags.get(_COMMIT)

    def rank(run: Run) -> tuple[bool, bool, int, str]:
        return bool(commit) and run.tags.get(_COMMIT) == commit, run.finished, run.started, run.id

    return max(trainings, key=rank, default=None)


def _log_missing(store: Store, submission: Submission, run: Run) -> None:
    """Add to a training's run what it does not say yet; what it says stays."""
    store.log(
        run.id,
        {name: value for name, value in submission.metrics.items() if run.metrics.get(name) != value},
        {name: value for name, value in submission.params.items() if name not in run.params},
        {name: value for name, value in submission.run_tags.items() if name not in run.tags},
    )


def _own_run(store: Store, submission: Submission, say: Callable[[str], None]) -> Run:
    """The run that an attempt which died left to be completed, or a new one."""
    experiment = store.experiment(submission.experiment)
    left = [
        run
        for run in store.runs(experiment, (KEY, submission.key))
        if is_dead(run.tags.get(OWNER, ""), submission.owner, run.started)
    ]
    for extra in left[1:]:
        store.delete_run(extra.id)
    if left:
        say(f"completing run {left[0].id}, which an earlier attempt left")
        return left[0]
    title = f"{submission.name} {submission.tags.get('flint_ml.commit', '')[:10]}".strip()
    tags = {KEY: submission.key, OWNER: submission.owner, CREATED: "register-model"}
    return store.create_run(experiment, title, tags)


def _stored_already(store: Store, submission: Submission, run: Run) -> frozenset[str]:
    """Names of the model's files that the training has stored, with the very bytes."""

    def same(file: ModelFile) -> bool:
        try:
            return store.sha256(run, f"{MODEL_FOLDER}/{file.name}") == file.sha256
        except OutsideError:
            return False  # not there, or not to be had: then storing it will say why

    files = submission.model.files
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return frozenset(file.name for file, is_same in zip(files, pool.map(same, files), strict=True) if is_same)


def _store_files(
    store: Store,
    submission: Submission,
    run: Run,
    say: Callable[[str], None],
    stored: frozenset[str] = frozenset(),
) -> None:
    """Upload model and attachments, a few at a time, and read the model back."""
    files = [file for file in submission.model.files if file.name not in stored]
    if files:
        say(f"storing {len(files)} file(s), {sum(file.size for file in files):,} bytes")
    uploads = {f"{MODEL_FOLDER}/{file.name}": file.path for file in files}
    uploads |= {f"{ATTACHMENTS_FOLDER}/{name}": path for name, path in submission.attachments.items()}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        # A list, so that the first error is raised here.
        list(pool.map(lambda item: store.upload(run, *item), uploads.items()))
        hashes = pool.map(lambda file: store.sha256(run, f"{MODEL_FOLDER}/{file.name}"), files)
        for file, sha256 in zip(files, hashes, strict=True):
            if sha256 != file.sha256:
                raise OutsideError(
                    f"the artifact store returned other bytes for `{file.name}` than were stored in it",
                    where=run.artifact_uri,
                    hint="check the store's free space; nothing was registered, and the next run completes it",
                    code="artifact-differs",
                )


def _settle(store: Store, submission: Submission, own: Version, say: Callable[[str], None]) -> Registration:
    """After a race exactly one version keeps the key: the lowest, which every job sees the same."""
    carriers = store.versions(submission.name, (KEY, submission.key)) or [own]
    winner = carriers[0]
    if winner.number == own.number:
        _check_tags(store, submission, winner)
        return Registration(winner, created=True)
    say(f"another job registered the same model as {winner.uri}; removing version {own.number}")
    # An answer that was lost on the way and asked for again may have made two of this job's own.
    _remove(store, [version for version in carriers[1:] if version.tags.get(OWNER) == submission.owner], winner)
    return Registration(winner, created=winner.tags.get(OWNER) == submission.owner)


def _check_tags(store: Store, submission: Submission, version: Version) -> None:
    """Set again what the registry did not keep of the version's tags; they are what it is traced by."""
    lost = {name: value for name, value in submission.tags.items() if version.tags.get(name) != value}
    for name, value in lost.items():
        store.set_tag(version.name, version.number, name, value)
    kept = store.version(version.name, version.number) if lost else None
    wrong = [name for name, value in lost.items() if kept is None or kept.tags.get(name) != value]
    if wrong:
        raise OutsideError(
            f"the registry did not keep these tags of version {version.number}: {', '.join(wrong)}",
            where=version.uri,
            hint="look at the server's log; then delete the version and run the job again",
            code="metadata-differs",
        )


def _remove(store: Store, losers: list[Version], winner: Version) -> None:
    """Delete versions that lost a race, with the runs that were made for them; never the winner's, never a training."""
    for loser in losers:
        store.delete_version(loser.name, loser.number)
        run = store.run(loser.run_id) if loser.run_id and loser.run_id != winner.run_id else None
        if run is not None and CREATED in run.tags:
            store.delete_run(run.id)
