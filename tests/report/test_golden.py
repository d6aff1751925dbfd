"""The golden reports, and what a lead sees of them on the first screen."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from html import unescape

import pytest

from flint_ml.report.page import to_html
from flint_ml.report.render import _decimals
from report.golden import CASES, FOLDER, report, text

LINES = 28


@pytest.mark.parametrize("name", CASES)
def test_report_is_the_golden_one(name):
    assert text(name) == (FOLDER / f"{name}.md").read_text(encoding="utf-8"), "`python -m report.golden` if meant"


def first_screen(page: str) -> str:
    """The text of the first 28 lines at 860 px, estimated from the HTML so that it is rather too short.

    A line is 21 px: 105 characters of text fit on one; a row of a table is 37 px (two lines of text where its
    cells hold more than 120 characters), a heading 30 px for each 55 characters, a line of code 18 px.
    """
    body = page[page.index("<main") :].split("<details>", maxsplit=1)[0]
    seen, height = "", 32.0
    for tag, inner in re.findall(r"<(h2|p|tr|pre)\b[^>]*>(.*?)</\1>", body, re.DOTALL):
        plain = unescape(re.sub(r"<[^>]+>", "", inner.replace("<br>", "\n").replace("<br />", "\n"))).strip()
        rows = [math.ceil(max(1, len(line)) / (55 if tag == "h2" else 105)) for line in plain.split("\n")]
        height += {
            "h2": 30 * sum(rows) + 25,
            "p": 21 * sum(rows) + 12,
            "tr": 37 if len(plain) <= 120 else 58,
            "pre": 18 * len(rows) + 36,
        }[tag]
        if height > LINES * 21:
            return seen
        seen += plain + "\n"
    return seen


@pytest.mark.parametrize("name", CASES)
def test_first_screen_holds_what_a_lead_needs(name):
    shown, made = first_screen(to_html(text(name), name)), report(name)
    assert f"{made.mark} {made.word}" in shown
    assert made.reason.replace("`", "") in shown
    for badge in made.badges:
        assert f"{badge.mark} {badge.label}: {badge.message}" in shown
    if made.decision.value != "approve":
        assert "To do:" in shown


def test_the_page_runs_its_own_script_only_and_loads_nothing():
    page = to_html(text("approve"), "x")
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[1]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"script-src 'sha256-{digest}';" in policy
    assert not re.search(r'(?:src|href)="(?!https://github\.com/o/r/|data:)', page)


def test_the_worst_metric_is_on_the_first_screen_though_it_is_the_last_row():
    shown = first_screen(to_html(text("request-changes-worse"), "x"))
    assert "RMSE (g/kg, lower is better)" in shown
    assert "worse" in shown
    assert "2 more rows below" in shown


def test_a_crash_shows_its_last_lines_and_no_metrics():
    shown = first_screen(to_html(text("training-crashed"), "x"))
    assert "MemoryError: unable to allocate 8 GiB\n" in shown
    assert "fitting fold 3" in shown
    assert "fitting fold 1\n" not in shown


def test_numbers_of_one_row_have_the_same_decimals():
    table = [line for line in text("approve").splitlines() if line.startswith("| bias")]
    assert [cell.strip() for cell in table[0].split("|")][2:4] == ["0.12", "0.05"]


@pytest.mark.parametrize(
    ("pair", "shown"),
    [
        ((1.5, 1.3), 2), ((0.62, 0.71), 2), ((105.3, 146.4), 1), ((52200.0, 51469.0), 0), ((1.501, 1.499), 3),
        ((0.7123, 0.7119), 4), ((0.0012, 0.0015), 4), ((52200.0, 52199.9), 1), ((7, 9), 0), ((1.0, 1.0), 2),
        ((115.0, 115.0), 0),        ((1.0, None), None), ((0.0, 0.0), None),
    ],
)  # fmt: skip
def test_decimals(pair, shown):
    assert _decimals(pair) == shown


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("approve", "Approve"),
        ("review-gate-changed", "Review"),
        ("request-changes-worse", "Request changes"),
        ("nothing-ran", "Review"),
        ("everything-failed", "Request changes"),
        ("gcbm-change", "Review"),
    ],
)
def test_words(name, word):
    assert report(name).word == word
