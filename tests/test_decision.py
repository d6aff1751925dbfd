"""The decision table of docs/report.md, row by row."""

from __future__ import annotations

import pytest

from flint_ml.decision import EXPECTED, Run, decide
from flint_ml.record import SCHEMA_BEFORE, Finding
from helpers.records import HEAD, make

RUN = Run(HEAD, "77", 1)


def all_passed(**replaced):
    records = {name: make(name) for name in EXPECTED}
    records.update({name.replace("_", "-"): record for name, record in replaced.items()})
    return [record for record in records.values() if record is not None]


def test_all_expected_present_and_passed_is_approve():
    decision = decide(all_passed(), EXPECTED, RUN)
    assert decision.value == "approve"
    assert [reason.kind for reason in decision.reasons] == ["passed"] * 4


@pytest.mark.parametrize("status", ["failed", "error"])
@pytest.mark.parametrize("name", EXPECTED)
def test_any_failed_or_error_is_request_changes(name, status):
    broken = make(name, status, headline="this is what broke")
    decision = decide(all_passed(**{name.replace("-", "_"): broken}), EXPECTED, RUN)
    assert decision.value == "request-changes"
    assert decision.reasons[0].text == "this is what broke"


def test_a_failed_record_nobody_expected_still_counts():
    decision = decide([*all_passed(), make("tile-7", "failed")], EXPECTED, RUN)
    assert decision.value == "request-changes"


def test_any_warned_is_review():
    assert decide(all_passed(check_drift=make("check-drift", "warned")), EXPECTED, RUN).value == "review"


@pytest.mark.parametrize("verdict", ["inconclusive", "changed", "no-baseline"])
def test_a_verdict_that_settles_nothing_is_review_even_if_passed(verdict):
    record = make("compare-metrics", verdict=verdict)
    decision = decide(all_passed(compare_metrics=record), EXPECTED, RUN)
    assert (decision.value, decision.reasons[0].kind) == ("review", "verdict")


@pytest.mark.parametrize("verdict", ["better", "same"])
def test_better_and_same_are_approve(verdict):
    record = make("compare-metrics", verdict=verdict)
    assert decide(all_passed(compare_metrics=record), EXPECTED, RUN).value == "approve"


def test_changed_wholly_as_declared_is_approve():
    record = make("compare-metrics", verdict="as-declared")
    assert decide(all_passed(compare_metrics=record), EXPECTED, RUN).value == "approve"


@pytest.mark.parametrize("code", ["gate-changed", "gate-unverified", "reference-changed", "observations-changed"])
def test_a_change_of_the_gate_itself_is_review_and_named(code):
    finding = Finding(severity="warning", code=code, message="alpha: 0.05 → 0.5")
    decision = decide(all_passed(check_drift=make("check-drift", findings=[finding])), EXPECTED, RUN)
    assert decision.value == "review"
    assert decision.reasons[0].text == "alpha: 0.05 → 0.5"


def test_missing_expected_is_review():
    decision = decide(all_passed(train=None), EXPECTED, RUN)
    assert (decision.value, decision.missing) == ("review", ("train",))
    assert decision.reasons[0].text == "train did not run"


def test_missing_after_a_failed_one_is_request_changes():
    records = [make("pull-data"), make("check-drift", "failed", headline="3 of 21 columns drifted")]
    decision = decide(records, EXPECTED, RUN)
    assert (decision.value, decision.missing) == ("request-changes", ("train", "compare-metrics"))
    assert decision.reasons[0].text == "3 of 21 columns drifted"


def test_an_expected_record_that_was_skipped_did_not_run():
    decision = decide(all_passed(train=make("train", "skipped")), EXPECTED, RUN)
    assert (decision.value, decision.missing) == ("review", ("train",))


def test_a_skipped_record_that_nobody_expects_changes_nothing():
    assert decide([*all_passed(), make("extra", "skipped")], EXPECTED, RUN).value == "approve"


def test_a_crashed_training_is_never_approve():
    train = make("train", "failed", log=["MemoryError"])
    assert decide(all_passed(train=train), EXPECTED, RUN).value == "request-changes"
    assert decide([train], (), RUN).value == "request-changes"


@pytest.mark.parametrize(
    "other", [{"head_sha": "f" * 40}, {"run_id": "76"}, {"run_attempt": 2}], ids=["commit", "run", "attempt"]
)
def test_stale_records_are_ignored_and_named(other):
    stale = make("compare-metrics", verdict="better", provenance=other)
    decision = decide(all_passed(compare_metrics=stale), EXPECTED, RUN)
    assert decision.value == "review"
    assert (decision.ignored, decision.missing) == (("compare-metrics",), ("compare-metrics",))
    failed = make("old", "failed", provenance=other)
    assert decide([*all_passed(), failed], EXPECTED, RUN).value == "approve"


def test_a_file_that_is_no_record_is_never_approved():
    decision = decide(all_passed(), EXPECTED, RUN, unreadable=["train.json: is not a record"])
    assert (decision.value, decision.reasons[0].text) == ("review", "train.json: is not a record")


def test_no_record_and_nothing_expected_is_review():
    assert decide([], (), RUN).value == "review"
    assert decide([make("post-report")], (), RUN).value == "review"


def test_earlier_reports_do_not_count():
    assert decide([*all_passed(), make("post-report", "failed")], EXPECTED, RUN).value == "approve"


def test_the_weightiest_reason_comes_first():
    records = all_passed(pull_data=make("pull-data", "warned"), compare_metrics=make("compare-metrics", "failed"))
    decision = decide(records, [*EXPECTED, "tiles"], RUN)
    assert [reason.kind for reason in decision.reasons] == ["failed", "warned", "missing"]


def test_levels():
    approve, review = decide(all_passed(), EXPECTED, RUN), decide([], EXPECTED, RUN)
    assert [approve.at_least(level) for level in ("never", "review", "request-changes")] == [False, False, False]
    assert [review.at_least(level) for level in ("never", "review", "request-changes")] == [False, True, False]


def test_a_forks_own_run_is_at_best_reviewed():
    decision = decide(all_passed(), EXPECTED, RUN, from_fork=True)
    assert (decision.value, [reason.kind for reason in decision.reasons]) == ("review", ["fork"])
    failed = decide(all_passed(train=make("train", "failed")), EXPECTED, RUN, from_fork=True)
    assert (failed.value, [reason.kind for reason in failed.reasons]) == ("request-changes", ["failed", "fork"])
    assert [reason.kind for reason in decide([], (), RUN, from_fork=True).reasons] == ["missing", "fork"]


def test_a_record_of_the_schema_before_is_at_best_reviewed():
    old = make("train").model_copy(update={"schema_": SCHEMA_BEFORE})
    decision = decide(all_passed(train=old), EXPECTED, RUN)
    assert (decision.value, [reason.kind for reason in decision.reasons]) == ("review", ["schema"])
