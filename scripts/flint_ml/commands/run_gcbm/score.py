"""run-gcbm against measurements: scores of this change and its base, better or worse."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flint_ml.commands.run_gcbm.compare import Compared, Nothing
from flint_ml.dvc_project import hash_at
from flint_ml.gcbm.simulation import Simulated
from flint_ml.metrics import Overall, Reading, Row, Rule, importance, judge, overall, resolve
from flint_ml.record import Finding, Metric
from flint_ml.runner import Job

if TYPE_CHECKING:
    from flint_ml.gcbm.comparison.calibration import Calibration

# RMSE decides; bias, R² and chi² follow from the same residuals and are shown.
_RULES = {
    "*": Rule(tolerance="1 %", weight=0.0),
    "calibration/*/rmse": Rule(weight=1.0),
}


@dataclass
class Scored:
    """Scores of this change, of the base where it was run in this job, and their comparison."""

    here: Calibration
    base: Calibration | None = None
    rows: list[Row] = field(default_factory=list)
    overall: Overall | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def metrics(self) -> dict[str, Metric]:
        """For the record: with direction, and the base's value."""
        before = self.base.metrics if self.base else {}
        return {
            name: metric.model_copy(update={"base": before[name].value if name in before else None})
            for name, metric in self.here.metrics.items()
        }


def score(job: Job, observations: str, simulated: Simulated, compared: Compared | Nothing | None) -> Scored | None:
    """Score both sides on this change's observations; None where there are none."""
    if not observations:
        return None
    from flint_ml.gcbm.comparison import calibration

    path = job.existing(observations, "observations")
    job.use(path)
    scored = Scored(calibration.score(path, simulated.source))
    if scored.here.unmatched:
        lines = scored.here.unmatched
        text = f"{len(lines)} observations have no modelled value, such as {lines[0]}"
        scored.findings.append(Finding(severity="warning", code="gcbm-observations", message=text))
    if not isinstance(compared, Compared):
        return scored
    if compared.baseline.simulated is not None:
        scored.base = calibration.score(path, compared.baseline.simulated.source)
    before = scored.base.metrics if scored.base else {}
    for name, metric in scored.here.metrics.items():
        here, there = _reading(metric), _reading(before[name]) if name in before else None
        scored.rows.append(judge(name, there, here, resolve(name, _RULES, here)))
    scored.rows.sort(key=lambda row: importance(row.rule))
    scored.overall = overall(scored.rows, has_base=scored.base is not None)
    scored.findings += _changed(job, observations, compared.baseline.commit)
    return scored


def _reading(metric: Metric) -> Reading:
    return Reading(metric.value, metric.note, metric.unit, metric.direction)


def _changed(job: Job, observations: str, commit: str | None) -> list[Finding]:
    """Other measurements are another yardstick: that is for people to see."""
    from flint_ml.commands.run_gcbm.base import inside

    name = inside(job.git, job.path(observations)) if commit else None
    if not name or commit is None:
        return []
    before = hash_at(job.git, commit, name)
    if before is None or before == hash_at(job.git, None, name):
        return []
    text = f"this change alters the observations {observations}; both sides were scored on the new ones"
    return [Finding(severity="warning", code="gate-changed", message=text)]
