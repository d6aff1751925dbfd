"""Parameter overrides from ``params.yaml``, applied to a copy of the parameter database.

So a calibration is tracked by DVC and compared like any other change:

    gcbm:                                 # params.yaml
      turnover_parameter:
        genus=Spruce: {foliage: 0.12}     # every row that is for this genus only
      decay_parameter:
        MediumSoil: {base_decay_rate: 0.04}
      spinup_parameter:
        1: {return_interval: 150}         # by id

A row is named by its id, its name (or what its foreign keys stand for), or by conditions ``column=value`` joined
by commas: columns of the table itself, or of the tables that say what its rows are for (genus, eco_boundary,
species, spatial_unit). Conditions may fit several rows; a name must fit one.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flint_ml.errors import InputError, OutsideError
from flint_ml.gcbm.project.config import Project
from flint_ml.gcbm.project.parameters import Parameters, TableContent

CODE = "gcbm-overrides"


@dataclass(frozen=True)
class Override:
    """One value to set: rows of a table (positions in ``TableContent.rows``), column, value."""

    table: str
    key: str
    column: str
    value: float | int | str
    rows: tuple[int, ...]


def apply(project: Project, params: Mapping[str, Any], *, folder: Path | None = None) -> Path:
    """Copy the project's parameter database and set parameters in the copy.

    Parameters
    ----------
    params
        table -> row -> column -> value; see the module's description.
    folder
        Where the copy goes, as ``gcbm_input.db``; default: a new temporary folder.

    Returns
    -------
    The copy; ``with_database(project, copy)`` is the project that uses it. The original is not touched.

    Raises
    ------
    InputError
        Unknown table, row or column (with what may be meant), a value of another kind, a row that is also used
        for something that was not named.
    """
    source = project.database
    parameters = Parameters.read(source)
    overrides = list(read(params, parameters))
    place = Path(tempfile.mkdtemp(prefix="gcbm-params-")) if folder is None else folder
    target = place / "gcbm_input.db"
    if target.exists() and target.resolve() == source.resolve():
        raise InputError(
            "the copy would replace the project's own parameter database",
            where=str(folder),
            hint="give another folder",
            code=CODE,
        )
    part = target.with_name(f".{target.name}.part")
    try:
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, part)
        connection = sqlite3.connect(part)
        try:
            _write(connection, parameters, overrides)
            connection.commit()
        finally:
            connection.close()
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, sqlite3.IntegrityError):
            raise InputError(
                f"the database refuses the overrides: {error}",
                where="params",
                hint="look at the table's constraints",
                code=CODE,
            ) from None
        raise OutsideError(
            f"the copy cannot be written: {error}", where=os.fspath(target), hint="free disk space", code=CODE
        ) from None
    return target


def with_database(project: Project, database: Path) -> Project:
    """The project with another parameter database; nothing on disk changes."""
    providers = {
        name: {**provider, "path": str(database.resolve())} if provider.get("type") == "SQLite" else provider
        for name, provider in project.providers.items()
    }
    return replace(project, providers=providers)


def read(params: Mapping[str, Any], parameters: Parameters) -> Iterator[Override]:
    """Check overrides against a database and find their rows. Raises as ``apply``."""
    for table, rows in _mapping(params, "params").items():
        content = parameters.tables.get(str(table))
        if content is None:
            raise _unknown("table", str(table), list(parameters.tables), str(table))
        for key, columns in _mapping(rows, str(table)).items():
            place = f"{table}: {key}"
            found = tuple(_find(parameters, content, key, place))
            for column, value in _mapping(columns, place).items():
                if column not in content.columns:
                    raise _unknown("column", str(column), [c for c in content.columns if c != "id"], place)
                yield Override(content.name, str(key), str(column), _value(content, str(column), value, place), found)


def _mapping(value: Any, place: str) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return value
    raise InputError(f"{value!r} is no mapping", where=place, hint="write table: {row: {column: value}}", code=CODE)


def _unknown(kind: str, name: str, known: Sequence[str], place: str) -> InputError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"did you mean {near[0]}? " if near else ""
    return InputError(
        f"there is no {kind} {name!r} in the parameter database",
        where=place,
        hint=f"{meant}There are {', '.join(sorted(known)[:30])}",
        code=CODE,
    )


def _value(table: TableContent, column: str, value: Any, place: str) -> float | int | str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if table.text(column) and isinstance(value, str):
        return value
    at = table.columns.index(column)
    whole = not table.numbers(column) and all(isinstance(row[at], int | None) for row in table.rows)
    if not number or value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
        raise InputError(f"{column} is {value!r}, not a number", where=place, hint="write a number", code=CODE)
    if whole and float(value) != int(value):
        raise InputError(
            f"{column} is {value!r}, but the table holds whole numbers",
            where=place,
            hint="write a whole number",
            code=CODE,
        )
    return int(value) if whole else value


def _find(parameters: Parameters, table: TableContent, key: Any, place: str) -> list[int]:
    """Positions of the rows that a key means."""
    text = str(key).strip()
    names = [_name(parameters, table, row) for row in table.rows]
    if "=" in text and text not in names:  # the name of a growth curve holds equals signs
        return _by_conditions(parameters, table, text, place)
    if "id" in table.columns and text.lstrip("-").isdigit():
        at = table.columns.index("id")
        hits = [i for i, row in enumerate(table.rows) if row[at] == int(text)]
        known = [str(row[at]) for row in table.rows]
    else:
        hits = [i for i, name in enumerate(names) if name == text]
        known = list(dict.fromkeys(filter(None, names)))
    if not hits:
        raise _unknown(f"row of {table.name} called", text, known, place)
    if len(hits) > 1:
        raise InputError(
            f"{len(hits)} rows of {table.name} are called {text!r}",
            where=place,
            hint="name one by its id, or several by conditions (column=value)",
            code=CODE,
        )
    return hits


def _name(parameters: Parameters, table: TableContent, row: Sequence[Any]) -> str:
    """A row's own name, else what its foreign keys (of its primary key, if it has one) stand for."""
    value = dict(zip(table.columns, row, strict=True))
    if "id" in value:
        return parameters.label(table.name, value["id"])
    columns = table.primary or [c for c in table.columns if parameters.target(c)]
    return " / ".join(str(parameters.shown(c, value[c])) for c in columns)


