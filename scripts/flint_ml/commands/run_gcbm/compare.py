"""run-gcbm against its base: results given directly, or the base revision's inputs run again; what differs, and why."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flint_ml.commands.run_gcbm.inputs import Inputs
from flint_ml.dvc_project import hash_at, materialise, project_folder, read_at, within
from flint_ml.errors import InputError
from flint_ml.gcbm import (
    CFG,
    DATABASE,
    Kind,
    Project,
    Simulated,
    Table,
    keep,
    map_request,
    open_project,
    result_tables,
    run_embedded,
    table_of_metrics,
    with_params,
)
from flint_ml.git import Base, Git
from flint_ml.record import Finding
from flint_ml.runner import Job
from flint_ml.text.yaml import parse_yaml

if TYPE_CHECKING:
    from flint_ml.gcbm import Changed, Comparison, Effects, InputChanges, Scored

# The map that shows where two runs differ: what changes anything changes the ecosystem's carbon in the end.
MAPPED = "total_ecosystem_tC_ha"
TOLERANCE = "0.1 %"
MOST_EFFECTS = 12


METRICS = "metrics.json"
_HINT = "give a metrics.json, a gcbm_output.db, a folder with them, or a GCBM project"


@dataclass
class Baseline:
    """What a run is compared with.

    ``kind`` and ``engine`` are None where the results do not say which engine made them. ``simulated`` is there
    when the base was run in this job, ``project`` when its inputs are at hand.
    """

    tables: dict[str, Table]
    how: str
    commit: str | None = None
    kind: Kind | None = None
    engine: str | None = None
    simulated: Simulated | None = None
    project: Project | None = None

    @property
    def table(self) -> Table:
        return self.tables["indicators"]


Rerun = Callable[[Path, str | None], tuple[Project, Simulated]]


def from_path(job: Job, text: str, rerun: Rerun) -> Baseline:
    """The base given as a path: metrics, database, a folder with either, or a project, which is run."""
    path = job.existing(text, "base")
    how = f"`{text}`"
    if path.is_dir():
        if not (path / METRICS).is_file() and not (path / DATABASE).is_file():
            project, simulated = rerun(path, None)
            return Baseline(simulated.tables, how, None, simulated.kind, simulated.engine, simulated, project)
        kind, engine = _engine(path / "run.json")
        file = path / (DATABASE if (path / DATABASE).is_file() else METRICS)
        job.use(file)
        return Baseline(_tables(file, text), how, None, kind, engine)
    job.use(path)
    if path.suffix == ".zip":
        project, simulated = rerun(path, None)
        return Baseline(simulated.tables, how, None, simulated.kind, simulated.engine, simulated, project)
    kind, engine = _engine(path.parent / "run.json")
    return Baseline(_tables(path, text), how, None, kind, engine)


def _tables(path: Path, shown: str) -> dict[str, Table]:
    if path.suffix == ".json":
        return {"indicators": _metrics(path.read_bytes(), shown)}
    if path.suffix in {".db", ".sqlite"}:
        return result_tables(path)
    raise InputError(f"{shown!r} holds no results", where="base", hint=_HINT, code="gcbm-base")


def _metrics(data: bytes, where: str) -> Table:
    try:
        values = json.loads(data)
    except ValueError as error:
        raise InputError(f"is not valid JSON: {error}", where=where, hint=_HINT, code="gcbm-base") from None
    if isinstance(values, dict) and str(values.get("schema", "")).startswith("flint-ml/record/"):
        values = {name: item.get("value") for name, item in values.get("metrics", {}).items()}
    return table_of_metrics(values if isinstance(values, dict) else {}, where)


def _engine(about: Path) -> tuple[Kind | None, str | None]:
    return _engine_of(about.read_bytes() if about.is_file() else None)


def _engine_of(data: bytes | None) -> tuple[Kind | None, str | None]:
    try:
        values: Any = json.loads(data) if data else {}
    except ValueError:
        values = {}
    kind = values.get("kind") if isinstance(values, dict) else None
    if kind not in ("embedded", "flint"):
        return None, None
    return kind, str(values.get("engine") or "")


def from_results(git: Git, commit: str, how: str, output_dir: str) -> Baseline | None:
    """The base's own results, ``<output-dir>/metrics.json`` at its revision; None where it has none."""
    data = read_at(git, commit, posixpath.join(output_dir, METRICS))
    if data is None:
        return None
    kind, engine = _engine_of(read_at(git, commit, posixpath.join(output_dir, "run.json")))
    return Baseline({"indicators": _metrics(data, f"{METRICS} at {commit[:10]}")}, how, commit, kind, engine)


