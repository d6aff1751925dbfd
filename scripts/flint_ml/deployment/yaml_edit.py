"""Change one scalar in YAML text and leave every other character as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flint_ml.deployment.yaml_path import Found, documents, find
from flint_ml.errors import InputError

_STRING = "tag:yaml.org,2002:str"
_BOM = b"\xef\xbb\xbf"


def decode(data: bytes, file: str) -> str:
    """The text of a manifest; its byte order mark, if any, is left out (see :func:`encode`).

    Raises
    ------
    InputError
        If it is not UTF-8, or only the pointer to a file kept elsewhere.
    """
    if data.startswith(b"version https://git-lfs"):
        raise InputError(
            "is kept in Git LFS; here is only a pointer",
            where=file,
            hint="keep manifests in Git itself",
            code="lfs-pointer",
        )
    try:
        return data.removeprefix(_BOM).decode()
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", where=file, hint="save it as UTF-8", code="invalid-yaml") from None


def encode(text: str, before: bytes) -> bytes:
    """``text`` as bytes, with a byte order mark where ``before`` has one."""
    return (_BOM if before.startswith(_BOM) else b"") + text.encode()


def _candidates(found: Found, value: str) -> list[str]:
    """Ways to write ``value``, the most like the old one first."""
    double = json.dumps(value, ensure_ascii=False)
    if found.style == '"':
        return [double]
    if found.style == "'":
        return ["'" + value.replace("'", "''") + "'", double]
    return [value, double]


def _events(roots: list[Any]) -> Iterator[tuple[str, str, str]]:
    stack = list(reversed(roots))
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack += [node[1], node[0]]
        elif node.id == "scalar":
            yield ("scalar", str(node.tag), str(node.value))
        else:
            yield (node.id, str(node.tag), str(len(node.value)))
            stack += list(reversed(node.value)) if not node.anchor else []


def replace(text: str, path: str, value: str, file: str) -> str:
    """YAML ``text`` with the scalar at ``path`` set to ``value``; quotes and type stay as they were where they can.

    A plain text stays text: ``latest`` becomes ``"7"``, while the number ``6`` becomes ``7``.

    Raises
    ------
    InputError
        As :func:`flint_ml.deployment.yaml_path.find` does, or if the value cannot be written there.
    """
    found = find(text, path, file)
    if found.value == value:
        return text
    before = list(_events(documents(text, file)))
    for written in _candidates(found, value):
        changed = text[: found.start] + written + text[found.end :]
        try:
            after = list(_events(documents(changed, file)))
        except InputError:
            continue
        # The proof that nothing else changed: the same nodes but for this one value.
        different = [(old, new) for old, new in zip(before, after, strict=False) if old != new]
        if len(before) != len(after) or len(different) != 1:
            continue
        old, new = different[0]
        if new[0] == "scalar" and new[2] == value and (old[1] != _STRING or new[1] == _STRING):
            return changed
    raise InputError(
        f"`{value}` cannot be written at `{path}` without changing more than that",
        where=f"{file}:{found.line}",
        hint="put the old value in double quotes",
        code="not-a-value",
    )
