"""The pipelines of a repository as DVC itself reads them: stages, outputs, dependencies, metrics, parameters, plots.

DVC's own index resolves templates, ``matrix``, ``foreach``, ``wdir`` and ``vars``, leaves out entries of ``dvc.lock``
whose stages are gone, and works at any revision without a checkout. It costs about a second to import, so it is asked
only where a ``dvc.yaml`` is. ``*.dvc`` files, of which there may be thousands, are read by ``entries`` instead.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from flint_ml.dvc_project.errors import clean, logged_causes
from flint_ml.dvc_project.paths import contents, dvc_roots, joined, listing, project_folder, within
from flint_ml.errors import InputError
from flint_ml.git import Git
from flint_ml.text.yaml import parse_yaml

Kind = Literal["outs", "metrics", "plots"]
PIPELINE, LOCK = "dvc.yaml", "dvc.lock"
# Files whose content a template in dvc.yaml may use: with them unchanged, the pipeline is.
_TEMPLATE_SOURCES = (".yaml", ".yml", ".json", ".toml", ".py", ".lock")


@dataclass(frozen=True)
class Output:
    """What a stage makes, with hash and size as ``dvc.lock`` records them (None: the stage never ran).

    ``cached`` outputs are DVC's, others Git's; those that are not ``pushed`` stay on the machine that made them.
    """

    path: str
    kind: Kind
    cached: bool = True
    pushed: bool = True
    md5: str | None = None
    size: int | None = None
    nfiles: int | None = None
    legacy: bool = False
    remote: str | None = None
    executable: bool = False


@dataclass(frozen=True)
class Dependency:
    """What a stage reads, with the hash that ``dvc.lock`` records.

    ``params`` are names of parameters in the file ``path`` (empty: all of it), ``values`` the recorded ones; both are
    None for data and code. ``path`` is empty for what lies outside the repository.
    """

    path: str
    md5: str | None = None
    params: tuple[str, ...] | None = None
    values: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Stage:
    """A stage of a pipeline; one of ``matrix`` or ``foreach`` is several, such as ``train@north``."""

    file: str
    name: str
    command: str
    folder: str
    frozen: bool
    command_changed: bool
    outputs: tuple[Output, ...]
    dependencies: tuple[Dependency, ...]

    @property
    def address(self) -> str:
        """``dvc.yaml:train``."""
        return f"{self.file}:{self.name}"


@dataclass(frozen=True)
class Pipelines:
    """All pipelines of a repository at a revision.

    Attributes
    ----------
    files
        Their ``dvc.yaml`` files.
    stages
        Their stages, in order.
    named
        Files that ``dvc.yaml`` names outside stages, by file and kind (``metrics``, ``plots``, ``params``).
    artifacts
        Paths of declared artifacts, by name.
    unreadable
        Files that DVC could not read, and why; the others are read all the same.
    """

    files: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    named: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, InputError] = field(default_factory=dict)

    def below(self, folder: str) -> Pipelines:
        """The pipelines whose ``dvc.yaml`` lies in ``folder`` or below it."""
        return Pipelines(
            tuple(file for file in self.files if within(file, folder)),
            tuple(stage for stage in self.stages if within(stage.file, folder)),
            {file: paths for file, paths in self.named.items() if within(file, folder)},
            self.artifacts,
            {file: error for file, error in self.unreadable.items() if within(file, folder)},
        )


def read_pipelines(git: Git, revision: str | None) -> Pipelines:
    """The pipelines of the repository at ``revision`` (None: the working tree), read once per process.

    Raises
    ------
    InputError
        If DVC cannot open the repository at all. A single file that it cannot read is in ``unreadable``.
    """
    paths = listing(git, revision)
    files = [path for path in paths if posixpath.basename(path) == PIPELINE]
    if not files:
        return Pipelines()
    top = (git.root or git.folder).resolve()
    roots = tuple(dvc_roots(git, paths))
    if revision is None:
        state = tuple((path, *_stat(top / path)) for path in paths if path.endswith(_TEMPLATE_SOURCES))
        return _read(top, None, tuple(files), roots, state, git.root is not None)
    commit = git.commit(revision) or revision
    return _read(top, commit, tuple(files), roots, (), True)


def _stat(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size


@lru_cache(maxsize=16)
def _read(
    top: Path, commit: str | None, files: tuple[str, ...], roots: tuple[str, ...], _state: Any, in_git: bool
) -> Pipelines:
    """The pipelines in ``files``; ``_state`` tells working trees apart for the cache."""
    git = Git(top)
    stages: list[Stage] = []
    named: dict[str, dict[str, tuple[str, ...]]] = {}
    artifacts: dict[str, str] = {}
    unreadable: dict[str, InputError] = {}
    for root in roots:
        own = [file for file in files if next(r for r in roots if within(file, r)) == root]
        if not own:
            continue
        with logged_causes(), _opened(top, root, commit, in_git) as repo:
            for file in own:
                try:
                    index = _index(repo, file, top if commit is None else None)
                except Exception as error:
                    if type(error).__name__ == "StageFileDoesNotExistError":
                        continue  # .dvcignore names it
                    unreadable[file] = _reason(git, commit, file, error)
                    continue
                stages += [_stage(stage, file, top if commit is None else None) for stage in index.stages]
                named[file] = _named(index, posixpath.dirname(file))
                artifacts |= _artifacts(index, posixpath.dirname(file))
    return Pipelines(files, tuple(stages), named, artifacts, unreadable)


def _opened(top: Path, root: str, commit: str | None, in_git: bool) -> Any:
    """DVC's repository object for the project in ``root``; at a commit nothing is written and nothing checked out."""
    from dvc.repo import Repo
    from dvc.scm import SCM

    try:
        if commit is None:
            return Repo(str(top / root), uninitialized=True)
        from dvc.fs import GitFileSystem

        scm = SCM(str(top), no_scm=not in_git)
        return Repo(root_dir=f"/{root}", fs=GitFileSystem(scm=scm, rev=commit), scm=scm, uninitialized=True)
    except Exception as error:
        raise _not_opened(error, commit) from None


