"""A comparison as text for people: sentences, tables and findings: "1.50 → 1.30 g/kg (−0.20, −13 %)"."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flint_ml.metrics.expected import parse_expected, unmatched
from flint_ml.metrics.groups import GroupRow
from flint_ml.metrics.intervals.repeats import MIN_RUNS, Spread
from flint_ml.metrics.names import beside, meaning, without_split
from flint_ml.metrics.predictions import Pairs
from flint_ml.metrics.read import MetricsFile
from flint_ml.metrics.rules import Rule, resolve, unused
from flint_ml.metrics.verdict import Overall, Row, loss, samples_needed
from flint_ml.record import Cell, Column, Finding, Severity, Table

MINUS = "−"
# A change by more than this share says nothing in per cent.
_MOST_PERCENT = 1e4
# A change by more than this share asks for a direction.
LARGE = 0.05


def decimals(*values: float | None, step: float | None = None) -> int:
    """Decimals for ``values``: two below ten, fewer above, and as many as show ``step`` to a tenth of itself."""
    size = max((abs(value) for value in values if value), default=1.0)
    magnitude = math.floor(math.log10(size))
    digits = max(0, 2 - magnitude) if magnitude < -1 else max(0, 2 - max(0, magnitude))
    while step and digits < 12 and abs(round(step, digits) - step) > 0.1 * abs(step):
        digits += 1
    return min(digits, 12)


def fixed(value: float | None, digits: int, *, sign: bool = False) -> str:
    """``value`` with ``digits`` decimals, thousands separated, a true minus sign; an en dash for None."""
    if value is None:
        return "–"
    if abs(value) >= 1e15 or (value and abs(value) < 1e-9):
        return f"{value:{'+' if sign else ''}.3g}".replace("-", MINUS)
    if not sign and not digits and 0 < abs(value) < 0.5:
        return f"{value:.2g}".replace("-", MINUS)  # beside a large number, and not nothing
    text = f"{value:{'+' if sign else ''},.{digits}f}"
    if sign and not text.strip("+-0.,"):
        return text.lstrip("+-")
    return text.replace("-", MINUS)


def percent(share: float) -> str:
    """A relative change for people: "−13 %", "+1.4 %"; "< 0.1 %" is said with two digits."""
    value = share * 100
    digits = 0 if abs(value) >= 9.95 else 1 if abs(value) >= 0.095 or value == 0 else 2
    return f"{value:+,.{digits}f} %".replace("-", MINUS)


def _subtracts(row: Row, digits: int) -> bool:
    """Whether a reader who subtracts the sides as shown gets the change as shown."""
    if row.base is None or row.head is None or row.delta is None or not math.isfinite(row.delta):
        return True
    return round(round(row.head, digits) - round(row.base, digits), digits) == round(row.delta, digits)


def _digits(row: Row) -> int:
    """Decimals of both sides and their change; one more where the figures would not subtract (0.67 → 0.59)."""
    least = decimals(row.base, row.head, step=None if row.negligible else row.delta)
    return least if row.negligible or _subtracts(row, least) else least + 1


def change(row: Row) -> str:
    """ "−0.20 (−13 %)", or what there is to say instead of a number."""
    if row.delta is None:
        return {"new": "no base", "gone": "not in this change"}.get(row.result, row.note or "–")
    if row.delta and row.negligible:
        return "≈ 0"
    if not math.isfinite(row.delta):
        return "beyond all numbers"
    digits, delta = _digits(row), row.delta
    if not _subtracts(row, digits) and row.base is not None and row.head is not None:
        # Still apart in the last digit: then it is the difference of what is shown.
        delta = round(row.head, digits) - round(row.base, digits)
    text = fixed(delta, digits, sign=True)
    if row.rule.percent and row.relative is not None and row.delta and abs(row.relative) < _MOST_PERCENT:
        text += f" ({percent(row.relative)})"
    return text


def interval(row: Row) -> str:
    """ "−0.28 … −0.11", or an en dash."""
    if row.interval is None:
        return "–"
    width = row.interval.high - row.interval.low
    shown = 1 - math.floor(math.log10(width)) if 0 < width < math.inf else 0
    digits = min(12, max(_digits(row), shown))
    return f"{fixed(row.interval.low, digits, sign=True)} … {fixed(row.interval.high, digits, sign=True)}"


def interval_title(rows: Iterable[Row]) -> str:
    """Title of the interval's column: "95 % CI"."""
    level = next((row.interval.level for row in rows if row.interval), 0.95)
    return f"{level * 100:g} % CI"


