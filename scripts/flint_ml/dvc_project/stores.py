"""Where a DVC remote's objects come from: a folder, an object store or a web server by our own transfer, or DVC itself.

The remote's settings are those that DVC resolves; credentials are those that its library for S3 (botocore) finds. A
setting that is not known here leaves the transfer to DVC, with the reason for the log: never a guess.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from flint_ml.dvc_project.transfer import (
    SMALL_BYTES,
    CacheWriter,
    Delivery,
    FolderSource,
    ObjectName,
    Source,
    count,
    object_key,
)

Item = TypeVar("Item")

_CONNECTIONS = 32
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_FEW = 16
# Settings of a remote that mean the same here as to DVC, or nothing for reading.
_COMMON = {"jobs", "checksum_jobs", "no_traverse", "worktree", "version_aware", "verify", "tmp_dir"}
_TIMES = {"read_timeout", "connect_timeout"}
_S3 = {
    *_COMMON,
    *_TIMES,
    *("region", "profile", "endpointurl", "access_key_id", "secret_access_key", "session_token", "use_ssl"),
    *("allow_anonymous_login", "ssl_verify", "listobjects", "cache_regions", "credentialpath", "configpath"),
    *("acl", "grant_read", "grant_read_acp", "grant_write_acp", "grant_full_control", "sse", "sse_kms_key_id"),
    *("bucket", "host"),
}
_HTTP = {
    *_COMMON,
    *_TIMES,
    "auth",
    "custom_auth_header",
    "user",
    "password",
    "ssl_verify",
    "url",
    "host",
    "method",
    "ask_password",
}
# What a profile of AWS may change about requests and is not read here.
_PROFILE = {"endpoint_url", "services", "s3", "ca_bundle", "use_dualstack_endpoint", "use_fips_endpoint"}


class _ByDvcError(Exception):
    """Why DVC must transfer."""


def source_of(repo: Any, remote: str | None, jobs: int | None) -> Source | str:
    """Our own source for the remote, or why DVC must transfer.

    Parameters
    ----------
    remote
        Its name; None: the default one.
    jobs
        Parallel transfers; None: the remote's own number, or the source's.

    Raises
    ------
    dvc.exceptions.DvcException
        If there is no such remote, or its settings are wrong.
    """
    from dvc.fs import get_cloud_fs

    name = remote or repo.config["core"].get("remote")
    if not name:
        repo.cloud.get_remote(None, "pull")  # says what is wrong
    cls, settings, path = get_cloud_fs(repo.config, name=name)
    if repo.cache.local is None or repo.cache.local.fs.protocol != "local":
        return "the cache is not a folder of this machine"
    if settings.get("worktree") or settings.get("version_aware"):
        return "the remote keeps file names and versions"
    jobs = jobs or settings.get("jobs")
    if cls.protocol == "local":
        return FolderSource(str(path), jobs)
    makers: Mapping[str, Callable[[Mapping[str, Any], str], tuple[Any, bool]]] = {
        "s3": _s3,
        "http": _http,
        "https": _http,
    }
    if cls.protocol not in makers:
        return f"a remote of the kind {cls.protocol}"
    try:
        store, lists = makers[cls.protocol](settings, str(path))
    except _ByDvcError as reason:
        return str(reason)
    except ImportError as error:
        return f"`{error.name}` is not installed"
    return ObjectStoreSource(store, jobs or _CONNECTIONS, lists=lists, read_seconds=_seconds(settings)["read_timeout"])


def _seconds(settings: Mapping[str, Any]) -> dict[str, float]:
    return {
        "read_timeout": float(settings.get("read_timeout") or _READ_SECONDS),
        "connect_timeout": float(settings.get("connect_timeout") or _CONNECT_SECONDS),
    }


def _refuse_unknown(settings: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(name for name, value in settings.items() if name not in known and value not in {None, ""}):
        raise _ByDvcError(f"the remote's setting `{unknown[0]}`")


def _client(settings: Mapping[str, Any], address: str | None) -> dict[str, Any]:
    """Options of the HTTP client: time limits and certificates."""
    verify = settings.get("ssl_verify", True)
    if address and address.startswith("http://"):
        verify = True  # nothing to verify
    bundle = next((name for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE") if os.environ.get(name)), None)
    if isinstance(verify, str) or (verify and bundle and not (address or "").startswith("http://")):
        raise _ByDvcError("a certificate of its own" + (f" ({bundle})" if bundle else ""))
    return {
        "allow_http": True,
        "allow_invalid_certificates": not verify,
        "connect_timeout": timedelta(seconds=_seconds(settings)["connect_timeout"]),
        # The whole of one answer, however large; what stands still is stopped by the limit of each part.
        "timeout": timedelta(days=1),
    }


# Our own attempts come on top, slower.
_RETRIES: Any = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=5), "base": 2},
}


def _s3(settings: Mapping[str, Any], path: str) -> tuple[Any, bool]:
    import botocore.session
    from botocore.exceptions import NoCredentialsError
    from obstore.store import S3Store

    _refuse_unknown(settings, _S3)
    for option, variable in (("credentialpath", "AWS_SHARED_CREDENTIALS_FILE"), ("configpath", "AWS_CONFIG_FILE")):
        if settings.get(option):
            os.environ.setdefault(variable, str(settings[option]))  # as DVC does
    session = botocore.session.Session(profile=settings.get("profile"))
    profile = session.get_scoped_config()
    if special := sorted(_PROFILE & set(profile)):
        raise _ByDvcError(f"the AWS profile's setting `{special[0]}`")
    bucket, _, prefix = path.partition("/")
    endpoint = settings.get("endpointurl") or _endpoint()
    if endpoint and "://" not in endpoint:
        raise _ByDvcError("an endpoint without `https://`")
    region = settings.get("region") or os.environ.get("AWS_REGION") or session.get_config_variable("region")
    if not region:
        region = "us-east-1" if endpoint else _region(bucket, settings)
    options: dict[str, Any] = {"region": region, "virtual_hosted_style_request": not endpoint and "." not in bucket}
    if endpoint:
        options["endpoint"] = endpoint.rstrip("/")
    if settings.get("allow_anonymous_login"):
        options["skip_signature"] = True
    elif settings.get("access_key_id") and settings.get("secret_access_key"):
        options["access_key_id"] = settings["access_key_id"]
        options["secret_access_key"] = settings["secret_access_key"]
        if settings.get("session_token"):
            options["session_token"] = settings["session_token"]
    else:
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        options["credential_provider"] = _provider(credentials)
    options |= {"client_options": _client(settings, endpoint), "retry_config": _RETRIES}
    return S3Store(bucket, prefix=prefix or None, **options), True


def _endpoint() -> str | None:
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def _region(bucket: str, settings: Mapping[str, Any]) -> str:
    """The region of a bucket at AWS, which tells it to everybody."""
    import requests

    try:
        limits = _seconds(settings)
        times = (limits["connect_timeout"], limits["read_timeout"])
        answer = requests.head(f"https://s3.amazonaws.com/{bucket}", timeout=times, allow_redirects=False)
    except requests.RequestException:
        raise _ByDvcError("the bucket's region is not known") from None
    region = answer.headers.get("x-amz-bucket-region")
    if not region:
        raise _ByDvcError("the bucket's region is not known")
    return str(region)


def _provider(credentials: Any) -> Callable[[], dict[str, Any]]:
    """Credentials as botocore finds and renews them."""

    def current() -> dict[str, Any]:
        frozen = credentials.get_frozen_credentials()
        renewed = type(credentials).__name__ != "Credentials"
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            # botocore is asked again, and renews what is about to end.
            "expires_at": datetime.now(UTC) + timedelta(minutes=5) if renewed else None,
        }

    return current


def _http(settings: Mapping[str, Any], path: str) -> tuple[Any, bool]:
    from obstore.store import HTTPStore

    _refuse_unknown(settings, _HTTP)
    auth = settings.get("auth")
    if settings.get("ask_password"):
        raise _ByDvcError("a password that is asked for")
    if Path(os.environ.get("NETRC") or "~/.netrc").expanduser().is_file():
        raise _ByDvcError("passwords of a .netrc file")
    parts = urlsplit(path)
    user, password = settings.get("user") or parts.username, settings.get("password") or parts.password
    headers = {}
    if auth == "custom":
        headers[str(settings.get("custom_auth_header"))] = str(password or "")
    elif auth in {None, "basic"} and user:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password or ''}".encode()).decode()
    elif auth is not None:
        raise _ByDvcError(f"authentication of the kind {auth}")
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    if parts.query:
        raise _ByDvcError("an address with a query")
    options: dict[str, Any] = {"client_options": {**_client(settings, address), "default_headers": headers}}
    return HTTPStore.from_url(address.rstrip("/"), retry_config=_RETRIES, **options), False


class ObjectStoreSource:
    """A remote that answers requests, many of them side by side.

    Parameters
    ----------
    store
        A store of the library obstore, whose root is the remote's.
    connections
        Requests at a time.
    lists
        Whether it can list what it holds.
    read_seconds
        How long an answer, or the next part of one, may take.
    """

    def __init__(self, store: Any, connections: int, *, lists: bool, read_seconds: float) -> None:
        self.store = store
        self.connections = connections
        self.lists = lists
        self.read_seconds = read_seconds

    def sizes(self, names: Sequence[ObjectName]) -> dict[ObjectName, int] | None:
        """Bytes of those of ``names`` that it holds; None where it does not list, or holds so much more that
        listing would cost more than asking for each.
        """
        if not self.lists or len(names) < _FEW or any(legacy for _, legacy in names):
            return None
        return asyncio.run(self._sizes(names))

    async def _sizes(self, names: Sequence[ObjectName]) -> dict[ObjectName, int] | None:
        import obstore

        async def listed(prefix: str) -> dict[str, int]:
            pages = obstore.list(self.store, prefix, chunk_size=1_000)
            return {str(row["path"]): int(row["size"]) async for page in pages for row in page}

        # Hashes spread evenly, so one of the 256 folders tells how much there is.
        sample = await self._in_time(listed("files/md5/00"))
        if len(sample) * 256 > 250 * len(names) + 4_000:
            return None
        if len(sample) < 40:
            held = await self._in_time(listed("files/md5"), 20)
        else:
            held = {}

            async def add(number: int) -> None:
                held.update(await self._in_time(listed(f"files/md5/{number:02x}")))

            await self._all(add, range(256))
        keys = ((name, held.get(object_key(name))) for name in names)
        return {name: size for name, size in keys if size is not None}

    def bring(self, names: Sequence[ObjectName], cache: CacheWriter, delivery: Delivery) -> None:
        """Ask for objects, as many at a time as there are connections."""

        async def one(name: ObjectName) -> None:
            count(delivery, name, await self._one(name, cache))

        asyncio.run(self._all(one, names))

    async def _all(self, task: Callable[[Item], Coroutine[Any, Any, None]], items: Sequence[Item]) -> None:
        """Run ``task`` for each of ``items``, ``connections`` at a time; the first failure stops all."""
        pending = iter(items)

        async def work() -> None:
            for item in pending:
                await task(item)

        workers = [asyncio.ensure_future(work()) for _ in range(min(self.connections, len(items)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _in_time(self, answer: Any, times: int = 1) -> Any:
        return await asyncio.wait_for(answer, self.read_seconds * times)

    async def _one(self, name: ObjectName, cache: CacheWriter) -> int | None:
        """Bytes that came, -1 for wrong content, None where it is not there."""
        import obstore

        from flint_ml.dvc_project.errors import only_missing

        try:
            answer = await self._in_time(obstore.get_async(self.store, object_key(name)))
        except FileNotFoundError as error:
            if not only_missing([error]):
                raise  # the bucket is not there
            return None
        size = int(answer.meta["size"])
        if size < SMALL_BYTES:
            return size if cache.store(name, await self._in_time(answer.bytes_async())) else -1
        with cache.arriving(name) as part:
            parts = answer.stream(min_chunk_size=SMALL_BYTES).__aiter__()
            while True:
                try:
                    part.write(await self._in_time(parts.__anext__()))
                except StopAsyncIteration:
                    break
            return size if part.finish() else -1
