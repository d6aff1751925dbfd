"""Numbers as text for people: one form for signs, thousands, digits, percentages, p-values, sizes and seconds.

Thousands are separated by commas, minus is ``−`` (U+2212), a percent sign follows a narrow space that does not break,
powers of ten are written out (``3.7 × 10⁻⁵``), and None is an en dash. Files for programs hold the numbers themselves.

====================================  ========================================================================
``number(value, digits=3)``           a value on its own: ``1,234``, ``0.131``, ``−4.20``
``fixed(value, decimals)``            a value beside others: as many decimals as they
``decimals(*values, step=…)``         how many decimals values side by side share
``compared(base, head, …)``           base, change and difference whose shown digits subtract
``interval(low, high, decimals)``     ``−0.28 … −0.11``
``percent(share)``                    ``11 %``, ``1.4 %``, with ``sign=True`` ``−13 %``
``p_value(p)``                        ``0.034``, ``< 0.0001``, ``1``
``count(number, what)``               ``1 row``, ``1,234 rows``
``size(bytes)``, ``duration(s)``      ``1.65 MB``; ``3 min 20 s``
====================================  ========================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MINUS = "−"
NONE = "–"
THIN_SPACE = "\u202f"
# No figure of a report needs more: doubles hold 15 digits, and of those the last few are rounding.
MOST_DECIMALS = 9
_LARGEST, _SMALLEST = 1e15, 1e-4
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _odd(value: float, sign: bool) -> str | None:
    """What is not a number on an axis, and what is too large to write out."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return f"{'+' if sign and value > 0 else MINUS if value < 0 else ''}∞"
    return None


def _power(value: float, digits: int, sign: bool) -> str:
    mantissa, _, exponent = f"{value:{'+' if sign else ''}.{digits - 1}e}".partition("e")
    return f"{mantissa.replace('-', MINUS)} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def number(value: float | int | None, digits: int = 3, *, sign: bool = False) -> str:
    """``value`` with ``digits`` significant digits, and its whole part in full; a whole number (int) as it is."""
    if value is None:
        return NONE
    if isinstance(value, int):
        return f"{value:{'+' if sign and value else ''},}".replace("-", MINUS)
    if (text := _odd(value, sign)) is not None:
        return text
    if value == 0:
        return "0"
    if not _SMALLEST <= abs(value) < _LARGEST:
        return _power(value, digits, sign)
    places = digits - 1 - math.floor(math.log10(abs(value)))
    # 9.996 has one digit more once it is rounded.
    places = digits - 1 - math.floor(math.log10(abs(round(value, places))))
    return fixed(value, max(0, places), sign=sign)


def fixed(value: float | int | None, decimals: int, *, sign: bool = False) -> str:
    """``value`` with ``decimals`` decimals; zero, and what is shown as zero, has no sign."""
    if value is None:
        return NONE
    if (text := _odd(value, sign)) is not None:
        return text
    if abs(value) >= _LARGEST:
        return _power(value, 3, sign)
    text = f"{value:{'+' if sign else ''},.{decimals}f}"
    return (text if text.strip("+-0.,") else text.lstrip("+-")).replace("-", MINUS)


def decimals(*values: float | int | None, step: float | None = None) -> int:
    """Decimals that ``values`` side by side share.

    Parameters
    ----------
    values
        What stands side by side, in one unit; None is passed over.
    step
        What makes a difference: half the width of an interval, or a tolerance. It is shown with two significant
        digits. Without it the largest value has three significant digits, and two values that differ are shown as
        different.
    """
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    if step and math.isfinite(step):
        return _kept(1 - math.floor(math.log10(abs(float(f"{abs(step):.1e}")))))
    largest = max(map(abs, numbers), default=0.0)
    if not largest:
        return 0
    if all(isinstance(value, int) for value in numbers):
        return 0
    # Counts may come as 115.0; small whole numbers may as well be measurements.
    if len(numbers) > 1 and largest >= 10 and all(float(value).is_integer() for value in numbers):
        return 0
    places = 2 - math.floor(math.log10(largest))
    difference = max(numbers) - min(numbers)
    if difference > 1e-9 * largest:
        places = max(places, -math.floor(math.log10(difference * (1 + 1e-9))))
    return _kept(places)


