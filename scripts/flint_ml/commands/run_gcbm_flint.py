"""run-gcbm-flint: run-gcbm with moja global's C++ engine, on the image that carries moja.cli."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field

from flint_ml.commands import run_gcbm
from flint_ml.commands.run_gcbm.inputs import Inputs as RunGcbmInputs


class Inputs(RunGcbmInputs):
    """Inputs of run-gcbm-flint: those of run-gcbm, with the engine fixed."""

    engine: Literal["flint"] = Field("flint", description="`flint`: moja global's C++ moja.cli, which this image has.")


ACTION = replace(
    run_gcbm.ACTION,
    name="run-gcbm-flint",
    summary="run a GCBM project with moja global's C++ engine, and check it",
    description="Runs a GCBM forest-carbon project with moja global's C++ engine moja.cli, judges the run by all its "
    "signs, checks the result, and compares it with the base revision's results.",
    inputs=Inputs,
    section="run-gcbm",
)
