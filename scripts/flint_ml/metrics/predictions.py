"""Per-sample predictions: read, check, and join those of both sides on the sample's id."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flint_ml.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

ROLES = (
    "id",
    "truth",
    "prediction",
    "group",
    "block",
    "probability",
    "target",
    "repeat",
    "weight",
    "lower",
    "upper",
)
_OPTIONAL = set(ROLES) - {"truth", "prediction"}
# Names of columns as scikit-learn's users, caret, tidymodels, mlr3 and pandas write them.
USUAL = {
    "id": (
        # tidymodels' `id` beside `.row` is the fold.
        ".row",
        "rowindex",
        "row_ids",
        "id",
        "sample_id",
        "sample",
        "plot_id",
        "uid",
        "lab_id",
        "profile_id",
        "sampleid",
        "row_id",
        "index",
        "unnamed: 0",
    ),
    "truth": (
        "truth",
        "observed",
        "measured",
        "reference",
        "y_true",
        "target",
        "actual",
        "label",
        "obs",
        "y_test",
        "ytest",
        "true",
        "true_label",
        "ground_truth",
        "gt",
        "observation",
        "actual_value",
        "expected",
    ),
    "prediction": (
        "prediction",
        "predicted",
        "pred",
        "y_pred",
        "estimate",
        "estimated",
        ".pred",
        ".pred_class",
        "response",
        "yhat",
        "y_hat",
        "predictions",
        "preds",
        "predicted_value",
        "pred_label",
        "predict",
        ".fitted",
        "fitted",
        "simulated",
        "sim",
        "y_predicted",
        "modelled",
        "modeled",
        "forecast",
    ),
    "group": ("group",),
    "block": ("block", "site", "cluster"),
    "probability": ("probability", "y_score", "y_prob", "y_proba"),
    "target": (),
    "repeat": (),
    "weight": ("sample_weight", "sample_weights", ".case_weights", "case_weights", "case_wts"),
    "lower": (".pred_lower", "lower", "lwr", "pred_lower", "y_lower", "q0.05", "q05", "q0.025"),
    "upper": (".pred_upper", "upper", "upr", "pred_upper", "y_upper", "q0.95", "q95", "q0.975"),
}
# A column that may number the repeats of a sample, named where an id comes again.
_REPEATS = ("resample", "fold", "repeat", "rep", "seed", "iteration", "split", "cv", "run")
# One target's columns in a wide table.
_WIDE = (
    re.compile(
        r"(?P<target>.+?)[_.](?P<role>true|truth|obs|observed|measured|actual|pred|predicted|prediction|hat)", re.I
    ),
    re.compile(
        r"(?P<role>y_true|true|truth|obs|observed|measured|actual|y_pred|pred|predicted|prediction|\.pred)[_.]"
        r"(?P<target>.+)",
        re.I,
    ),
)
_CLASS = "probability_"
# The same of tidymodels and mlr3: the class stands behind it.
_CLASS_PREFIXES = (_CLASS, ".pred_", "prob.", "prob_", "proba_", "p_", "")
MIN_GROUP = 5
REST = "small groups together"


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a predictions table; those after ``prediction`` may be absent, and the id too: then the
    rows are the samples, in their order.
    """

    truth: str
    prediction: str
    id: str | None = None
    group: str | None = None
    block: str | None = None
    probability: str | None = None
    target: str | None = None
    repeat: str | None = None
    weight: str | None = None
    lower: str | None = None
    upper: str | None = None


