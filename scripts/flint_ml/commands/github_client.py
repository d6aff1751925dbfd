"""What the commands that write to GitHub share: token, client, the text of a file."""

from __future__ import annotations

from pathlib import Path

from flint_ml.errors import InputError
from flint_ml.github import GitHub
from flint_ml.runner import Job

MAX_TEXT = 5_000_000


def client(job: Job) -> GitHub:
    """A client with the token of the environment; it is no option, because command lines are seen by all processes.

    Raises
    ------
    InputError
        If there is no token.
    """
    env = job.env
    token = (env.get("GITHUB_TOKEN") or env.get("GH_TOKEN") or "").strip()
    if not token:
        raise InputError(
            "no token",
            where="GITHUB_TOKEN",
            code="no-token",
            hint="give the step `env: GITHUB_TOKEN: ${{ github.token }}`; at a terminal export a token of your own",
        )
    job.commands.mask(token)
    repository = job.context.repository or env.get("GITHUB_REPOSITORY", "")
    api_url = job.context.api_url if job.context.on_github else env.get("GITHUB_API_URL") or job.context.api_url
    return GitHub(token, repository, api_url, say=job.say)


def text_of(job: Job, file: str, what: str) -> str:
    """The text of ``file``, empty where no file is named.

    Raises
    ------
    InputError
        If it is absent, no text, or unreasonably long.
    """
    if not file:
        return ""
    path: Path = job.existing(file, what)
    if path.is_dir() or path.stat().st_size > MAX_TEXT:
        raise InputError(f"`{file}` is no text file of at most 5 MB", where=what, code="invalid-input")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"`{file}` is no UTF-8 text", where=what, code="invalid-input") from None
