"""Inputs: one pydantic model per action serves ``INPUT_*``, the command line, ``flint-ml.yml`` and the docs.

Precedence: option or ``with:`` value, then the action's section of ``flint-ml.yml``, then the default. An empty
string means absent, as the runner cannot tell the two apart.
"""

from __future__ import annotations

import argparse
import difflib
import os
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from flint_ml.errors import InputError
from flint_ml.text.yaml import parse_yaml

Model = TypeVar("Model", bound=BaseModel)
MAX_SECRET_BYTES = 100_000

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


def dashed(name: str) -> str:
    """``on_failure`` as users write it: ``on-failure``."""
    return name.rstrip("_").replace("_", "-")


class ActionInputs(BaseModel):
    """Inputs that every action has. A subclass adds its own; each field carries its description."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=dashed, populate_by_name=True)

    results_dir: str = Field(
        "flint-ml-results",
        description="Folder of the records and figures, relative to the working directory.",
    )
    name: str = Field(
        "",
        description="Name of this use of the action, unique in a job. Default: the name of the action.",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$",
    )
    config: str = Field("flint-ml.yml", description="Settings file; it may be absent.")
    working_directory: str = Field(".", description="Folder of the project, relative to the root of the repository.")


class ChangeInputs(ActionInputs):
    """Inputs of an action that judges a change, or passes on the judgement."""

    base_commit: str = Field(
        "",
        description="Commit of the base as `gate-plan` noted it before the command ran; the gate hands it on.",
        pattern=r"^([0-9a-f]{40}([0-9a-f]{24})?)?$",
    )


class GateInputs(ChangeInputs):
    """Inputs of an action that can close the gate."""

    on_failure: Literal["fail", "warn"] = Field(
        "fail", description="What a closed gate does: `fail` stops the job, `warn` only says so."
    )


def _options(annotation: Any) -> list[Any]:
    """The alternatives of a type, without None."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [option for option in get_args(annotation) if option is not type(None)]
    return [annotation]


def shape(field: FieldInfo) -> str:
    """How the text of an input is read: ``bool``, ``list``, ``mapping``, ``secret`` or ``text``."""
    options = _options(field.annotation)
    origins = [get_origin(option) or option for option in options]
    if bool in origins:
        return "bool"
    if SecretStr in origins:
        return "secret"
    if list in origins or tuple in origins:
        return "list"
    if dict in origins or any(isinstance(o, type) and issubclass(o, BaseModel) for o in origins):
        return "mapping"
    return "text"


def _from_text(name: str, field: FieldInfo, text: str) -> Any:
    kind = shape(field)
    if kind == "bool":
        word = text.strip().lower()
        if word in _TRUE | _FALSE:
            return word in _TRUE
        raise InputError(f"{text!r} is neither true nor false", where=f"input {name}", code="invalid-input")
    if kind == "list":
        bare = text.strip()
        if bare.startswith(("[", "- ")):
            return parse_yaml(bare, f"input {name}")
        parts = bare.splitlines() if "\n" in bare else bare.split(",")
        return [part.strip() for part in parts if part.strip()]
    if kind == "mapping":
        return parse_yaml(text, f"input {name}")
    return text if kind == "secret" else text.strip()


def from_environment(model: type[ActionInputs], env: Mapping[str, str]) -> dict[str, Any]:
    """The values that ``with:`` gave, by dashed name; variables of other names are not ours."""
    values: dict[str, Any] = {}
    for key, field in model.model_fields.items():
        name = dashed(key)
        text = env.get(f"INPUT_{name.upper()}", "")
        if text.strip():
            values[name] = _from_text(name, field, text)
    return values


class _Parser(argparse.ArgumentParser):
    switches: set[str]

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """``--check PROJECT``: a switch takes the next word only where it is true or false."""
        words = [str(word) for word in args or []]
        plain: list[str] = []
        while words:
            word = words.pop(0)
            if word in self.switches:
                value = words.pop(0) if words and words[0].strip().lower() in {*_TRUE, *_FALSE, ""} else "true"
                word = f"{word}={value}"
            plain.append(word)
        return super().parse_args(plain, namespace)

    def error(self, message: str) -> Any:
        raise InputError(message, where=self.prog, hint=f"`{self.prog} --help` lists the options", code="invalid-input")


def parser(program: str, description: str, model: type[ActionInputs], positionals: Sequence[str]) -> _Parser:
    """A command-line parser with one option for each input."""
    result = _Parser(prog=program, description=description, allow_abbrev=False)
    result.switches = {f"--{dashed(key)}" for key, field in model.model_fields.items() if shape(field) == "bool"}
    for key, field in model.model_fields.items():
        name = dashed(key)
        text = (field.description or "").replace("%", "%%") + f" {default_text(field)}".rstrip()
        if name in positionals:
            result.add_argument(f"{name}_", nargs="?", metavar=name, help="as --" + name)
        if shape(field) == "bool":
            result.add_argument(f"--{name}", dest=name, nargs="?", const="true", metavar="true|false", help=text)
        elif shape(field) == "list":
            result.add_argument(f"--{name}", dest=name, action="append", metavar="ITEM", help=text)
        else:
            result.add_argument(f"--{name}", dest=name, metavar=_metavar(field), help=text)
    return result


