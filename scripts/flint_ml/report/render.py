"""The report as Markdown: a Jinja2 template in which every value is data and escaped by itself."""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flint_ml.errors import InputError
from flint_ml.record import Cell, Column, Figure, Table
from flint_ml.report.figures import Draw
from flint_ml.report.model import Report
from flint_ml.text import markdown, numbers
from flint_ml.text.markdown import Made

# GitHub takes 65,536 characters; the rest is room for the marker and for what it may add.
MAX_BODY = 60_000
MAX_PAGE = 900_000
ROWS = 5
# What a template of somebody else may take: seconds, bytes beside those of the process, characters of text.
MAX_TEMPLATE_SECONDS = 10
MAX_TEMPLATE_MEMORY = 512 * 1024 * 1024
MAX_TEMPLATE_TEXT = 80 * 1024 * 1024
_LIMITS = {
    "time": f"it takes longer than {MAX_TEMPLATE_SECONDS} s",
    "memory": "it needs more memory than a report may take",
}
TEMPLATE = "report.md.j2"
_RESULT_MARKS = {
    "better": "🟢",
    "worse": "🔴",
    "failed": "🔴",
    "drifted": "🔴",
    "passed": "✅",
    "same": "⚪\ufe0f",
    "new": "⚪\ufe0f",
    "as declared": "🔵",
    "changed": "🟡",
    "gone": "🟡",
    "not declared": "🟡",
    "not as declared": "🟡",
    "inconclusive": "🟡",
}
# The difference of both sides, as records tell it: `−0.20 (−13 %)`.
_DIFFERENCE = re.compile(r"[+−-]?(?P<whole>[0-9,]+)(?:\.(?P<decimals>[0-9]+))?(?![0-9. ]*×)")
_BAD = ("worse", "failed", "drifted", "gone", "not declared", "not as declared")


@dataclass(frozen=True)
class Budget:
    """How much of the folded part is shown. Rows of tables are cut last."""

    figures: int = 50
    facts: int = 30
    findings: int = 100
    log: int = 40
    inputs: int = 200
    rows: int = 300
    sections: int = 100


# What is left out, step by step, until the text fits.
_STEPS: tuple[Budget, ...] = (
    Budget(),
    Budget(figures=3, inputs=30),
    Budget(figures=0, facts=0, inputs=10),
    Budget(figures=0, facts=0, inputs=5, findings=20, log=20),
    Budget(figures=0, facts=0, inputs=0, findings=10, log=10, rows=100),
    Budget(figures=0, facts=0, inputs=0, findings=5, log=10, rows=30),
    Budget(figures=0, facts=0, inputs=0, findings=3, log=5, rows=8, sections=40),
    Budget(figures=0, facts=0, inputs=0, findings=1, log=0, rows=0, sections=20),
    Budget(figures=0, facts=0, inputs=0, findings=0, log=0, rows=0, sections=0),
)


def to_markdown(report: Report, draw: Draw, *, limit: int = MAX_BODY, template: Path | None = None) -> str:
    """The report as GitHub-flavoured Markdown of at most ``limit`` characters.

    Parameters
    ----------
    report
        What to say.
    draw
        How figures are shown.
    template
        The user's own template instead of the package's; it gets the same values.

    Raises
    ------
    InputError
        If the template is wrong, or no step of shortening makes the text fit.
    """
    render = _renderer(draw, template)
    for number, budget in enumerate(_STEPS):
        text = render(report, budget, number > 0)
        if len(text) <= limit:
            return text
    text = render(_shortened(report), _STEPS[-1], True)
    if len(text) <= limit:
        return text
    raise InputError(
        f"makes a text of {len(text):,} characters; a comment may have {limit:,}",
        where=str(template or TEMPLATE),
        hint="fold or leave out parts in the template",
        code="report-too-long",
    )


