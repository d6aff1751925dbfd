"""A model that a training logged: its run is found by the model's bytes, and becomes the version's."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from flint_ml.errors import OutsideError
from flint_ml.registry import version as identity
from flint_ml.registry.address import resolve
from flint_ml.registry.model_files import read_model
from flint_ml.registry.register import Submission, register_model
from flint_ml.registry.stages import promote
from flint_ml.registry.store import Run, Store, connect

pytest_plugins = ("helpers.mlflow_server",)

GATE = identity.GATE
COMMIT = "mlflow.source.git.commit"


@pytest.fixture(scope="module")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory, registry_file: Path) -> Store:
    folder = tmp_path_factory.mktemp("registry")
    shutil.copy(registry_file, folder)
    return connect(resolve("", {}, folder), {})


@pytest.fixture
def server(mlflow_server: str) -> Store:
    return connect(resolve(mlflow_server, {}, Path()), {})


@pytest.fixture(params=["sqlite_store", "server"])
def store(request: pytest.FixtureRequest) -> Store:
    chosen: Store = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def submission(request: pytest.FixtureRequest, tmp_path: Path) -> Submission:
    name = "t-" + "".join(c if c.isalnum() else "-" for c in request.node.name)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.json").write_text("[1, 2]")
    (folder / "MLmodel").write_text("flavors: {}\n")
    content = read_model(folder, "model")
    return Submission(
        name,
        name,
        identity.idempotency_key(name, "c0ffee", None, content.sha256),
        "5/1/elsewhere/1",
        content,
        run_tags={COMMIT: "c0ffee", "mlflow.source.name": "the gate"},
        metrics={"rmse": 1.25, "r2": 0.5},
        params={"n": "8", "seed": "1"},
    )


def trained(store: Store, submission: Submission, files: tuple[str, ...], commit: str = "c0ffee") -> Run:
    """A run as a training script logs it, without this package."""
    tags = {identity.MODEL_SHA256: submission.model.sha256, COMMIT: commit}
    run = store.create_run(store.experiment(submission.experiment), "training", tags)
    store.log(run.id, {"rmse": 1.25, "training_rmse": 1.0}, {"n": "8"}, {})
    for file in submission.model.files:
        if file.name in files:
            store.upload(run, f"model/{file.name}", file.path)
    store.finish(run.id)
    return run


class Noting:
    """A store that notes what is uploaded."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.uploaded: list[str] = []

    def __getattr__(self, method: str) -> object:
        return getattr(self.store, method)

    def upload(self, run: Run, name: str, path: Path) -> None:
        self.uploaded.append(name)
        self.store.upload(run, name, path)


def test_its_run_becomes_the_versions_and_nothing_is_stored_twice(store: Store, submission: Submission) -> None:
    run = trained(store, submission, ("MLmodel", "weights.json"))
    noting = Noting(store)
    done = register_model(noting, submission)  # type: ignore[arg-type]
    assert (done.version.run_id, done.created, done.trained) == (run.id, True, True)
    assert noting.uploaded == []
    after = store.run(run.id)
    assert after is not None
    assert after.params == {"n": "8", "seed": "1"}
    assert after.metrics == {"rmse": 1.25, "r2": 0.5, "training_rmse": 1.0}
    assert after.tags["mlflow.source.name"] == "the gate"
    again = register_model(store, submission)
    assert (again.version.number, again.created) == (1, False)


def test_what_the_training_did_not_store_or_stored_otherwise_is_put_right(
    sqlite_store: Store, submission: Submission, tmp_path: Path
) -> None:
    store = sqlite_store
    run = trained(store, submission, ())
    (tmp_path / "MLmodel").write_text("flavors: {other: {}}\n")
    store.upload(run, "model/MLmodel", tmp_path / "MLmodel")
    noting = Noting(store)
    register_model(noting, submission)  # type: ignore[arg-type]
    assert sorted(noting.uploaded) == ["model/MLmodel", "model/weights.json"]
    assert [store.sha256(run, f"model/{file.name}") for file in submission.model.files] == [
        file.sha256 for file in submission.model.files
    ]


def test_of_several_trainings_the_one_of_this_commit_then_the_newest(
    sqlite_store: Store, submission: Submission
) -> None:
    mine = trained(sqlite_store, submission, (), commit="c0ffee")
    trained(sqlite_store, submission, (), commit="other")
    assert register_model(sqlite_store, submission).version.run_id == mine.id
    newest = trained(sqlite_store, submission, (), commit="third")
    other = replace(submission, key="other", run_tags={})
    assert register_model(sqlite_store, other).version.run_id == newest.id


