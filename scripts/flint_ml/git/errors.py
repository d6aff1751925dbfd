"""What Git and its servers say when something is wrong, as errors that a user can act on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flint_ml.errors import FlintError, InputError, OutsideError

_RIGHTS = "the token needs `contents: write` on the manifests repository, a deploy key `Allow write access`"


@dataclass(frozen=True)
class KnownError:
    """One thing that goes wrong: the words it is known by, what it means and what to do."""

    words: str
    message: str
    hint: str
    code: str
    outside: bool = False
    where: str = "manifests"


# In order: what is more special comes first.
KNOWN_ERRORS = (
    KnownError(
        r"GH006|GH013|protected branch|Repository rule violations|not allowed to (?:force )?push code to protected",
        "the branch is protected: pushes to it are refused",
        "set `mode: pull-request`, or let the token's owner bypass the protection",
        "protected-branch",
    ),
    KnownError(
        r"key you are authenticating with has been marked as read only",
        "the deploy key may only read",
        "tick `Allow write access` of the deploy key in the manifests repository",
        "forbidden",
        where="ssh-key",
    ),
    KnownError(
        r"archived so it is read-only",
        "the manifests repository is archived",
        "unarchive it, or name another",
        "archived",
    ),
    KnownError(
        r"branch is currently checked out|refusing to update checked out branch",
        "the folder is a working copy with that branch checked out, which Git does not push to",
        "name a bare repository (`git clone --bare`), or its server's address",
        "checked-out-branch",
    ),
    KnownError(
        r"push declined due to (?:email|repository) privacy",
        "the server refuses the author's address",
        "see what it says in the log",
        "push-refused",
    ),
    KnownError(
        r"No space left|disk quota|unpack failed|unpacker error|index-pack abnormal|quota exceeded",
        "the server could not store the commit; it is full or broken",
        "nothing was changed; run the job again when the server is mended",
        "server-full",
        outside=True,
    ),
    KnownError(
        r"pre-receive hook declined|\(hook declined\)|update hook",
        "a rule of the server refused the commit",
        "see what it says; the rules are in the settings of the manifests repository",
        "push-refused",
    ),
    KnownError(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|No .* host key is known",
        "the server's host key is not the one that is known",
        "check the input `known-hosts`; if the server was changed on purpose, give its new key",
        "host-key",
        where="known-hosts",
    ),
    KnownError(
        r"error in libcrypto|invalid format|Load key .*:|incorrect passphrase|not a valid (?:OpenSSH )?private key",
        "the private key cannot be read; it is damaged or has a passphrase",
        "store the whole key file as the secret, and make the deploy key without a passphrase (`ssh-keygen -N ''`)",
        "wrong-ssh-key",
        where="ssh-key",
    ),
    KnownError(
        r"Permission denied \(|Too many authentication failures|no mutual signature algorithm",
        "the server does not take the key",
        "add its public part as a deploy key of the manifests repository, with write access",
        "wrong-ssh-key",
        where="ssh-key",
    ),
    KnownError(
        r"cannot run ssh|ssh: not found|ssh: command not found",
        "ssh is not installed",
        "install openssh-client, or use an https address with `token`",
        "no-ssh",
    ),
    KnownError(
        r"Authentication failed|error: 401|Invalid username or (?:password|token)|HTTP Basic: Access denied",
        "the server does not take the token (401)",
        "check that the secret is there and has not expired; `token` has no default, because the workflow's own "
        "token opens its own repository only",
        "wrong-token",
        where="token",
    ),
    KnownError(
        r"could not read (?:Username|Password)|terminal prompts disabled",
        "the server asks who we are, and there is no token",
        "give the input `token`, from a secret",
        "no-token",
        where="token",
    ),
    KnownError(
        r"error: 403|Write access to repository not granted|Permission to .* denied|not authorized|access denied",
        "this login may not do that here (403)",
        _RIGHTS,
        "forbidden",
        where="token",
    ),
    KnownError(
        r"redirect|error: 30\d",
        "the repository has moved; a token is not sent to where the server points",
        "give the new address",
        "moved",
    ),
    KnownError(
        r"SSL certificate|certificate ver|server certificate|SSL_ERROR|self.signed",
        "the server's certificate is not trusted",
        "put the certificate of your own authority where GIT_SSL_CAINFO points",
        "certificate",
        outside=True,
    ),
    KnownError(
        r"detected dubious ownership",
        "the folder belongs to another user",
        "run `git config --global --add safe.directory <folder>`",
        "foreign-folder",
    ),
    KnownError(
        r"Repository not found|repository '.*' not found|error: 404|does not appear to be a git repository"
        r"|does not exist|not a git repository|No such file or directory|project you were looking for",
        "there is no such repository, or this login may not see it",
        "check the address, and that the token or key is for that repository",
        "repository-not-found",
    ),
    KnownError(
        r"Could not resolve host|Connection refused|Failed to connect|Couldn't connect|timed out|unreachable"
        r"|Connection (?:reset|closed)|Empty reply|early EOF|hung up|RPC failed|error: (?:5\d\d|429)|No route to host"
        r"|kex_exchange|unexpected disconnect|Could not read from remote",
        "the server does not answer",
        "run the job again later; the manifests are as they were",
        "server-unavailable",
        outside=True,
    ),
)

# The branch moved on between our look and our push; of two that push at once one is told so.
_RACES = re.compile(
    r"\[rejected\]|fetch first|non-fast-forward|stale info|cannot lock ref|failed to (?:update|lock) ref|"
    r"reference already exists|incorrect old value|remote ref (?:is|was) at"
)
_MISSING_BRANCH = re.compile(r"couldn't find remote ref|Remote branch .* not found|no such remote ref")
_PASSING = re.compile(
    r"error: (?:5\d\d|429)|Connection (?:reset|closed)|early EOF|hung up|Empty reply|unexpected disconnect"
)


def race(said: str) -> bool:
    """Whether a push was refused only because somebody else was first."""
    return bool(_RACES.search(said))


def passing(said: str) -> bool:
    """Whether another try may help."""
    return bool(_PASSING.search(said))


def missing_branch(said: str) -> bool:
    """Whether the branch that was asked for is not there."""
    return bool(_MISSING_BRANCH.search(said))


def server_words(said: str) -> str:
    """The lines that say what is wrong, without progress and Git's advice."""
    lines = [line.strip().removeprefix("remote:").strip() for line in said.splitlines()]
    kept = [
        line
        for line in lines
        if line and not line.startswith(("hint:", "To ", "Counting", "Writing", "Compressing", "Enumerating", "Total"))
    ]
    return " | ".join(dict.fromkeys(kept))[:500]


def error_of(said: str, did: str) -> FlintError:
    """The error for what Git said while it ``did`` something (``read the manifests``, ``push``)."""
    words = server_words(said)
    for known in KNOWN_ERRORS:
        if re.search(known.words, said, re.IGNORECASE):
            kind = OutsideError if known.outside else InputError
            message = f"{known.message} (to {did}); it says: {words}" if words else f"{known.message} (to {did})"
            return kind(message, where=known.where, hint=known.hint, code=known.code)
    return OutsideError(
        f"Git could not {did}: {words or 'it gave no reason'}",
        where="manifests",
        hint="nothing was changed; see what it says",
        code="git-failed",
    )
