"""One YAML loader: values, documents and positions, with limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from flint_ml.errors import InputError
from flint_ml.text.yaml import MAX_BYTES, compose_documents, parse_documents, parse_yaml

READERS: tuple[Callable[[str, str], Any], ...] = (parse_yaml, parse_documents, compose_documents)


def laughs(levels: int, width: int, merged: bool = False) -> str:
    """Aliases of aliases: ``width ** levels`` values in a few lines."""
    lines = ["a0: &a0 {k: x}" if merged else "a0: &a0 [x]"]
    for level in range(1, levels + 1):
        alias = f"*a{level - 1}"
        values = ", ".join(f"k{number}: {alias}" for number in range(width)) if merged else ", ".join([alias] * width)
        lines.append(f"a{level}: &a{level} " + (f"{{{values}}}" if merged else f"[{values}]"))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "text", [laughs(9, 10), laughs(30, 2), laughs(9, 10, merged=True), "x: &x [1]\n---\n" + laughs(8, 10)]
)
def test_aliases_of_aliases_are_refused_at_once(reader: Callable[[str, str], Any], text: str) -> None:
    start = time.monotonic()
    with pytest.raises(InputError, match="once its aliases are written out") as caught:
        reader(text, "f.yml")
    assert (caught.value.code, caught.value.where) == ("yaml-too-large", "f.yml")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("text", ["a: &x [*x]\n", "a: &x {b: {c: *x}}\n"])
def test_an_alias_inside_of_what_it_names(text: str) -> None:
    with pytest.raises(InputError, match="stands inside of what it names"):
        parse_yaml(text, "f.yml")


def test_honest_aliases_are_read() -> None:
    text = "base: &base {lr: 0.1, seed: 1}\nrun:\n  <<: *base\n  seed: 2\nlist: [*base, *base]\n"
    assert parse_yaml(text, "f")["run"] == {"lr": 0.1, "seed": 2}
    # The same name may be given again, and stands for the newer value.
    assert parse_yaml("a: &x 1\nb: *x\nc: &x 2\nd: *x\n", "f") == {"a": 1, "b": 1, "c": 2, "d": 2}


@pytest.mark.parametrize("reader", READERS)
def test_limits_and_places(reader: Callable[[str, str], Any]) -> None:
    with pytest.raises(InputError, match="is larger than"):
        reader("a" * (MAX_BYTES + 1), "f.yml")
    with pytest.raises(InputError) as caught:
        reader("a: 1\nb: [\n", "f.yml")
    assert caught.value.where in {"f.yml:2", "f.yml:3"}
    with pytest.raises(InputError):
        reader("a: " + "[" * 500 + "]" * 500, "f.yml")


def test_documents() -> None:
    assert parse_documents("a: 1\n---\n---\nb: 2\n", "f") == [{"a": 1}, {"b": 2}]
