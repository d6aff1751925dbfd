"""Whether the value at a path is a version at all: what nobody meant to be one is never written over. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flint_ml.deployment.yaml_edit import Scalar, documents, find, leaf_paths, line_of, parse_path
from flint_ml.errors import InputError

# What stands there before the first deployment, beside the number 0.
_NOT_YET = frozenset({"latest", "none", "unset", "todo", "tbd", "staging", "production", "version"})
# Numbers that something else reads: a version has no business under such a name.
_SETTING = re.compile(
    r"replica|port\b|port$|count|limit|request|cpu|memory|timeout|seconds|period|threshold|percent|size|weight|worker|"
    r"thread|level|debug|uid|gid|runas|fsgroup|mode$|priority|retries|revision|batch|epoch|seed|(^|_)(min|max)",
    re.IGNORECASE,
)
_VERSION = re.compile(r"version|tag|model|image", re.IGNORECASE)
_INT = "tag:yaml.org,2002:int"


@dataclass(frozen=True)
class Meaning:
    """What a value must be to be written over.

    Attributes
    ----------
    model
        The registered model; a comment ``# flint-ml: MODEL`` marks a value as its version whatever it is.
    number
        The version that a value names, None where it is written in another way.
    template
        How a version is written, with ``{version}``.
    highest
        The highest version that the registry knows.
    """

    model: str
    number: Callable[[str], int | None]
    template: str
    highest: int

    def why_not(self, text: str, scalar: Scalar, path: str) -> str:
        """Why ``scalar`` is not a version of the model; empty where it is one."""
        if marked(text, scalar, self.model):
            return ""
        number = self.number(scalar.value)
        if number is not None:
            name = _leaf(path)
            if self.template == "{version}" and _SETTING.search(name) and not _VERSION.search(name):
                return f"is a setting (`{name}`), not a version"
            if number > self.highest:
                return f"is not a version of {self.model}, whose highest one is {self.highest}"
            return ""
        before, _, after = self.template.partition("{version}")
        inner = scalar.value.removeprefix(before).removesuffix(after)
        is_ours = inner.lower() in _NOT_YET or (len(before) > 2 and before[-1] in ":=/@-_")
        if is_ours and scalar.value.startswith(before) and scalar.value.endswith(after):
            return ""
        return f"is not written as `{self.template}`"


def _leaf(path: str) -> str:
    """The name of the value: its key, or that of the list's item where the key is only ``value``."""
    steps = parse_path(path)
    names = [step.value or step.key for step in steps if step.index is None]
    return next((name for name in reversed(names) if name not in {"value", "data"}), "")


def marked(text: str, scalar: Scalar, model: str) -> bool:
    """Whether the line of the value carries our comment."""
    rest = text[scalar.end :].partition("\n")[0]
    return re.search(rf"#\s*flint-ml:\s*{re.escape(model)}\s*$", rest) is not None


def marked_path(text: str, file: str, model: str) -> str:
    """The path of the one value whose line carries the comment ``# flint-ml: MODEL``.

    Raises
    ------
    InputError
        If there is none, or several.
    """
    paths = [path for path, scalar in _scalars(text, file) if marked(text, scalar, model)]
    if len(paths) == 1:
        return paths[0]
    lines = ", ".join(f"`{path}`" for path in paths[:5])
    raise InputError(
        f"the comment `# flint-ml: {model}` stands there {len(paths)} times ({lines})"
        if paths
        else f"no line carries the comment `# flint-ml: {model}`",
        where=file,
        hint="give `path`, or put the comment behind the one value that is the version",
        code="unknown-path",
    )


def _scalars(text: str, file: str) -> Iterator[tuple[str, Scalar]]:
    """Every value of the file that a path can name, with that path."""
    for path in leaf_paths(documents(text, file)):
        try:
            yield path, find(text, path, file)
        except InputError:
            continue


def check_meaning(text: str, path: str, file: str, meaning: Meaning, scalar: Scalar) -> None:
    """Refuse to write a version over something else.

    Raises
    ------
    InputError
        With the line, what stands there, and the place that would fit.
    """
    why = meaning.why_not(text, scalar, path)
    if not why:
        return
    fitting = [
        other
        for other, candidate in _scalars(text, file)
        if other != path
        and not meaning.why_not(text, candidate, other)
        and (meaning.template != "{version}" or _VERSION.search(_leaf(other)) or marked(text, candidate, meaning.model))
    ]
    hint = (
        f"the version would fit at {' or '.join(f'`{other}`' for other in fitting[:3])}"
        if fitting
        else f"name the value that is the version, or put the comment `# flint-ml: {meaning.model}` behind it"
    )
    raise InputError(
        f"line {scalar.line} is `{line_of(text, scalar.line)}`: `{scalar.value}` at `{path}` {why}",
        where=f"{file}:{scalar.line}",
        hint=hint,
        code="foreign-value",
    )


def named_path(text: str, path: str, file: str, scalar: Scalar) -> str:
    """The path by names for a ``path`` that counts items; empty where it counts none or nothing has a name."""
    if all(step.index is None for step in parse_path(path)):
        return ""
    same = (other for other, candidate in _scalars(text, file) if candidate.start == scalar.start)
    return next((other for other in same if all(step.index is None for step in parse_path(other))), "")


def is_kubernetes_number(scalar: Scalar) -> bool:
    """Whether a value in a resource that Kubernetes' schemas take is a number there: versions are texts."""
    return scalar.tag == _INT
