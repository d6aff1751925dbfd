"""A badge for a README: one small SVG that says the decision in words and colour."""

from __future__ import annotations

from html import escape

from flint_ml.decision import Value

_COLOURS: dict[Value, str] = {"approve": "#2da44e", "review": "#9a6700", "request-changes": "#cf222e"}
_WORDS: dict[Value, str] = {"approve": "passing", "review": "review", "request-changes": "changes requested"}
_CHARACTER = 6.6


def svg(label: str, value: Value) -> str:
    """The badge as SVG text, 20 pixels high; ``label`` is what stands on the left."""
    label, word = label[:60], _WORDS[value]
    left, right = (round(len(text) * _CHARACTER + 12) for text in (label, word))
    name = escape(f"{label}: {word}", quote=True)
    style = "font-family='Verdana,DejaVu Sans,sans-serif' font-size='11' fill='#fff' text-anchor='middle'"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{left + right}' height='20' role='img' aria-label='{name}'>"
        f"<title>{name}</title>"
        f"<rect width='{left}' height='20' fill='#444c56'/>"
        f"<rect x='{left}' width='{right}' height='20' fill='{_COLOURS[value]}'/>"
        f"<g {style}><text x='{left / 2:g}' y='14'>{escape(label)}</text>"
        f"<text x='{left + right / 2:g}' y='14'>{word}</text></g></svg>\n"
    )
