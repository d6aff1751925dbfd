"""All checks, area by area."""

from __future__ import annotations

from collections.abc import Sequence

from flint_ml.doctor import datastore, repository, rules, surroundings, workflows
from flint_ml.doctor.checks import MARKS, Check, Project, guarded

AREAS = (
    (repository.AREA, repository.examine),
    (datastore.AREA, datastore.examine),
    (rules.AREA, rules.examine),
    (surroundings.GCBM, surroundings.simulation),
    (workflows.AREA, workflows.examine),
    (surroundings.MLFLOW, surroundings.registry),
    (surroundings.MACHINE, surroundings.machine),
)


def examine_project(project: Project) -> list[Check]:
    """Every check of every area; never raises for what the user's files hold."""
    return [check for area, checks in AREAS for check in guarded(area, checks, project)]


def listing(checks: Sequence[Check]) -> str:
    """The checks as a list for a terminal: area, mark, finding, and below it how to fix it."""
    lines: list[str] = []
    area = None
    for check in checks:
        if check.area != area:
            area = check.area
            lines += ["", area]
        lines.append(f"  {MARKS[check.mark]} {check.what}")
        if check.fix:
            lines.append(f"      → {check.fix}")
    return "\n".join(lines).strip("\n")


def count(checks: Sequence[Check]) -> str:
    """How it stands, in a sentence."""
    failures = sum(check.mark == "failure" for check in checks)
    warnings = sum(check.mark == "warning" for check in checks)
    if not failures and not warnings:
        return "all is well"
    parts = (
        [f"{failures} thing{'s' if failures > 1 else ''} will fail in CI"] if failures else ["nothing will fail in CI"]
    )
    if warnings:
        parts.append(f"{warnings} worth a look")
    return ", ".join(parts)