def _kept(places: int) -> int:
    return min(max(0, places), MOST_DECIMALS)


@dataclass(frozen=True)
class Compared:
    """A value of both sides and their difference as text, all with ``decimals`` decimals."""

    base: str
    head: str
    difference: str
    decimals: int


def compared(base: float, head: float, *, step: float | None = None) -> Compared:
    """Both sides and their difference as text, such that a reader who subtracts gets what is written.

    Values and their difference are rounded one by one, so they may be apart by one in the last digit
    (−0.14 → −0.40 is −0.27). Up to two decimals more are taken where that mends it; else the difference is that of the
    shown values. Where the difference is below half of the last digit, it is 0.

    Parameters
    ----------
    base, head
        The values, in one unit.
    step
        See :func:`decimals`.
    """
    least = decimals(base, head, step=step)
    whole = not least and isinstance(base, int) and isinstance(head, int)
    for places in (least,) if whole else range(least, min(least + 2, MOST_DECIMALS) + 1):
        shown = round(round(head, places) - round(base, places), places)
        if shown == round(head - base, places):
            break
    else:
        places = least
        shown = round(round(head, places) - round(base, places), places)
    difference = fixed(shown, places, sign=True) if shown else "0"
    return Compared(fixed(base, places), fixed(head, places), difference, places)


def interval(low: float, high: float, decimals: int, *, sign: bool = True) -> str:
    """A range with both ends in the same decimals: ``−0.28 … −0.11``."""
    return f"{fixed(low, decimals, sign=sign)} … {fixed(high, decimals, sign=sign)}"


def percent(share: float | None, *, sign: bool = False) -> str:
    """A share (0.11) with two significant digits: ``11 %``, ``1.4 %``, ``−13 %``.

    Without ``sign`` it is a part of a whole: ``100 %`` is all and ``0 %`` is none, so what is nearly that has a digit
    more or says ``> 99.9 %``, ``< 0.01 %``.
    """
    if share is None:
        return NONE
    if (odd := _odd(share, sign)) is not None:
        return odd
    value = 100 * share
    size = abs(float(f"{value:.1e}"))
    if size and size < 0.01:
        return f"{f'> {MINUS}' if value < 0 else '< +' if sign else '< '}0.01{THIN_SPACE}%"
    places = 0 if size >= 10 or not size else 1 - math.floor(math.log10(size))
    if not sign and 99.5 <= value < 100:
        return f"> 99.9{THIN_SPACE}%" if value >= 99.95 else f"{fixed(value, 1)}{THIN_SPACE}%"
    return f"{fixed(value, places, sign=sign)}{THIN_SPACE}%"


def p_value(p: float) -> str:
    """A p-value with two significant digits, four decimals at most: ``0.034``, ``0.0012``, ``< 0.0001``, ``1``."""
    if p < 1e-4:
        return "< 0.0001"
    if p >= 0.995:
        return "1"
    return fixed(p, min(4, 1 - math.floor(math.log10(float(f"{p:.1e}")))))


def count(number: int, what: str, plural: str | None = None) -> str:
    """A number of things: ``1 row``, ``1,234 rows``; ``plural`` where it is not made by an s."""
    return f"{number:,} {what if number == 1 else plural or f'{what}s'}".replace("-", MINUS)


def size(amount: float) -> str:
    """Bytes for people, in powers of 1000: ``850 bytes``, ``497 kB``, ``1.65 MB``."""
    if round(amount) < 1000:
        return count(round(amount), "byte")
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if unit == "TB" or float(f"{amount:.2e}") < 1000:
            break
    text = number(float(amount))
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}"


def duration(seconds: float) -> str:
    """Seconds for people: ``0.4 s``, ``41 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"
