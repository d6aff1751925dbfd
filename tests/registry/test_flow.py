"""Registering against real registries: a sqlite file and an ``mlflow server``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flint_ml.errors import OutsideError
from flint_ml.registry import version as identity
from flint_ml.registry.address import resolve
from flint_ml.registry.model_files import read_model
from flint_ml.registry.register import Submission, register_model
from flint_ml.registry.stages import move_forward
from flint_ml.registry.store import Store, Version, connect

pytest_plugins = ("helpers.mlflow_server",)


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
def name(request: pytest.FixtureRequest) -> str:
    return "m-" + "".join(c if c.isalnum() else "-" for c in request.node.name)


def submission(folder: Path, name: str, text: str = "weights", attempt: int = 1) -> Submission:
    model = folder / "model.bin"
    model.write_text(text)
    content = read_model(model, "model.bin")
    return Submission(
        name=name,
        experiment=name,
        key=identity.idempotency_key(name, "c0ffee", None, content.sha256),
        owner=identity.owner("5", attempt),
        model=content,
        tags={"flint_ml.commit": "c0ffee"},
        metrics={"rmse": 1.3},
        params={f"p{number}": str(number) for number in range(150)},
    )


def never(_: Version) -> bool:
    return False


def test_a_version_with_everything_and_the_same_version_again(store: Store, name: str, tmp_path: Path) -> None:
    first = register_model(store, submission(tmp_path, name))
    assert first.created
    assert first.version.number == 1
    version = store.version(name, 1)
    assert version is not None
    assert version.tags["flint_ml.commit"] == "c0ffee"
    assert version.run_id is not None
    run = store.run(version.run_id)
    assert run is not None
    assert len(run.params) == 150
    assert version.source == f"{run.artifact_uri}/model"
    again = register_model(store, submission(tmp_path, name))
    assert (again.version.number, again.created) == (1, False)
    other = register_model(store, submission(tmp_path, name, text="better weights"))
    assert (other.version.number, other.created) == (2, True)


class KilledError(Exception):
    """Stands for a process that is killed: nothing after it runs."""


class Killing:
    """A store that dies at the n-th call that changes something, before or after doing it."""

    def __init__(self, store: Store, method: str, *, after: bool) -> None:
        self.store, self.method, self.after = store, method, after

    def __getattr__(self, name: str) -> object:
        real = getattr(self.store, name)
        if name != self.method:
            return real

        def dying(*args: object, **kwargs: object) -> None:
            if self.after:
                real(*args, **kwargs)
            raise KilledError(name)

        return dying


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["create_run", "log", "upload", "finish", "create_version", "set_tag"])
def test_what_a_killed_attempt_left_is_completed(
    sqlite_store: Store, name: str, tmp_path: Path, method: str, after: bool
) -> None:
    store = sqlite_store
    first = submission(tmp_path, name, attempt=1)

    def whole(dying: Store) -> None:
        move_forward(dying, register_model(dying, first).version, "Staging", never)

    with pytest.raises(KilledError):
        whole(Killing(store, method, after=after))  # type: ignore[arg-type]
    second = register_model(store, replace(first, owner=identity.owner("5", 2)))
    move = move_forward(store, second.version, "Staging", never)
    assert second.created == (method != "set_tag" and (method, after) != ("create_version", True))
    assert [v.number for v in store.versions(name, (identity.KEY, first.key))] == [1]
    assert len(store.runs(store.experiment(name), (identity.KEY, first.key))) == 1, "no second run is left"
    assert (move.version, store.alias(name, "staging")) == (1, 1)


def test_the_run_of_a_living_job_is_left_alone(sqlite_store: Store, name: str, tmp_path: Path) -> None:
    first = submission(tmp_path, name)
    with pytest.raises(KilledError):
        register_model(Killing(sqlite_store, "upload", after=False), first)  # type: ignore[arg-type]
    # The owner is this very process, which lives.
    done = register_model(sqlite_store, first)
    assert len(sqlite_store.runs(sqlite_store.experiment(name), (identity.KEY, first.key))) == 2
    assert done.created


def test_jobs_that_race_end_with_one_version(mlflow_server: str, name: str, tmp_path: Path) -> None:
    wanted = submission(tmp_path, name)
    address = resolve(mlflow_server, {}, Path())
    stores = [connect(address, {}) for _ in range(4)]
    barrier = threading.Barrier(len(stores))
    results: list[tuple[int, bool, int]] = []

    class Together:
        """All jobs have looked for the key before the first one writes a version."""

        def __init__(self, store: Store) -> None:
            self.store = store

        def __getattr__(self, method: str) -> object:
            if method == "create_version":
                barrier.wait(60)
            return getattr(self.store, method)

    def job(number: int, store: Store) -> None:
        mine = replace(wanted, owner=f"5/1/machine-{number}/1")
        done = register_model(Together(store), mine)  # type: ignore[arg-type]
        move = move_forward(store, done.version, "Staging", never)
        results.append((done.version.number, done.created, move.version))

    threads = [threading.Thread(target=job, args=item) for item in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(results) == [(1, False, 1)] * 3 + [(1, True, 1)]
    store = stores[0]
    assert [v.number for v in store.versions(name, (identity.KEY, wanted.key))] == [1]
    assert len(store.runs(store.experiment(name), (identity.KEY, wanted.key))) == 1, "losers take their runs with them"
    assert store.alias(name, "staging") == 1


def test_stage_alias_and_tag_move_together_and_never_back(store: Store, name: str, tmp_path: Path) -> None:
    one, two, three = (register_model(store, submission(tmp_path, name, text=text)).version for text in ("1", "2", "3"))
    assert move_forward(store, one, "Staging", never).previous is None
    move = move_forward(store, two, "Staging", never)
    assert (move.version, move.previous, move.moved) == (2, 1, True)
    first, second = store.version(name, 1), store.version(name, 2)
    assert first is not None
    assert second is not None
    assert "stage" not in first.tags
    assert (second.tags["stage"], second.stage, store.alias(name, "staging")) == ("Staging", "Staging", 2)
    assert first.stage == "Archived"
    back = move_forward(store, one, "Staging", never)
    assert (back.version, back.moved, store.alias(name, "staging")) == (2, False, 2)
    older = move_forward(store, three, "Staging", lambda holder: holder.number == 2)
    assert not older.moved, "a higher number whose commit is older does not replace a newer commit's model"


def test_two_jobs_that_move_the_stage_at_once_end_at_the_newer_version(
    sqlite_store: Store, name: str, tmp_path: Path
) -> None:
    store = sqlite_store
    one, two = (register_model(store, submission(tmp_path, name, text=text)).version for text in ("1", "2"))

    class Slow:
        """The other job moves the stage to version 2 just before this one writes its alias."""

        done = False

        def __getattr__(self, method: str) -> object:
            if method == "set_alias" and not self.done:
                self.done = True
                move_forward(store, two, "Staging", never)
            return getattr(store, method)

    move = move_forward(Slow(), one, "Staging", never)  # type: ignore[arg-type]
    assert (move.version, move.moved, store.alias(name, "staging")) == (2, False, 2)
    assert [v.number for v in store.versions(name, ("stage", "Staging"))] == [2]


def test_other_bytes_than_were_stored_register_nothing(sqlite_store: Store, name: str, tmp_path: Path) -> None:
    class Corrupt:
        def __getattr__(self, method: str) -> object:
            return (lambda *_: "0" * 64) if method == "sha256" else getattr(sqlite_store, method)

    wanted = submission(tmp_path, name)
    with pytest.raises(OutsideError, match="other bytes"):
        register_model(Corrupt(), wanted)  # type: ignore[arg-type]
    assert sqlite_store.versions(name, (identity.KEY, wanted.key)) == []


def test_a_file_that_is_no_registry(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is not a database, it is a letter")
    with pytest.raises(OutsideError, match="could not be used") as caught:
        connect(resolve("", {}, tmp_path), {})
    assert caught.value.code == "registry-file"
    assert (tmp_path / "mlflow.db").read_text().startswith("this is not"), "it is left as it was"


def test_artifacts_never_go_to_a_folder_of_another_machine(name: str, tmp_path: Path, registry_file: Path) -> None:
    """A registry that was begun on a runner is used in a container: the runner's folders are not there."""
    from mlflow import MlflowClient

    shutil.copy(registry_file, tmp_path)
    store = connect(resolve("", {}, tmp_path), {})
    elsewhere = tmp_path.parent / f"{tmp_path.name}-of-the-runner" / "mlruns"
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    trained = client.create_run(client.create_experiment(name, artifact_location=elsewhere.as_uri()))
    done = register_model(store, replace(submission(tmp_path, name), training_run=trained.info.run_id))
    assert done.version.run_id != trained.info.run_id
    assert done.version.source.startswith((tmp_path / "mlartifacts").as_uri())
    assert not elsewhere.exists()


