"""The report as one HTML file that needs nothing else (no network, no script from elsewhere), and as an SVG badge."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files

from flint_ml.decision import Value
from flint_ml.text import plotting

_WORDS: dict[Value, str] = {"approve": "passing", "review": "review", "request-changes": "changes requested"}
_CHARACTER = 6.6

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
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f'<body>\n<main class="comment{" wide" if wide else ""}">\n{body}</main>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def svg(label: str, value: Value) -> str:
    """The badge as SVG text, 20 pixels high; ``label`` is what stands on the left."""
    label, word = label[:60], _WORDS[value]
    left, right = (round(len(text) * _CHARACTER + 12) for text in (label, word))
    name = escape(f"{label}: {word}", quote=True)
    style = "font-family='Verdana,DejaVu Sans,sans-serif' font-size='11' fill='white' text-anchor='middle'"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{left + right}' height='20' role='img' aria-label='{name}'>"
        f"<title>{name}</title>"
        f"<rect width='{left}' height='20' fill='{plotting.BADGE}'/>"
        f"<rect x='{left}' width='{right}' height='20' fill='{plotting.DECISIONS[value]}'/>"
        f"<g {style}><text x='{left / 2:g}' y='14'>{escape(label)}</text>"
        f"<text x='{left + right / 2:g}' y='14'>{word}</text></g></svg>\n"
    )
