"""Scan a repository: Git, DVC, GCBM, scripts, tables, metrics. Nothing is changed and nothing is run."""

from __future__ import annotations

import configparser
import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flint_ml.dvc_project import Pipelines, declared, dvc_root, project_folder, read_pipelines, tracked, within
from flint_ml.errors import InputError
from flint_ml.git import Git
from flint_ml.scaffold.environments import Environment, package_lists
from flint_ml.scaffold.files import workflow_files
from flint_ml.scaffold.scripts import Script, order, read_script
from flint_ml.scaffold.tablefiles import TableFile, read_header
from flint_ml.scaffold.training import Candidate, candidates

# A project that holds more is read in part; nothing that init looks for lies that deep.
MAX_FILES = 20_000
_MOST_METRICS = 1_000_000
_SKIPPED = {
    "node_modules",
    "renv",
    "packrat",
    "venv",
    "env",
    "site-packages",
    "__pycache__",
    "build",
    "dist",
    "mlruns",
    "mlartifacts",
    "flint-ml-results",
}
_SCRIPTS = (".py", ".r")
_MLFLOW = ("mlruns", "MLproject", "mlflow.db")
_TABLES = (".csv", ".csv.gz", ".tsv", ".parquet")
# What a workflow would take for an expression, and what no line of YAML can hold.
_NEVER_WRITTEN = re.compile(r"\$\{\{|[\x00-\x1f\x7f]")
_MODEL = re.compile(r"(^|/)models?([/._-]|$)|pred|\.(?:pkl|pickle|joblib|onnx|rds|pt|pth|h5|keras|bin)$", re.IGNORECASE)
_METRICS = re.compile(r"^(?:.*[_-])?(?:metrics?|scores?)(?:[_-].*)?\.(?:json|ya?ml|toml|csv|tsv)$", re.IGNORECASE)


@dataclass(frozen=True)
class RepositoryScan:
    """What a repository holds. Paths are relative to the project, with forward slashes.

    Attributes
    ----------
    folder, root, project
        The project's folder, the top of the Git repository (None: no repository), and the first relative to the
        second (empty where they are the same).
    branch
        The default branch; ``main`` where nothing says otherwise.
    dvc, stages, remote, remote_name, kept, absent
        Whether it is a DVC project; names of the pipeline's stages; the default remote's address and name; what DVC
        keeps, and what of it is not here.
    in_git, outputs, never_inputs
        Tables that Git tracks; what stages of the pipeline make and DVC keeps; what no drift check may watch:
        metrics, plots, and outputs of the stages that train.
    gcbm
        Folder of the GCBM project, if it holds one.
    candidates
        Commands that may be what trains, best evidence first.
    scripts
        Scripts, the likeliest to train first.
    metrics
        Metrics files that the pipeline declares, a script writes or that lie there.
    primary, undirected
        The metric of these files that papers would put first (empty where none is known), and numbers of which nobody
        knows what is better.
    environments
        Lists of packages, the most exact first.
    workflows, gated, cml
        Names of the workflows; of those that use these actions already; of those that post with CML.
    projects
        Folders of this repository that hold projects of their own.
    ignored, ignore_open
        Lines of ``.gitignore``, and whether its last line lacks an end.
    notes
        What else was seen and is worth a sentence.
    """

    folder: Path
    root: Path | None
    project: str
    commits: bool
    branch: str
    github: str | None
    dvc: bool
    stages: tuple[str, ...]
    remote: str | None
    remote_name: str
    kept: tuple[str, ...]
    absent: tuple[str, ...]
    in_git: tuple[str, ...]
    outputs: tuple[str, ...]
    never_inputs: tuple[str, ...]
    gcbm: str | None
    candidates: tuple[Candidate, ...]
    scripts: tuple[Script, ...]
    tables: tuple[TableFile, ...]
    metrics: tuple[str, ...]
    environments: tuple[Environment, ...]
    mlflow: bool
    workflows: tuple[str, ...]
    gated: tuple[str, ...]
    cml: tuple[str, ...]
    projects: tuple[str, ...]
    heading: str
    ignored: tuple[str, ...]
    ignore_open: bool
    notes: tuple[str, ...] = ()
    primary: str = ""
    undirected: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages that the Python scripts import, the standard library left out."""
        return tuple(sorted({name for s in self.scripts if s.language == "Python" for name in s.packages}))

    @property
    def train(self) -> Script | None:
        """The script that most likely trains."""
        return next((script for script in self.scripts if script.evidence), None)

    @property
    def hydra(self) -> bool:
        """Whether hydra runs the training: it writes into folders named by date."""
        return any("hydra" in script.packages for script in self.scripts)

    def environment(self, language: str) -> Environment | None:
        """The list of packages for a language."""
        return next((item for item in self.environments if item.language == language), None)


def files_below(folder: Path) -> Iterator[str]:
    """Files that people put there: no hidden folders, no environments, no caches."""
    count = 0
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if not (name.startswith(".") or name in _SKIPPED or _NEVER_WRITTEN.search(name))
            and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            count += 1
            if count > MAX_FILES:
                return
            # A link into a cache that is not here leads nowhere; names are written into a workflow.
            if not _NEVER_WRITTEN.search(name) and (here / name).is_file():
                yield (here / name).relative_to(folder).as_posix()


def _gcbm(folder: Path) -> str | None:
    from flint_ml.gcbm import find_config_dir

    try:
        found = find_config_dir(folder)
    except InputError:
        return None
    # The project is the folder that holds config/, layers/ and input_database/.
    home = found.parent if found.name in {"config", "templates"} and found != folder else found
    return home.relative_to(folder).as_posix()


def default_remote(dvc_folder: Path) -> tuple[str, str] | None:
    """Name and address of the DVC project's default remote, as its own settings say."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read([dvc_folder / ".dvc" / "config", dvc_folder / ".dvc" / "config.local"], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return None
    name = parser.get("core", "remote", fallback=None)
    url = parser.get(f"'remote \"{name}\"'", "url", fallback=None) if name else None
    return (name, url) if name and url else None


