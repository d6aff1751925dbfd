"""What a reader must know about names, rules and values beside the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flint_ml.metrics import expected as declarations
from flint_ml.metrics import text
from flint_ml.metrics.compare import Overall, Row
from flint_ml.metrics.groups import GroupRow, sentence
from flint_ml.metrics.read import MetricsFile
from flint_ml.metrics.rules import Rule, unused
from flint_ml.record import Finding, Severity


def _note(severity: Severity, code: str, message: str, hint: str | None = None) -> Finding:
    return Finding(severity=severity, code=code, message=message, hint=hint)


def _listed(names: Iterable[str], quote: str = "") -> str:
    known = list(names)
    return ", ".join(f"{quote}{name}{quote}" for name in known[:10]) + (" …" if len(known) > 10 else "")


def of_names(
    rules: Mapping[str, Rule], expected: Mapping[str, Any], rows: Sequence[Row], head: Mapping[str, MetricsFile]
) -> list[Finding]:
    """Rules and declarations that fit nothing, names whose direction is unknown, values that are no numbers."""
    found: list[Finding] = []
    names = [(row.path, row.name) for row in rows]
    names += [(path, name) for path, file in head.items() for name in file.readings]
    if misspelt := unused(rules, names):
        message = f"no metric is called {_listed(misspelt, '`')}"
        found.append(_note("warning", "rule-unused", message, "check the spelling of the rule"))
    if lost := declarations.unmatched(declarations.parse_expected(expected), [row.name for row in rows]):
        message = f"declared, but no metric is called {_listed(lost, '`')}"
        found.append(_note("warning", "expected-unused", message, "check the spelling under `expected`"))
    unknown = [row.name for row in rows if row.rule.source == "unknown"]
    if unknown:
        message = f"no direction is known for {_listed(unknown)}: a change is shown as changed"
        hint = f"say under `rules` what is better, such as `{unknown[0]}: {{direction: lower}}`"
        found.append(_note("info", "direction-unknown", message, hint))
    ignored = [name for file in head.values() for name in file.ignored]
    if ignored:
        found.append(_note("info", "not-compared", f"no numbers, not compared: {_listed(ignored)}"))
    return found


def of_values(rows: Sequence[Row], result: Overall, *, has_base: bool) -> list[Finding]:
    """Metrics that are gone, new or no numbers, and a worse one that weighs less than a better one."""
    found: list[Finding] = []
    for row in rows:
        if row.result == "gone":
            hint = "let the evaluation write it again, or set `missing: ignore` in its rule"
            found.append(_note("warning", "metric-gone", f"{row.name} is in the base and not in this change", hint))
        elif row.note and row.head is None:
            found.append(_note("warning", "not-a-number", f"{row.name} {row.note}", "look at the evaluation's log"))
    new = [row.name for row in rows if row.result == "new" and row.note is None]
    if has_base and new:
        found.append(_note("info", "metric-new", f"not in the base: {_listed(new)}"))
    lighter = [row for row in rows if row.result == "worse" and row.rule.weight]
    if result.verdict == "better" and lighter:
        message = f"{text.sentence(lighter[0])} is worse; by weight the better metric counts more"
        found.append(_note("warning", "traded", message))
    return found


def of_groups(by_group: Mapping[str, Sequence[GroupRow]], weakest: GroupRow | None) -> list[Finding]:
    """Groups that became worse beyond chance, each by its most important metric, and the weakest group."""
    worse: dict[str, GroupRow] = {}
    for item in (item for items in by_group.values() for item in items if item.row.result == "worse"):
        worse.setdefault(item.group, item)
    hint = "look at the samples of this group before the mean convinces you"
    found = [
        _note("warning", "group-worse", f"worse in group {name} (n = {item.n}): {text.sentence(item.row)}", hint)
        for name, item in list(worse.items())[:5]
    ]
    if weakest is not None:
        found.append(_note("info", "weakest-group", sentence(weakest)))
    return found
