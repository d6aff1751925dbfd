"""Inputs: one model for `with:`, options and settings file."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from flint_ml.errors import InputError
from flint_ml.runner.inputs import (
    ActionInputs,
    GateInputs,
    build,
    dashed,
    from_arguments,
    from_environment,
    parser,
)
from flint_ml.runner.settings import differences, parse_settings


class Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=dashed, populate_by_name=True)
    direction: str = "lower"
    must_not_regress: bool = False


class Sample(GateInputs):
    reference: str = Field(description="The reference.")
    columns: list[str] = Field(default=[], description="Columns.")
    alpha: float = Field(0.05, gt=0, lt=1, description="Level, 5 % by default.")
    rules: dict[str, Rule] = Field(default={}, description="Rules.")
    token: SecretStr | None = Field(None, description="Token.")
    strict: bool = Field(False, description="Strict.")


def made(given: dict[str, Any], section: dict[str, Any] | None = None) -> Sample:
    return build(Sample, given, section or {}, "sample", "flint-ml.yml")


def test_the_environment_keeps_dashes_and_an_empty_string_is_absent() -> None:
    env = {
        "INPUT_ON-FAILURE": "warn",
        "INPUT_REFERENCE": " a.csv ",
        "INPUT_COLUMNS": "",
        "INPUT_STRICT": "True",
        "INPUT_RULES": "rmse: {direction: lower, must-not-regress: true}",
        "INPUT_FOREIGN": "x",
    }
    inputs = made(from_environment(Sample, env))
    assert (inputs.on_failure, inputs.reference, inputs.columns, inputs.strict) == ("warn", "a.csv", [], True)
    assert inputs.rules["rmse"].must_not_regress


@pytest.mark.parametrize(
    "text", ["a, b,c", "a\nb\nc\n", '["a", "b", "c"]', "- a\n- b\n- c"], ids=["commas", "lines", "json", "yaml"]
)
def test_a_list_is_read_in_every_common_form(text: str) -> None:
    assert from_environment(Sample, {"INPUT_COLUMNS": text})["columns"] == ["a", "b", "c"]


def test_lines_keep_their_commas() -> None:
    assert from_environment(Sample, {"INPUT_COLUMNS": "a, b\nc"})["columns"] == ["a, b", "c"]


def arguments(*argv: str) -> dict[str, Any]:
    parsed = parser("flint-ml sample", "d", Sample, ("reference",)).parse_args(argv)
    return from_arguments(Sample, parsed, ("reference",))


def test_the_command_line_has_the_same_names() -> None:
    given = arguments(
        "ref.csv", "--columns", "a,b", "--columns", "c", "--alpha", "0.01", "--strict", "--on-failure", "warn"
    )
    assert given == {
        "reference": "ref.csv",
        "columns": ["a", "b", "c"],
        "alpha": "0.01",
        "strict": True,
        "on-failure": "warn",
    }
    assert made(given).alpha == 0.01


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("--strict", "ref.csv"), {"strict": True, "reference": "ref.csv"}),
        (("--strict", "false", "ref.csv"), {"strict": False, "reference": "ref.csv"}),
        (("ref.csv", "--strict"), {"strict": True, "reference": "ref.csv"}),
        (("--strict", "", "ref.csv"), {"reference": "ref.csv"}),
        (("--strict=no", "ref.csv"), {"strict": False, "reference": "ref.csv"}),
    ],
)
def test_a_switch_does_not_swallow_what_follows(argv: tuple[str, ...], expected: dict[str, Any]) -> None:
    assert arguments(*argv) == expected


def test_an_unknown_option_is_an_input_error() -> None:
    with pytest.raises(InputError, match="--colums") as caught:
        arguments("--colums", "a")
    assert caught.value.exit_code == 2


def test_help_shows_defaults_and_percent_signs() -> None:
    text = parser("flint-ml sample", "d", Sample, ()).format_help()
    assert "5 % by default. (default: 0.05)" in " ".join(text.split())


def test_input_beats_file_beats_default() -> None:
    section = {"reference": "file.csv", "alpha": 0.1}
    assert made({}, section).reference == "file.csv"
    assert made({"reference": "given.csv"}, section).reference == "given.csv"
    assert made({}, section).on_failure == "fail"


@pytest.mark.parametrize(
    ("given", "section", "words"),
    [
        ({}, {}, "input `reference` is required"),
        ({"reference": "a", "alpha": "2"}, {}, "`alpha`"),
        ({"reference": "a", "alpha": "x"}, {}, "`alpha`"),
        ({"reference": "a"}, {"alhpa": 1}, "did you mean 'alpha'"),
        ({"reference": "a"}, {"rules": {"rmse": {"directoin": "lower"}}}, "did you mean 'direction'"),
        ({"reference": "a", "on-failure": "explode"}, {}, "on-failure"),
        ({"reference": "a", "name": "../x"}, {}, "name"),
    ],
)
def test_a_wrong_value_is_named_with_a_suggestion(given: dict, section: dict, words: str) -> None:
    with pytest.raises(InputError) as caught:
        made(given, section)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["maybe", "2"])
def test_a_switch_takes_true_and_false_only(text: str) -> None:
    with pytest.raises(InputError, match="neither true nor false"):
        from_environment(Sample, {"INPUT_STRICT": text})


def test_a_token_never_shows_itself() -> None:
    inputs = made({"reference": "a", "token": "ghs_secret"})
    assert "ghs_secret" not in repr(inputs) + str(inputs)


def test_every_action_has_the_common_inputs() -> None:
    assert {dashed(key) for key in ActionInputs.model_fields} == {"results-dir", "name", "config", "working-directory"}


def test_settings_name_unknown_sections_and_broken_lines() -> None:
    known = ["check-drift", "compare-metrics"]
    assert parse_settings("", "f.yml", known).sections == {}
    assert parse_settings("check-drift:\n", "f.yml", known).section("check-drift") == {}
    with pytest.raises(InputError, match="did you mean 'check-drift'"):
        parse_settings("check-drfit: {}", "f.yml", known)
    with pytest.raises(InputError, match=r"f\.yml:2: is not valid YAML"):
        parse_settings("check-drift:\n  alpha: 1: 2\n", "f.yml", known)
    with pytest.raises(InputError, match="one section per action"):
        parse_settings("- a", "f.yml", known)
    with pytest.raises(InputError, match="mapping"):
        parse_settings("check-drift: 3", "f.yml", known)


def test_differences_are_leaves_with_both_values() -> None:
    base = {"a": {"x": 1, "y": 2}, "b": [1]}
    head = {"a": {"x": 1, "y": 3, "z": 4}, "b": [1, 2]}
    assert [str(change) for change in differences(base, head)] == [
        "`a.y`: 2 → 3",
        "`a.z`: (not set) → 4",
        "`b`: [1] → [1, 2]",
    ]
