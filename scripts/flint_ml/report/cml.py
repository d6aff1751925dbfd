"""Post through CML's command, with what it gets wrong done around it.

CML 0.20 publishes linked files on a public host unless told not to, looks for its comment among the first 30
only, sends telemetry, and writes ``safe.directory = *`` into the user's Git settings.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from flint_ml.errors import InputError, OutsideError
from flint_ml.github import GitHub, Posted, author_check
from flint_ml.record import slug

TIMEOUT = 180
EXAMPLE = "https://github.com/moja-global/flint-ml-actions/blob/main/docs/actions/post-report.md#with-cml"


def find_cml(path: str | None = None) -> str:
    """The ``cml`` on the PATH.

    Raises
    ------
    InputError
        If there is none, as in our container.
    """
    found = shutil.which("cml", path=path)
    if found is None:
        raise InputError(
            "no `cml` on the PATH; the container of this action has none",
            where="publisher: cml",
            hint=f"use `publisher: none` and post the report in the next step with iterative/setup-cml: {EXAMPLE}",
            code="cml-missing",
        )
    return found


def post(github: GitHub, pull: int, key: str, report: Path, *, server_url: str, env: Mapping[str, str]) -> Posted:
    """Create or update CML's comment for ``key`` on pull request ``pull`` with the file ``report``.

    Parameters
    ----------
    github
        Used afterwards, to delete doubles that CML leaves when its comment is not among the first 30.
    server_url
        ``https://github.com``, or that of an Enterprise Server; CML does not read GITHUB_API_URL.
    env
        The process's environment; the token is added to it.

    Raises
    ------
    InputError
        If there is no ``cml``.
    OutsideError
        If it fails or does not end in time; its last line is in the message, without the token.
    """
    title = slug(key)
    before = _ours(github, pull, title)
    _update(github, pull, title, report, server_url=server_url, env=env)
    found = _ours(github, pull, title)
    if not found:
        raise OutsideError("exited with 0 but left no comment", where="cml comment update", code="cml")
    # The one that is new, else the one it found: the last of those it looks at.
    keep = next((number for number in found if number not in before), max(before, default=max(found)))
    for number in found:
        if number != keep:
            github.delete(f"{{repo}}/issues/comments/{number}")
    return Posted("updated" if keep in before else "created", keep, found[keep])


def _update(github: GitHub, pull: int, title: str, report: Path, *, server_url: str, env: Mapping[str, str]) -> None:
    """Run `cml comment update`, away from the user's Git settings and without publishing or telemetry."""
    program = find_cml(env.get("PATH"))
    command = [
        program,
        "comment",
        "update",
        "--publish=false",
        f"--target=pr/{pull}",
        f"--watermark-title={title}",
        "--driver=github",
        f"--repo={server_url}/{github.repository}",
        str(report),
    ]
    with tempfile.TemporaryDirectory(prefix="flint-ml-cml-") as folder:
        settings = {
            "REPO_TOKEN": github.token,
            "ITERATIVE_DO_NOT_TRACK": "1",
            "GIT_CONFIG_GLOBAL": f"{folder}/gitconfig",
            "CI": env.get("CI", "true"),
        }
        clean = {name: value for name, value in env.items() if not name.startswith(("CML_", "INPUT_"))}
        try:
            result = subprocess.run(
                command,
                env={**clean, **settings},
                cwd=report.parent,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise OutsideError(f"did not end within {TIMEOUT} s", where="cml comment update", code="cml") from None
    if result.returncode != 0:
        lines = (result.stderr or result.stdout).strip().splitlines()
        last = (lines[-1] if lines else "it said nothing").replace(github.token, "***")[:300]
        raise OutsideError(
            f"exited with {result.returncode}: {last}",
            where="cml comment update",
            hint="the report is in the job summary and in the results; `publisher: github` posts without CML",
            code="cml",
        )


def _ours(github: GitHub, pull: int, title: str) -> dict[int, str]:
    """Numbers and addresses of CML's comments with our title, by the same author rule as our own comments."""
    pattern = re.compile(rf'!\[\]\(https://cml\.dev/watermark\.png[^\s)]* "CML watermark {_escaped(title)}"\)')
    is_author = author_check(github)
    return {
        comment["id"]: comment["html_url"]
        for comment in github.pages(f"{{repo}}/issues/{pull}/comments")
        if pattern.search(comment.get("body") or "") and is_author(comment)
    }


def _escaped(title: str) -> str:
    """The title as CML writes it: underscores with a backslash."""
    return re.escape(title).replace("_", r"\\?_")