@pytest.fixture
def line() -> Any:
    """A small scikit-learn model."""
    import numpy as np
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(np.array([[0.0], [1.0]]), [1.0, 3.0])


def test_a_folder_that_mlflow_wrote_is_loaded_from_the_registry(
    mlflow_server: str, name: str, tmp_path: Path, line: Any
) -> None:
    import mlflow

    mlflow.sklearn.save_model(line, str(tmp_path / "model"), serialization_format="cloudpickle")
    content = read_model(tmp_path / "model", "model")
    assert content.kind == "mlflow"
    store = connect(resolve(mlflow_server, {}, Path()), {})
    wanted = replace(submission(tmp_path, name), model=content)
    move_forward(store, register_model(store, wanted).version, "Staging", never)
    mlflow.set_tracking_uri(mlflow_server)
    for uri in (f"models:/{name}/1", f"models:/{name}@staging"):
        assert mlflow.pyfunc.load_model(uri).predict([[2.0]]) == pytest.approx([5.0])


def test_a_version_belongs_to_the_run_that_trained_it(sqlite_store: Store, name: str, tmp_path: Path) -> None:
    store = sqlite_store
    trained = store.create_run(store.experiment("training"), "training", {"who": "dvc repro"})
    store.log(trained.id, {"rmse": 1.4}, {"p1": "as trained"}, {})
    wanted = replace(submission(tmp_path, name), training_run=trained.id)
    done = register_model(store, wanted)
    assert done.version.run_id == trained.id
    run = store.run(trained.id)
    assert run is not None
    assert run.params["p1"] == "as trained"
    assert run.params["p2"] == "2"
    assert run.tags["who"] == "dvc repro"
    assert register_model(store, wanted).created is False
    unknown = register_model(store, replace(submission(tmp_path, name, "2"), training_run="0" * 32))
    assert unknown.version.run_id != trained.id


