"""The golden reports, and what a lead sees of them on the first screen."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re

import pytest

from flint_ml.record import Changes, Table
from flint_ml.report import changes
from flint_ml.report.html import to_html
from flint_ml.report.render import _shared_decimals, results_table
from report import gfm
from report.golden import CASES, FOLDER, report, text


@pytest.mark.parametrize("name", CASES)
def test_report_is_the_golden_one(name):
    assert text(name) == (FOLDER / f"{name}.md").read_text(encoding="utf-8"), "`python -m report.golden` if meant"


@pytest.fixture(scope="module", params=["by arithmetic", "in a browser"])
def screens(request):
    """What is on the first screen of each comment, rendered by cmark-gfm: without spaces, as they depend on the layout.

    Where no browser is, both are the arithmetic, which is meant to show rather too little.
    """
    bodies = {name: gfm.body(text(name)) for name in CASES}
    laid_out = gfm.measured(bodies) if request.param == "in a browser" else None
    lines = laid_out or {name: gfm.estimated(body) for name, body in bodies.items()}
    return {name: bare(gfm.first_screen(found)) for name, found in lines.items()}


def bare(shown: str) -> str:
    return re.sub(r"[\s`]+", "", shown)


@pytest.mark.parametrize("name", CASES)
def test_first_screen_holds_what_a_lead_needs(name, screens):
    shown, made = screens[name], report(name)
    assert bare(f"{made.mark} {made.word}: {made.reason}") in shown
    for badge in made.badges:
        assert bare(f"{badge.mark} {badge.label}: {badge.message}") in shown
    if made.decision.value != "approve":
        assert bare(f"To do: {made.to_do}") in shown


WORSE = ("🔴 RMSE (g/kg, lower is", "1.50 1.72 +0.22 (+15 %) +0.10 … +0.33 worse")


@pytest.mark.parametrize(
    ("name", "metric", "values"),
    [
        ("approve", "⚪️ bias (g/kg, near zero is", "0.12 0.05 −0.07 (−58 %) −0.19 … +0.06 same"),
        ("review-inconclusive", "🟡 RMSE (g/kg, lower is", "1.50 1.46 −0.04 (−2.7 %) −0.13 … +0.05 inconclusive"),
        ("request-changes-worse", *WORSE),
        ("request-changes-drifted", "🔴 pH numeric KS", "D = 0.62 < 0.0001 median 5.1 → 6.4 drifted"),
        ("everything-failed", *WORSE),
        ("training-crashed", "MemoryError:", "unable to allocate 8 GiB"),
        ("gcbm-change", "🟡 Total ecosystem", "2020 52,200 51,469 −731 (−1.4 %) ±0.1 % not declared"),
    ],
)
def test_first_screen_holds_the_worst_metric(name, metric, values, screens):
    assert bare(metric) in screens[name]
    assert bare(values) in screens[name]


def test_line_ends_are_breaks_in_a_comment_and_not_in_a_file():
    for name in CASES:
        for paragraph in re.findall(r"<p>(.*?)</p>", gfm.body(text(name)), re.DOTALL):
            assert not re.search(r"<br ?/?>\s*<br", paragraph), "an empty line between two that belong together"


def test_the_page_runs_its_own_script_only_and_loads_nothing():
    page = to_html(text("approve"), "x")
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[1]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"script-src 'sha256-{digest}';" in policy
    assert not re.search(r'(?:src|href)="(?!https://github\.com/o/r/|data:)', page)


def test_a_crash_shows_its_last_lines_and_no_metrics(screens):
    shown = screens["training-crashed"]
    assert "MemoryError:unabletoallocate8GiB" in shown
    assert "fittingfold3" in shown
    assert "fittingfold1" not in shown


def test_the_lock_of_the_environment_is_no_code():
    files = ["train.py", "requirements.txt", "env/conda-lock.yml", "renv.lock", "flint-ml.yml"]
    parts = changes.items(Changes.clipped({"code": files, "gate": ["flint-ml.yml"], "data": [{"path": "data.lock"}]}))
    assert parts["code"] == ["`train.py`"]
    assert parts["environment"] == ["`requirements.txt`", "`env/conda-lock.yml`", "`renv.lock`"]
    assert parts["gate rules"] == ["`flint-ml.yml`"]
    shown = changes.line(Changes(code=["requirements.txt"]))
    assert shown == "`requirements.txt` · parameters, data, code and gate rules: unchanged"


def test_numbers_of_one_row_have_the_same_decimals():
    table = [line for line in text("approve").splitlines() if line.startswith("| ⚪\ufe0f bias")]
    assert [cell.strip() for cell in table[0].split("|")][2:4] == ["0.12", "0.05"]


@pytest.mark.parametrize(
    ("pair", "change", "shown"),
    [
        ((1.5, 1.3), "−0.20 (−13 %)", 2),
        ((0.62, 0.71), "+0.09", 2),
        ((105.3, 146.4), "+41.1 (+39 %)", 1),
        ((52200.0, 51469.0), "−731 (−1.4 %)", 0),
        ((52200.0, 53469.0), "+1,269", 0),
        ((0.6667, 0.5855), "−0.0812", 4),
        ((1.0, 1.0), "0.00", 2),
        # Where the difference says nothing, the values do.
        ((1.501, 1.499), None, 3),
        ((0.7, 0.7), "0", 3),
        ((0.7, 0.6), "new", 3),
        ((1e-7, 3e-7), "+2.0 × 10⁻⁷", 9),
        ((7, 9), None, 0),
        ((115.0, 115.0), "0", 0),
        ((1.0, None), None, None),
    ],
)
def test_decimals(pair, change, shown):
    assert _shared_decimals(pair, change) == shown


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("approve", "Approve"),
        ("review-gate-changed", "Review"),
        ("review-inconclusive", "Review"),
        ("fork", "Review"),
        ("request-changes-worse", "Request changes"),
        ("nothing-ran", "Review"),
        ("everything-failed", "Request changes"),
        ("gcbm-change", "Review"),
    ],
)
def test_words(name, word):
    assert report(name).word == word


def _table(words):
    columns = [{"name": "metric"}, *({"name": role, "type": "number", "role": role} for role in ("base", "head"))]
    columns += [{"name": "result", "role": "result"}]
    rows = [[f"m{number}", 1.0, 1.0 + change, word] for number, (change, word) in enumerate(words)]
    return Table.model_validate({"title": "Metrics", "columns": columns, "rows": rows})


def test_the_first_screen_has_the_worst_first_and_a_tally():
    words = [(0.0, "same"), (0.01, "worse"), (0.1, "better"), (0.15, "worse"), (0.2, "better"), (0.14, "worse")]
    shown = results_table(_table(words), report("approve")).splitlines()
    assert [row.split("|")[1].split()[1].strip("*") for row in shown[2:7]] == ["m3", "m5", "m1", "m2", "m4"]
    assert shown[2].split("|")[1].strip().startswith("🔴")
    assert shown[2].split("|")[-2].strip() == "worse"
    assert shown[-1] == "<sub>3 worse · 2 better · 1 the same of 6; 1 more row below</sub>"


def test_every_column_has_a_heading_and_numbers_stand_right():
    for name in CASES:
        lines = text(name).splitlines()
        for heads, rule in itertools.pairwise(lines):
            if rule.startswith("|:-") and "result" in heads:
                assert all(head.strip() for head in heads.strip("|").split("|"))
                for head, line in zip(heads.strip("|").split("|"), rule.strip("|").split("|"), strict=True):
                    if head.strip() in ("change", "95 % CI", "tolerance"):
                        assert line.endswith(":"), head
