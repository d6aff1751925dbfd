"""What a pull will do, before the first byte; and how far it is, while bytes arrive."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flint_ml.dvc_project.transfer import Delivery
from flint_ml.errors import OutsideError

Say = Callable[[str], None]

# Logs of CI are read line by line, and show no bars.
PROGRESS_SECONDS = 5.0


@dataclass
class Plan:
    """What is needed, and what of it must come.

    Attributes
    ----------
    files, cached
        Objects needed, listings of folders not counted, and how many of them the cache holds.
    coming, bytes
        How many must come, and their size; None where the remote tells sizes only one by one and the commit does not.
    lacking
        Paths of files that the remote is known not to hold.
    free
        Bytes free where the cache lies.
    by
        Who transfers: ``flint-ml``, or DVC, and why.
    """

    files: int = 0
    cached: int = 0
    coming: int = 0
    bytes: int | None = 0
    lacking: tuple[str, ...] = ()
    free: int = 0
    by: str = "flint-ml"

    def as_dict(self) -> dict[str, Any]:
        """For the record, at most 2,000 names."""
        return {**asdict(self), "lacking": list(self.lacking[:2_000]), "lacking_files": len(self.lacking)}

    def words(self) -> str:
        """One sentence for people."""
        size = "of unknown size" if self.bytes is None else size_text(self.bytes)
        text = f"{self.files:,} files needed, {self.cached:,} in the cache, {self.coming:,} to come ({size})"
        if self.lacking:
            more = f" and {len(self.lacking) - 5:,} more" if len(self.lacking) > 5 else ""
            text += f"; the remote lacks {len(self.lacking):,}: {', '.join(self.lacking[:5])}{more}"
        text += f"; {size_text(self.free)} free"
        return text if self.by == "flint-ml" else f"{text}; transferred by {self.by}"

    def refuse_full_disk(self) -> None:
        """Stop before the first byte where the disk has no room.

        Raises
        ------
        OutsideError
            With code ``disk-full``.
        """
        if self.bytes is not None and self.bytes > self.free:
            raise OutsideError(
                f"the disk has no room: {size_text(self.bytes)} must come, {size_text(self.free)} are free",
                hint="free space on the runner, or pull fewer `targets`",
                code="disk-full",
            )


def size_text(size: float) -> str:
    """Bytes for people: ``3.4 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return ""


def _time_text(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def progress_text(delivery: Delivery, files: int, size: int | None, seconds: float) -> str:
    """``3,000 of 10,000 files, 12 MB of 40 MB, 2.4 MB/s, 12 s left``."""
    text = f"{delivery.files:,} of {files:,} files, {size_text(delivery.bytes)}"
    if size is not None:
        text += f" of {size_text(size)}"
    rate = delivery.bytes / seconds if seconds else 0
    text += f", {size_text(rate)}/s"
    share = delivery.bytes / size if size else delivery.files / files if files else 0
    return f"{text}, about {_time_text(seconds / share - seconds)} left" if 0 < share < 1 else text


@contextmanager
def progress(look: Callable[[], Delivery], files: int, size: int | None, say: Say) -> Iterator[None]:
    """A plain line every few seconds with what has arrived, as ``look`` counts it."""
    started = time.monotonic()
    before = look()
    first = Delivery(before.files, before.bytes)
    # Never spend more than about a fiftieth of the time on counting.
    pause = max(PROGRESS_SECONDS, 50 * (time.monotonic() - started))
    done = threading.Event()

    def watch() -> None:
        while not done.wait(pause):
            now = look()
            arrived = Delivery(now.files - first.files, now.bytes - first.bytes)
            say(progress_text(arrived, files, size, time.monotonic() - started))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def stored(cache: Path) -> Delivery:
    """Number and bytes of the objects in the cache, for a transfer that counts nothing itself."""
    seen = Delivery()
    base = cache / "files" / "md5"
    for folder in os.scandir(base) if base.is_dir() else []:
        for file in os.scandir(folder.path) if folder.is_dir() else []:
            try:
                seen.bytes += file.stat().st_size
                seen.files += 1
            except FileNotFoundError:
                continue  # a temporary file, renamed meanwhile
    return seen