def heading(folder: Path) -> str:
    """Name of the project in ``folder``: the README's heading, else the folder's name."""
    readme = next((folder / name for name in ("README.md", "readme.md") if (folder / name).is_file()), None)
    if readme is not None:
        for line in readme.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("# ") and line[2:].strip():
                return re.sub(r"[`*_\[\]<>]", "", line[2:]).strip()[:80]
    return re.sub(r"[-_]+", " ", folder.resolve().name).strip() or "this project"


def _branch(git: Git) -> str:
    found = (git.default_branch() or "").removeprefix("origin/")
    return found or git.branch or "main"


def _metrics(git: Git, project: str, files: Sequence[str], scripts: Sequence[Script]) -> list[str]:
    named = declared(git, None, ("metrics",)) if git.root else []
    inside = [posixpath.relpath(path, project or ".") for path in named if within(path, project)]
    lying = [path for path in files if _METRICS.match(path.rpartition("/")[2])]
    # A script often names the file alone and its folder elsewhere; a file that is there says which is meant.
    written = [next((p for p in lying if p.endswith(f"/{name}")), name) for s in scripts for name in s.metrics]
    return list(dict.fromkeys(inside or [*written, *lying]))


def _never_inputs(pipelines: Pipelines, project: str) -> tuple[str, ...]:
    """What a drift check must not watch: metrics, plots, what a stage that trains makes, and what nobody reads."""
    read = {dependency.path for stage in pipelines.stages for dependency in stage.dependencies}
    paths = [
        path for named in pipelines.named.values() for kind in ("metrics", "plots") for path in named.get(kind, ())
    ]
    for stage in pipelines.stages:
        made = [output.path for output in stage.outputs]
        trains = any(output.kind != "outs" or _MODEL.search(output.path) for output in stage.outputs)
        final = not any(within(other, path) or within(path, other) for path in made for other in read)
        paths += made if trains or (final and read) else [out.path for out in stage.outputs if out.kind != "outs"]
    return tuple(posixpath.relpath(path, project or ".") for path in paths)


