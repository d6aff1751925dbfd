"""Run a project with ``moja.cli`` from beginning to end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from flint_ml.errors import FlintError, InputError, OutsideError
from flint_ml.gcbm.moja_cli.database import Landscape, landscape
from flint_ml.gcbm.moja_cli.follow import Finished, follow
from flint_ml.gcbm.moja_cli.locate import environment, require_moja_cli, version_of
from flint_ml.gcbm.moja_cli.logbook import Logbook
from flint_ml.gcbm.moja_cli.preflight import preflight
from flint_ml.gcbm.moja_cli.prepare import Prepared, prepare
from flint_ml.gcbm.moja_cli.verdict import Run, judge
from flint_ml.gcbm.project.config import Project
from flint_ml.gcbm.project.grid import BlockId
from flint_ml.gcbm.project.problems import Problem, stop
from flint_ml.gcbm.project.variables import NullVariableError

ENGINE = "moja.cli"
LOG = "moja-cli.log"
# Just under the six hours of a hosted runner's job, so that the message still comes.
TIMEOUT = 5.75 * 3600.0
QUIET = 2 * 3600.0
# What the user cannot mend in the project: exit code 3.
OUTSIDE = {
    f"gcbm-flint-{name}"
    for name in ("timeout", "segfault", "memory", "killed", "output-database", "output-folder", "no-insert", "exit")
}
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FlintRun:
    """A result of ``moja.cli`` that counts.

    ``db``: the aggregator's database; ``output``: its folder, with the GeoTIFFs that the configuration asks
    for. ``version``: sha256 of executable and libraries. ``messages``: warnings. ``empty``: a part of a
    project whose blocks hold no data; then there is no database, and that is right.
    """

    db: Path
    version: dict[str, str]
    messages: list[Problem]
    output: Path
    log: Path
    pixels: int
    seconds: float
    peak_mb: float
    empty: bool = field(default=False)

    @property
    def engine(self) -> str:
        """Name for the record: two results are comparable only where it is equal."""
        return f"{ENGINE} sha256:{self.version[ENGINE][:12]}"


def run_flint(
    project: Project,
    *,
    moja_cli: str | None,
    work: Path,
    progress: Progress | None = None,
    threads: int | None = None,
    timeout: float | None = TIMEOUT,
    quiet: float | None = QUIET,
    blocks: Sequence[str | BlockId] | None = None,
) -> FlintRun:
    """Run a project with the C++ engine.

    Parameters
    ----------
    project
        From ``load_project``; it is not touched.
    moja_cli
        Path of the executable or its folder; None searches the PATH.
    work
        Folder for the results (``output/``) and the log (``moja-cli.log``). A failed run leaves the log and
        whatever was in ``output/`` before.
    progress
        Called with (what, blocks done, of).
    threads
        Worker threads; default: one for each core.
    timeout, quiet
        Seconds after which the run is stopped: in all, and without a line in the log.
    blocks
        Only these blocks (``tile:block``): a part of a matrix of jobs.

    Raises
    ------
    InputError
        No ``moja.cli``; the project would fail or did fail (everything is listed, each with its own code).
    OutsideError
        It crashed, ran out of memory or time, was killed, or its results could not be written.
    """
    binary = require_moja_cli(moja_cli)
    problems = preflight(project, binary)
    errors = [problem for problem in problems if problem.severity == "error"]
    headline = "moja.cli would fail on this project"
    code = errors[0].code if errors else ""
    stop(errors, headline, hint=(errors[0].hint or "mend what is listed") if errors else "", code=code)
    expected, messages = _expected(project, blocks)
    work.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".flint-", dir=work))
    try:
        prepared = prepare(project, scratch, threads=threads, blocks=blocks)
        log, finished = _execute(binary, prepared, work / LOG, progress, timeout=timeout, quiet=quiet)
        run = Run(
            finished=finished,
            log=log,
            database=prepared.database,
            years=project.years,
            expected=expected,
            part=blocks is not None,
            classifiers=_classifiers(project),
            foretold=tuple(p.message for p in problems if p.code == "gcbm-layer-part-of-tile"),
            printed=(work / LOG).with_suffix(".stdout").read_text(encoding="utf-8", errors="replace").strip(),
        )
        if found := judge(run):
            raise _failure(found, log, work / LOG)
        output = _publish(prepared.output, work / "output")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):
            (work / LOG).with_suffix(".stdout").unlink()
    database = output / prepared.database.name
    return FlintRun(
        database,
        version_of(binary),
        [*(p for p in problems if p.severity != "error"), *messages],
        output,
        work / LOG,
        log.pixels.processed,
        finished.seconds,
        finished.peak_mb,
        empty=not database.is_file(),
    )


def _expected(project: Project, blocks: Sequence[str | BlockId] | None) -> tuple[Landscape | None, list[Problem]]:
    """What the layers hold; a warning where it cannot be counted."""
    try:
        return landscape(project, blocks), []
    except (FlintError, NullVariableError) as error:
        text = error.message if isinstance(error, FlintError) else str(error)
        message = f"the result's area could not be held against the layers: {text}"
        return None, [Problem("warning", "gcbm-flint-area-unknown", message, project.source("Providers"))]


def _classifiers(project: Project) -> int:
    entry = project.section("Variables").get("initial_classifier_set")
    transform = entry.get("transform") if isinstance(entry, dict) else None
    return len(transform.get("vars") or []) if isinstance(transform, dict) else 1


def _execute(
    binary: Path,
    prepared: Prepared,
    log: Path,
    progress: Progress | None,
    *,
    timeout: float | None,
    quiet: float | None,
) -> tuple[Logbook, Finished]:
    book = Logbook()

    def on_line(line: str) -> None:
        if book.read(line) and progress is not None:
            progress("simulated blocks", book.blocks, max(book.queued, book.blocks))

    finished = follow(
        [str(binary), *prepared.arguments],
        folder=prepared.folder,
        env=environment(binary),
        log=log,
        on_line=on_line,
        timeout=timeout,
        quiet=quiet,
    )
    book.close()
    return book, finished


def _failure(found: list[Problem], log: Logbook, path: Path) -> InputError | OutsideError:
    """One error with every reason; the first one gives code and advice."""
    first = found[0]
    lines = [f"the run of moja.cli does not count ({len(found)}):" if len(found) > 1 else ""]
    lines += [f"- {p.message}" if len(found) > 1 else p.message for p in found]
    if first.code in {"gcbm-flint-exit", "gcbm-flint-killed"} and log.tail:
        lines += ["its last lines:", *(f"  {line}" for line in log.tail[-5:])]
    kind = OutsideError if first.code in OUTSIDE else InputError
    hint = first.hint or "look at the end of its log"
    return kind("\n".join(filter(None, lines)), where=path.name, hint=hint, code=first.code)


def _publish(made: Path, target: Path) -> Path:
    """Move a whole output folder into place."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.replace(old)
    made.replace(target)
    shutil.rmtree(old, ignore_errors=True)
    return target
