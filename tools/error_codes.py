"""All error and finding codes with cause and cure, read from the source: the tables of ``docs/errors.md``.

A code is the ``code`` of a call: of an error (``InputError(…, code="…")``), a finding, a problem or a note, or of a
function or class of the package that has a parameter of that name and hands it on. Nothing is run: what is computed in
a message is shown as ``…``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from house import PACKAGE, modules, room

_ERRORS = {"FlintError": 3, "InputError": 2, "OutsideError": 3}
# Names of parameters that hold the sentence: what is wrong.
_SENTENCES = ("message", "what", "text", "headline")


_CODE = ast.FormattedValue(ast.Name("code", ast.Load()), -1)


@dataclass(frozen=True)
class Signature:
    """Parameters of what makes an error, in order, and their values where nothing is given.

    ``prefix`` is what it puts before the code, ``kind`` the error or class that it makes.
    """

    names: tuple[str, ...]
    defaults: Mapping[str, ast.expr] = field(default_factory=dict)
    prefix: str = ""
    kind: str = ""


@dataclass(frozen=True, order=True)
class Code:
    """One code as the package uses it once."""

    package: str
    code: str
    exit_code: str
    message: str
    hint: str


def _signatures(trees: Mapping[str, ast.Module]) -> dict[str, Signature]:
    """Functions and classes with a parameter ``code``: names of the parameters in order, and the defaults."""
    made = {name: Signature(("message", "where", "hint", "code"), kind=name) for name in _ERRORS}
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
                names = tuple(part.target.id for part in fields if isinstance(part.target, ast.Name))
                defaults = {
                    part.target.id: part.value
                    for part in fields
                    if isinstance(part.target, ast.Name) and part.value is not None
                }
                kind = next((base.id for base in node.bases if isinstance(base, ast.Name) and base.id in made), "")
                names = made[kind].names if kind else names
            elif isinstance(node, ast.FunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args]
                names = tuple(each.arg for each in arguments if each.arg not in {"self", "cls"})
                defaults = dict(zip(names[len(names) - len(node.args.defaults) :], node.args.defaults, strict=True))
                named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                defaults |= {each.arg: value for each, value in named if value is not None}
                names += tuple(each.arg for each in node.args.kwonlyargs)
                kind, fixed = _made_by(node)
                defaults = {**fixed, **defaults}
            else:
                continue
            if "code" in names:
                made.setdefault(node.name, Signature(names, defaults, _prefix(node), kind))
    return made


def _made_by(function: ast.FunctionDef) -> tuple[str, dict[str, ast.expr]]:
    """What a function makes with the code that it is given, and the hint that it always gives."""
    for part in ast.walk(function):
        if isinstance(part, ast.Call):
            given = {keyword.arg: keyword.value for keyword in part.keywords if keyword.arg}
            codes = [given.get("code"), *part.args]
            if any(isinstance(code, ast.Name) and code.id == "code" for code in codes):
                return _called(part), {"hint": given["hint"]} if "hint" in given else {}
    return "", {}


def _prefix(node: ast.AST) -> str:
    """``gcbm-flint-`` where a function makes its code as ``f"gcbm-flint-{code}"``."""
    for part in ast.walk(node):
        if isinstance(part, ast.JoinedStr) and len(part.values) == 2:
            start, end = part.values
            if isinstance(start, ast.Constant) and ast.dump(end) == ast.dump(_CODE):
                return str(start.value)
    return ""


def _constants(trees: Mapping[str, ast.Module]) -> dict[str, ast.expr]:
    """Values of the package's constants by name; of those that several modules define otherwise, none."""
    values: dict[str, list[ast.expr]] = {}
    for tree in trees.values():
        for node in tree.body:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                values.setdefault(node.targets[0].id, []).append(node.value)
    return {name: found[0] for name, found in values.items() if len({ast.dump(value) for value in found}) == 1}


