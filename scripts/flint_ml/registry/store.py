"""What is asked of a registry, whichever way it is reached."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from flint_ml.errors import OutsideError


@dataclass(frozen=True)
class Version:
    """One version of a registered model. ``stage`` is MLflow's own, None where the server has none."""

    name: str
    number: int
    run_id: str | None
    source: str
    stage: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """The address that ``mlflow`` loads it by."""
        return f"models:/{self.name}/{self.number}"


@dataclass(frozen=True)
class Run:
    """One MLflow run: where its artifacts lie and what was logged so far. ``started`` is in ms since 1970."""

    id: str
    experiment: str
    artifact_uri: str
    started: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    finished: bool = False


# MLflow writes tags and aliases by "look, then insert": of two jobs that do it at once the later one is refused by
# the database, although it has only to ask again. Nothing of a refused call is kept.
_COLLISIONS = ("IntegrityError", "UniqueViolation", "database is locked", "deadlock detected", "SerializationFailure")
COLLISION_TRIES = 6
# What is read back from a registry (records, predictions) and not only hashed.
MAX_READ = 64 * 1024 * 1024
# MLflow takes at most 100 parameters or tags and 1,000 values of all kinds in one call.
PARAMS_PER_CALL, METRICS_PER_CALL = 100, 800


def collided(message: str) -> bool:
    """Whether a refusal only means that another job wrote the same row at the same moment."""
    return any(word in message for word in _COLLISIONS)


def pause(attempt: int) -> None:
    """Wait a little, and not as long as the other job does."""
    time.sleep(random.uniform(0.02, 0.1) * (attempt + 1))  # noqa: S311 - no secret


def too_large(name: str, where: str) -> OutsideError:
    """The error for an artifact of more than MAX_READ bytes."""
    return OutsideError(f"`{name}` is larger than {MAX_READ:,} bytes", where=where, code="artifact-too-large")


def chunks(values: Mapping[str, Any], size: int) -> list[dict[str, Any]]:
    """``values`` in parts of at most ``size``."""
    items = list(values.items())
    return [dict(items[start : start + size]) for start in range(0, len(items), size)]


class Store(Protocol):
    """A registry. Every method raises OutsideError with what to do when the registry says no or is gone."""

    def ensure_model(self, name: str) -> None:
        """Make the registered model unless it is there."""

    def experiment(self, name: str) -> str:
        """Identifier of the experiment ``name``, made unless it is there."""

    def runs(self, experiment: str, tag: tuple[str, str]) -> list[Run]:
        """Runs that are not deleted and carry the tag, oldest first."""

    def run(self, run_id: str) -> Run | None:
        """One run, or None where the registry does not know it or its artifacts are not to be had here."""

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> Run:
        """A new run."""

    def log(
        self, run_id: str, metrics: Mapping[str, float], params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """Log any number of metrics, parameters and tags."""

    def finish(self, run_id: str) -> None:
        """Mark the run as finished."""

    def delete_run(self, run_id: str) -> None:
        """Put the run into MLflow's trash; nothing happens where it is gone."""

    def upload(self, run: Run, name: str, path: Path) -> None:
        """Store the file ``path`` as artifact ``name`` (forward slashes; the last part is the file's own name)."""

    def sha256(self, run: Run, name: str) -> str:
        """Read the artifact ``name`` back and return its hash."""

    def read(self, run: Run, name: str) -> bytes | None:
        """Content of the artifact ``name``; None where the run has no such file. At most MAX_READ bytes."""

    def create_version(self, name: str, source: str, run_id: str, tags: Mapping[str, str], description: str) -> Version:
        """A new version with its tags, in one step."""

    def versions(self, name: str, tag: tuple[str, str]) -> list[Version]:
        """Versions that carry the tag, lowest first."""

    def version(self, name: str, number: int) -> Version | None:
        """One version, or None where it is gone."""

    def delete_version(self, name: str, number: int) -> None:
        """Delete a version; nothing happens where it is gone."""

    def set_tag(self, name: str, number: int, tag: str, value: str) -> None:
        """Set a tag of a version."""

    def delete_tag(self, name: str, number: int, tag: str) -> None:
        """Delete a tag of a version; nothing happens where it is gone."""

    def alias(self, name: str, alias: str) -> int | None:
        """The version that the alias points to."""

    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Point the alias to a version."""

    def move_stage(self, name: str, number: int, stage: str) -> bool:
        """Move MLflow's own stage, archiving the version that had it; False where the server has none."""
