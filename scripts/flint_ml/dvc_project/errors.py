"""DVC's failures in words for users: what is wrong, whose it is to mend (exit code 2 or 3), and what to do.

DVC logs most causes and raises a count ("2 files failed to download"), so the logged exceptions are looked at first.
They are told apart by the names of their classes: importing every storage library to name its classes would cost
seconds.
"""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flint_ml.errors import FlintError, InputError, OutsideError

UNREACHABLE = "remote-unreachable"
CREDENTIALS_MISSING = "no-credentials"
CREDENTIALS_REFUSED = "credentials-refused"

_LOGGERS = ("dvc", "dvc_data", "dvc_objects")
_NONE = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "AzureAuthError"}
_REFUSED = {
    "ClientAuthenticationError",
    "AuthError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "RefreshError",
    "UnauthorizedSSOTokenError",
    "PermissionDenied",
    "HTTPUnauthorized",
    "PermissionDeniedError",
    "UnauthenticatedError",
}
_REFUSED_TEXT = re.compile(
    r"AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|AuthorizationHeader"
    r"|InvalidClientTokenId|\b40[13]\b|Forbidden|Unauthorized|Access Denied|Permission denied for user"
)
_NETWORK = {"ClientConnectorError", "ClientOSError", "ServerDisconnectedError", "EndpointConnectionError", "gaierror"}
_DEFECTS = (TypeError, AttributeError, NameError, AssertionError, LookupError)
_NO_CONTAINER = re.compile(r"NoSuchBucket|bucket does not exist|ContainerNotFound|container does not exist", re.I)
_BROKEN_FILE = {"YAMLFileCorruptedError", "YAMLSyntaxError", "YAMLValidationError", "StageFileFormatError"}
_MEND_CREDENTIALS = (
    "give this step the remote's credentials under `env:` from repository secrets (for S3 AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY); a pull request from a fork gets no secrets"
)


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.causes: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.causes.append(record.exc_info[1])


@contextmanager
def logged_causes() -> Iterator[list[BaseException]]:
    """Keep DVC's own messages off the screen and collect the exceptions that it logs."""
    collector = _Collector()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [collector], False
    try:
        yield collector.causes
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate


def chain(error: BaseException) -> list[BaseException]:
    """``error`` and what it was raised from."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found


def clean(error: BaseException) -> str:
    """First line of an error's text, without passwords and signatures of addresses."""
    text = (str(error).strip().splitlines() or [""])[0]
    text = re.sub(r"(\w+://)[^/@\s]+@", r"\1***@", text)
    text = re.sub(r"(https?://[^\s?]+)\?\S+", r"\1?***", text)
    return text[:300] or type(error).__name__


def only_missing(causes: Sequence[BaseException]) -> bool:
    """Whether everything that failed, failed because the remote does not hold it."""
    return all(isinstance(cause, FileNotFoundError) and not _no_answer(cause) for cause in causes)


def _no_answer(cause: BaseException) -> BaseException | None:
    """What stands behind a "file not found" that is something else: storage libraries hide refusals in it."""
    for part in chain(cause):
        text = f"{type(part).__name__} {part}"
        status = getattr(part, "status", None)
        if _NO_CONTAINER.search(text) or (isinstance(status, int) and status not in {404, 410}):
            return part
        if isinstance(part, ConnectionError | TimeoutError) or type(part).__name__ in _NETWORK:
            return part
    return None


def translate(error: BaseException, causes: Sequence[BaseException], remote: str) -> FlintError:
    """The error to show for ``error``, which DVC raised after logging ``causes``; ``remote`` names the storage."""
    if isinstance(error, FlintError):
        return error
    for cause in [*causes, error]:
        parts = chain(cause)
        found = _of_storage(parts, remote) or _of_settings(parts, remote)
        if found:
            return found
    if type(error).__name__ == "LockError":
        return OutsideError(
            "another DVC process works in this project",
            hint="wait for it, or remove .dvc/tmp/lock if none runs",
            code="dvc-locked",
        )
    if isinstance(error, _DEFECTS):
        raise error
    if causes or not (isinstance(error, ValueError) or type(error).__module__.startswith("dvc.")):
        cause = causes[0] if causes else error
        return _network(_no_answer(cause) or cause, remote)
    return InputError(f"DVC: {clean(error)}", hint="`dvc pull -v` at a terminal says more", code="dvc-failed")