# A job in a process of its own that is killed (SIGKILL) right after the registry has done one of its calls.
KILLED_JOB = """
import os, sys
from pathlib import Path
from flint_ml.registry import version as identity
from flint_ml.registry.address import resolve
from flint_ml.registry.store import connect
from flint_ml.registry.model_files import read_model
from flint_ml.registry.register import Submission, register_model
from flint_ml.registry.stages import move_forward

uri, name, model, method = sys.argv[1:]

class Dying:
    def __init__(self, store):
        self.store = store
    def __getattr__(self, called):
        real = getattr(self.store, called)
        def then_die(*args, **kwargs):
            real(*args, **kwargs)
            os.kill(os.getpid(), 9)
        return then_die if called == method else real

store = Dying(connect(resolve(uri, {}, Path()), {}))
content = read_model(Path(model), "model")
key = identity.idempotency_key(name, "c0ffee", None, content.sha256)
wanted = Submission(name, name, key, identity.owner(None, 1), content, params={"p1": "1"})
done = register_model(store, wanted)
move_forward(store, done.version, "Staging", lambda other: False)
print(done.version.number, done.created)
"""


@pytest.mark.parametrize("method", ["ensure_model", "create_run", "upload", "create_version", "set_alias"])
def test_kill_9_leaves_nothing_twice(mlflow_server: str, name: str, tmp_path: Path, method: str) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")

    def job(method: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED_JOB, mlflow_server, name, str(model), method]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert job(method).returncode == -9
    again = job("")
    assert again.stdout.split() == ["1", str(method not in {"create_version", "set_alias"})], again.stderr
    store = connect(resolve(mlflow_server, {}, Path()), {})
    key = identity.idempotency_key(name, "c0ffee", None, read_model(model, "model").sha256)
    assert [v.number for v in store.versions(name, (identity.KEY, key))] == [1]
    assert len(store.runs(store.experiment(name), (identity.KEY, key))) == 1
    assert store.alias(name, "staging") == 1
