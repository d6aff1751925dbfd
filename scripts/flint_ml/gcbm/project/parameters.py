"""A GCBM parameter database by content: rows with names instead of ids, and what differs between two.

Ids are numbered anew whenever a database is made again, so rows are told apart by what they mean: a foreign
key such as ``source_pool_id`` becomes the name of the row that it points to.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from flint_ml.gcbm.project.variables import open_database

# First match wins: what a table's numbers are about, for people.
GROUPS = (
    ("growth multipliers", ("growth_multiplier",)),
    ("growth curves", ("growth_curve",)),
    ("turnover", ("turnover",)),
    ("decay", ("decay", "dom_pool")),
    ("disturbance matrices", ("disturbance_matrix",)),
    ("disturbance types", ("disturbance",)),
    ("transitions", ("transition",)),
    ("volume to biomass", ("vol_to_bio", "stump_parameter")),
    ("roots", ("root_parameter",)),
    ("spinup", ("spinup",)),
    ("classifiers", ("classifier",)),
    ("spatial units", ("spatial_unit", "admin_", "eco_")),
    ("land classes", ("land_class",)),
    ("species", ("species", "genus", "forest_type")),
)
_MAX_DEPTH = 6


def group_of(table: str) -> str:
    """What a table's parameters are about: ``growth curves``, ``turnover``, ``decay`` ..."""
    return next((name for name, starts in GROUPS if table.startswith(starts)), "other parameters")


@dataclass(frozen=True)
class ParameterChange:
    """One changed value: ``key`` names the row in words; ``old`` or ``new`` is None where a row is new or gone."""

    table: str
    key: str
    column: str
    old: Any
    new: Any

    @property
    def group(self) -> str:
        return group_of(self.table)

    def as_dict(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "key": self.key,
            "column": self.column,
            "old": self.old,
            "new": self.new,
            "group": self.group,
        }


Row = tuple[Any, ...]


@dataclass
class TableContent:
    """One table: columns, declared types, primary key, rows."""

    name: str
    columns: list[str]
    types: list[str]
    primary: list[str]
    rows: list[Row]

    @cached_property
    def lone_id(self) -> bool:
        """Whether the primary key is a mere number."""
        return "id" in self.columns and self.primary in ([], ["id"])

    def numbers(self, column: str) -> bool:
        kind = self.types[self.columns.index(column)].upper()
        return any(word in kind for word in ("REAL", "DOUB", "FLOA", "NUM", "DEC"))

    def text(self, column: str) -> bool:
        kind = self.types[self.columns.index(column)].upper()
        return any(word in kind for word in ("CHAR", "CLOB", "TEXT"))


