"""The plots that ``dvc.yaml`` declares, of the base and of the working tree, as ``dvc plots diff`` gives them."""

from __future__ import annotations

import json
import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from flint_ml.text.secrets import is_secret

Kind = Literal["line", "scatter", "bar", "confusion", "image"]
SECONDS = 120
MAX_POINTS = 20_000
_HERE = "workspace"
# DVC starts Git; neither needs a secret for what is in the clone and in the cache.
_ADDED = {"rev", "filename", "field"}
_TRAINING = re.compile(r"(^|[^a-z])train", re.I)


@dataclass(frozen=True)
class Plot:
    """One series of a plot: points of both sides by column (``head``, ``base``; empty: not there), or a picture."""

    title: str
    kind: Kind
    x: str = ""
    y: str = ""
    head: list[dict[str, Any]] = field(default_factory=list)
    base: list[dict[str, Any]] = field(default_factory=list)
    picture: Path | None = None


def collect_plots(folder: Path, base: str | None, scratch: Path, env: Mapping[str, str] | None = None) -> list[Plot]:
    """The plots of the project in ``folder``; pictures are written below ``scratch``. Nothing is fetched.

    Raises
    ------
    OSError, ValueError, subprocess.SubprocessError
        If DVC fails: plots are an extra, and whoever asks decides what that means.
    """
    command = [sys.executable, "-m", "dvc", "plots", *(["diff", base] if base else ["show"])]
    command += ["--json", "--split", "--out", str(scratch)]
    clean = {
        key: value
        for key, value in (os.environ if env is None else env).items()
        if not key.startswith("INPUT_") and not is_secret(key)
    }
    result = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
        env={**clean, "DVC_NO_ANALYTICS": "1", "PYTHONWARNINGS": "ignore"},
    )
    return parse(json.loads(result.stdout), base)


def parse(data: Any, base: str | None) -> list[Plot]:
    """The plots in what ``dvc plots diff --json --split`` prints; what is of another form is left out."""
    found: list[Plot] = []
    listed = data.get("data") if isinstance(data, dict) else None
    for name, parts in listed.items() if isinstance(listed, dict) else []:
        for part in parts if isinstance(parts, list) else []:
            if not isinstance(part, dict):
                continue
            if part.get("type") == "image":
                picture = _picture(str(name), part)
                found += [picture] if picture else []
            else:
                found += _points(str(name), part, base)
    return found


def _picture(name: str, part: Mapping[str, Any]) -> Plot | None:
    if part.get("revisions") != [_HERE] or not isinstance(part.get("url"), str):
        return None
    return Plot(_title(name), "image", picture=Path(part["url"]))


def _points(name: str, part: Mapping[str, Any], base: str | None) -> list[Plot]:
    """One plot for each series: rows of another file or column (`train.json`, `test.json`) are another line."""
    content, anchors = part.get("content"), part.get("anchor_definitions")
    if not isinstance(content, dict) or not isinstance(anchors, dict):
        return []
    rows = [row for row in anchors.get("<DVC_METRIC_DATA>") or [] if isinstance(row, dict)][:MAX_POINTS]
    if not rows:
        return []
    columns = [key for key in rows[0] if key not in _ADDED]
    encoding = content.get("encoding") or {}
    x = _column((encoding.get("x") or {}).get("field"), anchors.get("<DVC_METRIC_X_LABEL>"), columns, 0)
    y = _column((encoding.get("y") or {}).get("field"), anchors.get("<DVC_METRIC_Y_LABEL>"), columns, -1)
    kind = _kind(content)
    if kind == "bar":
        # DVC's bars lie: what they stand for is on the y-axis.
        x, y = y, x
    title = _title(str(anchors.get("<DVC_METRIC_TITLE>") or name))
    series: dict[tuple[str, str], dict[Any, list[dict[str, Any]]]] = {}
    for row in rows:
        sides = series.setdefault((str(row.get("filename", "")), str(row.get("field", ""))), {})
        sides.setdefault(row.get("rev"), []).append(row)
    names = {key: _series_name(key, series) for key in series}
    return [
        Plot(f"{title}: {names[key]}" if names[key] else title, kind, x, y, sides.get(_HERE, []), sides.get(base, []))
        # A training curve says least of a model: it stands last.
        for key, sides in sorted(series.items(), key=lambda item: bool(_TRAINING.search(names[item[0]])))
    ]


def _series_name(key: tuple[str, str], series: Collection[tuple[str, str]]) -> str:
    """What tells a line from the others of its plot: its file without ending and its column; empty: it is alone."""
    file, column = key
    several_files = len({each for each, _ in series}) > 1
    several_columns = len({each for _, each in series}) > 1
    parts = [posixpath.splitext(file)[0] if several_files else "", column if several_columns else ""]
    return ", ".join(part for part in parts if part)[:60]


def _column(field_: Any, label: Any, columns: list[str], place: int) -> str:
    """The column that the template draws: what it names, what its axis is called, else by place."""
    return next((str(name) for name in (field_, label) if name in columns), columns[place] if columns else "")


def _kind(content: Mapping[str, Any]) -> Kind:
    """What DVC's template draws, by its form."""
    if "facet" in content and "aggregate" in json.dumps(content.get("spec")):
        return "confusion"
    mark = content.get("mark")
    name = mark.get("type") if isinstance(mark, dict) else mark
    return {"point": "scatter", "circle": "scatter", "bar": "bar"}.get(str(name), "line")  # type: ignore[return-value]


def _title(name: str) -> str:
    return name.rpartition("::")[2][:120] or name[:120]
