"""Scan a table with Dask's workers: each scans some of the parts, and what they found adds up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flint_ml.drift.streaming.scan import OtherTypeError, Scan, ScanPlan, Unit, scan
from flint_ml.drift.streaming.stream_columns import Scanner
from flint_ml.errors import InputError, OutsideError

_HINT = "install it beside flint-ml, on the workers too: `pip install 'flint-ml-actions[dask]'`; the image lacks it"


@contextmanager
def dask_scanner(address: str, timeout: float = 30) -> Iterator[Scanner]:
    """A scanner that works on the cluster whose scheduler is at ``address``, such as ``tcp://10.0.0.5:8786``.

    Raises
    ------
    InputError
        If no address is given, or Dask is not installed.
    OutsideError
        If the scheduler does not answer, has no workers, or loses them.
    """
    if not address:
        raise InputError(
            "is needed with `engine: dask`",
            where="scheduler",
            hint="give the address of the scheduler, such as `tcp://10.0.0.5:8786`",
            code="missing-input",
        )
    try:
        from distributed import Client
    except ImportError:
        raise InputError("needs the package `distributed`", where="engine: dask", hint=_HINT, code="no-dask") from None
    try:
        client = Client(address, timeout=timeout, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OutsideError(
            f"the Dask scheduler does not answer: {_first_line(error)}",
            where="scheduler",
            hint="check the address, and that this machine may connect to it",
            code="scheduler-down",
        ) from None
    try:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise OutsideError(
                "the Dask cluster has no workers",
                where="scheduler",
                hint="start some: `dask worker ADDRESS`",
                code="no-workers",
            )
        yield lambda units, plan: _scan_all(client, units, plan)
    finally:
        client.close()


def _scan_all(client: Any, units: Sequence[Unit], plan: ScanPlan) -> Scan:
    """Scan the units on the workers; what they found is merged in the order of the units, as on one machine."""
    from distributed import CancelledError, KilledWorker

    futures = [client.submit(scan, unit, plan, pure=False) for unit in units]
    result = Scan()
    try:
        for future in futures:
            result.merge(future.result(), plan.requests, plan.keep)
            # The worker may forget it.
            future.release()
    except (InputError, OtherTypeError):
        client.cancel(futures)
        raise
    except (KilledWorker, CancelledError, OSError, ImportError) as error:
        client.cancel(futures)
        raise OutsideError(
            f"the Dask workers could not scan: {_first_line(error)}",
            where=f"{units[0].source.label}",
            hint="they need flint-ml of this version, the same path to the data, and memory for a batch",
            code="workers-failed",
        ) from None
    return result


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
