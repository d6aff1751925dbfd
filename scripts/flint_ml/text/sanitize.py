"""Foreign text on its way out: to a log, an annotation, a summary, a comment.

Names of columns, metrics, files and records come from the change under test. The runner reads two forms of commands
out of a log: ``::name::`` where a line begins (blanks before it allowed), and ``##[name]`` anywhere in a line; it
takes more characters for the end of a line than a newline. Control characters can move a terminal's cursor,
bidirectional ones show a text in another order than it is read.
"""

from __future__ import annotations

import re

# Also what only some readers take for the end of a line.
_ENDS = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_DROPPED = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_COMMAND = re.compile(r"^(\s*):(?=:)", re.MULTILINE)
_BREAK = "\u200b"


def visible(text: str) -> str:
    """``text`` without control and bidirectional characters; only a newline ends a line."""
    return _LONE_SURROGATES.sub("\ufffd", _DROPPED.sub("", _ENDS.sub("\n", text)))


def sanitize(text: str) -> str:
    """``text`` without control and bidirectional characters, and without what the runner reads as a command."""
    return _COMMAND.sub(rf"\1{_BREAK}:", visible(text).replace("##[", f"#{_BREAK}#["))


def one_line(text: str) -> str:
    """``text`` sanitized, on one line."""
    return sanitize(" ".join(sanitize(text).split("\n")))
