"""Which of the tracked data is wanted: by the user's targets, or from the base for a comparison."""

from __future__ import annotations

import difflib
import fnmatch
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flint_ml.dvc_project.entries import Entry, holder
from flint_ml.dvc_project.paths import joined, within
from flint_ml.errors import InputError

# Files that a comparison may ask for without being named in flint-ml.yml: tables and metrics of this size at most.
SMALL_BYTES = 64_000_000
_TABLES = (".csv", ".tsv", ".json", ".yaml", ".yml", ".toml", ".parquet")
NAMED = {
    "compare-metrics": ("metrics", "predictions", "benchmark"),
    "check-drift": ("reference",),
}
# What a gate measures against: a change to one of these is a change to the gate.
WATCHED = {"compare-metrics": ("benchmark",), "check-drift": ("reference",)}


def select_targets(entries: Mapping[str, Entry], targets: Sequence[str], folder: str = "") -> list[Entry]:
    """The entries that ``targets`` mean, all of them without targets.

    A target is a path (relative to ``folder``) of tracked data, of its ``.dvc`` file, of a file in a tracked folder
    or of a folder that holds tracked data; the name of a stage; or a pattern such as ``data/*.csv``.

    Raises
    ------
    InputError
        With code ``bad-target`` for a target that means nothing.
    """
    if not targets:
        return list(entries.values())
    chosen: dict[str, Entry] = {}
    for target in targets:
        matching = _matches(entries, target, folder)
        if not matching:
            raise _unknown(entries, target, folder)
        chosen |= {entry.path: entry for entry in matching}
    return list(chosen.values())


def _matches(entries: Mapping[str, Entry], target: str, folder: str) -> list[Entry]:
    path = joined(folder, target)
    path = "" if path == "." else path
    inside = holder(entries, path)
    if inside is not None:
        return [inside]
    by_stage = [
        entry
        for entry in entries.values()
        if entry.stage in {path, joined(folder, f"dvc.yaml:{target}")}
        or (not entry.source and entry.stage.partition(":")[0] == path)
        or entry.stage.partition("@")[0] == joined(folder, f"dvc.yaml:{target}")
    ]
    if by_stage:
        return by_stage
    below = [entry for entry in entries.values() if within(entry.path, path)]
    return below or [entry for entry in entries.values() if fnmatch.fnmatchcase(entry.path, path)]


def _unknown(entries: Mapping[str, Entry], target: str, folder: str) -> InputError:
    known = [posixpath.relpath(path, folder or ".") for path in entries]
    known += [entry.stage.partition(":")[2] for entry in entries.values() if not entry.source]
    close = difflib.get_close_matches(target, known, n=1)
    listed = ", ".join(known[:8]) + (" …" if len(known) > 8 else "")
    return InputError(
        f"`{target}` is neither data that DVC tracks at this commit nor a stage",
        where="targets",
        hint=f"did you mean `{close[0]}`?" if close else f"tracked are: {listed or 'no files at all'}",
        code="bad-target",
    )


def paths_in_settings(
    sections: Mapping[str, Mapping[str, Any]], keys: Mapping[str, Sequence[str]] = NAMED
) -> list[str]:
    """Paths that the settings file names for a comparison, as it gives them."""
    paths: list[str] = []
    for section, inputs in keys.items():
        for key in inputs:
            paths += _texts((sections.get(section) or {}).get(key))
    return list(dict.fromkeys(paths))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in value.replace("\n", ",").split(",") if part.strip()]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    return []


def base_entries(before: Mapping[str, Entry], after: Mapping[str, Entry], paths: Iterable[str]) -> list[Entry]:
    """Entries of the base that a comparison needs and this commit does not hold.

    Those that ``paths`` (relative to the Git root) name, whatever their size, and every small table or metrics file:
    a workflow may name files that are in no settings file.
    """
    chosen = {entry.path: entry for path in paths if (entry := holder(before, path))}
    for entry in before.values():
        if entry.path.endswith(_TABLES) and not entry.is_dir and (entry.size or 0) <= SMALL_BYTES:
            chosen[entry.path] = entry
    kept = {entry.md5 for entry in after.values()}
    return [entry for entry in chosen.values() if entry.md5 not in kept]
