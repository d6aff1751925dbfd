"""The other things that run-gcbm does with a project: check it, mend it, split it into jobs, run one part."""

from __future__ import annotations

import json
import posixpath
import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flint_ml.errors import FlintError, InputError
from flint_ml.gcbm import Problem, Project, amount
from flint_ml.record import Column, Finding, Severity, Table
from flint_ml.runner import Job, Outcome

if TYPE_CHECKING:
    from flint_ml.gcbm import Job as Part

_SEVERITY: dict[str, Severity] = {"error": "error", "unsupported": "error", "warning": "warning"}
_ORDER = {"error": 0, "unsupported": 1, "warning": 2}


def check(project: Project, job: Job, engine: str) -> Outcome:
    """Everything missing or inconsistent in ``project``, in one list. Exit code 2 where it cannot be run."""
    from flint_ml.gcbm import find_missing_attributes, missing_attributes, part_tiles, validate

    of_flint = part_tiles(project) if engine == "flint" else ()
    missing: list[Problem] = []
    with suppress(FlintError):  # a description that cannot be read has its own line
        missing = missing_attributes(find_missing_attributes(project))
    found = sorted(
        [_in_workspace(problem, job) for problem in (*validate(project), *missing, *of_flint)],
        key=lambda problem: _ORDER[problem.severity],
    )
    bad = [p for p in found if p.severity == "error" or (p.severity == "unsupported" and engine == "embedded")]
    warnings = len(found) - len(bad)
    if bad:
        text = f"the project cannot be run: {_count(len(bad), 'problem')}, {_count(warnings, 'warning')}"
    elif found:
        text = f"the project can be run; {_count(warnings, 'warning')}"
    else:
        text = "the project can be run: 0 problems"
    for number, problem in enumerate(found, 1):
        job.say(f"{number}. {problem.severity}: {problem}\n")
    if bad:
        job.commands.annotate("error", f"{text}. First: {bad[0]}", title="run-gcbm --check")
    return Outcome(
        status="error" if bad else "warned" if found else "passed",
        headline=text,
        message="0 problems" if not found else _count(len(found), "problem" if bad else "warning"),
        badge="Input check",
        tables=[problem_table(found)] if found else [],
        findings=findings_of(found),
        details={"problems": [problem_dict(problem) for problem in found]},
        exit_code=2 if bad else None,
    )


def _in_workspace(problem: Problem, job: Job) -> Problem:
    """A problem with its file relative to the workspace, where it names one of the machine's paths."""
    prefix = f"{job.workspace.root.as_posix()}/"
    if not problem.where.startswith(prefix):
        return problem
    return replace(problem, where=posixpath.normpath(problem.where).removeprefix(prefix))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def problem_dict(problem: Problem) -> dict[str, Any]:
    """A problem for the record's details."""
    return {
        "severity": problem.severity,
        "code": problem.code,
        "where": problem.where,
        "message": problem.message,
        "hint": problem.hint,
    }


def problem_table(problems: list[Problem]) -> Table:
    """Problems as a table."""
    columns = [Column(name=name) for name in ("severity", "where", "problem", "what to do")]
    return Table(
        title="Input check",
        columns=columns,
        rows=[[p.severity, p.where[:300], p.message[:2000], p.hint[:500]] for p in problems[:500]],
    )


def findings_of(problems: list[Problem]) -> list[Finding]:
    """Problems as findings of the record."""
    return [
        Finding(
            severity=_SEVERITY[p.severity], code=p.code, message=f"{p.where}: {p.message}"[:4000], hint=p.hint or None
        )
        for p in problems[:50]
    ]


