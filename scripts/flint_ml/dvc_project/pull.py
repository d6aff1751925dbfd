"""Bring DVC-tracked data from a remote: fetch into the cache, check out, and prove that it is right.

The work is DVC's own (its object storage, its checkout). What is added: each failure under its own name, retries
of what may pass, plain progress lines, and a check of every file against its hash, because DVC believes what a remote
or a restored cache holds.
"""

from __future__ import annotations

import os
import posixpath
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from flint_ml.dvc_project.cache import cache_dir, members, object_path
from flint_ml.dvc_project.entries import Entry
from flint_ml.dvc_project.errors import UNREACHABLE, logged_causes, only_missing, translate
from flint_ml.errors import FlintError
from flint_ml.hashing import file_md5

Say = Callable[[str], None]
Value = TypeVar("Value")

# Seconds before the second, third and fourth attempt.
WAITS: tuple[float, ...] = (2, 8, 30)
PROGRESS_SECONDS = 10.0
_TRANSIENT = {UNREACHABLE, "dvc-locked"}
_LARGE = 1 << 20


@dataclass
class Verification:
    """What is wrong with pulled data; paths are relative to the Git root.

    ``missing_in_cache`` was not brought, so the remote lacks it; ``missing_in_workspace`` is not where it should be;
    ``corrupt`` does not match its hash.
    """

    missing_in_cache: list[str] = field(default_factory=list)
    missing_in_workspace: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0


def with_retries(work: Callable[[], Value], say: Say, waits: Sequence[float] | None = None) -> Value:
    """Call ``work`` again, after growing waits, while it fails for a reason that may pass."""
    for number, wait in enumerate(WAITS if waits is None else waits, start=1):
        try:
            return work()
        except FlintError as error:
            if error.code not in _TRANSIENT:
                raise
            say(f"attempt {number} failed: {error.message}; next one in {wait:g} s")
            time.sleep(wait)
    return work()


