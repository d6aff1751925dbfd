"""drift-profile: store what check-drift needs of a reference, so that the reference itself can stay where it is."""

from __future__ import annotations

from pydantic import Field

from flint_ml.errors import InputError
from flint_ml.record import Metric
from flint_ml.runner import Action, ActionInputs, Job, Outcome


class DriftProfileInputs(ActionInputs):
    """Inputs of drift-profile."""

    reference: str = Field(description="The trusted table: CSV (also .gz, .bz2, .zst) or Parquet.")
    output: str = Field(
        "reference.profile.json.gz",
        description="The profile to write: a name that ends in .json or .json.gz.",
        pattern=r"\.json(\.gz)?$",
    )
    columns: list[str] = Field(default_factory=list, description="Columns to keep, names or patterns (default: all).")
    exclude: list[str] = Field(default_factory=list, description="Columns to leave out, names or patterns.")


def run(inputs: DriftProfileInputs, job: Job) -> Outcome:
    """Read the reference, write its profile."""
    from flint_ml.drift import (
        DriftRules,
        comparable,
        is_raster,
        make_profile,
        open_table,
        read_columns,
        write_profile,
    )

    path = job.existing(inputs.reference, "reference")
    if is_raster(path):
        raise InputError(
            "is a raster, and a profile is made of tables only",
            where=inputs.reference,
            hint="compare with the raster itself; `reference-rev` takes it from a revision",
            code="raster-profile",
        )
    target = job.path(inputs.output, "output")
    source = open_table(path, inputs.reference)
    rules = DriftRules(columns=inputs.columns, exclude=inputs.exclude)
    table = read_columns(source, [name for name in source.names if rules.compares(name)])
    profile = make_profile(table, rules, {"path": job.relative(path), "md5": job.use(path)})
    write_profile(profile, target)
    size = target.stat().st_size
    kept = len(comparable(profile))
    return Outcome(
        status="passed",
        headline=f"{kept} columns of {profile.rows:,} rows in {size / 1024:,.0f} kB; D is exact to {profile.bound:.4f}",
        message=f"{kept} columns",
        metrics={"bytes": Metric(value=size), "rows": Metric(value=profile.rows), "bound": Metric(value=profile.bound)},
        outputs={"profile": job.relative(target)},
    )


ACTION = Action(
    name="drift-profile",
    summary="store a profile of a reference that check-drift can compare with",
    description="Store what check-drift needs of a reference (bins, counts, principal components), and no row of it.",
    badge="Drift profile",
    inputs=DriftProfileInputs,
    run=run,
    outputs={"profile": "Path of the profile."},
    positionals=("reference",),
    published=False,
)
