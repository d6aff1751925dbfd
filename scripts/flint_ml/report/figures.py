"""A figure in the report: as a diagram that GitHub draws itself, a small table, a picture, or a word."""

from __future__ import annotations

import base64
import itertools
import math
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from flint_ml.record import Fallback, Figure, Table
from flint_ml.text.markdown import escape, escape_html, grid, plain

# Draws one figure as Markdown; an empty string where it cannot.
Draw = Callable[[Figure], str]
# The bytes of a picture by the path that its record gives; None where it cannot be shown.
Load = Callable[[str], bytes | None]

WIDTH = 420
MAX_PICTURE = 2 * 1024 * 1024
MAX_PIXELS = 12_000
_POINTS = 40
_TABLE_ROWS = 12
# Okabe and Ito's colours, which people with any kind of colour vision can tell apart.
_COLOURS = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "pink": "#CC79A7",
    "yellow": "#E69F00",
    "light blue": "#56B4E9",
}
_PNG = b"\x89PNG\r\n\x1a\n"


def _label(text: str, length: int = 24) -> str:
    """``text`` inside a Mermaid string: no quote, bracket, semicolon or comment sign."""
    return re.sub(r"[^\w .,:+−–%()/²³°<=>≥≤-]", " ", plain(text)).replace("%%", "%").strip()[:length] or "–"


def _thinned(fallback: Fallback) -> Fallback:
    """At most ``_POINTS`` points where every series has a number."""
    length = min([len(fallback.x), *(len(series.y) for series in fallback.series)])
    keep = [i for i in range(length) if all(series.y[i] is not None for series in fallback.series)]
    if len(keep) > _POINTS:
        step = (len(keep) - 1) / (_POINTS - 1)
        keep = [keep[round(step * i)] for i in range(_POINTS)]
    return Fallback(
        kind=fallback.kind,
        x=[fallback.x[i] for i in keep],
        series=[series.model_copy(update={"y": [series.y[i] for i in keep]}) for series in fallback.series],
    )


def mermaid(figure: Figure) -> str:
    """The figure as a Mermaid ``xychart-beta``, or an empty string where its data do not serve.

    Bars of two series would be drawn one over the other, so the second series is a line. Bars below zero would be
    drawn upwards from the floor, so such data are no diagram. The theme is left to GitHub, for light and dark.
    """
    if figure.fallback is None or figure.fallback.kind == "table":
        return ""
    data = _thinned(figure.fallback)
    series = data.series[: len(_COLOURS)]
    values = [y for one in series for y in one.y if y is not None]
    bars = data.kind == "bar"
    if len(data.x) < 2 or not any(values) or (bars and min(values) < 0):
        return ""
    kinds = ["bar" if bars and index == 0 else "line" for index in range(len(series))]
    palette = ", ".join(_COLOURS.values())
    lines = [
        "```mermaid",
        f'%%{{init: {{"xyChart": {{"width": 640, "height": 220}}, '
        f'"themeVariables": {{"xyChart": {{"plotColorPalette": "{palette}"}}}}}}}}%%',
        "xychart-beta",
        f'  title "{_label(figure.title, 70)}"',
        f"  x-axis {_axis(data)}",
        # Bars are compared by their length, which means nothing unless they start at zero.
        *([f"  y-axis 0 --> {max(values):.6g}"] if bars else []),
        *(f"  {kind} [{', '.join(f'{y:.6g}' for y in one.y)}]" for kind, one in zip(kinds, series, strict=True)),
        "```",
    ]
    if len(series) > 1:
        named = zip(_COLOURS, kinds, series, strict=False)
        lines += ["", f"<sub>{' · '.join(f'{colour} {kind}: {escape(one.name)}' for colour, kind, one in named)}</sub>"]
    return "\n".join(lines)


def _axis(data: Fallback) -> str:
    """The x axis: a range where the labels are numbers in even steps (many labels would overlap), else labels."""
    try:
        numbers = [float(x) for x in data.x]
    except ValueError:
        numbers = []
    if len(numbers) > 8 and data.kind != "bar" and all(math.isfinite(x) for x in numbers):
        steps = [b - a for a, b in itertools.pairwise(numbers)]
        if min(steps) > 0 and max(steps) < 1.1 * min(steps):
            return f"{numbers[0]:.6g} --> {numbers[-1]:.6g}"
    return "[" + ", ".join(f'"{_label(x, 12)}"' for x in data.x) + "]"


def small_table(figure: Figure) -> str:
    """The figure's data as a table of a few rows, or an empty string."""
    if figure.fallback is None or not figure.fallback.series:
        return ""
    data = figure.fallback
    length = min([len(data.x), *(len(series.y) for series in data.series)])
    series = data.series[:8]
    columns = [{"name": figure.title[:80]}, *({"name": one.name, "type": "number"} for one in series)]
    rows = [[data.x[i], *(one.y[i] for one in series)] for i in range(length)]
    return grid(Table.model_validate({"title": figure.title, "columns": columns, "rows": rows}), limit=_TABLE_ROWS)


def worded(figure: Figure, place: str) -> str:
    """Title and alternative text, with where the picture is."""
    return f"🖼️ {escape(figure.title)}: {escape(figure.alt)} (picture: {place})"


def drawn(place: str) -> Draw:
    """Diagrams and tables that need no host; else words that point to ``place``."""
    return lambda figure: mermaid(figure) or small_table(figure) or worded(figure, place)


def none(_figure: Figure) -> str:
    """No figures."""
    return ""


def linked(urls: Mapping[str, str], otherwise: Draw) -> Draw:
    """Pictures at ``urls`` (by the figure's path); ``otherwise`` for those that have none."""

    def draw(figure: Figure) -> str:
        url = urls.get(figure.path)
        return _img(url, figure) if url else otherwise(figure)

    return draw


def inlined(load: Load, otherwise: Draw) -> Draw:
    """Pictures inside the page itself, for the HTML report."""

    def draw(figure: Figure) -> str:
        data = load(figure.path)
        if data is None:
            return otherwise(figure)
        return _img(f"data:image/png;base64,{base64.b64encode(data).decode()}", figure)

    return draw


def _img(source: str, figure: Figure) -> str:
    return f'<img src="{source}" width="{WIDTH}" alt="{escape_html(figure.alt)}" title="{escape_html(figure.title)}">'


def loader(results_dir: Path, extra: Mapping[str, Path] | None = None) -> Load:
    """Reads pictures: below ``results_dir``, or the file that ``extra`` names for a path."""

    def load(path: str) -> bytes | None:
        if extra and path in extra:
            return read_png(extra[path])
        file = results_dir / path
        inside = file.resolve().is_relative_to(results_dir.resolve())
        return read_png(file) if inside else None

    return load


def read_png(file: Path) -> bytes | None:
    """The bytes of a PNG; None where it is missing, a link, too large or no PNG."""
    if file.is_symlink() or not file.is_file() or file.stat().st_size > MAX_PICTURE:
        return None
    data = file.read_bytes()
    return data if is_png(data) else None


def is_png(data: bytes) -> bool:
    """Whether ``data`` is a whole PNG of a sensible size: signature, header, dimensions, end."""
    if len(data) < 45 or not data.startswith(_PNG) or data[12:16] != b"IHDR" or b"IEND" not in data[-16:]:
        return False
    width, height = struct.unpack(">II", data[16:24])
    return bool(0 < width <= MAX_PIXELS and 0 < height <= MAX_PIXELS)
