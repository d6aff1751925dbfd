"""Pull requests in the manifests repository, through GitHub's API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flint_ml.errors import InputError
from flint_ml.git import Address
from flint_ml.github import ForbiddenError, GitHub, NotFoundError, RefusedError, WrongTokenError


@dataclass(frozen=True)
class Pull:
    """An open pull request."""

    number: int
    url: str


def api_of(address: Address, server_url: str, api_url: str) -> str:
    """Address of the API of the server that the manifests are on."""
    page = urlsplit(address.web or "")
    if page.netloc == urlsplit(server_url).netloc:
        return api_url
    if page.netloc == "github.com":
        return "https://api.github.com"
    return f"{page.scheme}://{page.netloc}/api/v3"


def _pull(data: Any) -> Pull:
    return Pull(int(data["number"]), str(data["html_url"]))


class Pulls:
    """The pull requests of one repository."""

    def __init__(self, github: GitHub) -> None:
        self.github = github
        self.owner = github.repository.partition("/")[0]

    def find(self, head: str, base: str) -> Pull | None:
        """The open pull request from ``head`` to ``base``.

        Raises
        ------
        InputError
            If the token may not see pull requests.
        """
        try:
            pulls = self.github.get("{repo}/pulls", state="open", head=f"{self.owner}:{head}", base=base)
        except (ForbiddenError, NotFoundError, WrongTokenError) as error:
            raise _refused(error, "look for pull requests") from None
        return _pull(pulls[0]) if pulls else None

    def put(self, pull: Pull | None, head: str, base: str, message: str) -> Pull:
        """Open the pull request, or bring title and text of the open one up to date.

        Raises
        ------
        InputError
            If the token may not, or GitHub does not take it; the branch ``head`` is there all the same.
        """
        title, _, body = message.partition("\n")
        text = {"title": title, "body": body.strip()}
        try:
            if pull is not None:
                return _pull(self.github.patch(f"{{repo}}/pulls/{pull.number}", text))
            sent = self.github.post(
                "{repo}/pulls", {**text, "head": head, "base": base}, before_retry=lambda: self.find(head, base)
            )
            return sent if isinstance(sent, Pull) else _pull(sent)
        except (ForbiddenError, NotFoundError, WrongTokenError) as error:
            raise _refused(error, "open a pull request") from None
        except RefusedError:
            # Of two jobs that open it at once, the second one is told that it exists.
            existing = self.find(head, base)
            if existing is None:
                raise
            return existing


def _refused(error: InputError, did: str) -> InputError:
    return InputError(
        f"the token may not {did} in the manifests repository: {error.message}",
        where="token",
        hint="give it `pull-requests: write` and `contents: write` there; for the workflow's own token also allow "
        "`GitHub Actions to create pull requests` in the settings",
        code=error.code,
    )
