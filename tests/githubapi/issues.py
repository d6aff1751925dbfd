"""Issues of the stand-in: listed, opened, changed, closed."""

from __future__ import annotations

from typing import Any

from githubapi.gitobjects import Answer
from githubapi.spec import Spec


class Issues:
    """The part of the API under ``/issues`` that is not about comments. As on GitHub, pull requests are listed too."""

    spec: Spec
    repository: str
    pulls: dict[int, dict[str, Any]]
    issues: dict[int, dict[str, Any]]
    issues_disabled: bool = False

    def add_issue(
        self, title: str, body: str = "", login: str = "someone", kind: str = "User", state: str = "open"
    ) -> dict[str, Any]:
        """An issue that is there already."""
        number = max([*self.issues, *self.pulls], default=0) + 1
        issue = self.spec.sample(
            "issue",
            id=9000 + number,
            number=number,
            title=title,
            body=body,
            state=state,
            labels=[],
            html_url=f"https://github.com/{self.repository}/issues/{number}",
            user=self.spec.sample("simple-user", login=login, type=kind),
        )
        self.issues[number] = issue
        return issue

    def _issues_list_for_repo(self, _values, query, _body, _who) -> Answer:
        if self.issues_disabled:
            return Answer(410, {"message": "Issues has been disabled in this repository.", "documentation_url": "x"})
        state = query.get("state", ["open"])[0]
        found = [issue for issue in self.issues.values() if state in ("all", issue["state"])]
        for number, pull in self.pulls.items():
            if state in ("all", pull["state"]):
                link = {"url": "https://api.github.com/x", "html_url": None, "diff_url": None, "patch_url": None}
                found.append(self.spec.sample("issue", number=number, body=pull.get("body"), pull_request=link))
        newest_first = sorted(found, key=lambda issue: -issue["number"])
        return self._paged(newest_first, query, f"/repos/{self.repository}/issues")  # type: ignore[attr-defined]

    def _issues_create(self, _values, _query, body, who) -> Answer:
        if self.issues_disabled:
            return Answer(410, {"message": "Issues has been disabled in this repository.", "documentation_url": "x"})
        if len(body.get("body") or "") > 65_536:
            errors = [
                {"resource": "Issue", "code": "custom", "message": "body is too long (maximum is 65536 characters)"}
            ]
            return Answer(422, {"message": "Validation Failed", "documentation_url": "x", "errors": errors})
        issue = self.add_issue(body["title"], body.get("body") or "", who["login"], who["type"])
        issue["labels"] = list(body.get("labels") or [])
        return Answer(201, issue)

    def _issues_get(self, values, _query, _body, _who) -> Answer:
        issue = self.issues.get(int(values["issue_number"]))
        return Answer(200, issue) if issue else Answer(404, {"message": "Not Found", "documentation_url": "x"})

    def _issues_update(self, values, _query, body, _who) -> Answer:
        issue = self.issues.get(int(values["issue_number"]))
        if issue is None:
            return Answer(404, {"message": "Not Found", "documentation_url": "x"})
        issue |= body
        return Answer(200, issue)