def _text(node: ast.expr | None, constants: Mapping[str, ast.expr]) -> str:
    """What an expression says, as far as it is written there; ``…`` for the rest."""
    if node is None:
        return ""
    if isinstance(node, ast.Constant):
        return "" if node.value is None else str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, constants) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.Name) and node.id in constants:
        # A name stands for what it was given, not for a name within that: those may go round in a circle.
        return _text(constants[node.id], {}) or "…"
    if isinstance(node, ast.IfExp):
        sides = [_text(side, constants) for side in (node.body, node.orelse)]
        return " / ".join(filter(None, dict.fromkeys(sides)))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left, constants) + _text(node.right, constants)
    return "…"


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _values(node: ast.expr, constants: Mapping[str, ast.expr]) -> list[str]:
    """The codes that an expression may be: both sides of a condition."""
    if isinstance(node, ast.IfExp):
        return [*_values(node.body, constants), *_values(node.orelse, constants)]
    text = _text(node, constants)
    return [text] if text and "…" not in text else []


def codes(package: Path = PACKAGE) -> list[Code]:
    """All codes, sorted; several lines of one code where it says several things."""
    files = modules(package)
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in files.items()}
    signatures, shared = _signatures(trees), _constants(trees)
    made = set()
    for name, tree in trees.items():
        made |= set(_calls(tree, room(name), signatures, {**shared, **_assigned(tree.body)}))
    return sorted(made)


def _assigned(body: Iterable[ast.AST]) -> dict[str, ast.expr]:
    """Names and the first value that they are given."""
    values: dict[str, ast.expr] = {}
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            values.setdefault(node.targets[0].id, node.value)
    return values


def _scoped(node: ast.AST, constants: Mapping[str, ast.expr]) -> Iterator[tuple[ast.Call, Mapping[str, ast.expr]]]:
    """Every call with what the names around it hold."""
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            own = {name: value for name, value in _assigned(ast.walk(part)).items() if not _refers(value, name)}
            taken = {each.arg: ast.Constant("…") for each in (*part.args.args, *part.args.kwonlyargs)}
            yield from _scoped(part, {**constants, **taken, **own})
            continue
        if isinstance(part, ast.Call):
            yield part, constants
        yield from _scoped(part, constants)


def _refers(value: ast.expr, name: str) -> bool:
    return any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(value))


def _calls(
    tree: ast.Module, package: str, signatures: Mapping[str, Signature], constants: Mapping[str, ast.expr]
) -> Iterator[Code]:
    for node, known in _scoped(tree, constants):
        if _called(node) not in signatures:
            continue
        signature = signatures[_called(node)]
        given: dict[str, ast.expr] = {**signature.defaults, **dict(zip(signature.names, node.args, strict=False))}
        given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        if "code" not in given:
            continue
        message = next((given[name] for name in _SENTENCES if name in given), None)
        severity = _text(given.get("severity"), known)
        kind = _called(node)
        while kind not in _ERRORS and kind in signatures and signatures[kind].kind not in {"", kind}:
            kind = signatures[kind].kind
        exit_code = str(_ERRORS.get(kind, severity if severity != "…" else ""))
        for code in _values(given["code"], known):
            # Codes are lower-case words with dashes; anything else is another thing called so.
            if code.replace("-", "").isalnum() and code.islower():
                hint = _text(given.get("hint"), known)
                yield Code(package, signature.prefix + code, exit_code, _tidy(_text(message, known)), _tidy(hint))


def _tidy(text: str) -> str:
    return " ".join(text.split()).strip("… :;") if set(text) <= set("… :;") else " ".join(text.split())


def table(package: Path = PACKAGE) -> str:
    """All codes as Markdown tables, one for each package."""
    uses: dict[str, dict[str, list[Code]]] = {}
    for use in codes(package):
        uses.setdefault(use.package, {}).setdefault(use.code, []).append(use)
    lines = []
    for name, rows in uses.items():
        lines += [f"### {name}", "", "| code | exit | what is wrong | what to do |", "| --- | --- | --- | --- |"]
        for code, each in rows.items():
            exits = ", ".join(dict.fromkeys(use.exit_code for use in each if use.exit_code))
            messages = "<br>".join(dict.fromkeys(_cell(use.message) for use in each if use.message))
            hints = "<br>".join(dict.fromkeys(_cell(use.hint) for use in each if use.hint))
            lines.append(f"| `{code}` | {exits} | {messages} | {hints} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _cell(text: str) -> str:
    escaped = text.replace("|", "\\|").replace("<", "&lt;").replace("{}", "…")
    return escaped if escaped.count("`") % 2 == 0 else escaped.replace("`", "")
