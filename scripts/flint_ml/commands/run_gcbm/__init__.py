"""run-gcbm: simulate a GCBM project, check the result, and say what changed against the base."""

from __future__ import annotations

import json
import posixpath
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from flint_ml.commands.run_gcbm import compare, modes, outcome
from flint_ml.commands.run_gcbm.inputs import Inputs
from flint_ml.errors import FlintError, InputError
from flint_ml.gcbm import (
    OWN_MAPS,
    Problem,
    Project,
    Simulated,
    choose_engine,
    choose_indicators,
    close_project,
    map_request,
    metrics,
    metrics_text,
    of_result,
    open_project,
    parse_memory,
    refuse_faults,
    run_embedded,
    run_moja_cli,
    staged,
    wanted_maps,
    with_params,
    write_outputs,
)
from flint_ml.runner import Action, Job, Outcome


def run(inputs: Inputs, job: Job) -> Outcome:
    """Open the project, then check, mend, split or simulate it."""
    given = job.existing(inputs.project, "project")
    try:
        with tempfile.TemporaryDirectory(prefix="flint-ml-gcbm-") as work:
            project = replace(
                open_project(given, inputs.config_dir),
                extra_masks=tuple(inputs.mask),
                obey_smoother=inputs.smoother == "project",
            )
            try:
                return _run(inputs, job, project, Path(work))
            finally:
                close_project(project, given)
    except FlintError as error:
        _name_in_workspace(error, job)
        raise


def _name_in_workspace(error: FlintError, job: Job) -> None:
    """Paths of files in messages relative to the workspace, as GitHub wants them for annotations."""
    prefix = f"{job.workspace.root.as_posix()}/"
    where = posixpath.normpath(error.where) if error.where and error.where.startswith(prefix) else ""
    if where.startswith(prefix):
        error.where = where.removeprefix(prefix)


def _run(inputs: Inputs, job: Job, project: Project, work: Path) -> Outcome:
    memory = parse_memory(inputs.max_memory)
    if inputs.check:
        return modes.check(project, job, inputs.engine)
    if inputs.fix:
        return modes.fix(project, job, inputs.fix)
    if inputs.plan:
        return modes.plan(project, inputs.plan)
    if inputs.part:
        _no_maps(inputs, "a single run makes maps, a part of one cannot")
        return modes.run_part(project, job, inputs.part, inputs.output_dir, memory)
    return _simulate(inputs, job, project, work, memory)


def _simulate(inputs: Inputs, job: Job, project: Project, work: Path, memory: int | None) -> Outcome:
    """Run or merge, compare, write all results at once, and report."""
    from flint_ml.gcbm import attribute_check, find_missing_attributes, missing_attributes, validate

    chosen = choose_indicators(inputs.indicators)
    given = job.existing(inputs.project, "project")
    _note_inputs(job, project, given)
    params = _params(inputs, job)
    project_run = with_params(project, params, work / "params")
    missing = find_missing_attributes(project_run)
    problems = [*validate(project_run, pixels=False), *missing_attributes(missing)]
    refuse_faults(project_run, problems)
    target = job.path(inputs.output_dir, "output-dir")
    with staged(target) as folder:
        with job.group("Simulation"):
            simulated, warnings = _engine(inputs, job, project_run, work, memory=memory, problems=problems)
        simulated.checks = [*simulated.checks, attribute_check(missing)]
        side = compare.Side(project, project_run, given, simulated, params, work, memory)
        compared = None if inputs.base == "none" else compare.compare(inputs, job, side, chosen)
        scored = compare.score(job, inputs.observations, simulated, compared)
        values = metrics(simulated.table, chosen)
        if scored is not None:
            values |= {name: metric.value for name, metric in scored.here.metrics.items() if metric.value is not None}
        write_outputs(simulated, folder, metrics_text(values), _about(simulated), inputs.parquet)
        _keep_maps(inputs, simulated, folder, work)
    report = outcome.RunReport(
        simulated=simulated,
        problems=_shown(problems, warnings, simulated),
        chosen=chosen,
        metrics=values,
        severities=dict(inputs.checks),
        output_dir=job.relative(target),
        compared=compared,
        scored=scored,
        changes=_changes(inputs, job, project, compared),
    )
    if inputs.figures != "none":
        from flint_ml.gcbm import draw_figures

        between = compared if isinstance(compared, compare.Compared) and compared.differs else None
        report.figures = draw_figures(
            job.figures_dir,
            simulated,
            record_path=job.figure_path,
            base=between.baseline.tables if between else None,
            pixels=between.pixels if between else None,
            maps=wanted_maps(inputs.spatial, simulated.years),
            scored=scored,
        )
    return outcome.build(report, job)


def _changes(inputs: Inputs, job: Job, project: Project, compared: Any) -> dict[str, Any] | None:
    """What the change does to data, parameters, code and the gate; of the GCBM project by meaning, not by file."""
    commit = outcome.commit_of(compared)
    found: dict[str, Any] = {"data": [], "params": [], "code": [], "gate": []}
    if commit is not None:
        from flint_ml.dvc_project import describe_changes

        watched = [inputs.observations] if inputs.observations else []
        found = describe_changes(job.git, commit, config=job.config, watched=watched).as_dict()
    elif not isinstance(compared, compare.Compared):
        return None
    return compare.by_meaning(found, inputs, job, project, compared)


