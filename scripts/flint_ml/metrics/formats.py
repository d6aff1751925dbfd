"""Formats of metrics files: JSON, JSON lines, YAML, TOML and tables, as one tree of names.

Tables (CSV, TSV, semicolons with decimal commas; a list of rows in JSON, pandas' ``to_json``, R's data frames) are
one of

==================================  ==============================================================================
names and values                    ``metric,value``; tidymodels' ``.metric,.estimator,.estimate``
one row                             values under their names; R's row names are not values
settings tried (caret's results,    the row that ranks first, else the best by its first metric
scikit-learn's ``cv_results_``)
a log of epochs or steps            the last value of each column (Keras' CSVLogger, Lightning, JSON lines)
folds, seeds, repeats               the mean of each column
several rows with names             the name stands before the column's: ``clay.rmse``
counts of true and predicted        a confusion matrix: shown, not judged
classes
==================================  ==============================================================================

Text files hold one ``name: value`` a line, a table of Markdown, or scikit-learn's classification report. A list of one
number is that number (R writes ``{"rmse":[1.5]}``), a list of several their mean, or the last where the file is a
history of epochs; a matrix of numbers (a confusion matrix) is not a metric.
"""

from __future__ import annotations

import ast
import csv
import io
import itertools
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from flint_ml.errors import InputError
from flint_ml.metrics.names import SPLITS, meaning
from flint_ml.text.yaml import parse_yaml

_NAMES = (".metric", "metric", "metrics", "metric_name", "measure", "scorer", "name")
_VALUES = (".estimate", "estimate", "value", "metric_value", "numbervalue", "mean", "score", "aggr")
_TIMES = {"epoch", "epochs", "step", "steps", "global_step", "iteration", "iter", "round", "train/epoch"}
_LABELS = {"nr", "task_id", "learner_id", "resampling_id", "run_id", "status"}
_FOLDS = {"fold", "split", "repeat", "seed", "run", "cv", "resample", "fold_id", "cv_fold", "rep"}
# Sets that a boosted model is scored on after each round (XGBoost, LightGBM, CatBoost).
_ROUNDS = re.compile(r"(?:validation|valid|eval)_\d+|learn|training")
# Lists of samples or of points of a curve.
_NOT_METRICS = {
    *("y_true", "y_pred", "y_test", "y_score", "y_prob", "y_proba", "truth", "observed", "actual", "actuals"),
    *("predicted", "prediction", "predictions", "preds", "residuals", "errors", "targets", "labels", "threshold"),
    *("thresholds", "x", "y", "mean_fpr", "prob_true", "prob_pred"),
}
_ROW_NAMES = {"", "unnamed: 0", "...1", "rownames", "row.names", "_row", "x1"}
# Columns of a table of names and values that are neither.
_BESIDE = {"n", "std_err", ".config", ".estimator", ".iter", "std_error", "sd", "std"}


@dataclass(frozen=True)
class Several:
    """Numbers that stand for one metric: their mean (folds), or the last (epochs; ``times`` where they are known)."""

    values: tuple[float, ...]
    last: bool
    times: tuple[float, ...] = ()

    @property
    def log(self) -> tuple[tuple[float, float], ...]:
        """Epochs and values; empty for folds. Epochs count from 0 where the file does not say them."""
        times = self.times or tuple(float(number) for number in range(len(self.values)))
        return tuple(zip(times, self.values, strict=True)) if self.last else ()

    @property
    def value(self) -> float:
        return self.values[-1] if self.last else sum(self.values) / len(self.values)

    @property
    def how(self) -> str:
        """For people: ``mean of 5, 0.61 to 0.72``."""
        if self.last:
            return f"the last of {len(self.values)}"
        return f"mean of {len(self.values)}, {min(self.values):.4g} to {max(self.values):.4g}"


@dataclass(frozen=True)
class Matrix:
    """A table of numbers without names, such as a confusion matrix; ``rows`` of equal length."""

    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class NoMetric:
    """Numbers that are not a metric: samples, or points of a curve."""


