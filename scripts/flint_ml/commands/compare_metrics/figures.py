"""Figures of the comparison: errors or relative changes, history, and the plots that dvc.yaml declares."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from flint_ml.dvc_project import Plot, collect_plots, declared
from flint_ml.metrics import (
    HistoryLine,
    Pairs,
    Row,
    draw_error_distribution,
    draw_history,
    draw_plot,
    draw_relative_changes,
)
from flint_ml.record import Figure, Finding, slug
from flint_ml.report import read_png
from flint_ml.runner import Job

MAX_PLOTS = 6


def comparison_figures(job: Job, rows: Sequence[Row], pairs: Pairs | None) -> list[Figure]:
    """The prediction errors of both sides where predictions are numbers, else the change of each metric."""
    if pairs is not None and pairs.numeric and pairs.n:
        unit = next((row.rule.unit for row in rows if row.rule.unit and row.rule.direction == "lower"), None)
        alt, fallback = draw_error_distribution(pairs, unit, job.figures_dir / "error.png")
        title = "Prediction error of the base and of this change"
        return [Figure(title=title, alt=alt, path=job.figure_path("error.png"), fallback=fallback)]
    drawn = draw_relative_changes(rows, job.figures_dir / "changes.png")
    if drawn is None:
        return []
    title = "Change of each metric against the base"
    return [Figure(title=title, alt=drawn[0], path=job.figure_path("changes.png"), fallback=drawn[1])]


def history_figures(job: Job, commits: Sequence[str], lines: Sequence[HistoryLine]) -> list[Figure]:
    """The first metric over the commits of the main branch."""
    if not lines:
        return []
    alt, fallback = draw_history(commits, lines[0], job.figures_dir / "history.png")
    title = f"{lines[0].row.rule.label} on the main branch and with this change"
    return [Figure(title=title, alt=alt, path=job.figure_path("history.png"), fallback=fallback)]


def plot_figures(job: Job, base: str | None) -> tuple[list[Figure], list[Finding]]:
    """A figure for each plot, of the base and of this change; what cannot be drawn is said and stops nothing."""
    if job.git.root is None or not declared(job.git, None, ("plots",)):
        return [], []
    with tempfile.TemporaryDirectory(prefix="flint-ml-plots-") as scratch:
        try:
            plots = collect_plots(job.workspace.base, base, Path(scratch), job.env or None)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            return [], [_note(_reason(error))]
        made = [_figure(job, plot, number) for number, plot in enumerate(plots[:MAX_PLOTS], start=1)]
    left = [plot.title for plot, figure in zip(plots, made, strict=False) if figure is None]
    left += [plot.title for plot in plots[MAX_PLOTS:]]
    notes = [_note(f"not drawn: {', '.join(left[:10])} (no PNG, no numbers, or too many)")] if left else []
    return [figure for figure in made if figure is not None], notes


def _figure(job: Job, plot: Plot, number: int) -> Figure | None:
    file = f"plot-{number}-{slug(plot.title)[:40]}.png"
    if plot.kind == "image":
        if plot.picture is None or read_png(plot.picture) is None:
            return None
        shutil.copyfile(plot.picture, job.figures_dir / file)
        return Figure(title=plot.title, alt=f"{plot.title}, of this change", path=job.figure_path(file))
    drawn = draw_plot(plot, job.figures_dir / file)
    if drawn is None:
        return None
    return Figure(title=plot.title, alt=drawn[0][:1000], path=job.figure_path(file), fallback=drawn[1])


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in (error.stderr or "").strip().splitlines() if line.startswith("ERROR")]
        return f"the plots of dvc.yaml could not be drawn: {(lines or ['dvc plots failed'])[-1][:300]}"
    return f"the plots of dvc.yaml could not be drawn: {type(error).__name__}"


def _note(message: str) -> Finding:
    return Finding(severity="info", code="plots", message=message)
