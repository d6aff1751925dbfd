"""One GCBM simulation, by either engine or from parts: what run-gcbm and its comparison with the base both need."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flint_ml.errors import InputError, OutsideError
from flint_ml.gcbm.project.config import Project, load_project
from flint_ml.gcbm.project.problems import FLINT_HINT, Problem, stop
from flint_ml.gcbm.results.indicators import Table
from flint_ml.gcbm.results.tables import result_tables, years_of
from flint_ml.hashing import staged_folder

if TYPE_CHECKING:
    from flint_ml.gcbm.engine.aggregate import Check, Result
    from flint_ml.gcbm.results.maps import MapRequest

Kind = Literal["embedded", "flint"]
DATABASE = "gcbm_output.db"
ABOUT = "run.json"
LEAST_MEMORY = 250 * 2**20
Say = Callable[[str], None]


@dataclass
class Simulated:
    """A finished run.

    ``source`` is the embedded engine's result, or the database that ``moja.cli`` wrote. ``tables`` are those of
    ``gcbm.report.tables.result_tables``; ``maps`` are GeoTIFFs by (layer, year); ``fingerprint`` holds the hashes of
    configuration, database and layers.
    """

    kind: Kind
    engine: str
    source: Result | Path
    tables: dict[str, Table]
    checks: list[Check]
    pixels: int | None = None
    stands: int | None = None
    maps: dict[tuple[str, int], Path] = field(default_factory=dict)
    fingerprint: dict[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> Table:
        return self.tables["indicators"]

    @property
    def years(self) -> list[int]:
        return years_of(self.table)

    @property
    def area_ha(self) -> float:
        return float(self.table.column("area_ha")[-1])


def open_project(path: Path, config_dir: str = "") -> Project:
    """The project at ``path`` (folder or zip).

    Raises
    ------
    InputError
        There is no project, or more than one; its configuration cannot be read.
    """
    if not config_dir:
        try:
            return load_project(path)
        except InputError as error:
            _of_zip(error, path)
            raise
    if path.is_file():
        raise InputError(
            "cannot be used with a zip file",
            where="config-dir",
            hint="unpack it, or zip one project only",
            code="invalid-input",
        )
    return load_project(path / config_dir)


def close_project(project: Project, given: Path) -> None:
    """Remove the folder that a zip was unpacked to."""
    folder = _unpacked(project.root) if given.is_file() else None
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _unpacked(path: Path) -> Path | None:
    """The temporary folder of an unpacked zip that ``path`` lies in."""
    temporary = Path(tempfile.gettempdir()).resolve()
    places = [path.resolve(), *path.resolve().parents]
    return next((p for p in places if p.parent == temporary and p.name.startswith("gcbm-")), None)


def _of_zip(error: InputError, given: Path) -> None:
    """Name the zip instead of the folder that it was unpacked to, and remove that."""
    folder = _unpacked(Path(error.where)) if given.is_file() and error.where else None
    if folder is not None and error.where is not None:
        error.where = error.where.replace(str(folder), given.name)
        shutil.rmtree(folder, ignore_errors=True)


def parse_memory(text: str) -> int | None:
    """``2GB`` or ``800MB`` in bytes; None where nothing is given."""
    if not text:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([MG])i?B?\s*", text, re.IGNORECASE)
    if not match:
        raise InputError(f"{text!r} is not an amount of memory", where="max-memory", hint="write 800MB or 2GB")
    given = int(float(match[1]) * (1 << (20 if match[2].upper() == "M" else 30)))
    if given < LEAST_MEMORY:
        raise InputError(
            f"{text.strip()} is too little: Python and its libraries alone take about 210MB",
            where="max-memory",
            hint="give 250MB or more, or split the landscape into jobs (`plan`)",
            code="invalid-input",
        )
    return given


def choose_engine(
    wanted: str, project: Project, moja_cli: str, problems: Sequence[Problem] | None = None
) -> tuple[Kind, str]:
    """Which engine runs ``project``, and for ``flint`` the program's path.

    ``problems``: what ``validate`` found, which is asked where they are not given; so `--check`, doctor and the choice
    have one judge.

    Raises
    ------
    InputError
        The project uses what the embedded engine does not implement, and there is no ``moja.cli``.
    """
    if wanted == "embedded":
        return "embedded", ""
    from flint_ml.gcbm.moja_cli.locate import find_moja_cli, require_moja_cli

    if wanted == "flint":
        return "flint", str(require_moja_cli(moja_cli))
    from flint_ml.gcbm.project.validation import validate

    found = validate(project, pixels=False) if problems is None else problems
    missing = [problem for problem in found if problem.severity == "unsupported"]
    program = find_moja_cli(moja_cli) if missing else None
    if program:
        return "flint", str(program)
    where = project.relative(project.config_dir)
    stop(
        missing,
        "the embedded engine does not implement all that this project uses, and there is no moja.cli here",
        hint=FLINT_HINT,
        code="gcbm-unsupported",
        where=where,
    )
    return "embedded", ""


def refuse_faults(project: Project, problems: list[Problem]) -> None:
    """Stop with the whole list where a project cannot be run."""
    errors = [problem for problem in problems if problem.severity == "error"]
    repaired = sum("--fix" in problem.hint for problem in errors)
    hint = "correct these; `flint-ml run-gcbm --check` lists them, with the warnings, in seconds"
    if repaired:
        which = "these" if repaired == len(errors) else f"{repaired} of these"
        hint = f"`flint-ml run-gcbm PROJECT --fix FOLDER` writes a copy with {which} corrected, which then runs; {hint}"
    stop(
        errors,
        "this project cannot be run",
        hint=hint if repaired < len(errors) or not repaired else hint.partition("; correct")[0],
        code="gcbm-project",
        where=project.relative(project.config_dir),
    )


def run_embedded(
    project: Project,
    *,
    maps: MapRequest | None = None,
    max_memory: int | None = None,
    skip_missing_matrices: bool = False,
    say: Say | None = None,
) -> Simulated:
    """Run ``project`` with the embedded engine."""
    from flint_ml.gcbm.engine.run import fingerprint, run

    result = run(
        project,
        maps=maps,
        max_memory=max_memory,
        skip_missing_matrices=skip_missing_matrices,
        progress=_progress(say) if say else None,
    )
    simulated = of_result(result)
    simulated.maps = dict(maps.files) if maps else {}
    simulated.fingerprint = fingerprint(project)
    return simulated


def run_moja_cli(project: Project, program: str, work: Path, say: Say | None = None) -> tuple[Simulated, list[Problem]]:
    """Run ``project`` with ``moja.cli``; the second part is what it warned of."""
    from flint_ml.gcbm.moja_cli import run_flint
    from flint_ml.gcbm.results.database_checks import table_checks

    done = run_flint(project, moja_cli=program or None, work=work / "flint", progress=_progress(say) if say else None)
    tables = result_tables(done.db)
    checks = table_checks(tables["indicators"])
    return Simulated("flint", done.engine, done.db, tables, checks, done.pixels), done.messages


def of_result(result: Result) -> Simulated:
    """A result of the embedded engine, from one run or merged.

    Raises
    ------
    InputError
        No pixel is left in the last year.
    """
    tables = result_tables(result)
    if result.years[-1] not in tables["indicators"].column("year"):
        failed = [check.message for check in result.checks if check.status == "failed"]
        raise InputError(
            "\n- ".join([f"no pixel is left in {result.years[-1]}:", *failed]),
            where="project",
            hint="`flint-ml run-gcbm --check` says which classifiers lack a growth curve",
            code="gcbm-no-pixels",
        )
    return Simulated(
        "embedded",
        result.engine,
        result,
        tables,
        result.checks,
        result.pixels,
        result.stands,
        fingerprint=result.fingerprint,
    )


def _progress(say: Say) -> Callable[[str, int, int], None]:
    """Progress in at most a dozen lines."""
    last = {"share": -1}

    def tell(what: str, done: int, of: int) -> None:
        share = 10 * done // max(1, of)
        if of > 1 and share != last["share"]:
            last["share"] = share
            say(f"{what}: {done:,} of {of:,}")

    return tell


def with_params(project: Project, params: Mapping[str, Any], work: Path) -> Project:
    """``project`` with parameters replaced in a copy of its database; the project itself where there are none."""
    if not params:
        return project
    from flint_ml.gcbm.project.overrides import apply, with_database

    return with_database(project, apply(project, params, folder=work))


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder for a run's files; when the block ends well, they replace those of the same names in ``target``.

    ``run.json`` comes last: where it lies, all files are of one run.

    Raises
    ------
    OutsideError
        The disk is full, or the folder cannot be written.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        with staged_folder(target, ABOUT) as folder:
            yield folder
    except OutsideError as error:  # name the file's place, not the folder that is gone
        error.where = error.where and error.where.replace(str(part), str(target))
        raise
    except OSError as error:
        raise OutsideError(
            f"the results cannot be written: {error.strerror or error}",
            where=str(error.filename or target).replace(str(part), str(target)),
            hint="free disk space, or choose a writable output-dir",
            code="gcbm-output",
        ) from None


def write_outputs(simulated: Simulated, folder: Path, metrics: str, about: str, parquet: bool) -> None:
    """Database, tables, metrics and description of a run into ``folder``."""
    from flint_ml.gcbm.results.tables import csv_text, parquet_bytes

    if isinstance(simulated.source, Path):
        shutil.move(simulated.source, folder / DATABASE)
    else:
        from flint_ml.gcbm.results.output_db import write_database

        write_database(simulated.source, folder / DATABASE)
    for name, table in simulated.tables.items():
        (folder / f"{name}.csv").write_text(csv_text(table), encoding="utf-8", newline="")
        if parquet:
            (folder / f"{name}.parquet").write_bytes(parquet_bytes(table))
    (folder / "metrics.json").write_text(metrics, encoding="utf-8")
    (folder / ABOUT).write_text(about, encoding="utf-8")


OWN_MAPS = "project"


def map_request(
    spatial: list[str], project: Project, folder: Path, extra: list[tuple[str, int]]
) -> tuple[MapRequest | None, list[Problem]]:
    """What to map for the input ``spatial`` and for the figures; which of the project's own maps are not written.

    An entry of ``spatial`` is ``layer``, ``layer:year`` or ``layer:all``, with ``project`` for the project's own maps.
    """
    from flint_ml.gcbm.results.maps import MapRequest

    years = project.years
    wanted = [*wanted_maps(spatial, years), *extra]
    own = _own_years(spatial, years)
    if not wanted and own is None:
        return None, []
    layers = list(dict.fromkeys(name for name, _ in wanted))
    request = MapRequest(folder, layers, sorted({year for _, year in wanted}))
    if own is None:
        return request, []
    from flint_ml.gcbm.results.configured_maps import MODULE, configured_maps

    request.configured, refused = configured_maps(project, folder / OWN_MAPS, own)
    where = project.source("Modules", MODULE)
    hint = "moja.cli (`engine: flint`) writes it"
    return request, [Problem("warning", "gcbm-maps", f"map not written: {text}", where, hint) for text in refused]


def wanted_maps(spatial: list[str], years: list[int]) -> list[tuple[str, int]]:
    """(layer, year) of each map of ours that the input ``spatial`` asks for; the last year where none is said."""
    found: list[tuple[str, int]] = []
    for item in spatial:
        name, chosen = _map_years(item, years)
        if name != OWN_MAPS:
            found += [(name, year) for year in chosen or years[-1:]]
    return list(dict.fromkeys(found))


def _own_years(spatial: list[str], years: list[int]) -> list[int] | None:
    """Years of the project's own maps, None where they are not asked for; all where no year is said."""
    asked = [chosen or years for name, chosen in (_map_years(item, years) for item in spatial) if name == OWN_MAPS]
    return sorted({year for chosen in asked for year in chosen}) if asked else None


def _map_years(item: str, years: list[int]) -> tuple[str, list[int]]:
    """Name and years of one entry of ``spatial``; no years where it says none."""
    name, _, text = item.partition(":")
    if text.strip() == "all":
        return name.strip(), years
    if text.strip() and not text.strip().isdecimal():
        raise InputError(
            f"{item!r} is no map",
            where="spatial",
            hint="write layer, layer:year or layer:all; `project` for the maps that the project configures",
            code="gcbm-maps",
        )
    return name.strip(), [int(text)] if text.strip() else []
