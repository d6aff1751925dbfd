"""`flint-ml record`: what a command printed, how long it took and how it ended."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flint_ml.commands.record import duration, snapshot, written


def record(folder: Path, *arguments: str, **env: str) -> tuple[subprocess.CompletedProcess[str], dict]:
    result = subprocess.run(
        [sys.executable, "-m", "flint_ml", "record", "--name", "train", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, **env},
    )
    path = folder / "flint-ml-results/train.json"
    return result, json.loads(path.read_text()) if path.is_file() else {}


def test_a_command_that_succeeds(tmp_path: Path) -> None:
    result, found = record(tmp_path, "--", sys.executable, "-c", "print('epoch 1'); print('rmse 1.3')")
    assert result.returncode == 0
    assert "epoch 1\nrmse 1.3\n" in result.stdout
    assert (found["status"], found["badge"]["label"], found["details"]["exit_code"]) == ("passed", "Training", 0)
    assert found["details"]["last_lines"] == ["epoch 1", "rmse 1.3"]
    assert found["metrics"]["peak_memory"]["value"] > 1


def test_a_command_that_fails_keeps_its_last_lines(tmp_path: Path) -> None:
    code = "import sys; [print(n) for n in range(100)]; print('boom: no data', file=sys.stderr); sys.exit(7)"
    result, found = record(tmp_path, "--lines", "5", "--", sys.executable, "-c", code)
    assert result.returncode == 1
    assert found["status"] == "failed"
    assert "exit code 7" in found["headline"]
    assert found["headline"].endswith("boom: no data")
    assert found["details"]["last_lines"][-2:] == ["99", "boom: no data"]
    assert len(found["tables"][0]["rows"]) == 5


def test_a_command_line_stops_at_the_first_failure_like_a_workflow_step(tmp_path: Path) -> None:
    result, found = record(tmp_path, "--command", "echo one; false | cat; echo two")
    assert (result.returncode, found["details"]["last_lines"]) == (1, ["one"])


def test_memory_is_the_commands_own(tmp_path: Path) -> None:
    _, small = record(tmp_path, "--", sys.executable, "-c", "pass")
    _, large = record(tmp_path, "--", sys.executable, "-c", "x = bytearray(200_000_000)")
    assert large["metrics"]["peak_memory"]["value"] - small["metrics"]["peak_memory"]["value"] > 150


def test_escapes_progress_bars_and_secrets_stay_out_of_the_record(tmp_path: Path) -> None:
    script = "printf '\\033[31mred\\033[0m\\n'; printf ' 10%%\\r 99%%\\r100%%\\n'; echo key=$AWS_SECRET_ACCESS_KEY"
    result, found = record(tmp_path, "--command", script, AWS_SECRET_ACCESS_KEY="abcd1234efgh")
    assert result.returncode == 0
    assert found["details"]["last_lines"] == ["red", "100%", "key=***"]
    assert "abcd1234efgh" not in (tmp_path / "flint-ml-results/train.json").read_text()


def test_bytes_that_are_no_text_do_not_stop_it(tmp_path: Path) -> None:
    result, found = record(tmp_path, "--command", r"printf 'caf\xe9\n'; head -c 100000 /dev/zero")
    assert result.returncode == 0
    assert found["details"]["last_lines"][0] == "caf\ufffd"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((), "no command"), (("--", "no-such-program"), "cannot be started"), (("--command", "a", "--", "b"), "twice")],
)
def test_what_cannot_be_run_is_an_input_error(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    result, found = record(tmp_path, *arguments)
    assert result.returncode == 2
    assert words in result.stderr
    assert found["status"] == "error"


def test_a_killed_command_is_named_by_its_signal(tmp_path: Path) -> None:
    result, found = record(tmp_path, "--command", "kill -9 $$")
    assert result.returncode == 1
    assert "SIGKILL, perhaps out of memory" in found["headline"]


def test_a_cancelled_job_reaches_the_command(tmp_path: Path) -> None:
    code = "import signal,sys,time; signal.signal(15, lambda *a: sys.exit(5)); print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-m", "flint_ml", "record", "--name", "train", "--", sys.executable, "-c", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    found = json.loads((tmp_path / "flint-ml-results/train.json").read_text())
    assert found["details"]["exit_code"] == 5


def checked(folder: Path, table: Path, algorithm: str = "md5") -> None:
    found = {
        "schema": "flint-ml/record/1",
        "action": "check-drift",
        "name": "check-drift",
        "status": "passed",
        "headline": "no drift",
        "badge": {"label": "Data Drift Check", "message": "Passed"},
        "provenance": {
            "tool": "t",
            "started": "2026-11-21T20:41:00Z",
            "inputs": [{"path": table.name, algorithm: hashlib.new(algorithm, table.read_bytes()).hexdigest()}],
        },
    }
    (folder / "flint-ml-results").mkdir()
    (folder / "flint-ml-results/check-drift.json").write_text(json.dumps(found))


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_training_on_data_that_nobody_checked_closes_the_gate(tmp_path: Path, algorithm: str) -> None:
    table = tmp_path / "prepared.csv"
    table.write_text("a\n1\n")
    checked(tmp_path, table, algorithm)
    result, found = record(tmp_path, "--command", "touch prepared.csv; cat prepared.csv")
    assert (result.returncode, found["status"]) == (0, "passed")
    result, found = record(tmp_path, "--command", "echo 2 >> prepared.csv")
    assert (result.returncode, found["status"]) == (1, "failed")
    assert found["findings"][0]["code"] == "changed-after-check"
    assert "prepared.csv" in found["headline"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (41.2, "41 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_the_command_wrote_is_noted_with_its_hash(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / "same.json").write_text('{"rmse": 1.5}')
    (tmp_path / "untouched.json").write_text("{}")
    script = (
        "mkdir -p out; echo '{\"rmse\": 2}' > metrics.json; cat same.json > x; cat x > same.json; echo 1 > out/new.csv"
    )
    result, left = record(tmp_path, "--command", script)
    assert result.returncode == 0
    noted = {item["path"]: (item["how"], item["md5"]) for item in left["wrote"]}
    md5 = {name: hashlib.md5((tmp_path / name).read_bytes()).hexdigest() for name in noted}
    assert noted == {
        "metrics.json": ("rewritten", md5["metrics.json"]),
        "same.json": ("rewritten", md5["same.json"]),
        "out/new.csv": ("new", md5["out/new.csv"]),
        "x": ("new", md5["x"]),
    }


def test_folders_of_tools_links_out_and_large_files_are_not_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, outside = tmp_path / "work", tmp_path / "secret.txt"
    root.mkdir()
    outside.write_text("secret")
    before = snapshot(root)
    for folder in (".git", ".dvc", "node_modules", "sub/__pycache__", "results"):
        (root / folder).mkdir(parents=True)
        (root / folder / "file").write_text("x")
    (root / "link").symlink_to(outside)
    (root / "broken").symlink_to(root / "nowhere")
    (root / "large").write_bytes(b"x" * 100)
    monkeypatch.setattr("flint_ml.commands.record.MAX_HASHED", 10)
    files = {item.path: item.md5 for item in written(root, before, snapshot(root, [root / "results"]))}
    assert files == {"link": None, "broken": None, "large": None}


def test_a_command_that_writes_nothing_wrote_nothing(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    _, left = record(tmp_path, "--command", "cat metrics.json; true")
    assert left["wrote"] == []


def test_a_very_long_list_of_files_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flint_ml.commands.record.MAX_WRITTEN", 3)
    for number in range(9):
        (tmp_path / f"{number}.bin").write_bytes(b"x" * (9 - number))
    assert [item.path for item in written(tmp_path, {}, snapshot(tmp_path))] == ["8.bin", "7.bin", "6.bin"]
