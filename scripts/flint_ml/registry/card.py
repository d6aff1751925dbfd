"""The model card and the files that go into the registry beside a model."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from tabulate import tabulate

from flint_ml.record import Record
from flint_ml.registry.model_files import ModelFiles
from flint_ml.registry.version import Source
from flint_ml.text import markdown
from flint_ml.text.yaml import parse_yaml

_PICTURE_TYPES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".svg": "svg+xml"}
_STYLE = (
    "<style>body{font:15px/1.5 sans-serif;max-width:60em;margin:1em auto;padding:0 1em}"
    "td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}table{border-collapse:collapse}"
    "img{max-width:100%}pre{background:rgba(127,127,127,.12);padding:.7em}</style>"
)
MAX_FIGURES, MAX_FIGURE_BYTES, MAX_ROWS = 30, 5 * 1024 * 1024, 40
# Environment, pipeline, licence and citation, where a project has them.
PROJECT_FILES = (
    "requirements.txt",
    "environment.yml",
    "conda.yaml",
    "pyproject.toml",
    "uv.lock",
    "poetry.lock",
    "renv.lock",
    "sessionInfo.txt",
    ".python-version",
    "dvc.yaml",
    "dvc.lock",
    "params.yaml",
    "flint-ml.yml",
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "CITATION.cff",
)


@dataclass(frozen=True)
class Rights:
    """Licence (SPDX name), title and DOI, as CITATION.cff gives them."""

    licence: str = ""
    title: str = ""
    doi: str = ""


def read_rights(folder: Path) -> Rights:
    """Read ``CITATION.cff`` in ``folder``; empty where there is none.

    Raises
    ------
    InputError
        If the file is not YAML.
    """
    path = folder / "CITATION.cff"
    if not path.is_file():
        return Rights()
    data = parse_yaml(path.read_text(encoding="utf-8-sig", errors="replace"), "CITATION.cff")
    if not isinstance(data, dict):
        return Rights()
    licence = data.get("license") or ""
    text = ", ".join(map(str, licence)) if isinstance(licence, list) else str(licence)
    return Rights(text, str(data.get("title") or ""), str(data.get("doi") or ""))


def pictures_of(records: Sequence[Record], results: Path) -> dict[str, Path]:
    """Pictures of the report that are there and not too large, by their name in the registry."""
    pictures: dict[str, Path] = {}
    for record in records:
        for figure in record.figures:
            path = results / figure.path
            inside = path.resolve().is_relative_to(results.resolve())
            if inside and path.is_file() and path.stat().st_size <= MAX_FIGURE_BYTES and len(pictures) < MAX_FIGURES:
                pictures[f"figures/{figure.path}"] = path
    return pictures


def project_files(folder: Path, root: Path | None = None) -> dict[str, Path]:
    """The project's own files about environment, pipeline, licence and citation, by their name in the registry.

    A link that leads out of ``root`` (the workspace of a runner; None: anywhere) is left out.
    """
    files = {f"project/{name}": folder / name for name in PROJECT_FILES if (folder / name).is_file()}
    return {name: file for name, file in files.items() if root is None or file.resolve().is_relative_to(root)}


def _facts(source: Source, model: ModelFiles, owner: Rights) -> list[tuple[str, str]]:
    """Where a model comes from, as safe Markdown."""
    code, repository = markdown.code, source.repository
    commit = (
        f"[{code(source.commit[:10])}]({repository}/commit/{source.commit})" if source.commit and repository else None
    )
    pull = (
        f"[#{source.pull_request}]({repository}/pull/{source.pull_request})"
        if source.pull_request and repository
        else None
    )
    rows = [
        ("commit", commit or code(source.commit or "unknown")),
        ("branch", code(source.branch or "unknown")),
        ("pull request", pull or str(source.pull_request or "none")),
        ("workflow run", f"[run]({source.run_url})" if source.run_url else "none"),
        ("data fingerprint", code(source.fingerprint) if source.fingerprint else "no DVC-tracked data"),
        ("model", f"{model.described}, {model.size:,} bytes, sha256 {code(model.sha256)}"),
        ("gate", source.gate),
        ("licence", markdown.escape(owner.licence or "not stated (CITATION.cff)")),
    ]
    if owner.title or owner.doi:
        link = f"https://doi.org/{quote(owner.doi)}" if owner.doi else ""
        rows.append(("cite", f"{markdown.escape(owner.title)} {link}".strip()))
    return rows


def card_page(text: str, title: str, pictures: Mapping[str, Path]) -> str:
    """The card as one page with its pictures inside, as MLflow's own pages show it.

    Parameters
    ----------
    text
        The card as Markdown, as :func:`model_card` writes it.
    """
    from markdown_it import MarkdownIt

    def inside(match: re.Match[str]) -> str:
        path = pictures.get(unquote(html.unescape(match["name"])))
        kind = _PICTURE_TYPES.get(path.suffix.lower()) if path else None
        if path is None or kind is None:
            return 'src=""'
        return f'src="data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"'

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    body = re.sub(r'src="(?P<name>[^"]*)"', inside, body)
    head = f"<head><meta charset=utf-8><title>{html.escape(title)}</title>{_STYLE}</head>"
    return f"<!doctype html><html>{head}<body>{body}</body></html>\n"


def model_card(
    name: str,
    source: Source,
    model: ModelFiles,
    *,
    records: Sequence[Record],
    pictures: Mapping[str, Path],
    owner: Rights,
) -> str:
    """The model card as Markdown; pictures are linked as they lie beside it."""
    table = tabulate(_facts(source, model, owner), headers=["what", "value"], tablefmt="github")
    lines = [f"# {markdown.escape(name)}", "", "## Where it comes from", "", table]
    if source.gate_reasons:
        lines += ["", "Registered although the gate asked for review:", ""]
        lines += [f"- {markdown.escape(reason)}" for reason in source.gate_reasons]
    lines += ["", "## What the checks found", ""]
    lines += [f"- **{markdown.escape(r.badge.label)}**: {markdown.escape(r.headline)}" for r in records]
    if not records:
        lines.append("No checks were required.")
    for record in records:
        for first in record.tables[:1]:
            lines += ["", f"### {markdown.escape(first.title)}", "", markdown.grid(first, limit=MAX_ROWS)]
        for figure in record.figures:
            if f"figures/{figure.path}" in pictures:
                alt = markdown.escape(figure.alt).replace("]", ")")
                lines += ["", f"![{alt}]({quote(f'figures/{figure.path}')})", "", f"_{markdown.escape(figure.title)}_"]
    return "\n".join([*lines, "", "## Use it", "", *_use(name, model), ""])


def _use(name: str, model: ModelFiles) -> list[str]:
    """Lines that bring the model back, in the language that it was made in."""
    if model.kind in {"mlflow", "onnx"}:
        return ["```python", "import mlflow", f'model = mlflow.pyfunc.load_model("models:/{name}@staging")', "```"]
    file = model.files[0].name
    fetch = f'folder = mlflow.artifacts.download_artifacts("models:/{name}@staging")'
    if model.kind != "r":
        return ["```python", "import mlflow", fetch, "```"]
    shell = f"mlflow artifacts download --artifact-uri 'models:/{name}@staging' --dst-path model"
    read = f'model <- readRDS("model/{file}")'
    if not file.lower().endswith(".rds"):
        read = f'load("model/{file}")  # the objects keep the names that they were saved with'
    lines = ["An R object; R and the packages that made it are needed to use it.", "", "```sh", shell, "```", ""]
    return [*lines, "```r", read, "```"]
