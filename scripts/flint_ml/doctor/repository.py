"""Git: what a runner gets when it checks the repository out."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from flint_ml.doctor.checks import Check, Project
from flint_ml.dvc_project import size_text, within

AREA = "Git"
LARGE = 5_000_000
_NEVER_IN_GIT = (".env", "config.local", "id_rsa", "id_ed25519", "credentials.json")


def examine(project: Project) -> Iterator[Check]:
    """Repository, history, remote, and what should not be in it."""
    git = project.git
    if git.root is None:
        yield Check(AREA, "failure", "this is no Git repository", "git init -b main, then commit")
        return
    if git.commit("HEAD") is None:
        yield Check(AREA, "failure", "there is no commit yet", 'git add -A && git commit -m "First commit"')
        return
    branch = git.default_branch()
    yield Check(AREA, "ok", f"repository with history, default branch {(branch or git.branch or 'unknown')}")
    if git.shallow:
        fix = "git fetch --unshallow (in a workflow: fetch-depth: 0 on actions/checkout)"
        yield Check(AREA, "warning", "this clone holds a part of the history only; the base may be missing", fix)
    if git.setting("remote.origin.url") is None:
        fix = "gh repo create --source . --push, or git remote add origin ADDRESS"
        yield Check(AREA, "warning", "there is no remote `origin`: workflows run on GitHub only", fix)
    yield from _results(project)
    yield from _large(project)
    yield from _private(project)
    yield from _uncommitted(project)


def _results(project: Project) -> Iterator[Check]:
    folder = project.results
    tracked = project.git.tracked(project.folder / folder)
    if tracked:
        fix = f"git rm -r --cached {folder} and add `{folder}/` to .gitignore"
        yield Check(AREA, "failure", f"the results in {folder} are in Git; every action refuses that", fix)
    elif not project.git.ignores(f"{folder}/x"):
        fix = f"echo '{folder}/' >> .gitignore"
        yield Check(AREA, "warning", f"{folder} is not ignored: `git add` would take the results in", fix)
    else:
        yield Check(AREA, "ok", f"the results in {folder} are ignored")


def _large(project: Project) -> Iterator[Check]:
    sizes = project.git.sizes("HEAD")
    big = {path: size for path, size in sizes.items() if size > LARGE and within(path, project.subfolder)}
    for path, size in sorted(big.items(), key=lambda item: -item[1])[:5]:
        fix = f"git rm --cached {path} && dvc add {path} (Git keeps the old versions: it is worth doing early)"
        yield Check(AREA, "warning", f"{path} ({size_text(size)}) is in Git; every checkout pays for it", fix)
    if not big:
        yield Check(AREA, "ok", f"no file over {size_text(LARGE)} in Git")


def _private(project: Project) -> Iterator[Check]:
    for path in project.git.files("HEAD"):
        if posixpath.basename(path) in _NEVER_IN_GIT:
            fix = f"git rm --cached {path}, add it to .gitignore, and renew what it holds: it is in the history"
            yield Check(AREA, "failure", f"{path} is in Git; such files hold passwords or keys", fix)


def _uncommitted(project: Project) -> Iterator[Check]:
    changed = project.git.unsaved()
    weighty = [
        path
        for path in changed
        if path.endswith((project.config, "dvc.lock", "dvc.yaml", ".dvc", ".dvc/config"))
        or path.startswith(".github/workflows/")
    ]
    if weighty:
        more = f" and {len(weighty) - 3} more" if len(weighty) > 3 else ""
        fix = "git add them and commit: a runner sees what is committed"
        yield Check(AREA, "warning", f"not committed: {', '.join(weighty[:3])}{more}", fix)
