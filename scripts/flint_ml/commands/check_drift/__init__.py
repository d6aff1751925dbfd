"""check-drift: has a new batch of data drifted from a trusted reference?"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from flint_ml.errors import InputError
from flint_ml.record import MARKS, Figure, Finding, Input
from flint_ml.runner import Action, GateInputs, Job, Outcome, dashed, suggestion

if TYPE_CHECKING:
    from flint_ml.drift.base_reference import Trusted
    from flint_ml.drift.check import Result
    from flint_ml.drift.rules import ColumnRules, Rules
    from flint_ml.drift.tables.reading import Source

BADGE = "Data Drift Check"
ADVICE = "check the instrument or region of the new data; if the difference is meant, update the reference"
# Files above get a sha256 rather than DVC's md5: hashing would otherwise take as long as comparing.
_LARGE = 32 * 1024 * 1024
Choice = Literal["ks", "wasserstein", "psi", "chi2", "missing", "spectra", "multivariate"]


class ColumnSetting(BaseModel):
    """What holds for one column, or for all that match a pattern such as `nm_*`."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=dashed, populate_by_name=True)

    test: Literal["auto", "ks", "chi2", "wasserstein", "psi", "none"] = Field(
        "auto", description="Test of this column; `none` leaves its values out of the comparison."
    )
    min_effect: float | None = Field(None, ge=0, description="Smallest effect that counts here.")
    kind: Literal["auto", "numeric", "category"] = Field(
        "auto", description="Read the column as numbers or as categories, whatever it looks like."
    )
    range: tuple[float, float] | None = Field(None, description="Smallest and largest number that is allowed.")
    allowed: list[str] | None = Field(None, description="Categories that are allowed.")


class CheckDriftInputs(GateInputs):
    """Inputs of check-drift."""

    reference: str = Field(
        description="The trusted table: CSV (also .gz, .bz2, .zst, .zip), Parquet or Excel (.xlsx); a folder or "
        "pattern of such files, of the same columns; an address (`s3://`, `gs://`, `az://`, `https://`); a profile by "
        "`flint-ml drift-profile`; or GeoTIFF rasters."
    )
    reference_rev: str = Field(
        "", description="Revision to take the reference from, through Git or DVC, such as `main`."
    )
    current: str = Field(description="The new table to compare with it: a file, folder, pattern or address.")
    columns: dict[str, ColumnSetting] | list[str] = Field(
        default_factory=list,
        description="Columns to compare, names or patterns like `nm_*` (default: all common). In flint-ml.yml also a "
        "mapping from names or patterns to settings (`test`, `min-effect`, `kind`, `range`, `allowed`); then all "
        "common columns are compared.",
    )
    exclude: list[str] = Field(default_factory=list, description="Columns to leave out, names or patterns.")
    tests: list[Choice] = Field(
        default=["ks", "chi2", "missing", "spectra", "multivariate"],
        description="Tests to make: one of `ks`, `wasserstein`, `psi` for numbers; `chi2` for categories and numbers "
        "of few values; `missing` for the share of missing values; `spectra` for bands as a whole; `multivariate` for "
        "all columns together.",
    )
    alpha: float = Field(0.05, gt=0, lt=1, description="Chance of a false alarm for the whole table.")
    correction: Literal["holm", "benjamini-hochberg", "none"] = Field(
        "holm", description="Correction for many columns: `holm`, `benjamini-hochberg` or `none`."
    )
    min_effect: float = Field(
        0.1,
        ge=0,
        description="Smallest effect that counts: KS distance D, Cramér's V, difference of missing shares.",
    )
    groups: list[str] = Field(
        default_factory=list,
        description="Columns that say which samples belong together (site, profile); whole groups are then permuted.",
    )
    coordinates: list[str] = Field(
        default_factory=list,
        description="Two columns, x and y: samples of one square of `block-size` belong together.",
    )
    block_size: float | None = Field(
        None, gt=0, description="Side of these squares, and of the blocks of rasters, in the unit of the coordinates."
    )
    mask: str = Field("", description="Raster that says which cells count: not those where it is 0 or nodata.")
    engine: Literal["auto", "memory", "stream", "dask"] = Field(
        "auto",
        description="How tables are read: held in `memory`, scanned in bounded memory (`stream`), or scanned by the "
        "workers of a `dask` cluster; the numbers are the same. `auto` scans what would take half of the free memory.",
    )
    scheduler: str = Field("", description="Address of the Dask scheduler for `engine: dask`, `tcp://host:8786`.")
    figures: Literal["auto", "none"] = Field("auto", description="Draw figures, or none.")

    @field_validator("columns", mode="before")
    @classmethod
    def _settings(cls, value: Any) -> Any:
        """Check a mapping here, so that the message names the column and the key."""
        if not isinstance(value, Mapping):
            return value
        return {str(name): _setting(str(name), entry or {}) for name, entry in value.items()}

    @field_validator("tests")
    @classmethod
    def _one_numeric(cls, value: list[Choice]) -> list[Choice]:
        numeric = [name for name in value if name in {"ks", "wasserstein", "psi"}]
        if len(numeric) > 1:
            raise ValueError(f"{' and '.join(numeric)} test the same columns; name one of them")
        return value


