"""How two tables were read, on one screen: each file, each column, why it is compared or not, and what changes it."""

from __future__ import annotations

from flint_ml.drift.check import Result
from flint_ml.drift.coverage import not_understood
from flint_ml.drift.hypotheses import ColumnResult
from flint_ml.drift.tables.columns import how_read

# Columns that were compared, of which so many are listed: one screen.
_ROWS = 60
_WIDE = 32


def explanation(result: Result) -> str:
    """The text of ``check-drift --explain``: every column that was not compared, and the first of those that were."""
    lines = [f"{label}: {said or 'commas, decimal points, header in line 1'}" for label, said in result.read]
    lines += ["", f"{'column':{_WIDE}} {'is':12} read as, and why it is compared or not"]
    bands = {name: r.spectrum for r in result.spectra for name in r.spectrum.columns}
    folded: set[str] = set()
    compared = 0
    for column in sorted(result.columns, key=lambda c: (bool(c.hypotheses), c.column.name)):
        spectrum = bands.get(column.column.name)
        if spectrum is not None:
            if spectrum.name not in folded:
                folded.add(spectrum.name)
                lines.append(f"{spectrum.label[:_WIDE]:{_WIDE}} {'spectrum':12} compared as a whole, then band by band")
            continue
        compared += bool(column.hypotheses)
        if compared <= _ROWS or not column.hypotheses:
            lines.append(f"{column.column.name[:_WIDE]:{_WIDE}} {column.column.kind:12} {_words(column, result)}")
    if compared > _ROWS:
        more = (
            f"… and {compared - _ROWS:,} more columns, all compared; `--columns 'soil_*,pH'` shows those of these names"
        )
        lines.append(more)
    return "\n".join(lines)


def _words(column: ColumnResult, result: Result) -> str:
    pair = column.column
    reason = not_understood(pair, result.rules)
    if reason is not None:
        return f"not compared: {reason[0]} -> {reason[1]}"
    read = how_read(pair)
    if not column.hypotheses:
        why = pair.why or "no value, or no test is wanted"
        return f"not compared: {why} -> `columns: {{{pair.name}: {{kind: numeric}}}}` or `kind: category` compares it"
    tests = ", ".join(f"{h.test.name} ({h.aspect})" for h in column.hypotheses)
    return f"compared by {tests}" + (f"; {read}" if read else "") + (f"; {pair.why}" if pair.why else "")
