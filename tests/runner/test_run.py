"""The life of an action: every way out leaves a record, outputs and the right exit code."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr

from flint_ml.errors import InputError, OutsideError
from flint_ml.record import Column, Figure, Finding, Table
from flint_ml.runner.context import Context
from flint_ml.runner.inputs import GateInputs
from flint_ml.runner.job import Action, Job, Outcome
from flint_ml.runner.run import run_action
from flint_ml.runner.workflow_commands import Commands


class Inputs(GateInputs):
    way: str = Field("passed", description="How to end.")
    token: SecretStr | None = Field(None, description="Token.")


def behave(inputs: Inputs, job: Job) -> Outcome:
    if inputs.way == "input":
        raise InputError("column `x` is not there", where="data.csv:3", hint="rename it", code="no-column")
    if inputs.way == "outside":
        raise OutsideError("the remote did not answer", where="s3://bucket", hint="try again")
    if inputs.way == "defect":
        raise ZeroDivisionError("division by zero")
    if inputs.way == "interrupt":
        raise KeyboardInterrupt
    (job.figures_dir / "a.png").write_bytes(b"png")
    secret = inputs.token.get_secret_value() if inputs.token else ""
    return Outcome(
        status=inputs.way,  # type: ignore[arg-type]
        headline=f"ended {inputs.way} {secret}",
        message="Ended",
        tables=[Table(title="T", columns=[Column(name="a")], rows=[["<b>|x"]])],
        figures=[Figure(title="f", alt="a", path=job.figure_path("a.png"))],
        findings=[Finding(severity="warning", code="look", message="look here", hint="there")],
        details={"secret": secret},
        outputs={"columns": ["a", "b"], "drifted": True, "nothing": None},
    )


ACTION = Action(
    name="check-drift",
    summary="s",
    description="d",
    badge="Sample",
    inputs=Inputs,
    run=behave,
    outputs={"columns": "c", "drifted": "d", "nothing": "n"},
)


class Ran:
    def __init__(self, folder: Path, *, on_github: bool = True, **given: Any) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        env = {name: str(folder / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        commands = Commands(on_github=on_github, stdout=self.out, stderr=self.err, env=env)
        context = Context(on_github=on_github, workspace=folder, head_sha="c" * 40, run_id="5")
        values = {name.replace("_", "-"): value for name, value in given.items()}
        self.code = run_action(ACTION, values, env=env, context=context, commands=commands)
        path = folder / "flint-ml-results" / f"{given.get('name', 'check-drift')}.json"
        self.record = json.loads(path.read_text()) if path.is_file() else None
        output = folder / "GITHUB_OUTPUT"
        self.outputs: dict[str, str] = {}
        if output.is_file():
            parts = output.read_text().splitlines()
            self.outputs = {line.split("<<")[0]: parts[n + 1] for n, line in enumerate(parts) if "<<flint_" in line}


@pytest.mark.parametrize(
    ("way", "gate", "code", "status"),
    [
        ("passed", "fail", 0, "passed"),
        ("warned", "fail", 0, "warned"),
        ("skipped", "fail", 0, "skipped"),
        ("failed", "fail", 1, "failed"),
        ("failed", "warn", 0, "warned"),
        ("input", "warn", 2, "error"),
        ("outside", "warn", 3, "error"),
        ("defect", "fail", 3, "error"),
        ("interrupt", "fail", 130, "error"),
    ],
)
def test_exit_codes_and_status(tmp_path: Path, way: str, gate: str, code: int, status: str) -> None:
    ran = Ran(tmp_path, way=way, on_failure=gate)
    assert (ran.code, ran.record["status"]) == (code, status)
    assert ran.outputs["status"] == status
    assert ran.record["provenance"]["head_sha"] == "c" * 40


def test_a_finished_action_leaves_record_figures_outputs_and_summary(tmp_path: Path) -> None:
    ran = Ran(tmp_path, name="drift-of-plots")
    assert (tmp_path / "flint-ml-results/drift-of-plots/a.png").read_bytes() == b"png"
    assert ran.outputs == {
        "columns": '["a", "b"]',
        "drifted": "true",
        "nothing": "",
        "status": "passed",
        "record": "flint-ml-results/drift-of-plots.json",
        "headline": "ended passed ",
    }
    summary = (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    assert "✅ Sample: Ended" in summary
    assert "<b>" not in summary
    assert "::warning title=drift-of-plots::look here. There" in ran.out.getvalue()


def test_an_error_is_one_annotation_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a\n")
    Ran(tmp_path)
    Ran(tmp_path, name="other")
    ran = Ran(tmp_path, way="input")
    errors = [line for line in ran.out.getvalue().splitlines() if line.startswith("::error")]
    assert errors == [
        "::error title=check-drift,file=data.csv,line=3::data.csv:3: column `x` is not there. What to do: rename it."
    ]
    assert "What to do: rename it." in ran.err.getvalue()
    assert (tmp_path / "flint-ml-results/other.json").is_file()
    assert (tmp_path / "flint-ml-results/check-drift/a.png").read_bytes() == b"png"
    assert ran.record["findings"][0]["code"] == "no-column"


def test_a_users_mistake_shows_no_traceback_and_a_defect_does(tmp_path: Path) -> None:
    assert "Traceback" not in Ran(tmp_path, way="input").out.getvalue()
    ran = Ran(tmp_path, way="defect")
    assert "Traceback" in ran.out.getvalue()
    assert "please report it" in ran.err.getvalue()


def test_a_secret_is_in_no_record_output_or_log(tmp_path: Path) -> None:
    ran = Ran(tmp_path, token="ghs_very_secret")
    everything = json.dumps(ran.record) + str(ran.outputs) + ran.err.getvalue()
    everything += (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    everything += "\n".join(li for li in ran.out.getvalue().splitlines() if not li.startswith("::add-mask::"))
    assert "ghs_very_secret" not in everything
    assert ran.record["details"]["secret"] == "***"


def test_wrong_inputs_still_leave_a_record(tmp_path: Path) -> None:
    ran = Ran(tmp_path, on_failure="explode")
    assert (ran.code, ran.record["status"]) == (2, "error")
    ran = Ran(tmp_path, results_dir="../elsewhere")
    assert ran.code == 2
    assert not (tmp_path.parent / "elsewhere").exists()


def test_results_of_another_commit_or_run_are_dropped(tmp_path: Path) -> None:
    Ran(tmp_path, name="old")
    path = tmp_path / "flint-ml-results/old.json"
    path.write_text(path.read_text().replace("c" * 40, "d" * 40))
    (tmp_path / "flint-ml-results/notes.txt").write_text("mine")
    Ran(tmp_path)
    left = sorted(p.name for p in (tmp_path / "flint-ml-results").iterdir())
    assert left == ["check-drift", "check-drift.json", "notes.txt"]


def test_a_results_folder_that_git_tracks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "flint-ml-results").mkdir()
    (tmp_path / "flint-ml-results/kept.txt").write_text("x")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    ran = Ran(tmp_path)
    assert ran.code == 2
    assert "tracked by Git" in ran.err.getvalue()
    assert ran.record is None
    assert Ran(tmp_path, results_dir=".").code == 2


def test_a_terminal_sees_table_and_headline(tmp_path: Path) -> None:
    ran = Ran(tmp_path, on_github=False)
    assert "✅ Sample: Ended" in ran.out.getvalue()
    assert "<b>|x" in ran.out.getvalue()
    assert "::" not in ran.out.getvalue()
    assert not (tmp_path / "GITHUB_OUTPUT").exists()
