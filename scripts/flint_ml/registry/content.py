"""The model as bytes: which files, how large, which hash. A model is never loaded here."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flint_ml.errors import InputError
from flint_ml.text.yaml import parse_yaml

Kind = Literal["mlflow", "onnx", "file", "folder"]
_BLOCK = 1 << 20


@dataclass(frozen=True)
class ModelFile:
    """One file of a model: path inside the model (forward slashes), place on disk, size in bytes, hashes."""

    name: str
    path: Path
    size: int
    sha256: str
    md5: str


@dataclass(frozen=True)
class Content:
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
            "file": "plain file",
            "folder": f"plain folder of {len(self.files)} files",
        }
        return words[self.kind]


def training_run(content: Content) -> str | None:
    """Identifier of the MLflow run that wrote the model, as its ``MLmodel`` says.

    Raises
    ------
    InputError
        If ``MLmodel`` is not YAML.
    """
    for file in content.files if content.kind == "mlflow" else ():
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


def _read(name: str, place: Path, shown: str, root: Path | None) -> ModelFile:
    """One file of a model, as :func:`read_content` says."""
    if root is not None and not place.resolve().is_relative_to(root):
        raise InputError(
            f"`{name}` is a link that leads out of the workspace",
            where=shown,
            hint="put the file itself into the model's folder",
            code="model-unreadable",
        )
    try:
        return ModelFile(name, place, *_hash(place))
    except OSError as error:
        raise InputError(
            f"`{name}` cannot be read: {error.strerror or error}", where=shown, code="model-unreadable"
        ) from None


def read_content(path: Path, shown: str, root: Path | None = None) -> Content:
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
        kind: Kind = "onnx" if path.suffix.lower() == ".onnx" else "file"
        return Content(kind, path.name, tuple(files), files[0].sha256)
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.name}\0{file.sha256}\n".encode())
    return Content("mlflow" if "MLmodel" in names else "folder", path.name, tuple(files), total.hexdigest())
