"""The command ``flint-ml``: what the actions do, at a terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from flint_ml import __version__
from flint_ml.commands import SUMMARIES

# What a shell says of a program that its reader left: 128 and the signal.
_SIGPIPE = 141

EXIT_CODES = """exit codes:
  0  did its job; the gate is open (passed or warned)
  1  did its job; the gate says no
  2  an input or the configuration is wrong: the message says what, where, and what to do
  3  something outside failed after retries: remote, API, registry, simulator"""


def usage() -> str:
    """The top-level help. It is plain text so that it needs no import."""
    width = max(map(len, SUMMARIES))
    commands = "\n".join(f"  {name:<{width}}  {text}" for name, text in SUMMARIES.items())
    return (
        f"usage: flint-ml COMMAND [options]\n\n"
        f"Continuous integration for the science of a repository (flint-ml {__version__}).\n\n"
        f"commands:\n{commands}\n\n"
        f"`flint-ml COMMAND --help` lists the options of a command; settings are read from flint-ml.yml.\n\n"
        f"{EXIT_CODES}\n"
    )


def _action(name: str, arguments: Sequence[str]) -> int:
    from flint_ml.commands import load, names
    from flint_ml.errors import FlintError
    from flint_ml.runner import Commands, conceal, from_arguments, parser, run_action

    conceal()
    action = load(name)
    own, rest = list(arguments), tuple[str, ...]()
    if "--" in own:
        cut = own.index("--")
        own, rest = own[:cut], tuple(own[cut + 1 :])
    try:
        parsed = parser(f"flint-ml {name}", action.description, action.inputs, action.positionals).parse_args(own)
        given = from_arguments(action.inputs, parsed, action.positionals)
    except FlintError as error:
        Commands(on_github=os.environ.get("GITHUB_ACTIONS") == "true").annotate("error", str(error), title=name)
        return int(error.exit_code)
    return run_action(action, given, rest=rest, known=names())


def _any_letter() -> None:
    """Output that cannot show a letter (Windows with a pipe, ``LANG=C``) shows another one; nothing ends for it."""
    encoding = "utf-8" if os.environ.get("GITHUB_ACTIONS") == "true" else None
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors="replace")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``flint-ml``; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _any_letter()
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(usage(), end="")
        return 0 if arguments else 2
    if arguments[0] in {"-V", "--version", "version"}:
        print(f"flint-ml {__version__}")
        return 0
    name = arguments[0]
    if name not in SUMMARIES:
        import difflib

        close = difflib.get_close_matches(name, SUMMARIES, n=1)
        hint = f" Did you mean `{close[0]}`?" if close else ""
        print(f"error: unknown command {name!r}.{hint} `flint-ml --help` lists the commands.", file=sys.stderr)
        return 2
    try:
        return _action(name, arguments[1:])
    except BrokenPipeError:
        # Whoever read the output has gone (`| head`): no fault, and nobody to tell it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _SIGPIPE
