"""``--help``, ``gate-plan`` and ``record`` run with what requirements/record.txt installs, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_BLOCKER = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        own = top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        if top not in ALLOWED and not own:
            raise ModuleNotFoundError(f"{top} is not in requirements/record.txt")
sys.meta_path.insert(0, Blocked())
from flint_ml.cli import main
sys.exit(main(ARGUMENTS))
"""


def allowed() -> set[str]:
    """Top-level modules of the distributions in the list."""
    text = (ROOT / "requirements/record.txt").read_text()
    listed = {name.lower() for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)}
    normal = {re.sub(r"[-_.]+", "-", name) for name in listed}
    modules = metadata.packages_distributions()
    names = {top for top, owners in modules.items() if {re.sub(r"[-_.]+", "-", o.lower()) for o in owners} & normal}
    return names | {"flint_ml", "__main__"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["gate-plan", "--help"], 0),
        (["gate-plan"], 0),
        (["record", "--name", "train", "--command", "echo no; exit 3"], 1),
        (["record", "--help"], 0),
    ],
)
def test_the_light_commands_need_the_light_list_only(tmp_path: Path, arguments: list[str], code: int) -> None:
    for command in (
        ["init", "-q"],
        ["-c", "user.name=t", "-c", "user.email=t@e.org", "commit", "-qm", "x", "--allow-empty"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)
    script = f"ALLOWED = {allowed()!r}\nARGUMENTS = {arguments!r}\n{_BLOCKER}"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    if done.returncode != 0 and "SystemExit" in done.stderr:
        pytest.fail(done.stderr)
    assert done.returncode == code, done.stdout + done.stderr
