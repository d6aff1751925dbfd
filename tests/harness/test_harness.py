"""The end-to-end harness reads and passes as the runner does. No Docker here."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e import harness, protocol


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", {}),
        ("status=passed\n", {"status": "passed"}),
        ("status=passed", {"status": "passed"}),
        ("status=\n\n", {"status": ""}),
        ("formula=a=b<<c\n", {"formula": "a=b<<c"}),
        ("table<<END\n| a |\n| b |\nEND\nstatus=passed\n", {"table": "| a |\n| b |", "status": "passed"}),
        ("empty<<END\nEND\n", {"empty": ""}),
        ("last<<END\na=b\n\nEND", {"last": "a=b\n"}),
        ("windows<<END\na\r\nb\nEND\n", {"windows": "a\r\nb"}),
        ("twice=1\ntwice=2\n", {"twice": "2"}),
    ],
)
def test_pairs(text: str, pairs: dict[str, str]) -> None:
    assert protocol.parse_pairs(text) == pairs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no pair\n", "Invalid format 'no pair'"),
        ("<<END\nEND\n", "Invalid format '<<END'. Name must not be empty"),
        ("name<<\n\n", "Invalid format 'name<<'. Name must not be empty"),
        ("name<<END\nvalue\n", "Matching delimiter not found 'END'"),
        ("name<<END\nvalue\n END\n", "Matching delimiter not found 'END'"),
    ],
)
def test_pairs_that_fail_the_step(text: str, message: str) -> None:
    with pytest.raises(protocol.RunnerError, match=message):
        protocol.parse_pairs(text)


def test_annotations_with_properties_and_escapes() -> None:
    log = protocol.read_log("::error file=a%2Cb.csv,line=3,title=Bad%3A value::50 %25%0Amore\nplain\n")
    assert log.annotations == [
        protocol.Annotation("error", "50 %\nmore", {"file": "a,b.csv", "line": "3", "title": "Bad: value"})
    ]
    assert log.lines == ["##[error]50 %\nmore", "plain"]


def test_only_ten_annotations_of_a_level_are_shown() -> None:
    log = protocol.read_log("".join(f"::warning::{i}\n" for i in range(12)) + "::notice::last\n")
    assert [a.message for a in log.shown()] == [*map(str, range(10)), "last"]


def test_a_mask_holds_from_its_line_on_and_for_each_line_of_a_secret() -> None:
    log = protocol.read_log("before s3cret\n::add-mask::s3cret\nafter s3cret\n::error::s3cret\n", ["key-1\nkey-2"])
    assert log.lines == ["before s3cret", "after ***", "##[error]***"]
    assert protocol.read_log("a key-2 b\n", ["key-1\nkey-2"]).lines == ["a *** b"]


def test_stopped_commands_are_plain_text_until_the_token() -> None:
    log = protocol.read_log("::stop-commands::t0ken\n::error::foreign\n::t0ken::\n::error::own\n")
    assert [a.message for a in log.annotations] == ["own"]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("::notice::x", "notice"),
        ("  ::notice::x", "notice"),
        ("text ::notice::x", None),
        ("text ##[warning]x", "warning"),
        ("::unknown::x", None),
        ("::notice", None),
        ("\u200b::error::x", None),
    ],
)
def test_what_counts_as_a_command(line: str, name: str | None) -> None:
    command = protocol.parse_command(line)
    assert (command.name if command else None) == name


def test_commands_that_the_runner_refuses_are_problems() -> None:
    assert protocol.read_log("::set-env name=A::b\n").problems


@pytest.mark.parametrize(
    ("value", "translated"),
    [
        ("/home/runner/work/soil", "/github/workspace"),
        ("/home/runner/work/soil/data.csv", "/github/workspace/data.csv"),
        ("/home/runner/work/soil2/data.csv", "/home/runner/work/soil2/data.csv"),
        ("--in=/home/runner/work/soil/data.csv", "--in=/home/runner/work/soil/data.csv"),
        ("data.csv", "data.csv"),
        ("", ""),
    ],
)
def test_only_values_that_start_with_the_workspace_are_translated(value: str, translated: str) -> None:
    assert protocol.translate(value, [("/home/runner/work/soil", "/github/workspace")]) == translated


def test_input_variables_keep_dashes() -> None:
    assert protocol.input_variable("min-effect") == "INPUT_MIN-EFFECT"
    assert protocol.input_variable("min effect") == "INPUT_MIN_EFFECT"


def test_inputs_get_defaults_and_warnings() -> None:
    declared = {
        "alpha": {"default": 0.05},
        "show": {"default": False},
        "token": {"default": "${{ github.token }}"},
        "x": {},
    }
    values, problems = harness.step_inputs(declared, {"Alpha": "0.01", "alhpa": "1"}, {"token": "t"})
    assert values == {"Alpha": "0.01", "show": "false", "token": "t", "x": "", "alhpa": "1"}
    assert problems == ["Unexpected input(s) 'alhpa', valid inputs are [alpha, show, token, x]"]


def test_an_expression_that_the_harness_does_not_know_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot evaluate"):
        protocol.evaluate("${{ hashFiles('dvc.lock') }}", {"github": {"token": "t"}})


def test_pull_request_variables(tmp_path: Path) -> None:
    event = {"pull_request": {"number": 7, "base": {"ref": "main"}, "head": {"ref": "better"}}}
    variables = harness.github_variables(event, tmp_path)
    assert variables["GITHUB_EVENT_NAME"] == "pull_request"
    assert variables["GITHUB_REF"] == "refs/pull/7/merge"
    assert variables["GITHUB_REF_NAME"] == "7/merge"
    assert (variables["GITHUB_BASE_REF"], variables["GITHUB_HEAD_REF"]) == ("main", "better")
