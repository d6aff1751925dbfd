"""The table of faults in docs/deployment.md: each row is what a test saw.

With ``FLINT_ML_FAULTS=FILE`` the rows are written there instead of being looked for, to bring the page up to date.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deployment.md"
# What differs from run to run.
_SHOWN = (
    (re.compile(r"https?://127\.0\.0\.1:\d+"), "https://git.example.org"),
    (re.compile(r"ssh://git@127\.0\.0\.1:\d+\S*?/o/"), "ssh://git@git.example.org/o/"),
    (re.compile(r"127\.0\.0\.1:\d+"), "git.example.org"),
    # The hint has a column of its own.
    (re.compile(r"\. What to do: .*"), ""),
    (re.compile(r"; it says: .*"), "; it says: …"),
    (re.compile(r"at each of \d+ tries \(.*\)"), "at each of 9 tries (…)"),
)


def row(name: str, finding: Mapping[str, Any]) -> str:
    """The fault's row of the table."""
    texts = [name, str(finding["message"]), str(finding.get("hint") or "see the message")]
    for pattern, shown in _SHOWN:
        texts = [pattern.sub(shown, text) for text in texts]
    return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |"


def documented(name: str, finding: Mapping[str, Any]) -> None:
    """Assert that the page has what was seen."""
    wanted = row(name, finding)
    if file := os.environ.get("FLINT_ML_FAULTS"):
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(wanted + "\n")
        return
    assert wanted in PAGE.read_text(encoding="utf-8").splitlines(), f"docs/deployment.md has no row\n{wanted}"
