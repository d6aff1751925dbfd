"""The looks of every figure: colours by role, sizes, axes, and the PNG; matplotlib is imported when one is drawn.

A colour is a role, never an order: the base (or reference) is grey and dashed everywhere, this change (or the new
data) blue and solid, so a reader who knows one figure reads all of them. Form says it too, for readers who tell no
colours apart: ``style(BASE)`` gives the keywords of a line, ``bar(BASE)`` those of a bar, ``mark(WORSE)`` those of a
point. The pools of GCBM have names for colours (``POOLS``); kinds without a role of their own take ``kind(number)``.

    figure, axes = new_figure(heading="Prediction error: wider than in the base")
    axes.stairs(counts, edges, **bar(CHANGE), label="this change")
    save_png(figure, path)
"""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flint_ml.text.markdown import plain


@dataclass(frozen=True)
class Role:
    """What a colour means, and the form that says it without colour."""

    name: str
    colour: str
    line: Any = "-"
    width: float = 2.0
    hatch: str = ""
    marker: str = "o"
    hollow: bool = False


BASE = Role("base", "#6E7781", line=(0, (4, 2)), marker="s", hollow=True)
CHANGE = Role("this change", "#0072B2", width=2.2)
WORSE = Role("worse", "#D55E00", hatch="//", marker="X")
BETTER = Role("better", "#009E73")
INCONCLUSIVE = Role("inconclusive", "#6E7781", line=":", marker="D", hollow=True)
SAME = Role("same", "#6E7781", marker="s", hollow=True)
LIMIT = Role("limit", "#1F2328", line=":", width=1.2)
ROLES = (BASE, CHANGE, WORSE, BETTER, INCONCLUSIVE, SAME, LIMIT)

# The band within which nothing counts, behind the marks; unchanged cells and missing ones of a map; text and paper.
TOLERANCE, UNCHANGED, NO_DATA, TEXT, PAPER = "#D0D7DE", "#E8E8E8", "#FFFFFF", "#1F2328", "#FFFFFF"
# A badge: its left side, and each decision under white letters.
BADGE = "#444C56"
DECISIONS = {"approve": "#1A7F37", "review": "#9A6700", "request-changes": "#CF222E"}
# Matplotlib's names of colour maps: amounts; differences (violet rose, orange fell); counts.
AMOUNTS, DIFFERENCES, COUNTS = "cividis", "PuOr", "Blues"
# Okabe and Ito, in the order for kinds that have no role: types of disturbance, classes.
KINDS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8A6D3B", "#8C8C8C")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")
# Pools and fluxes of the carbon cycle by name, the same in every picture.
POOLS = {
    "aboveground biomass": "#009E73",
    "belowground biomass": "#80C9AE",
    "deadwood": "#E69F00",
    "litter": "#B8A800",
    "soil": "#8A6D3B",
    "NPP": "#009E73",
    "Rh": "#E69F00",
    "total emissions": "#D55E00",
    "NBP": "#0072B2",
}

# Inches; shown 420 pixels wide, two beside each other at 860. Text is 12.2 pixels there, ticks and legend 11.1.
WIDTH, HEIGHT, TALL, DPI = 5.25, 3.0, 4.9, 160
TEXT_POINTS, TICK_POINTS = 11, 10


def style(role: Role) -> dict[str, Any]:
    """Keywords of a line (``axes.plot``)."""
    return {"color": role.colour, "linestyle": role.line, "linewidth": role.width}


def bar(role: Role) -> dict[str, Any]:
    """Keywords of a bar or of steps (``axes.bar``, ``axes.stairs``): hollow and dashed, or filled by a third."""
    look = {"edgecolor": role.colour, "linewidth": 1.6, "hatch": role.hatch}
    if role.hollow:
        return {**look, "facecolor": "none", "fill": False, "linestyle": "--" if role is BASE else ":"}
    return {**look, "facecolor": (role.colour, 0.35), "fill": True}


def mark(role: Role, size: float = 8) -> dict[str, Any]:
    """Keywords of single points (``axes.plot``): filled or hollow, in the role's form."""
    face = PAPER if role.hollow else role.colour
    return {
        "color": role.colour,
        "marker": role.marker,
        "markersize": size,
        "markerfacecolor": face,
        "markeredgecolor": role.colour,
        "markeredgewidth": 1.5 if role.hollow else 1.0,
        "linestyle": "",
    }


