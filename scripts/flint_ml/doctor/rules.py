"""flint-ml.yml and what it names: keys, files, columns, metrics, predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flint_ml.doctor.checks import Check, Project
from flint_ml.dvc_project import declared, joined, tracked
from flint_ml.errors import InputError

AREA = "flint-ml.yml"
# Inputs that name a file of the project, by action.
_FILES = {
    "check-drift": ("reference", "current"),
    "compare-metrics": ("metrics", "predictions", "benchmark"),
    "register-model": ("model",),
}
# What a run makes: such a file need not be there before.
_MADE = {("compare-metrics", "metrics"), ("compare-metrics", "predictions"), ("register-model", "model")}
_SMALL = 200_000_000


def examine(project: Project) -> Iterator[Check]:
    """Keys and values, then the files that they name."""
    if not project.settings:
        if not (project.folder / project.config).is_file():
            fix = "flint-ml init writes one; without it the workflow must give every input"
            yield Check(AREA, "warning", f"there is no {project.config}", fix)
        return
    faults = 0
    for name, section in project.settings.items():
        fault = project.section_fault(name, section)
        if fault is not None:
            faults += 1
            yield Check(AREA, "failure", f"{fault.where}: {fault.message}", fault.hint or "see docs/actions")
    if not faults:
        yield Check(AREA, "ok", "every section and key is known")
    yield from _expected(project)
    known = _known(project)
    for action, keys in _FILES.items():
        for key in keys:
            for path in texts(project.section(action).get(key)):
                yield from _file(project, action, key, path, known)
    yield from _columns(project)
    yield from _metrics(project)
    yield from _predictions(project)


def texts(value: Any) -> list[str]:
    """The paths that an input names: one text, or several with commas, lines or as a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.replace("\n", ",").split(",") if part.strip()]
    return [str(item) for item in value] if isinstance(value, list) else []


def _expected(project: Project) -> Iterator[Check]:
    expect = project.section("gate").get("expect")
    if not isinstance(expect, list) and project.section("run-gcbm"):
        return
    steps = expect if isinstance(expect, list) else ["pull-data", "check-drift", "train", "compare-metrics"]
    drift = project.section("check-drift")
    if "check-drift" in steps and not (drift.get("reference") and drift.get("current")):
        fix = "name `reference` and `current` under check-drift, or leave check-drift out of `expect` under gate"
        yield Check(
            AREA, "warning", "the drift check is expected and has no tables (unless the workflow gives them)", fix
        )
    if "pull-data" in steps and not any((place / ".dvc").is_dir() for place in (project.folder, project.root)):
        fix = "dvc init, or leave pull-data out of `expect` under gate"
        yield Check(AREA, "failure", "pull-data is expected, and this is no DVC project", fix)


def _known(project: Project) -> set[str]:
    """Paths that DVC keeps or a stage makes, relative to the Git root."""
    made = declared(project.git, None, ("metrics", "plots", "outs")) if project.git.root else []
    return {*tracked(project.git), *made}


def _file(project: Project, action: str, key: str, path: str, known: set[str]) -> Iterator[Check]:
    if any(sign in path for sign in "*?[") or path.startswith(("http:", "https:", "s3:")):
        return
    place = project.folder / path
    full = joined(project.subfolder, path)
    held = full in known or any(full.startswith(f"{folder}/") for folder in known)
    if place.exists() or held:
        in_git = project.git.root is not None and bool(project.git.tracked(place))
        if not (in_git or held or (action, key) in _MADE):
            fix = f"dvc add {path}, or git add {path}"
            yield Check(
                AREA, "failure", f"{action}: `{key}: {path}` is neither in Git nor in DVC: no runner will have it", fix
            )
        return
    if (action, key) in _MADE:
        fix = f"run `{project.command}` once; if it makes no such file, correct the name"
        yield Check(AREA, "warning", f"{action}: `{key}: {path}` is not there yet", fix)
    else:
        yield Check(AREA, "failure", f"{action}: `{key}: {path}` does not exist", "check the spelling, or add the file")


def _table(project: Project, text: Any) -> Any:
    from flint_ml.drift import is_table, open_table

    if not isinstance(text, str):
        return None
    place = project.folder / text
    if not place.is_file() or not is_table(place) or text.endswith((".json", ".json.gz")):
        return None
    return open_table(place, text)


def _columns(project: Project) -> Iterator[Check]:
    section = project.section("check-drift")
    tables = {key: _table(project, section.get(key)) for key in ("reference", "current")}
    if tables["reference"] is None:
        return
    names = list(tables["reference"].names)
    columns = section.get("columns")
    wanted = {
        "columns": list(columns) if isinstance(columns, Mapping | list) else texts(columns),
        "exclude": texts(section.get("exclude")),
        "groups": texts(section.get("groups")),
        "coordinates": texts(section.get("coordinates")),
    }
    for key, listed in wanted.items():
        yield from _unknown(key, listed, names)
    if tables["current"] is not None:
        shared = set(names) & set(tables["current"].names)
        if not shared:
            fix = "the new table needs the reference's columns; compare the header lines"
            yield Check(AREA, "failure", "reference and current have no column in common", fix)
        else:
            yield Check(AREA, "ok", f"reference and current share {len(shared)} columns")


def _unknown(key: str, listed: Sequence[str], names: Sequence[str]) -> Iterator[Check]:
    import difflib
    import fnmatch

    for name in listed:
        if not fnmatch.filter(names, str(name)) and str(name) not in names:
            close = difflib.get_close_matches(str(name), names, n=1)
            fix = f"did you mean `{close[0]}`?" if close else f"columns are: {', '.join(names[:8])}"
            yield Check(AREA, "failure", f"check-drift: `{key}` names `{name}`, which the reference does not have", fix)


def _metrics(project: Project) -> Iterator[Check]:
    from flint_ml.metrics import parse

    for path in texts(project.section("compare-metrics").get("metrics")):
        place = project.folder / path
        if not place.is_file() or place.stat().st_size > _SMALL:
            continue
        try:
            found = parse(place.read_bytes(), path)
        except InputError as error:
            yield Check(AREA, "failure", f"{error.where}: {error.message}", error.hint or "correct what writes it")
            continue
        yield Check(AREA, "ok", f"{path} holds {len(found.readings)} metrics")


def _predictions(project: Project) -> Iterator[Check]:
    from flint_ml.metrics import read_table

    section = project.section("compare-metrics")
    names = section.get("prediction-columns")
    for path in texts(section.get("predictions")):
        place = project.folder / path
        if not place.is_file() or place.stat().st_size > _SMALL:
            continue
        try:
            frame = read_table(place.read_bytes(), path, names if isinstance(names, dict) else None)
        except InputError as error:
            yield Check(AREA, "failure", f"{error.where}: {error.message}", error.hint or "correct what writes it")
            continue
        yield Check(AREA, "ok", f"{path} holds {len(frame)} samples, each once")
