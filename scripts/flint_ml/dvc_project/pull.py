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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from flint_ml.dvc_project.cache import cache_dir, members, object_path
from flint_ml.dvc_project.config import use_remotes
from flint_ml.dvc_project.entries import Entry
from flint_ml.dvc_project.errors import UNREACHABLE, logged_causes, only_missing, translate
from flint_ml.errors import FlintError, InputError
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
    """How pulled data stand; paths are relative to the Git root.

    Attributes
    ----------
    missing_in_cache
        Not brought: the remote lacks it.
    missing_in_workspace
        Not where it should be, although the cache holds it.
    corrupt
        The cache's object does not match its hash.
    differs
        The file in the workspace does not match its hash, and the cache's object does.
    files, bytes
        What was compared with its hash and matches.
    """

    missing_in_cache: list[str] = field(default_factory=list)
    missing_in_workspace: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0

    @property
    def wrong(self) -> set[str]:
        """Every path that is not there, or not right."""
        return {*self.missing_in_cache, *self.missing_in_workspace, *self.corrupt, *self.differs}


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
    base_config
        The base's ``.dvc/config``, whose remotes count instead of the working tree's; None: the working tree's.
    no_origin
        Imports whose source is not asked, by path, with the reason: only the remote is.
    say
        Prints one line for people.
    """

    def __init__(
        self,
        git_root: Path,
        folder: str = "",
        *,
        remote: str | None = None,
        jobs: int | None = None,
        base_config: bytes | None = None,
        no_origin: Mapping[str, str] | None = None,
        say: Say = print,
    ) -> None:
        self.git_root = git_root
        self.folder = folder
        self.remote = remote
        self.jobs = jobs
        self.base_config = base_config
        self.no_origin = no_origin or {}
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
                    if self.base_config is not None:
                        use_remotes(repo, self.base_config)
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
        if not self.missing_in_cache(entries) and not self._to_download(entries, revision):
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
            fenced = [e for e in entries if e.imported and e.path in self.no_origin and not e.partial]
            if self.missing_in_cache(fenced):
                self._from_remote(repo, fenced, self.remote, causes, revision)
            imported = [entry for entry in entries if entry.imported and entry.path not in self.no_origin]
            if self.missing_in_cache(imported) or self._to_download(imported, revision):
                self._by_path(repo, imported, revision, causes)

    def _to_download(self, entries: Iterable[Entry], revision: str | None) -> list[Entry]:
        """Imports without download that the working tree lacks; those of another revision are not brought."""
        return [
            e
            for e in entries
            if e.partial and revision is None and e.path not in self.no_origin and not (self.git_root / e.path).exists()
        ]

    def _from_remote(
        self, repo: Any, entries: Sequence[Entry], remote: str | None, causes: list[BaseException], revision: str | None
    ) -> None:
        store = repo.cloud.get_remote(remote, "pull")
        if store.worktree or store.fs.version_aware:
            self._by_path(repo, entries, revision, causes)
            return
        # Listings of folders first: DVC leaves a listing out of the cache while one of its files is missing.
        self._transfer(repo, {(e.md5, e.legacy) for e in entries}, remote, causes)
        inside = {
            (md5, e.legacy)
            for e in entries
            if e.is_dir
            for md5 in (members(self.git_root, e, self.cache) or {}).values()
        }
        self._transfer(repo, inside, remote, causes)
        self._explain_missing(store, entries, causes)

    def _transfer(
        self, repo: Any, objects: Iterable[tuple[str, bool]], remote: str | None, causes: list[BaseException]
    ) -> None:
        from dvc_data.hashfile.hash_info import HashInfo

        missing = {(md5, old) for md5, old in objects if not object_path(self.cache, md5, legacy=old).is_file()}
        if not missing:
            return
        hashes = {HashInfo("md5-dos2unix" if old else "md5", md5) for md5, old in missing}
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

    def checkout(self, entries: Sequence[Entry]) -> None:
        """Put ``entries`` from the cache into the working tree; files that DVC does not know are never overwritten.

        What is not there yet is placed directly: DVC's own checkout of ten thousand files spends ten seconds of CPU
        on its index. What is there is left to DVC, which knows what may be replaced.

        Raises
        ------
        InputError
            If a folder on the way is a link out of the repository.
        """
        with self._repo() as (repo, _):
            rest = self._place_new(repo, entries)
            if rest:
                repo.checkout(targets=[str(self.git_root / entry.path) for entry in rest], allow_missing=True)

    def _place_new(self, repo: Any, entries: Sequence[Entry]) -> list[Entry]:
        """Copy what the working tree lacks from the cache; returns the entries that DVC must look at."""
        top = self.git_root.resolve()
        for folder in sorted({posixpath.dirname(entry.path) for entry in entries}):
            if not (self.git_root / folder).resolve().is_relative_to(top):
                raise InputError(
                    "is a link out of this repository", where=folder, hint="remove the link", code="outside-workspace"
                )
        # Links of another kind than a copy are DVC's to make and to protect.
        if repo.config["cache"].get("type"):
            return list(entries)
        rest: list[Entry] = []
        copies: list[tuple[Path, Path]] = []
        for entry in entries:
            file = self.git_root / entry.path
            objects = None if entry.partial or os.path.lexists(file) else self._objects(entry)
            if objects is None:
                rest.append(entry)
                continue
            if entry.is_dir:
                file.mkdir(parents=True, exist_ok=True)
            copies += [(stored, self.git_root / path) for path, stored, _ in objects if stored.is_file()]
        _copy(copies)
        for entry in entries:
            if entry.executable and (file := self.git_root / entry.path).is_file():
                file.chmod(file.stat().st_mode | 0o111)
        return rest

    def _objects(self, entry: Entry) -> list[tuple[str, Path, str]] | None:
        """Path, object in the cache and md5 of each file of ``entry``; None where a folder's listing is not there."""
        inside = members(self.git_root, entry, self.cache) if entry.is_dir else {"": entry.md5}
        if inside is None:
            return None
        return [
            (posixpath.join(entry.path, name) if name else entry.path, self._object(md5, entry), md5)
            for name, md5 in inside.items()
        ]

    def _object(self, md5: str, entry: Entry) -> Path:
        return object_path(self.cache, md5, legacy=entry.legacy)

    def missing_in_cache(self, entries: Iterable[Entry]) -> list[str]:
        """Paths whose content is not, or not wholly, in the cache; imports without download never are."""
        missing: list[str] = []
        for entry in entries:
            if entry.partial:
                continue
            objects = self._objects(entry) if self._object(entry.md5, entry).is_file() else None
            if objects is None:
                missing.append(entry.path)
            else:
                missing += [path for path, stored, _ in objects if not stored.is_file()]
        return missing

    def verify(self, entries: Sequence[Entry], *, in_cache: bool = False) -> Verification:
        """Compare every file of ``entries`` with its hash, in the working tree or in the cache."""
        result = Verification(missing_in_cache=self.missing_in_cache(entries))
        lacking = set(result.missing_in_cache)
        expected: list[tuple[str, Path, str, bool, Path]] = []
        for entry in entries:
            if entry.partial:
                if not in_cache:
                    self._verify_download(entry, result)
                continue
            objects = self._objects(entry)
            for path, stored, md5 in objects or []:
                if path not in lacking:
                    expected.append((path, stored if in_cache else self.git_root / path, md5, entry.legacy, stored))
        result.missing_in_workspace = [row[0] for row in expected if not row[1].is_file()]
        present = [row for row in expected if row[1].is_file()]
        actual_hashes = hashes([(row[1], row[3]) for row in present])
        for (path, file, md5, legacy, stored), actual in zip(present, actual_hashes, strict=True):
            if actual == md5:
                result.files += 1
                result.bytes += file.stat().st_size
            elif in_cache or not stored.is_file() or hashes([(stored, legacy)]) != [md5]:
                result.corrupt.append(path)
            else:
                result.differs.append(path)
        return result

    def _verify_download(self, entry: Entry, result: Verification) -> None:
        """An import without download: its hash is its source's, where the source has one."""
        file = self.git_root / entry.path
        if not file.exists():
            result.missing_in_cache.append(entry.path)
        elif file.is_file() and entry.md5 and hashes([(file, entry.legacy)]) != [entry.md5]:
            result.differs.append(entry.path)
        else:
            result.files += 1
            result.bytes += file.stat().st_size if file.is_file() else 0

    def drop_corrupt(self, entries: Sequence[Entry], corrupt: Sequence[str]) -> None:
        """Delete objects of the cache that do not hold what their name says, and the copies made of them."""
        wrong = set(corrupt)
        copies: dict[str, list[Path]] = {}
        objects: dict[str, tuple[Path, bool]] = {}
        for entry in entries:
            for path, stored, md5 in [] if entry.partial else self._objects(entry) or []:
                if path in wrong:
                    copies.setdefault(md5, []).append(self.git_root / path)
                    objects[md5] = (stored, entry.legacy)
        for md5, (stored, legacy) in objects.items():
            if not stored.is_file() or (actual := hashes([(stored, legacy)])) == [md5]:
                continue
            for copy in copies[md5]:
                if copy.is_file() and hashes([(copy, legacy)]) == actual:
                    copy.unlink()
            stored.unlink(missing_ok=True)


def _copy(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Copy objects of the cache to the working tree; large ones share their blocks where the file system can."""
    from dvc_objects.fs import generic
    from dvc_objects.fs.local import localfs

    for folder in {target.parent for _, target in pairs}:
        folder.mkdir(parents=True, exist_ok=True)
    large = [(source, target) for source, target in pairs if source.stat().st_size >= _LARGE]
    if large:
        sources, targets = ([str(pair[side]) for pair in large] for side in (0, 1))
        generic.transfer(localfs, sources, localfs, targets, links=["reflink", "copy"])
    for source, target in set(pairs) - set(large):
        target.write_bytes(source.read_bytes())


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
