"""The part of CHANGELOG.md for one version, for the GitHub release: ``python tools/release_notes.py 1.2.3``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from release_tree import ReleaseError


def notes(changelog: str, version: str) -> str:
    """What stands below the heading of ``version``.

    Raises
    ------
    ReleaseError
        If there is no such heading, it has no date, or nothing stands below it.
    """
    found = re.search(rf"(?ms)^## \[{re.escape(version)}\](.*?)$(.*?)(?=^## \[|^\[[^\]]+\]: |\Z)", changelog)
    if not found:
        raise ReleaseError(f"CHANGELOG.md has no entry for {version}")
    if not re.fullmatch(r" - \d{4}-\d{2}-\d{2}", found[1].rstrip()):
        raise ReleaseError(f"CHANGELOG.md: the heading of {version} has no date; write `## [{version}] - YYYY-MM-DD`")
    if not found[2].strip():
        raise ReleaseError(f"CHANGELOG.md says nothing about {version}")
    return found[2].strip() + "\n"


if __name__ == "__main__":
    try:
        print(notes(Path("CHANGELOG.md").read_text(encoding="utf-8"), sys.argv[1]), end="")
    except ReleaseError as error:
        sys.exit(f"error: {error}")
