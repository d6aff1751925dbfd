"""Read the columns of a table that are needed, and no others. CSV (also compressed) and Parquet, through Arrow."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from flint_ml.drift.rules import ReadRules
from flint_ml.drift.tables.dialect import Given, dialect_of
from flint_ml.drift.tables.formats import ARROW, COMPRESSED, JSON_LINES, MISSING, PARQUET, R_DATA, SHEETS, suffix_of
from flint_ml.drift.tables.lists import element_names, elements, list_lengths, stored_names
from flint_ml.drift.tables.sources import WithoutArrowSchema, archived, opened, remote_path
from flint_ml.errors import InputError

_PARTITION = re.compile(r"^([A-Za-z_]\w*)=(.+)$")
_SUPPORTED = "CSV (also .gz, .bz2, .zst, .xz, .zip), Parquet, Feather, JSON lines, Excel (.xlsx)"
# Bytes that a text table is judged from at its start; of one with many columns so many lines, up to a limit.
_SNIFF_BYTES, _SNIFF_LINES, _SNIFF_MOST = 1 << 18, 12, 1 << 25
# Bytes that are read in its middle and at its end.
_FURTHER = 1 << 14
# Rows that are looked at for the length of lists.
_FIRST_LISTS = 1_000
# Bytes of text that Arrow parses at a time.
_BLOCK, _BLOCK_A_COLUMN, _BLOCK_MOST = 1 << 22, 1 << 12, 1 << 26


@dataclass(frozen=True)
class SourceNote:
    """What a person should know of how a table was read."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True)
class Source:
    """A table that is not read yet: its column names in order, and how to read it, or the ``parts`` that make it up.

    The bytes are at ``path``, in its ``member`` where that is an archive, or at ``address``; a sheet of a workbook is
    a ``frame`` already. ``foreign``: a Parquet file with types that Arrow's schema in it names and Arrow cannot read.
    ``lists``: columns of lists of numbers and their lengths, which are read as columns ``spectrum[1]`` …
    """

    path: Path
    label: str
    names: tuple[str, ...]
    parquet: bool
    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf8"
    skip: int = 0
    after: int = 1
    comments: str = ""
    footer: int = 0
    blanks: bool = False
    quoted_lines: bool = False
    foreign: bool = False
    lists: tuple[tuple[str, int], ...] = ()
    address: str = ""
    member: str = ""
    frame: Any = None
    parts: tuple[Source, ...] = ()
    decimal_seen: str = ""
    notes: tuple[SourceNote, ...] = field(default=())
    said: str = ""
    partition: tuple[tuple[str, str], ...] = ()

    def opened(self) -> Any:
        """What Arrow can read the table from."""
        stream = opened(self.path, address=self.address, member=self.member, label=self.label, ranges=self.parquet)
        if self.parquet:
            return WithoutArrowSchema(stream) if self.foreign else stream
        return rewritten(stream, self) if self.rewritten else stream

    @property
    def rewritten(self) -> bool:
        """Whether lines are dropped or changed before Arrow reads the text; it is in memory then."""
        return bool(self.comments or self.footer or self.blanks)

    @property
    def plain(self) -> bool:
        """Whether it is an uncompressed file on this machine."""
        return not (
            self.address or self.member or self.frame or self.rewritten or self.path.suffix.lower() in COMPRESSED
        )


def rewritten(stream: Any, source: Source) -> Any:
    """A text table without comments, footer and runs of blanks, in memory."""
    import pyarrow as pa

    if isinstance(stream, str):
        with pa.input_stream(stream, compression="detect") as file:
            content = file.read()
    else:
        with closing(stream):
            content = stream.read()
    encoding = "utf-8-sig" if source.encoding == "utf8" else source.encoding
    lines = bytes(content).decode(encoding, errors="replace").splitlines()
    top, body = lines[: source.skip], lines[source.skip :]
    if source.comments:
        body = [line for line in body if not line.startswith(source.comments)]
    while body and not body[-1].strip():
        body.pop()
    if source.footer:
        # Blank lines within the footer go with it.
        left = source.footer
        while left and body:
            left -= bool(body.pop().strip())
    if source.blanks:
        body = ["\t".join(line.split()) for line in body]
    written = "utf-8" if source.encoding == "utf8" else source.encoding
    return io.BytesIO("\n".join([*top, *body, ""]).encode(written))