def _projects(listing: Sequence[str], pipelines: Pipelines, project: str) -> tuple[str, ...]:
    """Folders with a DVC project, settings or stages of their own, beside the project itself."""
    folders = {posixpath.dirname(posixpath.dirname(path)) for path in listing if path.endswith("/.dvc/config")}
    folders |= {posixpath.dirname(p) for p in listing if posixpath.basename(p) in {"flint-ml.yml", "gcbm_config.cfg"}}
    folders |= {posixpath.dirname(stage.file) for stage in pipelines.stages}
    return tuple(sorted(folder for folder in folders - {project, ""} if not _NEVER_WRITTEN.search(folder)))


def scan_repository(folder: Path) -> RepositoryScan:
    """What the project in ``folder`` holds, and the repository around it.

    Raises
    ------
    InputError
        If the folder's name cannot stand in a workflow, or one of DVC's files cannot be read.
    """
    folder = folder.resolve()
    git = Git(folder)
    root = git.root.resolve() if git.root else None
    project = project_folder(git)
    if _NEVER_WRITTEN.search(project):
        raise InputError(
            "the folder's name cannot stand in a workflow",
            where=repr(project),
            hint="give it a plain name",
            code="invalid-name",
        )
    files = list(files_below(folder))
    # Another DVC project in a subfolder has a gate of its own.
    others = (
        tuple(sorted({f"{path.partition('/.dvc/')[0]}/" for path in git.present() if "/.dvc/" in path})) if root else ()
    )
    inside = f"{project}/" if project else ""
    others = tuple(other.removeprefix(inside) for other in others if other.startswith(inside) and other != inside)
    files = [path for path in files if not path.startswith(others)] if others else files
    dvc = dvc_root(folder)
    if dvc is not None and root is not None and not dvc.is_relative_to(root):
        dvc = None
    readable = [found for path in files if path.lower().endswith(_SCRIPTS) if (found := read_script(folder, path))]
    scripts = order(readable)
    training = [script for script in scripts if script.evidence]
    pipelines = read_pipelines(git, None).below(project)
    own_pipelines = [posixpath.relpath(path, project or ".") for path in pipelines.files]
    with_stages = {posixpath.relpath(stage.file, project or ".") for stage in pipelines.stages}
    data = _data(git, folder, project, files, dvc is not None)
    remote = default_remote(dvc) if dvc else None
    flows = workflow_files(root or folder)
    texts = {flow.name: flow.read_text("utf-8", "replace") for flow in flows}
    gated = [name for name, text in texts.items() if "flint-ml-actions" in text and _gates(text, project)]
    matched = re.search(r"github\.com[:/]([^/\s]+/[^/\s]+?)(?:\.git)?$", git.setting("remote.origin.url") or "")
    ignore = folder / ".gitignore"
    ignore_text = ignore.read_text(encoding="utf-8", errors="replace") if ignore.is_file() else ""
    metrics = _metrics(git, project, files, scripts)
    primary, undirected = _named_metrics(folder, metrics if pipelines.stages else metrics[:1])
    return RepositoryScan(
        folder=folder,
        root=root,
        project=project,
        commits=git.commit("HEAD") is not None if root else False,
        branch=_branch(git) if root else "main",
        github=matched[1] if matched else None,
        dvc=dvc is not None,
        stages=tuple(stage.name for stage in pipelines.stages),
        remote=remote[1] if remote else None,
        remote_name=remote[0] if remote and re.fullmatch(r"[\w.-]+", remote[0]) else "storage",
        never_inputs=_never_inputs(pipelines, project),
        gcbm=_gcbm(folder),
        candidates=tuple(candidates(folder, files, training, sorted(with_stages) if dvc is not None else ())),
        scripts=tuple(scripts),
        metrics=tuple(metrics),
        primary=primary,
        undirected=undirected,
        environments=tuple(_lists(folder, files, root)),
        mlflow=any(s.mlflow for s in scripts) or any((folder / name).exists() for name in _MLFLOW),
        workflows=tuple(texts),
        gated=tuple(gated),
        cml=tuple(name for name, text in texts.items() if re.search(r"\bcml\b|iterative/setup-cml", text)),
        projects=_projects(git.present(), pipelines, project) if root else (),
        heading=heading(folder),
        ignored=tuple(ignore_text.split()),
        ignore_open=bool(ignore_text) and not ignore_text.endswith("\n"),
        notes=tuple(_notes(pipelines, own_pipelines, files, readable)),
        **data,
    )


