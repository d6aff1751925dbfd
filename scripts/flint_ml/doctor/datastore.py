"""DVC: whether a blank runner can have the data of this commit."""

from __future__ import annotations

import configparser
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flint_ml.doctor.checks import Check, Project
from flint_ml.dvc_project import dvc_root, never_run, read_pipelines, refuse_files, tracked
from flint_ml.scaffold import IN_THE_IMAGE, is_folder, scheme, storage_of, workflow_files

AREA = "DVC"
PAGE = "docs/where-to-keep-data.md"
_SECRET_KEY = re.compile(r"secret|password|token|access_key_id|account_key|connection_string|sas", re.IGNORECASE)
_SECONDS = 120


@dataclass(frozen=True)
class Remote:
    """The default remote: name, address, and whether the address is in Git."""

    name: str
    url: str
    shared: bool


def _config(file: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    if file.is_file():
        parser.read_string(file.read_text(encoding="utf-8", errors="replace"))
    return parser


def default_remote(folder: Path) -> Remote | None:
    """The default remote of the DVC project in ``folder``; None where none is named or its settings are broken."""
    try:
        shared, local = _config(folder / ".dvc" / "config"), _config(folder / ".dvc" / "config.local")
    except configparser.Error:
        return None
    name = local.get("core", "remote", fallback=None) or shared.get("core", "remote", fallback=None)
    if not name:
        return None
    section = f"'remote \"{name}\"'"
    in_git = shared.get(section, "url", fallback=None)
    url = local.get(section, "url", fallback=None) or in_git
    named = shared.get("core", "remote", fallback=None) == name
    return Remote(name, url, in_git == url and named) if url else None


def examine(project: Project) -> Iterator[Check]:
    """Settings, pipeline, remote, and whether the data were pushed."""
    root = dvc_root(project.folder)
    if root is None or not root.is_relative_to(project.root):
        if (project.folder / "dvc.yaml").is_file():
            yield Check(AREA, "failure", "there is a dvc.yaml and no .dvc folder", "dvc init, then git add .dvc")
        else:
            yield Check(AREA, "ok", "not used")
        return
    entries = {
        path: entry for path, entry in tracked(project.git).items() if (project.root / entry.root).resolve() == root
    }
    yield Check(AREA, "ok", f"{len(entries)} files or folders kept")
    yield from _settings(project, root)
    yield from _pipeline(project)
    remote = default_remote(root)
    if not entries:
        return
    if remote is None:
        fix = f"dvc remote add --default storage ADDRESS ({PAGE} says where)"
        yield Check(AREA, "failure", "no default remote: a runner has nowhere to take the data from", fix)
        return
    yield from _remote(project, root, remote)
    if project.online or is_folder(remote.url):
        yield from _pushed(project, root, remote)


def _settings(project: Project, root: Path) -> Iterator[Check]:
    file = root / ".dvc" / "config"
    try:
        shared = _config(file)
    except configparser.Error as error:
        yield Check(AREA, "failure", f".dvc/config cannot be read: {str(error).splitlines()[0]}", "restore it from Git")
        return
    if not project.git.tracked(file):
        yield Check(AREA, "failure", ".dvc/config is not in Git", "git add .dvc/config .dvc/.gitignore, then commit")
    for section in shared.sections():
        for key, value in shared[section].items():
            if key == "url" and value and urlsplit(value).password:
                fix = f"dvc remote modify {_name(section)} url … without it, password with --local, and renew it"
                text = f"the address of {_name(section)} in .dvc/config holds a password, for everybody to read"
                yield Check(AREA, "failure", text, fix)
            # `ask_password` says that DVC asks for one: nothing is kept.
            if _SECRET_KEY.search(key) and not key.startswith("ask_") and value:
                fix = f"dvc remote modify --local {_name(section)} {key} …, unset it in .dvc/config, and renew it"
                yield Check(
                    AREA, "failure", f"`{key}` of {_name(section)} is in .dvc/config, for everybody to read", fix
                )


def _name(section: str) -> str:
    found = re.match(r"'?remote \"(.*)\"'?", section)
    return found[1] if found else section


def _pipeline(project: Project) -> Iterator[Check]:
    if not read_pipelines(project.git, None).below(project.subfolder).files:
        return
    missing = never_run(project.git, None, project.subfolder)
    for lock, names in missing.items():
        fix = f"dvc repro, then dvc push and git add {lock}"
        yield Check(AREA, "failure", f"{', '.join(names)}: never run, so {lock} does not know the outputs", fix)
    if not missing:
        yield from _status(project)


def _dvc(project: Project, *arguments: str) -> tuple[Any, str]:
    """What ``dvc … --json`` says, or None and the reason why it could not."""
    # Safe path: a file of the project that is called like one of Python's modules is not run.
    environment = {**project.env, "DVC_NO_ANALYTICS": "1", "PYTHONSAFEPATH": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments, "--json"],
            cwd=project.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            env=environment,
        )
        if done.returncode == 0:
            return json.loads(done.stdout), ""
        errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        return None, (errors or done.stderr.strip().splitlines() or ["no reason given"])[0][:200]
    except subprocess.TimeoutExpired:
        return None, f"no answer in {_SECONDS} s"
    except (OSError, ValueError) as error:
        return None, str(error)[:200]