def inside(git: Git, path: Path) -> str | None:
    """``path`` relative to the Git root (empty for the root itself), or None outside a repository."""
    root = git.root
    if root is None or not path.resolve().is_relative_to(root.resolve()):
        return None
    text = path.resolve().relative_to(root.resolve()).as_posix()
    return "" if text == "." else text


def has_project(path: Path) -> bool:
    """Whether a materialised folder may hold a project at all."""
    return path.is_file() or any(path.rglob(CFG))


@dataclass
class Side:
    """This change's run and what it was made from; ``runnable`` is the project with its parameters replaced."""

    project: Project
    runnable: Project
    given: Path
    simulated: Simulated
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
        return from_path(job, inputs.base, lambda path, _: _rerun(inputs, side, path, side.params))
    found = job.base(inputs.base_revision)
    if found is None:
        return Nothing("no revision to compare with: this is the first commit, or no Git repository")
    if side.simulated.kind == "flint":
        output = inside(job.git, job.path(inputs.output_dir))
        results = from_results(job.git, found.commit, found.how, output) if output is not None else None
        return results or Nothing(f"{found.how} has no results in {inputs.output_dir}", found.commit)
    place = inside(job.git, side.given if side.given.is_file() else side.project.root)
    if place is None:
        return Nothing("the project is not in the Git repository", found.commit)
    without = [path for text in (inputs.output_dir, inputs.results_dir) if (path := inside(job.git, job.path(text)))]
    folder = materialise(job.git, found.commit, place, side.work / "base", without)
    if folder is None or not has_project(folder):
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
    name = inside(job.git, job.path(inputs.params.partition(":")[0], "params"))
    data = read_at(job.git, commit, name) if name else None
    try:
        return parse_params(data, inputs.params) if data else {}
    except InputError:
        return {}


def _rerun(inputs: Inputs, side: Side, path: Path, params: Mapping[str, Any]) -> tuple[Project, Simulated]:
    """Run a project as the base, or take this run's result where the inputs are the same."""
    from flint_ml.gcbm import fingerprint

    project = replace(open_project(path), extra_masks=tuple(inputs.mask), obey_smoother=inputs.smoother == "project")
    copy = with_params(project, params, side.work / "base-params")
    if side.simulated.fingerprint and fingerprint(copy) == side.simulated.fingerprint:
        return copy, side.simulated
    extra = [(MAPPED, copy.years[-1])] if inputs.figures != "none" else []
    maps, _ = map_request([], copy, side.work / "base-maps", extra)
    return copy, run_embedded(copy, maps=maps, max_memory=side.memory)


def compare(inputs: Inputs, job: Job, side: Side, chosen: Sequence[str]) -> Compared | Nothing:
    """The whole comparison; ``Nothing`` where there is no base."""
    from flint_ml.gcbm import compare as judge

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
        from flint_ml.gcbm import changes

        compared.changes = changes(found.project, side.runnable)
        if inputs.effects and compared.differs:
            with job.group("Effect of each change"):
                _effects(compared, job, side)
    compared.pixels = _pixels(side, found)
    return compared


