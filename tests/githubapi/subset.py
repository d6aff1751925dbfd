"""Cut what the project uses out of GitHub's OpenAPI description: ``python -m githubapi.subset`` writes openapi.json.

The description comes from the npm package ``@octokit/openapi``, whose version and hash are in package-lock.json.
The subset is committed, so that tests need no network; ``--check`` makes it anew and compares, in CI.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SUBSET = HERE / "openapi.json"
PACKAGE = "@octokit/openapi"
OPERATIONS = {
    "/user": ["get"],
    "/repos/{owner}/{repo}": ["get"],
    "/repos/{owner}/{repo}/issues": ["get", "post"],
    "/repos/{owner}/{repo}/issues/{issue_number}": ["get", "patch"],
    "/repos/{owner}/{repo}/issues/{issue_number}/comments": ["get", "post"],
    "/repos/{owner}/{repo}/issues/comments/{comment_id}": ["get", "patch", "delete"],
    "/repos/{owner}/{repo}/issues/{issue_number}/events": ["get"],
    "/repos/{owner}/{repo}/pulls": ["get", "post"],
    "/repos/{owner}/{repo}/pulls/{pull_number}": ["get", "patch"],
    "/repos/{owner}/{repo}/collaborators/{username}/permission": ["get"],
    "/repos/{owner}/{repo}/actions/runs": ["get"],
    "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs": ["get"],
    "/repos/{owner}/{repo}/actions/runs/{run_id}": ["get"],
    "/repos/{owner}/{repo}/actions/runs/{run_id}/artifacts": ["get"],
    "/repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}": ["get"],
    "/repos/{owner}/{repo}/git/ref/{ref}": ["get"],
    "/repos/{owner}/{repo}/git/refs": ["post"],
    "/repos/{owner}/{repo}/git/refs/{ref}": ["patch"],
    "/repos/{owner}/{repo}/git/blobs": ["post"],
    "/repos/{owner}/{repo}/git/trees": ["post"],
    "/repos/{owner}/{repo}/git/trees/{tree_sha}": ["get"],
    "/repos/{owner}/{repo}/git/commits": ["post"],
    "/repos/{owner}/{repo}/git/commits/{commit_sha}": ["get"],
    "/repos/{owner}/{repo}/check-runs": ["post"],
}
_KEPT = {
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "additionalProperties",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "const",
    "exclusiveMinimum",
    "exclusiveMaximum",
}


def _schema(node: Any) -> Any:
    """An OpenAPI 3.0 schema as JSON schema: ``nullable`` becomes a type, prose and examples go."""
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key not in _KEPT:
            continue
        if key == "properties":
            made[key] = {name: _schema(part) for name, part in value.items()}
        elif key in ("allOf", "anyOf", "oneOf"):
            made[key] = [_schema(part) for part in value]
        elif key in ("items", "not", "additionalProperties"):
            made[key] = _schema(value)
        else:
            made[key] = value
    if node.get("nullable"):
        if isinstance(made.get("type"), str):
            made["type"] = [made["type"], "null"]
            if "enum" in made and None not in made["enum"]:
                made["enum"] = [*made["enum"], None]
        else:
            made = {"anyOf": [made, {"type": "null"}]}
    return made


def _content(node: dict[str, Any]) -> Any:
    content = node.get("content", {}).get("application/json")
    return _schema(content["schema"]) if content and "schema" in content else None


def _resolve(spec: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = spec
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def _operation(spec: dict[str, Any], node: dict[str, Any], shared: list[dict[str, Any]]) -> dict[str, Any]:
    parameters = [_resolve(spec, parameter) for parameter in [*shared, *node.get("parameters", [])]]
    made: dict[str, Any] = {
        "operationId": node["operationId"],
        "parameters": [
            {"name": p["name"], "in": p["in"], "required": bool(p.get("required")), "schema": _schema(p["schema"])}
            for p in parameters
            if p["in"] in ("path", "query")
        ],
        "responses": {status: _content(_resolve(spec, response)) for status, response in node["responses"].items()},
    }
    if "requestBody" in node:
        body = _resolve(spec, node["requestBody"])
        made["requestBody"] = {"required": bool(body.get("required")), "schema": _content(body)}
    return made


def _references(node: Any) -> set[str]:
    if isinstance(node, dict):
        found = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return found.union(*(_references(value) for value in node.values())) if node else found
    return set().union(*(_references(value) for value in node)) if isinstance(node, list) else set()


def subset(package: Path) -> dict[str, Any]:
    """The part of the description in ``package`` (a folder of @octokit/openapi) that is in OPERATIONS."""
    spec = json.loads((package / "generated/api.github.com.json").read_text(encoding="utf-8"))
    version = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    paths = {
        path: {
            method: _operation(spec, spec["paths"][path][method], spec["paths"][path].get("parameters", []))
            for method in methods
        }
        for path, methods in OPERATIONS.items()
    }
    schemas: dict[str, Any] = {}
    wanted = _references(paths)
    while wanted:
        reference = wanted.pop()
        name = reference.rsplit("/", 1)[1]
        if name not in schemas:
            schemas[name] = _schema(spec["components"]["schemas"][name])
            wanted |= _references(schemas[name])
    return {
        "source": f"@octokit/openapi {version}, api.github.com",
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def text(package: Path) -> str:
    """The subset as it is committed: one path or schema a line, so that a new version can be read as a diff."""
    made = subset(package)

    def block(items: dict[str, Any]) -> str:
        lines = [f"{json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in items.items()]
        return "{\n" + ",\n".join(lines) + "\n}"

    return (
        f'{{"source": {json.dumps(made["source"])},\n"paths": {block(made["paths"])},\n'
        f'"components": {{"schemas": {block(made["components"]["schemas"])}}}}}\n'
    )


def fetch(folder: Path) -> Path:
    """The locked package, unpacked (only what is needed) into ``folder``; its hash is checked.

    Raises
    ------
    RuntimeError
        If npm cannot get it, or it is not the package of the lock.
    """
    lock = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))
    locked = lock["packages"][f"node_modules/{PACKAGE}"]
    command = ["npm", "pack", f"{PACKAGE}@{locked['version']}", "--silent", "--pack-destination", str(folder)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    archives = list(folder.glob("*.tgz"))
    if result.returncode or not archives:
        raise RuntimeError(f"npm pack failed: {result.stderr.strip()[-300:]}")
    digest = "sha512-" + base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
    if digest != locked["integrity"]:
        raise RuntimeError(f"{archives[0].name} is not the package of package-lock.json")
    with tarfile.open(archives[0]) as archive:
        for name in ("package/package.json", "package/generated/api.github.com.json"):
            archive.extract(name, folder, filter="data")
    return folder / "package"


def main() -> int:
    """Write openapi.json from the locked package, or with ``--check`` say whether it is up to date."""
    with tempfile.TemporaryDirectory(prefix="githubapi-") as folder:
        made = text(fetch(Path(folder)))
    if "--check" in sys.argv[1:]:
        same = SUBSET.read_text(encoding="utf-8") == made
        print(f"{SUBSET.name} {'equals' if same else 'differs from'} what {PACKAGE} gives")
        return 0 if same else 1
    SUBSET.write_text(made, encoding="utf-8")
    print(f"wrote {SUBSET.name}: {SUBSET.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
