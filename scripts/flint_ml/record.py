"""The record: the one thing that passes between actions.

Every action leaves ``<results-dir>/<name>.json`` and puts figures under ``<results-dir>/<name>/``. Reading is
strict, because a record may come from a fork: limited in size, checked against the schema, and with every path
confined to the results directory.

What the decision and the report need stands in typed fields; ``details`` is for people and other programs, and
flint-ml never reads it. Records of the schema before (``flint-ml/record/1``) are still read: their contract in
``details`` and in the titles of columns is moved to the fields, and ``schema_`` says where they come from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from flint_ml.errors import InputError
from flint_ml.hashing import file_sha256, write_atomically

SCHEMA: Literal["flint-ml/record/2"] = "flint-ml/record/2"
SCHEMA_BEFORE: Literal["flint-ml/record/1"] = "flint-ml/record/1"
MAX_BYTES = 4 * 1024 * 1024
# A matrix of a thousand parts leaves as many; a fork's artifact has limits of its own.
MAX_RECORDS = 5_000
MAX_CHANGES = 20_000

Status = Literal["passed", "warned", "failed", "skipped", "error"]
Severity = Literal["info", "warning", "error"]
Verdict = Literal["better", "same", "worse", "inconclusive", "changed", "as-declared", "no-baseline"]
Role = Literal["base", "head", "change", "interval", "tolerance", "result"]
State = Literal["looked", "left-out", "not-applicable"]
Cell = str | int | float | bool | None
MARKS: dict[Status, str] = {"passed": "✅", "warned": "🟡", "failed": "❌", "skipped": "⏭️", "error": "❌"}
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def _confined(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or ".." in parts or "\\" in path or "\x00" in path:
        raise ValueError("must be a relative path inside the results directory, with forward slashes")
    return path


ResultPath = Annotated[str, Field(max_length=400), AfterValidator(_confined)]
Text = Annotated[str, Field(max_length=20_000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Badge(_Part):
    """Label and message of one badge: "Data Drift Check" / "Passed"."""

    label: Annotated[str, Field(max_length=100)]
    message: Annotated[str, Field(max_length=200)]


class Metric(_Part):
    """One number with its unit; ``value`` is null, with a note, where it is not finite."""

    value: float | None
    unit: str | None = None
    base: float | None = None
    direction: Literal["lower", "higher", "zero"] | None = None
    note: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _finite(cls, data: Any) -> Any:
        if isinstance(data, dict):
            data = dict(data)
            for key in ("value", "base"):
                number = data.get(key)
                if isinstance(number, float) and not math.isfinite(number):
                    data[key] = None
                    data["note"] = data.get("note") or f"{key} was {number}"
        return data


class PartBadge(Badge):
    """A badge of a part of a record, with the status of that part."""

    status: Status


class Column(_Part):
    """A table column; numbers are aligned right and may carry a unit.

    ``role`` says what the column holds where the table compares: the base's values, this change's (``head``), their
    difference (``change``) with its ``interval`` and ``tolerance``, and the ``result`` of each row in a word. Reports
    find columns by role and never by title.
    """

    name: Annotated[str, Field(max_length=200)]
    type: Literal["text", "number"] = "text"
    unit: str | None = None
    role: Role | None = None


class Table(_Part):
    """A titled table; rows hold text, numbers, booleans or null, one cell a column."""

    title: Annotated[str, Field(max_length=300)]
    columns: Annotated[list[Column], Field(max_length=100)]
    rows: Annotated[list[list[Cell]], Field(max_length=20_000)]

    @model_validator(mode="after")
    def _rectangular(self) -> Table:
        width = len(self.columns)
        for number, row in enumerate(self.rows):
            if len(row) != width:
                raise ValueError(f"row {number} has {len(row)} cells for {width} columns")
            for index, cell in enumerate(row):
                if isinstance(cell, float) and not math.isfinite(cell):
                    row[index] = None
        return self

    def column(self, role: Role) -> int | None:
        """Number of the first column of this role, or None."""
        return next((number for number, column in enumerate(self.columns) if column.role == role), None)


class Series(_Part):
    """One line or set of bars of a fallback diagram."""

    name: Annotated[str, Field(max_length=100)]
    y: Annotated[list[float | None], Field(max_length=2_000)]


class Fallback(_Part):
    """The data of a figure, for a diagram where no picture can be shown.

    ``x_name`` and ``y_name`` are the names of the axes with their units; ``title`` is what this shows where it is less
    than the figure (one of four columns).
    """

    kind: Literal["bar", "line", "table"]
    x: Annotated[list[str], Field(max_length=2_000)]
    series: Annotated[list[Series], Field(max_length=20)]
    x_name: Annotated[str, Field(max_length=200)] = ""
    y_name: Annotated[str, Field(max_length=200)] = ""
    title: Annotated[str, Field(max_length=300)] = ""


class Figure(_Part):
    """A picture under the results directory, with the text that stands for it."""

    title: Annotated[str, Field(max_length=300)]
    alt: Annotated[str, Field(max_length=1_000)]
    path: ResultPath
    fallback: Fallback | None = None


class Finding(_Part):
    """Something that the reader of the report should know, with a stable code."""

    severity: Severity
    code: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")]
    message: Text
    hint: Text | None = None


class Input(_Part):
    """A file that the result depends on, with its hash (DVC's md5, or sha256)."""

    path: Annotated[str, Field(max_length=1_000)]
    md5: str | None = None
    sha256: str | None = None
    bytes: int | None = None


class Written(Input):
    """A file that the command wrote, with its hash afterwards.

    ``how``: it was not there before (``new``), or its size, times or inode are others (``rewritten``; the bytes may
    be the same, for what was written anew counts).
    """

    how: Literal["new", "rewritten"]


class BaseSide(_Part):
    """What the result was compared with.

    Attributes
    ----------
    kind
        A Git revision, a registered version of the model, the last run's artifact, or a file.
    label
        What people call it, where it is not the base branch.
    commit
        Commit that it was made from.
    how
        Why this is the base, as a clause.
    named
        The value of the option ``base`` that names it; empty for a revision.
    """

    kind: Literal["revision", "file", "version", "artifact"] = "revision"
    label: Annotated[str, Field(max_length=300)] = ""
    commit: Annotated[str, Field(max_length=100)] | None = None
    how: Annotated[str, Field(max_length=1_000)] = ""
    named: Annotated[str, Field(max_length=300)] = ""


class Benchmark(_Part):
    """The samples that both sides were scored on: file, name, hashes, number of samples.

    ``same`` is None where it is not known.
    """

    path: Annotated[str, Field(max_length=1_000)] | None = None
    name: Annotated[str, Field(max_length=300)] | None = None
    md5: Annotated[str, Field(max_length=100)] | None = None
    base_md5: Annotated[str, Field(max_length=100)] | None = None
    n: int | None = None
    same: bool | None = None


class DataChange(_Part):
    """One data file or folder that differs from the base: sizes in bytes, counts of files in a folder.

    ``kind`` is ``source`` (put there by people), ``output`` (made by a stage) or ``git`` (kept in Git).
    """

    path: Annotated[str, Field(max_length=1_000)]
    change: Annotated[str, Field(max_length=1_000)] = "changed"
    kind: Annotated[str, Field(max_length=100)] = ""
    size: int | None = None
    base_size: int | None = None
    md5: Annotated[str, Field(max_length=100)] | None = None
    base_md5: Annotated[str, Field(max_length=100)] | None = None
    files: dict[str, int] | None = None


class ParameterChange(_Part):
    """One parameter that differs from the base; a file other than params.yaml is named before a colon."""

    path: Annotated[str, Field(max_length=1_000)]
    base: Any = None
    head: Any = None


class Changes(_Part):
    """What the change does, beside its results: paths relative to the root of the repository.

    ``by`` says how data were compared: by hash, or by content (a simulation that compares layers by pixel).
    """

    data: Annotated[list[DataChange], Field(max_length=20_000)] = Field(default_factory=list)
    params: Annotated[list[ParameterChange], Field(max_length=20_000)] = Field(default_factory=list)
    code: Annotated[list[str], Field(max_length=20_000)] = Field(default_factory=list)
    gate: Annotated[list[str], Field(max_length=20_000)] = Field(default_factory=list)
    by: Literal["hash", "content"] = "hash"

    @classmethod
    def clipped(cls, data: Mapping[str, Any], by: Literal["hash", "content"] = "hash") -> Changes:
        """The changes that ``data`` lists by the names of the fields, cut where a record cannot take them all."""
        rows = {name: list(data.get(name) or ())[:MAX_CHANGES] for name in ("data", "params", "code", "gate")}
        files = [
            {key: value[:1_000] if isinstance(value, str) else value for key, value in row.items()}
            for row in rows["data"]
        ]
        params = [
            {"path": str(row["path"])[:1_000], **{side: finite(row.get(side)) for side in ("base", "head")}}
            for row in rows["params"]
        ]
        return cls.model_validate({**rows, "data": files, "params": params, "by": by})


# The kinds of pieces that a decision may ask for (docs/report.md, "Evidence").
TREE = "tree"
DATA = "data"
COLUMNS = "columns"
FRESH = "metrics-of-this-run"
METRICS = "metrics"
SAMPLES = "samples"
BASE_METRICS = "base-metrics"


class Piece(_Part):
    """One piece of evidence: what was looked at, what was left out, or what there is nothing of to look at.

    Attributes
    ----------
    kind
        What kind of evidence: ``tree``, ``data``, ``columns``, ``metrics-of-this-run``, ``metrics``, ``samples``,
        ``base-metrics``, or a name of the action's own.
    state
        ``looked``: ``n`` of ``of`` were. ``left-out``: ``name`` was not looked at, ``why`` says the cause and
        ``hint`` the line that changes it. ``not-applicable``: there is nothing to look at, ``why`` says how that is
        known.
    noun
        What was counted, in the plural ("columns"); for the tree, what it is called ("commit e4f5a6b").
    """

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,60}$")]
    state: State
    name: Annotated[str, Field(max_length=300)] = ""
    n: Annotated[int, Field(ge=0)] | None = None
    of: Annotated[int, Field(ge=0)] | None = None
    noun: Annotated[str, Field(max_length=200)] = ""
    why: Annotated[str, Field(max_length=2_000)] = ""
    hint: Annotated[str, Field(max_length=2_000)] = ""

    @model_validator(mode="after")
    def _whole(self) -> Piece:
        if self.state == "looked" and (self.n is None or self.of is None or self.n > self.of):
            raise ValueError("a piece that was looked at says how many of how many")
        if self.state == "left-out" and not self.name:
            raise ValueError("a piece that was left out has a name")
        if self.state != "looked" and not self.why:
            raise ValueError("a piece that was not looked at says why")
        return self


