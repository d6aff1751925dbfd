"""The golden reports: ``python -m report.golden`` (in tests/) writes them anew after a change that is meant."""

from __future__ import annotations

from pathlib import Path

from flint_ml.record import Finding, Record, Table
from flint_ml.report import figures
from flint_ml.report.decision import EXPECTED, decide
from flint_ml.report.model import Facts, Report, build
from flint_ml.report.render import to_markdown
from report.helpers_report import BASE, HEAD, make, metrics_table

FOLDER = Path(__file__).parent / "golden"
FACTS = Facts(
    base_name="main", pull_request=12, run_url="https://github.com/o/r/actions/runs/77",
    guide_url="https://github.com/o/r/blob/main/SOP.md", head_sha=HEAD,
)  # fmt: skip
FIGURE = {
    "title": "Prediction error", "path": "compare-metrics/error.png",
    "alt": "both centred near 0, this change narrower",
    "fallback": {"kind": "bar", "x": ["-2", "0", "2"],
                 "series": [{"name": "main", "y": [10, 70, 12]}, {"name": "this change", "y": [3, 90, 4]}]},
}  # fmt: skip
CHANGES = {
    "params": [{"path": "train.n_components", "base": 8, "head": 12}],
    "code": ["train.py"],
    "data": [],
    "gate": [],
}
BENCHMARK = {"name": "ssp460-test", "path": "data/test.csv", "n": 115, "same": True}


def _data(**more) -> Record:
    return make("pull-data", message="complete", details={"changes": CHANGES, "fingerprint": "9f2c1a77e0"}, **more)


def _drift(status: str = "passed") -> Record:
    columns = [{"name": n} for n in ("column", "what", "test", "effect", "p (adjusted)", "reference → new", "result")]
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
    return make("check-drift", status, headline, message, tables=[table])


def _train(status: str = "passed") -> Record:
    details = {"command": "dvc repro", "exit_code": 0, "last_lines": ["stage evaluate: done"]}
    if status == "passed":
        return make("train", "passed", "Training finished in 41 s: dvc repro", "41 s", details=details)
    lines = [*(f"fitting fold {i}" for i in range(1, 10)), "MemoryError: unable to allocate 8 GiB"]
    headline = "Training failed after 3.0 s (exit code 1): MemoryError: unable to allocate 8 GiB"
    failed = {"command": "dvc repro", "exit_code": 1, "last_lines": lines}
    return make("train", status, headline, "Failed (exit code 1)", details=failed)


def _metrics(verdict: str = "better", **more) -> Record:
    status = {"better": "passed", "worse": "failed"}.get(verdict, "warned")
    rows = None
    if verdict == "worse":
        rows = [[f"metric {i}", 1.0, 1.0, "0.00", "same"] for i in range(6)]
        rows.append(["RMSE (g/kg, lower is better)", 1.5, 1.72, "+0.22 (+15 %)", "worse"])
    headline = {"better": "better: RMSE 1.50 → 1.30 g/kg (−0.20, −13 %)", "worse": "worse: RMSE 1.50 → 1.72 g/kg"}
    return make("compare-metrics", status, headline[verdict], verdict, tables=[metrics_table(rows)], figures=[FIGURE],
                details={"verdict": verdict, "benchmark": BENCHMARK}, **more)  # fmt: skip


def _gcbm() -> Record:
    columns = [
        {"name": "indicator"}, {"name": "year"}, {"name": "base", "type": "number"},
        {"name": "this change", "type": "number"}, {"name": "change"}, {"name": "tolerance"}, {"name": "result"},
    ]  # fmt: skip
    rows = [
        ["Total ecosystem (tC)", "2020", 52200, 51469, "−731 (−1.4 %)", "±0.1 %", "not declared"],
        ["NBP (tC)", "2012", -3078, -4061, "−983 (−32 %)", "−45 … −25 %", "as declared"],
        ["Disturbance emissions (tC)", "2012", 2528, 3502, "+974 (+39 %)", "+25 … +50 %", "as declared"],
        ["Disturbed area (ha)", "2012", 105.3, 146.4, "+41.1 (+39 %)", "+25 … +50 %", "as declared"],
        ["NPP (tC)", "2020", 369.4, 366.6, "−2.8 (−0.8 %)", "±1 %", "same"],
        ["Age (years)", "2020", 61, 61, "0", "±1 %", "same"],
    ]
    headline = "2012 fire area +39 % as declared; ecosystem carbon in 2020 −1.4 %, not declared"
    figure = {**FIGURE, "title": "Total ecosystem carbon", "alt": "falls in 2012", "path": "run-gcbm/total.png",
              "fallback": {"kind": "line", "x": [str(y) for y in range(2010, 2021)],
                           "series": [{"name": "main", "y": [52000.0 + 20 * i for i in range(11)]}]}}  # fmt: skip
    return make("run-gcbm", "warned", headline, "5 of 18 indicators changed", figures=[figure],
                tables=[{"title": "Indicators", "columns": columns, "rows": rows}],
                details={"verdict": "changed"})  # fmt: skip


def _looks() -> list[Finding]:
    text = "weakest group clay > 60 % (n = 14): RMSE 1.71 → 1.74, within noise"
    return [Finding(severity="info", code="group-worse", message=text)]


def _gate() -> list[Finding]:
    text = "this change alters the gate's rules in flint-ml.yml: `check-drift.alpha`: 0.05 → 0.5"
    return [Finding(severity="warning", code="gate-changed", message=text)]


GCBM_EXPECTED = ("pull-data", "run-gcbm")
CASES: dict[str, tuple[list[Record], tuple[str, ...]]] = {
    "approve": ([_data(), _drift(), _train(), _metrics(findings=_looks())], EXPECTED),
    "review-gate-changed": ([_data(), _drift(), _train(), _metrics(findings=_gate())], EXPECTED),
    "request-changes-worse": ([_data(), _drift(), _train(), _metrics("worse")], EXPECTED),
    "request-changes-drifted": ([_data(), _drift("failed")], EXPECTED),
    "training-crashed": ([_data(), _drift(), _train("failed")], EXPECTED),
    "everything-failed": (
        [
            make("pull-data", "error", "s3://bucket: 2 objects are missing on the remote", "Error"),
            _drift("failed"), _train("failed"), _metrics("worse"),
        ],
        EXPECTED,
    ),
    "nothing-ran": ([], EXPECTED),
    "gcbm-change": ([_data(), _gcbm()], GCBM_EXPECTED),
}  # fmt: skip


def report(name: str) -> Report:
    """The report of one case."""
    records, expected = CASES[name]
    return build(decide(records, expected), FACTS)


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
