"""The check: two tables and the rules in, findings and a verdict out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flint_ml.drift.arrow import row_values
from flint_ml.drift.clusters import Units, clusterings, decide_by_groups, units_of
from flint_ml.drift.coverage import coverage_of
from flint_ml.drift.frames import Frames, pairs_of, read_pairs, whole_frames
from flint_ml.drift.hypotheses import ColumnResult, Hypothesis, column_tests, decide, decide_within, severity
from flint_ml.drift.profile import Profile, as_table, comparable, limits_in
from flint_ml.drift.quality import other_units, quality_notes
from flint_ml.drift.rules import DriftRules, list_of
from flint_ml.drift.statistics.cluster_permutation import Clustering, codes_of, looks_clustered
from flint_ml.drift.statistics.multiple_testing import Detectable, smallest_detectable
from flint_ml.drift.statistics.spectra import Calibration
from flint_ml.drift.tables.columns import Pair, how_read
from flint_ml.drift.tables.reading import Source, read_columns
from flint_ml.drift.tables.schema import Note, listed, new_categories, schema_notes
from flint_ml.drift.whole_table import SpectrumResult, WholeTable, spectra_results, whole_table
from flint_ml.errors import InputError
from flint_ml.record import Piece, Severity

Reader = Callable[[tuple[Source, Source], Sequence[str], Sequence[str], DriftRules], tuple[list[Pair], Frames]]


@dataclass
class Result:
    """The outcome of a check; ``columns`` are in order of severity, worst first, and ``noun`` says what they are."""

    noun: ClassVar[str] = "column"

    rules: DriftRules
    rows: tuple[int, int]
    columns: list[ColumnResult]
    notes: list[Note]
    spectra: list[SpectrumResult] = field(default_factory=list)
    whole: WholeTable | None = None
    units: Units | None = None
    clustered: dict[str, Clustering] = field(default_factory=dict)
    detectable: Detectable = field(default_factory=lambda: Detectable(1.0, None))
    tests: int = 0
    engine: str = "memory"
    coverage: list[Piece] = field(default_factory=list)
    read: tuple[tuple[str, str], ...] = ()

    @property
    def tested(self) -> list[ColumnResult]:
        """Columns that were compared."""
        return [column for column in self.columns if column.hypotheses]

    @property
    def drifted(self) -> list[ColumnResult]:
        """Columns that drifted, worst first."""
        return [column for column in self.columns if column.drifted]

    @property
    def drifted_spectra(self) -> list[SpectrumResult]:
        return [result for result in self.spectra if result.drifted]

    @property
    def whole_drifted(self) -> bool:
        """Whether the classifier tells the tables apart."""
        return bool(self.whole and self.whole.hypothesis.drifted)

    @property
    def broken(self) -> list[Note]:
        """What fails the check whatever the numbers say: columns that are gone or of another type."""
        return [note for note in self.notes if note.severity == "error"]

    @property
    def failed(self) -> bool:
        return bool(self.drifted or self.drifted_spectra or self.whole_drifted or self.broken)

    @property
    def blind(self) -> bool:
        """Whether nothing was found, and too few samples were there to find anything but a gross shift."""
        return not self.failed and self.detectable.blind


def check(reference: Source, current: Source, rules: DriftRules, read: Reader = read_pairs) -> Result:
    """Read two tables by ``read`` and compare them.

    Raises
    ------
    InputError
        If no column is common, the rules leave none, or a column has no value at all on one side.
    """
    common = _common(reference, current, rules)
    places = [name for name in (*rules.groups, *rules.coordinates) if name not in common]
    pairs, frames = read((reference, current), common, places, rules)
    result = _compare(pairs, frames, rules, (reference.label, current.label))
    result.notes += schema_notes(reference, current, rules) + _notes(result, frames, pairs)
    result.notes += quality_notes(frames.full, pairs, rules, bands=_bands(result), rows=frames.complete)
    result.coverage = coverage_of(reference.names, pairs, rules, result.noun)
    result.read = ((reference.label, reference.said), (current.label, current.said))
    result.notes += _read_notes(result, pairs)
    there, here = set(reference.names), set(current.names)
    gone = [name for name in reference.names if name not in here]
    result.notes += other_units(gone, [name for name in current.names if name not in there])
    return result


def check_profile(profile: Profile, label: str, current: Source, rules: DriftRules) -> Result:
    """Compare a table with a stored profile of the reference.

    The classifier is left out, for it needs rows. Raises InputError as :func:`check` does, and where groups are named.
    """
    if rules.groups or rules.coordinates:
        raise InputError(
            "a profile holds no rows, so groups cannot be permuted",
            where=label,
            hint="compare with the reference itself, or leave `groups` and `coordinates` out",
            code="profile-groups",
        )
    rules = rules.model_copy(update={"tests": [name for name in rules.tests if name != "multivariate"]})
    reference = Source(Path(label), label, tuple(profile.columns), parquet=False)
    common = [name for name in _common(reference, current, rules) if name in set(comparable(profile))]
    if not common:
        raise InputError("no common column of the profile can be compared", where=label, hint="make the profile anew")
    tables = (as_table(profile, common), read_columns(current, common))
    pairs, tables = pairs_of(tables, common, rules, limits_in(profile), ("", current.decimal_seen))
    frames = whole_frames(tables, rules)
    result = _compare(pairs, frames, rules, (label, current.label), profile.calibrations)
    result.rows = (profile.rows, tables[1].num_rows)
    result.notes += schema_notes(reference, current, rules) + _notes(result, frames, pairs)
    result.notes += quality_notes(tables, pairs, rules, bands=_bands(result), rows=False)
    result.coverage = coverage_of(reference.names, pairs, rules, result.noun)
    result.read = ((label, "a profile"), (current.label, current.said))
    result.notes += _read_notes(result, pairs)
    text = f"the reference is a profile of {profile.rows:,} rows: D of a column is exact to {profile.bound:.4f}"
    result.notes.append(Note("info", "profile", text))
    return result


def check_tables(reference: Any, current: Any, rules: DriftRules) -> Result:
    """Compare the common columns of two ``pyarrow.Table``, without looking at their schemas."""
    places = {*rules.groups, *rules.coordinates}
    here = set(current.column_names)
    common = [n for n in reference.column_names if n in here and rules.compares(n) and n not in places]
    pairs, tables = pairs_of((reference, current), common, rules)
    return _compare(pairs, whole_frames(tables, rules), rules, ("reference", "new data"))


def _compare(
    pairs: Sequence[Pair],
    frames: Frames,
    rules: DriftRules,
    labels: tuple[str, str],
    known: Mapping[tuple[str, ...], Calibration] | None = None,
) -> Result:
    empty = _empty_notes(pairs, labels)
    columns = [ColumnResult(p, hypotheses) for p, hypotheses in zip(pairs, column_tests(pairs, rules), strict=True)]
    if not any(column.hypotheses and all(column.column.present) for column in columns):
        if empty:
            raise InputError(empty[0].message, hint=empty[0].hint, code=empty[0].code)
        reasons = [f"`{pair.name}` ({pair.why or 'no values'})" for pair in pairs[:3]]
        raise InputError(
            f"no column can be compared: {', '.join(reasons)}{' …' if len(pairs) > 3 else ''}",
            where=labels[1],
            hint="name a test for one under `columns:` in flint-ml.yml, or say under `read:` how the table is written",
            code="nothing-to-compare",
        )
    result = Result(rules, frames.rows, columns, empty, units=units_of(frames.full, rules))
    _decide_all(result, frames, pairs, known)
    columns.sort(key=lambda c: severity(c.leading) if c.leading else (True, True, 0.0, 2.0))
    return result


def _decide_all(
    result: Result,
    frames: Frames,
    pairs: Sequence[Pair],
    known: Mapping[tuple[str, ...], Calibration] | None,
) -> None:
    """Test spectra and the table as a whole, and decide the family."""
    rules, units, tables = result.rules, result.units, frames.full
    result.spectra = spectra_results(tables, pairs, rules, units.reference if units else None, known)
    banded = {n: r for r in result.spectra if r.comparison for n in r.spectrum.columns}
    free = [column for column in result.columns if column.column.name not in banded]
    family = [h for column in free for h in column.hypotheses] + [h for r in result.spectra for h in r.hypotheses]
    both = None
    if units:
        both = np.concatenate([units.reference[frames.picked[0]], units.current[frames.picked[1]]])
    result.whole = whole_table(frames.some, pairs, result.spectra, rules, tests=len(family), units=both)
    whole = result.whole.hypothesis if result.whole else None
    if units is None:
        decide([*family, *([whole] if whole else [])], rules)
    else:
        decide_by_groups(tables, free, result.spectra, whole=whole, units=units, rules=rules)
        result.clustered = clusterings(tables, [column.column for column in free], units)
    for spectrum in result.spectra:
        if spectrum.comparison:
            inside: list[Hypothesis] = []
            bands = set(spectrum.spectrum.columns)
            for column in result.columns:
                if column.column.name in bands:
                    inside += column.hypotheses
            decide_within(inside, spectrum.hypotheses, rules)
    result.tests = len(family) + (1 if whole else 0)
    result.detectable = smallest_detectable(_independent(result), result.tests, rules.alpha, rules.min_effect)


def _bands(result: Result) -> set[str]:
    return {name for r in result.spectra for name in r.spectrum.columns}


def _independent(result: Result) -> tuple[float, float]:
    """Typical number of independent samples in each table."""
    sizes = [c.column.present for c in result.tested]
    n = np.median(np.array(sizes, dtype=float), axis=0)
    if result.clustered:
        n = np.median(np.array([c.effective for c in result.clustered.values()]), axis=0)
    return float(n[0]), float(n[1])


def _common(reference: Source, current: Source, rules: DriftRules) -> list[str]:
    here, there = set(current.names), set(reference.names)
    shared = [name for name in reference.names if name in here]
    if not shared:
        raise InputError(
            f"no common columns: {reference.label} has {listed(reference.names, 4)}, {current.label} has "
            f"{listed(current.names, 4)}",
            where=current.label,
            hint="rename the columns of one table; names are compared exactly, with case and units",
            code="no-common-columns",
        )
    for given, names in (("columns", rules.only), ("groups", rules.groups), ("coordinates", rules.coordinates)):
        for name in names:
            known = here | there | set(map(list_of, here & there))
            if given == "columns" and (any(ch in name for ch in "*?[") or name in known):
                continue
            if name not in here or name not in there:
                where = "neither table" if name not in here | there else "one of the tables only"
                raise InputError(
                    f"the column `{name}` is in {where}", where=given, hint="check the spelling", code="no-column"
                )
    places = {*rules.groups, *rules.coordinates}
    common = [name for name in shared if rules.compares(name) and name not in places]
    if not common:
        raise InputError(
            "`columns` and `exclude` leave no common column",
            where="columns",
            hint="check both inputs",
            code="no-common-columns",
        )
    return common


def _empty_notes(pairs: Sequence[Pair], labels: tuple[str, str]) -> list[Note]:
    """Columns that hold no value in one of the tables."""
    notes = []
    for side, label in enumerate(labels):
        empty = [p.name for p in pairs if not p.present[side] and p.present[1 - side]]
        if empty:
            text = f"{label}: {listed(empty, 4)} {'has' if len(empty) == 1 else 'have'} no values, only missing ones"
            notes.append(Note("error", "all-missing", text, "fill the column, or leave it out with `exclude`"))
    return notes


def _read_notes(result: Result, pairs: Sequence[Pair]) -> list[Note]:
    """How tables and columns were read, where that is not plain."""
    notes = [Note("info", "read", f"{label} was read with {said}") for label, said in result.read if said]
    read = [f"`{pair.name}` ({words})" for pair in pairs if (words := how_read(pair)) and not _is_left_out(pair)]
    if read:
        text = ", ".join(read[:5]) + (f" and {len(read) - 5} more" if len(read) > 5 else "")
        notes.append(Note("info", "read-as", f"texts were read as values: {text}"))
    return notes


def _is_left_out(pair: Pair) -> bool:
    return pair.reading is not None and pair.reading.left_out


def _notes(result: Result, frames: Frames, pairs: Sequence[Pair]) -> list[Note]:
    rules = result.rules
    notes: list[Note] = []
    for column in pairs:
        for code, text in column.notes:
            notes.append(Note("error" if code == "type-changed" else "warning", code, text))
        if column.kind == "category":
            notes += new_categories(column)
        left_out = _is_left_out(column)
        if column.kind in {"identifier", "date", "text"} and not left_out and rules.of(column.name).test == "auto":
            # Numbers in lists may be spectra: that they were passed over must be seen.
            severity_: Severity = "warning" if column.why.startswith("lists") else "info"
            notes.append(Note(severity_, "not-compared", f"`{column.name}` was not compared: {column.why}"))
        if column.kind == "empty":
            notes.append(Note("warning", "no-values", f"`{column.name}` has no value in either table; not compared"))
    for spectrum in result.spectra:
        seen = spectrum.comparison
        if seen and seen.outside[1] > max(0.05, 3 * seen.outside[0]):
            text = f"{seen.outside[1]:.0%} of the new spectra lie outside the calibration space "
            text += f"(reference: {seen.outside[0]:.0%})"
            notes.append(Note("warning", "outside-calibration", text, "Predictions for them are extrapolation."))
    if frames.sample:
        notes += _sampled(result, frames)
    if result.units is None:
        notes += _unnamed_groups(frames.head, pairs)
    elif min(result.units.counts) < 5:
        few = " and ".join(str(count) for count in result.units.counts)
        text = f"only {few} groups ({result.units.label}) in reference and new data: hardly any drift can be found"
        notes.append(Note("warning", "few-groups", text, "Bring samples of more groups."))
    if result.blind:
        text = f"too few samples: in a single column only D ≥ {result.detectable.distance:.2f} is found reliably"
        notes.append(Note("warning", "too-few-samples", text, "Collect more samples, or compare fewer columns."))
    return notes


def _sampled(result: Result, frames: Frames) -> list[Note]:
    """What was not made of all rows, where the tables were scanned."""
    parts = ["spectra"] if any(spectrum.comparison for spectrum in result.spectra) else []
    parts += ["the classifier"] if result.whole else []
    parts += ["the permutation of groups"] if result.units else []
    text = f"the tables were scanned: all rows of each column were compared; a random sample of {frames.sample} rows "
    text += f"served {', '.join(parts) if parts else 'to look for unnamed groups'}; copied rows were not looked for"
    return [Note("info", "sampled", text, "`engine: memory` uses every row for everything.")]


def _unnamed_groups(some: Any, pairs: Sequence[Pair]) -> list[Note]:
    """Warn where the samples are alike within the values of some column that could name sites or profiles."""
    numeric = [p for p in pairs if p.kind == "numeric" and not p.labels][:10]
    if not numeric:
        return []
    for candidate in pairs:
        if candidate.kind != "category" or not 8 <= len(candidate.labels) <= candidate.total[0] // 2:
            continue
        codes = codes_of([some.column(candidate.name)])
        icc = looks_clustered(codes, [row_values(some.column(p.name)) for p in numeric])
        if icc is not None:
            text = f"samples of one `{candidate.name}` are alike (intra-class correlation {icc:.2f}); tests that take "
            text += "them for independent alarm too often"
            hint = f"If `{candidate.name}` says where samples come from, name it under `groups`."
            return [Note("warning", "clustered", text, hint)]
    return []
