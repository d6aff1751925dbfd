"""``flint-ml.yml``: what would be long in a workflow. One section per action, keys are the action's inputs.

The gates' sections are read from the base revision, so that a change cannot move its own goalposts; what differs
is returned, to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flint_ml.errors import InputError
from flint_ml.runner.inputs import suggestion
from flint_ml.text.yaml import parse_yaml

_SHOWN = 120


@dataclass(frozen=True)
class Change:
    """One setting that differs between base and head: path, value there, value here (None: absent)."""

    path: str
    base: Any
    head: Any

    def __str__(self) -> str:
        def shown(value: Any) -> str:
            text = "(not set)" if value is None else str(value)
            return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} … ({len(text):,} characters)"

        path = self.path if len(self.path) <= _SHOWN else f"{self.path[:_SHOWN]} …"
        return f"`{path}`: {shown(self.base)} → {shown(self.head)}"


@dataclass(frozen=True)
class Settings:
    """The sections of a settings file, by action name."""

    file: str
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def section(self, name: str) -> Mapping[str, Any]:
        return self.sections.get(name, {})


def parse_settings(text: str, file: str, known: Sequence[str] | None) -> Settings:
    """Check the outline of a settings file: a mapping of sections to mappings.

    ``known`` are the names that a section may have (None: any).
    """
    data = parse_yaml(text, file)
    if data is None:
        return Settings(file)
    if not isinstance(data, dict):
        raise InputError(
            "must hold one section per action, such as `check-drift:`", where=file, code="invalid-settings"
        )
    for name, section in data.items():
        if known is not None and name not in known:
            raise InputError(
                f"unknown section `{name}`", where=file, hint=suggestion(str(name), known), code="unknown-key"
            )
        if section is not None and not isinstance(section, dict):
            raise InputError(f"section `{name}` must be a mapping of inputs to values", where=file)
    return Settings(file, {name: section or {} for name, section in data.items()})


def read_settings(path: Path, file: str, known: Sequence[str] | None, *, named: bool) -> Settings:
    """Read ``path``; a file that the user named must exist, the default one may be absent."""
    if not path.is_file():
        if named:
            raise InputError("does not exist", where=file, hint="check the input `config`", code="missing-file")
        return Settings(file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", where=file, hint="save it as UTF-8", code="invalid-settings") from None
    return parse_settings(text, file, known)


def differences(base: Any, head: Any, path: str = "") -> list[Change]:
    """What differs between two settings values, leaf by leaf, in order of path."""
    if isinstance(base, Mapping) and isinstance(head, Mapping):
        changes: list[Change] = []
        for key in sorted({*base, *head}, key=str):
            changes += differences(base.get(key), head.get(key), f"{path}.{key}" if path else str(key))
        return changes
    return [] if base == head else [Change(path, base, head)]