def _bad(label: str, message: str, hint: str, code: str = "unreadable-table") -> InputError:
    return InputError(message, where=label, hint=hint, code=code)


def open_table(place: Path | str, label: str, read: ReadRules | None = None) -> Source:
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
    elif suffix in ARROW or magic[:6] in {b"ARROW1", b"FEA1"}:
        source = _open_arrow(source)
    elif suffix in JSON_LINES:
        source = _open_json(source)
    elif suffix in R_DATA:
        raise _bad(
            label, "is a file of R", f'save it as CSV: `write.csv(x, "{Path(label).stem}.csv", row.names = FALSE)`'
        )
    elif suffix in SHEETS:
        source = _open_sheet(source, read or ReadRules())
    elif suffix in {".xls", ".ods"} or magic[:4] in {b"PK\x03\x04", b"\xd0\xcf\x11\xe0"}:
        raise _bad(label, "is a spreadsheet of another kind", "save the sheet as .xlsx, or as CSV (UTF-8)")
    else:
        source = _open_text(source, read or ReadRules())
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


def _open_arrow(source: Source) -> Source:
    """A Feather file, or an Arrow file or stream, read whole."""
    import pyarrow as pa

    content = _content(source)
    for reader in (pa.ipc.open_file, pa.ipc.open_stream):
        try:
            return _framed(source, reader(pa.BufferReader(content)).read_all())
        except (pa.ArrowException, OSError, ValueError):
            continue
    raise _bad(source.label, "cannot be read as an Arrow file", f"write it again, or as one of {_SUPPORTED}")


def _open_json(source: Source) -> Source:
    """JSON lines, read whole."""
    import pyarrow as pa
    import pyarrow.json as pj

    try:
        return _framed(source, pj.read_json(pa.BufferReader(_content(source))))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _bad(source.label, f"cannot be read as JSON lines: {_first_line(error)}", "one object a line") from None


def _framed(source: Source, table: Any) -> Source:
    lists = list_lengths(table.schema, table.select)
    return replace(source, names=element_names(table.column_names, lists), lists=tuple(lists.items()), frame=table)


def _content(source: Source) -> Any:
    import pyarrow as pa

    place = source.opened()
    if isinstance(place, str):
        with pa.input_stream(place, compression="detect") as stream:
            return stream.read()
    with closing(place):
        return place.read()


def _open_sheet(source: Source, read: ReadRules) -> Source:
    from flint_ml.drift.tables.excel import read_sheet

    path: Any = source.path
    if source.address:
        path = io.BytesIO(_stream(replace(source, parquet=True)).read())
    sheet = read_sheet(path, source.label, read)
    names = tuple(sheet.table.column_names)
    return replace(
        source, names=names, frame=sheet.table, notes=tuple(SourceNote(*note) for note in sheet.notes), said=sheet.said
    )


def open_tables(paths: Sequence[Path | str], label: str, read: ReadRules | None = None) -> Source:
    """Look at one table, or at several that are the parts of one and have the same columns.

    Raises
    ------
    InputError
        As :func:`open_table`, or if there is no part or their columns differ.
    """
    if len(paths) == 1:
        return open_table(paths[0], label, read)
    if not paths:
        hint = "name a file, a folder or a pattern of CSV, Parquet or Excel files"
        raise _bad(label, "holds no table", hint, "missing-file")
    parts = tuple(_partitioned(open_table(path, f"{label}: {_name(path)}", read), path) for path in paths)
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
    said = parts[0].said if len({part.said for part in parts}) == 1 else "; ".join(p.said for p in parts[:3])
    signs = {part.decimal_seen for part in parts}
    return Source(
        parts[0].path,
        label,
        parts[0].names,
        parts[0].parquet,
        parts=parts,
        notes=notes,
        said=said,
        decimal_seen=signs.pop() if len(signs) == 1 else "",
    )


