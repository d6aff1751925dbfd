"""Inputs of check-drift: where the tables are, and the rules of :mod:`flint_ml.drift`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator

from flint_ml.drift import ColumnRules, DriftRules
from flint_ml.errors import InputError
from flint_ml.runner import GateInputs, dashed, suggestion


class TablesToCompare(BaseModel):
    """What is compared with what."""

    reference: str = Field(
        description="The trusted table: CSV (also .gz, .bz2, .zst, .xz, .zip), Parquet, Feather, JSON lines or Excel "
        "(.xlsx); a folder or pattern of such files, of the same columns; an address (`s3://`, `gs://`, `az://`, "
        "`https://`); a profile by `flint-ml drift-profile`; or GeoTIFF rasters."
    )
    reference_rev: str = Field(
        "", description="Revision to take the reference from, through Git or DVC, such as `main`."
    )
    current: str = Field(description="The new table to compare with it: a file, folder, pattern or address.")


# Pydantic takes the fields of the last base first: what every gate has, the tables, the rules.
class CheckDriftInputs(DriftRules, TablesToCompare, GateInputs):
    """Inputs of check-drift."""

    mask: str = Field("", description="Raster that says which cells count: not those where it is 0 or nodata.")
    engine: Literal["auto", "memory", "stream", "dask"] = Field(
        "auto",
        description="How tables are read: held in `memory`, scanned in bounded memory (`stream`), or scanned by the "
        "workers of a `dask` cluster; the numbers are the same. `auto` scans what would take half of the free memory.",
    )
    scheduler: str = Field("", description="Address of the Dask scheduler for `engine: dask`, `tcp://host:8786`.")
    explain: bool = Field(
        False, description="Say how each file and each column was read, why it is compared or not, and what changes it."
    )
    figures: Literal["auto", "none"] = Field("auto", description="Draw figures, or none.")

    @field_validator("columns", mode="before")
    @classmethod
    def _settings(cls, value: Any) -> Any:
        """Check a mapping here, so that the message names the column and the key."""
        if not isinstance(value, Mapping):
            return value
        return {str(name): _column_rules(str(name), entry or {}) for name, entry in value.items()}


def _column_rules(name: str, entry: Any) -> ColumnRules:
    if isinstance(entry, ColumnRules):
        return entry
    try:
        return ColumnRules.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = str(first["loc"][-1]) if first["loc"] else ""
        hint = suggestion(key, [dashed(field) for field in ColumnRules.model_fields])
        if first["type"] != "extra_forbidden":
            hint = "see the inputs table"
        raise InputError(
            f"`{key}`: {first['msg']}", where=f"check-drift: columns.{name}", hint=hint, code="invalid-input"
        ) from None
