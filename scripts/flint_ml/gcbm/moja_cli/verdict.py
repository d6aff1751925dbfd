"""Whether a run of ``moja.cli`` counts: all signs together, and for each failure what it means.

A run counts only if: exit code 0; the database is at its place; Pools and Fluxes have rows; every year is
there; pixels were processed and none had an error; ErrorDimension is empty; no ``(fatal)`` and no GDAL
``ERROR n:`` line; "SQLite insert complete." was seen; area and pixels equal the rasters'.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from flint_ml.errors import FlintError
from flint_ml.gcbm.moja_cli.database import Content, Landscape, content_of
from flint_ml.gcbm.moja_cli.errors import CAUSES, EARLY, LATE, Cause, Evidence, short
from flint_ml.gcbm.moja_cli.follow import Finished
from flint_ml.gcbm.moja_cli.logbook import Logbook
from flint_ml.gcbm.project.problems import Problem

RELATIVE = 1e-9


@dataclass(frozen=True)
class Run:
    """Everything that the verdict looks at. ``expected`` is None where the layers could not be counted."""

    finished: Finished
    log: Logbook
    database: Path
    years: list[int]
    expected: Landscape | None
    part: bool = False
    classifiers: int = 1
    foretold: tuple[str, ...] = ()
    printed: str = ""


def judge(run: Run) -> list[Problem]:
    """Every reason why the run does not count, the most telling first; empty when it does."""
    if ended := _ended(run):
        return [ended, *_causes(run, None)]
    if run.finished.code != 0:
        return _stopped_itself(run)
    if run.printed and not run.log.tail and not run.database.exists():
        return [
            _problem(
                "gcbm-flint-not-started",
                "moja.cli printed its usage and ended: it did not get its configuration",
                "check that the executable is moja global's moja.cli",
            )
        ]
    content, unreadable = _look(run.database)
    if run.part and content is None and run.log.nothing_to_load and not run.log.pixels.errors:
        return []  # a part without data writes no database, and that is right
    found = [*_causes(run, content), *unreadable, *_signs(run, content)]
    return list(dict.fromkeys(found))


def _problem(code: str, message: str, hint: str = "", where: str = "moja.cli") -> Problem:
    return Problem("error", code, message, where, hint)


def _ended(run: Run) -> Problem | None:
    """It was killed, or crashed."""
    done = run.finished
    progress = f"after {run.log.blocks} of {run.log.queued or '?'} blocks, {done.seconds:.0f} s"
    if done.stopped == "timeout":
        return _problem(
            "gcbm-flint-timeout",
            f"moja.cli was stopped: it took longer than allowed ({progress})",
            "allow more time, more threads, or split the project into parts (plan)",
        )
    if done.stopped == "quiet":
        return _problem(
            "gcbm-flint-timeout",
            f"moja.cli was stopped: its log stood still ({progress})",
            "allow a longer silence if single blocks take that long; else look at the end of the log",
        )
    if done.code == 139:
        several = (
            f" This project has {run.classifiers} classifiers, and the current public sources crash on two or more: "
            "the order of the cache keys in the growth curve and transition rule transforms is no strict weak order."
            if run.classifiers > 1
            else ""
        )
        several += "".join(f" Told before the run: {text}." for text in run.foretold)
        return _problem(
            "gcbm-flint-segfault",
            f"moja.cli crashed with a segmentation fault (exit code 139, {progress}).{several}",
            ("tile the layers to whole tiles (--fix writes a repaired copy); else " if run.foretold else "")
            + "use a build in which these keys are compared value by value (no number changes), or engine: embedded",
        )
    if done.code == 137 or any("allocate memory" in line or "bad_alloc" in line for line in run.log.evidence()):
        return _problem(
            "gcbm-flint-memory",
            f"moja.cli was killed (exit code 137, {progress}, {done.peak_mb:.0f} MB at most): somebody ended it, or "
            "the machine ran out of memory",
            "use fewer threads, split the project into parts (plan), or take a larger runner",
        )
    if done.code > 128:
        return _problem(
            "gcbm-flint-killed",
            f"moja.cli was ended by signal {done.code - 128} ({progress})",
            "run it again; if it happens again, look at the end of the log",
        )
    return None


def _stopped_itself(run: Run) -> list[Problem]:
    """An exit code of its own: before the simulation, or after all of it when the results cannot be written."""
    late = run.log.summary is not None or run.log.loading
    evidence = Evidence([*run.log.evidence(), *run.log.bare])
    for cause in LATE if late else EARLY:
        if problem := cause.find(evidence):
            if cause.code == "gcbm-flint-output-database" and not run.database.parent.is_dir():
                return [Cause.of(LATE, "gcbm-flint-output-folder").problem("")]
            return [problem]
    text = next(iter([*run.log.fatal, *run.log.bare, *run.log.tail[-1:]]), "no message")
    when = "after the simulation" if late else "before any block was done" if not run.log.blocks else "half-way"
    return [
        *(problem for problem in _causes(run, None) if problem.code != "gcbm-flint-fatal"),
        _problem(
            "gcbm-flint-exit",
            f"moja.cli ended with exit code {run.finished.code} {when}: {text}",
            "look at the end of its log",
        ),
    ]


def _look(path: Path) -> tuple[Content | None, list[Problem]]:
    if not path.is_file():
        return None, []
    try:
        return content_of(path), []
    except (sqlite3.Error, FlintError) as error:
        text = error.message if isinstance(error, FlintError) else str(error)
        return None, [_problem("gcbm-flint-output-database", f"the result database is damaged: {text}", "run again")]


def _causes(run: Run, content: Content | None) -> list[Problem]:
    """What the log's and the database's own words say."""
    evidence = Evidence([*run.log.evidence(), *(content.errors if content else [])])
    found = [problem for cause in CAUSES if (problem := cause.find(evidence))]
    if run.log.nothing_to_load and not evidence.lines and not run.log.pixels.errors:
        found.append(
            _problem(
                "gcbm-flint-no-data",
                'moja.cli found no pixel with data ("No data to load."): there is no result, and it exits with 0',
                "check the tile indices, the layers' extent, nodata and attributes",
            )
        )
    harmless = {short(line) for line in run.log.errors}  # (error) lines alone do not make a run fail
    if rest := [line for line in evidence.rest() if line not in harmless]:
        found.append(
            _problem("gcbm-flint-fatal", f"moja.cli reported: {'; '.join(rest[:5])}", "look for these lines in the log")
        )
    return found


def _signs(run: Run, content: Content | None) -> list[Problem]:
    """Numbers that must be right whatever the log says."""
    units, found = run.log.pixels, []
    if units.errors:
        found.append(
            _problem(
                "gcbm-flint-pixel-errors",
                f"{units.errors} of {units.total} pixels ended in an error",
                "they are missing in the result; see the other messages for the cause",
            )
        )
    elif not units.processed and not run.log.nothing_to_load:
        found.append(_problem("gcbm-flint-no-pixels", "moja.cli processed no pixel", "look at the end of its log"))
    if run.log.queued and run.log.blocks < run.log.queued:
        text = f"only {run.log.blocks} of {run.log.queued} blocks were finished"
        found.append(_problem("gcbm-flint-blocks", text, "the rest of a block is dropped after some errors"))
    if content is None:
        if not run.log.nothing_to_load:
            text = f"there is no {run.database.name} where the configuration wants it, although moja.cli exited with 0"
            found.append(_problem("gcbm-flint-no-database", text, "look at the end of its log"))
        return found
    if not run.log.inserted:
        text = 'the log does not say "SQLite insert complete.": the database may be half-written'
        found.append(_problem("gcbm-flint-no-insert", text, "free disk space and run again"))
    return [*found, *_content(run, content)]


def _content(run: Run, content: Content) -> list[Problem]:
    found = []
    empty = [name for name in ("Pools", "Fluxes") if not content.rows.get(name)]
    if content.missing or empty:
        named = [f"no table {name}" for name in content.missing] + [
            f"no rows in {n}" for n in empty if n in content.rows
        ]
        found.append(_problem("gcbm-flint-empty", f"the result is incomplete: {', '.join(named)}", "run again"))
    lost = [year for year in (0, *run.years) if year not in content.area]
    if lost and content.area:
        names = ", ".join("the state after spinup" if year == 0 else str(year) for year in lost)
        found.append(_problem("gcbm-flint-years", f"the result lacks {names}", "look at the end of the log"))
    if content.errors and not run.log.pixels.errors:
        text = f"the result's ErrorDimension has {len(content.errors)} rows: pixels ended in an error"
        found.append(_problem("gcbm-flint-pixel-errors", text, "they are missing in the result"))
    return [*found, *_area(run, content)]


def _area(run: Run, content: Content) -> list[Problem]:
    if not content.area:
        return []
    found = []
    last = content.area[max(content.area)]
    worst = max(content.area, key=lambda year: abs(content.area[year] - last))
    if abs(content.area[worst] - last) > RELATIVE * abs(last):
        text = f"the area changes: {content.area[worst]:.10g} ha in year {worst}, {last:.10g} ha at the end"
        found.append(_problem("gcbm-flint-area", text, "pixels in error leave the result and count twice in year 0"))
    if run.expected is None:
        return found
    wanted = run.expected
    if abs(last - wanted.area_ha) > RELATIVE * max(abs(wanted.area_ha), 1e-30):
        text = f"the result covers {last:.10g} ha, the layers {wanted.area_ha:.10g} ha ({wanted.pixels} pixels)"
        hint = "pixels are missing; a sampling_interval in LocalDomain.settings also does this"
        found.append(_problem("gcbm-flint-area", text, hint))
    elif run.log.pixels.processed and run.log.pixels.processed != wanted.pixels:
        text = f"moja.cli processed {run.log.pixels.processed} pixels, the layers have {wanted.pixels}"
        found.append(_problem("gcbm-flint-area", text, "compare the layers with those that moja.cli reads"))
    return found