def _setting(name: str, entry: Any) -> ColumnSetting:
    if isinstance(entry, ColumnSetting):
        return entry
    try:
        return ColumnSetting.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = str(first["loc"][-1]) if first["loc"] else ""
        hint = suggestion(key, [dashed(field) for field in ColumnSetting.model_fields])
        if first["type"] != "extra_forbidden":
            hint = "see the inputs table"
        raise InputError(
            f"`{key}`: {first['msg']}", where=f"check-drift: columns.{name}", hint=hint, code="invalid-input"
        ) from None


def rules_of(inputs: CheckDriftInputs) -> Rules:
    """The rules that the inputs mean."""
    from flint_ml.drift.rules import Rules

    mapping = inputs.columns if isinstance(inputs.columns, dict) else {}
    return Rules(
        alpha=inputs.alpha,
        correction=inputs.correction,
        min_effect=inputs.min_effect,
        tests=tuple(inputs.tests),
        only=() if isinstance(inputs.columns, dict) else tuple(inputs.columns),
        exclude=tuple(inputs.exclude),
        groups=tuple(inputs.groups),
        coordinates=tuple(inputs.coordinates),
        block_size=inputs.block_size,
        columns={name: _column_rules(setting) for name, setting in mapping.items()},
    )


def _column_rules(setting: ColumnSetting) -> ColumnRules:
    from flint_ml.drift.rules import ColumnRules

    allowed = None if setting.allowed is None else tuple(setting.allowed)
    return ColumnRules(setting.test, setting.min_effect, setting.kind, setting.range, allowed)