def looked(kind: str, n: int, of: int | None = None, noun: str = "", *, why: str = "") -> Piece:
    """The piece of what was looked at: ``n`` of ``of`` (default: all) ``noun``."""
    return Piece(kind=kind, state="looked", n=n, of=n if of is None else of, noun=noun, why=why[:2_000])


def left_out(kind: str, name: str, why: str, hint: str = "") -> Piece:
    """The piece of what was not looked at: its name, the cause, and the line that changes it."""
    return Piece(kind=kind, state="left-out", name=name[:300], why=why[:2_000], hint=hint[:2_000])


def not_applicable(kind: str, why: str, name: str = "") -> Piece:
    """The piece of what there is nothing of, or what somebody who may do so declared away."""
    return Piece(kind=kind, state="not-applicable", name=name[:300], why=why[:2_000])


class Provenance(_Part):
    """Where a record comes from: code, data, run, tools, cost.

    ``records`` are the sha256 of the records of this run that were there before the action began, by name: one that
    has changed since was not left by its action.
    """

    head_sha: str | None = None
    base_sha: str | None = None
    run_id: str | None = None
    run_attempt: int = 1
    tool: str
    versions: dict[str, str] = Field(default_factory=dict)
    inputs: list[Input] = Field(default_factory=list)
    records: dict[str, str] = Field(default_factory=dict)
    started: str
    seconds: float | None = None
    peak_mb: float | None = None


