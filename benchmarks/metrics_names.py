"""Are the names that libraries give their metrics read as the libraries mean them?

Directions come from the libraries' own attributes and not from us: the sign of scikit-learn's scorers (and its rule
that functions ending in ``_score`` are better higher, in ``_loss``, ``_error``, ``_deviance`` better lower), Keras'
``_direction``, torchmetrics' ``higher_is_better``, yardstick's ``direction``, mlr3measures' ``minimize``, XGBoost's
list of metrics to maximise. scikit-learn is imported; of the others the published source is read, given as wheel or Git
folder.

    python benchmarks/metrics_names.py --torchmetrics X.whl --keras X.whl --xgboost X.whl \\
        --yardstick repo.git --mlr3measures repo.git

Writes benchmarks/results/metrics_names.csv (library, name, direction by the library, direction read, split) and prints
the share that is known and every name that is read wrongly.
"""

from __future__ import annotations

import argparse
import ast
import csv
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

from flint_ml.metrics import meaning

OUT = Path(__file__).parent / "results" / "metrics_names.csv"
# Where a library's attribute says the opposite of the metric's definition, or of two other libraries.
DISPUTED = {
    ("torchmetrics", "DaviesBouldinScore"): "scikit-learn: values closer to zero are better",
    ("torchmetrics", "SpectralDistortionIndex"): "its own page: 0 is best",
    ("torchmetrics", "PerceptualPathLength"): "its paper: shorter is better",
    ("torchmetrics", "WordInfoPreserved"): "its page: a perfect score is 1",
}
UP, DOWN = "higher", "lower"
Row = tuple[str, str, str]


def scikit_learn() -> Iterator[Row]:
    """Scorers as cross_validate writes them, and functions."""
    from sklearn import metrics
    from sklearn.metrics import get_scorer, get_scorer_names

    functions = {}
    for name in get_scorer_names():
        scorer = get_scorer(name)
        functions[scorer._score_func.__name__] = UP if scorer._sign > 0 else DOWN
        for prefix in ("", "test_", "train_"):
            yield "scikit-learn", prefix + name, UP
    for name in metrics.__all__:
        if name.endswith("_score") and name != "davies_bouldin_score":
            functions.setdefault(name, UP)
        if name.endswith(("_loss", "_error", "_deviance")):
            functions.setdefault(name, DOWN)
    for name, direction in functions.items():
        yield "scikit-learn", name, direction


def _classes(wheel: Path, folder: str) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".py") and folder in name and "functional" not in name and "test" not in name:
                source = archive.read(name).decode()
                for node in ast.parse(source).body:
                    if isinstance(node, ast.ClassDef):
                        yield node.name, ast.get_source_segment(source, node) or ""


def torchmetrics(wheel: Path) -> Iterator[Row]:
    """Classes, which name the entries of a MetricCollection."""
    for name, source in _classes(wheel, "torchmetrics/"):
        if name in ("Metric", "RetrievalMetric"):
            continue  # bases of others
        match = re.search(r"(?m)^    higher_is_better[^=\n]*= (True|False)", source)
        if match:
            for prefix in ("", "val_"):
                yield "torchmetrics", prefix + name, UP if match[1] == "True" else DOWN


def keras(wheel: Path) -> Iterator[Row]:
    """Names as ``History`` and CSVLogger write them."""
    for class_name, source in _classes(wheel, "keras/src/metrics/"):
        if class_name.startswith("_"):
            continue  # bases of others
        direction = re.search(r'_direction = "(up|down)"', source)
        name = re.search(r'__init__\(.*?name="([a-z_0-9]+)"', source, re.S)
        if direction and name:
            for prefix in ("", "val_"):
                yield "Keras", prefix + name[1], UP if direction[1] == "up" else DOWN


def xgboost(wheel: Path) -> Iterator[Row]:
    """Metrics that early stopping maximises, as ``evals_result`` names them."""
    with zipfile.ZipFile(wheel) as archive:
        source = archive.read("xgboost/callback.py").decode()
    match = re.search(r"maximize_metrics = \(([^)]*)\)", source)
    for name in re.findall(r'"([a-z@]+)"', match[1] if match else ""):
        yield "XGBoost", f"validation_0-{name.rstrip('@')}", UP


def _git(repo: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", repo, *arguments], check=True, capture_output=True, text=True).stdout


def yardstick(repo: Path) -> Iterator[Row]:
    """Values of ``.metric``."""
    words = {"maximize": UP, "minimize": DOWN, "zero": "zero"}
    for path in _git(repo, "ls-tree", "-r", "--name-only", "HEAD", "R").splitlines():
        source = _git(repo, "show", f"HEAD:{path}")
        for name, direction in re.findall(
            r'(?m)^(\w+) <- new_\w+_metric\(\s*\w+,\s*direction = "(maximize|minimize|zero)"', source
        ):
            yield "yardstick", name, words[direction]


def mlr3measures(repo: Path) -> Iterator[Row]:
    """Ids as ``aggregate`` names them."""
    for path in _git(repo, "ls-tree", "-r", "--name-only", "HEAD", "R").splitlines():
        source = _git(repo, "show", f"HEAD:{path}")
        for name, task, minimise in re.findall(
            r'add_measure\(\s*(\w+),\s*"[^"]*",\s*"(\w+)",[^,]*,[^,]*,\s*(TRUE|FALSE)', source
        ):
            task_name = "classif" if task == "binary" else task
            yield "mlr3", f"{task_name}.{name}", DOWN if minimise == "TRUE" else UP


def main() -> None:
    """Read all sources that are given, write the table, print what is unknown or wrong."""
    parser = argparse.ArgumentParser()
    readers = {f.__name__: f for f in (torchmetrics, keras, xgboost, yardstick, mlr3measures)}
    for name in readers:
        parser.add_argument(f"--{name}", type=Path)
    options = parser.parse_args()
    rows = list(scikit_learn())
    for name, reader in readers.items():
        if getattr(options, name):
            rows += reader(getattr(options, name))
    rows = list(dict.fromkeys(rows))
    counted = [row for row in rows if (row[0], row[1].removeprefix("val_")) not in DISPUTED]
    read = {row: meaning(row[1]) for row in rows}
    known = [row for row in counted if read[row].known]
    wrong = [row for row in known if read[row].direction != row[2]]
    with OUT.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["library", "name", "direction of the library", "direction read", "split"])
        for row in rows:
            said = read[row]
            writer.writerow([*row, said.direction if said.known else "not known", said.split])
    print(f"{len(counted)} names, {len(known)} known ({len(known) / len(counted):.1%}), {len(wrong)} wrong")
    for row in wrong:
        print("wrong:", *row, "read as", read[row].direction, read[row].why)
    print("not known:", ", ".join(row[1] for row in counted if not read[row].known))


if __name__ == "__main__":
    main()
