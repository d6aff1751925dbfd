"""run-gcbm against its base: find the base, run its inputs again, and say what differs, in results and inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flint_ml.commands.run_gcbm import base as bases
from flint_ml.commands.run_gcbm.base import Baseline
from flint_ml.dvc_project import read_at, within
from flint_ml.errors import InputError
from flint_ml.gcbm import simulation as runs
from flint_ml.gcbm.project.config import Project
from flint_ml.gcbm.results.indicators import Table
from flint_ml.gcbm.results.tables import keep
from flint_ml.git import Base
from flint_ml.record import Finding
from flint_ml.runner import Job
from flint_ml.text.yaml import parse_yaml

if TYPE_CHECKING:
    from flint_ml.commands.run_gcbm import Inputs
    from flint_ml.gcbm.comparison.compare import Comparison
    from flint_ml.gcbm.comparison.effects import Effects
    from flint_ml.gcbm.comparison.map_diff import Changed
    from flint_ml.gcbm.project.diff import InputChanges

# The map that shows where two runs differ: what changes anything changes the ecosystem's carbon in the end.
MAPPED = "total_ecosystem_tC_ha"
TOLERANCE = "0.1 %"
MOST_EFFECTS = 12


@dataclass
class Side:
    """This change's run and what it was made from; ``runnable`` is the project with its parameters replaced."""

    project: Project
    runnable: Project
    given: Path
    simulated: runs.Simulated
    params: Mapping[str, Any]
    work: Path
    memory: int | None


@dataclass
class Compared:
    """This run beside its base: results, inputs, the effect of each input, and where on the map.

    ``pixels`` is None where there are no maps of both sides.
    """

    baseline: Baseline
    difference: Comparison
    changes: InputChanges | None = None
    effects: Effects | None = None
    pixels: Changed | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether anything differs beyond rounding."""
        return self.difference.first_year is not None


@dataclass
class Nothing:
    """No base: why, and what the user should know."""

    reason: str
    commit: str | None = None
    findings: list[Finding] = field(default_factory=list)


def parse_params(data: bytes | None, text: str) -> dict[str, Any]:
    """Parameter overrides of ``text`` (``params.yaml:gcbm``) from the file's content."""
    name, _, section = text.partition(":")
    found = parse_yaml(data.decode("utf-8-sig", "replace"), name) if data else {}
    for key in section.split(".") if section else []:
        found = found.get(key) if isinstance(found, dict) else None
        if found is None:
            raise InputError(
                f"there is no `{section}` in {name}",
                where="params",
                code="gcbm-params",
                hint="name a section of the file, or leave it out",
            )
    if found is None or not isinstance(found, dict):
        raise InputError(
            "holds no parameters",
            where=f"params: {text}",
            hint="write a mapping, as docs/actions/run-gcbm.md shows",
            code="gcbm-params",
        )
    return found


def baseline(inputs: Inputs, job: Job, side: Side) -> Baseline | Nothing:
    """What this run is compared with.

    Raises
    ------
    InputError
        The base is named and not there, is not in this clone or DVC's cache, or was made by another engine.
    """
    found = _find(inputs, job, side)
    if isinstance(found, Nothing) or found.kind in (None, side.simulated.kind) or inputs.allow_other_engine:
        return found
    raise InputError(
        f"the base was made by the engine `{found.kind}` ({found.engine}), this run by `{side.simulated.kind}`: "
        "differences could be the engine's",
        where="base",
        hint="run both with one engine, or set `allow-other-engine: true`",
        code="gcbm-other-engine",
    )


def _find(inputs: Inputs, job: Job, side: Side) -> Baseline | Nothing:
    if inputs.base not in ("", "auto"):
        return bases.from_path(job, inputs.base, lambda path, _: _rerun(inputs, side, path, side.params))
    found = job.base(inputs.base_revision)
    if found is None:
        return Nothing("no revision to compare with: this is the first commit, or no Git repository")
    if side.simulated.kind == "flint":
        output = bases.inside(job.git, job.path(inputs.output_dir))
        results = bases.from_results(job.git, found.commit, found.how, output) if output is not None else None
        return results or Nothing(f"{found.how} has no results in {inputs.output_dir}", found.commit)
    place = bases.inside(job.git, side.given if side.given.is_file() else side.project.root)
    if place is None:
        return Nothing("the project is not in the Git repository", found.commit)
    without = [
        path for text in (inputs.output_dir, inputs.results_dir) if (path := bases.inside(job.git, job.path(text)))
    ]
    folder = bases.materialise(job.git, found.commit, place, side.work / "base", without)
    if folder is None or not bases.has_project(folder):
        return Nothing(f"{found.how} has no GCBM project in `{place or '.'}`", found.commit)
    return _again(inputs, job, side, folder, found)


