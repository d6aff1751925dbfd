"""The report as one HTML file that needs nothing else: no network, no script from elsewhere, light and dark."""

from __future__ import annotations

import base64
import hashlib
import html
from importlib.resources import files

# Nothing may be loaded, and nothing run but our own script, whatever a record holds: pictures are inside the page.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
    "base-uri 'none'; form-action 'none'"
)


def to_html(markdown_text: str, title: str) -> str:
    """``markdown_text`` (a report with its pictures inside) as a whole HTML page.

    Parameters
    ----------
    markdown_text
        What :func:`flint_ml.report.render.to_markdown` made. Its HTML parts are kept: they come from the template,
        and values in them are escaped.
    title
        Title of the page.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    # The usual check would drop data: pictures of other types too; ours are made as HTML.
    return whole_page(parser.render(markdown_text), title)


def whole_page(body: str, title: str, *, wide: bool = False) -> str:
    """``body``, HTML in which every value is escaped, as a whole page with our style and our one script."""
    folder = files("flint_ml.report") / "templates"
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = "\n" + (folder / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY.format(digest=digest)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f'<body>\n<main class="comment{" wide" if wide else ""}">\n{body}</main>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )
