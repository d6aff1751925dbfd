"""The repository, asked by Git's own command: revisions, files at a revision, the base of a change, other repositories.

Knows nothing of GitHub.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint_ml.doors import door

if TYPE_CHECKING:
    from flint_ml.git.access import Address, Login, check_login, git_environment, parse_address
    from flint_ml.git.base import (
        ON_DEFAULT,
        Base,
        Event,
        Fetcher,
        Tree,
        find_base,
        judged_tree,
        on_default_branch,
    )
    from flint_ml.git.remote import PushLostError, Remote
    from flint_ml.git.repository import Git
    from flint_ml.git.shallow_fetch import ShallowFetch

_HOME = {
    "Base": "base",
    "Event": "base",
    "Fetcher": "base",
    "Git": "repository",
    "Login": "access",
    "ON_DEFAULT": "base",
    "PushLostError": "remote",
    "Address": "access",
    "Remote": "remote",
    "ShallowFetch": "shallow_fetch",
    "Tree": "base",
    "check_login": "access",
    "git_environment": "access",
    "find_base": "base",
    "judged_tree": "base",
    "on_default_branch": "base",
    "parse_address": "access",
}

__all__ = [
    "ON_DEFAULT",
    "Address",
    "Base",
    "Event",
    "Fetcher",
    "Git",
    "Login",
    "PushLostError",
    "Remote",
    "ShallowFetch",
    "Tree",
    "check_login",
    "find_base",
    "git_environment",
    "judged_tree",
    "on_default_branch",
    "parse_address",
]

__getattr__ = door(__name__, _HOME)