def _network(cause: BaseException, remote: str) -> FlintError:
    return OutsideError(
        f"the DVC {remote} could not be read: {clean(cause)}",
        hint="check the remote's address and that it is up, then run again",
        code=UNREACHABLE,
    )


def _of_storage(parts: Sequence[BaseException], remote: str) -> FlintError | None:
    """Credentials, a bucket that is not there, a full disk."""
    names = {type(part).__name__ for part in parts}
    text = " ".join(str(part) for part in parts)
    local = next((part for part in parts if isinstance(part, OSError) and part.filename is not None), None)
    if any(isinstance(part, OSError) and part.errno == errno.ENOSPC for part in parts):
        return OutsideError(
            "the disk is full", hint="free space on the runner, or pull fewer `targets`", code="disk-full"
        )
    if local is not None and isinstance(local, PermissionError):
        return InputError(
            f"may not be read or written: {local.strerror}",
            where=str(local.filename),
            hint="mend the permissions of that folder",
            code="permission",
        )
    if names & _NONE:
        return InputError(
            f"there are no credentials for the DVC {remote}", hint=_MEND_CREDENTIALS, code=CREDENTIALS_MISSING
        )
    if names & _REFUSED or any(isinstance(part, PermissionError) for part in parts) or _REFUSED_TEXT.search(text):
        return InputError(
            f"the DVC {remote} refused the credentials: {clean(parts[0])}",
            hint=_MEND_CREDENTIALS + "; check that they are current and may read and list the bucket",
            code=CREDENTIALS_REFUSED,
        )
    if any(_NO_CONTAINER.search(f"{type(part).__name__} {part}") for part in parts):
        return InputError(
            f"the bucket or folder of the DVC {remote} does not exist",
            hint="compare the address in .dvc/config with `dvc remote list`",
            code="remote-not-found",
        )
    return None


def _of_settings(parts: Sequence[BaseException], remote: str) -> FlintError | None:
    """What is wrong in the user's own files."""
    first = parts[0]
    names = {type(part).__name__ for part in parts}
    if "NoRemoteError" in names:
        return InputError(
            "the project names no default DVC remote",
            hint="run `dvc remote default NAME` and commit .dvc/config, or set the input `remote`",
            code="no-remote",
        )
    if "RemoteNotFoundError" in names:
        return InputError(
            f"there is no DVC {remote}", where="remote", hint="`dvc remote list` shows the names", code="unknown-remote"
        )
    if "RemoteMissingDepsError" in names or any(isinstance(part, ImportError) for part in parts):
        return InputError(
            f"this kind of remote is not supported here: {clean(first)}",
            hint="the image reads local, S3, Google, Azure, SSH and HTTP remotes; for others run `dvc pull` on the "
            "runner before this action",
            code="missing-remote-extra",
        )
    if names & _BROKEN_FILE:
        return InputError(f"{clean(first)}", hint="restore the file from Git", code="invalid-dvc-file")
    if any("remove the following unsaved files" in str(part) for part in parts):
        listed = ", ".join(str(first).splitlines()[1:6])
        return InputError(
            f"pulling would overwrite local changes: {listed}",
            hint="keep them with `dvc commit` or delete the files",
            code="local-changes",
        )
    if names & {"ConfigError", "RemoteConfigError"}:
        return InputError(
            f"DVC's settings are wrong: {clean(first)}", where=".dvc/config", hint="mend .dvc/config", code="dvc-config"
        )
    return None