def _status(project: Project) -> Iterator[Check]:
    state, reason = _dvc(project, "status")
    if state is None:
        text = f"`dvc status` could not say whether the pipeline is up to date: {reason}"
        yield Check(AREA, "warning", text, "run `dvc status` and follow what it says")
    elif state and _only_absent(state):
        text = f"data that are not in this clone: {', '.join(sorted(state)[:4])}"
        yield Check(AREA, "warning", text, "dvc pull")
    elif state:
        names = ", ".join(sorted(state)[:4])
        fix = "dvc repro (for data: dvc add), dvc push, commit dvc.lock and *.dvc"
        yield Check(AREA, "warning", f"changed since the last run: {names}", fix)
    else:
        yield Check(AREA, "ok", "the pipeline is up to date")


def _only_absent(state: Any) -> bool:
    """Whether all that differs is that files are not here, as in a fresh clone: nothing was changed then."""
    kinds = [
        str(kind)
        for changes in (state.values() if isinstance(state, dict) else [])
        for change in (changes if isinstance(changes, list) else [])
        for files in (change.values() if isinstance(change, dict) else ["changed"])
        for kind in (files.values() if isinstance(files, dict) else ["changed"])
    ]
    return bool(kinds) and set(kinds) <= {"deleted", "not in cache"}


def _remote(project: Project, root: Path, remote: Remote) -> Iterator[Check]:
    if not remote.shared:
        fix = "name it without --local: dvc remote add --default, and commit .dvc/config"
        yield Check(
            AREA, "failure", f"the remote {remote.name} is in .dvc/config.local only, which Git does not hold", fix
        )
        return
    kind = scheme(remote.url)
    if is_folder(remote.url):
        own = _self_hosted(project)
        fix = f"choose a place that GitHub's machines reach ({PAGE}), or a self-hosted runner that sees the folder"
        if own:
            fix = f"pull on that runner before the gate ({PAGE}, an institute's share)"
        text = f"the remote {remote.name} is a folder of this machine: {remote.url}"
        yield Check(AREA, "warning" if own else "failure", text, fix)
    elif kind not in IN_THE_IMAGE:
        fix = "pull on the runner before the gate (`dvc pull`, with the package that DVC names)"
        yield Check(AREA, "warning", f"pull-data does not read {kind}: remotes", fix)
    else:
        yield Check(AREA, "ok", f"the remote {remote.name} is on {storage_of(remote.url).name}")  # type: ignore[union-attr]
    found = storage_of(remote.url)
    if found and found.module and importlib.util.find_spec(found.module) is None:
        yield Check(AREA, "warning", f"this machine's DVC cannot reach {found.name}", f'pip install "{found.package}"')


def _self_hosted(project: Project) -> bool:
    """Whether a workflow runs on a machine of the user's own."""
    files = workflow_files(project.root)
    return any("self-hosted" in file.read_text(encoding="utf-8", errors="replace") for file in files)


def _pushed(project: Project, root: Path, remote: Remote) -> Iterator[Check]:
    refuse_files(project.git, root)
    state, reason = _dvc(project, "data", "status", "--not-in-remote")
    if state is None:
        text = f"the remote {remote.name} could not be asked whether it has the data: {reason}"
        yield Check(AREA, "warning", text, f"dvc pull --remote {remote.name} at a terminal says more")
        return
    missing = state.get("not_in_remote") or []
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        names = f"{', '.join(map(str, missing[:3]))}{more}"
        here = [path for path in missing if (project.folder / str(path)).exists()]
        fix = "dvc push" if here else "dvc push, from where the data were made: they are not in this clone"
        yield Check(AREA, "failure", f"not on the remote: {names}", fix)
    else:
        yield Check(AREA, "ok", "all data are on the remote")
