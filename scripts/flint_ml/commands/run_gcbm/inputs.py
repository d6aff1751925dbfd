"""Inputs of run-gcbm."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flint_ml.runner import GateInputs

Severity = Literal["fail", "warn", "ignore"]


class Inputs(GateInputs):
    """Inputs of run-gcbm."""

    project: str = Field(".", description="The GCBM project: its folder, its configuration folder, or a zip of it.")
    config_dir: str = Field(
        "", description="Folder of gcbm_config.cfg inside the project, where it holds more than one configuration."
    )
    engine: Literal["auto", "embedded", "flint"] = Field(
        "auto",
        description="`embedded`: the Python engine, which gives the C++'s numbers in seconds; `flint`: moja global's "
        "C++ moja.cli; `auto`: embedded where it implements all that the project uses, else flint.",
    )
    moja_cli: str = Field("", description="Path of moja.cli for the engine flint. Default: the one on the PATH.")
    output_dir: str = Field(
        "gcbm-output", description="Folder of the results: gcbm_output.db, metrics.json, tables, maps."
    )
    indicators: list[str] = Field(
        default_factory=list,
        description="Indicators to report and judge, names or patterns such as `*_biomass_tC`. Default: all.",
    )
    spatial: list[str] = Field(
        default_factory=list,
        description="Maps to write as GeoTIFF and PNG: `layer`, `layer:year` or `layer:all`, such as "
        "`total_ecosystem_tC_ha:2020`; `project` or `project:year` writes those that the project configures "
        "(WriteVariableGeotiff), one file for each block and step. Default: none.",
    )
    base: str = Field(
        "auto",
        description="What to compare with: `auto` (the base revision; its inputs are run again in this job), `none`, "
        "or a path: metrics.json, gcbm_output.db, a folder with them, or a project.",
    )
    base_revision: str = Field(
        "auto", description="Revision to compare with: a branch, tag or commit. `auto`: the base of this event."
    )
    tolerance: dict[str, float | str] = Field(
        default_factory=dict,
        description="Change that still counts as none, by indicator or pattern, as a share or number: "
        "`{npp_tC: 1 %}`. Default: 0.1 % of the base for every indicator.",
    )
    expected: dict[str, list[float | str]] = Field(
        default_factory=dict,
        description="What this change is meant to do, such as `2012/disturbed_area_ha: [+20 %, +50 %]`; "
        "in flint-ml.yml the change's own declaration counts.",
    )
    allow_other_engine: bool = Field(False, description="Compare also with a base that another engine made.")
    effects: bool = Field(
        True, description="With several changed inputs, run again with one change at a time to show each one's effect."
    )
    checks: dict[str, Severity] = Field(
        default_factory=dict,
        description="What a check that does not pass does, by its name: `fail`, `warn` or `ignore`, such as "
        "`{matrix-rows: ignore}`.",
    )
    mask: list[str] = Field(
        default_factory=list,
        description="Variables whose null keeps a pixel from being simulated, besides `mask_vars` of the project, such "
        "as `initial_age`.",
    )
    smoother: Literal["reference", "project"] = Field(
        "reference",
        description="`reference`: growth curves are smoothed as in the C++, which ignores `smoother_enabled: false`; "
        "`project`: that setting counts.",
    )
    params: str = Field(
        "",
        description="Parameters that replace those of the input database, in a copy: a YAML file, with `:section` "
        "where they are a part of it, such as `params.yaml:gcbm`.",
    )
    observations: str = Field(
        "", description="Measurements to score the run on: CSV with year, indicator, value, sd and classifier columns."
    )
    parquet: bool = Field(True, description="Write the tables as Parquet besides CSV.")
    figures: Literal["auto", "none"] = Field("auto", description="Draw figures, or none.")
    max_memory: str = Field(
        "", description="Memory, such as `800MB` or `2GB`, from 250MB: larger landscapes are done in several passes."
    )
    check: bool = Field(False, description="Only check the project: everything missing or inconsistent, in seconds.")
    fix: str = Field("", description="Only write a mended copy of the project to this folder.")
    plan: int = Field(0, ge=0, le=256, description="Only split the project into this many jobs; output `matrix`.")
    part: str = Field("", description="Run this part only, such as `2/4` (from `plan`), for `merge`.")
    merge: list[str] = Field(
        default_factory=list, description="Join the parts in these folders or files instead of running the project."
    )