def _shown(problems: list[Problem], warnings: list[Problem], simulated: Simulated) -> list[Problem]:
    """Warnings that matter for what was run; what moja.cli implements is no problem of its run."""
    kept = [p for p in problems if p.severity == "warning" or simulated.kind == "embedded"]
    return list(dict.fromkeys([*kept, *warnings]))


def _params(inputs: Inputs, job: Job) -> dict[str, Any]:
    if not inputs.params:
        return {}
    path = job.existing(inputs.params.partition(":")[0], "params")
    job.use(path)
    return compare.parse_params(path.read_bytes(), inputs.params)


def _engine(
    inputs: Inputs, job: Job, project: Project, work: Path, *, memory: int | None, problems: list[Problem]
) -> tuple[Simulated, list[Problem]]:
    """The result, from parts, from the embedded engine or from ``moja.cli``, and what the engine warned of."""
    if inputs.merge:
        from flint_ml.gcbm import merge

        _no_maps(inputs, "a single run makes maps, `merge` cannot")
        return of_result(merge(modes.part_files(job, inputs.merge))), []
    kind, program = choose_engine(inputs.engine, project, inputs.moja_cli, problems)
    if kind == "flint":
        _no_maps(inputs, "the embedded engine makes maps; moja.cli writes those that the project itself asks for")
        return run_moja_cli(project, program, work, job.say)
    extra = [] if inputs.figures == "none" or inputs.base == "none" else [(compare.MAPPED, project.years[-1])]
    maps, left_out = map_request(inputs.spatial, project, work / "maps", extra)
    simulated = run_embedded(project, maps=maps, max_memory=memory, say=job.say)
    if maps is not None and maps.configured is not None:
        job.say(f"{maps.configured.written:,} maps written as the project configures them")
    return simulated, left_out


def _no_maps(inputs: Inputs, why: str) -> None:
    if inputs.spatial:
        raise InputError(why, where="spatial", hint="leave `spatial` out here", code="gcbm-maps")


def _note_inputs(job: Job, project: Project, given: Path) -> None:
    """The project's files in the record, with their hashes."""
    from flint_ml.gcbm import project_layers

    if given.is_file():
        job.use(given)
        return
    files = [*project.files, *project.provider_files, project.database]
    layers = sorted(project_layers(project).values(), key=lambda layer: str(layer.tiff))
    for path in [*files, *(file for layer in layers for file in (layer.tiff, layer.json))][:400]:
        if path.is_file():
            job.use(path)


def _about(simulated: Simulated) -> str:
    """``run.json``: which engine made the results, from what."""
    about: dict[str, Any] = {
        "format": "flint-ml/gcbm-run/1",
        "kind": simulated.kind,
        "engine": simulated.engine,
        "years": [simulated.years[0], simulated.years[-1]],
        "pixels": simulated.pixels,
        "stands": simulated.stands,
        "area_ha": simulated.area_ha,
        "inputs": {
            key: simulated.fingerprint[key] for key in ("config", "database", "layers") if key in simulated.fingerprint
        },
    }
    return json.dumps(about, indent=1) + "\n"


def _keep_maps(inputs: Inputs, simulated: Simulated, folder: Path, work: Path) -> None:
    """The maps that were asked for, into the results."""
    for key in wanted_maps(inputs.spatial, simulated.years):
        if key in simulated.maps:
            place = folder / "maps" / simulated.maps[key].name
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(simulated.maps[key].read_bytes())
    own = work / "maps" / OWN_MAPS
    if own.is_dir():
        shutil.copytree(own, folder / "maps", dirs_exist_ok=True)


OUTPUTS = {
    "output-db": "Path of gcbm_output.db, relative to the workspace.",
    "metrics": "Path of metrics.json, relative to the workspace.",
    "engine": "`embedded` or `flint`: what ran the project.",
    "area-ha": "Area of the last year, ha.",
    "total-biomass": "Total biomass of the last year, tC.",
    "total-ecosystem": "Total ecosystem carbon of the last year, tC.",
    "npp": "Net primary production of the last year, tC.",
    "nbp": "Net biome production of the last year, tC.",
    "verdict": "`same`, `changed` or `no-baseline`; empty with `base: none`.",
    "matrix": "With `plan`: the jobs, for `strategy.matrix`.",
    "part-file": "With `part`: path of the part, for `merge`.",
}

ACTION = Action(
    name="run-gcbm",
    summary="run a GCBM project, check the carbon, and compare with the base",
    description="Runs a GCBM forest-carbon project with an embedded engine that gives the C++'s numbers in seconds, "
    "checks the result, and compares it with the base revision.",
    badge="Simulation",
    spoken="the simulation",
    inputs=Inputs,
    run=run,
    outputs=OUTPUTS,
    positionals=("project",),
    icon="trending-up",
    own_settings=("expected",),
)
