"""What trains: the commands that a repository's own files name, best evidence first. Nothing is run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flint_ml.scaffold.scripts import Script

_MAKEFILES = ("Makefile", "makefile", "GNUmakefile")
_TARGETS = ("train", "all", "pipeline", "reproduce", "repro", "run", "metrics", "evaluate", "model", "results")
_READMES = ("README.md", "readme.md", "README.rst", "README.Rmd")
# Lines of a workflow or a README that train: what they start and what it is called.
_LINE = re.compile(
    r"^\s*\$?\s*((?:dvc repro|make|uv run|poetry run|pixi run|python3?|Rscript|papermill|quarto render|snakemake)\b"
    r"[^\n|;<>`\\]*)$",
    re.MULTILINE,
)
_TRAINS = re.compile(
    r"train|fit|model|repro|run_all|pipeline|evaluat|\ball\b|snakemake|render|papermill", re.IGNORECASE
)
_NEVER = re.compile(
    r"pip |-m (?:venv|pip|pytest|http)|setup\.py|pytest|test|install|serve|streamlit|uvicorn|flask|app\.py|download"
    r"|deploy|\$\{"
)
_NUMBERED = re.compile(r"^(\d{1,3})[-_.a-z]", re.IGNORECASE)
_REPORTS = (".rmd", ".qmd")


@dataclass(frozen=True)
class Candidate:
    """A command that may be what trains, the language of what it runs, and what speaks for it."""

    command: str
    language: str
    why: str


def candidates(
    folder: Path, files: Sequence[str], scripts: Sequence[Script], pipelines: Sequence[str]
) -> list[Candidate]:
    """Commands that train, best evidence first; none is an answer.

    Parameters
    ----------
    folder, files
        The project, and the paths of its files below it.
    scripts
        Its scripts that train, the likeliest first.
    pipelines
        Its ``dvc.yaml`` files, relative to the project.
    """
    language = _usual_language(files, scripts)
    named = [
        *_pipeline(pipelines, language),
        *_targets_package(files),
        *_makefile(folder, files, language),
        *_numbered(files),
        *_lines(folder, files, language),
        *_reports(folder, files),
        *(Candidate(script.command, script.language, f"{script.path} trains: {script.evidence}") for script in scripts),
        *_notebooks(folder, files, scripts),
    ]
    return list({candidate.command: candidate for candidate in reversed(named)}.values())[::-1]


def _usual_language(files: Sequence[str], scripts: Sequence[Script]) -> str:
    if scripts:
        return scripts[0].language
    r_files = sum(path.lower().endswith((".r", ".rmd", ".qmd")) for path in files)
    return "R" if r_files > sum(path.endswith((".py", ".ipynb")) for path in files) else "Python"


def _pipeline(pipelines: Sequence[str], language: str) -> Iterator[Candidate]:
    if not pipelines:
        return
    if list(pipelines) == ["dvc.yaml"]:
        yield Candidate("dvc repro", language, "dvc.yaml is the pipeline")
    else:
        yield Candidate("dvc repro -P", language, f"pipelines in {', '.join(pipelines[:3])}")


def _targets_package(files: Sequence[str]) -> Iterator[Candidate]:
    if "_targets.R" in files:
        yield Candidate("Rscript -e 'targets::tar_make()'", "R", "_targets.R is the pipeline of the package targets")


def _makefile(folder: Path, files: Sequence[str], language: str) -> Iterator[Candidate]:
    name = next((name for name in _MAKEFILES if name in files), None)
    if name is None:
        return
    text = (folder / name).read_text(encoding="utf-8", errors="replace")
    rules = {
        match[1]: text[match.end() :].split("\n\n")[0]
        for match in re.finditer(r"^([\w.-]+)\s*:(?!=)", text, re.MULTILINE)
    }
    body = " ".join(rules.values())
    for target in _TARGETS:
        recipe = rules.get(target)
        if recipe is not None and (target not in {"all", "run"} or _TRAINS.search(f"{recipe} {body}")):
            # Made anew each time: a target that make finds up to date has written no metrics of this run.
            yield Candidate(
                f"make -B {target}", _language_of(recipe + body, language), f"{name} has the target {target}"
            )
            return


def _numbered(files: Sequence[str]) -> Iterator[Candidate]:
    runner = next(
        (path for path in files if re.fullmatch(r"(?:.*/)?(?:run_all|main_all|master)\.r", path, re.IGNORECASE)), None
    )
    if runner is not None:
        yield Candidate(f"Rscript {shlex.quote(runner)}", "R", f"{runner} runs the others")
    for suffix, program, language in ((".r", "Rscript", "R"), (".py", "python", "Python")):
        own = [path for path in files if path.lower().endswith(suffix)]
        numbers = {path: _NUMBERED.match(path.rpartition("/")[2]) for path in own}
        named = {path: int(number[1]) for path, number in numbers.items() if number}
        folders = {path.rpartition("/")[0] for path in named}
        if len(named) > 1 and len(folders) == 1:
            ordered = [path for _, path in sorted((number, path) for path, number in named.items())]
            command = " && ".join(f"{program} {shlex.quote(path)}" for path in ordered)
            yield Candidate(command, language, f"{len(ordered)} numbered scripts, in their order")


def _lines(folder: Path, files: Sequence[str], language: str) -> Iterator[Candidate]:
    """Lines of README and workflows that start a training."""
    workflows = sorted((folder / ".github" / "workflows").glob("*.y*ml"))
    sources = [*workflows, *(folder / name for name in _READMES if name in files)]
    for source in sources:
        if not source.is_file() or source.stat().st_size > 1_000_000:
            continue
        text = source.read_text(encoding="utf-8", errors="replace")
        text = re.sub(r"^\s*(?:- )?run:\s*", "", text, flags=re.MULTILINE)
        for line in _LINE.findall(text):
            command = line.strip()
            if _TRAINS.search(command) and not _NEVER.search(command) and _is_there(folder, command):
                yield Candidate(command, _language_of(command, language), f"{source.name} says so")
                break


def _is_there(folder: Path, command: str) -> bool:
    """Whether the script that a line names is in the project."""
    named = [word for word in command.split() if re.search(r"\.(?:py|[rR]|Rmd|qmd|ipynb)$", word)]
    return all((folder / word).is_file() for word in named)


def _language_of(text: str, usual: str) -> str:
    if re.search(r"\bRscript\b|\.R\b|\.Rmd\b", text):
        return "R"
    return "Python" if re.search(r"\bpython|\.py\b", text) else usual


def _reports(folder: Path, files: Sequence[str]) -> Iterator[Candidate]:
    """R Markdown and Quarto documents that hold code, the one that writes metrics first."""
    documents = [path for path in files if path.lower().endswith(_REPORTS) and not path.startswith("_")]
    documents = [path for path in documents if path.rpartition("/")[2].lower() not in {"readme.rmd", "index.qmd"}]
    texts = {path: (folder / path).read_text(encoding="utf-8", errors="replace") for path in documents}
    for path in sorted(texts, key=lambda path: "metric" not in texts[path].lower()):
        if "```{" not in texts[path]:
            continue
        language = "Python" if "```{python" in texts[path] and "```{r" not in texts[path] else "R"
        if path.lower().endswith(".qmd"):
            yield Candidate(f"quarto render {shlex.quote(path)}", language, f"{path} is a Quarto document with code")
        else:
            render = f"rmarkdown::render({json.dumps(path)})"
            yield Candidate(f"Rscript -e {shlex.quote(render)}", "R", f"{path} is R Markdown with code")


def _notebooks(folder: Path, files: Sequence[str], scripts: Sequence[Script]) -> Iterator[Candidate]:
    """Notebooks that fit a model, where no script does."""
    if scripts:
        return
    for path in files:
        if not path.endswith(".ipynb") or (folder / path).stat().st_size > 20_000_000:
            continue
        text = (folder / path).read_text(encoding="utf-8", errors="replace")
        if re.search(r"\.fit\(|\blm\(|ranger\(", text):
            language = "R" if '"language": "R"' in text else "Python"
            command = f"jupyter nbconvert --to notebook --execute --inplace {shlex.quote(path)}"
            yield Candidate(command, language, f"{path} fits a model")


def language_of_command(command: str, known: Sequence[Candidate], scripts: Mapping[str, str]) -> str | None:
    """The language of what ``command`` runs; ``scripts`` are languages by path; None where nothing says."""
    for candidate in known:
        if candidate.command == command:
            return candidate.language
    for word in shlex.split(command, posix=True) if command.count("'") % 2 == 0 else command.split():
        if word in scripts:
            return scripts[word]
    if re.search(r"\bRscript\b|\.[rR]\b|\.Rmd\b", command):
        return "R"
    return "Python" if re.search(r"\bpython|\.py\b|jupyter|papermill|\buv run\b|poetry run|pixi run", command) else None
