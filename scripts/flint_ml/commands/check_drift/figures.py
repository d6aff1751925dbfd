"""The page of all columns, written beside the figures."""

from __future__ import annotations

from collections.abc import Sequence

from flint_ml.drift import Result, page_body
from flint_ml.hashing import write_atomically
from flint_ml.record import Figure, Finding
from flint_ml.report import whole_page
from flint_ml.runner import Job

PAGE = "columns.html"


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
    text = page_body(result, title=title, tables=tables, headline=headline, findings=findings, pictures=pictures)
    write_atomically(job.figures_dir / PAGE, whole_page(text, f"{title[1]}: {title[2]}", wide=True))
    return job.figure_path(PAGE)