class Record(_Part):
    """One action's result (see docs/architecture.md for every field).

    Attributes
    ----------
    spoken
        How the check is called in a sentence ("the drift check").
    verdict
        What a comparison came to; ``as-declared`` is changed wholly as the project declared.
    advice
        What to do about a result that does not pass, as a clause.
    badges
        Badges of parts of the record, beside its own.
    log
        Last lines of the output of a command.
    reproduce
        Commands that repeat the work, in a clone of the repository.
    wrote
        Files that the command wrote.
    coverage
        What was looked at and what was not: see :class:`Piece`.
    """

    schema_: Literal["flint-ml/record/1", "flint-ml/record/2"] = Field(default=SCHEMA, alias="schema")
    action: Annotated[str, Field(pattern=NAME_PATTERN)]
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    status: Status
    headline: Annotated[str, Field(max_length=500)]
    badge: Badge
    spoken: Annotated[str, Field(max_length=200)] = ""
    verdict: Verdict | None = None
    advice: Annotated[str, Field(max_length=1_000)] = ""
    base: BaseSide | None = None
    benchmark: Benchmark | None = None
    badges: Annotated[list[PartBadge], Field(max_length=50)] = Field(default_factory=list)
    changes: Changes | None = None
    fingerprint: Annotated[str, Field(max_length=200)] = ""
    log: Annotated[list[Annotated[str, Field(max_length=2_000)]], Field(max_length=400)] = Field(default_factory=list)
    reproduce: Annotated[list[Annotated[str, Field(max_length=10_000)]], Field(max_length=20)] = Field(
        default_factory=list
    )
    wrote: Annotated[list[Written], Field(max_length=10_000)] = Field(default_factory=list)
    coverage: Annotated[list[Piece], Field(max_length=2_000)] = Field(default_factory=list)
    metrics: dict[str, Metric] = Field(default_factory=dict)
    tables: list[Table] = Field(default_factory=list)
    figures: list[Figure] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)
    findings: list[Finding] = Field(default_factory=list)
    provenance: Provenance

    @model_validator(mode="before")
    @classmethod
    def _from_schema_before(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("schema", data.get("schema_")) == SCHEMA_BEFORE:
            return _upgraded(data)
        return data

    def to_json(self) -> str:
        """The record as UTF-8 JSON text, keys in the order of the schema, without NaN."""
        # Numbers that are not finite become null.
        return self.model_dump_json(by_alias=True, indent=1) + "\n"


# Fields that came with record/2, and the titles that meant something before columns had roles.
_NEW_FIELDS = (
    "spoken",
    "verdict",
    "advice",
    "base",
    "benchmark",
    "badges",
    "changes",
    "fingerprint",
    "log",
    "reproduce",
    "wrote",
    "coverage",
)
_TITLES: dict[str, Role] = {
    "base": "base",
    "this change": "head",
    "change": "change",
    "tolerance": "tolerance",
    "result": "result",
}


def _upgraded(data: dict[str, Any]) -> dict[str, Any]:
    """A record/1 with what ``details`` and titles meant moved to the fields; what does not fit them is dropped."""
    extra = [name for name in _NEW_FIELDS if name in data]
    if extra:
        raise ValueError(f"{extra[0]}: {SCHEMA_BEFORE} has no such field")
    details = data.get("details")
    details = details if isinstance(details, dict) else {}
    lines = details.get("last_lines")
    declared = details.get("verdict") == "changed" and details.get("as_declared") is True
    given = {
        "verdict": "as-declared" if declared else details.get("verdict"),
        "log": [str(line)[:2_000] for line in lines if isinstance(line, str | int | float)]
        if isinstance(lines, list)
        else None,
        "reproduce": [details.get("command")] if data.get("name") == "train" else None,
        **{name: details.get(name) for name in ("base", "benchmark", "badges", "changes", "fingerprint")},
    }
    upgraded = {**data, "tables": _with_roles(data.get("tables"))}
    for name, value in given.items():
        fits = _fitting(name, value)
        if fits is not None:
            upgraded[name] = fits
    return upgraded


def _fitting(name: str, value: Any) -> Any:
    """``value`` if it fits the field ``name``, without keys that the field does not know; else None."""
    if value is None:
        return None
    parts: dict[str, type[_Part]] = {"base": BaseSide, "benchmark": Benchmark, "changes": Changes}
    known = parts.get(name)
    if known is not None and isinstance(value, dict):
        value = {key: item for key, item in value.items() if key in known.model_fields and item is not None}
    try:
        return TypeAdapter(Record.model_fields[name].rebuild_annotation()).validate_python(value)
    except ValidationError:
        return None


def _with_roles(tables: Any) -> Any:
    """Tables of a record/1 whose columns have the roles that their titles stood for."""
    if not isinstance(tables, list):
        return tables if tables is not None else []
    return [
        {**table, "columns": [_with_role(column) for column in table["columns"]]}
        if isinstance(table, dict) and isinstance(table.get("columns"), list)
        else table
        for table in tables
    ]


def _with_role(column: Any) -> Any:
    if not isinstance(column, dict) or not isinstance(column.get("name"), str):
        return column
    if "role" in column:
        raise ValueError(f"role: {SCHEMA_BEFORE} has no such field")
    role = _TITLES.get(column["name"]) or ("interval" if "CI" in column["name"] else None)
    return {**column, "role": role}


def finite(value: Any) -> Any:
    """``value`` with every number that is not finite replaced by null, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def now() -> str:
    """The present time as records write it: UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write(record: Record, results_dir: Path) -> Path:
    """Write ``record`` as ``<results_dir>/<name>.json`` and return its path."""
    path = results_dir / f"{record.name}.json"
    write_atomically(path, record.to_json())
    return path


def read(path: Path) -> Record:
    """Read one record strictly.

    Raises
    ------
    InputError
        If the file is too large, is no regular file, is not JSON, or does not follow the schema.
    """
    if path.is_symlink() or not path.is_file():
        raise InputError("is not a regular file", where=path.name, code="record-unreadable")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(
            f"is {size:,} bytes; a record may have {MAX_BYTES:,}", where=path.name, code="record-too-large"
        )
    try:
        record = Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"is not a {SCHEMA} record: {where}: {first['msg']}",
            where=path.name,
            hint="records are written by flint-ml; delete the file if you did not mean it to be one",
            code="record-invalid",
        ) from None
    if record.name != path.stem:
        raise InputError(
            f"holds the record of {record.name!r}; file and name must agree",
            where=path.name,
            code="record-invalid",
        )
    return record


