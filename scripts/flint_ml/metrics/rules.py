"""Rules for metrics: direction, tolerance, threshold, importance; by name or by glob over names."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from flint_ml.metrics.catalogue import UNKNOWN_RANK, Direction
from flint_ml.metrics.names import Meaning, Split, meaning, unit_of
from flint_ml.metrics.read import Reading

Missing = Literal["fail", "warn", "ignore"]
Source = Literal["rule", "name", "record", "unknown"]
# Sums of a few thousand numbers near one that should be zero come out below this.
NEAR_ZERO = 1e-12
_PERCENT = re.compile(r"^\s*([+\-−]?\s*\d*[.,]?\d+(?:[eE][+-]?\d+)?)\s*(%|percent)?\s*$")


@dataclass(frozen=True)
class Amount:
    """A number as it is, or a share of the base (``2 %`` is 0.02, relative)."""

    value: float
    relative: bool = False

    def of(self, base: float) -> float:
        """The amount in the unit of ``base``."""
        return self.value * abs(base) if self.relative else self.value

    def __str__(self) -> str:
        return f"{self.value * 100:g} %" if self.relative else f"{self.value:g}"


def parse_amount(value: Any) -> Amount:
    """``0.05`` or ``"2 %"`` or ``"+20 %"`` as an amount.

    Raises
    ------
    ValueError
        If ``value`` is neither.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Amount(float(value))
    match = _PERCENT.match(str(value))
    if not match:
        raise ValueError(f"{value!r} is neither a number (0.05) nor a share (2 %)")
    number = float(match[1].replace("−", "-").replace(" ", "").replace(",", "."))
    return Amount(number / 100, True) if match[2] else Amount(number)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


class Rule(BaseModel):
    """How changes of the metrics that a name or glob stands for are judged."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_dashed, populate_by_name=True)

    direction: Direction | None = Field(
        None, description="What is better: `lower`, `higher`, `zero` (near zero, a bias) or `none`."
    )
    tolerance: float | str | None = Field(
        None, description="A change up to this is `same`: a number in the metric's unit, or a share such as `2 %`."
    )
    tolerance_relative: float | None = Field(
        None, ge=0, description="The same as a share of the base's value (0.02 is 2 %); the larger of both holds."
    )
    threshold: float | None = Field(
        None, description="What this change must reach whatever the base is: at most (lower), at least (higher)."
    )
    must_not_regress: bool = Field(
        False, description="Worse here is worse, whatever else is better; undecided here is never better."
    )
    weight: float | None = Field(
        None, ge=0, description="Importance (default 1): a better metric makes up for a lighter worse one; 0: shown."
    )
    order: int | None = Field(None, description="Place in the table; lower numbers first.")
    label: str | None = Field(None, description="Name to show.", max_length=80)
    unit: str | None = Field(None, description="Unit to show, such as g/kg.", max_length=40)
    gap: float | str | None = Field(
        None, description="Largest gap between training and test that is not warned about: a number or a share."
    )
    missing: Missing | None = Field(
        None, description="When the base has it and this change has not: `fail`, `warn` or `ignore`."
    )

    @field_validator("tolerance", "gap")
    @classmethod
    def _amount(cls, value: float | str | None) -> float | str | None:
        if value is not None and parse_amount(value).value < 0:
            raise ValueError("a tolerance or gap cannot be negative")
        return value


@dataclass(frozen=True)
class Applied:
    """The rule that holds for one metric, with every default filled in.

    Attributes
    ----------
    source
        Where the direction comes from.
    split
        Samples that it was measured on, as its name says.
    why
        How the name was read.
    gap
        The largest difference between training and test that is not warned about.
    floor
        What a rounding error may be whatever the base is, in the metric's unit.
    weighted
        Whether a rule gave the weight.
    """

    label: str
    direction: Direction
    source: Source
    unit: str | None = None
    tolerance: tuple[Amount, ...] = ()
    threshold: float | None = None
    must_not_regress: bool = False
    weight: float = 1.0
    order: int | None = None
    rank: int = UNKNOWN_RANK
    missing: Missing = "fail"
    percent: bool = True
    split: Split = ""
    why: str = ""
    gap: Amount | None = None
    weighted: bool = False
    floor: float = 0.0

    def rounding(self, base: float, head: float | None = None) -> float:
        """What may be a rounding error between ``base`` and ``head``, in the metric's unit.

        A billionth of the base, or the floor; beside an exact zero, what double precision leaves of numbers near one.
        """
        exact = 0.0 in (base, head)
        return max(1e-9 * abs(base), self.floor, NEAR_ZERO if exact else 0.0)

    def margin(self, base: float, head: float | None = None) -> float:
        """The largest change that counts as same, in the metric's unit; rounding errors are always forgiven."""
        tolerance = max([amount.of(base) for amount in self.tolerance] + [0.0])
        return tolerance * (1 + 1e-9) + self.rounding(base, head)

    @property
    def title(self) -> str:
        """Label with unit and direction: ``RMSE (g/kg, lower is better)``."""
        words = {"lower": "lower is better", "higher": "higher is better", "zero": "zero is best", "none": ""}
        inside = ", ".join(part for part in (self.unit or "", words[self.direction]) if part)
        return f"{self.label} ({inside})" if inside else self.label


