"""The security page names tests and limits; they exist and are as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/.]+?\.py)(?:::(\w+))?`", PAGE)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file: str, name: str) -> None:
    path = ROOT / file
    assert path.is_file(), file
    assert re.search(rf"^def {name or 'test_'}", path.read_text(encoding="utf-8"), re.MULTILINE), (file, name)


def test_every_row_names_its_tests() -> None:
    part = PAGE.split("## Who may change the gate")[1].split("\n### ")[0]
    rows = [line for line in part.splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 12
    for row in rows:
        assert "tests/" in row.split("|")[5], row


def test_the_table_of_attacks_is_whole() -> None:
    rows = re.findall(r"^\| (\d+) \| .*\| (.*) \|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 30))
    assert all("tests/" in tests for _, tests in rows)


def test_limits_are_those_of_the_code() -> None:
    from flint_ml import record
    from flint_ml.gcbm.project import config
    from flint_ml.github import client, runs
    from flint_ml.report import source
    from flint_ml.runner import context, workflow_commands
    from flint_ml.text import yaml

    limits = PAGE.split("## Limits")[1].split("\n## ")[0]
    for text in (
        f"{context.MAX_EVENT_BYTES >> 20} MiB",
        f"{yaml.MAX_BYTES >> 20} MiB, depth {yaml.MAX_DEPTH}",
        f"{record.MAX_BYTES >> 20} MiB",
        f"{record.MAX_RECORDS:,} files",
        f"{client.MAX_ANSWER >> 20} MiB, {client.MAX_PAGES} pages",
        f"{client.REQUEST_DEADLINE:.0f} s each",
        f"{client.DEADLINE:.0f} s together",
        f"{runs.MAX_ARTIFACT >> 20} MiB packed, {source.MAX_TOTAL >> 20} MiB and {source.MAX_FILES:,} files unpacked",
        f"{config.MAX_ENTRIES:,} files; unpacked {config.MAX_UNPACKED >> 30} GiB, or {config.MAX_RATIO} times",
        f"{workflow_commands.MAX_SUMMARY_BYTES >> 20} MiB",
        f"{workflow_commands.MAX_ANNOTATIONS} a step",
    ):
        assert text in limits, text