def fix(project: Project, job: Job, folder: str) -> Outcome:
    """Write a mended copy of ``project`` and say what was changed and what is left."""
    from flint_ml.gcbm import load_project, repair, validate

    target = job.path(folder, "fix")
    changed = repair(project, target)
    left = [problem for problem in validate(load_project(target)) if problem.severity != "warning"]
    for number, sentence in enumerate(changed, 1):
        job.say(f"{number}. {sentence}")
    where = job.relative(target)
    text = f"mended copy in {where}: {_count(len(changed), 'change')}, {_count(len(left), 'problem')} left"
    return Outcome(
        status="warned" if left else "passed",
        headline=text,
        message=f"{len(changed)} mended",
        badge="Input check",
        tables=[Table(title="Mended", columns=[Column(name="change")], rows=[[line[:2000]] for line in changed[:500]])],
        findings=findings_of(left),
        details={"mended": changed, "folder": where, "problems": [problem_dict(problem) for problem in left]},
    )


def plan(project: Project, jobs: int) -> Outcome:
    """Split ``project`` into at most ``jobs`` parts, as the matrix of a workflow."""
    from flint_ml.gcbm import plan as split

    parts = split(project, jobs)
    matrix = {"include": [_entry(part) for part in parts]}
    columns = [Column(name="part"), Column(name="blocks")]
    columns += [Column(name=name, type="number") for name in ("stands", "pixels")]
    pixels = sum(part.pixels for part in parts)
    return Outcome(
        status="passed",
        headline=f"{_count(len(parts), 'job')} for {pixels:,} pixels; the largest has "
        f"{max(part.stands for part in parts):,} of {sum(part.stands for part in parts):,} stands",
        message=_count(len(parts), "job"),
        badge="Plan",
        tables=[
            Table(
                title="Jobs",
                columns=columns,
                rows=[[f"{p.part}/{p.of}", str(p.blocks)[:300], p.stands, p.pixels] for p in parts],
            )
        ],
        details={"matrix": matrix},
        outputs={"matrix": json.dumps(matrix)},
    )


def _entry(part: Part) -> dict[str, Any]:
    return {
        "part": f"{part.part}/{part.of}",
        "name": f"run-gcbm-{part.part}",
        "stands": part.stands,
        "pixels": part.pixels,
    }


def parse_part(text: str) -> tuple[int, int]:
    """``2/4`` as (2, 4)."""
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(
            f"{text!r} is no part",
            where="part",
            hint="write number/of, such as 2/4, as `plan` gives them",
            code="invalid-input",
        )
    return int(match[1]), int(match[2])


def run_part(project: Project, job: Job, text: str, output_dir: str, max_memory: int | None, **options: Any) -> Outcome:
    """Run one part of ``project`` and leave its sums for ``merge``."""
    from flint_ml.gcbm import plan as split
    from flint_ml.gcbm import run, write_part

    number, of = parse_part(text)
    parts = split(project, of)
    if number > len(parts):
        raise InputError(
            f"the project splits into {len(parts)} parts only",
            where="part",
            hint="use the matrix that `plan` gives",
            code="gcbm-plan",
        )
    result = run(project, blocks=[parts[number - 1].blocks], keep_partials=True, max_memory=max_memory, **options)
    file = write_part(result, job.path(output_dir, "output-dir") / f"part-{number}-of-{of}.npz")
    where = job.relative(file)
    area = amount(result.area_ha) if result.pixels else "0"
    return Outcome(
        status="passed",
        headline=f"part {number} of {of}: {result.pixels:,} pixels, {result.stands:,} stands, {area} ha",
        message=f"part {number} of {of}",
        badge="Simulation",
        details={"part": number, "of": of, "pixels": result.pixels, "stands": result.stands, "area_ha": result.area_ha},
        outputs={"part-file": where, "engine": "embedded", "area-ha": result.area_ha},
    )


def part_files(job: Job, given: list[str]) -> list[str]:
    """Files of parts that the input ``merge`` names: files, folders, or patterns."""
    found: list[str] = []
    for text in given:
        if "*" in text:
            hits = sorted(path for path in job.workspace.base.glob(text) if path.is_file())
        else:
            place = job.existing(text, "merge")
            hits = sorted(place.rglob("part-*-of-*.npz")) if place.is_dir() else [place]
        if not hits:
            raise InputError(
                f"there are no parts in {text!r}",
                where="merge",
                hint="give the folder that the parts are in",
                code="gcbm-part",
            )
        found += [str(job.path(str(path), "merge")) for path in hits]
    return list(dict.fromkeys(found))
