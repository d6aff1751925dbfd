"""Staging and Production: tag ``stage``, alias and MLflow's own stage, moved together.

Staging moves forward by itself and never back by accident. Production moves by a person's word, with what was there
before kept at hand and the history in the registry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flint_ml.errors import InputError
from flint_ml.registry.store import Store, Version
from flint_ml.registry.version import GATE

STAGE_TAG = "stage"
_ROUNDS = 5
STAGE, ALIAS, PREVIOUS = "Production", "production", "previous-production"
HISTORY, OVERRIDE = "flint_ml.history", "flint_ml.override"
_MAX_HISTORY = 50


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


def move_forward(store: Store, version: Version, stage: str, is_older: Callable[[Version], bool]) -> Move:
    """Give ``stage`` to ``version`` unless a newer one has it.

    MLflow has no compare-and-swap, so two jobs may write the alias at once. Each one tags its version first, then
    points the alias to the highest tagged version and looks again: whoever writes last sees the higher version and
    puts it right.

    Parameters
    ----------
    is_older
        Whether ``version`` is older than the given one by its commit (the history may know what numbers do not).
    """
    name, alias = version.name, stage.lower()
    previous = store.alias(name, alias)
    if previous is not None and previous != version.number:
        holder = store.version(name, previous)
        if holder is not None and (previous > version.number or is_older(holder)):
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


@dataclass(frozen=True)
class Promotion:
    """What became of a promotion.

    Attributes
    ----------
    previous
        The version that was in Production before, None for none.
    changed
        Whether anything was moved; False where the version was in Production already.
    refused
        Why nothing was moved, empty where it was.
    """

    version: Version
    previous: int | None
    changed: bool
    refused: str = ""


def aliased(store: Store, name: str, alias: str) -> int | None:
    """The version with the alias; for `staging` and `production` also one that is there by MLflow's stage only."""
    number = store.alias(name, alias)
    if number is None and alias in {"staging", ALIAS}:
        return store.in_stage(name, alias.capitalize())
    return number


def in_production(store: Store, name: str) -> int | None:
    """The version in Production: by the alias, or by MLflow's own stage where a person moved only that."""
    number = store.alias(name, ALIAS)
    holder = store.version(name, number) if number is not None else None
    if holder is not None and holder.stage in {STAGE, None}:
        return number
    return store.in_stage(name, STAGE) or number


def version_named(store: Store, name: str, text: str, *, rollback: bool) -> Version:
    """The version that a person means: a number, an alias, or what Production had before.

    Raises
    ------
    InputError
        If there is no such version.
    """
    asked = PREVIOUS if rollback else (text or "staging")
    is_number = re.fullmatch(r"[0-9]{1,9}", asked) is not None
    number = int(asked) if is_number else aliased(store, name, asked.lower())
    version = store.version(name, number) if number is not None else None
    if version is None:
        what = f"version {asked}" if is_number else f"version with the alias `{asked}`"
        raise InputError(
            f"the registered model `{name}` has no {what}",
            where="version",
            hint="there is nothing to roll back to" if rollback else "check `model-name`; give a number or an alias",
            code="no-version",
        )
    return version


def history_of(version: Version) -> list[dict[str, object]]:
    """The moves of a version so far, oldest first; what cannot be read counts as none."""
    try:
        entries = json.loads(version.tags.get(HISTORY, "[]"))
    except ValueError:
        return []
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def promote(
    store: Store, version: Version, entry: Mapping[str, object], reason: str, *, dry_run: bool = False
) -> Promotion:
    """Put ``version`` into Production: tag, alias and MLflow's own stage together.

    What is written first is what a second try needs: a promotion that was interrupted is finished by the next one.

    Parameters
    ----------
    entry
        What the history keeps of this move (time, person, workflow run).
    reason
        Why a version that the gate did not approve goes to Production all the same; kept as a tag.
    dry_run
        Only find out whether the version may go to Production.
    """
    name = version.name
    alias, previous = store.alias(name, ALIAS), in_production(store, name)
    tagged = [other.number for other in store.versions(name, (STAGE_TAG, STAGE))]
    done = alias == previous == version.number and tagged == [version.number]
    if done and version.stage in {STAGE, None}:
        return Promotion(version, store.alias(name, PREVIOUS), changed=False)
    gate = version.tags.get(GATE, "not registered by flint-ml")
    if gate != "approved" and not reason:
        why = version.tags.get("flint_ml.gate_reasons", "")
        return Promotion(version, previous, changed=False, refused=f"gate: {gate}" + (f" ({why})" if why else ""))
    if dry_run:
        return Promotion(version, previous, changed=False)
    if previous is not None and previous != version.number:
        store.set_alias(name, PREVIOUS, previous)
    move = {"to": STAGE, "before": previous, **entry, **({"reason": reason} if reason else {})}
    history = [*history_of(version), move][-_MAX_HISTORY:]
    store.set_tag(name, version.number, HISTORY, json.dumps(history, ensure_ascii=False))
    if reason and gate != "approved":
        store.set_tag(name, version.number, OVERRIDE, reason)
    store.set_tag(name, version.number, STAGE_TAG, STAGE)
    store.set_alias(name, ALIAS, version.number)
    for number in tagged:
        if number != version.number:
            store.delete_tag(name, number, STAGE_TAG)
    if version.stage not in {STAGE, None}:
        store.move_stage(name, version.number, STAGE)
    return Promotion(version, previous, changed=True)