def sentence(row: Row) -> str:
    """ "RMSE 1.50 → 1.30 g/kg (−0.20, −13 %)"."""
    unit = f" {row.rule.unit}" if row.rule.unit else ""
    digits = _digits(row)
    if row.result == "new":
        return f"{row.rule.label} {fixed(row.head, digits)}{unit}"
    if row.result == "gone":
        return f"{row.rule.label} {fixed(row.base, digits)} → missing"
    text = f"{row.rule.label} {fixed(row.base, digits)} → {fixed(row.head, digits)}{unit}"
    if row.delta is None:
        return f"{text} ({row.note})" if row.note else text
    if not row.delta:
        return text
    inside = change(row).replace(" (", ", ").rstrip(")")
    return f"{text} ({inside})"


def headline(result: Overall, rows: Sequence[Row]) -> str:
    """The verdict in one sentence that a lead can act on."""
    row = result.row
    if row is None:
        return f"{result.verdict}: {result.reason}"
    if row.missed and result.verdict == "worse":
        bound = {"higher": "at least", "zero": "within ±", "lower": "at most", "none": "at most"}[row.rule.direction]
        limit = fixed(row.rule.threshold, decimals(row.rule.threshold, row.head))
        unit = f" {row.rule.unit}" if row.rule.unit else ""
        return f"worse than required: {sentence(row)}; required is {bound} {limit}{unit}".replace("± ", "±")
    text = f"{result.verdict}: {sentence(row)}"
    if result.verdict == "no-baseline":
        return f"{text}; {result.reason}"
    if result.verdict == "changed":
        others = sum(other.result == "changed" for other in rows) - 1
        text += f" and {others} more" if others > 0 else ""
        return text + (", not as declared" if row.declared else "")
    if result.verdict == "same" and row.result == "as declared":
        return f"as declared: {sentence(row)}"
    if result.verdict == "better":
        worse = [other.rule.label for other in rows if other.result == "worse"]
        return text + (f"; {', '.join(worse[:3])} worse" if worse else "")
    if result.verdict == "inconclusive":
        return text + (f"; {interval_title([row])} {interval(row)}" if row.interval else ", which may be chance")
    return text


def metrics_table(
    rows: Sequence[Row], title: str = "Metrics", *, base: str = "base", head: str = "this change"
) -> Table:
    """The first-screen table; the interval's column is there when any row has one.

    A count that did not change (number of samples) says nothing beside metrics that have a direction: it is left out.
    """
    if any(row.rule.direction != "none" for row in rows):
        rows = [row for row in rows if row.rule.direction != "none" or row.base != row.head]
    intervals = any(row.interval for row in rows)
    columns = [Column(name="metric"), Column(name=base, type="number", role="base")]
    columns += [Column(name=head, type="number", role="head"), Column(name="change", role="change")]
    if intervals:
        columns.append(Column(name=interval_title(rows), role="interval"))
    columns.append(Column(name="result", role="result"))
    cells: list[list[Cell]] = []
    for row in rows:
        line: list[Cell] = [row.rule.title, row.base, row.head, change(row)]
        cells.append([*line, *([interval(row)] if intervals else []), row.result])
    return Table(title=title, columns=columns, rows=cells)


def explain_table(rows: Sequence[Row]) -> Table:
    """How each name was read: metric, samples, what is better, and why."""
    columns = [
        Column(name=name) for name in ("name", "metric", "measured on", "better is", "decides", "how it was read")
    ]
    cells: list[list[Cell]] = []
    for row in rows:
        rule, said = row.rule, meaning(row.name, row.path)
        metric = said.metric.label if said.metric else "–"
        better = rule.direction if rule.direction != "none" else "–" if rule.source != "unknown" else "not known"
        cells.append([row.name, metric, rule.split or "–", better, "yes" if rule.weight > 0 else "no", rule.why])
    return Table(title="How names were read", columns=columns, rows=cells)


