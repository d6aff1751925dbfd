"""YAML read safely: with limits, and with the line of what is wrong. One loader for values and for positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flint_ml.errors import InputError

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 50
# What a document may hold once every alias is written out: a few lines of aliases of aliases make billions.
MAX_EXPANDED = 1_000_000
_HINT = "check indentation and quotes on that line"


def parse_yaml(text: str, where: str) -> Any:
    """Plain Python values of the YAML 1.2 document ``text``.

    Raises
    ------
    InputError
        If ``text`` is too large or is not YAML; ``where`` and the line are named.
    """

    def load(loader: Any) -> Any:
        return loader.load(text)

    return _read(text, where, load)


def parse_documents(text: str, where: str) -> list[Any]:
    """Plain Python values of each document in ``text``, empty ones left out; errors as :func:`parse_yaml`."""

    def load(loader: Any) -> list[Any]:
        return [data for data in loader.load_all(text) if data is not None]

    loaded: list[Any] = _read(text, where, load)
    return loaded


def compose_documents(text: str, where: str, hint: str = _HINT) -> list[Any]:
    """The documents in ``text`` as ruamel's nodes, which know where they stand; errors as :func:`parse_yaml`.

    Parameters
    ----------
    hint
        What to do where it is not YAML.
    """

    def load(loader: Any) -> list[Any]:
        return [node for node in loader.compose_all(text) if node is not None]

    nodes: list[Any] = _read(text, where, load, hint)
    return nodes


def _read(text: str, where: str, load: Callable[[Any], Any], hint: str = _HINT) -> Any:
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise InputError(f"is larger than {MAX_BYTES:,} bytes", where=where, code="yaml-too-large")
    try:
        if "*" in text and "&" in text and _expanded_size(text, where) > MAX_EXPANDED:
            raise InputError(
                f"holds more than {MAX_EXPANDED:,} values once its aliases are written out",
                where=where,
                hint="use fewer aliases of aliases (`*name`)",
                code="yaml-too-large",
            )
        return load(_loader())
    except MarkedYAMLError as error:
        mark = error.problem_mark
        raise InputError(
            f"is not valid YAML: {error.problem or error.context}",
            where=f"{where}:{mark.line + 1}" if mark else where,
            hint=hint,
            code="invalid-yaml",
        ) from None
    except (YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"is not valid YAML: {error}", where=where, code="invalid-yaml") from None


def _loader() -> Any:
    from ruamel.yaml import YAML

    loader = YAML(typ="safe", pure=True)
    loader.max_depth = MAX_DEPTH
    return loader


def _expanded_size(text: str, where: str) -> int:
    """How many values the documents of ``text`` hold together once every alias is written out; at least that many
    where it is over the limit."""
    from ruamel.yaml.events import (
        AliasEvent,
        CollectionEndEvent,
        CollectionStartEvent,
        DocumentStartEvent,
        ScalarEvent,
    )

    total = 0
    sizes: dict[str, int] = {}
    open_collections: list[list[Any]] = []
    for event in _loader().parse(text):
        if isinstance(event, DocumentStartEvent):
            sizes = {}
            continue
        if isinstance(event, CollectionStartEvent):
            open_collections.append([event.anchor, 1])
            continue
        if isinstance(event, CollectionEndEvent):
            anchor, size = open_collections.pop()
        elif isinstance(event, AliasEvent):
            if any(event.anchor == name for name, _ in open_collections):
                raise InputError(
                    f"the alias `*{event.anchor}` stands inside of what it names",
                    where=f"{where}:{event.start_mark.line + 1}",
                    hint="write the value out",
                    code="invalid-yaml",
                )
            anchor, size = None, sizes.get(event.anchor, 1)
        elif isinstance(event, ScalarEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor:
            sizes[anchor] = size
        if open_collections:
            open_collections[-1][1] += size
        else:
            total += size
        if size > MAX_EXPANDED:
            return int(size)
    return total
