"""Check a request and its answer against the description, and make samples that follow it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

SUBSET = Path(__file__).with_name("openapi.json")
_PATTERNS = {"integer": r"(-?\d+)", "string": r"([^/]+)"}
# Git references hold slashes, and GitHub takes them as they are.
_SLASHED = {"ref"}


class Operation:
    """One method on one path of the description."""

    def __init__(self, path: str, method: str, node: dict[str, Any]) -> None:
        self.path, self.method, self.node = path, method, node
        kinds = {p["name"]: p["schema"].get("type", "string") for p in node["parameters"] if p["in"] == "path"}
        pattern = re.escape(path)
        for name, kind in kinds.items():
            part = (
                r"(.+)" if name in _SLASHED else _PATTERNS.get(kind if isinstance(kind, str) else "string", "([^/]+)")
            )
            pattern = pattern.replace(re.escape("{" + name + "}"), part)
        self.names = re.findall(r"\{(\w+)\}", path)
        self.pattern = re.compile(pattern + r"\Z")

    def match(self, path: str) -> dict[str, str] | None:
        found = self.pattern.match(path)
        return dict(zip(self.names, found.groups(), strict=True)) if found else None


class Spec:
    """The committed part of GitHub's description."""

    def __init__(self, file: Path = SUBSET) -> None:
        self.data = json.loads(file.read_text(encoding="utf-8"))
        self.operations = [
            Operation(path, method, node)
            for path, methods in self.data["paths"].items()
            for method, node in methods.items()
        ]

    @cached_property
    def _formats(self) -> FormatChecker:
        return FormatChecker()

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation that ``method path`` means, with the path's parameters."""
        for operation in self.operations:
            if operation.method == method.lower() and (values := operation.match(path)) is not None:
                return operation, values
        return None

    def errors(self, schema: Any, value: Any) -> list[str]:
        """What is wrong with ``value``, as sentences."""
        whole = {**schema, "components": self.data["components"]}
        found = Draft202012Validator(whole, format_checker=self._formats).iter_errors(value)
        return [f"{'.'.join(map(str, e.absolute_path)) or 'body'}: {e.message[:200]}" for e in found]

    def request_errors(self, operation: Operation, query: Mapping[str, list[str]], body: Any) -> list[str]:
        """What is wrong with a request: unknown or malformed query, missing or malformed body."""
        known = {p["name"]: p for p in operation.node["parameters"] if p["in"] == "query"}
        problems = [f"query {name}: unknown" for name in query if name not in known]
        for name, parameter in known.items():
            if name not in query:
                if parameter["required"]:
                    problems.append(f"query {name}: missing")
                continue
            text = query[name][0]
            kind = parameter["schema"].get("type")
            value: Any = int(text) if kind == "integer" and re.fullmatch(r"-?\d+", text) else text
            problems += [f"query {name}: {error}" for error in self.errors(parameter["schema"], value)]
        wanted = operation.node.get("requestBody")
        if wanted is None:
            return [*problems, *(["body: none is taken"] if body is not None else [])]
        if body is None:
            return [*problems, *(["body: missing"] if wanted["required"] else [])]
        allowed = set((wanted["schema"] or {}).get("properties", {}))
        if isinstance(body, dict) and allowed:
            # The description allows more, but a key that it does not know is a spelling mistake.
            problems += [f"body {name}: unknown" for name in body if name not in allowed]
        return problems + self.errors(wanted["schema"], body)

    def response_errors(self, operation: Operation, status: int, body: Any) -> list[str]:
        """What is wrong with an answer: a status that the operation does not have, or a malformed body."""
        responses = operation.node["responses"]
        if str(status) not in responses:
            # Any operation may answer these, whether its description lists them or not.
            return [] if status in (401, 403, 404, 422, 429) or status >= 500 else [f"status {status}: not described"]
        schema = responses[str(status)]
        return self.errors(schema, body) if schema is not None else []

    def sample(self, schema: str, /, **values: Any) -> dict[str, Any]:
        """The smallest object that follows the schema ``schema``, with ``values`` put in."""
        made = self._sample({"$ref": f"#/components/schemas/{schema}"}, 0)
        return {**made, **values}

    def _sample(self, schema: dict[str, Any], depth: int) -> Any:
        if "$ref" in schema:
            return self._sample(self.data["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], depth)
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            if {"type": "null"} in options:
                return None
            return self._sample(options[0], depth)
        if "allOf" in schema:
            parts = [self._sample(part, depth) for part in schema["allOf"]]
            return {key: value for part in parts for key, value in part.items()}
        kind = schema.get("type", "object")
        if isinstance(kind, list):
            return None
        if schema.get("enum"):
            return schema["enum"][0]
        if kind == "object":
            properties = schema.get("properties", {})
            return {name: self._sample(properties.get(name, {}), depth + 1) for name in schema.get("required", [])}
        if kind == "string":
            formats = {"uri": "https://api.github.com/x", "date-time": "2026-11-21T20:00:00Z"}
            return formats.get(schema.get("format", ""), "x")
        return {"array": [], "integer": 1, "number": 1, "boolean": False}.get(kind)