def _metavar(field: FieldInfo) -> str:
    choices = [c for option in _options(field.annotation) if get_origin(option) is Literal for c in get_args(option)]
    if shape(field) == "secret":
        return "env:NAME|file:PATH"
    return "|".join(map(str, choices)) if choices else "VALUE"


def default_text(field: FieldInfo) -> str:
    """The default of a field for people, or an empty string."""
    if field.is_required() or field.default in (None, "", False) or field.default_factory is not None:
        return ""
    default = field.default
    shown = ", ".join(map(str, default)) if isinstance(default, list | tuple) else str(default)
    return f"(default: {shown})"


def from_arguments(
    model: type[ActionInputs],
    parsed: argparse.Namespace,
    positionals: Sequence[str],
    env: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The values that the command line gave, by dashed name; secrets from the variables or files that it names."""
    env = os.environ if env is None else env
    given = vars(parsed)
    values: dict[str, Any] = {}
    for key, field in model.model_fields.items():
        name = dashed(key)
        value = given.get(name)
        if value is None and name in positionals:
            value = given.get(f"{name}_")
        # A workflow passes an empty string for an input that nobody gave.
        if value in (None, "", [""]):
            continue
        if shape(field) == "secret":
            value = _secret(name, value, env)
            if not value:
                continue
        if isinstance(value, list):
            values[name] = [part for item in value for part in _from_text(name, field, item)]
        else:
            values[name] = _from_text(name, field, value)
    return values


def _secret(name: str, text: str, env: Mapping[str, str]) -> str:
    """What ``env:NAME`` or ``file:PATH`` holds; a secret itself would stand in the list of processes."""
    kind, _, source = text.partition(":")
    if kind == "env" and source:
        return env.get(source, "")
    if kind == "file" and source:
        path = Path(source)
        if not path.is_file() or path.stat().st_size > MAX_SECRET_BYTES:
            raise InputError(
                f"`{source}` is not a file of at most {MAX_SECRET_BYTES:,} bytes",
                where=f"--{name}",
                code="missing-file",
            )
        return path.read_text(encoding="utf-8", errors="replace")
    raise InputError(
        "a secret on the command line can be read by every process of this machine",
        where=f"--{name}",
        hint=f"give `--{name} env:VARIABLE` or `--{name} file:PATH`",
        code="secret-on-command-line",
    )


def suggestion(wrong: str, known: Sequence[str]) -> str:
    """A hint that names the likeliest spelling, or all of them."""
    close = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(sorted(known))}"


def _known(model: Any, loc: tuple[Any, ...]) -> list[str]:
    """Names that are allowed where ``loc`` points to."""
    current: Any = model
    for part in loc[:-1]:
        if isinstance(current, type) and issubclass(current, BaseModel):
            fields = {dashed(key): field.annotation for key, field in current.model_fields.items()}
            current = next(iter(_options(fields.get(str(part)))), None)
        elif get_origin(current) in (dict, list):
            current = next(iter(_options(get_args(current)[-1])), None)
    if isinstance(current, type) and issubclass(current, BaseModel):
        return [dashed(key) for key in current.model_fields]
    return []


def _first_error(model: type[BaseModel], error: ValidationError, section: str, file: str) -> InputError:
    first = error.errors(include_url=False, include_input=False)[0]
    loc = tuple(first["loc"])
    name = ".".join(str(part) for part in loc)
    if first["type"] == "missing":
        return InputError(
            f"input `{name}` is required",
            where=section,
            hint=f"give it under `with:`, as --{name}, or under `{section}:` in {file}",
            code="missing-input",
        )
    if first["type"] == "extra_forbidden":
        hint = suggestion(str(loc[-1]), _known(model, loc))
        return InputError(f"unknown key `{name}`", where=f"{file}: {section}", hint=hint, code="unknown-key")
    message = first["msg"].removeprefix("Value error, ")
    return InputError(f"`{name}`: {message}", where=section, hint="see the inputs table", code="invalid-input")


def check_section(model: type[ActionInputs], section_values: Mapping[str, Any], section: str, file: str) -> None:
    """Refuse keys of a settings section that do not belong to ``model``.

    Raises
    ------
    InputError
        For the first such key; a key of a step belongs under that step's own section.
    """
    known = [dashed(key) for key in model.model_fields]
    for key in section_values:
        if key not in known:
            hint = f"{suggestion(str(key), known)}; an input of a step belongs under the step's own section"
            raise InputError(f"unknown key `{key}`", where=f"{file}: {section}", hint=hint, code="unknown-key")


def build(
    model: type[Model], given: Mapping[str, Any], section_values: Mapping[str, Any], section: str, file: str
) -> Model:
    """Merge what was given over the file's section and check it.

    Raises
    ------
    InputError
        For a missing, unknown or malformed value; the message names it and where it can be set.
    """
    merged = {**section_values, **given}
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        raise _first_error(model, error, section, file) from None
