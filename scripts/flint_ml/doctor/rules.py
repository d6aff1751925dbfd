"""flint-ml.yml and what it names: keys, files, columns, metrics, predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flint_ml.doctor.checks import Check, Patient
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


def examine(patient: Patient) -> Iterator[Check]:
    """Keys and values, then the files that they name."""
    if not patient.settings:
        if not (patient.folder / patient.config).is_file():
            mend = "flint-ml init writes one; without it the workflow must give every input"
            yield Check(AREA, "warning", f"there is no {patient.config}", mend)
        return
    faults = 0
    for name, section in patient.settings.items():
        fault = patient.section_fault(name, section)
        if fault is not None:
            faults += 1
            yield Check(AREA, "failure", f"{fault.where}: {fault.message}", fault.hint or "see docs/actions")
    if not faults:
        yield Check(AREA, "ok", "every section and key is known")
    yield from _expected(patient)
    known = _known(patient)
    for action, keys in _FILES.items():
        for key in keys:
            for path in texts(patient.section(action).get(key)):
                yield from _file(patient, action, key, path, known)
    yield from _columns(patient)
    yield from _metrics(patient)
    yield from _predictions(patient)


def texts(value: Any) -> list[str]:
    """The paths that an input names: one text, or several with commas, lines or as a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.replace("\n", ",").split(",") if part.strip()]
    return [str(item) for item in value] if isinstance(value, list) else []


def _expected(patient: Patient) -> Iterator[Check]:
    expect = patient.section("gate").get("expect")
    if not isinstance(expect, list) and patient.section("run-gcbm"):
        return
    steps = expect if isinstance(expect, list) else ["pull-data", "check-drift", "train", "compare-metrics"]
    drift = patient.section("check-drift")
    if "check-drift" in steps and not (drift.get("reference") and drift.get("current")):
        mend = "name `reference` and `current` under check-drift, or leave check-drift out of `expect` under gate"
        yield Check(
            AREA, "warning", "the drift check is expected and has no tables (unless the workflow gives them)", mend
        )
    if "pull-data" in steps and not any((place / ".dvc").is_dir() for place in (patient.folder, patient.root)):
        mend = "dvc init, or leave pull-data out of `expect` under gate"
        yield Check(AREA, "failure", "pull-data is expected, and this is no DVC project", mend)


def _known(patient: Patient) -> set[str]:
    """Paths that DVC keeps or a stage makes, relative to the Git root."""
    made = declared(patient.git, None, ("metrics", "plots", "outs")) if patient.git.root else []
    return {*tracked(patient.git), *made}


def _file(patient: Patient, action: str, key: str, path: str, known: set[str]) -> Iterator[Check]:
    if any(sign in path for sign in "*?[") or path.startswith(("http:", "https:", "s3:")):
        return
    place = patient.folder / path
    full = joined(patient.project, path)
    held = full in known or any(full.startswith(f"{folder}/") for folder in known)
    if place.exists() or held:
        in_git = patient.git.root is not None and bool(patient.git.tracked(place))
        if not (in_git or held or (action, key) in _MADE):
            mend = f"dvc add {path}, or git add {path}"
            yield Check(
                AREA, "failure", f"{action}: `{key}: {path}` is neither in Git nor in DVC: no runner will have it", mend
            )
        return
    if (action, key) in _MADE:
        mend = f"run `{patient.command}` once; if it makes no such file, mend the name"
        yield Check(AREA, "warning", f"{action}: `{key}: {path}` is not there yet", mend)
    else:
        yield Check(AREA, "failure", f"{action}: `{key}: {path}` does not exist", "check the spelling, or add the file")


def _table(patient: Patient, text: Any) -> Any:
    from flint_ml.drift.tables.reading import is_table, open_table

    if not isinstance(text, str):
        return None
    place = patient.folder / text
    if not place.is_file() or not is_table(place) or text.endswith((".json", ".json.gz")):
        return None
    return open_table(place, text)


def _columns(patient: Patient) -> Iterator[Check]:
    section = patient.section("check-drift")
    tables = {key: _table(patient, section.get(key)) for key in ("reference", "current")}
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
            mend = "the new table needs the reference's columns; compare the header lines"
            yield Check(AREA, "failure", "reference and current have no column in common", mend)
        else:
            yield Check(AREA, "ok", f"reference and current share {len(shared)} columns")


def _unknown(key: str, listed: Sequence[str], names: Sequence[str]) -> Iterator[Check]:
    import difflib
    import fnmatch

    for name in listed:
        if not fnmatch.filter(names, str(name)) and str(name) not in names:
            close = difflib.get_close_matches(str(name), names, n=1)
            mend = f"did you mean `{close[0]}`?" if close else f"columns are: {', '.join(names[:8])}"
            yield Check(
                AREA, "failure", f"check-drift: `{key}` names `{name}`, which the reference does not have", mend
            )


def _metrics(patient: Patient) -> Iterator[Check]:
    from flint_ml.metrics.read import parse

    for path in texts(patient.section("compare-metrics").get("metrics")):
        place = patient.folder / path
        if not place.is_file() or place.stat().st_size > _SMALL:
            continue
        try:
            found = parse(place.read_bytes(), path)
        except InputError as error:
            yield Check(AREA, "failure", f"{error.where}: {error.message}", error.hint or "mend what writes it")
            continue
        yield Check(AREA, "ok", f"{path} holds {len(found.readings)} metrics")


def _predictions(patient: Patient) -> Iterator[Check]:
    from flint_ml.metrics.predictions import read

    section = patient.section("compare-metrics")
    names = section.get("prediction-columns")
    for path in texts(section.get("predictions")):
        place = patient.folder / path
        if not place.is_file() or place.stat().st_size > _SMALL:
            continue
        try:
            frame = read(place.read_bytes(), path, names if isinstance(names, dict) else None)
        except InputError as error:
            yield Check(AREA, "failure", f"{error.where}: {error.message}", error.hint or "mend what writes it")
            continue
        yield Check(AREA, "ok", f"{path} holds {len(frame)} samples, each once")
