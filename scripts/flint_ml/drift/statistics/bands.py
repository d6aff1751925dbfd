"""Columns that are the bands of a spectrum, known by a number in their names: ``350``, ``X350``, ``spc.400.5``."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

_DECIMAL, _WHOLE = re.compile(r"\d+[.,]\d+"), re.compile(r"\d+")
MIN_BANDS = 20
# Wavelengths in nm (ultraviolet to thermal infrared) and wavenumbers in 1/cm both lie here.
_LOW, _HIGH = 100.0, 30_000.0
# From so many columns of the same prefix with lower numbers on, the numbers count columns.
_COUNTED = 5
# So large a part of the numbers must be in order, and so many letters may a number have.
_IN_ORDER, _DIGITS = 0.8, 12


@dataclass(frozen=True)
class Spectrum:
    """Bands of one instrument: columns in order of wavelength (nm) or wavenumber (1/cm)."""

    prefix: str
    columns: tuple[str, ...]
    positions: tuple[float, ...]

    @property
    def name(self) -> str:
        """ "spectra nm_0400 … nm_2450" """
        return f"spectra {self.columns[0]} … {self.columns[-1]}"

    @property
    def label(self) -> str:
        """ "206 spectral bands, 400–2450" """
        return f"{len(self.columns)} spectral bands, {self.positions[0]:g}–{self.positions[-1]:g}"


def find_spectra(names: Sequence[str]) -> list[Spectrum]:
    """Groups of at least twenty columns of one name but for a number that could be a wavelength and rises or falls.

    What stands before and after the number is the same in all names of a group (``scan_visnir.350_ref``,
    ``spc.400.5``, ``b350_nm``). A column out of order does not undo the others: the longest series counts. Counters
    (``x1`` … ``x200``) are not wavelengths: their numbers start too low; those of a
    list (``spectrum[1]`` …) are its elements.
    """
    groups: dict[tuple[str, str], list[tuple[float, str]]] = {}
    low: dict[tuple[str, str], int] = {}
    for name in names:
        for key, number in _numbers_in(name):
            if _LOW <= number <= _HIGH or (key[0].endswith("[") and key[1] == "]"):
                groups.setdefault(key, []).append((number, name))
            elif number < _LOW:
                low[key] = low.get(key, 0) + 1
    taken: set[str] = set()
    spectra: list[Spectrum] = []
    # Larger groups first; of equal ones that whose number is longer, so that 400.5 is one number.
    for key, bands in sorted(groups.items(), key=lambda item: (-len(item[1]), len(item[0][0]) + len(item[0][1]))):
        free = [band for band in bands if band[1] not in taken]
        if low.get(key, 0) >= _COUNTED or len(free) < MIN_BANDS:
            continue
        series = _longest(free)
        if len(series) < max(MIN_BANDS, _IN_ORDER * len(free)):
            continue
        taken |= {name for _, name in series}
        series.sort()
        spectra.append(Spectrum(key[0], tuple(name for _, name in series), tuple(number for number, _ in series)))
    order = {name: position for position, name in enumerate(names)}
    return sorted(spectra, key=lambda spectrum: min(order[name] for name in spectrum.columns))


def _numbers_in(name: str) -> list[tuple[tuple[str, str], float]]:
    """Each number in a name, with what stands before and after it; ``400.5`` also as 400 and as 5."""
    spans = {match.span() for match in _DECIMAL.finditer(name)} | {match.span() for match in _WHOLE.finditer(name)}
    return [
        ((name[:start], name[end:].strip().lower()), float(name[start:end].replace(",", ".")))
        for start, end in spans
        if end - start <= _DIGITS
    ]


def _longest(bands: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The longest series of bands whose numbers rise, or fall, in the order of the columns."""
    rising, falling = (_rising(bands, sign) for sign in (1, -1))
    return rising if len(rising) >= len(falling) else falling


def _rising(bands: Sequence[tuple[float, str]], sign: int) -> list[tuple[float, str]]:
    """The longest strictly increasing subsequence (patience sorting)."""
    ends: list[float] = []
    last: list[int] = []
    before: list[int] = []
    for position, (number, _) in enumerate(bands):
        value = sign * number
        pile = bisect_left(ends, value)
        if pile == len(ends):
            ends.append(value)
            last.append(position)
        else:
            ends[pile], last[pile] = value, position
        before.append(last[pile - 1] if pile else -1)
    series = []
    position = last[-1] if last else -1
    while position >= 0:
        series.append(bands[position])
        position = before[position]
    return series[::-1]
