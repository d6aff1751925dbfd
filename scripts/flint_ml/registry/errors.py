"""What goes wrong between here and a registry, in words that say what to do. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

CREDENTIALS = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
_FULL = ("no space left", "disk full", "could not extend file", "quota", "insufficient storage", "xminiostoragefull")
_S3 = (
    "nosuchbucket",
    "accessdenied",
    "access denied",
    "invalidaccesskeyid",
    "signaturedoesnotmatch",
    "headobject",
    "putobject",
    "createmultipartupload",
)
# How MLflow's client words an answer: after its retry, and where the answer is not MLflow's JSON.
_RETRIED = re.compile(r"too many (\d{3}) error responses")
_FAILED = re.compile(r"failed with error code (\d{3}) != \d{3}")
_OLD_SCHEMA = ("out-of-date database schema", "can't locate revision", "no such column", "undefinedcolumn")


@dataclass(frozen=True)
class Explained:
    """A message, what to do, and the code of the finding."""

    message: str
    hint: str | None
    code: str


def _has(text: str, words: tuple[str, ...]) -> bool:
    return any(word in text.lower() for word in words)


def refusal(status: int, code: str, text: str, *, host: str, named: bool, artifact: bool = False) -> Explained:
    """What a server's refusal means.

    Parameters
    ----------
    status, code, text
        HTTP status, MLflow's own code (empty where the answer is not MLflow's), and the answer's text.
    host
        Host and port as the server was asked for.
    named
        Whether credentials were sent.
    artifact
        Whether a file of a model was stored or read, and not the database asked.
    """
    text = " ".join(text.split())[:300] or "it gives no reason"
    if status == 401:
        have = "does not accept the user name and password or token" if named else "wants credentials"
        return Explained(
            f"the model registry {have} (401)",
            f"set {CREDENTIALS} from secrets in the step's `env:`",
            "registry-unauthorized",
        )
    if status == 403:
        return _forbidden(text, host)
    if artifact and status == 404:
        return Explained(
            "the file that was stored is not in the server's artifact store (404)",
            "check who deletes files there; run the job again, which stores it anew",
            "artifact-store",
        )
    if status == 404 and not code:
        return Explained(
            "there is no MLflow server at this address (404)", "check path and port of `tracking-uri`", "no-mlflow"
        )
    if status == 413:
        return Explained(
            "a file is larger than the server or the proxy before it takes (413)",
            "raise its limit (nginx: `client_max_body_size 0;`)",
            "registry-too-large",
        )
    if status in {429, 502, 503, 504}:
        return Explained(
            f"the model registry is overloaded or just starting ({status}), also when asked again",
            "run the job again later; what was begun is completed then",
            "registry-busy",
        )
    if status >= 500 or _has(text, _OLD_SCHEMA):
        return _failed(status, text, artifact=artifact)
    return _answered(status, code, text)


def _forbidden(text: str, host: str) -> Explained:
    if "invalid host header" in text.lower():
        return Explained(
            f"the server refuses to be called `{host}` (403, Invalid Host header)",
            f"start it with `mlflow server --allowed-hosts {host}` (from 3.x it answers to localhost only)",
            "registry-host",
        )
    return Explained(
        f"the model registry does not allow this (403): {text}",
        "give the user EDIT permission for experiment and registered model, MANAGE for aliases and deleting",
        "registry-forbidden",
    )


def _failed(status: int, text: str, *, artifact: bool) -> Explained:
    if _has(text, _FULL) or status == 507:
        return Explained(
            f"the registry's disk or artifact store is full ({status}): {text}",
            "make room there and run the job again; nothing was registered, and what was stored is used then",
            "registry-full",
        )
    if _has(text, _OLD_SCHEMA):
        return Explained(
            f"the registry's database does not fit its MLflow ({status}): {text}",
            "where the server runs, after a backup: `mlflow db upgrade DATABASE-ADDRESS`, then start it again",
            "registry-schema",
        )
    if artifact or _has(text, _S3):
        return Explained(
            f"the server's artifact store refused ({status}): {text}",
            "where the server runs, look at its log: bucket, keys, MLFLOW_S3_ENDPOINT_URL, free space",
            "artifact-store",
        )
    return Explained(
        f"the model registry failed ({status}): {text}",
        "look at the server's log: free space, database and artifact store",
        "registry-failed",
    )


def _answered(status: int, code: str, text: str) -> Explained:
    if code == "RESOURCE_DOES_NOT_EXIST":
        return Explained(
            f"something is gone from the registry that was there a moment ago: {text}",
            "somebody deleted it meanwhile; run the job again, which makes it anew",
            "registry-gone",
        )
    if code in {"ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"}:
        return Explained(
            f"the server does not know what is asked of it ({code}): {text}",
            "aliases need MLflow 2.3 or newer there",
            "registry-too-old",
        )
    if "invalid" in text.lower() and "name" in text.lower():
        return Explained(
            f"the registry does not take this name: {text}",
            "give `model-name` or `experiment` another name",
            "registry-name",
        )
    return Explained(f"the model registry refused ({status} {code}): {text}", None, "registry-refused")


def redirected(target: str, uri: str) -> Explained:
    """What a redirect of the API means: a POST would arrive as a GET there."""
    parts = urlsplit(target)
    where = f"{parts.scheme}://{parts.netloc}" if parts.netloc else uri
    if parts.netloc.partition(":")[0] == (urlsplit(uri).hostname or ""):
        return Explained(
            f"the server sends everybody on to {where}", f"set `tracking-uri: {where}{_path(uri)}`", "registry-redirect"
        )
    return Explained(
        f"a login page stands before the server ({where})",
        "a program cannot log in there: use an address of the API that takes a user name or token",
        "registry-redirect",
    )


def _path(uri: str) -> str:
    return urlsplit(uri).path.rstrip("/")


def unreachable(error: Exception, *, certificate: bool, timeout: bool) -> Explained:
    """Why nothing came back at all."""
    text = str(error).lower()
    if "ca certificate bundle" in text or "tls certificate" in text or "tls key" in text:
        why = f"a file of certificates is missing ({str(error).rpartition(': ')[2]})"
        hint = "check MLFLOW_TRACKING_SERVER_CERT_PATH, MLFLOW_TRACKING_CLIENT_CERT_PATH and REQUESTS_CA_BUNDLE"
    elif "wrong version number" in text or "record layer failure" in text:
        why, hint = "it speaks http, not https", "write `http://` in `tracking-uri`, or put HTTPS before the server"
    elif certificate:
        why, hint = "its certificate is not trusted", "name the authority's file in MLFLOW_TRACKING_SERVER_CERT_PATH"
    elif timeout:
        why, hint = "it does not answer", "check that the server runs and that this runner may reach it"
    elif "resolve" in text or "getaddrinfo" in text:
        why, hint = "no such host is known here", "check the spelling, and that the runner reaches that network"
    elif "refused" in text:
        why, hint = "nothing listens at that address", "check port and server; it may still be starting"
    elif "unreachable" in text or "no route" in text:
        why, hint = "no network leads there from here", "a private address needs a runner inside that network, or a VPN"
    else:
        why, hint = "the connection broke", "check that the server runs and that this runner may reach it"
    return Explained(f"the model registry cannot be reached: {why}", hint, "registry-unreachable")


def client_error(
    text: str, host: str, *, named: bool, artifact: bool = False, code: str = "", status: int = 0
) -> Explained:
    """What an error of MLflow's client means, which keeps the server's answer only in its text.

    Parameters
    ----------
    text
        The client's words; ``no-json`` for an answer that is not JSON.
    code, status
        MLflow's own code and the HTTP status that belongs to it.
    """
    if text == "no-json" or "not in a valid JSON format" in text:
        return Explained("what answers there is not an MLflow server", "check `tracking-uri`", "no-mlflow")
    if match := _RETRIED.search(text):
        # After its one retry the client drops the server's reason with the answer.
        return refusal(int(match[1]), "", "", host=host, named=named, artifact=artifact)
    if match := _FAILED.search(text):
        body = text[match.end() :].removeprefix(". Response body: ").strip("'")
        return refusal(int(match[1]), "", body, host=host, named=named, artifact=artifact)
    return refusal(status or 400, code, text.removeprefix(f"{code}: "), host=host, named=named, artifact=artifact)


def artifact_store(text: str, package: str = "") -> Explained:
    """Why a store that is reached without the server (S3, Google Cloud, Azure) did not take the model.

    Parameters
    ----------
    package
        The Python package that is missing here, if that is why.
    """
    if package:
        message = f"artifacts of this server go straight to its store, which needs `{package}` here"
        hint = f"`pip install {package}`, or let the server pass artifacts on (`--artifacts-destination`)"
        return Explained(message, hint, "artifact-store")
    if _has(text, ("nosuchbucket", "bucketnotfound", "containernotfound")):
        hint = "the server names a bucket that is not there: check its `--default-artifact-root`"
    elif _has(text, ("accessdenied", "access denied", "forbidden", "403")):
        hint = "the credentials in the step's `env:` may not read and write there (s3:GetObject, s3:PutObject)"
    elif _has(text, ("unable to locate credentials", "invalidaccesskeyid", "signaturedoesnotmatch", "expiredtoken")):
        hint = "set the store's credentials in the step's `env:` (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, …)"
    elif _has(text, ("could not connect", "endpoint url", "timed out")):
        hint = "the store is not reached from here: check MLFLOW_S3_ENDPOINT_URL and the network"
    elif _has(text, _FULL):
        hint = "make room in the store and run the job again; what was stored is used then"
    else:
        hint = "check the store's credentials in the step's `env:` (AWS_ACCESS_KEY_ID, …) and its free space"
    return Explained(f"the artifact store refused the model: {text}", hint, "artifact-store")


def registry_file(text: str) -> Explained:
    """Why a registry in a sqlite file could not be used."""
    if _has(text, ("database is locked",)):
        hint = "another program writes to it; run again, or use an `mlflow server` for several jobs"
    elif _has(text, ("readonly", "read-only", "permission denied", "unable to open")):
        hint = "it and its folder must be writable for the user who runs this"
    elif _has(text, (*_FULL, "disk is full", "no space")):
        hint = "make room on the disk and run again; nothing was registered"
    elif _has(text, ("not a database", "malformed")):
        hint = "it is not an MLflow database, or it is damaged: move it away, or bring back a copy"
    elif _has(text, _OLD_SCHEMA):
        hint = "it was made by another MLflow: after a copy of it, `mlflow db upgrade sqlite:///mlflow.db`"
    else:
        hint = "is it an MLflow database, and may it be written?"
    return Explained(f"the registry's file could not be used: {text}", hint, "registry-file")
