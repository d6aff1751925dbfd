"""The command line: help without imports, names, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flint_ml import __version__
from flint_ml.commands import names


def flint_ml(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flint_ml", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_help_imports_neither_pydantic_nor_an_action() -> None:
    code = (
        "import sys; from flint_ml.cli import main; main(['--help']);"
        "bad = {m for m in sys.modules if m.startswith(('pydantic', 'numpy', 'ruamel', 'flint_ml.commands.'))};"
        "sys.exit(f'imported: {bad}' if bad else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for name in names():
        assert f"  {name} " in result.stdout


def test_version_and_unknown_commands() -> None:
    assert flint_ml("--version").stdout == f"flint-ml {__version__}\n"
    result = flint_ml("check-drit")
    assert (result.returncode, "Did you mean `check-drift`" in result.stderr) == (2, True)
    assert flint_ml().returncode == 2


def test_a_reader_who_leaves_is_no_fault(tmp_path: Path) -> None:
    shell = f"set -o pipefail; {sys.executable} -m flint_ml doctor | true"
    result = subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr


@pytest.mark.parametrize("name", names())
def test_every_command_has_help(name: str) -> None:
    result = flint_ml(name, "--help")
    assert result.returncode == 0
    assert "--results-dir" in result.stdout


def test_a_wrong_option_is_one_line_without_traceback(tmp_path: Path) -> None:
    result = flint_ml("record", "--nmae", "x", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "--nmae" in result.stderr