def group_sentence(item: GroupRow) -> str:
    """ "weakest group clay > 60 % (n = 14): RMSE 1.71 → 1.74 g/kg (+0.03, +1.8 %), within noise"."""
    words = f"weakest group {item.group} (n = {item.n}): {sentence(item.row)}"
    if item.worsening > 0:
        noise = "too few samples to tell" if item.row.interval is None else "within noise"
        words += {"worse": ", more than chance", "same": ", within the tolerance"}.get(item.row.result, f", {noise}")
    return words


def group_table(groups: Mapping[str, Sequence[GroupRow]]) -> Table:
    """One line a group and metric."""
    rows = [item for items in groups.values() for item in items]
    intervals = any(item.row.interval for item in rows)
    columns = [Column(name="group"), Column(name="n", type="number"), Column(name="metric")]
    columns += [Column(name="base", type="number", role="base"), Column(name="this change", type="number", role="head")]
    columns += [Column(name="change", role="change")]
    columns += [Column(name=interval_title(item.row for item in rows), role="interval")] if intervals else []
    cells: list[list[Cell]] = []
    for item in rows:
        row = item.row
        line: list[Cell] = [item.group, item.n, row.rule.title, row.base, row.head, change(row)]
        cells.append([*line, *([interval(row)] if intervals else []), row.result])
    return Table(title="By group", columns=[*columns, Column(name="result", role="result")], rows=cells)


# -- findings ------------------------------------------------------------


def _note(severity: Severity, code: str, message: str, hint: str | None = None) -> Finding:
    return Finding(severity=severity, code=code, message=message, hint=hint)


def _listed(names: Iterable[str], quote: str = "") -> str:
    all_names = list(names)
    return ", ".join(f"{quote}{name}{quote}" for name in all_names[:10]) + (" …" if len(all_names) > 10 else "")


def name_findings(
    rules: Mapping[str, Rule], expected: Mapping[str, Any], rows: Sequence[Row], head: Mapping[str, MetricsFile]
) -> list[Finding]:
    """Rules and declarations that fit nothing, names whose direction is unknown, values that are not numbers."""
    findings: list[Finding] = []
    names = [(row.path, row.name) for row in rows]
    names += [(path, name) for path, file in head.items() for name in file.readings]
    if misspelt := unused(rules, names):
        message = f"no metric is called {_listed(misspelt, '`')}"
        findings.append(_note("warning", "rule-unused", message, "check the spelling of the rule"))
    if lost := unmatched(parse_expected(expected), [row.name for row in rows]):
        message = f"declared, but no metric is called {_listed(lost, '`')}"
        findings.append(_note("warning", "expected-unused", message, "check the spelling under `expected`"))
    findings += _unknown_directions(rows)
    ignored = [name for file in head.values() for name in file.ignored]
    if ignored:
        findings.append(_note("info", "not-compared", f"no numbers, not compared: {_listed(ignored)}"))
    matrices = [f"{name} ({len(m.rows)} × {len(m.rows[0])})" for f in head.values() for name, m in f.matrices.items()]
    if matrices:
        findings.append(_note("info", "not-compared", f"matrices, shown and not judged: {_listed(matrices)}"))
    if texts := [name for file in head.values() for name in file.texts if not _ignored(name, rules)]:
        hint = "write them as numbers, or say under `rules` that they are to be ignored: `missing: ignore`"
        findings.append(
            _note("warning", "text-number", f"numbers that are text in the file, not compared: {_listed(texts)}", hint)
        )
    return findings


def _ignored(name: str, rules: Mapping[str, Rule]) -> bool:
    return resolve(name, rules).missing == "ignore"


