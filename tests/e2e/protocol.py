"""How the GitHub runner reads what an action wrote: file commands, workflow commands, masks, limits.

Written after the runner's own sources (``FileCommandManager``, ``ActionCommandManager``, ``ActionCommand``,
``ContainerInfo``), so that the end-to-end tests see what a user's workflow would see. Nothing here needs Docker.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

SUMMARY_LIMIT = 1024 * 1024
ANNOTATION_LIMIT = 10
OUTPUTS_LIMIT = 1024 * 1024
REGISTERED = frozenset(
    {
        "add-mask",
        "add-matcher",
        "remove-matcher",
        "debug",
        "warning",
        "error",
        "notice",
        "group",
        "endgroup",
        "echo",
        "save-state",
        "set-output",
        "set-env",
        "add-path",
        "stop-commands",
    }
)
# Commands that the runner refuses since 2020 because log lines could change the job.
REFUSED = frozenset({"set-env", "add-path"})


class RunnerError(Exception):
    """The runner would fail the step with this message."""


def parse_pairs(text: str) -> dict[str, str]:
    """Pairs of a ``GITHUB_OUTPUT`` or ``GITHUB_STATE`` file: ``name=value`` and ``name<<DELIMITER`` blocks.

    Raises
    ------
    RunnerError
        With the runner's message, where the runner fails the step.
    """
    pairs: dict[str, str] = {}
    lines = text.split("\n")
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, _, value = line.partition("=")
            pairs[name] = value
        elif heredoc >= 0:
            name, _, delimiter = line.partition("<<")
            if not name or not delimiter:
                raise RunnerError(f"Invalid format '{line}'. Name must not be empty and delimiter must not be empty")
            try:
                end = lines.index(delimiter, position)
            except ValueError:
                raise RunnerError(f"Invalid value. Matching delimiter not found '{delimiter}'") from None
            pairs[name] = "\n".join(lines[position:end])
            position = end + 1
        else:
            raise RunnerError(f"Invalid format '{line}'")
    return pairs


@dataclass(frozen=True)
class Annotation:
    """One ``error``, ``warning`` or ``notice`` as the runner shows it on the run's page."""

    level: str
    message: str
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Command:
    """One workflow command of a log line."""

    name: str
    data: str
    properties: Mapping[str, str]


def _unescape(text: str, *, properties: bool = False) -> str:
    pairs = [("%0D", "\r"), ("%0A", "\n")]
    if properties:
        pairs += [("%3A", ":"), ("%2C", ",")]
    for escaped, plain in [*pairs, ("%25", "%")]:
        text = text.replace(escaped, plain)
    return text


def _properties(text: str, separator: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.strip().split(separator):
        name, equals, value = part.partition("=")
        if equals and name and value:
            found[name] = _unescape(value, properties=True)
    return found


def parse_command(line: str, registered: frozenset[str] = REGISTERED) -> Command | None:
    """The command of a log line in either form, ``::name key=value::data`` or ``##[name key=value]data``."""
    match = re.match(r"\s*::(?P<info>.*?)::(?P<data>.*)\Z", line, re.DOTALL)
    separator = ","
    if not match or match["info"].partition(" ")[0] not in registered:
        match = re.search(r"##\[(?P<info>[^\]]*)\](?P<data>.*)\Z", line, re.DOTALL)
        separator = ";"
    if not match:
        return None
    name, _, rest = match["info"].partition(" ")
    if name not in registered:
        return None
    return Command(name, _unescape(match["data"]), _properties(rest, separator))


@dataclass
class Log:
    """What the runner makes of an action's output."""

    lines: list[str] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    masks: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The log with every mask applied, as the website shows it."""
        return "".join(f"{line}\n" for line in self.lines)

    def shown(self) -> list[Annotation]:
        """The annotations that the website shows: the first ten of each level of a step."""
        counts: Counter[str] = Counter()
        kept = []
        for annotation in self.annotations:
            counts[annotation.level] += 1
            if counts[annotation.level] <= ANNOTATION_LIMIT:
                kept.append(annotation)
        return kept


def mask(text: str, secrets: Iterable[str]) -> str:
    """``text`` with each secret replaced by three stars, longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def add_mask(masks: set[str], value: str) -> None:
    """Register a secret: the whole of it, and each line of a secret with several."""
    masks.update(part for part in (value, *re.split(r"[\r\n]+", value)) if part.strip())


def read_log(output: str, secrets: Sequence[str] = ()) -> Log:
    """Read an action's output line by line: masks hold from the line that sets them, stop-commands stops."""
    log = Log()
    for secret in secrets:
        add_mask(log.masks, secret)
    stopped: str | None = None
    for line in output.splitlines():
        if stopped is not None:
            resume = parse_command(line, frozenset({stopped}))
            stopped = None if resume else stopped
            log.lines.append(mask(line, log.masks))
            continue
        command = parse_command(line)
        if command is None:
            log.lines.append(mask(line, log.masks))
        elif command.name == "stop-commands":
            stopped = command.data
        else:
            _obey(command, log)
    return log


def _obey(command: Command, log: Log) -> None:
    message = mask(command.data, log.masks)
    if command.name in {"error", "warning", "notice"}:
        properties = {key: mask(value, log.masks) for key, value in command.properties.items()}
        log.annotations.append(Annotation(command.name, message, properties))
        log.lines.append(f"##[{command.name}]{message}")
    elif command.name == "add-mask":
        add_mask(log.masks, command.data)
    elif command.name in REFUSED:
        log.problems.append(f"Unable to process command '{command.name}': it is disabled")
    elif command.name in {"group", "endgroup", "debug"}:
        log.lines.append(f"##[{command.name}]{message}")


def translate(value: str, mappings: Sequence[tuple[str, str]]) -> str:
    """A host path as the container sees it: only a value that equals or starts with a mounted folder.

    ``mappings`` holds (host folder, container folder), the first that fits wins, as in the runner.
    """
    for host, inside in mappings:
        if value == host:
            return inside
        if value.startswith(f"{host}/"):
            return inside + value[len(host) :]
    return value


def input_variable(name: str) -> str:
    """``min effect`` → ``INPUT_MIN_EFFECT``; dashes stay."""
    return f"INPUT_{name.replace(' ', '_').upper()}"


def evaluate(text: str, contexts: Mapping[str, Mapping[str, str]]) -> str:
    """Expressions of the kind ``${{ github.token }}`` and ``${{ inputs.name }}`` in a metadata file.

    Raises
    ------
    ValueError
        For any other expression: the tests must not guess what it would give.
    """

    def replace(match: re.Match[str]) -> str:
        context, _, name = match[1].partition(".")
        if name not in contexts.get(context, {}):
            raise ValueError(f"this harness cannot evaluate ${{{{ {match[1]} }}}}")
        return contexts[context][name]

    return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", replace, text)
