"""Smoke tests over HTTP: does what was deployed answer, and is it the version that we mean?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import requests
import urllib3

from flint_ml import __version__

_MAX_BYTES = 1 << 20
_PAUSE = 2.0


@dataclass(frozen=True)
class Check:
    """One request and what its answer must be.

    Attributes
    ----------
    contains
        Text that the answer must hold; ``{version}`` stands for the number of the version.
    body
        JSON to send by POST, such as a stored sample; a GET where it is empty.
    """

    path: str
    status: int = 200
    contains: str = ""
    body: str = ""


@dataclass(frozen=True)
class Result:
    """How a check ended; ``said`` is empty where it passed."""

    name: str
    said: str = ""


def _ask(address: str, check: Check, number: int, seconds: float) -> str:
    """What is wrong with the answer, or nothing."""
    headers = {"User-Agent": f"flint-ml/{__version__}"} | ({"Content-Type": "application/json"} if check.body else {})
    try:
        with requests.request(
            "POST" if check.body else "GET", address.rstrip("/") + check.path, data=check.body.encode() or None,
            headers=headers, timeout=(min(5.0, seconds), min(10.0, seconds)), allow_redirects=False, stream=True,
        ) as response:  # fmt: skip
            text = response.raw.read(_MAX_BYTES, decode_content=True).decode(errors="replace")
            status = response.status_code
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        return f"no answer ({type(error).__name__})"
    if status != check.status:
        return f"answered {status} instead of {check.status}"
    wanted = check.contains.replace("{version}", str(number))
    return f"the answer does not hold `{wanted}`" if wanted not in text else ""


def smoke(address: str, checks: Mapping[str, Check], number: int, seconds: float) -> list[Result]:
    """Ask until every check passes in one round, for at most ``seconds``: the cluster needs time to follow Git."""
    end = time.monotonic() + seconds
    while True:
        left = max(end - time.monotonic(), 0.5)
        results = [Result(name, _ask(address, check, number, left)) for name, check in checks.items()]
        if not any(result.said for result in results) or time.monotonic() + _PAUSE > end:
            return results
        time.sleep(_PAUSE)
