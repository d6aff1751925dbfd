"""Build the release tree: what ``uses: moja-global/flint-ml-actions/check-drift@v1`` finds at the root.

The source keeps the actions in ``actions/`` and builds the Dockerfile; a release has them at the root and names
the prebuilt image. ``docs/architecture.md`` tells why.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

REPOSITORY = "moja-global/flint-ml-actions"
SOURCE_IMAGE = "../../Dockerfile"
# The C++ lies in an image of its own: the Dockerfile's target `flint`.
FLINT_ACTIONS = ("run-gcbm-flint",)
COPIED = ("README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "requirements", "scripts/flint_ml")
_REF = re.compile(r"^v\d+(\.\d+){0,2}$")
# Pages whose links must work where the folders that they point to are left out: in the release and on PyPI.
PAGES = ("README.md", "CHANGELOG.md")
_LINK = re.compile(r"(!?)\[([^\]\[]*)\]\((?!https?://|#|mailto:)([^)\s]+)\)")
_IMAGE = re.compile(r"^docker://[a-z0-9][a-z0-9._/:-]*(@sha256:[0-9a-f]{64})?$")


class ReleaseError(Exception):
    """What does not fit together, in words for the person who releases."""


def package_version(root: Path) -> str:
    """The version that the package itself states."""
    text = (root / "scripts/flint_ml/__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if not found:
        raise ReleaseError("scripts/flint_ml/__init__.py states no __version__")
    return found[1]


def check(root: Path, ref: str, *images: str) -> None:
    """Refuse a release whose parts disagree.

    Raises
    ------
    ReleaseError
        If reference, package version, image or the README's table of actions do not match.
    """
    if not _REF.match(ref):
        raise ReleaseError(f"reference {ref!r} is not v1, v1.2 or v1.2.3")
    for image in images:
        if not _IMAGE.match(image):
            raise ReleaseError(f"image {image!r} is not docker://NAME[:TAG] or docker://NAME@sha256:DIGEST")
    version = package_version(root)
    if not f"v{version}.".startswith(f"{ref}."):
        raise ReleaseError(f"reference {ref} does not fit the package's version {version}")
    if "." in ref:
        if not all("@sha256:" in image for image in images):
            raise ReleaseError("a numbered release names its image by digest")
        if f"## [{version}]" not in (root / "CHANGELOG.md").read_text(encoding="utf-8"):
            raise ReleaseError(f"CHANGELOG.md has no entry for {version}")
    readme = (root / "README.md").read_text(encoding="utf-8")
    folders = [folder.name for folder in action_folders(root)]
    named = set(re.findall(r"(?m)^\| \[`([a-z-]+)`\]\(docs/actions/", readme)) | set(
        re.findall(r"\(\[`([a-z-]+)`\]\(docs/actions/", readme)
    )
    if missing := [name for name in folders if name not in named]:
        raise ReleaseError(f"the README's table does not name: {', '.join(missing)}")
    if unknown := sorted(named - set(folders)):
        raise ReleaseError(f"the README's table names what is no action: {', '.join(unknown)}")
    if pageless := [name for name in folders if not (root / f"docs/actions/{name}.md").is_file()]:
        raise ReleaseError(f"no page docs/actions/NAME.md for: {', '.join(pageless)}")


def action_folders(root: Path) -> list[Path]:
    """The folders of the published actions."""
    return sorted(path.parent for path in (root / "actions").glob("*/action.yml"))


def released(text: str, ref: str, image: str) -> str:
    """An ``action.yml`` of the source tree as the release has it."""
    text = re.sub(rf"(?m)^(\s*image:\s*){re.escape(SOURCE_IMAGE)}\s*$", rf"\g<1>{image}", text)
    return re.sub(r"(?m)^(\s*(?:- )?uses:\s*)\./actions/([a-z-]+)\s*$", rf"\g<1>{REPOSITORY}/\g<2>@{ref}", text)


def absolute_links(text: str, root: Path, source: str) -> str:
    """A page with its relative links as addresses of revision ``source``.

    Raises
    ------
    ReleaseError
        If a link points to a file that the source tree does not have.
    """

    def absolute(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        path = target.split("#")[0]
        if not (root / path).exists():
            raise ReleaseError(f"a link points to {path}, which is not there")
        if picture:
            return f"![{words}](https://raw.githubusercontent.com/{REPOSITORY}/{source}/{target})"
        kind = "tree" if (root / path).is_dir() else "blob"
        return f"[{words}](https://github.com/{REPOSITORY}/{kind}/{source}/{target})"

    return _LINK.sub(absolute, text)


def build(root: Path, target: Path, ref: str, image: str, flint_image: str, *, source: str = "main") -> list[Path]:
    """Write the release tree to ``target`` (replaced whole) and return its ``action.yml`` files.

    ``source`` is the revision that the links of README and CHANGELOG point to.
    """
    check(root, ref, image, flint_image)
    pages = {name: absolute_links((root / name).read_text(encoding="utf-8"), root, source) for name in PAGES}
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".release-", dir=target.parent))
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    written = [work / "action.yml"]
    written[0].write_text(released((root / "action.yml").read_text(encoding="utf-8"), ref, image), encoding="utf-8")
    for folder in action_folders(root):
        shutil.copytree(folder, work / folder.name, ignore=ignore)
        path = work / folder.name / "action.yml"
        own = flint_image if folder.name in FLINT_ACTIONS else image
        path.write_text(released(path.read_text(encoding="utf-8"), ref, own), encoding="utf-8")
        written.append(path)
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, work / name, ignore=ignore)
        else:
            shutil.copy2(root / name, work / name)
    for name, text in pages.items():
        (work / name).write_text(text, encoding="utf-8")
    left = [str(p.relative_to(work)) for p in written if re.search(r"\.\./Dockerfile|\./actions/", p.read_text())]
    if left:
        shutil.rmtree(work)
        raise ReleaseError(f"still points into the source tree: {', '.join(left)}")
    work.chmod(0o755)
    shutil.rmtree(target, ignore_errors=True)
    work.rename(target)
    return [target / path.relative_to(work) for path in written]


def main() -> int:
    options = argparse.ArgumentParser(description="Build the release tree.")
    options.add_argument("--ref", default="v1", help="what the root action's steps call the sub-actions by")
    options.add_argument("--image", default="docker://flint-ml-actions:test", help="image of the Docker actions")
    options.add_argument(
        "--flint-image", default="docker://flint-ml-actions-flint:test", help="image of run-gcbm-flint"
    )
    options.add_argument("--source", default="main", help="revision that links to the documentation point to")
    options.add_argument("--target", type=Path, default=Path("build/release"))
    given = options.parse_args()
    root = Path(__file__).resolve().parent.parent
    try:
        written = build(root, given.target, given.ref, given.image, given.flint_image, source=given.source)
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{given.target}: {len(written)} actions at {given.ref}, image {given.image}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
