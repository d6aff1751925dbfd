"""Git: what a runner gets when it checks the repository out."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from flint_ml.doctor.checks import Check, Patient
from flint_ml.dvc_project import size_text, within

AREA = "Git"
LARGE = 5_000_000
_NEVER_IN_GIT = (".env", "config.local", "id_rsa", "id_ed25519", "credentials.json")


def examine(patient: Patient) -> Iterator[Check]:
    """Repository, history, remote, and what should not be in it."""
    git = patient.git
    if git.root is None:
        yield Check(AREA, "failure", "this is no Git repository", "git init -b main, then commit")
        return
    if git.commit("HEAD") is None:
        yield Check(AREA, "failure", "there is no commit yet", 'git add -A && git commit -m "First commit"')
        return
    branch = git.default_branch()
    yield Check(AREA, "ok", f"repository with history, default branch {(branch or git.branch or 'unknown')}")
    if git.shallow:
        mend = "git fetch --unshallow (in a workflow: fetch-depth: 0 on actions/checkout)"
        yield Check(AREA, "warning", "this clone holds a part of the history only; the base may be missing", mend)
    if git.setting("remote.origin.url") is None:
        mend = "gh repo create --source . --push, or git remote add origin ADDRESS"
        yield Check(AREA, "warning", "there is no remote `origin`: workflows run on GitHub only", mend)
    yield from _results(patient)
    yield from _large(patient)
    yield from _private(patient)
    yield from _uncommitted(patient)


def _results(patient: Patient) -> Iterator[Check]:
    folder = patient.results
    tracked = patient.git.tracked(patient.folder / folder)
    if tracked:
        mend = f"git rm -r --cached {folder} and add `{folder}/` to .gitignore"
        yield Check(AREA, "failure", f"the results in {folder} are in Git; every action refuses that", mend)
    elif not patient.git.ignores(f"{folder}/x"):
        mend = f"echo '{folder}/' >> .gitignore"
        yield Check(AREA, "warning", f"{folder} is not ignored: `git add` would take the results in", mend)
    else:
        yield Check(AREA, "ok", f"the results in {folder} are ignored")


def _large(patient: Patient) -> Iterator[Check]:
    sizes = patient.git.sizes("HEAD")
    big = {path: size for path, size in sizes.items() if size > LARGE and within(path, patient.project)}
    for path, size in sorted(big.items(), key=lambda item: -item[1])[:5]:
        mend = f"git rm --cached {path} && dvc add {path} (Git keeps the old versions: it is worth doing early)"
        yield Check(AREA, "warning", f"{path} ({size_text(size)}) is in Git; every checkout pays for it", mend)
    if not big:
        yield Check(AREA, "ok", f"no file over {size_text(LARGE)} in Git")


def _private(patient: Patient) -> Iterator[Check]:
    for path in patient.git.files("HEAD"):
        if posixpath.basename(path) in _NEVER_IN_GIT:
            mend = f"git rm --cached {path}, add it to .gitignore, and renew what it holds: it is in the history"
            yield Check(AREA, "failure", f"{path} is in Git; such files hold passwords or keys", mend)


def _uncommitted(patient: Patient) -> Iterator[Check]:
    changed = patient.git.unsaved()
    weighty = [
        path
        for path in changed
        if path.endswith((patient.config, "dvc.lock", "dvc.yaml", ".dvc", ".dvc/config"))
        or path.startswith(".github/workflows/")
    ]
    if weighty:
        more = f" and {len(weighty) - 3} more" if len(weighty) > 3 else ""
        mend = "git add them and commit: a runner sees what is committed"
        yield Check(AREA, "warning", f"not committed: {', '.join(weighty[:3])}{more}", mend)
