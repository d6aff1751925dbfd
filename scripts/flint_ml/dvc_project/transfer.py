"""Objects from a remote straight into DVC's cache: hashed while they arrive, named only when whole.

DVC's own transfer makes a temporary file, a copy, a rename and database rows for each file, and believes what the
remote holds. Here the bytes are hashed on their way into a temporary file, which gets the object's name only if the
hash is right; so nothing wrong or half-written ever has a name in the cache, whenever a run is killed, and two runs may
fill one cache. Where the layout, the settings and the folders are comes from DVC.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer

# An object's md5, and whether DVC 2 made it (another hash, another folder).
ObjectName = tuple[str, bool]

SMALL_BYTES = 1 << 20
_FIRST_BYTES = 1 << 16
_TEMPORARY = "flint-ml.tmp"
_OLD_SECONDS = 86_400
_GROUP = 64
_THREADS = 2


@dataclass
class Delivery:
    """What came so far; ``missing`` the remote does not hold, ``corrupt`` came and did not match its hash."""

    files: int = 0
    bytes: int = 0
    missing: set[ObjectName] = field(default_factory=set)
    corrupt: set[ObjectName] = field(default_factory=set)


class Source(Protocol):
    """Where objects come from."""

    def sizes(self, names: Sequence[ObjectName]) -> dict[ObjectName, int] | None:
        """Bytes of those of ``names`` that it holds; None where only asking for each one would tell."""

    def bring(self, names: Sequence[ObjectName], cache: CacheWriter, delivery: Delivery) -> None:
        """Write ``names`` into ``cache``."""


def object_key(name: ObjectName) -> str:
    """Path of an object below a cache or a remote, as DVC lays it out."""
    md5, legacy = name
    return f"{'' if legacy else 'files/md5/'}{md5[:2]}/{md5[2:]}"


class CacheWriter:
    """DVC's cache, written object by object.

    Parameters
    ----------
    folder
        The cache's top folder.
    makedirs
        Makes a folder with the rights that the cache's settings ask for.
    """

    def __init__(self, folder: Path, makedirs: Any) -> None:
        self.folder = str(folder)
        self._makedirs = makedirs
        self._temporary = ""

    def __enter__(self) -> CacheWriter:
        top = Path(self.folder) / _TEMPORARY
        self._makedirs(str(top))
        # What a killed run left; another run's is younger.
        for old in top.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - old.stat().st_mtime > _OLD_SECONDS:
                    shutil.rmtree(old, ignore_errors=True)
        self._temporary = tempfile.mkdtemp(dir=top)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)
        with contextlib.suppress(OSError):
            (Path(self.folder) / _TEMPORARY).rmdir()  # unless another run works

    def store(self, name: ObjectName, data: Buffer) -> bool:
        """Keep ``data`` as the object ``name``; False, and nothing kept, where its hash is another."""
        md5, legacy = name
        if legacy:
            with self.arriving(name) as part:
                part.write(data)
                return part.finish()
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5[:32]:
            return False
        path = self._part(md5)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        try:
            _write(descriptor, data)
        except BaseException:
            os.close(descriptor)
            Path(path).unlink(missing_ok=True)
            raise
        os.close(descriptor)
        self.name(path, name)
        return True

    @contextlib.contextmanager
    def arriving(self, name: ObjectName) -> Iterator[Arriving]:
        """The object ``name`` for bytes that arrive in parts; without ``finish``, nothing of it is kept."""
        path = self._part(name[0])
        part = Arriving(self, name, path)
        try:
            yield part
        finally:
            part.close()
            Path(path).unlink(missing_ok=True)

    def _part(self, md5: str) -> str:
        return f"{self._temporary}/{threading.get_ident()}.{md5}"

    def name(self, part: str, name: ObjectName) -> None:
        """Give the finished file ``part`` the object's name."""
        target = f"{self.folder}/{object_key(name)}"
        try:
            os.replace(part, target)  # noqa: PTH105 - thousands of times
        except FileNotFoundError:
            self._makedirs(os.path.dirname(target))  # noqa: PTH120
            os.replace(part, target)  # noqa: PTH105


