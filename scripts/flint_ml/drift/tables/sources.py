"""Where the bytes of a table come from: a file, one file of a ZIP archive, or an address (S3 and others, HTTP)."""

from __future__ import annotations

import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from flint_ml.drift.tables.formats import is_table
from flint_ml.errors import FlintError, InputError, OutsideError

_SCHEMES = {"s3", "gs", "gcs", "az", "abfs", "abfss", "http", "https"}
_ADDRESS = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.I)
_PATTERN = re.compile(r"[*?\[]")
_ARROW_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
_BLOCK = 8 << 20
_MOST_UNPACKED = 2 << 30
_PAPERS = re.compile(
    r"(?i)^(?:read[-_ ]?me|licen[cs]e|copying|metadata|about|notes?|citation|dictionary|codebook)\b.*|.*\.txt$"
)
# What zipfile raises of damaged, encrypted and foreign archives.
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError, KeyError)
_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_REGION, AWS_ENDPOINT_URL) in the step's `env`",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS in the step's `env`",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY in the step's `env`",
}


def is_remote(text: str) -> bool:
    """Whether an input is an address rather than a path."""
    return bool(_ADDRESS.match(text))


def shown(text: str) -> str:
    """An address without user, password, query and fragment, any of which may be secret; a path as it is."""
    if not is_remote(text):
        return text
    parts = urlsplit(text)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _file_system(address: str, label: str) -> Any:
    match = _ADDRESS.match(address)
    scheme = match[1].lower() if match else ""
    if scheme not in _SCHEMES:
        known = ", ".join(sorted(_SCHEMES))
        raise InputError(f"`{scheme}://` is not supported", where=label, hint=f"use a path, or one of {known}")
    import fsspec

    options: dict[str, Any] = {}
    if scheme == "s3":
        options["config_kwargs"] = {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 3}}
    try:
        return fsspec.filesystem(scheme, **options)
    except ImportError:
        raise InputError(
            f"`{scheme}://` needs a package that is not installed",
            where=label,
            hint="`pip install 'flint-ml-actions[remotes]'`; the image has it",
            code="no-file-system",
        ) from None


def guarded(address: str, label: str, work: Callable[[], Any]) -> Any:
    """Do ``work`` on an address; what goes wrong is said without the address's secrets.

    Raises
    ------
    InputError
        If there is nothing at the address.
    OutsideError
        If it may not be read, or does not answer.
    """
    try:
        return work()
    except FlintError:
        raise
    except FileNotFoundError as error:
        # fsspec says so of any answer but success, and of none.
        if isinstance(error.__cause__, Exception) and getattr(error.__cause__, "status", 0) != 404:
            raise _failure(address, label, error.__cause__) from None
        hint = "check the address; names are case-sensitive"
        raise InputError("does not exist", where=label, hint=hint, code="missing-file") from None
    except Exception as error:
        raise _failure(address, label, error) from None


