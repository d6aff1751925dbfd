"""Green only on evidence: any one piece that is missing, left out or contradictory, and the advice is never approve."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flint_ml.decision import EVIDENCE, Run, decide
from flint_ml.record import Finding, Record, left_out, looked, not_applicable
from flint_ml.report import Facts, build, figures
from flint_ml.report.render import to_markdown
from helpers.records import COMPARED, COMPLETE, HEAD, make

RUN = Run(HEAD, "77", 1)
STATUSES = ("failed", "error", "warned", "skipped")
OPEN = ("inconclusive", "changed", "no-baseline")
# Every kind of project: which records it expects, and their evidence.
PROJECTS: dict[str, dict[str, list]] = {
    "model with DVC data": {
        name: COMPLETE.get(name, []) for name in ("pull-data", "check-drift", "train", "compare-metrics")
    },
    "model without DVC data": {
        "pull-data": [COMPARED[0], not_applicable("data", "DVC keeps no data in this project")],
        "train": [],
        "compare-metrics": COMPARED,
    },
    "latency, no samples": {
        "train": [],
        "compare-metrics": [
            *COMPARED[:3],
            not_applicable("samples", "`benchmark: none` in the base's flint-ml.yml"),
            COMPARED[4],
        ],
    },
    "metrics by declaration": {
        "compare-metrics": [
            COMPARED[0],
            not_applicable("metrics-of-this-run", "`metrics-from: commit` in the base's flint-ml.yml"),
            *COMPARED[2:],
        ]
    },
    "against a registered version": {
        "train": [],
        "compare-metrics": [*COMPARED[:4], not_applicable("base-metrics", "the base is soil v3")],
    },
    "simulation": {"run-gcbm": COMPLETE["run-gcbm"]},
    "drift alone, two tables": {"check-drift": [*COMPLETE["check-drift"], looked("columns", 4, noun="columns")]},
    "identifiers excluded by rule": {
        "check-drift": [*COMPLETE["check-drift"], not_applicable("columns", "excluded by `columns`", "plot_id")]
    },
    "push to the default branch": {
        "train": [],
        "compare-metrics": [not_applicable("tree", "no pull request: the branch itself is judged"), *COMPARED[1:]],
    },
    "an action of another program": {"check-canopy": []},
    "a matrix of trainings": {**{f"train-{number}": [] for number in range(97)}, "compare-metrics": COMPARED},
}


def records_of(project: str) -> list[Record]:
    verdicts = {"compare-metrics": {"verdict": "better"}, "run-gcbm": {"verdict": "as-declared"}}
    return [make(name, coverage=list(pieces), **verdicts.get(name, {})) for name, pieces in PROJECTS[project].items()]


def judged(records: list[Record], project: str):
    return decide(records, tuple(PROJECTS[project]), RUN)


@pytest.mark.parametrize("project", PROJECTS)
def test_complete_evidence_of_every_kind_of_project_is_approved(project):
    decision = judged(records_of(project), project)
    assert (decision.value, decision.gaps) == ("approve", ())


def damages(record: Record) -> list[tuple[str, Record]]:
    """The record with one piece of evidence missing, left out or contradictory; and with other signs against it."""
    made = []

    def put(what: str, **changes) -> None:
        made.append((what, record.model_copy(update=changes)))

    for number, piece in enumerate(record.coverage):
        kind = piece.kind
        rest = [other for index, other in enumerate(record.coverage) if index != number]
        put(f"{kind} left out", coverage=[*rest, left_out(kind, "SOC", "text among numbers")])
        put(f"{kind} partly left out", coverage=[*record.coverage, left_out(kind, "SOC", "mixed")])
        if piece.state == "looked":
            fewer = piece.model_copy(update={"n": max(0, (piece.n or 0) - 1)})
            put(f"{kind}: one fewer", coverage=[*rest, fewer])
            put(f"{kind}: looked at, and none", coverage=[*record.coverage, not_applicable(kind, "there is none")])
        elif not piece.name:
            put(f"{kind}: none, and looked at", coverage=[*record.coverage, looked(kind, 1)])
        if all(other.kind != kind for other in rest):
            put(f"without {kind}", coverage=rest)
            put(f"{kind}: looked at none", coverage=[*rest, looked(kind, 0, noun="x")])
    if record.action in EVIDENCE:
        put("no coverage", coverage=[])
    put("record/1", schema_="flint-ml/record/1")
    for status in STATUSES:
        put(status, status=status)
    for verdict in OPEN:
        put(verdict, verdict=verdict)
    for key, value in (("head_sha", "f" * 40), ("run_id", "76"), ("run_attempt", 2)):
        put(key, provenance=record.provenance.model_copy(update={key: value}))
    put("gate changed", findings=[Finding(severity="warning", code="gate-changed", message="alpha: 0.05 → 0.5")])
    for code in ("reference-changed", "observations-changed"):
        put(code, findings=[Finding(severity="warning", code=code, message="the reference is another one")])
    put("something of its own left out", coverage=[*record.coverage, left_out("canopy", "plot 7", "clouds")])
    return made


@pytest.mark.parametrize("project", PROJECTS)
def test_any_one_piece_that_is_wrong_is_never_approved(project):
    records = records_of(project)
    tried = 0
    for number in range(max(0, len(records) - 6), len(records)):
        before, after = records[:number], records[number + 1 :]
        for what, damaged in damages(records[number]):
            assert judged([*before, damaged, *after], project).value != "approve", (damaged.name, what)
            tried += 1
        assert judged([*before, *after], project).value != "approve"
    assert tried >= 13


@settings(max_examples=2_500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_combination_of_damage_is_approved(data):
    project = data.draw(st.sampled_from([name for name in PROJECTS if "matrix" not in name]))
    records = records_of(project)
    for number in data.draw(st.sets(st.integers(0, len(records) - 1), min_size=1)):
        records[number] = data.draw(st.sampled_from(damages(records[number])))[1]
    unreadable = data.draw(st.lists(st.just("x.json: is not a record"), max_size=1))
    fork = data.draw(st.booleans())
    shuffled = data.draw(st.permutations(records))
    decision = decide(shuffled, tuple(PROJECTS[project]), RUN, unreadable, from_fork=fork)
    assert decision.value != "approve"


def test_what_was_not_looked_at_is_named_on_the_first_screen():
    gap = left_out("columns", "SOC", "text among numbers in both tables", "`columns: {SOC: {kind: numeric}}`")
    pieces = [COMPARED[0], looked("columns", 208, 209, "columns"), gap]
    better = make("compare-metrics", verdict="better", headline="better: RMSE 1.5")
    records = [make("check-drift", coverage=pieces), better]
    decision = decide(records, ("check-drift", "compare-metrics"), RUN)
    shown = to_markdown(build(decision, Facts(base_name="main")), figures.drawn("in the results"))
    first = shown.split("<details>")[0]
    assert first.startswith("## 🟡 Review: the metrics are better. RMSE 1.5; but not looked at: SOC\n")
    assert "**Not looked at:** SOC (text among numbers in both tables)" in first
    assert "**To do:** `columns: {SOC: {kind: numeric}}`" in first
    assert "Looked at commit e4f5a6b, 208 of 209 columns" in shown


def test_many_gaps_are_counted():
    pieces = [COMPARED[0], looked("columns", 1, 301), *(left_out("columns", f"c{n}" * 40, "mixed") for n in range(300))]
    decision = decide([make("check-drift", coverage=pieces)], ("check-drift",), RUN)
    shown = to_markdown(build(decision, Facts()), figures.drawn("in the results"))
    assert "and 297 more" in shown.splitlines()[0]
    assert len(shown.splitlines()[0]) < 500
    assert "297 more, listed below" in shown


def test_a_gap_in_a_record_that_nobody_expects_still_counts():
    extra = make("check-canopy", coverage=[left_out("canopy", "plot 7", "clouds")])
    decision = decide([*records_of("simulation"), extra], ("run-gcbm",), RUN)
    assert (decision.value, decision.gaps[0].name) == ("review", "plot 7")


def test_an_action_that_nobody_expects_need_not_have_looked_at_anything():
    extra = make("check-drift", coverage=[])
    assert decide([*records_of("simulation"), extra], ("run-gcbm",), RUN).value == "approve"


def test_records_of_two_trees_are_no_evidence_for_one():
    records = records_of("model with DVC data")
    records[0] = make("pull-data", coverage=[looked("tree", 1, noun="commit abc"), COMPLETE["pull-data"][1]])
    decision = judged(records, "model with DVC data")
    assert (decision.value, decision.gaps[0].name) == ("review", "one and the same tree")