def read_all(results_dir: Path) -> tuple[list[Record], list[InputError]]:
    """Every record ``<results_dir>/*.json`` in order of start, and the files that are not records.

    Deeper folders are not read. At most ``MAX_RECORDS`` files are looked at.
    """
    records: list[Record] = []
    refused: list[InputError] = []
    paths = sorted(results_dir.glob("*.json")) if results_dir.is_dir() else []
    for path in paths[:MAX_RECORDS]:
        try:
            records.append(read(path))
        except InputError as error:
            refused.append(error)
    if len(paths) > MAX_RECORDS:
        refused.append(InputError(f"more than {MAX_RECORDS:,} records; the rest is not read", where=results_dir.name))
    return sorted(records, key=lambda record: (record.provenance.started, record.name)), refused


def altered(read: Iterable[Record], results_dir: Path) -> list[str]:
    """One sentence for each record that is not what it was when a later action began, and is not newer than that."""
    by_name = {record.name: record for record in read}
    sentences = []
    for later in by_name.values():
        for name, digest in later.provenance.records.items():
            earlier = by_name.get(name)
            path = results_dir / f"{name}.json"
            rewritten = earlier is not None and earlier.provenance.started >= later.provenance.started
            if rewritten or (path.is_file() and file_sha256(path) == digest):
                continue
            what = "was changed" if path.is_file() else "was removed"
            sentences.append(f"the record {name} {what} after {later.name} had begun")
    return sorted(set(sentences))


def json_schema() -> dict[str, Any]:
    """The published JSON schema of a record (docs/schema/record-2.json)."""
    schema = Record.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA, **schema}


def slug(text: str) -> str:
    """``text`` as a file name: letters, digits, dot, dash and underscore."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80] or "x"


def same_run(records: Iterable[Record], head_sha: str | None, run_id: str | None, run_attempt: int) -> list[Record]:
    """The records made by this run, attempt and commit; the others are not to be believed."""
    return [
        record
        for record in records
        if (record.provenance.head_sha, record.provenance.run_id, record.provenance.run_attempt)
        == (head_sha, run_id, run_attempt)
    ]
