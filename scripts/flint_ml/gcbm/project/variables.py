"""Evaluate a project's variables: constants, layers, queries with ``{var:x}``, composites (1.3)."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flint_ml.errors import InputError
from flint_ml.gcbm.project.classifiers import CurveChooser, TransitionChooser
from flint_ml.gcbm.project.config import Project, plain_path
from flint_ml.gcbm.project.problems import FLINT_HINT

_TOKEN = re.compile(r"\{var:([^}]+)\}")
CLASSIFIER_SET = "classifier_set"
MISSING: Any = object()


class NullVariableError(Exception):
    """A query needs a variable that is null on this stand (the C++ drops the pixel with an error)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"variable {name} has no value")
        self.name = name


def open_database(path: Path) -> sqlite3.Connection:
    """Open an SQLite file read-only; a file that is none is an InputError."""
    connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        raise InputError(
            f"not a readable SQLite database ({error})",
            where=str(path),
            hint="copy or pull the file again (a pointer file of Git LFS or DVC is not the database itself)",
            code="gcbm-database",
        ) from None
    return connection


class Variables:
    """Lazy, cached evaluation of variables.

    A variable *depends* on leaves: raster layers (by ``data_id``) and the current classifier set. Given the
    leaves' values, ``evaluate`` returns None, a number, text, a record (dict) or a list.
    """

    def __init__(self, project: Project, connection: sqlite3.Connection) -> None:
        self.project = project
        self.connection = connection
        self._leaves: dict[tuple[str, bool], frozenset[str]] = {}
        self._values: dict[tuple[Any, ...], Any] = {}
        self._queries: dict[tuple[Any, ...], Any] = {}
        self._curves: CurveChooser | None = None
        self._rules: TransitionChooser | None = None

    def definition(self, name: str, *, spinup: bool = False) -> Any:
        try:
            return self.project.variable(name, spinup=spinup)
        except KeyError:
            raise InputError(
                f"variable {name} is used but not defined",
                where=self.project.source("Variables"),
                hint=f"add {name} to Variables",
                code="gcbm-variable",
            ) from None

    def transform(self, name: str, *, spinup: bool = False) -> dict[str, Any] | None:
        """The transform of a variable, or None for a constant."""
        entry = self.definition(name, spinup=spinup)
        if isinstance(entry, dict) and isinstance(entry.get("transform"), dict):
            return dict(entry["transform"])
        return None

    def inputs(self, name: str, *, spinup: bool = False) -> list[str]:
        """Names of the variables that a variable uses directly."""
        transform = self.transform(name, spinup=spinup)
        if transform is None:
            return []
        kind = transform.get("type")
        if kind == "CompositeTransform":
            return [str(v) for v in transform.get("vars", [])]
        if kind == "SQLQueryTransform":
            return [token.split(".", 1)[0] for token in _TOKEN.findall(self._query_text(name, transform))]
        return []

    def leaves(self, name: str, *, spinup: bool = False) -> frozenset[str]:
        """The layers (and the classifier set) that a variable's value depends on."""
        key = (name, spinup)
        if key not in self._leaves:
            self._leaves[key] = frozenset()  # guards against a cycle
            self._leaves[key] = self._find_leaves(name, spinup)
        return self._leaves[key]

    def _find_leaves(self, name: str, spinup: bool) -> frozenset[str]:
        if name == CLASSIFIER_SET:
            return frozenset({CLASSIFIER_SET})
        transform = self.transform(name, spinup=spinup)
        if transform is None:
            return frozenset()
        kind = transform.get("type")
        if kind == "LocationIdxFromFlintDataTransform":
            return frozenset({f"layer:{transform.get('data_id')}"})
        if kind in {"GrowthCurveTransform", "TransitionRuleTransform"}:
            return self.leaves(str(transform.get("classifier_set_var", CLASSIFIER_SET)), spinup=spinup)
        found: frozenset[str] = frozenset()
        for part in self.inputs(name, spinup=spinup):
            found |= self.leaves(part, spinup=spinup)
        return found

    def evaluate(self, name: str, leaves: Mapping[str, Any], *, spinup: bool = False) -> Any:
        """Value of a variable where ``leaves`` (``layer:<data_id>``, ``classifier_set``) have these values."""
        if name == CLASSIFIER_SET:
            return leaves[CLASSIFIER_SET]
        needed = self.leaves(name, spinup=spinup)
        key = (name, spinup, *(freeze(leaves[leaf]) for leaf in sorted(needed)))
        value = self._values.get(key, MISSING)
        if value is MISSING:
            value = self._compute(name, leaves, spinup)
            self._values[key] = value
        return value

    def constant(self, name: str, default: Any = MISSING, *, spinup: bool = False) -> Any:
        """Value of a variable that must not depend on place; ``default`` when it is not defined."""
        if default is not MISSING:
            defined = name in self.project.section("Variables") or (
                spinup and name in self.project.section("SpinupVariables")
            )
            if not defined:
                return default
        if self.leaves(name, spinup=spinup):
            raise InputError(
                f"variable {name} depends on a layer; the embedded engine needs one value for all pixels",
                where=self.project.source("Variables", name),
                hint=FLINT_HINT,
                code="gcbm-unsupported",
            )
        return self.evaluate(name, {}, spinup=spinup)

    def _compute(self, name: str, leaves: Mapping[str, Any], spinup: bool) -> Any:
        transform = self.transform(name, spinup=spinup)
        if transform is None:
            return self.definition(name, spinup=spinup)
        kind = transform.get("type")
        if kind == "LocationIdxFromFlintDataTransform":
            return leaves[f"layer:{transform.get('data_id')}"]
        if kind == "CompositeTransform":
            return self._composite(transform, leaves, spinup)
        if kind == "SQLQueryTransform":
            return self._query(name, transform, leaves, spinup)
        if kind in {"GrowthCurveTransform", "TransitionRuleTransform"}:
            chosen = str(transform.get("classifier_set_var", CLASSIFIER_SET))
            return self._choose(kind, self.evaluate(chosen, leaves, spinup=spinup))
        raise InputError(
            f"variable {name} has a transform of type {kind}, which the embedded engine does not have",
            where=self.project.source("Variables", name),
            hint=FLINT_HINT,
            code="gcbm-unsupported",
        )

    def _choose(self, kind: str, current: Any) -> Any:
        try:
            if kind == "GrowthCurveTransform":
                self._curves = self._curves or CurveChooser(self.connection)
                return None if current is None else self._curves.choose(current)
            self._rules = self._rules or TransitionChooser(self.connection)
            return {} if current is None else self._rules.choose(current)
        except sqlite3.Error as error:
            raise InputError(
                f"growth curves or transition rules cannot be read: {error}",
                where=str(self.project.database),
                hint="the input database must have the GCBM tables",
                code="gcbm-query",
            ) from None

    def _composite(self, transform: dict[str, Any], leaves: Mapping[str, Any], spinup: bool) -> Any:
        record: dict[str, Any] = {}
        for part in transform.get("vars", []):
            value = self.evaluate(str(part), leaves, spinup=spinup)
            if value is None and transform.get("allow_nulls") is not True:
                return None
            if isinstance(value, dict):
                record.update(value)
            else:
                record[str(part)] = value
        return dict(sorted(record.items()))

    def _query_text(self, name: str, transform: dict[str, Any]) -> str:
        if "queryString" in transform:
            return str(transform["queryString"])
        file = self.project.config_dir / plain_path(str(transform.get("queryFile", "")))
        if not file.is_file():
            raise InputError(
                f"variable {name}: the query file {file.name!r} does not exist",
                where=self.project.source("Variables", name),
                hint="correct queryFile",
                code="gcbm-query",
            )
        return file.read_text(encoding="utf-8")

    def _query(self, name: str, transform: dict[str, Any], leaves: Mapping[str, Any], spinup: bool) -> Any:
        values: list[Any] = []
        optional = transform.get("allow_empty_var_values") is True

        def bind(match: re.Match[str]) -> str:
            variable, _, prop = match.group(1).partition(".")
            value = self.evaluate(variable, leaves, spinup=spinup)
            if value is None:
                if not optional:
                    raise NullVariableError(variable)
                values.append(None)
                return "?"
            items = value if isinstance(value, list) else [value]
            if prop:
                items = [item.get(prop) if isinstance(item, dict) else item for item in items]
            values.extend(items)
            return ", ".join("?" * len(items))

        text = _TOKEN.sub(bind, self._query_text(name, transform))
        key = (text, *values)
        if key not in self._queries:
            self._queries[key] = self._execute(name, text, values)
        return self._queries[key]

    def _execute(self, name: str, text: str, values: list[Any]) -> Any:
        try:
            cursor = self.connection.execute(text, values)
            rows = cursor.fetchall()
        except sqlite3.Error as error:
            raise InputError(
                f"the query of variable {name} fails: {error}",
                where=self.project.source("Variables", name),
                hint="check the query and that the input database has these tables and columns",
                code="gcbm-query",
            ) from None
        columns = [column[0] for column in cursor.description]
        if not rows:
            return None
        if len(columns) == 1:
            return rows[0][0] if len(rows) == 1 else [row[0] for row in rows]
        records = [dict(zip(columns, row, strict=True)) for row in rows]
        return records[0] if len(records) == 1 else records


def freeze(value: Any) -> Any:
    """A hashable stand-in for a value."""
    return json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value


def records(value: Any) -> list[dict[str, Any]]:
    """A query's result as a list of records, whether it had no, one or many rows."""
    if value is None:
        return []
    return [value] if isinstance(value, dict) else list(value)
