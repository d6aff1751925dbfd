"""What a training script writes and needs, read from its text; it is never run."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_MAX_BYTES = 1_000_000
_METRICS = re.compile(
    r"(?:metric|score|result|evaluation)[^/\\]*\.(?:json|ya?ml|toml)$|(?:metric|score)s?\.(?:csv|tsv)$", re.IGNORECASE
)
_TEXT_METRICS = re.compile(r"(?:metric|score)[^/\\]*\.(?:txt|md|log)$", re.IGNORECASE)
_PREDICTIONS = re.compile(r"pred[^/\\]*\.(?:csv|tsv|parquet)$", re.IGNORECASE)
_MODELS = re.compile(r"\.(?:pkl|pickle|joblib|onnx|rds|pt|pth|h5|keras|cbm)$|model[^/\\]*\.json$", re.IGNORECASE)
_DATA = re.compile(r"\.(?:csv|csv\.gz|tsv|parquet)$", re.IGNORECASE)
_OTHER_DATA = re.compile(
    r"\.(?:xlsx?|ods|rds|rdata|rda|feather|arrow|jsonl?|npy|npz|h5|hdf5|nc|tiff?|gpkg|shp|zip|xz|txt|dat|db|sqlite|pkl)$",
    re.IGNORECASE,
)
_R_TEXT = re.compile(r"""(["'])((?:(?!\1)[^\\\n]|\\.)*)\1""")
_R_PACKAGE = re.compile(r"(?:library|require|requireNamespace)\(\s*[\"']?([A-Za-z][\w.]*)|\b([A-Za-z][\w.]*)::")
_R_BASE = {
    "base",
    "stats",
    "utils",
    "graphics",
    "grDevices",
    "methods",
    "datasets",
    "tools",
    "parallel",
    "splines",
    "grid",
    "compiler",
    "tcltk",
    "stats4",
}
# Where the name of an import is not the name of its package.
_PACKAGES = {
    "sklearn": "scikit-learn",
    "cv2": "opencv-python",
    "yaml": "PyYAML",
    "PIL": "pillow",
    "osgeo": "gdal",
    "skimage": "scikit-image",
    "dateutil": "python-dateutil",
    "bs4": "beautifulsoup4",
}
_WORDS = ((r"train", 6), (r"fit|calibrat", 5), (r"model", 4), (r"pipeline|main|run", 3), (r"evaluat|score", 1))
_NEVER = re.compile(r"(^|/)(test_|conftest|setup\.py|__init__\.py|docs?/|tests?/|noxfile|fetch|download|plot|figure)")
# A web service or a page waits for visitors: a gate that starts it never ends.
_SERVES = re.compile(
    r"\b(?:FastAPI|Flask|Dash)\(|import streamlit|from streamlit|import gradio|uvicorn\.run|http\.server|app\.run\("
    r"|shinyApp\(|library\(shiny\)|library\(plumber\)|import dash\b|django"
)
_CLASSES = re.compile(
    r"Classifier\(|LogisticRegression\(|accuracy_score|f1_score|classification_report|CrossEntropy|family\s*=\s*binomial"
)
_FITS = re.compile(
    r"\.fit(?:_transform)?\(|\.fit_generator\(|\btrain\(|\blm\(|\bglm\(|\bgam\(|\bnls\(|randomForest\(|ranger\(|plsr\(|xgb"
    r"|lightgbm|\bcv\.glmnet\(|glmnet\(|\.backward\(|curve_fit\(|lstsq\(|minimize\(|mcmc|optim\("
)


@dataclass(frozen=True)
class Script:
    """One script: its language, what it writes by name, the packages it imports.

    ``classes`` says that it predicts classes; ``absolute`` are paths of somebody's machine; ``score`` is how much it
    looks like the one that trains, ``evidence`` why it is taken for one that does (empty: it is not); ``data`` are
    tables it names, ``other_data`` files of other kinds that it may read.
    """

    path: str
    language: str
    score: int
    metrics: tuple[str, ...] = ()
    predictions: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    other_data: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    mlflow: bool = False
    evidence: str = ""
    absolute: tuple[str, ...] = ()
    classes: bool = False
    text_metrics: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """How to run it."""
        return f"{'python' if self.language == 'Python' else 'Rscript'} {shlex.quote(self.path)}"


def _python_parts(text: str, siblings: set[str]) -> tuple[list[str], list[str]]:
    """Texts and imported packages of a Python file, in order."""
    tree = ast.parse(text)
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.append(node.module.partition(".")[0])
    foreign = [name for name in names if name not in sys.stdlib_module_names and name not in siblings]
    return texts, [_PACKAGES.get(name, name) for name in foreign]


def _r_parts(text: str) -> tuple[list[str], list[str]]:
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    packages = [one or other for one, other in _R_PACKAGE.findall(code)]
    return [match[1] for match in _R_TEXT.findall(code)], [name for name in packages if name not in _R_BASE]


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def _matching(texts: Sequence[str], pattern: re.Pattern[str]) -> tuple[str, ...]:
    short = (text.strip() for text in texts if len(text) < 200 and "\n" not in text)
    return _unique(
        text.replace("\\", "/").removeprefix("./") for text in short if " " not in text and pattern.search(text)
    )


def _score(path: str, text: str) -> int:
    name = path.rpartition("/")[2].lower()
    points = max((worth for words, worth in _WORDS if re.search(words, name)), default=0)
    fits = bool(_FITS.search(text))
    return points * 10 + (15 if fits else 0) - 2 * path.count("/")


def _evidence(path: str, text: str, metrics: tuple[str, ...]) -> str:
    """Why a script is taken for one that trains; empty for one that serves, or that nothing speaks for."""
    if _SERVES.search(text):
        return ""
    name = path.rpartition("/")[2].lower()
    called = next((words for words, worth in _WORDS if worth > 3 and re.search(words, name)), None)
    fits = _FITS.search(text)
    if fits:
        return f"it calls {fits[0].strip('(').strip()}"
    if metrics:
        return f"it writes {metrics[0]}"
    return "so it is called" if called else ""


# Somebody's own machine: such a path is nowhere else.
_ABSOLUTE = re.compile(r"""^(?:/(?:home|Users|mnt|media|content|kaggle)/|[A-Za-z]:[\\/]|~/)[^\s]""")


def read_script(folder: Path, path: str) -> Script | None:
    """The repository of the script ``path`` below ``folder``; None for what is none (not there, too large, a test)."""
    file = folder / path
    if _NEVER.search(path.lower()) or not file.is_file() or file.stat().st_size > _MAX_BYTES:
        return None
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None  # not for us to read
    language = "R" if path.lower().endswith(".r") else "Python"
    siblings = {p.stem for p in file.parent.glob("*.py")} | {p.name for p in folder.iterdir() if p.is_dir()} | {"src"}
    try:
        texts, packages = _r_parts(text) if language == "R" else _python_parts(text, siblings)
    except (SyntaxError, ValueError, RecursionError):
        return None
    predictions = _matching(texts, _PREDICTIONS)
    metrics = _matching(texts, _METRICS)
    models = tuple(name for name in _matching(texts, _MODELS) if name not in metrics)
    return Script(
        path=path,
        language=language,
        score=_score(path, text),
        metrics=metrics,
        predictions=predictions,
        models=models,
        data=tuple(name for name in _matching(texts, _DATA) if name not in predictions),
        other_data=tuple(
            name for name in _matching(texts, _OTHER_DATA) if name not in {*metrics, *models, *predictions}
        ),
        packages=_unique(packages),
        mlflow="mlflow" in packages,
        evidence=_evidence(path, text, metrics),
        classes=bool(_CLASSES.search(text)),
        text_metrics=_matching(texts, _TEXT_METRICS),
        absolute=_unique(part for part in texts if len(part) < 200 and _ABSOLUTE.match(part)),
    )


def order(scripts: Sequence[Script]) -> list[Script]:
    """The likeliest training script first."""
    return sorted(scripts, key=lambda script: (-script.score, script.path))
