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
    from flint_ml.git.content import blob_md5, file_md5_as_kept, is_lfs_pointer, pointer_error, whole
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
    "blob_md5": "content",
    "check_login": "access",
    "file_md5_as_kept": "content",
    "git_environment": "access",
    "find_base": "base",
    "is_lfs_pointer": "content",
    "judged_tree": "base",
    "on_default_branch": "base",
    "parse_address": "access",
    "pointer_error": "content",
    "whole": "content",
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
    "blob_md5",
    "check_login",
    "file_md5_as_kept",
    "find_base",
    "git_environment",
    "is_lfs_pointer",
    "judged_tree",
    "on_default_branch",
    "parse_address",
    "pointer_error",
    "whole",
]

__getattr__ = door(__name__, _HOME)