def _failure(address: str, label: str, error: Exception) -> Exception:
    """An exception of a storage library, of whatever class, as one that a user can act on."""
    scheme = address.partition(":")[0].lower().replace("gcs", "gs").replace("abfss", "az").replace("abfs", "az")
    response = getattr(error, "response", None)
    status = getattr(error, "status", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    kind = type(error).__name__
    if "Credential" in kind or isinstance(error, PermissionError) or status in {401, 403}:
        hint = _CREDENTIALS.get(scheme, "give an address that needs no login, or a signed one")
        what = (
            "needs credentials" if "Credential" in kind else f"may not be read{f' (HTTP {status})' if status else ''}"
        )
        return OutsideError(what, where=label, hint=hint, code="no-access")
    if status == 404:
        return InputError("does not exist", where=label, hint="check the address", code="missing-file")
    what = f"cannot be read: {kind}{f' (HTTP {status})' if status else ''}"
    hint = "run again; if it stays, check the address and the storage server"
    return OutsideError(what, where=label, hint=hint, code="storage-failed")


def find_remote(text: str, name: str) -> list[str]:
    """The addresses that one address, folder or pattern means, in order.

    Raises
    ------
    InputError, OutsideError
        As :func:`guarded`, or if no table is there.
    """
    label = shown(text)
    if urlsplit(text).scheme.lower() in {"http", "https"}:
        return [text]
    system = _file_system(text, label)
    scheme = text.partition("://")[0]

    def look() -> list[str]:
        if _PATTERN.search(text):
            return [str(path) for path in system.glob(text)]
        return [str(path) for path in system.find(text)] if system.isdir(text) else [text]

    found = guarded(text, label, look)
    if found == [text]:
        return [text]
    tables = sorted(path for path in found if is_table(Path(path)))
    if not tables:
        hint = "check the address; a folder's tables are CSV, Parquet or Excel files"
        raise InputError("holds no table", where=f"{name}: {label}", hint=hint, code="missing-file")
    return [f"{scheme}://{path}" for path in tables]


class RemoteFile(io.RawIOBase):
    """A file at an address, opened anew where it is unpickled. Its errors are those that a user can act on."""

    def __init__(self, address: str, label: str, *, ranges: bool) -> None:
        super().__init__()
        self.address, self.label = address, label
        system = _file_system(address, label)
        cache = "none" if ranges and not address.startswith("http") else "readahead"
        self._file = guarded(address, label, lambda: system.open(address, "rb", block_size=_BLOCK, cache_type=cache))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def read(self, size: int = -1) -> bytes:
        return bytes(guarded(self.address, self.label, lambda: self._file.read(size)))

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._file.close()


class WithoutArrowSchema(io.RawIOBase):
    """A Parquet file whose footer does not show Arrow's schema, so that its columns have Parquet's own types.

    Arrow refuses a whole file for one column of a type that its schema names and it cannot read (128-bit integers of
    polars). The key of that schema is given another name of the same length; nothing else moves.
    """

    def __init__(self, place: Any) -> None:
        super().__init__()
        self._file = Path(place).open("rb") if isinstance(place, str) else place  # noqa: SIM115 - closed by close()
        size = self._file.seek(0, io.SEEK_END)
        self._file.seek(max(0, size - 8))
        length = int.from_bytes(self._file.read(8)[:4], "little")
        self._start = self._file.seek(max(0, size - 8 - length))
        self._footer = self._file.read(length).replace(b"ARROW:schema", b"arrow:schema")
        self._file.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        place = self._file.tell()
        data = self._file.read(size)
        first, last = max(place, self._start), min(place + len(data), self._start + len(self._footer))
        if first >= last:
            return bytes(data)
        return data[: first - place] + self._footer[first - self._start : last - self._start] + data[last - place :]

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._file.close()


def remote_size(address: str, label: str) -> int | None:
    """Bytes of a file at an address, where the server says so."""
    system = _file_system(address, label)
    size = guarded(address, label, lambda: system.info(address)).get("size")
    return None if size is None else int(size)


def remote_path(address: str) -> Path:
    """Name and suffixes of the file at an address, as a path."""
    return Path(PurePosixPath(urlsplit(address).path).name or "table")


def archived(path: Path, label: str) -> str:
    """The name of the one table in a ZIP archive.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except _BROKEN as error:
        raise _broken(error, label) from None
    tables = [name for name in names if is_table(Path(name)) and "__MACOSX" not in name]
    if len(tables) > 1:
        # A readme or a licence beside the table is none.
        tables = [name for name in tables if not _PAPERS.match(Path(name).name)]
    if len(tables) != 1:
        raise InputError(
            f"holds {len(tables) or 'no'} tables",
            where=label,
            code="unreadable-table",
            hint="an archive must hold one table beside readme and licence; unpack it, and name the folder",
        )
    return tables[0]


def _broken(error: Exception, label: str) -> InputError:
    hint = "check that the file is whole, and needs no password"
    return InputError(f"is no ZIP archive that can be read: {error}", where=label, hint=hint, code="unreadable-table")


def _unpacked(path: Path, label: str) -> io.BytesIO:
    """The content of an .xz file, which Arrow does not decompress."""
    try:
        with lzma.open(path) as file:
            content = file.read(_MOST_UNPACKED + 1)
    except _BROKEN as error:
        hint = "check that the file is whole"
        raise InputError(f"cannot be read: {error}", where=label, hint=hint, code="unreadable-table") from None
    if len(content) > _MOST_UNPACKED:
        hint = "unpack it, or compress it as .zst"
        raise InputError("is larger than 2 GB unpacked", where=label, hint=hint, code="unreadable-table")
    return io.BytesIO(content)


def opened(path: Path, *, address: str = "", member: str = "", label: str = "", ranges: bool = False) -> Any:
    """What Arrow can read a table from: a path, or an open file. Compressed text comes decompressed.

    ``ranges`` says that the file is read at several places (Parquet) rather than from start to end.
    """
    if member:
        try:
            with zipfile.ZipFile(path) as archive:
                return io.BytesIO(archive.read(member)) if ranges else archive.open(member)
        except _BROKEN as error:
            raise _broken(error, label) from None
    if not address:
        if path.suffix.lower() == ".xz":
            return _unpacked(path, label)
        return str(path)
    import pyarrow as pa

    file = RemoteFile(address, label, ranges=ranges)
    codec = _ARROW_CODECS.get(path.suffix.lower())
    if ranges or codec is None:
        return file
    return pa.CompressedInputStream(pa.PythonFile(file, "r"), codec)
