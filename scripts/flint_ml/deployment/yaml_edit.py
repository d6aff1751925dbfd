"""Find one scalar in YAML text by a path, change it, and leave every other character as it is.

A path is keys with dots between them, such as ``spec.containers[name=api].env[name=MODEL_VERSION].value``.
``[2]`` is an item of a list by number, ``[name=api]`` by one of its values (also a deeper one:
``[metadata.name=api]``), ``[MODEL_VERSION]`` by its name: the item with that ``name``, or a text such as
``MODEL_VERSION=3``. A key with dots is quoted: ``metadata.annotations."example.org/model"``. At the beginning,
``[kind=Deployment]`` picks documents of a file with several.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flint_ml.errors import InputError
from flint_ml.text.yaml import MAX_DEPTH, compose_documents

_STRING = "tag:yaml.org,2002:str"
_BOM = b"\xef\xbb\xbf"
_TOKEN = re.compile(
    r"""\.?"(?P<quoted>[^"]+)" | \[(?P<index>\d+)\] | \["(?P<bracketed>[^"]+)"\]
    | \[(?P<key>[^\[\]=]+)=(?P<value>[^\[\]]*)\] | \[(?P<item>[A-Za-z_][^\[\]="]*)\] | \.?(?P<plain>[^.\[\]"]+)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Step:
    """One step of a path: a key, a number in a list, a condition ``key=value`` on its items, or an item's name."""

    key: str = ""
    index: int | None = None
    value: str | None = None
    item: str | None = None

    def __str__(self) -> str:
        if self.index is not None:
            return f"[{self.index}]"
        if self.value is not None:
            return f"[{self.key}={self.value}]"
        if self.item is not None:
            return f"[{self.item}]"
        return f'"{self.key}"' if "." in self.key else self.key


@dataclass(frozen=True)
class Scalar:
    """The scalar that a path leads to.

    Attributes
    ----------
    start, end
        Where its text stands, quotes included, in characters.
    tag
        Its YAML type, such as ``tag:yaml.org,2002:int``.
    style
        ``"``, ``'`` or None for plain text.
    """

    start: int
    end: int
    line: int
    value: str
    tag: str
    style: str | None


def parse_path(text: str) -> list[Step]:
    """The steps of a path.

    Raises
    ------
    InputError
        If it is not a path.
    """
    steps: list[Step] = []
    rest = text.strip().removeprefix("$").removeprefix(".")
    position = 0
    while position < len(rest):
        match = _TOKEN.match(rest, position)
        if match is None:
            break
        if match["index"] is not None:
            steps.append(Step(index=int(match["index"])))
        elif match["item"] is not None:
            steps.append(Step(item=match["item"].strip()))
        elif match["value"] is not None:
            steps.append(Step(key=match["key"].strip(), value=match["value"].strip().strip("\"'")))
        else:
            steps.append(Step(key=match["quoted"] or match["bracketed"] or match["plain"].strip()))
        position = match.end()
    if not steps or position < len(rest):
        raise InputError(
            f"`{text}` is not a path" + (f": {rest[position:]!r} is not understood" if steps else ""),
            where="path",
            hint="write it as `spec.template.spec.containers[name=api].env[name=MODEL_VERSION].value`",
            code="invalid-path",
        )
    return steps


def documents(text: str, file: str) -> list[Any]:
    """The documents of a manifest as nodes that know where they stand.

    Raises
    ------
    InputError
        If it is not YAML; file and line are named.
    """
    template = "it is a template; name the file with its values (values.yaml)"
    return compose_documents(text, file, template if "{{" in text else "mend that line first")


def _children(node: Any) -> list[tuple[str, Any]]:
    """Keys (or numbers) and values below a node."""
    if node.id == "mapping":
        return [(str(key.value), value) for key, value in node.value]
    if node.id == "sequence":
        return [(f"[{number}]", value) for number, value in enumerate(node.value)]
    return []


def _matches(node: Any, key: str, value: str) -> bool:
    """Whether ``key`` (with dots for deeper ones) of a mapping has that value."""
    current = node
    for part in [key] if any(name == key for name, _ in _children(node)) else key.split("."):
        current = next((child for name, child in _children(current) if name == part), None)
        if current is None:
            return False
    return current.id == "scalar" and str(current.value) == value


def _next(node: Any, step: Step) -> list[Any]:
    """What a step leads to from ``node``: no node, one, or several."""
    if step.index is not None:
        items = node.value if node.id == "sequence" else []
        return list(items[step.index : step.index + 1])
    if step.value is not None:
        return [item for item in node.value if _matches(item, step.key, step.value)] if node.id == "sequence" else []
    if step.item is not None:
        return [item for item in node.value if _is_item(item, step.item)] if node.id == "sequence" else []
    return [value for name, value in _children(node) if name == step.key] if node.id == "mapping" else []


def _is_item(node: Any, name: str) -> bool:
    """Whether an item of a list has the name, or is a text such as ``NAME=value``."""
    return str(node.value).partition("=")[0] == name if node.id == "scalar" else _matches(node, "name", name)


def leaves(node: Any, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """Paths of all scalars below ``node``, as :func:`parse_path` reads them; items with a name go by it."""
    if node.id == "scalar" or depth > MAX_DEPTH:
        yield prefix
        return
    for name, child in _children(node):
        if node.id == "sequence":
            named = next((v.value for k, v in _children(child) if k == "name" and v.id == "scalar"), None)
            step = f"[name={named}]" if named else name
            if child.id == "scalar" and re.match(r"[A-Za-z_][\w.-]*=", str(child.value)):
                step = f"[{str(child.value).partition('=')[0]}]"
            yield from leaves(child, prefix + step, depth + 1)
        else:
            step = f'"{name}"' if "." in name else name
            yield from leaves(child, f"{prefix}.{step}" if prefix else step, depth + 1)


def _suggestion(roots: Sequence[Any], path: str) -> str:
    known = list(dict.fromkeys(leaf for root in roots for leaf in leaves(root)))
    close = difflib.get_close_matches(path, known, n=1, cutoff=0.5)
    if not close:
        last = path.rpartition(".")[2]
        close = [leaf for leaf in known if leaf.rpartition(".")[2] == last][:1]
    return f"did you mean `{close[0]}`?" if close else f"the file has: {', '.join(known[:8])}"


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def line_of(text: str, number: int) -> str:
    """The line of the file with that number, as messages show it."""
    lines = text.splitlines()
    return lines[number - 1].strip()[:120] if 0 < number <= len(lines) else ""


def leaf_paths(roots: Sequence[Any]) -> Iterator[str]:
    """Paths of all values of a file; with several documents each begins with what picks its own."""
    for root in roots:
        prefix = ""
        if len(roots) > 1 and root.id == "mapping":
            named = next((str(v.value) for k, v in _children(root) if k == "kind" and v.id == "scalar"), "")
            metadata = next((v for k, v in _children(root) if k == "metadata" and v.id == "mapping"), None)
            name = next((str(v.value) for k, v in _children(metadata) if k == "name"), "") if metadata else ""
            prefix = (f"[kind={named}]" if named else "") + (f"[metadata.name={name}]" if name else "")
        for leaf in leaves(root):
            yield f"{prefix}{'.' if prefix and not leaf.startswith('[') else ''}{leaf}"


def _walk(root: Any, steps: Sequence[Step], file: str) -> Any | None:
    """The node that the steps lead to, or None.

    Raises
    ------
    InputError
        If a step leads to two nodes, or through an anchor, whose other uses would change too.
    """
    node = root
    for number, step in enumerate(steps):
        nodes = _next(node, step)
        if not nodes:
            return None
        if len(nodes) > 1:
            reached = "".join(f".{s}" if not str(s).startswith("[") else str(s) for s in steps[: number + 1]).lstrip(
                "."
            )
            raise InputError(
                f"`{reached}` stands there {len(nodes)} times, in lines {', '.join(str(_line(n)) for n in nodes[:8])}",
                where=f"{file}:{_line(nodes[1])}",
                hint="keep one of them, or name the item more closely, such as `[1]`",
                code="ambiguous-path",
            )
        node = nodes[0]
        if node.anchor:
            raise InputError(
                f"`{step}` is the YAML anchor `&{node.anchor}`, or an alias of it; "
                "a change would also change every other place that uses it",
                where=f"{file}:{_line(node)}",
                hint="write the value out at this place instead of using an anchor",
                code="yaml-anchor",
            )
    return node


def _selected(text: str, roots: Sequence[Any], path: str) -> tuple[list[Any], list[Step]]:
    """The documents that the conditions at the beginning of the path pick, and the rest of the path."""
    steps = parse_path(path)
    roots = list(roots)
    while steps and steps[0].value is not None and all(root.id == "mapping" for root in roots):
        condition = steps.pop(0)
        roots = [root for root in roots if _matches(root, condition.key, condition.value or "")]
    return roots, steps


def find(text: str, path: str, file: str) -> Scalar:
    """The scalar at ``path`` in YAML ``text``.

    Raises
    ------
    InputError
        If the path leads nowhere, to two places, to something that is not a single value, or through an anchor.
    """
    every = documents(text, file)
    roots, steps = _selected(text, every, path)
    hits = [node for root in roots if (node := _walk(root, steps, file)) is not None]
    if not hits:
        _refuse_merged(text, roots, steps, file)
        line = _deepest_line(roots, steps)
        ends = f"; it ends in line {line}, `{line_of(text, line)}`" if line else ""
        where = f"{file}:{line}" if line else file
        raise InputError(f"there is no `{path}`{ends}", where=where, hint=_suggestion(every, path), code="unknown-path")
    if len(hits) > 1:
        kinds = [next((str(v.value) for k, v in _children(root) if k == "kind"), "?") for root in roots]
        raise InputError(
            f"`{path}` is in {len(hits)} documents ({', '.join(kinds)})",
            where=f"{file}:{_line(hits[1])}",
            hint=f"begin with the one you mean: `[kind={kinds[0]}].{path}`, or `[metadata.name=…].{path}`",
            code="ambiguous-path",
        )
    return _scalar(text, hits[0], path, file)


def _deepest_line(roots: Sequence[Any], steps: Sequence[Step]) -> int:
    """The line that the steps lead to before they lead nowhere; 0 where the first one does."""
    deepest, line = 0, 0
    for root in roots:
        node = root
        for depth, step in enumerate(steps, 1):
            nodes = _next(node, step)
            if not nodes:
                break
            node = nodes[0]
            if depth > deepest:
                deepest, line = depth, _key_line(root, node)
    return line


def _key_line(root: Any, node: Any) -> int:
    """The line of the key that a node stands under: a mapping begins only in the line below it."""
    stack = [root]
    while stack:
        current = stack.pop()
        if current.id == "mapping":
            for key, value in current.value:
                if value is node:
                    return _line(key)
                stack.append(value)
        elif current.id == "sequence":
            stack += current.value
    return _line(node)


def _refuse_merged(text: str, roots: Sequence[Any], steps: Sequence[Step], file: str) -> None:
    """Say so where the last mapping on the way takes keys from elsewhere with ``<<``."""
    for root in roots:
        node = root
        for step in steps:
            nodes = _next(node, step)
            if not nodes:
                if node.id == "mapping" and any(name == "<<" for name, _ in _children(node)):
                    raise InputError(
                        f"`{step}` comes from an anchor through `<<`",
                        where=f"{file}:{_line(node)}",
                        hint="write the value out at this place",
                        code="yaml-anchor",
                    )
                break
            node = nodes[0]


def _scalar(text: str, node: Any, path: str, file: str) -> Scalar:
    where = f"{file}:{_line(node)}"
    if node.id != "scalar":
        below = [name for name, _ in _children(node)][:8]
        raise InputError(
            f"`{path}` in line {_line(node)}, `{line_of(text, _line(node))}`, is a "
            f"{'list' if node.id == 'sequence' else 'mapping'}, not a single value",
            where=where,
            hint=f"go on to one of: {', '.join(below)}" if below else "name a single value",
            code="not-a-value",
        )
    start, end = int(node.start_mark.index), int(node.end_mark.index)
    written = text[start:end]
    if not written or node.style in {"|", ">"} or written.startswith("!"):
        # Nothing has no line of its own: it is told by that of its key.
        line = _line(node) if written else text[:start].rstrip().count("\n") + 1
        what = "empty" if not written else "given a tag" if written.startswith("!") else "a block of text"
        raise InputError(
            f"`{path}` in line {line}, `{line_of(text, line)}`, is {what}",
            where=f"{file}:{line}",
            hint='write a first value on the line, such as "0"',
            code="not-a-value",
        )
    return Scalar(start, end, _line(node), str(node.value), str(node.tag), node.style)


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


def _candidates(scalar: Scalar, value: str) -> list[str]:
    """Ways to write ``value``, the most like the old one first."""
    double = json.dumps(value, ensure_ascii=False)
    if scalar.style == '"':
        return [double]
    if scalar.style == "'":
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
        As :func:`find` does, or if the value cannot be written there.
    """
    scalar = find(text, path, file)
    if scalar.value == value:
        return text
    before = list(_events(documents(text, file)))
    for written in _candidates(scalar, value):
        changed = text[: scalar.start] + written + text[scalar.end :]
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
        where=f"{file}:{scalar.line}",
        hint="put the old value in double quotes",
        code="not-a-value",
    )
