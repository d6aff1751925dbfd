"""Per-sample predictions: read, check, and join those of both sides on the sample's id."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flint_ml.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

ROLES = ("id", "truth", "prediction", "group", "block", "probability")
_OPTIONAL = {"group", "block", "probability"}
USUAL = {
    "id": ("id", "sample_id", "sample", "plot_id", "uid"),
    "truth": ("truth", "observed", "measured", "reference", "y_true", "target", "actual", "label"),
    "prediction": ("prediction", "predicted", "pred", "y_pred", "estimate", "estimated"),
    "group": ("group",),
    "block": ("block", "site", "cluster"),
    "probability": ("probability",),
}
_CLASS = "probability_"
MIN_GROUP = 5
REST = "small groups together"


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a predictions table; the last three may be absent."""

    id: str
    truth: str
    prediction: str
    group: str | None = None
    block: str | None = None
    probability: str | None = None


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
        block (text), probability (of the last class) or probability_<class> (of each class); sorted by id.

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
    table = _load(data, where, names)
    columns = _find(list(map(str, table.columns)), where, names)
    frame = pd.DataFrame({"id": table[columns.id].astype("string")})
    for role in ("truth", "prediction"):
        frame[role] = table[getattr(columns, role)]
    for role in ("group", "block"):
        if named := getattr(columns, role):
            frame[role] = table[named].astype("string").fillna(f"(no {role})")
    chances = {"probability": columns.probability} if columns.probability else {}
    chances |= {str(name): str(name) for name in table.columns if str(name).startswith(_CLASS)}
    for role, named in chances.items():
        frame[role] = _chance(table[named], where, named)
    _check(frame, where, columns)
    numeric = all(pd.api.types.is_numeric_dtype(frame[role]) for role in ("truth", "prediction"))
    for role in ("truth", "prediction"):
        frame[role] = frame[role].astype(float) if numeric else frame[role].astype("string")
    return frame.sort_values("id", ignore_index=True)


def _load(data: bytes, where: str, names: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    ending = where.partition(" at ")[0].rpartition(".")[2].lower()
    try:
        if ending in {"parquet", "pq"}:
            return pd.read_parquet(io.BytesIO(data))
        as_text = ("id", "group", "block")
        wanted = {usual for role in as_text for usual in (*USUAL[role], names.get(role))}
        head = pd.read_csv(io.BytesIO(data), sep="\t" if ending == "tsv" else ",", nrows=0)
        # Ids such as 007 must stay as they are written.
        types: dict[Hashable, type] = {name: str for name in head.columns if name.lower() in wanted or name in wanted}
        return pd.read_csv(io.BytesIO(data), sep="\t" if ending == "tsv" else ",", dtype=types)
    except (ValueError, OSError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"cannot be read as a table: {first}",
            where=where,
            hint="give a CSV with a header line, or Parquet",
            code="invalid-predictions",
        ) from None


def _find(present: list[str], where: str, names: Mapping[str, str]) -> Columns:
    found: dict[str, str] = {}
    for role in ROLES:
        named = names.get(role)
        hit = named if named in present else None
        if named is None:
            lower = {name.lower(): name for name in reversed(present)}
            hit = next((lower[usual] for usual in USUAL[role] if usual in lower), None)
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


def _check(frame: pd.DataFrame, where: str, columns: Columns) -> None:
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
        raise InputError(
            f"has the same id again in {len(twice)} rows, the first in data row {twice[0] + 1}",
            where=where,
            hint="the id must name one sample; give one prediction a sample",
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
    two, and ``positive`` (n,) says where it is true. ``only_base``, ``only_head`` and ``relabelled`` count samples
    that are on one side only or whose truth differs.
    """

    truth: np.ndarray
    base: np.ndarray
    head: np.ndarray
    group: np.ndarray | None
    only_base: int = 0
    only_head: int = 0
    relabelled: int = 0
    block: np.ndarray | None = None
    likelihood: tuple[np.ndarray, np.ndarray] | None = None
    score: tuple[np.ndarray, np.ndarray] | None = None
    positive: np.ndarray | None = None

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
    differs = ~np.isclose(one, two, rtol=1e-9, atol=0) if numeric else (one != two).to_numpy()
    truth = both["truth"].to_numpy(dtype=kind)
    return Pairs(
        truth=truth,
        base=both["prediction_base"].to_numpy(dtype=kind),
        head=both["prediction"].to_numpy(dtype=kind),
        group=both["group"].to_numpy(dtype=object) if "group" in both else None,
        only_base=len(base) - len(both),
        only_head=len(head) - len(both),
        relabelled=int(differs.sum()),
        block=both["block"].to_numpy(dtype=object) if "block" in both else None,
        **_chances(both, truth),
    )


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
