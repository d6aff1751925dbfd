"""Fences around what files of a repository may reach: no path out of the workspace, no format but GeoTIFF, no network.

A file names other files: a configuration its layers and database, a raster its mask, its overviews, its description.
Whoever reads one asks here.
"""

from __future__ import annotations

import bz2
import gzip
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from flint_ml.errors import InputError

# Beside the workspace: folders that we made ourselves, such as for the base's files or an unpacked archive.
_OURS = ("flint-ml-", "gcbm-")
_root: ContextVar[Path | None] = ContextVar("root", default=None)

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# What GDAL opens beside a raster, with any driver that it knows: a mask, overviews.
_BESIDE = (".msk", ".MSK", ".ovr", ".OVR")
_ABOUT = (".aux.xml", ".AUX.XML")
_DEEPEST = 3
_MOST_XML = 16 << 20
# A name that a description may give to GDAL as the file of the overviews, an address too.
_ELSEWHERE = (b"OVERVIEW_FILE", b"<!DOCTYPE", b"<!ENTITY")
# GDAL asks no server, whatever a file says. As variables, because it asks when cells are read, long after opening.
_NO_NETWORK = {"CPL_VSIL_CURL_ALLOWED_FILENAME": "none", "GDAL_HTTP_PROXY": "127.0.0.1:9"}


@contextmanager
def confined_to(root: Path | None) -> Iterator[None]:
    """Within the block paths that files name must stay below ``root`` (None: may lead anywhere)."""
    token = _root.set(root.resolve() if root else None)
    try:
        yield
    finally:
        _root.reset(token)


def confined(path: Path, where: str) -> Path:
    """``path``, which a file of the repository names at ``where``.

    Raises
    ------
    InputError
        If it leads out of the workspace, and the run is confined to that.
    """
    root = _root.get()
    if root is None:
        return path
    resolved, temporary = path.resolve(), Path(tempfile.gettempdir()).resolve()
    parts = resolved.relative_to(temporary).parts if resolved.is_relative_to(temporary) else ()
    if not resolved.is_relative_to(root) and not (parts and parts[0].startswith(_OURS)):
        raise InputError(
            f"{path.name!r} leads out of the workspace",
            where=where,
            hint="name a file inside the checked-out repository; a link must not leave it either",
            code="outside-workspace",
        )
    return path


def check_beside(path: Path, label: str) -> None:
    """Refuse files beside the raster ``path`` by which GDAL would open something else than a GeoTIFF.

    Raises
    ------
    InputError
        With code ``raster-sidecar``; the file is named.
    """
    raster, depth = [path], 0
    while raster and depth < _DEEPEST:
        raster = [beside for each in raster for beside in _checked(each, label)]
        depth += 1


def _checked(path: Path, label: str) -> list[Path]:
    found = []
    for beside in (path.with_name(path.name + suffix) for suffix in _BESIDE):
        if beside.is_file():
            with beside.open("rb") as stream:
                if stream.read(4) not in _TIFF:
                    raise _foreign(label, beside, "is no GeoTIFF")
            found.append(beside)
    for about in (path.with_name(path.name + suffix) for suffix in _ABOUT):
        if about.is_file():
            if about.stat().st_size > _MOST_XML:
                raise _foreign(label, about, f"is larger than {_MOST_XML >> 20} MB")
            if any(word in about.read_bytes() for word in _ELSEWHERE):
                raise _foreign(label, about, "names another file")
    return found


def _foreign(label: str, file: Path, why: str) -> InputError:
    return InputError(
        f"the file {file.name} beside it {why}",
        where=label,
        hint="take it away, or write it as GDAL does (`gdaladdo`, `gdal_translate`)",
        code="raster-sidecar",
    )


# Compressed text whose true size is counted before it is read into memory.
UNPACKED = frozenset({".gz", ".bz2"})
# What a workbook may hold: bytes once unpacked, and cells in a row (Excel's own limit).
MAX_WORKBOOK = 2 << 30
MAX_COLUMNS = 16_384
_CELL = re.compile(rb"<(?:\w+:)?c[\s/>]")
_ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")


def unpacked_size(path: Path, most: int) -> int:
    """Bytes that a compressed text (.gz, .bz2) holds; counted up to ``most``, and at least that where it is more.

    A damaged file counts as far as it can be read: whoever reads it says what is wrong.
    """
    opened = gzip.open if path.suffix.lower() == ".gz" else bz2.open
    size = 0
    try:
        with opened(path, "rb") as stream:
            while size <= most and (block := stream.read(1 << 20)):
                size += len(block)
    except (OSError, EOFError, zlib.error, ValueError):
        return size
    return size


def check_workbook(path: Path, label: str) -> None:
    """Refuse an .xlsx that unpacks to too much, or whose rows are longer than any spreadsheet's.

    Raises
    ------
    InputError
        With code ``workbook-too-large``. What is no ZIP archive is left to the reader.
    """
    left = MAX_WORKBOOK
    try:
        with zipfile.ZipFile(path) as book:
            for entry in book.infolist():
                cells, rest = 0, b""
                sheet = entry.filename.startswith("xl/worksheets/")
                with book.open(entry) as stream:
                    while block := stream.read(1 << 20):
                        left -= len(block)
                        if left < 0:
                            raise _workbook(label, f"is larger than {MAX_WORKBOOK >> 30} GiB unpacked")
                        if sheet:
                            cells, rest = _longest_row(rest + block, cells, label)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, zlib.error):
        return


def _longest_row(text: bytes, cells: int, label: str) -> tuple[int, bytes]:
    """Cells of the row that ``text`` ends in, ``cells`` of which came before, and the bytes of a tag that is cut."""
    cut = text.rfind(b"<") if b">" not in text[text.rfind(b"<") :] else len(text)
    text, rest = text[:cut], text[cut:]
    parts = _ROW.split(text)
    for number, part in enumerate(parts):
        cells = (cells if number == 0 else 0) + len(_CELL.findall(part))
        if cells > MAX_COLUMNS:
            raise _workbook(label, f"has a row of more than {MAX_COLUMNS:,} cells")
    return cells, rest[-1024:]


def _workbook(label: str, what: str) -> InputError:
    hint = "save the sheet as CSV (UTF-8) or Parquet"
    return InputError(what, where=label, hint=hint, code="workbook-too-large")


def open_raster(path: Path, label: str) -> Any:
    """The dataset of the GeoTIFF ``path``: of no other format, with nothing foreign beside it, without network.

    Raises
    ------
    InputError
        If a file beside it is refused, or it leads out of the workspace.
    rasterio.errors.RasterioIOError
        If it cannot be read as a GeoTIFF.
    """
    import rasterio

    check_beside(confined(path, label), label)
    os.environ.update(_NO_NETWORK)
    return rasterio.open(path, driver="GTiff")
