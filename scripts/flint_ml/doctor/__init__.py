"""What ``flint-ml doctor`` does: say what will fail in CI, and how to fix it, before it does.

``examine_project`` gives a list of ``Check`` for a ``Project``, area by area; ``listing`` and ``count`` put it in
words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint_ml.doors import door

if TYPE_CHECKING:
    from flint_ml.doctor.checks import Check, Project
    from flint_ml.doctor.examine import count, examine_project, listing

_HOME = {
    "Check": "checks",
    "Project": "checks",
    "count": "examine",
    "examine_project": "examine",
    "listing": "examine",
}

__all__ = [
    "Check",
    "Project",
    "count",
    "examine_project",
    "listing",
]

__getattr__ = door(__name__, _HOME)
