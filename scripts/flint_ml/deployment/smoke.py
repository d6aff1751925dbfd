"""Smoke tests over HTTP: does what was deployed answer, and is it the version that we mean?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import requests
import urllib3

from flint_ml import __version__
from flint_ml.deployment.samples import Samples, compare_predictions

_MAX_BYTES = 4 << 20
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
    samples, tolerance
        Stored samples to send instead; their predictions must come back (:mod:`flint_ml.deployment.samples`).
    """

    path: str
    status: int = 200
    contains: str = ""
    body: str = ""
    samples: Samples | None = None
    tolerance: float = 0.0


@dataclass(frozen=True)
class Result:
    """How a check ended; ``said`` is empty where it passed, ``note`` is what else is worth knowing."""

    name: str
    said: str = ""
    note: str = ""


def _ask(name: str, address: str, check: Check, number: int, seconds: float) -> Result:
    """One request, and what is wrong with its answer."""
    body = check.samples.request if check.samples else check.body
    headers = {"User-Agent": f"flint-ml/{__version__}"} | ({"Content-Type": "application/json"} if body else {})
    try:
        with requests.request(
            "POST" if body else "GET",
            address.rstrip("/") + check.path,
            data=body.encode() or None,
            headers=headers,
            timeout=(min(5.0, seconds), min(10.0, seconds)),
            allow_redirects=False,
            stream=True,
        ) as response:
            text = response.raw.read(_MAX_BYTES, decode_content=True).decode(errors="replace")
            status = response.status_code
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        return Result(name, f"no answer ({type(error).__name__})")
    if status != check.status:
        return Result(name, f"answered {status} instead of {check.status}")
    expected = check.contains.replace("{version}", str(number))
    if expected not in text:
        return Result(name, f"the answer does not hold `{expected}`")
    if check.samples is None:
        return Result(name)
    compared = compare_predictions(check.samples, text, check.tolerance)
    note = f"{check.samples.n} samples, largest difference {compared.largest:.2g}"
    return Result(name, compared.said, "" if compared.said else note)


def run_smoke_tests(address: str, checks: Mapping[str, Check], number: int, seconds: float) -> list[Result]:
    """Ask until every check passes in one round, for at most ``seconds``: the cluster needs time to follow Git."""
    end = time.monotonic() + seconds
    while True:
        left = max(end - time.monotonic(), 0.5)
        results = [_ask(name, address, check, number, left) for name, check in checks.items()]
        if not any(result.said for result in results) or time.monotonic() + _PAUSE > end:
            return results
        time.sleep(_PAUSE)
