"""Records that mean harm: every text of a record holds a payload, and records of wild shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flint_ml.record import Record
from helpers.records import make

PAYLOADS = {
    "script": "<script>alert(1)</script>",
    "script in capitals": "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "img onerror": "<img src=x onerror=alert(1)>",
    "svg onload": "<svg/onload=alert(1)>",
    "iframe": '<iframe src="https://evil.example"></iframe>',
    "style": "<style>*{display:none}</style>",
    "closing details": "</summary></details></main></body><h1>Approve</h1>",
    "comment start": "<!-- hidden from here",
    "comment end": "--> shown --!> <!--",
    "cdata": "]]><![CDATA[<b>x</b>]]>",
    "textarea": "<textarea><title><plaintext>",
    "attribute break": '" onmouseover="alert(1)" x=\'',
    "attribute break, single": "' onload='alert(1)",
    "entity script": "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62; &#x3c;i&#x3e;",
    "javascript link": "[click](javascript:alert(1))",
    "data link": "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "link": "[merge me](https://evil.example/phish)",
    "reference link": "[x]: https://evil.example\n\n[x]",
    "image": "![x](https://evil.example/track.png)",
    "image with title": '![x](https://evil.example/a.png "title")',
    "autolink": "<https://evil.example> <a@evil.example>",
    "bare links": "https://evil.example http://evil.example www.evil.example ftp://evil.example mailto:a@b.example",
    "nested image link": "[![x](https://e.example/i.png)](https://e.example)",
    "mention": "@torvalds please approve",
    "team mention": "cc @moja-global/maintainers @everyone",
    "closing keywords": "Fixes #1, closes #2, resolves moja-global/flint#3",
    "issue references": "#123 GH-7 o/r#9 https://github.com/o/r/issues/1",
    "commit reference": "o/r@e4f5a6b0000000000000000000000000000000aa",
    "heading": "\n# 🟢 Approve: all is fine\n",
    "setext heading": "Approve\n=======\n",
    "fake decision": "\n\n## 🟢 Approve: forged\n\n✅ Metrics: better\n",
    "horizontal rule": "\n\n---\n\n***\n",
    "block quote": "\n> quoted\n",
    "list": "\n- [x] approved\n- [ ] not\n1. one\n",
    "code fence": "\n```\n</details>\n```\n",
    "long code fence": "\n``````text\nx\n~~~\n",
    "mermaid fence": '\n```mermaid\nflowchart LR\n  A-->B\n  click A "javascript:alert(1)"\n```\n',
    "mermaid breakout": '"]\n  end\n%%{init: {"securityLevel":"loose"}}%%\nclick x href "javascript:alert(1)"',
    "backticks": "`` ` ``` ` ``",
    "table break": "a | b | c |\n|---|---|---|\n| d",
    "escaped pipe": "a \\| b \\\\| c",
    "emphasis": "**bold** _em_ ~~gone~~ ***x*** __y__",
    "math": "$\\href{javascript:alert(1)}{x}$ $$\\unicode{x3c}$$",
    "footnote": "[^1] x\n\n[^1]: https://evil.example",
    "html entity mention": "&#64;torvalds &commat;torvalds",
    "right to left": "safe\u202etxt.exe\u202c \u2066x\u2069 \u200fy",
    "zero width": "app\u200brove \ufeffx \u2060 \u00ad \u180e",
    "zalgo": "Z" + "\u0301\u0302\u0303\u0304" * 200,
    "homoglyph": "Аррrove раsѕed",
    "nul and controls": "a\x00b\x07c\x1b[31mred\x1b[0m\x7f\x9b31m",
    "line separators": "one\u2028two\u2029three\x85four\x0bfive\x0csix",
    "tag characters": "x" + "".join(chr(0xE0000 + ord(c)) for c in "evil"),
    "carriage returns": "one\rtwo\r\nthree\r\r\nfour",
    "workflow command": "::set-output name=decision::approve\n::error::x\n##[error]x",
    "expression": "${{ secrets.GITHUB_TOKEN }} $(id) `id` ; rm -rf / #",
    "template": "{{ ''.__class__.__mro__ }} {% include '/etc/passwd' %} {# x #} ${7*7}",
    "our marker": '<!-- flint-ml-report {"key":"soil","run_number":999,"run_attempt":1,"head":"x"} -->',
    "cml watermark": '![](https://cml.dev/watermark.png#abc "CML watermark soil")',
    "path traversal": "../../../../etc/passwd",
    "windows path": "C:\\Windows\\System32\\..\\x",
    "long word": "A" * 450,
    "long text": "word " * 3000,
    "many pipes": "|" * 400,
    "many brackets": "[" * 200 + "](" * 100,
    "only spaces": "   \t  ",
    "empty": "",
    "emoji": "🟢✅ Approve 👍🏽 👩‍🔬",
    "surrogate-like": "\\ud800 \ufffd",
}


def _cut(text: str, length: int) -> str:
    return text[:length]


def poisoned(text: str) -> Record:
    """A record whose every free text is ``text``."""
    more: dict[str, Any] = {
        "headline": _cut(text, 500),
        "metrics": {_cut(text, 50): {"value": 1.0, "unit": _cut(text, 50), "note": text[:20_000]}},
        "tables": [
            {
                "title": _cut(text, 300),
                "columns": [
                    {"name": "metric"},
                    {"name": _cut(text, 200), "unit": _cut(text, 50), "role": "head"},
                    {"name": "result", "role": "result"},
                ],
                "rows": [[text, text, text]] * 8,
            }
        ],
        "figures": [
            {
                "title": _cut(text, 300),
                "alt": _cut(text, 1000),
                "path": "evil/figure.png",
                "fallback": {
                    "kind": "line",
                    "x": [text, "b", text],
                    "series": [{"name": _cut(text, 100), "y": [1, 2, None]}],
                },
            }
        ]
        * 2,
        "findings": [{"severity": "warning", "code": "x", "message": text[:20_000], "hint": text[:20_000]}] * 3,
        "details": {text[:100]: text, "list": [text, text]},
        "spoken": text[:200],
        "advice": text[:1000],
        "verdict": "worse",
        "reproduce": [text[:10_000]],
        "log": [text[:2000], text[:2000]],
        "fingerprint": text[:200],
        "base": {"kind": "file", "label": text[:300], "how": text[:1000], "named": text[:300], "commit": text[:100]},
        "benchmark": {"name": text[:300], "path": text[:1000], "n": 3, "same": False},
        "badges": [{"label": text[:100], "message": text[:200], "status": "warned"}],
        "coverage": [
            {
                "kind": "columns",
                "state": "left-out",
                "name": text[:300] or "-",
                "why": text[:2000] or "-",
                "hint": text[:2000],
            }
        ],
        "changes": {
            "params": [{"path": text[:1000], "base": text, "head": text}],
            "data": [{"path": text[:1000], "change": text[:1000]}],
            "code": [text],
            "gate": [text],
        },
    }
    record = make("train", "failed", message=_cut(text, 200), **more)
    record.badge.label = _cut(text, 100)
    record.provenance.tool = text
    record.provenance.versions = {text[:100]: text}
    record.provenance.started = text
    return record


def wild() -> Iterator[tuple[str, Record]]:
    """Records of wild shapes that the schema allows."""
    columns = [{"name": f"c{i}", "type": "number"} for i in range(100)]
    yield "wide table", make("wide", tables=[{"title": "t", "columns": columns, "rows": [[1.5] * 100] * 50}])
    rows = [["x" * 60, 1.5]] * 20_000
    two = [{"name": "a"}, {"name": "b", "type": "number"}]
    yield "long table", make("long", tables=[{"title": "t", "columns": two, "rows": rows}])
    yield "many tables", make("many", tables=[{"title": "t", "columns": two, "rows": rows[:5]}] * 300)
    finding = {"severity": "warning", "code": "x", "message": "m" * 5000}
    yield "many findings", make("findings", "warned", findings=[finding] * 500)
    figure = {"title": "t", "alt": "a", "path": "x/y.png"}
    x = [str(i) for i in range(2000)]
    fallback = {"kind": "line", "x": x, "series": [{"name": "s", "y": [float(i) for i in range(2000)]}] * 20}
    yield "many figures", make("figures", figures=[{**figure, "fallback": fallback}] * 60)
    yield "empty figure", make("e", figures=[{**figure, "fallback": {"kind": "line", "x": [], "series": []}}])
    yield "empty table", make("t", tables=[{"title": "", "columns": [], "rows": []}])
    deep: Any = "x"
    for _ in range(200):
        deep = {"d": deep}
    yield "deep details", make("deep", details={"d": deep}, changes={"params": [{"path": "a", "head": deep}]})
    nothing = {"changes": {}, "benchmark": {}, "base": {}, "verdict": "changed"}
    yield "empty parts", make("nothing", **nothing)
    numbers = [[1e308, -1e-308, 0.0, None, True], [5e-324, 1.0, -0.0, 123456789012345678, False]]
    roles = (None, "base", "head", "change", "result")
    five = [{"name": str(role), "type": "number", "role": role} for role in roles]
    yield "extreme numbers", make("numbers", tables=[{"title": "t", "columns": five, "rows": numbers}])
    yield "many lines", make("lines", "failed", log=["x" * 2000] * 400)
    lots = [{"path": f"p{i}", "base": i, "head": i + 1} for i in range(3000)]
    yield (
        "many changes",
        make("changes", changes={"params": lots, "code": [f"f{i}.py" for i in range(3000)]}),
    )


def corpus() -> dict[str, Record]:
    """Every hostile record by its name."""
    return {**{name: poisoned(text) for name, text in PAYLOADS.items()}, **dict(wild())}
