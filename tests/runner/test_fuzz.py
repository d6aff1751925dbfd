"""Anything in settings, records, comments and archives: no traceback, no file elsewhere, no command to the runner.

Seconds in CI; for longer give a number of examples: ``FLINT_ML_FUZZ=20000 pytest tests/runner/test_fuzz.py``.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flint_ml.commands import load, names
from flint_ml.github import comments
from flint_ml.report import unpack
from flint_ml.runner import Commands, Context, dashed, run_action
from helpers.records import HEAD, make

EXAMPLES = int(os.environ.get("FLINT_ML_FUZZ", "0"))
LINE_ENDS = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# The forms in which the runner reads a command out of a log: actions/runner, ActionCommand.cs, TryParse and TryParseV2.
NEW_FORM = re.compile(r"^\s*::(?P<name>[^\s:]+)(?:\s[^\n]*?)?::")
OLD_FORM = re.compile(r"##\[(?P<name>[^\]]+)\]")
OWN = re.compile(r"^::(?:error|warning|notice|group|endgroup|add-mask)(?: [^\n]*?)?::")

HOSTILE = st.one_of(
    st.sampled_from(
        [
            "##[error]x",
            "a\n::set-env name=X::y",
            "\r  ::stop-commands::t",
            "\u2028::error::x",
            "../../../etc/passwd",
            "/etc/passwd",
            "-> --upload-pack=x",
            "{{ 7 * 7 }}{% for i in range(10) %}",
            "<!-- flint-ml-report {} -->",
            "| | |\n|---|",
            "```\n</details><script>alert(1)</script>",
            "@everyone #1 \u202eabc\u0000",
            "x" * 3_000,
            "\ud800",
            "",
        ]
    ),
    st.text(max_size=30),
)
NUMBERS = st.one_of(st.integers(-(10**20), 10**20), st.floats(allow_nan=True, allow_infinity=True))
LEAVES = st.one_of(HOSTILE, NUMBERS, st.booleans(), st.none())
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(HOSTILE, inner, max_size=3)),
    max_leaves=8,
)


def quick(count: int):
    return settings(
        max_examples=EXAMPLES or count,
        deadline=None,
        database=None,
        derandomize=not EXAMPLES,
        suppress_health_check=list(HealthCheck),
    )


def harmless(log: str) -> None:
    for line in LINE_ENDS.split(log):
        assert not OLD_FORM.search(line), line
        assert OWN.match(line) or not NEW_FORM.match(line), line


def act(name: str, folder: Path, **inputs: str) -> tuple[int, str]:
    out, err = io.StringIO(), io.StringIO()
    env = {"GITHUB_STEP_SUMMARY": str(folder.parent / "summary"), "GITHUB_OUTPUT": str(folder.parent / "output")}
    commands = Commands(on_github=True, stdout=out, stderr=err, env=env)
    context = Context(on_github=True, workspace=folder, head_sha=HEAD, run_id="77", run_number=12)
    code = run_action(load(name), inputs, env=env, context=context, commands=commands, known=names())
    log = out.getvalue() + err.getvalue()
    assert "Traceback" not in log, log
    assert code in (0, 1, 2, 3)
    harmless(log)
    summary = folder.parent / "summary"
    if summary.exists():
        harmless(summary.read_text(encoding="utf-8"))
    return code, log


def place() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-")) / "work"
    folder.mkdir()
    return folder


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() or path.is_symlink()}


SECTIONS = {
    name: [dashed(key) for key in (load(name).settings or load(name).inputs).model_fields]
    for name in ("gate", "check-drift", "compare-metrics", "post-report", "pull-data", "register-model", "record")
}
SECTION = st.sampled_from(sorted(SECTIONS)).flatmap(
    lambda name: st.tuples(
        st.one_of(st.just(name), HOSTILE),
        st.dictionaries(st.one_of(st.sampled_from(SECTIONS[name]), HOSTILE), ANYTHING, max_size=4),
    )
)
DOCUMENT = st.one_of(
    st.lists(SECTION, max_size=4).map(lambda pairs: json.dumps(dict(pairs))),
    ANYTHING.map(json.dumps),
    st.text(alphabet=st.sampled_from(list("ab:-[]{}&*!|>#'\"\n \t%@,?\u2028\x00")), max_size=60),
)


@quick(40)
@example(text='{"\\ud800": null}', action="check-drift")
@example(text='{"check-drift": {"\\ud800": null}}', action="check-drift")
@given(text=DOCUMENT, action=st.sampled_from(["gate-plan", "post-report", "check-drift"]))
def test_settings(text: str, action: str) -> None:
    folder = place()
    (folder / "flint-ml.yml").write_text(text, encoding="utf-8", errors="surrogatepass")
    act(action, folder, **({"publisher": "none"} if action == "post-report" else {}))
    outside = files_of(folder.parent) - {f"work/{name}" for name in files_of(folder)} - {"summary", "output"}
    assert outside == set()
    assert all(name.startswith("flint-ml-results/") or name == "flint-ml.yml" for name in files_of(folder))
    shutil.rmtree(folder.parent)


def paths_of(value: Any, path: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deep for key, item in inner for deep in paths_of(item, (*path, key)))]


WHOLE = json.loads(
    make(
        "compare-metrics",
        message="better",
        headline="better: RMSE 1.5 → 1.3",
        findings=[{"severity": "warning", "code": "x", "message": "m", "hint": "h"}],
        tables=[{"title": "T", "columns": [{"name": "a", "role": "base"}], "rows": [["x"]]}],
        log=["line"],
        reproduce=["make"],
        figures=[{"title": "E", "alt": "a", "path": "compare-metrics/e.png"}],
        changes={"data": [{"path": "a.csv", "change": "modified"}], "code": ["a.py"]},
    ).to_json()
)
PATHS = [path for path in paths_of(WHOLE) if path]


@quick(40)
@given(changes=st.lists(st.tuples(st.sampled_from(PATHS), ANYTHING), min_size=1, max_size=4), cut=st.integers(0, 60))
def test_records(changes: list[tuple[tuple, Any]], cut: int) -> None:
    folder = place()
    record = json.loads(json.dumps(WHOLE))
    for path, value in changes:
        inner: Any = record
        try:
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
        except (LookupError, TypeError):
            continue
    text = json.dumps(record)
    results = folder / "flint-ml-results"
    results.mkdir()
    (results / "compare-metrics.json").write_text(
        text[: -cut or None] if cut % 7 == 0 else text, errors="surrogatepass"
    )
    act("post-report", folder, publisher="none")
    report = results / "report.md"
    if report.exists():
        harmless(report.read_text())
        assert "<script" not in report.read_text()
        assert "<script>alert" not in (results / "report.html").read_text()
    assert files_of(folder.parent) <= {f"work/{n}" for n in files_of(folder)} | {"summary", "output"}
    shutil.rmtree(folder.parent)


class Said:
    """As much of the client as reading a conversation takes."""

    logins = ("github-actions[bot]",)

    def __init__(self, bodies: list[str]) -> None:
        self.bodies = bodies

    def pages(self, _path: str, **_query: Any) -> list[dict[str, Any]]:
        users = [{"login": "lead", "type": "User"}, {"login": "github-actions[bot]", "type": "Bot"}]
        return [{"body": body, "user": users[n % 2], "created_at": "2026-01-01"} for n, body in enumerate(self.bodies)]

    def get(self, path: str, **_query: Any) -> dict[str, Any]:
        return {"permission": "write"} if "permission" in path else {"labels": []}


PARTS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                f"/flint-ml accept-drift {HEAD[:7]} why",
                "/flint-ml accept-drift",
                "```\n",
                "> ",
                "<!-- ",
                " -->",
                "<details>",
                "\n\n",
                "\n",
                "    ",
                "- ",
                "`",
                "[x](y)",
                '<!-- flint-ml-report {"key":"k","run_number":1e999,"run_attempt":[],"head":{}} -->',
                "<!-- flint-ml-report {} -->",
            ]
        ),
        HOSTILE,
    ),
    max_size=8,
).map("".join)


@quick(150)
@given(bodies=st.lists(PARTS, max_size=4))
def test_comments(bodies: list[str]) -> None:
    told = comments.read(Said(bodies), 7, "k", HEAD)  # type: ignore[arg-type]
    for accepted in told.accepted:
        assert HEAD.startswith(accepted.commit)
        assert len(accepted.commit) >= 7
        assert any(f"accept-{accepted.what}" in body for body in bodies[::2]), "only people accept"


ENTRY = st.one_of(
    st.sampled_from(
        ["train.json", "train/e.png", "../x.json", "/x.json", "a/../../x.json", "a\\..\\x.json", "C:x.json"]
    ),
    st.sampled_from(["post-report.json", ".json", "a/b/c.png", "train/../x.png", "x.json/", "\u202e.json", "con.json"]),
    st.text(min_size=1, max_size=20),
)
CONTENT = st.one_of(st.binary(max_size=60), st.just(b"\x89PNG\r\n\x1a\n" + bytes(40)), st.just(b"{}"))


@quick(100)
@given(entries=st.lists(st.tuples(ENTRY, CONTENT), max_size=5), noise=st.binary(max_size=20), at=st.integers(0, 400))
def test_archives(entries: list[tuple[str, bytes]], noise: bytes, at: int) -> None:
    folder = place()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name.encode("utf-8", "replace").decode()), content)
    data = bytearray(packed.getvalue())
    data[at : at + len(noise)] = noise
    problems = unpack(bytes(data), folder / "results")
    assert all(isinstance(problem, str) for problem in problems)
    assert files_of(folder.parent) <= {f"work/results/{name}" for name in files_of(folder / "results")}
    for name in files_of(folder / "results"):
        assert re.fullmatch(r"[A-Za-z0-9][\w.-]*\.json|[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*\.png", name), name
    shutil.rmtree(folder.parent)
