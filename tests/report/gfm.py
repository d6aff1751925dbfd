"""A comment as GitHub shows it: its own Markdown renderer (cmark-gfm), a style with its measures, a browser's layout.

``python -m report.gfm FOLDER`` (in tests/) draws every golden report, light and dark.
"""

from __future__ import annotations

import html
import json
import math
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cmarkgfm
from cmarkgfm.cmark import Options

from chromium import _FLAGS, find_chromium, render_png

# What a lead sees without scrolling: so many lines of 21 px, in a comment of 860 px with its margin of 16 px.
LINES, LINE_HEIGHT, WIDTH, MARGIN = 28, 21, 860, 16
# Sizes and distances of github-markdown-css (MIT), as comments have them: 14 px text, 1.5 line height.
_STYLE = """
:root { --text: #1f2328; --soft: #59636e; --back: #ffffff; --line: #d1d9e0; --band: #f6f8fa; --link: #0969da; }
.dark { --text: #f0f6fc; --soft: #9198a1; --back: #0d1117; --line: #3d444d; --band: #151b23; --link: #4493f8; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); }
article { width: 860px; padding: 16px; color: var(--text); background: var(--back);
  font: 14px/1.5 -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, "Liberation Sans",
  "DejaVu Sans", sans-serif; overflow-wrap: break-word; }
article > :first-child { margin-top: 0 !important; }
h1, h2, h3 { margin: 24px 0 16px; font-weight: 600; line-height: 1.25; }
h1 { font-size: 2em; padding-bottom: .3em; border-bottom: 1px solid var(--line); }
h2 { font-size: 1.5em; padding-bottom: .3em; border-bottom: 1px solid var(--line); }
p, ul, table, pre, details { margin: 0 0 16px; }
ul { padding-left: 2em; } li + li { margin-top: .25em; }
table { display: block; width: max-content; max-width: 100%; overflow: auto; border-spacing: 0;
  border-collapse: collapse; }
th, td { padding: 6px 13px; border: 1px solid var(--line); } th { font-weight: 600; }
tr:nth-child(2n) td { background: var(--band); }
code { padding: .2em .4em; font: 85%/1.5 ui-monospace, "Liberation Mono", "DejaVu Sans Mono", monospace;
  background: var(--band); border-radius: 6px; }
pre { padding: 16px; overflow: auto; line-height: 1.45; background: var(--band); border-radius: 6px; }
pre code { padding: 0; white-space: pre; background: none; }
a { color: var(--link); } sub { font-size: 75%; line-height: 0; position: relative; vertical-align: baseline;
  bottom: -.25em; }
details { display: block; } summary { cursor: pointer; } img { max-width: 100%; }
"""
# For every line of text that is drawn: its top in the comment, and what it says; once in order of height.
_SCRIPT = """
const found = {};
for (const article of document.querySelectorAll("article")) {
  const start = article.getBoundingClientRect().top, lines = [];
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    if (node.parentElement.closest("details:not([open])") && !node.parentElement.closest("summary")) continue;
    for (let i = 0; i < node.length; i += 1) {
      const range = document.createRange();
      range.setStart(node, i); range.setEnd(node, i + 1);
      const box = range.getClientRects()[0];
      if (!box || !box.height) continue;
      const middle = (box.top + box.bottom) / 2 - start, bottom = box.bottom - start;
      let line = lines.find((one) => Math.abs(one.middle - middle) < 6);
      if (!line) lines.push((line = { middle, bottom: 0, text: "", last: null }));
      if (line.last && line.last !== node) line.text += " ";
      line.text += node.data[i]; line.last = node; line.bottom = Math.max(line.bottom, bottom);
    }
  }
  lines.sort((a, b) => a.middle - b.middle);
  found[article.id] = lines.map((line) => [Math.round(line.bottom), line.text.replace(/\\s+/g, " ").trim()]);
}
const out = document.createElement("script");
out.type = "application/json"; out.id = "found"; out.textContent = JSON.stringify(found);
document.body.append(out);
"""