def read_table(data: bytes, where: str, names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Read a predictions table (CSV, TSV or Parquet).

    Parameters
    ----------
    data
        The file's content.
    where
        Its name, for the format and for messages.
    names
        Names of the columns by role (id, truth, prediction, group, block, probability), where they are not the
        usual ones.

    Returns
    -------
    pandas.DataFrame
        Columns id (text), truth, prediction (numbers where both are, else text); where there are such, group and
        block (text), probability (of the last class) or probability_<class> (of each class), weight, lower and upper
        (bounds of an interval, in the unit of the truth); sorted by id. ``attrs["numbered"]``: no column names the
        samples, and they are numbered in their order.

    Raises
    ------
    InputError
        If a column is missing, an id is missing or twice, or a truth or prediction is missing.
    """
    import pandas as pd

    names = names or {}
    unknown = set(names) - set(ROLES)
    if unknown:
        raise InputError(
            f"unknown role `{sorted(unknown)[0]}`",
            where="columns",
            hint=f"roles are {', '.join(ROLES)}",
            code="unknown-key",
        )
    table, comma = cells(data, where)
    table, names = _long(table, names)
    columns = _find(list(map(str, table.columns)), where, names)
    numbered = [f"row {number:09d}" for number in range(1, len(table) + 1)]
    frame = pd.DataFrame({"id": _ids(table[columns.id]) if columns.id else pd.Series(numbered, dtype="string")})
    digits: int | None = None
    for role in ("truth", "prediction"):
        frame[role] = numbers_of(table[getattr(columns, role)], comma=comma)
    numeric = all(pd.api.types.is_numeric_dtype(frame[role]) for role in ("truth", "prediction"))
    for role in ("truth", "prediction"):
        frame[role] = frame[role].astype(float) if numeric else _labels(table[getattr(columns, role)])
    if numeric:
        digits = _decimals(table[columns.truth])
    for role in ("group", "block"):
        if named := getattr(columns, role):
            frame[role] = _text(table[named]).fillna(f"(no {role})")
    if columns.target:
        frame["id"] = frame["id"] + " / " + _text(table[columns.target])
        frame["group"] = frame["group"] if "group" in frame else _text(table[columns.target])
    chances = {"probability": columns.probability} if columns.probability else {}
    roles = {getattr(columns, role) for role in ROLES}
    free = [name for name in map(str, table.columns) if name not in roles]
    chances |= _class_columns(free, set(frame["truth"].astype("string").dropna()), numeric)
    for role in ("weight", "lower", "upper") if numeric or columns.weight else ():
        named = getattr(columns, role)
        # Bounds that nobody named may be those of a soil horizon.
        if named and (role in names or role == "weight" or _all_numbers(table[named], comma=comma)):
            frame[role] = _measure(numbers_of(table[named], comma=comma), where, named, positive=role == "weight")
    for role, named in chances.items():
        frame[role] = _chance(numbers_of(table[named], comma=comma), where, named)
    if columns.repeat:
        frame = _averaged(frame, where, columns)
    again = next((name for name in map(str, table.columns) if name.lower() in _REPEATS), "")
    _check(frame, where, columns, again)
    frame = frame.sort_values("id", ignore_index=True)
    frame.attrs["decimals"] = digits
    frame.attrs["numbered"] = columns.id is None
    return frame


def _long(table: pd.DataFrame, names: Mapping[str, str]) -> tuple[pd.DataFrame, Mapping[str, str]]:
    """A wide table (``soc_true``, ``soc_pred``, ``clay_true``, …) with one row for each sample and target."""
    import pandas as pd

    present = list(map(str, table.columns))
    lower = {name.lower() for name in present}
    plain = any(usual in lower for usual in USUAL["prediction"]) or ".pred_class" in lower
    if plain or {"truth", "prediction"} & set(names):
        return table, names
    pairs: dict[str, dict[str, str]] = {}
    for name in present:
        wide = next((match for form in _WIDE if (match := form.fullmatch(name))), None)
        if wide:
            role = "prediction" if re.search("pred|hat", wide["role"].lower()) else "truth"
            pairs.setdefault(wide["target"].strip("_."), {})[role] = name
    whole = {target: pair for target, pair in pairs.items() if len(pair) == 2}
    if not whole:
        return table, names
    others = [name for name in present if not any(name in pair.values() for pair in whole.values())]
    if not any(usual in {name.lower() for name in others} for usual in USUAL["id"]) and "id" not in names:
        table = table.assign(id=[f"row {number:09d}" for number in range(1, len(table) + 1)])
        others = [*others, "id"]
    parts = [
        table[others].assign(target=target, truth=table[pair["truth"]], prediction=table[pair["prediction"]])
        for target, pair in whole.items()
    ]
    long = pd.concat(parts, ignore_index=True)
    if len(whole) == 1:
        return long.drop(columns="target"), {**names, "truth": "truth"}
    return long, {**names, "target": "target", "truth": "truth"}


def _ids(column: pd.Series[Any]) -> pd.Series[Any]:
    """Identifiers as text; whole numbers that pandas wrote as ``7.0`` are 7."""
    text = _text(column)
    known = text.dropna()
    return text.str.removesuffix(".0") if len(known) and known.str.fullmatch(r"\d+\.0").all() else text


def _labels(column: pd.Series[Any]) -> pd.Series[Any]:
    """Classes as text; TRUE of R, True of Python and true of JSON are one class."""
    text = _text(column)
    logical = text.dropna().str.lower().isin(["true", "false"]).all()
    return text.str.lower() if logical else text


def _all_numbers(column: pd.Series[Any], *, comma: bool) -> bool:
    import pandas as pd

    values = pd.to_numeric(numbers_of(column, comma=comma), errors="coerce").to_numpy(float, na_value=np.nan)
    return bool(np.isfinite(values).all())


def _measure(column: pd.Series[Any], where: str, name: str, *, positive: bool) -> np.ndarray:
    """A weight (not negative) or a bound of an interval as numbers, shape (n,)."""
    import pandas as pd

    values: np.ndarray = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
    wrong = np.flatnonzero(~np.isfinite(values) | (positive & (values < 0)))
    if len(wrong):
        kind = "weight" if positive else "bound"
        raise InputError(
            f"column `{name}` holds no {kind} in {len(wrong)} rows, the first in data row {wrong[0] + 1}",
            where=where,
            hint="a weight is a number from zero, a bound a number in the unit of the truth",
            code="invalid-predictions",
        )
    return values


def cells(data: bytes, where: str) -> tuple[pd.DataFrame, bool]:
    """The table as it stands there (a CSV's cells as text), and whether decimals may stand behind a comma."""
    import pandas as pd

    ending = where.partition(" at ")[0].rpartition(".")[2].lower()
    if ending in {"rds", "rdata", "rda"}:
        raise InputError(
            "is a file of R's own kind, which only R reads",
            where=where,
            hint='in R: `write.csv(predictions, "predictions.csv", row.names = FALSE)`, and name that file',
            code="invalid-predictions",
        )
    try:
        if ending in {"parquet", "pq"}:
            import pyarrow.parquet as pq

            # Not what pandas wrote beside it: that may name an index which is not there.
            return pq.read_table(io.BytesIO(data)).replace_schema_metadata(None).to_pandas(), False
        first = data[:65_536].decode("utf-8-sig", "replace").splitlines()[:1]
        signs = ("\t",) if ending == "tsv" else (",", ";", "\t")
        separator = max(signs, key=lambda sign: (first[0].count(sign) if first else 0, sign == ","))
        # Ids such as 007 stay as they are written, and NA and None are names of classes, groups and countries.
        table = pd.read_csv(io.BytesIO(data), sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        return table, separator != ","
    except (ValueError, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"cannot be read as a table: {reason}",
            where=where,
            hint="give a CSV with a header line, or Parquet",
            code="invalid-predictions",
        ) from None


def _text(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column as text; what is empty is missing."""
    text = column.astype("string")
    return text.mask(text.str.strip() == "")


def numbers_of(column: pd.Series[Any], *, comma: bool) -> pd.Series[Any]:
    """A column as numbers, where at least half of what stands in it is one; else as it is."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return column
    text = _text(column)
    numbers = pd.to_numeric(text.str.replace(",", ".") if comma else text, errors="coerce")
    known = int(text.notna().sum())
    words = text.str.strip().str.lower().isin(["nan", "inf", "-inf"])
    return numbers if known and int((numbers.notna() | words).sum()) >= 0.5 * known else column


def _decimals(column: pd.Series[Any]) -> int | None:
    """How many decimals the numbers of a column of text are written with, at most."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return None
    text = column.astype("string")
    if text.str.contains("[eE]").any():
        return None
    return int(text.str.extract(r"[.,](\d+)\s*$")[0].str.len().fillna(0).max() or 0)


def _class_columns(present: list[str], classes: set[str], numeric: bool) -> dict[str, str]:
    """Columns with the probability of a class, by their name here (``probability_<class>``)."""
    columns = {name: name for name in present if name.startswith(_CLASS)}
    for name in present:
        prefix = next((prefix for prefix in _CLASS_PREFIXES[1:] if name.startswith(prefix)), None)
        known = prefix is not None and not numeric and name.removeprefix(prefix) in classes
        # caret and rpart name the columns by the classes alone: all of them must be there.
        if prefix is not None and known and (prefix or classes <= set(present)):
            columns.setdefault(f"{_CLASS}{name.removeprefix(prefix)}", name)
    return columns


def _averaged(frame: pd.DataFrame, where: str, columns: Columns) -> pd.DataFrame:
    """Predictions of one sample in several repeats as their mean; text cannot be averaged."""
    if frame["prediction"].dtype.kind != "f":
        raise InputError(
            f"has repeated predictions of classes (column `{columns.repeat}`), which have no mean",
            where=where,
            hint="give one prediction for each sample",
            code="invalid-predictions",
        )
    means = ["prediction", *(name for name in frame.columns if name.startswith("probability"))]
    rules = {name: "mean" if name in means else "first" for name in frame.columns if name != "id"}
    return frame.groupby("id", as_index=False, sort=False).agg(rules)


def _find(present: list[str], where: str, names: Mapping[str, str]) -> Columns:
    found: dict[str, str] = {}
    for role in ROLES:
        named = names.get(role)
        hit = named if named in present else None
        if named is None:
            lower = {name.lower(): name for name in reversed(present)}
            hit = next((lower[usual] for usual in USUAL[role] if usual in lower), None)
        if hit is None and role == "truth" and named is None:
            hit = _outcome(present)
        if hit is not None:
            found[role] = hit
        elif named is not None or role not in _OPTIONAL:
            looked = f"`{named}`" if named else f"any of {', '.join(USUAL[role])}"
            raise InputError(
                f"has no column for the {role} ({looked}); columns are: {', '.join(present[:12])}",
                where=where,
                hint=f"name it: `prediction-columns: {{{role}: your column}}`",
                code="missing-column",
            )
    return Columns(**found)


def _outcome(present: Sequence[str]) -> str | None:
    """The truth of tidymodels' predictions: the outcome's own column, the only one that is not tidymodels'."""
    if not {".pred", ".pred_class"} & set(present):
        return None
    own = [name for name in present if not name.startswith(".") and name.lower() not in {"", "id", "id2", "splits"}]
    return own[0] if len(own) == 1 else None


def _chance(column: pd.Series[float], where: str, name: str) -> np.ndarray:
    import pandas as pd

    values: np.ndarray = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
    wrong = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if len(wrong):
        raise InputError(
            f"column `{name}` holds no probability in {len(wrong)} rows, the first in data row {wrong[0] + 1}",
            where=where,
            hint="a probability is a number from 0 to 1",
            code="invalid-probability",
        )
    return values


def _check(frame: pd.DataFrame, where: str, columns: Columns, again: str = "") -> None:
    if not len(frame):
        raise InputError("holds no predictions", where=where, code="empty-predictions")
    for role in ("id", "truth", "prediction"):
        empty = np.flatnonzero(frame[role].isna().to_numpy() | _infinite(frame[role]))
        if len(empty):
            raise InputError(
                f"has no {role} (column `{getattr(columns, role)}`) in {len(empty)} of {len(frame)} rows, "
                f"the first in data row {empty[0] + 1}",
                where=where,
                hint="every sample needs an id, a truth and a finite prediction",
                code=f"missing-{role}",
            )
    twice = np.flatnonzero(frame["id"].duplicated().to_numpy())
    if len(twice):
        repeats = f"prediction-columns: {{repeat: {again}}}" if again else "prediction-columns: {repeat: fold}"
        raise InputError(
            f"has the same id again in {len(twice)} rows, the first in data row {twice[0] + 1}",
            where=where,
            hint=f"the id must name one sample; repeats of one are averaged with `{repeats}`, targets or depths of one "
            "are told apart with `prediction-columns: {target: depth}`",
            code="duplicate-id",
        )


def _infinite(column: pd.Series[float]) -> np.ndarray:
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column):
        return np.zeros(len(column), bool)
    return np.isinf(column.to_numpy(float, na_value=np.nan))


@dataclass(frozen=True)
class Pairs:
    """Predictions of both sides for the same samples.

    ``truth``, ``base`` and ``head`` have shape (n,) and the unit of the truth; ``group`` and ``block`` have shape (n,)
    or are None. ``likelihood`` are both sides' probabilities of the true class, ``score`` those of the last class, of
    two, and ``positive`` (n,) says where it is true. ``weight`` (n,) are the samples' weights, ``bounds`` both sides'
    lower and upper bounds, each of shape (n, 2), in the unit of the truth. ``only_base``, ``only_head`` and
    ``relabelled`` count samples that are on one side only or whose truth differs. ``rounding`` is the largest
    difference of two truths that is rounding (fewer digits, single precision) and not another truth.
    """

    truth: np.ndarray
    base: np.ndarray
    head: np.ndarray
    group: np.ndarray | None
    only_base: int = 0
    only_head: int = 0
    relabelled: int = 0
    block: np.ndarray | None = None
    rounding: float = 0.0
    likelihood: tuple[np.ndarray, np.ndarray] | None = None
    score: tuple[np.ndarray, np.ndarray] | None = None
    positive: np.ndarray | None = None
    weight: np.ndarray | None = None
    bounds: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def n(self) -> int:
        return len(self.truth)

    @property
    def numeric(self) -> bool:
        """Whether truth and prediction are numbers (a regression, or classes coded as numbers)."""
        return self.truth.dtype.kind == "f"

    @property
    def same(self) -> bool:
        """Whether both sides were scored on the same samples with the same truth."""
        return not (self.only_base or self.only_head or self.relabelled)

    def take(self, inside: np.ndarray) -> Pairs:
        """The samples where ``inside`` (n,) is true."""

        def part(value: object) -> object:
            if isinstance(value, np.ndarray):
                return value[inside]
            return tuple(v[inside] for v in value) if isinstance(value, tuple) else value

        return Pairs(**{name: part(value) for name, value in self.__dict__.items()})  # type: ignore[arg-type]


def join(base: pd.DataFrame, head: pd.DataFrame) -> Pairs:
    """Join two tables of :func:`read_table` on the id; truth, group and block are this change's."""
    own = [name for name in base.columns if name not in {"group", "block"}]
    both = head.merge(base[own], on="id", suffixes=("", "_base"), validate="one_to_one")
    numeric = all(both[name].dtype.kind == "f" for name in ("truth", "truth_base"))
    kind = float if numeric else object
    if not numeric:
        both = both.astype(dict.fromkeys(("truth", "truth_base", "prediction", "prediction_base"), "string"))
    one, two = both["truth"], both["truth_base"]
    rounding = 0.0
    if numeric:
        apart = np.abs(one.to_numpy(float) - two.to_numpy(float))
        differs = apart > _rounding(base, head, one.to_numpy(float))
        rounding = float(np.max(np.where(differs, 0.0, apart), initial=0.0))
    else:
        differs = (one != two).to_numpy()
    truth = both["truth"].to_numpy(dtype=kind)
    return Pairs(
        truth=truth,
        base=both["prediction_base"].to_numpy(dtype=kind),
        head=both["prediction"].to_numpy(dtype=kind),
        group=both["group"].to_numpy(dtype=object) if "group" in both else None,
        only_base=len(base) - len(both),
        only_head=len(head) - len(both),
        relabelled=int(differs.sum()),
        rounding=rounding,
        block=both["block"].to_numpy(dtype=object) if "block" in both else None,
        weight=both["weight"].to_numpy(float) if "weight" in both else None,
        bounds=_bounds(both),
        **_chances(both, truth),
    )


def _bounds(both: pd.DataFrame) -> tuple[np.ndarray, np.ndarray] | None:
    names = [[f"{bound}{end}" for bound in ("lower", "upper")] for end in ("_base", "")]
    if not all(name in both for side in names for name in side):
        return None
    base, head = (both[side].to_numpy(float) for side in names)
    return base, head


# Single precision holds 24 bits.
_SINGLE = 2.0**-23


def _rounding(base: pd.DataFrame, head: pd.DataFrame, truth: np.ndarray) -> np.ndarray:
    """How far two truths of one sample may be apart by rounding, shape (n,).

    Single precision on one side; or half of the last digit of the side that is written with fewer, where that is small
    beside the spread of the truths.
    """
    digits = [int(d) for frame in (base, head) if (d := frame.attrs.get("decimals")) is not None]
    step = 0.0
    if len(digits) == 2 and digits[0] != digits[1]:
        half = 0.501 * 10.0 ** -min(digits)
        step = half if half <= 0.05 * float(np.std(truth)) else 0.0
    return np.asarray(np.maximum(step, _SINGLE * np.abs(truth)))


def _chances(both: pd.DataFrame, truth: np.ndarray) -> dict[str, Any]:
    """What log loss and AUC need, where both sides have probabilities that fit the classes."""
    classes = np.unique(truth)
    if "probability" in both and "probability_base" in both and len(classes) == 2:
        positive = truth == classes[1]
        score = both["probability_base"].to_numpy(float), both["probability"].to_numpy(float)
        likelihood = tuple(np.where(positive, value, 1 - value) for value in score)
        return {"likelihood": likelihood, "score": score, "positive": positive}
    names = [f"{_CLASS}{name:g}" if isinstance(name, float) else f"{_CLASS}{name}" for name in classes]
    if len(classes) < 2 or not all(n in both and f"{n}_base" in both for n in names):
        return {}
    index = np.searchsorted(classes, truth)
    sides = [both[[f"{n}{end}" for n in names]].to_numpy(float) for end in ("_base", "")]
    found: dict[str, Any] = {"likelihood": tuple(side[np.arange(len(truth)), index] for side in sides)}
    if len(classes) == 2:
        found |= {"score": tuple(side[:, 1] for side in sides), "positive": index == 1}
    return found


def merge_small(group: np.ndarray, least: int = MIN_GROUP) -> np.ndarray:
    """``group`` with groups of fewer than ``least`` samples under one name, so that no sample can be told apart.

    Where that rest is itself too small, the smallest of the others joins it.
    """
    names, counts = np.unique(group.astype(str), return_counts=True)
    order = np.argsort(counts, kind="stable")
    merged: list[str] = []
    total = 0
    for index in order:
        if counts[index] >= least and (not merged or total >= least):
            break
        merged.append(names[index])
        total += int(counts[index])
    if len(merged) < 2 and total >= least:
        return group.astype(str)
    return np.where(np.isin(group.astype(str), merged), REST, group.astype(str)) if merged else group.astype(str)