def _by_conditions(parameters: Parameters, table: TableContent, text: str, place: str) -> list[int]:
    wanted: dict[str, str] = {}
    for part in re.split(r",\s*(?=\w+\s*=)", text):  # names may hold commas
        column, sign, value = part.partition("=")
        if not sign:
            raise InputError(
                f"{part.strip()!r} is no condition", where=place, hint="write column=value, column=value", code=CODE
            )
        wanted[column.strip().removesuffix("_id")] = value.strip()
    own = {c.removesuffix("_id"): c for c in table.columns}
    outside = {c: v for c, v in wanted.items() if c not in own}
    uses = [_uses(parameters, table, row) if outside else [] for row in table.rows]
    known = [*own, *(c for found in uses for use in found for c in use)]
    for column in outside:
        if column not in known:
            raise _unknown(f"column for rows of {table.name} called", column, list(dict.fromkeys(known)), place)
    hits = []
    for number, row in enumerate(table.rows):
        texts = {c: str(parameters.shown(c, v)) for c, v in zip(table.columns, row, strict=True)}
        if any(texts[own[c]] != v for c, v in wanted.items() if c in own):
            continue
        fits = [use for use in uses[number] if all(use.get(c) == v for c, v in outside.items())]
        if outside and not fits:
            continue
        if others := [use for use in uses[number] if use not in fits]:
            also = "; ".join(", ".join(f"{c}={v}" for c, v in use.items()) for use in others[:3])
            raise InputError(
                f"the row for {text} is also used for {also}",
                where=place,
                hint=f"name it by its id ({row[table.columns.index('id')]}) to change it for all",
                code=CODE,
            )
        hits.append(number)
    if not hits:
        there = {c: sorted({u[c] for found in uses for u in found if c in u}) for c in outside}
        shown = "; ".join(f"{c} is one of {', '.join(names[:20])}" for c, names in there.items())
        raise InputError(
            f"no row of {table.name} fits {text}",
            where=place,
            hint=shown or "compare with the table's values",
            code=CODE,
        )
    return hits


def _uses(parameters: Parameters, table: TableContent, row: Sequence[Any]) -> list[dict[str, str]]:
    if "id" not in table.columns:
        return []
    return parameters.used_by(table.name, row[table.columns.index("id")])


def _write(connection: sqlite3.Connection, parameters: Parameters, overrides: Sequence[Override]) -> None:
    """Set the values; rows are found again by all their values, because no order is sure but the content."""
    for name in dict.fromkeys(override.table for override in overrides):
        ids: dict[tuple[Any, ...], list[int]] = {}
        for row in connection.execute(f'SELECT rowid, * FROM "{name}"'):  # noqa: S608 - checked name
            ids.setdefault(tuple(row[1:]), []).append(int(row[0]))
        for override in overrides:
            if override.table == name:
                chosen = {tuple(parameters.tables[name].rows[number]) for number in override.rows}
                connection.executemany(
                    f'UPDATE "{name}" SET "{override.column}" = ? WHERE rowid = ?',  # noqa: S608 - checked names
                    [(override.value, number) for row in chosen for number in ids[row]],
                )