def _shortened(report: Report) -> Report:
    """The first screen with everything cut to a length that always fits."""
    table = report.table
    if table:
        cells = [[cell[:200] if isinstance(cell, str) else cell for cell in row[:8]] for row in table.rows[:ROWS]]
        table = Table(title=table.title, columns=table.columns[:8], rows=cells)
    return replace(
        report,
        reason=report.reason[:500],
        more_reasons=report.more_reasons[:3],
        table=table,
        changed_line=report.changed_line if len(report.changed_line) <= 2000 else Made("see the full report"),
        to_do=report.to_do[:500],
        look_at=report.look_at[:500],
        log=[line[:200] for line in report.log],
        reproduce=[],
        provenance=report.provenance.model_copy(update={"rows": report.provenance.rows[:20]}),
        notes=[note[:300] for note in report.notes[:5]],
        gaps=[replace(gap, why=gap.why[:300], hint=gap.hint[:300]) for gap in report.gaps[:10]],
        ledger=report.ledger[:500],
        nothing_of=[],
    )


class _Renderer:
    """The template with its values and filters."""

    def __init__(self, draw: Draw, template: Path | None) -> None:
        from jinja2 import BaseLoader, FunctionLoader, PackageLoader, StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        self.draw = draw
        self.where = template.name if template else TEMPLATE
        self.foreign = template is not None
        self.budget = Budget()
        loader: BaseLoader = PackageLoader("flint_ml.report")
        if template:
            text = template.read_text(encoding="utf-8")
            loader = FunctionLoader(lambda name: text if name == TEMPLATE else None)
        # Sandboxed, because a template may come with the change that is judged.
        self.environment = ImmutableSandboxedEnvironment(
            loader=loader,
            undefined=StrictUndefined,
            finalize=_finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,
            keep_trailing_newline=True,
        )
        self.environment.filters.update(
            html=lambda text: Made(markdown.escape_html(str(text))),
            code=lambda text: Made(markdown.code(str(text))),
            fence=lambda lines: Made(markdown.fence(list(lines))),
            grid=self._grid,
            results=self._results,
            first_table=lambda table, report: Made(results_table(table, report)),
            figure=self._figure,
            url=lambda text: Made(quote(str(text), safe=":/?&=%.~_-")),
            short=lambda text: str(text)[:9],
        )
        self.environment.filters.pop("safe", None)

    def __call__(self, report: Report, budget: Budget, shortened: bool) -> str:
        from jinja2 import TemplateError

        self.budget = budget

        def render() -> str:
            template = self.environment.get_template(TEMPLATE)
            return template.render(report=report, budget=budget, shortened=shortened)

        try:
            text = self._limited(render)
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            line = getattr(error, "lineno", None)
            raise InputError(
                f"cannot be rendered: {error}",
                where=f"{self.where}:{line}" if line else self.where,
                hint="docs/report.md lists the values that a template gets",
                code="invalid-template",
            ) from None
        return _tidy(text)

    def _limited(self, render: Callable[[], str]) -> str:
        """Our own template as it is; somebody else's in a process of its own, which may not run or grow for ever."""
        if not self.foreign:
            return render()
        return _in_child(render, self.where)

    def _grid(self, table: Table, limit: int | None = None) -> Made:
        limit = self.budget.rows if limit is None else limit
        return Made(markdown.grid(table, limit=limit) if limit else "")

    def _results(self, table: Table, report: Report) -> Made:
        """A folded table; one of results looks as it does on the first screen, with all its rows."""
        if table.column("head") is None:
            return self._grid(table)
        return Made(results_table(table, report, self.budget.rows, first=False))

    def _figure(self, figure: Figure) -> Made:
        return Made(self.draw(figure))


