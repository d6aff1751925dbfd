"""A result in words and tables, for people who decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flint_ml.drift.check import Result
from flint_ml.drift.hypotheses import BELOW, ColumnResult, Hypothesis
from flint_ml.drift.statistics.bands import Spectrum
from flint_ml.drift.tables.column_summary import median
from flint_ml.drift.tables.columns import how_read
from flint_ml.drift.whole_table import SpectrumResult
from flint_ml.record import Column, Metric, Table
from flint_ml.text.markdown import number

_NAMED = 3
# Bands that are listed one by one; the record's details hold all of them.
_BANDS = 20
# Columns that the record lists, worst first; all are compared.
LISTED = 2_000


def p_text(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else number(round(value, 4), 2)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _joined(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)


def named(result: Result, limit: int = _NAMED) -> str:
    """The drifted columns, worst first, the bands of a spectrum as one: "SOC, pH and 206 of 206 spectral bands"."""
    bands = {name for r in result.spectra for name in r.spectrum.columns}
    plain = [c.column.name for c in result.drifted if c.column.name not in bands]
    if not any(c.column.name in bands for c in result.drifted):
        return ", ".join(plain[:limit]) + (f" and {len(plain) - limit} more" if len(plain) > limit else "")
    groups = []
    for spectrum in (r.spectrum for r in result.spectra):
        count = len({c.column.name for c in result.drifted} & set(spectrum.columns))
        if count:
            groups.append(f"{count} of {spectrum.label}")
    return _joined(plain[:limit] + ([f"{len(plain) - limit} more"] if len(plain) > limit else []) + groups)


def headline(result: Result) -> str:
    """The result in one sentence."""
    tested, drifted = len(result.tested), len(result.drifted)
    parts = []
    if drifted:
        parts.append(f"{drifted} of {_plural(tested, result.noun)} drifted ({named(result)})")
    for spectrum in result.drifted_spectra:
        bands = set(spectrum.spectrum.columns)
        parts.append(_spectral(spectrum, any(c.column.name in bands for c in result.drifted)))
    if not parts and result.whole_drifted:
        assert result.whole is not None
        seen = result.whole.separation
        parts.append(
            f"no column drifted on its own, but all columns together did: a classifier tells the new rows from the "
            f"reference (AUC {seen.auc:.2f}), most by {_joined(list(seen.contributors[:3]))}"
        )
    parts += [note.message.replace("`", "") for note in result.broken[:2]]
    return "; ".join(part for part in parts if part) or _quiet(result, tested)


def _spectral(result: SpectrumResult, bands_named: bool) -> str:
    assert result.comparison is not None
    outside = f"{result.comparison.outside[1]:.0%} of the new spectra lie outside the calibration space"
    if bands_named:
        return outside
    worst = max(result.drifted, key=lambda h: h.test.effect)
    aspect = {"Q": "Q residuals", "T²": "Hotelling's T²"}.get(worst.aspect, worst.aspect)
    return f"the spectra drifted ({result.spectrum.label}: {aspect}, D = {worst.test.effect:.2f}); {outside}"


def _quiet(result: Result, tested: int) -> str:
    worst = max((h for c in result.tested for h in c.hypotheses), key=lambda h: h.test.effect)
    effect = f"largest effect {worst.test.effect_name} = {number(worst.test.effect, 2)} ({worst.column})"
    if result.blind:
        few = "too few independent patches" if result.noun == "layer" else "too few samples"
        return f"inconclusive: no drift found in {_plural(tested, result.noun)}, but {few} to say so; {effect}"
    found = f"could have found D ≥ {number(result.detectable.distance, 2)}"
    return f"no drift: 0 of {_plural(tested, result.noun)} drifted; {effect}; {found}"


def message(result: Result) -> str:
    """The badge: "Passed (0 of 21)"."""
    if result.blind:
        samples = "too smooth" if result.noun == "layer" else f"{min(result.rows)} samples"
        return f"Inconclusive ({samples})"
    word = "Failed" if result.failed else "Passed"
    return f"{word} ({len(result.drifted)} of {len(result.tested)})"


def test_name(hypothesis: Hypothesis) -> str:
    method = {"asymptotic": "", "exact": ", exact"}.get(hypothesis.test.method, f", {hypothesis.test.method}")
    return f"{hypothesis.test.name}{method}"


def tables(result: Result) -> list[Table]:
    """One row for each column, worst first, the bands of a spectrum as one; then the whole table; then the bands."""
    bands = {name: r.spectrum for r in result.spectra for name in r.spectrum.columns}
    rows: list[list[Any]] = []
    single: list[list[Any]] = []
    folded: set[str] = set()
    for column in result.tested:
        spectrum = bands.get(column.column.name)
        (rows if spectrum is None else single).append(_line(column))
        if spectrum is not None and spectrum.name not in folded:
            folded.add(spectrum.name)
            rows.append(_folded(spectrum, result))
    # A spectrum says less than a named column: in equal company it comes after.
    rows.sort(key=lambda row: (row[-1] == "same", row[1] == "spectrum"))
    heads = [result.noun, "what", "test", "effect", "p (adjusted)", "reference → new", "result"]
    found = [_table(f"{result.noun.capitalize()}s, worst first{_first_of(rows, LISTED)}", heads, rows[:LISTED])]
    whole = [h for r in result.spectra for h in r.hypotheses] + ([result.whole.hypothesis] if result.whole else [])
    if whole:
        lines: list[list[Any]] = [[h.column, h.aspect, *_row(h), "drifted" if h.drifted else "same"] for h in whole]
        found.append(
            _table("The table as a whole", ["tested", "by", "test", "effect", "p (adjusted)", "result"], lines)
        )
    if single:
        found.append(_table(f"Bands, worst first{_first_of(single, _BANDS)}", heads, single[:_BANDS]))
    return found


def _first_of(rows: Sequence[Any], most: int) -> str:
    return f" (the first {most:,} of {len(rows):,})" if len(rows) > most else ""


def _table(title: str, heads: list[str], rows: list[list[Any]]) -> Table:
    return Table(
        title=title,
        columns=[Column(name=name, role="result" if name == "result" else None) for name in heads],
        rows=rows,
    )


def _line(column: ColumnResult) -> list[Any]:
    """The table row of one column."""
    lead = column.leading
    assert lead is not None
    what = {"missing": "missing values", BELOW: BELOW}.get(lead.aspect, column.column.kind)
    return [lead.column, what, *_row(lead), typical(column), "drifted" if column.drifted else "same"]


def _folded(spectrum: Spectrum, result: Result) -> list[Any]:
    """All bands of a spectrum in one row, which shows the worst of them."""
    bands = set(spectrum.columns)
    mine = [column for column in result.tested if column.column.name in bands]
    drifted = sum(column.drifted for column in mine)
    worst = _line(mine[0])
    name = f"{f'{drifted} of ' if drifted else ''}{spectrum.label}; worst: {worst[0]}"
    return [name, "spectrum", *worst[2:6], "drifted" if drifted else "same"]


def _row(hypothesis: Hypothesis) -> list[str]:
    effect = f"{hypothesis.test.effect_name} = {number(hypothesis.test.effect, 2)}"
    return [test_name(hypothesis), effect, p_text(hypothesis.p_adjusted)]


def typical(column: ColumnResult) -> str:
    """Medians of numbers, the shares of the category that changed most, or of missing values."""
    pair, lead = column.column, column.leading
    if lead is not None and lead.aspect == "missing":
        shares = [f"{m / t:.1%}" for m, t in zip(pair.missing, pair.total, strict=True)]
        return f"{shares[0]} → {shares[1]} missing"
    if lead is not None and lead.aspect == BELOW and pair.summary and pair.summary.below:
        shares = [f"{below / n:.1%}" for below, n in zip(pair.summary.below, pair.present, strict=True)]
        return f"{shares[0]} → {shares[1]} below the limit"
    if pair.labels:
        p, q = pair.reference / pair.reference.sum(), pair.current / pair.current.sum()
        k = int(abs(p - q).argmax())
        return f"{pair.labels[k][:40]}: {p[k]:.0%} → {q[k]:.0%}"
    middle = pair.summary.median if pair.summary else (median(pair.reference), median(pair.current))
    return f"median {number(middle[0])} → {number(middle[1])}"


def metrics(result: Result) -> dict[str, Metric]:
    """Numbers that other tools may follow over time."""
    effects = [h.test.effect for c in result.tested for h in c.hypotheses]
    found = {
        "columns_tested": Metric(value=len(result.tested)),
        "columns_drifted": Metric(value=len(result.drifted), direction="lower"),
        "largest_effect": Metric(value=max(effects, default=0.0)),
        "detectable_distance": Metric(value=result.detectable.distance),
        "rows_reference": Metric(value=result.rows[0]),
        "rows_current": Metric(value=result.rows[1]),
    }
    if result.whole:
        found["classifier_auc"] = Metric(value=result.whole.separation.auc)
    for spectrum in result.spectra[:1]:
        if spectrum.comparison:
            found["outside_calibration"] = Metric(value=spectrum.comparison.outside[1], direction="lower")
    return found


def _hypothesis(hypothesis: Hypothesis | None) -> dict[str, Any]:
    if hypothesis is None:
        return dict.fromkeys(
            ("test", "method", "aspect", "statistic", "p_value", "p_adjusted", "effect", "effect_name", "min_effect")
        )
    test = hypothesis.test
    return {
        "test": test.name,
        "method": test.method,
        "aspect": hypothesis.aspect,
        "statistic": test.statistic,
        "p_value": test.p_value,
        "p_adjusted": hypothesis.p_adjusted,
        "effect": test.effect,
        "effect_name": test.effect_name,
        "min_effect": hypothesis.min_effect,
    }


def details(result: Result) -> dict[str, Any]:
    """The structured result: every column with every test, the worst where there are very many."""
    columns = []
    for column in result.columns[:LISTED]:
        lead, pair = column.leading, column.column
        entry = {"column": pair.name, "kind": pair.kind, **_hypothesis(lead), "drifted": column.drifted}
        entry |= {"missing": list(pair.missing), "n": list(pair.present)}
        note = pair.why or (lead.test.note if lead else "")
        if note:
            entry["note"] = note
        if words := how_read(pair):
            entry["read"] = words
        if pair.name in result.clustered:
            seen = result.clustered[pair.name]
            entry["clustering"] = {
                "icc": seen.icc,
                "design_effect": seen.effect,
                "effective_n": [round(n, 1) for n in seen.effective],
            }
        columns.append(entry)
    rules = result.rules
    return {
        "rows": list(result.rows),
        "engine": result.engine,
        "read": dict(result.read),
        "rules": {
            "alpha": rules.alpha,
            "correction": rules.correction,
            "min_effect": rules.min_effect,
            "tests": list(rules.tests),
        },
        "family": result.tests,
        "detectable": {"distance": result.detectable.distance, "shift_sd": result.detectable.shift, "power": 0.8},
        "columns": columns,
        **({"columns_not_listed": unlisted} if (unlisted := len(result.columns) - len(columns)) else {}),
        "spectra": [_spectrum(r) for r in result.spectra],
        "multivariate": _whole(result),
        "groups": {"by": result.units.label, "counts": list(result.units.counts)} if result.units else None,
    }


def _spectrum(result: SpectrumResult) -> dict[str, Any]:
    seen = result.comparison
    entry: dict[str, Any] = {"label": result.spectrum.label, "bands": len(result.spectrum.columns)}
    if seen is None:
        return entry | {"tested": False}
    return entry | {
        "tested": True,
        "components": seen.model.components,
        "explained": seen.model.explained,
        "fitted_on": seen.model.fitted,
        "held_out": len(seen.reference.q),
        "new": len(seen.current.q),
        "outside_reference": seen.outside[0],
        "outside_new": seen.outside[1],
        "incomplete": list(seen.incomplete),
        "drifted": bool(result.drifted),
        "tests": [{**_hypothesis(h), "drifted": h.drifted} for h in result.hypotheses],
    }


def _whole(result: Result) -> dict[str, Any] | None:
    if result.whole is None:
        return None
    seen = result.whole.separation
    return {
        **_hypothesis(result.whole.hypothesis),
        "drifted": result.whole_drifted,
        "permutations": seen.permutations,
        "rows": list(seen.rows),
        "carriers": list(seen.contributors),
    }
