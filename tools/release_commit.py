"""Commit a release tree and tag it: ``python tools/release_commit.py --version 1.2.3 --push origin``.

The commit follows the release before it, not the source: its tree holds no workflow files, and a token that may not
change workflows could not push a commit that takes them out. Its message names the source commit.

``v1.2.3`` is made once, on the release commit, and never moved. ``v1.2`` and ``v1`` move to it, unless they are at a
newer release already (a fix for an old series must not take users back). All three go to the remote in one atomic push,
or none.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from release_tree import ReleaseError

Version = tuple[int, int, int]
_VERSION = re.compile(r"^v?(\d+)\.(\d+)\.(\d+)$")
AUTHOR = {"NAME": "github-actions[bot]", "EMAIL": "41898282+github-actions[bot]@users.noreply.github.com"}


@dataclass(frozen=True)
class Release:
    """What was made: the commit, the tags that moved or were made, and whether it was there already."""

    commit: str
    tags: tuple[str, ...]
    existed: bool


def parsed(text: str) -> Version:
    """``1.2.3`` or ``v1.2.3`` as numbers.

    Raises
    ------
    ReleaseError
        If it is not of that form.
    """
    found = _VERSION.match(text)
    if not found:
        raise ReleaseError(f"version {text!r} is not of the form 1.2.3")
    return int(found[1]), int(found[2]), int(found[3])


def moving_tags(version: Version, released: Iterable[Version]) -> list[str]:
    """The tags that move to this version: ``v1.2`` and ``v1``, each unless its series has a newer release."""
    others = list(released)
    tags = []
    for length in (2, 1):
        series = [other for other in others if other[:length] == version[:length]]
        if all(other <= version for other in series):
            tags.append("v" + ".".join(str(part) for part in version[:length]))
    return tags


class Repository:
    """Git as this script needs it; ``run`` raises ReleaseError with Git's own words."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        variables = {**os.environ, **(environment or {})}
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, env=variables, check=False)
        if done.returncode:
            raise ReleaseError(f"git {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()

    def tree_of(self, folder: Path) -> str:
        """Store a folder as a Git tree, without touching the index or the work tree."""
        with tempfile.TemporaryDirectory() as work:
            index = {"GIT_INDEX_FILE": str(Path(work, "index"))}
            self.run("--work-tree", str(folder.resolve()), "add", "--all", "--force", ".", environment=index)
            return self.run("write-tree", environment=index)

    def commit_of(self, tree: str, source: str, parent: str | None, message: str) -> str:
        """A commit that is the same for the same tree, parent and message: its date is the source's."""
        date = self.run("show", "--no-patch", "--format=%cI", source)
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in AUTHOR.items()}
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        parents = ("-p", parent) if parent else ()
        return self.run("commit-tree", tree, *parents, "-m", message, environment={**who, **dates})

    def holds(self, remote: str, tag: str, tree: str, message: str) -> bool:
        """Whether a tag of the remote is a release of this tree and message."""
        self.run("fetch", "--quiet", "--no-tags", remote, f"refs/tags/{tag}")
        found = self.run("show", "--no-patch", "--format=%T%n%B", "FETCH_HEAD")
        return found == f"{tree}\n{message.strip()}"

    def remote_tags(self, remote: str) -> dict[str, str]:
        """Tag name to commit, as the remote has them (annotated tags peeled)."""
        tags: dict[str, str] = {}
        for line in self.run("ls-remote", "--tags", remote).splitlines():
            commit, name = line.split("\t")
            name = name.removeprefix("refs/tags/")
            if name.endswith("^{}") or name not in tags:
                tags[name.removesuffix("^{}")] = commit
        return tags


def release(root: Path, tree: Path, version: str, remote: str, *, image: str = "") -> Release:
    """Commit ``tree``, made from the checked-out commit, after the release before it; tag it and push the tags.

    Raises
    ------
    ReleaseError
        If the version exists with other contents, or the push is refused.
    """
    number = parsed(version)
    name = "v" + ".".join(str(part) for part in number)
    git = Repository(root)
    source, stored = git.run("rev-parse", "HEAD"), git.tree_of(tree)
    message = f"Release {name}\n\nsource: {source}" + (f"\nimage: {image}" if image else "")
    tags = git.remote_tags(remote)
    existed = name in tags
    if existed and not git.holds(remote, name, stored, message):
        raise ReleaseError(
            f"{name} exists already, as {tags[name][:12]}, and is never moved. Raise the version in "
            "scripts/flint_ml/__init__.py and CHANGELOG.md and release that."
        )
    before = sorted(other for other in map(parsed, filter(_VERSION.match, tags)) if other < number)
    parent = None
    if before:
        last = "v" + ".".join(str(part) for part in before[-1])
        git.run("fetch", "--quiet", "--no-tags", remote, f"refs/tags/{last}")
        parent = tags[last]
    commit = tags[name] if existed else git.commit_of(stored, source, parent, message)
    moving = moving_tags(number, [parsed(tag) for tag in tags if _VERSION.match(tag)])
    changed = [tag for tag in moving if tags.get(tag) != commit]
    specs = [f"{commit}:refs/tags/{name}"] if not existed else []
    specs += [f"+{commit}:refs/tags/{tag}" for tag in changed]
    # Somebody who moved a tag meanwhile is not overwritten.
    leases = [f"--force-with-lease=refs/tags/{tag}:{tags.get(tag, '')}" for tag in changed]
    if specs:
        git.run("push", "--atomic", *leases, remote, *specs)
    return Release(commit, tuple(([] if existed else [name]) + changed), existed)


def main() -> int:
    options = argparse.ArgumentParser(description="Commit a release tree and tag it.")
    options.add_argument("--tree", type=Path, default=Path("build/release"))
    options.add_argument("--version", required=True)
    options.add_argument("--push", metavar="REMOTE", default="origin")
    options.add_argument("--image", default="", help="image by digest, for the commit's message")
    given = options.parse_args()
    try:
        made = release(Path.cwd(), given.tree, given.version, given.push, image=given.image)
    except ReleaseError as error:
        print(f"::error title=release::{error}" if os.environ.get("GITHUB_ACTIONS") else f"error: {error}")
        return 2
    print(f"{made.commit}: {', '.join(made.tags) or 'nothing to do, it is all there'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