_MOST_LETTERS = 80


def matches(pattern: str, name: str, path: str = "") -> bool:
    """Whether ``pattern`` means the metric ``name`` of the file ``path`` (``rmse``, ``test.*``, ``a.json:rmse``)."""
    names = (name, f"{path}:{name}") if path else (name,)
    # A name with brackets (`rmse [t/ha]`) is no pattern of itself.
    return pattern in names or any(fnmatchcase(each, pattern) for each in names)


def resolve(
    name: str,
    rules: Mapping[str, Rule],
    reading: Reading | None = None,
    path: str = "",
    *,
    fitted: bool = False,
    only_folder: bool = False,
) -> Applied:
    """The rule of one metric: every matching pattern in order, the later over the earlier, then what the name says.

    ``fitted``: its neighbours in the file say that it was measured on the training samples. ``only_folder``: all
    metrics are in one folder; where it is called ``train``, so are pipelines and stages, and its name tells no samples.
    """
    given: dict[str, Any] = {}
    for pattern, rule in rules.items():
        if matches(pattern, name, path):
            given |= {key: value for key, value in rule.__dict__.items() if key in rule.model_fields_set}
    said = meaning(name, path)
    if only_folder and said.split == "train":
        said = meaning(name, posixpath.basename(path))
        if said.split != "train":
            folder = posixpath.basename(posixpath.dirname(path))
            said = replace(said, why=f"{said.why}; all metrics are in `{folder}`, which is taken for a pipeline's name")
    if fitted:
        said = replace(said, split="train")
    recorded = reading.direction if reading else None
    direction: Direction = given.get("direction") or recorded or said.direction
    source: Source = "rule" if given.get("direction") else "record" if recorded else "name" if said.known else "unknown"
    if source == "unknown" and reading and reading.unit is not None:
        source = "record"
    tolerance = [parse_amount(given["tolerance"])] if given.get("tolerance") is not None else []
    if given.get("tolerance_relative") is not None:
        tolerance.append(Amount(given["tolerance_relative"], True))
    metric = said.metric
    weight, why = _weight(given, said)
    return Applied(
        label=_cut(given.get("label") or _label(name, said)),
        direction=direction,
        source=source,
        unit=given.get("unit") or (reading.unit if reading else None) or said.unit or None,
        tolerance=tuple(tolerance),
        threshold=given.get("threshold"),
        must_not_regress=bool(given.get("must_not_regress")),
        weight=weight,
        order=given.get("order"),
        rank=metric.rank if metric else UNKNOWN_RANK,
        missing=given.get("missing") or ("warn" if weight == 0 or direction == "none" else "fail"),
        percent=(metric.percent and said.direction == metric.direction) if metric else direction in {"none", "lower"},
        split=said.split,
        why=why or said.why,
        gap=parse_amount(given["gap"]) if given.get("gap") is not None else None,
        weighted=given.get("weight") is not None,
        floor=1e-9 if metric and metric.most == 1 else NEAR_ZERO if direction == "zero" else 0.0,
    )


def _weight(given: Mapping[str, Any], said: Meaning) -> tuple[float, str]:
    """Importance and why: what only training says, and what a run costs, decide where a rule says so."""
    if given.get("weight") is not None:
        return float(given["weight"]), ""
    if said.split == "train":
        return 0.0, f"{said.why}, of training: shown, decides nothing"
    judged = any(given.get(key) is not None for key in ("direction", "tolerance", "threshold"))
    if said.metric and not said.metric.decides and not judged and not given.get("must_not_regress"):
        return 0.0, f"{said.why}: shown, decides nothing without a rule"
    return 1.0, ""


def _cut(label: str) -> str:
    """``label`` with its middle left out where it would fill the screen; the record has the whole name."""
    return label if len(label) <= _MOST_LETTERS else f"{label[: _MOST_LETTERS - 30]}…{label[-29:]}"


def _label(name: str, said: Meaning) -> str:
    """The field's own spelling where the name says nothing else (``rmse``), else the name, without its unit."""
    bare = unit_of(name)[0]
    return said.metric.label if said.metric and said.plain and bare.lower() in said.metric.spelt else bare


def unused(rules: Mapping[str, Rule], names: Iterable[tuple[str, str]]) -> list[str]:
    """Patterns that stand for none of the metrics (path, name): most likely misspelt."""
    metrics = list(names)
    return [pattern for pattern in rules if not any(matches(pattern, name, path) for path, name in metrics)]