def _in_child(render: Callable[[], str], where: str) -> str:
    """The text that ``render`` gives in a forked process, within limits of time, memory and size.

    A template can ask for nested loops without end or for strings of any length, which no sandbox of Jinja2 counts.

    Raises
    ------
    InputError
        If it takes longer, needs more, or fails; the message of a failure is that of the template.
    """
    receive, send = multiprocessing.get_context("fork").Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        receive.close()
        answer: tuple[str, Any] = ("memory", None)
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (MAX_TEMPLATE_SECONDS, MAX_TEMPLATE_SECONDS + 1))
            _limit_memory()
            text = render()
            answer = ("text", text) if len(text) <= MAX_TEMPLATE_TEXT else ("memory", None)
        except MemoryError:
            pass
        except BaseException as error:
            answer = ("error", (str(error)[:1_000], getattr(error, "lineno", None)))
        with suppress(BaseException):
            send.send(answer)
        os._exit(0)
    send.close()
    try:
        told: tuple[str, Any] = receive.recv() if receive.poll(2 * MAX_TEMPLATE_SECONDS) else ("time", None)
    except (EOFError, OSError):
        told = ("time", None)
    finally:
        receive.close()
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    kind, value = told
    if kind == "text":
        return str(value)
    message, line = value if value is not None else (_LIMITS[kind], None)
    raise InputError(
        f"cannot be rendered: {message}",
        where=f"{where}:{line}" if line else where,
        hint="docs/report.md lists the values that a template gets",
        code="invalid-template",
    )


def _limit_memory() -> None:
    """Room for a report beside what this process has already; where the system does not tell or keep it, none."""
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + MAX_TEMPLATE_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _renderer(draw: Draw, template: Path | None) -> _Renderer:
    return _Renderer(draw, template)


def _finalize(value: Any) -> Any:
    if isinstance(value, Made):
        return value
    if value is None:
        return ""
    return markdown.prose(str(value))


def _tidy(text: str) -> str:
    """At most one empty line in a row outside code blocks, no space at line ends, one newline at the end."""
    lines: list[str] = []
    fenced = ""
    for line in text.split("\n"):
        bare = line.rstrip()
        if fenced:
            if bare == fenced:
                fenced = ""
        elif bare.startswith("```"):
            fenced = bare[: len(bare) - len(bare.lstrip("`"))]
        if not fenced and not bare and lines and not lines[-1]:
            continue
        lines.append(bare)
    return "\n".join(lines).strip("\n") + "\n"


def _is_bad(cell: Cell) -> bool:
    return _word(cell) in _BAD


def _loss(row: Sequence[Cell], table: Table) -> float:
    """How much a row changed, as a share of the base; 0 where that cannot be told."""
    base, head = (row[i] if i is not None else None for i in (table.column("base"), table.column("head")))
    if not isinstance(base, int | float) or not isinstance(head, int | float) or not base:
        return 0.0
    return abs(head - base) / abs(base)


def _worst_first(table: Table, result: int | None) -> list[list[Cell]]:
    """The rows: bad ones by the size of their loss, then the others as they are, those that are the same last."""
    if result is None:
        return list(table.rows)
    # What has no better and worse (a stock, a flux) stays in its order of importance: its size is no loss.
    bad = sorted(
        (row for row in table.rows if _is_bad(row[result])),
        key=lambda row: 0.0 if _word(row[result]).endswith("declared") else -_loss(row, table),
    )
    rest = [row for row in table.rows if not _is_bad(row[result])]
    return [*bad, *sorted(rest, key=lambda row: _word(row[result]) == "same")]


def _word(cell: Cell) -> str:
    return str(cell).strip().lower()


def _tally(table: Table, result: int | None) -> str:
    """ "18 worse · 12 better of 30": for a table of more rows than the first screen has.

    It stands in the line below the table, which is there anyway: a line more above it would push what is to do off the
    first screen.
    """
    words = Counter(_word(row[result]) for row in table.rows if result is not None and row[result])
    if len(table.rows) <= ROWS or len(words) < 2:
        return ""
    order = sorted(words, key=lambda word: (word == "same", not _is_bad(word), word != "better"))
    counted = " · ".join(f"{words[word]:,} {'the same' if word == 'same' else markdown.escape(word)}" for word in order)
    return f"{counted} of {len(table.rows):,}; "