def _unknown_directions(rows: Sequence[Row]) -> list[Finding]:
    """Metrics of which nobody knows what is better; a warning where one changed by more than :data:`LARGE`."""
    unknown = [row for row in rows if row.rule.source == "unknown" and row.rule.weight > 0]
    if not unknown:
        return []
    large = [row for row in unknown if row.result == "changed" and (row.relative is None or abs(row.relative) > LARGE)]
    first = large[0] if large else unknown[0]
    message = f"no direction is known for {_listed(row.name for row in unknown)}: a change is shown as changed"
    if large:
        message = (
            f"what is better: {_listed(row.name for row in large)} lower, higher or near zero? No direction is known"
        )
    paste = f"rules:\n  {_yaml_key(first.name)}: {{direction: lower}}"
    hint = f"paste under `compare-metrics` in flint-ml.yml (lower, higher, zero or none):\n{paste}"
    return [_note("warning" if large else "info", "direction-unknown", message, hint)]


def _yaml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][\w./-]*", name) else json.dumps(name, ensure_ascii=False)


def gap_findings(rows: Sequence[Row]) -> list[Finding]:
    """Where this change fits its training data more than the base did, and less what it was not trained on."""
    findings: list[Finding] = []
    for row in rows:
        if row.rule.split != "train" or row.delta is None or row.rule.direction not in ("lower", "higher"):
            continue
        other = _of_other_samples(row, rows)
        if other is None or row.base is None or row.head is None or other.base is None or other.head is None:
            continue
        before = loss(other.base, other.rule) - loss(row.base, row.rule)
        after = loss(other.head, other.rule) - loss(row.head, row.rule)
        limit = other.rule.gap or row.rule.gap
        beyond = limit is not None and after > limit.of(other.head)
        if beyond or (after > 0 and after > before + 0.1 * abs(before) + other.rule.margin(other.base)):
            digits = decimals(row.head, other.head)
            message = (
                f"{row.name} and {other.name} lie further apart: {fixed(before, digits)} → {fixed(after, digits)}; "
                "the model fits its training data more than what it has not seen"
            )
            findings.append(_note("warning" if beyond else "info", "train-test-gap", message))
    return findings


def _of_other_samples(row: Row, rows: Sequence[Row]) -> Row | None:
    """The same metric of the test set, else of validation, else without a word on where."""
    bare = without_split(row.name)
    same = {other.rule.split: other for other in rows if without_split(other.name) == bare}
    return next((same[split] for split in ("test", "val", "") if split in same), None)


def value_findings(rows: Sequence[Row], result: Overall, *, has_base: bool) -> list[Finding]:
    """Metrics that are gone, new or not numbers, and a worse one that weighs less than a better one."""
    findings: list[Finding] = []
    for row in rows:
        if row.result == "gone":
            hint = "let the evaluation write it again, or set `missing: ignore` in its rule"
            findings.append(_note("warning", "metric-gone", f"{row.name} is in the base and not in this change", hint))
        elif row.note and row.head is None:
            findings.append(_note("warning", "not-a-number", f"{row.name} {row.note}", "look at the evaluation's log"))
        elif row.rule.weight == 0 and row.delta is not None and row.base and _spread_grew(row.name, row.base, row.head):
            times = f"{(row.head or 0.0) / row.base:.1f}"
            hint = "look at the folds or runs one by one"
            findings.append(
                _note(
                    "warning", "spread-grew", f"{sentence(row)}: it varies {times} times as much as in the base", hint
                )
            )
        elif _class_fell(row):
            hint = "look at this class before the average convinces you"
            findings.append(_note("warning", "class-worse", f"a class is worse: {sentence(row)}", hint))
        elif "one side" in row.rule.why:
            hint = "write it in the same way as in the base; the next change is compared with this one"
            findings.append(_note("warning", "scale-changed", f"{sentence(row)}: {row.rule.why}", hint))
    new = [row.name for row in rows if row.result == "new" and row.note is None]
    if has_base and new:
        findings.append(_note("info", "metric-new", f"not in the base: {_listed(new)}"))
    lighter = [row for row in rows if row.result == "worse" and row.rule.weight]
    if result.verdict == "better" and lighter:
        message = f"{sentence(lighter[0])} is worse; by weight the better metric counts more"
        findings.append(_note("warning", "traded", message))
    return findings