def kind(number: int) -> dict[str, Any]:
    """Colour and hatch of the ``number``-th kind (from 0) among others, for bars; both repeat after eight."""
    return {"color": KINDS[number % len(KINDS)], "hatch": HATCHES[number % len(HATCHES)], "edgecolor": PAPER}


class _OwnMatplotlibrc(MetaPathFinder):
    """Has matplotlib imported without the ``matplotlibrc`` of the working directory, which it reads before all others.

    A project's file decides nothing about our figures, and a broken one is no fault of ours.
    """

    def find_spec(self, fullname: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        if fullname != "matplotlib":
            return None
        sys.meta_path.remove(self)
        spec = find_spec("matplotlib")
        if spec is not None and spec.loader is not None:
            load, before = spec.loader.exec_module, os.environ.get("MATPLOTLIBRC")

            def exec_module(module: Any) -> None:
                os.environ["MATPLOTLIBRC"] = os.devnull
                folder = Path.cwd()
                # Python's own library: it shadows no module, should the working directory be on the path.
                os.chdir(Path(os.__file__).parent)
                try:
                    load(module)
                finally:
                    os.chdir(folder)
                    if before is None:
                        del os.environ["MATPLOTLIBRC"]
                    else:
                        os.environ["MATPLOTLIBRC"] = before

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def own_matplotlibrc() -> None:
    """From now on matplotlib, where it is not imported yet, is imported with its defaults."""
    if "matplotlib" not in sys.modules and not any(isinstance(each, _OwnMatplotlibrc) for each in sys.meta_path):
        sys.meta_path.insert(0, _OwnMatplotlibrc())


def new_figure(
    rows: int = 1,
    columns: int = 1,
    *,
    height: float | None = None,
    width: float = WIDTH,
    heading: str | None = None,
    **subplots: Any,
) -> tuple[Any, Any]:
    """A figure and its axes (one, or an array of ``rows`` × ``columns``), in the house's size, without a box.

    Parameters
    ----------
    height, width
        Inches; ``HEIGHT`` for one row and ``TALL`` for more where nothing is given.
    heading
        The line above that says the finding.
    subplots
        Handed to matplotlib (``height_ratios``, ``squeeze``).
    """
    from matplotlib.figure import Figure

    high = height or (HEIGHT if rows == 1 else TALL)
    figure = Figure(figsize=(width, high), dpi=DPI, layout="constrained")
    axes = figure.subplots(rows, columns, **subplots)
    for axis in axes.ravel() if hasattr(axes, "ravel") else [axes]:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=TICK_POINTS)
        axis.xaxis.label.set_size(TEXT_POINTS)
        axis.yaxis.label.set_size(TEXT_POINTS)
        axis.title.set_size(TEXT_POINTS)
    if heading:
        figure.suptitle(short(heading, 64), x=0.01, ha="left", fontsize=TEXT_POINTS, fontweight="bold", color=TEXT)
    return figure, axes


def legend(target: Any, **keywords: Any) -> None:
    """A legend without a frame, in the size of the ticks; ``target`` is a figure or axes."""
    target.legend(**{"frameon": False, "fontsize": TICK_POINTS, **keywords})


def limit_line(axis: Any, value: float, text: str = "", *, vertical: bool = False) -> None:
    """A dotted line at ``value``, named where it stands."""
    draw = axis.axvline if vertical else axis.axhline
    draw(value, **style(LIMIT))
    if text:
        place = {"xy": (value, 1), "xytext": (3, -2), "va": "top"} if vertical else {"xy": (1, value), "va": "bottom"}
        axis.annotate(
            text,
            xycoords=axis.get_xaxis_transform() if vertical else axis.get_yaxis_transform(),
            textcoords="offset points",
            ha="left" if vertical else "right",
            fontsize=TICK_POINTS,
            color=TEXT,
            bbox={"facecolor": PAPER, "alpha": 0.7, "edgecolor": "none", "pad": 1},
            **{"xytext": (0, 2), **place},
        )


