"""What the pages show is true: links, workflow steps, settings and commands; the site's own rules."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from flint_ml import commands as actions
from flint_ml.errors import FlintError
from flint_ml.runner.inputs import dashed, parser

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import site_hooks  # noqa: E402

OWN = "moja-global/flint-ml-actions"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        ROOT / "tests/README.md",
        ROOT / "benchmarks/README.md",
    ]
)
_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s]*)\)")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(*languages: str) -> Iterator[Any]:
    """Every fenced block of a language, with a name for the test's report."""
    for page in PAGES:
        for number, found in enumerate(_FENCE.finditer(page.read_text(encoding="utf-8")), 1):
            if found[2] in languages:
                text = "\n".join(line.removeprefix(found[1]) for line in found[3].splitlines())
                yield pytest.param(text, id=f"{name(page)}#{number}")


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    broken = []
    for target in _LINK.findall(text):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping inside a value."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(part)


@cache
def declared(action: str) -> set[str]:
    """Names of an action's inputs, as its action.yml has them."""
    folder = ROOT / "actions" / action if action else ROOT
    found = YAML(typ="safe").load((folder / "action.yml").read_text(encoding="utf-8"))
    return set(found["inputs"])


@cache
def settings_schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "docs/schema/flint-ml.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("text", list(blocks("yaml", "yml")))
def test_yaml_examples_hold(text: str) -> None:
    value = YAML(typ="safe").load(text)
    for step in walk(value):
        uses = str(step.get("uses", ""))
        if uses.split("@", maxsplit=1)[0].startswith(OWN):
            action = uses.split("@", maxsplit=1)[0].removeprefix(OWN).strip("/")
            assert set(step.get("with") or {}) <= declared(action), uses
    if isinstance(value, dict) and set(value) <= set(settings_schema()["properties"]):
        jsonschema.validate(value, settings_schema())


def commands(text: str) -> Iterator[list[str]]:
    """The `flint-ml` calls of a shell block."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        for start, word in enumerate(words):
            if word == "flint-ml" and (start == 0 or words[start - 1] in {"&&", "|", "run"}):
                end = next((i for i in range(start, len(words)) if words[i] in {"&&", "|", ";"}), len(words))
                yield words[start + 1 : end]


@pytest.mark.parametrize("text", list(blocks("bash", "console", "sh")))
def test_commands_exist_with_these_options(text: str) -> None:
    for words in commands(text):
        if not words or words[0].startswith("-"):
            continue
        assert words[0] in actions.SUMMARIES, words
        action = actions.load(words[0])
        own = words[1 : words.index("--")] if "--" in words else words[1:]
        if own in (["--help"], ["..."], ["…"]):
            continue
        try:
            parser(f"flint-ml {words[0]}", action.description, action.inputs, action.positionals).parse_args(own)
        except FlintError as error:
            pytest.fail(f"{' '.join(words)}: {error}")


def test_every_published_action_has_a_page_with_its_parts() -> None:
    for folder in (ROOT / "actions").iterdir():
        text = (ROOT / "docs/actions" / f"{folder.name}.md").read_text(encoding="utf-8")
        assert f"# {folder.name}\n" in text, folder.name
        assert f"{OWN}/{folder.name}@v1" in text, folder.name


def test_every_page_is_on_the_site() -> None:
    listed = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert set(listed) == there
    assert len(listed) == len(set(listed))


def test_links_out_of_the_docs_become_addresses_on_the_site(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "docs/actions").mkdir(parents=True)
    docs = tmp_path / "docs"
    made = site_hooks.outside("[a](../../examples) [b](../report.md#x) [c](https://x.y)", "actions/gate.md", docs)
    assert made == f"[a]({site_hooks.REPOSITORY}/tree/main/examples) [b](../report.md#x) [c](https://x.y)"
    with pytest.raises(FileNotFoundError, match="missing"):
        site_hooks.outside("[a](../missing)", "index.md", docs)


def test_names_of_inputs_in_prose_exist() -> None:
    """`--option` in running text is an option of some command."""
    known = {dashed(key) for command in actions.names() for key in actions.load(command).inputs.model_fields}
    ours = {"help", "version", *known}
    text = "\n".join(_FENCE.sub("", page.read_text(encoding="utf-8")) for page in PAGES if "docs" in page.parts)
    wrong = {found for found in re.findall(r"`flint-ml [\w-]+ (?:[^`]*? )?--([a-z-]+)", text) if found not in ours}
    assert wrong == set()
