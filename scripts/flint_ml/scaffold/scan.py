"""Look at a repository: Git, DVC, GCBM, scripts, tables, metrics. Nothing is changed and nothing is run."""

from __future__ import annotations

import configparser
import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flint_ml.dvc_project import declared, dvc_root, project_folder, read_pipelines, tracked, within
from flint_ml.errors import InputError
from flint_ml.git import Git
from flint_ml.scaffold.files import workflow_files
from flint_ml.scaffold.scripts import Script, order, read_script
from flint_ml.scaffold.tablefiles import TableFile, read_header

# A project that holds more is read in part; nothing that init looks for lies that deep.
MAX_FILES = 20_000
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
_METRICS = re.compile(r"^(?:.*[_-])?(?:metrics?|scores?)(?:[_-].*)?\.(?:json|ya?ml|toml)$", re.IGNORECASE)


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
    dvc, stages, remote, kept
        Whether it is a DVC project; names of the pipeline's stages; address of the default remote; what DVC keeps.
    in_git, outputs
        Tables that Git tracks; what stages of the pipeline make and DVC keeps.
    gcbm
        Folder of the GCBM project, if it holds one.
    metrics
        Metrics files that the pipeline declares, a script writes or that lie there.
    workflows, gated
        Names of the workflows; of those that use these actions already.
    environment
        File that lists the packages: ``requirements.txt``, ``pyproject.toml``, ``environment.yml``, ``renv.lock``.
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
    kept: tuple[str, ...]
    in_git: tuple[str, ...]
    outputs: tuple[str, ...]
    gcbm: str | None
    scripts: tuple[Script, ...]
    tables: tuple[TableFile, ...]
    metrics: tuple[str, ...]
    environment: str | None
    hashed: bool
    mlflow: bool
    workflows: tuple[str, ...]
    gated: tuple[str, ...]
    heading: str
    ignored: tuple[str, ...]
    python: str | None

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages that the Python scripts import, the standard library left out."""
        return tuple(sorted({name for s in self.scripts if s.language == "Python" for name in s.packages}))

    @property
    def train(self) -> Script | None:
        """The script that most likely trains."""
        return self.scripts[0] if self.scripts else None


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


def remote_address(dvc_folder: Path) -> str | None:
    """Address of the DVC project's default remote, as its own settings say."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read([dvc_folder / ".dvc" / "config", dvc_folder / ".dvc" / "config.local"], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return None
    name = parser.get("core", "remote", fallback=None)
    return parser.get(f"'remote \"{name}\"'", "url", fallback=None) if name else None


def _environment(folder: Path) -> tuple[str | None, bool]:
    for name in (
        "renv.lock",
        "requirements.txt",
        "environment.yml",
        "environment.yaml",
        "pyproject.toml",
        "DESCRIPTION",
    ):
        file = folder / name
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        if name == "pyproject.toml" and "[project]" not in text:
            continue
        return name, name == "requirements.txt" and "--hash=" in text
    return None, False


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


def _lines(file: Path) -> tuple[str, ...]:
    return tuple(file.read_text(encoding="utf-8", errors="replace").split()) if file.is_file() else ()


def _python(folder: Path) -> str | None:
    found = re.match(r"(3\.\d+)", " ".join(_lines(folder / ".python-version")))
    return found[1] if found else None


def _metrics(git: Git, folder: Path, project: str, files: Sequence[str], scripts: Sequence[Script]) -> list[str]:
    named = declared(git, None, ("metrics",)) if (folder / "dvc.yaml").is_file() and git.root else []
    inside = [path.removeprefix(f"{project}/") if project else path for path in named]
    lying = [path for path in files if _METRICS.match(path.rpartition("/")[2])]
    # A script often names the file alone and its folder elsewhere; a file that is there says which is meant.
    written = [next((p for p in lying if p.endswith(f"/{name}")), name) for s in scripts for name in s.metrics]
    return list(dict.fromkeys(inside or [*written, *lying]))


def scan_repository(folder: Path) -> RepositoryScan:
    """The repository of the project in ``folder``."""
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
    scripts = order(
        [found for path in files if path.lower().endswith(_SCRIPTS) if (found := read_script(folder, path))]
    )
    dvc = dvc_root(folder)
    if dvc is not None and root is not None and not dvc.is_relative_to(root):
        dvc = None
    entries = tracked(git) if dvc is not None else {}
    own = {posixpath.relpath(path, project or "."): entry for path, entry in entries.items() if within(path, project)}
    kept = list(own)
    stages = [stage.name for stage in read_pipelines(git, None).below(project).stages] if dvc else []
    environment, hashed = _environment(folder)
    tables = [read_header(folder, path) for path in files if path.lower().endswith(_TABLES)]
    # A fresh clone has the names of DVC's tables and not the tables.
    absent = [path for path in kept if path.lower().endswith(_TABLES) and path not in files]
    tables += [TableFile(path, 0, ()) for path in absent if not path.startswith("../")]
    # ls-files answers relative to the folder it is asked in.
    committed = set(git.tracked(folder)) if root else set()
    flows = workflow_files(root or folder)
    matched = re.search(r"github\.com[:/]([^/\s]+/[^/\s]+?)(?:\.git)?$", git.setting("remote.origin.url") or "")
    return RepositoryScan(
        folder=folder,
        root=root,
        project=project,
        commits=git.commit("HEAD") is not None if root else False,
        branch=_branch(git) if root else "main",
        github=matched[1] if matched else None,
        dvc=dvc is not None,
        stages=tuple(stages),
        remote=remote_address(dvc) if dvc else None,
        kept=tuple(kept),
        outputs=tuple(path for path, entry in own.items() if not entry.source),
        in_git=tuple(t.path for t in tables if t.path in committed),
        gcbm=_gcbm(folder),
        scripts=tuple(scripts),
        tables=tuple(tables),
        metrics=tuple(_metrics(git, folder, project, files, scripts)),
        environment=environment,
        hashed=hashed,
        mlflow=any(s.mlflow for s in scripts) or any((folder / name).exists() for name in _MLFLOW),
        workflows=tuple(flow.name for flow in flows),
        gated=tuple(flow.name for flow in flows if "flint-ml-actions" in flow.read_text("utf-8", "replace")),
        heading=heading(folder),
        ignored=_lines(folder / ".gitignore"),
        python=_python(folder),
    )
