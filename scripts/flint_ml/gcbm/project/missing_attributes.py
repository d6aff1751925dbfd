"""Cell values that a layer's attribute table does not have: the C++ takes them as no data, without a word."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flint_ml.errors import FlintError
from flint_ml.gcbm.project.config import Project
from flint_ml.gcbm.project.layers import Layer, project_layers
from flint_ml.gcbm.project.problems import Problem

# Rows of a raster read at once, so that memory does not follow its size.
ROWS = 1024


def unlisted(project: Project) -> list[Problem]:
    """Layers with values that have no attribute: an error where an event is lost, else a warning.

    A classifier's pixel without attribute is not simulated at all, an age or mask without one is null.
    """
    listener = {str(name) for name in project.settings("CBMDisturbanceListener").get("vars") or []}
    found = []
    for layer in project_layers(project).values():
        try:
            lost = _values(layer) if layer.lookup else {}
        except FlintError:
            continue  # a layer that cannot be read has its own line
        finally:
            layer.close()
        if lost:
            listed = ", ".join(f"{value} ({pixels:,} pixels)" for value, pixels in list(lost.items())[:10])
            event = layer.name in listener
            effect = "their events never happen" if event else "they count as no data"
            found.append(
                Problem(
                    "error" if event else "warning",
                    "gcbm-attribute-missing",
                    f"layer {layer.name}: values without an entry in its attributes: {listed}; {effect}",
                    project.relative(layer.json),
                    "add an entry for each value, or correct the raster",
                )
            )
    return found


def _values(layer: Layer) -> dict[int, int]:
    """Value -> pixels of what is neither nodata nor in the table."""
    from rasterio.windows import Window

    dataset = layer.open()
    known = np.array(sorted({*layer.lookup, int(layer.nodata)}), dtype=np.int64)
    lost: dict[int, int] = {}
    for top in range(0, dataset.height, ROWS):
        block = dataset.read(1, window=Window(0, top, dataset.width, min(ROWS, dataset.height - top)))
        values, counts = np.unique(block, return_counts=True) if block.dtype.itemsize > 1 else _bytes(block)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if int(value) not in known:
                lost[int(value)] = lost.get(int(value), 0) + count
    return dict(sorted(lost.items()))


def _bytes(block: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    counts = np.bincount(block.ravel().view(np.uint8), minlength=256)
    values = np.flatnonzero(counts)
    return values, counts[values]
