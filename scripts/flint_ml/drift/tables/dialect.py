"""How a text table is written, judged from samples of its beginning, middle and end: delimiter, header, units, decimal.

The csv module's sniffer and clevercsv judge delimiters; rows of units, titles over the header, names of rows, detection
limits, logger files and footers they do not know. The judgement here is by what cells are: the delimiter that leaves
most cells a number, a date or a short text in rows of one length wins; the header is what stands above the first row
whose cells are numbers where the body of the table has numbers.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from flint_ml.drift.tables.values import is_missing_word, is_number, is_unit, number_kind

DELIMITERS = (",", ";", "\t", "|")
BLANKS = " "
# Lines at the start among which the header is looked for, and lines at the end that may be a footer.
_TOP, _BOTTOM = 40, 10
_LETTERS = 40_000
# So many numbers with a sign tell which is the decimal one.
_FRACTIONS = 5_000
_QUOTED = 20
_COMMENTS = ("#", "//", "%", "!")
# What rows below a table begin with.
SUMMARY = re.compile(
    r"(?i)^(?:mean|average|avg|median|sum|total|subtotal|min|max|minimum|maximum|sd|std|stdev|st\.? ?dev\.?|cv|n|count|"
    r"note[s:]?.*|source[s:]?.*|mittelwert|summe|gesamt|anzahl|moyenne|somme|media|suma|total general|grand total|"
    r"end|end of file|eof)$"
)
_FRACTION = re.compile(r"[-+]?(?:\d*\.\d+|\d+,\d+|\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:,\d{3})+\.\d+)(?:[eE][-+]?\d+)?")
# Campbell Scientific's loggers: environment, names, units, processing.
_TOA5 = {"TOA5", "TOACI1", "TOB1"}
_TOA5_UNITS = {"TS", "RN", "Smp", "Avg", "Max", "Min", "Std", "Tot", "Med", "WVc", "TMx", "TMn"}
_UNITLESS = {
    "-",
    "–",
    "—",
    "",
    "1",
    "none",
    "unitless",
    "dimensionless",
    "pH",
    "ph",
    "pH units",
    "units",
    "ratio",
    "count",
    "n",
    "ID",
    "id",
    "text",
    "code",
    "index",
}


@dataclass(frozen=True)
class Given:
    """What the user says of a text table; None and empty mean: look."""

    header: int | None = None
    skip: int | None = None
    units_row: bool | None = None
    comment: str = ""
    delimiter: str = ""
    decimal: str = ""


@dataclass(frozen=True)
class Structure:
    """Where things are among the rows of a sheet or a text file, counted from 0: header, units, first row of data."""

    names: tuple[str, ...]
    header: int
    first: int
    units: tuple[int, ...] = ()
    row_names: bool = False
    trailing: bool = False
    doubtful: bool = False


@dataclass(frozen=True)
class Dialect:
    """How a text file is written.

    ``skip`` lines stand before the header, ``after`` rows (header, units) before the first row of data. ``comments``
    begin lines to drop, ``footer`` is how many lines at the end are none of the table, ``blanks``: any run of blanks
    parts two fields. ``decimal_seen`` is the sign that numbers show to be decimal, ``thousands`` are columns in which
    the sign was taken to be so without one that shows it.
    """

    names: tuple[str, ...]
    delimiter: str
    decimal: str
    skip: int
    after: int
    comments: str = ""
    footer: int = 0
    blanks: bool = False
    said: tuple[str, ...] = ()
    doubtful: bool = False
    decimal_seen: str = ""
    thousands: tuple[str, ...] = ()

    @property
    def rewritten(self) -> bool:
        """Whether lines must be dropped or changed before Arrow reads them."""
        return bool(self.comments or self.footer or self.blanks)


def dialect_of(top: str, more: Sequence[str], bottom: str, given: Given) -> Dialect | None:
    """The dialect of a file from its first text, lines from elsewhere, and its last text ("" where it was not read).

    None where no line holds anything.
    """
    lines, starts = _logical(top)
    said: list[str] = []
    start = given.skip or 0
    while start < len(lines) and not lines[start].strip():
        start += 1
    if start >= len(lines):
        return None
    delimiter = given.delimiter
    match = re.match(r'^"?sep=(.)"?;*,*\s*$', lines[start].lstrip("\ufeff"), re.I)
    if match:
        delimiter = delimiter or match[1]
        start += 1
    comments, start = _comments(lines, start, given)
    body = [line for line in lines[start:] if line.strip() and not (comments and line.startswith(comments))]
    if not body:
        return None
    # So many lines as have some thousand cells: judging one takes microseconds.
    enough = max(12, min(200, _LETTERS // max(1, len(body[0]))))
    delimiter = delimiter or _delimiter([*body[-enough:], *more[:enough]], body)
    blanks = delimiter == BLANKS
    rows = [_cells(line, delimiter) for line in body[:enough]]
    structure = structure_of(rows, given)
    footer = _footer(bottom or (top if not more else ""), delimiter, len(structure.names), structure.first, comments)
    skip, after = _physical(lines, start, structure, comments)
    skip = starts[skip]
    cells = [*rows[structure.first :], *(_cells(m, delimiter) for m in more)]
    decimal, seen = (given.decimal, given.decimal) if given.decimal else decimal_of(cells, delimiter)
    thousands = () if seen or delimiter == "," else _doubtful(cells, structure.names, decimal)
    if structure.header or start or match:
        said.append(f"header in line {skip + 1}")
    if structure.units:
        said.append("units in line " + " and ".join(str(skip + 1 + u - structure.header) for u in structure.units))
    if structure.row_names:
        said.append("the first column, which has no name, names the rows")
    if comments:
        said.append(f"lines that begin with `{comments}` are comments")
    if footer:
        said.append(f"{footer} line{'s' if footer > 1 else ''} at the end are not part of the table")
    if delimiter != ",":
        said.insert(0, {"\t": "tabs", " ": "blanks between the fields"}.get(delimiter, f"`{delimiter}`"))
    if decimal == ",":
        said.insert(1 if delimiter != "," else 0, "decimal comma")
    return Dialect(
        structure.names,
        "\t" if blanks else delimiter,
        decimal,
        skip,
        after,
        comments,
        footer,
        blanks,
        tuple(said),
        structure.doubtful,
        seen,
        thousands,
    )


def _logical(text: str) -> tuple[list[str], list[int]]:
    """The lines of a text, a quoted line break being none, and at which line of the file each begins."""
    lines: list[str] = []
    starts: list[int] = []
    waiting = ""
    for number, line in enumerate(text.splitlines()):
        if waiting:
            waiting += "\n" + line
        else:
            waiting = line
            starts.append(number)
        # An open quote ends within some lines; else it is a sign of inches, or the like.
        if waiting.count('"') % 2 and number - starts[-1] < _QUOTED:
            continue
        lines.append(waiting)
        waiting = ""
    return ([*lines, waiting], starts) if waiting else (lines, starts)


def _comments(lines: Sequence[str], start: int, given: Given) -> tuple[str, int]:
    """The sign that begins comments, and the first line after those at the top; a commented header stays."""
    signs = (given.comment,) if given.comment else _COMMENTS
    sign = next((sign for sign in signs if lines[start].startswith(sign)), "")
    if not sign:
        later = (
            [s for s in signs if any(line.startswith(s) for line in lines[start : start + 400])]
            if given.comment
            else []
        )
        return (later[0] if later else ""), start
    end = start
    while end < len(lines) and (lines[end].startswith(sign) or not lines[end].strip()):
        end += 1
    if end >= len(lines):
        return "", start
    # "#id,SOC" over "1,2.3": numpy writes the header so. It stays where nothing else can be the header.
    last = max(i for i in range(start, end) if lines[i].startswith(sign))
    blank = len(lines[end].split())
    if blank > 1 and len(lines[last].removeprefix(sign).split()) == blank and all(map(is_number, lines[end].split())):
        return "", last
    for delimiter in DELIMITERS:
        count = lines[end].count(delimiter)
        if count and lines[last].count(delimiter) == count and all(map(_is_value, _cells(lines[end], delimiter))):
            return "", last
    rest = any(line.startswith(sign) for line in lines[end:])
    return (sign if rest or given.comment else ""), end


def _cells(line: str, delimiter: str) -> list[str]:
    if '"' not in line:
        return line.split() if delimiter == BLANKS else line.split(delimiter)
    try:
        return next(csv.reader([" ".join(line.split()) if delimiter == BLANKS else line], delimiter=delimiter), [])
    except csv.Error:
        return line.split(delimiter)


def _is_value(cell: str) -> bool:
    return is_number(cell) or not cell.strip() or is_missing_word(cell)


def _delimiter(sample: Sequence[str], body: Sequence[str]) -> str:
    """The delimiter whose rows are of one length and whose cells are values; commas where nothing parts the lines."""
    best, most = ",", 0.0
    for delimiter in (*DELIMITERS, BLANKS):
        rows = [_cells(line, delimiter) for line in sample]
        widths = Counter(len(row) for row in rows)
        wide, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        if wide < 2 or count < 0.5 * len(rows):
            continue
        cells = [cell for row in rows if len(row) == wide for cell in row]
        clean = sum(_clean(cell, delimiter) for cell in cells) / len(cells)
        score = count / len(rows) * (0.2 + clean) * (0.8 if delimiter == BLANKS else 1.0)
        if score > most * (1 + 1e-9):
            best, most = delimiter, score
    if most:
        return best
    unquoted = re.sub(r'"[^"]*"', "", body[0])
    return max(DELIMITERS, key=unquoted.count)


def _clean(cell: str, delimiter: str) -> float:
    text = cell.strip()
    if not text or is_number(text):
        return 1.0
    if any(sign in text for sign in (*DELIMITERS,) if sign != delimiter):
        return 0.0
    # "5 6" between commas: blanks part the fields, and the commas are decimal.
    parts = text.split()
    return 0.0 if delimiter != BLANKS and len(parts) > 1 and all(map(is_number, parts)) else 0.6


def decimal_of(rows: Sequence[Sequence[str]], delimiter: str) -> tuple[str, str]:
    """The decimal sign of numbers that Arrow reads itself, and the sign that numbers show; "" where none does.

    ``1.234`` and ``1,234`` show nothing: the sign may part thousands. Where commas part the fields, Arrow gets a point.
    """
    kinds: Counter[str] = Counter()
    for row in rows:
        if kinds.total() > _FRACTIONS:
            break
        for cell in row:
            text = cell.strip().strip('"')
            if _FRACTION.fullmatch(text):
                kinds[number_kind(text)] += 1
    comma, point = kinds["comma"] + kinds["german"], kinds["point"] + kinds["english"]
    seen = "" if comma == point else "," if comma > point else "."
    if delimiter == ",":
        return ".", seen
    return seen or ("," if kinds["comma3"] > kinds["point3"] else "."), seen


def _doubtful(rows: Sequence[Sequence[str]], names: Sequence[str], decimal: str) -> tuple[str, ...]:
    """Columns of numbers like ``1.234``, where no number of the table tells what the sign parts."""
    three = {".": "point3", ",": "comma3"}[decimal]
    kinds: list[set[str]] = [set() for _ in names]
    for row in rows:
        for column, cell in zip(kinds, row, strict=False):
            text = cell.strip().strip('"')
            if _FRACTION.fullmatch(text):
                column.add(number_kind(text))
    return tuple(name for name, column in zip(names, kinds, strict=True) if column == {three})


def structure_of(rows: Sequence[Sequence[str]], given: Given) -> Structure:
    """Where header, units and data are among the first rows of a table."""
    body = rows[min(len(rows) // 2, 30) :] or rows
    widths = Counter(len(row) for row in body)
    wide = max(widths.items(), key=lambda item: (item[1], item[0]))[0]
    numeric = _numeric_columns(body, wide)
    if given.header is not None:
        header = min(max(0, given.header - 1), len(rows) - 1)
        after = _after_units(rows, header + 1, numeric, given)
        return _named(rows, header, tuple(range(header + 1, after)), after, wide)
    if rows[0] and rows[0][0].strip() in _TOA5 and len(rows) > 4:
        return _named(rows, 1, (2, 3), 4, wide)
    usual = sorted(map(_filled, body))[len(body) // 2]
    first: int | None = next((i for i, row in enumerate(rows[:_TOP]) if _is_data(row, numeric, wide, usual)), None)
    if first == 0 or not numeric or first is None:
        # Numbers may be names (bands of a spectrum), and text may be data: the header is the first full line.
        header = next((i for i, row in enumerate(rows[:_TOP]) if len(row) >= wide - 1), 0) if first is None else 0
        if not numeric and wide > 1:
            header = next((i for i, row in enumerate(rows[:_TOP]) if _filled(row) >= max(2, wide - 1)), 0)
        units = _after_units(rows, header + 1, numeric, given)
        doubtful = first == 0 and all(is_number(cell) for cell in rows[0]) and len(rows) > 1 and not _rising(rows[0])
        return _named(rows, header, tuple(range(header + 1, units)), units, wide, doubtful=doubtful)
    header, first = _header(rows, first, numeric, wide, given)
    return _named(rows, header, tuple(range(header + 1, first)), first, wide)


def _rising(cells: Sequence[str]) -> bool:
    """Whether cells could be the wavelengths of a spectrum."""
    try:
        values = [float(cell.replace(",", ".")) for cell in cells if cell.strip()]
    except ValueError:
        return False
    steps = [b - a for a, b in pairwise(values)]
    return len(values) > 4 and (all(s > 0 for s in steps) or all(s < 0 for s in steps))


def _numeric_columns(body: Sequence[Sequence[str]], wide: int) -> list[int]:
    """Columns that hold numbers in most rows of the body."""
    chosen = []
    full = [row for row in body if len(row) == wide]
    for k in range(wide):
        cells = [row[k] for row in full]
        numbers = sum(map(is_number, cells))
        others = len(cells) - numbers
        if numbers and others:
            others = sum(not is_number(cell) and not is_missing_word(cell) for cell in cells)
        if numbers > 0.6 * (numbers + others):
            chosen.append(k)
    return chosen


def _filled(row: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)


def _is_data(row: Sequence[str], numeric: Sequence[int], wide: int, usual: int) -> bool:
    """Whether a row is one of data, by its cells in the columns of numbers; ``usual`` cells of a row are filled."""
    if not numeric or len(row) < wide - 1:
        return False
    cells = [row[k].strip() for k in numeric if k < len(row)]
    numbers = sum(map(is_number, cells))
    texts = sum(bool(cell) and not is_number(cell) and not is_missing_word(cell) for cell in cells)
    # "Serial;4711;;": a line of a title with the delimiters of the table.
    if 2 * _filled(row) <= usual:
        return False
    return numbers > texts or (not texts and _filled(row) >= max(2, wide / 2))


def _is_units(row: Sequence[str], numeric: Sequence[int]) -> bool:
    """Whether most cells over columns of numbers are units, or nothing."""
    cells = [row[k].strip() for k in numeric if k < len(row)]
    texts = [cell for cell in cells if cell and not is_number(cell)]
    bare = [re.sub(r"^[\[(]\s*(.*?)\s*[\])]$", r"\1", cell) for cell in texts]
    units = sum(is_unit(cell) or cell in _UNITLESS or cell in _TOA5_UNITS for cell in bare)
    real = sum(is_unit(cell) or cell in _TOA5_UNITS for cell in bare)
    return bool(texts) and len(texts) == len([cell for cell in cells if cell]) and real > 0 and units * 2 >= len(texts)


def _after_units(rows: Sequence[Sequence[str]], start: int, numeric: Sequence[int], given: Given) -> int:
    """The first row of data after a header, rows of units being passed."""
    if given.units_row is not None:
        return start + given.units_row
    end = start
    while end < min(len(rows), start + 2) and _is_units(rows[end], numeric):
        end += 1
    return end


def _header(
    rows: Sequence[Sequence[str]], first: int, numeric: Sequence[int], wide: int, given: Given
) -> tuple[int, int]:
    """The row of names above the first row of data, and the first row of data itself."""
    full = [
        i for i in range(first) if len(rows[i]) >= wide - 1 and _filled(rows[i]) >= min(wide - 1, max(2, wide // 2))
    ]
    if not full:
        full = [i for i in range(first) if len(rows[i]) >= wide - 1] or [first]
    if full == [first]:
        return first, min(first + 1, len(rows))
    units = [i for i in full[1:] if _is_units(rows[i], numeric)] if given.units_row is None else []
    below = [i for i in range(full[0] + 1, first) if _is_units(rows[i], numeric)]
    names = [i for i in full if i not in units and i not in below]
    if not names:
        names = full[:1]
    # Of several rows the last without gaps and repetitions has the names: groups of columns stand above it.
    good = [
        i for i in names if len({c.strip() for c in rows[i]}) == len(rows[i]) and _filled(rows[i]) >= len(rows[i]) - 1
    ]
    header = (good or names)[-1]
    if header == names[0] or not any(
        _filled(rows[i]) < len(rows[i]) or len(rows[i]) != wide or len(set(rows[i])) < len(rows[i])
        for i in names
        if i < header
    ):
        # Two full rows of text that are no groups: the first has the names, what follows belongs to the data.
        header = names[0]
    end = header + 1
    while end < first and (_is_units(rows[end], numeric) or not _filled(rows[end])):
        end += 1
    if given.units_row is not None:
        end = header + 1 + given.units_row
    elif end < first and all(len(rows[i]) < wide - 1 for i in range(end, first)):
        end = first
    return header, end


def _named(
    rows: Sequence[Sequence[str]], header: int, units: tuple[int, ...], first: int, wide: int, *, doubtful: bool = False
) -> Structure:
    names = [name.strip().lstrip("\ufeff") for name in rows[header]]
    if names and names[0][:1] in {"#", "%"}:
        names[0] = names[0][1:].strip()
        # "# SOC pH": the sign has a field of its own where blanks part them.
        names = names[1:] if not names[0] and wide == len(names) - 1 else names
    body = [row for row in rows[first:] if len(row) == wide]
    row_names = trailing = False
    if len(names) == wide - 1 and body:
        trailing = all(not row[-1].strip() for row in body)
        row_names = not trailing
        names = [*names, ""] if trailing else ["(row name)", *names]
    filled = tuple(name or f"(column {number})" for number, name in enumerate(names, 1))
    return Structure(filled, header, first, units, row_names, trailing, doubtful)


def _physical(lines: Sequence[str], start: int, structure: Structure, comments: str) -> tuple[int, int]:
    """Lines before the header, and rows from it to the first row of data; blank lines count among the former only."""
    seen = -1
    for number in range(start, len(lines)):
        if not lines[number].strip() or (comments and lines[number].startswith(comments)):
            continue
        seen += 1
        if seen == structure.header:
            return number, structure.first - structure.header
    return start, structure.first - structure.header


def _footer(bottom: str, delimiter: str, wide: int, first: int, comments: str) -> int:
    """How many lines at the end of the file are summaries or notes below the table."""
    lines = [line for line in bottom.splitlines() if line.strip() and not (comments and line.startswith(comments))]
    # The first lines may be cut off or be the header.
    lines = lines[first + 2 :] if len(lines) > first + 2 else []
    count = 0
    for line in reversed(lines[-_BOTTOM:]):
        cells = _cells(line, delimiter)
        label = cells[0].strip() if cells else ""
        short = len(cells) < wide and not any(map(is_number, cells)) and wide > 2
        if not (short or (SUMMARY.match(label) and wide > 1)):
            break
        count += 1
    known = {(_cells(line, delimiter) or [""])[0].strip() for line in lines[: len(lines) - count]}
    tail = [(_cells(line, delimiter) or [""])[0].strip() for line in lines[len(lines) - count :]] if count else []
    # A label that stands among the rows too is data.
    return 0 if any(label and label in known for label in tail) else count
