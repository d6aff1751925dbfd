"""What a registered version was scored with: its metrics, its record, files that were stored beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from flint_ml.registry.register import ATTACHMENTS_FOLDER
from flint_ml.registry.stages import aliased
from flint_ml.registry.store import Run, Store, Version

_ADDRESS = re.compile(r"^models:/(?P<name>[^/@]+)(?:/(?P<number>\d{1,9})|@(?P<alias>[\w.-]{1,100}))$")


@dataclass(frozen=True)
class Registered:
    """A version with its run; ``metrics`` are what was logged there, finite ones only."""

    store: Store
    version: Version
    run: Run | None
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def commit(self) -> str | None:
        """The commit that the model was trained from, as register-model tags it or MLflow notes it."""
        noted = self.run.tags.get("mlflow.source.git.commit") if self.run else None
        commit = self.version.tags.get("flint_ml.commit") or noted or ""
        return commit if re.fullmatch(r"[0-9a-f]{40,64}", commit) else None

    def record(self, name: str) -> bytes | None:
        """The record ``name`` that register-model stored with the version."""
        return self._read(f"{ATTACHMENTS_FOLDER}/records/{name}.json")

    def file(self, path: str) -> bytes | None:
        """A file of the project that was stored with the version: under its path, or its bare name."""
        if path.startswith("/") or ".." in path.split("/"):
            return None
        names = [f"{ATTACHMENTS_FOLDER}/predictions/{path}", path, path.rpartition("/")[2]]
        contents = (self._read(name) for name in dict.fromkeys(names))
        return next((data for data in contents if data is not None), None)

    def _read(self, name: str) -> bytes | None:
        return self.store.read(self.run, name) if self.run else None


def parse_address(text: str) -> tuple[str, int | str] | None:
    """``models:/name/3`` or ``models:/name@alias`` as name and number or alias; None for anything else."""
    match = _ADDRESS.match(text)
    if match is None:
        return None
    return match["name"], int(match["number"]) if match["number"] else match["alias"]


def find_registered(store: Store, name: str, which: int | str) -> Registered | None:
    """The version ``which`` (a number or an alias) of the model ``name``, or None where there is none.

    Raises
    ------
    OutsideError
        If the registry fails.
    """
    number = which if isinstance(which, int) else aliased(store, name, which)
    version = store.version(name, number) if number is not None else None
    if version is None:
        return None
    run = store.run(version.run_id) if version.run_id else None
    logged = run.metrics if run else {}
    return Registered(store, version, run, {key: value for key, value in logged.items() if math.isfinite(value)})
