"""The serving example: a real ``mlflow server``, the API as a process, requests over HTTP."""

from __future__ import annotations

import importlib.util
import json
import pickle
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests

from flint_ml.deployment.samples import parse_samples
from flint_ml.deployment.smoke import Check, run_smoke_tests
from flint_ml.registry import version as identity
from flint_ml.registry.address import resolve
from flint_ml.registry.model_files import read_model
from flint_ml.registry.register import Submission, register_model
from flint_ml.registry.store import Store, connect
from serving.apiprocess import EXAMPLE, Api

pytest_plugins = ("helpers.mlflow_server",)
NAME = "serving-example"
CODE = """
import json
import pathlib


class Line:
    def __init__(self, slope):
        self.slope = slope

    def predict(self, data, params=None):
        return data[["x"]].rename(columns={"x": "y"}) * self.slope


def _load_pyfunc(folder):
    return Line(json.loads((pathlib.Path(folder) / "line.json").read_text()))
"""
MLMODEL = {
    "flavors": {"python_function": {"loader_module": "line", "code": "code", "data": "."}},
    "signature": {"inputs": '[{"name": "x", "type": "double", "required": true}]', "outputs": '[{"type": "double"}]'},
}
SAMPLES = {"dataframe_split": {"columns": ["x"], "data": [[1.0], [2.5]]}}


def model(folder: Path, slope: float) -> Path:
    """A model that MLflow serves: y = slope · x."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "line.py").write_text(CODE)
    (folder / "line.json").write_text(str(slope))
    (folder / "MLmodel").write_text(json.dumps(MLMODEL))
    predictions = [{"y": slope * x} for x in (1.0, 2.5)]
    (folder / "samples.json").write_text(json.dumps({**SAMPLES, "predictions": predictions}))
    return folder


def registered(store: Store, path: Path) -> int:
    content = read_model(path, path.name)
    tags = {"flint_ml.model_sha256": content.sha256, "flint_ml.commit": "c0ffee"}
    key = identity.idempotency_key(NAME, str(path), None, content.sha256)
    submission = Submission(NAME, NAME, key, identity.owner("1", 1), content, tags)
    return register_model(store, submission).version.number


@pytest.fixture(scope="module")
def store(mlflow_server: str) -> Store:
    return connect(resolve(mlflow_server, {}, Path()), {})


@pytest.fixture(scope="module")
def versions(store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Two lines, of which the second has the alias, one with other bytes than were registered, and a pickle."""
    folder = tmp_path_factory.mktemp("models")
    made = {name: registered(store, model(folder / name, slope)) for name, slope in (("two", 2), ("three", 3))}
    store.set_alias(NAME, "staging", made["three"])
    made["other"] = registered(store, model(folder / "other", 4))
    store.set_tag(NAME, made["other"], "flint_ml.model_sha256", "0" * 64)
    trap = folder / "model.pkl"
    trap.write_bytes(pickle.dumps(_Trap(folder / "sprung")))
    made["pickle"] = registered(store, trap)
    return made