def _effects(compared: Compared, job: Job, side: Side) -> None:
    """Run the base again with one change at a time, where there are several, and not too many."""
    from flint_ml.gcbm import indicators, one_at_a_time, steps

    project, changes = compared.baseline.project, compared.changes
    if project is None or changes is None or not (number := len(steps(changes))) > 1:
        return
    if number > MOST_EFFECTS:
        text = f"{number} inputs changed: too many to show the effect of each (at most {MOST_EFFECTS})"
        compared.findings.append(Finding(severity="info", code="gcbm-effects", message=text))
        return

    def again(folder: Path) -> Table:
        from flint_ml.gcbm import run

        alone = replace(
            open_project(folder), extra_masks=side.project.extra_masks, obey_smoother=side.project.obey_smoother
        )
        return indicators(run(alone, max_memory=side.memory))

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
    from flint_ml.gcbm import changed

    return changed(there, here)


def by_meaning(
    changed: dict[str, Any], inputs: Inputs, job: Job, project: Project, compared: Compared | Nothing | None
) -> dict[str, Any]:
    """Changed files of the project replaced by what changed in them: layers in pixels, parameters by name."""
    changes = compared.changes if isinstance(compared, Compared) else None
    output = inside(job.git, job.path(inputs.output_dir))
    without = _own_files(job, project) if changes is not None else set()

    def other(path: str) -> bool:
        return path not in without and not (output is not None and within(path, output))

    changed["data"] = [row for row in changed["data"] if other(row["path"])]
    changed["code"] = [path for path in changed["code"] if other(path)]
    if changes is None:
        return changed
    changed["data"] += _layer_rows(project, changes)
    if changes.parameters and inputs.params:
        # The rows of params.yaml stand below by table and key.
        changed["params"] = [row for row in changed["params"] if not _in_section(row["path"], inputs.params)]
    changed["params"] += [{"path": c.pointer, "base": c.old, "head": c.new} for c in changes.configuration]
    changed["params"] += [
        {"path": f"{c.table} ({c.key}) {c.column}", "base": c.old, "head": c.new} for c in changes.parameters
    ]
    return changed


def _own_files(job: Job, project: Project) -> set[str]:
    """The project's files, relative to the Git root."""
    if inside(job.git, project.root) is None:
        return set()
    return {name for file in _input_files(project) if (name := inside(job.git, file)) is not None}


def _layer_rows(project: Project, changes: InputChanges) -> list[dict[str, str]]:
    """One row for each changed layer: its file, pixels and area, and the largest changes of value."""
    from flint_ml.gcbm import layer_text, project_layers

    layers = project_layers(project)
    rows = []
    for layer in changes.layers:
        file = project.relative(layers[layer.name].tiff) if layer.name in layers else layer.file
        rows.append({"path": file or layer.name, "change": layer_text(layer), "kind": "layer"})
    return rows


def _in_section(path: str, params: str) -> bool:
    """Whether a changed value of a parameter file is one of the overrides."""
    file, _, section = params.partition(":")
    place, _, name = path.rpartition(":")
    return (place or "params.yaml").endswith(file) and (not section or name.startswith(f"{section}."))


def _input_files(project: Project) -> list[Path]:
    from flint_ml.gcbm import project_layers

    layers = project_layers(project).values()
    files = [file for layer in layers for file in (layer.tiff, layer.json)]
    return [*files, *project.files, *project.provider_files, project.database]


def score(job: Job, observations: str, simulated: Simulated, compared: Compared | Nothing | None) -> Scored | None:
    """Score both sides on this change's observations; None where there are none."""
    if not observations:
        return None
    from flint_ml.gcbm import score_sides

    path = job.existing(observations, "observations")
    job.use(path)
    base = compared.baseline if isinstance(compared, Compared) else None
    source = base.simulated.source if base is not None and base.simulated is not None else None
    scored = score_sides(path, simulated.source, source, compared=base is not None)
    if base is not None:
        scored.findings += _observations_changed(job, observations, base.commit)
    return scored


def _observations_changed(job: Job, observations: str, commit: str | None) -> list[Finding]:
    """Other measurements are another yardstick: that is for people to see."""
    name = inside(job.git, job.path(observations)) if commit else None
    if not name or commit is None:
        return []
    before = hash_at(job.git, commit, name)
    if before is None or before == hash_at(job.git, None, name):
        return []
    text = f"this change alters the observations {observations}; both sides were scored on the new ones"
    return [Finding(severity="warning", code="observations-changed", message=text)]
