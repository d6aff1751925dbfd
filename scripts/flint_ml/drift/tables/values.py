"""What texts of a column mean: numbers in any spelling, values beyond a limit, missing ones, dates, yes and no.

A column of text is judged from the counts of its texts in both tables (:class:`Texts`, which add up over parts), so
that a folder, a scan and a table in memory are read alike. Values below a limit of detection (``<14``) are compared as
environmental statistics do (Helsel 2012, Statistics for Censored Environmental Data, chapters 4 and 9): all values
below the larger limit of both tables are ties, so that a changed limit alone is no drift of the quantity.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from flint_ml.drift.tables.formats import MISSING

# Texts for "no value" beside those that Arrow drops already (formats.MISSING); compared without case and dots.
_MISSING = frozenset(
    [
        "nd",
        "nv",
        "na",
        "n/a",
        "n/d",
        "nan",
        "null",
        "none",
        "nil",
        "missing",
        "nodata",
        "no_data",
        "-",
        "--",
        "---",
        "–",
        "—",
        ".",
        "..",
        "...",
        "…",
        "?",
        "*",
        "/",
        "x",
        "ka",
        "kA",
        "sd",
        "s/d",
        "nb",
        "#n/a",
        "not_determined",
        "not_measured",
        "not_analysed",
        "not_analyzed",
        "not_available",
        "no_value",
        "keine_angabe",
        "n_d",
        "n_a",
        "k_a",
        "#nv",
    ]
)
# Below a limit that is not given: below detection, below quantification.
_BELOW = frozenset(
    [
        "bdl",
        "bld",
        "bd",
        "blq",
        "bql",
        "bloq",
        "dl",
        "<dl",
        "<lod",
        "<loq",
        "<mdl",
        "<ld",
        "<lq",
        "<nwg",
        "<bg",
        "lod",
        "loq",
        "udl",
        "nn",
        "nwg",
        "<rl",
        "<mrl",
        "not_detected",
        "below_detection",
        "udb",
        "udn",
        "ubg",
        "nq",
        "not_quantified",
        "below_quantification",
        "below_lod",
        "below_loq",
        "below_detection_limit",
    ]
)
_NUMBER = re.compile(r"[-+−]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+−]?\d+)?")
_GROUPED = re.compile(r"[-+−]?\d{1,3}(?:([ \u00a0\u202f'’.,])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
_LIMIT = re.compile(r"^(<=|>=|[<>≤≥])\s*(.+)$")
_UNIT = re.compile(
    r"^(?:%|‰|°\s?[CFK]?|deg\.? ?[CFK]|[$€£]|ppm|ppb|pct|percent|per cent|(?:[Vv]ol|[Mm]ass|[Mm]|[Ww]t|[Ww])\.?[- ]?%|"
    r"% ?\(?[wvm]/[wvm]\)?|"
    r"(?:[µμumckdhnMG]?(?:g|mol|molc|eq|L|l|m|Pa|S|J|W|Hz|K|s|t|ha|a|yr|d|h|min|bar|sr|nm)(?:[-−]?\d|[²³⁻¹]+)?)"
    r"(?:\s?[/·*.]?\s?[µμumckdhnMG]?(?:g|mol|molc|eq|L|l|m|Pa|S|J|W|Hz|K|s|t|ha|a|yr|d|h|min|bar|sr|nm|dm|cm)"
    r"(?:\^?\(?[-−]?\d\)?|[²³⁻¹]+)?){0,3})$"
)
_YES = frozenset(
    ["yes", "y", "true", "t", "ja", "j", "oui", "o", "si", "sí", "s", "sim", "wahr", "vrai", "verdadero", "1", "1.0"]
)
_NO = frozenset(["no", "n", "false", "f", "nein", "non", "não", "nao", "falsch", "faux", "falso", "0", "0.0"])
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janvier enero janeiro",
            "feb february februar février fevrier fév févr febrero fevereiro",
            "mar march mär märz maerz mrz mars marzo março marco",
            "apr april avril abril avr abr",
            "may mai mayo maio",
            "jun june juni juin junio junho",
            "jul july juli juillet julio julho juil",
            "aug august août aout aoû agosto ago",
            "sep sept september septembre septiembre setembro set",
            "oct october oktober okt octobre octubre outubro out",
            "nov november novembre noviembre novembro",
            "dec december dezember dez déc décembre decembre diciembre dezembro dic",
        ),
        start=1,
    )
    for name in names.split()
}
_CLOCK = r"(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*([AaPp][Mm])?)?\s*Z?"
_DATE = re.compile(rf"^(\d{{1,4}})[./-](\d{{1,2}})[./-](\d{{1,4}}){_CLOCK}$")
_NAMED_DATE = re.compile(
    r"^(?:[A-Za-z]+,? )?(?:(\d{1,2})\.?[ -]([^\W\d_]+)\.?,?[ -](\d{2,4})|([^\W\d_]+)\.? (\d{1,2}),? (\d{4}))"
    r"(?:[ T]+\d{1,2}:\d{2}(?::\d{2})?)?$"
)
_MONTH = re.compile(r"^(\d{4})[-/.](0[1-9]|1[0-2])$")
# What stands around numbers: Excel's marks of text, "about", marks of footnotes, an uncertainty, money, Fortran's
# exponent; and the qualifiers of laboratories, of which U is "not detected at" (US EPA).
_WRAPPED = re.compile(r"""^(?:="(.*)"|'(.*)'|'(?=[-+.\d<>])(.*))$""")
_ABOUT = re.compile(r"^(?:[~≈∼]|ca?\.|circa|approx\.?|about|env\.)\s*(?=[-+−.,\d])", re.I)
_UNCERTAIN = re.compile(r"(?<=[\d.,])\s*(?:±|\+/-|\+-)\s*[\d.,]+(?:\s?%)?")
_MARKED = re.compile(r"(?<=[\d.,%])\s?[*†‡§?!]+$")
_MONEY = re.compile(r"^([$€£])\s?(?=[\d.,])")
_FORTRAN = re.compile(r"(?<=[\d.])[dD](?=[-+]?\d{1,3}$)")
_QUALIFIED = re.compile(r"^(.*[\d.,])\s?(?:U|UJ|UD|ND)$")
_LIMIT_IN_BRACKETS = re.compile(r"^[(\[]\s*([<>≤≥].*)[)\]]$")
_MEASURED = re.compile(r"(?<![\w.,])\d+[.,]\d+(?!\d|[.,]\w|/[A-Za-z])")
# A column of text with at least this share of other texts is not one of numbers with a few odd entries.
ODD = 0.05
_ODD_BESIDE_NUMBERS = 0.1
_KEPT = 1_000


@dataclass
class Texts:
    """Counts of the texts of a column by what they could be; those of parts add up.

    ``numbers`` counts spellings: ``whole``, ``point``, ``comma``, ``point3`` and ``comma3`` (three digits after the
    sign: a decimal or a thousands separator), ``english`` (1,234.5), ``german`` (1.234,5), ``spaced`` (1 234.5).
    ``below`` and ``above`` are the limits with their counts, as texts; ``low`` the smallest number by decimal sign.
    """

    present: int = 0
    numbers: Counter[str] = field(default_factory=Counter)
    below: Counter[str] = field(default_factory=Counter)
    above: Counter[str] = field(default_factory=Counter)
    unlimited: int = 0
    units: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    other: Counter[str] = field(default_factory=Counter)
    others: int = 0
    dates: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    zeros: bool = False
    padded: int = 0
    different: int = 0
    low: dict[str, float] = field(default_factory=dict)

    def merge(self, more: Texts) -> None:
        """Add the counts of another part of the column."""
        for name in ("present", "unlimited", "others", "padded"):
            setattr(self, name, getattr(self, name) + getattr(more, name))
        for name in ("numbers", "below", "above", "units", "missing", "other", "dates", "answers", "marks"):
            getattr(self, name).update(getattr(more, name))
        self.zeros |= more.zeros
        self.different = max(self.different, more.different)
        for sign, value in more.low.items():
            self.low[sign] = min(value, self.low.get(sign, np.inf))
        if len(self.other) > _KEPT:
            self.other = Counter(dict(self.other.most_common(_KEPT)))

    @property
    def numeric(self) -> int:
        """Texts that hold a number."""
        return sum(self.numbers.values()) + sum(self.below.values()) + sum(self.above.values()) + self.unlimited


def texts_of(counts: Mapping[str, int], missing: Iterable[str] = ()) -> Texts:
    """Look at each different text of a column once; ``missing`` are further words for no value."""
    result = Texts(different=len(counts))
    words = {_word(word) for word in missing}
    for text, count in counts.items():
        _add(result, text, count, words)
    return result


def _word(text: str) -> str:
    bare = text.strip().lower()
    dotless = bare.replace(".", "")
    return re.sub(r"\s+", "_", dotless if dotless else bare)


def _add(result: Texts, text: str, count: int, missing: set[str]) -> None:
    stripped = text.strip()
    result.present += count
    result.padded += count if stripped != text else 0
    word = _word(stripped)
    if word in missing or (word in _MISSING and not stripped.isdigit()) or not stripped:
        result.missing[stripped] += count
        return
    if word in _YES or word in _NO:
        result.answers[word] += count
    if word in _BELOW or word.replace("_", "") in _BELOW:
        result.unlimited += count
        return
    stripped, mark = bare_number(stripped)
    if mark:
        result.marks[mark] += count
    limit = _LIMIT.match(stripped)
    if limit and (spelled := _spelling(limit[2])):
        (result.below if limit[1] in {"<", "<=", "≤"} else result.above)[limit[2].strip()] += count
        _note_number(result, spelled, 0, lowest=False)
        return
    spelled = _spelling(stripped)
    if spelled:
        _note_number(result, spelled, count, lowest=True)
        digits = stripped.lstrip("+-")
        result.zeros |= len(digits) > 1 and digits.isdigit() and digits[0] == "0"
        return
    date = _date_order(stripped)
    if date:
        result.dates[date] += count
        return
    result.others += count
    result.other[stripped[:80]] += count
    if len(result.other) > 2 * _KEPT:
        result.other = Counter(dict(result.other.most_common(_KEPT)))


def _note_number(result: Texts, spelled: tuple[str, str, str], count: int, *, lowest: bool) -> None:
    kind, unit, bare = spelled
    result.numbers[kind] += count
    if unit:
        result.units[unit] += count
    if lowest:
        for sign in ".,":
            value = _parsed(bare, sign)
            if value is not None:
                result.low[sign] = min(value, result.low.get(sign, np.inf))


def bare_number(text: str) -> tuple[str, str]:
    """A text without what stands around its number, and what that was; a text without a number as it is."""
    if _NUMBER.fullmatch(text) or not any(map(str.isdigit, text)):
        return text, ""
    bare, marks = text, []
    wrapped = _WRAPPED.match(bare)
    if wrapped:
        bare = next(part for part in wrapped.groups() if part is not None).strip()
        marks.append("quotes")
    if (brackets := _LIMIT_IN_BRACKETS.match(bare)) is not None:
        bare = brackets[1].strip()
    if (qualified := _QUALIFIED.match(bare)) is not None and _spelling(qualified[1]):
        return f"<{qualified[1]}", "U is below the limit before it"
    for pattern, value, mark in (
        (_ABOUT, "", "signs for about"),
        (_UNCERTAIN, "", "uncertainties after ±"),
        (_MARKED, "", "marks after the number"),
        (_MONEY, "", "signs of money"),
        (_FORTRAN, "e", ""),
    ):
        changed = pattern.sub(value, bare).strip()
        if changed != bare:
            bare = changed
            marks.append(mark)
    limit = _LIMIT.match(bare)
    if bare == text or _spelling(limit[2] if limit else bare) is None:
        return text, ""
    return bare, ", ".join(mark for mark in marks if mark)


def holds_measurement(text: str) -> bool:
    """Whether a text that is no number holds one as measurements are written: with a decimal sign, and not as a part
    of a name, a date, a version or an address.
    """
    return bool(_MEASURED.search(text))


def is_number(text: str) -> bool:
    """Whether a text is a number in some spelling, with a unit, or below or above a limit."""
    stripped = text.strip()
    if _NUMBER.fullmatch(stripped):
        return True
    stripped, _ = bare_number(stripped)
    limit = _LIMIT.match(stripped)
    return _spelling(limit[2] if limit else stripped) is not None or _word(stripped) in _BELOW


def is_missing_word(text: str) -> bool:
    """Whether a text stands for a value that is not there."""
    stripped = text.strip()
    return not stripped or stripped in MISSING or (_word(stripped) in _MISSING and not stripped.isdigit())


def is_unit(text: str) -> bool:
    """Whether a text is a unit, such as ``g/kg`` or ``%``."""
    return bool(_UNIT.match(text.strip()))


def _spelling(text: str) -> tuple[str, str, str] | None:
    """How a number is spelled, its unit, and the number alone; None where the text holds none."""
    bare, unit = text.strip(), ""
    whole = _NUMBER.fullmatch(bare) or _GROUPED.fullmatch(bare)
    if not whole:
        start = max((m for m in (_GROUPED.match(bare), _NUMBER.match(bare)) if m), key=lambda m: m.end(), default=None)
        if start is None or start.end() == len(bare):
            return None
        rest = bare[start.end() :]
        unit = rest.strip()
        if not _UNIT.match(unit) or (len(unit) == 1 and unit.isalpha() and rest[0] not in " \u00a0"):
            return None
        bare = bare[: start.end()].strip()
    return number_kind(bare), unit, bare


def number_kind(bare: str) -> str:
    """How a number is spelled: the names of ``Texts.numbers``."""
    digits = bare.lstrip("+-−")
    mantissa = re.split("[eE]", digits)[0]
    points, commas = mantissa.count("."), mantissa.count(",")
    if re.search(r"[ \u00a0\u202f'’]", mantissa):
        return "spaced comma" if commas else "spaced point" if points else "spaced"
    if points and commas:
        return "english" if mantissa.rindex(".") > mantissa.rindex(",") else "german"
    if commas > 1:
        return "english"
    if points > 1:
        return "german"
    if not points and not commas:
        return "whole"
    sign = "." if points else ","
    before, _, after = mantissa.partition(sign)
    three = len(after) == 3 and 1 <= len(before) <= 3 and before[0] != "0" and "e" not in digits.lower()
    return ("point" if points else "comma") + ("3" if three else "")


def _parsed(bare: str, decimal: str) -> float | None:
    other = "," if decimal == "." else "."
    text = re.sub(rf"[ \u00a0\u202f'’{re.escape(other)}]", "", bare).replace(decimal, ".").replace("−", "-")
    try:
        return float(text)
    except ValueError:
        return None


def _date_order(text: str) -> str | None:
    """How a date is written: ``iso``, ``day`` or ``month`` first, ``either``, or ``named``."""
    match = _DATE.match(text)
    if match:
        first, second, third = (int(match[k]) for k in (1, 2, 3))
        if len(match[1]) == 4:
            return "iso" if 1 <= second <= 12 and 1 <= third <= 31 else None
        if len(match[3]) not in {2, 4} or not (1 <= first <= 31 and 1 <= second <= 31) or min(first, second) > 12:
            return None
        if first > 12:
            return "day"
        if second > 12:
            return "month"
        return "day dotted" if "." in text[:3] else "either"
    if _MONTH.match(text) and 1900 <= int(text[:4]) <= 2100:
        return "iso"
    match = _NAMED_DATE.match(text)
    return "named" if match and (match[2] or match[4] or "").lower() in _MONTHS else None


@dataclass(frozen=True)
class Reading:
    """What the texts of a column are taken for, in both tables.

    ``below``: values under it, and those given as below a limit, are ties; ``above`` likewise. ``why`` says so for
    people, ``hint`` names the setting that changes it; ``left_out``: the column could not be understood; ``doubt`` is
    the sign that was taken for decimals, or for thousands, without anything that tells.
    """

    kind: Literal["numbers", "dates", "answers", "text"]
    decimals: tuple[str, str] = (".", ".")
    unit: str = ""
    below: float | None = None
    above: float | None = None
    orders: tuple[str, str] = ("day", "day")
    missing: frozenset[str] = frozenset()
    why: str = ""
    hint: str = ""
    left_out: bool = False
    padded: bool = False
    odd: tuple[int, int] = (0, 0)
    odd_texts: tuple[str, ...] = ()
    doubt: str = ""


def reading_of(
    sides: tuple[Texts | None, Texts | None],
    *,
    forced: str = "auto",
    decimals: tuple[str, str] = ("", ""),
    dates: tuple[str, str] = ("", ""),
    missing: Iterable[str] = (),
    limits: tuple[float | None, float | None] = (None, None),
    likely: tuple[str, str] = ("", ""),
) -> Reading | None:
    """Decide what a column of text is; a side that holds numbers already is None. None: text, as it is.

    Parameters
    ----------
    forced
        ``numeric`` or ``category`` by the user's rules.
    decimals, dates
        Settings of the user for each table: the decimal sign, ``day-first`` or ``month-first``.
    limits
        The limits below and above which the reference, a profile, knows values as ties only.
    likely
        The decimal sign of other numbers of each table; it decides of ``1.234`` and ``1,234``.
    """
    known = [side for side in sides if side is not None]
    whole = Texts()
    for side in known:
        whole.merge(side)
    words = frozenset(_word(word) for word in missing)
    as_text = Reading("text", padded=whole.padded > 0, missing=words) if whole.padded or words else None
    if not whole.present and limits == (None, None):
        return as_text
    if forced == "category":
        return as_text
    there = whole.present - sum(whole.missing.values())
    if forced == "auto":
        if there and sum(whole.dates.values()) == there:
            return _dates(whole, known, dates, words)
        if _are_answers(whole, there):
            return Reading("answers", missing=words, why="yes and no in any spelling")
    if forced == "auto" and len(known) == 1 and there and whole.others > _ODD_BESIDE_NUMBERS * there:
        # Numbers in one table and text in the other: the column changed its type.
        return as_text
    shares = [side.numeric / max(1, side.present - sum(side.missing.values())) for side in known]
    if forced != "numeric" and known and (not there or min(shares) <= 0.5 or _are_codes(whole, known, len(known) < 2)):
        return as_text
    return _numbers(sides, whole, forced=forced, decimals=decimals, words=words, limits=limits, likely=likely)


def _are_answers(whole: Texts, there: int) -> bool:
    words = set(whole.answers)
    alone = words - {"1", "0", "1.0", "0.0"}
    return bool(
        there
        and sum(whole.answers.values()) == there
        and alone
        and any(w in _YES for w in words)
        and any(w in _NO for w in words)
    )


def _are_codes(whole: Texts, known: list[Texts], beside_numbers: bool) -> bool:
    """Whether text that holds whole numbers only are codes: leading zeros, or stored as text though they repeat."""
    if set(whole.numbers) - {"whole"} or whole.below or whole.above or whole.unlimited or whole.units or beside_numbers:
        return False
    return whole.zeros or (
        not whole.missing and whole.others == 0 and max(s.different for s in known) <= 0.5 * whole.present
    )


def _dates(whole: Texts, known: list[Texts], wishes: tuple[str, str], words: frozenset[str]) -> Reading:
    """Day or month first: by the settings, else by any date of both tables that tells; else the day."""
    kinds = whole.dates
    told = [wish.removesuffix("-first") for wish in wishes]
    order = "month" if kinds["month"] and not kinds["day"] else "day"
    doubtful = bool(kinds["either"]) and not kinds["day"] and not kinds["month"] and not any(told)
    why = f"dates, the {order} first" if set(kinds) - {"iso", "named"} else "dates"
    hint = "`read: dates: month-first` reads them the other way" if doubtful else ""
    return Reading("dates", orders=(told[0] or order, told[1] or order), missing=words, why=why, hint=hint)


def _numbers(
    sides: tuple[Texts | None, Texts | None],
    whole: Texts,
    *,
    forced: str,
    decimals: tuple[str, str],
    words: frozenset[str],
    limits: tuple[float | None, float | None],
    likely: tuple[str, str],
) -> Reading:
    there = whole.present - sum(whole.missing.values())
    signs = [_sign(*side) for side in zip(sides, decimals, likely, strict=True)]
    contrary = any(conflict for _, conflict in signs)
    given, decimals = decimals, (signs[0][0], signs[1][0])
    odd_texts = tuple(text for text, _ in whole.other.most_common(3))
    odd = (sides[0].others if sides[0] else 0, sides[1].others if sides[1] else 0)
    why, hint, left_out = [], "", False
    units = [unit for unit in whole.units if unit]
    if len(units) > 1:
        left_out, hint = True, "write one unit, or none"
        why.append(f"its values have several units ({', '.join(sorted(units)[:3])})")
    elif contrary:
        left_out, hint = True, "name it: `read: decimal: ','` or `'.'`"
        why.append("it has decimal commas and decimal points")
    elif forced != "numeric" and all(sides) and there and whole.others / there > ODD:
        left_out = True
        shown = ", ".join(f"`{text[:20]}`" for text in odd_texts)
        why.append(f"texts among its numbers ({whole.others}: {shown})")
        hint = "name them under `read: missing:`, or say `kind: category`"
    if units and not left_out:
        why.append(f"unit {units[0]} in the cells")
    if whole.marks and not left_out:
        why.append(
            f"without {', '.join(sorted(whole.marks))}"
            if not any(m.startswith("U is") for m in whole.marks)
            else ", ".join(sorted(whole.marks))
        )
    if "," in decimals and not left_out:
        why.append("decimal comma")
    if not left_out and any(_grouped(side, sign) for side, sign in zip(sides, decimals, strict=True)):
        why.append("thousands are parted")
    below = [limit for limit in limits[:1] if limit is not None]
    above = [limit for limit in limits[1:] if limit is not None]
    for side, sign in zip(sides, decimals, strict=True):
        if side is not None:
            below += [value for text in side.below if (value := _value(text, sign)) is not None]
            below += [side.low[sign]] if side.unlimited and sign in side.low else []
            above += [value for text in side.above if (value := _value(text, sign)) is not None]
    if whole.missing:
        shown = ", ".join(f"`{text}`" for text, _ in whole.missing.most_common(3))
        why.append(f"{shown} {'is' if len(whole.missing) == 1 else 'are'} missing")
    return Reading(
        "text" if left_out else "numbers",
        decimals=decimals,
        unit=units[0] if units else "",
        below=max(below) if below else (-np.inf if whole.unlimited else None),
        above=min(above) if above else None,
        missing=words,
        why="; ".join(why),
        hint=hint,
        left_out=left_out,
        odd=odd,
        odd_texts=odd_texts,
        doubt="" if left_out else max(map(thousands_doubt, sides, given, likely)),
    )


def _sign(side: Texts | None, given: str, likely: str) -> tuple[str, bool]:
    """The decimal sign of one table's texts, and whether both signs occur."""
    if given or side is None:
        return given or ".", False
    kinds = side.numbers
    comma = any(name in kinds for name in ("comma", "german", "spaced comma"))
    point = any(name in kinds for name in ("point", "english", "spaced point"))
    if comma or point:
        return ("," if comma and not point else "."), comma and point
    if likely:
        return likely, False
    # "1,234" alone: a thousands separator, unless no number goes without.
    return ("," if kinds["comma3"] > kinds["point3"] and not kinds["whole"] else "."), False


def _grouped(side: Texts | None, decimal: str) -> bool:
    """Whether numbers have signs between their thousands under this decimal sign."""
    other = "comma3" if decimal == "." else "point3"
    names = (other, "english", "german", "spaced", "spaced point", "spaced comma")
    return side is not None and any(name in side.numbers for name in names)


def thousands_doubt(side: Texts | None, given: str, likely: str) -> str:
    """The sign that may part thousands or decimals in all numbers that have one, where nothing else tells; or ""."""
    if side is None or given or likely:
        return ""
    fractions = {kind for kind in side.numbers if kind not in {"whole", "spaced"}}
    return {frozenset({"comma3"}): ",", frozenset({"point3"}): "."}.get(frozenset(fractions), "")


def _value(text: str, decimal: str) -> float | None:
    spelled = _spelling(text)
    return None if spelled is None else _parsed(spelled[2], decimal)


def read_texts(texts: Iterable[str | None], reading: Reading, side: int) -> list[Any]:
    """The values of different texts under a reading: numbers, dates, yes and no, or trimmed text; None is missing."""
    return [None if text is None else _read(text, reading, side) for text in texts]


def _read(text: str, reading: Reading, side: int) -> Any:
    stripped = text.strip()
    word = _word(stripped)
    if word in reading.missing or not stripped:
        return None
    if reading.kind == "text":
        return stripped
    if word in _MISSING and not stripped.isdigit():
        return None
    if reading.kind == "answers":
        return "yes" if word in _YES else "no" if word in _NO else stripped
    if reading.kind == "dates":
        return _moment(stripped, reading.orders[side])
    low = -np.inf if reading.below is None else reading.below
    if word in _BELOW or word.replace("_", "") in _BELOW:
        return under(low)
    stripped, _ = bare_number(stripped)
    limit = _LIMIT.match(stripped)
    if limit:
        value = _value(limit[2], reading.decimals[side])
        if value is None:
            return None
        return (
            under(low) if limit[1] in {"<", "<=", "≤"} else over(reading.above if reading.above is not None else value)
        )
    value = _value(stripped, reading.decimals[side])
    if value is None:
        return None
    if value < low:
        return under(low)
    return over(reading.above) if reading.above is not None and value > reading.above else value


def under(limit: float) -> float:
    """The number that stands for all values below a limit: the next one below it."""
    return float(np.nextafter(limit, -np.inf))


def over(limit: float) -> float:
    """The number that stands for all values above a limit."""
    return float(np.nextafter(limit, np.inf))


def _moment(text: str, order: str) -> datetime.datetime | None:
    match = _DATE.match(text)
    try:
        if match:
            first, second, third = (int(match[k]) for k in (1, 2, 3))
            if len(match[1]) == 4:
                year, month, day = first, second, third
            else:
                year = third if third > 99 else 2000 + third if third < 70 else 1900 + third
                day, month = (first, second) if (order == "day" or first > 12) and second <= 12 else (second, first)
            hour = int(match[4] or 0) % 12 + 12 * (match[7].lower() == "pm") if match[7] else int(match[4] or 0)
            return datetime.datetime(year, month, day, hour, int(match[5] or 0), int(match[6] or 0))
        match = _NAMED_DATE.match(text)
        if match:
            day, year = int(match[1] or match[5]), int(match[3] or match[6])
            year = year if year > 99 else 2000 + year
            return datetime.datetime(year, _MONTHS[(match[2] or match[4]).lower()], day)
        match = _MONTH.match(text)
        if match:
            return datetime.datetime(int(match[1]), int(match[2]), 1)
    except (ValueError, KeyError):
        return None
    return None
