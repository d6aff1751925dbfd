"""From records to one report: what it says, its Markdown, its HTML page, and where it is posted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint_ml.doors import door

if TYPE_CHECKING:
    from flint_ml.report import figures, publish
    from flint_ml.report.figures import read_png
    from flint_ml.report.files import PAGE, ReportFiles, write
    from flint_ml.report.html import whole_page
    from flint_ml.report.model import Facts, Report, build, checks
    from flint_ml.report.source import ReportSource, relayed, unpack
    from flint_ml.report.wording import CheckName

_HOME = {
    "CheckName": "wording",
    "Facts": "model",
    "PAGE": "files",
    "Report": "model",
    "ReportFiles": "files",
    "ReportSource": "source",
    "build": "model",
    "checks": "model",
    "read_png": "figures",
    "relayed": "source",
    "unpack": "source",
    "whole_page": "html",
    "write": "files",
}

__all__ = [
    "PAGE",
    "CheckName",
    "Facts",
    "Report",
    "ReportFiles",
    "ReportSource",
    "build",
    "checks",
    "figures",
    "publish",
    "read_png",
    "relayed",
    "unpack",
    "whole_page",
    "write",
]

__getattr__ = door(__name__, _HOME)
