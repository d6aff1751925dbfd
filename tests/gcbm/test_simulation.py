"""Which engine runs a project, and what the message of a project that cannot be run says."""

from __future__ import annotations

from pathlib import Path

import pytest

from flint_ml.errors import InputError
from flint_ml.gcbm import choose_engine, load_project, refuse_faults, repair, validate
from helpers.gcbm_inputs import edit


def conditional(head: Path) -> None:
    """An event with conditions, which only the C++ has."""
    file = head / "layers" / "tiled" / "wildfire.json"
    text = file.read_text()
    assert '"disturbance_type"' in text
    file.write_text(text.replace('"disturbance_type"', '"conditions": [{"vars": ["age"]}], "disturbance_type"'))


def test_auto_asks_the_same_judge_as_check(head: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = load_project(head)
    assert choose_engine("auto", project, "") == ("embedded", "")
    conditional(head)
    refused = [problem for problem in validate(project, pixels=False) if problem.severity == "unsupported"]
    assert refused
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("FLINT_ML_MOJA_CLI", raising=False)
    with pytest.raises(InputError, match="conditions") as caught:
        choose_engine("auto", project, "")
    assert caught.value.code == "gcbm-unsupported"
    program = tmp_path / "moja.cli"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert choose_engine("auto", project, str(program)) == ("flint", str(program))


def test_the_message_names_the_repair_where_there_is_one(head: Path, tmp_path: Path) -> None:
    raster = head / "layers" / "tiled" / "initial_age.tiff"
    raster.rename(raster.with_name("initial_age_masked.tiff"))
    project = load_project(head)
    with pytest.raises(InputError, match=r"initial_age\.tiff does not exist") as caught:
        refuse_faults(project, validate(project, pixels=False))
    assert "--fix" in str(caught.value.hint)
    repair(project, tmp_path / "repaired")
    mended = load_project(tmp_path / "repaired")
    refuse_faults(mended, validate(mended, pixels=False))


def test_of_several_faults_it_says_how_many_are_repaired(head: Path) -> None:
    raster = head / "layers" / "tiled" / "initial_age.tiff"
    raster.rename(raster.with_name("initial_age_masked.tiff"))
    (head / "layers" / "tiled" / "harvest.tiff").unlink()
    project = load_project(head)
    with pytest.raises(InputError) as caught:
        refuse_faults(project, validate(project, pixels=False))
    assert "with 1 of these corrected" in str(caught.value.hint)
    edit(head, "modules_cbm.json", lambda c: c["Modules"]["CBMGrowthModule"].update(enabled=False))
    raster.with_name("initial_age_masked.tiff").rename(raster)
    with pytest.raises(InputError) as caught:
        refuse_faults(project, validate(project, pixels=False))
    assert "--fix" not in str(caught.value.hint)
