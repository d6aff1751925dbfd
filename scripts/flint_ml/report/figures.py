"""A figure in the report: as a diagram that GitHub draws itself, a small table, a picture, or a word."""

from __future__ import annotations

import base64
import itertools
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flint_ml.record import Fallback, Figure, Table
from flint_ml.text import plotting
from flint_ml.text.markdown import escape, escape_html, grid, plain

# Draws one figure as Markdown; an empty string where it cannot.
Draw = Callable[[Figure], str]
# The bytes of a picture by the path that its record gives; None where it cannot be shown.
Load = Callable[[str], bytes | None]

WIDTH = 420
MAX_PICTURE = 2 * 1024 * 1024
MAX_PIXELS = 12_000
_POINTS = 40
_LABELS = 8
_LABEL_LENGTH = 12
# Letters that have room below an axis of 640 pixels.
_LETTERS = 72
_TABLE_ROWS = 12
_PNG = b"\x89PNG\r\n\x1a\n"


def _label(text: str, length: int = 24) -> str:
    """``text`` inside a Mermaid string: no quote, bracket, semicolon or comment sign."""
    return re.sub(r"[^\w .,:+−–%()/²³°<=>≥≤…-]", " ", plain(text)).replace("%%", "%").strip()[:length] or "–"


def _thinned(fallback: Fallback, most: int) -> Fallback:
    """At most ``most`` points where every series has a number, the first and the last among them."""
    length = min([len(fallback.x), *(len(series.y) for series in fallback.series)])
    keep = [i for i in range(length) if all(series.y[i] is not None for series in fallback.series)]
    if len(keep) > most:
        step = (len(keep) - 1) / (most - 1)
        keep = [keep[round(step * i)] for i in range(most)]
    series = [each.model_copy(update={"y": [each.y[i] for i in keep]}) for each in fallback.series]
    return fallback.model_copy(update={"x": [fallback.x[i] for i in keep], "series": series})


def mermaid(figure: Figure) -> str:
    """The figure as a Mermaid ``xychart-beta``, or an empty string where its data do not serve.

    Lines of at most two series in the colours of their roles: Mermaid draws several bars one over the other, and a bar
    of zero as a twentieth of the largest. The theme is left to GitHub, for light and dark.
    """
    if figure.fallback is None or figure.fallback.kind != "line" or not 1 <= len(figure.fallback.series) <= 2:
        return ""
    data, axis = _x_axis(figure.fallback)
    values = [y for series in data.series for y in series.y if y is not None]
    if len(data.x) < 2 or not any(values):
        return ""
    roles = [plotting.BASE, plotting.CHANGE][-len(data.series) :]
    palette = ", ".join(role.colour for role in roles)
    lines = [
        "```mermaid",
        f'%%{{init: {{"xyChart": {{"width": 640, "height": 260}}, '
        f'"themeVariables": {{"xyChart": {{"plotColorPalette": "{palette}"}}}}}}}}%%',
        "xychart-beta",
        f'  title "{_label(data.title or figure.title, 70)}"',
        f"  x-axis {axis}",
        f"  y-axis {_y_axis(data.y_name, min(values), max(values))}",
        *(f"  line [{', '.join(f'{y:.6g}' for y in series.y)}]" for series in data.series),
        "```",
    ]
    if len(data.series) == 2:
        base, change = (escape(series.name) for series in data.series)
        lines += ["", f"<sub>grey: {base} · blue: {change}</sub>"]
    return "\n".join(lines)


def _x_axis(data: Fallback) -> tuple[Fallback, str]:
    """The points that are drawn, and their axis: a range for numbers in even steps, else a few labels, none twice."""
    name = f'"{_label(data.x_name, 40)}" ' if data.x_name else ""
    many = _thinned(data, _POINTS)
    try:
        positions = [float(x) for x in many.x]
    except ValueError:
        positions = []
    if len(positions) > _LABELS and all(math.isfinite(x) for x in positions):
        steps = [b - a for a, b in itertools.pairwise(positions)]
        if min(steps) > 0 and max(steps) < 1.1 * min(steps):
            return many, f"{name}{positions[0]:.6g} --> {positions[-1]:.6g}"
    few = _thinned(data, _LABELS)
    labels = plotting.distinct([_label(x, 200) for x in few.x], min(_LABEL_LENGTH, _LETTERS // max(1, len(few.x))))
    return few, name + "[" + ", ".join(f'"{label}"' for label in labels) + "]"


def _y_axis(name: str, low: float, high: float) -> str:
    """The y axis from ``low`` to ``high`` or a little beyond: so far that it gets 11 labels at most.

    Mermaid asks d3 for ten steps of 1, 2 or 5 times a power of ten, which gives up to 16, printed over each other.
    """
    span = high - low or abs(high) or 1.0
    step = 10 ** math.floor(math.log10(span / 10))
    size = span / 10 / step
    least, most = next(pair for pair in ((1.0, 1.1), (1.45, 2.2), (3.3, 5.5), (7.3, 10.0)) if size <= pair[1])
    wide = 10 * step * min(max(size, least), most)
    bottom = low - (wide - span) / 2
    bottom = 0.0 if low >= 0 > bottom else bottom
    label = f'"{_label(name, 40)}" ' if name else ""
    return f"{label}{bottom:.6g} --> {bottom + wide:.6g}"


def small_table(figure: Figure) -> str:
    """The figure's data as a table of a few rows, or an empty string."""
    if figure.fallback is None or not figure.fallback.series:
        return ""
    data = figure.fallback
    length = min([len(data.x), *(len(series.y) for series in data.series)])
    columns = [
        {"name": plotting.short(data.x_name or figure.title, 60)},
        *({"name": plotting.short(series.name, 60), "type": "number"} for series in data.series[:6]),
    ]
    shown = [_counts(series.y[:length]) for series in data.series[:6]]
    rows = [[plotting.short(data.x[i], 60), *(values[i] for values in shown)] for i in range(length)]
    table = Table.model_validate({"title": data.title or figure.title, "columns": columns, "rows": rows})
    return grid(table, limit=_TABLE_ROWS)


def _counts(values: Sequence[float | None]) -> Sequence[float | int | None]:
    """Whole numbers as such where all are: 2 of a count is not 2.00."""
    whole = all(value is None or float(value).is_integer() for value in values)
    return [value if value is None else int(value) for value in values] if whole else values


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