def _class_fell(row: Row) -> bool:
    """Whether F1 of a class of a classification report fell by more than :data:`LARGE`."""
    of_class = row.rule.why.startswith("a part of the averages") and row.name.endswith(".f1-score")
    return of_class and row.result == "worse" and row.delta is not None and abs(row.delta) > LARGE


def _spread_grew(name: str, base: float, head: float | None) -> bool:
    """Whether a standard deviation or error is more than that of chance (five folds: p = 0.03) larger than before."""
    words = {"std", "sd", "stdev", "stddev", "se", "sem", "stderr", "deviation"}
    return beside(name)[1] in words and head is not None and head > 3 * base > 0


def group_findings(by_group: Mapping[str, Sequence[GroupRow]], weakest: GroupRow | None) -> list[Finding]:
    """Groups that became worse beyond chance, each by its most important metric, and the weakest group."""
    worse: dict[str, GroupRow] = {}
    for item in (item for items in by_group.values() for item in items if item.row.result == "worse"):
        worse.setdefault(item.group, item)
    hint = "look at the samples of this group before the mean convinces you"
    findings = [
        _note("warning", "group-worse", f"worse in group {name} (n = {item.n}): {sentence(item.row)}", hint)
        for name, item in list(worse.items())[:5]
    ]
    if weakest is not None:
        findings.append(_note("info", "weakest-group", group_sentence(weakest)))
    return findings


def run_findings(rows: Sequence[Row], spreads: Mapping[str, Spread], further: int = 0) -> list[Finding]:
    """How much the most important metrics vary from run to run; ``further`` runs were given beside this one."""
    shown = [(row, spreads[row.name]) for row in rows if row.name in spreads and row.rule.weight > 0][:5]
    if not shown and further:
        message = (
            f"no spread from run to run: {further} further run{'s' if further > 1 else ''} with none of these metrics"
        )
        if further + 1 < MIN_RUNS:
            message = f"no spread from run to run: {further} further run is too few, at least {MIN_RUNS - 1} are needed"
        return [Finding(severity="warning", code="run-spread", message=message, hint="see the input `repeats`")]
    if not shown:
        return []
    parts = []
    for row, spread in shown:
        digits = decimals(row.head, step=spread.deviation)
        unit = f" {row.rule.unit}" if row.rule.unit else ""
        parts.append(f"{row.rule.label} ± {fixed(spread.deviation, digits)}{unit}")
    runs = max(spread.runs for _, spread in shown)
    message = f"from run to run ({runs} seeds): {', '.join(parts)}; the intervals hold this spread"
    return [Finding(severity="info", code="run-spread", message=message)]


def round_up(number: int) -> int:
    """``number`` with two significant digits, rounded up: nobody plans 1,013 samples."""
    step = 10 ** max(0, len(str(number)) - 2)
    return int(-(-number // step) * step)


def interval_findings(rows: Sequence[Row], pairs: Pairs | None) -> list[Finding]:
    """What the intervals mean where they are not plain: corrected away, or too wide."""
    findings: list[Finding] = []
    kind = "blocks" if pairs is not None and pairs.block is not None else "samples"
    for row in rows:
        interval = row.interval
        if row.result != "inconclusive" or interval is None or row.rule.weight == 0:
            continue
        message = f"{row.rule.label}: the change may be chance"
        if interval.low > 0 or interval.high < 0:
            message = f"{row.rule.label}: a change, but perhaps not larger than the tolerance"
            if not interval.differs():
                message = f"{row.rule.label}: chance cannot be ruled out when all metrics are judged together"
        count = samples_needed(row)
        if count is not None:
            message += f"; about {round_up(count):,} {kind} would settle it ({interval.units:,} now)"
        hint = None if row.rule.tolerance else "a `tolerance` says which changes do not matter"
        findings.append(Finding(severity="info", code="inconclusive", message=message, hint=hint))
    return findings