def _named_metrics(folder: Path, metrics: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The headline's metric, and the numbers without a known direction, of the metrics files that are here."""
    from flint_ml.metrics import Evidence, IntervalSettings, MetricsFile, judge_metrics, parse

    read: dict[str, MetricsFile] = {}
    for path in metrics:
        file = folder / path
        if not file.is_file() or file.stat().st_size > _MOST_METRICS:
            continue
        try:
            read[path] = parse(file.read_bytes(), path)
        except InputError:
            continue  # compare-metrics says what is wrong with it
    rows = judge_metrics(read, {}, {}, {}, Evidence(IntervalSettings(resamples=0))).rows
    deciding = [row for row in rows if row.rule.weight > 0]
    primary = next((row.name for row in deciding if row.rule.direction != "none"), "")
    return primary, tuple(row.name for row in deciding if row.rule.source == "unknown")


def _lists(folder: Path, files: Sequence[str], root: Path | None) -> list[Environment]:
    """Lists of packages of the project, else those of the repository's root."""
    own = package_lists(folder, files)
    if own or root is None or root == folder:
        return own
    names = sorted(path.name for path in root.iterdir() if path.is_file())
    up = "../" * len(folder.relative_to(root).parts)
    return [replace(item, path=f"{up}{item.path}") for item in package_lists(root, names)]


def _data(git: Git, folder: Path, project: str, files: Sequence[str], dvc: bool) -> dict[str, Any]:
    """Tables, and who keeps them."""
    entries = tracked(git) if dvc else {}
    own = {posixpath.relpath(path, project or "."): entry for path, entry in entries.items() if within(path, project)}
    tables = [read_header(folder, path) for path in files if path.lower().endswith(_TABLES)]
    # A fresh clone has the names of DVC's tables and not the tables.
    absent = [path for path in own if not (folder / path).exists()]
    tables += [TableFile(path, 0, ()) for path in absent if path.lower().endswith(_TABLES) and path not in files]
    # ls-files answers relative to the folder it is asked in.
    committed = set(git.tracked(folder)) if git.root else set()
    return {
        "kept": tuple(own),
        "absent": tuple(absent),
        "outputs": tuple(path for path, entry in own.items() if not entry.source),
        "tables": tuple(tables),
        "in_git": tuple(t.path for t in tables if t.path in committed),
    }


def _gates(text: str, project: str) -> bool:
    """Whether a workflow of ours gates this project: it names its folder, or none where it is the root."""
    folders = {name.strip("/") for name in re.findall(r"working-directory:\s*[\"']?([^\s\"']+)", text)}
    if any("matrix." in name or name.startswith("${{") for name in folders):
        return not project or project in text
    return project in folders if project else not folders or "." in folders


def _notes(pipelines: Pipelines, own: Sequence[str], files: Sequence[str], scripts: Sequence[Script]) -> Iterator[str]:
    if pipelines.files and not pipelines.stages:
        yield "dvc.yaml has no stages: metrics and plots are declared, and a script makes them"
    if len(own) > 1:
        yield f"{len(own)} pipelines: {', '.join(own[:5])}"
    if texts := sorted({name for script in scripts for name in script.text_metrics}):
        yield f"{texts[0]} is text for people: write JSON beside it, such as the lines below"
    if any(path.endswith("conf/config.yaml") for path in files):
        yield "hydra's conf/ holds settings: DVC does not compare them unless dvc.yaml names them under params"