def _again(inputs: Inputs, job: Job, side: Side, folder: Path, base: Base) -> Baseline | Nothing:
    """Run the base's inputs; a base that cannot be run must not keep the change that mends it from passing."""
    start = folder
    if folder.is_dir():
        same = folder / side.project.config_dir.resolve().relative_to(side.project.root.resolve())
        start = same if same.is_dir() else folder
    try:
        params = _base_params(inputs, job, base.commit)
        project, simulated = _rerun(inputs, side, start, params)
    except InputError as error:
        text = f"the base's inputs cannot be run: {error.message.splitlines()[0]}"
        finding = Finding(severity="warning", code="gcbm-base", message=text, hint="compare by hand, or set `base`")
        return Nothing(text, base.commit, [finding])
    return Baseline(simulated.tables, base.how, base.commit, simulated.kind, simulated.engine, simulated, project)


def _base_params(inputs: Inputs, job: Job, commit: str) -> Mapping[str, Any]:
    if not inputs.params:
        return {}
    name = bases.inside(job.git, job.path(inputs.params.partition(":")[0], "params"))
    data = read_at(job.git, commit, name) if name else None
    try:
        return parse_params(data, inputs.params) if data else {}
    except InputError:
        return {}


def _rerun(inputs: Inputs, side: Side, path: Path, params: Mapping[str, Any]) -> tuple[Project, runs.Simulated]:
    """Run a project as the base, or take this run's result where the inputs are the same."""
    from flint_ml.gcbm.engine.run import fingerprint

    project = runs.open_project(path)
    copy = runs.with_params(project, params, side.work / "base-params")
    if side.simulated.fingerprint and fingerprint(copy) == side.simulated.fingerprint:
        return copy, side.simulated
    extra = [(MAPPED, copy.years[-1])] if inputs.figures != "none" else []
    maps = runs.map_request([], copy.years, side.work / "base-maps", extra)
    return copy, runs.embedded(copy, maps=maps, max_memory=side.memory)


def compare(inputs: Inputs, job: Job, side: Side, chosen: Sequence[str]) -> Compared | Nothing:
    """The whole comparison; ``Nothing`` where there is no base."""
    from flint_ml.gcbm.comparison.compare import compare as judge

    with job.group("Base"):
        found = baseline(inputs, job, side)
    if isinstance(found, Nothing):
        return found
    expected, stale = _expected(inputs, job, found.commit)
    names = ["year", *chosen]
    difference = judge(
        keep(found.table, names),
        keep(side.simulated.table, [n for n in names if n in found.table.columns]),
        tolerance={**inputs.tolerance, "*": inputs.tolerance.get("*", TOLERANCE)},
        expected=expected,
    )
    compared = Compared(found, difference, findings=stale)
    if found.project is not None and found.simulated is not side.simulated:
        from flint_ml.gcbm.project.diff import changes

        compared.changes = changes(found.project, side.runnable)
        if inputs.effects and compared.differs:
            with job.group("Effect of each change"):
                _effects(compared, job, side)
    compared.pixels = _pixels(side, found)
    return compared


def _effects(compared: Compared, job: Job, side: Side) -> None:
    """Run the base again with one change at a time, where there are several, and not too many."""
    from flint_ml.gcbm.comparison.effects import one_at_a_time, steps
    from flint_ml.gcbm.results.indicators import indicators

    project, changes = compared.baseline.project, compared.changes
    if project is None or changes is None or not (number := len(steps(changes))) > 1:
        return
    if number > MOST_EFFECTS:
        text = f"{number} inputs changed: too many to show the effect of each (at most {MOST_EFFECTS})"
        compared.findings.append(Finding(severity="info", code="gcbm-effects", message=text))
        return

    def again(folder: Path) -> Table:
        from flint_ml.gcbm.engine.run import run

        return indicators(run(runs.open_project(folder), max_memory=side.memory))

    compared.effects = one_at_a_time(
        project,
        side.runnable,
        changes,
        again,
        before=compared.baseline.table,
        after=side.simulated.table,
        progress=lambda what, done, of: job.say(f"{done} of {of}: {what}"),
    )


