"""Compare two tables the way their size asks for: held in memory, scanned here, or scanned by Dask's workers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from flint_ml.drift.check import Result, check
from flint_ml.drift.rules import DriftRules
from flint_ml.drift.statistics.bands import find_spectra
from flint_ml.drift.streaming.stream_columns import stream_pairs
from flint_ml.drift.tables.reading import Source
from flint_ml.drift.tables.sources import remote_size
from flint_ml.fences import UNPACKED, unpacked_size

Engine = Literal["auto", "memory", "stream", "dask"]

# How much larger than its file a table of text is in memory, over what is usual for numbers with six to ten digits.
_GROWS = {".zip": 4.0, ".gz": 4.0, ".bz2": 5.0, ".zst": 4.0, ".lz4": 3.0}
_TEXT_GROWS = 1.5
# Share of the free memory that a comparison may take.
_SHARE = 0.5


def available_memory() -> int | None:
    """Bytes that a process may still take here, by the kernel and by the container's limit; None where unknown."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit.isdigit():
            found.append(int(limit) - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError, IndexError):
        pass
    return max(0, min(found)) if found else None


def needed_memory(source: Source, names: Sequence[str], rules: DriftRules) -> int:
    """About how many bytes a comparison in memory takes for one table."""
    return sum(_needed(part, names, rules) for part in source.parts or (source,))


def _size(source: Source) -> int:
    if source.address:
        # A server that does not say how much it sends may send anything: its table is scanned.
        size = remote_size(source.address, source.label)
        return 1 << 50 if size is None else size
    return source.path.stat().st_size


def _text_bytes(source: Source) -> float:
    """Bytes of a table of text once it is unpacked: counted where that may be much more than the file has."""
    suffix = source.path.suffix.lower()
    if source.address or suffix not in UNPACKED:
        return _size(source) * _GROWS.get(suffix, 1.0)
    free = available_memory()
    return unpacked_size(source.path, source.path.stat().st_size * 1000 if free is None else free)


def _needed(source: Source, names: Sequence[str], rules: DriftRules) -> int:
    if source.frame is not None:
        return int(source.frame.nbytes)
    if not source.parquet:
        return int(_text_bytes(source) * _TEXT_GROWS)
    import pyarrow.parquet as pq

    about = pq.read_metadata(source.opened())
    rows, wanted = int(about.num_rows), set(names)
    if rules.groups or rules.coordinates:
        staying = len(wanted)
    else:
        staying = sum(len(s.columns) for s in find_spectra(names)) if "spectra" in rules.tests else 0
    # Columns go by a few at a time, sorted in a copy; those that stay are there twice for a while.
    return rows * 8 * (2 * staying + 4)


def choose(engine: Engine, sources: tuple[Source, Source], rules: DriftRules) -> Engine:
    """The engine to use: ``auto`` scans what would take more than half of the free memory."""
    if engine != "auto":
        return engine
    free = available_memory()
    if free is None:
        return "memory"
    there = set(sources[1].names)
    names = [name for name in sources[0].names if name in there]
    return "stream" if sum(needed_memory(source, names, rules) for source in sources) > _SHARE * free else "memory"


def check_sources(
    reference: Source, current: Source, rules: DriftRules, *, engine: Engine = "auto", scheduler: str = ""
) -> Result:
    """Compare two tables by ``engine``; ``scheduler`` is the address of Dask's.

    Raises
    ------
    InputError
        As :func:`flint_ml.drift.check.check` and :func:`flint_ml.drift.streaming.dask.dask_scanner`.
    """
    chosen = choose(engine, (reference, current), rules)
    if chosen == "memory":
        return check(reference, current, rules)
    if chosen == "stream":
        result = check(reference, current, rules, stream_pairs)
    else:
        from flint_ml.drift.streaming.dask import dask_scanner

        with dask_scanner(scheduler) as scanner:
            result = check(reference, current, rules, partial(stream_pairs, scanner=scanner))
    result.engine = chosen
    return result
