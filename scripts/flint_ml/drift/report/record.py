"""What the record says of a result: words, tables and numbers, and the figures beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flint_ml.drift.check import Result
from flint_ml.drift.rasters.check import RasterResult
from flint_ml.drift.report import figures, heatmap, raster_maps, raster_tables, summary
from flint_ml.record import Figure, Metric, Table


@dataclass(frozen=True)
class Description:
    """A result for a record: the badge's message, the result in a sentence, tables, numbers and details."""

    message: str
    headline: str
    tables: list[Table]
    metrics: dict[str, Metric]
    details: dict[str, Any]


def describe(result: Result) -> Description:
    """Put a result into words, tables and numbers."""
    tables, metrics, details = summary.tables(result), summary.metrics(result), summary.details(result)
    if isinstance(result, RasterResult):
        tables = [*tables, *raster_tables.tables(result)]
        metrics = {**metrics, **raster_tables.metrics(result)}
        details["layers"] = raster_tables.details(result)
    return Description(summary.message(result), summary.headline(result), tables, metrics, details)


def draw(result: Result, folder: Path, path_of: Callable[[str], str]) -> list[Figure]:
    """Draw what there is to see into ``folder``; the first figure is the one that the report shows.

    ``path_of`` gives the path of a file in the folder as the record names it.
    """
    drawn = []
    for position, spectrum in enumerate(r for r in result.spectra if r.comparison):
        file = f"spectra-{position + 1}.png"
        alt = figures.spectra(result, spectrum, folder / file)
        drawn.append(Figure(title=f"Spectra ({spectrum.spectrum.label})", alt=alt, path=path_of(file)))
    if figures.worst(result):
        file = "distributions.png"
        alt, fallback = figures.distributions(result, folder / file)
        title = f"{result.noun.capitalize()}s that {'drifted' if result.drifted else 'differ'} most"
        columns = Figure(title=title, alt=alt[:1000], path=path_of(file), fallback=fallback)
        drawn = [*drawn, columns] if result.drifted_spectra else [columns, *drawn]
    if len(heatmap.rows(result)) >= heatmap.MIN_ROWS:
        file = "heatmap.png"
        alt, bars = heatmap.heatmap(result, folder / file)
        title = f"All {result.noun}s, worst first"
        drawn.append(Figure(title=title, alt=alt[:1000], path=path_of(file), fallback=bars))
    return drawn + (_maps(result, folder, path_of) if isinstance(result, RasterResult) else [])


def _maps(result: RasterResult, folder: Path, path_of: Callable[[str], str]) -> list[Figure]:
    """Maps of change of the layers that changed most."""
    drawn = []
    for position, layer in enumerate(raster_maps.mapped(result)):
        file = f"map-{position + 1}.png"
        alt, fallback = raster_maps.change_map(layer, folder / file)
        title = f"Where {layer.name} changed"
        drawn.append(Figure(title=title[:300], alt=alt[:1000], path=path_of(file), fallback=fallback))
    return drawn
