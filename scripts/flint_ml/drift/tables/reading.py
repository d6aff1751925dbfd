"""Read the columns of a table that are needed, and no others. CSV (also compressed) and Parquet, through Arrow."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flint_ml.drift.tables.formats import COMPRESSED, MISSING, PARQUET, SHEETS, suffix_of
from flint_ml.drift.tables.sources import archived, opened, remote_path
from flint_ml.errors import InputError

_SNIFF_BYTES = 1 << 18
_DELIMITERS = (",", ";", "\t", "|")
_COMMA_NUMBER = re.compile(r"^\s*[-+]?\d+,\d+(?:[eE][-+]?\d+)?\s*$")
_POINT_NUMBER = re.compile(r"^\s*[-+]?\d*\.\d+(?:[eE][-+]?\d+)?\s*$")


@dataclass(frozen=True)
class Source:
    """A table that is not read yet: its column names in order, and how to read it, or the ``parts`` that make it up.

    The bytes are at ``path``, in its ``member`` where that is an archive, or at ``address``; a sheet of a workbook is
    a ``frame`` already.
    """

    path: Path
    label: str
    names: tuple[str, ...]
    parquet: bool
    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf8"
    blank_lines: int = 0
    quoted_lines: bool = False
    address: str = ""
    member: str = ""
    frame: Any = None
    parts: tuple[Source, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def opened(self) -> Any:
        """What Arrow can read the table from."""
        return opened(self.path, address=self.address, member=self.member, label=self.label, ranges=self.parquet)

    @property
    def plain(self) -> bool:
        """Whether it is an uncompressed file on this machine."""
        return not (self.address or self.member or self.frame or self.path.suffix.lower() in COMPRESSED)


def _bad(label: str, message: str, hint: str, code: str = "unreadable-table") -> InputError:
    return InputError(message, where=label, hint=hint, code=code)


def open_table(place: Path | str, label: str) -> Source:
    """Look at the start of a table, at a path or an address: format, delimiter, decimal sign, encoding, column names.

    Raises
    ------
    InputError
        If it does not exist, is empty, is of no known format, or names a column twice.
    OutsideError
        If the storage at an address does not answer.
    """
    source = _located(place, label)
    suffix = suffix_of(Path(source.member) if source.member else source.path)
    with closing(_stream(replace(source, parquet=True))) as stream:
        magic = stream.read(8)
    if not magic:
        raise _bad(label, "is empty", "write the table again; it needs a header line and rows", "empty-file")
    if suffix in PARQUET or magic[:4] == b"PAR1":
        source = _open_parquet(replace(source, parquet=True))
    elif suffix in SHEETS:
        source = _open_sheet(source)
    elif suffix in {".xls", ".ods"} or magic[:4] in {b"PK\x03\x04", b"\xd0\xcf\x11\xe0"}:
        raise _bad(label, "is a spreadsheet of another kind", "save the sheet as .xlsx, or as CSV (UTF-8)")
    else:
        source = _open_text(source)
    _check_names(source)
    return source


def _located(place: Path | str, label: str) -> Source:
    """Where a table is; nothing is known of its columns."""
    if isinstance(place, str):
        return Source(remote_path(place), label, (), parquet=False, address=place)
    if not place.exists():
        raise _bad(
            label,
            "does not exist",
            "check the spelling; if DVC tracks it, run pull-data before this step",
            "missing-file",
        )
    if not place.is_file():
        raise _bad(label, "is a folder, not a table", "name a CSV, Parquet or Excel file")
    member = archived(place, label) if place.suffix.lower() == ".zip" else ""
    return Source(place, label, (), parquet=False, member=member)


def _stream(source: Source) -> Any:
    """The bytes of a table as they are."""
    place = source.opened()
    return Path(place).open("rb") if isinstance(place, str) else place


def _open_sheet(source: Source) -> Source:
    from flint_ml.drift.tables.excel import read_sheet

    path: Any = source.path
    if source.address:
        path = io.BytesIO(_stream(replace(source, parquet=True)).read())
    frame, notes = read_sheet(path, source.label)
    return replace(source, names=tuple(frame.column_names), frame=frame, notes=notes)


def open_tables(paths: Sequence[Path | str], label: str) -> Source:
    """Look at one table, or at several that are the parts of one and have the same columns.

    Raises
    ------
    InputError
        As :func:`open_table`, or if there is no part or their columns differ.
    """
    if len(paths) == 1:
        return open_table(paths[0], label)
    if not paths:
        hint = "name a file, a folder or a pattern of CSV, Parquet or Excel files"
        raise _bad(label, "holds no table", hint, "missing-file")
    parts = tuple(open_table(path, f"{label}: {_name(path)}") for path in paths)
    for part in parts[1:]:
        differ = sorted(set(part.names) ^ set(parts[0].names))
        if differ:
            raise _bad(
                part.label,
                f"has other columns than {_name(paths[0])}: {', '.join(differ[:4])}",
                "the files of one table need the same columns",
                "different-columns",
            )
    notes = tuple(note for part in parts for note in part.notes)
    return Source(parts[0].path, label, parts[0].names, parts[0].parquet, parts=parts, notes=notes)


def _name(place: Path | str) -> str:
    return (place if isinstance(place, Path) else remote_path(place)).name


def _open_parquet(source: Source) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(source.opened())
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _bad(source.label, f"is not a Parquet file: {_first_line(error)}", "write the file again") from None
    return replace(source, names=tuple(n for n in schema.names if not n.startswith("__index_level_")))


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__


def _head(source: Source) -> bytes:
    import pyarrow as pa

    place = source.opened()
    try:
        if not isinstance(place, str):
            with closing(place):
                return bytes(place.read(_SNIFF_BYTES))
        with pa.input_stream(place, compression="detect") as stream:
            return bytes(stream.read(_SNIFF_BYTES))
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        hint = "check that the file is whole"
        raise _bad(source.label, f"cannot be read: {_first_line(error)}", hint) from None


def _decoded(head: bytes, label: str) -> tuple[str, str]:
    """The start of the file as text, and its encoding."""
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if head.startswith(mark):
            return head[: len(head) // 2 * 2].decode(name, errors="replace"), name
    if b"\x00" in head:
        raise _bad(label, "is binary, not CSV", "name a CSV or Parquet file")
    try:
        return head.decode("utf-8-sig"), "utf8"
    except UnicodeDecodeError as error:
        # The sample may end within a character.
        if error.start >= len(head) - 4 and len(head) >= _SNIFF_BYTES:
            return head[: error.start].decode("utf-8-sig"), "utf8"
    return head.decode("cp1252", errors="replace"), "cp1252"


def _open_text(source: Source) -> Source:
    label = source.label
    text, encoding = _decoded(_head(source), label)
    lines = [line for line in text.splitlines()[:200] if line.strip()]
    if not lines:
        raise _bad(label, "is empty", "write the table again; it needs a header line and rows", "empty-file")
    blank = next(i for i, line in enumerate(text.splitlines()) if line.strip())
    unquoted = re.sub(r'"[^"]*"', "", lines[0])
    delimiter = max(_DELIMITERS, key=unquoted.count)
    try:
        names = next(csv.reader(io.StringIO("\n".join(text.splitlines()[blank:])), delimiter=delimiter))
    except (csv.Error, StopIteration) as error:
        raise _bad(label, f"has no readable header: {error}", "check the first line and its quotes") from None
    decimal = _decimal(lines[1:], delimiter)
    notes = (f"{label} is not UTF-8; it was read as Windows-1252",) if encoding == "cp1252" else ()
    return replace(
        source,
        names=_named(names),
        delimiter=delimiter,
        decimal=decimal,
        encoding=encoding,
        blank_lines=blank,
        notes=notes,
    )


def _named(names: Sequence[str]) -> tuple[str, ...]:
    """Column names without outer blanks; a column without a name gets its number."""
    return tuple(name.strip() or f"(column {number})" for number, name in enumerate(names, 1))


def _decimal(lines: Sequence[str], delimiter: str) -> str:
    if delimiter == ",":
        return "."
    fields = [field.strip('" ') for line in lines for field in line.split(delimiter)]
    commas = sum(bool(_COMMA_NUMBER.match(field)) for field in fields)
    return "," if commas > sum(bool(_POINT_NUMBER.match(field)) for field in fields) else "."


def _check_names(source: Source) -> None:
    twice = [name for name, count in Counter(source.names).items() if count > 1]
    if twice:
        shown = ", ".join(twice[:3]) + (" …" if len(twice) > 3 else "")
        raise _bad(
            source.label, f"names a column twice: {shown}", "give each column a name of its own", "duplicate-columns"
        )


def open_parquet(source: Source) -> list[Any] | None:
    """The open ``ParquetFile`` of each part of a Parquet table; None where a part is text.

    What reads a table batch by batch keeps them: with thousands of columns, opening takes as long as reading some.
    """
    parts = source.parts or (source,)
    if not all(part.parquet for part in parts):
        return None
    import pyarrow.parquet as pq

    return [pq.ParquetFile(part.opened()) for part in parts]


def read_columns(source: Source, names: Sequence[str], files: Sequence[Any] | None = None) -> Any:
    """The columns ``names`` of ``source`` as a ``pyarrow.Table``; ``files`` are what :func:`open_parquet` gave.

    Raises
    ------
    InputError
        If a line or value cannot be read, or there is no row.
    """
    parts = source.parts or (source,)
    tables = [_read_part(part, names, file) for part, file in zip(parts, files or [None] * len(parts), strict=True)]
    return tables[0] if len(tables) == 1 else _joined(tables, names)


def _joined(tables: list[Any], names: Sequence[str]) -> Any:
    import pyarrow as pa

    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException:
        # A column of numbers in one file and of text in another is text.
        text = pa.schema([(name, pa.string()) for name in names])
        return pa.concat_tables([table.cast(text) for table in tables])


def _read_part(source: Source, names: Sequence[str], file: Any) -> Any:
    if source.frame is not None:
        table = source.frame.select(list(names))
    else:
        table = _read_parquet(source, names, file) if source.parquet else _read_text(source, names)
    if table.num_rows == 0:
        raise no_rows(source.label)
    return table


def _read_parquet(source: Source, names: Sequence[str], known: Any) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not read_table(): it imports pyarrow.dataset, and that pandas.
        if known is not None:
            return known.read(columns=list(names)).select(list(names))
        with pq.ParquetFile(source.opened()) as file:
            return file.read(columns=list(names)).select(list(names))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise _bad(source.label, f"cannot be read: {_first_line(error)}", "write the file again") from None


def _read_text(source: Source, names: Sequence[str]) -> Any:
    """Read as numbers where Arrow can; where a late value does not fit, that column as text."""
    import pyarrow as pa

    types: dict[str, Any] = {}
    for _ in range(len(names) + 3):
        try:
            table = _arrow_csv(source, names, types)
            if source.encoding == "utf8" and any(pa.types.is_binary(kind) for kind in table.schema.types):
                source = replace(source, encoding="cp1252")
                continue
            return table
        except UnicodeDecodeError:
            source = replace(source, encoding="cp1252")
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            text = str(error)
            if "invalid UTF8" in text and source.encoding == "utf8":
                source = replace(source, encoding="cp1252")
                continue
            column = re.search(r"In CSV column #(\d+)", text)
            if column and int(column[1]) < len(source.names):
                types |= _as_text(source, int(column[1]), types, names)
                continue
            if not source.quoted_lines:
                source = replace(source, quoted_lines=True)
                continue
            raise bad_csv(source.label, text) from None
        except (OSError, ValueError) as error:
            raise _bad(source.label, f"cannot be read: {_first_line(error)}", "check that the file is whole") from None
    raise _bad(source.label, "cannot be read as a table", "save it again as CSV in UTF-8")


def no_rows(label: str) -> InputError:
    """That a table has no rows."""
    return _bad(label, "has a header but no rows", "give a table with at least one row", "empty-file")


def bad_csv(label: str, text: str) -> InputError:
    """What is wrong with lines that Arrow could not read, from its message ``text``."""
    return _bad(
        label,
        f"is no well-formed CSV: {_parse_message(text)}",
        "each line needs as many fields as the header; quote fields that hold the separator",
    )


def bad_table(label: str, error: BaseException) -> InputError:
    """What is wrong with a file that cannot be read."""
    return _bad(label, f"cannot be read: {_first_line(error)}", "check that the file is whole, or write it again")


def _as_text(source: Source, index: int, types: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    import pyarrow as pa

    # A file with many such columns is read as text at once rather than once for each.
    if len(types) >= 3 or source.names[index] in types:
        return {name: pa.string() for name in names}
    return {source.names[index]: pa.string()}


def _parse_message(text: str) -> str:
    line = text.splitlines()[0].removeprefix("CSV parse error: ")
    row, _, rest = line.partition(": ") if line.startswith("Row #") else ("", "", line)
    if not rest.startswith("Expected"):
        return line[:200]
    # The row itself stays out of logs and comments.
    return f"{row}: {rest.split(': ', 1)[0]}".removeprefix(": ")[:200]


def _arrow_csv(source: Source, names: Sequence[str], types: dict[str, Any]) -> Any:
    import pyarrow.csv as pc

    return pc.read_csv(source.opened(), **csv_options(source, names, types))


def csv_options(source: Source, names: Sequence[str], types: Mapping[str, Any], block: int = 1 << 22) -> dict[str, Any]:
    """How Arrow is to read the columns ``names`` of a text file, ``block`` bytes at a time."""
    import pyarrow.csv as pc

    return {
        "read_options": pc.ReadOptions(
            column_names=list(source.names),
            skip_rows=source.blank_lines,
            skip_rows_after_names=1,
            encoding=source.encoding,
            block_size=block,
        ),
        "parse_options": pc.ParseOptions(delimiter=source.delimiter, newlines_in_values=source.quoted_lines),
        "convert_options": pc.ConvertOptions(
            include_columns=list(names),
            column_types=dict(types),
            null_values=list(MISSING),
            strings_can_be_null=True,
            decimal_point=source.decimal,
        ),
    }