class DvcProject:
    """A DVC project, opened through DVC's own interface.

    Parameters
    ----------
    git_root
        Top folder of the repository; paths of entries are relative to it.
    folder
        The DVC project's folder, relative to ``git_root``.
    remote
        Name of the remote; None: the project's default one.
    jobs
        Parallel transfers; None: DVC's own number.
    say
        Prints one line for people.
    """

    def __init__(
        self, git_root: Path, folder: str = "", *, remote: str | None = None, jobs: int | None = None, say: Say = print
    ) -> None:
        self.git_root = git_root
        self.folder = folder
        self.remote = remote
        self.jobs = jobs
        self.say = say
        self.cache = cache_dir(git_root / folder)

    @property
    def remote_words(self) -> str:
        """The remote for messages."""
        return f"remote `{self.remote}`" if self.remote else "default remote"

    @contextmanager
    def _repo(self) -> Iterator[tuple[Any, list[BaseException]]]:
        """DVC's repository object; whatever it raises becomes an error for users."""
        with logged_causes() as causes:
            try:
                from dvc.repo import Repo

                with Repo(str(self.git_root / self.folder)) as repo:
                    yield repo, causes
            except (FlintError, KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:
                if not isinstance(error, Exception):
                    raise
                raise translate(error, causes, self.remote_words) from None

    def fetch(self, entries: Sequence[Entry], revision: str | None = None) -> None:
        """Bring ``entries`` into the cache, with retries; what the remote does not hold is left out.

        Raises
        ------
        InputError
            For credentials, settings, an unknown remote.
        OutsideError
            If the remote cannot be reached after all attempts.
        """
        if not self.missing_in_cache(entries):
            return
        total = sum(entry.nfiles or 1 for entry in entries)
        size = sum(entry.size or 0 for entry in entries)
        with _progress(self.cache, total, size, self.say):
            with_retries(lambda: self._fetch(entries, revision), self.say)

    def _fetch(self, entries: Sequence[Entry], revision: str | None) -> None:
        own = {entry.remote for entry in entries if not entry.imported}
        with self._repo() as (repo, causes):
            for remote in sorted(own, key=str):
                part = [entry for entry in entries if entry.remote == remote and not entry.imported]
                if self.missing_in_cache(part):
                    self._from_remote(repo, part, self.remote or remote, causes, revision)
            imported = [entry for entry in entries if entry.imported]
            if self.missing_in_cache(imported):
                self._by_path(repo, imported, revision, causes)

    def _from_remote(
        self, repo: Any, entries: Sequence[Entry], remote: str | None, causes: list[BaseException], revision: str | None
    ) -> None:
        store = repo.cloud.get_remote(remote, "pull")
        if store.worktree or store.fs.version_aware:
            self._by_path(repo, entries, revision, causes)
            return
        # Listings of folders first: DVC leaves a listing out of the cache while one of its files is missing.
        self._transfer(repo, {(e.md5, e.legacy) for e in entries}, remote, causes)
        inside = {(md5, e.legacy) for e in entries if e.is_dir for md5 in (members(self.git_root, e) or {}).values()}
        self._transfer(repo, inside, remote, causes)
        self._explain_missing(store, entries, causes)

    def _transfer(
        self, repo: Any, objects: Iterable[tuple[str, bool]], remote: str | None, causes: list[BaseException]
    ) -> None:
        from dvc_data.hashfile.hash_info import HashInfo

        absent = {(md5, old) for md5, old in objects if not object_path(self.cache, md5, legacy=old).is_file()}
        if not absent:
            return
        hashes = {HashInfo("md5-dos2unix" if old else "md5", md5) for md5, old in absent}
        for _ in range(2):
            causes.clear()
            result = repo.cloud.pull(hashes, jobs=self.jobs, remote=remote)
            if not result.failed:
                return
            if not only_missing(causes):
                raise causes[0]
            # DVC believed a note of an earlier listing; it has dropped it now, and looks again.

    def _explain_missing(self, store: Any, entries: Sequence[Entry], causes: list[BaseException]) -> None:
        """Tell "not there" from "no answer": over HTTP DVC takes each failure for a missing file."""
        for entry in entries:
            if object_path(self.cache, entry.md5, legacy=entry.legacy).is_file():
                continue
            storage = store.legacy_odb if entry.legacy else store.odb
            try:
                storage.fs.info(storage.oid_to_path(entry.md5))
            except FileNotFoundError as error:
                if not only_missing([error]):
                    raise
            return

    def _by_path(self, repo: Any, entries: Sequence[Entry], revision: str | None, causes: list[BaseException]) -> None:
        """`dvc fetch` of paths: for imports, and for remotes that keep file names and versions."""
        from dvc.exceptions import DownloadError

        paths = [str(self.git_root / entry.path) for entry in entries]
        options: dict[str, Any] = {}
        if revision:
            here = Path.cwd().resolve()
            start = here if here.is_relative_to(self.git_root.resolve()) else self.git_root.resolve()
            paths = [os.path.relpath((self.git_root / entry.path).resolve(), start) for entry in entries]
            options = {"revs": [revision], "workspace": False}
        try:
            repo.fetch(targets=paths, jobs=self.jobs, remote=self.remote, **options)
        except DownloadError:
            if not only_missing(causes):
                raise

    def checkout(self, entries: Sequence[Entry], *, everything: bool) -> None:
        """Put ``entries`` from the cache into the working tree; files that DVC does not know are never overwritten."""
        targets = None if everything else [str(self.git_root / entry.path) for entry in entries]
        with self._repo() as (repo, _):
            repo.checkout(targets=targets, allow_missing=True)

    def missing_in_cache(self, entries: Iterable[Entry]) -> list[str]:
        """Paths whose content is not, or not wholly, in the cache."""
        found: list[str] = []
        for entry in entries:
            if not object_path(self.cache, entry.md5, legacy=entry.legacy).is_file():
                found.append(entry.path)
                continue
            inside = members(self.git_root, entry) if entry.is_dir else {}
            if inside is None:
                found.append(entry.path)
                continue
            lacking = (
                n for n, md5 in inside.items() if not object_path(self.cache, md5, legacy=entry.legacy).is_file()
            )
            found += [posixpath.join(entry.path, name) for name in lacking]
        return found

    def verify(self, entries: Sequence[Entry], *, in_cache: bool = False) -> Verification:
        """Compare every file of ``entries`` with its hash, in the working tree or in the cache."""
        result = Verification(missing_in_cache=self.missing_in_cache(entries))
        expected: list[tuple[str, Path, str, bool]] = []
        for entry in entries:
            inside = members(self.git_root, entry) if entry.is_dir else {"": entry.md5}
            if inside is None:
                result.missing_in_workspace.append(entry.path)
                continue
            for name, md5 in inside.items():
                path = posixpath.join(entry.path, name) if name else entry.path
                place = object_path(self.cache, md5, legacy=entry.legacy) if in_cache else self.git_root / path
                expected.append((path, place, md5, entry.legacy))
        present = [row for row in expected if row[1].is_file()]
        result.missing_in_workspace += [row[0] for row in expected if not row[1].is_file()]
        for (path, place, md5, _), actual in zip(present, hashes([(row[1], row[3]) for row in present]), strict=True):
            result.files += 1
            result.bytes += place.stat().st_size
            if actual != md5:
                result.corrupt.append(path)
        return result

    def drop_corrupt(self, entries: Sequence[Entry], corrupt: Sequence[str]) -> None:
        """Delete objects of the cache that do not hold what their name says, and the copies made of them."""
        wrong = set(corrupt)
        copies: dict[str, list[Path]] = {}
        objects: dict[str, tuple[Path, bool]] = {}
        for entry in entries:
            inside = members(self.git_root, entry) if entry.is_dir else {"": entry.md5}
            for name, md5 in (inside or {}).items():
                path = posixpath.join(entry.path, name) if name else entry.path
                if path in wrong:
                    copies.setdefault(md5, []).append(self.git_root / path)
                    objects[md5] = (object_path(self.cache, md5, legacy=entry.legacy), entry.legacy)
        for md5, (place, legacy) in objects.items():
            if place.is_file() and hashes([(place, legacy)]) != [md5]:
                for file in (place, *copies[md5]):
                    file.unlink(missing_ok=True)


def hashes(files: Sequence[tuple[Path, bool]]) -> list[str]:
    """md5 of each file, large ones side by side; True marks DVC 2's hash, which takes line ends for one."""

    def one(file: tuple[Path, bool]) -> str:
        path, legacy = file
        if not legacy:
            return file_md5(path)
        from dvc_data.hashfile.hash import file_md5 as dvc_md5

        return str(dvc_md5(str(path), name="md5-dos2unix"))

    large = [file for file in files if file[0].stat().st_size >= _LARGE]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        done = dict(zip(large, pool.map(one, large), strict=True))
    return [done[file] if file in done else one(file) for file in files]


def _stored(cache: Path) -> tuple[int, int]:
    """Number and bytes of the objects in the cache."""
    count = size = 0
    base = cache / "files" / "md5"
    for folder in os.scandir(base) if base.is_dir() else []:
        for file in os.scandir(folder.path) if folder.is_dir() else []:
            try:
                size += file.stat().st_size
                count += 1
            except FileNotFoundError:
                continue  # a temporary file, renamed meanwhile
    return count, size


def size_text(size: float) -> str:
    """Bytes for people: ``3.4 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return ""


@contextmanager
def _progress(cache: Path, files: int, size: int, say: Say) -> Iterator[None]:
    """A plain line now and then with what has arrived: logs of CI show no progress bars."""
    started = time.monotonic()
    before = _stored(cache)
    # Never spend more than about a fiftieth of the time on counting.
    pause = max(PROGRESS_SECONDS, 50 * (time.monotonic() - started))
    done = threading.Event()

    def watch() -> None:
        while not done.wait(pause):
            now = _stored(cache)
            arrived = f"{now[0] - before[0]:,} of {files:,} files, {size_text(now[1] - before[1])}"
            say(f"{arrived} of {size_text(size)} after {time.monotonic() - started:.0f} s")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
