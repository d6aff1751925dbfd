"""The record: the one thing that passes between actions.

Every action leaves ``<results-dir>/<name>.json`` and puts figures under ``<results-dir>/<name>/``. Reading is
strict, because a record may come from a fork: limited in size, checked against the schema, and with every path
confined to the results directory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from flint_ml.errors import InputError
from flint_ml.hashing import write_atomically

SCHEMA: Literal["flint-ml/record/1"] = "flint-ml/record/1"
MAX_BYTES = 4 * 1024 * 1024
MAX_RECORDS = 100

Status = Literal["passed", "warned", "failed", "skipped", "error"]
Severity = Literal["info", "warning", "error"]
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


class Column(_Part):
    """A table column; numbers are aligned right and may carry a unit."""

    name: Annotated[str, Field(max_length=200)]
    type: Literal["text", "number"] = "text"
    unit: str | None = None


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


class Series(_Part):
    """One line or set of bars of a fallback diagram."""

    name: Annotated[str, Field(max_length=100)]
    y: Annotated[list[float | None], Field(max_length=2_000)]


class Fallback(_Part):
    """The data of a figure, for a diagram where no picture can be shown."""

    kind: Literal["bar", "line", "table"]
    x: Annotated[list[str], Field(max_length=2_000)]
    series: Annotated[list[Series], Field(max_length=20)]


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


class Provenance(_Part):
    """Where a record comes from: code, data, run, tools, cost."""

    head_sha: str | None = None
    base_sha: str | None = None
    run_id: str | None = None
    run_attempt: int = 1
    tool: str
    versions: dict[str, str] = Field(default_factory=dict)
    inputs: list[Input] = Field(default_factory=list)
    started: str
    seconds: float | None = None
    peak_mb: float | None = None


class Record(_Part):
    """One action's result (see docs/architecture.md for every field)."""

    schema_: Literal["flint-ml/record/1"] = Field(default=SCHEMA, alias="schema")
    action: Annotated[str, Field(pattern=NAME_PATTERN)]
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    status: Status
    headline: Annotated[str, Field(max_length=500)]
    badge: Badge
    metrics: dict[str, Metric] = Field(default_factory=dict)
    tables: list[Table] = Field(default_factory=list)
    figures: list[Figure] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)
    findings: list[Finding] = Field(default_factory=list)
    provenance: Provenance

    def to_json(self) -> str:
        """The record as UTF-8 JSON text, keys in the order of the schema, without NaN."""
        # Numbers that are not finite become null.
        return self.model_dump_json(by_alias=True, indent=1) + "\n"


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
        raise InputError("is not a regular file", where=str(path), code="record-unreadable")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(
            f"is {size:,} bytes; a record may have {MAX_BYTES:,}", where=str(path), code="record-too-large"
        )
    try:
        record = Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"is not a {SCHEMA} record: {place}: {first['msg']}",
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
        refused.append(InputError(f"more than {MAX_RECORDS} records; the rest is ignored", where=str(results_dir)))
    return sorted(records, key=lambda record: (record.provenance.started, record.name)), refused


def json_schema() -> dict[str, Any]:
    """The published JSON schema of a record (docs/schema/record-1.json)."""
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