def _not_opened(error: Exception, commit: str | None) -> InputError:
    text = clean(error)
    if "owned by" in text or "safe.directory" in text:
        return InputError(
            "the repository belongs to another user, and Git does not open it",
            hint="run `git config --global --add safe.directory <folder>`",
            code="repository-owner",
        )
    if commit is not None:
        return InputError(
            f"DVC cannot read the commit {commit[:10]}: {text}",
            hint="set `fetch-depth: 0` on actions/checkout",
            code="revision-not-fetched",
        )
    return InputError(f"DVC cannot open this repository: {text}", hint="`dvc status` says more", code="dvc-failed")


def _index(repo: Any, file: str, top: Path | None) -> Any:
    from dvc.repo.index import Index

    return Index.from_file(repo, str(top / file) if top else f"/{file}")


def _reason(git: Git, commit: str | None, file: str, error: Exception) -> InputError:
    """Why ``file`` or its lock cannot be read, with the line where it is not YAML."""
    lock = posixpath.join(posixpath.dirname(file), LOCK)
    for name, data in contents(git, commit, [file, lock]).items():
        where = f"{name} at {commit[:10]}" if commit else name
        try:
            content = parse_yaml(data.decode("utf-8-sig", "replace"), where)
        except InputError as fault:
            return fault
        if name == lock and isinstance(content, Mapping) and content and "schema" not in content:
            return InputError(
                "is of DVC 1, which DVC 3 does not read",
                where=where,
                hint="put the lines `schema: '2.0'` and `stages:` on top and indent all others by two blanks, or run "
                "`dvc repro` with DVC 2 once; commit the result",
                code="old-dvc-lock",
            )
        if content is not None and not isinstance(content, Mapping):
            return InputError("is not a DVC file", where=where, hint="restore it from Git", code="invalid-dvc-file")
    where = f"{file} at {commit[:10]}" if commit else file
    return InputError(
        f"DVC cannot read it: {clean(error)}", where=where, hint="`dvc status` says more", code="invalid-dvc-file"
    )


def _relative(path: str, top: Path | None) -> str:
    """A path of DVC's, absolute in its file system, relative to the Git root; empty where it lies outside."""
    name = posixpath.relpath(path, "/") if top is None else Path(os.path.relpath(path, top)).as_posix()
    return "" if name == ".." or name.startswith("../") else name