def load(data: bytes, where: str) -> Any:
    """The content of a metrics file as a tree of mappings; leaves are values, :class:`Several` or :class:`Matrix`.

    The ending of ``where`` tells the format (JSON where it is unknown).

    Raises
    ------
    InputError
        If the content is empty or not of that format; the line is named.
    """
    ending = PurePosixPath(where.partition(" at ")[0]).suffix.lower()
    if ending in (".rds", ".rdata", ".rda"):
        raise InputError(
            "is a file of R's own kind, which only R reads",
            where=where,
            hint='in R: `jsonlite::write_json(metrics, "metrics.json")`, and name that file',
            code="invalid-metrics",
        )
    text = _decoded(data, where)
    if not text.strip():
        raise InputError(
            "is empty", where=where, hint="let the evaluation step write its metrics into it", code="empty-metrics"
        )
    reader = _READERS.get(ending, _json)
    return reader(text, where)


def _decoded(data: bytes, where: str) -> str:
    # PowerShell writes UTF-16 with a mark in front.
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", where=where, hint="save it as UTF-8", code="invalid-metrics") from None


# -- trees -------------------------------------------------------------------------------------------------------


def _json(text: str, where: str) -> Any:
    try:
        tree = json.loads(text, object_pairs_hook=_unique)
        if _is_plain_number(tree):
            return {PurePosixPath(where.partition(" at ")[0]).stem: tree}
        return tree if is_record(tree) else plain(tree, where)
    except json.JSONDecodeError as error:
        lines = _json_lines(text)
        tree = _python(text) if lines is None else lines
        if tree is not None:
            return plain(tree, where)
        raise InputError(
            f"is not valid JSON: {error.msg} (column {error.colno})",
            where=f"{where}:{error.lineno}",
            hint="open the file at that line; the evaluation step may have been cut off while writing it",
            code="invalid-json",
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not valid JSON: {error}", where=where, code="invalid-json") from None


def _python(text: str) -> Any:
    """A mapping or list as Python prints it (``{'rmse': np.float64(1.5)}``), else None."""
    try:
        tree = ast.literal_eval(_WRAPPED.sub(r"\1", text.strip()))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return tree if isinstance(tree, dict | list) else None


def is_record(tree: Any) -> bool:
    """Whether ``tree`` is a record of flint-ml, whose metrics have units and directions."""
    return isinstance(tree, dict) and str(tree.get("schema", "")).startswith("flint-ml/record/")


def _json_lines(text: str) -> list[Any] | None:
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return None
    try:
        rows = [json.loads(line, object_pairs_hook=_unique) for line in lines]
    except ValueError:
        return None
    return rows if all(isinstance(row, dict) for row in rows) else None


def _yaml(text: str, where: str) -> Any:
    if "!!python/object" in text:
        raise InputError(
            "holds numbers as Python objects (NumPy's), which YAML cannot read back",
            where=where,
            hint="write plain numbers: `float(value)` for each",
            code="invalid-metrics",
        )
    return plain(parse_yaml(text, where), where)


def _toml(text: str, where: str) -> Any:
    try:
        return plain(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not valid TOML: {error}", where=where, code="invalid-toml") from None


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the name {key!r} stands there twice")
        result[key] = value
    return result


def plain(tree: Any, where: str) -> Any:
    """A tree with its tables, lists and matrices read as the module says."""
    if isinstance(tree, dict):
        return _mapping({str(key): value for key, value in tree.items()}, where)
    if isinstance(tree, list):
        return _list(tree, where, last=False)
    return tree


def _mapping(tree: dict[str, Any], where: str, *, rounds: bool = False) -> Any:
    table = _columns(tree)
    if table is not None:
        return from_rows(*table, where)
    matrix = _named_matrix(tree)
    if matrix is not None:
        return matrix
    history = rounds or _is_history(tree)
    curve = {"fpr", "tpr"} <= set(tree) or "thresholds" in tree
    return {key: _value(key, value, where, history=history, curve=curve) for key, value in tree.items()}


def _value(key: str, value: Any, where: str, *, history: bool, curve: bool) -> Any:
    if isinstance(value, list):
        many = len(value) > 1 and all(_is_plain_number(item) for item in value)
        return NoMetric() if many and (curve or key.lower() in _NOT_METRICS) else _list(value, where, last=history)
    if isinstance(value, dict) and _ROUNDS.fullmatch(key):
        return _mapping({str(name): item for name, item in value.items()}, where, rounds=True)
    return plain(value, where)


def _named_matrix(tree: dict[str, Any]) -> Matrix | None:
    """Counts by true and predicted class: a mapping of mappings with the same names outside and inside."""
    names = list(tree)
    square = len(names) > 1 and all(isinstance(row, dict) and set(map(str, row)) == set(names) for row in tree.values())
    rows = [[row[name] for name in row] for row in tree.values()] if square else []
    if not rows or not all(_is_plain_number(cell) for row in rows for cell in row):
        return None
    return Matrix(tuple(tuple(float(cell) for cell in row) for row in rows))


def _columns(tree: dict[str, Any]) -> tuple[list[str], list[list[Any]]] | None:
    """Names and rows of what is a table by columns: pandas' ``to_json`` (columns, split), R's columns."""
    if set(tree) == {"columns", "index", "data"} and isinstance(tree["data"], list):
        return [str(name) for name in tree["columns"]], [list(row) for row in tree["data"]]
    values = list(tree.values())
    if values and all(isinstance(value, dict) for value in values):
        keys = list(values[0])
        numbered = bool(keys) and keys == [str(number) for number in range(len(keys))]
        if (
            numbered
            and all(list(value) == keys for value in values)
            and _flat(v for value in values for v in value.values())
        ):
            rows = [[value[key] for value in values] for key in keys]
            several = _is_log(list(tree)) or "fit_time" in tree or any(isinstance(cell, str) for cell in rows[0])
            if len(rows) == 1 or several:
                return list(tree), rows
    if len(values) > 1 and all(isinstance(value, list) for value in values):
        length = len(values[0])
        texts = [all(isinstance(cell, str) and not is_number(cell) for cell in value) for value in values]
        if length > 1 and all(len(value) == length for value in values) and any(texts) and not all(texts):
            return list(tree), [[value[number] for value in values] for number in range(length)]
    return None


def _flat(cells: Any) -> bool:
    return not any(isinstance(cell, dict | list) for cell in cells)


def _is_history(tree: Mapping[str, Any]) -> bool:
    """Whether lists of numbers are over epochs: Keras' ``history.history`` has a loss and no times of folds."""
    return _is_log([key for key, value in tree.items() if isinstance(value, list) and len(value) > 1])


def _is_log(names: Sequence[str]) -> bool:
    """Whether columns are those of a log: epochs, a loss, or XGBoost's and LightGBM's ``cv`` (``test-rmse-mean``)."""
    lower = {name.lower() for name in names}
    losses = {"loss", "val_loss", "train_loss", "train/loss", "training_loss"}
    return bool(lower & (_TIMES | losses)) or any(name.endswith("-mean") for name in lower)


def _list(items: list[Any], where: str, *, last: bool) -> Any:
    if len(items) == 1 and not isinstance(items[0], dict):
        return plain(items[0], where)
    if items and all(_is_plain_number(item) for item in items):
        return Several(tuple(float(item) for item in items), last)
    if _is_matrix(items):
        return Matrix(tuple(tuple(float(cell) for cell in row) for row in items))
    pairs = [isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) for row in items]
    if items and all(pairs):
        return from_rows(["name", "value"], [row for row in items if row != ["metric", "value"]], where)
    single = [next(iter(row)) for row in items if isinstance(row, dict) and len(row) == 1]
    if len(single) == len(items) == len(set(single)) > 1:
        return _mapping({str(key): value for row in items for key, value in row.items()}, where)
    if items and all(isinstance(row, dict) and row and _flat(row.values()) for row in items):
        names = list(dict.fromkeys(str(key) for row in items for key in row))
        return from_rows(names, [[row.get(name) for name in names] for row in items], where)
    if len(items) == 1:
        return plain(items[0], where)
    return {str(number): plain(item, where) for number, item in enumerate(items)}


def _is_matrix(items: list[Any]) -> bool:
    rows = all(isinstance(row, list) and row and all(map(_is_plain_number, row)) for row in items)
    return bool(items) and rows and len({len(row) for row in items}) == 1


def _is_plain_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# -- tables ------------------------------------------------------------------------------------------------------


def _csv(text: str, where: str) -> Any:
    return _table(text, where, _delimiter(text))


def _tsv(text: str, where: str) -> Any:
    return _table(text, where, "\t")


def _delimiter(text: str) -> str:
    """The sign that cuts the first line into most cells: comma, semicolon or tab."""
    first = next(line for line in text.splitlines() if line.strip())
    counts = {sign: len(next(csv.reader([first], delimiter=sign))) for sign in (",", ";", "\t")}
    return max(counts, key=lambda sign: (counts[sign], sign == ","))


def _table(text: str, where: str, delimiter: str) -> Any:
    lines = csv.reader(io.StringIO(_uncommented(text, delimiter)), delimiter=delimiter)
    rows = [[cell.strip() for cell in row] for row in lines if any(cell.strip() for cell in row)]
    head, body = rows[0], [[typed(cell, comma=delimiter != ",") for cell in row] for row in rows[1:]]
    # `25%` among names (pandas' describe) is a name.
    if any(isinstance(row[0], str) for row in body):
        body = [[raw[0] if raw[0].endswith("%") else row[0], *row[1:]] for raw, row in zip(rows[1:], body, strict=True)]
    if len(body) > 1 and len(set(head)) < len(head) and not any(_is_plain_number(cell) for cell in body[0]):
        # pandas' header of two lines: metric and statistic.
        head, body = [".".join(filter(None, pair)) for pair in zip(head, map(str, rows[1]), strict=True)], body[1:]
    if body and all(len(row) == len(head) + 1 for row in body):
        head = ["", *head]  # R's write.table: no name over the row names
    for number, row in enumerate(body, start=2):
        if len(row) != len(head):
            raise InputError(
                f"has {len(row)} values for {len(head)} columns", where=f"{where}:{number}", code="invalid-csv"
            )
    if len(head) == 2 and is_number(head[1]) and head[0] and not is_number(head[0]):
        body = [[head[0], typed(head[1], comma=delimiter != ",")], *body]
        head = ["name", "value"]
    return from_rows(head, body, where)


def _uncommented(text: str, delimiter: str) -> str:
    """``text`` without the comments on top; NumPy's ``savetxt`` writes the header itself as one."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lower().startswith("sep=")]
    top = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    body = lines[top:]
    if top and body and is_number(body[0].split(delimiter)[0]):
        head = lines[top - 1].lstrip("# ")
        if head.count(delimiter) == body[0].count(delimiter):
            return "\n".join([head, *body])
    return "\n".join(body)


def typed(text: str, *, comma: bool) -> Any:
    """A cell as a number where it is one, None where it is empty; ``comma``: decimals may stand behind a comma."""
    if not text:
        return None
    if comma and text.count(",") == 1 and is_number(number := text.replace(".", "").replace(",", ".")):
        return float(number)
    number_value = number_of(text)
    return text if number_value is None else number_value


def is_number(text: str) -> bool:
    """Whether ``text`` is a number as Python reads it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


_WRAPPED = re.compile(r"(?:\w+\.)?(?:float|int|tensor|array|Tensor)\w*\(\s*([^\s,)]+)[^)]*\)")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+\.\d+|[+-]?\d{1,3}(?:,\d{3}){2,}")


def number_of(text: str) -> float | None:
    """A number written as text: plain, in per cent, with its spread (``1.5 ± 0.1``, ``1.5 (0.1)``), thousands parted by
    commas, as NumPy and PyTorch print it (``np.float64(1.5)``); else None.
    """
    text = text.strip().replace("−", "-")
    if wrapped := _WRAPPED.fullmatch(text):
        text = wrapped[1]
    text = re.split(r"\s*(?:±|\+/-|\()", text, maxsplit=1)[0] if text[:1].isdigit() or text[:1] == "-" else text
    text = text.removesuffix("%").strip()
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    return float(text) if is_number(text) else None


# -- text --------------------------------------------------------------------------------------------------------

_PAIR = re.compile(
    r"(?P<name>[A-Za-zÀ-ÿ][^:=,;|\n]*?)\s*(?:[:=]|\s->)\s*(?P<value>[+-]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?%?)"
    r"(?![\w.])"
)
_REPORT = re.compile(r"^\s*precision\s+recall\s+f1-score\s+support\s*$")


def _text(text: str, where: str) -> Any:
    """A table; else lines of names and values, of Markdown, or a classification report."""
    lines = [line for line in text.splitlines() if line.strip()]
    if any(_REPORT.match(line) for line in lines):
        return _report(lines)
    if text.lstrip()[:1] == "{":
        return _json(text, where)
    if len(lines) == 1 and is_number(lines[0].strip()):
        return {PurePosixPath(where.partition(" at ")[0]).stem: float(lines[0])}
    if sum(line.lstrip().startswith("|") for line in lines) > 2:
        rows = [line.strip().strip("|") for line in lines if line.lstrip().startswith("|")]
        return _table("\n".join(row for row in rows if not re.fullmatch(r"[\s|:-]+", row)), where, "|")
    pairs = [(_cleaned(match["name"]), number_of(match["value"])) for match in _PAIR.finditer(text)]
    delimiter = _delimiter(text)
    as_table = len(next(csv.reader([lines[0]], delimiter=delimiter))) > 1 and not _PAIR.search(lines[0])
    if not as_table:
        pairs = pairs or _aligned(lines)
    if as_table or not pairs:
        return _table(text, where, delimiter)
    try:
        return _unique(pairs)
    except ValueError as error:
        raise InputError(f"is not a list of metrics: {error}", where=where, code="invalid-metrics") from None


def _cleaned(name: str) -> str:
    """A name without the marks of Markdown and the level of a log."""
    return re.sub(r"^.*\b(?:INFO|DEBUG|WARNING)\b[\s:\]-]*", "", name).strip(" -*#>\t'\"`")


def _aligned(lines: Sequence[str]) -> list[tuple[str, Any]]:
    """Names and values apart by blanks: a pair a line (Weka), or a line of names over one of values (R's ``print``)."""
    words = [line.split() for line in lines]
    for names, values in itertools.pairwise(words):
        numbers = values[-len(names) :]
        named = not any(map(is_number, names)) and len(values) - len(names) in (0, 1)
        if (
            named
            and len(numbers) == len(names)
            and all(map(is_number, numbers))
            and (len(names) > 1 or len(values) > 1)
        ):
            return [(name, float(value)) for name, value in zip(names, numbers, strict=True)]
    pairs = [(" ".join(row[:-1]), float(row[-1])) for row in words if len(row) > 1 and is_number(row[-1])]
    return [(name, value) for name, value in pairs if not is_number(name)]


def _report(lines: Sequence[str]) -> dict[str, Any]:
    """scikit-learn's ``classification_report`` as text, as its ``output_dict=True`` would be."""
    names = ("precision", "recall", "f1-score", "support")
    report: dict[str, Any] = {}
    for line in lines:
        row = re.fullmatch(r"\s*(.*?)\s+((?:\d+(?:\.\d+)?\s*){2,4})", line)
        numbers = [float(cell) for cell in row[2].split()] if row else []
        if row and row[1] and len(numbers) == len(names):
            report[row[1]] = dict(zip(names, numbers, strict=True))
        elif row and row[1] == "accuracy":
            report["accuracy"] = numbers[0]
    return report


def from_rows(names: Sequence[str], rows: Sequence[Sequence[Any]], where: str) -> dict[str, Any]:
    """Metrics of a table (see the module's list).

    Raises
    ------
    InputError
        If a name stands there twice.
    """
    try:
        return _from_rows([name.strip() for name in names], [list(row) for row in rows])
    except ValueError as error:
        raise InputError(f"is not a metrics table: {error}", where=where, code="invalid-csv") from None


def _from_rows(names: list[str], rows: list[list[Any]]) -> dict[str, Any]:
    lower = [name.lower() for name in names]
    matrix = _counted(lower, rows)
    if matrix is not None:
        return {"confusion_matrix": matrix}
    if names and lower[0] in _ROW_NAMES and (_is_one_row(names, rows) or _counts([row[0] for row in rows])):
        names, lower, rows = names[1:], lower[1:], [row[1:] for row in rows]
    name_at = next((lower.index(name) for name in _NAMES if name in lower), None)
    value_at = next((lower.index(name) for name in _VALUES if name in lower), None)
    if name_at is not None and value_at is not None and all(isinstance(row[name_at], str) for row in rows):
        return _long(names, rows, name_at, value_at)
    if len(rows) > 1 and (settled := _best_row(names, rows)) is not None:
        return settled
    resampled = any(name.startswith("resampling") for name in lower)
    if resampled:  # mlr3: the iteration is that of the resampling
        kept = [at for at, name in enumerate(lower) if name not in {*_LABELS, "iteration"}]
        return _unique([(names[at], _mean([row[at] for row in rows])) for at in kept])
    if len(rows) > 1 and (_TIMES & set(lower) or _is_log([name for name in lower if name not in _FOLDS])):
        times = _times(lower, rows)
        return _unique([(name, _over_time([row[at] for row in rows], times)) for at, name in enumerate(names)])
    if len(names) == 2 and all(isinstance(row[0], str) for row in rows) and rows and not meaning(names[1]).known:
        return _unique([(row[0], row[1]) for row in rows])
    if len(rows) == 1 and _is_one_row(names, rows):
        return _unique(list(zip(names, rows[0], strict=True)))
    texts = [at for at in range(len(names)) if any(isinstance(row[at], str) for row in rows)]
    folds = [
        at
        for at, name in enumerate(lower)
        if name in _FOLDS and not any(str(row[at]).strip().lower() in SPLITS for row in rows)
    ]
    if not folds and not texts and len(rows) > 1 and _is_key(names, rows):
        keys = [f"{names[0]}_{row[0]:g}" for row in rows]
        return _unique([(key, dict(zip(names[1:], row[1:], strict=True))) for key, row in zip(keys, rows, strict=True)])
    if rows and (folds or not texts):
        kept = [at for at in range(len(names)) if at not in folds and at not in texts]
        return _unique([(names[at], _mean([row[at] for row in rows])) for at in kept])
    key = texts[0] if texts else 0
    others = [at for at in range(len(names)) if at != key]
    return _unique([(str(row[key]), _unique([(names[at], row[at]) for at in others])) for row in rows])


def _is_key(names: list[str], rows: list[list[Any]]) -> bool:
    """Whether the first column says what each row is about (a depth, a year, a class): no metric, and never twice."""
    cells = [row[0] for row in rows]
    others = any(meaning(name).known for name in names[1:])
    return (
        bool(names[0])
        and others
        and not meaning(names[0]).known
        and len(set(cells)) == len(cells)
        and all(map(_is_plain_number, cells))
    )


def _is_one_row(names: list[str], rows: list[list[Any]]) -> bool:
    """Whether the only row's name says nothing: the columns name metrics, or the row's name does not."""
    return len(rows) == 1 and (any(meaning(name).known for name in names[1:]) or not meaning(str(rows[0][0])).known)


def _counts(cells: list[Any]) -> bool:
    """Whether row names only count: 1, 2, 3 or 0, 1, 2."""
    numbers = [float(cell) for cell in cells if _is_plain_number(cell) or (isinstance(cell, str) and is_number(cell))]
    return len(numbers) == len(cells) and numbers in ([float(n + first) for n in range(len(cells))] for first in (0, 1))


def _long(names: list[str], rows: list[list[Any]], name_at: int, value_at: int) -> dict[str, Any]:
    """Names and values; where a name comes again, the other text columns that differ stand before it."""
    plain_names = [str(row[name_at]) for row in rows]
    if len(set(plain_names)) == len(rows):
        return _unique([(str(row[name_at]), row[value_at]) for row in rows])
    others = [
        at
        for at, name in enumerate(names)
        if at not in (name_at, value_at)
        and len({str(row[at]) for row in rows}) > 1
        and (isinstance(rows[0][at], str) or name.lower() not in _BESIDE)
    ]
    return _unique([(".".join([*(str(row[at]) for at in others), str(row[name_at])]), row[value_at]) for row in rows])


def _counted(lower: list[str], rows: list[list[Any]]) -> Matrix | None:
    """A confusion matrix: rows and columns of the same names, or a line for each pair of classes (R's ``table``)."""
    names = {"prediction", "predicted", "pred", "var1"}, {"reference", "truth", "actual", "observed", "var2"}
    if len(lower) == 3 and lower[2] in {"freq", "n", "count"} and all({*lower[:2]} & each for each in names):
        classes = list(dict.fromkeys(str(row[1]) for row in rows))
        counts = {(str(row[0]), str(row[1])): row[2] for row in rows}
        cells = [[counts.get((one, other), 0.0) for other in classes] for one in classes]
    else:
        square = len(lower) > 2 and len(rows) == len(lower) - 1
        if not square or [str(row[0]).strip().lower() for row in rows] != lower[1:] or _counts([r[0] for r in rows]):
            return None
        cells = [row[1:] for row in rows]
    whole = all(_is_plain_number(cell) for row in cells for cell in row)
    return Matrix(tuple(tuple(float(cell) for cell in row) for row in cells)) if whole else None


def _best_row(names: list[str], rows: list[list[Any]]) -> dict[str, Any] | None:
    """Of rows that are settings tried, the one that ranks first, else the best by the first metric; else None."""
    lower = [name.lower() for name in names]
    ranks = [at for at, name in enumerate(lower) if name.startswith("rank_test_")]
    spreads = [name for name in lower if name.endswith("sd") and name.removesuffix("sd") in lower]
    if not ranks and not spreads:
        return None
    if ranks:
        best = min(rows, key=lambda row: float(row[ranks[0]]))
    else:
        at = next(at for at, name in enumerate(lower) if f"{name}sd" in spreads)
        sign = -1.0 if meaning(names[at]).direction == "higher" else 1.0
        best = min(rows, key=lambda row: sign * float(row[at]) if _is_plain_number(row[at]) else float("inf"))
    tried = [at for at, name in enumerate(lower) if name == "params" or name.startswith(("param_", "rank_test_"))]
    return _unique([(name, best[at]) for at, name in enumerate(names) if at not in tried])


def _times(lower: list[str], rows: list[list[Any]]) -> list[float]:
    """The epoch (else step, round) of each row, shape (rows,); their numbers where one is missing."""
    for name in ("epoch", "epochs", *sorted(_TIMES)):
        if name in lower:
            cells = [row[lower.index(name)] for row in rows]
            if all(_is_plain_number(cell) for cell in cells):
                return [float(cell) for cell in cells]
    return [float(number) for number in range(len(rows))]


def _over_time(cells: list[Any], times: list[float]) -> Any:
    pairs = [(time, float(cell)) for time, cell in zip(times, cells, strict=True) if _is_plain_number(cell)]
    if not pairs:
        return next((cell for cell in reversed(cells) if cell is not None), None)
    return Several(tuple(value for _, value in pairs), True, tuple(time for time, _ in pairs))


def _mean(cells: list[Any]) -> Any:
    numbers = [float(cell) for cell in cells if _is_plain_number(cell)]
    return Several(tuple(numbers), last=False) if len(numbers) == len(cells) else None


_READERS: dict[str, Callable[[str, str], Any]] = {
    ".yaml": _yaml,
    ".yml": _yaml,
    ".toml": _toml,
    ".csv": _csv,
    ".tsv": _tsv,
    **dict.fromkeys((".txt", ".md", ".ini", ".log", ".out", ".rst"), _text),
}
