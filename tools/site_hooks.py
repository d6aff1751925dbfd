"""mkdocs hooks: links to files outside docs, which GitHub shows, become addresses there on the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

REPOSITORY = "https://github.com/moja-global/flint-ml-actions"
_LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)\s#]+)(#[^)\s]*)?\)")


def outside(markdown: str, page: str, docs: Path) -> str:
    """A page's Markdown with links to files outside ``docs`` as addresses on GitHub.

    Raises
    ------
    FileNotFoundError
        If such a file is not in the repository.
    """

    def address(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), found[1]))
        if not target.startswith("../") and not target.endswith((".json", ".yml")):
            return found[0]
        path = docs / target
        if not path.exists():
            raise FileNotFoundError(f"{page} links to {found[1]}, which is not there")
        kind = "tree" if path.is_dir() else "blob"
        name = posixpath.normpath(posixpath.join("docs", target))
        return f"]({REPOSITORY}/{kind}/main/{name}{found[2] or ''})"

    return _LINK.sub(address, markdown)


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    return outside(markdown, page.file.src_uri, Path(config["docs_dir"]))
