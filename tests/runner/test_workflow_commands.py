"""Workflow commands: what the runner reads, and that foreign text cannot speak in its place."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from flint_ml.runner.workflow_commands import MAX_SUMMARY_BYTES, Commands


class Spoken:
    def __init__(self, folder: Path, *, on_github: bool = True) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        names = ("GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")
        self.files = {name: folder / name for name in names}
        env = {name: str(path) for name, path in self.files.items()}
        self.commands = Commands(on_github=on_github, stdout=self.out, stderr=self.err, env=env)

    def text(self, name: str) -> str:
        path = self.files[name]
        return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.fixture
def spoken(tmp_path: Path) -> Spoken:
    return Spoken(tmp_path)


def test_an_annotation_escapes_message_and_properties(spoken: Spoken) -> None:
    spoken.commands.annotate("error", "100 % wrong\nsecond: line", title="a,b: c", file="x.csv", line=3)
    assert spoken.out.getvalue() == "::error title=a%2Cb%3A c,file=x.csv,line=3::100 %25 wrong%0Asecond: line\n"
    assert spoken.err.getvalue() == "error: 100 % wrong\nsecond: line\n"


def test_only_ten_annotations_of_a_type_and_the_last_says_so(spoken: Spoken) -> None:
    for number in range(15):
        spoken.commands.annotate("warning", f"w{number}")
    spoken.commands.annotate("error", "still shown")
    lines = [line for line in spoken.out.getvalue().splitlines() if line.startswith("::warning")]
    assert len(lines) == 10
    assert "further warnings" in lines[-1]
    assert "::error::still shown" in spoken.out.getvalue()
    assert spoken.err.getvalue().count("warning:") == 15


@pytest.mark.parametrize("line", ["::set-output name=x::1", "  ::error::fake", "##[command]x"])
def test_foreign_text_cannot_be_a_command(spoken: Spoken, line: str) -> None:
    spoken.commands.say(f"first\n{line}")
    assert not any(part.lstrip().startswith(("::", "##[")) for part in spoken.out.getvalue().splitlines())


def test_a_masked_value_is_nowhere(spoken: Spoken) -> None:
    spoken.commands.mask("s3cr3t-token")
    spoken.commands.mask("line one\nline two is longer")
    spoken.commands.say("token s3cr3t-token")
    spoken.commands.annotate("error", "bad token s3cr3t-token")
    spoken.commands.output("url", "https://u:s3cr3t-token@host")
    spoken.commands.summary("line two is longer, s3cr3t-token")
    shown = [line for line in spoken.out.getvalue().splitlines() if not line.startswith("::add-mask::")]
    everything = "\n".join([*shown, spoken.err.getvalue(), *(spoken.text(name) for name in spoken.files)])
    assert "s3cr3t" not in everything
    assert "line two" not in everything
    assert "https://u:***@host" in everything


def test_an_output_with_many_lines_cannot_define_another(spoken: Spoken) -> None:
    spoken.commands.output("table", "a\nEOF\nevil=1")
    spoken.commands.output("table", "b")
    text = spoken.text("GITHUB_OUTPUT").splitlines()
    delimiters = [line.split("<<")[1] for line in text if "<<" in line]
    assert len(set(delimiters)) == 2
    assert text[1:4] == ["a", "EOF", "evil=1"]
    assert text[4] == delimiters[0]


def test_the_summary_stays_under_one_mebibyte_and_points_to_the_rest(spoken: Spoken) -> None:
    spoken.commands.summary("start")
    spoken.commands.summary("ä row of a table\n" * 200_000)
    spoken.commands.summary("too late")
    text = spoken.text("GITHUB_STEP_SUMMARY")
    assert len(text.encode()) <= MAX_SUMMARY_BYTES
    assert text.startswith("start\n")
    assert "did not fit" in text[-200:]
    assert "too late" not in text


def test_groups_and_state(spoken: Spoken) -> None:
    with spoken.commands.group("pull"):
        spoken.commands.say("inside")
    spoken.commands.state("pid", "7")
    assert spoken.out.getvalue() == "::group::pull\ninside\n::endgroup::\n"
    assert spoken.text("GITHUB_STATE").splitlines()[1] == "7"


def test_a_terminal_sees_plain_text_and_no_files_are_written(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, on_github=False)
    spoken.commands.annotate("notice", "a hint")
    spoken.commands.annotate("error", "broken")
    spoken.commands.output("x", "1")
    spoken.commands.summary("text")
    with spoken.commands.group("title"):
        spoken.commands.say("::looks like a command")
    assert spoken.out.getvalue() == "a hint\ntitle\n::looks like a command\n"
    assert spoken.err.getvalue() == "error: broken\n"
    assert not any(path.exists() for path in spoken.files.values())