def thousands(axis: Any, most: int = 5) -> None:
    """Ticks of one axis (``axes.yaxis``) with separated thousands and a true minus sign, ``most`` at most."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _tick(value: float) -> str:
    digits = 0 if value == round(value) else 1 if abs(value) >= 1 else 2
    return f"{value:,.{digits}f}".replace("-", "−")


def whole_numbers(axis: Any, most: int = 6) -> None:
    """Ticks of one axis as whole numbers without separators: years, ages."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))


def save_png(figure: Any, path: Path) -> None:
    """Write ``figure`` as a PNG that is the same bytes for the same numbers: without matplotlib's version in it.

    Names are drawn as they are: a dollar sign begins no formula, and a letter that the font lacks is no warning.
    """
    import matplotlib as mpl
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    # Labels of ticks are made while drawing.
    with mpl.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure.savefig(path, metadata={"Software": None})


def differences() -> Any:
    """Colour map of differences: orange fell, violet rose, without the pale middle that looks like no change."""
    import numpy as np
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    shades = np.concatenate([np.linspace(0.0, 0.3, 128), np.linspace(0.7, 1.0, 128)])
    return ListedColormap(colormaps[DIFFERENCES](shades))


def plain_colour(colour: str) -> Any:
    """A colour map of one colour."""
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour])


def shares() -> Any:
    """Colour map of the share that changed: from unchanged grey to this change's blue."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("share", [UNCHANGED, CHANGE.colour])


def aspect(latitude: float) -> float:
    """Height of a degree of latitude beside a degree of longitude at ``latitude`` degrees: 1/cos."""
    return 1 / max(0.1, math.cos(math.radians(latitude)))


def frame_map(axis: Any, extent: tuple[float, float, float, float], *, geographic: bool) -> None:
    """Frame a map: its corner coordinates, and a bar of a round length.

    Parameters
    ----------
    extent
        West, east, south, north, in degrees where ``geographic``, else in metres.
    """
    west, east, south, north = extent
    axis.spines[:].set_visible(True)
    axis.set_xticks([west, east], [_corner(value, "EW" if geographic else "") for value in (west, east)])
    axis.set_yticks([south, north], [_corner(value, "NS" if geographic else "") for value in (south, north)])
    # Outwards, so that they leave room for the bar below a narrow map.
    for label, side in zip(axis.get_xticklabels(), ("right", "left"), strict=True):
        label.set_horizontalalignment(side)
    metres = 111_320 * math.cos(math.radians((south + north) / 2)) if geographic else 1.0
    wide = abs(east - west) * metres
    if wide <= 0:
        return
    power = 10 ** math.floor(math.log10(wide / 3))
    length = power * max(factor for factor in (1, 2, 5) if factor * power <= wide / 3)
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    # Below the map, in the middle, where neither cells nor coordinates are.
    axis.annotate(
        "",
        xy=(0.5 - length / wide / 2, -0.045),
        xytext=(0.5 + length / wide / 2, -0.045),
        xycoords="axes fraction",
        arrowprops={
            "arrowstyle": "|-|,widthA=0.25,widthB=0.25",
            "color": TEXT,
            "linewidth": 1.2,
            "shrinkA": 0,
            "shrinkB": 0,
        },
        annotation_clip=False,
    )
    axis.annotate(
        text, xy=(0.5, -0.06), xycoords="axes fraction", ha="center", va="top", fontsize=TICK_POINTS, color=TEXT
    )


def _corner(value: float, halves: str) -> str:
    if not halves:
        return f"{value:,.0f}".replace("-", "−")
    return f"{abs(value):.3f}° {halves[0] if value >= 0 else halves[1]}"


def short(text: str, length: int) -> str:
    """``text`` on one line in at most ``length`` visible letters; an ellipsis says that it was cut."""
    text = plain(text)
    return text if len(text) <= length else text[: length - 1] + "…"


def distinct(names: Sequence[str], length: int) -> list[str]:
    """``names``, each in at most ``length`` letters and no two alike: what was cut to the same is numbered.

    Axes draw equal labels on one place.
    """
    cut = [short(name, length) for name in names]
    labels: list[str] = []
    for index, label in enumerate(cut):
        number = cut[:index].count(label) + 1
        shown = label if cut.count(label) == 1 else _numbered(label, number, length)
        while shown in labels:
            number += 1
            shown = _numbered(label, number, length)
        labels.append(shown)
    return labels


def _numbered(label: str, number: int, length: int) -> str:
    end = f" ({number})"
    return short(label, length - len(end)) + end
