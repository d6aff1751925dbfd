"""What counts as drift: the rules as users write them, with every threshold and its default."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from flint_ml.drift.two_sample import FOR_CLASSES, FOR_NUMBERS, NAMES

Kind = Literal["numeric", "category", "boolean", "date", "identifier", "text", "empty"]
Correction = Literal["holm", "benjamini-hochberg", "none"]
if TYPE_CHECKING:
    TestName = str
    ColumnTest = str
else:
    # What a table is tested by; the tests of single columns are those of the list.
    TestName = Literal[(*FOR_NUMBERS, *FOR_CLASSES, "missing", "spectra", "multivariate")]
    ColumnTest = Literal[("auto", *NAMES, "none")]


def _dashed(field: str) -> str:
    return field.replace("_", "-")


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


class ColumnRules(BaseModel):
    """What holds for one column, or for all that match a pattern such as `nm_*`."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_dashed, populate_by_name=True)

    test: ColumnTest = Field("auto", description="Test of this column; `none` leaves its values out of the comparison.")
    min_effect: float | None = Field(None, ge=0, description="Smallest effect that counts here.")
    kind: Literal["auto", "numeric", "category"] = Field(
        "auto", description="Read the column as numbers or as categories, whatever it looks like."
    )
    range: tuple[float, float] | None = Field(None, description="Smallest and largest number that is allowed.")
    allowed: list[str] | None = Field(None, description="Categories that are allowed.")
    missing: list[str] | None = Field(None, description="Further words that stand for no value here.")

    @field_validator("allowed", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        """Codes may be written as numbers: ``[111, 112]``."""
        if not isinstance(value, list):
            return value
        return [str(item) if isinstance(item, int | float) and not isinstance(item, bool) else item for item in value]


class ReadRules(BaseModel):
    """How a table is written, where looking at it does not tell; what is not given is judged from the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_dashed, populate_by_name=True)

    header: int | None = Field(None, ge=1, description="Line of the column names, counted from 1 after `skip`.")
    skip: int | None = Field(None, ge=0, description="Lines to pass over before anything is read.")
    units_row: bool | None = Field(None, description="Whether a row of units follows the header.")
    comment: str = Field("", description="What begins a line that is a comment, such as `#`.")
    delimiter: str = Field("", description="What parts two fields.", max_length=1)
    decimal: Literal["", ".", ","] = Field("", description="Decimal sign.")
    thousands: Literal["", ".", ",", " ", "'"] = Field("", description="Sign between thousands.")
    encoding: str = Field("", description="Encoding, such as `utf-8`, `cp1252` or `latin-1`.")
    missing: list[str] = Field(default_factory=list, description="Further words that stand for no value.")
    sheet: str = Field("", description="Sheet of a workbook, by name.")
    dates: Literal["", "day-first", "month-first"] = Field("", description="Order of day and month.")

    @property
    def decimal_sign(self) -> str:
        """The decimal sign, as said or as the sign between thousands leaves it; empty where neither was said."""
        return self.decimal or {".": ",", ",": "."}.get(self.thousands, "")


class ReadBothRules(ReadRules):
    """How both tables are written; `reference` and `current` say it of one alone."""

    reference: ReadRules | None = Field(None, description="Settings of the reference alone.")
    current: ReadRules | None = Field(None, description="Settings of the new data alone.")

    def of_side(self, side: int) -> ReadRules:
        """The settings of the reference (0) or the new data (1)."""
        own = self.reference if side == 0 else self.current
        given = own.model_dump(exclude_unset=True) if own is not None else {}
        both = self.model_dump(exclude_unset=True, exclude={"reference", "current"})
        return ReadRules(**{**both, **given})


class DriftRules(BaseModel):
    """The decision: a column drifts where its corrected p is below ``alpha`` and its effect at least ``min_effect``.

    Names of columns may be shell patterns (``nm_*``). Of the keys of ``columns`` the first that matches counts, an
    exact name before any pattern.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_dashed, populate_by_name=True)

    columns: dict[str, ColumnRules] | list[str] = Field(
        default_factory=list,
        description="Columns to compare, names or patterns like `nm_*` (default: all common). In flint-ml.yml also a "
        "mapping from names or patterns to settings (`test`, `min-effect`, `kind`, `range`, `allowed`); then all "
        "common columns are compared.",
    )
    exclude: list[str] = Field(default_factory=list, description="Columns to leave out, names or patterns.")
    tests: list[TestName] = Field(
        default=["ks", "chi2", "missing", "spectra", "multivariate"],
        description=f"Tests to make: one of {_quoted(FOR_NUMBERS)} for numbers; {_quoted(FOR_CLASSES)} for categories "
        "and numbers of few values; `missing` for the share of missing values; `spectra` for bands as a whole; "
        "`multivariate` for all columns together.",
    )
    alpha: float = Field(0.05, gt=0, lt=1, description="Chance of a false alarm for the whole table.")
    correction: Correction = Field(
        "holm", description="Correction for many columns: `holm`, `benjamini-hochberg` or `none`."
    )
    min_effect: float = Field(
        0.1,
        ge=0,
        description="Smallest effect that counts: KS distance D, Cramér's V, difference of missing shares.",
    )
    groups: list[str] = Field(
        default_factory=list,
        description="Columns that say which samples belong together (site, profile); whole groups are then permuted.",
    )
    coordinates: list[str] = Field(
        default_factory=list,
        description="Two columns, x and y: samples of one square of `block-size` belong together.",
    )
    block_size: float | None = Field(
        None, gt=0, description="Side of these squares, and of the blocks of rasters, in the unit of the coordinates."
    )

    read: ReadBothRules = Field(
        default_factory=ReadBothRules,
        description="How the tables are written, where looking at them does not tell: `header`, `skip`, `units-row`, "
        "`comment`, `delimiter`, `decimal`, `thousands`, `encoding`, `missing`, `sheet`, `dates`; below `reference:` "
        "and `current:` for one table alone.",
    )

    @field_validator("tests")
    @classmethod
    def _one_for_numbers(cls, value: list[str]) -> list[str]:
        numeric = [name for name in value if name in FOR_NUMBERS]
        if len(numeric) > 1:
            raise ValueError(f"{' and '.join(numeric)} test the same columns; name one of them")
        return value

    @property
    def only(self) -> Sequence[str]:
        """The columns that are compared, names or patterns; empty for all."""
        return self.columns if isinstance(self.columns, list) else ()

    @property
    def settings(self) -> Mapping[str, ColumnRules]:
        """Rules of single columns by name or pattern."""
        return self.columns if isinstance(self.columns, dict) else {}

    def of(self, column: str) -> ColumnRules:
        """The rules of ``column``."""
        if not isinstance(self.columns, dict):
            return _GENERAL
        exact = self.columns.get(column) or self.columns.get(list_of(column))
        if exact is not None:
            return exact
        return next((rule for pattern, rule in self.columns.items() if fnmatchcase(column, pattern)), _GENERAL)

    def effect_of(self, column: str) -> float:
        """The smallest effect that counts in ``column``."""
        own = self.of(column).min_effect
        return self.min_effect if own is None else own

    def missing_in(self, column: str, side: int) -> list[str]:
        """Words for no value that the user gave, for a column of the reference (0) or of the new data (1)."""
        return [*self.read.of_side(side).missing, *(self.of(column).missing or ())]

    @property
    def numeric_test(self) -> str | None:
        """The test of numeric columns, or None where none is wanted."""
        return next((name for name in FOR_NUMBERS if name in self.tests), None)

    @property
    def class_test(self) -> str | None:
        """The test of categories and of numbers of few values, or None where none is wanted."""
        return next((name for name in FOR_CLASSES if name in self.tests), None)

    def compares(self, column: str) -> bool:
        """Whether ``column`` takes part in the comparison."""
        return (not self.only or _any(column, self.only)) and not _any(column, self.exclude)


_GENERAL = ColumnRules()
_ELEMENT = re.compile(r"^(.+)\[\d+\]$")
# The smallest effect that counts where the rules of a figure name none.
MIN_EFFECT: float = DriftRules.model_fields["min_effect"].default


def list_of(column: str) -> str:
    """The column of lists that an element such as ``spectrum[12]`` is of; of another column its own name."""
    match = _ELEMENT.match(column)
    return match[1] if match else column


def _any(column: str, patterns: Sequence[str]) -> bool:
    names = {column, list_of(column)}
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns for name in names)
