"""Install flint-ml into an environment of its own and put the command on the runner's PATH.

Standard library only. The package comes from the very files of this action's version, its dependencies from the
hashed lock beside them, so that the runner and the actions' image run the same code.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

LOCKS = {"record": "record.txt", "all": "image.txt"}


def fail(message: str) -> int:
    print(f"::error title=flint-ml setup::{message}")
    return 2


def source_root(action: Path) -> Path | None:
    """The folder that holds the package: two levels up in the source tree, one in a release."""
    return next(
        (folder for folder in (action.parent, action.parent.parent) if (folder / "pyproject.toml").is_file()), None
    )


def install(root: Path, lock: str, target: Path) -> None:
    """Make the environment: locked dependencies, then the package's own files, without building anything."""
    # Symlinks keep it small; the environment lives as long as the job.
    venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt", clear=True).create(target)
    python = str(target / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(root / "requirements" / lock)], check=True)
    paths = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
        check=True,
        capture_output=True,
        text=True,
    )
    # A path file instead of an installation: no build backend is fetched, so nothing unhashed is.
    Path(paths.stdout.strip(), "flint_ml.pth").write_text(f"{root / 'scripts'}\n", encoding="utf-8")
    command = target / "bin" / "flint-ml"
    command.write_text(f"#!{python}\nimport sys\nfrom flint_ml.cli import main\nsys.exit(main())\n", encoding="utf-8")
    command.chmod(0o755)


def main() -> int:
    purpose = os.environ.get("FLINT_ML_FOR") or "record"
    if purpose not in LOCKS:
        return fail(f"input `for` is {purpose!r}; it must be one of: {', '.join(LOCKS)}")
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs on whatever Python the runner has
        return fail(
            f"Python {sys.version.split()[0]} is too old, 3.11 or newer is needed: add actions/setup-python before"
        )
    root = source_root(Path(os.environ["FLINT_ML_ACTION"]).resolve())
    if root is None:
        return fail("the action's own files are incomplete: no pyproject.toml beside it")
    target = Path(os.environ.get("RUNNER_TEMP") or "/tmp").resolve() / "flint-ml"  # noqa: S108 - the runner's own folder
    try:
        install(root, LOCKS[purpose], target)
    except subprocess.CalledProcessError as error:
        return fail(f"pip could not install the dependencies (exit code {error.returncode}); see the lines above")
    version = subprocess.run(
        [str(target / "bin" / "flint-ml"), "--version"], check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    # Only the command goes on the PATH: the environment's python must not shadow the user's.
    commands = target / "path"
    commands.mkdir(exist_ok=True)
    (commands / "flint-ml").unlink(missing_ok=True)
    (commands / "flint-ml").symlink_to(target / "bin" / "flint-ml")
    with Path(os.environ["GITHUB_PATH"]).open("a", encoding="utf-8") as stream:
        stream.write(f"{commands}\n")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as stream:
        stream.write(f"version={version}\n")
    print(f"flint-ml {version} is on the PATH")
    return 0


if __name__ == "__main__":
    sys.exit(main())
