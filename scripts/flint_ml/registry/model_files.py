"""The model as bytes: which files, how large, which hash. A model is never loaded here, and an ONNX file not opened."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from flint_ml.errors import InputError
from flint_ml.text.yaml import parse_yaml

Kind = Literal["mlflow", "onnx", "r", "file", "folder"]
# Where a project says which Python it trains with, the most exact place first.
_PYTHON_FILES = (
    (".python-version", r"^\s*(?:cpython-?)?(3\.\d+(?:\.\d+)?)\s*$"),
    ("environment.yml", r"^\s*-\s*python\s*=+\s*(3\.\d+(?:\.\d+)?)"),
    ("conda.yaml", r"^\s*-\s*python\s*=+\s*(3\.\d+(?:\.\d+)?)"),
    ("pyproject.toml", r"""^requires-python\s*=\s*["'](?:==|~=|>=)\s*(3\.\d+(?:\.\d+)?)"""),
)
_R_FILES = (".rds", ".rdata", ".rda")
_BLOCK = 1 << 20
# What serving needs; unpinned, because nothing here knows what the file was made with.
_REQUIREMENTS = ("mlflow", "onnx", "onnxruntime", "pandas")


@dataclass(frozen=True)
class ModelFile:
    """One file of a model: name inside the model (forward slashes), path on disk, size in bytes, hashes."""

    name: str
    path: Path
    size: int
    sha256: str
    md5: str


@dataclass(frozen=True)
class ModelFiles:
    """A model's files in order of name, with one hash over names and bytes."""

    kind: Kind
    name: str
    files: tuple[ModelFile, ...]
    sha256: str

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.size for file in self.files)

    @property
    def described(self) -> str:
        """The kind in words."""
        words = {
            "mlflow": "MLflow model",
            "onnx": "ONNX model",
            "r": "R object",
            "file": "plain file",
            "folder": f"plain folder of {len(self.files)} files",
        }
        return words[self.kind]


def training_run(model: ModelFiles) -> str | None:
    """Identifier of the MLflow run that wrote the model, as its ``MLmodel`` says.

    Raises
    ------
    InputError
        If ``MLmodel`` is not YAML.
    """
    for file in model.files if model.kind == "mlflow" else ():
        if file.name == "MLmodel":
            data = parse_yaml(file.path.read_text(encoding="utf-8", errors="replace"), "MLmodel")
            return str(data["run_id"]) if isinstance(data, dict) and data.get("run_id") else None
    return None


def _hash(path: Path) -> tuple[int, str, str]:
    sha, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            sha.update(block)
            md5.update(block)
            size += len(block)
    return size, sha.hexdigest(), md5.hexdigest()


def _names(folder: Path) -> list[str]:
    """Files below ``folder``; links are followed, a loop of links is an error of the user's."""
    names: list[str] = []
    seen: set[Path] = set()
    for current, folders, files in os.walk(folder, followlinks=True):
        real = Path(current).resolve()
        if real in seen:
            raise InputError(
                "links to itself", where=str(Path(current).relative_to(folder.parent)), code="model-unreadable"
            )
        seen.add(real)
        # Python's byte code of a model that was loaded in place is no part of it.
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        names += [(Path(current) / name).relative_to(folder).as_posix() for name in files]
    return sorted(names)


def _read(name: str, path: Path, shown: str, root: Path | None) -> ModelFile:
    """One file of a model, as :func:`read_model` says."""
    if root is not None and not path.resolve().is_relative_to(root):
        raise InputError(
            f"`{name}` is a link that leads out of the workspace",
            where=shown,
            hint="put the file itself into the model's folder",
            code="model-unreadable",
        )
    try:
        return ModelFile(name, path, *_hash(path))
    except OSError as error:
        raise InputError(
            f"`{name}` cannot be read: {error.strerror or error}", where=shown, code="model-unreadable"
        ) from None


def read_model(path: Path, shown: str, root: Path | None = None) -> ModelFiles:
    """Read and hash the model at ``path``.

    Parameters
    ----------
    path
        A file, or a folder with everything in it.
    shown
        How messages name it.
    root
        Where links must stay inside (the workspace of a runner), or None.

    Raises
    ------
    InputError
        If the model is empty, cannot be read, or links out of ``root``.
    """
    if (path / ".git").exists() or path == root:
        raise InputError(
            "is the whole repository",
            where=shown,
            hint="name the file or folder that training wrote",
            code="model-unreadable",
        )
    names = [path.name] if path.is_file() else _names(path)
    files = [_read(name, path if path.is_file() else path / name, shown, root) for name in names]
    if not sum(file.size for file in files):
        raise InputError(
            "is empty",
            where=shown,
            hint="check that training wrote the model, and that pull-data brought it",
            code="model-empty",
        )
    if path.is_file():
        suffix = path.suffix.lower()
        kind: Kind = "onnx" if suffix == ".onnx" else "r" if suffix in _R_FILES else "file"
        return ModelFiles(kind, path.name, tuple(files), files[0].sha256)
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.name}\0{file.sha256}\n".encode())
    return ModelFiles("mlflow" if "MLmodel" in names else "folder", path.name, tuple(files), total.hexdigest())


def trained_python(project: Path) -> str | None:
    """The version of Python that a project trains with, as its own files say; None where they do not."""
    for name, pattern in _PYTHON_FILES:
        path = project / name
        if path.is_file() and path.stat().st_size < 1 << 20:
            match = re.search(pattern, path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
            if match:
                return str(match[1])
    return None


def described_as_mlflow(model: ModelFiles, folder: Path, python: str | None = None) -> ModelFiles:
    """``model`` of one ONNX file with ``MLmodel`` and environment files beside it, written to ``folder``.

    The hash stays that of the ONNX file: what is generated is not a part of the model's identity.

    Parameters
    ----------
    python
        The version of Python that trained it, such as ``3.11.7``; None where nobody knows, and nothing is said then.
    """
    name = model.files[0].name
    texts = {
        "MLmodel": _mlmodel(name, python),
        "requirements.txt": "".join(f"{package}\n" for package in _REQUIREMENTS),
        "python_env.yaml": (f'python: "{python}"\n' if python else "")
        + "build_dependencies: [pip]\ndependencies: [-r requirements.txt]\n",
        "conda.yaml": "name: mlflow-env\nchannels: [conda-forge]\n"
        f"dependencies: [{f'python={python}, ' if python else ''}pip, {{pip: {json.dumps(list(_REQUIREMENTS))}}}]\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")
    return replace(model, files=(*model.files, *read_model(folder, folder.name).files))


def _mlmodel(name: str, python: str | None) -> str:
    quoted = json.dumps(name, ensure_ascii=False)
    return f"""flavors:
  onnx:
    data: {quoted}
    providers: [CPUExecutionProvider]
  python_function:
    data: {quoted}
    env: {{conda: conda.yaml, virtualenv: python_env.yaml}}
    loader_module: mlflow.onnx
""" + (f'    python_version: "{python}"\n' if python else "")