@dataclass
class Parameters:
    """A whole parameter database, read into memory (some 10,000 rows)."""

    tables: dict[str, TableContent]
    _labels: dict[tuple[str, Any], str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Parameters:
        """Read every table. InputError when the file is no SQLite database."""
        connection = open_database(path)
        try:
            names = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
            ).fetchall()
            return cls({name: _table(connection, name) for (name,) in names})
        finally:
            connection.close()

    def target(self, column: str) -> str | None:
        """The table that a foreign key column points to: ``source_pool_id`` -> ``pool``."""
        if not column.endswith("_id"):
            return None
        words = column.removesuffix("_id").split("_")
        names = ("_".join(words[i:]) for i in range(len(words)))
        return next((name for name in names if name in self.tables and "id" in self.tables[name].columns), None)

    @cached_property
    def _by_id(self) -> dict[str, dict[Any, Row]]:
        found = {}
        for name, table in self.tables.items():
            if "id" in table.columns:
                at = table.columns.index("id")
                found[name] = {row[at]: row for row in table.rows}
        return found

    @cached_property
    def _users(self) -> dict[tuple[str, Any], list[tuple[str, Row]]]:
        """Rows of association tables that point to a row: (table, id) -> (table, row)."""
        found: dict[tuple[str, Any], list[tuple[str, Row]]] = defaultdict(list)
        for name, table in self.tables.items():
            for at, column in enumerate(table.columns):
                target = self.target(column)
                if target and target != name:
                    for row in table.rows:
                        found[target, row[at]].append((name, row))
        return found

    def label(self, table: str, number: Any, depth: int = 0) -> str:
        """The name of a row, or what it consists of, or its number."""
        if number is None:
            return "none"
        key = (table, number)
        if key not in self._labels:
            row = self._by_id.get(table, {}).get(number)
            text = "" if row is None or depth > _MAX_DEPTH else self._describe(self.tables[table], row, depth)
            self._labels[key] = text or f"{number}"
        return self._labels[key]

    def _describe(self, table: TableContent, row: Row, depth: int) -> str:
        value = dict(zip(table.columns, row, strict=True))
        if value.get("name") is not None:
            return str(value["name"])
        if table.name == "classifier_value":
            return f"{self.label('classifier', value.get('classifier_id'), depth + 1)}={value.get('value')}"
        if table.name == "growth_curve":
            sets = [
                r for name, r in self._users.get((table.name, value["id"]), []) if name.endswith("classifier_value")
            ]
            at = self.tables["growth_curve_classifier_value"].columns.index("classifier_value_id") if sets else 0
            if sets:
                return "; ".join(sorted(self.label("classifier_value", r[at], depth + 1) for r in sets))
        for column in ("code", "description"):
            if value.get(column) not in (None, "") and table.text(column):
                return str(value[column])
        links = [(t, value[c]) for c in table.columns if (t := self.target(c)) and not t.endswith("_parameter")]
        parts = [self.label(target, number, depth + 1) for target, number in links]
        return " / ".join(parts)

    def shown(self, column: str, value: Any) -> Any:
        """A value as it is, or the name that a foreign key stands for."""
        target = self.target(column)
        return self.label(target, value) if target and value is not None else value

    def used_by(self, table: str, number: Any) -> list[dict[str, str]]:
        """What the rows that point to this one are for: foreign keys of association tables, by name."""
        found = []
        for name, row in self._users.get((table, number), []):
            columns = self.tables[name].columns
            keys = {c: self.target(c) for c in columns}
            uses = {
                c.removesuffix("_id"): self.label(t, v)
                for c, v in zip(columns, row, strict=True)
                if (t := keys[c]) and t != table
            }
            if self.tables[name].columns[:1] == ["id"]:
                uses.setdefault(name, self.label(name, row[0]))
            found.append(uses)
        return found


def _table(connection: sqlite3.Connection, name: str) -> TableContent:
    about = connection.execute(f'PRAGMA table_info("{name}")').fetchall()
    rows = connection.execute(f'SELECT * FROM "{name}"').fetchall()  # noqa: S608 - a name from the schema itself
    primary = [row[1] for row in sorted(about, key=lambda r: r[5]) if row[5]]
    return TableContent(name, [r[1] for r in about], [r[2] or "" for r in about], primary, rows)


def difference(base: Path, head: Path) -> list[ParameterChange]:
    """Every value that differs between two parameter databases, by content: order, ids and file layout are none.

    Raises
    ------
    InputError
        One of them is no SQLite database.
    """
    if base.read_bytes() == head.read_bytes():
        return []
    one, two = Parameters.read(base), Parameters.read(head)
    found: list[ParameterChange] = []
    for name in sorted({*one.tables, *two.tables}):
        if name not in two.tables or name not in one.tables:
            old = None if name not in one.tables else f"{len(one.tables[name].rows)} rows"
            new = None if name not in two.tables else f"{len(two.tables[name].rows)} rows"
            found.append(ParameterChange(name, "(table)", "", old, new))
        else:
            found += _compare(one, two, name)
    return found


def _compare(one: Parameters, two: Parameters, name: str) -> Iterator[ParameterChange]:
    here, there = one.tables[name], two.tables[name]
    if here.columns == there.columns and Counter(here.rows) == Counter(there.rows) and not _moved(one, two, here):
        return
    keys = _key_columns(one, two, name)
    before, after = _keyed(one, here, keys), _keyed(two, there, keys)
    columns = [*here.columns, *(c for c in there.columns if c not in here.columns)]
    values = [c for c in columns if c not in keys and not (c == "id" and here.lone_id)]
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        named = _key_text(one if old is not None else two, name, keys, key, old if old is not None else new)
        if old is None or new is None:
            for column in values or keys[:1]:
                yield ParameterChange(name, named, column, old and old.get(column), new and new.get(column))
            if not values:
                continue
            continue
        for column in values:
            if old.get(column) != new.get(column):
                yield ParameterChange(name, named, column, old.get(column), new.get(column))