def run(inputs: CheckDriftInputs, job: Job) -> Outcome:
    """Read both tables, compare them, say what differs."""
    from flint_ml.commands.check_drift.rasters import compare_rasters, draw_maps, reported
    from flint_ml.drift.report import summary
    from flint_ml.drift.tables.sources import is_remote, shown

    rules, places = rules_of(inputs), (inputs.reference, inputs.current, inputs.mask)
    rasters = None
    if not is_remote(inputs.reference) and not is_remote(inputs.current):
        rasters = compare_rasters(job, rules, places, inputs.reference_rev, lambda: _base_commit(job))
    names = (shown(inputs.reference), shown(inputs.current))
    result: Result
    result, trusted = rasters or _compare_tables(inputs, job, rules)
    findings = [Finding(severity=n.severity, code=n.code, message=n.message, hint=n.hint) for n in result.notes]
    if inputs.reference_rev and inputs.reference == inputs.current:
        # One table at two revisions: most of its rows are meant to be the same.
        findings = [finding for finding in findings if finding.code != "known-rows"]
    if trusted.message:
        findings.insert(0, Finding(severity="warning", code="gate-changed", message=trusted.message, hint=trusted.hint))
    failed = result.failed
    mark = MARKS[
        "failed" if failed and inputs.on_failure == "fail" else "warned" if failed or result.blind else "passed"
    ]
    message, headline = summary.message(result), summary.headline(result)
    details = {**summary.details(result), "reference": {"path": names[0], "revision": trusted.revision}}
    figures: list[Figure] = []
    if inputs.figures == "auto":
        from flint_ml.commands.check_drift.figures import draw, write_page

        figures = draw(result, job)
        if rasters:
            figures += draw_maps(rasters[0], job)
        details["page"] = write_page(
            result,
            job,
            title=(mark, BADGE, message),
            tables=names,
            headline=headline,
            findings=findings,
            drawn=figures,
        )
    found, numbers = summary.tables(result), summary.metrics(result)
    if rasters:
        layers, more, further = reported(rasters[0])
        details["layers"], found, numbers = layers, [*found, *more], {**numbers, **further}
    return Outcome(
        status="failed" if failed else "warned" if result.blind else "passed",
        headline=headline,
        message=message,
        metrics=numbers,
        tables=found,
        figures=figures,
        advice=ADVICE if failed else "",
        details=details,
        findings=findings,
        outputs={
            "drifted": failed,
            "drifted-columns": [c.column.name for c in result.drifted],
            "badge": f"{mark} {BADGE}: {message}",
        },
        base_sha=trusted.revision,
    )


def _compare_tables(inputs: CheckDriftInputs, job: Job, rules: Rules) -> tuple[Result, Trusted]:
    from flint_ml.drift.check import check_profile
    from flint_ml.drift.profile import is_profile, read_profile
    from flint_ml.drift.tables.reading import open_tables
    from flint_ml.drift.tables.sources import shown

    new = _places(job, inputs.current, "current")
    with tempfile.TemporaryDirectory(prefix="flint-ml-") as folder:
        here, trusted = _reference(inputs, job, Path(folder))
        label = shown(inputs.reference)
        table = open_tables(new, shown(inputs.current))
        if isinstance(here[0], Path) and is_profile(here[0]):
            result = check_profile(read_profile(trusted.paths[0], label), label, table, rules)
        else:
            places = trusted.paths if isinstance(here[0], Path) else here
            result = _check(inputs, (open_tables(places, label), table), rules)
        _note_reference(job, here, trusted)
        _note(job, new)
    return result, trusted


def _check(inputs: CheckDriftInputs, tables: tuple[Source, Source], rules: Rules) -> Result:
    """Compare two tables by the engine that the inputs name, or that their size asks for."""
    from flint_ml.drift.check import check
    from flint_ml.drift.streaming.choose import choose

    engine = choose(inputs.engine, tables, rules)
    if engine == "memory":
        return check(*tables, rules)
    from flint_ml.drift.streaming.stream_columns import stream_pairs

    if engine == "stream":
        result = check(*tables, rules, stream_pairs)
    else:
        from flint_ml.drift.streaming.dask import dask_scanner

        with dask_scanner(inputs.scheduler) as scanner:
            result = check(*tables, rules, partial(stream_pairs, scanner=scanner))
    result.engine = engine
    return result


def _places(job: Job, text: str, name: str) -> list[Path] | list[str]:
    """The files or addresses that an input means, in order of name."""
    from flint_ml.drift.tables.sources import find_remote, is_remote

    return find_remote(text, name) if is_remote(text) else _files(job, text, name)