def _expected(inputs: Inputs, job: Job, commit: str | None) -> tuple[dict[str, Any], list[Finding]]:
    """The change's own declarations; what the base's settings declare already belongs to an earlier change."""
    if commit is None or not inputs.expected:
        return dict(inputs.expected), []
    from flint_ml.dvc_project import project_folder
    from flint_ml.metrics import At, section_at, without_stale

    before = section_at(At(job.git, commit, project_folder(job.git)), job.config, "run-gcbm")
    own, stale = without_stale(inputs.expected, before.get("expected"))
    if not stale:
        return own, []
    text = f"declared by an earlier change and not counted: {', '.join(stale[:10])}"
    hint = f"remove them from `expected` in {job.config}"
    return own, [Finding(severity="info", code="expected-stale", message=text, hint=hint)]


def _pixels(side: Side, found: Baseline) -> Changed | None:
    """Where the two runs differ in the last year, from their maps."""
    if found.simulated is None or found.simulated is side.simulated:
        return None
    here = side.simulated.maps.get((MAPPED, side.simulated.years[-1]))
    there = found.simulated.maps.get((MAPPED, found.simulated.years[-1]))
    if here is None or there is None:
        return None
    from flint_ml.gcbm.comparison.map_diff import changed

    return changed(there, here)


def by_meaning(
    found: dict[str, Any], inputs: Inputs, job: Job, project: Project, compared: Compared | Nothing | None
) -> dict[str, Any]:
    """Changed files of the project replaced by what changed in them: layers in pixels, parameters by name."""
    changes = compared.changes if isinstance(compared, Compared) else None
    root, output = bases.inside(job.git, project.root), bases.inside(job.git, job.path(inputs.output_dir))

    def result(path: str) -> bool:
        return output is not None and within(path, output)

    found["data"] = [row for row in found["data"] if not result(row["path"])]
    found["code"] = [path for path in found["code"] if not result(path)]
    if changes is None:
        return found
    places = [bases.inside(job.git, place) for place in _input_places(project)] if root is not None else []
    files = {place for place in places if place is not None}
    found["data"] = [row for row in found["data"] if row["path"] not in files]
    found["code"] = [path for path in found["code"] if path not in files]
    from flint_ml.gcbm.project.layers import project_layers

    here = project_layers(project)
    for layer in changes.layers:
        file = project.relative(here[layer.name].tiff) if layer.name in here else layer.file
        main = layer.transitions[0] if layer.transitions else None
        text = f"{layer.pixels:,} pixels, {layer.area_ha:.4g} ha" + (f", {main.old} → {main.new}" if main else "")
        found["data"].append({"path": file or layer.name, "change": text, "kind": "layer"})
    if changes.parameters and inputs.params:
        # The rows of params.yaml stand below by table and key.
        found["params"] = [row for row in found["params"] if not _in_section(row["path"], inputs.params)]
    found["params"] += [{"path": c.pointer, "base": c.old, "head": c.new} for c in changes.configuration]
    found["params"] += [
        {"path": f"{c.table} ({c.key}) {c.column}", "base": c.old, "head": c.new} for c in changes.parameters
    ]
    return found


def _in_section(path: str, params: str) -> bool:
    """Whether a changed value of a parameter file is one of the overrides."""
    file, _, section = params.partition(":")
    place, _, name = path.rpartition(":")
    return (place or "params.yaml").endswith(file) and (not section or name.startswith(f"{section}."))


def _input_places(project: Project) -> list[Path]:
    from flint_ml.gcbm.project.layers import project_layers

    layers = project_layers(project).values()
    files = [file for layer in layers for file in (layer.tiff, layer.json)]
    return [*files, *project.files, *project.provider_files, project.database]
