"""Read ``moja.cli``'s log as it comes: progress, counts of pixels, and every sign of failure."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

_SEVERITY = re.compile(r"\((trace|debug|info|warning|error|fatal)\)(?: - )?(.*)")
_GDAL = re.compile(r"^ERROR (\d+): (.*)")
_QUEUED = re.compile(r"Total Blocks queued for simulation: (\d+)")
_UNITS = re.compile(
    r"Stats level \[(Block|Global)\].*Units \[Total:\s*(\d+),\s*Processed:\s*(\d+),\s*"
    r"NotProcessed:\s*(\d+),\s*Errors:\s*(\d+)"
)
_TAIL = 40
_KEPT = 50


@dataclass
class Units:
    """Pixels that the engine counted."""

    total: int = 0
    processed: int = 0
    errors: int = 0

    def add(self, total: int, processed: int, errors: int) -> None:
        self.total += total
        self.processed += processed
        self.errors += errors


@dataclass
class Logbook:
    """What the log said so far.

    ``blocks`` counts block lines: threads interleave, and ``Record [n of N]`` is a place in a queue, not
    progress. ``summary`` is the count at the end, None before it came. ``fatal``, ``errors`` and ``gdal``
    hold each message once, ``bare`` the lines without a severity. ``Errors:`` in a line is no sign: healthy
    lines have it too.
    """

    queued: int = 0
    blocks: int = 0
    counted: Units = field(default_factory=Units)
    summary: Units | None = None
    loading: bool = False
    inserted: bool = False
    nothing_to_load: bool = False
    fatal: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    gdal: Counter[str] = field(default_factory=Counter)
    bare: Counter[str] = field(default_factory=Counter)
    tail: list[str] = field(default_factory=list)
    _open: tuple[Counter[str], list[str]] | None = None

    def read(self, line: str) -> bool:
        """Take one line; True when a block was finished."""
        line = line.rstrip("\r\n")
        if line.strip():
            self.tail = [*self.tail[-_TAIL + 1 :], line]
        if gdal := _GDAL.match(line):
            _note(self.gdal, f"ERROR {gdal[1]}: {gdal[2]}")
            return False
        found = _SEVERITY.search(line)
        if found is None:  # a message's next line (boost's diagnostics have several), or plain text
            if self._open:
                self._open[1].append(line)
            elif line.strip():
                _note(self.bare, line.strip())
            return False
        self.close()
        if found[1] in {"fatal", "error"}:
            self._open = (self.fatal if found[1] == "fatal" else self.errors, [found[2]])
            return False
        return self._info(found[2])

    def close(self) -> None:
        """Take in the message that is still open; to be called at the end of the log."""
        if self._open:
            _note(self._open[0], "\n".join(self._open[1]).strip())
        self._open = None

    def _info(self, text: str) -> bool:
        if queued := _QUEUED.search(text):
            self.queued = int(queued[1])
        elif units := _UNITS.search(text):
            return self._units(units)
        elif "Loading results into" in text:
            self.loading = True
        elif "SQLite insert complete." in text:
            self.inserted = True
        elif "No data to load." in text:
            self.nothing_to_load = True
        return False

    def _units(self, found: re.Match[str]) -> bool:
        numbers = int(found[2]), int(found[3]), int(found[5])
        if found[1] == "Global":
            self.summary = self.summary or Units()
            self.summary.add(*numbers)
            return False
        self.counted.add(*numbers)
        self.blocks += 1
        return True

    @property
    def pixels(self) -> Units:
        """The summary's count, or what the block lines add up to where it did not come."""
        return self.summary or self.counted

    def evidence(self) -> list[str]:
        """Every fatal, error and GDAL message."""
        return [*self.fatal, *self.gdal, *self.errors]


def _note(counter: Counter[str], text: str) -> None:
    if text in counter or len(counter) < _KEPT:
        counter[text] += 1
