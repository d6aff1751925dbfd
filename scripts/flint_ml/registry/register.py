"""A model becomes a version: found again by its key, completed after a crash, settled after a race."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from flint_ml.errors import OutsideError
from flint_ml.registry.content import Content
from flint_ml.registry.identity import KEY, OWNER, dead
from flint_ml.registry.store import Run, Store, Version

MODEL_FOLDER = "model"
FACTS_FOLDER = "flint-ml"
_AT_ONCE = 6


@dataclass(frozen=True)
class Submission:
    """Everything that is registered.

    Attributes
    ----------
    key
        See :func:`flint_ml.registry.identity.key`.
    owner
        See :func:`flint_ml.registry.identity.owner`.
    training_run
        The MLflow run that trained the model: where this registry knows it, the version belongs to it.
    papers
        Further files (provenance, records, figures), name to file, stored beside the model.
    """

    name: str
    experiment: str
    key: str
    owner: str
    content: Content
    tags: Mapping[str, str] = field(default_factory=dict)
    run_tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    papers: Mapping[str, Path] = field(default_factory=dict)
    description: str = ""
    training_run: str | None = None


@dataclass(frozen=True)
class Registration:
    """The version that carries the key, and whether this call made it."""

    version: Version
    created: bool


def register(store: Store, submission: Submission, say: Callable[[str], None] = lambda _: None) -> Registration:
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
        return Registration(existing[0], created=False)
    run = _open_run(store, submission, say)
    store.log(
        run.id,
        submission.metrics,
        # MLflow refuses to change a parameter; an interrupted attempt may have logged them.
        {name: value for name, value in submission.params.items() if name not in run.params},
        {**submission.run_tags, OWNER: submission.owner},
    )
    _store_files(store, submission, run, say)
    store.finish(run.id)
    version = store.create_version(
        name,
        f"{run.artifact_uri.rstrip('/')}/{MODEL_FOLDER}",
        run.id,
        {**submission.tags, KEY: submission.key},
        submission.description,
    )
    return _settle(store, submission, version, say)


def _open_run(store: Store, submission: Submission, say: Callable[[str], None]) -> Run:
    """The run that trained the model, or that an attempt which died left to be completed, or a new one."""
    trained = store.run(submission.training_run) if submission.training_run else None
    if trained is not None:
        say(f"the model belongs to run {trained.id}, which trained it")
        store.log(trained.id, {}, {}, {KEY: submission.key})
        return trained
    experiment = store.experiment(submission.experiment)
    left = [
        run
        for run in store.runs(experiment, (KEY, submission.key))
        if dead(run.tags.get(OWNER, ""), submission.owner, run.started)
    ]
    for extra in left[1:]:
        store.delete_run(extra.id)
    if left:
        say(f"completing run {left[0].id}, which an earlier attempt left")
        return left[0]
    title = f"{submission.name} {submission.tags.get('flint_ml.commit', '')[:10]}".strip()
    return store.create_run(experiment, title, {KEY: submission.key, OWNER: submission.owner})


def _store_files(store: Store, submission: Submission, run: Run, say: Callable[[str], None]) -> None:
    """Upload model and papers, a few at a time, and read the model back."""
    content = submission.content
    say(f"storing {len(content.files)} file(s), {content.size:,} bytes")
    wanted = {f"{MODEL_FOLDER}/{file.name}": file.path for file in content.files}
    wanted |= {f"{FACTS_FOLDER}/{name}": path for name, path in submission.papers.items()}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        # A list, so that the first error is raised here.
        list(pool.map(lambda item: store.upload(run, *item), wanted.items()))
        found = pool.map(lambda file: store.sha256(run, f"{MODEL_FOLDER}/{file.name}"), content.files)
        for file, sha256 in zip(content.files, found, strict=True):
            if sha256 != file.sha256:
                raise OutsideError(
                    f"the artifact store returned other bytes for `{file.name}` than were stored in it",
                    where=run.artifact_uri,
                    hint="check the store's free space; nothing was registered, and the next run completes it",
                    code="artifact-differs",
                )


def _settle(store: Store, submission: Submission, mine: Version, say: Callable[[str], None]) -> Registration:
    """After a race exactly one version keeps the key: the lowest, which every job sees the same."""
    carriers = store.versions(submission.name, (KEY, submission.key)) or [mine]
    winner = carriers[0]
    if winner.number == mine.number:
        return Registration(mine, created=True)
    say(f"another job registered the same model as {winner.uri}; removing version {mine.number}")
    _remove(store, [version for version in carriers[1:] if version.run_id == mine.run_id], winner)
    return Registration(winner, created=winner.run_id == mine.run_id)


def _remove(store: Store, losers: list[Version], winner: Version) -> None:
    """Delete versions that lost a race, with their runs; never the winner's run."""
    for loser in losers:
        store.delete_version(loser.name, loser.number)
        if loser.run_id and loser.run_id != winner.run_id:
            store.delete_run(loser.run_id)
