"""open-pull-request: what this job changed, as one commit on a branch and one pull request, kept up to date."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field

from flint_ml.commands.github_client import client, text_of
from flint_ml.errors import InputError
from flint_ml.github import File, Start, propose
from flint_ml.record import Column, Table
from flint_ml.runner import Action, ActionInputs, Job, Outcome

MAX_FILE, MAX_FILES = 10_000_000, 500
_BRANCH = r"^[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}$"


class Inputs(ActionInputs):
    """Inputs of open-pull-request."""

    branch: str = Field(
        description="Branch for the change, such as `flint-ml/data-update`; it has one pull request, brought up to "
        "date by later runs.",
        pattern=_BRANCH,
    )
    base: str = Field("", description="Branch that it is meant for. Default: the branch of this run.")
    paths: list[str] = Field(
        default=[],
        description="Files to propose, names, folders or patterns; new files among them too. Default: every file "
        "that Git tracks and this job changed.",
    )
    title: str = Field(description="Title of the pull request, and message of the commit.", min_length=1)
    body: str = Field("", description="Text before that of `body-file`, Markdown.")
    body_file: str = Field("", description="File with the text, Markdown, such as the report of post-report.")


def run(inputs: Inputs, job: Job) -> Outcome:
    """Collect what changed, put it on the branch, open or update the pull request."""
    start = _start(inputs, job)
    files = _files(inputs, job)
    outputs: dict[str, object] = {"changed": bool(files), "number": None, "url": None, "commit": None}
    if not files:
        return Outcome("passed", "nothing has changed, so there is nothing to propose", "nothing", outputs=outputs)
    text = "\n\n".join(part for part in (inputs.body, text_of(job, inputs.body_file, "body-file")) if part.strip())
    done = propose(client(job), inputs.branch, start, files, title=inputs.title, text=text, message=inputs.title)
    headline = f"pull request #{done.number} {done.how}: {len(files)} file{'s' if len(files) > 1 else ''}"
    job.say(f"{headline}: {done.url}")
    rows = [[path, "deleted" if file.data is None else f"{len(file.data):,} bytes"] for path, file in files.items()]
    return Outcome(
        "passed",
        headline,
        f"#{done.number} {done.how}",
        tables=[Table(title="Proposed", columns=[Column(name="file"), Column(name="size")], rows=rows[:100])],
        details={
            "how": done.how,
            "number": done.number,
            "url": done.url,
            "commit": done.commit,
            "branch": inputs.branch,
            "base": start.branch,
            "files": list(files),
        },
        outputs=outputs | {"number": done.number, "url": done.url, "commit": done.commit},
    )


def _start(inputs: Inputs, job: Job) -> Start:
    commit, tree = job.git.commit("HEAD"), job.git.tree("HEAD")
    if commit is None or tree is None:
        raise InputError(
            "this is not a Git repository with a commit",
            where="working-directory",
            code="no-repository",
            hint="in a workflow, run actions/checkout before this step",
        )
    base = inputs.base
    if not base:
        ref = job.context.ref
        base = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else job.context.default_branch or ""
        base = base or job.git.branch or ""
    if not re.match(_BRANCH, base):
        raise InputError("no branch to propose the change for", where="base", hint="give `--base main`", code="no-base")
    if base == inputs.branch:
        raise InputError(f"`{base}` is the branch that the change is meant for", where="branch", code="invalid-input")
    return Start(commit, tree, base)


def _files(inputs: Inputs, job: Job) -> dict[str, File]:
    """What this job changed, by path from the root of the repository."""
    root = job.git.root
    assert root is not None
    names = set(job.git.changed("HEAD"))
    if inputs.paths:
        new = set(job.git.present()) - set(job.git.files("HEAD"))
        names = {name for name in names | new if any(_matches(name, pattern) for pattern in inputs.paths)}
    results = Path(os.path.relpath(job.results_dir.resolve(), root.resolve())).as_posix()
    names = {name for name in names if not name.startswith(f"{results}/")}
    if any(name.startswith(".github/workflows/") for name in names):
        raise InputError(
            "this job changed a workflow file, which a workflow may not propose",
            where=".github/workflows",
            hint="name the files to propose with `--paths`",
            code="workflow-changed",
        )
    if len(names) > MAX_FILES:
        raise InputError(f"{len(names)} files changed, {MAX_FILES} at most", where="paths", code="too-many-files")
    return {name: _file(root, name) for name in sorted(names)}


def _matches(name: str, pattern: str) -> bool:
    pattern = pattern.removeprefix("./").rstrip("/")
    return name == pattern or name.startswith(f"{pattern}/") or fnmatchcase(name, pattern)


def _file(root: Path, name: str) -> File:
    path = root / name
    if path.parent.resolve() != root.resolve() / Path(name).parent:
        # A folder became a link: what lies behind it is not of this repository, for Git the file is gone.
        return File(None)
    if path.is_symlink():
        return File(os.fsencode(path.readlink()), "120000")
    if not path.exists():
        return File(None)
    if not path.is_file() or path.stat().st_size > MAX_FILE:
        raise InputError(
            f"`{name}` is no file of at most {MAX_FILE // 1_000_000} MB",
            where="paths",
            hint="large data belongs to DVC; name the files to propose with `--paths`",
            code="file-too-large",
        )
    return File(path.read_bytes(), "100755" if os.access(path, os.X_OK) else "100644")


ACTION = Action(
    name="open-pull-request",
    summary="what this job changed, as one pull request that later runs bring up to date",
    description="Put what this job changed on a branch and open a pull request for it, or update the open one.",
    badge="Pull request",
    inputs=Inputs,
    run=run,
    outputs={
        "changed": "`true` if there was anything to propose.",
        "number": "Number of the pull request.",
        "url": "Address of the pull request.",
        "commit": "Hash of the commit on the branch.",
    },
    published=False,
    keeps_results=True,
)
