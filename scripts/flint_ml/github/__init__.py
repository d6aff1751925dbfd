"""GitHub's REST API, as much of it as the report needs. Knows nothing of records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint_ml.doors import door

if TYPE_CHECKING:
    from flint_ml.github import branch, comments, issue, runs, sticky
    from flint_ml.github.client import (
        DEADLINE,
        ForbiddenError,
        GitHub,
        NotFoundError,
        RefusedError,
        WrongTokenError,
        expected_shape,
    )
    from flint_ml.github.comments import Accepted, Conversation
    from flint_ml.github.proposal import File, Start, propose
    from flint_ml.github.sticky import Marker, Posted, author_check

_HOME = {
    "Accepted": "comments",
    "Conversation": "comments",
    "DEADLINE": "client",
    "File": "proposal",
    "ForbiddenError": "client",
    "expected_shape": "client",
    "GitHub": "client",
    "Marker": "sticky",
    "NotFoundError": "client",
    "Posted": "sticky",
    "RefusedError": "client",
    "Start": "proposal",
    "WrongTokenError": "client",
    "author_check": "sticky",
    "propose": "proposal",
}

__all__ = [
    "DEADLINE",
    "Accepted",
    "Conversation",
    "File",
    "ForbiddenError",
    "GitHub",
    "Marker",
    "NotFoundError",
    "Posted",
    "RefusedError",
    "Start",
    "WrongTokenError",
    "author_check",
    "branch",
    "comments",
    "expected_shape",
    "issue",
    "propose",
    "runs",
    "sticky",
]

__getattr__ = door(__name__, _HOME)