class _Trap:
    """Leaves a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def start(mlflow_server: str, folder: Path, **env: str) -> Api:
    return Api({"MLFLOW_TRACKING_URI": mlflow_server, "MODEL_NAME": NAME, **env}, folder / "api.log")


@pytest.fixture(scope="module")
def api(mlflow_server: str, versions: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    running = start(mlflow_server, tmp_path_factory.mktemp("api"))
    assert running.ready(), running.said()
    yield running
    running.stop()


def test_the_alias_is_served(api: Api, versions: dict[str, int]) -> None:
    answer = requests.get(f"{api.url}/version", timeout=10)
    assert answer.json() == {"name": NAME, "version": str(versions["three"]), "commit": "c0ffee"}
    # What examples/manifests/blue-green/flint-ml.yml looks for.
    assert f'"version":"{versions["three"]}"' in answer.text


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
@pytest.mark.parametrize(
    "body",
    [
        SAMPLES,
        {"dataframe_records": [{"x": 1}, {"x": 2.5}]},
        {"inputs": {"x": [1, 2.5]}},
        {"instances": [{"x": 1.0}, {"x": 2.5}]},
    ],
)
def test_predictions_in_each_form_of_mlflow(api: Api, path: str, body: dict[str, Any]) -> None:
    assert api.post(path, json=body).json()["predictions"] == [{"y": 3.0}, {"y": 7.5}]


def test_whole_numbers_and_missing_values(api: Api) -> None:
    body = {"dataframe_split": {"columns": ["x"], "data": [[4], [None]]}}
    assert api.post("/predict", json=body).json()["predictions"] == [{"y": 12.0}, {"y": None}]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "cannot predict that"),
        ({"dataframe_records": [{"z": 1}]}, 400, "missing inputs ['x']"),
        ({"dataframe_split": {"columns": ["x"], "data": [[1, 2]]}}, 400, "cannot predict that"),
        ({"dataframe_records": [{"x": "wet"}]}, 400, "cannot predict that"),
        ({**SAMPLES, "instances": [1]}, 400, "cannot predict that"),
        ({"model": "s3://elsewhere"}, 422, "Extra inputs"),
        ({"dataframe_records": [{"x": 1}] * 10_001}, 422, "at most 10000"),
    ],
)
def test_what_cannot_be_predicted(api: Api, body: dict[str, Any], status: int, words: str) -> None:
    answer = api.post("/predict", json=body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


def test_a_request_that_is_too_large(api: Api) -> None:
    assert api.post("/predict", data=b" " * (16 << 20) + b"{}").status_code == 413
    assert api.post("/predict", data=iter([b"{}"])).status_code == 413
    assert requests.get(f"{api.url}/healthz", timeout=10).json() == {"status": "ok"}


def test_deploy_model_finds_the_registered_predictions(api: Api, store: Store, versions: dict[str, int]) -> None:
    said = {}
    for name in ("two", "three"):
        version = store.version(NAME, versions[name])
        assert version is not None
        run = store.run(version.run_id or "")
        assert run is not None
        samples = parse_samples(store.read(run, "model/samples.json") or b"", "samples.json")
        check = Check("/predict", samples=samples, tolerance=1e-9)
        said[name] = run_smoke_tests(api.url, {"predictions": check}, versions[name], 0.5)[0].said
    assert said["three"] == ""
    assert "2 of 2 samples are not predicted as registered" in said["two"]
    assert store.read(run, "model/none.json") is None


def test_a_number_is_served(mlflow_server: str, versions: dict[str, int], tmp_path: Path) -> None:
    running = start(mlflow_server, tmp_path, MODEL_VERSION=str(versions["two"]))
    try:
        assert running.ready(), running.said()
        assert running.post("/predict", json=SAMPLES).json()["predictions"] == [{"y": 2.0}, {"y": 5.0}]
    finally:
        running.stop()


@pytest.mark.parametrize(
    ("which", "words"), [("other", "is not what was registered"), ("pickle", "MLmodel"), ("none", "not found")]
)
def test_what_is_not_served(
    mlflow_server: str, versions: dict[str, int], tmp_path: Path, which: str, words: str
) -> None:
    running = start(mlflow_server, tmp_path, MODEL_VERSION=str(versions.get(which, 999)))
    try:
        assert not running.ready()
        assert words in running.said()
        assert not list(tmp_path.parent.rglob("sprung"))
    finally:
        running.stop()


@pytest.fixture(scope="module")
def source() -> ModuleType:
    spec = importlib.util.spec_from_file_location("serving_example_api", EXAMPLE / "api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"MLFLOW_TRACKING_URI": ""}, "MLFLOW_TRACKING_URI"),
        ({"MODEL_NAME": ""}, "MODEL_NAME"),
        ({"MODEL_NAME": "../soc"}, "MODEL_NAME"),
        ({"MODEL_NAME": "s3://bucket/soc"}, "MODEL_NAME"),
        ({"MODEL_NAME": "soc/3"}, "MODEL_NAME"),
        ({"MODEL_VERSION": "latest"}, "MODEL_VERSION"),
        ({"MODEL_VERSION": "0"}, "no version has been deployed yet"),
        ({"MODEL_VERSION": "1", "MODEL_ALIAS": "staging"}, "not both"),
        ({"MODEL_ALIAS": "../x"}, "MODEL_ALIAS"),
    ],
)
def test_settings_that_name_no_version(source: ModuleType, change: dict[str, str], words: str) -> None:
    good = {"MLFLOW_TRACKING_URI": "http://localhost", "MODEL_NAME": "soc"}
    assert source.settings(good) == ("soc", "staging", True)
    with pytest.raises(source.SettingsError, match=re.escape(words)):
        source.settings({**good, **change})


def test_the_image_installs_hashed_packages_only() -> None:
    lines = (EXAMPLE / "requirements.txt").read_text().splitlines()
    pinned = [line for line in lines if re.match(r"[a-z]", line)]
    assert pinned
    assert all(re.match(r"[a-z0-9.-]+==\S+ .*\\$", line) for line in pinned)
    assert "--require-hashes" in (EXAMPLE / "Dockerfile").read_text()
