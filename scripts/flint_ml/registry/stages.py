"""Staging and Production: tag ``stage``, alias and MLflow's own stage, moved together and never back by accident."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flint_ml.registry.store import Store, Version

STAGE_TAG = "stage"
_ROUNDS = 5


@dataclass(frozen=True)
class Move:
    """What became of a wish to move a stage.

    Attributes
    ----------
    version
        The version that has the stage now.
    previous
        The version that had it before, None for none.
    moved
        Whether the asked-for version has it.
    mlflow_stage
        Whether the server still has stages of its own.
    """

    version: int
    previous: int | None
    moved: bool
    mlflow_stage: bool = True


def move_forward(store: Store, version: Version, stage: str, older: Callable[[Version], bool]) -> Move:
    """Give ``stage`` to ``version`` unless a newer one has it.

    MLflow has no compare-and-swap, so two jobs may write the alias at once. Each one tags its version first, then
    points the alias to the highest tagged version and looks again: whoever writes last sees the higher version and
    puts it right.

    Parameters
    ----------
    older
        Whether ``version`` is older than the given one by its commit (the history may know what numbers do not).
    """
    name, alias = version.name, stage.lower()
    previous = store.alias(name, alias)
    if previous is not None and previous != version.number:
        holder = store.version(name, previous)
        if holder is not None and (previous > version.number or older(holder)):
            return Move(previous, previous, moved=False)
    store.set_tag(name, version.number, STAGE_TAG, stage)
    highest = version.number
    for _ in range(_ROUNDS):
        tagged = store.versions(name, (STAGE_TAG, stage))
        highest = max([item.number for item in tagged], default=version.number)
        if store.alias(name, alias) == highest and len(tagged) <= 1:
            break
        store.set_alias(name, alias, highest)
        for item in tagged:
            if item.number < highest:
                store.delete_tag(name, item.number, STAGE_TAG)
    known = _move_own_stage(store, name, highest, stage)
    return Move(highest, previous, moved=highest == version.number, mlflow_stage=known)


def _move_own_stage(store: Store, name: str, number: int, stage: str) -> bool:
    """MLflow's own stage, which is only written where it differs: it archives the version that had it."""
    current = store.version(name, number)
    if current is None or current.stage is None:
        return False
    return True if current.stage == stage else store.move_stage(name, number, stage)
