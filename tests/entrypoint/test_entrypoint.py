"""The container's entrypoint: which action runs, with which variables, and who owns the files afterwards."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "entrypoint" / "entrypoint.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flint_ml_entrypoint", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


entrypoint = load()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a ``flint_ml`` whose action tells what it was given, so that no real one is needed."""
    home = tmp_path / "site" / "flint_ml"
    for folder in ("commands", "runner"):
        (home / folder).mkdir(parents=True)
    (home / "__init__.py").write_text("")
    (home / "runner" / "__init__.py").write_text("def conceal():\n    pass\n")
    (home / "commands" / "__init__.py").write_text("def names():\n    return ['check-drift']\n")
    (home / "__main__.py").write_text(
        "import json, os, sys\n"
        "code = os.environ.get('INPUT_CODE', '0')\n"
        "print(json.dumps({'args': sys.argv[1:], 'env': dict(os.environ), 'path': sys.path}))\n"
        "open('made.txt', 'w').write('x')\n"
        "sys.exit(int(code))\n"
    )
    return home.parent


def start(package: Path, workspace: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script as the image does; the stand-in package takes the place of the installed one."""
    starter = (
        "import runpy, sys, subprocess\n"
        f"sys.path.insert(0, {str(package)!r})\n"
        "popen = subprocess.Popen\n"
        "def with_package(command, env, **rest):\n"
        f"    return popen(command, env={{**env, 'PYTHONPATH': {str(package)!r}}}, **rest)\n"
        "subprocess.Popen = with_package\n"
        f"sys.argv = ['entrypoint.py', *{list(arguments)!r}]\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
    )
    environment = {"PATH": os.environ["PATH"], "GITHUB_WORKSPACE": str(workspace), **variables}
    return subprocess.run(
        [sys.executable, "-c", starter],
        cwd=workspace,
        env=environment,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_inputs_reach_the_action_with_their_dashes(package: Path, tmp_path: Path) -> None:
    variables = {"INPUT_FAIL-ON": "never", "INPUT_MIN-EFFECT": "0.1", "INPUT_TITLE": "a\nb"}
    done = start(package, tmp_path, "check-drift", "a.csv", **variables)
    seen = json.loads(done.stdout)
    assert done.returncode == 0
    assert seen["args"] == ["check-drift", "a.csv"]
    assert {name: seen["env"][name] for name in variables} == variables


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_exit_code_is_the_actions(package: Path, tmp_path: Path, code: int) -> None:
    assert start(package, tmp_path, "check-drift", INPUT_CODE=str(code)).returncode == code


def test_workspace_cannot_shadow_a_module(package: Path, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('taken over')\n")
    done = start(package, tmp_path, "check-drift")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in json.loads(done.stdout)["path"]


def test_variables_for_the_runners_python_are_left_out() -> None:
    given = {"PYTHONPATH": "src", "LD_LIBRARY_PATH": "lib", "PYTHONSAFEPATH": "1", "INPUT_FAIL-ON": "never"}
    assert entrypoint.child_environment(given) == {"PYTHONSAFEPATH": "1", "INPUT_FAIL-ON": "never"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "No action was named. The first argument must be one of: check-drift."),
        (("check-drfit",), 'There is no action "check-drfit" in this image. It must be one of: check-drift.'),
        (("a\n::set-env::b",), 'There is no action "a?::set-env::b" in this image. It must be one of: check-drift.'),
    ],
)
def test_unknown_action_is_a_plain_message(
    package: Path, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = start(package, tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stdout == f"::error title=flint-ml::{says}\n"
    assert done.stderr == ""


def test_the_command_names_hold_all_published_actions_and_import_none() -> None:
    published = {path.parent.name for path in (SCRIPT.parents[1] / "actions").glob("*/action.yml")} - {"setup"}
    assert published <= set(entrypoint.command_names())
    code = (
        "import runpy, sys\n"
        f"names = runpy.run_path({str(SCRIPT)!r})['command_names']()\n"
        "assert names\n"
        "print([m for m in sys.modules if m.startswith('flint_ml.')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['flint_ml.commands']"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_action(tmp_path: Path, number: signal.Signals) -> None:
    runner = (
        "import importlib.util, os\n"
        f"spec = importlib.util.spec_from_file_location('e', {str(SCRIPT)!r})\n"
        "e = importlib.util.module_from_spec(spec); spec.loader.exec_module(e)\n"
        "code = e.run(['sh', '-c', 'trap \"exit 7\" INT TERM; echo ready; while :; do sleep 0.05; done'], os.environ)\n"
        "print('code', code)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", runner], text=True, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    rest, _ = process.communicate(timeout=30)
    assert rest == "code 7\n"


def test_death_by_a_signal_is_said_as_a_shell_says_it() -> None:
    assert entrypoint.run(["sh", "-c", "kill -KILL $$"], os.environ) == 128 + signal.SIGKILL


def made(top: Path, since: float) -> set[str]:
    return {name for name, _ in entrypoint.made_below(top, os.geteuid(), since)}


def test_what_the_action_made_is_found(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    cache = workspace / ".dvc" / "cache"
    cache.mkdir(parents=True)
    (cache / "object").write_text("x")
    (workspace / "linked.csv").hardlink_to(cache / "object")
    (workspace / "dangling").symlink_to("nowhere")
    assert made(workspace, 0) == {".dvc", "cache", "object", "linked.csv", "dangling"}


def test_files_from_before_and_of_others_are_not(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "old.csv").write_text("x")
    assert made(workspace, time.time() + 60) == set()
    assert list(entrypoint.made_below(workspace, os.geteuid() + 1, 0)) == []


def test_links_out_of_the_workspace_are_not_followed(tmp_path: Path) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    workspace.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("x")
    (workspace / "folder").symlink_to(outside)
    (workspace / "hard").hardlink_to(outside / "secret")
    assert made(workspace, 0) == {"folder"}


def test_hand_over_changes_the_owner(tmp_path: Path) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    workspace.mkdir()
    outside.write_text("x")
    (workspace / "report.md").write_text("x")
    (workspace / "link").symlink_to(outside)
    if os.geteuid() != 0:
        # Only root may give files away; for any other user the workspace is the user's own already.
        assert entrypoint.hand_over(workspace, 0) == 0
        return
    os.chown(workspace, 1001, 127)
    assert entrypoint.hand_over(workspace, 0) == 2
    for name in ("report.md", "link"):
        entry = (workspace / name).lstat()
        assert (entry.st_uid, entry.st_gid) == (1001, 127)
    assert outside.stat().st_uid == 0


def test_a_missing_workspace_is_no_error(tmp_path: Path) -> None:
    assert entrypoint.hand_over(tmp_path / "nowhere", 0) == 0