def _partitioned(source: Source, place: Path | str) -> Source:
    """A part with the columns that the names of its folders give (``region=north``), as Hive and Arrow write them."""
    folders = place.parts[:-1] if isinstance(place, Path) else tuple(urlsplit(place).path.split("/")[:-1])
    pairs = [_PARTITION.match(folder) for folder in folders]
    partition = tuple((match[1], unquote(match[2])) for match in pairs if match and match[1] not in source.names)
    return replace(source, names=(*source.names, *(key for key, _ in partition)), partition=partition)


def with_partition(source: Source, names: Sequence[str], read: Callable[[list[str]], Any]) -> Any:
    """What ``read`` gives for the stored columns among ``names``, with those of the folders beside them."""
    import pyarrow as pa

    folders = dict(source.partition)
    if not folders:
        return read(list(names))
    stored = [name for name in names if name not in folders]
    table = read(stored or [source.names[0]])
    for name in names:
        if name in folders:
            value = folders[name]
            missing = value == "__HIVE_DEFAULT_PARTITION__"
            column = (
                pa.nulls(table.num_rows, pa.string())
                if missing
                else pa.array([value]).take(pa.array([0] * table.num_rows, pa.int64()))
            )
            table = table.append_column(name, column)
    return table.select(list(names))


def _name(place: Path | str) -> str:
    return (place if isinstance(place, Path) else remote_path(place)).name


def _open_parquet(source: Source) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(source.opened())
    except pa.ArrowNotImplementedError as error:
        if source.foreign:
            raise _bad(source.label, f"cannot be read: {_first_line(error)}", "write the file again") from None
        told = f"{source.label}: a type of its columns is unknown to Arrow ({_first_line(error)}); its values are bytes"
        note = SourceNote("foreign-type", told, "write such columns as 64-bit numbers; the other columns are compared")
        return _open_parquet(replace(source, foreign=True, notes=(note,)))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _bad(source.label, f"is not a Parquet file: {_first_line(error)}", "write the file again") from None
    names = [name for name in schema.names if not name.startswith("__index_level_")]
    lists = list_lengths(schema, partial(_first_lists, source))
    return replace(source, names=element_names(names, lists), lists=tuple(lists.items()))


