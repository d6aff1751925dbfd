"""Find ``moja.cli``, its libraries and what identifies them: it prints the same version whatever it is."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from flint_ml.errors import InputError
from flint_ml.gcbm.project.problems import FLINT_HINT
from flint_ml.hashing import file_sha256
from flint_ml.text.secrets import is_secret

NAME = "moja.cli"


def find_moja_cli(given: str | Path | None) -> Path | None:
    """The executable: the given file or its folder, else the one on the PATH, else None.

    Raises
    ------
    InputError
        What was given does not exist or cannot be executed.
    """
    if not given:
        found = shutil.which(NAME)
        return Path(found).absolute() if found else None
    path = Path(given).absolute()
    if path.is_dir():
        path = path / NAME
    if not path.is_file():
        raise InputError(
            f"there is no {path.name} at {given}",
            where="moja-cli",
            hint=f"give the path of the executable, leave it out to search the PATH, or {FLINT_HINT}",
            code="gcbm-flint-missing",
        )
    if not os.access(path, os.X_OK):
        raise InputError(
            f"{given} may not be executed",
            where="moja-cli",
            hint=f"chmod +x {given}; an artifact or a DVC remote loses this permission",
            code="gcbm-flint-missing",
        )
    return path


def require_moja_cli(given: str | Path | None) -> Path:
    """The executable; InputError where there is none."""
    found = find_moja_cli(given)
    if found is None:
        raise InputError(
            f"the flint engine needs {NAME}, which is not on the PATH",
            where="moja-cli",
            hint=f"give its path, or {FLINT_HINT}",
            code="gcbm-flint-missing",
        )
    return found


def home_of(binary: Path) -> Path:
    """The folder in which ``moja.cli`` looks for its plug-ins: that of the real file, symbolic links resolved."""
    return binary.resolve().parent


def plugin(home: Path, library: str) -> Path | None:
    """File of a plug-in library (a debug build's name ends in ``d``), or None."""
    for name in (f"lib{library}.so", f"lib{library}d.so", f"lib{library}.dylib"):
        if (home / name).is_file():
            return home / name
    return None


def version_of(binary: Path) -> dict[str, str]:
    """What identifies an installation: sha256 of the executable and of each moja library beside it.

    The other libraries beside it (GDAL, Poco, boost) come as one hash, ``other libraries``, of their names
    and contents.
    """
    home = home_of(binary)
    found = {NAME: file_sha256(binary)}
    others = hashlib.sha256()
    seen: set[tuple[int, int]] = set()
    for path in sorted(home.glob("lib*.so*")):
        if not path.is_file():
            continue
        about = path.stat()
        if path.name.startswith(("libmoja", "libsawtooth")):
            found[path.name] = file_sha256(path)
        elif (about.st_dev, about.st_ino) not in seen:  # libx.so -> libx.so.1 -> libx.so.1.2 counts once
            seen.add((about.st_dev, about.st_ino))
            others.update(f"{path.name} {file_sha256(path)}\n".encode())
    if seen:
        found["other libraries"] = others.hexdigest()
    return found


def environment(binary: Path) -> dict[str, str]:
    """The process's environment without secrets: linked libraries and data files are searched beside the executable
    first."""
    home = home_of(binary)
    env = {name: value for name, value in os.environ.items() if not is_secret(name)}
    folders = [str(home), *(str(p) for p in (home / "lib",) if p.is_dir())]
    env["LD_LIBRARY_PATH"] = os.pathsep.join([*folders, *filter(None, [env.get("LD_LIBRARY_PATH")])])
    for name, folder in (("GDAL_DATA", "gdal"), ("PROJ_LIB", "proj")):
        if (home / "share" / folder).is_dir():
            env[name] = str(home / "share" / folder)
    return env
