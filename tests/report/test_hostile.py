"""Whatever a record holds, the comment stays harmless, whole and readable."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser

import pytest

from flint_ml.decision import decide
from flint_ml.record import Record
from flint_ml.report import Facts, build, figures
from flint_ml.report.html import to_html
from flint_ml.report.render import MAX_BODY, to_markdown
from flint_ml.runner.workflow_commands import Commands
from helpers.records import make
from report.hostile import PAYLOADS, corpus

CORPUS = corpus()
RUN_URL = "https://github.com/o/r/actions/runs/77"
GUIDE = "https://github.com/o/r/blob/main/SOP.md"
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "script",
    "body",
    "main",
    "h1",
    "h2",
    "p",
    "br",
    "strong",
    "em",
    "code",
    "pre",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "ul",
    "li",
    "details",
    "summary",
    "sub",
    "a",
}
VOID = {"meta", "br", "img"}


class Page(HTMLParser):
    """Collects tags, attributes and the text outside code."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.heads: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("h1", "h2"):
            self.heads.append("")

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"code", "style", "title", "script"} & set(self.open):
            self.text += data
        if self.open and self.open[-1] in ("h1", "h2"):
            self.heads[-1] += data


def render(*found: Record) -> tuple[str, Page]:
    decision = decide([make("pull-data"), *found], ("pull-data",))
    report = build(decision, Facts(run_url=RUN_URL, guide_url=GUIDE, pull_request=3, head_sha="e" * 40))
    text = to_markdown(report, figures.drawn("in the results"))
    page = Page()
    page.feed(to_html(text, report.reason))
    page.close()
    return text, page


@cache
def rendered(name: str) -> tuple[str, Page]:
    return render(CORPUS[name])


def test_the_corpus_is_large_enough():
    assert len(CORPUS) >= 60


@pytest.mark.parametrize("name", CORPUS)
def test_the_comment_is_harmless_and_whole(name):
    text, page = rendered(name)
    assert len(text) <= MAX_BODY
    assert page.open == []
    assert [tag for tag, _ in page.tags].count("script") == 1, "only our own"
    assert {tag for tag, _ in page.tags} <= TAGS
    for tag, attributes in page.tags:
        assert not any(key.startswith("on") for key in attributes), (tag, attributes)
        if tag == "a":
            assert attributes["href"] in (RUN_URL, GUIDE)
    heads = [head for head in page.heads if head.strip()]
    assert len(heads) == 1, "a record made a heading of its own"
    assert heads[0].startswith(("🔴 Request changes", "🟡 Review", "🟢 Approve"))
    assert not re.search(r"(?<![\w`])@\w", page.text), "a mention"
    assert not re.search(r"#\d", page.text), "an issue reference"
    assert not re.search(r"\bGH-\d", page.text), "an issue reference"
    assert not re.search(r"(?i)\b(https?|ftp|mailto):|\bwww\.", page.text), "a link"
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff\u2028\u2029\x00-\x08\x0b-\x1f]", text)
    assert "Reproduce this" in page.text
    assert "Advice, not a merge" in page.text


@pytest.mark.parametrize("name", CORPUS)
def test_no_line_of_it_is_a_workflow_command(name, capsys):
    text, _ = rendered(name)
    Commands(on_github=True, env={}).say(text)
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if line.lstrip().startswith(("::", "##["))]


def test_all_of_them_at_once():
    found = []
    for number, record in enumerate(CORPUS.values()):
        copy = record.model_copy(update={"name": f"r{number}"})
        found.append(copy)
    text, page = render(*found)
    assert len(text) <= MAX_BODY
    assert page.open == []
    assert "Shortened to fit" in page.text


@pytest.mark.parametrize("name", ["mermaid fence", "mermaid breakout", "script", "code fence", "long text"])
def test_a_diagram_holds_data_only(name):
    payload = PAYLOADS[name]
    figure = figures.Figure.model_validate(
        {
            "title": payload[:300],
            "alt": "a",
            "path": "x.png",
            "fallback": {"kind": "line", "x": [payload, "b"], "series": [{"name": payload[:100], "y": [1, 2]}]},
        }
    )
    diagram = figures.mermaid(figure)
    body = diagram.split("```")[1]
    assert diagram.count("```") == 2
    assert len(body.splitlines()) == 7
    # All that is quoted is on one line, with its quotes in pairs, and no statement but our own is there.
    for line in body.splitlines()[2:]:
        assert line.count('"') % 2 == 0
        assert line.split()[0] in ("xychart-beta", "title", "x-axis", "y-axis", "line")
