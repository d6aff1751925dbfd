"""Lists of packages, wherever a project keeps them, and the lines that install them on a blank runner."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_NAMES = {
    "renv.lock": "R",
    "uv.lock": "Python",
    "poetry.lock": "Python",
    "pixi.lock": "Python",
    "pixi.toml": "Python",
    "Pipfile.lock": "Python",
    "Pipfile": "Python",
    "requirements.txt": "Python",
    "environment.yml": "Python",
    "environment.yaml": "Python",
    "conda.yml": "Python",
    "conda.yaml": "Python",
    "pyproject.toml": "Python",
    "DESCRIPTION": "R",
}
_ORDER = list(_NAMES)
_REQUIREMENTS = re.compile(r"(?:^|/)(?:requirements[\w.-]*\.txt|requirements/(?!dev|test|doc|lint)[\w.-]+\.txt)$")
_NOT_FOR_TRAINING = re.compile(r"dev|test|doc|lint|ci[./-]")
_DVC = re.compile(r"(?m)^\s*-?\s*[\"']?dvc\b(?![-\w])|[\"']dvc(?:\[[\w,]+\])?\s*[=<>~!\"']|name = \"dvc\"")


@dataclass(frozen=True)
class Environment:
    """A list of packages: path relative to the project, file name that says its kind, language, text."""

    path: str
    kind: str
    language: str
    text: str

    @property
    def hashed(self) -> bool:
        """Whether pip is to check hashes."""
        return self.kind == "requirements.txt" and "--hash=" in self.text

    @property
    def has_dvc(self) -> bool:
        """Whether DVC is among the packages."""
        return bool(_DVC.search(self.text))


def package_lists(folder: Path, files: Sequence[str]) -> list[Environment]:
    """The project's lists, the most exact first; a list in a subfolder counts where its own folder has none."""
    found = []
    for path in files:
        name = path.rpartition("/")[2]
        kind = name if name in _NAMES else "requirements.txt" if _REQUIREMENTS.search(path) else None
        if kind is None or path.count("/") > 2 or (kind == "requirements.txt" and _NOT_FOR_TRAINING.search(path)):
            continue
        file = folder / path
        text = file.read_text(encoding="utf-8", errors="replace") if file.stat().st_size < 20_000_000 else ""
        if kind == "pyproject.toml" and "[project]" not in text and "[tool.poetry]" not in text:
            continue
        if kind == "DESCRIPTION" and not re.search(r"(?m)^Package:|^Imports:|^Depends:", text):
            continue
        found.append(Environment(path, kind, _NAMES[kind], text))
    return sorted(
        found, key=lambda item: (item.path.count("/"), _ORDER.index(item.kind), _special(item.path), item.path)
    )


def _special(path: str) -> bool:
    """Whether a list is for one system or purpose: the plain one comes first."""
    return path.rpartition("/")[2] not in _NAMES


def install_lines(environment: Environment, folder: str) -> list[str]:
    """Shell lines for a runner that install the list and put its programs on the PATH of later steps.

    ``folder`` is the project's folder, relative to the root of the repository; R's lists have actions of their own.
    """
    path = posixpath.normpath(posixpath.join(folder, environment.path))
    home = path.rpartition("/")[0]
    inside = f"cd {shlex.quote(home)} && " if home else ""
    kind, text = environment.kind, environment.text
    if kind == "requirements.txt":
        hashes = "--require-hashes " if environment.hashed else ""
        return [f"python -m pip install {hashes}-r {shlex.quote(path)}"]
    if kind == "uv.lock":
        return [f'{inside}pipx install uv && uv sync --frozen --all-extras && echo "$PWD/.venv/bin" >> "$GITHUB_PATH"']
    if kind == "poetry.lock" or (kind == "pyproject.toml" and "[project]" not in text):
        run = 'poetry install --no-root && echo "$(poetry env info --path)/bin" >> "$GITHUB_PATH"'
        return [f"{inside}pipx install poetry && {run}"]
    if kind in {"Pipfile", "Pipfile.lock"}:
        run = "sync" if kind == "Pipfile.lock" else "install"
        return [f'{inside}pipx install pipenv && pipenv {run} && echo "$(pipenv --venv)/bin" >> "$GITHUB_PATH"']
    if kind in {"pixi.toml", "pixi.lock"}:
        get = "curl -fsSL https://pixi.sh/install.sh | sh && ~/.pixi/bin/pixi install"
        return [f'{inside}{get} && echo "$PWD/.pixi/envs/default/bin" >> "$GITHUB_PATH"']
    if kind.startswith(("environment.", "conda.")):
        create = f'"$CONDA/bin/conda" env create --prefix "$RUNNER_TEMP/conda" --file {shlex.quote(path)}'
        return [f'{create} && echo "$RUNNER_TEMP/conda/bin" >> "$GITHUB_PATH"']
    if kind == "pyproject.toml":
        if "[build-system]" in text:
            return [f"{inside}python -m pip install ."]
        # Without a build system pip takes a flat layout of several folders for a mistake: only what it needs.
        return [f"{inside}pipx install uv && uv pip install --system --requirements pyproject.toml"]
    return []


def python_version(folder: Path, lists: Sequence[Environment], usual: str) -> str | None:
    """The version that the project names: ``.python-version``, else the newest that ``requires-python`` allows."""
    file = folder / ".python-version"
    if file.is_file() and (named := re.match(r"\s*(3\.\d+)", file.read_text(encoding="utf-8", errors="replace"))):
        return named[1]
    for item in lists:
        allowed = re.search(r"(?m)^\s*(?:requires-python|python)\s*=\s*[\"']([^\"']+)", item.text)
        if item.kind != "pyproject.toml" or allowed is None:
            continue
        low = re.search(r"(?:>=|\^|~=?|==)\s*3\.(\d+)", allowed[1])
        high = re.search(r"<\s*3\.(\d+)", allowed[1])
        minor = int(usual.partition(".")[2])
        if high:
            minor = min(minor, int(high[1]) - 1)
        if "==" in allowed[1] and low:
            minor = int(low[1])
        return f"3.{max(minor, int(low[1]) if low else minor)}"
    return None
