"""What a report is about: this run's records, or those of another run (two workflows, for forks).

The artifact of another run is treated as hostile: limited in size, count and kinds of file, no path is believed, and
the pull request is found from what GitHub says of the run, never from what the run wrote.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from flint_ml.github import GitHub, expected_shape, runs
from flint_ml.hashing import write_atomically
from flint_ml.record import MAX_BYTES, MAX_RECORDS, NAME_PATTERN
from flint_ml.report.figures import MAX_PICTURE, is_png

MAX_FILES = 6_000
MAX_TOTAL = 100 * 1024 * 1024
_RECORD = re.compile(r"(?P<name>[^/]+)\.json\Z")
_PICTURE = re.compile(r"(?P<folder>[^/]+)/(?P<file>[^/]+\.png)\Z")
_NAME = re.compile(NAME_PATTERN)
_OURS = ("post-report",)


@dataclass(frozen=True)
class ReportSource:
    """The run and commit that a report is about, and the pull request that it goes to.

    Attributes
    ----------
    watched
        Whether a newer head of the pull request makes the report stale.
    fork
        The change comes from another repository: nothing of its run is to be trusted.
    problems
        What could not be read of the run's results.
    """

    head_sha: str | None
    run_id: str | None
    run_attempt: int = 1
    run_number: int = 0
    run_url: str | None = None
    pull: int | None = None
    base_name: str = "base"
    watched: bool = False
    fork: bool = False
    problems: tuple[str, ...] = ()
    note: str = ""


def relayed(github: GitHub, run_id: int, artifact: str, results_dir: Path) -> ReportSource:
    """The other run ``run_id``: its pull request, and its records brought into ``results_dir``.

    Raises
    ------
    InputError, OutsideError
        If the run is not there, may not be read, or GitHub is not to be had.
    """
    with expected_shape(f"workflow run {run_id}"):
        run = runs.find_run(github, run_id)
        pull = runs.find_pull(github, run)
        data = runs.download(github, run, artifact)
    problems = [f"the run left no artifact {artifact}"] if data is None else unpack(data, results_dir)
    note = "" if pull else "No open pull request has this run's commit as its head: it is closed or has moved on."
    return ReportSource(
        head_sha=run.head_sha,
        run_id=str(run.run_id),
        run_attempt=run.attempt,
        run_number=run.number,
        run_url=run.url,
        pull=int(pull["number"]) if pull else None,
        base_name=str(pull["base"]["ref"]) if pull else "base",
        watched=True,
        fork=run.head_repository != github.repository,
        problems=tuple(problems),
        note=note,
    )


def unpack(data: bytes, results_dir: Path) -> list[str]:
    """Write the records and pictures of a zip file into ``results_dir``; returns what was left out, as sentences.

    Only ``<name>.json`` and ``<name>/<file>.png`` are taken, each under a name of plain letters, within limits of
    size and number that hold for what is unpacked and not for what the archive says.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, OSError):
        # A damaged directory says "version 6.4" or points outside the file.
        return ["the artifact is not a zip file"]
    problems: list[str] = []
    total = 0
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MAX_FILES:
        problems.append(f"the artifact has {len(entries)} files; the first {MAX_FILES} are looked at")
    records = 0
    for entry in entries[:MAX_FILES]:
        target, limit = _target(entry.filename)
        if target is None:
            continue
        content = _read(archive, entry, min(limit, MAX_TOTAL - total))
        if content is None:
            problems.append(f"{target}: is too large, encrypted or damaged")
            continue
        total += len(content)
        if target.endswith(".json"):
            records += 1
            if records > MAX_RECORDS:
                continue
        elif not is_png(content):
            continue
        write_atomically(results_dir / target, content)
    return problems


def _target(name: str) -> tuple[str | None, int]:
    """Where a file of the archive goes, and how large it may be; None: it is not one of ours."""
    if match := _RECORD.fullmatch(name):
        fine = bool(_NAME.match(match["name"])) and match["name"] not in _OURS
        return (name, MAX_BYTES) if fine else (None, 0)
    if match := _PICTURE.fullmatch(name):
        fine = bool(_NAME.match(match["folder"]) and _NAME.match(match["file"]))
        return (name, MAX_PICTURE) if fine else (None, 0)
    return None, 0


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes | None:
    try:
        # RuntimeError: encrypted, or packed in a way that Python does not know.
        with archive.open(entry) as stream:
            content = stream.read(limit + 1)
    except (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, zlib.error):
        return None
    return content if len(content) <= limit else None
