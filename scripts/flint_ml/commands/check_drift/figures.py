"""Figures and page of check-drift, written beside its record."""

from __future__ import annotations

from collections.abc import Sequence

from flint_ml.drift.check import Result
from flint_ml.drift.report import figures, page
from flint_ml.drift.report.heatmap import MIN_ROWS, heatmap
from flint_ml.drift.report.heatmap import rows as lines
from flint_ml.hashing import write_atomically
from flint_ml.record import Figure, Finding
from flint_ml.report import whole_page
from flint_ml.runner import Job

PAGE = "columns.html"


def draw(result: Result, job: Job) -> list[Figure]:
    """Draw what there is to see; the first figure is the one that the report shows."""
    drawn = []
    for position, spectrum in enumerate(r for r in result.spectra if r.comparison):
        file = f"spectra-{position + 1}.png"
        alt = figures.spectra(result, spectrum, job.figures_dir / file)
        drawn.append(Figure(title=f"Spectra ({spectrum.spectrum.label})", alt=alt, path=job.figure_path(file)))
    if figures.worst(result):
        file = "distributions.png"
        alt, fallback = figures.distributions(result, job.figures_dir / file)
        title = f"{result.noun.capitalize()}s that {'drifted' if result.drifted else 'differ'} most"
        columns = Figure(title=title, alt=alt[:1000], path=job.figure_path(file), fallback=fallback)
        drawn = [*drawn, columns] if result.drifted_spectra else [columns, *drawn]
    if len(lines(result)) >= MIN_ROWS:
        file = "heatmap.png"
        alt, bars = heatmap(result, job.figures_dir / file)
        title = f"All {result.noun}s, worst first"
        drawn.append(Figure(title=title, alt=alt[:1000], path=job.figure_path(file), fallback=bars))
    return drawn


def write_page(
    result: Result,
    job: Job,
    *,
    title: tuple[str, str, str],
    tables: tuple[str, str],
    headline: str,
    findings: Sequence[Finding],
    drawn: Sequence[Figure],
) -> str:
    """Write the page of all columns among the figures; returns its path as the record gives it."""
    pictures = [(figure, (job.figures_dir / figure.path.rpartition("/")[2]).read_bytes()) for figure in drawn]
    text = page.body(result, title=title, tables=tables, headline=headline, findings=findings, pictures=pictures)
    write_atomically(job.figures_dir / PAGE, whole_page(text, f"{title[1]}: {title[2]}", wide=True))
    return job.figure_path(PAGE)
