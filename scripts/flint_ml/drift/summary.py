"""A result in words and tables, for people who decide."""

from __future__ import annotations

from typing import Any

from flint_ml.drift.bands import Spectrum
from flint_ml.drift.check import ColumnResult, Hypothesis, Result
from flint_ml.markdown import number
from flint_ml.record import Column, Metric, Table

_NAMED = 3


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else number(round(value, 4), 2)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _band_of(result: Result) -> dict[str, Spectrum]:
    return {name: spectrum for spectrum in result.spectra for name in spectrum.columns}


def named(result: Result, limit: int = _NAMED) -> str:
    """The drifted columns, worst first, the bands of a spectrum as one: "SOC, pH and 206 of 206 spectral bands"."""
    bands = _band_of(result)
    plain = [c.column.name for c in result.drifted if c.column.name not in bands]
    groups = []
    for spectrum in result.spectra:
        count = sum(c.column.name in spectrum.columns for c in result.drifted)
        if count:
            groups.append(f"{count} of {spectrum.label}")
    shown = plain[:limit] + ([f"{len(plain) - limit} more"] if len(plain) > limit else []) + groups
    return ", ".join(shown[:-1]) + " and " + shown[-1] if len(shown) > 1 else "".join(shown)


def headline(result: Result) -> str:
    """The result in one sentence."""
    tested, drifted = len(result.tested), len(result.drifted)
    parts = []
    if drifted:
        inside = (
            named(result) if drifted > _NAMED or result.spectra else ", ".join(c.column.name for c in result.drifted)
        )
        parts.append(f"{drifted} of {_plural(tested, 'column')} drifted ({inside})")
    parts += [note.message.replace("`", "") for note in result.broken[:2]]
    if parts:
        return "; ".join(parts)
    worst = max((h for c in result.tested for h in c.hypotheses), key=lambda h: h.test.effect, default=None)
    text = f"no drift: 0 of {_plural(tested, 'column')} drifted"
    if worst is not None:
        text += f"; largest effect {worst.test.effect_name} = {number(worst.test.effect, 2)} ({worst.column})"
    return text


def message(result: Result) -> str:
    """The badge: "Passed (0 of 21)"."""
    word = "Failed" if result.failed else "Passed"
    return f"{word} ({len(result.drifted)} of {len(result.tested)})"


def _cell(hypothesis: Hypothesis) -> str:
    method = {"asymptotic": "", "exact": ", exact"}.get(hypothesis.test.method, f", {hypothesis.test.method}")
    return f"{hypothesis.test.name}{method}"


def column_table(result: Result) -> Table:
    """One row for each column that was compared, worst first."""
    rows: list[list[Any]] = []
    for column in result.tested:
        lead = column.leading
        assert lead is not None
        rows.append(
            [
                lead.column, "missing values" if lead.aspect == "missing" else column.column.kind, _cell(lead),
                f"{lead.test.effect_name} = {number(lead.test.effect, 2)}", _p(lead.p_adjusted), _typical(column),
                "drifted" if column.drifted else "same",
            ]
        )  # fmt: skip
    names = ["column", "what", "test", "effect", "p (adjusted)", "reference → new", "result"]
    return Table(title="Columns, worst first", columns=[Column(name=name) for name in names], rows=rows)


def _typical(column: ColumnResult) -> str:
    """Medians of numbers, the shares of the category that changed most, or of missing values."""
    pair, lead = column.column, column.leading
    if lead is not None and lead.aspect == "missing":
        shares = [f"{m / t:.1%}" for m, t in zip(pair.missing, pair.total, strict=True)]
        return f"{shares[0]} → {shares[1]} missing"
    if pair.kind == "numeric":
        import numpy as np

        one, two = float(np.median(pair.reference)), float(np.median(pair.current))
        return f"median {number(one)} → {number(two)}"
    if pair.labels and len(pair.reference) and pair.reference.sum() and pair.current.sum():
        p, q = pair.reference / pair.reference.sum(), pair.current / pair.current.sum()
        k = int(abs(p - q).argmax())
        return f"{pair.labels[k][:40]}: {p[k]:.0%} → {q[k]:.0%}"
    return ""


def metrics(result: Result) -> dict[str, Metric]:
    """Numbers that other tools may follow over time."""
    effects = [h.test.effect for c in result.tested for h in c.hypotheses]
    return {
        "columns_tested": Metric(value=len(result.tested)),
        "columns_drifted": Metric(value=len(result.drifted), direction="lower"),
        "largest_effect": Metric(value=max(effects, default=0.0)),
        "rows_reference": Metric(value=result.rows[0]),
        "rows_current": Metric(value=result.rows[1]),
    }


def details(result: Result) -> dict[str, Any]:
    """The structured result: every column with every test."""
    columns = []
    for column in result.columns:
        lead = column.leading
        entry: dict[str, Any] = {
            "column": column.column.name,
            "kind": column.column.kind,
            "test": lead.test.name if lead else None,
            "method": lead.test.method if lead else None,
            "aspect": lead.aspect if lead else None,
            "statistic": lead.test.statistic if lead else None,
            "p_value": lead.test.p_value if lead else None,
            "p_adjusted": lead.p_adjusted if lead else None,
            "effect": lead.test.effect if lead else None,
            "effect_name": lead.test.effect_name if lead else None,
            "min_effect": lead.min_effect if lead else None,
            "drifted": column.drifted,
            "missing": list(column.column.missing),
            "n": list(column.column.present),
        }
        if column.column.why or (lead and lead.test.note):
            entry["note"] = column.column.why or (lead.test.note if lead else "")
        columns.append(entry)
    rules = result.rules
    return {
        "rows": list(result.rows),
        "rules": {
            "alpha": rules.alpha, "correction": rules.correction, "min_effect": rules.min_effect,
            "tests": list(rules.tests),
        },
        "columns": columns,
        "spectra": [{"label": s.label, "columns": len(s.columns)} for s in result.spectra],
    }  # fmt: skip
