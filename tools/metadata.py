"""``action.yml``, the inputs tables of the docs and the published schemas, generated from the models.

``make metadata`` writes them; a test fails when they differ.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

import error_codes
from flint_ml import commands as actions
from flint_ml.hashing import write_atomically
from flint_ml.record import json_schema
from flint_ml.runner import Action, dashed, default_text, shape

COMMON_OUTPUTS = {
    "status": "`passed`, `warned`, `failed`, `skipped` or `error`.",
    "record": "Path of the record, relative to the workspace.",
    "headline": "The result in one sentence.",
}
_TOKEN_DEFAULT = "${{ github.token }}"  # noqa: S105 - an expression, not a secret
_TOKEN_ACTIONS = {"post-report"}
TEMPLATES = Path(__file__).resolve().parent / "templates"
_HEADER = "# Made by `make metadata`; edit the models."


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def described(field: FieldInfo) -> str:
    """Description and default of an input, as action.yml and docs show it."""
    return f"{field.description or ''} {default_text(field)}".strip()


def action_yml(action: Action) -> str:
    """The ``action.yml`` of a Docker action.

    Defaults are in the descriptions, not in ``default:``, because the runner would then pass them and nothing
    could tell them from a value that the user gave: the settings file would never count.
    """
    lines = [
        _HEADER,
        f"name: {_quoted('flint-ml ' + action.name)}",
        f"description: {_quoted(action.description)}",
        "author: moja global",
        "branding:",
        f"  icon: {action.icon}",
        f"  color: {action.color}",
        "inputs:",
    ]
    for key, field in action.inputs.model_fields.items():
        name = dashed(key)
        lines += [f"  {name}:", f"    description: {_quoted(described(field))}", "    required: false"]
        if name == "token" and action.name in _TOKEN_ACTIONS:
            lines.append(f"    default: {_TOKEN_DEFAULT}")
    lines.append("outputs:")
    for name, text in {**action.outputs, **COMMON_OUTPUTS}.items():
        lines += [f"  {name}:", f"    description: {_quoted(text)}"]
    lines += ["runs:", "  using: docker", "  image: ../../Dockerfile", "  args:", f"    - {action.name}"]
    return "\n".join(lines) + "\n"


def root_action_yml(known: Mapping[str, Action]) -> str:
    """The root ``action.yml``, from the template that looks like it: each step is handed the gate's inputs it has."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # GitHub's expressions are in braces, so the template's own are in brackets.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        variable_start_string="[[",
        variable_end_string="]]",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - a YAML file of ours, no page
    )
    gate = known["gate"]
    texts = {dashed(key): _quoted(described(field)) for key, field in gate.inputs.model_fields.items() if key != "name"}
    steps = {
        name: [dashed(key) for key in action.inputs.model_fields if dashed(key) in texts]
        for name, action in known.items()
    }
    template = environment.get_template("root-action.yml.j2")
    return template.render(gate=gate, inputs=texts, steps=steps, token_default=_TOKEN_DEFAULT)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def inputs_table(action: Action) -> str:
    """The inputs of an action as a Markdown table."""
    rows = ["| input | what it is | default |", "| --- | --- | --- |"]
    for key, field in action.inputs.model_fields.items():
        default = default_text(field).removeprefix("(default: ").removesuffix(")")
        if field.is_required():
            default = "required"
        elif default:
            default = f"`{default}`"
        rows.append(f"| `{dashed(key)}` | {_cell(field.description or '')} | {_cell(default)} |")
    return "\n".join(rows)


def outputs_table(action: Action) -> str:
    """The outputs of an action as a Markdown table."""
    rows = ["| output | what it is |", "| --- | --- |"]
    rows += [f"| `{name}` | {_cell(text)} |" for name, text in {**action.outputs, **COMMON_OUTPUTS}.items()]
    return "\n".join(rows)


def settings_schema(known: list[Action]) -> dict[str, Any]:
    """JSON schema of ``flint-ml.yml``, for completion in editors."""
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for action in known:
        if action.section:
            continue
        schema = (action.settings or action.inputs).model_json_schema(by_alias=True)
        secret = {dashed(k) for k, f in action.inputs.model_fields.items() if shape(f) == "secret"}
        definitions |= schema.pop("$defs", {})
        shapes = {dashed(k): shape(f) for k, f in (action.settings or action.inputs).model_fields.items()}
        schema["properties"] = {
            k: _or_text(v, shapes.get(k, "text")) for k, v in schema["properties"].items() if k not in secret
        }
        # Every key may come from the workflow instead.
        schema.pop("required", None)
        properties[action.name] = {**schema, "title": action.name, "description": action.description}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "flint-ml.yml",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": definitions,
    }


def _or_text(schema: dict[str, Any], kind: str) -> dict[str, Any]:
    """The schema of a key whose value may also be one text, as in a workflow: a list with commas or lines, a mapping
    as YAML, ``true`` in quotes.
    """
    if kind not in {"list", "mapping", "bool"}:
        return schema
    outer: dict[str, Any] = {key: schema.pop(key) for key in ("title", "description", "default") if key in schema}
    options = schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    for option in options:
        if kind == "list" and "$ref" in option.get("items", {}):
            option["items"] = {"anyOf": [option["items"], {"type": "string"}]}
    text = (
        {"type": "string", "pattern": "^(?i:true|false|yes|no|on|off|1|0)$"} if kind == "bool" else {"type": "string"}
    )
    return {**outer, "anyOf": [*options, text]}


def fill(text: str, marker: str, content: str) -> str:
    """``text`` with what stands between ``<!-- marker -->`` and ``<!-- /marker -->`` replaced."""
    start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    if start not in text or end not in text:
        return text
    head, rest = text.split(start, 1)
    return f"{head}{start}\n{content}\n{end}{rest.split(end, 1)[1]}"


def generated(root: Path) -> dict[Path, str]:
    """Every generated file with its content."""
    loaded = [actions.load(name) for name in actions.names()]
    files: dict[Path, str] = {root / "action.yml": root_action_yml({action.name: action for action in loaded})}
    for action in loaded:
        if action.published:
            files[root / "actions" / action.name / "action.yml"] = action_yml(action)
        # A command that is no published action has its page among the commands.
        page = root / "docs" / ("actions" if action.published else "commands") / f"{action.name}.md"
        if page.is_file():
            text = page.read_text(encoding="utf-8")
            text = fill(text, "inputs", inputs_table(action))
            files[page] = fill(text, "outputs", outputs_table(action))
    errors = root / "docs" / "errors.md"
    files[errors] = fill(errors.read_text(encoding="utf-8"), "errors", error_codes.table())
    dump = {"indent": 2, "ensure_ascii": False}
    files[root / "docs/schema/record-2.json"] = json.dumps(json_schema(), **dump) + "\n"  # type: ignore[arg-type]
    files[root / "docs/schema/flint-ml.json"] = json.dumps(settings_schema(loaded), **dump) + "\n"  # type: ignore[arg-type]
    return files


def main() -> int:
    """Write the generated files below the current folder and name those that changed."""
    for path, text in generated(Path.cwd()).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_atomically(path, text)
            print(f"wrote {path.relative_to(Path.cwd())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
