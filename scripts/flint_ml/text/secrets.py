"""Secrets in variables and addresses: which are there, and text without them.

One list of names serves all: what Git and other helpers find in their environment, and what is taken out of every
log, record, summary, output and comment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

_NAME = re.compile(
    r"^INPUT_(?:TOKEN|SSH-KEY)$|TOKEN|SECRET|PASSW|PASSPHRASE|PGPASS|(?:^|_)PASS$|(?:^|_)PWD$|CREDENTIAL|PRIVATE|COOKIE"
    r"|API_?KEY|(?:ACCESS|ACCOUNT|AUTH|SSH|SIGNING|ENCRYPTION|STORAGE|SERVICE|SHARED|DEPLOY)_?KEY|(?:^|_)AUTH$"
    r"|AUTHORIZATION|CONNECTION_?STRING|CONN_?STR|SAS_|(?:^|_)SAS$|WEBHOOK|DATABASE_URL|(?:^|_)DSN$",
    re.IGNORECASE,
)
# Names that hold a path or a program, or the shell's own.
_NOT_SECRET = re.compile(r"^(?:PWD|OLDPWD|SSH_AUTH_SOCK|INPUT_KEY)$|ASKPASS|_(?:FILE|PATH|DIR|SOCK)$", re.IGNORECASE)
# scheme://user:password@host, scheme://token@host
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^\s/@:]*)(?::([^\s/@]*))?@")
_PAIR = re.compile(
    r"(?:^|[;&?\s])(?:password|pwd|accountkey|sharedaccesskey|sharedaccesssignature|sig|secret|token|api_?key)=([^;&\s]+)",
    re.IGNORECASE,
)
_WORDS = {"true", "false", "yes", "no", "none", "null", "default", "auto", "read", "write"}
# A shorter value is replaced only where it stands alone: as a part of words it would black out the text.
_LONG = 8
_SHORTEST = 3


def is_secret(name: str) -> bool:
    """Whether a variable called ``name`` holds a secret."""
    return bool(_NAME.search(name)) and not _NOT_SECRET.search(name)


def secret_values(env: Mapping[str, str]) -> list[str]:
    """The secrets in ``env``: values of secret variables, and passwords inside addresses of any variable."""
    values: list[str] = []
    for name, text in env.items():
        if is_secret(name):
            values += _parts(text)
        values += inside(text)
    return list(dict.fromkeys(values))


def _parts(text: str) -> list[str]:
    """A secret as it may come back: whole, line by line, and the strings of a JSON document."""
    parts = [text.strip(), *(line.strip() for line in text.splitlines())]
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except ValueError:
            document = {}
        for key, value in document.items() if isinstance(document, dict) else ():
            if isinstance(value, str) and is_secret(str(key)):
                parts += _parts(value)
    return [part for part in parts if _is_worth(part)]


def inside(text: str) -> list[str]:
    """Passwords in addresses and connection strings."""
    values = []
    for user, password in _ADDRESS.findall(text):
        # A name alone before the host is a token only where it looks like one.
        values += [password, unquote(password)] if password else [user] if len(user) >= 16 else []
    values += _PAIR.findall(text)
    return [value for value in values if _is_worth(value)]


def _is_worth(value: str) -> bool:
    return len(value) >= _SHORTEST and value.lower() not in _WORDS and not (value.isdigit() and len(value) < 6)


def redact(text: str, secrets: Iterable[str]) -> str:
    """``text`` with ``***`` for each secret; a short one only where it stands alone."""
    for secret in secrets:
        if len(secret) >= _LONG:
            text = text.replace(secret, "***")
        elif secret in text:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])", "***", text)
    return text


def redact_values(value: Any, secrets: Iterable[str]) -> Any:
    """``value`` with every string in it redacted; names of fields stay."""
    secrets = list(secrets)
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, Mapping):
        return {key: redact_values(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(item, secrets) for item in value]
    return value
