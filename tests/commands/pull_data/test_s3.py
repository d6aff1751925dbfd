"""pull-data with an S3 server on loopback: bytes, credentials, outages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from flint_ml.dvc_project import pull
from flint_ml.dvc_project.cache import read_at
from flint_ml.git.repository import Git
from helpers.pull import Origin, act, fresh, make_origin, refused, remote, write

SECRET = "not-for-the-log-0815"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    return make_origin(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def clone(origin: Origin, tmp_path: Path) -> Path:
    """A fresh clone with a remote of its own, which a test may damage."""
    return fresh(origin, tmp_path)


@pytest.fixture(scope="module")
def s3(origin: Origin) -> Iterator[str]:
    """Address of an S3 server that holds everything of the local remote in the bucket `soil-data`."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="good", aws_secret_access_key=SECRET
    )
    client.create_bucket(Bucket="soil-data")
    for path in origin.remote.rglob("*"):
        if path.is_file():
            client.put_object(
                Bucket="soil-data", Key=f"store/{path.relative_to(origin.remote).as_posix()}", Body=path.read_bytes()
            )
    yield address
    server.stop()


@pytest.fixture
def on_s3(s3: str, clone: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAGOODKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):  # not those of whoever runs the tests
        write(clone.parent / name, "")
        monkeypatch.setenv(name, str(clone.parent / name))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(pull, "WAITS", (0.0,))
    remote(clone, "s3://soil-data/store", endpointurl=s3, region="us-east-1")
    return clone


def test_s3_gives_the_exact_bytes(origin: Origin, on_s3: Path) -> None:
    result = act(on_s3, {"base-revision": "main"})
    assert result.code == 0, result.log
    assert "transferred by DVC" not in result.log
    for name in ["data/soil.csv", "predictions.csv", "data/plots/p4.csv"]:
        assert (on_s3 / name).read_bytes() == (origin.repo / name).read_bytes()
    assert read_at(Git(on_s3), origin.base, "predictions.csv") == b"soc\n1.5\n"
    assert SECRET not in result.log.replace(f"::add-mask::{SECRET}", "") + result.record.to_json()


def test_s3_without_credentials(on_s3: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    result = act(on_s3)
    refused(result, 2, "no-credentials")
    assert "AWS_ACCESS_KEY_ID" in (result.record.findings[0].hint or "")


def test_s3_with_wrong_credentials(s3: str, on_s3: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"{SECRET}-wrong")
    requests.post(f"{s3}/moto-api/reset-auth", data=b"0", timeout=10).raise_for_status()
    try:
        result = act(on_s3)
    finally:
        requests.post(f"{s3}/moto-api/reset-auth", data=b"inf", timeout=10).raise_for_status()
    refused(result, 2, "credentials-refused")
    assert f"{SECRET}-wrong" not in result.log.replace(f"::add-mask::{SECRET}-wrong", "")


def test_s3_bucket_that_is_not_there(s3: str, on_s3: Path) -> None:
    remote(on_s3, "s3://sol-data/store", endpointurl=s3)
    refused(act(on_s3), 2, "remote-not-found", "does not exist")


def test_s3_object_that_is_not_there(s3: str, on_s3: Path) -> None:
    remote(on_s3, "s3://soil-data/empty", endpointurl=s3)
    refused(act(on_s3), 3, "missing-on-remote", "data/soil.csv")


def test_s3_server_that_is_down(on_s3: Path) -> None:
    remote(on_s3, "s3://soil-data/store", endpointurl="http://127.0.0.1:9")
    result = act(on_s3)
    refused(result, 3, "remote-unreachable")
    assert "attempt 1 failed" in result.log


def test_s3_object_with_wrong_content(origin: Origin, s3: str, on_s3: Path) -> None:
    import boto3

    client = boto3.client(
        "s3", endpoint_url=s3, region_name="us-east-1", aws_access_key_id="good", aws_secret_access_key=SECRET
    )
    md5 = hashlib.md5((origin.repo / "data/plots/p4.csv").read_bytes()).hexdigest()
    for path in origin.remote.rglob("*"):
        key = f"damaged/{path.relative_to(origin.remote).as_posix()}"
        if path.is_file():
            body = b"depth,soc\n10,7\n" if path.parent.name + path.name == md5 else path.read_bytes()
            client.put_object(Bucket="soil-data", Key=key, Body=body)
    remote(on_s3, "s3://soil-data/damaged", endpointurl=s3)
    refused(act(on_s3), 3, "corrupt-object", "data/plots/p4.csv")
    assert not (on_s3 / "data/plots/p4.csv").exists()
