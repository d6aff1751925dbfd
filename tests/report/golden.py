"""The golden reports: ``python -m report.golden`` (in tests/) writes them anew after a change that is meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flint_ml.decision import EXPECTED, decide
from flint_ml.record import Finding, Record, Table
from flint_ml.report import Facts, Report, build, figures
from flint_ml.report.render import to_markdown
from helpers.records import BASE, HEAD, NAMES, make

FOLDER = Path(__file__).parent / "golden"
FACTS = Facts(
    base_name="main",
    pull_request=12,
    run_url="https://github.com/o/r/actions/runs/77",
    guide_url="https://github.com/o/r/blob/main/SOP.md",
    head_sha=HEAD,
    names=NAMES,
)
# What the actions say of their results, as their tests hold it.
DRIFTED = "check the instrument or region of the new data; if the difference is meant, update the reference"
CRASHED = "read the last lines of the log, correct the step and push again"
WORSE = "look at the rows that got worse; correct the change, or say why it is accepted"
UNDECIDED = "the numbers alone do not decide: read the table, and say in the pull request what is expected"
UNDECLARED = "look at the rows that are not declared; declare what the change is meant to do, or correct it"
ROLES = {
    "base": "base",
    "this change": "head",
    "change": "change",
    "95 % CI": "interval",
    "tolerance": "tolerance",
    "result": "result",
}
FIGURE = {
    "title": "Prediction error",
    "path": "compare-metrics/error.png",
    "alt": "both centred near 0, this change narrower",
    "fallback": {
        "kind": "line",
        "x": ["-2", "0", "2"],
        "x_name": "predicted − measured, g/kg",
        "y_name": "samples",
        "series": [{"name": "main", "y": [10, 70, 12]}, {"name": "this change", "y": [3, 90, 4]}],
    },
}
CHANGES = {
    "params": [{"path": "train.n_components", "base": 8, "head": 12}],
    "code": ["train.py"],
    "data": [],
    "gate": [],
}
LAYER = {
    "params": [],
    "code": [],
    "gate": [],
    "data": [{"path": "layers/tiled/disturbances_2012.tiff", "change": "modified"}],
}
BENCHMARK = {"name": "ssp460-test", "path": "data/test.csv", "n": 115, "same": True}


def _columns(names) -> list[dict[str, str | None]]:
    """Columns of a table by their titles; those of base and head hold numbers."""
    numbers = ("base", "this change")
    return [{"name": n, "type": "number" if n in numbers else "text", "role": ROLES.get(n)} for n in names]


def _data(changes=None) -> Record:
    headline = "12 files, 4.2 MB: all there and as committed"
    return make(
        "pull-data",
        "passed",
        headline,
        "complete",
        changes=changes or CHANGES,
        fingerprint="9f2c1a77e0",
        details={"fingerprint": "9f2c1a77e0"},
        reproduce=["dvc pull"],
    )


def _drift(status: str = "passed") -> Record:
    columns = _columns(("column", "what", "test", "effect", "p (adjusted)", "reference → new", "result"))
    shown = {"passed": "same"}.get(status, "drifted")
    rows = [
        ["clay", "numeric", "KS", "D = 0.45", "< 0.0001", "median 29.6 → 39.1", shown],
        ["pH", "numeric", "KS", "D = 0.62", "< 0.0001", "median 5.1 → 6.4", shown],
        ["SOC", "numeric", "KS", "D = 0.39", "< 0.0001", "median 14.9 → 22.8", shown],
        ["sand", "numeric", "KS", "D = 0.05", "0.84", "median 44 → 45", "same"],
    ]
    headline = "0 of 21 columns drifted" if status == "passed" else "3 of 21 columns drifted (clay, pH, SOC)"
    message = "Passed (0 of 21)" if status == "passed" else "Failed (3 of 21)"
    table = Table.model_validate({"title": "Columns, worst first", "columns": columns, "rows": rows})
    advice = "" if status == "passed" else DRIFTED
    return make("check-drift", status, headline, message, tables=[table], advice=advice)


def _train(status: str = "passed") -> Record:
    again = {"reproduce": ["dvc repro"], "details": {"command": "dvc repro", "exit_code": int(status != "passed")}}
    if status == "passed":
        log = ["stage evaluate: done"]
        return make("train", "passed", "Training finished in 41 s: dvc repro", "41 s", log=log, **again)
    lines = [*(f"fitting fold {i}" for i in range(1, 10)), "MemoryError: unable to allocate 8 GiB"]
    headline = "Training failed after 3.0 s (exit code 1): MemoryError: unable to allocate 8 GiB"
    return make("train", status, headline, "Failed (exit code 1)", log=lines, advice=CRASHED, **again)


_COLUMNS = ["metric", "base", "this change", "change", "95 % CI", "result"]
_ROWS = {
    "better": [
        ["RMSE (g/kg, lower is better)", 1.5, 1.3, "−0.20 (−13 %)", "−0.28 … −0.11", "better"],
        ["R² (higher is better)", 0.62, 0.71, "+0.09", "+0.05 … +0.13", "better"],
        ["RPIQ (higher is better)", 2.0, 2.31, "+0.31 (+16 %)", "+0.15 … +0.46", "better"],
        ["MAE (g/kg, lower is better)", 1.11, 0.98, "−0.13 (−12 %)", "−0.19 … −0.06", "better"],
        ["bias (g/kg, near zero is better)", 0.12, 0.05, "−0.07 (−58 %)", "−0.19 … +0.06", "same"],
    ],
    # Ten metrics, the worst of them in the last row: it must be seen all the same.
    "worse": [
        ["accuracy (higher is better)", 0.81, 0.82, "+0.01", "−0.01 … +0.03", "inconclusive"],
        *([f"F1 of class {name} (higher is better)", 0.7, 0.7, "0.00", "−0.02 … +0.02", "same"] for name in "abcdefgh"),
        ["RMSE (g/kg, lower is better)", 1.5, 1.72, "+0.22 (+15 %)", "+0.10 … +0.33", "worse"],
    ],
    "inconclusive": [
        ["RMSE (g/kg, lower is better)", 1.5, 1.46, "−0.04 (−2.7 %)", "−0.13 … +0.05", "inconclusive"],
        ["R² (higher is better)", 0.62, 0.64, "+0.02", "−0.03 … +0.06", "inconclusive"],
        ["bias (g/kg, near zero is better)", 0.12, 0.1, "−0.02 (−17 %)", "−0.14 … +0.10", "inconclusive"],
    ],
}
_HEADLINES = {
    "better": "better: RMSE 1.50 → 1.30 g/kg (−0.20, −13 %)",
    "worse": "worse: RMSE 1.50 → 1.72 g/kg (+0.22, +15 %)",
    "inconclusive": "inconclusive: RMSE 1.50 → 1.46 g/kg (−0.04, −2.7 %); 95 % CI −0.13 … +0.05",
}


def _metrics(verdict: str = "better", **more) -> Record:
    """As compare-metrics writes it, with intervals."""
    status = {"better": "passed", "worse": "failed"}.get(verdict, "warned")
    columns = _columns(_COLUMNS)
    title = "Benchmark ssp460-test, n = 115, same on both sides"
    table = Table.model_validate({"title": title, "columns": columns, "rows": _ROWS[verdict]})
    unsettled = [
        Finding(
            severity="info",
            code="inconclusive",
            hint="a `tolerance` says which changes do not matter",
            message="RMSE: the change may be chance; about 590 samples would settle it (115 now)",
        )
    ] * (verdict == "inconclusive")
    worth = Finding(
        severity="info",
        code="interval-coverage",
        message="in 2,000 simulations each with 100 and with 500 samples, 95 % intervals like these held the true "
        "change in 94.0 to 96.6 %; with fewer than 500 samples a little too wide, so that a change may be missed but "
        "is not made up: R² 96.5 %",
    )
    findings = [*more.pop("findings", []), *unsettled, worth]
    return make(
        "compare-metrics",
        status,
        _HEADLINES[verdict],
        verdict,
        tables=[table],
        figures=[FIGURE],
        verdict=verdict,
        details={"verdict": verdict},
        benchmark=BENCHMARK,
        advice={"better": "", "worse": WORSE}.get(verdict, UNDECIDED),
        reproduce=[f"flint-ml compare-metrics --base-revision {BASE}"],
        findings=findings,
        **more,
    )


_GCBM_ROWS = [
    ["Total ecosystem", "2020", 52200, 51469, "−731 (−1.4 %)", "±0.1 %", "not declared"],
    ["NBP", "2012", -3078, -4061, "−983 (−32 %)", "−45 … −25 %", "as declared"],
    ["Disturbance emissions", "2012", 2528, 3502, "+974 (+39 %)", "+25 … +50 %", "as declared"],
    ["Disturbed area (ha)", "2012", 105.3, 146.4, "+41.1 (+39 %)", "+25 … +50 %", "as declared"],
    ["NPP", "2020", 369.4, 366.6, "−2.8 (−0.8 %)", "±1 %", "same"],
    ["Total biomass", "2020", 20871, 20870, "−1 (0.0 %)", "±0.1 %", "same"],
]


def _gcbm() -> Record:
    """As run-gcbm writes it: badges of its own, the indicators in the year in which they changed most."""
    names = ["Indicator (tC unless stated)", "year", "base", "this change", "change", "tolerance", "result"]
    columns = _columns(names)
    headline = "2012 fire area +39 % as declared; ecosystem carbon in 2020 −1.4 %, not declared"
    figure = {
        **FIGURE,
        "title": "Total ecosystem carbon",
        "alt": "falls in 2012",
        "path": "run-gcbm/total.png",
        "fallback": {
            "kind": "line",
            "x": [str(y) for y in range(2010, 2021)],
            "series": [{"name": "main", "y": [52000.0 + 20 * i for i in range(11)]}],
        },
    }
    badges = [
        {"label": "Input check", "message": "0 problems", "status": "passed"},
        {"label": "Carbon balance", "message": "closes (3e-12)", "status": "passed"},
        {"label": "Area", "message": "510.62 ha, unchanged", "status": "passed"},
    ]
    begins = Finding(severity="info", code="starts-in", message="the change begins in 2012; 2010–2011 are identical")
    record = make(
        "run-gcbm",
        "warned",
        headline,
        "5 of 18 indicators changed",
        figures=[figure],
        findings=[begins],
        tables=[{"title": "Results against the base", "columns": columns, "rows": _GCBM_ROWS}],
        verdict="changed",
        details={"verdict": "changed"},
        badges=badges,
        advice=UNDECLARED,
    )
    record.badge.label = "Simulation"
    return record


def _looks() -> list[Finding]:
    text = "weakest group clay > 60 % (n = 14): RMSE 1.71 → 1.74, within noise"
    return [Finding(severity="info", code="group-worse", message=text)]


def _gate() -> list[Finding]:
    text = "this change alters the gate's rules in flint-ml.yml: `check-drift.alpha`: 0.05 → 0.5"
    return [Finding(severity="warning", code="gate-changed", message=text)]


def _gone() -> Finding:
    return Finding(
        severity="error",
        code="missing-on-remote",
        message="s3://bucket: 2 objects are missing on the remote",
        hint="run `dvc push` where the data was added, then run this job again",
    )


GCBM_EXPECTED = ("pull-data", "run-gcbm")
CASES: dict[str, tuple[list[Record], tuple[str, ...]]] = {
    "approve": ([_data(), _drift(), _train(), _metrics(findings=_looks())], EXPECTED),
    "review-gate-changed": ([_data(), _drift(), _train(), _metrics(findings=_gate())], EXPECTED),
    "review-inconclusive": ([_data(), _drift(), _train(), _metrics("inconclusive")], EXPECTED),
    "request-changes-worse": ([_data(), _drift(), _train(), _metrics("worse")], EXPECTED),
    "request-changes-drifted": ([_data(), _drift("failed")], EXPECTED),
    "training-crashed": ([_data(), _drift(), _train("failed")], EXPECTED),
    "everything-failed": (
        [
            make("pull-data", "error", "s3://bucket: 2 objects are missing on the remote", "Error", findings=[_gone()]),
            _drift("failed"),
            _train("failed"),
            _metrics("worse"),
        ],
        EXPECTED,
    ),
    "nothing-ran": ([], EXPECTED),
    "fork": ([_data(), _drift(), _train(), _metrics()], EXPECTED),
    "gcbm-change": ([_data(LAYER), _gcbm()], GCBM_EXPECTED),
}


def report(name: str) -> Report:
    """The report of one case."""
    records, expected = CASES[name]
    fork = name == "fork"
    return build(decide(records, expected, from_fork=fork), replace(FACTS, from_fork=fork))


def text(name: str) -> str:
    """Its Markdown."""
    return to_markdown(report(name), figures.drawn("in the results of the run"))


def main() -> None:
    """Write every golden report."""
    FOLDER.mkdir(exist_ok=True)
    for name in CASES:
        (FOLDER / f"{name}.md").write_text(text(name), encoding="utf-8")


if __name__ == "__main__":
    main()
    print(f"wrote {len(CASES)} reports; base {BASE[:7]}")