def _moved(one: Parameters, two: Parameters, table: TableContent) -> bool:
    """Whether some foreign key of an unchanged row points to something else now."""
    for at, column in enumerate(table.columns):
        target = one.target(column)
        if target and any(one.label(target, v) != two.label(target, v) for v in {row[at] for row in table.rows}):
            return True
    return False


def _key_columns(one: Parameters, two: Parameters, name: str) -> list[str]:
    """Columns that tell rows apart in both databases, the most meaningful choice first."""
    here, there = one.tables[name], two.tables[name]
    shared = [c for c in here.columns if c in there.columns]
    links = [c for c in shared if one.target(c) and c != "id"]
    texts = [c for c in shared if here.text(c)]
    whole = [c for c in shared if c != "id" and not here.numbers(c) and c not in links and c not in texts]
    choices: list[list[str]] = []
    if here.primary and not here.lone_id:
        choices.append([c for c in here.primary if c in shared])
    if here.lone_id:
        choices += [["name"]] if "name" in shared else []
        if _same_ids(one, two, name):
            choices.append(["id"])
        choices += [texts, links] if texts or links else []
    elif not here.primary:  # an association: its first columns say for what, the others which
        choices += [links[:n] for n in range(1, len(links))]
    choices += [[*links, *texts], [*links, *texts, *whole]]
    if here.lone_id:
        choices.append(["id"])
    for choice in choices:
        if choice and all(_unique(p, p.tables[name], choice) for p in (one, two)):
            return choice
    return shared


def _same_ids(one: Parameters, two: Parameters, name: str) -> bool:
    """Whether ids still mean the same: most shared ids have rows that look alike."""
    before, after = one._by_id.get(name, {}), two._by_id.get(name, {})
    shared = set(before) & set(after)
    if not shared:
        return False
    alike = sum(
        one._describe(one.tables[name], before[i], 0) == two._describe(two.tables[name], after[i], 0) for i in shared
    )
    return alike * 2 > len(shared) or alike == len(shared)


def _unique(parameters: Parameters, table: TableContent, columns: Sequence[str]) -> bool:
    return len({key for key, _ in _rows(parameters, table, columns)}) == len(table.rows)


def _rows(
    parameters: Parameters, table: TableContent, columns: Sequence[str]
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    for row in table.rows:
        value = {c: parameters.shown(c, v) for c, v in zip(table.columns, row, strict=True)}
        yield tuple(value.get(c) for c in columns), value


def _keyed(
    parameters: Parameters, table: TableContent, columns: Sequence[str]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows by key; equal keys (then the key is the whole row) are counted."""
    seen: Counter[tuple[Any, ...]] = Counter()
    found = {}
    for key, value in _rows(parameters, table, columns):
        seen[key] += 1
        found[key if seen[key] == 1 else (*key, seen[key])] = value
    return found


def _key_text(
    parameters: Parameters, table: str, columns: Sequence[str], key: Sequence[Any], row: Mapping[str, Any] | None
) -> str:
    """A row's name in words: its key, or what it is used for."""
    if list(columns) == ["id"] and row is not None:
        uses = parameters.used_by(table, row["id"])
        texts = [", ".join(f"{c}={v}" for c, v in use.items()) for use in uses]
        named = parameters._describe(parameters.tables[table], parameters._by_id[table][row["id"]], 0)
        more = f" and {len(texts) - 2} more" if len(texts) > 2 else ""
        used = f" ({'; '.join(texts[:2])}{more})" if texts and not named else ""
        return f"{named or row['id']}{used}"
    if list(columns) == ["name"]:
        return str(key[0])
    return ", ".join(f"{c.removesuffix('_id')}={v}" for c, v in zip(columns, key, strict=False))