def _files(job: Job, text: str, name: str) -> list[Path]:
    """The files that a path, a folder or a pattern means, in order of name."""
    from flint_ml.drift.tables.reading import is_table

    if not any(sign in text for sign in "*?[") or job.path(text, name).exists():
        path = job.existing(text, name)
        return sorted(p for p in path.rglob("*") if p.is_file() and is_table(p)) if path.is_dir() else [path]
    pattern = job.path(text, name)
    found = Path(pattern.anchor).glob(pattern.relative_to(pattern.anchor).as_posix())
    files = sorted(job.path(str(p), name) for p in found if p.is_file() and is_table(p))
    if not files:
        raise InputError(
            f"{text!r} matches no CSV, Parquet or Excel file",
            where=name,
            hint="check the pattern; if DVC tracks the files, run pull-data before this step",
            code="missing-file",
        )
    return files


def _reference(inputs: CheckDriftInputs, job: Job, folder: Path) -> tuple[list[Path] | list[str], Trusted]:
    """Where the reference is said to be, and the files that are trusted; none for an address, which no commit holds."""
    from flint_ml.drift.base_reference import Trusted, file_at, trusted_file, trusted_files
    from flint_ml.drift.tables.sources import find_remote, is_remote

    if is_remote(inputs.reference):
        if inputs.reference_rev:
            raise InputError(
                "has a meaning for files in Git or DVC only",
                where="reference-rev",
                hint="leave it out, or give a path as `reference`",
                code="invalid-input",
            )
        return find_remote(inputs.reference, "reference"), Trusted(())
    if inputs.reference_rev:
        place = job.path(inputs.reference, "reference")
        return [place], file_at(job.git, inputs.reference_rev, place, folder)
    files = _files(job, inputs.reference, "reference")
    place = job.path(inputs.reference, "reference")
    if files == [place]:
        return files, trusted_file(job.git, _base_commit(job), place, folder)
    pattern = place / "*" if place.is_dir() else place
    return files, trusted_files(job.git, _base_commit(job), files, pattern, folder)


def _note_reference(job: Job, here: list[Path] | list[str], trusted: Trusted) -> None:
    if not trusted.paths or trusted.paths == tuple(here):
        _note(job, here)
        return
    for path in trusted.paths:
        one = isinstance(here[0], Path) and len(here) == 1
        name = f"{job.relative(Path(here[0])) if one else path.name} at {(trusted.revision or '')[:10]}"
        job.use(path, name, large=_LARGE)


def _note(job: Job, places: list[Path] | list[str]) -> None:
    """Note what was read as inputs of the result: files with their hash, addresses with their size."""
    from flint_ml.drift.tables.sources import remote_size, shown

    for place in places:
        if isinstance(place, Path):
            job.use(place, large=_LARGE)
        else:
            job.used.append(Input(path=shown(place), bytes=remote_size(place, shown(place))))


def _base_commit(job: Job) -> str | None:
    """The base revision of a change that is under review; None where the tree at hand is what counts."""
    context, git = job.context, job.git
    if git.root is None:
        return None
    if context.event_name:
        proposed = "pull_request" in context.event or context.event_name == "merge_group"
    else:
        branch = git.default_branch()
        proposed = branch is not None and git.merge_base("HEAD", branch) != git.commit("HEAD")
    base = job.base() if proposed else None
    return base.commit if base else None


ACTION = Action(
    name="check-drift",
    summary="compare new data with a trusted reference and fail or warn",
    description="Compare a new batch of data with a trusted reference, column by column, and fail or warn when it has "
    "drifted: significant after correction for many columns, and large enough to matter.",
    badge=BADGE,
    spoken="the drift check",
    inputs=CheckDriftInputs,
    run=run,
    outputs={
        "drifted": "`true` when a column drifted, is gone or changed its type, else `false`.",
        "drifted-columns": "Names of the columns that drifted, worst first, as JSON.",
        "badge": "The result as text: `✅ Data Drift Check: Passed (0 of 21)`.",
    },
    positionals=("reference", "current"),
    icon="activity",
    color="blue",
)
