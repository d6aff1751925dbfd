"""The actions' image: what is in it works, what is not needed is not in it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from e2e.harness import IMAGE, RUNNER_GID, RUNNER_UID, docker, give_to_runner, left_by_root

# Imports every compiled module: a stripped or missing library shows here and not in a user's run.
IMPORT_ALL = """
import importlib, json, pathlib, sysconfig
import scipy.linalg  # its parts import each other, so the package comes first
site = pathlib.Path(sysconfig.get_paths()["purelib"])
failed, count = {}, 0
for file in sorted(site.rglob("*.so")):
    parts = file.relative_to(site).parts
    if parts[0].endswith(".libs") or file.name.startswith("lib"):
        continue
    name = ".".join(parts).split(".cpython")[0].split(".abi3")[0].removesuffix(".so")
    try:
        importlib.import_module(name)
        count += 1
    except Exception as error:
        failed[name] = repr(error)
print(json.dumps({"count": count, "failed": failed}))
"""
# Drawing windows needs Tk, which the image leaves out; scipy itself takes the third one as optional.
WITHOUT = {"PIL._imagingtk", "matplotlib.backends._tkagg", "scipy.linalg._matfuncs_sqrtm_triu"}


def inside(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the image instead of an action."""
    return docker("run", "--rm", "--network", "none", "--entrypoint", command[0], IMAGE, *command[1:], timeout=300)


def test_every_compiled_module_imports() -> None:
    done = inside("python", "-I", "-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert set(seen["failed"]) <= WITHOUT, seen["failed"]
    assert seen["count"] > 200


@pytest.mark.parametrize("module", ["dvc_s3", "dvc_gs", "dvc_azure", "dvc_ssh", "dvc_http", "mlflow", "rasterio"])
def test_storage_and_registry_clients_import(module: str) -> None:
    done = inside("python", "-I", "-c", f"import {module}")
    assert done.returncode == 0, done.stderr


def test_what_no_action_needs_is_left_out() -> None:
    done = inside("sh", "-c", "for c in pip pip3 cc gcc g++ make node npm strip uv; do command -v $c; done; true")
    assert done.stdout == ""
    found = inside(
        "sh", "-c", "find /opt/venv -type d -name tests; find /opt/venv -name '*.pyi'; ls /var/lib/apt/lists"
    )
    assert found.stdout == ""


def test_byte_code_is_in_the_image_and_needs_no_check() -> None:
    code = (
        "import importlib.util, pathlib, flint_ml, pandas, dvc\n"
        "for module in (flint_ml, pandas, dvc):\n"
        "    data = pathlib.Path(importlib.util.cache_from_source(module.__file__)).read_bytes()\n"
        "    print(int.from_bytes(data[4:8], 'little'))\n"
    )
    # Flags 1: valid by hash, and not checked against the source at each start.
    assert inside("python", "-I", "-c", code).stdout.split() == ["1", "1", "1"]


def test_unknown_action_is_one_plain_line() -> None:
    done = docker("run", "--rm", IMAGE, "check-drfit")
    assert done.returncode == 2
    assert done.stdout.startswith('::error title=flint-ml::There is no action "check-drfit" in this image.')
    assert "Traceback" not in done.stdout + done.stderr


def test_git_and_dvc_work_in_a_checkout_of_another_user(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    give_to_runner(tmp_path)
    mount = f"{tmp_path}:/github/workspace"
    script = "git status --short && dvc init --quiet && git add . && git -c user.name=t -c user.email=t@t commit -qm t"
    done = docker("run", "--rm", "-v", mount, "--entrypoint", "sh", IMAGE, "-ec", script)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("command", "code"), [("true", 0), ("exit 4", 1)])
def test_files_go_back_to_the_runner_also_after_a_failure(tmp_path: Path, command: str, code: int) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "old").mkdir()
    give_to_runner(tmp_path)
    script = (
        f"mkdir -p made/deep && echo x >made/deep/file && ln -s /etc/passwd made/link && echo y >old/new; {command}"
    )
    done = docker(
        *("run", "--rm", "-v", f"{tmp_path}:/github/workspace", IMAGE),
        *("record", "--name", "train", "--", "sh", "-c", script),
        timeout=120,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert (tmp_path / "flint-ml-results" / "train.json").is_file()
    if os.geteuid() == 0:
        assert left_by_root(tmp_path) == []
        entry = (tmp_path / "made" / "deep" / "file").stat()
        assert (entry.st_uid, entry.st_gid) == (RUNNER_UID, RUNNER_GID)
    assert Path("/etc/passwd").stat().st_uid == 0


def test_a_cancelled_job_ends_at_once_and_leaves_nothing_to_root(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    give_to_runner(tmp_path)
    started = docker(
        *("run", "--detach", "-v", f"{tmp_path}:/github/workspace", IMAGE, "record", "--name", "train", "--"),
        *("sh", "-c", "touch begun; exec sleep 600"),
    )
    container = started.stdout.strip()
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        docker("kill", "--signal", "INT", container)
        code = docker("wait", container, timeout=60).stdout.strip()
        log = docker("logs", container)
    finally:
        docker("rm", "--force", container)
    assert code not in {"", "0"}
    assert "Traceback" not in log.stdout + log.stderr
    assert left_by_root(tmp_path) == []
