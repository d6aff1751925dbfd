"""The report names a base that is not a revision, and how to compare with it again."""

from __future__ import annotations

import pytest

from flint_ml.decision import decide
from flint_ml.report import Facts, build, figures
from flint_ml.report.render import to_markdown
from helpers.records import BASE, HEAD, make, metrics_table

OTHER = "c0ffee1" + "2" * 33


def report(base: object, again: str) -> str:
    record = make("compare-metrics", tables=[metrics_table()], verdict="better", base=base, reproduce=[again])
    facts = Facts(base_name="main", pull_request=12, head_sha=HEAD)
    return to_markdown(build(decide([record], ["compare-metrics"]), facts), figures.drawn("in the results"))


def heading(text: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith("| "))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize(
    ("base", "title", "option"),
    [
        ({"kind": "revision", "commit": BASE, "label": "", "named": ""}, f"main `{BASE[:7]}`", ""),
        (
            {"kind": "version", "commit": OTHER, "label": "soil v3", "named": "models:/soil/3"},
            "soil v3 `c0ffee1`",
            " --base models:/soil/3",
        ),
        (
            {"kind": "artifact", "commit": OTHER, "label": "main, run 10", "named": "artifact"},
            "main, run 10 `c0ffee1`",
            " --base artifact",
        ),
        ({"kind": "file", "commit": BASE, "label": "old.json", "named": "old.json"}, "old.json", " --base old.json"),
        (None, f"main `{BASE[:7]}`", ""),
    ],
)
def test_heading_and_command_name_the_base(base: object, title: str, option: str) -> None:
    again = f"flint-ml compare-metrics --base-revision {BASE}{option}"
    text = report(base, again)
    assert heading(text)[1] == title
    assert f"{again}\n" in text
