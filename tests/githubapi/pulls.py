"""Pull requests of the stand-in: looked for, opened, changed, with the refusals that GitHub gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from githubapi.gitobjects import Answer
from githubapi.spec import Spec

MAY_NOT = "GitHub Actions is not permitted to create or approve pull requests."


class PullRequests:
    """The part of the API under ``/pulls``.

    ``branches`` says which branches there are now; without it every branch is taken to be there. With
    ``forbid_pulls`` the repository's settings do not let a workflow open any.
    """

    spec: Spec
    repository: str
    pulls: dict[int, dict[str, Any]]
    branches: Callable[[], set[str]] | None = None
    forbid_pulls: bool = False

    def add_pull(self, number: int, head_sha: str, branch: str = "change", owner: str | None = None) -> dict[str, Any]:
        """An open pull request."""
        owner = owner or self.repository.split("/")[0]
        name = self.repository.split("/")[1]
        user = self.spec.sample("simple-user", login=owner)
        repo = self.spec.sample("repository", full_name=f"{owner}/{name}", name=name, owner=user)
        head = {"label": f"{owner}:{branch}", "ref": branch, "sha": head_sha, "repo": repo, "user": user}
        base = {**head, "label": f"{self.repository.split('/')[0]}:main", "ref": "main", "sha": "b" * 40}
        pull = self.spec.sample("pull-request", number=number, head=head, base=base, state="open", labels=[])
        pull["html_url"] = f"https://github.com/{self.repository}/pull/{number}"
        self.pulls[number] = pull
        return pull

    def _pulls_get(self, values, _query, _body, _who) -> Answer:
        pull = self.pulls.get(int(values["pull_number"]))
        return Answer(200, pull) if pull else Answer(404, {"message": "Not Found", "documentation_url": "x"})

    def _pulls_list(self, _values, query, _body, _who) -> Answer:
        state, head, base = (query.get(name, [""])[0] for name in ("state", "head", "base"))
        found = [
            pull
            for pull in self.pulls.values()
            if state in ("all", pull["state"]) or (not state and pull["state"] == "open")
            # GitHub ignores a head without its owner.
            if ":" not in head or pull["head"]["label"] == head
            if not base or pull["base"]["ref"] == base
        ]
        return self._paged(found, query, f"/repos/{self.repository}/pulls")  # type: ignore[attr-defined]

    @staticmethod
    def _invalid(**error: str) -> Answer:
        errors = [{"resource": "PullRequest", **error}]
        return Answer(422, {"message": "Validation Failed", "documentation_url": "x", "errors": errors})

    def _pulls_create(self, _values, _query, body, _who) -> Answer:
        if self.forbid_pulls:
            return Answer(403, {"message": MAY_NOT, "documentation_url": "x"})
        head, base = body["head"].rpartition(":")[2], body["base"]
        known = self.branches() if self.branches else {head, base}
        for name, branch in (("head", head), ("base", base)):
            if branch not in known:
                return self._invalid(field=name, code="invalid")
        label = f"{self.repository.split('/')[0]}:{head}"
        for pull in self.pulls.values():
            if (pull["state"], pull["head"]["label"], pull["base"]["ref"]) == ("open", label, base):
                return self._invalid(code="custom", message=f"A pull request already exists for {label}.")
        pull = self.add_pull(max(self.pulls, default=0) + 1, "a" * 40, head)
        pull["base"]["ref"] = base
        pull |= {"title": body["title"], "body": body.get("body")}
        return Answer(201, pull)

    def _pulls_update(self, values, _query, body, _who) -> Answer:
        pull = self.pulls.get(int(values["pull_number"]))
        if pull is None:
            return Answer(404, {"message": "Not Found", "documentation_url": "x"})
        pull |= body
        return Answer(200, pull)
