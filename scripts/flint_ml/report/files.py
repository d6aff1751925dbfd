"""The report's files: report.md as it is posted, report.html with everything, badge.svg for a README."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flint_ml.hashing import write_atomically
from flint_ml.report import figures
from flint_ml.report.figures import Draw, Load
from flint_ml.report.html import svg, to_html
from flint_ml.report.model import Report
from flint_ml.report.render import MAX_PAGE, to_markdown

MARKDOWN = "report.md"
PAGE = "report.html"
BADGE = "badge.svg"
# The page carries its pictures, so only its text has a limit.
_PAGE_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True)
class ReportFiles:
    """What was written: the comment's text, the complete text for the job summary, both files, what failed."""

    body: str
    complete: str
    markdown: Path
    page: Path
    problem: str = ""


def write(
    report: Report,
    results_dir: Path,
    draw: Draw,
    load: Load,
    *,
    template: Path | None = None,
    label: str = "flint-ml",
) -> ReportFiles:
    """Render ``report`` and write its files into ``results_dir``.

    ``load`` gives the pictures of the page, ``label`` the left side of the badge.
    """
    body = to_markdown(report, draw, template=template)
    complete = to_markdown(report, draw, limit=MAX_PAGE, template=template)
    inlined = figures.inlined(load, figures.drawn("not among the results"))
    whole = to_markdown(report, inlined, limit=_PAGE_LIMIT, template=template)
    markdown, page = results_dir / MARKDOWN, results_dir / PAGE
    texts = {
        markdown: body,
        results_dir / BADGE: svg(label, report.decision.value),
        page: to_html(whole, f"{report.word}: {report.reason}"),
    }
    problem = ""
    for path, text in texts.items():
        try:
            write_atomically(path, text)
        except OSError as error:
            # What is in memory can still be posted.
            problem = f"{path.name} could not be written: {error.strerror or error}"
    return ReportFiles(body, complete, markdown, page, problem)
