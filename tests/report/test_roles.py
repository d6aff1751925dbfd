"""A check that the package does not know appears as well as its own: columns by role, words from the record."""

from __future__ import annotations

import re

import pytest

from flint_ml.decision import decide
from flint_ml.report import CheckName, Facts, build, figures
from flint_ml.report.render import to_markdown
from helpers.records import BASE, HEAD, make

OURS = ("metric", "base", "this change", "change", "95 % CI", "result")
ROLES = (None, "base", "head", "change", "interval", "result")
ROWS = [["RMSE", 1.5, 1.7, "+0.20 (+13 %)", "+0.10 … +0.33", "worse"], ["R²", 0.7, 0.7, "0.00", "−0.1 … 0.1", "same"]]
FACTS = Facts(base_name="main", pull_request=12, head_sha=HEAD)


def moisture(titles, roles=ROLES):
    columns = [
        {"name": title, "role": role, "type": "number" if role in ("base", "head") else "text"}
        for title, role in zip(titles, roles, strict=True)
    ]
    return make(
        "check-moisture",
        "failed",
        "worse: RMSE 1.50 → 1.70",
        "worse",
        tables=[{"title": "T", "columns": columns, "rows": ROWS}],
        verdict="worse",
        advice="dry the samples again",
        spoken="the moisture check",
        provenance={"base_sha": BASE},
    )


def text(record, expected=()):
    return to_markdown(build(decide([record], expected), FACTS), figures.drawn("in the results"))


def bare(shown):
    """The lines without the table's heading, whose titles differ, and without the widths that they give."""
    lines = shown.splitlines()
    kept = [line for line, after in zip(lines, [*lines[1:], ""], strict=True) if not after.startswith("|:--")]
    return [re.sub(r"[ -]+", " ", line) for line in kept]


@pytest.mark.parametrize(
    "titles",
    [
        ("metric", "reference", "candidate", "difference", "spread", "verdict"),
        ("Messgröße", "Referenz", "Kandidat", "Differenz", "Streuung", "Urteil"),
        ("result", "tolerance", "base", "this change", "x", "change"),
    ],
)
def test_titles_mean_nothing(titles):
    assert bare(text(moisture(titles))) == bare(text(moisture(OURS)))


def test_a_column_without_a_role_is_only_shown():
    shown = text(moisture(OURS, [None] * 6))
    table = next(line for line in shown.splitlines() if line.startswith(("| RMSE", "| **RMSE")))
    assert "🔴" not in table
    assert "this PR" not in shown


def test_a_made_up_action_is_worded_like_the_known_ones():
    shown = text(moisture(OURS))
    assert shown.startswith("## 🔴 Request changes: the metrics are worse. RMSE 1.50 → 1.70")
    assert "**To do:** dry the samples again" in shown
    assert f"main `{BASE[:7]}`" in shown
    assert "**1.70**" in shown
    assert "| 🔴 **RMSE**" in shown


def test_a_missing_check_is_called_as_it_calls_itself():
    names = {"check-moisture": CheckName("Moisture", "the moisture check")}
    decision = decide([make("pull-data")], ("pull-data", "check-moisture", "other"))
    report = build(decision, Facts(names=names))
    assert report.reason == "the moisture check and other did not run"
    assert [badge.label for badge in report.badges] == ["Data", "Moisture", "other"]