def _headings(table: Table, report: Report) -> list[str]:
    """Column titles; those of base and head name branch and commit, the first column the benchmark."""
    titles: list[str] = []
    for index, column in enumerate(table.columns):
        name, sha = column.name, None
        if column.role == "base":
            name, sha = report.base_label or report.facts.base_name, report.base_sha
        elif column.role == "head":
            name, sha = "this PR" if report.facts.pull_request else "this change", report.head_sha
        text = markdown.escape(name)
        if sha:
            text += f" {markdown.code(sha[:7])}"
        if index == 0 and report.benchmark and column.type == "text":
            text = markdown.escape(report.benchmark)
        titles.append(f"{text} ({markdown.escape(column.unit)})" if column.unit else text)
    return titles


def _shared_decimals(cells: Sequence[Cell], change: Cell = None) -> int | None:
    """Decimals of the values of both sides: those of their difference, so that a reader who subtracts gets it.

    Where the difference is zero or not told, as many as :func:`flint_ml.text.numbers.decimals` gives; None where there
    is only one value.
    """
    values = [cell for cell in cells if isinstance(cell, int | float) and not isinstance(cell, bool)]
    if len(values) < 2:
        return None
    told = _DIFFERENCE.match(change) if isinstance(change, str) else None
    if told and (told["decimals"] or told["whole"].strip("0,")):
        return min(len(told["decimals"] or ""), numbers.MOST_DECIMALS)
    return numbers.decimals(*values)


def _shown(cell: Cell, column: Column, bold: bool, decimals: int | None = None) -> str:
    if isinstance(cell, bool):
        text = "yes" if cell else "no"
    elif isinstance(cell, int | float):
        text = numbers.number(cell) if decimals is None else numbers.fixed(cell, decimals)
    else:
        text = markdown.escape("–" if cell is None else cell[:300])
    if column.role in ("change", "result", "tolerance", "interval"):
        text = text.replace(" ", "\u00a0")
    if column.role == "tolerance":
        # A range may break in its middle: seven columns must fit where a comment is 860 pixels wide.
        text = text.replace("…\u00a0", "… ")
    if not bold or not text.strip() or not isinstance(cell, str | int | float):
        return text
    name, bracket, rest = text.partition(" (")
    return f"**{name}**{bracket}{rest}"


def _is_number(column: Column) -> bool:
    return column.type == "number" or column.role in ("change", "interval", "tolerance")


def results_table(table: Table, report: Report, limit: int = ROWS, *, first: bool = True) -> str:
    """A table of results with marks and commits; on the first screen five rows at most, what is bad in bold."""
    from tabulate import tabulate

    head, change, result = table.column("head"), table.column("change"), table.column("result")
    rows = _worst_first(table, result)[:ROWS] if first else table.rows[:limit]
    # What is bad catches the eye, wherever it stands; else what matters most.
    loud = {number for number, row in enumerate(rows) if result is not None and _is_bad(row[result])} or {0}
    strong = {0} if head is None else {0, head}
    pair = {index for index in (table.column("base"), head) if index is not None}
    # The word of the result is last, and its mark stands before the name, where a narrow screen begins.
    order = [i for i in range(len(table.columns)) if i != result] + ([result] if result is not None else [])
    cells = []
    for number, row in enumerate(rows):
        bold = strong if first and number in loud else set()
        decimals = _shared_decimals([row[i] for i in sorted(pair)], row[change] if change is not None else None)
        line = [_shown(row[i], table.columns[i], i in bold, decimals if i in pair else None) for i in order]
        mark = _RESULT_MARKS.get(_word(row[result])) if result is not None else None
        cells.append([f"{mark} {line[0]}" if mark else line[0], *line[1:]])
    align: Sequence[str] = ["right" if _is_number(table.columns[i]) else "left" for i in order]
    headings = _headings(table, report)
    titles = [headings[i] for i in order]
    text = str(tabulate(cells, titles, "pipe", colalign=align if rows else None, disable_numparse=True))
    more = len(table.rows) - len(rows)
    words = (
        f"{_tally(table, result)}{numbers.count(more, 'more row')} below" if first else numbers.count(more, "more row")
    )
    return f"{text}\n\n<sub>{words}</sub>" if more > 0 else text