def body(markdown: str) -> str:
    """The HTML of a comment: GitHub's renderer, with its extensions and with line ends as breaks, as in comments."""
    options = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_HARDBREAKS | Options.CMARK_OPT_GITHUB_PRE_LANG
    return str(cmarkgfm.github_flavored_markdown_to_html(markdown, options))


def page(bodies: dict[str, str], *, dark: bool = False, script: str = "") -> str:
    """Comments one below the other, as a page."""
    parts = "\n".join(f'<article id="{html.escape(name)}">\n{text}</article>' for name, text in bodies.items())
    tail = f"<script>{script}</script>" if script else ""
    return (
        f'<!DOCTYPE html>\n<html class="{"dark" if dark else "light"}"><head><meta charset="utf-8"><style>{_STYLE}'
        f"</style></head>\n<body>{parts}{tail}</body></html>\n"
    )


@dataclass(frozen=True)
class Line:
    """A rendered line: its bottom in px from the top of the comment, and its text."""

    bottom: float
    text: str


def measured(bodies: dict[str, str], seconds: float = 120) -> dict[str, list[Line]] | None:
    """The lines of each comment as a browser lays them out; None where there is none."""
    browser = find_chromium()
    if browser is None:
        return None
    with tempfile.TemporaryDirectory(prefix="gfm-") as folder:
        file = Path(folder) / "page.html"
        file.write_text(page(bodies, script=_SCRIPT), encoding="utf-8")
        command = [
            browser,
            *_FLAGS,
            f"--user-data-dir={folder}/profile",
            f"--window-size={WIDTH + 40},2000",
            "--dump-dom",
            file.as_uri(),
        ]
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    match = re.search(r'<script type="application/json" id="found">(.*?)</script>', result.stdout, re.DOTALL)
    assert match, result.stderr[-500:]
    return {name: [Line(*line) for line in lines] for name, lines in json.loads(match[1]).items()}


def estimated(text: str) -> list[Line]:
    """The lines of a comment by arithmetic, from its HTML: rather too many and too high."""
    lines: list[Line] = []
    bottom = float(MARGIN)
    for tag, inner in re.findall(r"<(h2|p|tr|pre|summary)\b[^>]*>(.*?)</\1>", text, re.DOTALL):
        broken = re.sub(r"<br ?/?>\n?", "\n", inner) if tag != "tr" else inner.replace("\n", " ")
        plain = html.unescape(re.sub(r"<[^>]+>", "", broken)).strip("\n")
        wide = {"h2": 62, "tr": 105, "pre": 100}.get(tag, 115)
        high = {"h2": 26.25, "tr": 34, "pre": 18}.get(tag, LINE_HEIGHT)
        pieces = [line[i : i + wide] for line in plain.split("\n") for i in range(0, max(1, len(line)), wide)]
        for piece in pieces:
            bottom += high
            lines.append(Line(math.ceil(bottom), " ".join(piece.split())))
        bottom += {"h2": 24, "p": 16, "pre": 32}.get(tag, 0)
    return lines


def first_screen(lines: list[Line]) -> str:
    """What is wholly on the first screen, as text."""
    seen = [line.text for line in lines[:LINES] if line.bottom <= LINES * LINE_HEIGHT]
    return " ".join(seen)


def main() -> int:
    """Draw the golden reports into a folder."""
    from report.golden import CASES, text

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        for mode in ("light", "dark"):
            file = folder / f"{name}-{mode}.html"
            file.write_text(page({name: body(text(name))}, dark=mode == "dark"), encoding="utf-8")
            problem = render_png(file, folder / f"{name}-{mode}.png", WIDTH)
            if problem:
                print(problem)
                return 1
    print(f"drew {len(CASES)} reports, light and dark")
    return 0


if __name__ == "__main__":
    sys.exit(main())