def _first_lists(source: Source, names: Sequence[str]) -> Any:
    """The first rows of some columns of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(source.opened()) as file:
        batches = file.iter_batches(_FIRST_LISTS, columns=list(names))
        return pa.Table.from_batches([next(batches)]) if file.metadata.num_rows else None


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__


def _head(source: Source) -> bytes:
    import pyarrow as pa

    place = source.opened()
    try:
        if not isinstance(place, str):
            with closing(place):
                return _first_lines(place)
        with pa.input_stream(place, compression="detect") as stream:
            return _first_lines(stream)
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        hint = "check that the file is whole"
        raise _bad(source.label, f"cannot be read: {_first_line(error)}", hint) from None


def _first_lines(stream: Any) -> bytes:
    """The first bytes of a text; where its lines are long, the first lines."""
    head = bytes(stream.read(_SNIFF_BYTES))
    while head.count(b"\n") < _SNIFF_LINES and len(head) < _SNIFF_MOST:
        more = bytes(stream.read(len(head) or 1))
        if not more:
            break
        head += more
    return head


def _decoded(head: bytes, label: str, given: str = "") -> tuple[str, str]:
    """The start of the file as text, and its encoding."""
    if given:
        try:
            return head.decode(given, errors="replace").lstrip("\ufeff"), given
        except LookupError:
            raise _bad(
                label, f"the encoding `{given}` is not known", "see `read: encoding:`", "invalid-input"
            ) from None
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if head.startswith(mark):
            return head[: len(head) // 2 * 2].decode(name, errors="replace"), name
    if b"\x00" in head:
        raise _bad(
            label,
            "is binary, not CSV",
            f"give a table as {_SUPPORTED}; UTF-16 without a mark: `read: encoding: utf-16-le`",
        )
    try:
        return head.decode("utf-8-sig"), "utf8"
    except UnicodeDecodeError as error:
        # The sample may end within a character.
        if error.start >= len(head) - 4 and len(head) >= _SNIFF_BYTES:
            return head[: error.start].decode("utf-8-sig"), "utf8"
    return head.decode("cp1252", errors="replace"), "cp1252"


def _open_text(source: Source, read: ReadRules) -> Source:
    label = source.label
    text, encoding = _decoded(_head(source), label, read.encoding)
    middle, end = _further(source, encoding)
    given = Given(read.header, read.skip, read.units_row, read.comment, read.delimiter, read.decimal_sign)
    try:
        dialect = dialect_of(text, middle, end or ("" if middle else text), given)
    except (csv.Error, IndexError) as error:
        hint = "check the first lines and their quotes; `read: header:` and `read: delimiter:` say what they are"
        raise _bad(label, f"has no readable header: {error}", hint) from None
    if dialect is None:
        raise _bad(label, "is empty", "write the table again; it needs a header line and rows", "empty-file")
    notes = []
    if encoding == "cp1252" and not read.encoding:
        told = f"{label} is not UTF-8; it was read as Windows-1252"
        notes.append(SourceNote("encoding", told, "save it as UTF-8, or say `read: encoding:`"))
    if dialect.doubtful:
        told = f"{label}: the first line holds numbers only; it was read as the header"
        notes.append(SourceNote("doubtful-header", told, "`read: header:` says in which line the names stand"))
    if dialect.thousands:
        columns = ", ".join(f"`{name}`" for name in dialect.thousands[:4])
        told = f"{label}: the numbers of {columns} are all like `1{dialect.decimal}234`; that was taken for decimals"
        hint = f"`read: thousands: '{dialect.decimal}'` or `read: decimal: '{dialect.decimal}'` says what it parts"
        notes.append(SourceNote("thousands", told, hint))
    said = list(dialect.said)
    if encoding != "utf8":
        said.append({"cp1252": "Windows-1252", "utf-16": "UTF-16"}.get(encoding, encoding))
    return replace(
        source,
        names=dialect.names,
        delimiter=dialect.delimiter,
        decimal=dialect.decimal,
        encoding=encoding,
        skip=dialect.skip,
        after=dialect.after,
        comments=dialect.comments,
        footer=dialect.footer,
        blanks=dialect.blanks,
        decimal_seen=dialect.decimal_seen,
        notes=tuple(notes),
        said=", ".join(said),
    )


def _further(source: Source, encoding: str) -> tuple[list[str], str]:
    """Whole lines from the middle of a large plain file, and its last text."""
    if not source.plain or source.path.stat().st_size <= _SNIFF_BYTES or encoding == "utf-16":
        return [], ""
    size = source.path.stat().st_size
    with source.path.open("rb") as stream:
        stream.seek(size // 2)
        middle = stream.read(_FURTHER)
        stream.seek(size - _FURTHER)
        end = stream.read()
    name = "utf-8" if encoding == "utf8" else encoding
    lines = middle.decode(name, errors="replace").splitlines()[1:-1]
    return lines, end.decode(name, errors="replace").partition("\n")[2]


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
    table = with_partition(source, names, partial(_read_stored, source, file))
    if table.num_rows == 0:
        raise no_rows(source.label)
    return table


def _read_stored(source: Source, file: Any, names: Sequence[str]) -> Any:
    stored = stored_names(names, dict(source.lists))
    if source.frame is not None:
        table = source.frame.select(stored)
    else:
        table = _read_parquet(source, stored, file) if source.parquet else _read_text(source, stored)
    return elements(table, names, dict(source.lists)) if source.lists else table


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
        "each line needs as many fields as the header; quote fields that hold the separator, or say how the file is "
        "written: `read: delimiter:`, `header:`, `skip:`, `comment:`",
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

    # Each block makes a piece of each column: of many columns, larger blocks.
    block = min(_BLOCK_MOST, max(_BLOCK, _BLOCK_A_COLUMN * len(source.names)))
    return pc.read_csv(source.opened(), **csv_options(source, names, types, block))


def csv_options(source: Source, names: Sequence[str], types: Mapping[str, Any], block: int = _BLOCK) -> dict[str, Any]:
    """How Arrow is to read the columns ``names`` of a text file, ``block`` bytes at a time."""
    import pyarrow.csv as pc

    return {
        "read_options": pc.ReadOptions(
            column_names=list(source.names),
            skip_rows=source.skip,
            skip_rows_after_names=source.after,
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
