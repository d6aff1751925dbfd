"""What metrics were made from: are they current at a revision, and were both sides scored on the same data?

Read from DVC's pipelines, which record the hashes of everything that a stage read and made. No data need be here.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from flint_ml.dvc_project import (
    Dependency,
    Output,
    Pipelines,
    Stage,
    hash_at,
    holder,
    members,
    read_pipelines,
    tracked,
    within,
)
from flint_ml.errors import InputError
from flint_ml.git import Git
from flint_ml.metrics.sources import At
from flint_ml.record import Finding
from flint_ml.text.yaml import parse_yaml

# What a stage reads and is not data: how it computes, not what from.
_CODE = re.compile(
    r"\.(py|pyx|ipynb|r|rmd|qmd|jl|sh|bash|bat|m|c|cc|cpp|h|java|scala|sql|pl|ya?ml|toml|cfg|ini|md|txt|lock)$", re.I
)
# Parameters that say which samples a score is of.
_SAMPLING = re.compile(r"(^|[._-])(seed|random_?state|split|folds?|test_?size|val_?size|n_?splits)([._-]|$)", re.I)


def base_staleness(at: At) -> Finding | None:
    """What to say where ``dvc.lock`` of the base does not fit the base; None where it fits or there is none."""
    try:
        paths = outdated(at)
    except InputError:
        return None  # a pipeline that cannot be read is pull-data's to report
    if not paths:
        return None
    more = " …" if len(paths) > 5 else ""
    return Finding(
        severity="warning",
        code="base-stale",
        message=f"the base's metrics are older than its files: {', '.join(paths[:5])}{more} changed after `dvc repro`",
        hint="run `dvc repro` on the main branch and commit dvc.lock and metrics, then compare again",
    )


def outdated(at: At) -> list[str]:
    """Commands, dependencies, parameters and metrics at the base that differ from what its ``dvc.lock`` recorded."""
    pipelines = read_pipelines(at.git, at.commit).below(at.project)
    return stale_inputs(at.git, at.commit, pipelines.stages)


def has_pipeline(at: At) -> bool:
    """Whether a stage of the revision was ever run: its lock file tells what the metrics were made from."""
    stages = read_pipelines(at.git, at.commit).below(at.project).stages
    return any(output.md5 for stage in stages for output in stage.outputs)


def stale_inputs(git: Git, revision: str | None, stages: Sequence[Stage]) -> list[str]:
    """What differs at ``revision`` (None: the working tree) from what the lock file of the stages recorded."""
    return list(dict.fromkeys(each for stage in stages for each in _stale(git, revision, stage)))


def _stale(git: Git, revision: str | None, stage: Stage) -> Iterator[str]:
    ran = any(output.md5 for output in stage.outputs)
    if not ran:
        return  # it has no lock entry, and so nothing to compare with
    if stage.command_changed:
        yield f"{stage.name}: its command"
    # Hashes of DVC 2 ignored line ends.
    legacy = any(output.legacy for output in stage.outputs)
    for dependency in stage.dependencies:
        if dependency.params is not None:
            yield from _changed_params(git, revision, dependency)
        elif dependency.path and dependency.md5 and not legacy:
            now = hash_at(git, revision, dependency.path)
            if now is not None and now != dependency.md5:
                yield dependency.path
    for output in stage.outputs:
        if not output.cached and output.md5 and not output.legacy:
            now = hash_at(git, revision, output.path)
            if now is not None and now != output.md5:
                yield output.path


def _changed_params(git: Git, revision: str | None, dependency: Dependency) -> Iterator[str]:
    if posixpath.splitext(dependency.path)[1] not in {".yaml", ".yml", ".json"}:
        return
    file = (git.root or git.folder) / dependency.path
    data = git.show(revision, dependency.path) if revision else file.read_bytes() if file.is_file() else None
    parameters = parse_yaml(data.decode("utf-8-sig", "replace"), dependency.path) if data else {}
    for key, value in (dependency.values or {}).items():
        if _value(parameters, str(key)) != value:
            yield f"{dependency.path}: {key}"


def _value(data: Any, key: str) -> Any:
    if isinstance(data, dict) and key in data:
        return data[key]
    for part in key.split("."):
        if not isinstance(data, dict) or part not in data:
            return None
        data = data[part]
    return data


def up_to_date(git: Git, path: str) -> bool:
    """Whether the file ``path`` of the working tree is what its stage would write: restored, not run again.

    The stage and all that it depends on must fit their lock entries.
    """
    pipelines = read_pipelines(git, None)
    stage = _producer(pipelines, path)
    if stage is None:
        return False
    output = next(output for output in stage.outputs if within(path, output.path))
    if output.md5 is None or not _as_recorded(git, path, output):
        return False
    stages = _with_ancestors(pipelines, stage)
    return all(any(o.md5 for o in each.outputs) for each in stages) and not stale_inputs(git, None, stages)


def _as_recorded(git: Git, path: str, output: Output) -> bool:
    """Whether the file ``path`` has the hash that the lock file records of it, alone or in the folder ``output``."""
    folder = holder(tracked(git, None), path) if output.path != path and output.cached else None
    listed = members(git.root or git.folder, folder) if folder is not None else None
    if listed is None:
        # What else lies in a folder whose listing is not at hand is judged with it: its hash is one for all.
        return hash_at(git, None, output.path) == output.md5
    return hash_at(git, None, path) == listed.get(path.removeprefix(output.path + "/"))


def _producer(pipelines: Pipelines, path: str) -> Stage | None:
    return next((s for s in pipelines.stages if any(within(path, output.path) for output in s.outputs)), None)


def _with_ancestors(pipelines: Pipelines, stage: Stage) -> list[Stage]:
    stages: dict[str, Stage] = {}
    todo = [stage]
    while todo:
        each = todo.pop()
        if each.address not in stages:
            stages[each.address] = each
            producers = (_producer(pipelines, d.path) for d in each.dependencies if d.path and d.params is None)
            todo += [producer for producer in producers if producer is not None]
    return list(stages.values())


@dataclass
class SampleInputs:
    """The data that metrics were computed from: what differs from the base, and the stages that were followed."""

    changed: list[str] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    data: int = 0


def sample_inputs(at: At, paths: Sequence[str]) -> SampleInputs | None:
    """Whether the metrics files ``paths`` (relative to the Git root) come from the same data as the base's.

    A changed input of the stage that writes them is followed to that stage's own inputs until hashes are equal. None
    where a file is not the output of a stage, or the stage reads no data.
    """
    walk = _Walk(at, read_pipelines(at.git, None), read_pipelines(at.git, at.commit))
    if not all(walk.follow(path) for path in paths):
        return None
    return walk.result if walk.result.data else None


@dataclass
class _Walk:
    """From metrics back to the data, through the pipelines of this change and of the base."""

    at: At
    head: Pipelines
    base: Pipelines
    result: SampleInputs = field(default_factory=SampleInputs)

    def follow(self, path: str) -> bool:
        """Go through the stage that makes ``path``; False where it is not one stage's on both sides."""
        stage, before = _producer(self.head, path), _producer(self.base, path)
        if stage is None or before is None:
            return False
        if stage.address not in self.result.stages:
            self.result.stages.append(stage.address)
            for dependency in stage.dependencies:
                if dependency.params is None:
                    self._data(dependency.path)
                else:
                    self._sampling(dependency, before)
        return True

    def _data(self, path: str) -> None:
        if not path or _CODE.search(path):
            return
        self.result.data += 1
        before = hash_at(self.at.git, self.at.commit, path)
        if (before is None or hash_at(self.at.git, None, path) != before) and not self.follow(path):
            self.result.changed.append(path)

    def _sampling(self, dependency: Dependency, before: Stage) -> None:
        values = dependency.values or {}
        params = (d for d in before.dependencies if d.params is not None and d.path == dependency.path)
        earlier = next((each.values or {} for each in params), {})
        for name in sorted(map(str, {*values, *earlier})):
            if _SAMPLING.search(name) and values.get(name) != earlier.get(name):
                self.result.changed.append(f"{dependency.path}: {name}")
