"""The way to what a shallow clone lacks: open only where the user gave a token for it."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from flint_ml.git.base import Fetcher
from flint_ml.git.repository import Git
from flint_ml.runner.context import Context


def fetcher(token: object, context: Context, git: Git, env: Mapping[str, str]) -> Fetcher | None:
    """Fetches from the repository of this run; None without a token, at a terminal, and for a whole clone."""
    text = token.get_secret_value() if isinstance(token, SecretStr) else token
    text = text.strip() if isinstance(text, str) else ""
    if not (text and context.on_github and context.repository) or not git.shallow:
        return None
    from flint_ml.git.shallow_fetch import Missing

    return Missing(git, f"{context.server_url}/{context.repository}", text, env)
