"""Blobs, trees, commits and references of the stand-in, with the rules that GitHub keeps."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from githubapi.spec import Spec


@dataclass
class Answer:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


class GitObjects:
    """The part of the API under ``/git``."""

    spec: Spec
    url: str
    objects: dict[str, dict[str, Any]]
    refs: dict[str, str]

    def _put(self, kind: str, content: dict[str, Any]) -> str:
        sha = hashlib.sha1(json.dumps([kind, content], sort_keys=True).encode()).hexdigest()
        self.objects[sha] = {"kind": kind, **content}
        return sha

    def _git_create_blob(self, _values, _query, body, _who) -> Answer:
        raw = base64.b64decode(body["content"]) if body.get("encoding") == "base64" else body["content"].encode()
        sha = self._put("blob", {"data": base64.b64encode(raw).decode()})
        return Answer(201, {"sha": sha, "url": f"{self.url}/blobs/{sha}"})

    def _git_create_tree(self, _values, _query, body, _who) -> Answer:
        entries = {e["path"]: e for e in self.objects.get(body.get("base_tree") or "", {}).get("tree", [])}
        for entry in body["tree"]:
            if entry["sha"] is None:
                # So a file is deleted.
                entries.pop(entry["path"], None)
                continue
            entries[entry["path"]] = {"path": entry["path"], "mode": entry["mode"], "type": "blob", "sha": entry["sha"]}
        sha = self._put("tree", {"tree": list(entries.values())})
        return Answer(
            201, {"sha": sha, "url": f"{self.url}/trees/{sha}", "tree": list(entries.values()), "truncated": False}
        )

    def _git_get_tree(self, values, _query, _body, _who) -> Answer:
        node = self.objects.get(values["tree_sha"])
        if node is None:
            return Answer(404, {"message": "Not Found", "documentation_url": "x"})
        if node["kind"] == "commit":
            return self._git_get_tree({"tree_sha": node["tree"]}, _query, _body, _who)
        return Answer(
            200, {"sha": values["tree_sha"], "url": f"{self.url}/x", "tree": node["tree"], "truncated": False}
        )

    def _commit(self, sha: str) -> dict[str, Any]:
        node = self.objects[sha]
        made = self.spec.sample("git-commit", sha=sha, message=node["message"])
        made["tree"] = {"sha": node["tree"], "url": f"{self.url}/trees/{node['tree']}"}
        made["parents"] = [
            {"sha": parent, "url": f"{self.url}/commits/{parent}", "html_url": f"{self.url}/commit/{parent}"}
            for parent in node["parents"]
        ]
        return made

    def _git_create_commit(self, _values, _query, body, _who) -> Answer:
        content = {"message": body["message"], "tree": body["tree"], "parents": body.get("parents", [])}
        return Answer(201, self._commit(self._put("commit", content)))

    def _git_get_commit(self, values, _query, _body, _who) -> Answer:
        if values["commit_sha"] not in self.objects:
            return Answer(404, {"message": "Not Found", "documentation_url": "x"})
        return Answer(200, self._commit(values["commit_sha"]))

    def _ref(self, name: str) -> dict[str, Any]:
        sha = self.refs[name]
        return {
            "ref": name,
            "node_id": "x",
            "url": f"{self.url}/{name}",
            "object": {"type": "commit", "sha": sha, "url": f"{self.url}/commits/{sha}"},
        }

    def _git_get_ref(self, values, _query, _body, _who) -> Answer:
        name = f"refs/{values['ref']}"
        return Answer(200, self._ref(name)) if name in self.refs else Answer(404, {"message": "Not Found"})

    def _git_create_ref(self, _values, _query, body, _who) -> Answer:
        if body["ref"] in self.refs:
            return Answer(422, {"message": "Reference already exists", "documentation_url": "x"})
        self.refs[body["ref"]] = body["sha"]
        return Answer(201, self._ref(body["ref"]))

    def _git_update_ref(self, values, _query, body, _who) -> Answer:
        name = f"refs/{values['ref']}"
        if self.refs.get(name) not in self.objects[body["sha"]]["parents"] and not body.get("force"):
            return Answer(422, {"message": "Update is not a fast forward", "documentation_url": "x"})
        self.refs[name] = body["sha"]
        return Answer(200, self._ref(name))
