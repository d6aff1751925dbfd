"""Columns that are the bands of a spectrum, known by their names: ``350``, ``X350``, ``nm_0400``, ``spc.1400.5``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_BAND = re.compile(r"^(?P<prefix>.*?[^\d.]|)(?P<number>\d+(?:\.\d+)?)(?P<unit>\s*(?:nm|cm-1|cm\^-1|1/cm)?)$", re.I)
MIN_BANDS = 20
# Wavelengths in nm (ultraviolet to thermal infrared) and wavenumbers in 1/cm both lie here.
_LOW, _HIGH = 100.0, 30_000.0
# From so many columns of the same prefix with lower numbers on, the numbers count columns.
_COUNTED = 5


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
    """Groups of at least twenty columns of one prefix whose numbers could be wavelengths and rise or fall steadily.

    Counters (``x1`` … ``x200``) are not wavelengths: their numbers start too low.
    """
    groups: dict[tuple[str, str], list[tuple[float, str]]] = {}
    low: dict[tuple[str, str], int] = {}
    for name in names:
        match = _BAND.match(name)
        if match is None:
            continue
        key, number = (match["prefix"], match["unit"].strip().lower()), float(match["number"])
        if _LOW <= number <= _HIGH:
            groups.setdefault(key, []).append((number, name))
        elif number < _LOW:
            low[key] = low.get(key, 0) + 1
    found: list[Spectrum] = []
    for key, bands in groups.items():
        if low.get(key, 0) >= _COUNTED:
            continue
        positions = [position for position, _ in bands]
        steps = [b - a for a, b in pairwise(positions)]
        if len(bands) < MIN_BANDS or not (all(s > 0 for s in steps) or all(s < 0 for s in steps)):
            continue
        bands.sort()
        found.append(Spectrum(key[0], tuple(name for _, name in bands), tuple(position for position, _ in bands)))
    return found
