"""Production moves by a person's word, keeps its history, and goes back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flint_ml.errors import InputError
from flint_ml.registry.address import resolve
from flint_ml.registry.stages import history_of, move_forward, promote, version_named
from flint_ml.registry.store import Store, Version, connect

pytest_plugins = ("helpers.mlflow_server",)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, registry_file: Path) -> Store:
    folder = tmp_path_factory.mktemp("registry")
    shutil.copy(registry_file, folder)
    return connect(resolve("", {}, folder), {})


@pytest.fixture
def versions(store: Store, request: pytest.FixtureRequest) -> list[Version]:
    """Three versions: approved, approved, for review."""
    name = "p-" + request.node.name
    store.ensure_model(name)
    run = store.create_run(store.experiment(name), name, {})
    gates = ("approved", "approved", "review")
    return [store.create_version(name, f"{run.artifact_uri}/model", run.id, {"flint_ml.gate": g}, "") for g in gates]


def again(store: Store, version: Version) -> Version:
    found = store.version(version.name, version.number)
    assert found is not None
    return found


def test_promotion_and_rollback(store: Store, versions: list[Version]) -> None:
    one, two, _ = versions
    move_forward(store, one, "Staging", lambda _: False)
    assert version_named(store, one.name, "", rollback=False).number == 1
    first = promote(store, again(store, one), {"by": "ana"}, "")
    assert (first.changed, first.previous) == (True, None)
    assert promote(store, again(store, one), {"by": "ana"}, "").changed is False
    second = promote(store, two, {"by": "ben"}, "")
    assert (second.changed, second.previous) == (True, 1)
    assert (store.alias(one.name, "production"), store.alias(one.name, "previous-production")) == (2, 1)
    here, before = again(store, two), again(store, one)
    assert (here.tags["stage"], here.stage) == ("Production", "Production")
    assert "stage" not in before.tags
    assert before.stage == "Archived"
    back = version_named(store, one.name, "", rollback=True)
    assert back.number == 1
    promote(store, again(store, back), {"by": "ana"}, "rollback")
    assert (store.alias(one.name, "production"), store.alias(one.name, "previous-production")) == (1, 2)
    moves = history_of(again(store, one))
    assert [(move["by"], move["before"], move.get("reason")) for move in moves] == [
        ("ana", None, None),
        ("ana", 2, "rollback"),
    ]


def test_what_the_gate_did_not_approve_needs_a_reason_that_is_kept(store: Store, versions: list[Version]) -> None:
    review = versions[2]
    refused = promote(store, review, {}, "")
    assert refused.refused == "gate: review"
    assert store.alias(review.name, "production") is None
    assert promote(store, review, {"by": "ana"}, "benchmark was too small").changed
    kept = again(store, review)
    assert kept.tags["flint_ml.override"] == "benchmark was too small"
    assert history_of(kept)[0]["reason"] == "benchmark was too small"


@pytest.fixture
def by_stage_only(store: Store, versions: list[Version]) -> list[Version]:
    """Version 1 is in Production because a person moved MLflow's own stage."""
    assert store.move_stage(versions[0].name, 1, "Production")
    return versions


def test_what_is_production_by_mlflows_stage_only_is_the_one_to_go_back_to(
    store: Store, by_stage_only: list[Version]
) -> None:
    one, two, _ = by_stage_only
    assert version_named(store, one.name, "production", rollback=False).number == 1
    promotion = promote(store, two, {"by": "ana"}, "")
    assert (promotion.changed, promotion.previous) == (True, 1)
    assert again(store, one).stage == "Archived"
    back = version_named(store, one.name, "", rollback=True)
    assert back.number == 1
    promote(store, back, {"by": "ana"}, "rollback")
    assert (store.alias(one.name, "production"), again(store, one).stage) == (1, "Production")
    assert again(store, two).stage == "Archived"


def test_the_version_that_is_production_by_stage_gets_alias_and_tag(store: Store, by_stage_only: list[Version]) -> None:
    one = again(store, by_stage_only[0])
    promotion = promote(store, one, {"by": "ana"}, "")
    assert (promotion.changed, store.alias(one.name, "production")) == (True, 1)
    assert store.alias(one.name, "previous-production") is None
    assert promote(store, again(store, one), {}, "").changed is False


def test_a_stage_that_was_moved_by_hand_after_a_promotion_counts(store: Store, versions: list[Version]) -> None:
    one, two, three = versions
    promote(store, one, {"by": "ana"}, "")
    store.move_stage(one.name, two.number, "Production")
    assert promote(store, three, {"by": "ana"}, "hurry").previous == two.number


def test_an_interrupted_promotion_is_finished(store: Store, versions: list[Version]) -> None:
    one, two, _ = versions
    promote(store, one, {}, "")

    class Dying:
        def __getattr__(self, method: str) -> object:
            if method == "delete_tag":
                raise KeyboardInterrupt
            return getattr(store, method)

    with pytest.raises(KeyboardInterrupt):
        promote(Dying(), two, {}, "")  # type: ignore[arg-type]
    assert promote(store, again(store, two), {}, "").changed
    assert [v.number for v in store.versions(one.name, ("stage", "Production"))] == [2]
    assert (store.alias(one.name, "production"), store.alias(one.name, "previous-production")) == (2, 1)
    assert again(store, two).stage == "Production"


@pytest.mark.parametrize(
    ("text", "rollback", "words"),
    [
        ("9", False, "no version 9"),
        ("²", False, "alias `²`"),
        ("canary", False, "alias `canary`"),
        ("", True, "nothing to roll back to"),
    ],
)
def test_versions_that_are_not_there(
    store: Store, versions: list[Version], text: str, rollback: bool, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        version_named(store, versions[0].name, text, rollback=rollback)
    assert words in str(caught.value)


def test_a_history_that_somebody_broke_counts_as_none() -> None:
    for text in ("[", '{"a": 1}', "[1]"):
        assert history_of(Version("m", 1, None, "", tags={"flint_ml.history": text})) == []
