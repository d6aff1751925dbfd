"""The three figures of the evaluation, drawn to be read at 420 pixels wide, also without colour vision."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"  # Okabe & Ito's palette
WIDTH, HEIGHT, DPI = 4.2, 3.0, 200
plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10})


def save(figure: Figure, path: Path) -> None:
    """Save without matplotlib's version in the file, so that the same figure has the same bytes."""
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close(figure)


def error_distribution(table: pd.DataFrame, scores: dict[str, float], path: Path) -> None:
    """Histogram of prediction − truth (g/kg) with zero and the bias marked."""
    error = table["prediction"] - table["truth"]
    limit = 5 * np.ceil(error.abs().max() / 5)
    bias = f"bias {scores['bias']:+.2f} g/kg".replace("-", "\N{MINUS SIGN}")
    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes.hist(error, bins=np.arange(-limit, limit + 2.5, 2.5), color=BLUE, edgecolor="white", linewidth=0.6)
    axes.axvline(0, color="black", linewidth=1)
    axes.axvline(scores["bias"], color=ORANGE, linewidth=1.5, linestyle="--", label=bias)
    axes.set(xlabel="predicted − measured SOC (g/kg)", ylabel="samples")
    axes.set_title(f"Prediction error: RMSE {scores['rmse']:.2f} g/kg, n = {scores['n']}")
    axes.legend(frameon=False)
    save(figure, path)


def confusion_matrix(table: pd.DataFrame, edges: list[float], path: Path) -> None:
    """Measured against predicted SOC class: counts, and shares of each measured class as shading."""
    names = [f"< {edges[0]}", *(f"{a}–{b}" for a, b in pairwise(edges)), f"≥ {edges[-1]}"]
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (np.digitize(table["truth"], edges), np.digitize(table["prediction"], edges)), 1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        text = f"{counts[row, column]}\n{share[row, column]:.0%}"
        colour = "white" if share[row, column] > 0.55 else "black"
        axes.text(column, row, text, ha="center", va="center", color=colour)
    axes.set(xticks=range(len(names)), xticklabels=names, yticks=range(len(names)), yticklabels=names)
    axes.set(xlabel="predicted SOC (g/kg)", ylabel="measured SOC (g/kg)")
    axes.set_title(f"SOC classes: {np.trace(counts) / counts.sum():.0%} of {counts.sum()} right")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    save(figure, path)


def importance(model: dict[str, Any], path: Path) -> None:
    """Variable importance in projection by wavelength; bands above 1 matter more than average."""
    wavelength, vip = np.array(model["wavelengths_nm"]), np.array(model["vip"])
    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes.fill_between(wavelength, 1, vip, where=vip > 1, interpolate=True, color=BLUE, alpha=0.35, linewidth=0)
    axes.plot(wavelength, vip, color=BLUE, linewidth=1.5)
    axes.axhline(1, color="black", linewidth=0.8, linestyle="--")
    top = vip.max() * 1.15
    for centre, name in ((1415, "OH, water"), (1915, "water"), (2205, "clay")):
        axes.axvline(centre, color=GREY, linewidth=0.8, linestyle=":")
        axes.annotate(name, (centre, top), rotation=90, va="top", ha="right", color=GREY, fontsize=8)
    axes.set(xlabel="wavelength (nm)", ylabel="VIP", ylim=(0, top), xlim=(wavelength[0], wavelength[-1]))
    axes.set_title("Importance of each wavelength")
    save(figure, path)