def _stage(stage: Any, file: str, top: Path | None) -> Stage:
    from dvc.dependency import ParamsDependency

    outputs = [
        _output(out, path) for out in stage.outs if out.protocol == "local" and (path := _relative(out.fs_path, top))
    ]
    dependencies = []
    for dep in stage.deps:
        path = _relative(dep.fs_path, top) if dep.protocol == "local" else ""
        value = dep.hash_info.value if dep.hash_info else None
        if isinstance(dep, ParamsDependency):
            values = value if isinstance(value, Mapping) else {}
            dependencies.append(Dependency(path, params=tuple(map(str, dep.params or ())), values=values))
        else:
            dependencies.append(Dependency(path, str(value) if value else None))
    command = stage.cmd if isinstance(stage.cmd, str) else "\n".join(stage.cmd or ())
    folder = _relative(stage.wdir, top)
    return Stage(
        file,
        str(stage.name),
        command,
        "" if folder == "." else folder,
        bool(stage.frozen),
        bool(stage.cmd_changed),
        tuple(outputs),
        tuple(dependencies),
    )


def _output(out: Any, path: str) -> Output:
    return Output(
        path=path,
        kind="metrics" if out.metric else "plots" if out.plot else "outs",
        cached=bool(out.use_cache),
        pushed=bool(out.can_push),
        md5=str(out.hash_info.value) if out.hash_info and out.hash_info.value else None,
        size=out.meta.size if out.meta else None,
        nfiles=out.meta.nfiles if out.meta else None,
        legacy=out.hash_name == "md5-dos2unix",
        remote=out.remote,
        executable=bool(out.meta and out.meta.isexec),
    )


def _named(index: Any, folder: str) -> dict[str, tuple[str, ...]]:
    """Files that a ``dvc.yaml`` names outside its stages."""
    metrics = [path for paths in index._metrics.values() for path in paths]
    params = [path for paths in index._params.values() for path in paths]
    plots = [path for items in index._plots.values() for item in items for path in _plot_files(item)]
    return {
        kind: tuple(joined(folder, str(path)) for path in paths)
        for kind, paths in (("metrics", metrics), ("params", params), ("plots", plots))
    }


def _plot_files(item: Any) -> Iterator[str]:
    """Files behind an entry of ``plots:``, which is a path, or a name with the files of its axes."""
    for name, properties in item.items() if isinstance(item, Mapping) else [(item, None)]:
        axes = [properties.get(axis) for axis in ("x", "y")] if isinstance(properties, Mapping) else []
        files = [file for axis in axes if isinstance(axis, Mapping) for file in axis]
        yield from map(str, files or [name])


def _artifacts(index: Any, folder: str) -> dict[str, str]:
    found = [item for items in index._artifacts.values() for item in items.items()]
    return {str(name): joined(folder, str(item["path"])) for name, item in found if item and "path" in item}


def declared(git: Git, revision: str | None, kinds: Sequence[str] = ("metrics", "plots")) -> list[str]:
    """Files that the project's pipelines name under ``kinds`` at ``revision``, relative to the Git root."""
    pipelines = read_pipelines(git, revision).below(project_folder(git))
    paths = {output.path for stage in pipelines.stages for output in stage.outputs if output.kind in kinds}
    paths |= {path for named in pipelines.named.values() for kind in kinds for path in named.get(kind, ())}
    return sorted(paths)


def params_files(git: Git, revision: str | None) -> list[str]:
    """Files of parameters that the project's pipelines name at ``revision``, ``params.yaml`` beside each included."""
    pipelines = read_pipelines(git, revision).below(project_folder(git))
    paths = {joined(posixpath.dirname(file), "params.yaml") for file in pipelines.files}
    dependencies = [dep for stage in pipelines.stages for dep in stage.dependencies]
    paths |= {dep.path for dep in dependencies if dep.params is not None and dep.path}
    paths |= {path for named in pipelines.named.values() for path in named.get("params", ())}
    return sorted(paths)


def never_run(git: Git, revision: str | None, project: str) -> dict[str, list[str]]:
    """Stages with outputs for DVC that ``dvc.lock`` does not know, by the lock file that lacks them."""
    missing: dict[str, list[str]] = {}
    for stage in read_pipelines(git, revision).below(project).stages:
        if any(output.cached and output.md5 is None for output in stage.outputs):
            missing.setdefault(posixpath.join(posixpath.dirname(stage.file), LOCK), []).append(stage.name)
    return missing
