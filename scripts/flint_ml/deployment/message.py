"""The commit message: what changed, and links to version, run and pull request. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Origin:
    """Where a deployed version comes from.

    Attributes
    ----------
    tags
        The tags of the version in the registry.
    registry
        Its address, as it may be shown.
    run
        Address of the workflow run that deploys.
    by
        The person who deploys.
    reason
        Why a version goes there that the gate did not approve.
    """

    model: str
    number: int
    registry: str = ""
    run: str | None = None
    by: str = ""
    reason: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Model and version for people."""
        return f"{self.model} version {self.number}"

    @property
    def pull_request(self) -> str | None:
        """Address of the pull request that the version came from."""
        repository, number = self.tags.get("flint_ml.repository"), self.tags.get("flint_ml.pull_request")
        return f"{repository}/pull/{number}" if repository and number else None

    @property
    def code(self) -> str | None:
        """Address of the commit that the version was made from, or its hash."""
        repository, commit = self.tags.get("flint_ml.repository"), self.tags.get("flint_ml.commit")
        return f"{repository}/commit/{commit}" if repository and commit else commit


def _line(text: str) -> str:
    """One printable line; tags are other people's text."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:300]


def commit_message(origin: Origin, place: str, old: str, new: str, *, verb: str = "Deploy", reason: str = "") -> str:
    """Subject, what changed at ``place`` (manifest and path), why, and one Git trailer for each link."""
    trailers = {
        "Model-Version": f"models:/{origin.model}/{origin.number}",
        "Model-Registry": origin.registry,
        "Model-Code": origin.code,
        "Model-Pull-Request": origin.pull_request,
        "Model-Run": origin.tags.get("flint_ml.run"),
        "Model-Gate": origin.tags.get("flint_ml.gate"),
        "Deploy-Run": origin.run,
        "Deployed-By": origin.by,
        "Deploy-Reason": origin.reason,
    }
    lines = [f"{name}: {_line(value)}" for name, value in trailers.items() if value]
    subject = _line(f"{verb} {origin.title}")
    what = [_line(f"{place}: {old} -> {new}"), *([_line(reason)] if reason else [])]
    return "\n".join([subject, "", *what, "", *lines]) + "\n"
