"""Figures of the package's layout, and the rules that hold it: layers, doors, circles.

``python tools/house.py`` prints the figures; ``tests/tools/test_house.py`` holds the limits. Everything is read from
the source text; nothing is imported.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "scripts" / "flint_ml"

# From below to above. A module imports from layers below its own, and from its own package; parts of one layer do
# not know each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__init__", "errors", "doors"),
    ("fences", "hashing", "text"),
    ("git",),
    ("record",),
    ("dvc_project", "decision"),
    ("github", "metrics"),
    ("drift", "gcbm", "registry", "deployment"),
    ("report", "scaffold", "sharing"),
    ("doctor",),
    ("runner",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
_LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
SHORT = 60


@dataclass(frozen=True)
class Import:
    """One name that ``importer`` takes from ``module`` (both dotted, without ``flint_ml``)."""

    importer: str
    module: str
    line: int


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Every module by its dotted name below the package; a package's door has the package's name."""
    named = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return named


def imports(package: Path = PACKAGE) -> list[Import]:
    """All imports between modules of the package, those inside functions and for types included."""
    known = modules(package)
    made = []
    for importer, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for target in _targets(node, package.name):
                module = target
                while module and module not in known:
                    module = module.rpartition(".")[0]
                module = module or "__init__"
                if module != importer:
                    made.append(Import(importer, module, getattr(node, "lineno", 0)))
    return made


def _targets(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom) and node.module and (node.module + ".").startswith(f"{package}."):
        for alias in node.names:
            yield f"{node.module}.{alias.name}".partition(".")[2]
    elif isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[2] for alias in node.names if alias.name.startswith(f"{package}."))


def room(module: str) -> str:
    """The part of the house that a module belongs to: its first name."""
    return module.partition(".")[0]


def backward(made: list[Import]) -> list[Import]:
    """Imports from a layer above, or from another part of the same layer."""
    return [
        each
        for each in made
        if room(each.importer) != room(each.module) and _LAYER[room(each.module)] >= _LAYER[room(each.importer)]
    ]


def past_the_door(made: list[Import], package: Path = PACKAGE) -> list[Import]:
    """Imports from outside a package that do not go through its ``__init__``."""
    exported = {name: exports(path) for name, path in modules(package).items() if path.name == "__init__.py"}
    return [
        each
        for each in made
        if room(each.importer) != room(each.module)
        and "." in each.module
        and each.module.partition(".")[2] not in exported.get(room(each.module), ())
    ]


def exports(path: Path) -> frozenset[str]:
    """The names in a module's ``__all__``."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def circles(made: list[Import]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others (Tarjan's components)."""
    graph: dict[str, set[str]] = {}
    for each in made:
        graph.setdefault(each.importer, set()).add(each.module)
        graph.setdefault(each.module, set())
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for target in sorted(graph[module]):
            if target not in order:
                visit(target)
            if target in stack:
                low[module] = min(low[module], low[target])
        if low[module] == order[module]:
            cut = stack.index(module)
            group = stack[cut:]
            del stack[cut:]
            if len(group) > 1:
                groups.append(sorted(group))

    for module in sorted(graph):
        if module not in order:
            visit(module)
    return groups


def code_lines(path: Path) -> int:
    """Lines that hold code: no blank lines, comments or docstrings."""
    text = path.read_text(encoding="utf-8")
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in {
            tokenize.COMMENT,
            tokenize.NL,
            tokenize.NEWLINE,
            tokenize.INDENT,
            tokenize.DEDENT,
            tokenize.ENDMARKER,
        }:
            held.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                held.difference_update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return len(held)


def figures(package: Path = PACKAGE) -> dict[str, int]:
    """What the layout is measured by."""
    known = modules(package)
    made = imports(package)
    texts = {path: path.read_text(encoding="utf-8") for path in known.values()}
    folders = Counter(path.parent for path in known.values())
    return {
        "files": len(known),
        "code lines": sum(map(code_lines, known.values())),
        "files in the largest folder": max(folders.values()),
        f"files under {SHORT} lines, doors apart": sum(
            text.count("\n") < SHORT for path, text in texts.items() if path.name != "__init__.py"
        ),
        "circles": len(circles(made)),
        "backward imports": len(backward(made)),
        "imports past a door": len(past_the_door(made, package)),
        "fmt: skip": sum(text.count("# fmt: skip") for text in texts.values()),
    }


def main() -> int:
    """Print the figures, and what breaks a rule."""
    for name, number in figures().items():
        print(f"{number:>7,}  {name}")
    made = imports()
    for group in circles(made):
        print(f"circle: {', '.join(group)}")
    for each in backward(made):
        print(f"backward: {each.importer}:{each.line} imports {each.module}")
    for each in past_the_door(made):
        print(f"past the door: {each.importer}:{each.line} imports {each.module}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