def test_a_training_is_never_deleted_with_a_version_that_lost_a_race(
    sqlite_store: Store, submission: Submission
) -> None:
    """Another job looked for the training before it was logged, so it made a run of its own and a lower version."""
    store = sqlite_store

    run = trained(store, submission, ("MLmodel", "weights.json"))
    own = store.create_run(store.experiment(submission.experiment), "own", {})
    store.ensure_model(submission.name)
    tags = {identity.KEY: submission.key, identity.OWNER: "5/1/other/1"}

    class Racing:
        def __getattr__(self, method: str) -> object:
            if method == "create_version":
                store.create_version(submission.name, f"{own.artifact_uri}/model", own.id, tags, "")
            return getattr(store, method)

    done = register_model(Racing(), submission)  # type: ignore[arg-type]
    assert (done.version.number, done.created, done.version.run_id) == (1, False, own.id)
    assert [v.number for v in store.versions(submission.name, (identity.KEY, submission.key))] == [1]
    assert store.run(run.id) is not None


def test_tags_that_the_registry_did_not_keep_are_set_again_or_told(sqlite_store: Store, submission: Submission) -> None:
    """They are what a version is traced by."""

    class Forgetful:
        def __init__(self, *, forever: bool) -> None:
            self.forever = forever

        def __getattr__(self, method: str) -> object:
            return getattr(sqlite_store, method)

        def create_version(self, name: str, source: str, run_id: str, tags: dict[str, str], text: str) -> object:
            kept = {key: value for key, value in tags.items() if key != "flint_ml.commit"}
            return sqlite_store.create_version(name, source, run_id, kept, text)

        def set_tag(self, *given: object) -> None:
            if not self.forever:
                sqlite_store.set_tag(*given)  # type: ignore[arg-type]

    traced = replace(submission, tags={"flint_ml.commit": "c0ffee"})
    done = register_model(Forgetful(forever=False), traced)  # type: ignore[arg-type]
    kept = sqlite_store.version(done.version.name, done.version.number)
    assert kept is not None
    assert kept.tags["flint_ml.commit"] == "c0ffee"
    with pytest.raises(OutsideError, match=r"did not keep these tags of version 2: flint_ml\.commit"):
        register_model(Forgetful(forever=True), replace(traced, key="other"))  # type: ignore[arg-type]


def test_byte_code_of_a_loaded_model_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "m" / "code" / "__pycache__").mkdir(parents=True)
    (tmp_path / "m" / "code" / "model.py").write_text("x = 1\n")
    before = read_model(tmp_path / "m", "m").sha256
    (tmp_path / "m" / "code" / "__pycache__" / "model.cpython-313.pyc").write_bytes(b"\0")
    assert read_model(tmp_path / "m", "m").sha256 == before


def test_registered_again_after_a_gate_that_passed(
    store: Store, submission: Submission, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """First at a terminal, without the gate; then by the gate: the version has the gate's word, metrics and files."""
    run = trained(store, submission, ("MLmodel", "weights.json"))
    (tmp_path / "model-card.md").write_text("first")
    at_terminal = replace(
        submission,
        tags={GATE: "not required", "flint_ml.metrics": "{}", "gate": "not required"},
        metrics={"rmse": 9.0},
        attachments={"model-card.md": tmp_path / "model-card.md"},
        description="gate: not required.",
    )
    first = register_model(store, at_terminal)
    assert (first.created, first.trained) == (True, True)
    refused = promote(store, first.version, {}, "")
    assert refused.refused == "gate: not required"
    (tmp_path / "model-card.md").write_text("second")
    by_gate = replace(
        at_terminal,
        tags={GATE: "approved", "gate": "approved", "metric": "rmse 1.25"},
        metrics={"rmse": 1.25},
        description="gate: approved.",
    )
    second = register_model(store, by_gate)
    assert (second.version.number, second.created, second.trained) == (1, False, True), "its run was found"
    assert second.approved_before == "not required"
    tags = second.version.tags
    assert (tags[GATE], tags["metric"], "flint_ml.metrics" in tags) == ("approved", "rmse 1.25", False)
    after = store.run(run.id)
    assert after is not None
    assert after.metrics["rmse"] == 1.25
    assert store.read(run, "flint-ml/model-card.md") == b"second"
    shown = store.client.get_model_version(submission.name, "1").description
    assert shown.startswith("gate: approved. [Model card](#/experiments/")
    assert promote(store, second.version, {"by": "ana"}, "").changed
    # A gate's word is never lost again, and asking once more changes nothing.
    for later in (at_terminal, by_gate):
        again = register_model(store, later)
        assert (again.approved_before, again.version.tags[GATE]) == ("", "approved")


def test_an_approval_that_was_interrupted_is_finished(sqlite_store: Store, submission: Submission) -> None:
    store = sqlite_store
    register_model(store, replace(submission, tags={GATE: "review", "flint_ml.gate_reasons": "drift"}))

    class Dying:
        def __getattr__(self, method: str) -> object:
            if method == "set_tag":
                raise KeyboardInterrupt
            return getattr(store, method)

    approved = replace(submission, tags={GATE: "approved"})
    with pytest.raises(KeyboardInterrupt):
        register_model(Dying(), approved)  # type: ignore[arg-type]
    done = register_model(store, approved)
    assert (done.version.tags[GATE], "flint_ml.gate_reasons" in done.version.tags) == ("approved", False)