class Arriving:
    """An object whose bytes arrive in parts."""

    def __init__(self, cache: CacheWriter, name: ObjectName, path: str) -> None:
        self._cache, self._object, self._path = cache, name, path
        self._digest = hashlib.md5(usedforsecurity=False)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def write(self, data: Buffer) -> None:
        """The next part."""
        self._digest.update(data)
        _write(self._descriptor, data)

    def close(self) -> None:
        """No more parts."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def finish(self) -> bool:
        """All parts are there; whether they are what the name says, and now in the cache."""
        self.close()
        md5, legacy = self._object
        if (file_hash(self._path, legacy=True) if legacy else self._digest.hexdigest()) != md5[:32]:
            return False
        Path(self._path).chmod(0o444)
        self._cache.name(self._path, self._object)
        return True


def _write(descriptor: int, data: Buffer) -> None:
    view = memoryview(data)
    written = os.write(descriptor, view)
    while written < len(view):  # a full disk takes a part before it refuses
        written += os.write(descriptor, view[written:])


def read_small(path: str) -> bytes | None:
    """Bytes of a file below ``SMALL_BYTES``, None of a larger one. Three calls of the system for most, nothing else."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # A larger buffer would be mapped and unmapped for each file.
        data = os.read(descriptor, _FIRST_BYTES)
        if len(data) < _FIRST_BYTES:
            return data
        data += os.read(descriptor, SMALL_BYTES)
    finally:
        os.close(descriptor)
    return data if len(data) < SMALL_BYTES else None


def hash_and_size(path: str, *, legacy: bool = False) -> tuple[str, int]:
    """The md5 of a file as DVC computes it, and its bytes; ``legacy``: DVC 2's, which takes line ends of texts for one.

    Raises
    ------
    OSError
        If it is not there, or may not be read.
    """
    if legacy:
        from dvc_data.hashfile.hash import file_md5

        return str(file_md5(path, name="md5-dos2unix")), os.stat(path).st_size  # noqa: PTH116
    data = read_small(path)
    if data is not None:
        return hashlib.md5(data, usedforsecurity=False).hexdigest(), len(data)
    with Path(path).open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
        return digest.hexdigest(), stream.tell()


def file_hash(path: str, *, legacy: bool = False) -> str:
    """The md5 alone."""
    return hash_and_size(path, legacy=legacy)[0]


def lacking(folder: str, names: Iterable[ObjectName]) -> set[ObjectName]:
    """Those of ``names`` that the cache in ``folder`` does not hold."""
    by_folder: dict[str, list[ObjectName]] = {}
    for name in names:
        by_folder.setdefault(f"{'' if name[1] else 'files/md5/'}{name[0][:2]}", []).append(name)
    absent: set[ObjectName] = set()
    for inside, group in by_folder.items():
        # One list of a folder costs less than asking for each of its files.
        try:
            held = set(os.listdir(f"{folder}/{inside}")) if len(group) > 3 else None  # noqa: PTH208
        except (FileNotFoundError, NotADirectoryError):
            held = set()
        absent.update(
            name
            for name in group
            if (name[0][2:] not in held if held is not None else not os.path.isfile(f"{folder}/{object_key(name)}"))  # noqa: PTH113
        )
    return absent


class FolderSource:
    """A remote that is a folder of this machine, or mounted on it."""

    def __init__(self, folder: str, jobs: int | None = None) -> None:
        self.folder = folder
        self.jobs = jobs or _THREADS

    def sizes(self, names: Sequence[ObjectName]) -> dict[ObjectName, int]:
        """Bytes of those of ``names`` that the folder holds."""
        held = {}
        for name in names:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                held[name] = os.stat(f"{self.folder}/{object_key(name)}").st_size  # noqa: PTH116
        return held

    def bring(self, names: Sequence[ObjectName], cache: CacheWriter, delivery: Delivery) -> None:
        """Copy objects, several threads side by side: a mounted folder answers slowly."""
        lock = threading.Lock()

        def copy(group: Sequence[ObjectName]) -> None:
            for name in group:
                size = self._copy(name, cache)
                with lock:
                    count(delivery, name, size)

        groups = [names[start : start + _GROUP] for start in range(0, len(names), _GROUP)]
        if len(groups) < 2:
            copy(names)
            return
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                for done in pool.map(copy, groups):
                    assert done is None
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _copy(self, name: ObjectName, cache: CacheWriter) -> int | None:
        """Bytes copied, -1 for wrong content, None where it is not there."""
        path = f"{self.folder}/{object_key(name)}"
        try:
            data = read_small(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if data is not None:
            return len(data) if cache.store(name, data) else -1
        size = 0
        with Path(path).open("rb", buffering=0) as stream, cache.arriving(name) as part:
            while block := stream.read(SMALL_BYTES):
                part.write(block)
                size += len(block)
            return size if part.finish() else -1


def count(delivery: Delivery, name: ObjectName, size: int | None) -> None:
    """Note one object: bytes that came, -1 for wrong content, None where it is not there."""
    if size is None:
        delivery.missing.add(name)
    elif size < 0:
        delivery.corrupt.add(name)
    else:
        delivery.files += 1
        delivery.bytes += size
        delivery.corrupt.discard(name)
