"""The plots that the project's dvc.yaml declares, as figures of the comparison."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from flint_ml.dvc_project import Plot, collect_plots, declared
from flint_ml.metrics import plots
from flint_ml.record import Figure, Finding, slug
from flint_ml.report import read_png
from flint_ml.runner import Job


def figures(job: Job, base: str | None) -> tuple[list[Figure], list[Finding]]:
    """A figure for each plot, of the base and of this change; what cannot be drawn is said and stops nothing."""
    if job.git.root is None or not declared(job.git, None, ("plots",)):
        return [], []
    with tempfile.TemporaryDirectory(prefix="flint-ml-plots-") as scratch:
        try:
            found = collect_plots(job.workspace.base, base, Path(scratch), job.env or None)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            return [], [_note(_reason(error))]
        made = [_figure(job, plot, number) for number, plot in enumerate(found[: plots.MAX_PLOTS], start=1)]
    left = [plot.title for plot, figure in zip(found, made, strict=False) if figure is None]
    left += [plot.title for plot in found[plots.MAX_PLOTS :]]
    notes = [_note(f"not drawn: {', '.join(left[:10])} (no PNG, no numbers, or too many)")] if left else []
    return [figure for figure in made if figure is not None], notes


def _figure(job: Job, plot: Plot, number: int) -> Figure | None:
    file = f"plot-{number}-{slug(plot.title)[:40]}.png"
    if plot.kind == "image":
        if plot.picture is None or read_png(plot.picture) is None:
            return None
        shutil.copyfile(plot.picture, job.figures_dir / file)
        return Figure(title=plot.title, alt=f"{plot.title}, of this change", path=job.figure_path(file))
    drawn = plots.draw(plot, job.figures_dir / file)
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
